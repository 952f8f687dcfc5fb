// SPDX-License-Identifier: GPL-2.0-only
//! The C side of the border, as `shim.h` declares it. Change both together.

use core::ffi::{c_char, c_void};

use module_params::ParameterList;

/// `struct nvmev_params`: C strings, or null.
pub type Params = ParameterList<*const c_char>;

/// What C keeps for itself.
macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )*};
}

opaque!(Pci, Irqs, Peers, Dma, Thread, Hotplug, Power, CpuMask, Proc);

/// `enum nvmev_range`.
pub const RANGE_RESERVED: u32 = 0;
pub const RANGE_RAM: u32 = 1;

/// `enum nvmev_proc_file`.
pub const PROC_READ_TIMES: u32 = 0;
pub const PROC_WRITE_TIMES: u32 = 1;
pub const PROC_IO_UNITS: u32 = 2;
pub const PROC_STAT: u32 = 3;
#[cfg(feature = "test-faults")]
pub const PROC_DEBUG: u32 = 4;
pub const PROC_FTL: u32 = 5;
pub const PROC_LATENESS: u32 = 6;
pub const PROC_DATA: u32 = 7;
pub const PROC_DMA: u32 = 8;
pub const PROC_CPUS: u32 = 9;

/// `NVMEV_DMA_BATCHES`.
pub const DMA_BATCHES: usize = 64;

/// `enum nvmev_copies`.
pub const COPIES_UNDER_WAY: u32 = 0;
pub const COPIES_DONE: u32 = 1;

/// Error numbers that we give to the kernel, negative.
pub const ENOMEM: i32 = -12;
pub const EADDRINUSE: i32 = -98;
pub const EINVAL: i32 = -22;

