//! LBAs that Write Uncorrectable has marked (NVM CS 1.0 §3.2.7): they cannot be read until they are written.
//!
//! A bit for each LBA of a stretch that has marks. All memory is there from set-up: an I/O command must not allocate, for memory may become free only
//! by I/O to this very drive. For small drives that is a 4096th of the capacity with LBAs of 512 bytes; of a large one, only so many stretches can have
//! marks at a time. A drive without marks, which nearly all are, pays a comparison with zero for each command.

use alloc::vec::Vec;
use core::ops::Range;

use crate::device::{table, SetupError};

const WORD_LBAS: u64 = u64::BITS as u64;
/// What gets bits together: 4 KiB of them.
const STRETCH_LBAS: u64 = 1 << 15;
const STRETCH_WORDS: usize = (STRETCH_LBAS / WORD_LBAS) as usize;
/// Most stretches with marks: 64 MiB of bits, for all LBAs of 256 GiB with LBAs of 512 bytes.
const MARKED_STRETCHES_MAX: u64 = 1 << 14;
/// No bits: nothing is marked.
const NONE: u32 = u32::MAX;

/// See the module's documentation.
pub(crate) struct UncorrectableLbas {
    /// For each stretch of the namespace, which bits are its own, or [`NONE`].
    owned: Vec<u32>,
    /// [`STRETCH_WORDS`] for each stretch that can have marks; without an owner all zeros.
    words: Vec<u64>,
    /// Bits that are set, for each stretch that can have marks.
    counts: Vec<u32>,
    /// Bits without an owner.
    free: Vec<u32>,
    marked: u64,
    /// LBAs were marked since somebody asked.
    has_news: bool,
}

/// The stretches that `range` touches, each with its part of it, counted from its beginning.
fn stretches(range: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
    (range.start / STRETCH_LBAS..range.end.div_ceil(STRETCH_LBAS)).map(move |stretch| {
        let first = stretch * STRETCH_LBAS;
        let part = range.start.saturating_sub(first)..(range.end - first).min(STRETCH_LBAS);
        (stretch as usize, part)
    })
}

/// The words that `part` of a stretch touches, each with the bits that stand for LBAs of `part`.
fn words(part: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
    (part.start / WORD_LBAS..part.end.div_ceil(WORD_LBAS)).map(move |word| {
        let first = word * WORD_LBAS;
        let from = part.start.saturating_sub(first);
        let to = (part.end - first).min(WORD_LBAS);
        let below_to = u64::MAX >> (WORD_LBAS - to);
        (word as usize, below_to & (u64::MAX << from))
    })
}

/// How many stretches there are in `size_lbas`, and how many of them can have marks.
fn table_lens(size_lbas: u64) -> (u64, u64) {
    let stretches = size_lbas.div_ceil(STRETCH_LBAS);
    (stretches, stretches.min(MARKED_STRETCHES_MAX))
}

impl UncorrectableLbas {
    /// For a namespace of `size_lbas`.
    pub fn new(size_lbas: u64) -> Result<Self, SetupError> {
        let (stretches, marked_max) = table_lens(size_lbas);
        let stretches = usize::try_from(stretches).map_err(|_| SetupError::OutOfMemory)?;
        let mut free = Vec::new();
        free.try_reserve_exact(marked_max as usize)?;
        free.extend((0..marked_max as u32).rev());
        Ok(Self {
            owned: table(stretches, || NONE)?,
            words: table(marked_max as usize * STRETCH_WORDS, || 0)?,
            counts: table(marked_max as usize, || 0)?,
            free,
            marked: 0,
            has_news: false,
        })
    }

    /// Bytes of memory for a namespace of `size_lbas`.
    pub fn table_bytes(size_lbas: u64) -> u64 {
        let (stretches, marked_max) = table_lens(size_lbas);
        let index_bytes = size_of::<u32>() as u64;
        let bits_bytes = STRETCH_LBAS / 8 + 2 * index_bytes;
        stretches * index_bytes + marked_max * bits_bytes
    }

    /// Whether an LBA of `range` is marked.
    #[inline]
    pub fn has_any(&self, range: Range<u64>) -> bool {
        self.marked > 0 && self.find(range, true).is_some()
    }

    /// How many LBAs are marked.
    pub fn count(&self) -> u64 {
        self.marked
    }

