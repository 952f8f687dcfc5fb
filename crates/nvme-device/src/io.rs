//! I/O commands: from the entry's bytes to a checked request, and from there to a job for a worker.

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry, NSID_BROADCAST};
use ssd_model::{Command, Model, Refusal};

use crate::data_pointer::DataPointer;
use crate::dataset::RangeList;
use crate::host::Host;
use crate::namespace::{ByteRange, Namespace};
use crate::work::{CommandRef, Direction, Job, Transfer};

/// An I/O command of the NVM command set, taken apart. Counts are real counts, not 0's based.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Flush,
    Read {
        slba: u64,
        lbas: u32,
    },
    Write {
        slba: u64,
        lbas: u32,
        fua: bool,
    },
    WriteZeroes {
        slba: u64,
        lbas: u32,
        fua: bool,
        deallocate: bool,
    },
    Unknown(NvmOpcode),
}

impl Request {
    /// Takes any entry apart. Total and pure: what the values mean for a namespace is checked elsewhere.
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let slba = u64::from(entry.cdw10.get()) | u64::from(entry.cdw11.get()) << 32;
        let lbas = (entry.cdw12.get() & 0xFFFF) + 1;
        let fua = entry.cdw12.get() & 1 << 30 != 0;
        match NvmOpcode(entry.opcode) {
            NvmOpcode::FLUSH => Self::Flush,
            NvmOpcode::READ => Self::Read { slba, lbas },
            NvmOpcode::WRITE => Self::Write { slba, lbas, fua },
            NvmOpcode::WRITE_ZEROES => Self::WriteZeroes {
                slba,
                lbas,
                fua,
                deallocate: entry.cdw12.get() & 1 << 25 != 0,
            },
            other => Self::Unknown(other),
        }
    }
}

/// What I/O did so far, for the SMART log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IoCounters {
    pub read_commands: u64,
    pub write_commands: u64,
    pub read_512b: u64,
    pub written_512b: u64,
    /// Time in which at least one command was being worked on.
    pub busy_ns: u64,
    busy_until_ns: u64,
}

impl IoCounters {
    fn count(&mut self, now_ns: u64, done_at_ns: u64, direction: Direction, len_bytes: u32) {
        let (commands, units) = match direction {
            Direction::ToHost => (&mut self.read_commands, &mut self.read_512b),
            Direction::FromHost => (&mut self.write_commands, &mut self.written_512b),
            // Neither counts as data that the host wrote (NVMe Base 2.0 figure 207).
            Direction::Zeros | Direction::None => return,
        };
        *commands += 1;
        *units += u64::from(len_bytes / 512);
        self.busy_ns = self
            .busy_ns
            .saturating_add(done_at_ns.saturating_sub(now_ns.max(self.busy_until_ns)));
        self.busy_until_ns = self.busy_until_ns.max(done_at_ns);
    }
}

