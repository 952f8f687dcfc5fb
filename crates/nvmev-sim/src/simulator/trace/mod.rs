//! Recorded traces as sources: fio's iologs, the MSR Cambridge format, and blkparse's text.
//!
//! How it is built: [`TraceInput`] unpacks and decodes a file; `lines` cuts it; `detect` finds its format, whose file turns a line into an
//! [`event`]; `devices` says whether it counts; `order` sorts events by their times; `place` makes commands for this drive of them.
//! [`TraceReader`] does one after the other, a line at a time, so a trace may be longer than memory.
//!
//! What a line holds never ends a run, unless that is asked for: what is left out or changed is counted by reason in the `tally`. Nothing is
//! guessed: a line that is not understood is left out.

mod blkparse;
mod detect;
mod devices;
mod error;
mod event;
mod input;
mod iolog;
mod lines;
mod msr;
mod options;
mod order;
mod place;
mod reader;
mod tally;

pub use devices::DeviceReport;
pub use error::TraceError;
pub use input::TraceInput;
pub use options::{Beyond, TraceFormat, TraceOptions};
pub use reader::{TraceReader, TraceReport};
pub use tally::{Reason, Remark};

#[cfg(test)]
mod tests;
