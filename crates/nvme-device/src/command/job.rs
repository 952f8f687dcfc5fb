//! What a dispatcher gives to a worker, and what a worker reports.

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

/// A fetched command on its way to its completion. Room for the completion is already reserved in the queue.
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

/// Who asks workers for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    AdminCommand,
    Eraser,
    FusedPair,
    Reset,
}

/// Names a request from the controller to a worker, and comes back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub asker: Asker,
    number: u32,
}

/// Where tickets come from.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    /// The last one (wrapping).
    last: u32,
}

impl Tickets {
    /// A ticket that differs from all that can be outstanding.
    pub fn issue(&mut self, asker: Asker) -> Ticket {
        self.last = self.last.wrapping_add(1);
        Ticket {
            asker,
            number: self.last,
        }
    }
}

/// What the controller tells a worker, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkItem {
    /// Move the data, wait, post the completion.
    Job(Job),
    /// Fill a part of the medium with zeros; the command that wants it follows.
    Zero(Zeroing),
    /// Fill a part of the medium, for no command.
    Fill(Filling),
    /// Gather a part of what the Copy that follows writes.
    Gather { extents: Extents, len_bytes: u32 },
    /// From now on this completion queue is there.
    CreateCq {
        cqid: u16,
        base: u64,
        entries: u16,
        vector: Option<u16>,
    },
    /// The completion queue is gone; nothing is outstanding on it.
    DeleteCq { cqid: u16 },
    /// Complete every outstanding command of this submission queue now, as aborted, and answer.
    AbortQueue { sqid: u16, ticket: Ticket },
    /// Complete this command now, as aborted, if it is outstanding, and answer whether it was.
    AbortCommand { sqid: u16, cid: u16, ticket: Ticket },
    /// Answer: what came before has been moved then.
    Answer { ticket: Ticket },
    /// Forget all queues and commands, and answer.
    Reset { ticket: Ticket },
}

/// What a worker tells the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
    /// The answer to a ticket; `found` tells whether an AbortCommand found its command.
    Done { ticket: Ticket, found: bool },
    /// A command failed while its data was moved.
    Failed {
        command: CommandRef,
        status: Status,
        nsid: u32,
        lba: u64,
    },
    /// A completion could not be written: the completion queue is not in memory.
    QueueUnreachable,
}
