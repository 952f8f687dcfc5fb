//! Parameters of the NVM model.

use core::ops::RangeInclusive;

use crate::{Field, ParameterError};

/// How many I/O units a drive can have.
pub const IO_UNITS: RangeInclusive<u32> = 1..=4096;

/// How large an I/O unit can be, as a power of two of bytes: from 512 B to 2 GiB.
pub const IO_UNIT_SHIFT: RangeInclusive<u32> = 9..=31;

/// Parameters of the NVM model (MODELS.md §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NvmParameters {
    /// Number of I/O units that work in parallel, see [`IO_UNITS`].
    pub io_units: u32,
    /// log2 of an I/O unit's size in bytes, see [`IO_UNIT_SHIFT`].
    pub io_unit_shift: u32,
    /// Timing of reads.
    pub read: Timing,
    /// Timing of writes.
    pub write: Timing,
    /// Whether the oddities Q8, Q9 and Q10 of the reference are reproduced. Each has its place in the model, named
    /// there, with what happens when this is off.
    pub reference_quirks: bool,
}

/// Times of one direction of transfer. Any value will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// From the moment the first unit is free to the start of the work, once per command, ns.
    pub delay_ns: u32,
    /// Work per I/O unit's worth of data, begun or whole, ns.
    pub time_ns: u32,
    /// How long a unit stays busy after its work is done, ns.
    pub trailing_ns: u32,
}

impl NvmParameters {
    /// Shows each parameter to `each`, with its key.
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        // Every field is named, here and below, so that a new one cannot be forgotten.
        let Self {
            io_units,
            io_unit_shift,
            read,
            write,
            reference_quirks,
        } = self;
        each("reference_quirks", Field::Switch(reference_quirks));
        each("nvm.io_units", Field::Number(io_units, IO_UNITS));
        each("nvm.io_unit_shift", Field::Number(io_unit_shift, IO_UNIT_SHIFT));
        read.fields(
            ["nvm.read.delay_ns", "nvm.read.time_ns", "nvm.read.trailing_ns"],
            each,
        );
        write.fields(
            ["nvm.write.delay_ns", "nvm.write.time_ns", "nvm.write.trailing_ns"],
            each,
        );
    }

    /// Checks that the model can work with these values.
    ///
    /// # Errors
    /// [`ParameterError`] names the first value that is out of range, and the range.
    pub fn validate(&self) -> Result<(), ParameterError> {
        let mut copy = *self;
        crate::profile::check_each(|each| copy.fields(each))
    }
}

impl Timing {
    fn fields(&mut self, keys: [&'static str; 3], each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            delay_ns,
            time_ns,
            trailing_ns,
        } = self;
        for (key, value) in keys.into_iter().zip([delay_ns, time_ns, trailing_ns]) {
            each(key, Field::Number(value, 0..=u32::MAX));
        }
    }
}
