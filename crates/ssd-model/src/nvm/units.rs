//! Times until which I/O units are busy: of one owner, or of several threads that time commands at once.

use core::sync::atomic::{AtomicU64, Ordering};

/// Access to the time until which each unit is busy, ns.
pub(super) trait Units {
    /// Changes the time of a unit to what `change` makes of it; the result is what it was. The unit is one of those that the parameters in force have.
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64;

    /// The latest time of all units.
    fn latest_ns(&self) -> u64;
}

impl Units for [u64] {
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64 {
        let before_ns = self[unit];
        self[unit] = change(before_ns);
        before_ns
    }

    fn latest_ns(&self) -> u64 {
        self.iter().copied().max().unwrap_or(0)
    }
}

/// A unit's time, in cache lines of its own: threads that use different units do not wait for each other.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Unit(pub AtomicU64);

impl Units for &[Unit] {
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64 {
        // Nothing else is told by these times, so no order is needed.
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        match self[unit]
            .0
            .fetch_update(set, fetch, |busy_until_ns| Some(change(busy_until_ns)))
        {
            Ok(before_ns) | Err(before_ns) => before_ns,
        }
    }

    fn latest_ns(&self) -> u64 {
        let times = self.iter().map(|unit| unit.0.load(Ordering::Relaxed));
        times.max().unwrap_or(0)
    }
}
