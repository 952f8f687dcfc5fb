//! What a Get Log Page command asks for.

use nvme_spec::{LogPageId, Status, SubmissionQueueEntry};

use crate::command::request::Limits;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;

const RETAIN_ASYNC_EVENT: u32 = 1 << 15;
const OFFSET_IS_INDEX: u32 = 1 << 23;

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
        let dwords_z = entry.cdw10.get() >> 16 | (entry.cdw11.get() & 0xFFFF) << 16;
        let offset = u64::from(entry.cdw12.get()) | u64::from(entry.cdw13.get()) << 32;
        let uuid_index = entry.cdw14.get() & 0x7F;
        if entry.cdw14.get() & OFFSET_IS_INDEX != 0 || uuid_index != 0 || offset % 4 != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(Self {
            log: LogPageId((entry.cdw10.get() & 0xFF) as u8),
            specific: (entry.cdw10.get() >> 8 & 0x7F) as u8,
            offset,
            len_bytes: limits.dwords_z(dwords_z)?,
            retains_event: entry.cdw10.get() & RETAIN_ASYNC_EVENT != 0,
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
