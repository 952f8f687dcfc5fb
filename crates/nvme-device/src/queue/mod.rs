//! Submission and completion queues as the dispatcher sees them. Nothing here reads or writes memory of the
//! host, but for the pages of shadow doorbells.

pub(crate) mod busy;
pub(crate) mod completion;
pub(crate) mod doorbell;
pub(crate) mod shadow;
pub(crate) mod submission;
