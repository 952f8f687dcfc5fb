//! Sizes, times and numbers as people write them.

/// Bytes as people write them: a number with k, m, g or t (powers of 1024).
///
/// # Errors
/// What is wrong with the text.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, shift) = match digits.char_indices().last() {
        Some((at, 'k')) => (&digits[..at], 10),
        Some((at, 'm')) => (&digits[..at], 20),
        Some((at, 'g')) => (&digits[..at], 30),
        Some((at, 't')) => (&digits[..at], 40),
        _ => (digits, 0),
    };
    let value: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is no size: write a number with k, m, g or t, such as 4k"))?;
    value
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is more than 2^64 bytes"))
}

pub(super) fn parse_time_ns(text: &str) -> Result<u64, String> {
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = if unit.is_empty() {
        Some(1_000_000_000)
    } else {
        units
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
    };
    let ns = factor.and_then(|factor: u64| number.parse::<u64>().ok()?.checked_mul(factor));
    ns.filter(|&ns| ns > 0)
        .ok_or_else(|| format!("{text:?} is no time: write a number with ns, us, ms, s, m or h, such as 60s"))
}

pub(super) fn parse_number(key: &str, text: &str, min: u64, max: u64) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| format!("{key}={text}: give a number from {min} to {max}"))
}

/// `2x`, `1.5x` in thousandths.
pub(super) fn parse_times_milli(text: &str) -> Option<u64> {
    let number = text.strip_suffix('x')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    let milli = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(fraction)?;
    (milli > 0).then_some(milli)
}
