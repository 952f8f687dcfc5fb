//! MSR Cambridge block traces (Narayanan et al., 2008): `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`, with
//! times in units of 100 ns and sizes in bytes.

use std::borrow::Cow;

use super::event::{malformed, number, quoted, Event, Item, Kind, Parsed};

/// The fields of a line, without what surrounds them.
fn fields(line: &str) -> Option<[&str; 7]> {
    let mut fields = [""; 7];
    let mut count = 0;
    for field in line.split(',') {
        *fields.get_mut(count)? = field.trim().trim_matches('"').trim();
        count += 1;
    }
    (count == fields.len()).then_some(fields)
}

fn kind_of(text: &str) -> Option<Kind> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("read") || is("r") {
        Some(Kind::Read)
    } else if is("write") || is("w") {
        Some(Kind::Write(false))
    } else {
        None
    }
}

/// Whether the columns are named here: in any spelling, but in this order.
fn is_heading(fields: &[&str; 7]) -> bool {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|char| char.to_ascii_lowercase())
            .collect()
    };
    let [time, host, disk, kind, offset, size, response] = fields.map(plain);
    let has = |text: &str, names: &[&str]| names.iter().any(|name| text.contains(name));
    // Numbers name nothing.
    fields.iter().all(|field| field.parse::<f64>().is_err())
        && has(&time, &["time"])
        && has(&host, &["host", "server", "name"])
        && has(&disk, &["disk", "device", "volume", "lun"])
        && has(&kind, &["type", "op", "rw", "action"])
        && has(&offset, &["off", "addr", "lba", "sector"])
        && has(&size, &["size", "len", "bytes"])
        && has(&response, &["resp", "lat", "time", "duration"])
}

/// Whether `line` can be of such a trace.
pub fn is_line(line: &str) -> bool {
    fields(line).is_some_and(|fields| is_heading(&fields) || kind_of(fields[3]).is_some())
}

/// A line, whose time is in units of `unit_ns`.
pub fn parse(line: &str, unit_ns: u64) -> Parsed<'_> {
    if line.is_empty() {
        return Ok(None);
    }
    let Some(fields) = fields(line) else {
        return Err(malformed(format!(
            "{} fields instead of the 7 of Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime",
            line.split(',').count()
        )));
    };
    let [time, host, disk, kind, offset, size, _response] = fields;
    let Some(kind) = kind_of(kind) else {
        if is_heading(&fields) {
            return Ok(None);
        }
        return Err(malformed(format!(
            "the type is {}: it must be Read or Write",
            quoted(kind)
        )));
    };
    Ok(Some(Item::Command {
        event: Event {
            time_ns: Some(number("the timestamp", time)?.saturating_mul(unit_ns)),
            kind,
            flushes_first: false,
            offset_bytes: number("the offset", offset)?,
            len_bytes: number("the size", size)?,
        },
        device: Cow::Owned(format!("{host},{disk}")),
    }))
}
