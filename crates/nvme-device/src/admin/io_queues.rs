//! Creating and deleting I/O queues (NVMe Base 2.0 §5.4 to §5.7).

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell, ControllerConfiguration, CC};
use nvme_spec::{
    Cdw10Queue, Cdw11CreateIoCompletionQueue, Cdw11CreateIoSubmissionQueue, Status, SubmissionQueueEntry,
    PAGE_SIZE_BYTES,
};

use crate::admin::outcome::Outcome;
use crate::admin::state::admin_state::PendingAdmin;
use crate::command::id::CommandRef;
use crate::command::job::{Asker, Job, WorkItem};
use crate::core::Core;
use crate::host::HostMemory;
use crate::limits::{QUEUE_ENTRIES_MAX, VECTORS_MAX};
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;
use crate::queue::submission::SubmissionQueue;

const IOSQES_64_BYTES: u8 = 6;
const IOCQES_16_BYTES: u8 = 4;

pub(crate) fn create_io_completion_queue<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<Outcome, Status> {
    let bar = Bar(host.bar());
    let cqid = free_identifier(core, entry, |core, index| {
        matches!(core.queue_set.completion_queues.get(index), Some(None))
    })?;
    let has_entry_size = ControllerConfiguration(bar.load(CC)).iocqes() == IOCQES_16_BYTES;
    let cdw11 = Cdw11CreateIoCompletionQueue(entry.cdw11.get());
    let (base, entries) = contiguous_queue(entry, cdw11.is_contiguous(), has_entry_size)?;
    let vector = cdw11.vector();
    if vector >= VECTORS_MAX || (vector != 0 && !core.shared.config_space().msix_enabled()) {
        return Err(Status::INVALID_INTERRUPT_VECTOR);
    }
    let vector = cdw11.interrupts_enabled().then_some(vector);
    core.queue_set
        .send(
            cqid,
            WorkItem::CreateCq {
                cqid,
                base,
                entries,
                vector,
            },
        )
        .map_err(|_| Status::INTERNAL_ERROR)?;
    core.queue_set
        .add_completion_queue(cqid, CompletionQueue::new(entries, vector), host);
    Ok(Outcome::Done(0))
}

pub(crate) fn create_io_submission_queue<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<Outcome, Status> {
    let bar = Bar(host.bar());
    let sqid = free_identifier(core, entry, |core, index| {
        matches!(core.queue_set.submission_queues.get(index), Some(None))
    })?;
    let cdw11 = Cdw11CreateIoSubmissionQueue(entry.cdw11.get());
    let cqid = cdw11.cqid();
    if !is_allocated(core, cqid) {
        return Err(Status::INVALID_QUEUE_IDENTIFIER);
    }
    if !matches!(
        core.queue_set.completion_queues.get(usize::from(cqid)),
        Some(Some(_))
    ) {
        return Err(Status::COMPLETION_QUEUE_INVALID);
    }
    let has_entry_size = ControllerConfiguration(bar.load(CC)).iosqes() == IOSQES_64_BYTES;
    let (base, entries) = contiguous_queue(entry, cdw11.is_contiguous(), has_entry_size)?;
    let queue = SubmissionQueue::for_io(base, entries, cqid).map_err(|_| Status::INTERNAL_ERROR)?;
    core.queue_set.add_submission_queue(sqid, queue, host);
    Ok(Outcome::Done(0))
}

/// Deletes the queue; commands under way are completed as aborted before the deletion itself completes.
pub(crate) fn delete_io_submission_queue(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    command: CommandRef,
    now_ns: u64,
    bar: Bar<'_>,
) -> Result<Outcome, Status> {
    let sqid = queue_identifier(entry);
    let queue = match core.queue_set.submission_queues.get_mut(usize::from(sqid)) {
        Some(slot) if sqid != 0 => slot.take().ok_or(Status::INVALID_QUEUE_IDENTIFIER)?,
        _ => return Err(Status::INVALID_QUEUE_IDENTIFIER),
    };
    bar.store(sq_tail_doorbell(sqid), 0);
    core.shared.statistics().queue(sqid).deleted();
    if let Some(Some(completion_queue)) = core.queue_set.completion_queues.get_mut(usize::from(queue.cqid)) {
        completion_queue.users = completion_queue.users.saturating_sub(1);
    }
    for entry in queue.held.iter() {
        let held = CommandRef::of(entry, sqid, queue.cqid);
        let job = Job::immediate(held, now_ns, Status::COMMAND_ABORTED_SQ_DELETION, 0);
        core.queue_set
            .send(queue.cqid, WorkItem::Job(job))
            .map_err(|_| Status::INTERNAL_ERROR)?;
    }
    let ticket = core.admin.tickets.issue(Asker::AdminCommand);
    core.queue_set
        .send(queue.cqid, WorkItem::AbortQueue { sqid, ticket })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    core.admin.pending = Some((ticket, PendingAdmin::DeleteQueue { command }));
    Ok(Outcome::Later)
}

pub(crate) fn delete_io_completion_queue(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    bar: Bar<'_>,
) -> Result<Outcome, Status> {
    let cqid = queue_identifier(entry);
    let queue = match core.queue_set.completion_queues.get_mut(usize::from(cqid)) {
        Some(slot) if cqid != 0 => slot,
        _ => return Err(Status::INVALID_QUEUE_IDENTIFIER),
    };
    if queue.as_ref().ok_or(Status::INVALID_QUEUE_IDENTIFIER)?.users > 0 {
        return Err(Status::INVALID_QUEUE_DELETION);
    }
    *queue = None;
    bar.store(cq_head_doorbell(cqid), 0);
    core.queue_set
        .send(cqid, WorkItem::DeleteCq { cqid })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    Ok(Outcome::Done(0))
}

/// The identifier of the queue to be made, if it is one of those allocated and not in use.
fn free_identifier(
    core: &Core,
    entry: &SubmissionQueueEntry,
    is_free: impl Fn(&Core, usize) -> bool,
) -> Result<u16, Status> {
    let qid = queue_identifier(entry);
    if is_allocated(core, qid) && is_free(core, usize::from(qid)) {
        Ok(qid)
    } else {
        Err(Status::INVALID_QUEUE_IDENTIFIER)
    }
}

fn is_allocated(core: &Core, qid: u16) -> bool {
    qid != 0 && qid <= core.admin.features.io_queue_pairs()
}

/// Whether any I/O queue exists.
pub(crate) fn has_io_queues(core: &Core) -> bool {
    core.queue_set
        .completion_queues
        .iter()
        .skip(1)
        .any(Option::is_some)
}

fn queue_identifier(entry: &SubmissionQueueEntry) -> u16 {
    Cdw10Queue(entry.cdw10.get()).qid()
}

/// Base and number of entries of a queue to be created.
fn contiguous_queue(
    entry: &SubmissionQueueEntry,
    is_contiguous: bool,
    has_entry_size: bool,
) -> Result<(u64, u16), Status> {
    let entries_z = Cdw10Queue(entry.cdw10.get()).entries_z();
    if entries_z == 0 || entries_z >= QUEUE_ENTRIES_MAX || !has_entry_size {
        return Err(Status::INVALID_QUEUE_SIZE);
    }
    if !is_contiguous {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    if entry.prp1.get() % PAGE_SIZE_BYTES as u64 != 0 {
        return Err(Status::PRP_OFFSET_INVALID);
    }
    Ok((entry.prp1.get(), entries_z + 1))
}
