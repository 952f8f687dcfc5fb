//! LBAs of a namespace, and their bytes.

use core::ops::Range;

/// A range of LBAs that lies inside its namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByteRange {
    /// From the namespace's start.
    pub offset_bytes: u64,
    pub len_bytes: u32,
}

/// How a namespace is cut into LBAs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LbaSpace {
    pub lba_log2: u8,
    pub size_lbas: u64,
}

impl LbaSpace {
    /// The bytes of `lbas` LBAs from `slba`, or nothing if any of them is beyond the namespace.
    pub fn range(self, slba: u64, lbas: u32) -> Option<ByteRange> {
        if slba.checked_add(u64::from(lbas))? > self.size_lbas {
            return None;
        }
        Some(ByteRange {
            offset_bytes: slba << self.lba_log2,
            len_bytes: lbas.checked_shl(self.lba_log2.into())?,
        })
    }

    /// The LBAs of `range`.
    pub fn lbas(self, range: ByteRange) -> Range<u64> {
        let first = range.offset_bytes >> self.lba_log2;
        first..first + u64::from(range.len_bytes >> self.lba_log2)
    }
}
