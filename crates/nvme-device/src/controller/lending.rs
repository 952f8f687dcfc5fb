//! Several dispatchers: the controller lends queues and namespaces to the others' lanes, and calls them back.
//!
//! While they are lent, each dispatcher works on its own, and whatever concerns more than a queue and a namespace waits: then the lanes are called back,
//! and the controller has all of it, as if it were the only dispatcher. So nothing but reading and writing has to know that there are several.
//!
//! - They are lent when there is work for another dispatcher, and come back when one of them has had none for some milliseconds: of an idle drive only
//!   the controller looks for work.
//! - A queue belongs to the dispatcher of its completion queue, by identifier.
//! - A drive without flash is timed by all at once ([`SharedNamespace`]), any other namespace by one of them, by identifier: others' commands for it
//!   are errands ([`super::errands`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use nvme_spec::registers;
use nvme_spec::NSSR_RESET;

use super::errands::correspondences;
use super::lane::{Lane, Place};
use super::{Controller, Shutdown, State, WorkerLink};
use crate::bar::Bar;
use crate::device::{table, SetupError};
use crate::dispatcher::Dispatcher;
use crate::heap::Heap;
use crate::host::Host;
use crate::io::IoUnit;
use crate::ring::{ring, Consumer, Producer};
use crate::shared::Shared;
use crate::{Activity, IO_QUEUE_PAIRS_MAX, NAMESPACES_MAX};

/// The other dispatchers give back at once what they have: nobody sleeps meanwhile.
const AWAITING: Activity = Activity {
    progressed: true,
    next_event_ns: None,
};

/// Another dispatcher, as the controller sees it.
struct Borrower {
    /// If it is not lent.
    lane: Option<Heap<Lane>>,
    lent: Producer<Heap<Lane>>,
    returned: Consumer<Heap<Lane>>,
}

/// The controller's lane, with all that there is, and a lane for each other dispatcher, to be lent to it. Each has one of `links`.
#[inline(never)]
pub(super) fn lanes(
    io: IoUnit,
    links: Vec<Vec<WorkerLink>>,
    shared: &Arc<Shared>,
) -> Result<(Heap<Lane>, Lending, Vec<Dispatcher>), SetupError> {
    let (limits, has_medium) = (io.limits, io.has_medium);
    let others = correspondences(links.len())?;
    let mut parts = links.into_iter().zip(others);
    let (links, others) = parts.next().unwrap_or_default();
    let own = Heap::new(Lane::new(0, io, links, others, shared.clone())?)?;
    let mut borrowers = Vec::new();
    borrowers.try_reserve_exact(parts.len())?;
    let mut dispatchers = Vec::new();
    dispatchers.try_reserve_exact(parts.len())?;
    for (number, (links, others)) in (1..).zip(parts) {
        let io = IoUnit::new(Vec::new(), limits, has_medium)?;
        let lane = Heap::new(Lane::new(number, io, links, others, shared.clone())?)?;
        let (lent, borrowed) = ring(1)?;
        let (give_back, returned) = ring(1)?;
        borrowers.push(Borrower {
            lane: Some(lane),
            lent,
            returned,
        });
        dispatchers.push(Dispatcher::new(borrowed, give_back, shared.clone()));
    }
    Ok((own, Lending::new(borrowers)?, dispatchers))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The controller has everything.
    Home,
    /// Every dispatcher has its part.
    Lent,
    /// The controller has asked for everything.
    Recalled,
}

/// See the module's documentation.
pub(super) struct Lending {
    borrowers: Vec<Borrower>,
    stage: Stage,
    /// Which identifiers have a submission and a completion queue that the controller does not have now.
    lent_queues: Vec<[bool; 2]>,
    /// How long the drive was busy when the lanes were lent.
    busy_ns: u64,
}

impl Lending {
    fn new(borrowers: Vec<Borrower>) -> Result<Self, SetupError> {
        Ok(Self {
            borrowers,
            stage: Stage::Home,
            lent_queues: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [false; 2])?,
            busy_ns: 0,
        })
    }

    fn dispatchers(&self) -> usize {
        self.borrowers.len() + 1
    }

    /// Whether the controller is the only dispatcher.
    pub fn is_alone(&self) -> bool {
        self.borrowers.is_empty()
    }

    /// Whether commands of queue `cqid` are another dispatcher's.
    pub fn is_of_others(&self, cqid: u16) -> bool {
        dispatcher_of(cqid, self.dispatchers()) != 0
    }

    /// Whether the controller has everything.
    pub fn is_home(&self) -> bool {
        self.stage == Stage::Home
    }

    /// Whether there are a submission and a completion queue `qid` that another dispatcher has.
    pub fn has_queues(&self, qid: u16) -> [bool; 2] {
        self.lent_queues
            .get(usize::from(qid))
            .copied()
            .unwrap_or_default()
    }

    /// After a reset, for which everything is here, the workers hold nothing of any lane.
    pub fn forget_in_flight(&mut self) {
        let lanes = self
            .borrowers
            .iter_mut()
            .filter_map(|borrower| borrower.lane.as_mut());
        lanes.for_each(|lane| lane.links.iter_mut().for_each(WorkerLink::forget_in_flight));
    }

    /// Takes what has been given back; whether that is all.
    fn collect(&mut self) -> bool {
        for borrower in &mut self.borrowers {
            if borrower.lane.is_none() {
                borrower.lane = borrower.returned.pop();
            }
        }
        self.borrowers.iter().all(|borrower| borrower.lane.is_some())
    }
}

