//! The controller's half of the queues: indices, doorbell checks, room for completions.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use nvme_spec::SubmissionQueueEntry;

use crate::io::Wait;
use crate::BURST_MAX;

/// A doorbell value that a well-behaved host cannot write (NVMe Base 2.0 figure 147, Invalid Doorbell Write Value).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidDoorbell;

/// What a doorbell was last seen to hold, so that each write is judged once: the register, and its shadow in the host's memory.
#[derive(Clone, Copy, Debug, Default)]
struct Doorbell {
    register: u32,
    shadow: u32,
    /// The host has written to the shadow. From then on the register only repeats what was there, and may be late with it: it is checked, but
    /// has nothing new to say.
    is_shadowed: bool,
}

impl Doorbell {
    /// The register's new value if it changed since the last look and is an index of the queue.
    fn changed(&mut self, value: u32, entries: u16) -> Result<Option<u16>, InvalidDoorbell> {
        if value == self.register {
            return Ok(None);
        }
        self.register = value;
        let index = checked_index(value, entries)?;
        Ok(Some(index).filter(|_| !self.is_shadowed))
    }

    /// As [`Doorbell::changed`], of the shadow.
    fn shadow_changed(&mut self, value: u32, entries: u16) -> Result<Option<u16>, InvalidDoorbell> {
        if value == self.shadow {
            return Ok(None);
        }
        self.shadow = value;
        let index = checked_index(value, entries)?;
        self.is_shadowed = true;
        Ok(Some(index))
    }

    /// There is no shadow any more. What the register holds, if it was late with what the shadow said, has nothing new to say; `is_new` tells whether it does.
    fn end_shadow(&mut self, register: u32, is_new: impl FnOnce(u16) -> bool, entries: u16) {
        if !core::mem::take(&mut self.is_shadowed) {
            return;
        }
        if !checked_index(register, entries).is_ok_and(is_new) {
            self.register = register;
        }
    }
}

fn checked_index(value: u32, entries: u16) -> Result<u16, InvalidDoorbell> {
    match u16::try_from(value) {
        Ok(index) if index < entries => Ok(index),
        _ => Err(InvalidDoorbell),
    }
}

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

    /// Adds a command that was just fetched, behind the others.
    pub fn add(&mut self, entry: SubmissionQueueEntry) {
        debug_assert!(self.entries.len() < self.entries.capacity(), "a burst at most");
        self.entries.push(entry);
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

/// A completion queue as the controller sees it: it hands out room before a command is fetched, so that a worker never
/// meets a full queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompletionQueue {
    pub entries: u16,
    /// Interrupt vector, if the queue has interrupts.
    pub vector: Option<u16>,
    /// Submission queues that complete here.
    pub users: u16,
    /// Entries promised to commands, and entries the host has consumed, since the queue was made (wrapping).
    promised: u32,
    consumed: u32,
    head: u16,
    doorbell: Doorbell,
}

impl CompletionQueue {
    pub fn new(entries: u16, vector: Option<u16>) -> Self {
        Self {
            entries,
            vector,
            users: 0,
            promised: 0,
            consumed: 0,
            head: 0,
            doorbell: Doorbell::default(),
        }
    }

    /// Takes the head doorbell's value over, when `posted` entries have been posted in all.
    ///
    /// # Errors
    /// The value is no index of the queue, or passes entries that were never promised.
    pub fn ring_doorbell(&mut self, value: u32, posted: u32) -> Result<(), InvalidDoorbell> {
        let before = self.doorbell;
        let head = self.doorbell.changed(value, self.entries)?;
        self.move_head(head, posted, before)
    }

    /// As [`CompletionQueue::ring_doorbell`], with the shadow's value.
    pub fn ring_shadow_doorbell(&mut self, value: u32, posted: u32) -> Result<(), InvalidDoorbell> {
        let before = self.doorbell;
        let head = self.doorbell.shadow_changed(value, self.entries)?;
        self.move_head(head, posted, before)
    }

    /// From now on there is a shadow doorbell, with the value returned.
    pub fn begin_shadow_doorbell(&mut self) -> u16 {
        self.doorbell.shadow = self.head.into();
        self.head
    }

