//! Compare (NVM CS 1.0 §3.2.1): the host's data against the medium's.

use nvme_spec::Status;

use crate::host::{HostMemory, MemoryFault};

/// So many bytes are compared at a time: they have room on a kernel's stack.
const CHUNK_BYTES: usize = 512;

/// A comparison under way.
pub(crate) struct Comparison<'a, H> {
    host: &'a H,
    is_equal: bool,
}

impl<'a, H: HostMemory> Comparison<'a, H> {
    pub fn new(host: &'a H) -> Self {
        Self { host, is_equal: true }
    }

    /// Compares `len` bytes of the host's memory at `address` with what `ours` makes of a buffer of zeros; it gets the offset from `address`, too.
    ///
    /// # Errors
    /// If memory is not there, or those of `ours`.
    pub fn with(
        &mut self,
        address: u64,
        len: usize,
        mut ours: impl FnMut(usize, &mut [u8]) -> Result<(), MemoryFault>,
    ) -> Result<(), MemoryFault> {
        let mut done = 0;
        while done < len {
            let (mut theirs, mut own) = ([0; CHUNK_BYTES], [0; CHUNK_BYTES]);
            let chunk = CHUNK_BYTES.min(len - done);
            let (theirs, _) = theirs.split_at_mut(chunk);
            let (own, _) = own.split_at_mut(chunk);
            self.host.read(address.wrapping_add(done as u64), theirs)?;
            ours(done, own)?;
            self.is_equal &= theirs == own;
            done += chunk;
        }
        Ok(())
    }

    /// The command's status.
    ///
    /// # Errors
    /// If a byte was another one.
    pub fn finish(self) -> Result<(), Status> {
        if self.is_equal {
            Ok(())
        } else {
            Err(Status::COMPARE_FAILURE)
        }
    }
}
