// SPDX-License-Identifier: GPL-2.0-only
//! The files in `/proc/nvmev`: what they say and what writing to them does. Their formats are in `module-params`.

use alloc::sync::Arc;
use core::fmt::{self, Write};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use module_params::proc_text::{self, CopyCountLines, LatenessBucketLine, LatenessSummary, QueueLine};
use module_params::TextBuffer;
use nvme_device::{CopyCountsSnapshot, LatenessBucket, NamespaceReport, QueueSnapshot, NAMESPACES_MAX};

use crate::running::{with_times, Running};
use crate::shim;

/// How long a reader of `ftl` waits for the dispatcher: two seconds, far longer than it ever sleeps.
const FLASH_ATTEMPT_US: u32 = 100;
const FLASH_ATTEMPTS_MAX: u32 = 20_000;

/// The folder, there until this is dropped.
pub struct ProcFolder {
    folder: NonNull<shim::Proc>,
    /// C has a pointer to it.
    _running: Arc<Running>,
}

impl ProcFolder {
    /// Makes it, or `None` if there is no memory or somebody else has one of that name.
    pub fn new(running: Arc<Running>) -> Option<Self> {
        // SAFETY: `running` is kept as long as the files, and they give the pointer back to `show` and `store` only.
        let folder = NonNull::new(unsafe { shim::nvmev_proc_create(Arc::as_ptr(&running).cast()) })?;
        Some(Self {
            folder,
            _running: running,
        })
    }
}

impl Drop for ProcFolder {
    fn drop(&mut self) {
        // SAFETY: made in `new`. It waits for who is inside.
        unsafe { shim::nvmev_proc_destroy(self.folder.as_ptr()) }
    }
}

/// Writes what `file` says.
pub fn show(running: &Running, file: u32, out: &mut TextBuffer<'_>) -> fmt::Result {
    let times = running.times.copy();
    match file {
        shim::PROC_READ_TIMES => proc_text::write_times(out, times.read),
        shim::PROC_WRITE_TIMES => proc_text::write_times(out, times.write),
        shim::PROC_IO_UNITS => proc_text::write_io_units(out, times.io_units, times.io_unit_shift),
        shim::PROC_STAT => {
            let statistics = running.shared.statistics();
            let written = proc_text::write_stat(out, statistics.io_queues().map(line));
            // As in NVMeVirt: the most in flight is that since the last look.
            statistics.reset_in_flight_max();
            written
        }
        shim::PROC_FTL => show_flash(running, out),
        shim::PROC_LATENESS => show_lateness(running, out),
        shim::PROC_DATA => proc_text::write_data(out, running.host.has_medium()),
        shim::PROC_DMA => show_dma(running, out),
        shim::PROC_CPUS => proc_text::write_cpus(out, running.places.iter()),
        _ => Ok(()),
    }
}

/// How late completions are posted, of all workers.
fn show_lateness(running: &Running, out: &mut TextBuffer<'_>) -> fmt::Result {
    let lateness = running.shared.lateness().snapshot();
    let summary = LatenessSummary {
        bound_ns: lateness.bound_ns,
        count: lateness.count(),
        misses: lateness.misses,
        max_ns: lateness.max_ns,
        p50_ns: lateness.quantile_ns(500),
        p90_ns: lateness.quantile_ns(900),
        p99_ns: lateness.quantile_ns(990),
        p99_9_ns: lateness.quantile_ns(999),
    };
    let buckets = lateness.buckets().map(|bucket| {
        let LatenessBucket {
            from_ns,
            to_ns,
            count,
        } = bucket;
        LatenessBucketLine {
            from_ns,
            to_ns,
            count,
        }
    });
    proc_text::write_lateness(out, summary, buckets)
}

