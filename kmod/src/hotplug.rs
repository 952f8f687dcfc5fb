// SPDX-License-Identifier: GPL-2.0-only
//! CPUs of `cpus=` that go offline and come back. Their threads run elsewhere meanwhile; where, `module-params` decides.

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use module_params::cpus::CPU_COUNT_MAX;
use module_params::placement::{place, Moved, Topology};
use module_params::Cpus;

use crate::log::{error, info};
use crate::running::Running;
use crate::shim;

/// The machine's CPUs.
pub struct Machine {
    /// One that is about to go offline.
    leaving: Option<u32>,
}

impl Machine {
    /// As it is now.
    pub fn new() -> Self {
        Self { leaving: None }
    }
}

impl Cpus for Machine {
    fn limit(&self) -> u32 {
        shim::nvmev_cpu_limit()
    }
    fn is_online(&self, cpu: u32) -> bool {
        self.leaving != Some(cpu) && shim::nvmev_cpu_is_online(cpu) != 0
    }
}

impl Topology for Machine {
    fn node(&self, cpu: u32) -> u32 {
        shim::nvmev_cpu_node(cpu)
    }
    fn is_isolated(&self, cpu: u32) -> bool {
        shim::nvmev_cpu_is_isolated(cpu) != 0
    }
}

/// Moves the threads that have to move, or can go back. Calls do not overlap.
pub fn cpu_changes(running: &Running, cpu: u32, is_leaving: bool) {
    let places = &running.places;
    let machine = Machine {
        leaving: is_leaving.then_some(cpu),
    };
    let mut new = [0; CPU_COUNT_MAX];
    for (new, (_, _, now)) in new.iter_mut().zip(places.iter()) {
        *new = now;
    }
    let Some(new) = new.get_mut(..places.homes().len()) else {
        return;
    };
    place(places.homes(), new, &machine);
    for (index, (&to, (name, home, from))) in new.iter().zip(places.iter()).enumerate() {
        let thread = running
            .threads
            .get(index)
            .map(|thread| thread.load(Ordering::Acquire));
        let Some(thread) = thread.filter(|thread| !thread.is_null() && from != to) else {
            // If the threads are not made yet, `Threads::start` looks at the CPUs once more.
            continue;
        };
        places.set_now(index, to);
        let moved = Moved {
            name,
            home,
            from,
            from_is_online: machine.is_online(from),
            to,
            is_shared: new.iter().filter(|&&used| used == to).count() > 1,
        };
        // SAFETY: handles stay until nobody watches CPUs any more (see `Threads`).
        match unsafe { shim::nvmev_thread_move(thread, to) } {
            0 => info!("{moved}"),
            error => error!("{name} could not be moved from CPU {from} to CPU {to} (error {error})"),
        }
    }
}

/// The kernel calls [`cpu_changes`] until this is dropped.
pub struct Watch {
    hotplug: NonNull<shim::Hotplug>,
    /// C has a pointer to it.
    _running: Arc<Running>,
}

impl Watch {
    /// Begins.
    ///
    /// # Errors
    /// The kernel's negative error number.
    pub fn new(running: Arc<Running>) -> Result<Self, i32> {
        let mut error = 0;
        // SAFETY: `running` is kept as long as it is called with it.
        let hotplug = unsafe { shim::nvmev_hotplug_watch(Arc::as_ptr(&running).cast(), &mut error) };
        Ok(Self {
            hotplug: NonNull::new(hotplug).ok_or(error)?,
            _running: running,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: made in `new`. It waits for a call that is under way.
        unsafe { shim::nvmev_hotplug_unwatch(self.hotplug.as_ptr()) }
    }
}

/// No CPU goes offline or comes online until this is dropped. There MUST be one at a time in a process, and none may be there when a [`Watch`] is
/// made or dropped.
pub struct HeldCpus(());

impl HeldCpus {
    /// Waits for a change that is under way.
    pub fn new() -> Self {
        // SAFETY: released when dropped; the rest is the caller's promise.
        unsafe { shim::nvmev_cpus_hold() };
        Self(())
    }
}

impl Drop for HeldCpus {
    fn drop(&mut self) {
        // SAFETY: held since `new`.
        unsafe { shim::nvmev_cpus_release() }
    }
}
