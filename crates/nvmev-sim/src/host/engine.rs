//! A DMA engine for tests, which ends its copies late, declines some, fails at some, and may stop working.

use nvme_device::{CopyBatch, CopyState, DataCopy, COPY_BATCHES_MAX};

use super::Random;

/// How an engine behaves.
#[derive(Clone, Copy, Debug)]
pub struct EngineFaults {
    /// It declines one in so many copies; none if 0.
    pub declines_one_in: u64,
    /// One in so many copies goes wrong: other bytes arrive, and that is said; none if 0.
    pub fails_one_in: u64,
    /// Copies do not come to an end.
    pub hangs: bool,
    /// What was begun cannot be abandoned.
    pub goes_on: bool,
    /// The longest copy that it makes; what is longer, it begins only.
    pub copy_bytes_max: usize,
}

impl Default for EngineFaults {
    fn default() -> Self {
        Self {
            declines_one_in: 0,
            fails_one_in: 0,
            hangs: false,
            goes_on: false,
            copy_bytes_max: 1 << 20,
        }
    }
}

impl EngineFaults {
    /// Of everything a little, but that copies do come to their end: pieces of a few pages, and some faults.
    pub const SOME: Self = Self {
        declines_one_in: 5,
        fails_one_in: 7,
        hangs: false,
        goes_on: false,
        copy_bytes_max: 3 << 12,
    };
}

/// What an engine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Copies that it was given.
    pub begun: u64,
    /// Copies that came to their end, well or not.
    pub ended: u64,
    /// Copies that went wrong.
    pub failed: u64,
    /// Copies that it declined.
    pub declined: u64,
}

/// A copy that comes to its end.
pub(super) struct Copy {
    pub batch: CopyBatch,
    pub copy: DataCopy,
    /// Other bytes are to arrive than should.
    pub is_spoilt: bool,
}

/// The engines of all workers: each has its own copies, and all have the faults together.
pub(super) struct Engine {
    random: Random,
    faults: EngineFaults,
    counts: EngineCounts,
    /// Given, and not issued.
    given: Vec<Copy>,
    /// Oldest first.
    under_way: Vec<Copy>,
    failed: Vec<CopyBatch>,
    /// Workers whose engine was taken away.
    removed: Vec<usize>,
}

impl Engine {
    pub fn new(seed: u64, faults: EngineFaults) -> Self {
        Self {
            random: Random::new(seed),
            faults,
            counts: EngineCounts::default(),
            given: Vec::new(),
            under_way: Vec::new(),
            failed: Vec::new(),
            removed: Vec::new(),
        }
    }

    pub fn counts(&self) -> EngineCounts {
        self.counts
    }

    pub fn set_faults(&mut self, faults: EngineFaults) {
        self.faults = faults;
    }

    pub fn is_there_for(&self, worker: usize) -> bool {
        !self.removed.contains(&worker)
    }

    fn happens(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.one_in(one_in)
    }

    pub fn begin(&mut self, batch: CopyBatch, copy: &DataCopy) -> usize {
        assert!(batch.batch < COPY_BATCHES_MAX && self.is_there_for(batch.worker));
        if self.happens(self.faults.declines_one_in) {
            self.counts.declined += 1;
            return 0;
        }
        let copy = DataCopy {
            len_bytes: copy.len_bytes.min(self.faults.copy_bytes_max),
            ..*copy
        };
        self.counts.begun += 1;
        self.given.push(Copy {
            batch,
            copy,
            is_spoilt: false,
        });
        copy.len_bytes
    }

    pub fn issue(&mut self, worker: usize) {
        let given = std::mem::take(&mut self.given).into_iter();
        let (issued, given) = given.partition(|copy| copy.batch.worker == worker);
        self.given = given;
        self.under_way.extend::<Vec<Copy>>(issued);
    }

    /// Some time passes for the engine of a worker: it may end its oldest copy.
    pub fn work(&mut self, worker: usize) -> Option<Copy> {
        if self.faults.hangs || self.random.one_in(2) {
            return None;
        }
        let is_of_worker = |copy: &Copy| copy.batch.worker == worker;
        let oldest = self.under_way.iter().position(is_of_worker)?;
        let mut copy = self.under_way.remove(oldest);
        self.counts.ended += 1;
        copy.is_spoilt = self.happens(self.faults.fails_one_in);
        Some(copy)
    }

    /// A copy of this batch did not do what it should.
    pub fn note_failure(&mut self, batch: CopyBatch) {
        self.counts.failed += 1;
        self.failed.push(batch);
    }

    pub fn state(&mut self, batch: CopyBatch) -> CopyState {
        let mut copies = self.given.iter().chain(&self.under_way);
        if copies.any(|copy| copy.batch == batch) {
            return CopyState::UnderWay;
        }
        let has_failed = self.failed.contains(&batch);
        self.failed.retain(|&failed| failed != batch);
        match has_failed {
            true => CopyState::Failed,
            false => CopyState::Done,
        }
    }

    pub fn abandon(&mut self, worker: usize) {
        if !self.faults.goes_on {
            self.stop(worker);
        }
    }

    pub fn remove(&mut self, worker: usize) {
        self.removed.push(worker);
        self.stop(worker);
    }

    fn stop(&mut self, worker: usize) {
        for copies in [&mut self.given, &mut self.under_way] {
            let stopped = copies.iter().filter(|copy| copy.batch.worker == worker);
            self.failed.extend(stopped.map(|copy| copy.batch));
            copies.retain(|copy| copy.batch.worker != worker);
        }
    }
}
