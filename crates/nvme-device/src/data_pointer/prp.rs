//! PRP entries and lists (NVMe Base 2.0 §4.1.1).

use nvme_spec::{Status, PAGE_SIZE_BYTES};

use crate::host::{HostMemory, MemoryFault};

const PAGE: u64 = PAGE_SIZE_BYTES as u64;
const ENTRY_BYTES: u64 = 8;
/// Entries of a list that are fetched at once.
const FETCH: usize = 32;

/// PRP1 and PRP2 of a command, as the host wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prps {
    pub prp1: u64,
    pub prp2: u64,
}

impl Prps {
    /// What [`crate::data_pointer::DataPointer::for_each_piece_of`] is for PRPs; neighbouring pages are joined.
    ///
    /// # Errors
    /// As there, with PRP Offset Invalid for an entry with an offset that it must not have.
    pub(crate) fn for_each_piece_of<H: HostMemory>(
        self,
        host: &H,
        buffer_bytes: usize,
        len_bytes: usize,
        mut f: impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        if len_bytes == 0 {
            return Ok(());
        }
        if self.prp1 % 4 != 0 {
            return Err(Status::PRP_OFFSET_INVALID);
        }
        let in_first_page = (PAGE - self.prp1 % PAGE) as usize;
        let first_len = len_bytes.min(in_first_page);
        let mut pieces = Pieces {
            address: self.prp1,
            offset: 0,
            len: first_len,
        };
        let remaining = len_bytes - first_len;
        let buffer_remaining = buffer_bytes.saturating_sub(in_first_page);
        if remaining > 0 && buffer_remaining > PAGE_SIZE_BYTES {
            let mut list = List::new(self.prp2)?;
            let mut left = remaining;
            let unused = buffer_remaining.saturating_sub(remaining);
            while left > 0 {
                let entry = list.next(host, (left + unused).div_ceil(PAGE_SIZE_BYTES))?;
                let piece_len = left.min(PAGE_SIZE_BYTES);
                pieces.add(entry, piece_len, &mut f)?;
                left -= piece_len;
            }
        } else if remaining > 0 {
            pieces.add(page_entry(self.prp2)?, remaining, &mut f)?;
        }
        pieces.finish(&mut f)
    }
}

/// An entry that must be the address of a page.
fn page_entry(entry: u64) -> Result<u64, Status> {
    if entry % PAGE != 0 {
        return Err(Status::PRP_OFFSET_INVALID);
    }
    Ok(entry)
}

/// The piece being put together.
struct Pieces {
    address: u64,
    offset: usize,
    len: usize,
}

impl Pieces {
    fn add(
        &mut self,
        address: u64,
        len: usize,
        f: &mut impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        if self.address.checked_add(self.len as u64) == Some(address) {
            self.len += len;
            return Ok(());
        }
        f(self.address, self.offset, self.len)?;
        *self = Self {
            address,
            offset: self.offset + self.len,
            len,
        };
        Ok(())
    }

    fn finish(self, f: &mut impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>) -> Result<(), Status> {
        if self.len > 0 {
            f(self.address, self.offset, self.len)?;
        }
        Ok(())
    }
}

/// A PRP list being read: a few entries at a time, following the pointer at the end of each page.
struct List {
    /// Address of the next entry that is not yet fetched.
    address: u64,
    entries: [[u8; ENTRY_BYTES as usize]; FETCH],
    fetched: usize,
    used: usize,
}

impl List {
    fn new(address: u64) -> Result<Self, Status> {
        if address % ENTRY_BYTES != 0 {
            return Err(Status::PRP_OFFSET_INVALID);
        }
        Ok(Self {
            address,
            entries: [[0; ENTRY_BYTES as usize]; FETCH],
            fetched: 0,
            used: 0,
        })
    }

    /// The next page address, when `wanted` (>= 1) more are needed in all.
    fn next<H: HostMemory>(&mut self, host: &H, wanted: usize) -> Result<u64, Status> {
        if self.used == self.fetched {
            self.fetch(host, wanted)?;
        }
        page_entry(self.take())
    }

    fn take(&mut self) -> u64 {
        let entry = self.entries.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        u64::from_le_bytes(entry)
    }

    /// Fetches entries up to the page's end. The page's last entry is a pointer to the next page of the list if more
    /// than one page is still wanted when it is reached.
    fn fetch<H: HostMemory>(&mut self, host: &H, wanted: usize) -> Result<(), Status> {
        let in_page = ((PAGE - self.address % PAGE) / ENTRY_BYTES) as usize;
        if in_page == 1 && wanted > 1 {
            self.read(host, 1)?;
            self.address = page_entry(self.take())?;
            return self.fetch_within_page(host, wanted, (PAGE / ENTRY_BYTES) as usize);
        }
        self.fetch_within_page(host, wanted, in_page)
    }

    fn fetch_within_page<H: HostMemory>(
        &mut self,
        host: &H,
        wanted: usize,
        in_page: usize,
    ) -> Result<(), Status> {
        // The last slot of the page is left for the next call if it has to be a pointer.
        let data_entries = if wanted > in_page { in_page - 1 } else { wanted };
        self.read(host, data_entries.min(FETCH))
    }

    fn read<H: HostMemory>(&mut self, host: &H, count: usize) -> Result<(), Status> {
        let entries = self.entries.get_mut(..count).unwrap_or_default();
        host.read(self.address, entries.as_flattened_mut())?;
        self.address = self.address.wrapping_add(count as u64 * ENTRY_BYTES);
        (self.fetched, self.used) = (count, 0);
        Ok(())
    }
}
