//! What a queue set leaves to the controller.

use alloc::vec::Vec;

use nvme_spec::Status;

use crate::command::id::CommandRef;
use crate::setup::SetupError;

/// Failed commands that a queue set notes for the error log before it stops fetching until the controller has seen to them.
const FAILURES_MAX: usize = 64;

/// A failed command, for the error log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub command: CommandRef,
    pub status: Status,
    pub nsid: u32,
    pub lba: u64,
}

/// What a queue set has for the controller to see to.
#[derive(Default)]
pub(crate) struct Deferred {
    /// With room for [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// A doorbell had a value that it cannot have.
    pub has_invalid_doorbell: bool,
    /// The controller has to fail: what a host promised is not there, or a promise of ours could not be kept.
    pub is_broken: bool,
    /// The next command of a queue, or one that waits, is the controller's to see to.
    pub has_command: bool,
    /// A zone has changed that the host wants to be told of.
    pub has_zone_change: bool,
    /// There has been no work for long.
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

    /// Whether another command can be taken on.
    pub fn has_room(&self) -> bool {
        self.failures.len() < FAILURES_MAX && !self.is_broken
    }

    /// Takes what `other` has; there is nothing here.
    pub fn take(&mut self, other: &mut Self) {
        core::mem::swap(self, other);
        other.failures.clear();
    }
}
