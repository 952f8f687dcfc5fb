//! What a dispatcher does with its queues: fetch commands, route them, start them, hand jobs to workers.

pub(crate) mod deferred;
pub(crate) mod doorbells;
pub(crate) mod forward;
pub(crate) mod lease;
pub(crate) mod link;
pub(crate) mod peer;
pub(crate) mod queue_set;
pub(crate) mod route;
pub(crate) mod service;
pub(crate) mod shadow;
