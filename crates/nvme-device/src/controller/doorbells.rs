//! Doorbells in the BAR: which queues have something to do. A pass over queues that are idle costs a comparison each.

use alloc::vec::Vec;
use core::ops::Range;

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::ERROR_EVENT_INVALID_DOORBELL_REGISTER;

use super::lane::Lane;
use super::Controller;
use crate::bar::Bar;
use crate::device::{table, SetupError};
use crate::IO_QUEUE_PAIRS_MAX;

/// What a submission queue was seen to have: its tail doorbell and, as a bit that no doorbell has, whether it has entries that were not fetched, or a
/// command that waits. In one number: whether there is something to do is one comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen(u64);

impl Seen {
    const BUSY: u64 = 1 << 32;

    fn idle(tail: u32) -> Self {
        Self(tail.into())
    }

    fn set_tail(&mut self, tail: u32) {
        self.0 = self.0 & Self::BUSY | u64::from(tail);
    }

    fn set_busy(&mut self, is_busy: bool) {
        self.0 &= !Self::BUSY;
        self.0 |= if is_busy { Self::BUSY } else { 0 };
    }
}

/// What was seen of each submission queue identifier, close together.
pub(super) struct Doorbells {
    seen: Vec<Seen>,
    /// The queue identifier that is looked at in the next pass, whether or not there is reason to.
    next: u16,
}

impl Doorbells {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            seen: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, Seen::default)?,
            next: 0,
        })
    }

    /// There are no queues any more.
    pub fn reset(&mut self) {
        self.seen.fill(Seen::default());
    }

    /// Submission queue `sqid` is new: its doorbell is 0.
    pub fn begin(&mut self, sqid: u16) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            *seen = Seen::default();
        }
    }

    /// The first of these queues that may have something to do.
    pub fn next_busy(&self, sqids: Range<u16>, bar: Bar<'_>) -> Option<u16> {
        let seen = self.seen.get(sqids.start.into()..sqids.end.into())?;
        let tails = bar.every_second(sq_tail_doorbell(sqids.start));
        let index = seen
            .iter()
            .zip(tails)
            .position(|(seen, tail)| *seen != Seen::idle(tail))?;
        Some(sqids.start + index as u16)
    }

    /// The tail doorbell of `sqid` is `tail`, and its queue is looked at.
    pub fn look(&mut self, sqid: u16, tail: u32) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            seen.set_tail(tail);
        }
    }

    /// Whether `sqid` has something to do, as far as is known without its doorbell.
    pub fn set_busy(&mut self, sqid: u16, is_busy: bool) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            seen.set_busy(is_busy);
        }
    }

    fn take_next(&mut self) -> u16 {
        let next = self.next;
        self.next = if next == IO_QUEUE_PAIRS_MAX { 0 } else { next + 1 };
        next
    }
}

impl Lane {
    /// Takes over what the host has consumed of a completion queue.
    pub(super) fn look_at_head(&mut self, cqid: u16, bar: Bar<'_>) {
        let Some(Some(queue)) = self.completion_queues.get_mut(usize::from(cqid)) else {
            return;
        };
        let posted = self.shared.cq_posted(cqid);
        let doorbell = bar.load(cq_head_doorbell(cqid));
        self.notes.has_invalid_doorbell |= queue.ring_doorbell(doorbell, posted).is_err();
    }

    /// Looks at the head doorbell of another queue at each pass, for values that are wrong; the result is which one.
    pub(super) fn look_at_next_head(&mut self, bar: Bar<'_>) -> u16 {
        let next = self.doorbells.take_next();
        self.look_at_head(next, bar);
        next
    }
}

impl Controller {
    /// Looks at the head doorbells that cannot wait until room in their queues runs out: the admin queue's, which events are told through; all, if
    /// an interrupt pin has to know whether something is left to tell; and one more at each pass, for values that are wrong.
    pub(super) fn poll_completion_doorbells(&mut self, bar: Bar<'_>) {
        if self.shared.config_space().interrupt_pending() {
            (0..self.lane.queues_end).for_each(|cqid| self.lane.look_at_head(cqid, bar));
        } else {
            self.lane.look_at_head(0, bar);
        }
        let next = self.lane.look_at_next_head(bar);
        self.look_for_stray(next, bar);
    }

    /// A write to the doorbell of a queue that is not there is an error event.
    pub(super) fn look_for_stray(&mut self, qid: u16, bar: Bar<'_>) {
        let index = usize::from(qid);
        let [is_sq_lent, is_cq_lent] = self.lending.has_queues(qid);
        let has_sq = is_sq_lent
            || self
                .lane
                .submission_queues
                .get(index)
                .is_some_and(Option::is_some);
        let has_cq = is_cq_lent
            || self
                .lane
                .completion_queues
                .get(index)
                .is_some_and(Option::is_some);
        let stray = (!has_sq && bar.take(sq_tail_doorbell(qid)) != 0)
            | (!has_cq && bar.take(cq_head_doorbell(qid)) != 0);
        if stray {
            self.admin.events.error(ERROR_EVENT_INVALID_DOORBELL_REGISTER);
        }
    }
}
