//! Scatter gather lists (NVMe Base 2.0 §4.1.2).

use nvme_spec::{sgl_support, SglDescriptor, SglDescriptorType, Status, SGL_SUB_TYPE_ADDRESS};
use zerocopy::IntoBytes;

use crate::data_pointer::role::Role;
use crate::host::{HostMemory, MemoryFault};

/// SGLS. Data is copied byte by byte, so nothing needs to be aligned, and what an SGL has beyond the data is not looked at. Not among it: the bits
/// about the metadata pointer, because no namespace has metadata; and those of offsets and keys, which are for fabrics.
pub(crate) const SUPPORT: u32 =
    sgl_support::ANY_ALIGNMENT | sgl_support::BIT_BUCKET | sgl_support::LONGER_THAN_DATA;

/// Descriptors of a command that are looked at. The specification has no limit, and descriptors may be empty and segments may lead in a circle: so
/// this is what ends every list. It is 1 MiB of descriptors, far more than hosts have for a transfer.
const DESCRIPTORS_MAX: u32 = 1 << 16;

const DESCRIPTOR_BYTES: u64 = size_of::<SglDescriptor>() as u64;
/// Descriptors that are fetched at once.
const FETCH: usize = 16;
/// Segments begin at a multiple of it.
const SEGMENT_ALIGNMENT_BYTES: u64 = 8;

/// What [`crate::data_pointer::DataPointer::for_each_piece`] is for the SGL that begins with `first`.
///
/// # Errors
/// As there.
pub(crate) fn for_each_piece<H: HostMemory>(
    first: SglDescriptor,
    role: Role,
    host: &H,
    len_bytes: usize,
    mut f: impl FnMut(u64, usize, usize) -> Result<(), MemoryFault>,
) -> Result<(), Status> {
    let mut list = List::new(first);
    let mut offset = 0;
    while offset < len_bytes {
        let block = list.next_block(host)?;
        let len = len_bytes.min(offset.saturating_add(block.len_bytes)) - offset;
        match block.address {
            Some(address) if len > 0 => f(address, offset, len)?,
            Some(_) => {}
            None if role == Role::Destination => {}
            // The host's data has no part that is not wanted: there the descriptor is ignored.
            None => continue,
        }
        offset += len;
    }
    Ok(())
}

/// A stretch of data.
struct Block {
    /// Without one it is discarded.
    address: Option<u64>,
    len_bytes: usize,
}

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// The one descriptor in the command.
    InCommand,
    /// One that another segment has to follow.
    Inner,
    Last,
}

/// An SGL being read: a few descriptors at a time, following the one at the end of each segment.
struct List {
    segment: Segment,
    /// Address of the next descriptor that is not yet fetched, and how many the segment has from there.
    address: u64,
    unfetched: u32,
    descriptors: [SglDescriptor; FETCH],
    fetched: usize,
    used: usize,
    /// Descriptors that may be looked at yet.
    budget: u32,
}

impl List {
    fn new(first: SglDescriptor) -> Self {
        Self {
            segment: Segment::InCommand,
            address: 0,
            unfetched: 0,
            descriptors: [first; FETCH],
            fetched: 1,
            used: 0,
            budget: DESCRIPTORS_MAX,
        }
    }

    /// The next stretch of data, however many segments away.
    fn next_block<H: HostMemory>(&mut self, host: &H) -> Result<Block, Status> {
        loop {
            let descriptor = self.next_descriptor(host)?;
            let is_at_end = self.used == self.fetched && self.unfetched == 0;
            if descriptor.sub_type() != SGL_SUB_TYPE_ADDRESS {
                return Err(Status::SGL_DESCRIPTOR_TYPE_INVALID);
            }
            let address = match descriptor.descriptor_type() {
                SglDescriptorType::DATA_BLOCK => Some(descriptor.address.get()),
                SglDescriptorType::BIT_BUCKET => None,
                SglDescriptorType::SEGMENT | SglDescriptorType::LAST_SEGMENT if !is_at_end => {
                    return Err(Status::INVALID_NUMBER_OF_SGL_DESCRIPTORS);
                }
                SglDescriptorType::SEGMENT => {
                    self.follow(descriptor, Segment::Inner)?;
                    continue;
                }
                SglDescriptorType::LAST_SEGMENT => {
                    self.follow(descriptor, Segment::Last)?;
                    continue;
                }
                _ => return Err(Status::SGL_DESCRIPTOR_TYPE_INVALID),
            };
            if is_at_end && self.segment == Segment::Inner {
                return Err(Status::INVALID_SGL_SEGMENT_DESCRIPTOR);
            }
            return Ok(Block {
                address,
                len_bytes: descriptor.len_bytes.get() as usize,
            });
        }
    }

    /// Goes on with the segment that `descriptor` points to.
    fn follow(&mut self, descriptor: SglDescriptor, segment: Segment) -> Result<(), Status> {
        let (address, len_bytes) = (descriptor.address.get(), descriptor.len_bytes.get());
        if self.segment == Segment::Last
            || address % SEGMENT_ALIGNMENT_BYTES != 0
            || len_bytes == 0
            || u64::from(len_bytes) % DESCRIPTOR_BYTES != 0
        {
            return Err(Status::INVALID_SGL_SEGMENT_DESCRIPTOR);
        }
        self.segment = segment;
        self.address = address;
        self.unfetched = len_bytes / DESCRIPTOR_BYTES as u32;
        Ok(())
    }

    fn next_descriptor<H: HostMemory>(&mut self, host: &H) -> Result<SglDescriptor, Status> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(Status::INVALID_NUMBER_OF_SGL_DESCRIPTORS)?;
        if self.used == self.fetched {
            self.fetch(host)?;
        }
        let descriptor = self.descriptors.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(descriptor)
    }

    fn fetch<H: HostMemory>(&mut self, host: &H) -> Result<(), Status> {
        let count = (self.unfetched as usize).min(FETCH);
        if count == 0 {
            return Err(Status::DATA_SGL_LENGTH_INVALID);
        }
        let descriptors = self.descriptors.get_mut(..count).unwrap_or_default();
        host.read(self.address, descriptors.as_mut_bytes())?;
        self.address = self.address.wrapping_add(count as u64 * DESCRIPTOR_BYTES);
        self.unfetched -= count as u32;
        (self.fetched, self.used) = (count, 0);
        Ok(())
    }
}
