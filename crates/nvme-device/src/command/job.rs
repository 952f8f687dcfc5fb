//! What a dispatcher makes of a command: the job of a worker.

use nvme_spec::Status;

use crate::command::id::CommandRef;
use crate::command::transfer::{Extents, Transfer};
use crate::command::zone_transfer::ZoneTransfer;

/// When a command is done, and where its data is.
pub(crate) struct Placed {
    pub done_at_ns: u64,
    pub result: u64,
    pub extents: Extents,
    pub zone: Option<ZoneTransfer>,
    /// See [`Transfer::clears_on_failure`].
    pub clears_on_failure: bool,
    pub zeroing: Option<Zeroing>,
}

/// A job for a worker, and what it has to fill with zeros before.
pub(crate) struct Dispatched {
    pub zeroing: Option<Zeroing>,
    pub job: Job,
}

impl From<Job> for Dispatched {
    fn from(job: Job) -> Self {
        Self { zeroing: None, job }
    }
}

/// A part of the medium that is to be filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zeroing {
    pub media_offset: u64,
    pub len_bytes: u32,
    /// See [`Transfer::zone`].
    pub zone: Option<ZoneTransfer>,
}

/// A part of the medium that is to be filled with a pattern: zeros, if that is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filling {
    pub media_offset: u64,
    pub len_bytes: u32,
    pub pattern: u32,
}

/// A started command on its way to its completion. It reaches a worker with the completion that is reserved for it ([`crate::command::reserved`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub command: CommandRef,
    pub status: Status,
    pub result: u64,
    pub done_at_ns: u64,
    /// Whether a model gave that time, so that the completion can be late: not for an admin command, nor for one that is over at once.
    pub is_timed: bool,
    pub transfer: Transfer,
    /// For the error log.
    pub nsid: u32,
    pub lba: u64,
}

impl Job {
    /// A command that is over at once, without data.
    pub fn immediate(command: CommandRef, now_ns: u64, status: Status, result: u64) -> Self {
        Self {
            command,
            status,
            result,
            done_at_ns: now_ns,
            is_timed: false,
            transfer: Transfer::NONE,
            nsid: 0,
            lba: 0,
        }
    }

    /// When the command is over that fails with `status` as its data is moved, at `now_ns`. What was compared has been read, which takes its time;
    /// data that does not arrive takes none.
    pub fn failed_at_ns(&self, status: Status, now_ns: u64) -> u64 {
        if status == Status::COMPARE_FAILURE {
            self.done_at_ns
        } else {
            now_ns
        }
    }
}