/// Commands cannot be fused and have no SGLs or metadata here.
fn check_flags(entry: &SubmissionQueueEntry) -> Result<(), Status> {
    if entry.fuse() != 0 || entry.psdt() != 0 {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    Ok(())
}

/// What is asked of the model and of the worker.
struct Plan {
    command: Command,
    direction: Direction,
    range: ByteRange,
}

impl Plan {
    fn new(request: Request, namespace: &Namespace, transfer_bytes_max: u32) -> Result<Self, Status> {
        let range = |slba, lbas| {
            let len_bytes = u64::from(lbas) << namespace.lba_log2;
            if len_bytes > u64::from(transfer_bytes_max) {
                return Err(Status::INVALID_FIELD_IN_COMMAND);
            }
            namespace.range(slba, lbas).ok_or(Status::LBA_OUT_OF_RANGE)
        };
        match request {
            Request::Flush => {
                let range = ByteRange {
                    offset_bytes: 0,
                    len_bytes: 0,
                };
                Ok(Self {
                    command: Command::Flush,
                    direction: Direction::None,
                    range,
                })
            }
            Request::Read { slba, lbas } => {
                let range = range(slba, lbas)?;
                let command = Command::Read {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                };
                Ok(Self {
                    command,
                    direction: Direction::ToHost,
                    range,
                })
            }
            Request::Write { slba, lbas, fua } => {
                let range = range(slba, lbas)?;
                let command = Command::Write {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                    fua,
                };
                Ok(Self {
                    command,
                    direction: Direction::FromHost,
                    range,
                })
            }
            // The limit is that of other writes (WZSL = MDTS), so that all of it fits into a write buffer.
            Request::WriteZeroes {
                slba,
                lbas,
                fua,
                deallocate,
            } => {
                let range = range(slba, lbas)?;
                let command = Command::WriteZeroes {
                    offset_bytes: range.offset_bytes,
                    len_bytes: range.len_bytes,
                    fua,
                    deallocate,
                };
                Ok(Self {
                    command,
                    direction: Direction::Zeros,
                    range,
                })
            }
            Request::Unknown(_) => Err(Status::INVALID_COMMAND_OPCODE),
        }
    }
}

/// What became of a Dataset Management command.
pub(crate) struct Deallocated {
    /// To be filled with zeros, from `media_offset` on.
    pub ranges: RangeList,
    pub media_offset: u64,
    pub done_at_ns: u64,
}

/// The namespaces and what I/O needs to know besides.
pub(crate) struct IoUnit {
    pub namespaces: alloc::vec::Vec<Namespace>,
    pub transfer_bytes_max: u32,
    pub counters: IoCounters,
}

impl IoUnit {
    pub fn namespace(&self, nsid: u32) -> Option<&Namespace> {
        self.namespaces.get(nsid.checked_sub(1)? as usize)
    }

    /// Times a command and says what the worker has to do; a wrong command becomes a job that carries its status.
    ///
    /// # Errors
    /// The time at which to try again, if the model has no room now.
    pub fn dispatch(
        &mut self,
        now_ns: u64,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
    ) -> Result<Job, u64> {
        let request = Request::parse(entry);
        match self.submit(now_ns, entry, request, command) {
            Ok(job) => Ok(job),
            Err(Refusal::Busy { retry_at_ns }) => Err(retry_at_ns),
            Err(Refusal::Failed(status)) => {
                let lba = match request {
                    Request::Read { slba, .. }
                    | Request::Write { slba, .. }
                    | Request::WriteZeroes { slba, .. } => slba,
                    Request::Flush | Request::Unknown(_) => 0,
                };
                Ok(Job {
                    nsid: entry.nsid.get(),
                    lba,
                    ..Job::immediate(command, now_ns, status, 0)
                })
            }
        }
    }

    fn submit(
        &mut self,
        now_ns: u64,
        entry: &SubmissionQueueEntry,
        request: Request,
        command: CommandRef,
    ) -> Result<Job, Refusal> {
        check_flags(entry).map_err(Refusal::Failed)?;
        let nsid = entry.nsid.get();
        if nsid == NSID_BROADCAST && request == Request::Flush {
            return self.flush_all(now_ns, command);
        }
        let namespace = nsid
            .checked_sub(1)
            .and_then(|index| self.namespaces.get_mut(index as usize))
            .ok_or(Refusal::Failed(Status::INVALID_NAMESPACE_OR_FORMAT))?;
        let plan = Plan::new(request, namespace, self.transfer_bytes_max).map_err(Refusal::Failed)?;
        let accepted = namespace.model.submit(now_ns, &plan.command)?;
        // A completion time in the past (MODELS.md Q10) means: at once.
        let done_at_ns = accepted.done_at_ns.max(now_ns);
        self.counters
            .count(now_ns, done_at_ns, plan.direction, plan.range.len_bytes);
        let transfer = Transfer {
            direction: plan.direction,
            pointer: DataPointer {
                prp1: entry.prp1.get(),
                prp2: entry.prp2.get(),
            },
            media_offset: namespace.media_offset + plan.range.offset_bytes,
            len_bytes: plan.range.len_bytes,
        };
        let lba = plan.range.offset_bytes >> namespace.lba_log2;
        let status = Status::SUCCESSFUL_COMPLETION;
        Ok(Job {
            command,
            status,
            result: accepted.result,
            done_at_ns,
            transfer,
            nsid,
            lba,
        })
    }

    /// Deallocates the ranges of a Dataset Management command.
    ///
    /// # Errors
    /// The command's status; nothing has changed then.
    pub fn deallocate<H: Host>(
        &mut self,
        now_ns: u64,
        entry: &SubmissionQueueEntry,
        host: &H,
    ) -> Result<Deallocated, Status> {
        check_flags(entry)?;
        let namespace = entry
            .nsid
            .get()
            .checked_sub(1)
            .and_then(|index| self.namespaces.get_mut(index as usize))
            .ok_or(Status::INVALID_NAMESPACE_OR_FORMAT)?;
        let ranges = RangeList::fetch(entry, namespace, host)?;
        let mut done_at_ns = now_ns;
        for range in ranges.iter() {
            let command = Command::Deallocate {
                offset_bytes: range.offset_bytes,
                len_bytes: range.len_bytes.into(),
            };
            match namespace.model.submit(now_ns, &command) {
                Ok(accepted) => done_at_ns = done_at_ns.max(accepted.done_at_ns),
                Err(Refusal::Failed(status)) => return Err(status),
                // No model does that (see `ssd_model::Model`).
                Err(Refusal::Busy { .. }) => return Err(Status::INTERNAL_ERROR),
            }
        }
        Ok(Deallocated {
            ranges,
            media_offset: namespace.media_offset,
            done_at_ns,
        })
    }

    /// Flush of all namespaces (NVMe Base 2.0 §7.1, with VWC.FB = 11b).
    fn flush_all(&mut self, now_ns: u64, command: CommandRef) -> Result<Job, Refusal> {
        let mut done_at_ns = now_ns;
        for namespace in &mut self.namespaces {
            done_at_ns = done_at_ns.max(namespace.model.submit(now_ns, &Command::Flush)?.done_at_ns);
        }
        Ok(Job::immediate(
            command,
            done_at_ns,
            Status::SUCCESSFUL_COMPLETION,
            0,
        ))
    }
}
