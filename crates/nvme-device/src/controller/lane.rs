//! What a dispatcher works with: queues, the namespaces that their commands are for, and rings to all workers.
//!
//! With one dispatcher there is one lane, the controller's, with all of it. With several, the controller lends parts of its own to the lanes of the others
//! (see [`super::lending`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use nvme_spec::Status;

use super::doorbells::Doorbells;
use super::errands::Correspondence;
use super::shadow_doorbells::ShadowDoorbells;
use super::WorkerLink;
use crate::bar::Bar;
use crate::device::{table, SetupError};
use crate::host::Host;
use crate::io::IoUnit;
use crate::queues::{CompletionQueue, SubmissionQueue};
use crate::shared::Shared;
use crate::work::{CommandRef, WorkItem};
use crate::zoned::Target;
use crate::{Activity, IO_QUEUE_PAIRS_MAX, NAMESPACES_MAX};

/// After so long without work a lane goes back to the controller, which looks for work alone then.
const IDLE_NS: u64 = 5_000_000;

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
    /// The next command of a queue, or one that waits, is the controller's to see to.
    pub has_command: bool,
    /// A zone has changed that the host wants to be told of.
    pub has_zone_change: bool,
    /// There has been no work for long.
    pub is_idle: bool,
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
        self.failures.is_empty()
            && !self.has_invalid_doorbell
            && !self.is_broken
            && !self.has_command
            && !self.has_zone_change
            && !self.is_idle
    }

    /// Whether another command can be taken on.
    pub fn has_room(&self) -> bool {
        self.failures.len() < FAILURES_MAX && !self.is_broken
    }

    /// Takes what `other` has; there is nothing here.
    pub fn take(&mut self, other: &mut Self) {
        core::mem::swap(self, other);
        other.failures.clear();
    }
}

/// Who times the commands of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody now: there is none that serves.
    Nowhere,
    /// The lane with this number.
    Lane(usize),
    /// All lanes.
    Everywhere,
}

/// See the module's documentation.
pub(crate) struct Lane {
    /// 0 is the controller's.
    pub(super) number: usize,
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
    /// Where each namespace is, from identifier 1 on, while lanes are lent; empty if all are here. With room for [`NAMESPACES_MAX`].
    pub(super) places: Vec<Place>,
    /// By number; nothing for this one.
    pub(super) others: Vec<Option<Correspondence>>,
    /// Namespaces with changed zones that the controller knows of.
    zone_changes_seen: usize,
    /// When there was work, while it is lent.
    worked_at_ns: u64,
}

impl Lane {
    /// Without queues.
    pub(super) fn new(
        number: usize,
        io: IoUnit,
        links: Vec<WorkerLink>,
        others: Vec<Option<Correspondence>>,
        shared: Arc<Shared>,
    ) -> Result<Self, SetupError> {
        let queues = usize::from(IO_QUEUE_PAIRS_MAX) + 1;
        let mut places = Vec::new();
        places.try_reserve_exact(NAMESPACES_MAX as usize)?;
        Ok(Self {
            number,
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
            places,
            others,
            zone_changes_seen: 0,
            worked_at_ns: 0,
        })
    }

    /// A pass over a lane while each dispatcher works on its own. What it cannot see to it calls the controller for.
    pub fn poll<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let mut activity = Activity::default();
        if self.shared.is_asleep() || !self.shared.reaches_memory() {
            return activity;
        }
        let bar = Bar(host.bar());
        self.recommend_zones(now_ns, &mut activity);
        self.poll_shadow_doorbells(host);
        if self.number != 0 {
            self.look_at_next_head(bar);
        }
        self.serve_others(now_ns, host, &mut activity);
        let first = self.next_queue();
        for sqids in [first..self.queues_end, 1..first] {
            let mut from = sqids.start;
            while let Some(sqid) = self.doorbells.next_busy(from..sqids.end, bar) {
                if self.notes.is_broken || self.notes.has_command {
                    break;
                }
                self.notes.has_command |= self.give_turn(sqid, now_ns, host, &mut activity).is_some();
                // What others wait for is not to wait for all queues here.
                self.serve_others(now_ns, host, &mut activity);
                from = sqid + 1;
            }
        }
        if activity.progressed {
            self.worked_at_ns = now_ns;
        }
        if self.number != 0 {
            let idle_at_ns = self.worked_at_ns.saturating_add(IDLE_NS);
            self.notes.is_idle |= idle_at_ns <= now_ns;
            activity.wake_at(idle_at_ns);
        }
        self.notes.has_zone_change |= self.zone_changes() > self.zone_changes_seen;
        // The controller may be asleep: whoever runs the lane sees that there is something to do.
        activity.progressed |= !self.notes.is_empty() && self.shared.call_controller();
        activity
    }

    /// Lets zoned namespaces recommend what is due for their zones.
    pub fn recommend_zones(&mut self, now_ns: u64, activity: &mut Activity) {
        for namespace in self.io.namespaces.iter_mut() {
            let Some(Target { zoned, model, .. }) = namespace.zoned_target(0) else {
                continue;
            };
            if let Some(due_ns) = model.recommend(now_ns, |zone| zoned.changed.add(zone)) {
                activity.wake_at(due_ns);
            }
        }
    }

    /// Namespaces with changed zones that the host has not been told of.
    fn zone_changes(&self) -> usize {
        let zoned = self
            .io
            .namespaces
            .iter()
            .filter_map(|namespace| namespace.zoned.as_ref());
        zoned.filter(|zoned| zoned.changed.wants_event).count()
    }

    /// A dispatcher has it from now on, when the controller knows of the changed zones that there are.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.zone_changes_seen = self.zone_changes();
        self.worked_at_ns = now_ns;
    }

    /// There are no queues any more.
    pub fn forget_queues(&mut self) {
        self.submission_queues.fill_with(|| None);
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

    /// The ring to the worker that owns completion queue `cqid`, by a number that no other lane's has: what goes through one ring keeps its order.
    pub fn ring_of(&self, cqid: u16) -> usize {
        self.number * self.links.len() + self.worker_of(cqid)
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
