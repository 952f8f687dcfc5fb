// SPDX-License-Identifier: GPL-2.0-only
//! Where the threads belong, and where they run.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use module_params::placement::ThreadName;
use module_params::CpuList;

/// Where each thread belongs, and where it runs. Not in arrays: the kernel's stack has no room for them.
pub struct Places {
    homes: Box<[u32]>,
    dispatcher_count: usize,
    now: Box<[AtomicU32]>,
}

impl Places {
    /// Each thread on its CPU, those of the dispatchers first.
    pub fn new(homes: &CpuList, dispatcher_count: usize) -> Self {
        Self {
            homes: homes.as_slice().into(),
            dispatcher_count,
            now: homes
                .as_slice()
                .iter()
                .map(|&home| AtomicU32::new(home))
                .collect(),
        }
    }

    /// The CPUs of `cpus=`.
    pub fn homes(&self) -> &[u32] {
        &self.homes
    }

    /// The name of the thread with this index in `cpus=`.
    pub fn name(&self, index: usize) -> ThreadName {
        ThreadName {
            index,
            dispatcher_count: self.dispatcher_count,
        }
    }

    /// Each thread with its home and the CPU on which it runs.
    pub fn iter(&self) -> impl Iterator<Item = (ThreadName, u32, u32)> + '_ {
        let homes = self.homes.iter().zip(&self.now).enumerate();
        homes.map(|(index, (&home, now))| (self.name(index), home, now.load(Ordering::Relaxed)))
    }

    /// The thread with this index in `cpus=` runs on the CPU `to` now.
    pub fn set_now(&self, index: usize, to: u32) {
        if let Some(now) = self.now.get(index) {
            now.store(to, Ordering::Relaxed);
        }
    }
}
