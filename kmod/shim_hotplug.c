// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that go offline and come back. What happens to the threads then is decided by Rust.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "shim.h"

struct nvmev_hotplug {
	struct hlist_node node;
	enum cpuhp_state state;
	const void *running;
};

static const void *running_of(struct hlist_node *node)
{
	return hlist_entry(node, struct nvmev_hotplug, node)->running;
}

/* On a CPU that threads can run on from now on. */
static int cpu_comes(unsigned int cpu, struct hlist_node *node)
{
	nvmev_rs_cpu_changes(running_of(node), cpu, 0);
	return 0;
}

/* On a CPU that the scheduler has taken all ordinary threads from already. */
static int cpu_goes(unsigned int cpu, struct hlist_node *node)
{
	nvmev_rs_cpu_changes(running_of(node), cpu, 1);
	return 0;
}

/* Calls nvmev_rs_cpu_changes() from now on. */
struct nvmev_hotplug *nvmev_hotplug_watch(const void *running, s32 *error)
{
	struct nvmev_hotplug *hotplug = kzalloc(sizeof(*hotplug), GFP_KERNEL);
	int state;

	if (!hotplug) {
		*error = -ENOMEM;
		return NULL;
	}
	hotplug->running = running;
	state = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "nvmev:online", cpu_comes, cpu_goes);
	if (state < 0) {
		*error = state;
		goto free;
	}
	hotplug->state = state;
	*error = cpuhp_state_add_instance_nocalls(hotplug->state, &hotplug->node);
	if (*error)
		goto remove;
	return hotplug;

remove:
	cpuhp_remove_multi_state(hotplug->state);
free:
	kfree(hotplug);
	return NULL;
}

/* No call is under way any more, and none comes. */
void nvmev_hotplug_unwatch(struct nvmev_hotplug *hotplug)
{
	cpuhp_state_remove_instance_nocalls(hotplug->state, &hotplug->node);
	cpuhp_remove_multi_state(hotplug->state);
	kfree(hotplug);
}

/* No CPU goes offline or comes online until nvmev_cpus_release(). Does not nest. */
void nvmev_cpus_hold(void)
{
	cpus_read_lock();
}

void nvmev_cpus_release(void)
{
	cpus_read_unlock();
}

/* Whether the CPU is kept from the scheduler's balancing or from its tick, for somebody's own purposes. */
u32 nvmev_cpu_is_isolated(u32 cpu)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return cpu_is_isolated(cpu);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	return !housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN) || !housekeeping_test_cpu(cpu, HK_TYPE_TICK);
#else
	return !housekeeping_test_cpu(cpu, HK_FLAG_DOMAIN) || !housekeeping_test_cpu(cpu, HK_FLAG_TICK);
#endif
}
