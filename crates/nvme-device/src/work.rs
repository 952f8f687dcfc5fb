//! Messages between the controller and the workers.

use nvme_spec::Status;

use crate::data_pointer::DataPointer;

/// Which way a command moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    None,
    ToHost,
    FromHost,
    /// No data of the host: the medium is filled with zeros.
    Zeros,
}

/// The data movement of a command: `len_bytes` between the host's pages and the medium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub direction: Direction,
    pub pointer: DataPointer,
    pub media_offset: u64,
    pub len_bytes: u32,
}

impl Transfer {
    pub const NONE: Self = Self {
        direction: Direction::None,
        pointer: DataPointer { prp1: 0, prp2: 0 },
        media_offset: 0,
        len_bytes: 0,
    };
}

/// Names a fetched command until it is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandRef {
    pub sqid: u16,
    pub cqid: u16,
    pub cid: u16,
}

/// A fetched command on its way to its completion. Room for the completion is already reserved in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub command: CommandRef,
    pub status: Status,
    pub result: u64,
    pub done_at_ns: u64,
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
            transfer: Transfer::NONE,
            nsid: 0,
            lba: 0,
        }
    }
}

/// Number of a request from the controller to a worker, returned in the answer.
pub(crate) type Ticket = u32;

/// What the controller tells a worker, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkItem {
    /// Move the data, wait, post the completion.
    Job(Job),
    /// Fill so much of the medium with zeros; the command that wants it follows.
    Zero { media_offset: u64, len_bytes: u32 },
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
