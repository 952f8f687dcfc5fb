//! Compare and Write as one command (NVMe Base 2.0 §3.4.2).
//!
//! No other command may come between the two, whichever worker has it. So the controller lets the workers finish the data transfers that they were
//! given, moves the data of the pair itself, and fetches nothing meanwhile. Commands that are not fused pay nothing for it.

use nvme_spec::{Status, SubmissionQueueEntry, FUSED_FIRST, FUSED_SECOND};

use crate::activity::Activity;
use crate::command::fetched::Fetched;
use crate::command::id::CommandRef;
use crate::command::job::{Dispatched, Job};
use crate::command::request::Request;
use crate::command::transfer::Direction;
use crate::command::wait::{Progress, Wait};
use crate::command::work::{Asker, Ticket, WorkItem};
use crate::controller::fused_pair::{FusedPair, Half};
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
        let Some(compare) = self.take_half(entry, command) else {
            return Serviced::Idle;
        };
        let Some(write) = self.take_half(write, CommandRef::of(&write, command.sqid, command.cqid)) else {
            self.finish_half(compare, missing, now_ns, now_ns);
            return Serviced::Fetched;
        };
        self.begin_pair(compare, write, now_ns, host)
    }

    /// The entry after the one that is to be fetched next, if it is there and is the second of a pair.
    fn second_half<H: Host>(
        &mut self,
        first: CommandRef,
        host: &H,
    ) -> Result<Option<SubmissionQueueEntry>, MemoryFault> {
        let Some(Some(queue)) = self.core.queue_set.submission_queues.get(usize::from(first.sqid)) else {
            return Ok(None);
        };
        if queue.pending() < 2 {
            return Ok(None);
        }
        let entry = fetch_entry(queue.second_entry_address(), host)?;
        Ok((entry.fuse() == FUSED_SECOND).then_some(entry))
    }

    /// Consumes an entry. Nothing without a completion queue.
    fn take_half(&mut self, entry: SubmissionQueueEntry, command: CommandRef) -> Option<Half> {
        let command = self.core.queue_set.consume(command)?.wait();
        Some(Half { entry, command })
    }

    fn refuse(
        &mut self,
        entry: SubmissionQueueEntry,
        command: CommandRef,
        status: Status,
        now_ns: u64,
    ) -> Serviced {
        let Some(half) = self.take_half(entry, command) else {
            return Serviced::Idle;
        };
        self.finish_half(half, status, now_ns, now_ns);
        Serviced::Fetched
    }

    fn finish_half(&mut self, half: Half, status: Status, done_at_ns: u64, now_ns: u64) {
        let reserved = half.command.resume();
        let job = Job {
            done_at_ns,
            nsid: half.entry.nsid.get(),
            lba: Request::parse(&half.entry).slba(),
            ..Job::immediate(reserved.command(), now_ns, status, 0)
        };
        self.core.queue_set.finish_dispatch(reserved, job.into(), now_ns);
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
        self.fused = Some(FusedPair::Settling {
            compare,
            write,
            ticket,
            unanswered: self.core.queue_set.links.len(),
        });
        Serviced::Fetched
    }

    /// A worker has moved everything that came before the pair.
    pub(crate) fn worker_settled(&mut self, answered: Ticket, now_ns: u64) {
        self.fused = match self.fused.take() {
            Some(FusedPair::Settling {
                compare,
                write,
                ticket,
                unanswered,
            }) if ticket == answered => Some(match unanswered {
                0 | 1 => FusedPair::Comparing {
                    compare,
                    write,
                    retry_at_ns: now_ns,
                },
                _ => FusedPair::Settling {
                    compare,
                    write,
                    ticket,
                    unanswered: unanswered - 1,
                },
            }),
            other => other,
        };
    }

    /// Takes the pair as far as it goes now.
    pub(crate) fn poll_fused<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        while let Some(pair) = self.fused.take() {
            self.fused = match pair {
                FusedPair::Settling { .. } => {
                    self.fused = Some(pair);
                    return activity.wake_at(now_ns.saturating_add(LOOK_AGAIN_NS));
                }
                FusedPair::Comparing { retry_at_ns, .. } | FusedPair::Writing { retry_at_ns, .. }
                    if now_ns < retry_at_ns =>
                {
                    self.fused = Some(pair);
                    return activity.wake_at(retry_at_ns);
                }
                FusedPair::Comparing { compare, write, .. } => self.compare(compare, write, now_ns, host),
                FusedPair::Writing {
                    write,
                    compared_at_ns,
                    ..
                } => self.write(write, compared_at_ns, now_ns, host),
            };
            activity.progressed = true;
        }
    }

    /// Compares; what is left of the pair, if anything is.
    fn compare<H: Host>(&mut self, compare: Half, write: Half, now_ns: u64, host: &H) -> Option<FusedPair> {
        let job = match self.dispatch_alone(&compare, now_ns, host) {
            Ok(dispatched) => move_at_once(dispatched, now_ns, host, &self.core.shared),
            Err(Wait { retry_at_ns, .. }) => {
                return Some(FusedPair::Comparing {
                    compare,
                    write,
                    retry_at_ns,
                })
            }
        };
        let (is_equal, compared_at_ns) = (job.status.is_success(), job.done_at_ns);
        let queue_set = &mut self.core.queue_set;
        queue_set.finish_dispatch(compare.command.resume(), job.into(), now_ns);
        if is_equal {
            return Some(FusedPair::Writing {
                write,
                compared_at_ns,
                retry_at_ns: now_ns,
            });
        }
        let status = Status::COMMAND_ABORTED_FAILED_FUSED;
        self.finish_half(write, status, compared_at_ns, now_ns);
        None
    }

    /// Writes, what was compared having been read at `compared_at_ns`; what is left of the pair, if anything is.
    fn write<H: Host>(
        &mut self,
        write: Half,
        compared_at_ns: u64,
        now_ns: u64,
        host: &H,
    ) -> Option<FusedPair> {
        let mut job = match self.dispatch_alone(&write, now_ns, host) {
            Ok(dispatched) => move_at_once(dispatched, now_ns, host, &self.core.shared),
            Err(Wait { retry_at_ns, .. }) => {
                return Some(FusedPair::Writing {
                    write,
                    compared_at_ns,
                    retry_at_ns,
                })
            }
        };
        // It is written when the comparison is done.
        let write_ns = job.done_at_ns.saturating_sub(now_ns);
        job.done_at_ns = compared_at_ns.max(now_ns).saturating_add(write_ns);
        let queue_set = &mut self.core.queue_set;
        queue_set.finish_dispatch(write.command.resume(), job.into(), now_ns);
        None
    }

    /// Times one of the two as if it were not fused.
    fn dispatch_alone<H: Host>(&mut self, half: &Half, now_ns: u64, host: &H) -> Result<Dispatched, Wait> {
        let entry = half.entry.without_fuse();
        let fetched = Fetched {
            entry: &entry,
            command: half.command.command(),
            ring: self.core.queue_set.ring_of(half.command.command().cqid),
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
