/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between Linux and the Rust part of the module.
 *
 * C does what needs kernel headers (macros, inline functions, structures that differ between versions); Rust decides.
 * Everything that crosses is a plain integer, a pointer that the other side never looks into, or a byte buffer.
 * src/shim.rs repeats these declarations: change both together.
 */
#ifndef NVMEV_SHIM_H
#define NVMEV_SHIM_H

#include <linux/types.h>

#include "parameters.h"

#define NVMEV_VECTORS_MAX 129 /* one for the admin queue, 128 for I/O queues */

/* Zones a memory block can be in; where a block goes back to at unload. */
enum nvmev_zone { NVMEV_ZONE_KERNEL = 0, NVMEV_ZONE_MOVABLE = 1 };

/* What nvmev_memory_inspect() finds out about a range of physical addresses. */
enum nvmev_range {
	NVMEV_RANGE_RESERVED = 0, /* wholly reserved by firmware or memmap=, fit for use */
	NVMEV_RANGE_RAM = 1,	  /* the kernel uses at least a part of it */
	NVMEV_RANGE_UNBACKED = 2, /* not wholly reserved: a hole, a device, or beyond the last address */
};

#define NVMEV_DMA_BATCHES 64 /* commands of a worker whose data engines move at a time */

/* What nvmev_dma_state() finds out about the copies of a command. */
enum nvmev_copies {
	NVMEV_COPIES_UNDER_WAY = 0,
	NVMEV_COPIES_DONE = 1,
	NVMEV_COPIES_FAILED = 2,
};

/* The files in /proc/nvmev. */
enum nvmev_proc_file {
	NVMEV_PROC_READ_TIMES = 0,
	NVMEV_PROC_WRITE_TIMES = 1,
	NVMEV_PROC_IO_UNITS = 2,
	NVMEV_PROC_STAT = 3,
	NVMEV_PROC_DEBUG = 4,
	NVMEV_PROC_FTL = 5,
	NVMEV_PROC_LATENESS = 6,
	NVMEV_PROC_DATA = 7,
	NVMEV_PROC_DMA = 8,
	NVMEV_PROC_CPUS = 9,
	NVMEV_PROC_FILES = 10,
};

/* The module's parameters as the user wrote them; NULL where not given. Not const because module_param() has it so. */
struct nvmev_params {
#define NVMEV_MEMBER(name, description) char *name;
	NVMEV_PARAMETERS(NVMEV_MEMBER)
#undef NVMEV_MEMBER
};

struct nvmev_pci;
struct nvmev_irqs;
struct nvmev_peers;
struct nvmev_dma;
struct nvmev_thread;
struct nvmev_hotplug;
struct nvmev_power;
struct nvmev_proc;
struct cpumask;

/* ---- Rust, called by C ---- */

/* Brings the device up. On success *instance is what nvmev_rs_unload() takes; on failure nothing is left behind. */
int nvmev_rs_load(const struct nvmev_params *params, void **instance);
void nvmev_rs_unload(void *instance);
/* The body of a thread: returns once kthread_should_stop(). */
void nvmev_rs_thread(void *body);
/* Configuration space; under a raw spinlock, any CPU. */
u32 nvmev_rs_config_read(const void *running, u32 offset, u32 width);
void nvmev_rs_config_write(const void *running, u32 offset, u32 width, u32 value);
/* Fills buffer, returns the number of bytes. */
size_t nvmev_rs_proc_show(const void *core, u32 file, char *buffer, size_t capacity);
/* Returns 0 or a negative errno. Calls are serialised. */
int nvmev_rs_proc_store(const void *core, u32 file, const char *text, size_t len);
/* A CPU is about to go offline, or has come online. Calls are serialised. */
void nvmev_rs_cpu_changes(const void *running, u32 cpu, u32 is_leaving);
/* The device of this thread has failed: the thread panicked. */
void nvmev_rs_mark_failed(void *body);

/* ---- C, called by Rust ---- */

/* shim_main.c */
void nvmev_log(u32 is_error, const char *text, size_t len);
u64 nvmev_now_ns(void);
u64 nvmev_random(void);
void nvmev_sleep_us(u32 us);
u32 nvmev_cpu_is_online(u32 cpu);
u32 nvmev_cpu_limit(void);
u32 nvmev_cpu_node(u32 cpu);
void *nvmev_alloc(size_t bytes, size_t align, u32 zeroed);
void nvmev_free(void *memory);

