// SPDX-License-Identifier: GPL-2.0-only
//! What the threads and the files in `/proc` look at together while the device runs.

use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use module_params::cpus::CPU_COUNT_MAX;
use module_params::LiveTimes;
use nvme_device::{HostMemory, Shared};
use ssd_profile::{NvmParameters, Timing};

use crate::host::KernelHost;
use crate::places::Places;
use crate::shim;

/// See the module's documentation.
pub struct Running {
    /// The machine.
    pub host: KernelHost,
    /// The device's side.
    pub shared: Arc<Shared>,
    /// The timing, as `/proc` last set it.
    pub times: LiveTimes,
    /// What the timing began with: it has what `/proc` cannot set.
    pub nvm: NvmParameters,
    /// When threads may sleep.
    pub idle_timeout_ns: Option<u64>,
    /// Where the threads run.
    pub places: Places,
    /// Handles of the threads, the dispatchers' first. Null before they are made.
    pub threads: [AtomicPtr<shim::Thread>; CPU_COUNT_MAX],
    /// A thread has panicked: nobody goes on with the device, whose state may be half-changed.
    pub failed: AtomicBool,
    /// What a test asked for.
    #[cfg(feature = "test-faults")]
    pub fault: core::sync::atomic::AtomicU32,
}

impl Running {
    /// With no threads yet.
    pub fn new(
        host: KernelHost,
        shared: Arc<Shared>,
        nvm: NvmParameters,
        idle_timeout_ns: Option<u64>,
        places: Places,
    ) -> Self {
        Self {
            host,
            shared,
            times: LiveTimes::new(times_of(&nvm)),
            nvm,
            idle_timeout_ns,
            places,
            threads: [const { AtomicPtr::new(ptr::null_mut()) }; CPU_COUNT_MAX],
            failed: AtomicBool::new(false),
            #[cfg(feature = "test-faults")]
            fault: core::sync::atomic::AtomicU32::new(0),
        }
    }

    /// Tells the host that the device has failed for good (CSTS.CFS).
    pub fn mark_failed(&self) {
        self.failed.store(true, Ordering::Release);
        self.shared.mark_failed(self.host.bar());
    }

    /// Wakes the threads that sleep, but for the one with this index, which calls it: there may be work for them.
    pub fn wake_others(&self, index: usize) {
        for (other, thread) in self.threads.iter().enumerate() {
            let thread = thread.load(Ordering::Acquire);
            if thread.is_null() {
                break;
            }
            if other != index {
                // SAFETY: only threads of ours call this, and all of them have ended before a handle is freed.
                unsafe { shim::nvmev_thread_wake(thread) }
            }
        }
    }
}

/// The part of a model's parameters that can be changed while it runs.
pub fn times_of(nvm: &NvmParameters) -> module_params::NvmTimes {
    use module_params::proc_text::Times;
    let times = |timing: Timing| Times {
        delay_ns: timing.delay_ns,
        time_ns: timing.time_ns,
        trailing_ns: timing.trailing_ns,
    };
    module_params::NvmTimes {
        read: times(nvm.read),
        write: times(nvm.write),
        io_units: nvm.io_units,
        io_unit_shift: nvm.io_unit_shift,
    }
}

/// `nvm` with these times.
pub fn with_times(nvm: NvmParameters, times: module_params::NvmTimes) -> NvmParameters {
    let timing = |times: module_params::proc_text::Times| Timing {
        delay_ns: times.delay_ns,
        time_ns: times.time_ns,
        trailing_ns: times.trailing_ns,
    };
    NvmParameters {
        io_units: times.io_units,
        io_unit_shift: times.io_unit_shift,
        read: timing(times.read),
        write: timing(times.write),
        ..nvm
    }
}
