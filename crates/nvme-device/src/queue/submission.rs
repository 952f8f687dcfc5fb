//! The controller's half of the queues: indices, doorbell checks, room for completions.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use nvme_spec::SubmissionQueueEntry;

use crate::command::reserved::WaitingCommand;
use crate::command::wait::Wait;
use crate::limits::BURST_MAX;
use crate::queue::doorbell::{distance, Doorbell, InvalidDoorbell};

/// Commands of a queue that were fetched and are not taken on yet, in their order: there is no buffer space, the first has had its turn, or another
/// dispatcher looks at copies of them.
#[derive(Debug)]
pub(crate) struct Held {
    /// With room for [`BURST_MAX`] in an I/O queue.
    entries: Vec<SubmissionQueueEntry>,
    /// What the first waits for.
    wait: Wait,
    /// So many, from the first on, are with another dispatcher.
    away: usize,
}

impl Held {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            wait: Wait::until(0),
            away: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn is_away(&self) -> bool {
        self.away > 0
    }

    /// The first command, and what it waits for.
    pub fn first(&self) -> Option<(&SubmissionQueueEntry, Wait)> {
        Some((self.entries.first()?, self.wait))
    }

    pub fn iter(&self) -> impl Iterator<Item = &SubmissionQueueEntry> {
        self.entries.iter()
    }

    /// Adds a command that was just fetched, behind the others; the first waits for `wait`.
    pub fn add(&mut self, entry: SubmissionQueueEntry, command: WaitingCommand, wait: Wait) {
        debug_assert!(self.entries.len() < self.entries.capacity(), "a burst at most");
        self.entries.push(entry);
        self.wait_again(command, wait);
    }

    /// A command could not be started: it stays, and the first waits for this.
    pub fn wait_again(&mut self, _command: WaitingCommand, wait: Wait) {
        self.wait = wait;
    }

    /// The first waits for this.
    pub fn wait_for(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// The first is looked at again at once.
    pub fn look_again(&mut self) {
        self.wait.retry_at_ns = 0;
    }

    /// The first were taken on.
    pub fn take_first(&mut self, taken: usize) {
        self.entries.drain(..taken.min(self.entries.len()));
        self.wait = Wait::until(0);
        self.away = self.away.saturating_sub(taken);
    }

    /// Takes the command with this identifier out; whether there is one.
    pub fn take(&mut self, cid: u16) -> bool {
        let index = self.entries.iter().position(|entry| entry.cid.get() == cid);
        match index {
            Some(0) => self.take_first(1),
            Some(index) => drop(self.entries.remove(index)),
            None => {}
        }
        index.is_some()
    }

    /// So many of them have gone to another dispatcher.
    pub fn send(&mut self, away: usize) {
        self.away = away;
    }

    /// All of them are here again.
    pub fn call_back(&mut self) {
        self.away = 0;
    }
}

/// A submission queue as the controller sees it.
#[derive(Debug)]
pub(crate) struct SubmissionQueue {
    pub base: u64,
    pub entries: u16,
    pub cqid: u16,
    head: u16,
    tail: u16,
    doorbell: Doorbell,
    /// The queue waits behind these commands; other queues go on.
    pub held: Held,
}

impl SubmissionQueue {
    /// A queue for I/O, with room for commands that it holds.
    ///
    /// # Errors
    /// Out of memory.
    pub fn for_io(base: u64, entries: u16, cqid: u16) -> Result<Self, TryReserveError> {
        let mut queue = Self::new(base, entries, cqid);
        queue.held.entries.try_reserve_exact(BURST_MAX)?;
        Ok(queue)
    }

    /// The admin queue, which holds no command.
    pub fn for_admin(base: u64, entries: u16) -> Self {
        Self::new(base, entries, 0)
    }

    fn new(base: u64, entries: u16, cqid: u16) -> Self {
        Self {
            base,
            entries,
            cqid,
            head: 0,
            tail: 0,
            doorbell: Doorbell::default(),
            held: Held::new(),
        }
    }

