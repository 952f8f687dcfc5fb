//! What was left out of a trace, or changed: how many lines for which reason, and where first.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// Why a line was not run as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is not in the format.
    Malformed,
    /// It is longer than any line of a trace.
    LongLine,
    /// The file ends in the middle of it.
    CutOff,
    /// The file cannot be read on from there: it is damaged or not whole.
    Unreadable,
    /// A command of user space that passes the block layer by and names no blocks.
    Passthrough,
    /// An event without data that is no flush.
    NoData,
    /// A command that is not run from traces, as of zones.
    OtherCommand,
    /// A command of no bytes.
    ZeroLength,
    /// A command that ends beyond 2^64 bytes.
    OutOfRange,
    /// A wait where every command has its time.
    Wait,
    /// A command beyond the end of the drive, where those are left out.
    Beyond,
    /// A command beyond the end of the drive, where those are moved.
    Moved,
    /// A command whose time had passed when its line came.
    Late,
    /// A command that does not begin and end at blocks.
    Widened,
    /// A command that is longer than the drive's largest transfer.
    Split,
}

impl Reason {
    /// What was done.
    pub const fn effect(self) -> &'static str {
        match self {
            Self::Malformed
            | Self::LongLine
            | Self::CutOff
            | Self::Unreadable
            | Self::Passthrough
            | Self::NoData
            | Self::OtherCommand
            | Self::ZeroLength
            | Self::OutOfRange
            | Self::Wait
            | Self::Beyond => "left out",
            Self::Moved => "moved into the drive",
            Self::Late => "run late",
            Self::Widened => "widened",
            Self::Split => "split",
        }
    }

    /// Why.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "not in the trace's format",
            Self::LongLine => "longer than 64 KiB",
            Self::CutOff => "the file ends in the middle of the line",
            Self::Unreadable => "the file cannot be read on, it is damaged or not whole",
            Self::Passthrough => "passthrough commands, which name no blocks",
            Self::NoData => "events that move no data and are no flush",
            Self::OtherCommand => "commands that are not run from a trace",
            Self::ZeroLength => "commands of zero bytes",
            Self::OutOfRange => "commands that end beyond 2^64 bytes",
            Self::Wait => "waits, in a trace whose commands have times",
            Self::Beyond => "commands beyond the end of the drive",
            Self::Moved => "they are beyond the end of the drive",
            Self::Late => "out of order by more than the 65536 commands that are sorted",
            Self::Widened => "not whole blocks of 512 bytes",
            Self::Split => "longer than the drive's largest transfer (MDTS)",
        }
    }

    /// Whether the result is not that of the trace as it stands, so that the user must know. Splitting is what every host does.
    pub const fn is_warning(self) -> bool {
        !matches!(self, Self::Split)
    }

    /// Whether such a line ends a strict run. What to do beyond the end has an option of its own.
    pub const fn is_refused_by_strict(self) -> bool {
        !matches!(self, Self::Split | Self::Moved | Self::Beyond)
    }
}

/// A line that is left out, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub reason: Reason,
    /// Empty if the reason says it all.
    pub detail: Cow<'static, str>,
}

impl From<Reason> for LeftOut {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            detail: Cow::Borrowed(""),
        }
    }
}

impl LeftOut {
    /// Why, for an error about this line.
    pub fn why(&self) -> String {
        match self.detail.as_ref() {
            "" => self.reason.text().to_owned(),
            detail => detail.to_owned(),
        }
    }
}

/// Lines that were not run as they stand, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The reason.
    pub reason: Reason,
    /// How many lines.
    pub lines: u64,
    /// The first of them.
    pub first_line: u64,
    /// What is wrong with the first one, if there is more to say than the reason.
    pub detail: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason,
            lines,
            first_line,
            detail,
        } = self;
        let plural = if *lines == 1 { "" } else { "s" };
        write!(
            f,
            "{lines} line{plural} {}: {} (first: line {first_line}",
            reason.effect(),
            reason.text()
        )?;
        match detail.as_str() {
            "" => f.write_str(")"),
            detail => write!(f, ": {detail})"),
        }
    }
}

/// The remarks about a trace, in the order of their first lines.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    remarks: Vec<Remark>,
}

impl Tally {
    /// Counts the line number `line`.
    pub fn count(&mut self, line: u64, left_out: LeftOut) {
        let LeftOut { reason, detail } = left_out;
        match self.remarks.iter_mut().find(|remark| remark.reason == reason) {
            Some(remark) => remark.lines += 1,
            None => self.remarks.push(Remark {
                reason,
                lines: 1,
                first_line: line,
                detail: detail.into_owned(),
            }),
        }
    }

    /// How many lines there are for `reason`.
    pub fn lines(&self, reason: Reason) -> u64 {
        let mut remarks = self.remarks.iter();
        remarks
            .find(|remark| remark.reason == reason)
            .map_or(0, |remark| remark.lines)
    }

    /// All remarks.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}
