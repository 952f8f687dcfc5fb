//! An I/O command that moves data or flushes, taken apart.

use nvme_spec::{Cdw12ReadWrite, NvmOpcode, Status, SubmissionQueueEntry};

/// An I/O command that moves data or flushes, taken apart. Counts are real counts, not 0's based.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Flush,
    Read {
        slba: u64,
        lbas: u32,
    },
    Write {
        slba: u64,
        lbas: u32,
        fua: bool,
    },
    WriteZeroes {
        slba: u64,
        lbas: u32,
        fua: bool,
        deallocate: bool,
    },
    Compare {
        slba: u64,
        lbas: u32,
    },
    Verify {
        slba: u64,
        lbas: u32,
    },
    WriteUncorrectable {
        slba: u64,
        lbas: u32,
    },
    /// Of the Zoned Namespace command set.
    Append {
        zslba: u64,
        lbas: u32,
        fua: bool,
    },
    Unknown(NvmOpcode),
}

impl Request {
    /// Takes any entry apart. Total and pure: what the values mean for a namespace is checked elsewhere.
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let slba = entry.slba();
        let cdw12 = Cdw12ReadWrite(entry.cdw12.get());
        let lbas = u32::from(cdw12.lbas_z()) + 1;
        let fua = cdw12.force_unit_access();
        match NvmOpcode(entry.opcode) {
            NvmOpcode::FLUSH => Self::Flush,
            NvmOpcode::READ => Self::Read { slba, lbas },
            NvmOpcode::WRITE => Self::Write { slba, lbas, fua },
            NvmOpcode::WRITE_ZEROES => Self::WriteZeroes {
                slba,
                lbas,
                fua,
                deallocate: cdw12.deallocates(),
            },
            NvmOpcode::COMPARE => Self::Compare { slba, lbas },
            NvmOpcode::VERIFY => Self::Verify { slba, lbas },
            NvmOpcode::WRITE_UNCORRECTABLE => Self::WriteUncorrectable { slba, lbas },
            NvmOpcode::ZONE_APPEND => Self::Append {
                zslba: slba,
                lbas,
                fua,
            },
            other => Self::Unknown(other),
        }
    }

    /// The first LBA, for the error log.
    pub fn slba(self) -> u64 {
        match self {
            Self::Read { slba, .. }
            | Self::Write { slba, .. }
            | Self::WriteZeroes { slba, .. }
            | Self::Compare { slba, .. }
            | Self::Verify { slba, .. }
            | Self::WriteUncorrectable { slba, .. }
            | Self::Append { zslba: slba, .. } => slba,
            Self::Flush | Self::Unknown(_) => 0,
        }
    }
}

/// Bytes that a command may be about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub transfer_bytes_max: u32,
    pub append_bytes_max: u32,
}

impl Limits {
    /// The bytes of a transfer whose length a command gives as a number of dwords, less 1.
    ///
    /// # Errors
    /// Invalid Field if that is more than a command may transfer.
    pub fn dwords_z(self, dwords_z: u32) -> Result<usize, Status> {
        let len_bytes = (u64::from(dwords_z) + 1) * 4;
        if len_bytes > u64::from(self.transfer_bytes_max) {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(len_bytes as usize)
    }
}
