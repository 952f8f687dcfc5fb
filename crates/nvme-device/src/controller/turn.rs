//! A queue's turn: from its entries to jobs in a worker's ring.

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::{DirectiveType, NvmOpcode, SubmissionQueueEntry};
use zerocopy::{transmute, transmute_ref};

use super::lane::{Failure, Lane, Place};
use super::WorkerLink;
use crate::bar::Bar;
use crate::host::{Host, MemoryFault};
use crate::io::{Dispatched, Fetched, Progress, Wait};
use crate::queues::{CompletionQueue, SubmissionQueue};
use crate::shared_namespace::SharedNamespace;
use crate::streams::directive;
use crate::work::{CommandRef, WorkItem};
use crate::{Activity, BURST_MAX, LOOK_AGAIN_NS};

/// What became of a queue's turn.
pub(super) enum Turn {
    /// There was nothing to do, or no room to do it.
    Idle,
    /// Commands were fetched, or went to another lane.
    Fetched,
    /// The queue waits until this time, ns: for buffer space, or because its command goes on in another pass.
    Waiting(u64),
    /// The next command is the controller's to see to: one of the admin queue, or one that concerns more than a namespace. There is room for it, and
    /// nothing of it is consumed.
    ForController(SubmissionQueueEntry, CommandRef),
}

/// Bytes of a submission queue entry.
const ENTRY_BYTES: usize = size_of::<SubmissionQueueEntry>();

/// The submission queue entry at `address`.
pub(super) fn fetch_entry<H: Host>(address: u64, host: &H) -> Result<SubmissionQueueEntry, MemoryFault> {
    let mut bytes = [0; ENTRY_BYTES];
    host.read(address, &mut bytes)?;
    Ok(transmute!(bytes))
}

/// Who takes a command on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Here,
    /// The lane with this number.
    Lane(usize),
    Controller,
}

/// Whether a command concerns more than its namespace and its queue.
#[inline]
fn is_for_controller(entry: &SubmissionQueueEntry, sqid: u16) -> bool {
    sqid == 0
        || entry.fuse() != 0
        || matches!(
            NvmOpcode(entry.opcode),
            NvmOpcode::RESERVATION_REGISTER
                | NvmOpcode::RESERVATION_REPORT
                | NvmOpcode::RESERVATION_ACQUIRE
                | NvmOpcode::RESERVATION_RELEASE
        )
}

