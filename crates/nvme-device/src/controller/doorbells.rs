//! Doorbells in the BAR: which queues have something to do. A pass over queues that are idle costs a comparison each.

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::ERROR_EVENT_INVALID_DOORBELL_REGISTER;

use crate::controller::Controller;
use crate::pci::bar::Bar;

impl Controller {
    /// Looks at the head doorbells that cannot wait until room in their queues runs out: the admin queue's, which events are told through; all, if
    /// an interrupt pin has to know whether something is left to tell; and one more at each pass, for values that are wrong.
    pub(crate) fn poll_completion_doorbells(&mut self, bar: Bar<'_>) {
        if self.core.shared.config_space().interrupt_pending() {
            (0..self.core.queue_set.queues_end).for_each(|cqid| self.core.queue_set.look_at_head(cqid, bar));
        } else {
            self.core.queue_set.look_at_head(0, bar);
        }
        let next = self.core.queue_set.look_at_next_head(bar);
        self.look_for_stray(next, bar);
    }

    /// A write to the doorbell of a queue that is not there is an error event.
    pub(crate) fn look_for_stray(&mut self, qid: u16, bar: Bar<'_>) {
        let index = usize::from(qid);
        let [is_sq_leased, is_cq_leased] = self.leases.has_queues(qid);
        let has_sq = is_sq_leased
            || self
                .core
                .queue_set
                .submission_queues
                .get(index)
                .is_some_and(Option::is_some);
        let has_cq = is_cq_leased
            || self
                .core
                .queue_set
                .completion_queues
                .get(index)
                .is_some_and(Option::is_some);
        let stray = (!has_sq && bar.take(sq_tail_doorbell(qid)) != 0)
            | (!has_cq && bar.take(cq_head_doorbell(qid)) != 0);
        if stray {
            self.core
                .admin
                .events
                .error(ERROR_EVENT_INVALID_DOORBELL_REGISTER);
        }
    }
}
