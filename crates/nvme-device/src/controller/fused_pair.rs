//! A fused pair under way.

use nvme_spec::SubmissionQueueEntry;

use crate::command::reserved::WaitingCommand;
use crate::command::work::Ticket;

/// A fetched command of a pair.
#[derive(Debug)]
pub(crate) struct Half {
    pub entry: SubmissionQueueEntry,
    pub command: WaitingCommand,
}

/// A pair under way: what is still to be completed of it.
#[derive(Debug)]
pub(crate) enum FusedPair {
    /// So many workers have not answered yet that they are done with what came before.
    Settling {
        compare: Half,
        write: Half,
        ticket: Ticket,
        unanswered: usize,
    },
    /// To be compared, not before `retry_at_ns`.
    Comparing {
        compare: Half,
        write: Half,
        retry_at_ns: u64,
    },
    /// To be written, not before `retry_at_ns`. What was compared has been read at `compared_at_ns`.
    Writing {
        write: Half,
        compared_at_ns: u64,
        retry_at_ns: u64,
    },
}
