//! Why a simulation cannot be run, or ended early.

use std::fmt;

use ssd_model::SetupError;

use super::trace::TraceError;

/// Why a simulation ended early.
#[derive(Debug)]
pub enum SimulatorError {
    /// The drive cannot be set up.
    Setup(SetupError),
    /// The workload cannot be run.
    Workload(WorkloadError),
    /// The trace cannot be read.
    Trace(TraceError),
    /// Commands take no time, so a phase that is to last some never ends.
    Standstill,
    /// The drive has keys instead of LBAs, and every workload and trace is of LBAs.
    KeyValue,
}

impl fmt::Display for SimulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Workload(error) => error.fmt(f),
            Self::Trace(error) => error.fmt(f),
            Self::Standstill => f.write_str(
                "commands take no time on this drive, as reads of what was never written do on profiles with the reference's oddities: \
                 fill it first (--precondition seq), or end the phase by count= or size= instead of time=",
            ),
            Self::KeyValue => f.write_str(
                "key-value drives are not simulated: workloads and traces read and write LBAs, and such a drive stores values under keys. \
                 Choose another --profile; with the kernel module, `nvmev kv bench` measures a key-value drive",
            ),
        }
    }
}

impl std::error::Error for SimulatorError {}

impl From<WorkloadError> for SimulatorError {
    fn from(error: WorkloadError) -> Self {
        Self::Workload(error)
    }
}

/// A workload that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workload {:?}: {}", self.text, self.reason)
    }
}

impl std::error::Error for WorkloadError {}
