//! An I/O worker: moves data, holds completions until their time, posts them and raises interrupts.

pub(crate) mod coalesce;
pub(crate) mod dma;
#[cfg(all(test, loom))]
mod loom_tests;
pub(crate) mod receiver;
pub(crate) mod schedule;
pub(crate) mod transfer;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::ops::Range;

use nvme_spec::{CompletionQueueEntry, Status};
use zerocopy::transmute;

use crate::activity::Activity;
use crate::command::id::CommandRef;
use crate::command::job::{Filling, Job, Zeroing};
use crate::command::transfer::{Direction, Extents, Part};
use crate::command::work::{Report, Ticket, WorkItem};
use crate::command::zone_transfer::ZoneTransfer;
use crate::host::detached::DetachedHost;
use crate::host::{Host, MemoryFault};
use crate::limits::IO_QUEUE_PAIRS_MAX;
use crate::ring::Producer;
use crate::setup::{table, SetupError};
use crate::shared::Shared;
use crate::worker::coalesce::InterruptCoalescer;
use crate::worker::dma::{Begun, Copies};
use crate::worker::receiver::{WorkReceiver, WorkSource};
use crate::worker::schedule::{Pending, Schedule};
use crate::worker::transfer::transfer_data;

/// I/O commands that a worker holds at most, of all queue sets; further ones are left in their submission queues.
pub(crate) const IN_FLIGHT_MAX: usize = 8192;

/// What the schedule holds besides I/O: commands that a deleted queue had held, and those of the admin queue.
pub(crate) const SCHEDULE_RESERVE: usize = 256;

/// Items taken from the ring in one pass: completions that have come due should not wait behind many copies.
const ITEMS_PER_PASS: usize = 8;

/// Completions posted at one time: however many are due, lateness is measured that finely.
const COMPLETIONS_PER_CALL: usize = 8;

/// So much of the medium is filled in one pass, for the same reason.
const FILLED_PER_PASS_BYTES: u64 = 256 << 10;

/// Most of the buffer that is filled with a pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// So much of what a command copies is fetched into the cache before its turn; for the rest of it the CPU sees what comes.
const PREFETCHED_BYTES: u32 = 512;

/// What is read earlier than this before it is needed may be written again by its dispatcher, and would have to be fetched twice.
const SOON_NS: u64 = 1000;

/// Report ring slots kept free of error reports, so that answers always have room.
const REPORTS_RESERVED: usize = 8;

/// The worker's half of a completion queue.
#[derive(Clone, Copy, Debug)]
struct CompletionRing {
    base: u64,
    entries: u16,
    tail: u16,
    phase: bool,
    posted: u32,
    /// Interrupt vector, if the queue has interrupts.
    vector: Option<u16>,
}

/// One worker. It owns its completion queues: nobody else writes to them.
pub struct Worker {
    /// Which one it is.
    number: usize,
    receiver: WorkReceiver,
    reports: Producer<Report>,
    shared: Arc<Shared>,
    schedule: Schedule,
    queues: Vec<Option<CompletionRing>>,
    /// Whether there is something to copy from and to.
    has_medium: bool,
    /// What is left of the range that is being filled, and what is to be told then; until it is done, no other item is taken.
    filling: Range<u64>,
    filling_zone: Option<ZoneTransfer>,
    /// The source of the command for which that is filled, and how much it was.
    filling_for: Option<(usize, u32)>,
    /// So many bytes of the buffer are full of the pattern to fill with; 0 for zeros.
    pattern_bytes: usize,
    copies: Copies,
    /// What was gathered for the Copy that comes next: the first `gathered` bytes. As long as the longest transfer.
    buffer: Vec<u8>,
    gathered: usize,
    /// When the present pass began to post, while it is not done with what was due then.
    posting_since_ns: Option<u64>,
    interrupts: InterruptCoalescer,
    /// A completion could not be written, and the controller does not know yet.
    is_unreachable: bool,
}

