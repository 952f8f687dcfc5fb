//! Commands of zoned namespaces.

pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod target;