impl Lane {
    pub fn add_submission_queue<H: Host>(&mut self, sqid: u16, queue: SubmissionQueue, host: &H) {
        Bar(host.bar()).store(sq_tail_doorbell(sqid), 0);
        self.doorbells.begin(sqid);
        self.begin_submission_shadow(sqid, host);
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

    pub fn add_completion_queue<H: Host>(&mut self, cqid: u16, queue: CompletionQueue, host: &H) {
        Bar(host.bar()).store(cq_head_doorbell(cqid), 0);
        self.begin_completion_shadow(cqid, host);
        self.queues_end = self.queues_end.max(cqid.saturating_add(1));
        self.shared.set_cq_posted(cqid, 0);
        if let Some(slot) = self.completion_queues.get_mut(usize::from(cqid)) {
            *slot = Some(queue);
        }
    }

    /// Gives queue `sqid` a turn; what it has for the controller is the result.
    pub(super) fn give_turn<H: Host>(
        &mut self,
        sqid: u16,
        now_ns: u64,
        host: &H,
        activity: &mut Activity,
    ) -> Option<(SubmissionQueueEntry, CommandRef)> {
        let tail = Bar(host.bar()).load(sq_tail_doorbell(sqid));
        self.doorbells.look(sqid, tail);
        let turn = self.take_turn(sqid, tail, now_ns, host);
        let for_controller = match turn {
            Turn::ForController(entry, command) => Some((entry, command)),
            Turn::Idle | Turn::Fetched | Turn::Waiting(_) => None,
        };
        self.end_turn(sqid, &turn, activity);
        for_controller
    }

    /// A turn is over.
    pub(super) fn end_turn(&mut self, sqid: u16, turn: &Turn, activity: &mut Activity) {
        match *turn {
            Turn::Idle | Turn::ForController(..) => {}
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
            self.notes.has_invalid_doorbell = true;
        }
        if !queue.held.is_empty() {
            return self.resume(sqid, now_ns, host);
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
        let burst = if sqid == 0 { 1 } else { self.burst };
        let count = usize::from(contiguous).min(burst);
        let mut entries = [[0; ENTRY_BYTES]; BURST_MAX];
        let entries = entries.get_mut(..count).unwrap_or_default();
        if host.read(address, entries.as_flattened_mut()).is_err() {
            self.notes.is_broken = true;
            return Turn::Idle;
        }
        if entries.len() > 1 {
            self.io
                .anticipate(entries.iter().map(|bytes| transmute_ref!(bytes)));
        }
        self.take_entries(sqid, cqid, entries, now_ns, host)
    }

    /// Who takes a command on that is not the controller's in any case.
    #[inline]
    pub(super) fn way_of(&self, entry: &SubmissionQueueEntry) -> Way {
        if self.places.is_empty() {
            return Way::Here;
        }
        self.way_while_lent(entry)
    }

    fn way_while_lent(&self, entry: &SubmissionQueueEntry) -> Way {
        let opcode = NvmOpcode(entry.opcode);
        // What a stream is, and what is told of unreadable LBAs, is the drive's, not a namespace's.
        let is_of_drive = match opcode {
            NvmOpcode::WRITE | NvmOpcode::WRITE_ZEROES | NvmOpcode::ZONE_APPEND | NvmOpcode::COPY => {
                directive(entry) != DirectiveType::IDENTIFY
            }
            NvmOpcode::WRITE_UNCORRECTABLE => true,
            _ => false,
        };
        let place = self.places.get(entry.nsid.get().wrapping_sub(1) as usize);
        match place {
            Some(Place::Everywhere) if !is_of_drive && SharedNamespace::serves(entry.opcode) => Way::Here,
            Some(&Place::Lane(number)) if !is_of_drive && number == self.number => Way::Here,
            Some(&Place::Lane(number)) if !is_of_drive => Way::Lane(number),
            _ => Way::Controller,
        }
    }

    /// Goes on with what a queue holds.
    fn resume<H: Host>(&mut self, sqid: u16, now_ns: u64, host: &H) -> Turn {
        let Some(queue) = self.submission_queue(sqid).filter(|queue| !queue.held.is_away()) else {
            return Turn::Idle;
        };
        let cqid = queue.cqid;
        let Some((&entry, wait)) = queue.held.first() else {
            return Turn::Idle;
        };
        if now_ns < wait.retry_at_ns {
            return Turn::Waiting(wait.retry_at_ns);
        }
        match self.way_of(&entry) {
            Way::Here => {}
            Way::Lane(number) => return self.send_away(sqid, number),
            Way::Controller => {
                self.notes.has_command = true;
                return Turn::Idle;
            }
        }
        if !self.has_worker_room(cqid) || !self.notes.has_room() {
            return Turn::Idle;
        }
        let command = CommandRef::of(&entry, sqid, cqid);
        let started = self.start_io(&entry, command, wait.progress, now_ns, host);
        let Some(queue) = self.submission_queue(sqid) else {
            return Turn::Idle;
        };
        match started {
            Ok(()) => {
                queue.held.take_first(1);
                Turn::Fetched
            }
            Err(wait) => {
                queue.held.wait_for(wait);
                Turn::Waiting(wait.retry_at_ns)
            }
        }
    }

    /// Takes on what queues hold, as far as nothing of it has to wait.
    pub(super) fn resume_all<H: Host>(&mut self, now_ns: u64, host: &H) {
        for sqid in 1..self.queues_end {
            while matches!(self.resume(sqid, now_ns, host), Turn::Fetched) {}
        }
    }

    pub(super) fn submission_queue(&mut self, sqid: u16) -> Option<&mut SubmissionQueue> {
        self.submission_queues.get_mut(usize::from(sqid))?.as_mut()
    }

    /// The queue waits behind this command, and those that it holds already; the first waits for `wait`.
    fn hold(&mut self, sqid: u16, entry: SubmissionQueueEntry, wait: Wait) {
        if let Some(queue) = self.submission_queue(sqid) {
            queue.held.add(entry);
            queue.held.wait_for(wait);
        }
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
        let mut other_lane = None;
        for (index, &bytes) in entries.iter().enumerate() {
            let is_first = index == 0;
            if !is_first && !self.has_room(sqid, cqid, Bar(host.bar())) {
                break;
            }
            let entry: SubmissionQueueEntry = transmute!(bytes);
            let command = CommandRef::of(&entry, sqid, cqid);
            let way = match is_for_controller(&entry, sqid) {
                true => Way::Controller,
                false => self.way_of(&entry),
            };
            match way {
                Way::Controller if is_first => return Turn::ForController(entry, command),
                Way::Lane(number) if other_lane.is_none_or(|other| other == number) => {
                    other_lane = Some(number);
                    self.consume(sqid, cqid);
                    self.hold(sqid, entry, Wait::until(now_ns));
                }
                Way::Here if other_lane.is_none() => {
                    self.consume(sqid, cqid);
                    if let Err(wait) = self.start_io(&entry, command, Progress::None, now_ns, host) {
                        self.hold(sqid, entry, wait);
                        // After one that was fetched, the queue is looked at again at once.
                        return match is_first {
                            true => Turn::Waiting(wait.retry_at_ns),
                            false => Turn::Fetched,
                        };
                    }
                }
                // Behind a command for another lane only more of those are taken: a queue holds commands for one lane.
                Way::Controller | Way::Lane(_) | Way::Here => break,
            }
        }
        match other_lane {
            Some(number) => self.send_away(sqid, number),
            None => Turn::Fetched,
        }
    }

    /// Whether a command of the queue can be taken through to its completion: room in the completion queue, at the worker, and for notes.
    fn has_room(&mut self, sqid: u16, cqid: u16, bar: Bar<'_>) -> bool {
        if !self.has_completion_room(cqid) {
            self.look_at_head(cqid, bar);
            if !self.has_completion_room(cqid) {
                return false;
            }
        }
        // The controller has seen to the room for an admin command.
        sqid == 0 || self.has_worker_room(cqid) && self.notes.has_room()
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

    /// Takes a command on.
    ///
    /// # Errors
    /// If it has to wait.
    pub(super) fn start_io<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
        progress: Progress,
        now_ns: u64,
        host: &H,
    ) -> Result<(), Wait> {
        let fetched = Fetched {
            entry,
            command,
            ring: self.ring_of(command.cqid),
            progress,
        };
        let dispatched = match NvmOpcode(entry.opcode) {
            _ if self.io.is_in_parts(entry) => self.start_part(now_ns, &fetched, host),
            _ if self.io.is_key_value(entry.nsid.get()) => self.io.key_value(now_ns, &fetched, host),
            NvmOpcode::COPY => self.start_copy(now_ns, &fetched, host),
            NvmOpcode::ZONE_MANAGEMENT_SEND => self.io.zone_send(now_ns, &fetched, host),
            NvmOpcode::ZONE_MANAGEMENT_RECEIVE => self.io.zone_receive(now_ns, &fetched, host),
            _ => self.io.dispatch(now_ns, &fetched),
        };
        match dispatched {
            Ok(dispatched) => {
                self.finish_dispatch(dispatched, now_ns);
                Ok(())
            }
            Err(wait) => Err(wait),
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
            self.send_promised(fetched.command.cqid, item);
        }
        Ok(dispatched)
    }

    /// Does a part of a command, unless its worker has enough to fill with zeros: what others want of it is not to wait behind more than that.
    fn start_part<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let cqid = fetched.command.cqid;
        let worker = self.worker_of(cqid);
        if !self.links.get(worker).is_some_and(WorkerLink::has_fill_room) {
            return Err(Wait {
                retry_at_ns: now_ns.saturating_add(LOOK_AGAIN_NS),
                progress: fetched.progress,
            });
        }
        let dispatched = self.io.do_part(now_ns, fetched, host);
        for index in 0..self.io.zeroings.len() {
            let Some(&zeroing) = self.io.zeroings.get(index) else {
                break;
            };
            // There was room for them before the command was taken on, or looked at again.
            self.send_promised(cqid, WorkItem::Zero(zeroing));
        }
        self.io.zeroings.clear();
        dispatched
    }

    /// Hands a command over to its worker, with the time that it takes from now on.
    #[inline]
    pub(super) fn finish_dispatch(&mut self, dispatched: Dispatched, now_ns: u64) {
        let Dispatched { zeroing, mut job } = dispatched;
        job.is_timed = job.done_at_ns > now_ns;
        if let Some(zeroing) = zeroing {
            self.send_promised(job.command.cqid, WorkItem::Zero(zeroing));
        }
        if !job.status.is_success() && self.notes.has_room() {
            self.notes.failures.push(Failure {
                command: job.command,
                status: job.status,
                nsid: job.nsid,
                lba: job.lba,
            });
        }
        self.shared
            .statistics()
            .queue(job.command.sqid)
            .dispatched(job.transfer.len_bytes);
        self.send_promised(job.command.cqid, WorkItem::Job(job));
    }
}
