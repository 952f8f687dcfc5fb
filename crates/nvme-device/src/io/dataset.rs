//! Dataset Management: the list of ranges, fetched and checked as a whole, and taken in parts (NVM CS 1.0 §3.2.3).

use alloc::vec::Vec;

use nvme_spec::{Cdw10DatasetManagement, Cdw11DatasetManagement, DatasetRange, Status, SubmissionQueueEntry};
use zerocopy::{FromZeros, IntoBytes};

use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::wait::Position;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::setup::{table, SetupError};

/// Most ranges of a command: NR has eight bits, and there is no other limit (DMRL, DMRSL and DMSL are 0).
pub(crate) const RANGES_MAX: usize = 256;

/// The ranges of a command. There is room for as many as a command can have.
pub(crate) struct RangeList {
    ranges: Vec<DatasetRange>,
    count: usize,
    space: LbaSpace,
}

impl Default for RangeList {
    /// Without room.
    fn default() -> Self {
        Self {
            ranges: Vec::new(),
            count: 0,
            space: LbaSpace {
                lba_log2: 0,
                size_lbas: 0,
            },
        }
    }
}

impl RangeList {
    /// An empty one.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            ranges: table(RANGES_MAX, DatasetRange::new_zeroed)?,
            ..Self::default()
        })
    }

    /// Fetches and checks what `entry` wants deallocated in a namespace with the LBAs `space`: nothing, if it only gives hints.
    ///
    /// # Errors
    /// The status of the whole command: with one wrong range, none is touched.
    pub fn fetch<H: HostMemory>(
        &mut self,
        entry: &SubmissionQueueEntry,
        space: LbaSpace,
        host: &H,
    ) -> Result<(), Status> {
        self.count = 0;
        self.space = space;
        // The other attributes are hints about how the ranges will be used.
        if !Cdw11DatasetManagement(entry.cdw11.get()).deallocates() {
            return Ok(());
        }
        let count = usize::from(Cdw10DatasetManagement(entry.cdw10.get()).ranges_z()) + 1;
        let ranges = self.ranges.get_mut(..count).ok_or(Status::INTERNAL_ERROR)?;
        DataPointer::of(entry).read(host, ranges.as_mut_bytes())?;
        let is_inside = |range: &DatasetRange| {
            let end = range.slba.get().checked_add(range.lbas.get().into());
            end.is_some_and(|end| end <= space.size_lbas)
        };
        if !ranges.iter().all(is_inside) {
            return Err(Status::LBA_OUT_OF_RANGE);
        }
        self.count = count;
        Ok(())
    }

    /// The next part at `position`, which is not empty and does not go across a multiple of `part_bytes`, a power of two; and the position after it.
    /// Nothing if all is done.
    pub fn part(&self, position: Position, part_bytes: u32) -> Option<(ByteRange, Position)> {
        let Position {
            range,
            mut done_bytes,
        } = position;
        let ranges = self.ranges.iter().take(self.count);
        for (index, range) in (0u32..).zip(ranges).skip(range as usize) {
            let offset_bytes = (range.slba.get() << self.space.lba_log2) + done_bytes;
            let left_bytes = (u64::from(range.lbas.get()) << self.space.lba_log2).saturating_sub(done_bytes);
            if left_bytes == 0 {
                done_bytes = 0;
                continue;
            }
            let to_multiple = u64::from(part_bytes) - offset_bytes % u64::from(part_bytes);
            let len_bytes = left_bytes.min(to_multiple);
            let part = ByteRange {
                offset_bytes,
                len_bytes: len_bytes as u32,
            };
            let after = Position {
                range: index,
                done_bytes: done_bytes + len_bytes,
            };
            return Some((part, after));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ranges: &[(u64, u32)]) -> RangeList {
        let mut list = RangeList::new().unwrap();
        list.space = LbaSpace {
            lba_log2: 9,
            size_lbas: u64::MAX >> 9,
        };
        list.count = ranges.len();
        for (slot, &(slba, lbas)) in list.ranges.iter_mut().zip(ranges) {
            (slot.slba, slot.lbas) = (slba.into(), lbas.into());
        }
        list
    }

    #[test]
    fn parts_cover_each_range_once_and_are_cut_at_multiples() {
        let list = list(&[(7, 1), (0, 0), (6, 20), (0, 0), (16, 8), (0, 0)]);
        let mut parts = Vec::new();
        let mut position = Position::default();
        while let Some((part, after)) = list.part(position, 4096) {
            parts.push((part.offset_bytes / 512, part.len_bytes / 512));
            position = after;
        }
        assert_eq!(parts, [(7, 1), (6, 2), (8, 8), (16, 8), (24, 2), (16, 8)]);
        assert_eq!(list.part(position, 4096), None);
    }

    #[test]
    fn the_longest_range_is_cut_as_any_other() {
        let list = list(&[(1, u32::MAX)]);
        let (first, after) = list.part(Position::default(), 1 << 30).unwrap();
        assert_eq!((first.offset_bytes, first.len_bytes), (512, (1 << 30) - 512));
        let (second, _) = list.part(after, 1 << 30).unwrap();
        assert_eq!((second.offset_bytes, second.len_bytes), (1 << 30, 1 << 30));
        let last = Position {
            range: 0,
            done_bytes: u64::from(u32::MAX) * 512 - 512,
        };
        let (last, after) = list.part(last, 1 << 30).unwrap();
        assert_eq!(
            (last.offset_bytes, last.len_bytes),
            (u64::from(u32::MAX) * 512, 512)
        );
        assert_eq!(list.part(after, 1 << 30), None);
    }
}
