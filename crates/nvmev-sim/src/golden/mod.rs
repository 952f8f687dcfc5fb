//! Golden timing traces: reading them, replaying them against a model, and saying whether the two agree.
//!
//! The format and its meaning are those of `golden/README.md` in this crate. A file is streamed: memory use does not
//! grow with the number of requests. Everything in it is checked (order of the lines, the generated requests, the
//! checksum over all inputs), so that a damaged file is a [`TraceError`] with its line and never a wrong verdict.
//!
//! How it is built: lines are parsed, phases yield requests, and [`check`] puts each to a
//! [`Subject`] and compares. A new kind of model is one arm in [`subject_for`].
//!
//! What is not here: the reference's `#state` and `#zone` lines, which show its insides, are not compared; the time at
//! which a `#stall` happens is compared only where the stalled request can be generated, because a `rows` phase does
//! not hold it.

mod checksum;
mod error;
mod files;
mod line;
mod phase;
mod reader;
mod replay;
mod report;
mod subject;

pub use checksum::Checksum;
pub use error::TraceError;
pub use files::{check_file, check_paths, find_traces, Summary};
pub use replay::{check, check_with};
pub use report::{Difference, Report, Tally, Verdict};
pub use subject::{subject_for, Answer, Kind, ModelSubject, Parameters, Subject, TraceHeader};

/// One request of a trace: the input columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Time at which it arrives, ns.
    pub arrival_ns: u64,
    /// NVMe opcode.
    pub opcode: u8,
    /// First logical block, of 512 bytes.
    pub slba: u64,
    /// Number of logical blocks, 1-based; 0 for commands without any; in key-value traces the value's bytes.
    pub nlb: u32,
    /// Force unit access.
    pub fua: bool,
    /// Zone send action, or receive action with its specific field in bits 8 to 15.
    pub zsa: u16,
    /// Select all zones, or partial report.
    pub all: bool,
}

/// What became of a request: the output columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Time at which the model took the request on, ns.
    pub accepted_start_ns: u64,
    /// Completion time minus `accepted_start_ns`, ns. Negative where the completion time lies in the past.
    pub latency_ns: i64,
    /// Status code type and status code, without the phase bit.
    pub status: u16,
    /// Command-specific result.
    pub result: u64,
}
