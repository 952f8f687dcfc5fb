//! Moving queues and namespaces between the queue sets of two dispatchers.

use crate::dispatch::queue_set::QueueSet;
use crate::dispatch::route::NamespaceOwner;
use crate::limits::{IO_QUEUE_PAIRS_MAX, NAMESPACES_MAX};

impl QueueSet {
    /// Gives `queue_set`, the one with this number of so many, its queues and namespaces.
    pub fn lease_to(
        &mut self,
        queue_set: &mut Self,
        number: usize,
        of: usize,
        leased_queues: &mut [[bool; 2]],
    ) {
        queue_set.burst = self.burst;
        queue_set.io.has_all_command_sets = self.io.has_all_command_sets;
        queue_set.io.begin_counting(&self.io);
        queue_set.shadow_doorbells.follow(&self.shadow_doorbells);
        queue_set.queues_end = self.queues_end;
        queue_set.places.clear();
        queue_set.places.extend_from_slice(&self.places);
        for (nsid, place) in (1..).zip(&self.places) {
            if *place == NamespaceOwner::QueueSet(number) {
                self.io.namespaces.move_to(&mut queue_set.io.namespaces, nsid);
            }
        }
        for qid in 1..=IO_QUEUE_PAIRS_MAX {
            let index = usize::from(qid);
            if dispatcher_of(qid, of) == number {
                move_slot(
                    &mut self.completion_queues,
                    &mut queue_set.completion_queues,
                    index,
                );
            }
            let cqid = match self.submission_queues.get(index) {
                Some(Some(queue)) => queue.cqid,
                _ => continue,
            };
            if dispatcher_of(cqid, of) == number {
                move_slot(
                    &mut self.submission_queues,
                    &mut queue_set.submission_queues,
                    index,
                );
                queue_set.doorbells.set_busy(qid, true);
            }
        }
        for (index, leased) in leased_queues.iter_mut().enumerate() {
            leased[0] |= matches!(queue_set.submission_queues.get(index), Some(Some(_)));
            leased[1] |= matches!(queue_set.completion_queues.get(index), Some(Some(_)));
        }
    }

    /// Takes what `queue_set` has.
    pub fn take_back(&mut self, queue_set: &mut Self) {
        for nsid in 1..=NAMESPACES_MAX {
            if queue_set.io.namespaces.allocated(nsid).is_ok() {
                queue_set.io.namespaces.move_to(&mut self.io.namespaces, nsid);
            }
        }
        for qid in 1..=IO_QUEUE_PAIRS_MAX {
            let index = usize::from(qid);
            if matches!(queue_set.submission_queues.get(index), Some(Some(_))) {
                move_slot(
                    &mut queue_set.submission_queues,
                    &mut self.submission_queues,
                    index,
                );
                self.doorbells.set_busy(qid, true);
            }
            if matches!(queue_set.completion_queues.get(index), Some(Some(_))) {
                move_slot(
                    &mut queue_set.completion_queues,
                    &mut self.completion_queues,
                    index,
                );
            }
        }
        self.shadow_doorbells.learn_from(&queue_set.shadow_doorbells);
        self.shadow_doorbells.look_again();
        self.deferred.take(&mut queue_set.deferred);
        queue_set.io.end_sharing();
    }
}

/// Which of so many dispatchers has completion queue `cqid`, with its submission queues.
pub(crate) fn dispatcher_of(cqid: u16, dispatchers: usize) -> usize {
    usize::from(cqid) % dispatchers
}

/// Moves what is at `index`.
fn move_slot<T>(from: &mut [Option<T>], to: &mut [Option<T>], index: usize) {
    if let (Some(from), Some(to)) = (from.get_mut(index), to.get_mut(index)) {
        *to = from.take();
    }
}
