//! Commands that are as long as the namespace, if the host wants that: Dataset Management and Write Zeroes. They are done in parts, one in each turn
//! of their queue, so that other queues wait for a part only.
//!
//! Everything that can be wrong with a command is looked for before its first part: a wrong one changes nothing. Its parts are not one with
//! what other commands do meanwhile, as the specification allows (there is no order among commands that are outstanding together, and no atomicity
//! beyond AWUN). Behind it, its own queue waits.

use alloc::vec::Vec;

use nvme_spec::{Cdw12ReadWrite, NvmOpcode, Status, SubmissionQueueEntry};
use ssd_model::{Command, Model, Refusal};

use crate::command::fetched::{check_flags, Fetched, NotDone};
use crate::command::job::{Dispatched, Job, Zeroing};
use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::request::Request;
use crate::command::transfer::{Direction, Extents, Part, Transfer};
use crate::command::wait::{Position, Progress, Wait};
use crate::command::zone_transfer::ZoneTransfer;
use crate::host::Host;
use crate::io::context::IoContext;
use crate::io::dataset::RangeList;
use crate::limits::{PART_BYTES, PART_RANGES_MAX};
use crate::namespace::Namespace;

/// What one turn deallocates, if a part is no more work than a page: only marks of unreadable LBAs, and states of zones, are looked at.
const EASY_PART_BYTES: u32 = 1 << 30;

/// The rest is for another turn.
fn next_turn(now_ns: u64, progress: Progress) -> Wait {
    Wait {
        retry_at_ns: now_ns.saturating_add(1),
        progress,
    }
}

impl Namespace {
    /// What is to be filled with zeros when LBAs are deallocated begins there on the medium; nothing if they stay as they are: zones are reset, and
    /// a zoned namespace takes the ranges for a hint that it has no use for.
    fn deallocated_media(&self) -> Option<u64> {
        self.zoned.is_none().then_some(self.media_offset)
    }
}

/// What deallocating LBAs takes, wherever they are.
struct Deallocation<'a> {
    /// Nothing of a namespace that all dispatchers share: it has no mapping and no marks.
    namespace: Option<&'a mut Namespace>,
    /// See [`Namespace::deallocated_media`].
    media_offset: Option<u64>,
    part_bytes: u32,
}

impl Deallocation<'_> {
    /// Deallocates `part`; when that is done, ns.
    fn forget(&mut self, now_ns: u64, part: ByteRange) -> Result<u64, Status> {
        let Some(namespace) = &mut self.namespace else {
            return Ok(now_ns);
        };
        let command = Command::Deallocate {
            offset_bytes: part.offset_bytes,
            len_bytes: part.len_bytes.into(),
        };
        match namespace.model.submit(now_ns, &command) {
            Ok(accepted) => {
                if namespace.zoned.is_none() {
                    let lbas = namespace.lbas(part);
                    namespace.uncorrectable.clear(lbas);
                }
                Ok(accepted.done_at_ns)
            }
            Err(Refusal::Failed(status) | Refusal::FailedLate { status, .. }) => Err(status),
            // No model does that (see `ssd_model::Model`).
            Err(Refusal::Busy { .. }) => Err(Status::INTERNAL_ERROR),
        }
    }
}

impl IoContext {
    /// Whether a command is done in parts that workers fill with zeros. Those of key-value namespaces are not: the controller does all of them.
    pub fn is_in_parts(&self, entry: &SubmissionQueueEntry) -> bool {
        match NvmOpcode(entry.opcode) {
            NvmOpcode::DATASET_MANAGEMENT => !self.is_key_value(entry.nsid.get()),
            NvmOpcode::WRITE_ZEROES => self
                .space_of(entry.nsid.get())
                .is_some_and(|space| self.zeroes_in_parts(entry, space)),
            _ => false,
        }
    }

    /// How a namespace that serves is cut into LBAs.
    fn space_of(&self, nsid: u32) -> Option<LbaSpace> {
        let shared = self.shared.get(nsid.wrapping_sub(1) as usize);
        match shared.and_then(Option::as_ref) {
            Some(shared) => Some(shared.space),
            None => Some(self.namespaces.attached(nsid).ok()?)
                .filter(|namespace| !namespace.has_pairs_only())
                .map(Namespace::lba_space),
        }
    }

    /// Whether a Write Zeroes is longer than other writes can be.
    fn zeroes_in_parts(&self, entry: &SubmissionQueueEntry, space: LbaSpace) -> bool {
        match Request::parse(entry) {
            Request::WriteZeroes { lbas, .. } => {
                u64::from(lbas) << space.lba_log2 > self.limits.transfer_bytes_max.into()
            }
            _ => false,
        }
    }

