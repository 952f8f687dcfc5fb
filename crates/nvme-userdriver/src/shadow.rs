//! Shadow doorbells, used and released as SPDK does (NVMe Base 2.0 §5.8 and annex B.5).

use std::sync::atomic::{fence, Ordering};

use nvme_spec::registers::{sq_tail_doorbell, DOORBELLS};

use crate::mapping::DmaMemory;

const PAGE_BYTES: usize = 4096;

/// Where the two pages are in the controller's memory.
#[derive(Clone, Copy)]
pub struct ShadowDoorbells {
    /// What the driver writes.
    pub shadows_offset: usize,
    /// What the device writes.
    pub event_indices_offset: usize,
}

impl ShadowDoorbells {
    /// Writes `value` to the shadow of the doorbell at `register`; whether the register is to be written, too. The admin queue has no shadows.
    pub fn write(self, memory: &DmaMemory, register: usize, value: u16) -> bool {
        if register < sq_tail_doorbell(1) {
            return true;
        }
        let offset = register - DOORBELLS;
        let old = memory.load(self.shadows_offset + offset) as u16;
        memory.store(self.shadows_offset + offset, value.into());
        fence(Ordering::SeqCst);
        let event_index = memory.load(self.event_indices_offset + offset) as u16;
        // Whether the step from `old` to `value` passes it, modulo 2^16.
        value.wrapping_sub(event_index) <= value.wrapping_sub(old)
    }

    /// Both pages are free for something else: first that of the shadows, then the other, each with `content` in it.
    pub fn release(self, memory: &DmaMemory, content: u8) {
        for offset in [self.shadows_offset, self.event_indices_offset] {
            memory.write(offset, &[content; PAGE_BYTES]);
            fence(Ordering::SeqCst);
        }
    }
}
