//! Copy (NVM CS 1.0 §3.2.2): the ranges of LBAs that it gathers, fetched and checked.

use alloc::vec::Vec;

use nvme_spec::{Cdw12Copy, CopyDescriptorFormat0, CopyDescriptorFormat1, Status, SubmissionQueueEntry};
use ssd_model::{Command, Refusal};
use zerocopy::FromBytes;

use crate::command::fetched::{check_flags, Fetched, NotDone};
use crate::command::job::{Dispatched, Job};
use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::transfer::{Direction, Extents, Transfer};
use crate::command::wait::{Progress, Wait};
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::io::context::IoContext;
use crate::io::place;
use crate::limits::COPY_RANGES_MAX;

/// MSSRL has 16 bits.
const RANGE_LBAS_MAX: u32 = u16::MAX as u32;

/// OCFS: descriptor formats 0 and 1.
pub(crate) const FORMATS: u16 = 0b11;

/// The ranges of a command, all of them inside the namespace, and where they go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyRequest {
    sources: [ByteRange; COPY_RANGES_MAX],
    count: usize,
    pub destination: ByteRange,
    pub fua: bool,
}

/// What the longest list of descriptors takes.
const DESCRIPTORS_BYTES_MAX: usize = COPY_RANGES_MAX * size_of::<CopyDescriptorFormat1>();

/// How to take a descriptor apart: first LBA and number of LBAs of its range.
struct Format {
    descriptor_bytes: usize,
    parse: fn(&[u8]) -> Option<(u64, u32)>,
}

impl Format {
    /// That of the command.
    ///
    /// # Errors
    /// If it is not one of [`FORMATS`].
    fn of(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        match Cdw12Copy(entry.cdw12.get()).format() {
            0 => Ok(Self {
                descriptor_bytes: size_of::<CopyDescriptorFormat0>(),
                parse: |bytes| {
                    let from = CopyDescriptorFormat0::read_from_bytes(bytes).ok()?;
                    Some((from.slba.get(), u32::from(from.nlb_z.get()) + 1))
                },
            }),
            1 => Ok(Self {
                descriptor_bytes: size_of::<CopyDescriptorFormat1>(),
                parse: |bytes| {
                    let from = CopyDescriptorFormat1::read_from_bytes(bytes).ok()?;
                    Some((from.slba.get(), u32::from(from.nlb_z.get()) + 1))
                },
            }),
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        }
    }
}

impl CopyRequest {
    /// Fetches and checks what `entry` wants copied in a namespace with the LBAs `space`.
    ///
    /// # Errors
    /// The command's status.
    pub fn fetch<H: HostMemory>(
        entry: &SubmissionQueueEntry,
        space: LbaSpace,
        transfer_bytes_max: u32,
        host: &H,
    ) -> Result<Self, Status> {
        let cdw12 = Cdw12Copy(entry.cdw12.get());
        let count = usize::from(cdw12.ranges_z()) + 1;
        let format = Format::of(entry)?;
        let mut descriptors = [0; DESCRIPTORS_BYTES_MAX];
        let descriptors = descriptors
            .get_mut(..count * format.descriptor_bytes)
            .filter(|_| count <= COPY_RANGES_MAX)
            .ok_or(Status::COMMAND_SIZE_LIMIT_EXCEEDED)?;
        DataPointer::of(entry).read(host, descriptors)?;
        let mut sources = [ByteRange::default(); COPY_RANGES_MAX];
        let mut lbas_in_all = 0;
        let range_lbas_max = (transfer_bytes_max >> space.lba_log2).min(RANGE_LBAS_MAX);
        let ranges = descriptors
            .chunks_exact(format.descriptor_bytes)
            .filter_map(format.parse);
        for (slot, (slba, lbas)) in sources.iter_mut().zip(ranges) {
            lbas_in_all += lbas;
            if lbas > range_lbas_max {
                return Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED);
            }
            if u64::from(lbas_in_all) << space.lba_log2 > u64::from(transfer_bytes_max) {
                return Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED);
            }
            *slot = space.range(slba, lbas).ok_or(Status::LBA_OUT_OF_RANGE)?;
        }
        let sdlba = entry.slba();
        Ok(Self {
            sources,
            count,
            destination: space.range(sdlba, lbas_in_all).ok_or(Status::LBA_OUT_OF_RANGE)?,
            fua: cdw12.force_unit_access(),
        })
    }

    /// What is read, in order.
    pub fn sources(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.sources.iter().take(self.count).copied()
    }
}

