//! How a handler leaves its command.

use nvme_spec::Status;

use crate::setup::SetupError;

/// How a handler leaves its command.
pub(crate) enum Outcome {
    /// Done, with dwords 0 and 1 of the completion.
    Done(u64),
    /// Completed by something that happens later: an event, or a worker's answer.
    Later,
}

/// What a host is told if a namespace cannot be made.
pub(crate) fn status_of(error: &SetupError) -> Status {
    match error {
        SetupError::NamespaceSize { .. } => Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        _ => Status::INTERNAL_ERROR,
    }
}
