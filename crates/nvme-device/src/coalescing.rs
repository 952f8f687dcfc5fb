//! How the host wants interrupts coalesced, and until when one may be held back (NVMe Base 2.0
//! §5.27.1.6 and §5.27.1.7). `worker/coalesce.rs` holds them back.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};

use nvme_spec::InterruptCoalescing;

use crate::limits::VECTOR_WORDS;

/// Unit of the aggregation time.
const AGGREGATION_UNIT_NS: u64 = 100_000;

/// What the host wants: written by the controller, read by workers.
#[derive(Debug, Default)]
pub(crate) struct CoalescingSettings {
    /// Threshold (0's based) and time as in dword 11 of the feature; 0 if nothing is coalesced.
    aggregation: AtomicU32,
    /// Bit per vector: not coalesced all the same.
    disabled: [AtomicU64; VECTOR_WORDS],
}

impl CoalescingSettings {
    /// Takes the values of the features Interrupt Coalescing and Interrupt Vector Configuration over. A threshold or a time of 0 is no coalescing.
    pub fn set(&self, aggregation: u32, disabled: [u64; VECTOR_WORDS]) {
        let asked = InterruptCoalescing(aggregation);
        for (word, value) in self.disabled.iter().zip(disabled) {
            word.store(value, Relaxed);
        }
        let is_on = asked.threshold_z() != 0 && asked.time_100us() != 0;
        self.aggregation
            .store(if is_on { aggregation } else { 0 }, Relaxed);
    }

    pub fn is_on(&self) -> bool {
        self.aggregation.load(Relaxed) != 0
    }

    /// When an interrupt is to be raised for what waits on `vector`; nothing if at once.
    pub fn due_ns(&self, vector: u16, waiting: Waiting) -> Option<u64> {
        let aggregation = self.aggregation.load(Relaxed);
        let disabled = self.disabled.get(usize::from(vector / 64))?.load(Relaxed);
        let is_disabled = aggregation == 0 || disabled >> (vector % 64) & 1 != 0;
        if is_disabled || waiting.entries > InterruptCoalescing(aggregation).threshold_z().into() {
            return None;
        }
        let time_ns = u64::from(InterruptCoalescing(aggregation).time_100us()) * AGGREGATION_UNIT_NS;
        Some(waiting.since_ns.saturating_add(time_ns))
    }
}

/// Completion queue entries of a vector that no interrupt has told of. Counted while there is coalescing only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    pub entries: u32,
    /// When the first of them was posted.
    pub since_ns: u64,
}
