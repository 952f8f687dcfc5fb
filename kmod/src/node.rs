// SPDX-License-Identifier: GPL-2.0-only
//! The process that loads the module, on the device's node.

use core::ptr::NonNull;

use crate::shim;

/// Keeps the calling process on the CPUs of a node until this is dropped. The kernel allocates near whoever asks, so the tables that are made
/// meanwhile, and what the kernel itself allocates for us, come from that node as long as it has memory.
///
/// This rather than a node that is named with every allocation, because the kernel lets no module say both the node and how hard to try for
/// tables of more than 2 GiB; and rather than a work item on one of those CPUs, because the process could then not be interrupted.
pub struct OnNode(NonNull<shim::CpuMask>);

impl OnNode {
    /// Moves the process there. `None`: it stays where it is, because there is one node only, or because the kernel cannot do it; then tables
    /// may be far.
    pub fn enter(node: u32) -> Option<Self> {
        if shim::nvmev_node_count() == 1 {
            return None;
        }
        NonNull::new(shim::nvmev_node_enter(node)).map(Self)
    }
}

impl Drop for OnNode {
    fn drop(&mut self) {
        // SAFETY: made in `enter`, by this process: a raw pointer keeps `Self` from being sent to another one.
        unsafe { shim::nvmev_node_leave(self.0.as_ptr()) }
    }
}
