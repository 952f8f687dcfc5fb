//! Doorbells in the host's memory, beside those in the BAR (NVMe Base 2.0 §5.8 and annex B.5).
//!
//! A host that has set the buffers up writes a doorbell's value to the shadow first, and to the register only if the value passes the EventIdx. As
//! every pass looks at the shadows, no host ever has to ring: the EventIdx is one that no index of a queue passes, and that stays where it is. So there
//! is no moment at which a host could miss that it changed. (A host that compares modulo 2^16, as Linux, rings once each time around its queue.)

use alloc::vec::Vec;

use super::lane::Lane;
use crate::bar::Bar;
use crate::device::{table, SetupError};
use crate::host::{Host, MemoryFault};
use crate::{IO_QUEUE_PAIRS_MAX, QUEUE_ENTRIES_MAX};

/// An EventIdx beyond every index.
const EVENT_INDEX_NEVER: u32 = 0xFFFF;
const _: () = assert!((QUEUE_ENTRIES_MAX as u32) < EVENT_INDEX_NEVER);

/// Bytes of a doorbell, and of the two of a queue identifier (CAP.DSTRD = 0): tail of the submission queue, head of the completion queue.
const DOORBELL_BYTES: u64 = 4;
const PAIR_BYTES: u64 = 2 * DOORBELL_BYTES;
/// No doorbell's value: no queue has such an index.
const NEVER_SEEN: u32 = u32::MAX;
/// Which of the two.
const TAIL: usize = 0;
const HEAD: usize = 1;

/// Where the buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoorbellBuffers {
    /// What the host writes.
    pub shadows: u64,
    /// What we write.
    pub event_indices: u64,
}

impl DoorbellBuffers {
    /// Gives a doorbell the value `value`, and its EventIdx the one that it keeps.
    fn begin<H: Host>(self, offset: u64, value: u16, host: &H) -> Result<(), MemoryFault> {
        host.write(
            self.event_indices.wrapping_add(offset),
            &EVENT_INDEX_NEVER.to_le_bytes(),
        )?;
        host.write(self.shadows.wrapping_add(offset), &u32::from(value).to_le_bytes())
    }
}

/// The shadow doorbells, if the host has set them up.
pub(crate) struct ShadowDoorbells {
    /// Whether the host can.
    is_offered: bool,
    buffers: Option<DoorbellBuffers>,
    /// What they are, for each queue identifier: read at once, and not on the stack.
    read: Vec<[u32; 2]>,
    /// What was made of them: queues whose doorbells are still that cost a comparison.
    seen: Vec<[u32; 2]>,
}

impl ShadowDoorbells {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            is_offered: true,
            buffers: None,
            read: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [0; 2])?,
            seen: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [0; 2])?,
        })
    }

    /// Looks at the buffers that `other` looks at, as if for the first time.
    pub fn follow(&mut self, other: &Self) {
        self.buffers = other.buffers;
        self.look_again();
    }

    /// Whatever the doorbells are, they are to be looked at.
    pub fn look_again(&mut self) {
        self.seen.fill([NEVER_SEEN; 2]);
    }

    /// A controller level reset: the host has to set them up anew.
    pub fn reset(&mut self) {
        self.buffers = None;
    }

    /// A submission queue is there from now on; its tail is 0.
    ///
    /// # Errors
    /// If the buffers are not in memory any more.
    pub fn begin_submission_queue<H: Host>(&mut self, sqid: u16, host: &H) -> Result<(), MemoryFault> {
        self.begin(sqid, TAIL, host)
    }

    /// A completion queue is there from now on; its head is 0.
    ///
    /// # Errors
    /// If the buffers are not in memory any more.
    pub fn begin_completion_queue<H: Host>(&mut self, cqid: u16, host: &H) -> Result<(), MemoryFault> {
        self.begin(cqid, HEAD, host)
    }

    fn begin<H: Host>(&mut self, qid: u16, which: usize, host: &H) -> Result<(), MemoryFault> {
        let seen = self.seen.get_mut(usize::from(qid));
        if let Some(seen) = seen.and_then(|pair| pair.get_mut(which)) {
            *seen = 0;
        }
        let offset = u64::from(qid) * PAIR_BYTES + which as u64 * DOORBELL_BYTES;
        self.buffers
            .map_or(Ok(()), |buffers| buffers.begin(offset, 0, host))
    }
}

