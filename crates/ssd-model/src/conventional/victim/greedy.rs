//! Greedy: the line with the fewest valid pages.
//!
//! A binary min-heap. Which of several lines with the same count is at its root follows from how the heap is kept, and the
//! reference's traces depend on it: inserting, taking and lowering work exactly as MODELS.md §5 says.

use alloc::vec::Vec;

use super::super::lines::Lines;
use super::policy::Victims;
use crate::table::{room, table};
use crate::SetupError;

/// The heap.
#[derive(Clone, Debug)]
pub struct Greedy {
    /// Line numbers; index 0 is not used, the root is at 1.
    heap: Vec<u32>,
    /// Where in the heap each line is, if it is a candidate.
    places: Vec<u32>,
}

impl Greedy {
    /// An empty heap with room for `lines` lines.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(lines: u32) -> Result<Self, SetupError> {
        let mut heap = room(lines as usize + 1)?;
        heap.push(0);
        Ok(Self {
            heap,
            places: table(lines as usize, 0)?,
        })
    }

    fn put(&mut self, place: usize, line: u32) {
        self.heap[place] = line;
        self.places[line as usize] = place as u32;
    }

    /// Moves `line` from `place` towards the root, past parents with more valid pages.
    fn move_up(&mut self, mut place: usize, line: u32, lines: &Lines) {
        let valid_pages = lines.valid_pages(line);
        while place > 1 {
            let parent = self.heap[place / 2];
            if lines.valid_pages(parent) <= valid_pages {
                break;
            }
            self.put(place, parent);
            place /= 2;
        }
        self.put(place, line);
    }

    /// Moves `line` from `place` towards the leaves, past children with fewer valid pages: past the left one unless the right
    /// one has fewer still.
    fn move_down(&mut self, mut place: usize, line: u32, lines: &Lines) {
        let valid_pages = lines.valid_pages(line);
        while let Some(&left) = self.heap.get(2 * place) {
            let mut child = (2 * place, left, lines.valid_pages(left));
            if let Some(&right) = self.heap.get(2 * place + 1) {
                let right_valid_pages = lines.valid_pages(right);
                if child.2 > right_valid_pages {
                    child = (2 * place + 1, right, right_valid_pages);
                }
            }
            if valid_pages <= child.2 {
                break;
            }
            self.put(place, child.1);
            place = child.0;
        }
        self.put(place, line);
    }
}

impl Victims for Greedy {
    fn insert(&mut self, line: u32, lines: &Lines) {
        // There is room for every line, and each is a candidate once.
        self.heap.push(line);
        self.move_up(self.heap.len() - 1, line, lines);
    }

    #[inline]
    fn page_invalidated(&mut self, line: u32, lines: &Lines) {
        self.move_up(self.places[line as usize] as usize, line, lines);
    }

    fn take(&mut self, _: u64, lines: &Lines) -> Option<u32> {
        let root = *self.heap.get(1)?;
        let last = self.heap.pop()?;
        if self.heap.len() > 1 {
            self.move_down(1, last, lines);
        }
        Some(root)
    }

    fn take_emptiest(&mut self, lines: &Lines) -> Option<u32> {
        self.take(0, lines)
    }

    fn len(&self) -> usize {
        self.heap.len() - 1
    }

    fn metadata_bytes(&self) -> u64 {
        ((1 + 2 * self.places.len()) * size_of::<u32>()) as u64
    }
}
