// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of other PCI functions (peer-to-peer): a BAR that holds an address that the host gave us is mapped as a whole at
 * the first access, and the mapping is kept for those that follow.
 *
 * How long a mapping is used:
 *  - A function that is removed takes its mappings with it. The kernel tells us when nobody finds the function any more
 *    and its BARs are still its own, and we answer when no copy is under way any more that uses them.
 *  - A BAR that is released, moved or resized while its function stays is no longer the one that was mapped. Each copy
 *    compares the two; the next look for something to map throws the old mapping away. (A copy that has just compared may
 *    still go to the old place, as a transfer that is under way in a real machine would.)
 *  - If all places are taken, the longest mapped BAR gives way.
 * Nobody is held back: what we keep of a function is the kernel's structure, neither its driver nor its power.
 *
 * What it costs: a copy takes no lock. The first one to a BAR sleeps while that is mapped, and so does, for a walk over the
 * PCI functions, each one to an address that nobody has. Nothing is allocated but page tables.
 */
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "shim_peer.h"

/* BARs that are mapped at a time. */
#define MAPPINGS_MAX 16

struct mapping {
	struct pci_dev *device;
	unsigned int bar;
	u64 start, end; /* the end is its last byte */
	void __iomem *memory;
};

struct nvmev_peers {
	/* Where our own BAR begins, which is not another function's memory. */
	u64 own_bar;
	/* What is in use, for readers under RCU, and the place of each. */
	struct mapping __rcu *mappings[MAPPINGS_MAX];
	struct mapping places[MAPPINGS_MAX];
	/* For changes of all that follows and what is above. */
	struct mutex lock;
	unsigned int next;
	struct notifier_block notifier;
};

static bool is_where_it_was(const struct mapping *mapping)
{
	const struct resource *bar = &mapping->device->resource[mapping->bar];

	return READ_ONCE(bar->parent) && READ_ONCE(bar->start) == mapping->start &&
	       READ_ONCE(bar->end) == mapping->end;
}

/* Under RCU. */
static const struct mapping *find(const struct nvmev_peers *peers, u64 address)
{
	unsigned int place;

	for (place = 0; place < MAPPINGS_MAX; place++) {
		const struct mapping *mapping = rcu_dereference(peers->mappings[place]);

		if (mapping && address >= mapping->start && address <= mapping->end && is_where_it_was(mapping))
			return mapping;
	}
	return NULL;
}

/* ---- changes, under the lock ---- */

static struct mapping *mapping_in(struct nvmev_peers *peers, unsigned int place)
{
	return rcu_dereference_protected(peers->mappings[place], lockdep_is_held(&peers->lock));
}

static void unmap(struct nvmev_peers *peers, unsigned int place)
{
	struct mapping *mapping = mapping_in(peers, place);

	if (!mapping)
		return;
	RCU_INIT_POINTER(peers->mappings[place], NULL);
	synchronize_rcu();
	iounmap(mapping->memory);
	pci_dev_put(mapping->device);
}

static void unmap_function(struct nvmev_peers *peers, const struct pci_dev *device)
{
	unsigned int place;

	for (place = 0; place < MAPPINGS_MAX; place++) {
		const struct mapping *mapping = mapping_in(peers, place);

		if (mapping && mapping->device == device)
			unmap(peers, place);
	}
}

static void unmap_what_moved(struct nvmev_peers *peers)
{
	unsigned int place;

	for (place = 0; place < MAPPINGS_MAX; place++) {
		const struct mapping *mapping = mapping_in(peers, place);

		if (mapping && !is_where_it_was(mapping))
			unmap(peers, place);
	}
}

static bool map(struct nvmev_peers *peers, struct pci_dev *device, unsigned int bar)
{
	const struct resource *range = &device->resource[bar];
	struct mapping *mapping;
	unsigned int place;

	for (place = 0; place < MAPPINGS_MAX && mapping_in(peers, place); place++)
		;
	if (place == MAPPINGS_MAX) {
		place = peers->next++ % MAPPINGS_MAX;
		unmap(peers, place);
	}
	mapping = &peers->places[place];
	*mapping = (struct mapping){ .device = device, .bar = bar, .start = range->start, .end = range->end };
	/* Prefetchable is who can do with combined and repeated accesses. Another mapping of the same may decide otherwise. */
	if (range->flags & IORESOURCE_PREFETCH)
		mapping->memory = ioremap_wc(mapping->start, resource_size(range));
	else
		mapping->memory = ioremap(mapping->start, resource_size(range));
	if (!mapping->memory)
		return false;
	pci_dev_get(device);
	rcu_assign_pointer(peers->mappings[place], mapping);
	return true;
}