/// Which DMA engines copy, and how much they did.
fn show_dma(running: &Running, out: &mut TextBuffer<'_>) -> fmt::Result {
    if let Some(dma) = running.host.dma() {
        let engines = (0..dma.workers()).map(|worker| dma.is_open(worker).then_some(dma.name(worker)));
        proc_text::write_engines(out, engines)?;
    }
    let CopyCountsSnapshot {
        copies,
        copied_bytes,
        declined,
        declined_bytes,
        failed,
        failed_bytes,
    } = running.shared.copy_counts().snapshot();
    let counts = CopyCountLines {
        copies,
        copied_bytes,
        declined,
        declined_bytes,
        failed,
        failed_bytes,
    };
    proc_text::write_copy_counts(out, counts)
}

/// What the flash of each namespace did, as the dispatcher says when asked: at once, or when it wakes up next.
fn show_flash(running: &Running, out: &mut TextBuffer<'_>) -> fmt::Result {
    let request = running.shared.request_flash_reports();
    let mut attempts = 0;
    while !running.shared.has_flash_reports(request) {
        attempts += 1;
        if attempts > FLASH_ATTEMPTS_MAX || running.failed.load(Ordering::Acquire) {
            return out.write_str("the dispatcher does not answer\n");
        }
        shim::nvmev_sleep_us(FLASH_ATTEMPT_US);
    }
    for nsid in 1..=NAMESPACES_MAX {
        match running.shared.namespace_report(nsid) {
            NamespaceReport::Flash(report) => proc_text::write_flash(out, nsid, &report)?,
            NamespaceReport::WithoutFlash => writeln!(out, "namespace {nsid}: a drive without flash")?,
            NamespaceReport::Absent => {}
        }
    }
    Ok(())
}

fn line(queue: QueueSnapshot) -> QueueLine {
    let QueueSnapshot {
        queue,
        pending,
        in_flight,
        in_flight_max,
        dispatch_calls,
        dispatched,
        bytes,
    } = queue;
    QueueLine {
        queue,
        pending,
        in_flight,
        in_flight_max,
        dispatch_calls,
        dispatched,
        bytes,
    }
}

/// Does what writing `text` to `file` means. Calls do not overlap: C holds a lock.
///
/// # Errors
/// If the text does not fit the file, or its values the model; then nothing has changed.
pub fn store(running: &Running, file: u32, text: &[u8]) -> Result<(), i32> {
    let mut times = running.times.copy();
    match file {
        shim::PROC_READ_TIMES => times.read = proc_text::parse_times(text).ok_or(shim::EINVAL)?,
        shim::PROC_WRITE_TIMES => times.write = proc_text::parse_times(text).ok_or(shim::EINVAL)?,
        shim::PROC_IO_UNITS => {
            (times.io_units, times.io_unit_shift) = proc_text::parse_io_units(text).ok_or(shim::EINVAL)?;
        }
        shim::PROC_STAT => {
            running.shared.statistics().reset();
            return Ok(());
        }
        shim::PROC_FTL => {
            running.shared.request_flash_reset();
            return Ok(());
        }
        shim::PROC_LATENESS => {
            running.shared.lateness().reset();
            return Ok(());
        }
        #[cfg(feature = "test-faults")]
        shim::PROC_DEBUG if text.trim_ascii() == b"suspend" => {
            return match shim::nvmev_suspend_and_resume() {
                0 => Ok(()),
                error => Err(error),
            };
        }
        #[cfg(feature = "test-faults")]
        shim::PROC_DEBUG if text.trim_ascii() == b"keep virtio awake" => {
            shim::nvmev_keep_virtio_awake();
            return Ok(());
        }
        #[cfg(feature = "test-faults")]
        shim::PROC_DEBUG => {
            crate::thread::request_fault(running, text);
            return Ok(());
        }
        // Where data is, what copies it and on which CPUs was said when loading.
        shim::PROC_DATA | shim::PROC_DMA | shim::PROC_CPUS => return Err(shim::EINVAL),
        // `debug` takes anything and does nothing, as in NVMeVirt.
        _ => return Ok(()),
    }
    if with_times(running.nvm, times).validate().is_err() {
        return Err(shim::EINVAL);
    }
    running.times.store(times);
    Ok(())
}
