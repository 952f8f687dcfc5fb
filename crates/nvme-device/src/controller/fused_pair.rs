//! A fused pair under way.

use nvme_spec::SubmissionQueueEntry;

use crate::command::id::CommandRef;
use crate::command::job::Ticket;

/// A fetched command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half {
    pub entry: SubmissionQueueEntry,
    pub command: CommandRef,
}

/// A pair under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedPair {
    pub compare: Half,
    pub write: Half,
    pub step: Step,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many workers have not answered yet that they are done with what came before.
    Settling { ticket: Ticket, unanswered: usize },
    /// To be compared, not before `retry_at_ns`.
    Comparing { retry_at_ns: u64 },
    /// To be written, not before `retry_at_ns`. What was compared has been read at `compared_at_ns`.
    Writing { compared_at_ns: u64, retry_at_ns: u64 },
}
