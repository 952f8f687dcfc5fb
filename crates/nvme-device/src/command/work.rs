//! What the controller and the dispatchers tell workers, and what workers report.

use nvme_spec::Status;

use crate::command::id::CommandRef;
use crate::command::job::{Filling, Zeroing};
use crate::command::reserved::ReservedJob;
use crate::command::transfer::Extents;

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
#[derive(Debug)]
pub(crate) enum WorkItem {
    /// Move the data, wait, post the completion.
    Job(ReservedJob),
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
