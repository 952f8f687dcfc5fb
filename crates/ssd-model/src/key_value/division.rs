//! How the bytes of a drive are divided, and what a pair takes of them.

use ssd_profile::{KeyValueCommandSet, KeyValueParameters};

use super::index::Index;
use super::key::KEY_BYTES_MAX;
use super::units::Units;
use crate::SetupError;

/// Bytes of a page of LBAs.
pub const PAGE_BYTES: u32 = 4096;

/// Keys are padded to a multiple of so many bytes, so that values begin aligned.
const KEY_ALIGNMENT: u64 = 16;

/// How the drive's bytes are divided.
pub(super) struct Division {
    pub units: u32,
    pub reserve_units: u32,
    pub keys: u32,
}

impl Division {
    pub fn new(parameters: &KeyValueParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        parameters.validate()?;
        let unit_bytes = u64::from(parameters.unit_bytes);
        let units = capacity_bytes / unit_bytes;
        let too_large = SetupError::TooManyUnits { capacity_bytes };
        // The largest number stands for none.
        let units = u32::try_from(units)
            .ok()
            .filter(|&units| units < u32::MAX)
            .ok_or(too_large)?;
        let longest = pair_bytes(KEY_BYTES_MAX as u8, parameters.value_bytes_max);
        let reserve_units = longest.div_ceil(unit_bytes) as u32;
        if units <= reserve_units {
            return Err(SetupError::TooSmall {
                capacity_bytes,
                needed_bytes: (u64::from(reserve_units) + 1) * unit_bytes,
                key: Some("key_value.value_bytes_max"),
            });
        }
        // Every page of LBAs has a key: it must be possible to write all of them.
        let key_takes_bytes = match parameters.command_set {
            KeyValueCommandSet::WithoutLbas => parameters.average_pair_bytes,
            KeyValueCommandSet::WithLbas => parameters.average_pair_bytes.min(PAGE_BYTES),
        };
        let keys = capacity_bytes / u64::from(key_takes_bytes);
        Ok(Self {
            units,
            reserve_units,
            keys: u32::try_from(keys).unwrap_or(u32::MAX).clamp(1, u32::MAX - 1),
        })
    }
}

/// Bytes for pairs on a drive of `capacity_bytes`.
///
/// # Errors
/// [`SetupError`] when a parameter is out of range, or the capacity too small or too large for it.
pub fn usable_bytes(parameters: &KeyValueParameters, capacity_bytes: u64) -> Result<u64, SetupError> {
    let division = Division::new(parameters, capacity_bytes)?;
    let usable_units = u64::from(division.units - division.reserve_units);
    Ok(usable_units * u64::from(parameters.unit_bytes))
}

/// How large the tables of a drive are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSizes {
    /// Most keys that there can be.
    pub keys_max: u32,
    /// Memory of the index and the table of units.
    pub memory_bytes: u64,
}

/// How large the tables of a drive of `capacity_bytes` are.
///
/// # Errors
/// As [`usable_bytes`].
pub fn table_sizes(parameters: &KeyValueParameters, capacity_bytes: u64) -> Result<TableSizes, SetupError> {
    let division = Division::new(parameters, capacity_bytes)?;
    Ok(TableSizes {
        keys_max: division.keys,
        memory_bytes: Index::memory_bytes(division.keys) + Units::memory_bytes(division.units),
    })
}

/// Where the value of a pair begins.
pub(super) fn value_offset(key_bytes: u8) -> u64 {
    u64::from(key_bytes).next_multiple_of(KEY_ALIGNMENT)
}

/// What a pair takes, before rounding up to units.
pub(super) fn pair_bytes(key_bytes: u8, value_bytes: u32) -> u64 {
    // Never nothing: a pair has a key, and a page is never without a value.
    value_offset(key_bytes) + u64::from(value_bytes)
}
