//! Deterministic timing models of solid-state drives.
//!
//! A model answers one question: when is this command, arriving now, done? Time comes in as an argument and goes
//! out as a result; the same commands at the same times give the same answers, on any machine.
//!
//! How it is built: one module per kind of drive (now [`nvm`]), each behind the trait [`Model`]; [`AnyModel`] chooses
//! among them at run time without a virtual call; [`Profile`] is the table of known drives, made by the build script
//! from `profiles/*.toml`.
//!
//! What is not here: a model never waits and reads no clock; it stores no user data; it knows nothing of NVMe queues,
//! namespaces or LBA formats, and does not check that a command lies inside the namespace (the device has done so);
//! it uses no floating point and no unsafe code. After set-up it allocates nothing, and set-up reports a lack of
//! memory as an error. Flash-based, zoned and key-value drives are not modelled yet.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod any_model;
mod error;
pub mod nvm;
mod profile;

pub use any_model::AnyModel;
pub use error::SetupError;
pub use profile::{Profile, ProfileKind};

use nvme_spec::Status;

/// What a model is asked to time. Addresses and lengths are in bytes: LBA formats are the device's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read `len_bytes` at `offset_bytes` of the namespace.
    Read {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes.
        len_bytes: u32,
    },
    /// Write `len_bytes` at `offset_bytes` of the namespace.
    Write {
        /// First byte.
        offset_bytes: u64,
        /// Number of bytes.
        len_bytes: u32,
        /// Force unit access: done only when on the medium.
        fua: bool,
    },
    /// Make everything acknowledged so far durable.
    Flush,
}

/// A command that a model took on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Time at which the command is done, ns. May lie before `now` (MODELS.md Q10): the device then completes at once.
    pub done_at_ns: u64,
    /// Command-specific result (dwords 0 and 1 of the completion).
    pub result: u64,
}

/// Why a model did not take a command on. The two are never the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No buffer space now: ask again at `retry_at_ns`. Nothing in the model has changed.
    Busy {
        /// Earliest time at which asking again can succeed, ns. MUST be later than the `now_ns` of the refused call.
        retry_at_ns: u64,
    },
    /// The command is wrong and ends with this status.
    Failed(Status),
}

/// A timing model. `submit` MUST be deterministic in (state, now_ns, command); a `Busy` answer MUST leave the timing
/// state as it was. `submit` MUST NOT panic, allocate, or loop without a bound fixed at set-up, whatever its arguments.
/// A caller SHOULD pass times that never go back; an earlier time is taken as it is.
pub trait Model {
    /// Takes `command` on at `now_ns`.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal>;
}
