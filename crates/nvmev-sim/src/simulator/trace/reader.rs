//! A trace as a source of commands: what a line says goes through all parts of this folder, in order.

use std::io;

use serde::Serialize;

use super::devices::{DeviceReport, Devices};
use super::error::TraceError;
use super::event::{quoted, Event, Item, Parsed};
use super::input::TraceInput;
use super::lines::{Line, Lines};
use super::options::{Beyond, TraceFormat, TraceOptions};
use super::order::{Ordered, Window};
use super::place::{Pieces, Placer};
use super::tally::{LeftOut, Reason, Remark, Tally};
use super::{blkparse, detect, iolog, msr};
use crate::simulator::error::SimulatorError;
use crate::simulator::source::{Io, Source};

/// A trace being read.
#[derive(Debug)]
pub struct TraceReader {
    file: String,
    options: TraceOptions,
    format: TraceFormat,
    time_unit_ns: u64,
    lines: Lines,
    line: Line,
    is_at_end: bool,
    devices: Devices,
    tally: Tally,
    window: Window,
    placer: Placer,
    /// The time of the first command.
    first_time_ns: Option<u64>,
    /// A wait that the next command comes after.
    wait_ns: u64,
    /// What is left of the event under way.
    pieces: Pieces,
    commands: u64,
}

/// What was run of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceReport {
    /// Its format.
    pub format: TraceFormat,
    /// Lines in it.
    pub lines: u64,
    /// Commands that were run; those that were split count several times.
    pub commands: u64,
    /// Its devices, files or disks, with what the trace has for each.
    pub devices: Vec<DeviceReport>,
    /// How many of them were run, as one drive.
    pub devices_run: u64,
    /// What was left out or changed.
    pub remarks: Vec<Remark>,
}

impl TraceReader {
    /// Looks at the first lines of the trace `input`, which is called `file` in messages; its commands are to fit into a namespace of
    /// `namespace_bytes`.
    ///
    /// # Errors
    /// If it cannot be read, or its format is none of those known.
    pub fn new(
        file: &str,
        input: TraceInput,
        namespace_bytes: u64,
        options: TraceOptions,
    ) -> Result<Self, TraceError> {
        let error = |reason: String| TraceError {
            file: file.to_owned(),
            line: 0,
            reason,
        };
        let mut lines = Lines::new(input);
        let format = find_format(&mut lines, options.format).map_err(error)?;
        Ok(Self {
            file: file.to_owned(),
            format,
            time_unit_ns: options.time_unit_ns.unwrap_or(format.time_unit_ns()),
            lines,
            line: Line::default(),
            is_at_end: false,
            devices: Devices::new(format, options.device.clone()),
            tally: Tally::default(),
            window: Window::default(),
            placer: Placer::new(namespace_bytes, options.transfer_bytes_max, options.beyond),
            first_time_ns: None,
            wait_ns: 0,
            pieces: Pieces::default(),
            commands: 0,
            options,
        })
    }

    /// The format.
    pub fn format(&self) -> TraceFormat {
        self.format
    }

    /// What was run so far.
    pub fn report(&self) -> TraceReport {
        TraceReport {
            format: self.format,
            lines: self.lines.number,
            commands: self.commands,
            devices: self.devices.reports().cloned().collect(),
            devices_run: self.devices.run_count() as u64,
            remarks: self.tally.remarks().to_vec(),
        }
    }

    /// What the user must know to understand the results, each in a line without the file's name.
    pub fn warnings(&self) -> Vec<String> {
        let remarks = self.tally.remarks().iter();
        let remarks = remarks.filter(|remark| remark.reason.is_warning());
        self.devices
            .merged()
            .into_iter()
            .chain(remarks.map(Remark::to_string))
            .collect()
    }

    /// What else can be said.
    pub fn notes(&self) -> Vec<String> {
        let remarks = self.tally.remarks().iter();
        let remarks = remarks.filter(|remark| !remark.reason.is_warning());
        remarks.map(Remark::to_string).collect()
    }

