//! Sizes and addresses as the kernel command line has them: `64M`, `4G`, `0x100000000`, `1048576`.

use core::fmt;

/// Why a text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// Neither a number nor a number with a suffix.
    NotASize,
    /// More than 64 bits.
    TooLarge,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotASize => "not a size; write a number with K, M, G or T, for example 512M or 4G",
            Self::TooLarge => "larger than 64 bits can hold",
        })
    }
}

/// Reads a decimal or `0x` hexadecimal number with an optional suffix K, M, G, T, P or E (powers of 1024).
///
/// # Errors
/// If anything else is there, or the value does not fit.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(rest) => (rest, 16),
        None => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    if digits.is_empty() {
        return Err(SizeError::NotASize);
    }
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        "p" | "P" => 50,
        // A hexadecimal `e` is a digit already; only a decimal number can have this suffix.
        "e" | "E" => 60,
        _ => return Err(SizeError::NotASize),
    };
    // The digits are checked above, so only the value can be wrong.
    let number = u64::from_str_radix(digits, radix).map_err(|_| SizeError::TooLarge)?;
    number.checked_mul(1 << shift).ok_or(SizeError::TooLarge)
}

/// A number of bytes as a person would write it: `64M`, `1536M`, `4G`; plain bytes where no suffix fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        for (shift, suffix) in [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')] {
            if bytes != 0 && bytes % (1 << shift) == 0 {
                return write!(f, "{}{suffix}", bytes >> shift);
            }
        }
        write!(f, "{bytes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn sizes_with_and_without_suffix() {
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("3g\n"), Ok(3 << 30));
        assert_eq!(parse_size("1T"), Ok(1 << 40));
        assert_eq!(parse_size("0x100000000"), Ok(1 << 32));
        assert_eq!(parse_size("0x4G"), Ok(4 << 30));
        assert_eq!(parse_size("0x1e"), Ok(0x1e));
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_no_size() {
        for text in ["", "G", "0x", "-1", "+1", "1.5G", "4GB", "4 G", "4Q", "G4"] {
            assert_eq!(parse_size(text), Err(SizeError::NotASize), "{text}");
        }
        assert_eq!(parse_size("18446744073709551616"), Err(SizeError::TooLarge));
        assert_eq!(parse_size("16777216T"), Err(SizeError::TooLarge));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_whole_unit() {
        for (bytes, text) in [
            (0, "0"),
            (1000, "1000"),
            (4096, "4K"),
            (1536 << 20, "1536M"),
            (4 << 30, "4G"),
            (1 << 40, "1T"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
