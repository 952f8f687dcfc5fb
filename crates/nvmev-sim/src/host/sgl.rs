//! Scatter gather lists as a driver builds them.

use nvme_spec::{SglDescriptor, SglDescriptorType};
use zerocopy::IntoBytes;

use super::TestHost;

/// A Data Block.
pub fn data_block(address: u64, len_bytes: u32) -> SglDescriptor {
    SglDescriptor::new(SglDescriptorType::DATA_BLOCK, address, len_bytes)
}

/// A Bit Bucket.
pub fn bit_bucket(len_bytes: u32) -> SglDescriptor {
    SglDescriptor::new(SglDescriptorType::BIT_BUCKET, 0, len_bytes)
}

/// Points to a segment with this many descriptors that others follow.
pub fn segment(address: u64, descriptors: usize) -> SglDescriptor {
    SglDescriptor::new(SglDescriptorType::SEGMENT, address, descriptors as u32 * 16)
}

/// Points to a last segment with this many descriptors.
pub fn last_segment(address: u64, descriptors: usize) -> SglDescriptor {
    SglDescriptor::new(SglDescriptorType::LAST_SEGMENT, address, descriptors as u32 * 16)
}

impl TestHost {
    /// Puts `descriptors` into memory of their own; the address.
    pub fn descriptors(&mut self, descriptors: &[SglDescriptor]) -> u64 {
        let bytes = descriptors.as_bytes();
        let address = self.pages(bytes.len().div_ceil(4096).max(1));
        self.machine.set_ram(address, bytes);
        address
    }

    /// Puts a list of these segments into memory, each but the last with a descriptor more that points to the next; what points to the first.
    pub fn sgl<'a>(
        &mut self,
        segments: impl DoubleEndedIterator<Item = &'a [SglDescriptor]>,
    ) -> SglDescriptor {
        let mut next = None;
        for descriptors in segments.rev() {
            let mut descriptors = descriptors.to_vec();
            descriptors.extend(next);
            let address = self.descriptors(&descriptors);
            next = Some(match next {
                None => last_segment(address, descriptors.len()),
                Some(_) => segment(address, descriptors.len()),
            });
        }
        next.unwrap_or_default()
    }
}
