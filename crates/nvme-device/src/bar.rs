//! BAR0 as memory: the host writes registers and doorbells into it, the controller polls them.
//!
//! There are no traps in the kernel shell, so what hardware does at the moment of a register write happens here at the
//! next pass, and a read-only register is one that the controller puts right again.

use core::sync::atomic::{AtomicU32, Ordering};
use nvme_spec::registers::{csts, CSTS};

/// Register access by byte offset. An offset outside the BAR reads as zero and is not written: offsets are our own
/// constants or made from checked queue identifiers, never a host's numbers.
#[derive(Clone, Copy)]
pub(crate) struct Bar<'a>(pub &'a [AtomicU32]);

impl Bar<'_> {
    pub fn load(self, offset: usize) -> u32 {
        self.0
            .get(offset / 4)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub fn load_u64(self, offset: usize) -> u64 {
        u64::from(self.load(offset)) | u64::from(self.load(offset + 4)) << 32
    }

    pub fn store(self, offset: usize, value: u32) {
        if let Some(word) = self.0.get(offset / 4) {
            word.store(value, Ordering::Release);
        }
    }

    /// Takes what the host wrote and leaves zero.
    pub fn take(self, offset: usize) -> u32 {
        // The plain load keeps the line shared while the host writes nothing.
        if self.load(offset) == 0 {
            return 0;
        }
        self.0
            .get(offset / 4)
            .map_or(0, |word| word.swap(0, Ordering::AcqRel))
    }

    /// Zeroes `len_bytes` from `offset`.
    pub fn clear(self, offset: usize, len_bytes: usize) {
        for at in (offset..offset + len_bytes).step_by(4) {
            self.store(at, 0);
        }
    }
}

/// Sets CSTS.CFS: the device has failed for good. For the shell's panic handler.
pub fn mark_failed(bar: &[AtomicU32]) {
    if let Some(word) = bar.get(CSTS / 4) {
        word.fetch_or(csts::CFS, Ordering::AcqRel);
    }
}
