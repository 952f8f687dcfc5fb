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

extern crate alloc;

mod admin;
mod bar;
mod coalescing;
mod compare;
mod controller;
mod copy_counts;
mod cut_off;
mod data_pointer;
mod dataset;
mod device;
mod dispatcher;
mod flash_log;
mod heap;
pub mod host;
mod identity;
mod io;
mod key_value;
mod lateness;
mod movement;
mod namespace;
mod namespace_table;
pub mod pci;
mod power;
mod provisioning;
mod queues;
mod reservations;
pub mod ring;
mod schedule;
mod shared;
mod shared_namespace;
mod statistics;
mod streams;
mod uncorrectable;
mod work;
mod worker;
mod zoned;

pub use controller::Controller;
pub use copy_counts::{CopyCounts, CopyCountsSnapshot};
pub use device::{Device, DeviceConfig, SetupError};
pub use dispatcher::Dispatcher;
pub use flash_log::NamespaceReport;
pub use host::{CopyBatch, CopyState, DataCopy, Host, MemoryFault};
pub use identity::Identity;
pub use lateness::{Lateness, LatenessBucket, LatenessSnapshot};
pub use namespace::NamespaceConfig;
pub use pci::ConfigSpace;
pub use shared::Shared;
pub use statistics::{QueueSnapshot, Statistics};
pub use worker::{Worker, COPY_BATCHES_MAX};

/// Bytes of BAR0: registers from 0, doorbells from 0x1000, MSI-X table at 0x2000, pending bits at 0x3000.
pub const BAR_SIZE_BYTES: usize = 0x4000;

/// Most I/O queue pairs that a host can create.
pub const IO_QUEUE_PAIRS_MAX: u16 = 128;

/// Most dispatchers of a device.
pub const DISPATCHERS_MAX: usize = 8;

/// Most namespaces that there can be at a time, and the highest identifier of one (Identify NN).
pub const NAMESPACES_MAX: u32 = 32;

/// Interrupt vectors: one for the admin queue and one for each I/O completion queue.
pub const VECTORS_MAX: u16 = IO_QUEUE_PAIRS_MAX + 1;

/// When to look again for what nobody tells of (room for a message, a worker's answer, the end of a copy), ns: it takes about that long.
const LOOK_AGAIN_NS: u64 = 1_000;

/// Words of 64 bits in which each vector has a bit.
pub(crate) const VECTOR_WORDS: usize = (VECTORS_MAX as usize).div_ceil(64);

/// Most entries of an I/O queue (CAP.MQES + 1).
pub const QUEUE_ENTRIES_MAX: u16 = 1024;

/// Most commands that a queue can have fetched in its turn: others wait no longer than that, and what arrived together is timed as having
/// arrived together.
const BURST_MAX: usize = 16;

/// What a pass over the device did, so that the shell knows whether to go on at once, wait or sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Something was done: there may be more.
    pub progressed: bool,
    /// Earliest time at which there is something to do without the host doing anything, ns.
    pub next_event_ns: Option<u64>,
}

impl Activity {
    /// Adds what something else did.
    pub fn add(&mut self, other: Self) {
        self.progressed |= other.progressed;
        if let Some(at_ns) = other.next_event_ns {
            self.wake_at(at_ns);
        }
    }

    /// There is something to do at `at_ns`.
    pub(crate) fn wake_at(&mut self, at_ns: u64) {
        self.next_event_ns = Some(self.next_event_ns.map_or(at_ns, |next_ns| next_ns.min(at_ns)));
    }
}

const _: () = {
    assert!(nvme_spec::registers::cq_head_doorbell(IO_QUEUE_PAIRS_MAX) < pci::MSIX_TABLE_OFFSET as usize);
    assert!(pci::MSIX_TABLE_OFFSET as usize + VECTORS_MAX as usize * 16 <= pci::MSIX_PBA_OFFSET as usize);
    assert!(pci::MSIX_PBA_OFFSET as usize + VECTOR_WORDS * 8 <= BAR_SIZE_BYTES);
};
