//! How late completions are posted: the device measures whether it keeps to the times that the models gave.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::device::{table, SetupError};

/// Buckets in each octave, as a power of two: a bucket is at most a quarter of its beginning wide.
const SUB_BUCKET_BITS: u32 = 2;
const SUB_BUCKETS: usize = 1 << SUB_BUCKET_BITS;
/// Octaves that are divided; what is later than 17 s is in the last bucket.
const OCTAVES: usize = 32;
/// Buckets of a histogram: the first four have a nanosecond each.
pub(crate) const BUCKETS: usize = SUB_BUCKETS * (OCTAVES + 1);

/// What is late unless somebody says otherwise, ns.
pub(crate) const BOUND_NS_DEFAULT: u64 = 1000;

/// The bucket of a time.
fn bucket_of(late_ns: u64) -> usize {
    let Some(octave) = late_ns
        .checked_ilog2()
        .filter(|&octave| octave >= SUB_BUCKET_BITS)
    else {
        return late_ns as usize;
    };
    let shift = octave - SUB_BUCKET_BITS;
    // From 4 to 7: the leading bits.
    let leading = (late_ns >> shift) as usize;
    (shift as usize * SUB_BUCKETS + leading).min(BUCKETS - 1)
}

/// The first time of a bucket, ns.
fn bucket_start_ns(bucket: usize) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket as u64;
    }
    let leading = SUB_BUCKETS + bucket % SUB_BUCKETS;
    (leading as u64) << (bucket / SUB_BUCKETS - 1)
}

/// The last time of a bucket, ns.
fn bucket_end_ns(bucket: usize) -> u64 {
    if bucket + 1 < BUCKETS {
        bucket_start_ns(bucket + 1) - 1
    } else {
        u64::MAX
    }
}

/// Counts of one worker, which alone increases them: loads and stores, no locked instruction. Apart from what other CPUs write.
#[derive(Debug)]
#[repr(align(128))]
struct Counters {
    /// On the heap: a device is put together on a small stack.
    buckets: Vec<AtomicU64>,
    misses: AtomicU64,
    max_ns: AtomicU64,
}

impl Counters {
    fn new() -> Result<Self, SetupError> {
        Ok(Self {
            buckets: table(BUCKETS, || AtomicU64::new(0))?,
            misses: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
        })
    }

    fn record(&self, late_ns: u64, bound_ns: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(late_ns)) {
            bump(bucket);
        }
        if late_ns > bound_ns {
            bump(&self.misses);
        }
        if late_ns > self.max_ns.load(Relaxed) {
            self.max_ns.store(late_ns, Relaxed);
        }
    }
}

fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// How late the completions of I/O commands were posted whose time a model gave: counted by the workers, read by anybody.
#[derive(Debug)]
pub struct Lateness {
    bound_ns: AtomicU64,
    workers: Vec<Counters>,
    /// What all workers together had counted when counting began anew. Only they write to their own counters, so none is lost.
    forgotten: Counters,
}

impl Lateness {
    /// For a device with so many workers.
    pub(crate) fn new(worker_count: usize) -> Result<Self, SetupError> {
        let mut workers = Vec::new();
        workers.try_reserve_exact(worker_count)?;
        for _ in 0..worker_count {
            workers.push(Counters::new()?);
        }
        Ok(Self {
            bound_ns: AtomicU64::new(BOUND_NS_DEFAULT),
            workers,
            forgotten: Counters::new()?,
        })
    }

    /// From now on, a completion that is posted more than `bound_ns` after its time is a miss; 1000 ns at first.
    pub fn set_bound_ns(&self, bound_ns: u64) {
        self.bound_ns.store(bound_ns, Relaxed);
    }

    /// `worker` has posted a completion this much after its time.
    pub(crate) fn record(&self, worker: usize, late_ns: u64) {
        if let Some(counters) = self.workers.get(worker) {
            counters.record(late_ns, self.bound_ns.load(Relaxed));
        }
    }

    /// What was counted since the beginning, or since [`Lateness::reset`].
    pub fn snapshot(&self) -> LatenessSnapshot {
        let mut snapshot = self.totals();
        for (count, forgotten) in snapshot.counts.iter_mut().zip(&self.forgotten.buckets) {
            *count = count.wrapping_sub(forgotten.load(Relaxed));
        }
        snapshot.misses = snapshot.misses.wrapping_sub(self.forgotten.misses.load(Relaxed));
        snapshot
    }

