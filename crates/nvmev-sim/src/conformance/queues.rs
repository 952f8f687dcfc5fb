//! I/O queues, Abort and Asynchronous Event Requests.

use nvme_spec::registers;
use nvme_spec::{AdminOpcode, FeatureId, FeatureSelect, Status, SubmissionQueueEntry};

use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Subject};
use crate::host::{commands, QueuePair};

/// A pair besides the first, which every check has.
const QID: u16 = 2;
const ENTRIES: u32 = 8;

/// A submission queue needs its completion queue to be there, and neither can be made twice (NVMe Base 2.0 §5.4, §5.5, §3.3.1.2).
pub(super) fn queues_are_created_in_order_only(subject: &mut Subject<'_>) -> Finding {
    let (sq, cq) = (subject.host.pages(1), subject.host.pages(1));
    let create_sq = commands::create_sq(QID, QID, ENTRIES, sq);
    let create_cq = commands::create_cq(QID, ENTRIES, 0, cq);
    let early = Status::COMPLETION_QUEUE_INVALID;
    subject.admin_ends("a submission queue before its completion queue", create_sq, early)?;
    subject.admin_ends("a completion queue", create_cq, SUCCESS)?;
    let used = Status::INVALID_QUEUE_IDENTIFIER;
    subject.admin_ends("the completion queue again", create_cq, used)?;
    subject.admin_ends("its submission queue", create_sq, SUCCESS)?;
    subject.admin_ends("the submission queue again", create_sq, used)?;
    subject
        .host
        .adopt(QID, QueuePair::new(sq, ENTRIES as u16, cq, ENTRIES as u16));
    let status = subject.host.execute(QID, commands::flush(subject.nsid)).status();
    ensure!(
        status == SUCCESS,
        "a Flush through the new queues ends with {status:?}"
    );
    Ok(())
}

/// Identifiers, sizes, vectors and addresses that cannot be are refused, each with its status (NVMe Base 2.0 §5.4, §5.5).
pub(super) fn wrong_queues_are_refused(subject: &mut Subject<'_>) -> Finding {
    let page = subject.host.pages(1);
    let entries_max = (subject.host.register(registers::CAP) & 0xFFFF) + 1;
    let granted = subject
        .get_feature(FeatureId::NUMBER_OF_QUEUES, FeatureSelect::CURRENT)
        .dw0
        .get();
    let (sqid_beyond, cqid_beyond) = ((granted & 0xFFFF) as u16 + 2, (granted >> 16) as u16 + 2);
    let scattered = |entry: SubmissionQueueEntry| SubmissionQueueEntry {
        cdw11: (entry.cdw11.get() & !1).into(),
        ..entry
    };
    let cq = |qid, entries, vector, address| commands::create_cq(qid, entries, vector, address);
    let (identifier, size) = (Status::INVALID_QUEUE_IDENTIFIER, Status::INVALID_QUEUE_SIZE);
    let must_be_contiguous = subject.host.register(registers::CAP) & 1 << 16 != 0;
    let contiguous = if must_be_contiguous {
        INVALID_FIELD
    } else {
        SUCCESS
    };
    let cases = [
        ("completion queue 0", cq(0, ENTRIES, 0, page), identifier),
        (
            "a completion queue beyond those granted",
            cq(cqid_beyond, ENTRIES, 0, page),
            identifier,
        ),
        ("a completion queue of one entry", cq(QID, 1, 0, page), size),
        (
            "a completion queue larger than MQES",
            cq(QID, entries_max + 1, 0, page),
            size,
        ),
        (
            "a vector that cannot be",
            cq(QID, ENTRIES, 0xFFFF, page),
            Status::INVALID_INTERRUPT_VECTOR,
        ),
        (
            "a completion queue inside a page",
            cq(QID, ENTRIES, 0, page + 16),
            Status::PRP_OFFSET_INVALID,
        ),
        (
            "a scattered completion queue",
            scattered(cq(QID, ENTRIES, 0, page)),
            contiguous,
        ),
        (
            "submission queue 0",
            commands::create_sq(0, 1, ENTRIES, page),
            identifier,
        ),
        (
            "a submission queue beyond those granted",
            commands::create_sq(sqid_beyond, 1, ENTRIES, page),
            identifier,
        ),
        (
            "a submission queue of one entry",
            commands::create_sq(QID, 1, 1, page),
            size,
        ),
        (
            "a submission queue larger than MQES",
            commands::create_sq(QID, 1, entries_max + 1, page),
            size,
        ),
        (
            "a submission queue inside a page",
            commands::create_sq(QID, 1, ENTRIES, page + 64),
            Status::PRP_OFFSET_INVALID,
        ),
    ];
    for (what, entry, expected) in cases {
        subject.admin_ends(what, entry, expected)?;
    }
    let admin = subject.admin(commands::create_sq(QID, 0, ENTRIES, page)).status();
    ensure!(
        matches!(
            admin,
            Status::INVALID_QUEUE_IDENTIFIER | Status::COMPLETION_QUEUE_INVALID
        ),
        "a submission queue for the admin completion queue ends with {admin:?}"
    );
    subject.admin_ends("the largest queue", cq(QID, entries_max, 0, page), SUCCESS)?;
    Ok(())
}

