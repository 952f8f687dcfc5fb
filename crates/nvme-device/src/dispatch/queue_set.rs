//! What a dispatcher works with: queues, the namespaces of their commands, and rings to all workers.
//!
//! With one dispatcher there is one queue set, the controller's, which holds everything. With several,
//! the controller leases parts of it to the queue sets of the others (see [`crate::controller::lease`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::activity::Activity;
use crate::command::job::Job;
use crate::command::reserved::Reserved;
use crate::command::work::WorkItem;
use crate::dispatch::deferred::Deferred;
use crate::dispatch::link::WorkerLink;
use crate::dispatch::peer::PeerLink;
use crate::dispatch::route::NamespaceOwner;
use crate::host::Host;
use crate::io::context::IoContext;
use crate::io::zone::target::Target;
use crate::limits::{IO_QUEUE_PAIRS_MAX, NAMESPACES_MAX};
use crate::pci::bar::Bar;
use crate::queue::busy::Doorbells;
use crate::queue::completion::CompletionQueue;
use crate::queue::shadow::ShadowDoorbells;
use crate::queue::submission::SubmissionQueue;
use crate::setup::{table, SetupError};
use crate::shared::Shared;

/// After so long without work a queue set goes back to the controller, which looks for work alone then.
const IDLE_NS: u64 = 5_000_000;

/// See the module's documentation.
pub(crate) struct QueueSet {
    /// 0 is the controller's.
    pub(crate) number: usize,
    pub io: IoContext,
    pub submission_queues: Vec<Option<SubmissionQueue>>,
    pub completion_queues: Vec<Option<CompletionQueue>>,
    pub links: Vec<WorkerLink>,
    pub shared: Arc<Shared>,
    pub deferred: Deferred,
    pub(crate) doorbells: Doorbells,
    pub(crate) shadow_doorbells: ShadowDoorbells,
    /// Commands of a queue that are fetched in its turn at most (Arbitration Burst).
    pub(crate) burst: usize,
    /// No queue has an identifier from here on: a pass looks no further.
    pub(crate) queues_end: u16,
    /// First queue of the next pass: queues take turns (round robin arbitration).
    next_queue: u16,
    /// Where each namespace is, from identifier 1 on, while queue sets are leased; empty if all are here. With room for [`NAMESPACES_MAX`].
    pub(crate) places: Vec<NamespaceOwner>,
    /// By number; nothing for this one.
    pub(crate) others: Vec<Option<PeerLink>>,
    /// Namespaces with changed zones that the controller knows of.
    zone_changes_seen: usize,
    /// When there was work, while it is leased.
    worked_at_ns: u64,
}

impl QueueSet {
    /// Without queues.
    pub(crate) fn new(
        number: usize,
        io: IoContext,
        links: Vec<WorkerLink>,
        others: Vec<Option<PeerLink>>,
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
            deferred: Deferred::new()?,
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

    /// A pass over a queue set while each dispatcher works on its own. Calls the controller for what it
    /// cannot handle.
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
        self.serve_peers(now_ns, host, &mut activity);
        let first = self.next_queue();
        for sqids in [first..self.queues_end, 1..first] {
            let mut from = sqids.start;
            while let Some(sqid) = self.doorbells.next_busy(from..sqids.end, bar) {
                if self.deferred.is_broken || self.deferred.has_command {
                    break;
                }
                self.deferred.has_command |= self.service_queue(sqid, now_ns, host, &mut activity).is_some();
                // What others wait for is not to wait for all queues here.
                self.serve_peers(now_ns, host, &mut activity);
                from = sqid + 1;
            }
        }
        if activity.progressed {
            self.worked_at_ns = now_ns;
        }
        if self.number != 0 {
            let idle_at_ns = self.worked_at_ns.saturating_add(IDLE_NS);
            self.deferred.is_idle |= idle_at_ns <= now_ns;
            activity.wake_at(idle_at_ns);
        }
        self.deferred.has_zone_change |= self.zone_changes() > self.zone_changes_seen;
        // The controller may be asleep: whoever runs the queue set sees that there is something to do.
        activity.progressed |= !self.deferred.is_empty() && self.shared.call_controller();
        activity
    }

    /// Lets zoned namespaces recommend what is due for their zones.
    pub fn recommend_zones(&mut self, now_ns: u64, activity: &mut Activity) {
        for namespace in self.io.namespaces.iter_mut() {
            let Some(Target { zoned, model, .. }) = Target::of(namespace, 0) else {
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
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.zone_changes_seen = self.zone_changes();
        self.worked_at_ns = now_ns;
    }

    /// A controller level reset: there are no queues any more, and the workers hold nothing.
    pub fn reset(&mut self, is_power_cycle: bool, now_ns: u64) {
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            number: _,
            io,
            submission_queues,
            completion_queues,
            links,
            shared: _,
            // The controller handles it in each pass.
            deferred: _,
            doorbells,
            shadow_doorbells,
            // Set before queues are looked at.
            burst: _,
            queues_end,
            next_queue: _,
            // For a reset nothing is leased.
            places: _,
            others: _,
            zone_changes_seen: _,
            worked_at_ns: _,
        } = self;
        links.iter_mut().for_each(WorkerLink::forget_in_flight);
        submission_queues.fill_with(|| None);
        completion_queues.fill(None);
        *queues_end = 0;
        doorbells.reset();
        shadow_doorbells.reset();
        io.reset(is_power_cycle, now_ns);
    }

    /// The first I/O queue whose turn it is in this pass.
    pub(crate) fn next_queue(&mut self) -> u16 {
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

    /// The ring to the worker that owns completion queue `cqid`, by a number that no other queue set's has: what goes through one ring keeps its order.
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

    /// Gives a command's job to the worker that completes it. There was room for it when the command was fetched.
    pub(crate) fn complete(&mut self, reserved: Reserved, job: Job) {
        self.send_promised(job.command.cqid, WorkItem::Job(reserved.complete(job)));
    }

    /// Sends an item that there was room for.
    pub(crate) fn send_promised(&mut self, cqid: u16, item: WorkItem) {
        if self.send(cqid, item).is_err() {
            self.deferred.is_broken = true;
        }
    }

    /// Whether the worker that owns completion queue `cqid` can take another I/O command on.
    pub(crate) fn has_worker_room(&mut self, cqid: u16) -> bool {
        let worker = self.worker_of(cqid);
        self.links.get_mut(worker).is_some_and(WorkerLink::has_room)
    }

    /// Whether every worker has room for all that an admin command may send.
    pub(crate) fn has_control_room(&mut self) -> bool {
        self.links.iter_mut().all(WorkerLink::has_control_room)
    }
}
