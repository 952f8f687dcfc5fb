//! A completion queue: room for completions, and its head doorbell.

use crate::command::id::CommandRef;
use crate::command::reserved::Reserved;
use crate::queue::doorbell::{distance, Doorbell, InvalidDoorbell};

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
    pub promised: u32,
    pub consumed: u32,
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

    /// As [`end_shadow_doorbell`](crate::queue::submission::SubmissionQueue::end_shadow_doorbell) of a submission queue.
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

    /// Promises room for the completion of `command`.
    pub fn reserve(&mut self, command: CommandRef) -> Reserved {
        self.promised = self.promised.wrapping_add(1);
        Reserved::new(command)
    }

    /// Takes a promise back: the command will be completed at some other time, with room of its own.
    pub fn release(&mut self, reserved: Reserved) {
        reserved.end();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_doorbell_cannot_pass_what_was_posted() {
        let mut queue = CompletionQueue::new(4, None);
        for _ in 0..3 {
            assert!(queue.has_room());
            queue.reserve(CommandRef::admin(0)).end();
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
            queue.reserve(CommandRef::admin(0)).end();
        }
        assert_eq!(queue.outstanding(), 3);
        assert_eq!(queue.ring_doorbell(3, 1), Ok(()));
        assert_eq!(queue.outstanding(), 0);
        assert_eq!(queue.unposted(1), 0);
    }
}
