//! Service rounds: from a queue's entries to jobs in a worker's ring.

use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::{DirectiveType, NvmOpcode, SubmissionQueueEntry};
use zerocopy::{transmute, transmute_ref};

use crate::activity::Activity;
use crate::command::fetched::Fetched;
use crate::command::id::CommandRef;
use crate::command::job::Dispatched;
use crate::command::reserved::{Reserved, WaitingCommand};
use crate::command::table::{io_command, Starter};
use crate::command::wait::{Progress, Wait};
use crate::command::work::WorkItem;
use crate::dispatch::deferred::Failure;
use crate::dispatch::link::WorkerLink;
use crate::dispatch::queue_set::QueueSet;
use crate::dispatch::route::{NamespaceOwner, Route, Serviced};
use crate::host::{Host, HostMemory, MemoryFault};
use crate::limits::{BURST_MAX, LOOK_AGAIN_NS};
use crate::namespace::streams::directive;
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;
use crate::queue::submission::SubmissionQueue;

/// Bytes of a submission queue entry.
const ENTRY_BYTES: usize = size_of::<SubmissionQueueEntry>();

/// The submission queue entry at `address`.
pub(crate) fn fetch_entry<H: HostMemory>(
    address: u64,
    host: &H,
) -> Result<SubmissionQueueEntry, MemoryFault> {
    let mut bytes = [0; ENTRY_BYTES];
    host.read(address, &mut bytes)?;
    Ok(transmute!(bytes))
}

/// Whether a command concerns more than its namespace and its queue.
#[inline]
fn is_for_controller(entry: &SubmissionQueueEntry, sqid: u16) -> bool {
    sqid == 0 || entry.fuse() != 0 || io_command(entry.opcode).starter == Starter::Controller
}

impl QueueSet {
    pub fn add_submission_queue<H: HostMemory>(&mut self, sqid: u16, queue: SubmissionQueue, host: &H) {
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

    pub fn add_completion_queue<H: HostMemory>(&mut self, cqid: u16, queue: CompletionQueue, host: &H) {
        Bar(host.bar()).store(cq_head_doorbell(cqid), 0);
        self.begin_completion_shadow(cqid, host);
        self.queues_end = self.queues_end.max(cqid.saturating_add(1));
        self.shared.set_cq_posted(cqid, 0);
        if let Some(slot) = self.completion_queues.get_mut(usize::from(cqid)) {
            *slot = Some(queue);
        }
    }

    /// Gives queue `sqid` a turn; what it has for the controller is the result.
    pub(crate) fn service_queue<H: Host>(
        &mut self,
        sqid: u16,
        now_ns: u64,
        host: &H,
        activity: &mut Activity,
    ) -> Option<(SubmissionQueueEntry, CommandRef)> {
        let tail = Bar(host.bar()).load(sq_tail_doorbell(sqid));
        self.doorbells.look(sqid, tail);
        let turn = self.service(sqid, tail, now_ns, host);
        let for_controller = match turn {
            Serviced::ForController(entry, command) => Some((entry, command)),
            Serviced::Idle | Serviced::Fetched | Serviced::Waiting(_) => None,
        };
        self.finish_service(sqid, &turn, activity);
        for_controller
    }

    /// A turn is over.
    pub(crate) fn finish_service(&mut self, sqid: u16, turn: &Serviced, activity: &mut Activity) {
        match *turn {
            Serviced::Idle | Serviced::ForController(..) => {}
            Serviced::Fetched => {
                activity.progressed = true;
                self.shared.statistics().queue(sqid).turn_over();
            }
            Serviced::Waiting(until_ns) => activity.wake_at(until_ns),
        }
        let queue = self.submission_queues.get(usize::from(sqid));
        let is_busy = matches!(queue, Some(Some(queue)) if queue.is_busy());
        self.doorbells.set_busy(sqid, is_busy);
    }

    fn service<H: Host>(&mut self, sqid: u16, tail: u32, now_ns: u64, host: &H) -> Serviced {
        let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) else {
            return Serviced::Idle;
        };
        if queue.ring_doorbell(tail).is_err() {
            self.deferred.has_invalid_doorbell = true;
        }
        if !queue.held.is_empty() {
            return self.resume(sqid, now_ns, host);
        }
        let pending = queue.pending();
        if pending == 0 {
            return Serviced::Idle;
        }
        let (cqid, address, contiguous) = (queue.cqid, queue.next_entry_address(), queue.contiguous());
        if !self.has_room(sqid, cqid, Bar(host.bar())) {
            return Serviced::Idle;
        }
        self.shared.statistics().queue(sqid).dispatch_call(pending);
        let burst = if sqid == 0 { 1 } else { self.burst };
        let count = usize::from(contiguous).min(burst);
        let mut entries = [[0; ENTRY_BYTES]; BURST_MAX];
        let entries = entries.get_mut(..count).unwrap_or_default();
        if host.read(address, entries.as_flattened_mut()).is_err() {
            self.deferred.is_broken = true;
            return Serviced::Idle;
        }
        if entries.len() > 1 {
            self.io
                .anticipate(entries.iter().map(|bytes| transmute_ref!(bytes)));
        }
        self.take_entries(sqid, cqid, entries, now_ns, host)
    }