    /// Whether LBAs were marked since this was last asked.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.has_news)
    }

    /// The first run of marked LBAs in `range`.
    pub fn next_run(&self, range: Range<u64>) -> Option<Range<u64>> {
        if self.marked == 0 {
            return None;
        }
        let start = self.find(range.clone(), true)?;
        let end = self.find(start..range.end, false).unwrap_or(range.end);
        Some(start..end)
    }

    /// The bits of `stretch`, if it has marks.
    fn bits(&self, stretch: usize) -> Option<&[u64]> {
        let start = *self.owned.get(stretch)? as usize * STRETCH_WORDS;
        self.words.get(start..start + STRETCH_WORDS)
    }

    /// The first LBA of `range` that is marked, or that is not.
    fn find(&self, range: Range<u64>, is_marked: bool) -> Option<u64> {
        stretches(range).find_map(|(stretch, part)| {
            let bits = self.bits(stretch);
            if bits.is_none() && is_marked {
                return None;
            }
            words(part).find_map(|(word, mask)| {
                let marks = bits.and_then(|bits| bits.get(word)).copied().unwrap_or(0);
                let wanted = if is_marked { marks } else { !marks } & mask;
                let lba = word as u64 * WORD_LBAS + u64::from(wanted.trailing_zeros());
                (wanted != 0).then_some(stretch as u64 * STRETCH_LBAS + lba)
            })
        })
    }

    /// Whether `range` can be marked: every stretch has bits or can get some.
    pub fn has_room_for(&self, range: Range<u64>) -> bool {
        let without_bits = stretches(range).filter(|&(stretch, _)| self.bits(stretch).is_none());
        without_bits.count() <= self.free.len()
    }

    /// Marks `range`, for which there is room.
    pub fn mark(&mut self, range: Range<u64>) {
        debug_assert!(self.has_room_for(range.clone()));
        self.has_news = true;
        for (stretch, part) in stretches(range) {
            if let Some(owned) = self.owned.get_mut(stretch).filter(|owned| **owned == NONE) {
                *owned = self.free.pop().unwrap_or(NONE);
            }
            self.change(stretch, part, |bits, mask| *bits |= mask);
        }
    }

    /// Takes the marks off `range`.
    #[inline]
    pub fn clear(&mut self, range: Range<u64>) {
        if self.marked > 0 {
            self.clear_marks(range);
        }
    }

    fn clear_marks(&mut self, range: Range<u64>) {
        for (stretch, part) in stretches(range) {
            self.change(stretch, part, |bits, mask| *bits &= !mask);
        }
    }

    /// Changes the bits of a part of a stretch, if it has any, and takes them away when the last mark is gone.
    fn change(&mut self, stretch: usize, part: Range<u64>, change: impl Fn(&mut u64, u64)) {
        let Some(owned) = self.owned.get_mut(stretch) else {
            return;
        };
        let start = *owned as usize * STRETCH_WORDS;
        let bits = self.words.get_mut(start..start + STRETCH_WORDS);
        let (Some(bits), Some(count)) = (bits, self.counts.get_mut(*owned as usize)) else {
            return;
        };
        let before = *count;
        for (word, mask) in words(part) {
            if let Some(bits) = bits.get_mut(word) {
                *count -= (*bits & mask).count_ones();
                change(bits, mask);
                *count += (*bits & mask).count_ones();
            }
        }
        self.marked = self.marked - u64::from(before) + u64::from(*count);
        if *count == 0 {
            // There is room: these bits came from here.
            self.free.push(*owned);
            *owned = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn marks_are_those_that_were_made_and_not_cleared() {
        let size = 3 * STRETCH_LBAS + 100;
        let mut lbas = UncorrectableLbas::new(size).unwrap();
        let mut wanted = BTreeSet::new();
        let mut state = 1u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % bound
        };
        for step in 0..3_000 {
            let start = match below(3) {
                // Around the boundaries of words.
                0 => (STRETCH_LBAS * (1 + below(2)) + below(130)).saturating_sub(65),
                1 => below(200),
                _ => below(size),
            };
            let end = (start + 1 + below(150)).min(size);
            match below(3) {
                0 => {
                    lbas.mark(start..end);
                    wanted.extend(start..end);
                }
                1 => {
                    lbas.clear(start..end);
                    wanted.retain(|lba| !(start..end).contains(lba));
                }
                _ => {
                    let first = wanted.range(start..end).next().copied();
                    assert_eq!(lbas.has_any(start..end), first.is_some());
                    let run = first.map(|first| {
                        let is_marked = |lba: &u64| wanted.contains(lba);
                        first..(first..end).find(|lba| !is_marked(lba)).unwrap_or(end)
                    });
                    assert_eq!(lbas.next_run(start..end), run);
                }
            }
            assert_eq!(lbas.marked, wanted.len() as u64, "step {step}");
        }
        lbas.clear(0..size);
        assert!(!lbas.has_any(0..size));
        assert!(lbas.words.iter().all(|&bits| bits == 0));
    }

    #[test]
    fn only_so_many_stretches_have_marks_and_clearing_makes_room() {
        // 32 TiB with LBAs of 512 bytes: a bit for each would take 8 GiB.
        let size = 1 << 36;
        let mut lbas = UncorrectableLbas::new(size).unwrap();
        let last = |stretch: u64| size - stretch * STRETCH_LBAS - 2..size - stretch * STRETCH_LBAS;
        for stretch in 0..MARKED_STRETCHES_MAX {
            assert!(lbas.has_room_for(last(stretch)));
            lbas.mark(last(stretch));
        }
        assert!(!lbas.has_room_for(0..1));
        assert!(lbas.has_room_for(size - STRETCH_LBAS..size));
        assert!(!lbas.has_room_for(size - STRETCH_LBAS * MARKED_STRETCHES_MAX - 1..size));
        assert_eq!(lbas.count(), 2 * MARKED_STRETCHES_MAX);
        lbas.clear(size - 2..size - 1);
        assert!(!lbas.has_room_for(0..1));
        assert!(lbas.has_any(size - 2..size));
        lbas.clear(size - 1..size);
        assert!(!lbas.has_any(size - 2..size));
        assert!(lbas.has_room_for(0..1) && !lbas.has_room_for(STRETCH_LBAS - 1..STRETCH_LBAS + 1));
        lbas.mark(0..1);
        assert_eq!(lbas.next_run(0..size), Some(0..1));
        assert_eq!(lbas.next_run(1..size), Some(last(MARKED_STRETCHES_MAX - 1)));
        assert_eq!(lbas.count(), 2 * MARKED_STRETCHES_MAX - 1);
    }
}
