//! Admin commands. Each file holds one family; a handler is a function of the [`Core`](crate::core::Core). It
//! returns what the completion carries, or the status of an error.

pub(crate) mod abort;
pub(crate) mod capabilities;
pub(crate) mod command;
pub(crate) mod directives;
pub(crate) mod doorbell_buffer;
pub(crate) mod effects_log;
pub(crate) mod erase_end;
pub(crate) mod erase_start;
pub(crate) mod features;
pub(crate) mod firmware;
pub(crate) mod format;
pub(crate) mod identify;
pub(crate) mod identify_request;
pub(crate) mod io_queues;
pub(crate) mod lba_status;
pub(crate) mod log_pages;
pub(crate) mod log_request;
pub(crate) mod namespace_features;
pub(crate) mod namespaces;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod persistent_events;
pub(crate) mod reservations;
pub(crate) mod sanitize;
pub(crate) mod self_test;
pub(crate) mod smart;
pub(crate) mod state;
pub(crate) mod table;
pub(crate) mod telemetry;
#[cfg(test)]
pub(crate) mod test_drive;