/* Parts of the machine, which no device transfers data with: bridges; interrupt controllers, timers and their like. */
static bool is_system(const struct pci_dev *device)
{
	u8 base_class = device->class >> 16;

	return base_class == PCI_BASE_CLASS_BRIDGE || base_class == PCI_BASE_CLASS_SYSTEM;
}

/* Which BAR of a function holds the address, if it can be accessed; else a negative number. */
static int bar_at(const struct nvmev_peers *peers, struct pci_dev *device, u64 address)
{
	u16 command = 0;
	int bar;

	if (is_system(device))
		return -ENOENT;
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		const struct resource *range = &device->resource[bar];

		if (!(range->flags & IORESOURCE_MEM) || !range->parent)
			continue;
		if (address < range->start || address > range->end || range->start == peers->own_bar)
			continue;
		pci_read_config_word(device, PCI_COMMAND, &command);
		return command & PCI_COMMAND_MEMORY ? bar : -ENOENT;
	}
	return -ENOENT;
}

/* Sees to it that the address is in a mapping; false if no function has memory there. */
static bool provide(struct nvmev_peers *peers, u64 address)
{
	struct pci_dev *device = NULL;
	bool is_mapped;

	mutex_lock(&peers->lock);
	unmap_what_moved(peers);
	/* Another thread may have been here before. */
	rcu_read_lock();
	is_mapped = find(peers, address);
	rcu_read_unlock();
	while (!is_mapped && (device = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, device))) {
		int bar = bar_at(peers, device, address);

		if (bar >= 0) {
			is_mapped = map(peers, device, bar);
			break;
		}
	}
	pci_dev_put(device);
	mutex_unlock(&peers->lock);
	return is_mapped;
}

/* ---- accesses ---- */

static void copy(const struct mapping *mapping, enum nvmev_access access, u64 address, void *buffer, size_t len)
{
	void __iomem *there = mapping->memory + (address - mapping->start);
	const u64 *entry = buffer;

	/* Write-combining memory is ordered against all other accesses only by barriers: what told us to read comes before. */
	switch (access) {
	case NVMEV_ACCESS_READ:
		rmb();
		memcpy_fromio(buffer, there, len);
		break;
	case NVMEV_ACCESS_WRITE:
		memcpy_toio(there, buffer, len);
		wmb();
		break;
	case NVMEV_ACCESS_PUBLISH:
		writeq(entry[0], there);
		wmb();
		writeq(entry[1], there + sizeof(*entry));
		wmb();
		break;
	}
}

size_t nvmev_peer_access(struct nvmev_peers *peers, enum nvmev_access access, u64 address, void *buffer, size_t len)
{
	size_t done = 0;
	bool is_second_look = false;

	do {
		const struct mapping *mapping;

		rcu_read_lock();
		mapping = find(peers, address);
		if (mapping) {
			done = min_t(u64, len, mapping->end - address + 1);
			copy(mapping, access, address, buffer, done);
		}
		rcu_read_unlock();
		if (done || is_second_look)
			break;
		is_second_look = true;
	} while (provide(peers, address));
	return done;
}

/* ---- coming and going ---- */

static int function_goes(struct notifier_block *notifier, unsigned long event, void *data)
{
	struct nvmev_peers *peers = container_of(notifier, struct nvmev_peers, notifier);

	if (event != BUS_NOTIFY_REMOVED_DEVICE)
		return NOTIFY_DONE;
	mutex_lock(&peers->lock);
	unmap_function(peers, to_pci_dev(data));
	mutex_unlock(&peers->lock);
	return NOTIFY_OK;
}

struct nvmev_peers *nvmev_peers_create(u64 own_bar)
{
	struct nvmev_peers *peers = kzalloc(sizeof(*peers), GFP_KERNEL);

	if (!peers)
		return NULL;
	peers->own_bar = own_bar;
	mutex_init(&peers->lock);
	peers->notifier.notifier_call = function_goes;
	if (bus_register_notifier(&pci_bus_type, &peers->notifier)) {
		kfree(peers);
		return NULL;
	}
	return peers;
}

/* Nobody may use them any more. */
void nvmev_peers_destroy(struct nvmev_peers *peers)
{
	unsigned int place;

	bus_unregister_notifier(&pci_bus_type, &peers->notifier);
	mutex_lock(&peers->lock);
	for (place = 0; place < MAPPINGS_MAX; place++)
		unmap(peers, place);
	mutex_unlock(&peers->lock);
	kfree(peers);
}
