//! Counters that the shell shows while the device runs.

pub(crate) mod dma;
pub(crate) mod flash;
pub(crate) mod io;
pub(crate) mod lateness;
pub(crate) mod queues;
