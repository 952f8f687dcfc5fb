//! Doorbells in the host's memory, beside those in the BAR (NVMe Base 2.0 §5.8 and annex B.5).
//!
//! A host that has set the buffers up writes a doorbell's value to the shadow first, and to the register only if the value passes the EventIdx. As
//! every pass looks at the shadows, no host ever has to ring: the EventIdx is one that no index of a queue passes, and that stays where it is. So there
//! is no moment at which a host could miss that it changed. (A host that compares modulo 2^16, as Linux, rings once each time around its queue.)
//!
//! # Hosts that release the pages
//!
//! The specification has the buffers in use until a reset. SPDK releases them before: on each detach and reset it frees first the page of shadows, then
//! that of EventIdx values, and only then writes CC.SHN or clears CC.EN. A freed page reads as zeros, or as anything once it is used again. Taken for a
//! doorbell, a zero is a tail that went around the end of the queue, and up to a whole queue of old commands would be executed again: writes of older
//! data, or a format.
//!
//! So a changed pair of shadows (tail and head of one identifier) is believed only while both pages are known to be the host's doorbells:
//!
//! - **Marks.** No driver writes an EventIdx, the last words of the page of shadows, or, with the drivers of Linux and SPDK, the shadows of queue 0. The
//!   controller puts a mark there: a number in the upper half of the word, which is reserved in a doorbell, not 0, and another one for each setup. The marks
//!   are read *after* the shadow that changed ([`HostMemory::load`] keeps the order). If one of them is gone, so are the pages. As the page of
//!   shadows has a mark at its beginning and one at its end, a page that is being cleared has lost one of them before a doorbell in it reads as zero,
//!   whichever end the host began at. EventIdx alone would not do: SPDK's page of shadows is zero while that of EventIdx values is still whole.
//! - **Queue 0.** A driver that follows the specification to the letter writes the shadows of queue 0, too. Until it has, they hold their marks. After two
//!   admin commands that only the register told of, the driver is one that rings the register, and then any other value in these words means that the
//!   page is gone. Before that, two zeros at once mean the same: the head is 0 only after a completion that needed a tail of 0, which would have been seen.
//! - **Pairs.** A head that consumes completions that were never promised, together with a new tail, is no pair of doorbells: such are old contents
//!   of the same page.
//! - **CC.** A new tail is taken only while CC has EN set and SHN clear.
//!
//! If the pages are gone, nothing is read from them or written to them any more, and the registers count until a reset or the next Doorbell Buffer Config. The
//! host is told of no error. What is left: a host that overwrites single doorbells of a page that it has released, and leaves the marks in it alone, cannot
//! be told from a driver. Nothing that clears a page, or uses it for something else from its beginning on, does that.

use alloc::vec::Vec;

use nvme_spec::registers::ControllerConfiguration;
use nvme_spec::{registers, PAGE_SIZE_BYTES};

use crate::host::{HostMemory, MemoryFault};
use crate::limits::{IO_QUEUE_PAIRS_MAX, QUEUE_ENTRIES_MAX};
use crate::pci::bar::Bar;
use crate::setup::{table, SetupError};

/// An EventIdx beyond every index. In the upper half, which drivers do not look at or which makes it greater still, is the setup's mark.
pub(crate) const EVENT_INDEX_NEVER: u32 = 0xFFFF;
const _: () = assert!((QUEUE_ENTRIES_MAX as u32) < EVENT_INDEX_NEVER);

/// Bytes of a doorbell, and of the two of a queue identifier (CAP.DSTRD = 0): tail of the submission queue, head of the completion queue.
pub(crate) const DOORBELL_BYTES: u64 = 4;
const PAIR_BYTES: u64 = 2 * DOORBELL_BYTES;
/// The last pair of a page: no queue's.
pub(crate) const LAST_PAIR_OFFSET: u64 = PAGE_SIZE_BYTES as u64 - PAIR_BYTES;
const _: () = assert!((IO_QUEUE_PAIRS_MAX as u64 + 1) * PAIR_BYTES <= LAST_PAIR_OFFSET);
/// No doorbell's value: no queue has such an index.
const NEVER_SEEN: u32 = u32::MAX;
/// Which of the two.
pub(crate) const TAIL: usize = 0;
pub(crate) const HEAD: usize = 1;

/// Admin commands that only the register told of, after which a driver has shown that it does not write the shadows of queue 0.
pub(crate) const COMMANDS_BY_REGISTER: u8 = 2;

/// Where the buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoorbellBuffers {
    /// What the host writes.
    pub shadows: u64,
    /// What we write.
    pub event_indices: u64,
}

/// Whether the host writes the shadows of queue 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminShadows {
    /// Not known. So many commands came by the register since the host took the completion of Doorbell Buffer Config out, which it has when it has
    /// consumed this many.
    Unknown {
        commands: u8,
        consumed: u32,
    },
    /// The registers count.
    Unused,
    Used,
}

/// Buffers that the host has set up, and how they are recognised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub buffers: DoorbellBuffers,
    /// Each EventIdx, and both words at the end of the page of shadows.
    pub mark: u32,
    /// What queue 0's shadows hold until the host writes them: a mark, too.
    pub admin_words: [u32; 2],
    pub admin: AdminShadows,
}

