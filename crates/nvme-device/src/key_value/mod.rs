//! Key-value namespaces: the Key Value Command Set (KV CS 1.0), and the vendor specific commands that the reference's drive has (MODELS.md §7).
//!
//! What is here besides the commands is which iterators are open, and a buffer. Where pairs are is `ssd_model::key_value`'s business.
//!
//! The controller moves the values itself, at once: a pair is visible when all of it has arrived, and not before, and a command sees what was
//! stored by the commands before it, whichever worker completes them.

mod batch;
mod command;
mod iterators;
mod lbas;
mod list;
mod pairs;
mod transfer;

use alloc::vec::Vec;

use nvme_spec::{KeyValueOpcode, Status};
use ssd_model::key_value::{KeyValueStore, Medium};
use ssd_model::{Command, Model, Refusal};
use ssd_profile::{KeyValueCommandSet, KeyValueParameters};

use crate::admin::NamespaceFeature;
use crate::dataset::RangeList;
use crate::device::{table, SetupError};
use crate::host::{Host, MemoryFault};
use crate::io::{check_flags, Dispatched, Fetched, IoUnit, Limits, Progress, Request, Wait};
use crate::namespace::LbaSpace;
use crate::uncorrectable::UncorrectableLbas;
use crate::work::{Direction, Job, Transfer};

use command::Dialect;
use iterators::Iterators;
pub(crate) use list::ListProgress;

/// Nodes and buckets of the index that one pass looks at: then other queues have their turn.
const WORK_PER_PASS: u32 = 1024;

/// What a key-value namespace has beyond its timing model.
pub(crate) struct KeyValue {
    pub parameters: KeyValueParameters,
    pub store: KeyValueStore,
    /// The feature Key Value Configuration (KV CS 1.0 §4.1.3.1).
    pub configuration: NamespaceFeature,
    iterators: Iterators,
    transfer_bytes_max: u32,
    /// Where a batch is copied to and a list is put together: as long as the longest transfer.
    buffer: Vec<u8>,
}

impl KeyValue {
    pub fn new(
        parameters: &KeyValueParameters,
        capacity_bytes: u64,
        hash_seed: u64,
        transfer_bytes_max: u32,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            parameters: *parameters,
            store: KeyValueStore::new(parameters, capacity_bytes, hash_seed)?,
            configuration: NamespaceFeature::default(),
            iterators: Iterators::new()?,
            transfer_bytes_max,
            buffer: table(transfer_bytes_max as usize, || 0)?,
        })
    }

    /// Whether the namespace speaks the NVM command set beside the vendor specific commands.
    pub fn has_lbas(&self) -> bool {
        self.parameters.command_set == KeyValueCommandSet::WithLbas
    }

    /// Longest value that one command can store.
    pub fn value_bytes_max(&self) -> u32 {
        self.parameters.value_bytes_max.min(self.transfer_bytes_max)
    }

    /// A controller level reset.
    pub fn reset(&mut self) {
        self.configuration.reset();
        self.iterators.close_all();
    }
}

/// The namespace's part of the medium.
struct HostMedium<'a, H> {
    host: &'a H,
    media_offset: u64,
}

impl<H: Host> Medium for HostMedium<'_, H> {
    type Error = MemoryFault;

    fn read(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.host.read_media(self.media_offset + media_offset, into)
    }

    fn write(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.host.write_media(self.media_offset + media_offset, from)
    }
}

/// A command on its way.
struct Execution<'a, H> {
    key_value: &'a mut KeyValue,
    uncorrectable: &'a mut UncorrectableLbas,
    medium: HostMedium<'a, H>,
    fetched: &'a Fetched<'a>,
    ranges: &'a mut RangeList,
    space: LbaSpace,
    limits: Limits,
}

/// What a command did.
struct Done {
    result: u64,
    /// How it is timed; nothing for a command that takes no time.
    timed_as: Option<Command>,
    direction: Direction,
    len_bytes: u32,
}

impl Done {
    /// Without data and time.
    fn with_result(result: u64) -> Self {
        Self {
            result,
            timed_as: None,
            direction: Direction::None,
            len_bytes: 0,
        }
    }
}

/// Why a command is not done.
enum Unfinished {
    /// It is wrong.
    Failed(Status),
    /// There is more to do, in another pass.
    Paused(Progress),
}

