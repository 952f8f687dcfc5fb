//! Abort (NVMe Base 2.0 §5.1).

use nvme_spec::{Cdw10Abort, Status, SubmissionQueueEntry};

use crate::admin::outcome::{Outcome, Question};
use crate::command::id::CommandRef;
use crate::command::reserved::WaitingCommand;
use crate::command::work::{Asker, WorkItem};
use crate::core::Core;

/// Dword 0 of the completion when the command was not aborted.
const NOT_ABORTED: u64 = 1;

/// The command that is to be aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abort {
    pub sqid: u16,
    pub cid: u16,
}

impl Abort {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw10 = Cdw10Abort(entry.cdw10.get());
        Self {
            sqid: cdw10.sqid(),
            cid: cdw10.cid(),
        }
    }
}

/// Aborts a command that is being worked on, waits for buffer space, or is a held Asynchronous Event Request. One that
/// is still in its submission queue is left alone, and the completion says so.
pub(crate) fn abort(core: &mut Core, asked: Abort, now_ns: u64) -> Result<Outcome, Status> {
    let Abort { sqid, cid } = asked;
    if sqid == 0 {
        if !core.admin.events.is_held(cid) {
            return Ok(Outcome::Done(NOT_ABORTED));
        }
        let Some(reserved) = core.reserve_admin_completion(cid) else {
            return Ok(Outcome::Done(NOT_ABORTED));
        };
        core.admin.events.forget(cid);
        core.complete(reserved, now_ns, Status::COMMAND_ABORT_REQUESTED, 0);
        return Ok(Outcome::Done(0));
    }
    let Some(Some(queue)) = core.queue_set.submission_queues.get_mut(usize::from(sqid)) else {
        return Ok(Outcome::Done(NOT_ABORTED));
    };
    let cqid = queue.cqid;
    if queue.held.take(cid) {
        let reserved = WaitingCommand::held(CommandRef { sqid, cqid, cid }).resume();
        core.complete(reserved, now_ns, Status::COMMAND_ABORT_REQUESTED, 0);
        return Ok(Outcome::Done(0));
    }
    let ticket = core.admin.tickets.issue(Asker::AdminCommand);
    core.queue_set
        .send(cqid, WorkItem::AbortCommand { sqid, cid, ticket })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    Ok(Outcome::Asks(ticket, Question::Abort))
}
