//! LBAs that Write Uncorrectable has marked (NVM CS 1.0 §3.2.7): they cannot be read until they are written.
//!
//! A bit for each LBA, all of them made at set-up: a 4096th of the capacity with LBAs of 512 bytes. An I/O command must not allocate, for memory may
//! become free only by I/O to this very drive. A drive without marks, which nearly all are, pays a comparison with zero for each command.

use alloc::vec::Vec;
use core::ops::Range;

use crate::device::{table, SetupError};

const WORD_LBAS: u64 = u64::BITS as u64;

/// See the module's documentation.
pub(crate) struct UncorrectableLbas {
    words: Vec<u64>,
    marked: u64,
    /// LBAs were marked since somebody asked.
    has_news: bool,
}

/// The words that `range` touches, each with the bits that stand for LBAs of `range`.
fn words(range: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
    (range.start / WORD_LBAS..range.end.div_ceil(WORD_LBAS)).map(move |word| {
        let first = word * WORD_LBAS;
        let from = range.start.saturating_sub(first);
        let to = (range.end - first).min(WORD_LBAS);
        let below_to = u64::MAX >> (WORD_LBAS - to);
        (word as usize, below_to & (u64::MAX << from))
    })
}

impl UncorrectableLbas {
    /// For a namespace of `size_lbas`.
    pub fn new(size_lbas: u64) -> Result<Self, SetupError> {
        Ok(Self {
            words: table(size_lbas.div_ceil(WORD_LBAS) as usize, || 0)?,
            marked: 0,
            has_news: false,
        })
    }

    /// Whether an LBA of `range` is marked.
    #[inline]
    pub fn has_any(&self, range: Range<u64>) -> bool {
        self.marked > 0 && self.find_any(range)
    }

    fn find_any(&self, range: Range<u64>) -> bool {
        words(range).any(|(word, mask)| self.words.get(word).is_some_and(|bits| bits & mask != 0))
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
        let start = self.find(range.clone(), |bits| bits)?;
        let end = self.find(start..range.end, |bits| !bits).unwrap_or(range.end);
        Some(start..end)
    }

    /// The first LBA of `range` whose bit is set in what `view` makes of the marks.
    fn find(&self, range: Range<u64>, view: impl Fn(u64) -> u64) -> Option<u64> {
        words(range).find_map(|(word, mask)| {
            let bits = view(*self.words.get(word)?) & mask;
            (bits != 0).then(|| word as u64 * WORD_LBAS + u64::from(bits.trailing_zeros()))
        })
    }

    /// Marks `range`.
    pub fn mark(&mut self, range: Range<u64>) {
        self.has_news = true;
        for (word, mask) in words(range) {
            if let Some(bits) = self.words.get_mut(word) {
                self.marked += u64::from((mask & !*bits).count_ones());
                *bits |= mask;
            }
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
        for (word, mask) in words(range) {
            if let Some(bits) = self.words.get_mut(word) {
                self.marked -= u64::from((mask & *bits).count_ones());
                *bits &= !mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    const STRETCH_LBAS: u64 = 1 << 15;

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
}
