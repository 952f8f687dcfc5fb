//! The controller's end of the connection to a worker.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::ring::{Consumer, Producer};
use crate::work::{Report, WorkItem};
use crate::worker::IN_FLIGHT_MAX;

/// Free slots that an admin command may need at most.
const CONTROL_ROOM: usize = 4;

/// Connection to one worker.
pub(crate) struct WorkerLink {
    items: Producer<WorkItem>,
    reports: Consumer<Report>,
    /// Jobs sent (wrapping).
    sent: u32,
    /// Jobs the worker is done with (wrapping), as last seen.
    completed_seen: u32,
    completed: Arc<AtomicU32>,
}

impl WorkerLink {
    pub fn new(items: Producer<WorkItem>, reports: Consumer<Report>, completed: Arc<AtomicU32>) -> Self {
        Self {
            items,
            reports,
            sent: 0,
            completed_seen: 0,
            completed,
        }
    }

    pub fn report(&mut self) -> Option<Report> {
        self.reports.pop()
    }

    /// Whether the worker can hold another command.
    pub fn has_room(&mut self) -> bool {
        if self.in_flight() >= IN_FLIGHT_MAX as u32 {
            self.completed_seen = self.completed.load(Ordering::Acquire);
        }
        self.in_flight() < IN_FLIGHT_MAX as u32
    }

    /// Whether there is room for what an admin command may send besides its completion.
    pub fn has_control_room(&mut self) -> bool {
        self.items.free() >= CONTROL_ROOM
    }

    pub fn send(&mut self, item: WorkItem) -> Result<(), WorkItem> {
        if matches!(item, WorkItem::Job(_)) {
            self.sent = self.sent.wrapping_add(1);
        }
        self.items.push(item)
    }

    /// After a reset the worker holds nothing.
    pub fn forget_in_flight(&mut self) {
        self.completed_seen = self.completed.load(Ordering::Acquire);
        self.sent = self.completed_seen;
    }

    fn in_flight(&self) -> u32 {
        self.sent.wrapping_sub(self.completed_seen)
    }
}
