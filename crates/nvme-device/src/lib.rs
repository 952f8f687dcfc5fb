//! An NVMe controller without a transport, a clock or threads.
//!
//! The crate turns what a host writes (registers, doorbells, submission queue entries) into what a drive answers
//! (completions, data, interrupts), following NVM Express 2.0. It is built as two kinds of parts that a shell runs on
//! threads of its choice: one [`Controller`], which reads registers and doorbells, fetches commands and asks the
//! namespace's timing model when each is done, and one or more [`Worker`]s, which move the data and post each completion
//! when its time has come. A single-producer ring joins the controller to each worker; nothing else is shared but the
//! atomics in [`Shared`].
//!
//! What it does *not* do: read a clock (time is an argument), start threads, map memory, know Linux or PCI enumeration
//! (a shell implements [`Host`]), or model flash (that is `ssd-model`). Metadata and
//! memory pages other than 4 KiB are not implemented, and Identify says so.
//!
//! Nothing that a host writes panics here: every host value is an integer until it is checked, and arithmetic on it is
//! checked or wrapping on purpose.
#![no_std]
#![deny(unsafe_code)]
// Nothing that a host says may panic in the kernel. Where one of these stays, it has a reason.
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

extern crate alloc;

mod activity;
mod admin;
mod coalescing;
mod command;
mod controller;
mod core;
mod data_pointer;
mod device;
mod dispatch;
mod dispatcher;
mod erase;
mod host;
mod identity;
mod io;
mod limits;
mod namespace;
pub mod pci;
mod queue;
mod ring;
mod setup;
mod shared;
mod stats;
mod worker;

pub use activity::Activity;
pub use controller::Controller;
pub use device::{Device, DeviceConfig};
pub use dispatcher::Dispatcher;
pub use host::{
    CopyBatch, CopyEngine, CopyState, DataCopy, Host, HostMemory, InterruptLines, Media, MemoryFault,
};
pub use identity::Identity;
pub use limits::{
    BAR_SIZE_BYTES, DISPATCHERS_MAX, IO_QUEUE_PAIRS_MAX, NAMESPACES_MAX, QUEUE_ENTRIES_MAX, VECTORS_MAX,
};
pub use namespace::NamespaceConfig;
pub use pci::config::ConfigSpace;
pub use setup::SetupError;
pub use shared::Shared;
pub use stats::dma::{CopyCounts, CopyCountsSnapshot};
pub use stats::flash::NamespaceReport;
pub use stats::lateness::{Lateness, LatenessBucket, LatenessSnapshot};
pub use stats::queues::{QueueSnapshot, Statistics};
pub use worker::dma::COPY_BATCHES_MAX;
pub use worker::Worker;
