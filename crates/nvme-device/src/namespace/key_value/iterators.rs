//! Open iterators of the vendor specific commands.

use alloc::vec::Vec;

use nvme_spec::{Status, VENDOR_ITERATORS};
use ssd_model::key_value::Cursor;

use crate::setup::{table, SetupError};

/// Something that goes through keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenIterator {
    prefix: u32,
    mask: u32,
    pub with_values: bool,
    pub cursor: Cursor,
}

impl OpenIterator {
    /// The four bytes are compared as the number that a little-endian host makes of them; a shorter key has zeros there.
    pub fn wants(&self, key: &[u8]) -> bool {
        let mut first = [0; 4];
        first.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
        (u32::from_le_bytes(first) ^ self.prefix) & self.mask == 0
    }
}

/// Those that are open; the handle of the first one is 1, since clients take 0 for none.
pub(crate) struct Iterators(Vec<Option<OpenIterator>>);

impl Iterators {
    /// None is open.
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self(table(VENDOR_ITERATORS, || None)?))
    }

    pub fn close_all(&mut self) {
        self.0.fill(None);
    }

    pub fn get_mut(&mut self, handle: u8) -> Option<&mut Option<OpenIterator>> {
        self.0.get_mut(usize::from(handle).checked_sub(1)?)
    }

    /// Opens an iterator and returns its handle.
    pub fn open(&mut self, prefix: u32, mask: u32, with_values: bool) -> Result<u8, Status> {
        let is_same = |open: &OpenIterator| (open.prefix ^ prefix) & mask == 0 && open.mask == mask;
        if self.0.iter().flatten().any(is_same) {
            return Err(Status::VENDOR_ITERATOR_EXISTS);
        }
        let (handle, place) = (1u8..)
            .zip(&mut self.0)
            .find(|(_, place)| place.is_none())
            .ok_or(Status::VENDOR_NO_ITERATOR_AVAILABLE)?;
        *place = Some(OpenIterator {
            prefix,
            mask,
            with_values,
            cursor: Cursor::START,
        });
        Ok(handle)
    }
}
