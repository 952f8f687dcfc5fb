//! LBAs that Write Uncorrectable has marked (NVM CS 1.0 §3.2.7): they cannot be read until they are written.
//!
//! A bit for each LBA, in groups that are there only while one of their bits is set. A drive without marks, which nearly all are, pays a comparison
//! with zero for each command. A group is allocated when its first LBA is marked: this is the one I/O command that allocates, and it fails cleanly.

use alloc::vec::Vec;
use core::ops::Range;

use crate::device::{table, SetupError};

/// LBAs of a group.
const GROUP_LBAS: u64 = 1 << 15;
const WORD_LBAS: u64 = u64::BITS as u64;
const GROUP_WORDS: usize = (GROUP_LBAS / WORD_LBAS) as usize;

/// No memory for a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// LBAs with a mark. A group without one is empty.
#[derive(Clone, Debug)]
struct Group {
    words: Vec<u64>,
    marked: u32,
}

/// See the module's documentation.
pub(crate) struct UncorrectableLbas {
    groups: Vec<Group>,
    marked: u64,
}

/// The bits of word `word` of a group that stand for LBAs of `range`, which counts from the group's start.
fn mask(word: usize, range: &Range<u64>) -> u64 {
    let first = word as u64 * WORD_LBAS;
    let from = range.start.saturating_sub(first).min(WORD_LBAS);
    let to = range.end.saturating_sub(first).min(WORD_LBAS);
    let below = |bits: u64| {
        if bits == WORD_LBAS {
            u64::MAX
        } else {
            (1 << bits) - 1
        }
    };
    below(to) & !below(from)
}

/// The groups that `range` touches, with the part of it in each.
fn parts(range: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
    let groups = range.start / GROUP_LBAS..range.end.div_ceil(GROUP_LBAS);
    groups.map(move |group| {
        let start = group * GROUP_LBAS;
        let from = range.start.max(start) - start;
        let to = range.end.min(start + GROUP_LBAS) - start;
        (group as usize, from..to)
    })
}

/// The words of a group that `part` touches.
fn words(part: &Range<u64>) -> Range<usize> {
    (part.start / WORD_LBAS) as usize..part.end.div_ceil(WORD_LBAS) as usize
}

impl UncorrectableLbas {
    /// For a namespace of `size_lbas`.
    pub fn new(size_lbas: u64) -> Result<Self, SetupError> {
        let groups = size_lbas.div_ceil(GROUP_LBAS) as usize;
        Ok(Self {
            groups: table(groups, || Group {
                words: Vec::new(),
                marked: 0,
            })?,
            marked: 0,
        })
    }

    /// Whether an LBA of `range` is marked.
    #[inline]
    pub fn has_any(&self, range: Range<u64>) -> bool {
        self.marked > 0 && self.find_any(range)
    }

    fn find_any(&self, range: Range<u64>) -> bool {
        parts(range).any(|(index, part)| {
            self.groups.get(index).is_some_and(|group| {
                words(&part).any(|word| {
                    group
                        .words
                        .get(word)
                        .is_some_and(|bits| bits & mask(word, &part) != 0)
                })
            })
        })
    }

    /// Makes room for marks on `range`.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn prepare(&mut self, range: Range<u64>) -> Result<(), NoMemory> {
        for (index, _) in parts(range) {
            let Some(group) = self.groups.get_mut(index) else {
                break;
            };
            if group.words.is_empty() {
                let reserved = group.words.try_reserve_exact(GROUP_WORDS);
                reserved.map_err(|_| NoMemory)?;
                group.words.resize(GROUP_WORDS, 0);
            }
        }
        Ok(())
    }

    /// Marks `range`, for which there is room.
    pub fn mark(&mut self, range: Range<u64>) {
        for (index, part) in parts(range) {
            let Some(group) = self.groups.get_mut(index) else {
                break;
            };
            for word in words(&part) {
                if let Some(bits) = group.words.get_mut(word) {
                    let added = (mask(word, &part) & !*bits).count_ones();
                    *bits |= mask(word, &part);
                    group.marked += added;
                    self.marked += u64::from(added);
                }
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
        for (index, part) in parts(range) {
            let Some(group) = self.groups.get_mut(index).filter(|group| group.marked > 0) else {
                continue;
            };
            for word in words(&part) {
                if let Some(bits) = group.words.get_mut(word) {
                    let removed = (mask(word, &part) & *bits).count_ones();
                    *bits &= !mask(word, &part);
                    group.marked -= removed;
                    self.marked -= u64::from(removed);
                }
            }
            if group.marked == 0 {
                group.words = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn marks_are_those_that_were_made_and_not_cleared() {
        let size = 3 * GROUP_LBAS + 100;
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
                // Around the boundaries of groups and words.
                0 => (GROUP_LBAS * (1 + below(2)) + below(130)).saturating_sub(65),
                1 => below(200),
                _ => below(size),
            };
            let end = (start + 1 + below(150)).min(size);
            match below(3) {
                0 => {
                    lbas.prepare(start..end).unwrap();
                    lbas.mark(start..end);
                    wanted.extend(start..end);
                }
                1 => {
                    lbas.clear(start..end);
                    wanted.retain(|lba| !(start..end).contains(lba));
                }
                _ => assert_eq!(
                    lbas.has_any(start..end),
                    wanted.range(start..end).next().is_some()
                ),
            }
            assert_eq!(lbas.marked, wanted.len() as u64, "step {step}");
        }
        lbas.clear(0..size);
        assert!(!lbas.has_any(0..size));
        assert!(
            lbas.groups.iter().all(|group| group.words.is_empty()),
            "nothing is kept"
        );
    }
}
