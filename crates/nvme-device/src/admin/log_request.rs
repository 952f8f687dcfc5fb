//! What a Get Log Page command asks for (NVMe Base 2.0 §5.16).

use nvme_spec::{
    Cdw10GetLogPage, Cdw11GetLogPage, Cdw14GetLogPage, CommandSet, LogPageId, Status, SubmissionQueueEntry,
};

use crate::command::request::Limits;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;

/// A Get Log Page command, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GetLogPage {
    pub nsid: u32,
    pub log: LogPageId,
    /// Log Specific Parameter.
    pub specific: u8,
    /// Of the effects log.
    pub command_set: CommandSet,
    pub offset: u64,
    /// Length, 0's based.
    pub dwords_z: u32,
    /// RAE: the event that goes with the log stays as it is.
    pub retains_event: bool,
    pub pointer: DataPointer,
}

impl GetLogPage {
    /// # Errors
    /// Invalid Field for an offset that is an index or not of whole dwords, and for a UUID: there are none.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw10 = Cdw10GetLogPage(entry.cdw10.get());
        let cdw14 = Cdw14GetLogPage(entry.cdw14.get());
        let offset = u64::from(entry.cdw12.get()) | u64::from(entry.cdw13.get()) << 32;
        if cdw14.offset_is_index() || cdw14.uuid_index() != 0 || offset % 4 != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(Self {
            nsid: entry.nsid.get(),
            log: cdw10.log(),
            specific: cdw10.specific(),
            command_set: cdw14.command_set(),
            offset,
            dwords_z: cdw10.dwords_z(Cdw11GetLogPage(entry.cdw11.get())),
            retains_event: cdw10.retains_event(),
            pointer: DataPointer::of(entry),
        })
    }
}

/// A part of a log, and where it goes.
pub(crate) struct Request {
    pub log: LogPageId,
    /// Log Specific Parameter.
    pub specific: u8,
    pub offset: u64,
    pub len_bytes: usize,
    /// RAE: the event that goes with the log stays as it is.
    pub retains_event: bool,
    pointer: DataPointer,
}

impl Request {
    /// # Errors
    /// Invalid Field for more than a command may transfer.
    pub fn of(asked: &GetLogPage, limits: Limits) -> Result<Self, Status> {
        Ok(Self {
            log: asked.log,
            specific: asked.specific,
            offset: asked.offset,
            len_bytes: limits.dwords_z(asked.dwords_z)?,
            retains_event: asked.retains_event,
            pointer: asked.pointer,
        })
    }

    /// The same, but for the first `len_bytes` of the log, or as many of them as are asked for.
    pub fn within_the_first(&self, len_bytes: usize) -> Self {
        Self {
            offset: 0,
            len_bytes: self.len_bytes.min(len_bytes),
            ..*self
        }
    }

    /// Sends what is asked for of the log's `bytes`. Beyond their end there are zeros, but the offset must lie inside.
    pub fn send<H: HostMemory>(&self, bytes: &[u8], host: &H) -> Result<(), Status> {
        let content = usize::try_from(self.offset)
            .ok()
            .filter(|&offset| offset < bytes.len())
            .and_then(|offset| bytes.get(offset..))
            .ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
        self.pointer.write(host, content, self.len_bytes)
    }
}
