//! What a line of a trace says, in any format.

use std::borrow::Cow;

use super::tally::{LeftOut, Reason};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Read.
    Read,
    /// Write; with force unit access if true.
    Write(bool),
    /// Deallocate.
    Trim,
    /// Flush.
    Flush,
}

/// A command, as the trace has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// In ns, from whatever moment the trace counts.
    pub time_ns: Option<u64>,
    pub kind: Kind,
    /// A flush comes before it.
    pub flushes_first: bool,
    pub offset_bytes: u64,
    pub len_bytes: u64,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A command for a device, whose name is empty where the format has none.
    Command { event: Event, device: Cow<'a, str> },
    /// Nothing for so long, ns.
    Wait(u64),
}

/// What a line came to: nothing for one that belongs to the format and asks for nothing.
pub type Parsed<'a> = Result<Option<Item<'a>>, LeftOut>;

/// A number, or a line that is not in the format.
pub fn number(what: &str, text: &str) -> Result<u64, LeftOut> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `parse` would take a sign.
    let value = if is_number { text.parse().ok() } else { None };
    value.ok_or_else(|| malformed(format!("{what} is {}: it must be a whole number", quoted(text))))
}

/// A line that is not in the format.
pub fn malformed(detail: impl Into<Cow<'static, str>>) -> LeftOut {
    LeftOut {
        reason: Reason::Malformed,
        detail: detail.into(),
    }
}

/// Text of a trace for a message: the beginning of what is long.
pub fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
