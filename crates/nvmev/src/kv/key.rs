//! Keys as text.

use std::fmt::Write as _;

/// Longest key that any command takes.
pub const KEY_BYTES_MAX: usize = 255;

/// Reads a key.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str, is_hex: bool) -> Result<Vec<u8>, String> {
    let key = if is_hex {
        parse_hex(text)?
    } else {
        parse_escaped(text)?
    };
    if key.len() > KEY_BYTES_MAX {
        return Err(format!(
            "the key has {} bytes: at most {KEY_BYTES_MAX} are possible",
            key.len()
        ));
    }
    Ok(key)
}

/// As [`parse`], for a key that is to be a pair's: with a byte at least.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_nonempty(text: &str, is_hex: bool) -> Result<Vec<u8>, String> {
    match parse(text, is_hex)? {
        key if key.is_empty() => Err("the key is empty: give it one byte at least".to_owned()),
        key => Ok(key),
    }
}

/// Shows a key so that [`parse`] reads it back.
pub fn show(key: &[u8], is_hex: bool) -> String {
    let mut text = String::new();
    for &byte in key {
        // Writing to a String cannot fail.
        let _ = match byte {
            _ if is_hex => write!(text, "{byte:02x}"),
            b'\\' => write!(text, "\\\\"),
            b' '..=b'~' => write!(text, "{}", char::from(byte)),
            _ => write!(text, "\\x{byte:02x}"),
        };
    }
    text
}

fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().collect();
    if digits.len() % 2 != 0 {
        return Err(format!(
            "{text:?} has an odd number of digits: give two for each byte"
        ));
    }
    digits
        .chunks(2)
        .map(|pair| byte_of(pair).ok_or_else(|| format!("{text:?} is not hexadecimal")))
        .collect()
}

fn byte_of(digits: &[char]) -> Option<u8> {
    let value = |digit: &char| digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    match digits {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    }
}

fn parse_escaped(text: &str) -> Result<Vec<u8>, String> {
    let mut key = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            key.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let byte = match rest.next() {
            Some('\\') => Some(b'\\'),
            Some('x') => byte_of(&rest.by_ref().take(2).collect::<Vec<_>>()),
            _ => None,
        };
        key.push(
            byte.ok_or_else(|| format!("{text:?} has a backslash before something else than \\ or xNN"))?,
        );
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        let all: Vec<u8> = (0..=254).collect();
        for is_hex in [false, true] {
            assert_eq!(parse(&show(&all, is_hex), is_hex), Ok(all.clone()));
        }
        assert_eq!(show(b"a\\b\n", false), "a\\\\b\\x0a");
        assert_eq!(parse("\u{e9}", false), Ok(vec![0xC3, 0xA9]));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason() {
        for (text, is_hex, reason) in [
            ("abc", true, "odd number"),
            ("zz", true, "not hexadecimal"),
            ("\\q", false, "backslash"),
            ("\\x4", false, "backslash"),
            ("", false, "empty"),
        ] {
            let error = parse_nonempty(text, is_hex).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(parse(&"a".repeat(256), false).unwrap_err().contains("256 bytes"));
        assert_eq!(parse("", false), Ok(Vec::new()));
    }
}
