//! The engine on threads and plain memory of this process: a shell as the kernel module is one, without the kernel.
//!
//! For measurements (`benches/engine/`, `docs/performance.md`) and for a check of the engine's parts against data races
//! (`tests/threads.rs` under ThreadSanitizer). [`Machine`] implements [`nvme_device::Host`], [`Threads`] runs controller and workers, and [`Driver`]
//! with its [`QueuePair`]s uses the device at as little cost as possible.
//!
//! What it is not: a test host with a virtual clock and a record of what happened (that is `nvmev_sim::host`). A driver here keeps to NVMe's rules about
//! who has an entry or a buffer at what moment, as drivers of real machines do; one that does not makes a data race.
#![deny(unsafe_code)]

mod clock;
mod driver;
mod machine;
mod memory;
mod queue_pair;
mod threads;

pub use clock::Clock;
pub use driver::Driver;
pub use machine::{Machine, Medium, RAM_BASE};
pub use queue_pair::{Completion, QueuePair};
pub use threads::{pin, Companion, Layout, Threads};
