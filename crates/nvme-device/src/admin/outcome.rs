//! How a handler leaves its command.

use nvme_spec::Status;

use crate::command::work::Ticket;
use crate::erase::ErasePlan;
use crate::setup::SetupError;

/// How a handler leaves its command. Handlers complete nothing themselves.
pub(crate) enum Outcome {
    /// Done, with dwords 0 and 1 of the completion.
    Done(u64),
    /// Done when this plan is carried out, with `result` in dword 0.
    Erases { plan: ErasePlan, result: u32 },
    /// Done when a worker has answered.
    Asks(Ticket, Question),
    /// An event completes it, with room of its own.
    Held,
}

/// What a worker was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// To end the commands of a submission queue.
    DeleteQueue,
    /// To end a command; the answer is whether there was one.
    Abort,
}

/// What a host is told if a namespace cannot be made.
pub(crate) fn status_of(error: &SetupError) -> Status {
    match error {
        SetupError::NamespaceSize { .. } => Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        _ => Status::INTERNAL_ERROR,
    }
}
