//! Creating and deleting I/O queues (NVMe Base 2.0 §5.4 to §5.7).

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell, ControllerConfiguration, CC};
use nvme_spec::{
    Cdw10Queue, Cdw11CreateIoCompletionQueue, Cdw11CreateIoSubmissionQueue, Status, SubmissionQueueEntry,
    PAGE_SIZE_BYTES,
};

use crate::admin::outcome::{Outcome, Question};
use crate::command::id::CommandRef;
use crate::command::reserved::Reserved;
use crate::command::work::{Asker, WorkItem};
use crate::core::Core;
use crate::host::HostMemory;
use crate::limits::{QUEUE_ENTRIES_MAX, VECTORS_MAX};
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;
use crate::queue::submission::SubmissionQueue;

const IOSQES_64_BYTES: u8 = 6;
const IOCQES_16_BYTES: u8 = 4;

/// A queue to be created: what completion and submission queues have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueToCreate {
    pub qid: u16,
    /// Entries, 0's based.
    pub entries_z: u16,
    pub base: u64,
    pub is_contiguous: bool,
}

impl QueueToCreate {
    fn parse(entry: &SubmissionQueueEntry, is_contiguous: bool) -> Self {
        let cdw10 = Cdw10Queue(entry.cdw10.get());
        Self {
            qid: cdw10.qid(),
            entries_z: cdw10.entries_z(),
            base: entry.prp1.get(),
            is_contiguous,
        }
    }

    /// Base and number of entries, if they are good.
    fn checked(&self, has_entry_size: bool) -> Result<(u64, u16), Status> {
        if self.entries_z == 0 || self.entries_z >= QUEUE_ENTRIES_MAX || !has_entry_size {
            return Err(Status::INVALID_QUEUE_SIZE);
        }
        if !self.is_contiguous {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        if self.base % PAGE_SIZE_BYTES as u64 != 0 {
            return Err(Status::PRP_OFFSET_INVALID);
        }
        Ok((self.base, self.entries_z + 1))
    }
}

/// A completion queue to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreateIoCompletionQueue {
    pub queue: QueueToCreate,
    pub vector: u16,
    pub has_interrupts: bool,
}

impl CreateIoCompletionQueue {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw11 = Cdw11CreateIoCompletionQueue(entry.cdw11.get());
        Self {
            queue: QueueToCreate::parse(entry, cdw11.is_contiguous()),
            vector: cdw11.vector(),
            has_interrupts: cdw11.interrupts_enabled(),
        }
    }
}

/// A submission queue to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreateIoSubmissionQueue {
    pub queue: QueueToCreate,
    pub cqid: u16,
}

impl CreateIoSubmissionQueue {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw11 = Cdw11CreateIoSubmissionQueue(entry.cdw11.get());
        Self {
            queue: QueueToCreate::parse(entry, cdw11.is_contiguous()),
            cqid: cdw11.cqid(),
        }
    }
}

/// The identifier of a queue to be deleted.
pub(crate) fn parse_qid(entry: &SubmissionQueueEntry) -> u16 {
    Cdw10Queue(entry.cdw10.get()).qid()
}

