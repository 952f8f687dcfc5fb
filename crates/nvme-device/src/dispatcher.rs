//! A dispatcher besides the controller's: it works on the queues and namespaces that the controller lends it.

use alloc::sync::Arc;

use crate::controller::Lane;
use crate::heap::Heap;
use crate::host::Host;
use crate::ring::{Consumer, Producer};
use crate::shared::Shared;
use crate::Activity;

/// See the module's documentation. One thread runs it.
pub struct Dispatcher {
    lane: Option<Heap<Lane>>,
    lent: Consumer<Heap<Lane>>,
    returned: Producer<Heap<Lane>>,
    shared: Arc<Shared>,
}

impl Dispatcher {
    pub(crate) fn new(
        lent: Consumer<Heap<Lane>>,
        returned: Producer<Heap<Lane>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            lane: None,
            lent,
            returned,
            shared,
        }
    }

    /// Whether it has queues. Nobody tells of their doorbells, so whoever has some stays awake; it is not for long when there is no work.
    pub fn has_queues(&self) -> bool {
        self.lane.is_some()
    }

    /// One pass: a command or a burst of each I/O queue that has something to do. Gives everything back when the controller asks for it; until it lends
    /// something again, there is nothing to do.
    pub fn poll<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let Some(mut lane) = self.lane.take().or_else(|| self.lent.pop()) else {
            return Activity::default();
        };
        if self.shared.is_recalling() {
            // There is room for it: it came from there.
            let given_back = self.returned.push(lane);
            debug_assert!(given_back.is_ok(), "there is one lane");
            return Activity {
                progressed: true,
                next_event_ns: None,
            };
        }
        let activity = lane.poll(now_ns, host);
        self.lane = Some(lane);
        activity
    }
}
