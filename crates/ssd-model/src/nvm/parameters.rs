//! Parameters of the NVM model. The build script takes this file in too, to check the profiles with the very same
//! code; so it uses nothing but `core`.

use core::fmt;
use core::ops::RangeInclusive;

/// How many I/O units a drive can have.
pub const IO_UNITS: RangeInclusive<u32> = 1..=4096;

/// How large an I/O unit can be, as a power of two of bytes: from 512 B to 2 GiB.
pub const IO_UNIT_SHIFT: RangeInclusive<u32> = 9..=31;

/// Parameters of the NVM model (MODELS.md §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// Checks that the model can work with these values.
    ///
    /// # Errors
    /// [`ParameterError`] names the first value that is out of range, and the range.
    pub fn validate(&self) -> Result<(), ParameterError> {
        // Every field is named, so that a new one cannot be overlooked here.
        let Self {
            io_units,
            io_unit_shift,
            read: _,
            write: _,
            reference_quirks: _,
        } = *self;
        if !IO_UNITS.contains(&io_units) {
            return Err(ParameterError::IoUnits { value: io_units });
        }
        if !IO_UNIT_SHIFT.contains(&io_unit_shift) {
            return Err(ParameterError::IoUnitShift { value: io_unit_shift });
        }
        Ok(())
    }
}

/// A parameter of the NVM model is out of range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParameterError {
    /// The number of I/O units.
    IoUnits {
        /// The value given.
        value: u32,
    },
    /// The size of an I/O unit.
    IoUnitShift {
        /// The value given.
        value: u32,
    },
}

impl fmt::Display for ParameterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, value, range) = match self {
            Self::IoUnits { value } => ("the number of I/O units (io_units)", value, IO_UNITS),
            Self::IoUnitShift { value } => (
                "log2 of the I/O unit's bytes (io_unit_shift)",
                value,
                IO_UNIT_SHIFT,
            ),
        };
        write!(
            formatter,
            "{what} is {value}: choose a value from {} to {}",
            range.start(),
            range.end()
        )
    }
}

impl core::error::Error for ParameterError {}
