//! Timing of a drive without flash: what `/proc` shows and changes, and what NVMeVirt's parameters replace of a profile's.

use crate::proc_text::Times;

/// The timing of an NVM device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvmTimes {
    /// Of reads.
    pub read: Times,
    /// Of writes.
    pub write: Times,
    /// Units that work in parallel.
    pub io_units: u32,
    /// Size of a unit, as a power of two.
    pub io_unit_shift: u32,
}

/// Timing parameters that replace the profile's where they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the module's parameters of the same names"
)]
pub struct NvmOverrides {
    pub read_time: Option<u32>,
    pub read_delay: Option<u32>,
    pub read_trailing: Option<u32>,
    pub write_time: Option<u32>,
    pub write_delay: Option<u32>,
    pub write_trailing: Option<u32>,
    pub nr_io_units: Option<u32>,
    pub io_unit_shift: Option<u32>,
}

impl NvmOverrides {
    /// The profile's timing with what the user gave instead.
    pub fn apply(&self, profile: NvmTimes) -> NvmTimes {
        let Self {
            read_time,
            read_delay,
            read_trailing,
            write_time,
            write_delay,
            write_trailing,
            nr_io_units,
            io_unit_shift,
        } = *self;
        NvmTimes {
            read: Times {
                delay_ns: read_delay.unwrap_or(profile.read.delay_ns),
                time_ns: read_time.unwrap_or(profile.read.time_ns),
                trailing_ns: read_trailing.unwrap_or(profile.read.trailing_ns),
            },
            write: Times {
                delay_ns: write_delay.unwrap_or(profile.write.delay_ns),
                time_ns: write_time.unwrap_or(profile.write.time_ns),
                trailing_ns: write_trailing.unwrap_or(profile.write.trailing_ns),
            },
            io_units: nr_io_units.unwrap_or(profile.io_units),
            io_unit_shift: io_unit_shift.unwrap_or(profile.io_unit_shift),
        }
    }

    /// Whether the user gave none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
