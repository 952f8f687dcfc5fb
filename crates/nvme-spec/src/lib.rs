//! Wire types and constants of the NVM Express specifications, as far as NVMeVirt speaks them.
//!
//! Sources: NVM Express Base Specification 2.0 ("NVMe Base 2.0"), NVM Command Set Specification 1.0 ("NVM CS 1.0") and
//! PCIe Transport Specification 1.0 ("PCIe Transport 1.0"). Names are the specifications'; a value that is one less than
//! it means ("0's based") carries the suffix `_z`.
//!
//! Everything a host can write is an *open* enum: a transparent integer with named constants, so that no bit pattern is
//! undefined. A command dword with fields is a transparent `u32` with an accessor and a builder for each field. Sizes are asserted at compile time.
//!
//! This crate does not check, interpret or store anything: that is `nvme-device`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod directives;
mod dword;
mod features;
mod firmware;
mod format;
mod identify;
mod key_value;
mod lba_status;
mod logs;
mod namespace_management;
mod nvm;
mod opcodes;
mod open_enum;
mod persistent_events;
mod queue_entries;
mod queues;
pub mod registers;
mod reservations;
mod sanitize;
mod self_test;
mod sgl;
mod status;
mod telemetry;
mod zoned;

pub use directives::*;
pub use features::*;
pub use firmware::*;
pub use format::*;
pub use identify::*;
pub use key_value::*;
pub use lba_status::*;
pub use logs::*;
pub use namespace_management::*;
pub use nvm::*;
pub use opcodes::*;
pub use persistent_events::*;
pub use queue_entries::*;
pub use queues::*;
pub use reservations::*;
pub use sanitize::*;
pub use self_test::*;
pub use sgl::*;
pub use status::*;
pub use telemetry::*;
pub use zoned::*;

/// Bytes of the only memory page size that this device supports (CC.MPS = 0).
pub const PAGE_SIZE_BYTES: usize = 4096;

/// Namespace identifier that addresses every namespace (NVMe Base 2.0 §3.2.1.2).
pub const NSID_BROADCAST: u32 = 0xFFFF_FFFF;
