//! Who starts a command, and the outcome of a service round.

use nvme_spec::SubmissionQueueEntry;

use crate::command::id::CommandRef;

/// Which queue set asks a namespace's model for times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceOwner {
    /// None: there is no such namespace, or it is being erased.
    Nowhere,
    /// The queue set with this number.
    QueueSet(usize),
    /// All queue sets.
    Everywhere,
}

/// The outcome of a service round.
pub(crate) enum Serviced {
    /// There was nothing to do, or no room for it.
    Idle,
    /// Commands were fetched, or forwarded.
    Fetched,
    /// The queue waits until this time, ns: for buffer space, or because its command goes on in another pass.
    Waiting(u64),
    /// The next command is the controller's: one of the admin queue, or one that concerns more than a
    /// namespace. There is room for it, and it is not consumed yet.
    ForController(SubmissionQueueEntry, CommandRef),
}

/// Who starts a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Here,
    /// The queue set with this number.
    QueueSet(usize),
    Controller,
}
