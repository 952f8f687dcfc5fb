//! From an entry's bytes to what is asked of the model and of the worker.

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use ssd_model::Command;

use crate::namespace::{ByteRange, LbaSpace};
use crate::work::Direction;
use crate::zoned::Zoned;

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
        let lbas = (entry.cdw12.get() & 0xFFFF) + 1;
        let fua = entry.cdw12.get() & 1 << 30 != 0;
        match NvmOpcode(entry.opcode) {
            NvmOpcode::FLUSH => Self::Flush,
            NvmOpcode::READ => Self::Read { slba, lbas },
            NvmOpcode::WRITE => Self::Write { slba, lbas, fua },
            NvmOpcode::WRITE_ZEROES => Self::WriteZeroes {
                slba,
                lbas,
                fua,
                deallocate: entry.cdw12.get() & 1 << 25 != 0,
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

/// What a command does to LBAs, for the marks that they can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Neither,
    /// Fails if one of them is marked.
    Read,
    /// Takes the marks off.
    Write,
    /// Marks them.
    Spoil,
}

/// What is asked of the model and of the worker.
pub(crate) struct Plan {
    pub command: Command,
    pub direction: Direction,
    pub access: Access,
    pub range: ByteRange,
}

impl Plan {
    /// What `request` is for a namespace with the LBAs `space`, and zones if it is `zoned`.
    ///
    /// # Errors
    /// Its status, if it cannot be.
    pub fn new(
        request: Request,
        space: LbaSpace,
        zoned: Option<&Zoned>,
        limits: Limits,
    ) -> Result<Self, Status> {
        let range = |slba, lbas, bytes_max: u32| {
            let len_bytes = u64::from(lbas) << space.lba_log2;
            if len_bytes > u64::from(bytes_max) {
                return Err(Status::INVALID_FIELD_IN_COMMAND);
            }
            space.range(slba, lbas).ok_or(Status::LBA_OUT_OF_RANGE)
        };
        let transfer = |slba, lbas| range(slba, lbas, limits.transfer_bytes_max);
        let (command, direction, access, range) = match request {
            Request::Flush => {
                let range = ByteRange::default();
                (Command::Flush, Direction::None, Access::Neither, range)
            }
            // Comparing and verifying read the medium, and take as long.
            Request::Read { slba, lbas }
            | Request::Compare { slba, lbas }
            | Request::Verify { slba, lbas } => {
                let range = transfer(slba, lbas)?;
                let ByteRange {
                    offset_bytes,
                    len_bytes,
                } = range;
                let command = Command::Read {
                    offset_bytes,
                    len_bytes,
                };
                let direction = match request {
                    Request::Compare { .. } => Direction::Compare,
                    Request::Verify { .. } => Direction::None,
                    _ => Direction::ToHost,
                };
                (command, direction, Access::Read, range)
            }
            Request::Write { slba, lbas, fua } => {
                let range = transfer(slba, lbas)?;
                let ByteRange {
                    offset_bytes,
                    len_bytes,
                } = range;
                let command = Command::Write {
                    offset_bytes,
                    len_bytes,
                    fua,
                };
                (command, Direction::FromHost, Access::Write, range)
            }
            // Longer ones come in parts (`super::parts`), each of which fits into a write buffer as other writes do.
            Request::WriteZeroes {
                slba,
                lbas,
                fua,
                deallocate,
            } => {
                let range = transfer(slba, lbas)?;
                let command = Command::WriteZeroes {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                    fua,
                    deallocate,
                };
                (command, Direction::Zeros, Access::Write, range)
            }
            // Zeros that cannot be read: what was there before is not to be seen again.
            Request::WriteUncorrectable { slba, lbas } => {
                let range = transfer(slba, lbas)?;
                let command = Command::WriteZeroes {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                    fua: false,
                    deallocate: true,
                };
                (command, Direction::Zeros, Access::Spoil, range)
            }
            Request::Append { zslba, lbas, fua } => {
                let zoned = zoned.ok_or(Status::INVALID_COMMAND_OPCODE)?;
                let range = range(zslba, lbas, limits.append_bytes_max)?;
                if !zoned.is_zone_start(range.offset_bytes) {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                let command = Command::Append {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                    fua,
                };
                (command, Direction::FromHost, Access::Write, range)
            }
            Request::Unknown(_) => return Err(Status::INVALID_COMMAND_OPCODE),
        };
        Ok(Self {
            command,
            direction,
            access,
            range,
        })
    }
}
