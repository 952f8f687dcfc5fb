//! Abort (NVMe Base 2.0 §5.1).

use nvme_spec::{Cdw10Abort, Status, SubmissionQueueEntry};

use crate::admin::outcome::{Outcome, Question};
use crate::command::id::CommandRef;
use crate::command::reserved::Reserved;
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
        let reserved = Reserved::held(CommandRef { sqid, cqid, cid });
        core.complete(reserved, now_ns, Status::COMMAND_ABORT_REQUESTED, 0);
        return Ok(Outcome::Done(0));
    }
    let ticket = core.admin.tickets.issue(Asker::AdminCommand);
    core.queue_set
        .send(cqid, WorkItem::AbortCommand { sqid, cid, ticket })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    Ok(Outcome::Asks(ticket, Question::Abort))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::admin::io_queues::tests::create_pair;
    use crate::admin::test_drive::{done, TestDrive};

    const CID: u16 = 7;

    #[test]
    fn nothing_is_aborted_where_there_is_no_such_command() {
        let mut drive = TestDrive::new();
        for sqid in [0, 1, 0xFFFF] {
            let asked = Abort { sqid, cid: CID };
            assert_eq!(
                done(abort(drive.core(), asked, 0)),
                Ok(NOT_ABORTED),
                "queue {sqid}"
            );
        }
    }

    #[test]
    fn a_held_event_request_is_completed_as_aborted() {
        let mut drive = TestDrive::new();
        drive.core().admin.events.hold(CID).unwrap();
        let asked = Abort { sqid: 0, cid: CID };
        assert_eq!(done(abort(drive.core(), asked, 0)), Ok(0));
        assert!(!drive.core().admin.events.is_held(CID));
        assert_eq!(done(abort(drive.core(), asked, 0)), Ok(NOT_ABORTED), "it is gone");
    }

    #[test]
    fn a_held_event_request_stays_if_its_completion_has_no_room() {
        let mut drive = TestDrive::new();
        let core = drive.core();
        core.admin.events.hold(CID).unwrap();
        let reserved: Vec<_> = core::iter::from_fn(|| core.reserve_admin_completion(1)).collect();
        assert!(!reserved.is_empty());
        let asked = Abort { sqid: 0, cid: CID };
        assert_eq!(done(abort(core, asked, 0)), Ok(NOT_ABORTED));
        assert!(core.admin.events.is_held(CID));
        reserved
            .into_iter()
            .for_each(|reserved| core.release_admin_completion(reserved));
    }

    #[test]
    fn the_worker_is_asked_about_a_command_of_an_io_queue() {
        let mut drive = TestDrive::new();
        create_pair(&mut drive, 1);
        let asked = Abort { sqid: 1, cid: CID };
        match abort(drive.core(), asked, 0) {
            Ok(Outcome::Asks(ticket, Question::Abort)) => assert_eq!(ticket.asker, Asker::AdminCommand),
            _ => panic!("the worker was not asked"),
        }
    }
}
