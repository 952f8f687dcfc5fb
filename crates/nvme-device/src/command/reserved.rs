//! The completion of a fetched command, whose room is reserved in the completion queue.
//!
//! A fetched command ends in exactly one completion. Types see to that: reserving the room gives a [`Reserved`], which cannot be
//! copied, and a worker gets a job only together with one. A `Reserved` that is dropped is a lost completion: debug builds panic.

use core::mem::ManuallyDrop;
use core::ops::Deref;

use crate::command::id::CommandRef;
use crate::command::job::Job;

/// The right and the duty to complete a command.
///
/// It ends in a job for a worker ([`Reserved::complete`]), or with [`CompletionQueue::release`]. Between passes it is kept as [`WaitingCommand`].
///
/// [`CompletionQueue::release`]: crate::queue::completion::CompletionQueue::release
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Reserved {
    command: CommandRef,
}

impl Reserved {
    /// Only a completion queue makes one, when it reserves the room.
    pub fn new(command: CommandRef) -> Self {
        Self { command }
    }

    /// Of a command that its submission queue holds; the queue forgets it once it is started.
    pub fn held(command: CommandRef) -> Self {
        Self { command }
    }

    pub fn command(&self) -> CommandRef {
        self.command
    }

    /// The command's job, for the worker of its completion queue.
    pub fn complete(self, job: Job) -> ReservedJob {
        debug_assert_eq!(self.command, job.command, "a job completes its own command");
        self.end();
        ReservedJob(job)
    }

    /// The command waits for something.
    pub fn wait(self) -> WaitingCommand {
        WaitingCommand(self.end())
    }

    /// Ends the duty: the caller has passed the reservation on, or given it back.
    pub fn end(self) -> CommandRef {
        ManuallyDrop::new(self).command
    }
}

#[cfg(debug_assertions)]
impl Drop for Reserved {
    fn drop(&mut self) {
        #[expect(clippy::panic, reason = "in debug builds only: a host would wait for ever")]
        {
            panic!("{:?} will never be completed", self.command);
        }
    }
}

/// A command that waits, its completion reserved. A reset drops those that there are: their queues are gone then.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct WaitingCommand(CommandRef);

impl WaitingCommand {
    pub fn command(&self) -> CommandRef {
        self.0
    }

    /// It goes on.
    pub fn resume(self) -> Reserved {
        Reserved::new(self.0)
    }
}

/// A job whose completion is reserved.
#[derive(Debug)]
pub(crate) struct ReservedJob(Job);

impl ReservedJob {
    /// The worker that has it completes it.
    pub fn into_job(self) -> Job {
        self.0
    }
}

impl Deref for ReservedJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}
