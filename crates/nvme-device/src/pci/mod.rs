//! The PCI function: configuration space, power states, registers in BAR0.

pub(crate) mod bar;
pub(crate) mod config;
pub(crate) mod power;

pub use config::*;