unsafe extern "C" {
    // shim_main.c
    pub unsafe fn nvmev_log(is_error: u32, text: *const u8, len: usize);
    pub safe fn nvmev_now_ns() -> u64;
    pub safe fn nvmev_random() -> u64;
    pub safe fn nvmev_sleep_us(us: u32);
    pub safe fn nvmev_cpu_is_online(cpu: u32) -> u32;
    pub safe fn nvmev_cpu_limit() -> u32;
    pub safe fn nvmev_cpu_node(cpu: u32) -> u32;
    pub safe fn nvmev_alloc(bytes: usize, align: usize, zeroed: u32) -> *mut c_void;
    pub unsafe fn nvmev_free(memory: *mut c_void);

    // shim_memory.c
    pub safe fn nvmev_block_bytes() -> u64;
    pub safe fn nvmev_ram_end() -> u64;
    pub safe fn nvmev_memory_available() -> u64;
    pub safe fn nvmev_node_count() -> u32;
    pub safe fn nvmev_block_candidate(start: u64) -> i32;
    pub safe fn nvmev_run_may_begin(start: u64) -> u32;
    pub safe fn nvmev_block_take(start: u64, node: &mut u32, zone: &mut u32) -> i32;
    pub unsafe fn nvmev_block_give_back(start: u64, node: u32, zone: u32) -> i32;
    pub safe fn nvmev_interrupted() -> u32;
    pub safe fn nvmev_memory_inspect(start: u64, size: u64) -> u32;
    pub safe fn nvmev_memory_claim(start: u64, size: u64) -> i32;
    pub unsafe fn nvmev_memory_release(start: u64, size: u64);
    pub unsafe fn nvmev_map_bar(start: u64, size: u64) -> *mut c_void;
    pub unsafe fn nvmev_map_storage(start: u64, size: u64) -> *mut c_void;
    pub unsafe fn nvmev_unmap(mapping: *mut c_void);
    pub unsafe fn nvmev_clear(mapping: *mut c_void, size: u64);

    // shim_copy.c
    pub unsafe fn nvmev_host_read(peers: *mut Peers, address: u64, into: *mut u8, len: usize) -> u32;
    pub unsafe fn nvmev_host_load(peers: *mut Peers, address: u64, into: *mut u32, words: usize) -> u32;
    pub unsafe fn nvmev_host_is_readable(peers: *mut Peers, address: u64, len: usize) -> u32;
    pub unsafe fn nvmev_host_write(peers: *mut Peers, address: u64, from: *const u8, len: usize) -> u32;
    pub unsafe fn nvmev_host_prefetch(address: u64, ours: *const u8, len: usize);
    pub unsafe fn nvmev_host_publish(peers: *mut Peers, address: u64, entry: *const u64) -> u32;

    // shim_peer.c
    pub safe fn nvmev_peers_create(own_bar: u64) -> *mut Peers;
    pub unsafe fn nvmev_peers_destroy(peers: *mut Peers);

    // shim_dma.c
    pub unsafe fn nvmev_dma_open(
        name: *const u8,
        name_len: usize,
        storage_start: u64,
        storage_bytes: u64,
        workers: u32,
    ) -> *mut Dma;
    pub unsafe fn nvmev_dma_close(dma: *mut Dma);
    pub unsafe fn nvmev_dma_name(dma: *const Dma, worker: u32) -> *const c_char;
    pub unsafe fn nvmev_dma_is_open(dma: *const Dma, worker: u32) -> u32;
    pub unsafe fn nvmev_dma_begin(
        dma: *mut Dma,
        worker: u32,
        batch: u32,
        is_to_host: u32,
        address: u64,
        media_offset: u64,
        len: usize,
    ) -> usize;
    pub unsafe fn nvmev_dma_issue(dma: *mut Dma, worker: u32);
    pub unsafe fn nvmev_dma_state(dma: *mut Dma, worker: u32, batch: u32) -> u32;
    pub unsafe fn nvmev_dma_abandon(dma: *mut Dma, worker: u32);
    pub unsafe fn nvmev_dma_remove(dma: *mut Dma, worker: u32);

    // shim_irq.c
    pub safe fn nvmev_irqs_create() -> *mut Irqs;
    pub unsafe fn nvmev_irqs_destroy(irqs: *mut Irqs);
    pub unsafe fn nvmev_raise_msix(irqs: *mut Irqs, vector: u32);
    pub unsafe fn nvmev_raise_intx(irqs: *mut Irqs);

    // shim_pci.c
    pub unsafe fn nvmev_pci_create(
        running: *const c_void,
        irqs: *mut Irqs,
        bar_start: u64,
        bar_size: u64,
        node: u32,
        domain: u32,
        bus_number: u32,
        error: &mut i32,
    ) -> *mut Pci;
    pub unsafe fn nvmev_pci_destroy(pci: *mut Pci);

    // shim_faults.c
    #[cfg(feature = "test-faults")]
    pub safe fn nvmev_suspend_and_resume() -> i32;
    #[cfg(feature = "test-faults")]
    pub safe fn nvmev_keep_virtio_awake();

    // shim_thread.c
    pub unsafe fn nvmev_thread_create(
        body: *mut c_void,
        name: *const c_char,
        cpu: u32,
        error: &mut i32,
    ) -> *mut Thread;
    pub unsafe fn nvmev_thread_run(thread: *mut Thread);
    pub unsafe fn nvmev_thread_stop(thread: *mut Thread);
    pub unsafe fn nvmev_thread_free(thread: *mut Thread);
    pub safe fn nvmev_thread_should_stop() -> u32;
    pub safe fn nvmev_thread_yield();
    pub unsafe fn nvmev_thread_move(thread: *mut Thread, cpu: u32) -> i32;
    pub unsafe fn nvmev_thread_stay(thread: *mut Thread);
    pub unsafe fn nvmev_thread_announce_sleep(thread: *mut Thread);
    pub unsafe fn nvmev_thread_cancel_sleep(thread: *mut Thread);
    pub unsafe fn nvmev_thread_sleep(thread: *mut Thread, ns: u64);
    pub unsafe fn nvmev_thread_wake(thread: *mut Thread);
    pub safe fn nvmev_panic_park();
    pub safe fn nvmev_node_enter(node: u32) -> *mut CpuMask;
    pub unsafe fn nvmev_node_leave(before: *mut CpuMask);

    // shim_hotplug.c
    pub unsafe fn nvmev_hotplug_watch(running: *const c_void, error: &mut i32) -> *mut Hotplug;
    pub unsafe fn nvmev_hotplug_unwatch(hotplug: *mut Hotplug);
    pub unsafe fn nvmev_cpus_hold();
    pub unsafe fn nvmev_cpus_release();
    pub safe fn nvmev_cpu_is_isolated(cpu: u32) -> u32;

    // shim_power.c
    pub safe fn nvmev_power_watch(error: &mut i32) -> *mut Power;
    pub unsafe fn nvmev_power_unwatch(power: *mut Power);

    // shim_proc.c
    pub unsafe fn nvmev_proc_create(core: *const c_void) -> *mut Proc;
    pub unsafe fn nvmev_proc_destroy(proc: *mut Proc);
}
