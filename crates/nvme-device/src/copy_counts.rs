//! What DMA engines copied, and what was left for the CPU.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::device::{table, SetupError};

/// Counts of one worker, which alone increases them: loads and stores, no locked instruction. Apart from what other CPUs write.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    copies: AtomicU64,
    copied_bytes: AtomicU64,
    declined: AtomicU64,
    declined_bytes: AtomicU64,
    failed: AtomicU64,
    failed_bytes: AtomicU64,
}

fn add(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(value), Relaxed);
}

/// What became of copies: counted by the workers, read by anybody.
#[derive(Debug)]
pub struct CopyCounts {
    workers: Vec<Counters>,
}

impl CopyCounts {
    /// For a device with so many workers.
    pub(crate) fn new(worker_count: usize) -> Result<Self, SetupError> {
        Ok(Self {
            workers: table(worker_count, Counters::default)?,
        })
    }

    /// The engine of `worker` was given a copy.
    pub(crate) fn add_copy(&self, worker: usize, len_bytes: usize) {
        if let Some(counters) = self.workers.get(worker) {
            add(&counters.copies, 1);
            add(&counters.copied_bytes, len_bytes as u64);
        }
    }

    /// The engine of `worker` declined to copy this.
    pub(crate) fn add_declined(&self, worker: usize, len_bytes: usize) {
        if let Some(counters) = self.workers.get(worker) {
            add(&counters.declined, 1);
            add(&counters.declined_bytes, len_bytes as u64);
        }
    }

    /// The data of a command has to be moved again.
    pub(crate) fn add_failed(&self, worker: usize, len_bytes: u32) {
        if let Some(counters) = self.workers.get(worker) {
            add(&counters.failed, 1);
            add(&counters.failed_bytes, len_bytes.into());
        }
    }

    /// The counts of all workers together, about the present: counting goes on.
    pub fn snapshot(&self) -> CopyCountsSnapshot {
        let sum = |count: fn(&Counters) -> &AtomicU64| {
            let counts = self.workers.iter().map(|counters| count(counters).load(Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        CopyCountsSnapshot {
            copies: sum(|counters| &counters.copies),
            copied_bytes: sum(|counters| &counters.copied_bytes),
            declined: sum(|counters| &counters.declined),
            declined_bytes: sum(|counters| &counters.declined_bytes),
            failed: sum(|counters| &counters.failed),
            failed_bytes: sum(|counters| &counters.failed_bytes),
        }
    }
}

/// See [`CopyCounts::snapshot`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCountsSnapshot {
    /// Copies that engines were given.
    pub copies: u64,
    /// Bytes of these.
    pub copied_bytes: u64,
    /// Copies that engines declined, being busy or unable: the CPU made them at once.
    pub declined: u64,
    /// Bytes of these.
    pub declined_bytes: u64,
    /// Commands of which a copy failed, or did not come to an end: the CPU moved all of their data again.
    pub failed: u64,
    /// Bytes of these.
    pub failed_bytes: u64,
}
