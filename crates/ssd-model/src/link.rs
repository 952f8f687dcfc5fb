//! A link whose bandwidth is dealt out in slots of time: a NAND channel, or the way to the host (MODELS.md §1).

use alloc::vec::Vec;

use crate::table::table;
use crate::SetupError;

/// Length of a slot.
const SLOT_NS: u64 = 4_000;
/// How many slots lie ahead of now.
const SLOTS: usize = 98_304;
/// Slots that may have passed without being filled again: filling many at once is cheaper than a few each time.
const STALE_MAX: usize = 64;
/// The slots of the window and those behind it.
const RING: usize = SLOTS + STALE_MAX;
const _: () = assert!(RING % 64 == 0);
/// Unit of transfer; one credit each.
const UNIT_BYTES: u64 = 128;

/// A link. Transfers take credits of the slots in which they happen, wherever there are some; one that has to wait for credits
/// ends later.
#[derive(Clone, Debug)]
pub struct Link {
    /// Time of a unit at full bandwidth, ns.
    unit_ns: u64,
    /// Credits of a slot that nobody used.
    slot_credits: u16,
    /// Credits left, a ring of [`RING`] slots.
    credits: Vec<u16>,
    /// A bit for each slot that has credits left, so that a long stretch without any is passed at once.
    open: Vec<u64>,
    /// The slot of now.
    head: usize,
    /// Number of the slot of the last call.
    last_slot: u64,
    /// Slots from `head` on that may have been used.
    used: usize,
    /// Slots before `head` that have not been filled again. All slots that are neither these nor used are full.
    stale: usize,
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
        let slot_credits = (bytes_per_s * SLOT_NS / 1_000_000_000 / UNIT_BYTES) as u16;
        Ok(Self {
            unit_ns: UNIT_BYTES * 1_000_000_000 / bytes_per_s.max(1)
                + u64::from(firmware_ns_per_4k) * UNIT_BYTES / 4096,
            slot_credits: slot_credits.max(1),
            credits: table(RING, slot_credits.max(1))?,
            open: table(RING / 64, u64::MAX)?,
            head: 0,
            last_slot: 0,
            used: 0,
            stale: 0,
            beyond_window_is_free: reference_quirks,
            busy_ns: 0,
        })
    }

    /// Sends `bytes` at `start_ns`; the result is when they have arrived.
    #[inline]
    pub fn request(&mut self, now_ns: u64, start_ns: u64, bytes: u32) -> u64 {
        let units = u64::from(bytes).div_ceil(UNIT_BYTES);
        let now_slot = now_ns / SLOT_NS;
        self.advance(now_slot);
        if start_ns < now_ns {
            return start_ns;
        }
        let transfer_ns = units * self.unit_ns;
        let ahead = start_ns / SLOT_NS - now_slot;
        if ahead >= SLOTS as u64 {
            // Q6: such a transfer takes no time in the reference. Otherwise it takes its time, but no credits: nobody else's transfer
            // can be that far ahead in a drive at work.
            if self.beyond_window_is_free {
                return start_ns;
            }
            self.busy_ns += transfer_ns;
            return start_ns.saturating_add(transfer_ns);
        }
        let delay = self.take_credits(ahead as usize, units as u32);
        self.busy_ns += transfer_ns;
        let arrived_ns = start_ns.saturating_add(transfer_ns);
        if delay == 0 {
            return arrived_ns;
        }
        let extra = delay.saturating_sub(units / u64::from(self.slot_credits));
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

    /// Bytes of the tables.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        (size_of_val(self.credits.as_slice()) + size_of_val(self.open.as_slice())) as u64
    }

    /// Moves on to the slot of now. The slots that have passed are full again, for the next time round.
    #[inline]
    fn advance(&mut self, now_slot: u64) {
        let passed = now_slot.saturating_sub(self.last_slot).min(self.used as u64) as usize;
        self.last_slot = self.last_slot.max(now_slot);
        self.used -= passed;
        self.head = wrapped(self.head + passed);
        self.stale += passed;
        if self.stale > STALE_MAX {
            self.refill();
        }
    }

    /// Fills the slots that have passed.
    #[cold]
    fn refill(&mut self) {
        let (before, after) = self.credits.split_at_mut(self.head);
        let near = self.stale.min(before.len());
        let far = self.stale - near;
        before[self.head - near..].fill(self.slot_credits);
        after[RING - self.head - far..].fill(self.slot_credits);
        for slot in (self.head - near..self.head).chain(RING - far..RING) {
            self.open[slot / 64] |= 1 << (slot % 64);
        }
        self.stale = 0;
    }

    /// How many slots from `slot` on have no credits; more than the window has, if all are without.
    fn closed_from(&self, slot: usize) -> usize {
        let first = self.open[slot / 64] >> (slot % 64);
        if first != 0 {
            return first.trailing_zeros() as usize;
        }
        let mut closed = 64 - slot % 64;
        let words = self.open.len();
        let mut word = slot / 64;
        while closed < RING {
            word = if word + 1 == words { 0 } else { word + 1 };
            let bits = self.open[word];
            if bits != 0 {
                return closed + bits.trailing_zeros() as usize;
            }
            closed += 64;
        }
        closed
    }

    /// Takes `units` credits from the slot `ahead` of now on; the result is how many slots later the last one was found.
    #[inline]
    fn take_credits(&mut self, ahead: usize, units: u32) -> u64 {
        let mut remaining = units;
        let mut distance = ahead;
        let mut slot = wrapped(self.head + ahead);
        loop {
            let credits = &mut self.credits[slot];
            let taken = remaining.min(u32::from(*credits));
            *credits -= taken as u16;
            remaining -= taken;
            if remaining == 0 {
                break;
            }
            self.open[slot / 64] &= !(1 << (slot % 64));
            // Q6: what is left at the end of the window is dropped. It costs the time of its transfer either way, but credits that are not there
            // cannot be waited for.
            if distance + 1 == SLOTS {
                break;
            }
            let next = wrapped(slot + 1);
            let skipped = if self.credits[next] > 0 {
                0
            } else {
                self.closed_from(next)
            };
            distance += 1 + skipped;
            if distance >= SLOTS {
                distance = SLOTS - 1;
                break;
            }
            slot = wrapped(next + skipped);
        }
        self.used = self.used.max(distance + 1);
        (distance - ahead) as u64
    }
}

/// An index of the ring that may be too large by less than its length.
#[inline]
fn wrapped(index: usize) -> usize {
    if index < RING {
        index
    } else {
        index - RING
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

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
                credits: vec![slot_credits; SLOTS],
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
                self.head = (self.head + 1) % SLOTS;
            }
            self.last = now;
            self.valid -= k;
            if t < now {
                return t;
            }
            let off = t / 4000 - now / 4000;
            if off >= SLOTS as u64 {
                return t;
            }
            let mut at = (self.head + off as usize) % SLOTS;
            let (mut remaining, mut delay) = (units, 0_u64);
            loop {
                let taken = remaining.min(self.credits[at]);
                self.credits[at] -= taken;
                remaining -= taken;
                if remaining == 0 || (at + 1) % SLOTS == self.head {
                    break;
                }
                at = (at + 1) % SLOTS;
                delay += 1;
            }
            let distance = (at + SLOTS - self.head) % SLOTS;
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
            assert_eq!((link.unit_ns, link.slot_credits), (unit_ns, slot_credits));
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
        let far_ns = SLOTS as u64 * SLOT_NS;
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
