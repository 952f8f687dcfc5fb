//! The text that blkparse prints by default: `MAJOR,MINOR CPU SEQUENCE TIME PID ACTION RWBS SECTOR + SECTORS [PROCESS]`.

use super::{number, Record};
use crate::simulator::Action;

const SECTOR_BYTES: u64 = 512;

/// Whether a line is an event: it begins with a device's two numbers.
pub fn is_event(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    first.split_once(',').is_some_and(|(major, minor)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number(major) && is_number(minor)
    })
}

/// A line; nothing for the summary at the end, and for events of other kinds than `action`.
pub fn parse(line: &str, action: char) -> Result<Option<Record>, String> {
    if !is_event(line) {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, time, _, its_action, rest @ ..] = words.as_slice() else {
        return Err(String::from(
            "an event has a device, CPU, sequence number, time, process and action",
        ));
    };
    let mut actions = its_action.chars();
    if (actions.next(), actions.next()) != (Some(action), None) {
        return Ok(None);
    }
    let time_ns = parse_time_ns(time)?;
    let [rwbs, range @ ..] = rest else {
        return Err(String::from("what the event does (RWBS) is missing"));
    };
    // D for discard, F for flush before the rest, R, W; S, M and A tell more about it, a later F stands for force unit access.
    let kind = match rwbs.trim_start_matches('F').chars().next() {
        Some('R') => Action::Read,
        Some('W') => Action::Write(rwbs[1..].contains('F')),
        Some('D') => Action::Trim,
        None if rwbs.starts_with('F') => Action::Flush,
        Some('N') => return Ok(None),
        _ => {
            return Err(format!(
                "what the event does is {rwbs:?}: it must have R, W, D, F or N"
            ))
        }
    };
    let (offset_bytes, len_bytes) = match (kind, range) {
        (Action::Flush, _) => (0, 0),
        (_, [sector, "+", sectors, ..]) => {
            let bytes = |what, text| {
                number(what, text)?
                    .checked_mul(SECTOR_BYTES)
                    .ok_or_else(|| format!("{what} is {text}, which is past 2^64 bytes"))
            };
            (
                bytes("the sector", sector)?,
                bytes("the number of sectors", sectors)?,
            )
        }
        // An empty write that carries a flush.
        (Action::Write(_), _) if rwbs.starts_with('F') => {
            return Ok(Some(Record {
                time_ns: Some(time_ns),
                action: Action::Flush,
                offset_bytes: 0,
                len_bytes: 0,
            }))
        }
        _ => return Err(String::from("SECTOR + SECTORS is missing")),
    };
    Ok(Some(Record {
        time_ns: Some(time_ns),
        action: kind,
        offset_bytes,
        len_bytes,
    }))
}

/// Seconds with nine digits behind the point.
fn parse_time_ns(text: &str) -> Result<u64, String> {
    let wrong = || format!("the time is {text:?}: it must be seconds with a point and 9 digits");
    let (seconds, fraction) = text.split_once('.').ok_or_else(wrong)?;
    if fraction.len() != 9 {
        return Err(wrong());
    }
    let seconds: u64 = seconds.parse().map_err(|_| wrong())?;
    let fraction: u64 = fraction.parse().map_err(|_| wrong())?;
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(fraction))
        .ok_or_else(wrong)
}