    /// Entries submitted and not yet fetched.
    pub fn pending(&self) -> u16 {
        distance(self.head, self.tail, self.entries)
    }

    /// Entries to be fetched that lie one after the other, up to the queue's end.
    pub fn contiguous(&self) -> u16 {
        self.pending().min(self.entries - self.head)
    }

    /// Whether there is something to do: entries to fetch, or a command that waits.
    pub fn is_busy(&self) -> bool {
        self.head != self.tail || !self.held.is_empty()
    }

    /// Takes the tail doorbell's value over.
    ///
    /// # Errors
    /// The value is no index of the queue, or goes back over entries already submitted.
    pub fn ring_doorbell(&mut self, value: u32) -> Result<(), InvalidDoorbell> {
        let tail = self.doorbell.changed(value, self.entries)?;
        self.move_tail(tail)
    }

    /// As [`SubmissionQueue::ring_doorbell`], with the shadow's value.
    pub fn ring_shadow_doorbell(&mut self, value: u32) -> Result<(), InvalidDoorbell> {
        let tail = self.doorbell.shadow_changed(value, self.entries)?;
        self.move_tail(tail)
    }

    /// From now on there is a shadow doorbell, with the value returned.
    pub fn begin_shadow_doorbell(&mut self) -> u16 {
        self.doorbell.shadow = self.tail.into();
        self.tail
    }

    /// The shadow doorbell's value as last judged.
    pub fn shadow_doorbell(&self) -> u32 {
        self.doorbell.shadow
    }

    /// There is no shadow doorbell any more. The register, which is `register` now, counts from here on: at once if it is ahead of what the shadow said.
    pub fn end_shadow_doorbell(&mut self, register: u32) {
        let tail = self.tail;
        self.doorbell
            .end_shadow(register, |index| index > tail, self.entries);
    }

    fn move_tail(&mut self, tail: Option<u16>) -> Result<(), InvalidDoorbell> {
        let Some(tail) = tail else {
            return Ok(());
        };
        if distance(self.head, tail, self.entries) < self.pending() {
            return Err(InvalidDoorbell);
        }
        self.tail = tail;
        Ok(())
    }

    /// Address of the next entry to fetch.
    pub fn next_entry_address(&self) -> u64 {
        self.entry_address(self.head)
    }

    /// Address of the entry that comes after the next one.
    pub fn second_entry_address(&self) -> u64 {
        self.entry_address(self.after_head())
    }

    fn entry_address(&self, index: u16) -> u64 {
        self.base
            .wrapping_add(u64::from(index) * size_of::<SubmissionQueueEntry>() as u64)
    }

    fn after_head(&self) -> u16 {
        if self.head + 1 == self.entries {
            0
        } else {
            self.head + 1
        }
    }

    /// Moves past the entry just fetched; returns the new head.
    pub fn advance(&mut self) -> u16 {
        self.head = self.after_head();
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_doorbell_goes_forward_only_and_stays_in_the_queue() {
        let mut queue = SubmissionQueue::for_io(0x1000, 4, 1).unwrap();
        assert_eq!(queue.ring_doorbell(3), Ok(()));
        assert_eq!(queue.pending(), 3);
        assert_eq!(queue.ring_doorbell(1), Err(InvalidDoorbell), "backwards");
        assert_eq!(queue.ring_doorbell(1), Ok(()), "judged once");
        assert_eq!(queue.ring_doorbell(4), Err(InvalidDoorbell), "beyond the queue");
        assert_eq!(
            queue.ring_doorbell(0x1_0000),
            Err(InvalidDoorbell),
            "beyond 16 bits"
        );
        assert_eq!(queue.pending(), 3);
        assert_eq!([queue.advance(), queue.advance()], [1, 2]);
        assert_eq!(queue.ring_doorbell(1), Ok(()), "round the end");
        assert_eq!(queue.pending(), 3);
        assert_eq!([queue.advance(), queue.advance(), queue.advance()], [3, 0, 1]);
        assert_eq!(queue.next_entry_address(), 0x1040);
        assert_eq!(queue.second_entry_address(), 0x1080);
    }
}