/* shim_memory.c */
u64 nvmev_block_bytes(void);
u64 nvmev_ram_end(void);
u64 nvmev_memory_available(void);
u32 nvmev_node_count(void);
s32 nvmev_block_candidate(u64 start);
u32 nvmev_run_may_begin(u64 start);
s32 nvmev_block_take(u64 start, u32 *node, u32 *zone);
s32 nvmev_block_give_back(u64 start, u32 node, u32 zone);
u32 nvmev_interrupted(void);
u32 nvmev_memory_inspect(u64 start, u64 size);
s32 nvmev_memory_claim(u64 start, u64 size);
void nvmev_memory_release(u64 start, u64 size);
void *nvmev_map_bar(u64 start, u64 size);
void *nvmev_map_storage(u64 start, u64 size);
void nvmev_unmap(void *mapping);
void nvmev_clear(void *mapping, u64 size);

/* shim_copy.c */
u32 nvmev_host_read(struct nvmev_peers *peers, u64 address, void *into, size_t len);
u32 nvmev_host_load(struct nvmev_peers *peers, u64 address, u32 *into, size_t words);
u32 nvmev_host_is_readable(struct nvmev_peers *peers, u64 address, size_t len);
size_t nvmev_host_ram(u64 address, size_t len, u32 is_written);
u32 nvmev_host_write(struct nvmev_peers *peers, u64 address, const void *from, size_t len);
void nvmev_host_prefetch(u64 address, const void *ours, size_t len);
u32 nvmev_host_publish(struct nvmev_peers *peers, u64 address, const u64 *entry);

/* shim_peer.c */
struct nvmev_peers *nvmev_peers_create(u64 own_bar);
void nvmev_peers_destroy(struct nvmev_peers *peers);

/* shim_dma.c; no two threads at a time for one worker, but for the name and whether it is open */
struct nvmev_dma *nvmev_dma_open(const char *name, size_t name_len, u64 storage_start, u64 storage_bytes, u32 workers);
void nvmev_dma_close(struct nvmev_dma *dma);
const char *nvmev_dma_name(const struct nvmev_dma *dma, u32 worker);
u32 nvmev_dma_is_open(const struct nvmev_dma *dma, u32 worker);
size_t nvmev_dma_begin(struct nvmev_dma *dma, u32 worker, u32 batch, u32 is_to_host, u64 address, u64 media_offset,
		       size_t len);
void nvmev_dma_issue(struct nvmev_dma *dma, u32 worker);
u32 nvmev_dma_state(struct nvmev_dma *dma, u32 worker, u32 batch);
void nvmev_dma_abandon(struct nvmev_dma *dma, u32 worker);
void nvmev_dma_remove(struct nvmev_dma *dma, u32 worker);

/* shim_irq.c */
struct nvmev_irqs *nvmev_irqs_create(void);
void nvmev_irqs_destroy(struct nvmev_irqs *irqs);
void nvmev_raise_msix(struct nvmev_irqs *irqs, u32 vector);
void nvmev_raise_intx(struct nvmev_irqs *irqs);

/* shim_pci.c; *error is -EADDRINUSE if the domain has a bus already */
struct nvmev_pci *nvmev_pci_create(const void *running, struct nvmev_irqs *irqs, u64 bar_start, u64 bar_size,
				   u32 node, u32 domain, u32 bus_number, s32 *error);
void nvmev_pci_destroy(struct nvmev_pci *pci);

/* shim_faults.c, in a module for tests */
s32 nvmev_suspend_and_resume(void);
void nvmev_keep_virtio_awake(void);

/* shim_thread.c */
struct nvmev_thread *nvmev_thread_create(void *body, const char *name, u32 cpu, s32 *error);
void nvmev_thread_run(struct nvmev_thread *thread);
void nvmev_thread_stop(struct nvmev_thread *thread);
void nvmev_thread_free(struct nvmev_thread *thread);
u32 nvmev_thread_should_stop(void);
void nvmev_thread_yield(void);
s32 nvmev_thread_move(struct nvmev_thread *thread, u32 cpu);
void nvmev_thread_stay(struct nvmev_thread *thread);
void nvmev_thread_announce_sleep(struct nvmev_thread *thread);
void nvmev_thread_cancel_sleep(struct nvmev_thread *thread);
void nvmev_thread_sleep(struct nvmev_thread *thread, u64 ns);
void nvmev_thread_wake(struct nvmev_thread *thread);
void nvmev_panic_park(void);
struct cpumask *nvmev_node_enter(u32 node);
void nvmev_node_leave(struct cpumask *before);

/* shim_hotplug.c */
struct nvmev_hotplug *nvmev_hotplug_watch(const void *running, s32 *error);
void nvmev_hotplug_unwatch(struct nvmev_hotplug *hotplug);
void nvmev_cpus_hold(void);
void nvmev_cpus_release(void);
u32 nvmev_cpu_is_isolated(u32 cpu);

/* shim_power.c */
struct nvmev_power *nvmev_power_watch(s32 *error);
void nvmev_power_unwatch(struct nvmev_power *power);

/* shim_proc.c */
struct nvmev_proc *nvmev_proc_create(const void *core);
void nvmev_proc_destroy(struct nvmev_proc *proc);

#endif
