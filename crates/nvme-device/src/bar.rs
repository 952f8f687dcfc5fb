//! BAR0 as memory: the host writes registers and doorbells into it, the controller polls them.
//!
//! There are no traps in the kernel shell, so what hardware does at the moment of a register write happens here at the
//! next pass, and a read-only register is one that the controller puts right again.

use crate::pci::{MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET};
use crate::{BAR_SIZE_BYTES, VECTORS_MAX};
use core::sync::atomic::{AtomicU32, Ordering};

/// Bit of an MSI-X table entry's Vector Control.
const VECTOR_MASKED: u32 = 1 << 0;

/// Offset of the Vector Control of a vector, below [`VECTORS_MAX`].
const fn msix_vector_control(vector: u16) -> usize {
    MSIX_TABLE_OFFSET as usize + vector as usize * 16 + 12
}

/// Offset of the dword with a vector's pending bit.
const fn msix_pending_word(vector: u16) -> usize {
    MSIX_PBA_OFFSET as usize + vector as usize / 32 * 4
}

/// Register access by byte offset. An offset outside the BAR reads as zero and is not written: offsets are our own
/// constants or made from checked queue identifiers, never a host's numbers.
#[derive(Clone, Copy)]
pub(crate) struct Bar<'a>(pub &'a [AtomicU32]);

impl<'a> Bar<'a> {
    pub fn load(self, offset: usize) -> u32 {
        self.0
            .get(offset / 4)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Every second dword from `offset` on.
    pub fn every_second(self, offset: usize) -> impl Iterator<Item = u32> + use<'a> {
        let words = self.0.get(offset / 4..).unwrap_or_default();
        words.iter().step_by(2).map(|word| word.load(Ordering::Acquire))
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

    /// The MSI-X table and its pending bits as after power on: every vector is masked (PCI Express Base 4.0 §7.7.2).
    pub fn reset_msix(self) {
        self.clear(
            MSIX_TABLE_OFFSET as usize,
            BAR_SIZE_BYTES - MSIX_TABLE_OFFSET as usize,
        );
        for vector in 0..VECTORS_MAX {
            self.store(msix_vector_control(vector), VECTOR_MASKED);
        }
    }

    /// Whether the host has masked this vector.
    pub fn is_vector_masked(self, vector: u16) -> bool {
        self.load(msix_vector_control(vector)) & VECTOR_MASKED != 0
    }

    /// Sets the pending bit of a vector; several threads may.
    pub fn set_vector_pending(self, vector: u16) {
        if let Some(word) = self.0.get(msix_pending_word(vector) / 4) {
            word.fetch_or(1 << (vector % 32), Ordering::AcqRel);
        }
    }

    /// Clears the pending bit of a vector; returns whether it was set.
    pub fn take_vector_pending(self, vector: u16) -> bool {
        let bit = 1 << (vector % 32);
        self.load(msix_pending_word(vector)) & bit != 0
            && self
                .0
                .get(msix_pending_word(vector) / 4)
                .is_some_and(|word| word.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    /// Zeroes `len_bytes` from `offset`.
    pub fn clear(self, offset: usize, len_bytes: usize) {
        for at in (offset..offset + len_bytes).step_by(4) {
            self.store(at, 0);
        }
    }
}