impl Controller {
    /// A pass of the first of several dispatchers.
    pub(super) fn poll_among_others<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        match self.lending.stage {
            Stage::Home => {
                let mut activity = self.poll_all(now_ns, host);
                if self.may_lend(Bar(host.bar())) {
                    self.lend(now_ns);
                    activity.progressed = true;
                }
                activity
            }
            Stage::Lent => {
                if !self.has_to_recall(now_ns, Bar(host.bar())) {
                    return self.poll_own(now_ns, host);
                }
                self.shared.set_recalling(true);
                self.lending.stage = Stage::Recalled;
                AWAITING
            }
            Stage::Recalled => {
                if !self.lending.collect() {
                    return AWAITING;
                }
                self.take_everything_back(Bar(host.bar()));
                self.poll_all(now_ns, host)
            }
        }
    }

    /// Whether there is nothing that needs all of it, nor will there be at once.
    fn may_lend(&mut self, bar: Bar<'_>) -> bool {
        let is_quiet = self.state == State::Ready
            && self.shutdown == Shutdown::No
            && self.fused.is_none()
            && self.erasure.is_idle()
            && !self.admin.is_waiting()
            && !self.has_waiting_command
            && self.is_usual()
            && self.lane.doorbells.next_busy(0..1, bar).is_none();
        // A worker must know of a queue before another lane's commands for it come.
        is_quiet && self.lane.links.iter_mut().all(|link| link.has_no_new_queue()) && self.has_work_for_others
    }

    /// Whether memory is within reach and interrupts are messages: the pin has to know of all completions.
    fn is_usual(&self) -> bool {
        self.shared.reaches_memory() && !self.shared.is_asleep() && self.shared.config_space().msix_enabled()
    }

    /// Whether there is something that needs all of it.
    fn has_to_recall(&mut self, now_ns: u64, bar: Bar<'_>) -> bool {
        let flash_log = self.shared.flash_log();
        bar.load(registers::CC) != self.cc
            || bar.load(registers::NSSR) == NSSR_RESET
            || self.state != State::Ready
            || !self.is_usual()
            || self.shared.has_call()
            || !self.lane.notes.is_empty()
            || self.lane.doorbells.next_busy(0..1, bar).is_some()
            || flash_log.has_request()
            || flash_log.has_reset_request()
            || self.new_nvm_parameters.is_some()
            || self.is_smart_log_snapshot_due(now_ns)
            || self.lba_status_alert_ns.is_some_and(|due_ns| due_ns <= now_ns)
    }

    /// A pass over what the controller has while the rest is lent.
    fn poll_own<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let bar = Bar(host.bar());
        let has_reports = self.collect_reports(now_ns, bar);
        self.restore_read_only(bar);
        self.poll_usual_registers(host);
        self.lane.look_at_head(0, bar);
        let next = self.lane.look_at_next_head(bar);
        self.look_for_stray(next, bar);
        let mut activity = self.lane.poll(now_ns, host);
        activity.progressed |= has_reports | self.deliver_events(now_ns, bar);
        // What was found only now: an admin command, say, by its shadow doorbell.
        activity.progressed |= self.has_to_recall(now_ns, bar);
        if let Some(due_ns) = self.lba_status_alert_ns {
            activity.wake_at(due_ns);
        }
        activity
    }

    /// Gives every dispatcher its part.
    fn lend(&mut self, now_ns: u64) {
        let dispatchers = self.lending.dispatchers();
        let Lending {
            borrowers,
            lent_queues,
            busy_ns,
            stage,
        } = &mut self.lending;
        *busy_ns = self.lane.io.counters.busy_ns;
        self.lane.places.clear();
        for nsid in 1..=NAMESPACES_MAX {
            let place = match self.lane.io.namespaces.serving_mut(nsid) {
                Err(_) => Place::Nowhere,
                Ok(namespace) => match namespace.share() {
                    Some(shared) => {
                        for borrower in &mut *borrowers {
                            if let Some(lane) = &mut borrower.lane {
                                lane.io.set_shared(nsid, shared.clone());
                            }
                        }
                        self.lane.io.set_shared(nsid, shared);
                        Place::Everywhere
                    }
                    None => Place::Lane((nsid - 1) as usize % dispatchers),
                },
            };
            self.lane.places.push(place);
        }
        for (number, borrower) in (1..).zip(borrowers) {
            if let Some(mut lane) = borrower.lane.take() {
                self.lane.lend_to(&mut lane, number, dispatchers, lent_queues);
                lane.begin(now_ns);
                // There is room: it came from there.
                borrower.lane = borrower.lent.push(lane).err();
                debug_assert!(borrower.lane.is_none(), "there is one lane");
            }
        }
        self.lane.begin(now_ns);
        *stage = Stage::Lent;
    }

    /// Everything has been given back.
    fn take_everything_back(&mut self, bar: Bar<'_>) {
        self.shared.set_recalling(false);
        self.shared.clear_call();
        self.lending.stage = Stage::Home;
        self.lending.lent_queues.fill([false; 2]);
        self.lane.end_errands();
        for borrower in &mut self.lending.borrowers {
            if let Some(lane) = &mut borrower.lane {
                lane.end_errands();
            }
        }
        self.lane.forget_errands();
        self.take_notes(bar);
        let mut busy_ns = self.lane.io.counters.busy_ns - self.lending.busy_ns;
        for index in 0..self.lending.borrowers.len() {
            let borrower = self.lending.borrowers.get_mut(index);
            let Some(lane) = borrower.and_then(|borrower| borrower.lane.as_mut()) else {
                continue;
            };
            lane.forget_errands();
            self.lane.take_back(lane);
            busy_ns = busy_ns.max(self.lane.io.add_counts(&lane.io));
            self.take_notes(bar);
        }
        self.lane.io.counters.busy_ns = self.lending.busy_ns + busy_ns;
        if self.lane.shadow_doorbells.is_lost() {
            self.lane.abandon_shadow_doorbells(bar);
        }
        self.lane.places.clear();
        self.lane.io.end_sharing();
        if let Some(parameters) = self.new_nvm_parameters.take() {
            self.set_nvm_parameters(parameters);
        }
    }
}

