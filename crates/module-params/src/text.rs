//! Formatting where nothing can be allocated.

use core::fmt;

/// Collects formatted text in a buffer of fixed size; what does not fit is cut off.
pub struct TextBuffer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> TextBuffer<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl fmt::Write for TextBuffer<'_> {
    /// Errs if the text was cut off.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).ok_or(fmt::Error)?;
        let len = text.len().min(room.len());
        for (to, from) in room.iter_mut().zip(text.as_bytes()) {
            *to = *from;
        }
        self.len += len;
        if len < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn text_is_kept_and_cut_off_at_the_end() {
        let mut bytes = [0; 8];
        let mut buffer = TextBuffer::new(&mut bytes);
        write!(buffer, "{}-{}", 12, 34).unwrap();
        assert_eq!(buffer.as_bytes(), b"12-34");
        assert!(write!(buffer, "56789").is_err());
        assert_eq!(buffer.as_bytes(), b"12-34567");
        assert!(write!(buffer, "x").is_err());
    }
}