impl Lane {
    /// From now on, before a host is there, there is no Doorbell Buffer Config.
    pub fn withhold_shadow_doorbells(&mut self) {
        self.shadow_doorbells.is_offered = false;
    }

    /// Whether there is Doorbell Buffer Config.
    pub fn has_shadow_doorbells(&self) -> bool {
        self.shadow_doorbells.is_offered
    }

    /// Looks at `buffers` from now on. The doorbells there begin where those of the queues are: whatever the host had in the buffers, it changes
    /// a doorbell by writing to it.
    ///
    /// # Errors
    /// If the buffers are not in memory.
    pub fn use_shadow_doorbells<H: Host>(
        &mut self,
        buffers: DoorbellBuffers,
        host: &H,
    ) -> Result<(), MemoryFault> {
        // Of all queues that there may be before anything is changed: both buffers are in a page each.
        let end = u64::from(IO_QUEUE_PAIRS_MAX + 1) * PAIR_BYTES;
        for buffer in [buffers.shadows, buffers.event_indices] {
            let mut word = [0; DOORBELL_BYTES as usize];
            host.read(buffer, &mut word)?;
            host.read(buffer.wrapping_add(end - DOORBELL_BYTES), &mut word)?;
        }
        (0..self.queues_end).for_each(|cqid| self.look_at_head(cqid, Bar(host.bar())));
        for (qid, seen) in (0usize..).zip(&mut self.shadow_doorbells.seen) {
            let offset = qid as u64 * PAIR_BYTES;
            if let Some(Some(queue)) = self.submission_queues.get_mut(qid) {
                let tail = queue.begin_shadow_doorbell();
                buffers.begin(offset, tail, host)?;
                seen[TAIL] = tail.into();
            }
            if let Some(Some(queue)) = self.completion_queues.get_mut(qid) {
                let head = queue.begin_shadow_doorbell();
                buffers.begin(offset + DOORBELL_BYTES, head, host)?;
                seen[HEAD] = head.into();
            }
        }
        self.shadow_doorbells.buffers = Some(buffers);
        Ok(())
    }

    /// Takes over what the host has written to the shadow doorbells.
    pub(super) fn poll_shadow_doorbells<H: Host>(&mut self, host: &H) {
        let ShadowDoorbells {
            buffers: Some(buffers),
            read,
            seen,
            ..
        } = &mut self.shadow_doorbells
        else {
            return;
        };
        let read = read.get_mut(..self.queues_end.into()).unwrap_or_default();
        if host.load(buffers.shadows, read.as_flattened_mut()).is_err() {
            self.notes.is_broken = true;
            return;
        }
        for ((qid, read), seen) in (0u16..).zip(&*read).zip(seen) {
            if read == seen {
                continue;
            }
            *seen = *read;
            let [tail, head] = *read;
            let index = usize::from(qid);
            if let Some(Some(queue)) = self.submission_queues.get_mut(index) {
                self.notes.has_invalid_doorbell |= queue.ring_shadow_doorbell(tail).is_err();
                self.doorbells.set_busy(qid, queue.is_busy());
            }
            if let Some(Some(queue)) = self.completion_queues.get_mut(index) {
                let posted = self.shared.cq_posted(qid);
                self.notes.has_invalid_doorbell |= queue.ring_shadow_doorbell(head, posted).is_err();
                // A value that cannot be judged yet is looked at again.
                seen[HEAD] = queue.shadow_doorbell();
            }
        }
    }
}
