//! Scatter gather lists (NVMe Base 2.0 §4.1.2).

use crate::open_enum::open_enum;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// SGL Descriptor Type: bits 7:4 of the SGL Identifier.
    SglDescriptorType: u8 {
        /// Memory that holds data.
        DATA_BLOCK = 0x0,
        /// Data for the host that the host does not want.
        BIT_BUCKET = 0x1,
        /// Where the list goes on, with a segment that is not the last.
        SEGMENT = 0x2,
        /// Where the list goes on, with its last segment.
        LAST_SEGMENT = 0x3,
        /// Memory behind a key: of fabrics.
        KEYED_DATA_BLOCK = 0x4,
        /// Data that the transport has: of fabrics.
        TRANSPORT_DATA_BLOCK = 0x5,
        /// The vendor's.
        VENDOR_SPECIFIC = 0xF,
    }
}

/// SGL Descriptor Sub Type of an address in memory: bits 3:0 of the SGL Identifier.
pub const SGL_SUB_TYPE_ADDRESS: u8 = 0x0;

/// An SGL descriptor, 16 bytes. (Those with a key have other fields.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SglDescriptor {
    /// Address of the data or of the next segment; reserved in a Bit Bucket.
    pub address: U64,
    /// Length of what is there.
    pub len_bytes: U32,
    #[doc(hidden)]
    pub reserved12: [u8; 3],
    /// SGL Identifier: type (bits 7:4) and sub type (bits 3:0).
    pub identifier: u8,
}

const _: () = assert!(size_of::<SglDescriptor>() == 16);

impl SglDescriptor {
    /// A descriptor with an address in memory.
    pub fn new(descriptor_type: SglDescriptorType, address: u64, len_bytes: u32) -> Self {
        Self {
            address: address.into(),
            len_bytes: len_bytes.into(),
            reserved12: [0; 3],
            identifier: descriptor_type.0 << 4 | SGL_SUB_TYPE_ADDRESS,
        }
    }

    /// SGL Descriptor Type.
    pub const fn descriptor_type(&self) -> SglDescriptorType {
        SglDescriptorType(self.identifier >> 4)
    }

    /// SGL Descriptor Sub Type.
    pub const fn sub_type(&self) -> u8 {
        self.identifier & 0xF
    }
}

/// SGLS of Identify Controller (NVMe Base 2.0 figure 275).
pub mod sgl_support {
    /// SGLs in commands other than those of fabrics and admin queues, without requirements of alignment or granularity.
    pub const ANY_ALIGNMENT: u32 = 0b01;
    /// Bit Buckets.
    pub const BIT_BUCKET: u32 = 1 << 16;
    /// SGLs for more than the data that is transferred.
    pub const LONGER_THAN_DATA: u32 = 1 << 18;
}
