//! What admin commands keep between them. Nothing here executes a command.

pub(crate) mod admin_state;
pub(crate) mod changed_namespaces;
pub(crate) mod error_log;
pub(crate) mod events;
pub(crate) mod feature_buffers;
pub(crate) mod feature_table;
pub(crate) mod features;
pub(crate) mod firmware;
pub(crate) mod lba_status;
pub(crate) mod persistent_events;
pub(crate) mod reservation_log;
pub(crate) mod sanitize;
pub(crate) mod self_test;
pub(crate) mod telemetry;
