//! The medium in units: chains of them, and those that are free.
//!
//! Every unit has one entry in a table, the number of the unit that follows it: in the chain of a pair, or among the free ones. So any
//! free unit serves any pair, and nothing is ever lost to gaps between pairs: what a pair does not use of its last unit is all that is wasted.

use alloc::vec::Vec;

use crate::table::room;
use crate::SetupError;

/// No unit.
pub(super) const NONE: u32 = u32::MAX;

/// The first unit of a chain, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub first: u32,
    pub units: u32,
}

/// A part of a value that is contiguous on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From the beginning of the drive's part of the medium.
    pub media_offset: u64,
    /// Its length.
    pub len_bytes: u32,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Units {
    next: Vec<u32>,
    log2: u32,
    free_first: u32,
    free: u32,
}

impl Units {
    /// `count` units of `2^log2` bytes, all of them free, and in order: a new drive's pairs are contiguous.
    pub fn new(count: u32, log2: u32) -> Result<Self, SetupError> {
        let mut next = room(count as usize)?;
        next.extend((1..count).chain([NONE]).take(count as usize));
        Ok(Self {
            next,
            log2,
            free_first: if count > 0 { 0 } else { NONE },
            free: count,
        })
    }

    /// Bytes of memory that the table of `count` units takes.
    pub fn memory_bytes(count: u32) -> u64 {
        u64::from(count) * size_of::<u32>() as u64
    }

    pub fn free(&self) -> u32 {
        self.free
    }

    /// Units that `bytes` take.
    pub fn needed(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(1 << self.log2)).unwrap_or(u32::MAX)
    }

    fn next(&self, unit: u32) -> u32 {
        self.next.get(unit as usize).copied().unwrap_or(NONE)
    }

    fn set_next(&mut self, unit: u32, next: u32) {
        if let Some(slot) = self.next.get_mut(unit as usize) {
            *slot = next;
        }
    }

    /// The unit `steps` behind `unit`.
    fn skip(&self, unit: u32, steps: u32) -> u32 {
        (0..steps).fold(unit, |unit, _| self.next(unit))
    }

    /// Takes `units` (at least 1) of the free ones, if there are so many.
    pub fn allocate(&mut self, units: u32) -> Option<Chain> {
        if units == 0 || units > self.free {
            return None;
        }
        let first = self.free_first;
        let last = self.skip(first, units - 1);
        self.free_first = self.next(last);
        self.free -= units;
        self.set_next(last, NONE);
        Some(Chain { first, units })
    }

    /// Makes the units of `chain` free. They are the next ones to be used, in the order they have: a pair that replaces one of the same size
    /// is as contiguous as that was.
    pub fn release(&mut self, chain: Chain) {
        if chain.units == 0 {
            return;
        }
        let last = self.skip(chain.first, chain.units - 1);
        self.set_next(last, self.free_first);
        self.free_first = chain.first;
        self.free += chain.units;
    }

    /// Puts `more` behind `chain`, which has a unit at least.
    pub fn extend(&mut self, chain: Chain, more: Chain) {
        let last = self.skip(chain.first, chain.units - 1);
        self.set_next(last, more.first);
    }

    /// Makes all units of `chain` free but the first `kept` (at least 1).
    pub fn shorten(&mut self, chain: Chain, kept: u32) {
        let last = self.skip(chain.first, kept - 1);
        let rest = Chain {
            first: self.next(last),
            units: chain.units - kept,
        };
        self.set_next(last, NONE);
        self.release(rest);
    }

    /// The pieces that `len_bytes` from byte `offset` of a chain are made of, in order.
    pub fn pieces(&self, first: u32, offset: u64, len_bytes: u32) -> Pieces<'_> {
        let in_unit = (offset & ((1 << self.log2) - 1)) as u32;
        Pieces {
            units: self,
            unit: self.skip(first, (offset >> self.log2) as u32),
            in_unit,
            left: len_bytes,
        }
    }
}

/// The pieces of a part of a chain, in order.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    units: &'a Units,
    unit: u32,
    in_unit: u32,
    left: u32,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.left == 0 || self.unit == NONE {
            return None;
        }
        let unit_bytes = 1u32 << self.units.log2;
        let media_offset = (u64::from(self.unit) << self.units.log2) + u64::from(self.in_unit);
        let mut len_bytes = (unit_bytes - self.in_unit).min(self.left);
        loop {
            let following = self.units.next(self.unit);
            let is_contiguous = following == self.unit.wrapping_add(1);
            self.unit = following;
            self.in_unit = 0;
            if !is_contiguous || len_bytes == self.left {
                break;
            }
            len_bytes += unit_bytes.min(self.left - len_bytes);
        }
        self.left -= len_bytes;
        Some(Piece {
            media_offset,
            len_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn pieces(units: &Units, chain: Chain, offset: u64, len_bytes: u32) -> Vec<(u64, u32)> {
        let pieces = units.pieces(chain.first, offset, len_bytes);
        pieces
            .map(|piece| (piece.media_offset, piece.len_bytes))
            .collect()
    }

    #[test]
    fn a_new_drive_is_contiguous_and_a_used_one_is_in_pieces() {
        let mut units = Units::new(8, 9).expect("enough memory");
        let first = units.allocate(3).expect("8 are free");
        assert_eq!(pieces(&units, first, 0, 1536), [(0, 1536)]);
        assert_eq!(pieces(&units, first, 500, 600), [(500, 600)]);
        let second = units.allocate(2).expect("5 are free");
        units.release(first);
        // The first one's three units, and one from behind the second.
        let third = units.allocate(4).expect("6 are free");
        assert_eq!(pieces(&units, third, 0, 2048), [(0, 1536), (5 * 512, 512)]);
        assert_eq!(pieces(&units, third, 1530, 10), [(1530, 6), (5 * 512, 4)]);
        assert_eq!(pieces(&units, third, 1536, 0), []);
        assert_eq!(units.allocate(3), None);
        units.extend(
            second,
            Chain {
                first: third.first,
                units: 4,
            },
        );
        units.shorten(
            Chain {
                first: second.first,
                units: 6,
            },
            1,
        );
        assert_eq!(units.free(), 7);
    }

    #[test]
    fn all_units_are_had_once_and_come_back() {
        let mut units = Units::new(100, 6).expect("enough memory");
        for round in 1..40 {
            let mut chains = Vec::new();
            let mut seen = BTreeSet::new();
            while let Some(chain) = units.allocate((round * 7) % 13 + 1) {
                for piece in units.pieces(chain.first, 0, chain.units * 64) {
                    for at in (0..piece.len_bytes).step_by(64) {
                        assert!(seen.insert(piece.media_offset + u64::from(at)), "one unit twice");
                    }
                }
                chains.push(chain);
            }
            assert_eq!(seen.len() as u32 + units.free(), 100);
            let middle = chains.len() / 2;
            chains.rotate_left(middle);
            chains.into_iter().for_each(|chain| units.release(chain));
            assert_eq!(units.free(), 100);
        }
    }
}
