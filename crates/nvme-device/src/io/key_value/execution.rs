//! A command of a key-value namespace while it is executed.

use nvme_spec::{KeyValueOpcode, Status};
use ssd_model::key_value::Medium;
use ssd_model::Command;

use crate::command::fetched::Fetched;
use crate::command::lba::LbaSpace;
use crate::command::request::Limits;
use crate::command::transfer::Direction;
use crate::command::wait::Progress;
use crate::host::{Host, MemoryFault};
use crate::io::dataset::RangeList;
use crate::io::key_value::command::Dialect;
use crate::namespace::key_value::KeyValue;
use crate::namespace::uncorrectable::UncorrectableLbas;

/// Nodes and buckets of the index that one pass looks at: then other queues have their turn.
pub(crate) const WORK_PER_PASS: u32 = 1024;

/// The namespace's part of the medium.
pub(crate) struct HostMedium<'a, H> {
    pub host: &'a H,
    pub media_offset: u64,
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
pub(crate) struct Execution<'a, H> {
    pub key_value: &'a mut KeyValue,
    pub uncorrectable: &'a mut UncorrectableLbas,
    pub medium: HostMedium<'a, H>,
    pub fetched: &'a Fetched<'a>,
    pub ranges: &'a mut RangeList,
    pub space: LbaSpace,
    pub limits: Limits,
}

/// What a command did.
pub(crate) struct Done {
    pub result: u64,
    /// How it is timed; nothing for a command that takes no time.
    pub timed_as: Option<Command>,
    pub direction: Direction,
    pub len_bytes: u32,
}

impl Done {
    /// Without data and time.
    pub fn with_result(result: u64) -> Self {
        Self {
            result,
            timed_as: None,
            direction: Direction::None,
            len_bytes: 0,
        }
    }
}

/// Why a command is not done.
pub(crate) enum Unfinished {
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

impl<H: Host> Execution<'_, H> {
    /// Lends the namespace's buffer to `f`.
    pub fn with_buffer<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u8]) -> R) -> R {
        let mut buffer = core::mem::take(&mut self.key_value.buffer);
        let result = f(self, &mut buffer);
        self.key_value.buffer = buffer;
        result
    }

    pub fn execute(&mut self, has_all_command_sets: bool) -> Result<Done, Unfinished> {
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