    /// Who takes a command on that is not the controller's in any case.
    #[inline]
    pub(crate) fn route_of(&self, entry: &SubmissionQueueEntry) -> Route {
        if self.places.is_empty() {
            return Route::Here;
        }
        self.route_while_leased(entry)
    }

    fn route_while_leased(&self, entry: &SubmissionQueueEntry) -> Route {
        let command = io_command(entry.opcode);
        // What a stream is, and what is told of unreadable LBAs, is the drive's, not a namespace's.
        let is_of_drive = match command.starter {
            Starter::Owner => false,
            Starter::OwnerWithoutDirective => directive(entry) != DirectiveType::IDENTIFY,
            Starter::Drive | Starter::Controller => true,
        };
        let place = self.places.get(entry.nsid.get().wrapping_sub(1) as usize);
        match place {
            Some(NamespaceOwner::Everywhere) if !is_of_drive && command.is_shareable => Route::Here,
            Some(&NamespaceOwner::QueueSet(number)) if !is_of_drive && number == self.number => Route::Here,
            Some(&NamespaceOwner::QueueSet(number)) if !is_of_drive => Route::QueueSet(number),
            _ => Route::Controller,
        }
    }

    /// Goes on with what a queue holds.
    fn resume<H: Host>(&mut self, sqid: u16, now_ns: u64, host: &H) -> Serviced {
        let Some(queue) = self.submission_queue(sqid).filter(|queue| !queue.held.is_away()) else {
            return Serviced::Idle;
        };
        let cqid = queue.cqid;
        let Some((&entry, wait)) = queue.held.first() else {
            return Serviced::Idle;
        };
        if now_ns < wait.retry_at_ns {
            return Serviced::Waiting(wait.retry_at_ns);
        }
        match self.route_of(&entry) {
            Route::Here => {}
            Route::QueueSet(number) => return self.forward(sqid, number),
            Route::Controller => {
                self.deferred.has_command = true;
                return Serviced::Idle;
            }
        }
        if !self.has_worker_room(cqid) || !self.deferred.has_room() {
            return Serviced::Idle;
        }
        let reserved = Reserved::held(CommandRef::of(&entry, sqid, cqid));
        let started = self.start_io(&entry, reserved, wait.progress, now_ns, host);
        let Some(queue) = self.submission_queue(sqid) else {
            return Serviced::Idle;
        };
        match started {
            Ok(()) => {
                queue.held.take_first(1);
                Serviced::Fetched
            }
            Err((command, wait)) => {
                queue.held.wait_again(command, wait);
                Serviced::Waiting(wait.retry_at_ns)
            }
        }
    }

    /// Takes on what queues hold, as far as nothing of it has to wait.
    pub(crate) fn resume_all<H: Host>(&mut self, now_ns: u64, host: &H) {
        for sqid in 1..self.queues_end {
            while matches!(self.resume(sqid, now_ns, host), Serviced::Fetched) {}
        }
    }

    pub(crate) fn submission_queue(&mut self, sqid: u16) -> Option<&mut SubmissionQueue> {
        self.submission_queues.get_mut(usize::from(sqid))?.as_mut()
    }

