//! I/O commands: from the entry's bytes to a checked request, and from there to a job for a worker.

pub(crate) mod context;
pub(crate) mod copy;
pub(crate) mod dataset;
pub(crate) mod key_value;
pub(crate) mod parts;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod zone;
