//! What the controller, the workers and the shell's other threads look at together: atomics only.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use crate::device::SetupError;
use crate::{ConfigSpace, Statistics, IO_QUEUE_PAIRS_MAX};

const QUEUES: usize = IO_QUEUE_PAIRS_MAX as usize + 1;

/// State that more than one thread of the shell looks at.
#[derive(Debug)]
pub struct Shared {
    config_space: ConfigSpace,
    statistics: Statistics,
    /// Head of each submission queue: the controller writes it, workers put it into completions.
    sq_heads: [AtomicU16; QUEUES],
    /// Entries posted to each completion queue since it was made (wrapping): written by its worker, read by the
    /// controller to check head doorbells.
    cq_posted: [AtomicU32; QUEUES],
    /// Pin-based interrupt mask (INTMS/INTMC): written by the controller, read by workers.
    interrupt_mask: AtomicU32,
}

impl Shared {
    pub(crate) fn new() -> Result<Self, SetupError> {
        Ok(Self {
            config_space: ConfigSpace::new(),
            statistics: Statistics::new()?,
            sq_heads: [const { AtomicU16::new(0) }; QUEUES],
            cq_posted: [const { AtomicU32::new(0) }; QUEUES],
            interrupt_mask: AtomicU32::new(0),
        })
    }

    /// The function's PCI configuration space.
    pub fn config_space(&self) -> &ConfigSpace {
        &self.config_space
    }

    /// Counters of the submission queues.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn set_sq_head(&self, sqid: u16, head: u16) {
        if let Some(slot) = self.sq_heads.get(usize::from(sqid)) {
            slot.store(head, Ordering::Relaxed);
        }
    }

    pub(crate) fn sq_head(&self, sqid: u16) -> u16 {
        self.sq_heads
            .get(usize::from(sqid))
            .map_or(0, |head| head.load(Ordering::Relaxed))
    }

    pub(crate) fn set_cq_posted(&self, cqid: u16, count: u32) {
        if let Some(slot) = self.cq_posted.get(usize::from(cqid)) {
            slot.store(count, Ordering::Release);
        }
    }

    pub(crate) fn cq_posted(&self, cqid: u16) -> u32 {
        self.cq_posted
            .get(usize::from(cqid))
            .map_or(0, |count| count.load(Ordering::Acquire))
    }

    pub(crate) fn set_interrupt_mask(&self, mask: u32) {
        self.interrupt_mask.store(mask, Ordering::Release);
    }

    /// Whether INTMS masks `vector`. Without MSI-X there is one vector, 0, for all queues (PCIe Transport 1.0 §3.5.1.1).
    pub(crate) fn pin_masked(&self) -> bool {
        self.interrupt_mask.load(Ordering::Acquire) & 1 != 0
    }
}
