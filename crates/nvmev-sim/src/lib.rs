//! What surrounds the device under test: a host of plain memory with a driver ([`host`]), golden traces replayed in
//! virtual time ([`golden`]), the simulator of workloads and traces ([`simulator`]), and the checks that every device
//! passes ([`conformance`]).
//!
//! What is not here: nothing in this crate reads a clock or runs in the kernel, and no timing is computed here; it asks
//! `ssd-model`.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod golden;
pub mod host;
mod packed;
pub mod simulator;
