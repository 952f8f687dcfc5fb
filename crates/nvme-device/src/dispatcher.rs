//! A dispatcher beside the controller's. It works on the queues and namespaces that the controller has
//! leased to it.

use alloc::sync::Arc;

use crate::activity::Activity;
use crate::dispatch::queue_set::QueueSet;
use crate::host::Host;
use crate::ring::{Consumer, Producer};
use crate::setup::TryBox;
use crate::shared::Shared;

/// See the module's documentation. One thread runs it.
pub struct Dispatcher {
    queue_set: Option<TryBox<QueueSet>>,
    leased: Consumer<TryBox<QueueSet>>,
    returned: Producer<TryBox<QueueSet>>,
    shared: Arc<Shared>,
}

impl Dispatcher {
    pub(crate) fn new(
        leased: Consumer<TryBox<QueueSet>>,
        returned: Producer<TryBox<QueueSet>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            queue_set: None,
            leased,
            returned,
            shared,
        }
    }

    /// Whether it has queues. Nobody tells of their doorbells, so whoever has some stays awake; it is not for long when there is no work.
    pub fn has_queues(&self) -> bool {
        self.queue_set.is_some()
    }

    /// One pass: a command or a burst of each I/O queue that has something to do. Gives everything back when the controller asks for it; until it leases
    /// something again, there is nothing to do.
    pub fn poll<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let Some(mut queue_set) = self.queue_set.take().or_else(|| self.leased.pop()) else {
            return Activity::default();
        };
        if self.shared.is_recalling() {
            // There is room for it: it came from there.
            let given_back = self.returned.push(queue_set);
            debug_assert!(given_back.is_ok(), "there is one queue_set");
            return Activity {
                progressed: true,
                next_event_ns: None,
            };
        }
        let activity = queue_set.poll(now_ns, host);
        self.queue_set = Some(queue_set);
        activity
    }
}
