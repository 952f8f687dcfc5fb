//! Recorded traces as sources: fio's iologs, the MSR Cambridge format, and blkparse's text.
//!
//! A reader takes a line at a time, so a trace may be longer than memory. A line that is not in the format is an error with file, line and
//! reason; nothing is guessed.

mod blkparse;
mod iolog;
mod msr;

use std::fmt;
use std::io::BufRead;

use super::{Action, Io, SimulatorError, Source};

/// Unit of addresses: what a command covers is whole blocks of it.
const BLOCK_BYTES: u64 = 512;
/// Longest command that a trace may have.
const LEN_BYTES_MAX: u64 = 32 << 20;

/// Format of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// `fio version 2 iolog`: without times.
    IologV2,
    /// `fio version 3 iolog`: with times.
    IologV3,
    /// MSR Cambridge block traces: CSV.
    Msr,
    /// Text that blkparse prints by default.
    Blkparse,
}

/// What to do with a command beyond the end of the drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Move it: its address modulo the drive's size.
    Wrap,
    /// Leave it out.
    Skip,
    /// Stop with an error.
    Error,
}

/// How to read a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceOptions {
    /// Its format; found out from its first line if `None`.
    pub format: Option<TraceFormat>,
    /// What to do with commands beyond the end.
    pub beyond: Beyond,
    /// Times are divided by this many thousandths: 2000 plays twice as fast.
    pub speed_milli: u64,
    /// Length of a unit of time in version 3 iologs: 1000 for the microseconds of fio 3.33 and its neighbours, 1000000 for
    /// milliseconds.
    pub iolog_unit_ns: u64,
    /// The action of blkparse's lines that counts: `D` for issued, `Q` for queued.
    pub blkparse_action: char,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            format: None,
            beyond: Beyond::Wrap,
            speed_milli: 1000,
            iolog_unit_ns: 1000,
            blkparse_action: 'D',
        }
    }
}

/// A trace that cannot be read.
#[derive(Debug)]
pub struct TraceError {
    /// The file.
    pub file: String,
    /// The line; 0 if it is about the whole file.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for TraceError {}

/// A line's command, as the trace has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    /// In ns, from whatever moment the trace counts.
    time_ns: Option<u64>,
    action: Action,
    offset_bytes: u64,
    len_bytes: u64,
}

/// A trace being read.
pub struct TraceReader<R> {
    file: String,
    reader: R,
    options: TraceOptions,
    format: TraceFormat,
    namespace_bytes: u64,
    /// The line that was read last, and its number.
    text: String,
    line: u64,
    /// Size of the file and how much of it was read, bytes.
    size_bytes: Option<u64>,
    read_bytes: u64,
    first_time_ns: Option<u64>,
    commands: u64,
    beyond: u64,
    is_at_end: bool,
}

