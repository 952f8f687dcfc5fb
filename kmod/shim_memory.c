// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the device's memory comes from: a range reserved at boot, or whole memory blocks taken from the running kernel
 * by memory hot-remove and given back by hot-add. Which blocks, and what to do when one cannot be had, Rust decides.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include <asm/set_memory.h>

#include "shim.h"

/* ---- the running kernel's memory blocks ---- */

/* Zero where the kernel was built without memory hot-remove: these functions are then not there either. */
u64 nvmev_block_bytes(void)
{
	unsigned long (*block_bytes)(void) = (void *)__symbol_get("memory_block_size_bytes");
	void *remove = __symbol_get("offline_and_remove_memory");
	void *add = __symbol_get("add_memory");
	u64 bytes = block_bytes && remove && add ? block_bytes() : 0;

	if (add)
		__symbol_put("add_memory");
	if (remove)
		__symbol_put("offline_and_remove_memory");
	if (block_bytes)
		__symbol_put("memory_block_size_bytes");
	return bytes;
}

static int ram_end_of(struct resource *range, void *end)
{
	*(u64 *)end = max(*(u64 *)end, (u64)range->end + 1);
	return 0;
}

u64 nvmev_ram_end(void)
{
	u64 end = 0;

	walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0, -1, &end, ram_end_of);
	return end;
}

u64 nvmev_memory_available(void)
{
	return (u64)si_mem_available() << PAGE_SHIFT;
}

u32 nvmev_node_count(void)
{
	return num_online_nodes();
}

u32 nvmev_interrupted(void)
{
	return signal_pending(current);
}

/*
 * Whether the page looks free or movable. Without locks, so only a guess; but a block with an unmovable page would be
 * refused with a page dump in the log, and most such pages stay what they are.
 */
static bool page_looks_movable(struct page *page)
{
	if (PageReserved(page))
		return false;
	return !page_count(page) || PageLRU(page) || (!PageSlab(page) && PageAnon(page));
}

/* The node of a block that is online and may be had, -1 of any other. */
s32 nvmev_block_candidate(u64 start)
{
	unsigned long pfn = PHYS_PFN(start), end = PHYS_PFN(start + nvmev_block_bytes());
	int node = NUMA_NO_NODE;

	for (; pfn < end; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || !page_looks_movable(page))
			return NUMA_NO_NODE;
		if (node != NUMA_NO_NODE && node != page_to_nid(page))
			return NUMA_NO_NODE;
		node = page_to_nid(page);
		if (!(pfn % 1024))
			cond_resched();
	}
	return node;
}

struct ram_around {
	u64 block;
	u64 start, end; /* of the entry in /proc/iomem that the block lies in; the end is its last byte */
};

static int ram_around_block(struct resource *range, void *data)
{
	struct ram_around *ram = data;

	if (ram->block < range->start || ram->block > range->end)
		return 0;
	ram->start = range->start;
	ram->end = range->end;
	return 1;
}

static int found(struct resource *range, void *unused)
{
	return 1;
}

/*
 * Whether blocks from here upwards can be cut out of the kernel's map of memory. Cutting an entry in two fails, with a
 * warning and with the memory lost, if a part of the entry above the cut has a name of its own: the kernel's image (which
 * is at a random place) or the crash kernel's memory. Shortening an entry at its beginning always works; hence a run is
 * taken upwards.
 */
u32 nvmev_run_may_begin(u64 start)
{
	const unsigned long flags = IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY;
	u64 image = virt_to_phys((void *)_printk);
	struct ram_around ram = { .block = start };

	/* Over everything: of a part of the map, the callback is given only what lies in that part. */
	walk_iomem_res_desc(IORES_DESC_NONE, flags, 0, -1, &ram, ram_around_block);
	if (start == ram.start)
		return 1;
	if (image > start && image <= ram.end)
		return 0;
	return walk_iomem_res_desc(IORES_DESC_CRASH_KERNEL, flags, start, ram.end, NULL, found) != 1;
}

/*
 * The kernel may map this memory for itself with a single entry for 1 GiB, of which its hot-remove code is not made to
 * take away a part: the entry is split before, to be safe.
 * Changing a page's caching and back is the way to that which modules have, and harmless to who uses the page.
 */
static int split_direct_map(u64 start)
{
#ifdef CONFIG_X86
	unsigned long address = (unsigned long)__va(start);
	unsigned int level;

	if (!lookup_address(address, &level) || level != PG_LEVEL_1G)
		return 0;
	if (!set_memory_uc(address, 1))
		set_memory_wb(address, 1);
	lookup_address(address, &level);
	return level == PG_LEVEL_1G ? -EBUSY : 0;
#else
	return 0;
#endif
}

