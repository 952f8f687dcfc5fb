//! The name of a fetched command.

use nvme_spec::SubmissionQueueEntry;

/// Names a fetched command until it is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandRef {
    pub sqid: u16,
    pub cqid: u16,
    pub cid: u16,
}

impl CommandRef {
    /// The command of this entry, which was in queue `sqid`.
    #[inline]
    pub fn of(entry: &SubmissionQueueEntry, sqid: u16, cqid: u16) -> Self {
        Self {
            sqid,
            cqid,
            cid: entry.cid.get(),
        }
    }

    /// The command of the admin queue with this identifier.
    pub fn admin(cid: u16) -> Self {
        Self {
            sqid: 0,
            cqid: 0,
            cid,
        }
    }
}
