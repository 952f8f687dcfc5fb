//! Fetching: from a queue that has something to do to jobs in a worker's ring.

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::{NvmOpcode, SubmissionQueueEntry, ERROR_EVENT_INVALID_DOORBELL_VALUE};
use ssd_model::Refusal;
use zerocopy::transmute;

use super::{Controller, WorkerLink};
use crate::admin::Outcome;
use crate::bar::Bar;
use crate::host::{Host, MemoryFault};
use crate::io::{Dispatched, Fetched, Progress, Wait};
use crate::queues::{CompletionQueue, Stalled, SubmissionQueue};
use crate::work::{CommandRef, Job, WorkItem, Zeroing};
use crate::{Activity, BURST_MAX};

/// What became of a queue's turn.
pub(super) enum Turn {
    /// There was nothing to do, or no room to do it.
    Idle,
    /// Commands were fetched.
    Fetched,
    /// The queue waits until this time, ns: for buffer space, or because its command goes on in another pass.
    Waiting(u64),
}

/// Bytes of a submission queue entry.
const ENTRY_BYTES: usize = size_of::<SubmissionQueueEntry>();

/// The submission queue entry at `address`.
pub(super) fn fetch_entry<H: Host>(address: u64, host: &H) -> Result<SubmissionQueueEntry, MemoryFault> {
    let mut bytes = [0; ENTRY_BYTES];
    host.read(address, &mut bytes)?;
    Ok(transmute!(bytes))
}

impl Controller {
    pub(crate) fn add_submission_queue<H: Host>(&mut self, sqid: u16, queue: SubmissionQueue, host: &H) {
        let bar = Bar(host.bar());
        bar.store(sq_tail_doorbell(sqid), 0);
        self.doorbells.begin(sqid);
        if self.shadow_doorbells.begin_submission_queue(sqid, host).is_err() {
            self.fail(bar);
        }
        self.queues_end = self.queues_end.max(sqid.saturating_add(1));
        self.shared.set_sq_head(sqid, 0);
        self.shared.statistics().queue(sqid).created();
        if let Some(Some(completion_queue)) = self.completion_queues.get_mut(usize::from(queue.cqid)) {
            completion_queue.users += 1;
        }
        if let Some(slot) = self.submission_queues.get_mut(usize::from(sqid)) {
            *slot = Some(queue);
        }
    }

    pub(crate) fn add_completion_queue<H: Host>(&mut self, cqid: u16, queue: CompletionQueue, host: &H) {
        let bar = Bar(host.bar());
        bar.store(cq_head_doorbell(cqid), 0);
        if self.shadow_doorbells.begin_completion_queue(cqid, host).is_err() {
            self.fail(bar);
        }
        self.queues_end = self.queues_end.max(cqid.saturating_add(1));
        self.shared.set_cq_posted(cqid, 0);
        if let Some(slot) = self.completion_queues.get_mut(usize::from(cqid)) {
            *slot = Some(queue);
        }
    }

