//! From an entry's bytes to what is asked of the model and of the worker.

use nvme_spec::Status;
use ssd_model::Command;

use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::request::{Limits, Request};
use crate::command::transfer::Direction;
use crate::namespace::zoned::Zoned;

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
            // Longer ones come in parts (`crate::io::parts`), each of which fits into a write buffer as other writes do.
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
