//! Compare and Write as one command (NVMe Base 2.0 §3.4.2).
//!
//! No other command may come between the two, whichever worker has it. So the controller lets the workers finish the data transfers that they were
//! given, moves the data of the pair itself, and fetches nothing meanwhile. Commands that are not fused pay nothing for it.

use nvme_spec::{Status, SubmissionQueueEntry, FUSED_FIRST, FUSED_SECOND};

use crate::activity::Activity;
use crate::command::fetched::Fetched;
use crate::command::id::CommandRef;
use crate::command::job::{Asker, Dispatched, Job, Ticket, WorkItem};
use crate::command::request::Request;
use crate::command::transfer::Direction;
use crate::command::wait::{Progress, Wait};
use crate::controller::fused_pair::{FusedPair, Half, Step};
use crate::controller::Controller;
use crate::dispatch::route::Serviced;
use crate::dispatch::service::fetch_entry;
use crate::host::{Host, MemoryFault};
use crate::limits::LOOK_AGAIN_NS;
use crate::pci::bar::Bar;
use crate::shared::Shared;
use crate::worker::transfer::transfer_data;

/// Whether the two are a Compare and a Write of the same LBAs.
fn belong_together(first: &SubmissionQueueEntry, second: &SubmissionQueueEntry) -> bool {
    match (Request::parse(first), Request::parse(second)) {
        (
            Request::Compare { slba, lbas },
            Request::Write {
                slba: write_slba,
                lbas: write_lbas,
                ..
            },
        ) => first.nsid == second.nsid && (slba, lbas) == (write_slba, write_lbas),
        _ => false,
    }
}

impl Controller {
    /// The turn of a queue whose next entry, `entry`, belongs to a pair, or says so. Nothing of it is consumed yet; there is room for one completion.
    pub(crate) fn service_fused<H: Host>(
        &mut self,
        entry: SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
        host: &H,
    ) -> Serviced {
        let missing = Status::COMMAND_ABORTED_MISSING_FUSED;
        match entry.fuse() {
            FUSED_FIRST => {}
            FUSED_SECOND => return self.refuse(entry, command, missing, now_ns),
            _ => return self.refuse(entry, command, Status::INVALID_FIELD_IN_COMMAND, now_ns),
        }
        let second = match self.second_half(command, host) {
            Ok(second) => second,
            Err(MemoryFault { .. }) => {
                self.fail(Bar(host.bar()));
                return Serviced::Idle;
            }
        };
        // There was room for one, so its head may not have been looked at for long.
        self.core.queue_set.look_at_head(command.cqid, Bar(host.bar()));
        let Some(Some(completion_queue)) = self
            .core
            .queue_set
            .completion_queues
            .get(usize::from(command.cqid))
        else {
            return Serviced::Idle;
        };
        let has_room = completion_queue.has_room_for(2);
        let is_long_enough = completion_queue.entries > 2;
        let Some(write) = second.filter(|_| is_long_enough) else {
            return self.refuse(entry, command, missing, now_ns);
        };
        if !has_room {
            return Serviced::Idle;
        }
        // The answers of workers are told apart by ticket, but there is room for those of one command only.
        if !self.can_start_admin() {
            return Serviced::Waiting(now_ns.saturating_add(LOOK_AGAIN_NS));
        }
        self.core.queue_set.consume(command.sqid, command.cqid);
        self.core.queue_set.consume(command.sqid, command.cqid);
        let compare = Half { entry, command };
        self.begin_pair(compare, write, now_ns, host)
    }

    /// The entry after the one that is to be fetched next, if it is there and is the second of a pair.
    fn second_half<H: Host>(&mut self, first: CommandRef, host: &H) -> Result<Option<Half>, MemoryFault> {
        let Some(Some(queue)) = self.core.queue_set.submission_queues.get(usize::from(first.sqid)) else {
            return Ok(None);
        };
        if queue.pending() < 2 {
            return Ok(None);
        }
        let entry = fetch_entry(queue.second_entry_address(), host)?;
        let command = CommandRef::of(&entry, first.sqid, first.cqid);
        Ok((entry.fuse() == FUSED_SECOND).then_some(Half { entry, command }))
    }

    fn refuse(
        &mut self,
        entry: SubmissionQueueEntry,
        command: CommandRef,
        status: Status,
        now_ns: u64,
    ) -> Serviced {
        self.core.queue_set.consume(command.sqid, command.cqid);
        self.finish_half(Half { entry, command }, status, now_ns, now_ns);
        Serviced::Fetched
    }

    fn finish_half(&mut self, half: Half, status: Status, done_at_ns: u64, now_ns: u64) {
        let job = Job {
            done_at_ns,
            nsid: half.entry.nsid.get(),
            lba: Request::parse(&half.entry).slba(),
            ..Job::immediate(half.command, now_ns, status, 0)
        };
        self.core.queue_set.finish_dispatch(job.into(), now_ns);
    }

