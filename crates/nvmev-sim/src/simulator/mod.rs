//! The trace simulator: a model in virtual time, driven by generated workloads or recorded traces.
//!
//! How it is built: a [`Source`] says what comes next ([`Workload`] generates it, [`TraceReader`] reads it from a file); the [`Simulator`]
//! owns the model and the clock and runs one phase after another ([`Pacing`] says when commands arrive); what happened is
//! gathered in a [`PhaseReport`].
//!
//! What is not here: no data is moved, no queues or interrupts of NVMe are simulated (commands reach the model in order of
//! arrival), and nothing is printed.

mod engine;
mod measure;
mod report;
mod trace;
mod workload;
mod zoned_workload;

pub use engine::{Pacing, Progress, Simulator, SimulatorError};
pub use measure::{Series, SeriesPoint};
pub use report::{
    DirectionReport, FlashPhaseReport, Latencies, LatencyPoint, PhaseReport, UtilisationReport, ZonesReport,
};
pub use trace::{
    Beyond, DeviceReport, Reason, Remark, TraceError, TraceFormat, TraceInput, TraceOptions, TraceReader,
    TraceReport,
};
pub use workload::{parse_bytes, parse_precondition, Workload, WorkloadError};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Read,
    /// Write; with force unit access if true.
    Write(bool),
    /// Deallocate.
    Trim,
    /// Flush.
    Flush,
    /// Zone Append to the zone that begins at the first byte; with force unit access if true.
    Append(bool),
    /// Reset of the zone that begins at the first byte.
    Reset,
}

/// A command to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// When it arrives, ns since the phase began; without it, as soon as there is room in the queue.
    pub at_ns: Option<u64>,
    /// Without such a time: for how long nothing is sent before it, ns.
    pub wait_ns: u64,
    /// What it does.
    pub action: Action,
    /// First byte.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub len_bytes: u64,
}

/// Where commands come from.
pub trait Source {
    /// The next command; nothing at the end.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next(&mut self) -> Result<Option<Io>, SimulatorError>;

    /// How much of it is done, in thousandths, where that is known.
    fn progress_milli(&self) -> Option<u64> {
        None
    }
}