/* Takes a block away from the kernel; *node and *zone say where it was. */
s32 nvmev_block_take(u64 start, u32 *node, u32 *zone)
{
	int (*remove)(u64 start, u64 size);
	u64 bytes = nvmev_block_bytes();
	struct page *page = pfn_to_online_page(PHYS_PFN(start));
	int error;

	if (!page)
		return -ENOENT;
	*node = page_to_nid(page);
	*zone = page_zonenum(page) == ZONE_MOVABLE ? NVMEV_ZONE_MOVABLE : NVMEV_ZONE_KERNEL;
	error = bytes % PUD_SIZE ? split_direct_map(start) : 0;
	if (error)
		return error;
	remove = (void *)__symbol_get("offline_and_remove_memory");
	if (!remove)
		return -EOPNOTSUPP;
	error = remove(start, bytes);
	__symbol_put("offline_and_remove_memory");
	return error;
}

static bool block_is_online(struct file *state)
{
	char text[16] = "";
	loff_t position = 0;

	return kernel_read(state, text, sizeof(text) - 1, &position) > 0 && !strncmp(text, "online", 6);
}

/*
 * Brings a block that was added back into use. There is no exported function for it; this is what an administrator does.
 * Somebody else may be doing the same (auto_online_blocks, a udev rule): the file then tells us to try again, as a system
 * call would by itself, or says that there is nothing to do.
 */
static int block_online(u64 number, u32 zone)
{
	const char *how = zone == NVMEV_ZONE_MOVABLE ? "online_movable" : "online_kernel";
	int attempts = 1000;
	char path[64];
	struct file *state;
	ssize_t done = 0;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%llu/state", number);
	state = filp_open(path, O_RDWR, 0);
	if (IS_ERR(state))
		return PTR_ERR(state);
	while (!block_is_online(state)) {
		loff_t position = 0;

		done = kernel_write(state, how, strlen(how), &position);
		if (done != -ERESTARTNOINTR || !attempts--)
			break;
		/* restart_syscall() marked a signal as pending for a system call that is not there. */
		spin_lock_irq(&current->sighand->siglock);
		recalc_sigpending();
		spin_unlock_irq(&current->sighand->siglock);
		msleep(5);
	}
	if (done < 0 && block_is_online(state))
		done = 0;
	filp_close(state, NULL);
	return done < 0 ? done : 0;
}

s32 nvmev_block_give_back(u64 start, u32 node, u32 zone)
{
	int (*add)(int node, u64 start, u64 size, mhp_t flags) = (void *)__symbol_get("add_memory");
	u64 bytes = nvmev_block_bytes();
	int error;

	if (!add)
		return -EOPNOTSUPP;
	error = add(node, start, bytes, MHP_MERGE_RESOURCE);
	__symbol_put("add_memory");
	return error ?: block_online(div64_u64(start, bytes), zone);
}

/* ---- a range reserved at boot ---- */

struct coverage {
	u64 end; /* reserved without a gap up to here */
};

static int cover(struct resource *range, void *data)
{
	struct coverage *coverage = data;

	if (range->start > coverage->end)
		return 1;
	coverage->end = max(coverage->end, (u64)range->end + 1);
	return 0;
}

u32 nvmev_memory_inspect(u64 start, u64 size)
{
	struct coverage coverage = { .end = start };

	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) != REGION_DISJOINT)
		return NVMEV_RANGE_RAM;
	walk_iomem_res_desc(IORES_DESC_RESERVED, IORESOURCE_MEM, start, start + size - 1, &coverage, cover);
	return coverage.end >= start + size ? NVMEV_RANGE_RESERVED : NVMEV_RANGE_UNBACKED;
}

/* ---- any range, once it is ours ---- */

/* So that nobody else takes it, and /proc/iomem says whose it is. */
s32 nvmev_memory_claim(u64 start, u64 size)
{
	return request_mem_region(start, size, "NVMeVirt storage") ? 0 : -EBUSY;
}

void nvmev_memory_release(u64 start, u64 size)
{
	release_mem_region(start, size);
}

/* Write-through: the driver maps the BAR uncached, which x86 refuses beside a write-back mapping but not beside this. */
void *nvmev_map_bar(u64 start, u64 size)
{
	return memremap(start, size, MEMREMAP_WT);
}

void *nvmev_map_storage(u64 start, u64 size)
{
	return memremap(start, size, MEMREMAP_WB);
}

void nvmev_unmap(void *mapping)
{
	memunmap(mapping);
}

/* What was in memory taken from the running kernel is nobody's business. */
void nvmev_clear(void *mapping, u64 size)
{
	while (size) {
		size_t part = min_t(u64, size, SZ_16M);

		memset(mapping, 0, part);
		cond_resched();
		mapping += part;
		size -= part;
	}
}