    /// Starts counting anew. Calls MUST NOT overlap.
    pub fn reset(&self) {
        let totals = self.totals();
        for (forgotten, count) in self.forgotten.buckets.iter().zip(totals.counts) {
            forgotten.store(count, Relaxed);
        }
        self.forgotten.misses.store(totals.misses, Relaxed);
        // Were a worker just about to write its maximum, it would be that of a completion posted now.
        self.workers
            .iter()
            .for_each(|counters| counters.max_ns.store(0, Relaxed));
    }

    /// The sums over all workers, of all that was ever counted; the maximum since the last reset.
    fn totals(&self) -> LatenessSnapshot {
        let mut totals = LatenessSnapshot {
            bound_ns: self.bound_ns.load(Relaxed),
            misses: 0,
            max_ns: 0,
            counts: [0; BUCKETS],
        };
        for counters in &self.workers {
            for (total, count) in totals.counts.iter_mut().zip(&counters.buckets) {
                *total = total.wrapping_add(count.load(Relaxed));
            }
            totals.misses = totals.misses.wrapping_add(counters.misses.load(Relaxed));
            totals.max_ns = totals.max_ns.max(counters.max_ns.load(Relaxed));
        }
        totals
    }
}

/// What was counted of lateness, of all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatenessSnapshot {
    /// Beyond this, a completion is a miss, ns.
    pub bound_ns: u64,
    /// Completions posted later than that.
    pub misses: u64,
    /// The latest, ns.
    pub max_ns: u64,
    counts: [u64; BUCKETS],
}

/// Completions that were about as late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatenessBucket {
    /// Posted this much after their time or later, ns.
    pub from_ns: u64,
    /// This much after their time at the latest, ns.
    pub to_ns: u64,
    /// How many there were.
    pub count: u64,
}

impl LatenessSnapshot {
    /// Completions counted.
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum: u64, count| sum.wrapping_add(*count))
    }

    /// How late `per_mille` of 1000 completions were at most, ns: the end of the bucket in which that one is, so up to a quarter too
    /// much and never too little. 0 if there were none.
    pub fn quantile_ns(&self, per_mille: u64) -> u64 {
        let count = self.count();
        // Rounded up, without a product that might not fit.
        let rank = count / 1000 * per_mille + (count % 1000 * per_mille).div_ceil(1000);
        let mut seen = 0u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.wrapping_add(*count);
            if *count > 0 && seen >= rank {
                return bucket_end_ns(bucket).min(self.max_ns);
            }
        }
        0
    }

    /// The buckets that are not empty, in order.
    pub fn buckets(&self) -> impl Iterator<Item = LatenessBucket> + '_ {
        let buckets = self.counts.iter().enumerate();
        buckets
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| LatenessBucket {
                from_ns: bucket_start_ns(bucket),
                to_ns: bucket_end_ns(bucket),
                count: *count,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps_and_are_narrow() {
        assert_eq!((bucket_start_ns(0), bucket_end_ns(BUCKETS - 1)), (0, u64::MAX));
        for bucket in 0..BUCKETS {
            let (start, end) = (bucket_start_ns(bucket), bucket_end_ns(bucket));
            assert_eq!((bucket_of(start), bucket_of(end)), (bucket, bucket));
            if bucket + 1 < BUCKETS {
                assert_eq!(bucket_start_ns(bucket + 1), end + 1);
                assert!((end - start) * 4 <= start, "{start} to {end}");
            }
        }
        assert!(bucket_start_ns(BUCKETS - 1) > 15_000_000_000);
    }

    #[test]
    fn a_new_count_forgets_what_was_and_nothing_else() {
        let lateness = Lateness::new(2).unwrap();
        lateness.set_bound_ns(100);
        lateness.record(0, 100);
        lateness.record(1, 101);
        lateness.record(2, 5000);
        let seen = lateness.snapshot();
        assert_eq!((seen.count(), seen.misses, seen.max_ns), (2, 1, 101));
        lateness.reset();
        let seen = lateness.snapshot();
        assert_eq!((seen.count(), seen.misses, seen.max_ns), (0, 0, 0));
        assert_eq!((seen.quantile_ns(999), seen.buckets().count()), (0, 0));
        lateness.record(0, 7);
        let seen = lateness.snapshot();
        assert_eq!((seen.count(), seen.misses, seen.max_ns), (1, 0, 7));
        assert_eq!((seen.quantile_ns(1), seen.quantile_ns(999)), (7, 7));
    }
}
