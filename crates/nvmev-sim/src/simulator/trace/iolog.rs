//! fio's iologs (`write_iolog=`): version 2 `FILE ACTION [OFFSET LENGTH]`, version 3 with a time before that.

use super::{number, Record};
use crate::simulator::Action;

/// A line of version 2; nothing for lines that move no data.
pub fn parse_v2(line: &str) -> Result<Option<Record>, String> {
    parse(line, None)
}

/// A line of version 3, whose times are in units of `unit_ns`.
pub fn parse_v3(line: &str, unit_ns: u64) -> Result<Option<Record>, String> {
    if line.is_empty() || line.starts_with("fio version") {
        return Ok(None);
    }
    let (time, rest) = line
        .split_once(char::is_whitespace)
        .ok_or_else(|| format!("{line:?} is not of the form TIME FILE ACTION [OFFSET LENGTH]"))?;
    let time_ns = number("the time", time)?.saturating_mul(unit_ns);
    parse(rest.trim_start(), Some(time_ns))
}

fn parse(line: &str, time_ns: Option<u64>) -> Result<Option<Record>, String> {
    if line.is_empty() || line.starts_with("fio version") {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    // File names may have spaces in them: the line is read from its end.
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (action, range) = match words.as_slice() {
        [_, .., action, offset, length] if is_number(offset) && is_number(length) => {
            (*action, Some((*offset, *length)))
        }
        [_, .., action] => (*action, None),
        _ => return Err(format!("{line:?} is not of the form FILE ACTION [OFFSET LENGTH]")),
    };
    let action = match action {
        "add" | "open" | "close" | "wait" => return Ok(None),
        "read" => Action::Read,
        "write" => Action::Write(false),
        "trim" => Action::Trim,
        "sync" | "datasync" | "sync_file_range" => Action::Flush,
        other => {
            return Err(format!(
            "the action is {other:?}: it must be add, open, close, wait, read, write, trim, sync or datasync"
        ))
        }
    };
    let (offset_bytes, len_bytes) = match (action, range) {
        (Action::Flush, _) => (0, 0),
        (_, Some((offset, length))) => (number("the offset", offset)?, number("the length", length)?),
        (_, None) => return Err(String::from("offset and length are missing")),
    };
    Ok(Some(Record {
        time_ns,
        action,
        offset_bytes,
        len_bytes,
    }))
}
