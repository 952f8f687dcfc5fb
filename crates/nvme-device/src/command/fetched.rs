//! A fetched command, on its way to a job or to a status.

use nvme_spec::{Status, SubmissionQueueEntry, PSDT_SGL_METADATA_SGL};
use ssd_model::Refusal;

use crate::command::id::CommandRef;
use crate::command::job::{Dispatched, Job};
use crate::command::wait::{Progress, Wait};
use crate::data_pointer::DataPointer;

/// The halves of a fused pair come one by one, as if they were not fused. What PSDT says of the metadata pointer is the same here, because it is not
/// used: no namespace has metadata.
pub(crate) fn check_flags(entry: &SubmissionQueueEntry) -> Result<(), Status> {
    if entry.fuse() != 0 || entry.psdt() > PSDT_SGL_METADATA_SGL {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    Ok(())
}

/// A command as it came, and the ring through which it goes to a worker.
#[derive(Clone, Copy)]
pub(crate) struct Fetched<'a> {
    pub entry: &'a SubmissionQueueEntry,
    pub command: CommandRef,
    /// See [`crate::dispatch::queue_set::QueueSet::ring_of`].
    pub ring: usize,
    /// What earlier passes have done of it.
    pub progress: Progress,
}

impl Fetched<'_> {
    pub fn data_pointer(&self) -> DataPointer {
        DataPointer::of(self.entry)
    }

    /// A wrong command becomes a job that carries its status; with no room now, the result is when to try again.
    pub fn settle(
        &self,
        now_ns: u64,
        lba: u64,
        result: Result<Dispatched, Refusal>,
    ) -> Result<Dispatched, Wait> {
        match result {
            Ok(dispatched) => Ok(dispatched),
            Err(Refusal::Busy { retry_at_ns }) => Err(Wait::until(retry_at_ns)),
            Err(Refusal::Failed(status)) => Ok(self.failed(now_ns, lba, status)),
            Err(Refusal::FailedLate { status, done_at_ns }) => {
                Ok(self.failed(done_at_ns.max(now_ns), lba, status))
            }
        }
    }

    fn failed(&self, done_at_ns: u64, lba: u64, status: Status) -> Dispatched {
        let job = Job {
            nsid: self.entry.nsid.get(),
            lba,
            ..Job::immediate(self.command, done_at_ns, status, 0)
        };
        job.into()
    }
}

/// Why a command is not done.
pub(crate) enum NotDone {
    Refused(Refusal),
    Waits(Wait),
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Status> for NotDone {
    fn from(status: Status) -> Self {
        Self::Refused(Refusal::Failed(status))
    }
}
