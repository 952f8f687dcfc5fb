//! Parameters of a key-value drive.

use core::ops::RangeInclusive;

use crate::field::choice;
use crate::{Field, NvmParameters, ParameterError, Rule};

/// How small and how large an allocation unit can be.
pub const UNIT_BYTES: RangeInclusive<u32> = 64..=65_536;

/// For how large pairs the index can be sized.
pub const AVERAGE_PAIR_BYTES: RangeInclusive<u32> = 64..=1 << 24;

/// The longest value that a drive can be made for: a length has to fit into three bytes of a result.
pub const VALUE_BYTES_MAX: RangeInclusive<u32> = 4096..=(1 << 24) - 1;

/// Units of a value, at most: going through all of them must not take long.
const VALUE_UNITS_MAX: u64 = 16_384;

/// A page of LBAs takes whole units; larger ones would be wasted on it.
const UNIT_BYTES_MAX_WITH_LBAS: u32 = 4096;

choice! {
    /// The I/O command set that the namespace speaks, beside the vendor specific key-value commands, which it always has.
    pub enum KeyValueCommandSet {
        /// The Key Value Command Set of NVMe.
        WithoutLbas = "key-value",
        /// The NVM command set: LBAs, as the reference's key-value drive has them.
        WithLbas = "nvm",
    }
}

/// Parameters of a key-value drive (MODELS.md §7): those of a drive without flash, by which it is timed, and how pairs are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyValueParameters {
    /// How commands are timed.
    pub timing: NvmParameters,
    /// Which commands there are beside the vendor specific ones.
    pub command_set: KeyValueCommandSet,
    /// Pairs take whole units of so many bytes, see [`UNIT_BYTES`].
    pub unit_bytes: u32,
    /// The index has room for as many pairs as fit into the capacity if each has so many bytes, see [`AVERAGE_PAIR_BYTES`].
    pub average_pair_bytes: u32,
    /// Longest value, see [`VALUE_BYTES_MAX`]. One command moves no more than a transfer; appending makes longer ones.
    pub value_bytes_max: u32,
}

impl Default for KeyValueParameters {
    fn default() -> Self {
        Self {
            timing: NvmParameters::default(),
            command_set: KeyValueCommandSet::WithoutLbas,
            unit_bytes: 0,
            average_pair_bytes: 0,
            value_bytes_max: 0,
        }
    }
}

impl KeyValueParameters {
    /// Shows each parameter to `each`, with its key.
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            timing,
            command_set,
            unit_bytes,
            average_pair_bytes,
            value_bytes_max,
        } = self;
        timing.fields(each);
        each("key_value.command_set", Field::Choice(command_set));
        each("key_value.unit_bytes", Field::Number(unit_bytes, UNIT_BYTES));
        each(
            "key_value.average_pair_bytes",
            Field::Number(average_pair_bytes, AVERAGE_PAIR_BYTES),
        );
        each(
            "key_value.value_bytes_max",
            Field::Number(value_bytes_max, VALUE_BYTES_MAX),
        );
    }

    /// Checks that a drive can be made of these values.
    ///
    /// # Errors
    /// [`ParameterError`] names the first value that breaks a rule, and the rule.
    pub fn validate(&self) -> Result<(), ParameterError> {
        let mut copy = *self;
        crate::profile::check_each(|each| copy.fields(each))?;
        if !self.unit_bytes.is_power_of_two() {
            return Err(ParameterError {
                key: "key_value.unit_bytes",
                value: self.unit_bytes.into(),
                rule: Rule::PowerOfTwo,
            });
        }
        if self.command_set == KeyValueCommandSet::WithLbas && self.unit_bytes > UNIT_BYTES_MAX_WITH_LBAS {
            return Err(ParameterError {
                key: "key_value.unit_bytes",
                value: self.unit_bytes.into(),
                rule: Rule::AtMost {
                    max: UNIT_BYTES_MAX_WITH_LBAS.into(),
                    what: "a page of LBAs",
                },
            });
        }
        let value_bytes_max = VALUE_UNITS_MAX * u64::from(self.unit_bytes);
        if u64::from(self.value_bytes_max) > value_bytes_max {
            return Err(ParameterError {
                key: "key_value.value_bytes_max",
                value: self.value_bytes_max.into(),
                rule: Rule::AtMost {
                    max: value_bytes_max,
                    what: "16384 times key_value.unit_bytes",
                },
            });
        }
        Ok(())
    }
}
