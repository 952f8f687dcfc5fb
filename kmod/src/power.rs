// SPDX-License-Identifier: GPL-2.0-only
//! What the drive has to do with the machine's sleep states.

use core::ptr::NonNull;

use crate::shim;

/// Keeps the machine from hibernation until this is dropped: an image does not hold the drive's memory.
pub struct NoHibernation(NonNull<shim::Power>);

impl NoHibernation {
    /// Refuses it from now on; waits for the end of one that is under way.
    ///
    /// # Errors
    /// The kernel's negative error number.
    pub fn new() -> Result<Self, i32> {
        let mut error = 0;
        NonNull::new(shim::nvmev_power_watch(&mut error))
            .map(Self)
            .ok_or(error)
    }
}

impl Drop for NoHibernation {
    fn drop(&mut self) {
        // SAFETY: made in `new`.
        unsafe { shim::nvmev_power_unwatch(self.0.as_ptr()) }
    }
}
