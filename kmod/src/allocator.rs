// SPDX-License-Identifier: GPL-2.0-only
//! `alloc` on the kernel's allocator.

use core::alloc::{GlobalAlloc, Layout};

use crate::shim;

struct KernelAllocator;

// SAFETY: `nvmev_alloc` gives memory of at least the size and alignment asked for that nobody else has, or null;
// `nvmev_free` takes any of it back. Neither unwinds.
unsafe impl GlobalAlloc for KernelAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        shim::nvmev_alloc(layout.size(), layout.align(), 0).cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        shim::nvmev_alloc(layout.size(), layout.align(), 1).cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: the caller got it from one of the two above and is done with it.
        unsafe { shim::nvmev_free(memory.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: KernelAllocator = KernelAllocator;
