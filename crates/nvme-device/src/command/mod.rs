//! The vocabulary of commands, from a fetched entry to the job of a worker. Nothing here executes one.

pub(crate) mod fetched;
pub(crate) mod id;
pub(crate) mod job;
pub(crate) mod lba;
pub(crate) mod request;
pub(crate) mod reserved;
pub(crate) mod table;
pub(crate) mod transfer;
pub(crate) mod wait;
pub(crate) mod work;
pub(crate) mod zone_transfer;
