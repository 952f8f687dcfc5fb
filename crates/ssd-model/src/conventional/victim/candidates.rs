//! A set of lines from which one can be taken by its place.

use alloc::vec::Vec;

use super::super::lines::Lines;
use crate::table::room;
use crate::SetupError;

/// The candidates, in no particular order (but always the same one for the same history).
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    lines: Vec<u32>,
    /// How many there can be.
    len_max: usize,
}

impl Candidates {
    pub fn new(lines: u32) -> Result<Self, SetupError> {
        Ok(Self {
            lines: room(lines as usize)?,
            len_max: lines as usize,
        })
    }

    pub fn insert(&mut self, line: u32) {
        // There is room for every line, and each is a candidate once.
        self.lines.push(line);
    }

    /// Takes out the `place`th.
    pub fn take_at(&mut self, place: usize) -> Option<u32> {
        (place < self.lines.len()).then(|| self.lines.swap_remove(place))
    }

    /// Takes out the one for which `is_better(this, best so far)` says so. Looks at all of them: a collection moves hundreds of
    /// pages, beside which this is little.
    pub fn take_best(&mut self, is_better: impl Fn(u32, u32) -> bool) -> Option<u32> {
        let mut best = (0, *self.lines.first()?);
        for (place, &line) in self.lines.iter().enumerate().skip(1) {
            if is_better(line, best.1) {
                best = (place, line);
            }
        }
        self.take_at(best.0)
    }

    pub fn take_emptiest(&mut self, lines: &Lines) -> Option<u32> {
        self.take_best(|line, best| lines.valid_pages(line) < lines.valid_pages(best))
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn metadata_bytes(&self) -> u64 {
        (self.len_max * size_of::<u32>()) as u64
    }
}
