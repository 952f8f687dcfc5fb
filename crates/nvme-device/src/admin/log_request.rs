//! What a Get Log Page command asks for.

use nvme_spec::{Cdw10GetLogPage, Cdw11GetLogPage, Cdw14GetLogPage, LogPageId, Status, SubmissionQueueEntry};

use crate::command::request::Limits;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;

/// What a Get Log Page command asks for.
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
    pub fn of(entry: &SubmissionQueueEntry, limits: Limits) -> Result<Self, Status> {
        let cdw10 = Cdw10GetLogPage(entry.cdw10.get());
        let dwords_z = cdw10.dwords_z(Cdw11GetLogPage(entry.cdw11.get()));
        let offset = u64::from(entry.cdw12.get()) | u64::from(entry.cdw13.get()) << 32;
        let cdw14 = Cdw14GetLogPage(entry.cdw14.get());
        if cdw14.offset_is_index() || cdw14.uuid_index() != 0 || offset % 4 != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(Self {
            log: cdw10.log(),
            specific: cdw10.specific(),
            offset,
            len_bytes: limits.dwords_z(dwords_z)?,
            retains_event: cdw10.retains_event(),
            pointer: DataPointer::of(entry),
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
