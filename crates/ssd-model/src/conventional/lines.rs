//! The lines of a partition: what is in their pages, how much of it is valid, and in which state they are.
//!
//! A line is a superblock: one block of each LUN of the partition, written and erased together.

use alloc::vec::Vec;

use crate::divisor::Divisor;
use crate::table::table;
use crate::{EraseCounts, LineCounts, SetupError};

/// What stands in the table for "no logical page".
const NONE: u32 = u32::MAX;

/// Where a line is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// Erased, in the list of free lines.
    Free,
    /// Being written.
    Open,
    /// Written, every page valid.
    Full,
    /// Written, some page invalid: garbage collection may take it.
    Victim,
}

/// What a line takes in the tables of `super::victim`, at most.
const VICTIM_BYTES: u64 = 16;

#[derive(Clone, Copy, Debug)]
struct Line {
    valid_pages: u32,
    erase_count: u32,
    closed_at_ns: u64,
    state: LineState,
}

/// All lines of a partition.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: Vec<Line>,
    pages_per_line: Divisor,
    /// The logical page in each physical page. A physical page is valid if there is one.
    owners: Vec<u32>,
    /// Free lines, a ring: the longest free is taken first.
    free: Vec<u32>,
    free_head: usize,
    free_len: usize,
}

impl Lines {
    /// `lines` lines of `pages_per_line` pages, all free, in the order of their numbers.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(lines: u32, pages_per_line: u32) -> Result<Self, SetupError> {
        let erased = Line {
            valid_pages: 0,
            erase_count: 0,
            closed_at_ns: 0,
            state: LineState::Free,
        };
        let mut free = table(lines as usize, 0)?;
        for (line, slot) in (0..lines).zip(&mut free) {
            *slot = line;
        }
        Ok(Self {
            lines: table(lines as usize, erased)?,
            pages_per_line: Divisor::new(pages_per_line),
            owners: table(lines as usize * pages_per_line as usize, NONE)?,
            free,
            free_head: 0,
            free_len: lines as usize,
        })
    }

    /// Bytes of memory for so many lines, with what the choice of victims needs for each.
    pub fn table_bytes(lines: u32, pages_per_line: u32) -> u64 {
        let (lines, entry_bytes) = (u64::from(lines), size_of::<u32>() as u64);
        let line_bytes = size_of::<Line>() as u64 + entry_bytes + VICTIM_BYTES;
        lines * (line_bytes + u64::from(pages_per_line) * entry_bytes)
    }

    /// How many lines there are.
    pub fn len(&self) -> u32 {
        self.lines.len() as u32
    }

    /// How many pages a line has.
    pub fn pages_per_line(&self) -> u32 {
        self.pages_per_line.value()
    }

    /// How many lines are free.
    pub fn free_len(&self) -> u32 {
        self.free_len as u32
    }

    /// The line that `physical` is in.
    #[inline]
    pub fn line_of(&self, physical: u32) -> u32 {
        self.pages_per_line.divide(physical)
    }

    /// Number of the first page of `line`.
    #[inline]
    pub fn first_page(&self, line: u32) -> u32 {
        line * self.pages_per_line()
    }

    /// Valid pages of `line`.
    #[inline]
    pub fn valid_pages(&self, line: u32) -> u32 {
        self.lines[line as usize].valid_pages
    }

    /// State of `line`.
    pub fn state(&self, line: u32) -> LineState {
        self.lines[line as usize].state
    }

    /// When `line` was written out, ns.
    pub fn closed_at_ns(&self, line: u32) -> u64 {
        self.lines[line as usize].closed_at_ns
    }

    /// The logical page in `physical`, if it is valid.
    #[inline]
    pub fn owner(&self, physical: u32) -> Option<u32> {
        let owner = self.owners[physical as usize];
        (owner != NONE).then_some(owner)
    }

    /// The owners of `count` pages from `first` on, those that are valid with their place.
    #[inline]
    pub fn count_valid(&self, first: u32, count: u32) -> u32 {
        let pages = &self.owners[first as usize..(first + count) as usize];
        pages.iter().filter(|&&owner| owner != NONE).count() as u32
    }

    /// Puts `logical` into the erased page `physical`.
    #[inline]
    pub fn fill(&mut self, physical: u32, logical: u32, line: u32) {
        self.owners[physical as usize] = logical;
        self.lines[line as usize].valid_pages += 1;
    }

    /// Makes `physical` invalid; the result is its line and the line's state before.
    #[inline]
    pub fn invalidate(&mut self, physical: u32) -> (u32, LineState) {
        self.owners[physical as usize] = NONE;
        let number = self.line_of(physical);
        let line = &mut self.lines[number as usize];
        line.valid_pages -= 1;
        let state = line.state;
        if state == LineState::Full {
            line.state = LineState::Victim;
        }
        (number, state)
    }

    /// Takes `physical` out of a line that is being collected.
    #[inline]
    pub fn vacate(&mut self, physical: u32) {
        self.owners[physical as usize] = NONE;
    }

    /// Opens the line that was free for longest.
    pub fn open(&mut self) -> Option<u32> {
        if self.free_len == 0 {
            return None;
        }
        let line = self.free[self.free_head];
        self.free_head = (self.free_head + 1) % self.free.len();
        self.free_len -= 1;
        self.lines[line as usize].state = LineState::Open;
        Some(line)
    }

    /// `line` is written out; the result is the state that follows.
    pub fn close(&mut self, line: u32, now_ns: u64) -> LineState {
        let pages = self.pages_per_line();
        let line = &mut self.lines[line as usize];
        line.closed_at_ns = now_ns;
        line.state = if line.valid_pages == pages {
            LineState::Full
        } else {
            LineState::Victim
        };
        line.state
    }

    /// `line`, every page of which was vacated, is erased and joins the free ones.
    pub fn erase(&mut self, number: u32) {
        let line = &mut self.lines[number as usize];
        line.valid_pages = 0;
        line.erase_count += 1;
        line.state = LineState::Free;
        let tail = (self.free_head + self.free_len) % self.free.len();
        self.free[tail] = number;
        self.free_len += 1;
    }

    /// Adds this partition's lines to `counts` and to `erases`, whose mean is still a sum here.
    pub(super) fn add_to(&self, counts: &mut LineCounts, erases: &mut EraseCounts) {
        for line in &self.lines {
            *match line.state {
                LineState::Free => &mut counts.free,
                LineState::Open => &mut counts.open,
                LineState::Full => &mut counts.full,
                LineState::Victim => &mut counts.victim,
            } += 1;
            erases.min = erases.min.min(line.erase_count);
            erases.max = erases.max.max(line.erase_count);
            erases.mean_milli += u64::from(line.erase_count);
        }
    }

    /// Bytes of the tables.
    pub(super) fn metadata_bytes(&self) -> u64 {
        (size_of_val(self.owners.as_slice())
            + size_of_val(self.lines.as_slice())
            + size_of_val(self.free.as_slice())) as u64
    }
}
