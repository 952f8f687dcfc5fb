// SPDX-License-Identifier: GPL-2.0-only
//! The DMA engines that copy data, one for each worker as far as there are.

use core::ffi::CStr;
use core::ptr::NonNull;

use module_params::DmaChoice;
use nvme_device::{CopyBatch, CopyState, DataCopy, COPY_BATCHES_MAX};

use crate::log::{error, info};
use crate::memory::DeviceMemory;
use crate::shim;

const _: () = assert!(shim::DMA_BATCHES == COPY_BATCHES_MAX);

/// The engines, the device's until this is dropped.
pub struct Dma {
    engines: NonNull<shim::Dma>,
    workers: usize,
}

// SAFETY: what the C side has for a worker is used by one thread at a time, as `nvme_device::CopyBatch` says; the rest does not change.
unsafe impl Send for Dma {}
// SAFETY: as above.
unsafe impl Sync for Dma {}

impl Dma {
    /// Takes the engines that the user wants, as far as they are free, and says in the log which, or that there are none. Nothing if none are wanted.
    pub fn new(choice: DmaChoice<'_>, memory: &DeviceMemory, workers: usize) -> Option<Self> {
        let name = match choice {
            DmaChoice::Off => return None,
            DmaChoice::Any => "",
            DmaChoice::Named(name) => name,
        };
        let shown = match choice {
            DmaChoice::Named(name) => name,
            _ => "any",
        };
        let Some((start, bytes)) = memory.storage() else {
            info!("DMA: dma={shown} is of no use with data=none: there is nothing to copy");
            return None;
        };
        // SAFETY: the name is read during the call alone; the storage is the device's until after `drop`.
        let engines =
            unsafe { shim::nvmev_dma_open(name.as_ptr(), name.len(), start, bytes, workers as u32) };
        let Some(engines) = NonNull::new(engines) else {
            info!(
                "DMA: dma={shown}: no DMA engine that copies memory is free (see /sys/class/dma), so the CPUs copy; load an \
                 engine's driver first, or name another one with dma="
            );
            return None;
        };
        let dma = Self { engines, workers };
        for worker in 0..workers {
            match dma.name(worker) {
                "" => info!("DMA: I/O worker {worker}: no engine was left, so its CPU copies"),
                name => info!("DMA: I/O worker {worker}: {name} copies"),
            }
        }
        Some(dma)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The name of the engine that the worker has or had; empty if it never had one.
    pub fn name(&self, worker: usize) -> &str {
        // SAFETY: the C string does not change, and lives as long as `self`.
        let name = unsafe { CStr::from_ptr(shim::nvmev_dma_name(self.engines.as_ptr(), worker as u32)) };
        name.to_str().unwrap_or_default()
    }

    /// Whether the worker has an engine.
    pub fn is_open(&self, worker: usize) -> bool {
        // SAFETY: from any thread.
        unsafe { shim::nvmev_dma_is_open(self.engines.as_ptr(), worker as u32) != 0 }
    }

    /// See [`nvme_device::CopyEngine::begin_copy`]. The caller has checked the range on the medium.
    pub fn begin(&self, batch: CopyBatch, copy: &DataCopy) -> usize {
        let CopyBatch { worker, batch } = batch;
        if worker >= self.workers {
            return 0;
        }
        // SAFETY: the worker is one, and the calling thread's; the range is inside the storage; C checks each page of the other end.
        unsafe {
            shim::nvmev_dma_begin(
                self.engines.as_ptr(),
                worker as u32,
                batch as u32,
                copy.is_to_host.into(),
                copy.address,
                copy.media_offset,
                copy.len_bytes,
            )
        }
    }

    /// See [`nvme_device::CopyEngine::issue_copies`].
    pub fn issue(&self, worker: usize) {
        if worker < self.workers {
            // SAFETY: the worker is one, and the calling thread's.
            unsafe { shim::nvmev_dma_issue(self.engines.as_ptr(), worker as u32) }
        }
    }

    /// See [`nvme_device::CopyEngine::copies_state`].
    pub fn state(&self, batch: CopyBatch) -> CopyState {
        let CopyBatch { worker, batch } = batch;
        if worker >= self.workers {
            return CopyState::Done;
        }
        // SAFETY: the worker is one, and the calling thread's.
        match unsafe { shim::nvmev_dma_state(self.engines.as_ptr(), worker as u32, batch as u32) } {
            shim::COPIES_UNDER_WAY => CopyState::UnderWay,
            shim::COPIES_DONE => CopyState::Done,
            _ => CopyState::Failed,
        }
    }

    /// See [`nvme_device::CopyEngine::abandon_copies`].
    pub fn abandon(&self, worker: usize) {
        if worker < self.workers {
            // SAFETY: the worker is one, and the calling thread's, which may sleep.
            unsafe { shim::nvmev_dma_abandon(self.engines.as_ptr(), worker as u32) }
        }
    }

    /// See [`nvme_device::CopyEngine::remove_engine`].
    pub fn remove(&self, worker: usize) {
        if worker < self.workers {
            error!(
                "DMA: I/O worker {worker}: a copy by {} does not come to an end; it is not used any more, and the CPU copies",
                self.name(worker)
            );
            // SAFETY: the worker is one, and the calling thread's, which may sleep.
            unsafe { shim::nvmev_dma_remove(self.engines.as_ptr(), worker as u32) }
        }
    }
}

impl Drop for Dma {
    fn drop(&mut self) {
        // SAFETY: opened in `new`; the workers are gone (see `Instance`).
        unsafe { shim::nvmev_dma_close(self.engines.as_ptr()) }
    }
}
