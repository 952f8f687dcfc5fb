//! The text that blkparse prints by default: `MAJOR,MINOR CPU SEQUENCE TIME PID ACTION RWBS SECTOR + SECTORS [PROCESS]` (blkparse(1), "DEFAULT
//! OUTPUT").

use std::borrow::Cow;

use super::event::{malformed, number, quoted, Event, Item, Kind, Parsed};
use super::tally::{LeftOut, Reason};

const SECTOR_BYTES: u64 = 512;

/// How the lines begin that blkparse prints before and after the events: the files that it reads, and the summaries.
const STRUCTURE: [&str; 21] = [
    "Input file ",
    "CPU",
    "Total (",
    "Reads Queued:",
    "Read Dispatches:",
    "Reads Requeued:",
    "Reads Completed:",
    "Read Merges:",
    "Read depth:",
    "Writes Queued:",
    "Write Dispatches:",
    "Writes Requeued:",
    "Writes Completed:",
    "Write Merges:",
    "Write depth:",
    "PC Reads",
    "PC Writes",
    "IO unplugs:",
    "Throughput (",
    "Events (",
    "Skips:",
];

/// Whether a line begins with a device's two numbers, and goes on as an event does.
pub fn is_event(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next().is_some_and(is_device)
        && words.next().is_some_and(is_number)
        && words.next().is_some_and(is_number)
        && words.next().is_some_and(|time| time.contains('.'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_device(word: &str) -> bool {
    word.split_once(',')
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// A line; nothing for what surrounds the events, and for events of other actions than `action`.
pub fn parse(line: &str, action: char) -> Parsed<'_> {
    let mut words = line.split_ascii_whitespace();
    let Some(device) = words.next() else {
        return Ok(None);
    };
    if !is_device(device) {
        if STRUCTURE.iter().any(|begin| line.starts_with(begin)) {
            return Ok(None);
        }
        return Err(malformed(format!("{} is no event of blkparse", quoted(line))));
    }
    let (Some(_cpu), Some(_sequence), Some(time), Some(_process), Some(its_action)) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(malformed(
            "an event has a device, CPU, sequence number, time, process and action",
        ));
    };
    let mut actions = its_action.chars();
    if (actions.next(), actions.next()) != (Some(action), None) {
        return Ok(None);
    }
    let time_ns = Some(parse_time_ns(time)?);
    let rwbs = words
        .next()
        .ok_or_else(|| malformed("what the event does (RWBS) is missing"))?;
    let range = match (words.next(), words.next(), words.next()) {
        (Some(sector), Some("+"), Some(sectors)) => Some((sector, sectors)),
        // Its process's name in brackets, or nothing: it has no sectors.
        (None, ..) => None,
        (Some(process), ..) if process.starts_with('[') => None,
        // BYTES [PROCESS], or BYTES (COMMAND) [PROCESS].
        (Some(bytes), Some(next), _) if is_number(bytes) && next.starts_with(['[', '(']) => {
            return Err(LeftOut::from(Reason::Passthrough))
        }
        (Some(other), ..) => {
            return Err(malformed(format!(
                "SECTOR + SECTORS is missing: there is {}",
                quoted(other)
            )))
        }
    };
    let (kind, flushes_first) = parse_rwbs(rwbs)?;
    let (offset_bytes, len_bytes) = match (kind, range) {
        (Kind::Flush, _) => (0, 0),
        (_, Some((sector, sectors))) => (
            in_bytes("the sector", sector)?,
            in_bytes("the number of sectors", sectors)?,
        ),
        // An empty write that carries a flush.
        (_, None) if flushes_first => {
            return Ok(Some(command(time_ns, Kind::Flush, false, (0, 0), device)));
        }
        (_, None) => return Err(LeftOut::from(Reason::ZeroLength)),
    };
    // Only the flush is left of an empty command.
    if flushes_first && len_bytes == 0 {
        return Ok(Some(command(time_ns, Kind::Flush, false, (0, 0), device)));
    }
    let range = (offset_bytes, len_bytes);
    Ok(Some(command(time_ns, kind, flushes_first, range, device)))
}

fn command(
    time_ns: Option<u64>,
    kind: Kind,
    flushes_first: bool,
    (offset_bytes, len_bytes): (u64, u64),
    device: &str,
) -> Item<'_> {
    Item::Command {
        event: Event {
            time_ns,
            kind,
            flushes_first,
            offset_bytes,
            len_bytes,
        },
        device: Cow::Borrowed(device),
    }
}

/// What an event does, and whether a flush comes before it. `F` before the rest is that flush; then `R`, `W`, `D` (discard; `DE` is a secure erase), `N`
/// (no data), `F` (the flush itself), or `Z` and a letter (zones); then `F` for force unit access, and `A`, `S` and `M` for how much it
/// matters (blk_fill_rwbs in the kernel; fill_rwbs in blkparse).
fn parse_rwbs(rwbs: &str) -> Result<(Kind, bool), LeftOut> {
    let other = |what: &'static str| {
        Err(LeftOut {
            reason: Reason::OtherCommand,
            detail: Cow::Owned(format!("{what}, {}", quoted(rwbs))),
        })
    };
    let (rest, flushes_first) = match rwbs.strip_prefix('F') {
        Some(rest) => (rest, true),
        None => (rwbs, false),
    };
    let mut chars = rest.chars();
    let kind = match chars.next() {
        Some('R') => Kind::Read,
        Some('W') if chars.as_str().starts_with('Z') => return other("Write Zeroes"),
        Some('W') => Kind::Write(chars.as_str().contains('F')),
        Some('D') => Kind::Trim,
        Some('Z') => return other("a command of zones"),
        // A flush has no data, whatever else is said of it.
        Some('N' | 'F' | 'S' | 'A' | 'M') | None if flushes_first => return Ok((Kind::Flush, false)),
        Some('N') => return Err(LeftOut::from(Reason::NoData)),
        _ => {
            return Err(malformed(format!(
                "what the event does is {}: it must have R, W, D, F or N",
                quoted(rwbs)
            )))
        }
    };
    Ok((kind, flushes_first))
}

fn in_bytes(what: &str, text: &str) -> Result<u64, LeftOut> {
    let out_of_range = LeftOut {
        reason: Reason::OutOfRange,
        detail: Cow::Borrowed(""),
    };
    number(what, text)?.checked_mul(SECTOR_BYTES).ok_or(out_of_range)
}

/// Seconds with up to nine digits behind the point.
fn parse_time_ns(text: &str) -> Result<u64, LeftOut> {
    let wrong = || {
        malformed(format!(
            "the time is {}: it must be seconds with a point and up to 9 digits",
            quoted(text)
        ))
    };
    let (seconds, fraction) = text.split_once('.').ok_or_else(wrong)?;
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let seconds: u64 = seconds.parse().map_err(|_| wrong())?;
    let digits = fraction.len() as u32;
    let fraction: u64 = fraction.parse().map_err(|_| wrong())?;
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(fraction * 10_u64.pow(9 - digits)))
        .ok_or_else(wrong)
}
