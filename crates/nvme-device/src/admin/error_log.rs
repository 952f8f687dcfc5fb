//! The Error Information log (NVMe Base 2.0 §5.16.1.2).

use alloc::vec::Vec;

use nvme_spec::{CompletionQueueEntry, ErrorLogEntry, Status};

use crate::device::{table, SetupError};
use crate::work::CommandRef;

/// Entries kept (Identify ELPE + 1).
pub(super) const ENTRIES: usize = 64;

/// The last errors, newest first when read.
pub(crate) struct ErrorLog {
    /// [`ENTRIES`] of them; not in the structure itself, which passes over the small stacks of a kernel.
    entries: Vec<ErrorLogEntry>,
    count: u64,
}

impl ErrorLog {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            entries: table(ENTRIES, ErrorLogEntry::zeroed)?,
            count: 0,
        })
    }

    /// Records that `command` ended with `status`.
    pub fn add(&mut self, command: CommandRef, status: Status, nsid: u32, lba: u64) {
        let index = (self.count % ENTRIES as u64) as usize;
        self.count += 1;
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = ErrorLogEntry {
                error_count: self.count.into(),
                sq_id: command.sqid.into(),
                cid: command.cid.into(),
                status_field: CompletionQueueEntry::pack_status(status, false).into(),
                parameter_error_location: 0xFFFF.into(),
                lba: lba.into(),
                nsid: nsid.into(),
                ..ErrorLogEntry::zeroed()
            };
        }
    }

    /// Errors since the device was made.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All entries, newest first; unused ones are zero.
    pub fn newest_first(&self) -> impl Iterator<Item = &ErrorLogEntry> {
        let newest = (self.count % ENTRIES as u64) as usize;
        let (after, before) = self.entries.split_at_checked(newest).unwrap_or_default();
        after.iter().rev().chain(before.iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_error_comes_first_also_after_the_log_has_gone_round() {
        let mut log = ErrorLog::new().unwrap();
        let command = |cid| CommandRef {
            sqid: 1,
            cqid: 1,
            cid,
        };
        for cid in 0..70 {
            log.add(command(cid), Status::LBA_OUT_OF_RANGE, 1, 5);
        }
        let counts: alloc::vec::Vec<u64> = log.newest_first().map(|entry| entry.error_count.get()).collect();
        assert_eq!(counts, (7..=70).rev().collect::<alloc::vec::Vec<u64>>());
        assert_eq!(log.newest_first().next().unwrap().cid.get(), 69);
    }
}