impl Worker {
    pub(crate) fn new(
        number: usize,
        sources: Vec<WorkSource>,
        reports: Producer<Report>,
        shared: Arc<Shared>,
        transfer_bytes_max: u32,
        has_medium: bool,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            number,
            receiver: WorkReceiver::new(sources)?,
            reports,
            shared,
            schedule: Schedule::new(IN_FLIGHT_MAX + SCHEDULE_RESERVE)?,
            queues: table(usize::from(IO_QUEUE_PAIRS_MAX) + 1, || None)?,
            filling: 0..0,
            has_medium,
            filling_zone: None,
            filling_for: None,
            pattern_bytes: 0,
            copies: Copies::new(number)?,
            buffer: table(transfer_bytes_max as usize, || 0)?,
            gathered: 0,
            posting_since_ns: None,
            interrupts: InterruptCoalescer::new()?,
            is_unreachable: false,
        })
    }

    /// One pass: takes a few items from the ring, then posts every completion that is due at `now_ns`, with one
    /// interrupt per completion queue.
    pub fn poll<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let has_taken = self.take_items(now_ns, host);
        loop {
            if let Some(mut activity) = self.post_completions(now_ns, host) {
                activity.progressed |= has_taken;
                return activity;
            }
        }
    }

    /// The first half of a pass: takes a few items from the ring and moves their data, which takes time of its own; returns whether there
    /// were any.
    pub fn take_items<H: Host>(&mut self, now_ns: u64, host: &H) -> bool {
        let reaches_memory = self.shared.reaches_memory();
        if !reaches_memory || self.shared.is_resetting() {
            self.copies.abandon(now_ns, host);
        }
        if reaches_memory {
            self.take_some(now_ns, host)
        } else {
            self.shared.is_resetting() && self.take_some(now_ns, &DetachedHost(host))
        }
    }

    /// The second half of a pass: posts what is due at `now_ns`, and then raises one interrupt per completion queue, unless interrupts are
    /// to be coalesced. It does so in small
    /// portions: `None` says that there is more, to be posted by calling again with the time that it is then. So the time at which a
    /// completion is posted is known well enough to say how late it is.
    pub fn post_completions<H: Host>(&mut self, now_ns: u64, host: &H) -> Option<Activity> {
        if !self.shared.reaches_memory() {
            // Everything waits for the host, and the controller tells when it has done something about it.
            return Some(Activity {
                next_event_ns: self.copies.next_look_ns(now_ns),
                ..Activity::default()
            });
        }
        let since_ns = self.posting_since_ns.take();
        let due_ns = since_ns.unwrap_or(now_ns);
        for posted in 0..COMPLETIONS_PER_CALL {
            let Some(pending) = self.schedule.pop_due(due_ns) else {
                let raises_held = self.interrupts.raise(now_ns, &self.shared, host);
                self.report_unreachable();
                let next_ns = [
                    self.next_due_ns(now_ns),
                    self.interrupts.next_due_ns(),
                    self.copies.next_look_ns(now_ns),
                ];
                return Some(Activity {
                    progressed: posted > 0 || since_ns.is_some() || raises_held,
                    next_event_ns: next_ns.into_iter().flatten().min(),
                });
            };
            self.complete(&pending, now_ns, host);
        }
        self.posting_since_ns = Some(due_ns);
        None
    }

    /// When the earliest completion is due. If that is soon, what posting it needs of another CPU's cache is looked at now: the head of its submission
    /// queue, which a dispatcher has written since.
    fn next_due_ns(&self, now_ns: u64) -> Option<u64> {
        let next = self.schedule.next()?;
        if next.done_at_ns.saturating_sub(now_ns) < SOON_NS {
            black_box(self.shared.sq_head(next.command.sqid));
        }
        Some(next.done_at_ns)
    }

    fn take_some<H: Host>(&mut self, now_ns: u64, host: &H) -> bool {
        let mut progressed = self.end_copies(now_ns, host);
        for _ in 0..ITEMS_PER_PASS {
            if !self.filling.is_empty() {
                self.fill_a_part(host);
                progressed = true;
                break;
            }
            let Some(item) = self.copies.next_item(&mut self.receiver) else {
                break;
            };
            let source = self.receiver.source();
            self.prefetch_next(host);
            let is_reset = matches!(item, WorkItem::Reset { .. });
            self.take(item, source, now_ns, host);
            progressed = true;
            if is_reset {
                // What comes next belongs to another life, in which memory may be within reach.
                break;
            }
        }
        progressed
    }

    /// Puts the completions on the schedule whose data an engine has moved, a few in each pass; whether there were any.
    #[inline]
    fn end_copies<H: Host>(&mut self, now_ns: u64, host: &H) -> bool {
        let mut has_ended = false;
        for _ in 0..ITEMS_PER_PASS {
            let Some(ended) = self.copies.take_ended(now_ns, &self.shared, host) else {
                break;
            };
            self.finish(&ended.job, ended.source, ended.transferred, now_ns);
            has_ended = true;
        }
        has_ended
    }

    /// What the next command copies comes into the cache while this one's data is moved: otherwise each copy would begin with waiting for memory.
    #[inline]
    fn prefetch_next<H: Host>(&mut self, host: &H) {
        if !self.has_medium || host.has_engine(self.number) {
            return;
        }
        let upcoming = self.receiver.peek(|item| match item {
            WorkItem::Job(job) => job.transfer.beginning(PREFETCHED_BYTES),
            _ => None,
        });
        if let Some(copy) = upcoming.flatten() {
            host.prefetch(&copy);
        }
    }

    fn take<H: Host>(&mut self, item: WorkItem, source: usize, now_ns: u64, host: &H) {
        match item {
            WorkItem::Job(job) => self.start(job.into_job(), source, now_ns, host),
            WorkItem::Zero(Zeroing {
                media_offset,
                len_bytes,
                zone,
            }) => {
                self.filling = media_offset..media_offset.saturating_add(len_bytes.into());
                self.filling_zone = zone;
                self.filling_for = Some((source, len_bytes));
                self.receiver.count_completed(source);
            }
            WorkItem::Fill(Filling {
                media_offset,
                len_bytes,
                pattern,
            }) => {
                self.filling = media_offset..media_offset.saturating_add(len_bytes.into());
                self.prepare_pattern(pattern);
                self.receiver.count_completed(source);
            }
            WorkItem::Gather { extents, len_bytes } => {
                self.gather(&extents, len_bytes as usize, host);
                self.receiver.count_completed(source);
            }
            WorkItem::CreateCq {
                cqid,
                base,
                entries,
                vector,
            } => {
                let ring = CompletionRing {
                    base,
                    entries,
                    tail: 0,
                    phase: true,
                    posted: 0,
                    vector,
                };
                self.set_queue(cqid, Some(ring));
            }
            WorkItem::DeleteCq { cqid } => {
                let ring = self.queues.get(usize::from(cqid)).copied().flatten();
                if let Some(vector) = ring.and_then(|ring| ring.vector) {
                    self.interrupts.release(vector, &self.shared, host);
                }
                self.set_queue(cqid, None);
            }
            WorkItem::AbortQueue { sqid, ticket } => {
                let is_meant = |command: CommandRef| command.sqid == sqid;
                self.schedule
                    .end_early(now_ns, Status::COMMAND_ABORTED_SQ_DELETION, is_meant);
                // What was aborted is posted before the answer: the queue's deletion completes after its commands.
                self.post_all_due(now_ns, host);
                self.answer(ticket, true);
            }
            WorkItem::AbortCommand { sqid, cid, ticket } => {
                let is_meant = |command: CommandRef| command.sqid == sqid && command.cid == cid;
                let ended = self
                    .schedule
                    .end_early(now_ns, Status::COMMAND_ABORT_REQUESTED, is_meant);
                self.post_all_due(now_ns, host);
                self.answer(ticket, ended > 0);
            }
            WorkItem::Answer { ticket } => self.answer(ticket, true),
            WorkItem::Reset { ticket } => {
                self.schedule.clear();
                self.posting_since_ns = None;
                self.interrupts.clear();
                self.is_unreachable = false;
                self.gathered = 0;
                self.queues.fill(None);
                self.answer(ticket, true);
            }
        }
    }

    fn fill_a_part<H: Host>(&mut self, host: &H) {
        let Range { start, end } = self.filling;
        // What is not kept takes no time to fill.
        let part_end = match self.has_medium {
            true => end.min(start.saturating_add(FILLED_PER_PASS_BYTES)),
            false => end,
        };
        let filled = match self.buffer.get(..self.pattern_bytes) {
            Some(pattern) if !pattern.is_empty() => fill_with(pattern, start..part_end, host),
            _ => host.zero_media(start, (part_end - start) as usize),
        };
        debug_assert!(filled.is_ok(), "the controller has checked the range");
        self.filling.start = part_end;
        if self.filling.is_empty() {
            self.pattern_bytes = 0;
            if let Some((source, len_bytes)) = self.filling_for.take() {
                self.receiver.count_filled(source, len_bytes);
            }
            let moved = self.filling_zone.take();
            self.end_zone_transfer(moved);
        }
    }

    /// Fills the beginning of the buffer with `pattern`. No Copy has anything in there now: its parts and its job follow each other.
    fn prepare_pattern(&mut self, pattern: u32) {
        if pattern == 0 {
            return;
        }
        let buffer = self.buffer.chunks_exact_mut(4).take(PATTERN_BYTES_MAX / 4);
        self.pattern_bytes = buffer
            .map(|dword| {
                dword.copy_from_slice(&pattern.to_le_bytes());
                dword.len()
            })
            .sum();
    }

    /// Appends a part of the medium to what the next Copy writes.
    fn gather<H: Host>(&mut self, extents: &Extents, len: usize, host: &H) {
        let into = self.buffer.get_mut(self.gathered..).unwrap_or_default();
        let done = extents.for_each_part(0, len, |at, part| {
            let slot = |len: usize| at..at + len;
            match part {
                Part::OnMedium { media_offset, len } => {
                    host.read_media(media_offset, into.get_mut(slot(len)).unwrap_or_default())
                }
                Part::Zeros { len } => {
                    into.get_mut(slot(len)).unwrap_or_default().fill(0);
                    Ok(())
                }
            }
        });
        debug_assert!(done.is_ok(), "the controller has checked the range");
        self.gathered += len;
    }

    /// Writes what was gathered.
    fn scatter<H: Host>(&mut self, extents: &Extents, host: &H) -> Result<(), Status> {
        let gathered = core::mem::take(&mut self.gathered);
        let from = self.buffer.get(..gathered).unwrap_or_default();
        Ok(extents.for_each_part(0, gathered, |at, part| match part {
            Part::OnMedium { media_offset, len } => {
                host.write_media(media_offset, from.get(at..at + len).unwrap_or_default())
            }
            Part::Zeros { .. } => Ok(()),
        })?)
    }

    /// A transfer of data in a zone is over.
    fn end_zone_transfer(&self, zone: Option<ZoneTransfer>) {
        if let Some(moved) = zone {
            self.shared.end_zone_transfer(moved);
        }
    }

    /// Moves the data, or has an engine move it, and puts the completion on the schedule. A write's data is on the medium, and a read's in the
    /// host's memory, before the completion can be posted.
    fn start<H: Host>(&mut self, job: Job, source: usize, now_ns: u64, host: &H) {
        let transferred = match (
            job.transfer.direction,
            self.copies.begin(&job, source, now_ns, &self.shared, host),
        ) {
            (Direction::Gathered, _) => self.scatter(&job.transfer.extents, host),
            (_, Begun::UnderWay) => return,
            (_, Begun::Moved) => Ok(()),
            (_, Begun::Not) => transfer_data(&job.transfer, host),
        };
        self.finish(&job, source, transferred, now_ns);
    }

    /// The data was moved, or cannot be: puts the completion on the schedule.
    #[inline]
    fn finish(&mut self, job: &Job, source: usize, transferred: Result<(), Status>, now_ns: u64) {
        self.end_zone_transfer(job.transfer.zone);
        match transferred {
            Ok(()) => {
                self.schedule.push(
                    source,
                    job.done_at_ns,
                    job.is_timed,
                    job.command,
                    job.status,
                    job.result,
                );
            }
            Err(status) => {
                self.report_failure(job, status);
                let failed_at_ns = job.failed_at_ns(status, now_ns);
                let is_timed = job.is_timed && failed_at_ns == job.done_at_ns;
                self.schedule
                    .push(source, failed_at_ns, is_timed, job.command, status, 0);
            }
        }
    }

    fn post_all_due<H: Host>(&mut self, now_ns: u64, host: &H) {
        while let Some(pending) = self.schedule.pop_due(now_ns) {
            self.complete(&pending, now_ns, host);
        }
        self.interrupts.raise(now_ns, &self.shared, host);
    }

    /// Posts a completion whose time has come, and notes how late it is.
    fn complete<H: Host>(&mut self, pending: &Pending, now_ns: u64, host: &H) {
        self.receiver.count_completed(pending.source.into());
        match self.post(pending, host) {
            Ok(vector) => self.interrupts.add(vector, now_ns, &self.shared),
            Err(MemoryFault { .. }) => self.is_unreachable = true,
        }
        if pending.is_timed {
            let late_ns = now_ns.saturating_sub(pending.done_at_ns);
            self.shared.lateness().record(self.number, late_ns);
        }
    }

    /// The one place where a completion queue entry is made. Room for it was reserved when the command was fetched.
    fn post<H: Host>(&mut self, pending: &Pending, host: &H) -> Result<Option<u16>, MemoryFault> {
        let command = pending.command;
        let Some(ring) = self
            .queues
            .get_mut(usize::from(command.cqid))
            .and_then(Option::as_mut)
        else {
            return Ok(None);
        };
        let entry = CompletionQueueEntry {
            dw0: (pending.result as u32).into(),
            dw1: ((pending.result >> 32) as u32).into(),
            sq_head: self.shared.sq_head(command.sqid).into(),
            sq_id: command.sqid.into(),
            cid: command.cid.into(),
            status_and_phase: CompletionQueueEntry::pack_status(pending.status, ring.phase).into(),
        };
        let bytes: [u8; 16] = transmute!(entry);
        host.publish(ring.base.wrapping_add(u64::from(ring.tail) * 16), &bytes)?;
        ring.tail += 1;
        if ring.tail == ring.entries {
            ring.tail = 0;
            ring.phase = !ring.phase;
        }
        ring.posted = ring.posted.wrapping_add(1);
        self.shared.set_cq_posted(command.cqid, ring.posted);
        self.shared.statistics().queue(command.sqid).completed();
        Ok(ring.vector)
    }

    fn set_queue(&mut self, cqid: u16, ring: Option<CompletionRing>) {
        if let Some(slot) = self.queues.get_mut(usize::from(cqid)) {
            *slot = ring;
        }
    }

    fn answer(&mut self, ticket: Ticket, found: bool) {
        let pushed = self.reports.push(Report::Done { ticket, found });
        debug_assert!(
            pushed.is_ok(),
            "the controller has one ticket outstanding per worker"
        );
    }

    /// Error reports give way to answers: with a host that only fails, the log keeps the first of a burst.
    fn report_failure(&mut self, job: &Job, status: Status) {
        // What a reset forgets was no failure of the command.
        if self.reports.free() > REPORTS_RESERVED && self.shared.reaches_memory() {
            let report = Report::Failed {
                command: job.command,
                status,
                nsid: job.nsid,
                lba: job.lba,
            };
            self.report(report);
        }
    }

    /// A lost completion is told of in any case, when there is room.
    fn report_unreachable(&mut self) {
        if self.is_unreachable && self.reports.free() > REPORTS_RESERVED {
            self.report(Report::QueueUnreachable);
            self.is_unreachable = false;
        }
    }

    fn report(&mut self, report: Report) {
        let pushed = self.reports.push(report);
        debug_assert!(pushed.is_ok(), "room was checked");
    }
}

/// Fills a part of the medium with as many copies of `pattern` as it takes.
fn fill_with<H: Host>(pattern: &[u8], part: Range<u64>, host: &H) -> Result<(), MemoryFault> {
    let mut at = part.start;
    while at < part.end {
        let len = ((part.end - at) as usize).min(pattern.len());
        host.write_media(at, pattern.get(..len).unwrap_or_default())?;
        at += len as u64;
    }
    Ok(())
}
