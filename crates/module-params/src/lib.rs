//! What people give the kernel module as text, and what it answers as text: parameters, lists of CPUs, `/proc/nvmev`.
//!
//! The kernel module is hard to test and must not fail; so everything about it that is neither Linux nor NVMe is here, where
//! `cargo test` reaches it. No allocation, no clock, no globals: text and facts about the machine in, a checked value or an
//! explanation out.
//!
//! - [`list`]: the module's parameters, from the list in `kmod/parameters.h`.
//! - [`params`]: the check of them, once, into an immutable [`Settings`].
//! - [`error`]: what is wrong with one.
//! - [`nvm`]: timing of a drive without flash.
//! - [`memory`]: where the memory comes from, and whether there is any for data.
//! - [`namespaces`]: which namespaces a device has.
//! - [`proc_text`]: the formats of the files in `/proc/nvmev`.
//! - [`carve`]: which memory blocks of a running kernel to take.
//! - [`live`]: timing that changes while the device runs.
//! - [`idle`]: when a polling thread may sleep.
//! - [`pci_domain`]: the address of the device on the PCI bus.
//! - [`placement`]: where a thread runs while its CPU is offline.
//! - [`text`]: formatting into a buffer of fixed size.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod carve;
pub mod cpus;
pub mod dma;
pub mod error;
pub mod idle;
pub mod limits;
pub mod list;
pub mod live;
pub mod memory;
pub mod namespaces;
pub mod nvm;
pub mod params;
pub mod pci_domain;
pub mod placement;
pub mod proc_text;
pub mod size;
pub mod text;

pub use cpus::{CpuList, Cpus};
pub use dma::DmaChoice;
pub use error::ParamError;
pub use idle::Idle;
pub use list::{ParameterList, RawParams};
pub use live::LiveTimes;
pub use memory::MemorySource;
pub use nvm::{NvmOverrides, NvmTimes};
pub use params::Settings;
pub use text::TextBuffer;