impl Lane {
    /// Gives `lane`, the one with this number of so many, its queues and namespaces.
    fn lend_to(&mut self, lane: &mut Self, number: usize, of: usize, lent_queues: &mut [[bool; 2]]) {
        lane.burst = self.burst;
        lane.io.has_all_command_sets = self.io.has_all_command_sets;
        lane.io.begin_counting(&self.io);
        lane.shadow_doorbells.follow(&self.shadow_doorbells);
        lane.queues_end = self.queues_end;
        lane.places.clear();
        lane.places.extend_from_slice(&self.places);
        for (nsid, place) in (1..).zip(&self.places) {
            if *place == Place::Lane(number) {
                self.io.namespaces.move_to(&mut lane.io.namespaces, nsid);
            }
        }
        for qid in 1..=IO_QUEUE_PAIRS_MAX {
            let index = usize::from(qid);
            if dispatcher_of(qid, of) == number {
                move_slot(&mut self.completion_queues, &mut lane.completion_queues, index);
            }
            let cqid = match self.submission_queues.get(index) {
                Some(Some(queue)) => queue.cqid,
                _ => continue,
            };
            if dispatcher_of(cqid, of) == number {
                move_slot(&mut self.submission_queues, &mut lane.submission_queues, index);
                lane.doorbells.set_busy(qid, true);
            }
        }
        for (index, lent) in lent_queues.iter_mut().enumerate() {
            lent[0] |= matches!(lane.submission_queues.get(index), Some(Some(_)));
            lent[1] |= matches!(lane.completion_queues.get(index), Some(Some(_)));
        }
    }

    /// Takes what `lane` has.
    fn take_back(&mut self, lane: &mut Self) {
        for nsid in 1..=NAMESPACES_MAX {
            if lane.io.namespaces.allocated(nsid).is_ok() {
                lane.io.namespaces.move_to(&mut self.io.namespaces, nsid);
            }
        }
        for qid in 1..=IO_QUEUE_PAIRS_MAX {
            let index = usize::from(qid);
            if matches!(lane.submission_queues.get(index), Some(Some(_))) {
                move_slot(&mut lane.submission_queues, &mut self.submission_queues, index);
                self.doorbells.set_busy(qid, true);
            }
            if matches!(lane.completion_queues.get(index), Some(Some(_))) {
                move_slot(&mut lane.completion_queues, &mut self.completion_queues, index);
            }
        }
        self.shadow_doorbells.learn_from(&lane.shadow_doorbells);
        self.shadow_doorbells.look_again();
        self.notes.take(&mut lane.notes);
        lane.io.end_sharing();
    }
}

/// Which of so many dispatchers has completion queue `cqid`, with its submission queues.
fn dispatcher_of(cqid: u16, dispatchers: usize) -> usize {
    usize::from(cqid) % dispatchers
}

/// Moves what is at `index`.
fn move_slot<T>(from: &mut [Option<T>], to: &mut [Option<T>], index: usize) {
    if let (Some(from), Some(to)) = (from.get_mut(index), to.get_mut(index)) {
        *to = from.take();
    }
}