impl IoContext {
    /// Takes a Copy on. What is in [`IoContext::gathering`] then is to be gathered, in order, before the job. As [`IoContext::dispatch`].
    pub fn copy<H: HostMemory>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let mut gathering = core::mem::take(&mut self.gathering);
        gathering.clear();
        let submitted = self.submit_copy(now_ns, fetched, host, &mut gathering);
        if submitted.is_err() {
            gathering.clear();
        }
        self.gathering = gathering;
        match submitted {
            Ok(dispatched) => Ok(dispatched),
            Err(NotDone::Waits(wait)) => Err(wait),
            Err(NotDone::Refused(refusal)) => fetched.settle(now_ns, fetched.entry.slba(), Err(refusal)),
        }
    }

    fn submit_copy<H: HostMemory>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
        gathering: &mut Vec<(Extents, u32)>,
    ) -> Result<Dispatched, NotDone> {
        let entry = fetched.entry;
        check_flags(entry).map_err(Refusal::Failed)?;
        let transfer_bytes_max = self.limits.transfer_bytes_max;
        let namespace = self.namespace_mut(entry).map_err(Refusal::Failed)?;
        let stream = namespace.streams.written(entry).map_err(Refusal::Failed)?;
        let request = CopyRequest::fetch(entry, namespace.lba_space(), transfer_bytes_max, host)
            .map_err(Refusal::Failed)?;
        if request
            .sources()
            .any(|source| namespace.uncorrectable.has_any(namespace.lbas(source)))
        {
            return Err(Refusal::Failed(Status::UNRECOVERED_READ_ERROR).into());
        }
        // All of them before the first is timed, and again each time: what has been reset and written meanwhile may not have been moved. The list is
        // the host's memory; if that changes it, it gets other data, timed as what it asked for first.
        for source in request.sources() {
            place::check_read(namespace, now_ns, fetched.ring, source)?;
        }
        let read_at_ns = match fetched.progress {
            Progress::Copy { read_at_ns } => read_at_ns,
            _ => {
                let mut read_at_ns = now_ns;
                for source in request.sources() {
                    let read = Command::Read {
                        offset_bytes: source.offset_bytes,
                        len_bytes: source.len_bytes,
                    };
                    let placed = place::place(namespace, now_ns, fetched.ring, &read, source)?;
                    read_at_ns = read_at_ns.max(placed.done_at_ns);
                }
                read_at_ns
            }
        };
        // Before the write, which may change what can be read of a zone.
        for source in request.sources() {
            gathering.push((namespace.readable_extents(source), source.len_bytes));
        }
        let destination = request.destination;
        let write = Command::Write {
            offset_bytes: destination.offset_bytes,
            len_bytes: destination.len_bytes,
            fua: request.fua,
        };
        let placed = match place::place(namespace, now_ns, fetched.ring, &write, destination) {
            Ok(placed) => placed,
            Err(Refusal::Busy { retry_at_ns }) => {
                return Err(NotDone::Waits(Wait {
                    retry_at_ns,
                    progress: Progress::Copy { read_at_ns },
                }));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let lbas = namespace.lbas(destination);
        let lba = lbas.start;
        namespace.uncorrectable.clear(lbas);
        // The data is written when it has been read.
        let write_ns = placed.done_at_ns.saturating_sub(now_ns);
        let job = Job {
            transfer: Transfer {
                direction: Direction::Gathered,
                extents: placed.extents,
                len_bytes: destination.len_bytes,
                zone: placed.zone,
                ..Transfer::NONE
            },
            nsid: entry.nsid.get(),
            lba,
            ..Job::immediate(
                fetched.command,
                read_at_ns.max(now_ns).saturating_add(write_ns),
                Status::SUCCESSFUL_COMPLETION,
                0,
            )
        };
        if let Some(stream) = stream {
            self.write_stream(entry.nsid.get(), stream);
        }
        let len_bytes = destination.len_bytes;
        let nsid = entry.nsid.get();
        self.count(nsid, now_ns, job.done_at_ns, Direction::Gathered, len_bytes);
        Ok(Dispatched {
            zeroing: placed.zeroing,
            job,
        })
    }
}
