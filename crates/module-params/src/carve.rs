//! Which memory blocks to take from a running kernel: a contiguous run, as high up as possible.
//!
//! High, because the kernel's own lasting allocations gather at the bottom, and 32-bit devices need what is below 4 GiB. A run
//! is taken from its lowest block upwards: see [`Blocks::run_may_begin`].

use core::fmt;

/// The machine's memory, in blocks that can be taken away whole. A block is named by its address divided by its size.
pub trait Blocks {
    /// The node of a block that is in use by the kernel and may perhaps be taken; `None` of any other.
    fn candidate(&mut self, block: u64) -> Option<u32>;
    /// Whether blocks can be taken from this one upwards: the kernel's map of memory allows not every cut.
    fn run_may_begin(&mut self, block: u64) -> bool;
    /// Takes the block; false if the kernel does not let go of it.
    fn take(&mut self, block: u64) -> bool;
    /// Gives back a block that was taken.
    fn give_back(&mut self, block: u64);
    /// Whether the user has had enough of waiting.
    fn interrupted(&mut self) -> bool;
}

/// Nothing was taken, or all of it has been given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarveError {
    /// The most blocks in a row that looked as if they could be had, or were.
    pub longest_run: u64,
    /// The user stopped the search.
    pub interrupted: bool,
}

impl fmt::Display for CarveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            f.write_str("interrupted")
        } else {
            write!(
                f,
                "at most {} memory blocks in a row can be taken",
                self.longest_run
            )
        }
    }
}

/// Takes `wanted` consecutive blocks of one node below `end` and returns the first. Blocks of `node` if it is given.
///
/// # Errors
/// If there is no such run; then nothing is taken.
pub fn carve(blocks: &mut impl Blocks, end: u64, wanted: u64, node: Option<u32>) -> Result<u64, CarveError> {
    let mut longest_run = 0;
    // Candidates `run_start..run_end` of one node; blocks from `run_start` down are yet to be looked at.
    let mut run_end = end;
    let mut run_start = end;
    let mut run_node = None;
    loop {
        // Grow the run downwards by looking only, until it is long enough.
        while run_end - run_start < wanted {
            if blocks.interrupted() {
                return Err(CarveError {
                    longest_run,
                    interrupted: true,
                });
            }
            longest_run = longest_run.max(run_end - run_start);
            let Some(next) = run_start.checked_sub(1) else {
                return Err(CarveError {
                    longest_run,
                    interrupted: false,
                });
            };
            let found = blocks
                .candidate(next)
                .filter(|&found| node.is_none_or(|node| node == found));
            match found {
                Some(found) if run_start < run_end && run_node == Some(found) => {}
                // A run of this node begins here.
                Some(found) => {
                    run_end = run_start;
                    run_node = Some(found);
                }
                None => run_end = next,
            }
            run_start = next;
        }
        if !blocks.run_may_begin(run_start) {
            run_end -= 1;
            continue;
        }
        match (run_start..run_end).find(|&block| blocks.interrupted() || !blocks.take(block)) {
            None => return Ok(run_start),
            Some(refused) => {
                for taken in run_start..refused {
                    blocks.give_back(taken);
                }
                // Between the refused block and the top there is too little; what is below was just given back.
                run_end = refused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// One letter a block: `.` free, `1` free on node 1, `^` free but no run may begin here, `!` a candidate that cannot be
    /// taken, anything else no candidate.
    struct Memory {
        blocks: Vec<u8>,
        taken: Vec<u64>,
        patience: u32,
    }

    impl Memory {
        fn new(blocks: &str) -> Self {
            Self {
                blocks: blocks.bytes().collect(),
                taken: Vec::new(),
                patience: 1000,
            }
        }
        fn carve(&mut self, wanted: u64, node: Option<u32>) -> Result<u64, CarveError> {
            let end = self.blocks.len() as u64;
            carve(self, end, wanted, node)
        }
    }

    impl Blocks for Memory {
        fn candidate(&mut self, block: u64) -> Option<u32> {
            match self.blocks[block as usize] {
                b'.' | b'^' | b'!' => Some(0),
                b'1' => Some(1),
                _ => None,
            }
        }
        fn run_may_begin(&mut self, block: u64) -> bool {
            self.blocks[block as usize] != b'^'
        }
        fn take(&mut self, block: u64) -> bool {
            let free = self.blocks[block as usize] != b'!';
            if free {
                self.taken.push(block);
            }
            free
        }
        fn give_back(&mut self, block: u64) {
            self.taken.retain(|&taken| taken != block);
        }
        fn interrupted(&mut self) -> bool {
            self.patience = self.patience.saturating_sub(1);
            self.patience == 0
        }
    }

    #[test]
    fn the_highest_run_is_taken() {
        let mut memory = Memory::new("........--..-...-.");
        assert_eq!(memory.carve(3, None), Ok(13));
        assert_eq!(memory.taken, [13, 14, 15]);
        assert_eq!(Memory::new("........--..-...-.").carve(8, None), Ok(0));
        assert_eq!(Memory::new("..").carve(1, None), Ok(1));
    }

    #[test]
    fn a_block_that_cannot_be_taken_costs_only_what_is_above_it() {
        let mut memory = Memory::new("-....!..");
        assert_eq!(memory.carve(4, None), Ok(1));
        assert_eq!(memory.taken, [1, 2, 3, 4]);
    }

    #[test]
    fn failure_leaves_nothing_taken_and_says_how_much_there_was() {
        let mut memory = Memory::new("..!...!.-");
        assert_eq!(
            memory.carve(4, None),
            Err(CarveError {
                longest_run: 3,
                interrupted: false
            })
        );
        assert_eq!(memory.taken, []);
        assert_eq!(
            Memory::new("").carve(1, None),
            Err(CarveError {
                longest_run: 0,
                interrupted: false
            })
        );
    }

    #[test]
    fn a_run_begins_where_it_may() {
        assert_eq!(Memory::new("-.^^^^^^^-").carve(4, None), Ok(1));
        assert_eq!(Memory::new("...^^^^^^-").carve(4, None), Ok(2));
        assert!(Memory::new("-^^^^^^^^-").carve(4, None).is_err());
    }

    #[test]
    fn a_run_lies_on_one_node() {
        assert_eq!(Memory::new("....1111.").carve(3, None), Ok(5));
        assert_eq!(Memory::new("....1111.").carve(3, Some(0)), Ok(1));
        assert_eq!(
            Memory::new("..1.1..").carve(3, None),
            Err(CarveError {
                longest_run: 2,
                interrupted: false
            })
        );
    }

    #[test]
    fn the_user_may_stop_it() {
        let mut memory = Memory::new("..........");
        memory.patience = 6;
        assert_eq!(
            memory.carve(4, None),
            Err(CarveError {
                longest_run: 3,
                interrupted: true
            })
        );
        assert_eq!(memory.taken, []);
    }
}
