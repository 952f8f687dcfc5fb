//! Traces of all kinds: what is run of them, what is left out, and with which words.

mod counts;
mod hostile;
mod messages;
mod order;
mod place;

use std::io::Cursor;

use super::*;
use crate::simulator::{Action, Io};

const GIB: u64 = 1 << 30;

/// A reader of `bytes`.
fn reader(bytes: &[u8], options: TraceOptions) -> Result<TraceReader, String> {
    let input = TraceInput::new(Cursor::new(bytes.to_vec()), None).map_err(|error| error.to_string())?;
    TraceReader::new("t", input, GIB, options).map_err(|error| error.to_string())
}

/// All commands of a trace, and what is said of it.
fn run(bytes: &[u8], options: TraceOptions) -> Result<(Vec<Io>, TraceReport), String> {
    let mut trace = reader(bytes, options)?;
    let mut ios = Vec::new();
    while let Some(io) = trace.next_io().map_err(|error| error.to_string())? {
        ios.push(io);
    }
    Ok((ios, trace.report()))
}

fn read(text: &str) -> Vec<Io> {
    run(text.as_bytes(), TraceOptions::default()).unwrap().0
}

fn strict() -> TraceOptions {
    TraceOptions {
        is_strict: true,
        ..TraceOptions::default()
    }
}

fn io(at_ns: impl Into<Option<u64>>, action: Action, offset_bytes: u64, len_bytes: u64) -> Io {
    Io {
        at_ns: at_ns.into(),
        wait_ns: 0,
        action,
        offset_bytes,
        len_bytes,
    }
}

/// Reasons with their counts and first lines.
fn remarks(report: &TraceReport) -> Vec<(Reason, u64, u64)> {
    let remarks = report.remarks.iter();
    remarks
        .map(|remark| (remark.reason, remark.lines, remark.first_line))
        .collect()
}
