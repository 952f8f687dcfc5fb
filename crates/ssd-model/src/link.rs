//! A link whose bandwidth is dealt out in slots of time: a NAND channel, or the way to the host (MODELS.md §1).

use alloc::vec::Vec;

use crate::divisor::Divisor;
use crate::table::table;
use crate::SetupError;

/// Length of a slot.
const SLOT_NS: u64 = 4_000;
/// How many slots lie ahead of now.
const SLOTS: u64 = 98_304;
/// Slots of a block: a bit for each fits into a word.
const BLOCK_SLOTS: u64 = 64;
/// Blocks of the ring. It has more slots than the window, so that what has passed can be filled a block at a time.
const BLOCKS: usize = 2048;
const _: () = assert!(BLOCKS as u64 * BLOCK_SLOTS >= SLOTS + 2 * BLOCK_SLOTS && BLOCKS.is_power_of_two());
/// Blocks that are used while nothing lies further ahead than they reach, which is 16 ms: they stay in the processor's cache.
const NEAR_BLOCKS: u64 = 64;
/// How far ahead a transfer may begin in them: the block of now and one behind it are in use as well.
const NEAR_SLOTS: u64 = (NEAR_BLOCKS - 3) * BLOCK_SLOTS;
/// Unit of transfer; one credit each.
const UNIT_BYTES: u64 = 128;

/// Slots that follow one another.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Credits left.
    credits: [u16; BLOCK_SLOTS as usize],
    /// A bit for each slot that may have credits left, so that a long stretch without any is passed at once.
    open: u64,
}

/// A link. Transfers take credits of the slots in which they happen, wherever there are some; one that has to wait for credits
/// ends later.
#[derive(Clone, Debug)]
pub struct Link {
    /// Time of a unit at full bandwidth, ns.
    unit_ns: u64,
    /// Credits of a slot that nobody used.
    slot_credits: Divisor,
    /// A ring, of [`NEAR_BLOCKS`] or of all [`BLOCKS`]. Slots are numbered from the beginning of time. All blocks but those from
    /// `filled_blocks` to `used_end` are full.
    blocks: Vec<Block>,
    /// The ring's length, less 1.
    ring_mask: u64,
    /// The slot of now.
    head: u64,
    /// The blocks before this one have been filled again since their slots passed.
    filled_blocks: u64,
    /// No slot from here on was used.
    used_end: u64,
    /// Q6: what lies beyond the window, or does not find room within it, is free.
    beyond_window_is_free: bool,
    /// Time for which data was on the link, ns.
    busy_ns: u64,
}

