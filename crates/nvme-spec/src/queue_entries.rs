//! Submission and completion queue entries (NVMe Base 2.0 §3.3.3).

use crate::{SglDescriptor, Status};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A submission queue entry of the common format, 64 bytes (NVMe Base 2.0 figure 87).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SubmissionQueueEntry {
    /// Opcode.
    pub opcode: u8,
    /// FUSE (bits 1:0) and PSDT (bits 7:6).
    pub flags: u8,
    /// Command identifier.
    pub cid: U16,
    /// Namespace identifier.
    pub nsid: U32,
    /// Command dword 2.
    pub cdw2: U32,
    /// Command dword 3.
    pub cdw3: U32,
    /// Metadata pointer.
    pub mptr: U64,
    /// PRP entry 1.
    pub prp1: U64,
    /// PRP entry 2.
    pub prp2: U64,
    /// Command dword 10.
    pub cdw10: U32,
    /// Command dword 11.
    pub cdw11: U32,
    /// Command dword 12.
    pub cdw12: U32,
    /// Command dword 13.
    pub cdw13: U32,
    /// Command dword 14.
    pub cdw14: U32,
    /// Command dword 15.
    pub cdw15: U32,
}

const _: () = assert!(size_of::<SubmissionQueueEntry>() == 64);

/// FUSE of the first command of a fused operation.
pub const FUSED_FIRST: u8 = 0b01;

/// FUSE of the second command of a fused operation.
pub const FUSED_SECOND: u8 = 0b10;

/// PSDT of a command whose data has PRPs.
pub const PSDT_PRP: u8 = 0b00;

/// PSDT of a command whose data has an SGL; the metadata, if there is any, is in one buffer.
pub const PSDT_SGL_METADATA_BUFFER: u8 = 0b01;

/// PSDT of a command whose data has an SGL; the metadata, if there is any, has another.
pub const PSDT_SGL_METADATA_SGL: u8 = 0b10;

impl SubmissionQueueEntry {
    /// Fused operation: 0 for a normal command, [`FUSED_FIRST`] or [`FUSED_SECOND`].
    pub const fn fuse(&self) -> u8 {
        self.flags & 0b11
    }

    /// The same command, not fused.
    pub const fn without_fuse(self) -> Self {
        Self {
            flags: self.flags & !0b11,
            ..self
        }
    }

    /// SLBA, or what an I/O command has in its place: dwords 10 and 11.
    pub const fn slba(&self) -> u64 {
        self.cdw10.get() as u64 | (self.cdw11.get() as u64) << 32
    }

    /// The same command, with `slba` for its first LBA.
    pub fn with_slba(self, slba: u64) -> Self {
        Self {
            cdw10: (slba as u32).into(),
            cdw11: ((slba >> 32) as u32).into(),
            ..self
        }
    }

    /// PRP or SGL for data transfer: [`PSDT_PRP`], or what the metadata pointer is if the data has an SGL.
    pub const fn psdt(&self) -> u8 {
        self.flags >> 6
    }

    /// SGL Entry 1, which is in the place of the PRP entries.
    pub fn sgl1(&self) -> SglDescriptor {
        zerocopy::transmute!([self.prp1, self.prp2])
    }

    /// The same command, its data behind an SGL that begins with `sgl1`.
    pub fn with_sgl1(self, sgl1: SglDescriptor) -> Self {
        let [prp1, prp2]: [U64; 2] = zerocopy::transmute!(sgl1);
        Self {
            flags: self.flags & 0b11 | PSDT_SGL_METADATA_BUFFER << 6,
            prp1,
            prp2,
            ..self
        }
    }
}

/// A range of Dataset Management, 16 bytes (NVM CS 1.0 figure 41).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DatasetRange {
    /// Context Attributes: hints.
    pub context_attributes: U32,
    /// Length, LBAs (not 0's based).
    pub lbas: U32,
    /// Starting LBA.
    pub slba: U64,
}

const _: () = assert!(size_of::<DatasetRange>() == 16);

/// A source range of Copy in descriptor format 0, 32 bytes (NVM CS 1.0 figure 31). Protection information is not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CopyDescriptorFormat0 {
    #[doc(hidden)]
    pub reserved0: U64,
    /// Starting LBA.
    pub slba: U64,
    /// Number of LBAs, 0's based.
    pub nlb_z: U16,
    #[doc(hidden)]
    pub rest: [u8; 14],
}

/// A source range of Copy in descriptor format 1, which has more room for protection information, 40 bytes (NVM CS 1.0 figure 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CopyDescriptorFormat1 {
    #[doc(hidden)]
    pub reserved0: U64,
    /// Starting LBA.
    pub slba: U64,
    /// Number of LBAs, 0's based.
    pub nlb_z: U16,
    #[doc(hidden)]
    pub rest: [u8; 22],
}

const _: () = assert!(size_of::<CopyDescriptorFormat0>() == 32 && size_of::<CopyDescriptorFormat1>() == 40);

/// A completion queue entry, 16 bytes (NVMe Base 2.0 figure 90).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CompletionQueueEntry {
    /// Command specific result, dword 0.
    pub dw0: U32,
    /// Command specific result, dword 1.
    pub dw1: U32,
    /// Submission queue head pointer.
    pub sq_head: U16,
    /// Submission queue identifier.
    pub sq_id: U16,
    /// Command identifier.
    pub cid: U16,
    /// Phase (bit 0), status (bits 11:1), More (14), Do Not Retry (15).
    pub status_and_phase: U16,
}

const _: () = assert!(size_of::<CompletionQueueEntry>() == 16);

impl CompletionQueueEntry {
    /// Packs `status` with its Do Not Retry bit and the phase tag.
    pub const fn pack_status(status: Status, phase: bool) -> u16 {
        ((status.0 & 0x7FF) << 1) | ((status.do_not_retry() as u16) << 15) | phase as u16
    }

    /// Status code type and code.
    pub const fn status(&self) -> Status {
        Status((self.status_and_phase.get() >> 1) & 0x7FF)
    }

    /// Phase tag.
    pub const fn phase(&self) -> bool {
        self.status_and_phase.get() & 1 != 0
    }

    /// Do Not Retry.
    pub const fn do_not_retry(&self) -> bool {
        self.status_and_phase.get() >> 15 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_packing() {
        let entry = CompletionQueueEntry {
            status_and_phase: U16::new(CompletionQueueEntry::pack_status(Status::LBA_OUT_OF_RANGE, true)),
            ..Default::default()
        };
        assert_eq!(entry.status(), Status::LBA_OUT_OF_RANGE);
        assert!(entry.phase() && entry.do_not_retry());
        assert_eq!(entry.as_bytes()[14..], [0x01, 0x81]);
    }
}
