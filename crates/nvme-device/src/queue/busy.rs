//! Which submission queues have something to do. A pass over queues that are idle costs a comparison each.

use alloc::vec::Vec;
use core::ops::Range;

use nvme_spec::registers::sq_tail_doorbell;

use crate::limits::IO_QUEUE_PAIRS_MAX;
use crate::pci::bar::Bar;
use crate::setup::{table, SetupError};

/// What a submission queue was seen to have: its tail doorbell and, as a bit that no doorbell has, whether it has entries that were not fetched, or a
/// command that waits. In one number: whether there is something to do is one comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen(u64);

impl Seen {
    const BUSY: u64 = 1 << 32;

    fn idle(tail: u32) -> Self {
        Self(tail.into())
    }

    fn set_tail(&mut self, tail: u32) {
        self.0 = self.0 & Self::BUSY | u64::from(tail);
    }

    fn set_busy(&mut self, is_busy: bool) {
        self.0 &= !Self::BUSY;
        self.0 |= if is_busy { Self::BUSY } else { 0 };
    }
}

/// What was seen of each submission queue identifier, close together.
pub(crate) struct Doorbells {
    seen: Vec<Seen>,
    /// The queue identifier that is looked at in the next pass, whether or not there is reason to.
    next: u16,
}

impl Doorbells {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            seen: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, Seen::default)?,
            next: 0,
        })
    }

    /// There are no queues any more.
    pub fn reset(&mut self) {
        self.seen.fill(Seen::default());
    }

    /// Submission queue `sqid` is new: its doorbell is 0.
    pub fn begin(&mut self, sqid: u16) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            *seen = Seen::default();
        }
    }

    /// The first of these queues that may have something to do.
    pub fn next_busy(&self, sqids: Range<u16>, bar: Bar<'_>) -> Option<u16> {
        let seen = self.seen.get(sqids.start.into()..sqids.end.into())?;
        let tails = bar.every_second(sq_tail_doorbell(sqids.start));
        let index = seen
            .iter()
            .zip(tails)
            .position(|(seen, tail)| *seen != Seen::idle(tail))?;
        Some(sqids.start + index as u16)
    }

    /// The tail doorbell of `sqid` is `tail`, and its queue is looked at.
    pub fn look(&mut self, sqid: u16, tail: u32) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            seen.set_tail(tail);
        }
    }

    /// Whether `sqid` has something to do, as far as is known without its doorbell.
    pub fn set_busy(&mut self, sqid: u16, is_busy: bool) {
        if let Some(seen) = self.seen.get_mut(usize::from(sqid)) {
            seen.set_busy(is_busy);
        }
    }

    pub fn take_next(&mut self) -> u16 {
        let next = self.next;
        self.next = if next == IO_QUEUE_PAIRS_MAX { 0 } else { next + 1 };
        next
    }
}
