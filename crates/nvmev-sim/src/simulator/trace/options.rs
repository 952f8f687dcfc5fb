//! Formats of traces, and how a trace is to be run.

use serde::Serialize;

/// Format of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceFormat {
    /// fio's first iolog: `RW, OFFSET, LENGTH` without a heading and without times.
    IologV1,
    /// `fio version 2 iolog`: without times, but with waits.
    IologV2,
    /// `fio version 3 iolog`: with times.
    IologV3,
    /// MSR Cambridge block traces: CSV.
    Msr,
    /// Text that blkparse prints by default.
    Blkparse,
}

impl TraceFormat {
    /// Whether its commands have times.
    pub const fn has_times(self) -> bool {
        !matches!(self, Self::IologV1 | Self::IologV2)
    }

    /// What a trace of several has several of.
    pub const fn devices_name(self) -> &'static str {
        match self {
            Self::IologV1 | Self::IologV2 | Self::IologV3 => "files",
            Self::Msr => "disks",
            Self::Blkparse => "devices",
        }
    }

    /// Length of a unit of its times, ns, if nothing else is said; nothing where the text says it.
    pub(super) const fn time_unit_ns(self) -> u64 {
        match self {
            // fio 3.33 and its neighbours write microseconds.
            Self::IologV1 | Self::IologV2 | Self::IologV3 => 1_000,
            Self::Msr => 100,
            Self::Blkparse => 1,
        }
    }
}

/// What to do with a command beyond the end of the drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Move it: its address modulo the drive's size.
    Wrap,
    /// Leave it out.
    Skip,
    /// Stop with an error.
    Error,
}

/// How to read a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceOptions {
    /// Its format; found out from its first lines if `None`.
    pub format: Option<TraceFormat>,
    /// Only the commands of this device, file or disk, as the trace names it; all of them if `None`.
    pub device: Option<String>,
    /// What to do with commands beyond the end.
    pub beyond: Beyond,
    /// Times are divided by this many thousandths: 2000 plays twice as fast.
    pub speed_milli: u64,
    /// Length of a unit of time in version 3 iologs and MSR traces, ns; the format's own if `None`.
    pub time_unit_ns: Option<u64>,
    /// The action of blkparse's lines that counts: `D` for issued, `Q` for queued.
    pub blkparse_action: char,
    /// Longest read or write of the drive (MDTS): longer ones are split.
    pub transfer_bytes_max: u32,
    /// Stop with an error where something would be left out.
    pub is_strict: bool,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            format: None,
            device: None,
            beyond: Beyond::Wrap,
            speed_milli: 1000,
            time_unit_ns: None,
            blkparse_action: 'D',
            transfer_bytes_max: 128 * 1024,
            is_strict: false,
        }
    }
}