pub(crate) fn create_io_completion_queue<H: HostMemory>(
    core: &mut Core,
    asked: &CreateIoCompletionQueue,
    host: &H,
) -> Result<Outcome, Status> {
    let bar = Bar(host.bar());
    let cqid = asked.queue.qid;
    if !is_allocated(core, cqid)
        || !matches!(
            core.queue_set.completion_queues.get(usize::from(cqid)),
            Some(None)
        )
    {
        return Err(Status::INVALID_QUEUE_IDENTIFIER);
    }
    let has_entry_size = ControllerConfiguration(bar.load(CC)).iocqes() == IOCQES_16_BYTES;
    let (base, entries) = asked.queue.checked(has_entry_size)?;
    let vector = asked.vector;
    if vector >= VECTORS_MAX || (vector != 0 && !core.shared.config_space().msix_enabled()) {
        return Err(Status::INVALID_INTERRUPT_VECTOR);
    }
    let vector = asked.has_interrupts.then_some(vector);
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
    asked: &CreateIoSubmissionQueue,
    host: &H,
) -> Result<Outcome, Status> {
    let bar = Bar(host.bar());
    let (sqid, cqid) = (asked.queue.qid, asked.cqid);
    if !is_allocated(core, sqid)
        || !matches!(
            core.queue_set.submission_queues.get(usize::from(sqid)),
            Some(None)
        )
    {
        return Err(Status::INVALID_QUEUE_IDENTIFIER);
    }
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
    let (base, entries) = asked.queue.checked(has_entry_size)?;
    let queue = SubmissionQueue::for_io(base, entries, cqid).map_err(|_| Status::INTERNAL_ERROR)?;
    core.queue_set.add_submission_queue(sqid, queue, host);
    Ok(Outcome::Done(0))
}

/// Deletes the queue; commands under way are completed as aborted before the deletion itself completes.
pub(crate) fn delete_io_submission_queue(
    core: &mut Core,
    sqid: u16,
    now_ns: u64,
    bar: Bar<'_>,
) -> Result<Outcome, Status> {
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
        let reserved = Reserved::held(CommandRef::of(entry, sqid, queue.cqid));
        core.complete(reserved, now_ns, Status::COMMAND_ABORTED_SQ_DELETION, 0);
    }
    let ticket = core.admin.tickets.issue(Asker::AdminCommand);
    core.queue_set
        .send(queue.cqid, WorkItem::AbortQueue { sqid, ticket })
        .map_err(|_| Status::INTERNAL_ERROR)?;
    Ok(Outcome::Asks(ticket, Question::DeleteQueue))
}

