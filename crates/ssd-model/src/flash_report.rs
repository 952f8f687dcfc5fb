//! What a drive with flash did, for people who study it.

use core::fmt;

use nvme_spec::ZoneState;

/// Size of the pages that are counted, bytes.
const PAGE_BYTES: u64 = 4096;

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

impl FlashReport {
    /// Bytes that went to flash, for hosts and for garbage collection: whole pages; where there are zones, what was programmed.
    pub fn flash_bytes(&self) -> u64 {
        if self.zones == ZoneCounts::default() {
            let pages = self
                .statistics
                .host_pages
                .saturating_add(self.statistics.moved_pages);
            pages.saturating_mul(PAGE_BYTES)
        } else {
            self.statistics.nand_programmed_bytes
        }
    }

    /// Write amplification of bytes, in thousandths: [`FlashReport::flash_bytes`] for each byte that hosts wrote; `None` before anything was
    /// written. It is more than that of pages where writes do not cover whole pages.
    pub fn write_amplification_bytes_milli(&self) -> Option<u64> {
        let (flash, host) = (self.flash_bytes(), self.statistics.host_written_bytes);
        let whole = flash.checked_div(host)?;
        let rest = (flash % host).saturating_mul(1000) / host;
        Some(whole.saturating_mul(1000).saturating_add(rest))
    }
}

/// For how long a part of the drive was at work since set-up or the last reset, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utilisation {
    /// Time spent on commands.
    pub busy_ns: u64,
}

/// A name and a value in each line. Pages have 4 KiB; units are in the names.
impl fmt::Display for FlashReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every field is named, so that a new one cannot be forgotten.
        let FlashReport {
            statistics,
            lines,
            zones,
            erases,
            mapped_pages,
            logical_pages,
            physical_pages,
            buffered_bytes,
            buffer_bytes,
            metadata_bytes,
        } = *self;
        let FlashStatistics {
            host_read_bytes,
            host_written_bytes,
            host_pages,
            moved_pages,
            deallocated_pages,
            nand_read_bytes,
            nand_programmed_bytes,
            collections,
            buffer_stalls,
        } = statistics;
        let write_amplification_milli = statistics.write_amplification_milli().unwrap_or(0);
        let write_amplification_bytes_milli = self.write_amplification_bytes_milli().unwrap_or(0);
        writeln!(out, "host_read_bytes {host_read_bytes}")?;
        writeln!(out, "host_written_bytes {host_written_bytes}")?;
        writeln!(out, "host_pages {host_pages}")?;
        writeln!(out, "moved_pages {moved_pages}")?;
        writeln!(
            out,
            "write_amplification {}",
            Thousandths(write_amplification_milli)
        )?;
        writeln!(
            out,
            "write_amplification_bytes {}",
            Thousandths(write_amplification_bytes_milli)
        )?;
        writeln!(out, "collections {collections}")?;
        writeln!(out, "deallocated_pages {deallocated_pages}")?;
        writeln!(out, "nand_read_bytes {nand_read_bytes}")?;
        writeln!(out, "nand_programmed_bytes {nand_programmed_bytes}")?;
        writeln!(out, "buffer_stalls {buffer_stalls}")?;
        writeln!(out, "buffered_bytes {buffered_bytes} of {buffer_bytes}")?;
        if zones == ZoneCounts::default() {
            write_lines(out, lines, erases)?;
        } else {
            write_zones(out, zones, erases)?;
        }
        writeln!(out, "mapped_pages {mapped_pages} of {logical_pages}")?;
        writeln!(out, "physical_pages {physical_pages}")?;
        writeln!(out, "metadata_bytes {metadata_bytes}")
    }
}

fn write_lines(out: &mut fmt::Formatter<'_>, lines: LineCounts, erases: EraseCounts) -> fmt::Result {
    let LineCounts {
        free,
        open,
        full,
        victim,
    } = lines;
    let EraseCounts { min, mean_milli, max } = erases;
    writeln!(out, "lines_free {free}")?;
    writeln!(out, "lines_open {open}")?;
    writeln!(out, "lines_full {full}")?;
    writeln!(out, "lines_victim {victim}")?;
    writeln!(out, "line_erases_min {min}")?;
    writeln!(out, "line_erases_mean {}", Thousandths(mean_milli))?;
    writeln!(out, "line_erases_max {max}")
}

/// What a zoned drive has instead of lines.
fn write_zones(out: &mut fmt::Formatter<'_>, zones: ZoneCounts, resets: EraseCounts) -> fmt::Result {
    let ZoneCounts {
        empty,
        implicitly_opened,
        explicitly_opened,
        closed,
        full,
        read_only,
        offline,
    } = zones;
    let EraseCounts { min, mean_milli, max } = resets;
    writeln!(out, "zones_empty {empty}")?;
    writeln!(out, "zones_implicitly_opened {implicitly_opened}")?;
    writeln!(out, "zones_explicitly_opened {explicitly_opened}")?;
    writeln!(out, "zones_closed {closed}")?;
    writeln!(out, "zones_full {full}")?;
    writeln!(out, "zones_read_only {read_only}")?;
    writeln!(out, "zones_offline {offline}")?;
    writeln!(out, "zone_resets_min {min}")?;
    writeln!(out, "zone_resets_mean {}", Thousandths(mean_milli))?;
    writeln!(out, "zone_resets_max {max}")
}

/// A number of thousandths as a decimal fraction.
struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
