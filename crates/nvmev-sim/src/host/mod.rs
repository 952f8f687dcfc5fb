//! The test host: a machine of plain memory with a device in it, and a driver that behaves as well or as badly as a test wants.
//!
//! Everything runs on the calling thread in virtual time: the clock moves only when nothing else can happen, to the next
//! moment at which the device has something to do. What it is not: a model of Linux; it knows no files and no users.

pub mod commands;
mod driver;
mod drives;
mod engine;
pub mod key_value;
mod machine;
mod memory;
mod random;
pub mod sgl;
mod shadow;

pub use driver::{QueuePair, TestHost};
pub use drives::{Drive, DRIVES};
pub use engine::{EngineCounts, EngineFaults};
pub use machine::{Fetch, Interrupts, Machine, RAM_BASE};
pub use random::Random;
pub use shadow::{Ring, ShadowDoorbells};
