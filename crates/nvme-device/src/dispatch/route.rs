//! Who starts a command, and the outcome of a service round.

use nvme_spec::SubmissionQueueEntry;

use crate::command::id::CommandRef;

/// Who times the commands of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceOwner {
    /// Nobody now: there is none that serves.
    Nowhere,
    /// The queue set with this number.
    QueueSet(usize),
    /// All queue sets.
    Everywhere,
}

/// What became of a queue's turn.
pub(crate) enum Serviced {
    /// There was nothing to do, or no room to do it.
    Idle,
    /// Commands were fetched, or went to another queue set.
    Fetched,
    /// The queue waits until this time, ns: for buffer space, or because its command goes on in another pass.
    Waiting(u64),
    /// The next command is the controller's to see to: one of the admin queue, or one that concerns more than a namespace. There is room for it, and
    /// nothing of it is consumed.
    ForController(SubmissionQueueEntry, CommandRef),
}

/// Who takes a command on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Here,
    /// The queue set with this number.
    QueueSet(usize),
    Controller,
}
