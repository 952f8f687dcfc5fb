//! Fields of a line, from text to values. Total: any text gives a value or a reason why not.

use std::str::FromStr;

/// Splits the rest of metadata line `tag` into exactly N fields.
pub fn fields<'a, const N: usize>(tag: &str, rest: &'a str) -> Result<[&'a str; N], String> {
    let fields: Vec<&str> = rest.split(',').collect();
    <[&str; N]>::try_from(fields)
        .map_err(|fields| format!("#{tag} has {N} fields, this line has {}", fields.len()))
}

/// The VALUE of `KEY=VALUE`.
pub fn value_of<'a>(key: &str, field: &'a str) -> Result<&'a str, String> {
    field
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix('='))
        .ok_or_else(|| format!("expected {key}=VALUE, found {field:?}"))
}

/// A decimal number that fits into `T`.
pub fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    // `from_str` would take a leading plus sign.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{name} is {text:?}, not a decimal number"));
    }
    text.parse()
        .map_err(|_| format!("{name} is {text}, which is out of range"))
}

pub fn flag(name: &str, text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("{name} is {text:?}, neither 0 nor 1")),
    }
}

pub fn checksum(name: &str, text: &str) -> Result<u64, String> {
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("checksum {name} is {text:?}, not 16 hexadecimal digits"));
    }
    u64::from_str_radix(text, 16).map_err(|error| format!("checksum {name} is {text:?}: {error}"))
}
