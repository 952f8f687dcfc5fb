//! What dispatchers and workers tell of each queue: how far it is, for each other, and counters per submission queue, for /proc and the command line. Written
//! by one dispatcher and, for completions, by one worker; read by anybody.

use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::device::{table, SetupError};
use crate::heap::Heap;
use crate::IO_QUEUE_PAIRS_MAX;

/// Counters of one submission queue.
#[derive(Debug)]
pub(crate) struct QueueCounters {
    /// Head of the submission queue: a dispatcher writes it, workers put it into completions.
    sq_head: AtomicU16,
    exists: AtomicBool,
    pending: AtomicU32,
    in_flight_max: AtomicU32,
    dispatch_calls: AtomicU32,
    dispatched: AtomicU32,
    /// Commands handed to workers since the queue was made (wrapping): those that were not completed are in flight.
    started: AtomicU32,
    by_worker: WrittenByWorker,
    bytes: AtomicU64,
}

/// In cache lines of its own, which do not move between the CPUs with what a dispatcher writes for each command.
#[derive(Debug)]
#[repr(align(128))]
struct WrittenByWorker {
    /// Commands completed since the submission queue was made (wrapping).
    completed: AtomicU32,
    /// Entries posted to the completion queue with the same identifier since it was made (wrapping).
    posted: AtomicU32,
}

impl QueueCounters {
    const fn new() -> Self {
        Self {
            sq_head: AtomicU16::new(0),
            exists: AtomicBool::new(false),
            pending: AtomicU32::new(0),
            in_flight_max: AtomicU32::new(0),
            dispatch_calls: AtomicU32::new(0),
            dispatched: AtomicU32::new(0),
            started: AtomicU32::new(0),
            by_worker: WrittenByWorker {
                completed: AtomicU32::new(0),
                posted: AtomicU32::new(0),
            },
            bytes: AtomicU64::new(0),
        }
    }

    pub fn created(&self) {
        self.clear();
        self.started.store(0, Relaxed);
        self.by_worker.completed.store(0, Relaxed);
        self.pending.store(0, Relaxed);
        self.exists.store(true, Relaxed);
    }

    pub fn deleted(&self) {
        self.exists.store(false, Relaxed);
    }

    /// The controller looked at a queue with `pending` entries waiting.
    pub fn dispatch_call(&self, pending: u16) {
        bump(&self.dispatch_calls, 1);
        self.pending.store(u32::from(pending), Relaxed);
    }

    /// A command of `bytes` went to a worker.
    pub fn dispatched(&self, bytes: u32) {
        bump(&self.dispatched, 1);
        bump(&self.started, 1);
        self.pending
            .store(self.pending.load(Relaxed).saturating_sub(1), Relaxed);
        self.bytes
            .store(self.bytes.load(Relaxed).wrapping_add(u64::from(bytes)), Relaxed);
    }

    /// Some commands have gone to a worker, all those of a turn.
    pub fn turn_over(&self) {
        let in_flight = self.in_flight();
        if in_flight > self.in_flight_max.load(Relaxed) {
            self.in_flight_max.store(in_flight, Relaxed);
        }
    }

    /// A worker posted a completion.
    pub fn completed(&self) {
        bump(&self.by_worker.completed, 1);
    }

    pub fn set_sq_head(&self, head: u16) {
        // A host that sees it in a completion may put something else into the entries before it.
        self.sq_head.store(head, Release);
    }

    pub fn sq_head(&self) -> u16 {
        self.sq_head.load(Acquire)
    }

    pub fn set_cq_posted(&self, count: u32) {
        self.by_worker.posted.store(count, Release);
    }

    pub fn cq_posted(&self) -> u32 {
        self.by_worker.posted.load(Acquire)
    }

    fn in_flight(&self) -> u32 {
        self.started
            .load(Relaxed)
            .wrapping_sub(self.by_worker.completed.load(Relaxed))
    }

    fn clear(&self) {
        self.in_flight_max.store(0, Relaxed);
        self.dispatch_calls.store(0, Relaxed);
        self.dispatched.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }
}

/// One writer per counter: a load and a store, no locked instruction.
fn bump(counter: &AtomicU32, by: u32) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// Counters of all submission queues.
#[derive(Debug)]
pub struct Statistics {
    /// One for each queue identifier.
    queues: Vec<QueueCounters>,
    /// Where counts of a queue that cannot exist would go.
    nowhere: Heap<QueueCounters>,
}

impl Statistics {
    pub(crate) fn new() -> Result<Self, SetupError> {
        let queues = table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, QueueCounters::new)?;
        Ok(Self {
            queues,
            nowhere: Heap::new(QueueCounters::new())?,
        })
    }

    /// Counters of queue `qid`.
    pub(crate) fn queue(&self, qid: u16) -> &QueueCounters {
        self.queues.get(usize::from(qid)).unwrap_or(&self.nowhere)
    }

    /// The I/O submission queues that exist, in order.
    pub fn io_queues(&self) -> impl Iterator<Item = QueueSnapshot> + '_ {
        (0u16..)
            .zip(&self.queues)
            .skip(1)
            .filter(|(_, counters)| counters.exists.load(Relaxed))
            .map(|(queue, counters)| QueueSnapshot {
                queue,
                pending: counters.pending.load(Relaxed),
                in_flight: counters.in_flight(),
                in_flight_max: counters.in_flight_max.load(Relaxed),
                dispatch_calls: counters.dispatch_calls.load(Relaxed),
                dispatched: counters.dispatched.load(Relaxed),
                bytes: counters.bytes.load(Relaxed),
            })
    }

    /// Forgets how many commands were in flight at once: the next maximum is of the time from now on.
    pub fn reset_in_flight_max(&self) {
        self.queues
            .iter()
            .for_each(|counters| counters.in_flight_max.store(0, Relaxed));
    }

    /// Starts counting anew; what is in flight stays in flight.
    pub fn reset(&self) {
        self.queues.iter().for_each(QueueCounters::clear);
    }
}

/// What /proc/nvmev/stat shows of one I/O submission queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Queue identifier.
    pub queue: u16,
    /// Entries submitted and not fetched when last looked at.
    pub pending: u32,
    /// Commands fetched and not completed.
    pub in_flight: u32,
    /// Most commands in flight at once.
    pub in_flight_max: u32,
    /// Passes that found entries.
    pub dispatch_calls: u32,
    /// Commands fetched.
    pub dispatched: u32,
    /// Bytes read and written.
    pub bytes: u64,
}
