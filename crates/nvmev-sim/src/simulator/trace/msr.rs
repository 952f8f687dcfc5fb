//! MSR Cambridge block traces (Narayanan et al., 2008): `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`, with
//! times in units of 100 ns and sizes in bytes.

use super::{number, Record};
use crate::simulator::Action;

/// A line; nothing for an empty one or a heading.
pub fn parse(line: &str) -> Result<Option<Record>, String> {
    if line.is_empty() || line.starts_with("Timestamp,") {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [time, _host, _disk, kind, offset, size, _response] = fields.as_slice() else {
        return Err(format!(
            "{} fields instead of the 7 of Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime",
            fields.len()
        ));
    };
    let action = match *kind {
        "Read" | "read" => Action::Read,
        "Write" | "write" => Action::Write(false),
        other => return Err(format!("the type is {other:?}: it must be Read or Write")),
    };
    Ok(Some(Record {
        time_ns: Some(number("the timestamp", time)?.saturating_mul(100)),
        action,
        offset_bytes: number("the offset", offset)?,
        len_bytes: number("the size", size)?,
    }))
}
