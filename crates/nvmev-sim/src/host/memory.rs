//! Bytes that know which of them were written, so that they are soon as good as new.

use std::ops::Range;

const PAGE_BYTES: usize = 4096;

/// Zeros, until something is written.
pub(super) struct Memory {
    bytes: Vec<u8>,
    /// For each page, whether it is among `written`.
    is_written: Vec<bool>,
    written: Vec<usize>,
}

impl Memory {
    pub fn new(len: usize) -> Self {
        Self {
            bytes: vec![0; len],
            is_written: vec![false; len.div_ceil(PAGE_BYTES)],
            written: Vec::new(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of `range`, to be written.
    pub fn write(&mut self, range: Range<usize>) -> &mut [u8] {
        for page in range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES) {
            if !std::mem::replace(&mut self.is_written[page], true) {
                self.written.push(page);
            }
        }
        &mut self.bytes[range]
    }

    /// Makes all bytes zero.
    pub fn wipe(&mut self) {
        for page in self.written.drain(..) {
            self.is_written[page] = false;
            let start = page * PAGE_BYTES;
            let end = self.bytes.len().min(start + PAGE_BYTES);
            self.bytes[start..end].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_wiped_and_can_be_written_again() {
        let mut memory = Memory::new(3 * PAGE_BYTES + 10);
        for _ in 0..2 {
            memory.write(PAGE_BYTES - 1..PAGE_BYTES + 1).fill(7);
            memory.write(3 * PAGE_BYTES + 9..3 * PAGE_BYTES + 10).fill(8);
            memory.write(5..5).fill(9);
            assert_eq!(memory.bytes()[PAGE_BYTES - 1..=PAGE_BYTES], [7, 7]);
            memory.wipe();
            assert!(memory.bytes().iter().all(|&byte| byte == 0));
        }
    }
}