    fn error(&self, line: u64, reason: impl Into<String>) -> TraceError {
        TraceError {
            file: self.file.clone(),
            line,
            reason: reason.into(),
        }
    }

    /// Counts a line that is not run as it stands.
    fn remark(&mut self, line: u64, left_out: LeftOut) -> Result<(), TraceError> {
        if self.options.is_strict && left_out.reason.is_refused_by_strict() {
            return Err(self.error(line, format!("{} (--strict)", left_out.why())));
        }
        if left_out.reason == Reason::Beyond && self.options.beyond == Beyond::Error {
            let why = left_out.why();
            let advice = "use a larger --size, or --beyond wrap or skip";
            return Err(self.error(line, format!("{why}: {advice}")));
        }
        self.tally.count(line, left_out);
        Ok(())
    }

    /// Reads a line, and keeps what it says.
    fn read_line(&mut self) -> Result<(), TraceError> {
        match self.lines.next(&mut self.line) {
            Ok(is_there) => self.is_at_end = !is_there,
            Err(error) => {
                self.is_at_end = true;
                let line = self.lines.number + 1;
                if !is_of_content(&error) {
                    return Err(self.error(line, format!("cannot be read: {error}")));
                }
                let left_out = LeftOut {
                    reason: Reason::Unreadable,
                    detail: error.to_string().into(),
                };
                return self.remark(line, left_out);
            }
        }
        if self.is_at_end {
            return Ok(());
        }
        let number = self.lines.number;
        if self.line.is_long {
            return self.remark(number, LeftOut::from(Reason::LongLine));
        }
        let text = self.line.text();
        let item = match parse(
            &text,
            self.format,
            self.time_unit_ns,
            self.options.blkparse_action,
        ) {
            Ok(None) => return Ok(()),
            // A number at its end may have had more digits.
            Ok(Some(_)) if self.format == TraceFormat::Blkparse && self.line.is_cut_off_before(b']') => {
                drop(text);
                return self.remark(number, LeftOut::from(Reason::CutOff));
            }
            Ok(Some(item)) => item,
            Err(left_out) => {
                let is_cut_off = self.line.is_last_without_break && left_out.reason == Reason::Malformed;
                let left_out = if is_cut_off {
                    LeftOut {
                        reason: Reason::CutOff,
                        detail: left_out.detail,
                    }
                } else {
                    left_out
                };
                drop(text);
                return self.remark(number, left_out);
            }
        };
        let (event, device) = match item {
            Item::Command { event, device } => (event, device),
            Item::Wait(ns) => {
                self.wait_ns = self.wait_ns.saturating_add(ns);
                return Ok(());
            }
        };
        if !device.is_empty() && !self.devices.admit(&device) {
            return Ok(());
        }
        if self.options.is_strict {
            if let Some(merged) = self.devices.merged() {
                return Err(self.error(number, format!("{merged} (--strict)")));
            }
        }
        match event.time_ns {
            Some(time_ns) => {
                self.window.push(time_ns, number, event);
                Ok(())
            }
            None => {
                let wait_ns = std::mem::take(&mut self.wait_ns);
                if !self.begin(number, event, None, self.scaled(wait_ns))? {
                    // What comes next waits as long.
                    self.wait_ns = wait_ns;
                }
                Ok(())
            }
        }
    }

