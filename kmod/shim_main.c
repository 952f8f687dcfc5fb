// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading, parameters, and the small services (log, clock, CPUs, allocator) that Rust asks the kernel for.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

#include "shim.h"

/* Taken as text: Rust parses and checks all of them in one place and can say what is wrong with each. */
static struct nvmev_params params;

#define MODULE_PARAMETER(name, description)                        \
	module_param_named(name, params.name, charp, 0444);        \
	MODULE_PARM_DESC(name, description);

NVMEV_PARAMETERS(MODULE_PARAMETER)

/* What Rust gave us for this load of the module. */
static void *instance;

static int __init nvmev_init(void)
{
	return nvmev_rs_load(&params, &instance);
}

static void __exit nvmev_exit(void)
{
	nvmev_rs_unload(instance);
}

module_init(nvmev_init);
module_exit(nvmev_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("NVMeVirt in Rust: a native NVMe SSD made of memory and a timing model");
MODULE_VERSION(NVMEV_VERSION);

void nvmev_log(u32 is_error, const char *text, size_t len)
{
	if (is_error)
		printk(KERN_ERR "NVMeVirt: %.*s\n", (int)len, text);
	else
		printk(KERN_INFO "NVMeVirt: %.*s\n", (int)len, text);
}

/*
 * CLOCK_MONOTONIC. There is one for all CPUs: the kernel derives it from one clocksource, which is the TSC only as long as the TSCs of all
 * CPUs agree, so a time that the dispatcher took can be compared with one that a worker takes.
 */
u64 nvmev_now_ns(void)
{
	return ktime_get_ns();
}

u64 nvmev_random(void)
{
	return get_random_u64();
}

/* Only where sleeping is allowed. */
void nvmev_sleep_us(u32 us)
{
	usleep_range(us, 2 * us);
}

u32 nvmev_cpu_limit(void)
{
	return nr_cpu_ids;
}

u32 nvmev_cpu_is_online(u32 cpu)
{
	return cpu < nr_cpu_ids && cpu_online(cpu);
}

u32 nvmev_cpu_node(u32 cpu)
{
	int node = cpu_to_node(cpu);

	return node == NUMA_NO_NODE ? 0 : node;
}

/* Tables of large drives, which must not take the last page: others' processes would be killed for the next one. */
#define LARGE_BYTES SZ_64M
#define LEFT_BYTES SZ_128M

/* vmalloc's flags for what may fail: nobody is killed for it. From 6.19 on vmalloc warns about the first, which tries harder. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define MAY_FAIL (__GFP_NOWARN | __GFP_RETRY_MAYFAIL)
#else
#define MAY_FAIL (__GFP_NOWARN | __GFP_NORETRY)
#endif

/*
 * Tables of so much are looked at in random places, and small pages would each time have to be looked up besides: a processor remembers
 * about 2000 of them.
 */
#define LARGE_PAGES_BYTES SZ_8M

/* Memory in large pages, as far as they can be had without much ado. */
static void *alloc_in_large_pages(size_t bytes, gfp_t gfp)
{
	gfp |= __GFP_NOWARN | __GFP_NORETRY;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	return vmalloc_huge(bytes, gfp);
#else
	return __vmalloc(bytes, gfp);
#endif
}

/*
 * Small requests wait until they succeed, so that the handful of infallible allocations in Rust (an Arc, a Box) cannot
 * fail; large ones may fail and are asked for fallibly: they fail before others' processes are killed for them.
 */
void *nvmev_alloc(size_t bytes, size_t align, u32 zeroed)
{
	gfp_t gfp = GFP_KERNEL | (zeroed ? __GFP_ZERO : 0);
	void *memory;

	if (align > PAGE_SIZE)
		return NULL;
	if (bytes >= LARGE_BYTES && PFN_UP(bytes) + PFN_UP(LEFT_BYTES) > si_mem_available())
		return NULL;
	/* kmalloc aligns a power of two to itself; beyond that kvmalloc gives whole pages. */
	if (align > ARCH_KMALLOC_MINALIGN && bytes <= PAGE_SIZE)
		bytes = roundup_pow_of_two(max(bytes, align));
	if (bytes <= PAGE_SIZE)
		return kmalloc(bytes, gfp | __GFP_NOFAIL);
	if (bytes >= LARGE_PAGES_BYTES) {
		memory = alloc_in_large_pages(bytes, gfp);
		if (memory)
			return memory;
	}
	if (bytes > INT_MAX) /* kvmalloc warns about these; tables of terabyte drives are as large */
		return __vmalloc(bytes, gfp | MAY_FAIL);
	/* A kmalloc of more than a page is aligned to a page only if it is a power of two; vmalloc always is. */
	if (align > ARCH_KMALLOC_MINALIGN)
		bytes = max_t(size_t, roundup_pow_of_two(bytes), bytes);
	return kvmalloc(bytes, gfp | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
}

void nvmev_free(void *memory)
{
	kvfree(memory);
}
