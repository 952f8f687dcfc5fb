//! Transfers under way in zones, counted for whoever must not overtake them.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::setup::{table, SetupError};

/// A data transfer in a zone, for the worker to say when it is done: the zone's counter in [`ZoneTransfers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZoneTransfer(u32);

/// TransferState under way, for each zone of the device: the controller adds, workers subtract. Empty if nobody needs to know.
///
/// A zone's counter is found by where the zone begins on the medium, which no two zones have in common, so it is there for whatever zoned
/// namespaces will be created.
#[derive(Debug)]
pub(crate) struct ZoneTransfers {
    counters: Vec<AtomicU32>,
    /// No zone has less of the medium than that.
    granule_bytes: u64,
}

impl ZoneTransfers {
    /// For a device with `media_bytes` and `workers` workers whose zones have `granule_bytes` of the medium or more.
    pub fn new(media_bytes: u64, granule_bytes: u64, workers: usize) -> Result<Self, SetupError> {
        let granule_bytes = granule_bytes.max(1);
        let zones =
            usize::try_from(media_bytes.div_ceil(granule_bytes)).map_err(|_| SetupError::OutOfMemory)?;
        Ok(Self {
            counters: table(if workers > 1 { zones } else { 0 }, || AtomicU32::new(0))?,
            granule_bytes,
        })
    }

    /// Whether anybody needs to know.
    pub fn is_counting(&self) -> bool {
        !self.counters.is_empty()
    }

    /// The counter of the zone that begins at `media_offset`.
    pub fn of(&self, media_offset: u64) -> ZoneTransfer {
        ZoneTransfer((media_offset / self.granule_bytes) as u32)
    }

    pub fn begin(&self, moved: ZoneTransfer) {
        if let Some(moves) = self.counters.get(moved.0 as usize) {
            moves.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A transfer is done; what it did is seen by whoever sees that.
    pub fn end(&self, moved: ZoneTransfer) {
        if let Some(moves) = self.counters.get(moved.0 as usize) {
            moves.fetch_sub(1, Ordering::Release);
        }
    }

    pub fn is_quiet(&self, moved: ZoneTransfer) -> bool {
        self.counters
            .get(moved.0 as usize)
            .is_none_or(|moves| moves.load(Ordering::Acquire) == 0)
    }
}
