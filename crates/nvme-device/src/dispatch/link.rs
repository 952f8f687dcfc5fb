//! The controller's end of the connection to a worker.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use crate::command::work::{Ticket, WorkItem};
use crate::limits::{BURST_MAX, COPY_RANGES_MAX, PART_BYTES, ZEROINGS_MAX};
use crate::ring::Producer;
use crate::worker::receiver::WorkCounts;
use crate::worker::SCHEDULE_RESERVE;

/// Free slots without which no admin command is taken on: what a queue that is deleted holds, and for the rest four at most, and what it makes come
/// (events, the end of a command that waited for a worker).
const CONTROL_ROOM: usize = BURST_MAX + 16;
/// Free slots without which no I/O command is taken on: it may have parts to zero, or a Copy's ranges, before its job. The others are
/// left alone, so that a host can always abort and delete.
pub(crate) const COMMAND_ROOM: usize = ZEROINGS_MAX + 2 + 4 * CONTROL_ROOM;
const _: () = assert!(COPY_RANGES_MAX <= ZEROINGS_MAX);

/// Connection to one worker.
pub(crate) struct WorkerLink {
    items: Producer<WorkItem>,
    /// I/O commands in flight at most: the worker's schedule has a part for each queue set.
    in_flight_max: usize,
    /// Jobs, ranges to zero and parts to gather that were sent (wrapping).
    sent: u32,
    /// Those that the worker is done with (wrapping), as last seen.
    completed_seen: u32,
    /// What was sent to be filled with zeros for commands, bytes (wrapping).
    to_fill_bytes: u32,
    done: Arc<WorkCounts>,
    unsent_reset: Option<Ticket>,
    /// A completion queue was made that the worker may not know of.
    has_new_queue: bool,
}

impl WorkerLink {
    pub fn new(items: Producer<WorkItem>, done: Arc<WorkCounts>, in_flight_max: usize) -> Self {
        Self {
            items,
            in_flight_max,
            sent: 0,
            completed_seen: 0,
            to_fill_bytes: 0,
            done,
            unsent_reset: None,
            has_new_queue: false,
        }
    }

    /// Whether the worker can hold another command.
    pub fn has_room(&mut self) -> bool {
        if self.in_flight() >= self.in_flight_max {
            self.completed_seen = self.done.completed.load(Ordering::Acquire);
        }
        self.in_flight() < self.in_flight_max && self.items.has_free(COMMAND_ROOM)
    }

    /// Whether there is room for all that an admin command may send.
    pub fn has_control_room(&mut self) -> bool {
        self.completed_seen = self.done.completed.load(Ordering::Acquire);
        self.items.has_free(CONTROL_ROOM)
            && self.in_flight() + CONTROL_ROOM <= self.in_flight_max + SCHEDULE_RESERVE
    }

    /// Whether the worker may get more to fill with zeros: it has no more than one part left.
    pub fn has_fill_room(&self) -> bool {
        let filled_bytes = self.done.filled_bytes.load(Ordering::Acquire);
        self.to_fill_bytes.wrapping_sub(filled_bytes) <= PART_BYTES
    }

    /// Tells the worker to forget everything, now or, if its ring is full, when [`WorkerLink::retry_reset`] finds room.
    pub fn request_reset(&mut self, ticket: Ticket) {
        self.unsent_reset = Some(ticket);
        self.retry_reset();
    }

    /// Sends a reset that did not fit before.
    pub fn retry_reset(&mut self) {
        if let Some(ticket) = self.unsent_reset {
            if self.items.push(WorkItem::Reset { ticket }).is_ok() {
                self.unsent_reset = None;
            }
        }
    }

    /// Whether the worker knows of all completion queues that it was told of.
    pub fn has_no_new_queue(&mut self) -> bool {
        self.has_new_queue &= !self.items.is_empty();
        !self.has_new_queue
    }

    pub fn send(&mut self, item: WorkItem) -> Result<(), WorkItem> {
        self.has_new_queue |= matches!(item, WorkItem::CreateCq { .. });
        if matches!(
            item,
            WorkItem::Job(_) | WorkItem::Zero(_) | WorkItem::Fill(_) | WorkItem::Gather { .. }
        ) {
            self.sent = self.sent.wrapping_add(1);
        }
        if let WorkItem::Zero(zeroing) = &item {
            self.to_fill_bytes = self.to_fill_bytes.wrapping_add(zeroing.len_bytes);
        }
        self.items.push(item)
    }

    /// After a reset the worker holds nothing.
    pub fn forget_in_flight(&mut self) {
        self.completed_seen = self.done.completed.load(Ordering::Acquire);
        self.sent = self.completed_seen;
        self.to_fill_bytes = self.done.filled_bytes.load(Ordering::Acquire);
    }

    fn in_flight(&self) -> usize {
        self.sent.wrapping_sub(self.completed_seen) as usize
    }
}
