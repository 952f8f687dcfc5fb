//! Dataset Management: the list of ranges, fetched once and checked (NVM CS 1.0 §3.2.3).

use nvme_spec::{DatasetRange, Status, SubmissionQueueEntry};
use zerocopy::FromZeros;

use crate::data_pointer::DataPointer;
use crate::host::Host;
use crate::namespace::{ByteRange, LbaSpace};

/// DMRL: ranges of a command. With [`RANGE_LBAS_MAX`] this bounds the work of one command; Linux keeps to both.
pub(crate) const RANGES_MAX: usize = 32;

/// DMRSL: the length of a range. The same for all formats, because drivers do not look again when a namespace gets another one.
pub(crate) const RANGE_LBAS_MAX: u32 = 4096;

/// AD: the ranges may be deallocated. The other attributes are hints about how they will be used.
const DEALLOCATE: u32 = 1 << 2;

/// The ranges of a command, all of them inside the namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeList {
    ranges: [ByteRange; RANGES_MAX],
    len: usize,
}

impl RangeList {
    pub const EMPTY: Self = Self {
        ranges: [ByteRange {
            offset_bytes: 0,
            len_bytes: 0,
        }; RANGES_MAX],
        len: 0,
    };

    /// Fetches and checks what `entry` wants deallocated in a namespace with the LBAs `space`: nothing, if it only gives hints.
    ///
    /// # Errors
    /// The status of the whole command: with one wrong range, none is touched.
    pub fn fetch<H: Host>(entry: &SubmissionQueueEntry, space: LbaSpace, host: &H) -> Result<Self, Status> {
        let mut list = Self::EMPTY;
        if entry.cdw11.get() & DEALLOCATE == 0 {
            return Ok(list);
        }
        let count = (entry.cdw10.get() & 0xFF) as usize + 1;
        let mut fetched = [DatasetRange::new_zeroed(); RANGES_MAX];
        let fetched = fetched
            .get_mut(..count)
            .ok_or(Status::COMMAND_SIZE_LIMIT_EXCEEDED)?;
        DataPointer::of(entry).read(host, zerocopy::IntoBytes::as_mut_bytes(fetched))?;
        for (slot, range) in list.ranges.iter_mut().zip(fetched) {
            let lbas = range.lbas.get();
            if lbas > RANGE_LBAS_MAX {
                return Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED);
            }
            *slot = space
                .range(range.slba.get(), lbas)
                .ok_or(Status::LBA_OUT_OF_RANGE)?;
        }
        list.len = count;
        Ok(list)
    }

    /// The ranges that are not empty.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        let ranges = self.ranges.iter().take(self.len);
        ranges.filter(|range| range.len_bytes > 0).copied()
    }
}
