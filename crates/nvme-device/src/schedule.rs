//! Completions in the order of their time.

use alloc::collections::{BinaryHeap, TryReserveError};
use core::cmp::Ordering;

use nvme_spec::Status;

use crate::work::CommandRef;
use crate::DISPATCHERS_MAX;

const _: () = assert!(DISPATCHERS_MAX <= u8::MAX as usize);

/// A completion that waits for its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub done_at_ns: u64,
    /// Order of arrival: completions that are due at the same time leave in the order in which they came.
    sequence: u64,
    /// Which of the worker's inlets it came through: there is one of each dispatcher.
    pub inlet: u8,
    /// See [`Job::is_timed`](crate::work::Job::is_timed).
    pub is_timed: bool,
    pub command: CommandRef,
    pub status: Status,
    pub result: u64,
}

impl Pending {
    fn key(&self) -> (u64, u64) {
        (self.done_at_ns, self.sequence)
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    /// Earliest greatest: the standard heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// A heap of pending completions that never grows beyond what was allocated at set-up.
pub(crate) struct Schedule {
    heap: BinaryHeap<Pending>,
    next_sequence: u64,
    capacity: usize,
}

impl Schedule {
    pub fn new(capacity: usize) -> Result<Self, TryReserveError> {
        let mut heap = BinaryHeap::new();
        heap.try_reserve_exact(capacity)?;
        Ok(Self {
            heap,
            next_sequence: 0,
            capacity,
        })
    }

    /// Adds a completion. The caller has made sure that there is room.
    pub fn push(
        &mut self,
        inlet: usize,
        done_at_ns: u64,
        is_timed: bool,
        command: CommandRef,
        status: Status,
        result: u64,
    ) {
        debug_assert!(
            self.heap.len() < self.capacity,
            "the controller limits what is in flight"
        );
        self.heap.push(Pending {
            done_at_ns,
            sequence: self.next_sequence,
            inlet: inlet as u8,
            is_timed,
            command,
            status,
            result,
        });
        self.next_sequence = self.next_sequence.wrapping_add(1);
    }

    /// Takes the earliest completion out if it is due at `now_ns`.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<Pending> {
        if self.heap.peek()?.done_at_ns > now_ns {
            return None;
        }
        self.heap.pop()
    }

    /// The earliest completion.
    pub fn next(&self) -> Option<&Pending> {
        self.heap.peek()
    }

    /// Makes every completion for which `is_meant` holds due at `now_ns` with `status`; returns how many there were.
    /// Linear: aborts are rare.
    pub fn end_early(&mut self, now_ns: u64, status: Status, is_meant: impl Fn(CommandRef) -> bool) -> usize {
        let mut entries = core::mem::take(&mut self.heap).into_vec();
        let mut ended = 0;
        for entry in entries.iter_mut().filter(|entry| is_meant(entry.command)) {
            (entry.done_at_ns, entry.status, entry.result) = (now_ns, status, 0);
            entry.is_timed = false;
            ended += 1;
        }
        self.heap = BinaryHeap::from(entries);
        ended
    }

    pub fn clear(&mut self) {
        self.heap.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(cid: u16) -> CommandRef {
        CommandRef {
            sqid: cid % 2 + 1,
            cqid: 1,
            cid,
        }
    }

    #[test]
    fn completions_leave_by_time_then_by_arrival_and_never_early() {
        let mut schedule = Schedule::new(8).unwrap();
        for (cid, at) in [(0, 30), (1, 10), (2, 30), (3, 20)] {
            schedule.push(0, at, true, command(cid), Status::SUCCESSFUL_COMPLETION, 0);
        }
        assert_eq!(schedule.next().map(|next| next.done_at_ns), Some(10));
        assert!(schedule.pop_due(9).is_none());
        let order: alloc::vec::Vec<u16> = core::iter::from_fn(|| schedule.pop_due(30))
            .map(|pending| pending.command.cid)
            .collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn an_abort_ends_only_what_is_meant() {
        let mut schedule = Schedule::new(8).unwrap();
        for cid in 0..4 {
            schedule.push(0, 1000, true, command(cid), Status::SUCCESSFUL_COMPLETION, 7);
        }
        let ended = schedule.end_early(5, Status::COMMAND_ABORTED_SQ_DELETION, |command| {
            command.sqid == 1
        });
        assert_eq!(ended, 2);
        let first = schedule.pop_due(5).unwrap();
        assert_eq!(
            (first.command.cid, first.status, first.result, first.is_timed),
            (0, Status::COMMAND_ABORTED_SQ_DELETION, 0, false)
        );
        assert_eq!(schedule.pop_due(5).unwrap().command.cid, 2);
        assert!(schedule.pop_due(999).is_none());
    }
}
