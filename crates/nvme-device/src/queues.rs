//! The controller's half of the queues: indices, doorbell checks, room for completions.

use crate::io::Wait;
use crate::work::CommandRef;
use nvme_spec::SubmissionQueueEntry;

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
}

fn checked_index(value: u32, entries: u16) -> Result<u16, InvalidDoorbell> {
    match u16::try_from(value) {
        Ok(index) if index < entries => Ok(index),
        _ => Err(InvalidDoorbell),
    }
}

/// A command that cannot be done now: there is no buffer space, or it has had its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stalled {
    pub entry: SubmissionQueueEntry,
    pub command: CommandRef,
    pub wait: Wait,
    /// Another dispatcher looks at a copy of it.
    pub is_away: bool,
}

impl Stalled {
    pub fn new(entry: SubmissionQueueEntry, command: CommandRef, wait: Wait) -> Self {
        Self {
            entry,
            command,
            wait,
            is_away: false,
        }
    }
}

/// A submission queue as the controller sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmissionQueue {
    pub base: u64,
    pub entries: u16,
    pub cqid: u16,
    head: u16,
    tail: u16,
    doorbell: Doorbell,
    /// The queue waits behind this command; other queues go on.
    pub stalled: Option<Stalled>,
}

impl SubmissionQueue {
    pub fn new(base: u64, entries: u16, cqid: u16) -> Self {
        Self {
            base,
            entries,
            cqid,
            head: 0,
            tail: 0,
            doorbell: Doorbell::default(),
            stalled: None,
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
        self.head != self.tail || self.stalled.is_some()
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
        self.base
            .wrapping_add(u64::from(self.head) * size_of::<SubmissionQueueEntry>() as u64)
    }

    /// Moves past the entry just fetched; returns the new head.
    pub fn advance(&mut self) -> u16 {
        self.head = if self.head + 1 == self.entries {
            0
        } else {
            self.head + 1
        };
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
        let mut queue = SubmissionQueue::new(0x1000, 4, 1);
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
