//! Which format a trace has, from its first lines.

use super::options::TraceFormat;
use super::{blkparse, iolog, msr};

/// Lines that are looked at: what comes before a trace's first event is shorter.
pub const LINES_MAX: usize = 1000;
/// Bytes that are looked at.
pub const BYTES_MAX: usize = 1 << 20;

/// The format of a trace that has such a line among its first ones.
pub fn of_line(line: &str) -> Option<TraceFormat> {
    iolog::version(line).or_else(|| {
        if blkparse::is_event(line) {
            Some(TraceFormat::Blkparse)
        } else if msr::is_line(line) {
            Some(TraceFormat::Msr)
        } else if iolog::is_line_of_v1(line) {
            Some(TraceFormat::IologV1)
        } else {
            None
        }
    })
}

/// Why a trace that begins with `first` is refused.
pub fn unknown(first: &str) -> String {
    // "eat" and a version in the byte order of the machine (blktrace_api.h: BLK_IO_TRACE_MAGIC).
    let is_blktrace = [b"tae", b"eat"]
        .iter()
        .any(|magic| first.as_bytes().windows(3).take(2).any(|bytes| bytes == *magic));
    let advice = if is_blktrace {
        "this is what blktrace records: turn it into text with `blkparse -i FILE`. "
    } else {
        "the format is not known. "
    };
    format!(
        "{advice}Known are fio iologs (version 1: RW, OFFSET, LENGTH; version 2 and 3: they begin with \"fio version 2 iolog\" or \
         \"fio version 3 iolog\"), MSR Cambridge CSV (Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime), and blkparse's default \
         text; any of them compressed with gzip, xz or zstd. If it is one of them, say which with --trace-format"
    )
}
