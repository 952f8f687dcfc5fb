//! fio's iologs (`write_iolog=`): version 1 `RW, OFFSET, LENGTH`; version 2 `FILE ACTION [OFFSET LENGTH]`; version 3 the same with a time
//! before it (fio's HOWTO, "I/O Replay File Formats").

use std::borrow::Cow;

use super::event::{malformed, number, quoted, Event, Item, Kind, Parsed};
use super::options::TraceFormat;
use super::tally::{LeftOut, Reason};

/// What a trace begins with, but for its version.
const HEADING: [&str; 2] = ["fio", "version"];

/// The version that a heading says.
pub fn version(line: &str) -> Option<TraceFormat> {
    let words: Vec<String> = line.split_whitespace().map(str::to_ascii_lowercase).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [fio, version, number, "iolog"] if [*fio, *version] == HEADING => match *number {
            "1" => Some(TraceFormat::IologV1),
            "2" => Some(TraceFormat::IologV2),
            "3" => Some(TraceFormat::IologV3),
            _ => None,
        },
        _ => None,
    }
}

/// The fields of a line of version 1.
fn fields_of_v1(line: &str) -> Option<[&str; 3]> {
    let mut fields = line.split(',').map(str::trim);
    let fields = [
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next().unwrap_or(""),
    ];
    match fields {
        [action, offset, length, ""] => Some([action, offset, length]),
        _ => None,
    }
}

/// Whether `line` can only be of version 1.
pub fn is_line_of_v1(line: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    fields_of_v1(line).is_some_and(|[action, offset, length]| {
        matches!(action, "0" | "1") && is_number(offset) && is_number(length)
    })
}

/// A line of version 1: 0 for a read, 1 for a write.
pub fn parse_v1(line: &str) -> Parsed<'_> {
    if line.is_empty() || version(line).is_some() {
        return Ok(None);
    }
    let [action, offset, length] =
        fields_of_v1(line).ok_or_else(|| malformed(format!("{} is not RW, OFFSET, LENGTH", quoted(line))))?;
    let kind = match action {
        "0" => Kind::Read,
        "1" => Kind::Write(false),
        other => {
            return Err(malformed(format!(
                "the action is {}: it must be 0 (read) or 1 (write)",
                quoted(other)
            )))
        }
    };
    Ok(Some(Item::Command {
        event: Event {
            time_ns: None,
            kind,
            flushes_first: false,
            offset_bytes: number("the offset", offset)?,
            len_bytes: number("the length", length)?,
        },
        device: Cow::Borrowed(""),
    }))
}

/// A line of version 2.
pub fn parse_v2(line: &str) -> Parsed<'_> {
    if line.is_empty() || version(line).is_some() {
        return Ok(None);
    }
    parse(line, None)
}

/// A line of version 3, whose times are in units of `unit_ns`.
pub fn parse_v3(line: &str, unit_ns: u64) -> Parsed<'_> {
    if line.is_empty() || version(line).is_some() {
        return Ok(None);
    }
    let (time, rest) = line
        .split_once(|char: char| char.is_ascii_whitespace())
        .ok_or_else(|| {
            malformed(format!(
                "{} is not of the form TIME FILE ACTION [OFFSET LENGTH]",
                quoted(line)
            ))
        })?;
    let time_ns = number("the time", time)?.saturating_mul(unit_ns);
    parse(rest.trim_ascii_start(), Some(time_ns))
}

/// The last word of `text`, and what is before it.
fn last_word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_end();
    match text.rfind(|char: char| char.is_ascii_whitespace()) {
        Some(at) => (text[..at].trim_ascii_end(), &text[at + 1..]),
        None => ("", text),
    }
}

fn parse(line: &str, time_ns: Option<u64>) -> Parsed<'_> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // File names may have spaces in them: the line is read from its end.
    let (before_last, last) = last_word(line);
    let (before_second, second) = last_word(before_last);
    let (before_third, third) = last_word(before_second);
    let (file, action, range) = if is_number(last) && is_number(second) && !before_third.is_empty() {
        (before_third, third, Some((second, last)))
    } else if is_number(last) && second == "wait" && !before_second.is_empty() {
        (before_second, second, Some((last, "0")))
    } else {
        (before_last, last, None)
    };
    if file.is_empty() {
        return Err(malformed(format!(
            "{} is not of the form FILE ACTION [OFFSET LENGTH]",
            quoted(line)
        )));
    }
    let kind = match action {
        "add" | "open" | "close" => return Ok(None),
        "wait" if time_ns.is_some() => return Err(LeftOut::from(Reason::Wait)),
        // Where other actions have their offset, in microseconds.
        "wait" => {
            let (wait, _) = range.ok_or_else(|| malformed("the time to wait is missing"))?;
            let ns = number("the time to wait", wait)?.saturating_mul(1000);
            return Ok(Some(Item::Wait(ns)));
        }
        "read" => Kind::Read,
        "write" => Kind::Write(false),
        "trim" => Kind::Trim,
        "sync" | "datasync" | "sync_file_range" | "syncfs" => Kind::Flush,
        other => {
            return Err(malformed(format!(
                "the action is {}: it must be add, open, close, wait, read, write, trim, sync or datasync",
                quoted(other)
            )))
        }
    };
    let (offset_bytes, len_bytes) = match (kind, range) {
        (Kind::Flush, _) => (0, 0),
        (_, Some((offset, length))) => (number("the offset", offset)?, number("the length", length)?),
        (_, None) => return Err(malformed("offset and length are missing")),
    };
    Ok(Some(Item::Command {
        event: Event {
            time_ns,
            kind,
            flushes_first: false,
            offset_bytes,
            len_bytes,
        },
        device: Cow::Borrowed(file),
    }))
}