impl From<Status> for Unfinished {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl From<MemoryFault> for Unfinished {
    fn from(fault: MemoryFault) -> Self {
        Self::Failed(fault.into())
    }
}

impl IoUnit {
    /// Carries a command of a key-value namespace out. As [`IoUnit::dispatch`].
    pub fn key_value<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let mut ranges = core::mem::take(&mut self.ranges);
        let executed = self.execute_key_value(now_ns, fetched, &mut ranges, host);
        self.ranges = ranges;
        match executed {
            Ok(job) => Ok(job.into()),
            Err(Unfinished::Failed(status)) => {
                let lba = match self.namespaces.attached(fetched.entry.nsid.get()) {
                    Ok(namespace) if !namespace.has_pairs_only() => Request::parse(fetched.entry).slba(),
                    _ => 0,
                };
                fetched.settle(now_ns, lba, Err(Refusal::Failed(status)))
            }
            Err(Unfinished::Paused(progress)) => Err(Wait {
                retry_at_ns: now_ns.saturating_add(1),
                progress,
            }),
        }
    }

    fn execute_key_value<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        ranges: &mut RangeList,
        host: &H,
    ) -> Result<Job, Unfinished> {
        check_flags(fetched.entry)?;
        let (limits, has_all_command_sets) = (self.limits, self.has_all_command_sets);
        let namespace = self.namespace_mut(fetched.entry)?;
        let space = namespace.lba_space();
        let key_value = namespace
            .key_value
            .as_mut()
            .ok_or(Status::INVALID_COMMAND_OPCODE)?;
        let mut execution = Execution {
            key_value,
            uncorrectable: &mut namespace.uncorrectable,
            medium: HostMedium {
                host,
                media_offset: namespace.media_offset,
            },
            fetched,
            ranges,
            space,
            limits,
        };
        let done = execution.execute(has_all_command_sets)?;
        let done_at_ns = match &done.timed_as {
            Some(command) => match namespace.model.submit(now_ns, command) {
                Ok(accepted) => accepted.done_at_ns.max(now_ns),
                // The model of a drive without flash takes everything on.
                Err(_) => return Err(Status::INTERNAL_ERROR.into()),
            },
            None => now_ns,
        };
        let nsid = fetched.entry.nsid.get();
        self.count(nsid, now_ns, done_at_ns, done.direction, done.len_bytes);
        Ok(Job {
            done_at_ns,
            transfer: Transfer {
                len_bytes: done.len_bytes,
                ..Transfer::NONE
            },
            nsid: fetched.entry.nsid.get(),
            ..Job::immediate(
                fetched.command,
                now_ns,
                Status::SUCCESSFUL_COMPLETION,
                done.result,
            )
        })
    }
}

impl<H: Host> Execution<'_, H> {
    /// Lends the namespace's buffer to `f`.
    fn with_buffer<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u8]) -> R) -> R {
        let mut buffer = core::mem::take(&mut self.key_value.buffer);
        let result = f(self, &mut buffer);
        self.key_value.buffer = buffer;
        result
    }

    fn execute(&mut self, has_all_command_sets: bool) -> Result<Done, Unfinished> {
        let opcode = KeyValueOpcode(self.fetched.entry.opcode);
        Ok(match opcode {
            KeyValueOpcode::FLUSH => Done {
                timed_as: Some(Command::Flush),
                ..Done::with_result(0)
            },
            KeyValueOpcode::VENDOR_STORE => self.store(Dialect::Vendor)?,
            KeyValueOpcode::VENDOR_APPEND => self.append()?,
            KeyValueOpcode::VENDOR_BATCH => self.batch()?,
            KeyValueOpcode::VENDOR_RETRIEVE => self.retrieve(Dialect::Vendor)?,
            KeyValueOpcode::VENDOR_DELETE => self.delete(Dialect::Vendor)?,
            KeyValueOpcode::VENDOR_ITERATE_REQUEST => self.iterate_request()?,
            KeyValueOpcode::VENDOR_ITERATE_READ => self.iterate_read()?,
            KeyValueOpcode::VENDOR_EXIST => self.exist(Dialect::Vendor)?,
            _ if self.key_value.has_lbas() => self.lbas()?,
            // The Key Value Command Set is there if the host has enabled all command sets.
            _ if !has_all_command_sets => return Err(Status::INVALID_COMMAND_OPCODE.into()),
            KeyValueOpcode::STORE => self.store(Dialect::Standard)?,
            KeyValueOpcode::RETRIEVE => self.retrieve(Dialect::Standard)?,
            KeyValueOpcode::DELETE => self.delete(Dialect::Standard)?,
            KeyValueOpcode::EXIST => self.exist(Dialect::Standard)?,
            KeyValueOpcode::LIST => self.list()?,
            _ => return Err(Status::INVALID_COMMAND_OPCODE.into()),
        })
    }
}
