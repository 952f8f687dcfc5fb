//! What a profile of a drive can say, key by key, and the check of it.
//!
//! A profile is a name and a set of parameters, each under a dotted key such as `nand.program_ns`. Every parameter is declared in one
//! place, the `fields` function of its structure, with its key and its range. From that follow reading a file ([`mod@file`],
//! with the feature of that name), setting single values by text ([`Profile::set`]: what the module's `profile_set=` and
//! the simulator's `--set` do), and printing ([`Profile::for_each_field`]).
//!
//! What is not here: the models themselves and how they use the parameters (`ssd-model`), and the built-in profiles
//! (`profiles/*.toml`, compiled into `ssd-model`). No floating point, no unsafe code; without the feature no allocation.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "file"))]
extern crate std;

mod conventional;
mod field;
#[cfg(feature = "file")]
pub mod file;
mod key_value;
mod nvm;
mod profile;
#[cfg(test)]
mod tests;
mod zoned;

pub use conventional::{
    AllocationOrder, ConventionalParameters, FirmwareTimes, FtlParameters, GeometryRule, LinkParameters,
    Mapping, NandParameters, VictimPolicy, WriteBufferParameters, WriteBufferPolicy,
};
pub use field::{Choice, Field, PageTimes, ParameterError, Rule, SetError, CELL_BITS_MAX};
pub use key_value::{
    KeyValueCommandSet, KeyValueParameters, AVERAGE_PAIR_BYTES, UNIT_BYTES, VALUE_BYTES_MAX,
};
pub use nvm::{NvmParameters, Timing, IO_UNITS, IO_UNIT_SHIFT};
pub use profile::{Profile, ProfileKind, DESCRIPTION_LEN_MAX, MDTS, NAME_LEN_MAX};
pub use zoned::{
    WriteBufferScope, ZoneParameters, ZonedParameters, ZonedWriteBufferParameters, ZrwaParameters,
};
