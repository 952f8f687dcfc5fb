//! Where a command's data is in the host's memory: PRPs or an SGL (NVMe Base 2.0 §4.1).

pub(crate) mod compare;
pub(crate) mod prp;
pub(crate) mod role;
pub(crate) mod sgl;

use nvme_spec::{SglDescriptor, SglDescriptorType, Status, SubmissionQueueEntry, PAGE_SIZE_BYTES, PSDT_PRP};

use crate::data_pointer::prp::Prps;
use crate::data_pointer::role::Role;
use crate::host::{HostMemory, MemoryFault};

/// The data pointer of a command, as the host wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataPointer {
    Prps(Prps),
    /// The first descriptor.
    Sgl(SglDescriptor),
}

impl From<MemoryFault> for Status {
    fn from(_: MemoryFault) -> Self {
        Status::DATA_TRANSFER_ERROR
    }
}

impl DataPointer {
    pub const NONE: Self = Self::Prps(Prps { prp1: 0, prp2: 0 });

    /// That of a command.
    pub fn of(entry: &SubmissionQueueEntry) -> Self {
        if entry.psdt() == PSDT_PRP {
            Self::Prps(Prps {
                prp1: entry.prp1.get(),
                prp2: entry.prp2.get(),
            })
        } else {
            Self::Sgl(entry.sgl1())
        }
    }

    /// Where the buffer begins, if the command itself says it and there is nothing to look up.
    pub fn first_address(&self) -> Option<u64> {
        match self {
            Self::Prps(prps) => Some(prps.prp1),
            Self::Sgl(first) if first.descriptor_type() == SglDescriptorType::DATA_BLOCK => {
                Some(first.address.get())
            }
            Self::Sgl(_) => None,
        }
    }

    /// Calls `f(address, offset, len)` for each physically contiguous piece of the `len_bytes` that the pointer describes,
    /// in order; what is to be discarded is left out, which makes a gap between offsets. Every list entry is read once.
    ///
    /// # Errors
    /// The status that the specification has for what is wrong with the PRPs or the SGL, Data Transfer Error for memory that is not there
    /// (pieces before the bad one have then been passed to `f`), or what `f` returns.
    pub fn for_each_piece<H: HostMemory>(
        self,
        role: Role,
        host: &H,
        len_bytes: usize,
        f: impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        self.for_each_piece_of(role, host, len_bytes, len_bytes, f)
    }

    /// As [`DataPointer::for_each_piece`], for the first `len_bytes` of a buffer of `buffer_bytes`: what PRP entries mean depends on the whole buffer.
    ///
    /// # Errors
    /// As [`DataPointer::for_each_piece`].
    pub fn for_each_piece_of<H: HostMemory>(
        self,
        role: Role,
        host: &H,
        buffer_bytes: usize,
        len_bytes: usize,
        f: impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        match self {
            Self::Prps(prps) => prps.for_each_piece_of(host, buffer_bytes, len_bytes, f),
            Self::Sgl(first) => sgl::for_each_piece(first, role, host, len_bytes, f),
        }
    }

    /// Copies `bytes` to the beginning of a buffer of `buffer_bytes`, which has room for them.
    ///
    /// # Errors
    /// As [`DataPointer::for_each_piece`].
    pub fn write_to_buffer<H: HostMemory>(
        self,
        host: &H,
        bytes: &[u8],
        buffer_bytes: usize,
    ) -> Result<(), Status> {
        let (role, len_bytes) = (Role::Destination, bytes.len());
        self.for_each_piece_of(role, host, buffer_bytes, len_bytes, |address, offset, len| {
            host.write(address, bytes.get(offset..offset + len).unwrap_or_default())
        })
    }

    /// Copies `bytes` to the host, then zeros up to `len_bytes`.
    ///
    /// # Errors
    /// As [`DataPointer::for_each_piece`].
    pub fn write<H: HostMemory>(self, host: &H, bytes: &[u8], len_bytes: usize) -> Result<(), Status> {
        self.for_each_piece(Role::Destination, host, len_bytes, |address, offset, len| {
            let from = bytes.get(offset..).unwrap_or_default();
            let from = from.get(..len).unwrap_or(from);
            host.write(address, from)?;
            write_zeros(host, address.wrapping_add(from.len() as u64), len - from.len())
        })
    }

    /// Copies the host's bytes into `into`.
    ///
    /// # Errors
    /// As [`DataPointer::for_each_piece`].
    pub fn read<H: HostMemory>(self, host: &H, into: &mut [u8]) -> Result<(), Status> {
        self.for_each_piece(Role::Source, host, into.len(), |address, offset, len| match into
            .get_mut(offset..offset + len)
        {
            Some(part) => host.read(address, part),
            None => Err(MemoryFault { address }),
        })
    }
}

/// Fills `len` bytes of the host's memory at `address` with zeros.
///
/// # Errors
/// As [`HostMemory::write`].
pub(crate) fn write_zeros<H: HostMemory>(host: &H, address: u64, len: usize) -> Result<(), MemoryFault> {
    static ZEROS: [u8; PAGE_SIZE_BYTES] = [0; PAGE_SIZE_BYTES];
    let mut done = 0;
    while done < len {
        let zeros = ZEROS.get(..len - done).unwrap_or(&ZEROS);
        host.write(address.wrapping_add(done as u64), zeros)?;
        done += zeros.len();
    }
    Ok(())
}
