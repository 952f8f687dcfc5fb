//! What a drive with flash did, for people who study it.

use nvme_spec::ZoneState;

/// What was counted since set-up, or since the counters were last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlashStatistics {
    /// Bytes that hosts read.
    pub host_read_bytes: u64,
    /// Bytes that hosts wrote.
    pub host_written_bytes: u64,
    /// 4 KiB pages that hosts' writes put on flash.
    pub host_pages: u64,
    /// 4 KiB pages that garbage collection moved.
    pub moved_pages: u64,
    /// 4 KiB pages that the host deallocated and that had data.
    pub deallocated_pages: u64,
    /// Bytes read from the flash array, for hosts and for garbage collection.
    pub nand_read_bytes: u64,
    /// Bytes programmed, in whole one-shot pages.
    pub nand_programmed_bytes: u64,
    /// Lines that garbage collection emptied.
    pub collections: u64,
    /// Commands refused because the write buffer had no room, each attempt counted.
    pub buffer_stalls: u64,
}

impl FlashStatistics {
    /// Write amplification in thousandths: pages that went to flash for each page that hosts wrote; `None` before
    /// anything was written.
    pub fn write_amplification_milli(&self) -> Option<u64> {
        let written = self.host_pages.saturating_add(self.moved_pages);
        written.saturating_mul(1000).checked_div(self.host_pages)
    }
}

/// How many lines are in which state, over all partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Erased, to be written.
    pub free: u64,
    /// Being written, for hosts or by garbage collection.
    pub open: u64,
    /// Written, every page valid.
    pub full: u64,
    /// Written, some page invalid: candidates of garbage collection.
    pub victim: u64,
}

/// How many zones are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the states of a zone (NVMe ZNS 1.1 figure 7)"
)]
pub struct ZoneCounts {
    pub empty: u64,
    pub implicitly_opened: u64,
    pub explicitly_opened: u64,
    pub closed: u64,
    pub full: u64,
    pub read_only: u64,
    pub offline: u64,
}

impl ZoneCounts {
    /// How many are in `state`.
    pub fn of(&mut self, state: ZoneState) -> &mut u64 {
        match state {
            ZoneState::Empty => &mut self.empty,
            ZoneState::ImplicitlyOpened => &mut self.implicitly_opened,
            ZoneState::ExplicitlyOpened => &mut self.explicitly_opened,
            ZoneState::Closed => &mut self.closed,
            ZoneState::Full => &mut self.full,
            ZoneState::ReadOnly => &mut self.read_only,
            ZoneState::Offline => &mut self.offline,
        }
    }
}

/// How often lines were erased, or zones reset, since set-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EraseCounts {
    /// The least used one.
    pub min: u32,
    /// The mean, in thousandths.
    pub mean_milli: u64,
    /// The most used one.
    pub max: u32,
}

/// A drive's inside at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlashReport {
    /// What was counted.
    pub statistics: FlashStatistics,
    /// Lines by state; none where there are zones.
    pub lines: LineCounts,
    /// Zones by state; none where there are lines.
    pub zones: ZoneCounts,
    /// Erase counts.
    pub erases: EraseCounts,
    /// Logical 4 KiB pages that have data, and those that there are.
    pub mapped_pages: u64,
    /// See `mapped_pages`.
    pub logical_pages: u64,
    /// Physical 4 KiB pages.
    pub physical_pages: u64,
    /// Bytes taken in the write buffer, and its size.
    pub buffered_bytes: u64,
    /// See `buffered_bytes`.
    pub buffer_bytes: u64,
    /// Bytes of the tables that the model works with.
    pub metadata_bytes: u64,
}

/// For how long a part of the drive was at work since set-up or the last reset, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utilisation {
    /// Time spent on commands.
    pub busy_ns: u64,
}
