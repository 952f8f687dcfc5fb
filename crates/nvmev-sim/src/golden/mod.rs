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
mod field;
mod files;
mod line;
mod phase;
mod reader;
mod replay;
mod report;
mod request;
mod subject;

pub use checksum::Checksum;
pub use error::TraceError;
pub use files::{check_file, check_paths, find_traces, Summary};
pub use replay::{check, check_with};
pub use report::{Difference, Report, Tally, Verdict};
pub use request::{Outcome, Request};
pub use subject::{subject_for, Answer, Kind, ModelSubject, Parameters, Subject, TraceHeader};
