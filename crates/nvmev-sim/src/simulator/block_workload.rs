//! Generated workloads on drives whose blocks can be written in any order.

use super::error::SimulatorError;
use super::generate::{arrival_ns, done_milli, Random};
use super::source::{Action, Io, Source};

/// The commands of a workload on a drive whose blocks can be written in any order.
#[derive(Clone, Debug)]
pub(super) struct BlockGenerator {
    pub random: Random,
    pub is_random: bool,
    pub read_percent: u64,
    pub trim_percent: u64,
    pub block_bytes: u64,
    pub blocks: u64,
    pub offset_bytes: u64,
    pub fua: bool,
    /// Percentage of commands, and blocks that they go to.
    pub hot: Option<(u64, u64)>,
    pub rate_per_s: Option<u64>,
    pub index: u64,
    pub count: u64,
}

impl BlockGenerator {
    #[inline]
    fn block(&mut self) -> u64 {
        if !self.is_random {
            return self.index % self.blocks;
        }
        match self.hot {
            None => self.random.below(self.blocks),
            Some((percent, hot_blocks)) if self.random.below(100) < percent => self.random.below(hot_blocks),
            Some((_, hot_blocks)) if hot_blocks < self.blocks => {
                hot_blocks + self.random.below(self.blocks - hot_blocks)
            }
            Some(_) => self.random.below(self.blocks),
        }
    }

    #[inline]
    fn action(&mut self) -> Action {
        if self.trim_percent == 100 {
            return Action::Trim;
        }
        let is_read = match self.read_percent {
            100 => true,
            0 => false,
            percent => self.random.below(100) < percent,
        };
        if is_read {
            Action::Read
        } else {
            Action::Write(self.fua)
        }
    }
}

impl Source for BlockGenerator {
    #[inline]
    fn next(&mut self) -> Result<Option<Io>, SimulatorError> {
        if self.index == self.count {
            return Ok(None);
        }
        let io = Io {
            at_ns: arrival_ns(self.index, self.rate_per_s),
            wait_ns: 0,
            action: self.action(),
            offset_bytes: self.offset_bytes + self.block() * self.block_bytes,
            len_bytes: self.block_bytes,
        };
        self.index += 1;
        Ok(Some(io))
    }

    fn progress_milli(&self) -> Option<u64> {
        done_milli(self.index, self.count)
    }
}