impl Link {
    /// An unused link of `mib_per_s`, to whose time for 4 KiB the firmware adds `firmware_ns_per_4k`.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(mib_per_s: u32, firmware_ns_per_4k: u32, reference_quirks: bool) -> Result<Self, SetupError> {
        let bytes_per_s = u64::from(mib_per_s) << 20;
        // The order of the divisions is the reference's.
        let slot_credits = ((bytes_per_s * SLOT_NS / 1_000_000_000 / UNIT_BYTES) as u16).max(1);
        let full = Block {
            credits: [slot_credits; BLOCK_SLOTS as usize],
            open: u64::MAX,
        };
        Ok(Self {
            unit_ns: UNIT_BYTES * 1_000_000_000 / bytes_per_s.max(1)
                + u64::from(firmware_ns_per_4k) * UNIT_BYTES / 4096,
            slot_credits: Divisor::new(slot_credits.into()),
            blocks: table(BLOCKS, full)?,
            ring_mask: NEAR_BLOCKS - 1,
            head: 0,
            filled_blocks: 0,
            used_end: 0,
            beyond_window_is_free: reference_quirks,
            busy_ns: 0,
        })
    }

    /// Sends `bytes` at `start_ns`; the result is when they have arrived.
    // Always: two of these are most of a read, and the compiler leaves them outside.
    #[inline(always)]
    pub fn request(&mut self, now_ns: u64, start_ns: u64, bytes: u32) -> u64 {
        let units = bytes.div_ceil(UNIT_BYTES as u32);
        let now_slot = now_ns / SLOT_NS;
        self.advance(now_slot);
        if start_ns < now_ns {
            return start_ns;
        }
        let transfer_ns = u64::from(units) * self.unit_ns;
        let ahead = start_ns / SLOT_NS - now_slot;
        if ahead >= SLOTS {
            // Q6: such a transfer takes no time in the reference. Otherwise it takes its time, but no credits: nobody else's transfer
            // can be that far ahead in a drive at work.
            if self.beyond_window_is_free {
                return start_ns;
            }
            self.busy_ns += transfer_ns;
            return start_ns.saturating_add(transfer_ns);
        }
        let delay = self.take_credits(self.head + ahead, units);
        self.busy_ns += transfer_ns;
        let arrived_ns = start_ns.saturating_add(transfer_ns);
        if delay == 0 {
            return arrived_ns;
        }
        let extra = delay.saturating_sub(self.slot_credits.divide(units).into());
        arrived_ns.saturating_add(extra * SLOT_NS)
    }

    /// Time for which data was on the link since the last [`Link::reset_busy`], ns.
    pub fn busy_ns(&self) -> u64 {
        self.busy_ns
    }

    /// Counts the busy time anew.
    pub fn reset_busy(&mut self) {
        self.busy_ns = 0;
    }

    /// Bytes of the table.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        size_of_val(self.blocks.as_slice()) as u64
    }

    /// Moves on to the slot of now. The slots that have passed will be full again, for the next time round.
    #[inline]
    fn advance(&mut self, now_slot: u64) {
        if now_slot > self.head {
            self.head = now_slot;
            if now_slot / BLOCK_SLOTS > self.filled_blocks {
                self.fill_passed_blocks();
            }
        }
    }

    /// Fills the blocks whose slots have all passed: of those that were used, which are not more than the window has.
    #[cold]
    fn fill_passed_blocks(&mut self) {
        let passed = self.head / BLOCK_SLOTS;
        let full = self.full_block();
        for number in self.filled_blocks..passed.min(self.used_end.div_ceil(BLOCK_SLOTS)) {
            *self.block(number) = full;
        }
        self.filled_blocks = passed;
        if self.ring_mask != NEAR_BLOCKS - 1 && self.used_end <= self.head + NEAR_SLOTS {
            self.change_ring(NEAR_BLOCKS - 1);
        }
    }

    /// Goes over to a ring of another length. What is used must fit both, so no two used blocks have the same place in either.
    #[cold]
    fn change_ring(&mut self, mask: u64) {
        let full = self.full_block();
        let used_end = self.used_end.div_ceil(BLOCK_SLOTS);
        for number in self.filled_blocks..used_end.min(self.filled_blocks + NEAR_BLOCKS) {
            let (from, to) = ((number & self.ring_mask) as usize, (number & mask) as usize);
            if from != to {
                self.blocks[to] = core::mem::replace(&mut self.blocks[from], full);
            }
        }
        self.ring_mask = mask;
    }

    fn full_block(&self) -> Block {
        Block {
            credits: [self.slot_credits.value() as u16; BLOCK_SLOTS as usize],
            open: u64::MAX,
        }
    }

    /// Makes sure that block `number` has a place of its own.
    #[inline]
    fn reach(&mut self, number: u64) {
        if number - self.filled_blocks > self.ring_mask {
            self.change_ring(BLOCKS as u64 - 1);
        }
    }

    #[inline]
    fn block(&mut self, number: u64) -> &mut Block {
        &mut self.blocks[(number & self.ring_mask) as usize % BLOCKS]
    }

    /// Takes `units` credits from slot `first` on; the result is how many slots later the last one was found.
    #[inline]
    fn take_credits(&mut self, first: u64, units: u32) -> u64 {
        let last = self.head + (SLOTS - 1);
        self.reach(first / BLOCK_SLOTS);
        let mut remaining = units;
        let mut slot = first;
        loop {
            let block = self.block(slot / BLOCK_SLOTS);
            let index = slot % BLOCK_SLOTS;
            let credits = &mut block.credits[index as usize];
            let there = u32::from(*credits);
            if remaining <= there {
                *credits = (there - remaining) as u16;
                break;
            }
            remaining -= there;
            *credits = 0;
            block.open &= !(1 << index);
            // The next one with credits, most often in the same block.
            let later = block.open >> index;
            slot += if later == 0 {
                self.closed_from(slot)
            } else {
                u64::from(later.trailing_zeros())
            };
            // Q6: what is left at the end of the window is dropped. It costs the time of its transfer either way, but credits that are not there
            // cannot be waited for.
            if slot > last {
                slot = last;
                break;
            }
        }
        self.used_end = self.used_end.max(slot + 1);
        slot - first
    }

    /// How many slots from `slot` on have no credits, where all the rest of its block have none; more than the window has, if all are without.
    #[cold]
    fn closed_from(&mut self, slot: u64) -> u64 {
        let mut number = slot / BLOCK_SLOTS;
        loop {
            number += 1;
            let first = number * BLOCK_SLOTS;
            // What this transfer has taken so far is before that.
            self.used_end = self.used_end.max(first);
            self.reach(number);
            let open = self.block(number).open;
            if open != 0 || first - slot > SLOTS {
                return first - slot + u64::from(open.trailing_zeros());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    const N: usize = SLOTS as usize;

    /// MODELS.md §1 as it is written there, one slot at a time.
    struct Transcript {
        unit_ns: u64,
        slot_credits: u64,
        credits: std::vec::Vec<u64>,
        head: usize,
        last: u64,
        valid: u64,
    }

    impl Transcript {
        fn new(mib_per_s: u64) -> Self {
            let bandwidth = mib_per_s << 20;
            let slot_credits = bandwidth * 4000 / 1_000_000_000 / 128;
            Self {
                unit_ns: 128 * 1_000_000_000 / bandwidth,
                slot_credits,
                credits: vec![slot_credits; N],
                head: 0,
                last: 0,
                valid: 0,
            }
        }

        fn request(&mut self, now: u64, t: u64, bytes: u64) -> u64 {
            let units = bytes.div_ceil(128);
            let k = u64::from((now / 4000 - self.last / 4000) as u32).min(self.valid);
            for _ in 0..k {
                self.credits[self.head] = self.slot_credits;
                self.head = (self.head + 1) % N;
            }
            self.last = now;
            self.valid -= k;
            if t < now {
                return t;
            }
            let off = t / 4000 - now / 4000;
            if off >= N as u64 {
                return t;
            }
            let mut at = (self.head + off as usize) % N;
            let (mut remaining, mut delay) = (units, 0_u64);
            loop {
                let taken = remaining.min(self.credits[at]);
                self.credits[at] -= taken;
                remaining -= taken;
                if remaining == 0 || (at + 1) % N == self.head {
                    break;
                }
                at = (at + 1) % N;
                delay += 1;
            }
            let distance = (at + N - self.head) % N;
            self.valid = self.valid.max(distance as u64 + 1);
            t + self.unit_ns * units + delay.saturating_sub(units / self.slot_credits) * 4000
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn agrees_with_the_transcript(
            mib_per_s in prop_oneof![Just(800_u32), Just(3360), 31..=20_000_u32],
            requests in proptest::collection::vec(
                (prop_oneof![4 => 0..=20_000_u64, 1 => 0..=500_000_000_u64], prop_oneof![4 => 0..=100_000_u64, 1 => 0..=400_000_000_u64], prop_oneof![4 => 0..=16_384_u32, 1 => 0..=20_000_000_u32]),
                1..200,
            ),
        ) {
            let mut link = Link::new(mib_per_s, 0, true).unwrap();
            let mut transcript = Transcript::new(mib_per_s.into());
            let mut now_ns = 1_000_000_000;
            for (gap_ns, ahead_ns, bytes) in requests {
                now_ns += gap_ns;
                let start_ns = now_ns + ahead_ns;
                let expected = transcript.request(now_ns, start_ns, bytes.into());
                prop_assert_eq!(link.request(now_ns, start_ns, bytes), expected);
            }
        }
    }

    #[test]
    fn a_long_backlog_costs_little_to_pass() {
        let mut link = Link::new(800, 0, false).unwrap();
        // 94 % of the window without credits, and then a thousand times through it.
        link.request(0, 0, 300_000_000);
        let before = link.request(0, 0, 4096);
        for _ in 0..1000 {
            assert!(link.request(0, 0, 128) >= before - 32 * 152);
        }
    }

    #[test]
    fn figures_are_those_of_models_md_section_1() {
        for (mib_per_s, unit_ns, slot_credits) in
            [(800, 152, 26), (3360, 36, 110), (450, 271, 14), (3050, 40, 99)]
        {
            let link = Link::new(mib_per_s, 0, true).unwrap();
            assert_eq!((link.unit_ns, link.slot_credits.value()), (unit_ns, slot_credits));
        }
        assert_eq!(Link::new(800, 413, true).unwrap().unit_ns, 164);
    }

    #[test]
    fn a_transfer_waits_for_credits_that_others_took() {
        let mut link = Link::new(800, 0, false).unwrap();
        // 32 units where a slot has 26: one slot later, which a transfer of that length takes anyway.
        assert_eq!(link.request(0, 0, 4096), 32 * 152);
        // 20 are left in the second slot, the rest comes from the third: two slots, one of them extra.
        assert_eq!(link.request(0, 0, 4096), 32 * 152 + 4_000);
        // Elsewhere in the window nothing was taken.
        assert_eq!(link.request(0, 400_000, 4096), 400_000 + 32 * 152);
        // What is past is full again.
        assert_eq!(link.request(400_000_000, 400_000_000, 128), 400_000_000 + 152);
        assert_eq!(link.busy_ns(), 97 * 152);
    }

    #[test]
    fn beyond_the_window_only_the_reference_is_free() {
        let far_ns = SLOTS * SLOT_NS;
        assert_eq!(Link::new(800, 0, true).unwrap().request(0, far_ns, 4096), far_ns);
        assert_eq!(
            Link::new(800, 0, false).unwrap().request(0, far_ns, 4096),
            far_ns + 32 * 152
        );
    }

    #[test]
    fn times_at_the_end_of_time_and_backwards_are_taken_as_they_are() {
        let mut link = Link::new(800, 0, false).unwrap();
        assert_eq!(link.request(u64::MAX, u64::MAX, u32::MAX), u64::MAX);
        assert_eq!(link.request(5, 3, 4096), 3);
        assert!(link.request(5, 5, 4096) > 5);
    }
}
