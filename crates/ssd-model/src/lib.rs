//! Deterministic timing models of solid-state drives.
//!
//! A model answers one question: when is this command, arriving now, done? Time comes in as an argument and goes
//! out as a result; the same commands at the same times give the same answers, on any machine.
//!
//! How it is built: one module per kind of drive ([`nvm`], [`conventional`], [`zoned`]), each behind the trait [`Model`]; [`AnyModel`]
//! chooses among them at run time without a virtual call. [`key_value`] says where the pairs of a key-value drive are, which is timed as [`nvm`]. Drives with flash are put together from `link`, `nand` and
//! `write_buffer`. What a drive is like is a profile of the crate `ssd-profile`; [`profiles`] has the built-in ones.
//!
//! What is not here: a model never waits and reads no clock; it stores no user data; it knows nothing of NVMe queues,
//! namespaces or LBA formats, and does not check that a command lies inside the namespace (the device has done so);
//! it uses no floating point and no unsafe code. After set-up it allocates nothing, and set-up reports a lack of
//! memory as an error.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod any_model;
pub mod conventional;
mod divisor;
mod error;
mod flash_report;
pub mod key_value;
mod link;
mod model;
mod nand;
pub mod nvm;
pub mod profiles;
mod table;
mod write_buffer;
pub mod zoned;

pub use any_model::{namespace_bytes, table_bytes, AnyModel};
pub use error::SetupError;
pub use flash_report::{
    Amplification, EraseCounts, FlashReport, FlashStatistics, LineCounts, Utilisation, ZoneCounts,
};
pub use model::{Accepted, Command, Model, Refusal, ZoneAction};
pub use nvme_spec::ZoneState;
