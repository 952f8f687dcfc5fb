//! From logical pages to physical ones.

use alloc::vec::Vec;

use crate::table::table;
use crate::SetupError;

/// Where logical pages are. Physical pages are numbered over the partition, line by line, in the order in which a line is written.
pub trait PageMapping {
    /// The physical page that has `logical`, if any has.
    fn lookup(&self, logical: u32) -> Option<u32>;

    /// From now on `physical` has `logical`; the result is which one had it before.
    fn map(&mut self, logical: u32, physical: u32) -> Option<u32>;

    /// From now on no page has `logical`; the result is which one had it before.
    fn unmap(&mut self, logical: u32) -> Option<u32>;

    /// How many logical pages there are.
    fn len(&self) -> u32;
}

/// What stands in the table for "none".
const NONE: u32 = u32::MAX;

/// One entry of 4 bytes per logical page.
#[derive(Clone, Debug)]
pub struct PageTable {
    entries: Vec<u32>,
}

impl PageTable {
    /// Of `logical_pages`, none of which is mapped.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(logical_pages: u32) -> Result<Self, SetupError> {
        Ok(Self {
            entries: table(logical_pages as usize, NONE)?,
        })
    }

    /// Bytes of memory for so many pages.
    pub fn table_bytes(logical_pages: u32) -> u64 {
        u64::from(logical_pages) * size_of::<u32>() as u64
    }

    /// Bytes of the table.
    pub(super) fn metadata_bytes(&self) -> u64 {
        size_of_val(self.entries.as_slice()) as u64
    }
}

impl PageMapping for PageTable {
    #[inline]
    fn lookup(&self, logical: u32) -> Option<u32> {
        self.entries
            .get(logical as usize)
            .copied()
            .filter(|&physical| physical != NONE)
    }

    #[inline]
    fn map(&mut self, logical: u32, physical: u32) -> Option<u32> {
        let entry = self.entries.get_mut(logical as usize)?;
        let before = core::mem::replace(entry, physical);
        (before != NONE).then_some(before)
    }

    #[inline]
    fn unmap(&mut self, logical: u32) -> Option<u32> {
        self.map(logical, NONE)
    }

    fn len(&self) -> u32 {
        self.entries.len() as u32
    }
}
