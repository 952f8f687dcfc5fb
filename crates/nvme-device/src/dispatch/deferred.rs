//! What a queue set leaves to the controller.

use alloc::vec::Vec;

use nvme_spec::Status;

use crate::command::id::CommandRef;
use crate::setup::SetupError;

/// Failed commands that a queue set keeps for the error log. With more it stops fetching until the
/// controller has taken them.
const FAILURES_MAX: usize = 64;

/// A failed command, for the error log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub command: CommandRef,
    pub status: Status,
    pub nsid: u32,
    pub lba: u64,
}

/// Work that a queue set leaves to the controller.
#[derive(Default)]
pub(crate) struct Deferred {
    /// With room for [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// A doorbell had a value that it cannot have.
    pub has_invalid_doorbell: bool,
    /// Set CSTS.CFS: queue memory is unreachable, or a reserved slot is missing.
    pub is_broken: bool,
    /// The next command of a queue, or one that waits, is the controller's.
    pub has_command: bool,
    /// A zone has changed that the host wants to be told of.
    pub has_zone_change: bool,
    /// There has been no work for some time.
    pub is_idle: bool,
}

impl Deferred {
    pub fn new() -> Result<Self, SetupError> {
        let mut failures = Vec::new();
        failures.try_reserve_exact(FAILURES_MAX)?;
        Ok(Self {
            failures,
            ..Self::default()
        })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
            && !self.has_invalid_doorbell
            && !self.is_broken
            && !self.has_command
            && !self.has_zone_change
            && !self.is_idle
    }

    /// Whether another command can be started.
    pub fn has_room(&self) -> bool {
        self.failures.len() < FAILURES_MAX && !self.is_broken
    }

    /// Takes what `other` has; there is nothing here.
    pub fn take(&mut self, other: &mut Self) {
        core::mem::swap(self, other);
        other.failures.clear();
    }
}
