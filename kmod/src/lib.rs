// SPDX-License-Identifier: GPL-2.0-only
//! The Linux kernel shell: the Rust half of `nvmev.ko`.
//!
//! It gives the device of `nvme-device` what it needs of the world: memory taken from the kernel, two or more threads, the
//! kernel's clock, interrupts, a PCI bus, files in `/proc`. Everything that needs a kernel header is in the C files beside
//! it (`shim.h` is the border, [`shim`] its mirror here); everything that is decided is decided here or, where `cargo test`
//! can reach it, in `module-params`.
//!
//! The kernel enters through [`entry`]. A loaded module is an [`instance::Instance`], whose parts undo themselves when they
//! are dropped, so that a load that fails half-way and an unload are the same thing.
#![no_std]
// A panic stops a thread of the kernel. Where one of these stays, it has a reason.
#![warn(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

extern crate alloc;

mod allocator;
mod dma;
mod entry;
mod error;
mod host;
mod hotplug;
mod instance;
mod log;
mod memory;
mod namespaces;
mod node;
mod panic;
mod pci;
mod places;
mod power;
mod procfs;
mod running;
mod shim;
mod thread;