    /// A time of the trace as one of the run, ns.
    fn scaled(&self, ns: u64) -> u64 {
        let ns = u128::from(ns) * 1000 / u128::from(self.options.speed_milli.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// Begins the event of sorted time whose turn it is.
    fn begin_ordered(&mut self, ordered: Ordered) -> Result<(), TraceError> {
        let Ordered {
            time_ns,
            line,
            event,
            is_late,
        } = ordered;
        if is_late {
            self.remark(line, LeftOut::from(Reason::Late))?;
        }
        let first_ns = *self.first_time_ns.get_or_insert(time_ns);
        self.begin(line, event, Some(self.scaled(time_ns - first_ns)), 0)?;
        Ok(())
    }

    /// Begins an event; false if it is left out.
    fn begin(
        &mut self,
        line: u64,
        event: Event,
        at_ns: Option<u64>,
        wait_ns: u64,
    ) -> Result<bool, TraceError> {
        let mut reasons = Vec::new();
        let placed = self
            .placer
            .place(&event, at_ns, wait_ns, &mut |reason| reasons.push(reason));
        for reason in reasons {
            self.remark(line, LeftOut::from(reason))?;
        }
        match placed {
            Ok(pieces) => {
                self.pieces = pieces;
                Ok(true)
            }
            Err(left_out) => {
                self.remark(line, left_out)?;
                Ok(false)
            }
        }
    }

    /// The next command; nothing at the end.
    pub(super) fn next_io(&mut self) -> Result<Option<Io>, TraceError> {
        loop {
            if let Some(io) = self.pieces.next() {
                self.commands += 1;
                return Ok(Some(io));
            }
            if let Some(ordered) = self.window.pop(self.is_at_end) {
                self.begin_ordered(ordered)?;
            } else if self.is_at_end {
                return self.end().map(|()| None);
            } else {
                self.read_line()?;
            }
        }
    }

    /// Whether it is right that the trace ends here.
    fn end(&self) -> Result<(), TraceError> {
        // What is left out because of its place is a result, too.
        if self.commands > 0 || self.tally.lines(Reason::Beyond) > 0 {
            return Ok(());
        }
        let reason = match self.devices.missing() {
            Some(missing) => missing,
            None => String::from("there is no command in this trace"),
        };
        let remarks = self.tally.remarks().iter().map(Remark::to_string);
        let reasons: Vec<String> = std::iter::once(reason).chain(remarks).collect();
        Err(self.error(0, reasons.join("; ")))
    }
}

impl Source for TraceReader {
    fn next(&mut self) -> Result<Option<Io>, SimulatorError> {
        self.next_io().map_err(SimulatorError::Trace)
    }

    fn progress_milli(&self) -> Option<u64> {
        self.lines.input.progress_milli()
    }
}

/// The format of the trace in `lines`, if it is not `given`; or why it cannot be run.
fn find_format(lines: &mut Lines, given: Option<TraceFormat>) -> Result<TraceFormat, String> {
    let mut first = None;
    let mut bytes = 0;
    for _ in 0..detect::LINES_MAX {
        let text = match lines.look_ahead() {
            Ok(Some(line)) => line.text(),
            Ok(None) => break,
            Err(error) if bytes > 0 && is_of_content(&error) => break,
            Err(error) => return Err(format!("cannot be read: {error}")),
        };
        if let Some(format) = given.or_else(|| detect::of_line(&text)) {
            return Ok(format);
        }
        bytes += text.len() + 1;
        if first.is_none() && !text.is_empty() {
            first = Some(text.into_owned());
        }
        if bytes > detect::BYTES_MAX {
            break;
        }
    }
    match first {
        Some(first) => Err(format!(
            "it begins with {}: {}",
            quoted(&first),
            detect::unknown(&first)
        )),
        None => Err(String::from("the trace is empty")),
    }
}

/// Whether an error is of what a file holds: compressed data that is damaged or not whole. Others are the machine's.
fn is_of_content(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn parse(text: &str, format: TraceFormat, time_unit_ns: u64, blkparse_action: char) -> Parsed<'_> {
    match format {
        TraceFormat::IologV1 => iolog::parse_v1(text),
        TraceFormat::IologV2 => iolog::parse_v2(text),
        TraceFormat::IologV3 => iolog::parse_v3(text, time_unit_ns),
        TraceFormat::Msr => msr::parse(text, time_unit_ns),
        TraceFormat::Blkparse => blkparse::parse(text, blkparse_action),
    }
}
