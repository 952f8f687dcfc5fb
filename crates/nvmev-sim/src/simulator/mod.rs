//! The trace simulator: a model in virtual time, driven by generated workloads or recorded traces.
//!
//! How it is built: a [`Source`] says what comes next ([`Workload`] generates it, [`TraceReader`] reads it from a file); the [`Simulator`]
//! owns the model and the clock and runs one phase after another ([`Pacing`] says when commands arrive); what happened is
//! gathered in a [`PhaseReport`].
//!
//! What is not here: no data is moved, no queues or interrupts of NVMe are simulated (commands reach the model in order of
//! arrival), and nothing is printed.

mod amounts;
mod block_workload;
mod engine;
mod error;
mod generate;
mod measure;
mod report;
mod source;
mod trace;
mod workload;
mod zoned_workload;

pub use amounts::parse_bytes;
pub use engine::{Pacing, Progress, Simulator};
pub use error::{SimulatorError, WorkloadError};
pub use measure::{Series, SeriesPoint};
pub use report::{
    DirectionReport, FlashPhaseReport, Latencies, LatencyPoint, PhaseReport, UtilisationReport, ZonesReport,
};
pub use source::{Action, Io, Source};
pub use trace::{
    Beyond, DeviceReport, Reason, Remark, TraceError, TraceFormat, TraceInput, TraceOptions, TraceReader,
    TraceReport,
};
pub use workload::{parse_precondition, Workload};
