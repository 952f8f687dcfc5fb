//! Abort (NVMe Base 2.0 §5.1).

use nvme_spec::{Cdw10Abort, Status, SubmissionQueueEntry};

use crate::admin::outcome::Outcome;
use crate::admin::state::admin_state::PendingAdmin;
use crate::command::id::CommandRef;
use crate::command::job::{Asker, Job, WorkItem};
use crate::core::Core;

/// Dword 0 of the completion when the command was not aborted.
const NOT_ABORTED: u64 = 1;

/// Aborts a command that is being worked on, waits for buffer space, or is a held Asynchronous Event Request. One that
/// is still in its submission queue is left alone, and the completion says so.
pub(crate) fn abort(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    command: CommandRef,
    now_ns: u64,
) -> Result<Outcome, Status> {
    let cdw10 = Cdw10Abort(entry.cdw10.get());
    let (sqid, cid) = (cdw10.sqid(), cdw10.cid());
    if sqid == 0 {
        if !core.admin.events.is_held(cid) || !core.reserve_admin_completion() {
            return Ok(Outcome::Done(NOT_ABORTED));
        }
        core.admin.events.forget(cid);
        let job = Job::immediate(CommandRef::admin(cid), now_ns, Status::COMMAND_ABORT_REQUESTED, 0);
        core.queue_set
            .send(0, WorkItem::Job(job))
            .map_err(|_| Status::INTERNAL_ERROR)?;
        return Ok(Outcome::Done(0));
    }
    let Some(Some(queue)) = core.queue_set.submission_queues.get_mut(usize::from(sqid)) else {
        return Ok(Outcome::Done(NOT_ABORTED));
    };
    let cqid = queue.cqid;
    if queue.held.take(cid) {
        let held = CommandRef { sqid, cqid, cid };
        let job = Job::immediate(held, now_ns, Status::COMMAND_ABORT_REQUESTED, 0);
        core.queue_set
            .send(cqid, WorkItem::Job(job))
            .map_err(|_| Status::INTERNAL_ERROR)?;
        return Ok(Outcome::Done(0));
    }
    let ticket = core.admin.tickets.issue(Asker::AdminCommand);
    core.queue_set
        .send(cqid, WorkItem::AbortCommand { sqid, cid, ticket })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    core.admin.pending = Some((ticket, PendingAdmin::Abort { command }));
    Ok(Outcome::Later)
}