/// A completion queue outlives its submission queues, and what is not there cannot be deleted (NVMe Base 2.0 §5.6, §5.7).
pub(super) fn queues_are_deleted_in_order_only(subject: &mut Subject<'_>) -> Finding {
    let sq = |qid| commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, qid);
    let cq = |qid| commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, qid);
    let missing = Status::INVALID_QUEUE_IDENTIFIER;
    subject.admin_ends(
        "deleting a completion queue in use",
        cq(1),
        Status::INVALID_QUEUE_DELETION,
    )?;
    subject.admin_ends("deleting a submission queue", sq(1), SUCCESS)?;
    subject.admin_ends("deleting the submission queue again", sq(1), missing)?;
    subject.admin_ends("deleting its completion queue", cq(1), SUCCESS)?;
    subject.admin_ends("deleting the completion queue again", cq(1), missing)?;
    for qid in [0, 0xFFFF] {
        subject.admin_ends(&format!("deleting submission queue {qid}"), sq(qid), missing)?;
        subject.admin_ends(&format!("deleting completion queue {qid}"), cq(qid), missing)?;
    }
    subject.host.create_io_queues(1, 16);
    let status = subject.io(commands::flush(subject.nsid)).status();
    ensure!(
        status == SUCCESS,
        "a Flush through queues made again ends with {status:?}"
    );
    Ok(())
}

/// Bit 0 of dword 0 is 0 if, and only if, the command was aborted, and an aborted command ends with Command Abort Requested (NVMe Base 2.0 §5.1).
pub(super) fn abort_tells_what_it_did(subject: &mut Subject<'_>) -> Finding {
    for sqid in [0, 1, 0xFFFF] {
        let entry = commands::abort(sqid, 0xBEEF);
        let result = subject.admin_ends("aborting a command that is not there", entry, SUCCESS)?;
        ensure!(
            result & 1 == 1,
            "a command that is not in queue {sqid} is said to be aborted"
        );
    }
    let request = commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
    let held = subject.host.submit(0, request);
    subject.host.settle();
    let abort = subject.host.submit(0, commands::abort(0, held));
    let completions = [subject.host.wait(0), subject.host.wait(0)];
    for completion in completions {
        let (cid, status) = (completion.cid.get(), completion.status());
        let is_done = completion.dw0.get() & 1 == 0;
        ensure!(
            cid == held && status == Status::COMMAND_ABORT_REQUESTED
                || cid == abort && status == SUCCESS && is_done,
            "command {cid} ends with {status:?}, where {abort} was to abort {held}"
        );
    }
    Ok(())
}

/// AERL + 1 requests are held; the next is refused (NVMe Base 2.0 §5.2, figure 275).
pub(super) fn event_requests_end_at_their_limit(subject: &mut Subject<'_>) -> Finding {
    let limit = u16::from(subject.controller.aerl_z) + 1;
    let request = commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
    for number in 1..=limit {
        subject.host.submit(0, request);
        subject.host.settle();
        let completion = subject.host.reap(0);
        ensure!(
            completion.is_none(),
            "request {number} of {limit} is not held, but ends with {:?}",
            completion.map(|completion| completion.status())
        );
    }
    // Not waited for: there is no end to that, if it is held.
    subject.host.submit(0, request);
    subject.host.settle();
    let status = subject.host.reap(0).map(|completion| completion.status());
    ensure!(
        status == Some(Status::ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED),
        "request {} is not refused, but {status:?}",
        limit + 1
    );
    Ok(())
}
