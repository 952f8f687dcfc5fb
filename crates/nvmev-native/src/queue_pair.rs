//! The driver's half of a queue pair, as lean as it gets: it is in the figures of what is measured.

use std::sync::atomic::Ordering;

use nvme_device::HostMemory;
use nvme_spec::{Status, SubmissionQueueEntry};

use crate::Machine;

/// Where a doorbell is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doorbell {
    /// In the BAR, at this offset.
    Register(usize),
    /// In RAM, at this address (NVMe Base 2.0 §5.8). The register is never written: the device looks at the shadow in each pass.
    Shadow(u64),
}

impl Doorbell {
    #[inline]
    fn write(self, machine: &Machine, value: u16) {
        let word = match self {
            Self::Register(offset) => machine.bar().get(offset / 4),
            Self::Shadow(address) => machine.word(address),
        };
        let word = word.expect("a doorbell that the driver made");
        word.store(u32::from(value).to_le(), Ordering::Release);
    }
}

/// A command that is done.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Command identifier; free again.
    pub cid: u16,
    /// Its status.
    pub status: Status,
    /// Dwords 0 and 1.
    pub result: u64,
}

/// Addresses and indices of a queue pair of `entries` entries each, and its command identifiers, from 0.
#[derive(Clone, Debug)]
pub struct QueuePair {
    /// Queue identifier.
    pub qid: u16,
    sq_base: u64,
    cq_base: u64,
    entries: u16,
    tail: u16,
    head: u16,
    phase: bool,
    /// Identifiers that no command has. As there are fewer of them than entries, there is always room for a command that has one: whatever is
    /// outstanding, the device has fetched all older entries before it.
    free_cids: Vec<u16>,
    pub(crate) tail_doorbell: Doorbell,
    pub(crate) head_doorbell: Doorbell,
}

impl QueuePair {
    pub(crate) fn new(qid: u16, entries: u16, sq_base: u64, cq_base: u64, doorbells: [Doorbell; 2]) -> Self {
        Self {
            qid,
            sq_base,
            cq_base,
            entries,
            tail: 0,
            head: 0,
            phase: true,
            free_cids: (0..entries - 1).rev().collect(),
            tail_doorbell: doorbells[0],
            head_doorbell: doorbells[1],
        }
    }

    /// Entries of each queue.
    pub fn entries(&self) -> u16 {
        self.entries
    }

    /// Commands that are not done.
    pub fn outstanding(&self) -> usize {
        usize::from(self.entries) - 1 - self.free_cids.len()
    }

    /// An identifier for a new command, below the number of entries less one, or nothing if so many commands are outstanding.
    #[inline]
    pub fn take_cid(&mut self) -> Option<u16> {
        self.free_cids.pop()
    }

    /// Puts `entry`, whose identifier is from [`QueuePair::take_cid`], into the queue. The device sees it after [`QueuePair::ring`].
    ///
    /// # Panics
    /// If the queue is not in RAM.
    #[inline]
    pub fn place(&mut self, machine: &Machine, entry: &SubmissionQueueEntry) {
        let address = self.sq_base + u64::from(self.tail) * size_of::<SubmissionQueueEntry>() as u64;
        machine.place(address, entry).expect("the queue is in RAM");
        self.tail = self.after(self.tail);
    }

    /// Tells the device of all entries placed.
    #[inline]
    pub fn ring(&self, machine: &Machine) {
        self.tail_doorbell.write(machine, self.tail);
    }

    /// Takes the next completion out, if it is there. The device sees that there is room after [`QueuePair::ring_head`].
    ///
    /// # Panics
    /// If the queue is not in RAM.
    #[inline]
    pub fn reap(&mut self, machine: &Machine) -> Option<Completion> {
        let address = self.cq_base + u64::from(self.head) * 16;
        let half = machine.completion(address).expect("the queue is in RAM");
        let (cid, status) = ((half >> 32) as u16, (half >> 48) as u16);
        if (status & 1 != 0) != self.phase {
            return None;
        }
        let result = machine.completion_result(address)?;
        self.head = self.after(self.head);
        if self.head == 0 {
            self.phase = !self.phase;
        }
        self.free_cids.push(cid);
        Some(Completion {
            cid,
            status: Status(status >> 1 & 0x7FF),
            result,
        })
    }

    /// Whether everything outstanding is done and waits to be taken out.
    pub fn is_done(&self, machine: &Machine) -> bool {
        let Some(last) = self.outstanding().checked_sub(1) else {
            return true;
        };
        let at = usize::from(self.head) + last;
        let entries = usize::from(self.entries);
        let phase = self.phase == (at < entries);
        let half = machine.completion(self.cq_base + (at % entries) as u64 * 16);
        half.is_some_and(|half| (half >> 48 & 1 != 0) == phase)
    }

    /// Tells the device that what was reaped is taken out.
    #[inline]
    pub fn ring_head(&self, machine: &Machine) {
        self.head_doorbell.write(machine, self.head);
    }

    fn after(&self, index: u16) -> u16 {
        if index + 1 == self.entries {
            0
        } else {
            index + 1
        }
    }
}
