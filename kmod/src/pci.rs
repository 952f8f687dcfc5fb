// SPDX-License-Identifier: GPL-2.0-only
//! The PCI bus with the device on it.

use alloc::sync::Arc;
use core::ptr::NonNull;

use module_params::pci_domain::{self, AttemptError, PlaceError};
use nvme_device::BAR_SIZE_BYTES;

use crate::running::Running;
use crate::shim;

/// There from [`PciBus::new`], which lets the host's driver attach, until it is dropped, which takes the driver away.
pub struct PciBus {
    bus: NonNull<shim::Pci>,
    /// C has a pointer to it, for accesses to configuration space.
    _running: Arc<Running>,
}

impl PciBus {
    /// Makes the bus in the first free domain. The memory at `bar_start` MUST outlive it.
    ///
    /// # Errors
    /// If no domain is free, or the kernel refuses.
    pub fn new(running: Arc<Running>, bar_start: u64, node: u32) -> Result<Self, PlaceError> {
        running.shared.config_space().set_bar0(bar_start);
        let bus = pci_domain::place(|domain| {
            let mut error = 0;
            // SAFETY: `running` is kept, and the interrupts with it; the rest is the caller's promise.
            let bus = unsafe {
                shim::nvmev_pci_create(
                    Arc::as_ptr(&running).cast(),
                    running.host.irqs().as_ptr(),
                    bar_start,
                    BAR_SIZE_BYTES as u64,
                    node,
                    domain,
                    pci_domain::BUS.into(),
                    &mut error,
                )
            };
            NonNull::new(bus).ok_or(match error {
                shim::EADDRINUSE => AttemptError::InUse,
                error => AttemptError::Kernel(error),
            })
        })?;
        Ok(Self {
            bus,
            _running: running,
        })
    }
}

impl Drop for PciBus {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and the threads are still there to answer the driver as it leaves (see `Instance`).
        unsafe { shim::nvmev_pci_destroy(self.bus.as_ptr()) }
    }
}
