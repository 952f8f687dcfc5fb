//! Head doorbells of completion queues.

use nvme_spec::registers::cq_head_doorbell;

use crate::dispatch::queue_set::QueueSet;
use crate::pci::bar::Bar;

impl QueueSet {
    /// Takes over what the host has consumed of a completion queue.
    pub(crate) fn look_at_head(&mut self, cqid: u16, bar: Bar<'_>) {
        let Some(Some(queue)) = self.completion_queues.get_mut(usize::from(cqid)) else {
            return;
        };
        let posted = self.shared.cq_posted(cqid);
        let doorbell = bar.load(cq_head_doorbell(cqid));
        self.deferred.has_invalid_doorbell |= queue.ring_doorbell(doorbell, posted).is_err();
    }

    /// Looks at the head doorbell of another queue at each pass, for values that are wrong; the result is which one.
    pub(crate) fn look_at_next_head(&mut self, bar: Bar<'_>) -> u16 {
        let next = self.doorbells.take_next();
        self.look_at_head(next, bar);
        next
    }
}