    fn begin_pair<H: Host>(&mut self, compare: Half, write: Half, now_ns: u64, host: &H) -> Serviced {
        if !belong_together(&compare.entry, &write.entry) {
            for half in [compare, write] {
                self.finish_half(half, Status::INVALID_FIELD_IN_COMMAND, now_ns, now_ns);
            }
            return Serviced::Fetched;
        }
        let ticket = self.core.admin.tickets.issue(Asker::FusedPair);
        for link in &mut self.core.queue_set.links {
            if link.send(WorkItem::Answer { ticket }).is_err() {
                self.fail(Bar(host.bar()));
                return Serviced::Idle;
            }
        }
        self.fused = Some(FusedPair {
            compare,
            write,
            step: Step::Settling {
                ticket,
                unanswered: self.core.queue_set.links.len(),
            },
        });
        Serviced::Fetched
    }

    /// A worker has moved everything that came before the pair.
    pub(crate) fn worker_settled(&mut self, answered: Ticket, now_ns: u64) {
        let Some(pair) = &mut self.fused else { return };
        if let Step::Settling { ticket, unanswered } = &mut pair.step {
            if *ticket == answered {
                *unanswered -= 1;
                if *unanswered == 0 {
                    pair.step = Step::Comparing { retry_at_ns: now_ns };
                }
            }
        }
    }

    /// Takes the pair as far as it goes now.
    pub(crate) fn poll_fused<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        while let Some(pair) = self.fused {
            let step = match pair.step {
                Step::Settling { .. } => return activity.wake_at(now_ns.saturating_add(LOOK_AGAIN_NS)),
                Step::Comparing { retry_at_ns } | Step::Writing { retry_at_ns, .. }
                    if now_ns < retry_at_ns =>
                {
                    return activity.wake_at(retry_at_ns)
                }
                Step::Comparing { .. } => self.compare(&pair, now_ns, host),
                Step::Writing { compared_at_ns, .. } => self.write(&pair, compared_at_ns, now_ns, host),
            };
            activity.progressed = true;
            self.fused = step.map(|step| FusedPair { step, ..pair });
        }
    }

    /// Compares; what comes next, if anything does.
    fn compare<H: Host>(&mut self, pair: &FusedPair, now_ns: u64, host: &H) -> Option<Step> {
        let job = match self.dispatch_alone(&pair.compare, now_ns, host) {
            Ok(dispatched) => move_at_once(dispatched, now_ns, host, &self.core.shared),
            Err(Wait { retry_at_ns, .. }) => return Some(Step::Comparing { retry_at_ns }),
        };
        let (is_equal, compared_at_ns) = (job.status.is_success(), job.done_at_ns);
        self.core.queue_set.finish_dispatch(job.into(), now_ns);
        if is_equal {
            return Some(Step::Writing {
                compared_at_ns,
                retry_at_ns: now_ns,
            });
        }
        let status = Status::COMMAND_ABORTED_FAILED_FUSED;
        self.finish_half(pair.write, status, compared_at_ns, now_ns);
        None
    }

    /// Writes, what was compared having been read at `compared_at_ns`; what comes next, if anything does.
    fn write<H: Host>(
        &mut self,
        pair: &FusedPair,
        compared_at_ns: u64,
        now_ns: u64,
        host: &H,
    ) -> Option<Step> {
        let mut job = match self.dispatch_alone(&pair.write, now_ns, host) {
            Ok(dispatched) => move_at_once(dispatched, now_ns, host, &self.core.shared),
            Err(Wait { retry_at_ns, .. }) => {
                return Some(Step::Writing {
                    compared_at_ns,
                    retry_at_ns,
                })
            }
        };
        // It is written when the comparison is done.
        let write_ns = job.done_at_ns.saturating_sub(now_ns);
        job.done_at_ns = compared_at_ns.max(now_ns).saturating_add(write_ns);
        self.core.queue_set.finish_dispatch(job.into(), now_ns);
        None
    }

    /// Times one of the two as if it were not fused.
    fn dispatch_alone<H: Host>(&mut self, half: &Half, now_ns: u64, host: &H) -> Result<Dispatched, Wait> {
        let entry = half.entry.without_fuse();
        let fetched = Fetched {
            entry: &entry,
            command: half.command,
            ring: self.core.queue_set.ring_of(half.command.cqid),
            progress: Progress::None,
        };
        if self.core.queue_set.io.is_key_value(entry.nsid.get()) {
            self.core.queue_set.io.key_value(now_ns, &fetched, host)
        } else {
            self.core.queue_set.io.dispatch(now_ns, &fetched)
        }
    }
}

/// Moves a command's data here and now, and leaves its completion to the worker.
fn move_at_once<H: Host>(dispatched: Dispatched, now_ns: u64, host: &H, shared: &Shared) -> Job {
    let Dispatched { zeroing, mut job } = dispatched;
    if let Some(zeroing) = zeroing {
        let zeroed = host.zero_media(zeroing.media_offset, zeroing.len_bytes as usize);
        debug_assert!(zeroed.is_ok(), "the range is the medium's");
        if let Some(moved) = zeroing.zone {
            shared.end_zone_transfer(moved);
        }
    }
    if let Err(status) = transfer_data(&job.transfer, host) {
        job.status = status;
        job.done_at_ns = job.failed_at_ns(status, now_ns);
    }
    if let Some(moved) = job.transfer.zone.take() {
        shared.end_zone_transfer(moved);
    }
    job.transfer.direction = Direction::None;
    job
}
