//! Receiving work: items from the rings of all queue sets, in an order that keeps together what belongs
//! together.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::command::work::WorkItem;
use crate::ring::Consumer;
use crate::setup::{table, SetupError};

/// What a worker has done for a queue set. The queue set limits by it what is in flight.
#[derive(Debug, Default)]
pub(crate) struct WorkCounts {
    /// Items done with (wrapping).
    pub completed: AtomicU32,
    /// What was filled with zeros for commands, bytes (wrapping).
    pub filled_bytes: AtomicU32,
}

/// The worker's end of the connection to a queue set.
pub(crate) struct WorkSource {
    pub items: Consumer<WorkItem>,
    pub done: Arc<WorkCounts>,
}

/// The controller's own queue set, the only one through which it tells a worker what concerns other rings.
const CONTROLLER: usize = 0;

/// All sources of a worker. Items of each ring come out in their order. In addition:
/// - what concerns more than one command (queues that go, aborts, an answer that says that all before it is done) comes after everything that was in the
///   other rings before it. The controller sends such an item while the queue sets are with it, so that nothing is put into the others meanwhile;
/// - the parts of a Copy are not separated from its job.
pub(crate) struct WorkReceiver {
    sources: Vec<WorkSource>,
    /// For each source, how many of its items come before `held`.
    owed: Vec<usize>,
    held: Option<WorkItem>,
    /// WorkSource that the last item came from; its next one comes next if it belongs to the same command.
    current: usize,
    is_amid_copy: bool,
}

impl WorkReceiver {
    /// From these sources.
    pub fn new(sources: Vec<WorkSource>) -> Result<Self, SetupError> {
        Ok(Self {
            owed: table(sources.len(), || 0)?,
            sources,
            held: None,
            current: 0,
            is_amid_copy: false,
        })
    }

    /// The next item; [`WorkReceiver::source`] says where it came from.
    // By itself, and inlined: items are long.
    #[inline(always)]
    pub fn next(&mut self) -> Option<WorkItem> {
        if let [only] = &mut *self.sources {
            return only.items.pop();
        }
        self.next_of_several()
    }

    /// What `look` makes of the item that probably comes next, if there is one.
    #[inline]
    pub fn peek<R>(&mut self, look: impl Fn(&WorkItem) -> R) -> Option<R> {
        if let [only] = &mut *self.sources {
            return only.items.peek(0, look);
        }
        let count = self.sources.len();
        self.turns()
            .find_map(|index| self.sources.get_mut(index % count)?.items.peek(0, &look))
    }

    /// Sources to try for the next item, in order; take each modulo the number of sources.
    fn turns(&self) -> Range<usize> {
        let after = self.current + 1;
        match self.is_amid_copy {
            true => self.current..after,
            false => after..after + self.sources.len(),
        }
    }

    /// The source that the last item came from.
    #[inline]
    pub fn source(&self) -> usize {
        self.current
    }

    /// An item of this source that had to wait is the last one now.
    pub fn set_source(&mut self, source: usize) {
        self.current = source;
    }

    fn next_of_several(&mut self) -> Option<WorkItem> {
        if self.is_amid_copy {
            return self.pop(self.current);
        }
        if self.held.is_some() {
            return self.next_before_held();
        }
        let count = self.sources.len();
        let item = self.turns().find_map(|index| self.pop(index % count))?;
        if !concerns_others(&item) {
            return Some(item);
        }
        for (other, (owed, source)) in self.owed.iter_mut().zip(&mut self.sources).enumerate() {
            *owed = if other == self.current {
                0
            } else {
                source.items.count()
            };
        }
        self.held = Some(item);
        self.next_before_held()
    }

    /// What was there before the item that is held, and then that.
    fn next_before_held(&mut self) -> Option<WorkItem> {
        while let Some(index) = self.owed.iter().position(|&owed| owed > 0) {
            if let Some(owed) = self.owed.get_mut(index) {
                *owed -= 1;
            }
            if let Some(found) = self.pop(index) {
                return Some(found);
            }
        }
        self.current = CONTROLLER;
        self.held.take()
    }

    fn pop(&mut self, index: usize) -> Option<WorkItem> {
        let item = self.sources.get_mut(index)?.items.pop()?;
        self.current = index;
        match item {
            WorkItem::Gather { .. } => self.is_amid_copy = true,
            WorkItem::Job(_) => self.is_amid_copy = false,
            _ => {}
        }
        Some(item)
    }

    /// An item of source `index` that its queue set counts as in flight is done with.
    pub fn count_completed(&self, index: usize) {
        if let Some(source) = self.sources.get(index) {
            add(&source.done.completed, 1);
        }
    }

    /// So much that source `index` wanted filled with zeros is filled.
    pub fn count_filled(&self, index: usize, len_bytes: u32) {
        if let Some(source) = self.sources.get(index) {
            add(&source.done.filled_bytes, len_bytes);
        }
    }
}

/// Adds to a count that only one thread changes.
fn add(count: &AtomicU32, more: u32) {
    let before = count.load(Ordering::Relaxed);
    count.store(before.wrapping_add(more), Ordering::Release);
}

