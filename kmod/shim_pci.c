// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI side: a root bus of our own, in a domain that nobody else uses, with one device whose configuration space is
 * answered by Rust and whose BAR lies in the memory we took. To the nvme driver it is a device like any other.
 */
#include <linux/ioport.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/pci-ecam.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "shim_irq.h"

/* What the architecture's code expects behind a root bus. On arm64 with ACPI that is an ECAM window; one without a parent has no ACPI device. */
#ifdef CONFIG_X86
typedef struct pci_sysdata nvmev_sysdata;
#else
typedef struct pci_config_window nvmev_sysdata;
#endif

struct nvmev_pci {
	nvmev_sysdata sysdata;
	u32 domain;
	u32 node;
	struct pci_bus *bus;
	struct resource window;
	struct resource bus_number;
	struct notifier_block notifier;
	struct nvmev_irqs *irqs;
	const void *running;
	raw_spinlock_t config_lock; /* not every architecture has a lock of its own around these accesses */
};

static struct nvmev_pci *from_bus(struct pci_bus *bus)
{
	return container_of((nvmev_sysdata *)bus->sysdata, struct nvmev_pci, sysdata);
}

static int config_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	if (devfn)
		*value = ~0;
	else
		*value = nvmev_rs_config_read(from_bus(bus)->running, where, size);
	return PCIBIOS_SUCCESSFUL;
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	struct nvmev_pci *pci = from_bus(bus);
	unsigned long flags;

	if (!devfn) {
		raw_spin_lock_irqsave(&pci->config_lock, flags);
		nvmev_rs_config_write(pci->running, where, size, value);
		raw_spin_unlock_irqrestore(&pci->config_lock, flags);
	}
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = config_read,
	.write = config_write,
};

/*
 * A device appears on our bus, at first or after a remove and rescan, and no driver has seen it yet: give it what
 * firmware would have given.
 */
static int device_appears(struct notifier_block *notifier, unsigned long event, void *data)
{
	struct nvmev_pci *pci = container_of(notifier, struct nvmev_pci, notifier);
	struct pci_dev *device = to_pci_dev(data);

	if (event != BUS_NOTIFY_ADD_DEVICE || device->bus->sysdata != &pci->sysdata)
		return NOTIFY_DONE;
	dev_set_msi_domain(&device->dev, nvmev_msix_domain(pci->irqs));
	device->irq = nvmev_irqs_intx(pci->irqs);
	set_dev_node(&device->dev, pci->node);
	/* With a pin, ACPI would look for the wire that leads from it. */
	device->pin = 0;
	if (device->resource[0].flags && !device->resource[0].parent && pci_claim_resource(device, 0))
		pci_warn(device, "BAR 0 is not where NVMeVirt put it\n");
	return NOTIFY_OK;
}

/* Nobody else gets the domain until it is released: Hyper-V's driver too takes domains of 16 bits. */
static bool domain_reserve(u32 domain)
{
	struct pci_bus *bus = NULL;

	while ((bus = pci_find_next_bus(bus)) != NULL) {
		if (pci_domain_nr(bus) == domain)
			return false;
	}
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	return pci_bus_find_emul_domain_nr(domain, domain, domain) == domain;
#else
	return true;
#endif
}

static void domain_release(u32 domain)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	pci_bus_release_emul_domain_nr(domain);
#endif
}

/* Makes the bus and finds the device on it; takes the resources, or frees them if it fails. */
#ifdef CONFIG_X86
static struct pci_bus *root_bus_create(struct nvmev_pci *pci, u32 number, struct list_head *resources)
{
	struct pci_bus *bus;

	pci->sysdata.domain = pci->domain;
	pci->sysdata.node = pci->node;
	bus = pci_create_root_bus(NULL, number, &config_ops, &pci->sysdata, resources);
	if (!bus) {
		pci_free_resource_list(resources);
		return NULL;
	}
	dev_set_msi_domain(&bus->dev, nvmev_msix_domain(pci->irqs));
	pci_scan_child_bus(bus);
	return bus;
}
#else
static struct pci_bus *root_bus_create(struct nvmev_pci *pci, u32 number, struct list_head *resources)
{
	struct pci_host_bridge *bridge = pci_alloc_host_bridge(0);

	if (!bridge) {
		pci_free_resource_list(resources);
		return NULL;
	}
	list_splice_init(resources, &bridge->windows);
	bridge->sysdata = &pci->sysdata;
	bridge->busnr = number;
	bridge->domain_nr = pci->domain;
	bridge->ops = &config_ops;
	if (pci_scan_root_bus_bridge(bridge)) {
		pci_free_host_bridge(bridge);
		return NULL;
	}
	dev_set_msi_domain(&bridge->bus->dev, nvmev_msix_domain(pci->irqs));
	return bridge->bus;
}
#endif

struct nvmev_pci *nvmev_pci_create(const void *running, struct nvmev_irqs *irqs, u64 bar_start, u64 bar_size,
				   u32 node, u32 domain, u32 bus_number, s32 *error)
{
	struct nvmev_pci *pci = kzalloc(sizeof(*pci), GFP_KERNEL);
	LIST_HEAD(resources);

	*error = -ENOMEM;
	if (!pci)
		return NULL;
	pci->running = running;
	raw_spin_lock_init(&pci->config_lock);
	pci->irqs = irqs;
	pci->domain = domain;
	pci->node = node;
	/* Just the BAR: where else could a rescan put it? */
	pci->window = (struct resource)DEFINE_RES_NAMED(bar_start, bar_size, "NVMeVirt PCI bus", IORESOURCE_MEM);
	pci->bus_number = (struct resource)DEFINE_RES_NAMED(bus_number, 1, "NVMeVirt bus number", IORESOURCE_BUS);
	pci_lock_rescan_remove();
	*error = -EADDRINUSE;
	if (!domain_reserve(domain))
		goto free;
	*error = insert_resource(&iomem_resource, &pci->window);
	if (*error)
		goto release_domain;
	pci->notifier.notifier_call = device_appears;
	*error = bus_register_notifier(&pci_bus_type, &pci->notifier);
	if (*error)
		goto remove_window;

	pci_add_resource(&resources, &pci->window);
	pci_add_resource(&resources, &pci->bus_number);
	pci->bus = root_bus_create(pci, bus_number, &resources);
	if (!pci->bus) {
		*error = -ENOMEM;
		goto unregister;
	}
	pci_bus_add_devices(pci->bus);
	pci_unlock_rescan_remove();
	return pci;

unregister:
	bus_unregister_notifier(&pci_bus_type, &pci->notifier);
remove_window:
	remove_resource(&pci->window);
release_domain:
	domain_release(domain);
free:
	pci_unlock_rescan_remove();
	kfree(pci);
	return NULL;
}

/* Takes the device away from its driver first; our threads still answer, so that it can shut down in order. */
void nvmev_pci_destroy(struct nvmev_pci *pci)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(pci->bus);
	pci_remove_root_bus(pci->bus);
	domain_release(pci->domain);
	pci_unlock_rescan_remove();
	bus_unregister_notifier(&pci_bus_type, &pci->notifier);
	remove_resource(&pci->window);
	kfree(pci);
}