impl Setup {
    fn shadow(&self, qid: u16, which: usize) -> u64 {
        let offset = u64::from(qid) * PAIR_BYTES + which as u64 * DOORBELL_BYTES;
        self.buffers.shadows.wrapping_add(offset)
    }

    fn event_indices(&self, qid: u16) -> u64 {
        self.buffers
            .event_indices
            .wrapping_add(u64::from(qid) * PAIR_BYTES)
    }

    /// Whether the pages are still the host's doorbells. True also of what was read from queue `qid`'s shadows before.
    pub fn has_pages<H: HostMemory>(&self, qid: u16, host: &H) -> Result<bool, MemoryFault> {
        let load_pair = |address| {
            let mut pair = [0; 2];
            host.load(address, &mut pair)?;
            Ok(pair)
        };
        let marks = [self.mark; 2];
        if load_pair(self.event_indices(qid))? != marks
            || load_pair(self.buffers.shadows.wrapping_add(LAST_PAIR_OFFSET))? != marks
        {
            return Ok(false);
        }
        Ok(match self.admin {
            AdminShadows::Used => true,
            AdminShadows::Unused => load_pair(self.buffers.shadows)? == self.admin_words,
            AdminShadows::Unknown { .. } => load_pair(self.buffers.shadows)? != [0; 2],
        })
    }

    /// Puts the marks into both pages.
    pub fn write_marks<H: HostMemory>(&self, host: &H) -> Result<(), MemoryFault> {
        let bytes = |pair: [u32; 2]| (u64::from(pair[1]) << 32 | u64::from(pair[0])).to_le_bytes();
        for qid in 0..=IO_QUEUE_PAIRS_MAX {
            host.write(self.event_indices(qid), &bytes([self.mark; 2]))?;
        }
        host.write(self.buffers.shadows, &bytes(self.admin_words))?;
        host.write(
            self.buffers.shadows.wrapping_add(LAST_PAIR_OFFSET),
            &bytes([self.mark; 2]),
        )
    }

    pub fn write_shadow<H: HostMemory>(
        &self,
        qid: u16,
        which: usize,
        value: u16,
        host: &H,
    ) -> Result<(), MemoryFault> {
        host.write(self.shadow(qid, which), &u32::from(value).to_le_bytes())
    }
}

/// The shadow doorbells, if the host has set them up.
pub(crate) struct ShadowDoorbells {
    /// Whether the host can.
    pub is_offered: bool,
    pub setup: Option<Setup>,
    /// The pages were found to be gone; since then the registers count.
    pub is_lost: bool,
    /// For the marks: another number for each drive, and for each setup of it.
    pub seed: u64,
    setups: u64,
    /// What they are, for each queue identifier: read at once, and not on the stack.
    pub read: Vec<[u32; 2]>,
    /// What was made of them: queues whose doorbells are still that cost a comparison.
    pub seen: Vec<[u32; 2]>,
}

impl ShadowDoorbells {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            is_offered: true,
            setup: None,
            is_lost: false,
            seed: 0,
            setups: 0,
            read: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [0; 2])?,
            seen: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || [0; 2])?,
        })
    }

    /// Looks at the buffers that `other` looks at, as if for the first time.
    pub fn follow(&mut self, other: &Self) {
        self.setup = other.setup;
        self.is_lost = false;
        self.look_again();
    }

    /// Whatever the doorbells are, they are to be looked at.
    pub fn look_again(&mut self) {
        self.seen.fill([NEVER_SEEN; 2]);
    }

    /// What `other`, which looked at the same buffers, found out about them.
    pub fn learn_from(&mut self, other: &Self) {
        self.is_lost |= other.is_lost;
    }

    /// Whether the pages were found to be gone.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// A controller level reset: the host has to set them up again.
    pub fn reset(&mut self) {
        self.setup = None;
        self.is_lost = false;
    }

    /// The upper half of the words of the next setup: not 0, and not the one before.
    pub fn next_mark(&mut self) -> u32 {
        self.setups = self.setups.wrapping_add(1);
        let mixed = self
            .seed
            .wrapping_add(self.setups)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 48) as u32).max(1) << 16
    }

    /// The first identifier from `from` on and before `end` whose shadows are not as they were seen, and what they are.
    pub fn next_changed(&self, from: u16, end: u16) -> Option<(u16, [u32; 2])> {
        let range = usize::from(from)..usize::from(end);
        let read = self.read.get(range.clone())?;
        let seen = self.seen.get(range)?;
        let changed = (from..).zip(read.iter().zip(seen));
        changed
            .filter(|(_, (read, seen))| read != seen)
            .map(|(qid, (read, _))| (qid, *read))
            .next()
    }

    pub fn set_seen(&mut self, qid: u16, which: usize, value: u32) {
        let pair = self.seen.get_mut(usize::from(qid));
        if let Some(seen) = pair.and_then(|pair| pair.get_mut(which)) {
            *seen = value;
        }
    }
}

/// Whether the host has not asked for a shutdown or a reset, as CC is at this moment.
pub(crate) fn is_fetching(bar: Bar<'_>) -> bool {
    let cc = ControllerConfiguration(bar.load(registers::CC));
    cc.enabled() && cc.shutdown_notification() == 0
}