    /// Does the next part of a command that is done in parts. What is in [`IoContext::zeroings`] then is to be filled, in order, before the job if there
    /// is one. As [`IoContext::dispatch`].
    pub fn do_part<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        if NvmOpcode(fetched.entry.opcode) == NvmOpcode::WRITE_ZEROES {
            return self.write_zeroes(now_ns, fetched, host);
        }
        let mut ranges = core::mem::take(&mut self.ranges);
        let mut zeroings = core::mem::take(&mut self.zeroings);
        let done = self.deallocate(now_ns, fetched, &mut ranges, &mut zeroings, host);
        (self.ranges, self.zeroings) = (ranges, zeroings);
        match done {
            Ok(done_at_ns) => {
                let success = Status::SUCCESSFUL_COMPLETION;
                Ok(Job::immediate(fetched.command, done_at_ns, success, 0).into())
            }
            Err(NotDone::Waits(wait)) => Err(wait),
            Err(NotDone::Refused(refusal)) => fetched.settle(now_ns, 0, Err(refusal)),
        }
    }

    /// Deallocates the next part of the ranges of a Dataset Management command, which are fetched and checked in each turn; when it is done, if that was
    /// the last.
    fn deallocate<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        ranges: &mut RangeList,
        zeroings: &mut Vec<Zeroing>,
        host: &H,
    ) -> Result<u64, NotDone> {
        let entry = fetched.entry;
        check_flags(entry)?;
        let has_medium = self.has_medium;
        let shared = self.shared.get(entry.nsid.get().wrapping_sub(1) as usize);
        let mut deallocation = match shared.and_then(Option::as_ref) {
            Some(shared) => {
                ranges.fetch(entry, shared.space, host)?;
                Deallocation {
                    media_offset: Some(shared.media_offset).filter(|_| has_medium),
                    namespace: None,
                    part_bytes: 0,
                }
            }
            None => {
                let namespace = self.namespace_mut(entry)?;
                ranges.fetch(entry, namespace.lba_space(), host)?;
                Deallocation {
                    media_offset: namespace.deallocated_media().filter(|_| has_medium),
                    namespace: Some(namespace),
                    part_bytes: 0,
                }
            }
        };
        let has_mapping = deallocation
            .namespace
            .as_ref()
            .is_some_and(|namespace| namespace.model.mapping_unit_bytes().is_some());
        deallocation.part_bytes = match has_mapping || deallocation.media_offset.is_some() {
            true => PART_BYTES,
            false => EASY_PART_BYTES,
        };
        let (mut position, mut done_at_ns) = match fetched.progress {
            Progress::Deallocate { position, done_at_ns } => (position, done_at_ns),
            _ => (Position::default(), now_ns),
        };
        let mut left_bytes = deallocation.part_bytes;
        for _ in 0..PART_RANGES_MAX {
            let Some((part, after)) = ranges.part(position, deallocation.part_bytes) else {
                return Ok(done_at_ns.max(now_ns));
            };
            if part.len_bytes > left_bytes {
                break;
            }
            left_bytes -= part.len_bytes;
            done_at_ns = done_at_ns.max(deallocation.forget(now_ns, part)?);
            if let Some(media_offset) = deallocation.media_offset {
                zeroings.push(Zeroing {
                    media_offset: media_offset + part.offset_bytes,
                    len_bytes: part.len_bytes,
                    zone: None,
                });
            }
            position = after;
        }
        if ranges.part(position, deallocation.part_bytes).is_none() {
            return Ok(done_at_ns.max(now_ns));
        }
        let progress = Progress::Deallocate { position, done_at_ns };
        Err(NotDone::Waits(next_turn(now_ns, progress)))
    }

    /// Does the next part of a Write Zeroes, which is a Write Zeroes of its own that is not longer than other writes.
    fn write_zeroes<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let Request::WriteZeroes { slba, lbas, .. } = Request::parse(fetched.entry) else {
            return self.dispatch(now_ns, fetched);
        };
        let (done_lbas, before_ns) = match fetched.progress {
            Progress::WriteZeroes {
                done_lbas,
                done_at_ns,
            } => (done_lbas, done_at_ns),
            _ => {
                if let Err(status) = self.check_zeroes(fetched.entry, slba, lbas) {
                    return fetched.settle(now_ns, slba, Err(Refusal::Failed(status)));
                }
                (0, now_ns)
            }
        };
        let (at, left_lbas) = (slba + u64::from(done_lbas), lbas - done_lbas);
        let part_lbas = self.zeroes_part(fetched.entry.nsid.get(), at).clamp(1, left_lbas);
        let mut entry = fetched.entry.with_slba(at);
        entry.cdw12 = Cdw12ReadWrite(entry.cdw12.get())
            .with_lbas_z((part_lbas - 1) as u16)
            .0
            .into();
        let part = Fetched {
            entry: &entry,
            progress: Progress::None,
            ..*fetched
        };
        let dispatched = if self.is_key_value(entry.nsid.get()) {
            self.key_value(now_ns, &part, host)
        } else {
            self.dispatch(now_ns, &part)
        };
        let progress = |done_lbas, done_at_ns| Progress::WriteZeroes {
            done_lbas,
            done_at_ns,
        };
        let Dispatched { zeroing, mut job } = match dispatched {
            Ok(dispatched) => dispatched,
            Err(Wait { retry_at_ns, .. }) => {
                return Err(Wait {
                    retry_at_ns,
                    progress: progress(done_lbas, before_ns),
                });
            }
        };
        if !job.status.is_success() {
            return Ok(job.into());
        }
        self.zeroings.extend(zeroing);
        self.zero_transfer(&job.transfer);
        let done_at_ns = before_ns.max(job.done_at_ns);
        if part_lbas < left_lbas {
            return Err(next_turn(now_ns, progress(done_lbas + part_lbas, done_at_ns)));
        }
        job.transfer = Transfer {
            len_bytes: self
                .space_of(entry.nsid.get())
                .map_or(0, |space| lbas << space.lba_log2),
            ..Transfer::NONE
        };
        Ok(Job {
            done_at_ns,
            lba: slba,
            ..job
        }
        .into())
    }

    /// Whether all of a Write Zeroes can be done as things are.
    ///
    /// # Errors
    /// Its status, if not.
    fn check_zeroes(&mut self, entry: &SubmissionQueueEntry, slba: u64, lbas: u32) -> Result<(), Status> {
        check_flags(entry)?;
        let space = self.space_of(entry.nsid.get());
        let range = match space {
            Some(space) => space.range(slba, lbas).ok_or(Status::LBA_OUT_OF_RANGE)?,
            None => ByteRange::default(),
        };
        match self.namespaces.serving_mut(entry.nsid.get()) {
            Ok(namespace) => {
                namespace.reservations.check(entry.opcode)?;
                match namespace.model.zoned() {
                    Some(model) => model.check_write(range.offset_bytes, range.len_bytes),
                    None => Ok(()),
                }
            }
            // Each part looks at what is shared, and at what serves no more.
            Err(_) => Ok(()),
        }
    }

    /// How many LBAs from `at` on one part has: up to a multiple of the longest transfer, or in a zone, of as many units of writing as that has.
    fn zeroes_part(&self, nsid: u32, at: u64) -> u32 {
        let Some(LbaSpace { lba_log2, .. }) = self.space_of(nsid) else {
            return 1;
        };
        let part_bytes = u64::from(self.limits.transfer_bytes_max);
        let zoned = self.namespaces.attached(nsid).ok();
        let zoned = zoned.and_then(|namespace| namespace.model.zoned());
        let offset_bytes = at << lba_log2;
        let left_bytes = match zoned.and_then(|model| Some((model, model.geometry().locate(offset_bytes)?))) {
            Some((model, (_, in_zone))) => {
                let unit_bytes = u64::from(model.write_unit_bytes()).max(1);
                let part_bytes = (part_bytes / unit_bytes).max(1) * unit_bytes;
                part_bytes - in_zone % part_bytes
            }
            None => part_bytes - offset_bytes % part_bytes,
        };
        u32::try_from(left_bytes >> lba_log2).unwrap_or(u32::MAX)
    }

    /// Has a worker fill what a Write Zeroes covers of the medium.
    fn zero_transfer(&mut self, transfer: &Transfer) {
        if transfer.direction != Direction::Zeros {
            return;
        }
        let mut last: Option<Zeroing> = None;
        let (extents, len): (&Extents, usize) = (&transfer.extents, transfer.len_bytes as usize);
        let done: Result<(), core::convert::Infallible> = extents.for_each_part(0, len, |_, part| {
            if let Part::OnMedium { media_offset, len } = part {
                self.zeroings.extend(last.take());
                last = Some(Zeroing {
                    media_offset,
                    len_bytes: len as u32,
                    zone: None,
                });
            }
            Ok(())
        });
        let Ok(()) = done;
        // The zone may be waiting for all of it.
        let zone: Option<ZoneTransfer> = transfer.zone;
        if let Some(zeroing) = last {
            self.zeroings.push(Zeroing { zone, ..zeroing });
        }
    }
}
