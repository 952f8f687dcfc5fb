//! What a drive with flash did, for people who study it.
//!
//! Each counter is declared once, in [`counters!`]: name, documentation and order. `/proc`, the simulator's report and the
//! device's log for other threads follow from that. A *line* is a superblock: one block of each LUN of
//! a partition, written and erased together.

use core::fmt;

use nvme_spec::ZoneState;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Size of the pages that are counted, bytes.
const PAGE_BYTES: u64 = 4096;

/// Declares a structure of counters, each a `u64`, and names them in that order.
macro_rules! counters {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $counter:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
        #[repr(C)]
        pub struct $name {
            $($(#[$doc])* pub $counter: u64,)*
        }

        impl $name {
            /// Each counter with its name.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($counter), self.$counter)),*].into_iter()
            }
        }
    };
}

counters! {
    /// What was counted since set-up, or since the counters were last reset.
    pub struct FlashStatistics {
        /// Bytes that hosts read.
        pub host_read_bytes,
        /// Bytes that hosts wrote.
        pub host_written_bytes,
        /// 4 KiB pages that hosts' writes put on flash.
        pub host_pages,
        /// 4 KiB pages that garbage collection copied.
        pub gc_copied_pages,
        /// Lines that garbage collection emptied.
        pub gc_runs,
        /// 4 KiB pages that the host deallocated and that had data.
        pub deallocated_pages,
        /// Bytes read from the flash array, for hosts and for garbage collection.
        pub nand_read_bytes,
        /// Bytes programmed, in whole one-shot pages.
        pub nand_programmed_bytes,
        /// Commands refused because the write buffer had no room, each attempt counted.
        pub buffer_stalls,
    }
}

impl FlashStatistics {
    /// 4 KiB pages that went to flash, for hosts and for garbage collection.
    fn written_pages(&self) -> u64 {
        self.host_pages.saturating_add(self.gc_copied_pages)
    }

    /// Write amplification of pages: those that went to flash for each that hosts' writes put there.
    pub fn write_amplification(&self) -> Amplification {
        Amplification {
            flash: self.written_pages(),
            host: self.host_pages,
        }
    }

    /// Write amplification of pages in thousandths; `None` before anything was written.
    pub fn write_amplification_milli(&self) -> Option<u64> {
        self.write_amplification().milli()
    }
}

/// Write amplification: what went to flash for what hosts wrote, both in the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amplification {
    /// What went to flash.
    pub flash: u64,
    /// What hosts wrote.
    pub host: u64,
}

impl Amplification {
    /// The ratio in thousandths; `None` before anything was written.
    pub fn milli(self) -> Option<u64> {
        let whole = self.flash.checked_div(self.host)?;
        let rest = (self.flash % self.host).saturating_mul(1000) / self.host;
        Some(whole.saturating_mul(1000).saturating_add(rest))
    }
}

counters! {
    /// How many lines are in which state, over all partitions.
    pub struct LineCounts {
        /// Erased, to be written.
        pub free,
        /// Being written, for hosts or by garbage collection.
        pub open,
        /// Written, every page valid.
        pub full,
        /// Written, some page invalid: candidates of garbage collection.
        pub victim,
    }
}

counters! {
    /// How many zones are in which state (NVMe ZNS 1.1 figure 7).
    #[expect(missing_docs, reason = "the fields are the states of a zone")]
    pub struct ZoneCounts {
        pub empty,
        pub implicitly_opened,
        pub explicitly_opened,
        pub closed,
        pub full,
        pub read_only,
        pub offline,
    }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct EraseCounts {
    /// The mean, in thousandths.
    pub mean_milli: u64,
    /// The least used one.
    pub min: u32,
    /// The most used one.
    pub max: u32,
}

/// The state of a drive with flash at one moment. It is laid out without padding, so that it can be shared as words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
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
        match self.has_zones() {
            false => self.statistics.written_pages().saturating_mul(PAGE_BYTES),
            true => self.statistics.nand_programmed_bytes,
        }
    }

    /// Write amplification of bytes: [`FlashReport::flash_bytes`] for each byte that hosts wrote. It is more than that of pages where writes do not cover
    /// whole pages.
    pub fn write_amplification_bytes(&self) -> Amplification {
        Amplification {
            flash: self.flash_bytes(),
            host: self.statistics.host_written_bytes,
        }
    }

    /// Write amplification of bytes in thousandths; `None` before anything was written.
    pub fn write_amplification_bytes_milli(&self) -> Option<u64> {
        self.write_amplification_bytes().milli()
    }

    fn has_zones(&self) -> bool {
        self.zones != ZoneCounts::default()
    }

    fn write_amplifications(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, amplification) in [
            ("write_amplification", self.statistics.write_amplification()),
            ("write_amplification_bytes", self.write_amplification_bytes()),
        ] {
            writeln!(out, "{name} {}", Thousandths(amplification.milli().unwrap_or(0)))?;
        }
        Ok(())
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
            erases: EraseCounts { mean_milli, min, max },
            mapped_pages,
            logical_pages,
            physical_pages,
            buffered_bytes,
            buffer_bytes,
            metadata_bytes,
        } = *self;
        for (name, count) in statistics.rows() {
            writeln!(out, "{name} {count}")?;
            if name == "gc_copied_pages" {
                // The pages of which it is the ratio are the lines before.
                self.write_amplifications(out)?;
            }
        }
        writeln!(out, "buffered_bytes {buffered_bytes} of {buffer_bytes}")?;
        let erased = match self.has_zones() {
            false => {
                for (state, count) in lines.rows() {
                    writeln!(out, "lines_{state} {count}")?;
                }
                "line_erases"
            }
            true => {
                for (state, count) in zones.rows() {
                    writeln!(out, "zones_{state} {count}")?;
                }
                "zone_resets"
            }
        };
        writeln!(out, "{erased}_min {min}")?;
        writeln!(out, "{erased}_mean {}", Thousandths(mean_milli))?;
        writeln!(out, "{erased}_max {max}")?;
        writeln!(out, "mapped_pages {mapped_pages} of {logical_pages}")?;
        writeln!(out, "physical_pages {physical_pages}")?;
        writeln!(out, "metadata_bytes {metadata_bytes}")
    }
}

/// A number of thousandths as a decimal fraction.
struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
