//! What a dispatcher works with: queues, the namespaces that their commands are for, and rings to all workers.
//!
//! With one dispatcher there is one lane, the controller's, with all of it. With several, the controller lends parts of its own to the lanes of the others
//! (see [`super::lending`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use nvme_spec::Status;

use super::doorbells::Doorbells;
use super::shadow_doorbells::ShadowDoorbells;
use super::WorkerLink;
use crate::device::{table, SetupError};
use crate::io::IoUnit;
use crate::queues::{CompletionQueue, SubmissionQueue};
use crate::shared::Shared;
use crate::work::{CommandRef, WorkItem};
use crate::IO_QUEUE_PAIRS_MAX;

/// Failed commands that a lane notes for the error log before it stops fetching until the controller has seen to them.
const FAILURES_MAX: usize = 64;

/// A failed command, for the error log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub command: CommandRef,
    pub status: Status,
    pub nsid: u32,
    pub lba: u64,
}

/// What a lane has for the controller to see to.
#[derive(Default)]
pub(crate) struct Notes {
    /// With room for [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// A doorbell had a value that it cannot have.
    pub has_invalid_doorbell: bool,
    /// The controller has to fail: what a host promised is not there, or a promise of ours could not be kept.
    pub is_broken: bool,
}

impl Notes {
    fn new() -> Result<Self, SetupError> {
        let mut failures = Vec::new();
        failures.try_reserve_exact(FAILURES_MAX)?;
        Ok(Self {
            failures,
            ..Self::default()
        })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty() && !self.has_invalid_doorbell && !self.is_broken
    }

    /// Whether another command can be taken on.
    pub fn has_room(&self) -> bool {
        self.failures.len() < FAILURES_MAX && !self.is_broken
    }
}

/// See the module's documentation.
pub(crate) struct Lane {
    pub io: IoUnit,
    pub submission_queues: Vec<Option<SubmissionQueue>>,
    pub completion_queues: Vec<Option<CompletionQueue>>,
    pub links: Vec<WorkerLink>,
    pub shared: Arc<Shared>,
    pub notes: Notes,
    pub(super) doorbells: Doorbells,
    pub(super) shadow_doorbells: ShadowDoorbells,
    /// Commands of a queue that are fetched in its turn at most (Arbitration Burst).
    pub(super) burst: usize,
    /// No queue has an identifier from here on: a pass looks no further.
    pub(super) queues_end: u16,
    /// First queue of the next pass: queues take turns (round robin arbitration).
    next_queue: u16,
}

impl Lane {
    /// Without queues.
    pub fn new(io: IoUnit, links: Vec<WorkerLink>, shared: Arc<Shared>) -> Result<Self, SetupError> {
        let queues = usize::from(IO_QUEUE_PAIRS_MAX) + 1;
        Ok(Self {
            io,
            submission_queues: table(queues, || None)?,
            completion_queues: table(queues, || None)?,
            links,
            shared,
            notes: Notes::new()?,
            doorbells: Doorbells::new()?,
            shadow_doorbells: ShadowDoorbells::new()?,
            burst: 1,
            queues_end: 0,
            next_queue: 1,
        })
    }

    /// There are no queues any more.
    pub fn forget_queues(&mut self) {
        self.submission_queues.fill(None);
        self.completion_queues.fill(None);
        self.queues_end = 0;
        self.doorbells.reset();
        self.shadow_doorbells.reset();
    }

    /// The first I/O queue whose turn it is in this pass.
    pub(super) fn next_queue(&mut self) -> u16 {
        let first = if self.next_queue < self.queues_end {
            self.next_queue
        } else {
            1
        };
        self.next_queue = first + 1;
        first
    }

    /// The worker that owns completion queue `cqid`.
    pub fn worker_of(&self, cqid: u16) -> usize {
        usize::from(cqid) % self.links.len().max(1)
    }

    /// Sends an item to the worker that owns completion queue `cqid`.
    pub fn send(&mut self, cqid: u16, item: WorkItem) -> Result<(), WorkItem> {
        let worker = self.worker_of(cqid);
        match self.links.get_mut(worker) {
            Some(link) => link.send(item),
            None => Err(item),
        }
    }

    /// Sends an item that there was room for.
    pub(super) fn send_promised(&mut self, cqid: u16, item: WorkItem) {
        if self.send(cqid, item).is_err() {
            self.notes.is_broken = true;
        }
    }

    /// Whether the worker that owns completion queue `cqid` can take another I/O command on.
    pub(super) fn has_worker_room(&mut self, cqid: u16) -> bool {
        let worker = self.worker_of(cqid);
        self.links.get_mut(worker).is_some_and(WorkerLink::has_room)
    }

    /// Whether every worker has room for all that an admin command may send.
    pub(super) fn has_control_room(&mut self) -> bool {
        self.links.iter_mut().all(WorkerLink::has_control_room)
    }
}
