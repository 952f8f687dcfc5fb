// SPDX-License-Identifier: GPL-2.0-only
//! The functions that C calls.

use alloc::boxed::Box;
use core::ffi::{c_char, c_void, CStr};
use core::slice;

use module_params::TextBuffer;
use nvme_device::HostMemory;

use crate::hotplug;
use crate::instance::Instance;
use crate::log::{error, info};
use crate::procfs;
use crate::running::Running;
use crate::shim::{self, Params};
use crate::thread::Body;

/// A parameter's text. What is no UTF-8 is no valid value of any of them, and the parsers say so.
///
/// # Safety
/// `text` is null or a C string that stays as it is for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("(not UTF-8)"))
}

/// Brings the device up.
///
/// # Safety
/// `params` holds null pointers or C strings, and `instance` is C's to fill in.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_load(params: &Params, instance: &mut *mut c_void) -> i32 {
    // SAFETY: the module's parameters are null or C strings, and nobody can change them after loading began.
    let params = params.map(|_, value| unsafe { text(value) });
    match Instance::load(&params) {
        Ok(loaded) => {
            *instance = Box::into_raw(Box::new(loaded)).cast();
            0
        }
        Err(refusal) => {
            error!("{refusal}");
            refusal.errno()
        }
    }
}

/// Takes the device down.
///
/// # Safety
/// `instance` is from [`nvmev_rs_load`] and used no more.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_unload(instance: *mut c_void) {
    // SAFETY: the caller's promise: it is the box that was made there.
    drop(unsafe { Box::from_raw(instance.cast::<Instance>()) });
    info!("Virtual NVMe device closed");
}

/// A thread of ours begins.
///
/// # Safety
/// `body` is what the thread was made with.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_thread(body: *mut c_void) {
    // SAFETY: the caller's promise; `Threads` leaves the body to this thread alone until it has ended.
    unsafe { &mut *body.cast::<Body>() }.run();
}

/// A CPU is about to go offline, or has come online.
///
/// # Safety
/// `running` is what the watch was made with, and calls do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_cpu_changes(running: *const c_void, cpu: u32, is_leaving: u32) {
    // SAFETY: the caller's promise; `Watch` keeps it alive.
    hotplug::cpu_changes(unsafe { &*running.cast::<Running>() }, cpu, is_leaving != 0);
}

/// A thread of ours panicked.
///
/// # Safety
/// `body` is what the calling thread was made with.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_mark_failed(body: *const c_void) {
    // SAFETY: the caller's promise. The panic ended every other use of the body: nothing of this thread runs again.
    unsafe { &*body.cast::<Body>() }.mark_failed();
}

/// Reads configuration space.
///
/// # Safety
/// `running` is what the PCI bus was made with.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_config_read(running: *const c_void, offset: u32, width: u32) -> u32 {
    // SAFETY: the caller's promise; `PciBus` keeps it alive.
    let running = unsafe { &*running.cast::<Running>() };
    running.shared.config_space().read(offset, width)
}

/// Writes configuration space.
///
/// # Safety
/// As of [`nvmev_rs_config_read`]; and nobody else writes at the same time, which a lock in C sees to.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_config_write(running: *const c_void, offset: u32, width: u32, value: u32) {
    // SAFETY: the caller's promise; `PciBus` keeps it alive.
    let running = unsafe { &*running.cast::<Running>() };
    running
        .shared
        .write_config(running.host.bar(), offset, width, value);
}

/// Fills `buffer` with what a file in `/proc/nvmev` says, and returns the length.
///
/// # Safety
/// `running` is what the folder was made with; `buffer` has `capacity` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_proc_show(
    running: *const c_void,
    file: u32,
    buffer: *mut u8,
    capacity: usize,
) -> usize {
    // SAFETY: the caller's promise. The buffer is cleared first because a slice of uninitialised bytes is not allowed.
    let (running, buffer) = unsafe {
        buffer.write_bytes(0, capacity);
        (
            &*running.cast::<Running>(),
            slice::from_raw_parts_mut(buffer, capacity),
        )
    };
    let mut out = TextBuffer::new(buffer);
    if procfs::show(running, file, &mut out).is_err() {
        error!("a file in /proc/nvmev is longer than {capacity} bytes and was cut off");
    }
    out.as_bytes().len()
}

/// Somebody wrote to a file in `/proc/nvmev`.
///
/// # Safety
/// `running` is what the folder was made with; `text` has `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmev_rs_proc_store(
    running: *const c_void,
    file: u32,
    text: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let (running, text) = unsafe { (&*running.cast::<Running>(), slice::from_raw_parts(text, len)) };
    match procfs::store(running, file, text) {
        Ok(()) => 0,
        Err(errno) => errno,
    }
}

// C's idea of these is checked by nothing else.
const _: () = {
    assert!(shim::EINVAL < 0 && shim::ENOMEM < 0);
};