    /// The shadow doorbell's value as last judged.
    pub fn shadow_doorbell(&self) -> u32 {
        self.doorbell.shadow
    }

    /// As [`SubmissionQueue::end_shadow_doorbell`].
    pub fn end_shadow_doorbell(&mut self, register: u32) {
        let (head, entries, outstanding) = (self.head, self.entries, self.outstanding());
        let is_new = |index| u32::from(distance(head, index, entries)) <= outstanding;
        self.doorbell.end_shadow(register, is_new, entries);
    }

    fn move_head(&mut self, head: Option<u16>, posted: u32, before: Doorbell) -> Result<(), InvalidDoorbell> {
        let Some(head) = head else {
            return Ok(());
        };
        let consumed_now = u32::from(distance(self.head, head, self.entries));
        if consumed_now > self.outstanding() {
            return Err(InvalidDoorbell);
        }
        if consumed_now > posted.wrapping_sub(self.consumed) {
            // The host was quicker than the worker's count of what it has just posted: look again at the next pass.
            self.doorbell = before;
            return Ok(());
        }
        self.head = head;
        self.consumed = self.consumed.wrapping_add(consumed_now);
        Ok(())
    }

    pub fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether there is room for so many completions.
    pub fn has_room_for(&self, completions: u32) -> bool {
        self.outstanding() + completions < u32::from(self.entries)
    }

    /// Promises room for one completion.
    pub fn reserve(&mut self) {
        self.promised = self.promised.wrapping_add(1);
    }

    /// Takes a promise back: the command will be completed at some other time, with room of its own.
    pub fn release(&mut self) {
        self.promised = self.promised.wrapping_sub(1);
    }

    /// Completions promised since the queue was made (wrapping).
    pub fn promised(&self) -> u32 {
        self.promised
    }

    /// Whether the host has consumed so many completions since the queue was made (wrapping).
    pub fn has_consumed(&self, completions: u32) -> bool {
        self.consumed.wrapping_sub(completions) as i32 >= 0
    }

    /// Completions promised and not yet consumed by the host.
    pub fn outstanding(&self) -> u32 {
        self.promised.wrapping_sub(self.consumed)
    }

    /// Whether entries have been posted that the host has not consumed.
    pub fn has_unseen(&self, posted: u32) -> bool {
        posted != self.consumed
    }

    /// How many completions were promised that have not been posted.
    pub fn unposted(&self, posted: u32) -> u32 {
        self.promised.wrapping_sub(posted)
    }
}

/// Steps from `from` forward to `to` in a ring of `entries`.
fn distance(from: u16, to: u16, entries: u16) -> u16 {
    if to >= from {
        to - from
    } else {
        entries - from + to
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

    #[test]
    fn a_head_doorbell_cannot_pass_what_was_posted() {
        let mut queue = CompletionQueue::new(4, None);
        for _ in 0..3 {
            assert!(queue.has_room());
            queue.reserve();
        }
        assert!(!queue.has_room(), "one entry stays free: full and empty differ");
        assert_eq!(queue.ring_doorbell(2, 1), Ok(()), "one is not counted yet");
        assert_eq!(queue.outstanding(), 3);
        assert_eq!(queue.ring_doorbell(2, 2), Ok(()), "now it is");
        assert_eq!(queue.outstanding(), 1);
        assert_eq!(queue.ring_doorbell(0, 3), Err(InvalidDoorbell), "never promised");
        assert!(queue.has_room());
        assert_eq!(queue.ring_doorbell(4, 3), Err(InvalidDoorbell));
    }

    #[test]
    fn counters_wrap_without_harm() {
        let mut queue = CompletionQueue::new(8, None);
        queue.promised = u32::MAX - 1;
        queue.consumed = u32::MAX - 1;
        for _ in 0..3 {
            queue.reserve();
        }
        assert_eq!(queue.outstanding(), 3);
        assert_eq!(queue.ring_doorbell(3, 1), Ok(()));
        assert_eq!(queue.outstanding(), 0);
        assert_eq!(queue.unposted(1), 0);
    }
}