    /// The queue waits behind this command, and those that it holds already; the first waits for `wait`.
    fn hold(&mut self, sqid: u16, entry: SubmissionQueueEntry, command: WaitingCommand, wait: Wait) {
        if let Some(queue) = self.submission_queue(sqid) {
            queue.held.add(entry, command, wait);
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
    ) -> Serviced {
        let mut other_set = None;
        for (index, &bytes) in entries.iter().enumerate() {
            let is_first = index == 0;
            if !is_first && !self.has_room(sqid, cqid, Bar(host.bar())) {
                break;
            }
            let entry: SubmissionQueueEntry = transmute!(bytes);
            let command = CommandRef::of(&entry, sqid, cqid);
            let route = match is_for_controller(&entry, sqid) {
                true => Route::Controller,
                false => self.route_of(&entry),
            };
            match route {
                Route::Controller if is_first => return Serviced::ForController(entry, command),
                Route::QueueSet(number) if other_set.is_none_or(|other| other == number) => {
                    let Some(reserved) = self.consume(command) else {
                        return Serviced::Idle;
                    };
                    other_set = Some(number);
                    self.hold(sqid, entry, reserved.wait(), Wait::until(now_ns));
                }
                Route::Here if other_set.is_none() => {
                    let Some(reserved) = self.consume(command) else {
                        return Serviced::Idle;
                    };
                    if let Err((command, wait)) =
                        self.start_io(&entry, reserved, Progress::None, now_ns, host)
                    {
                        self.hold(sqid, entry, command, wait);
                        // After one that was fetched, the queue is looked at again at once.
                        return match is_first {
                            true => Serviced::Waiting(wait.retry_at_ns),
                            false => Serviced::Fetched,
                        };
                    }
                }
                // Behind a command for another queue set only more of those are taken: a queue holds commands for one queue set.
                Route::Controller | Route::QueueSet(_) | Route::Here => break,
            }
        }
        match other_set {
            Some(number) => self.forward(sqid, number),
            None => Serviced::Fetched,
        }
    }

    /// Whether a command of the queue can be taken through to its completion: room in the completion queue, at the worker, and for deferred.
    fn has_room(&mut self, sqid: u16, cqid: u16, bar: Bar<'_>) -> bool {
        if !self.has_completion_room(cqid) {
            self.look_at_head(cqid, bar);
            if !self.has_completion_room(cqid) {
                return false;
            }
        }
        // The controller has seen to the room for an admin command.
        sqid == 0 || self.has_worker_room(cqid) && self.deferred.has_room()
    }

    fn has_completion_room(&self, cqid: u16) -> bool {
        matches!(self.completion_queues.get(usize::from(cqid)), Some(Some(queue)) if queue.has_room())
    }

    /// Reserves the completion and moves past the entry: from here on the command ends in exactly one completion.
    /// Nothing happens without a completion queue.
    pub(crate) fn consume(&mut self, command: CommandRef) -> Option<Reserved> {
        let CommandRef { sqid, cqid, .. } = command;
        let completion_queue = self.completion_queues.get_mut(usize::from(cqid))?;
        let reserved = completion_queue.as_mut()?.reserve(command);
        if let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) {
            let head = queue.advance();
            self.shared.set_sq_head(sqid, head);
        }
        Some(reserved)
    }

    /// Takes a command on.
    ///
    /// # Errors
    /// If it has to wait.
    pub(crate) fn start_io<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        reserved: Reserved,
        progress: Progress,
        now_ns: u64,
        host: &H,
    ) -> Result<(), (WaitingCommand, Wait)> {
        let command = reserved.command();
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
                self.finish_dispatch(reserved, dispatched, now_ns);
                Ok(())
            }
            Err(wait) => Err((reserved.wait(), wait)),
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
    pub(crate) fn finish_dispatch(&mut self, reserved: Reserved, dispatched: Dispatched, now_ns: u64) {
        let Dispatched { zeroing, mut job } = dispatched;
        job.is_timed = job.done_at_ns > now_ns;
        if let Some(zeroing) = zeroing {
            self.send_promised(job.command.cqid, WorkItem::Zero(zeroing));
        }
        if !job.status.is_success() && self.deferred.has_room() {
            self.deferred.failures.push(Failure {
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
        self.complete(reserved, job);
    }
}