    /// Gives the admin queue and each I/O queue that has something to do a turn.
    pub(super) fn poll_queues<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        let bar = Bar(host.bar());
        let end = self.queues_end;
        let first = if self.next_queue < end { self.next_queue } else { 1 };
        self.next_queue = first + 1;
        for sqids in [0..1, first..end, 1..first] {
            let mut from = sqids.start;
            while let Some(sqid) = self.doorbells.next_busy(from..sqids.end, bar) {
                if !self.is_fetching() || self.fused.is_some() {
                    return;
                }
                self.give_turn(sqid, now_ns, host, activity);
                from = sqid + 1;
            }
        }
    }

    fn give_turn<H: Host>(&mut self, sqid: u16, now_ns: u64, host: &H, activity: &mut Activity) {
        let tail = Bar(host.bar()).load(sq_tail_doorbell(sqid));
        self.doorbells.look(sqid, tail);
        match self.take_turn(sqid, tail, now_ns, host) {
            Turn::Idle => {}
            Turn::Fetched => {
                activity.progressed = true;
                self.shared.statistics().queue(sqid).turn_over();
            }
            Turn::Waiting(until_ns) => activity.wake_at(until_ns),
        }
        let queue = self.submission_queues.get(usize::from(sqid));
        let is_busy = matches!(queue, Some(Some(queue)) if queue.is_busy());
        self.doorbells.set_busy(sqid, is_busy);
    }

    fn take_turn<H: Host>(&mut self, sqid: u16, tail: u32, now_ns: u64, host: &H) -> Turn {
        let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) else {
            return Turn::Idle;
        };
        if queue.ring_doorbell(tail).is_err() {
            self.admin.events.error(ERROR_EVENT_INVALID_DOORBELL_VALUE);
        }
        if let Some(stalled) = queue.stalled {
            let Wait {
                retry_at_ns,
                progress,
            } = stalled.wait;
            if now_ns < retry_at_ns {
                return Turn::Waiting(retry_at_ns);
            }
            if !self.has_worker_room(stalled.command.cqid) {
                return Turn::Idle;
            }
            if let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) {
                queue.stalled = None;
            }
            return self.start_io(stalled.entry, stalled.command, progress, now_ns, host);
        }
        let pending = queue.pending();
        if pending == 0 {
            return Turn::Idle;
        }
        let (cqid, address, contiguous) = (queue.cqid, queue.next_entry_address(), queue.contiguous());
        if !self.has_room(sqid, cqid, Bar(host.bar())) {
            return Turn::Idle;
        }
        self.shared.statistics().queue(sqid).dispatch_call(pending);
        let burst = if sqid == 0 {
            1
        } else {
            self.admin.features.arbitration_burst()
        };
        let count = usize::from(contiguous).min(burst);
        let mut entries = [[0; ENTRY_BYTES]; BURST_MAX];
        let entries = entries.get_mut(..count).unwrap_or_default();
        if host.read(address, entries.as_flattened_mut()).is_err() {
            self.fail(Bar(host.bar()));
            return Turn::Idle;
        }
        self.take_entries(sqid, cqid, entries, now_ns, host)
    }

    /// Takes on the next entries of a queue; there is room for the first. What it does not take is fetched again.
    fn take_entries<H: Host>(
        &mut self,
        sqid: u16,
        cqid: u16,
        entries: &[[u8; ENTRY_BYTES]],
        now_ns: u64,
        host: &H,
    ) -> Turn {
        for (index, &bytes) in entries.iter().enumerate() {
            let is_first = index == 0;
            let is_possible = is_first || self.is_fetching() && self.has_room(sqid, cqid, Bar(host.bar()));
            if !is_possible {
                break;
            }
            let entry: SubmissionQueueEntry = transmute!(bytes);
            let command = CommandRef {
                sqid,
                cqid,
                cid: entry.cid.get(),
            };
            if sqid != 0 && entry.fuse() != 0 {
                if is_first {
                    return self.take_fused_turn(entry, command, now_ns, host);
                }
                break;
            }
            self.consume(sqid, cqid);
            if sqid == 0 {
                self.start_admin(&entry, command, now_ns, host);
            } else if let turn @ Turn::Waiting(_) =
                self.start_io(entry, command, Progress::None, now_ns, host)
            {
                // After one that was fetched, the queue is looked at again at once.
                return if is_first { turn } else { Turn::Fetched };
            }
        }
        Turn::Fetched
    }

    /// Whether a command of the queue can be taken through to its completion: room in the completion queue and at the
    /// worker; and for the admin queue, no other command that waits for a worker's answer.
    fn has_room(&mut self, sqid: u16, cqid: u16, bar: Bar<'_>) -> bool {
        if !self.has_completion_room(cqid) {
            self.look_at_head(cqid, bar);
            if !self.has_completion_room(cqid) {
                return false;
            }
        }
        if sqid == 0 {
            return !self.admin.is_waiting() && self.links.iter_mut().all(WorkerLink::has_control_room);
        }
        self.has_worker_room(cqid)
    }

    /// Whether the worker that owns completion queue `cqid` can take another I/O command on.
    fn has_worker_room(&mut self, cqid: u16) -> bool {
        let worker = self.worker_of(cqid);
        self.links.get_mut(worker).is_some_and(WorkerLink::has_room)
    }

    fn has_completion_room(&self, cqid: u16) -> bool {
        matches!(self.completion_queues.get(usize::from(cqid)), Some(Some(queue)) if queue.has_room())
    }

    /// Reserves the completion and moves past the entry: from here on the command ends in exactly one completion.
    pub(super) fn consume(&mut self, sqid: u16, cqid: u16) {
        if let Some(Some(queue)) = self.completion_queues.get_mut(usize::from(cqid)) {
            queue.reserve();
        }
        if let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) {
            let head = queue.advance();
            self.shared.set_sq_head(sqid, head);
        }
    }

    fn start_io<H: Host>(
        &mut self,
        entry: SubmissionQueueEntry,
        command: CommandRef,
        progress: Progress,
        now_ns: u64,
        host: &H,
    ) -> Turn {
        let bar = Bar(host.bar());
        let fetched = Fetched {
            entry: &entry,
            command,
            worker: self.worker_of(command.cqid),
            progress,
        };
        let dispatched = match NvmOpcode(entry.opcode) {
            NvmOpcode::RESERVATION_REGISTER
            | NvmOpcode::RESERVATION_REPORT
            | NvmOpcode::RESERVATION_ACQUIRE
            | NvmOpcode::RESERVATION_RELEASE => {
                let success = nvme_spec::Status::SUCCESSFUL_COMPLETION;
                let job = Job::immediate(command, now_ns, success, 0);
                let done = self.reservation(&entry, host).map(|()| job.into());
                fetched.settle(now_ns, 0, done.map_err(Refusal::Failed))
            }
            _ if self.io.is_key_value(entry.nsid.get()) => self.io.key_value(now_ns, &fetched, host),
            NvmOpcode::DATASET_MANAGEMENT => {
                self.start_dataset_management(&entry, command, now_ns, host);
                return Turn::Fetched;
            }
            NvmOpcode::COPY => self.start_copy(now_ns, &fetched, host),
            NvmOpcode::ZONE_MANAGEMENT_SEND => self.io.zone_send(now_ns, &fetched, host),
            NvmOpcode::ZONE_MANAGEMENT_RECEIVE => self.io.zone_receive(now_ns, &fetched, host),
            _ => self.io.dispatch(now_ns, &fetched),
        };
        match dispatched {
            Ok(dispatched) => {
                self.finish_dispatch(dispatched, now_ns, bar);
                Turn::Fetched
            }
            Err(wait) => {
                if let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(command.sqid)) {
                    queue.stalled = Some(Stalled { entry, command, wait });
                }
                Turn::Waiting(wait.retry_at_ns)
            }
        }
    }

    /// Has the sources gathered; the job that writes them is the result.
    fn start_copy<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let dispatched = self.io.copy(now_ns, fetched, host)?;
        for index in 0..self.io.gathering.len() {
            let Some(&(extents, len_bytes)) = self.io.gathering.get(index) else {
                break;
            };
            let item = WorkItem::Gather { extents, len_bytes };
            // There was room for them before the command was taken on.
            if self.send(fetched.command.cqid, item).is_err() {
                self.fail(Bar(host.bar()));
            }
        }
        Ok(dispatched)
    }

    /// Never waits for buffer space, so the ranges are fetched once.
    fn start_dataset_management<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
        host: &H,
    ) {
        let bar = Bar(host.bar());
        let job = match self.io.deallocate(now_ns, entry, host) {
            Ok(deallocated) => {
                for range in deallocated.ranges.iter() {
                    let item = WorkItem::Zero(Zeroing {
                        media_offset: deallocated.media_offset + range.offset_bytes,
                        len_bytes: range.len_bytes,
                        zone: None,
                    });
                    // There was room for them before the command was taken on.
                    if self.send(command.cqid, item).is_err() {
                        return self.fail(bar);
                    }
                }
                let success = nvme_spec::Status::SUCCESSFUL_COMPLETION;
                Job::immediate(command, deallocated.done_at_ns, success, 0)
            }
            Err(status) => Job {
                nsid: entry.nsid.get(),
                ..Job::immediate(command, now_ns, status, 0)
            },
        };
        self.finish_dispatch(job.into(), now_ns, bar);
    }

    /// Hands a command over to its worker, with the time that it takes from now on.
    pub(super) fn finish_dispatch(&mut self, dispatched: Dispatched, now_ns: u64, bar: Bar<'_>) {
        let Dispatched { zeroing, mut job } = dispatched;
        job.is_timed = job.done_at_ns > now_ns;
        if let Some(zeroing) = zeroing {
            if self.send(job.command.cqid, WorkItem::Zero(zeroing)).is_err() {
                return self.fail(bar);
            }
        }
        if !job.status.is_success() {
            self.admin
                .error_log
                .add(job.command, job.status, job.nsid, job.lba);
        }
        self.shared
            .statistics()
            .queue(job.command.sqid)
            .dispatched(job.transfer.len_bytes);
        if self.send(job.command.cqid, WorkItem::Job(job)).is_err() {
            self.fail(bar);
        }
    }

    fn start_admin<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
        host: &H,
    ) {
        let (status, result) = match self.execute_admin(entry, command, now_ns, host) {
            Ok(Outcome::Done(result)) => (nvme_spec::Status::SUCCESSFUL_COMPLETION, result),
            Ok(Outcome::Later) => return,
            Err(status) => {
                self.admin.error_log.add(command, status, entry.nsid.get(), 0);
                (status, 0)
            }
        };
        self.complete_admin(Job::immediate(command, now_ns, status, result), Bar(host.bar()));
    }

    /// Completes held Asynchronous Event Requests for the events there are; returns whether there were any.
    pub(super) fn deliver_events(&mut self, now_ns: u64, bar: Bar<'_>) -> bool {
        let mut delivered = false;
        self.raise_zone_notices();
        while self.admin.events.can_deliver() && self.reserve_admin_completion() {
            let Some((cid, result)) = self.admin.events.deliver() else {
                break;
            };
            let success = nvme_spec::Status::SUCCESSFUL_COMPLETION;
            self.complete_admin(
                Job::immediate(super::admin_command(cid), now_ns, success, result),
                bar,
            );
            delivered = true;
        }
        delivered
    }

    /// Turns zones that have changed into a notice for their namespace, one after the other: the first one's log is to be read before the next.
    fn raise_zone_notices(&mut self) {
        if !self.admin.features.wants_zone_notices() {
            return;
        }
        for namespace in self.io.namespaces.iter_attached_mut() {
            let Some(zoned) = &mut namespace.zoned else {
                continue;
            };
            if zoned.changed.wants_event && self.admin.events.can_take_zone_notice() {
                zoned.changed.wants_event = false;
                self.admin.events.zone_descriptor_changed(namespace.nsid);
            }
        }
    }
}