/// Whether what is in other rings has to come before it.
fn concerns_others(item: &WorkItem) -> bool {
    match item {
        WorkItem::Job(_) | WorkItem::Zero(_) | WorkItem::Gather { .. } => false,
        WorkItem::Fill(_)
        | WorkItem::CreateCq { .. }
        | WorkItem::DeleteCq { .. }
        | WorkItem::AbortQueue { .. }
        | WorkItem::AbortCommand { .. }
        | WorkItem::Answer { .. }
        | WorkItem::Reset { .. } => true,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use super::*;
    use crate::command::id::CommandRef;
    use crate::command::job::Job;
    use crate::command::reserved::Reserved;
    use crate::command::transfer::Extents;
    use crate::command::work::Asker;
    use crate::command::work::Tickets;
    use crate::ring::ring;
    use crate::ring::Producer;
    use nvme_spec::Status;

    fn receiver(queue_sets: usize) -> (Vec<Producer<WorkItem>>, WorkReceiver) {
        let (producers, sources): (Vec<_>, Vec<_>) = (0..queue_sets)
            .map(|_| {
                let (producer, items) = ring(16).unwrap();
                let done = Arc::new(WorkCounts::default());
                (producer, WorkSource { items, done })
            })
            .unzip();
        (producers, WorkReceiver::new(sources).unwrap())
    }

    fn job(cid: u16) -> WorkItem {
        let command = CommandRef {
            sqid: 1,
            cqid: 1,
            cid,
        };
        let job = Job::immediate(command, 0, Status::SUCCESSFUL_COMPLETION, 0);
        WorkItem::Job(Reserved::new(command).complete(job))
    }

    fn gather() -> WorkItem {
        WorkItem::Gather {
            extents: Extents::NONE,
            len_bytes: 512,
        }
    }

    /// The next item, which is the one that was seen before it was taken, if there was nothing to wait for.
    fn next_as_seen(receiver: &mut WorkReceiver) -> Option<WorkItem> {
        let seen = receiver
            .peek(|item| (!concerns_others(item)).then(|| std::format!("{item:?}")))
            .flatten();
        let is_held = receiver.held.is_some();
        let item = receiver.next();
        if let (Some(seen), false) = (seen, is_held) {
            assert_eq!(seen, std::format!("{:?}", item.as_ref().unwrap()));
        }
        item
    }

    /// WorkSource, and what the item is: a job's identifier, a part of a Copy, or something else.
    fn taken(receiver: &mut WorkReceiver) -> Vec<(usize, Option<u16>)> {
        let mut all = Vec::new();
        while let Some(item) = next_as_seen(receiver) {
            let what = match item {
                WorkItem::Job(job) => Some(job.command.cid),
                WorkItem::Gather { .. } => Some(0),
                _ => None,
            };
            all.push((receiver.source(), what));
        }
        all
    }

    #[test]
    fn queue_sets_take_turns() {
        let (mut queue_sets, mut receiver) = receiver(2);
        for cid in [1, 2] {
            queue_sets[0].push(job(cid)).unwrap();
            queue_sets[1].push(job(10 + cid)).unwrap();
        }
        let order = [(1, Some(11)), (0, Some(1)), (1, Some(12)), (0, Some(2))];
        assert_eq!(taken(&mut receiver), order);
    }

    #[test]
    fn an_answer_comes_after_what_was_in_other_rings_and_before_what_comes_later() {
        let (mut queue_sets, mut receiver) = receiver(3);
        queue_sets[0]
            .push(WorkItem::Answer {
                ticket: Tickets::default().issue(Asker::Reset),
            })
            .unwrap();
        queue_sets[0].push(job(1)).unwrap();
        for cid in [11, 12] {
            queue_sets[1].push(job(cid)).unwrap();
        }
        queue_sets[2].push(job(21)).unwrap();
        assert!(receiver.next().is_some());
        assert_eq!(
            receiver.source(),
            1,
            "the controller's queue_set was the last one"
        );
        // The controller has leased the queue sets again.
        queue_sets[1].push(job(13)).unwrap();
        let others = taken(&mut receiver);
        let answer = others.iter().position(|&(_, cid)| cid.is_none()).unwrap();
        let at = |cid| others.iter().position(|&(_, other)| other == Some(cid)).unwrap();
        // The answer was met after the job of the third queue set; what the second has more than it had then may come before or after.
        assert!([12, 21].into_iter().all(|cid| at(cid) < answer), "{others:?}");
        assert!(answer < at(1), "{others:?}");
    }

    #[test]
    fn a_copy_is_not_torn_apart() {
        let (mut queue_sets, mut receiver) = receiver(2);
        queue_sets[1].push(gather()).unwrap();
        queue_sets[0].push(gather()).unwrap();
        queue_sets[0].push(job(1)).unwrap();
        assert_eq!(taken(&mut receiver), [(1, Some(0))], "the rest is on its way");
        queue_sets[1].push(gather()).unwrap();
        queue_sets[1].push(job(11)).unwrap();
        let order = [(1, Some(0)), (1, Some(11)), (0, Some(0)), (0, Some(1))];
        assert_eq!(taken(&mut receiver), order);
    }
}