impl<R: fmt::Debug> fmt::Debug for TraceReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceReader")
            .field("file", &self.file)
            .field("format", &self.format)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> TraceReader<R> {
    /// Reads the first line of the trace in `reader`, which is called `file` in messages and has `size_bytes`, if that is known; its commands are to
    /// fit into a namespace of `namespace_bytes`.
    ///
    /// # Errors
    /// If it cannot be read, or its format is none of those known.
    pub fn new(
        file: &str,
        reader: R,
        size_bytes: Option<u64>,
        namespace_bytes: u64,
        options: TraceOptions,
    ) -> Result<Self, TraceError> {
        let mut trace = Self {
            file: file.to_owned(),
            reader,
            options,
            format: TraceFormat::Blkparse,
            namespace_bytes: namespace_bytes / BLOCK_BYTES * BLOCK_BYTES,
            text: String::new(),
            line: 0,
            size_bytes,
            read_bytes: 0,
            first_time_ns: None,
            commands: 0,
            beyond: 0,
            is_at_end: false,
        };
        if !trace.read_line()? {
            return Err(trace.error_in_file("the trace is empty"));
        }
        trace.format = match options.format.or_else(|| detect(&trace.text)) {
            Some(format) => format,
            None => {
                return Err(trace.error(
                    "this is no fio iolog (fio version 2 iolog, fio version 3 iolog), no MSR Cambridge CSV and no text of blkparse: \
                     say which it is with --trace-format",
                ))
            }
        };
        Ok(trace)
    }

    /// The format.
    pub fn format(&self) -> TraceFormat {
        self.format
    }

    /// Whether its commands have times.
    pub fn has_times(&self) -> bool {
        self.format != TraceFormat::IologV2
    }

    /// Commands beyond the end of the drive that were moved or left out.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    fn error(&self, reason: &str) -> TraceError {
        TraceError {
            file: self.file.clone(),
            line: self.line,
            reason: reason.to_owned(),
        }
    }

    fn error_in_file(&self, reason: &str) -> TraceError {
        TraceError {
            line: 0,
            ..self.error(reason)
        }
    }

    /// The next line, into `text`; false at the end.
    fn read_line(&mut self) -> Result<bool, TraceError> {
        self.text.clear();
        self.line += 1;
        match self.reader.read_line(&mut self.text) {
            Ok(0) => Ok(false),
            Ok(bytes) => {
                self.read_bytes += bytes as u64;
                self.text.truncate(self.text.trim_end().len());
                Ok(true)
            }
            Err(error) => Err(self.error(&format!("cannot be read: {error}"))),
        }
    }

    fn parse(&self) -> Result<Option<Record>, String> {
        match self.format {
            TraceFormat::IologV2 => iolog::parse_v2(&self.text),
            TraceFormat::IologV3 => iolog::parse_v3(&self.text, self.options.iolog_unit_ns),
            TraceFormat::Msr => msr::parse(&self.text),
            TraceFormat::Blkparse => blkparse::parse(&self.text, self.options.blkparse_action),
        }
    }

    /// A record as a command for this drive; nothing if it is left out.
    fn place(&mut self, record: Record) -> Result<Option<Io>, String> {
        let Record {
            time_ns,
            action,
            mut offset_bytes,
            len_bytes,
        } = record;
        if len_bytes > LEN_BYTES_MAX && action != Action::Trim {
            return Err(format!(
                "a command of {len_bytes} bytes: at most {LEN_BYTES_MAX} are possible"
            ));
        }
        let end = offset_bytes
            .checked_add(len_bytes)
            .ok_or_else(|| format!("offset {offset_bytes} and length {len_bytes} end beyond 2^64"))?;
        let is_beyond = end > self.namespace_bytes;
        if is_beyond {
            let namespace_bytes = self.namespace_bytes;
            match self.options.beyond {
                Beyond::Error => {
                    return Err(format!(
                        "the command ends at byte {end}, the namespace at {namespace_bytes}: use a larger --size, or --beyond wrap or skip"
                    ))
                }
                _ if len_bytes > namespace_bytes => {
                    return Err(format!("the command is longer than the namespace of {namespace_bytes} bytes"))
                }
                Beyond::Skip => {}
                Beyond::Wrap => {
                    // The last place where the whole command fits.
                    let places = namespace_bytes - len_bytes + BLOCK_BYTES;
                    offset_bytes = offset_bytes % places / BLOCK_BYTES * BLOCK_BYTES;
                }
            }
            self.beyond += 1;
            if self.options.beyond == Beyond::Skip {
                return Ok(None);
            }
        }
        let at_ns = match time_ns {
            None => None,
            Some(time_ns) => {
                let first_ns = *self.first_time_ns.get_or_insert(time_ns);
                // Lines of several CPUs may be slightly out of order.
                let since_ns = u128::from(time_ns.saturating_sub(first_ns));
                u64::try_from(since_ns * 1000 / u128::from(self.options.speed_milli.max(1))).ok()
            }
        };
        Ok(Some(Io {
            at_ns,
            action,
            offset_bytes,
            len_bytes,
        }))
    }

    /// The command of the line that was read last, or of one after it.
    fn next_io(&mut self) -> Result<Option<Io>, TraceError> {
        while !self.is_at_end {
            let record = self.parse().map_err(|reason| self.error(&reason))?;
            let io = match record {
                Some(record) => self.place(record).map_err(|reason| self.error(&reason))?,
                None => None,
            };
            self.is_at_end = !self.read_line()?;
            if io.is_some() {
                self.commands += 1;
                return Ok(io);
            }
        }
        if self.commands == 0 && self.beyond == 0 {
            return Err(self.error_in_file("there is no command in this trace"));
        }
        Ok(None)
    }
}

impl<R: BufRead> Source for TraceReader<R> {
    fn next(&mut self) -> Result<Option<Io>, SimulatorError> {
        self.next_io().map_err(SimulatorError::Trace)
    }

    fn progress_milli(&self) -> Option<u64> {
        let size_bytes = self.size_bytes.filter(|&bytes| bytes > 0)?;
        Some((u128::from(self.read_bytes) * 1000 / u128::from(size_bytes)) as u64)
    }
}

fn detect(first: &str) -> Option<TraceFormat> {
    let first = first.trim();
    if first == "fio version 2 iolog" {
        Some(TraceFormat::IologV2)
    } else if first == "fio version 3 iolog" {
        Some(TraceFormat::IologV3)
    } else if first.split(',').count() == 7 {
        Some(TraceFormat::Msr)
    } else if blkparse::is_event(first) {
        Some(TraceFormat::Blkparse)
    } else {
        None
    }
}

/// A number, or an error that names what it is.
fn number(what: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{what} is {text:?}: it must be a whole number"))
}

#[cfg(test)]
mod tests;