pub(crate) fn delete_io_completion_queue(
    core: &mut Core,
    cqid: u16,
    bar: Bar<'_>,
) -> Result<Outcome, Status> {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::admin::test_drive::{done, TestDrive, BUFFER};

    fn queue(qid: u16) -> QueueToCreate {
        QueueToCreate {
            qid,
            entries_z: 7,
            base: BUFFER,
            is_contiguous: true,
        }
    }

    fn create_cq(drive: &mut TestDrive, queue: QueueToCreate, vector: u16) -> Result<u64, Status> {
        let asked = CreateIoCompletionQueue {
            queue,
            vector,
            has_interrupts: true,
        };
        let (core, memory) = drive.parts();
        done(create_io_completion_queue(core, &asked, memory))
    }

    fn create_sq(drive: &mut TestDrive, queue: QueueToCreate, cqid: u16) -> Result<u64, Status> {
        let (core, memory) = drive.parts();
        done(create_io_submission_queue(
            core,
            &CreateIoSubmissionQueue { queue, cqid },
            memory,
        ))
    }

    /// A completion queue and a submission queue with the same identifier.
    pub(crate) fn create_pair(drive: &mut TestDrive, qid: u16) {
        assert_eq!(create_cq(drive, queue(qid), 0), Ok(0));
        assert_eq!(create_sq(drive, queue(qid), qid), Ok(0));
    }

    #[test]
    fn an_identifier_is_that_of_one_queue_within_those_allocated() {
        let mut drive = TestDrive::new();
        drive.core().admin.features.io_queue_pairs = 2;
        for qid in [0, 3, 0xFFFF] {
            assert_eq!(
                create_cq(&mut drive, queue(qid), 0),
                Err(Status::INVALID_QUEUE_IDENTIFIER)
            );
            assert_eq!(
                create_sq(&mut drive, queue(qid), 1),
                Err(Status::INVALID_QUEUE_IDENTIFIER)
            );
        }
        create_pair(&mut drive, 2);
        assert_eq!(
            create_cq(&mut drive, queue(2), 0),
            Err(Status::INVALID_QUEUE_IDENTIFIER)
        );
        assert_eq!(
            create_sq(&mut drive, queue(2), 2),
            Err(Status::INVALID_QUEUE_IDENTIFIER)
        );
    }

    #[test]
    fn sizes_addresses_and_vectors_are_checked() {
        let mut drive = TestDrive::new();
        let refused = [
            (
                QueueToCreate {
                    entries_z: 0,
                    ..queue(1)
                },
                Status::INVALID_QUEUE_SIZE,
            ),
            (
                QueueToCreate {
                    entries_z: QUEUE_ENTRIES_MAX,
                    ..queue(1)
                },
                Status::INVALID_QUEUE_SIZE,
            ),
            (
                QueueToCreate {
                    is_contiguous: false,
                    ..queue(1)
                },
                Status::INVALID_FIELD_IN_COMMAND,
            ),
            (
                QueueToCreate {
                    base: BUFFER + 8,
                    ..queue(1)
                },
                Status::PRP_OFFSET_INVALID,
            ),
        ];
        for (asked, status) in refused {
            assert_eq!(create_cq(&mut drive, asked, 0), Err(status), "{asked:?}");
        }
        // A vector other than 0 needs MSI-X, which the host has not enabled.
        for vector in [1, VECTORS_MAX, 0xFFFF] {
            assert_eq!(
                create_cq(&mut drive, queue(1), vector),
                Err(Status::INVALID_INTERRUPT_VECTOR)
            );
        }
        let longest = QueueToCreate {
            entries_z: QUEUE_ENTRIES_MAX - 1,
            ..queue(1)
        };
        assert_eq!(create_cq(&mut drive, longest, 0), Ok(0));
        for (asked, status) in refused {
            assert_eq!(create_sq(&mut drive, asked, 1), Err(status), "{asked:?}");
        }
        assert_eq!(
            create_sq(&mut drive, queue(1), 2),
            Err(Status::COMPLETION_QUEUE_INVALID)
        );
        assert_eq!(
            create_sq(&mut drive, queue(1), 0),
            Err(Status::INVALID_QUEUE_IDENTIFIER)
        );
    }

    #[test]
    fn entries_of_another_size_are_refused() {
        let mut drive = TestDrive::new();
        drive.memory.bar().store(CC, 0);
        assert_eq!(
            create_cq(&mut drive, queue(1), 0),
            Err(Status::INVALID_QUEUE_SIZE)
        );
    }

    #[test]
    fn a_completion_queue_goes_after_its_submission_queues() {
        let mut drive = TestDrive::new();
        create_pair(&mut drive, 1);
        drive.memory.bar().store(sq_tail_doorbell(1), 5);
        let (core, memory) = drive.parts();
        let bar = memory.bar();
        let delete_cq = |core: &mut Core, cqid| done(delete_io_completion_queue(core, cqid, bar));
        assert_eq!(delete_cq(core, 1), Err(Status::INVALID_QUEUE_DELETION));
        match delete_io_submission_queue(core, 1, 0, bar) {
            Ok(Outcome::Asks(ticket, Question::DeleteQueue)) => assert_eq!(ticket.asker, Asker::AdminCommand),
            _ => panic!("the worker was not asked to end the queue's commands"),
        }
        assert_eq!(bar.load(sq_tail_doorbell(1)), 0);
        assert_eq!(
            delete_io_submission_queue(core, 1, 0, bar).err(),
            Some(Status::INVALID_QUEUE_IDENTIFIER)
        );
        assert!(has_io_queues(core));
        assert_eq!(delete_cq(core, 1), Ok(0));
        assert!(!has_io_queues(core));
        for cqid in [0, 1, 0xFFFF] {
            assert_eq!(delete_cq(core, cqid), Err(Status::INVALID_QUEUE_IDENTIFIER));
            let deleted = delete_io_submission_queue(core, cqid, 0, bar);
            assert_eq!(deleted.err(), Some(Status::INVALID_QUEUE_IDENTIFIER));
        }
    }
}
