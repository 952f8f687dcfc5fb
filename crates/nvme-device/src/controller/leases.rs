//! The queue sets of other dispatchers, leased or not.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::dispatch::lease::dispatcher_of;
use crate::dispatch::link::WorkerLink;
use crate::dispatch::peer::peer_links;
use crate::dispatch::queue_set::QueueSet;
use crate::dispatcher::Dispatcher;
use crate::io::context::IoContext;
use crate::limits::IO_QUEUE_PAIRS_MAX;
use crate::ring::{ring, Consumer, Producer};
use crate::setup::{table, SetupError, TryBox};
use crate::shared::Shared;

/// Another dispatcher, as the controller sees it.
pub(crate) struct Lessee {
    /// If it is not leased.
    pub queue_set: Option<TryBox<QueueSet>>,
    pub leased: Producer<TryBox<QueueSet>>,
    returned: Consumer<TryBox<QueueSet>>,
}

/// The controller's queue set, with all that there is, and a queue set for each other dispatcher, to be leased to it. Each has one of `links`.
#[inline(never)]
pub(crate) fn queue_sets(
    io: IoContext,
    links: Vec<Vec<WorkerLink>>,
    shared: &Arc<Shared>,
) -> Result<(TryBox<QueueSet>, Leases, Vec<Dispatcher>), SetupError> {
    let (limits, has_medium) = (io.limits, io.has_medium);
    let others = peer_links(links.len())?;
    let mut parts = links.into_iter().zip(others);
    let (links, others) = parts.next().unwrap_or_default();
    let own = TryBox::new(QueueSet::new(0, io, links, others, shared.clone())?)?;
    let mut lessees = Vec::new();
    lessees.try_reserve_exact(parts.len())?;
    let mut dispatchers = Vec::new();
    dispatchers.try_reserve_exact(parts.len())?;
    for (number, (links, others)) in (1..).zip(parts) {
        let io = IoContext::new(Vec::new(), limits, has_medium)?;
        let queue_set = TryBox::new(QueueSet::new(number, io, links, others, shared.clone())?)?;
        let (leased, leased_in) = ring(1)?;
        let (give_back, returned) = ring(1)?;
        lessees.push(Lessee {
            queue_set: Some(queue_set),
            leased,
            returned,
        });
        dispatchers.push(Dispatcher::new(leased_in, give_back, shared.clone()));
    }
    Ok((own, Leases::new(lessees)?, dispatchers))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The controller has everything.
    Home,
    /// Every dispatcher has its part.
    Leased,
    /// The controller has asked for everything.
    Recalled,
}

/// See the module's documentation.
pub(crate) struct Leases {
    pub lessees: Vec<Lessee>,
    pub stage: Stage,
    /// Which identifiers have a submission and a completion queue that the controller does not have now.
    pub leased_queues: Vec<[bool; 2]>,
    /// How long the drive was busy when the queue sets were leased.
    pub busy_ns: u64,
}

impl Leases {
    fn new(lessees: Vec<Lessee>) -> Result<Self, SetupError> {
        Ok(Self {
            lessees,
            stage: Stage::Home,
            leased_queues: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [false; 2])?,
            busy_ns: 0,
        })
    }

    pub fn dispatchers(&self) -> usize {
        self.lessees.len() + 1
    }

    /// Whether the controller is the only dispatcher.
    pub fn is_alone(&self) -> bool {
        self.lessees.is_empty()
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
        self.leased_queues
            .get(usize::from(qid))
            .copied()
            .unwrap_or_default()
    }

    /// After a reset, for which everything is here, the workers hold nothing of any queue set.
    pub fn forget_in_flight(&mut self) {
        let queue_sets = self
            .lessees
            .iter_mut()
            .filter_map(|lessee| lessee.queue_set.as_mut());
        queue_sets.for_each(|queue_set| queue_set.links.iter_mut().for_each(WorkerLink::forget_in_flight));
    }

    /// Takes what has been given back; whether that is all.
    pub fn collect(&mut self) -> bool {
        for lessee in &mut self.lessees {
            if lessee.queue_set.is_none() {
                lessee.queue_set = lessee.returned.pop();
            }
        }
        self.lessees.iter().all(|lessee| lessee.queue_set.is_some())
    }
}
