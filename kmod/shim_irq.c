// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts. The device is made of software, so nothing ever writes an MSI message: an interrupt domain of our own
 * hands out vectors whose messages go nowhere, and we run the driver's handler on a CPU of the vector's affinity. That
 * works the same with and without interrupt remapping.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/version.h>

#include "shim_irq.h"

enum { NVMEV_VECTOR_PENDING };

/* One interrupt that can be fired from any thread. */
struct nvmev_vector {
	unsigned int irq; /* Linux's number; 0 while the driver has not set it up */
	unsigned long flags;
	call_single_data_t remote;
	struct irq_work local;
};

struct nvmev_irqs {
	struct fwnode_handle *fwnode;
	struct irq_domain *domain;
	struct nvmev_vector intx;
	struct nvmev_vector msix[NVMEV_VECTORS_MAX];
};

/* ---- firing ---- */

/* In hard interrupt context, on the CPU where the driver's handler is to run. */
static void vector_run(struct nvmev_vector *vector)
{
	unsigned int irq = READ_ONCE(vector->irq);

	/* Before the handler looks at its queue: what is completed from here on fires again. */
	clear_bit(NVMEV_VECTOR_PENDING, &vector->flags);
	smp_mb__after_atomic();
	if (irq)
		generic_handle_irq(irq);
}

static void vector_run_remote(void *vector)
{
	vector_run(vector);
}

static void vector_run_local(struct irq_work *work)
{
	vector_run(container_of(work, struct nvmev_vector, local));
}

static void vector_fire(struct nvmev_vector *vector)
{
	unsigned int irq = READ_ONCE(vector->irq);
	struct irq_data *data;
	unsigned int target, here;

	/* One that is already under way will see what this one is about. */
	if (!irq || test_and_set_bit(NVMEV_VECTOR_PENDING, &vector->flags))
		return;
	here = get_cpu();
	data = irq_get_irq_data(irq);
	target = data ? cpumask_first(irq_data_get_effective_affinity_mask(data)) : here;
	/* The target may be going offline just now; then the driver's handler may run anywhere. */
	if (target == here || smp_call_function_single_async(target, &vector->remote))
		irq_work_queue(&vector->local);
	put_cpu();
}

static void vector_init(struct nvmev_vector *vector)
{
	vector->remote.func = vector_run_remote;
	vector->remote.info = vector;
	vector->local = IRQ_WORK_INIT_HARD(vector_run_local);
}

/* Nothing of the vector is running or queued any more. */
static void vector_drain(struct nvmev_vector *vector)
{
	WRITE_ONCE(vector->irq, 0);
	while (test_bit(NVMEV_VECTOR_PENDING, &vector->flags))
		usleep_range(50, 100);
	irq_work_sync(&vector->local);
}

void nvmev_raise_msix(struct nvmev_irqs *irqs, u32 vector)
{
	if (vector < NVMEV_VECTORS_MAX)
		vector_fire(&irqs->msix[vector]);
}

void nvmev_raise_intx(struct nvmev_irqs *irqs)
{
	vector_fire(&irqs->intx);
}

/* ---- the chip: where interrupts of ours are routed ---- */

static void chip_ignore(struct irq_data *data)
{
}

static int chip_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	unsigned int cpu = cpumask_first_and(mask, cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK;
}

/* What was fired while the driver had the interrupt disabled. */
static int chip_retrigger(struct irq_data *data)
{
	vector_fire(irq_data_get_irq_chip_data(data));
	return 1;
}

/* The message is never sent; it only has to be one that the driver's side accepts. */
static void chip_compose_message(struct irq_data *data, struct msi_msg *message)
{
	memset(message, 0, sizeof(*message));
	message->data = data->hwirq;
}

static struct irq_chip msix_chip = {
	.name = "NVMEV-MSIX",
	.irq_ack = chip_ignore,
	.irq_mask = pci_msi_mask_irq,
	.irq_unmask = pci_msi_unmask_irq,
	.irq_set_affinity = chip_set_affinity,
	.irq_retrigger = chip_retrigger,
	.irq_compose_msi_msg = chip_compose_message,
};

static struct irq_chip intx_chip = {
	.name = "NVMEV-INTX",
	.irq_ack = chip_ignore,
	.irq_mask = chip_ignore,
	.irq_unmask = chip_ignore,
	.irq_set_affinity = chip_set_affinity,
	.irq_retrigger = chip_retrigger,
};

/* ---- MSI-X: the domain the driver's vectors come from ---- */

static int domain_vector_init(struct irq_domain *domain, struct msi_domain_info *info, unsigned int virq,
			      irq_hw_number_t hwirq, msi_alloc_info_t *arg)
{
	struct nvmev_irqs *irqs = info->data;
	unsigned int index = arg->desc->msi_index;

	if (index >= NVMEV_VECTORS_MAX)
		return -ENOSPC;
	irq_domain_set_info(domain, virq, hwirq, info->chip, &irqs->msix[index], handle_edge_irq, NULL, "edge");
	WRITE_ONCE(irqs->msix[index].irq, virq);
	return 0;
}

static void domain_vector_free(struct irq_domain *domain, struct msi_domain_info *info, unsigned int virq)
{
	struct irq_data *data = irq_domain_get_irq_data(domain, virq);
	struct nvmev_vector *vector = data ? irq_data_get_irq_chip_data(data) : NULL;

	if (vector)
		WRITE_ONCE(vector->irq, 0);
}

static struct msi_domain_ops domain_ops = {
	.msi_init = domain_vector_init,
	.msi_free = domain_vector_free,
};

static int domain_create(struct nvmev_irqs *irqs)
{
	static struct msi_domain_info info;

	info = (struct msi_domain_info){
		.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_PCI_MSIX,
		.ops = &domain_ops,
		.chip = &msix_chip,
		.data = irqs,
	};
	irqs->fwnode = irq_domain_alloc_named_fwnode("NVMEV-MSIX");
	if (!irqs->fwnode)
		return -ENOMEM;
	irqs->domain = pci_msi_create_irq_domain(irqs->fwnode, &info, NULL);
	if (!irqs->domain) {
		irq_domain_free_fwnode(irqs->fwnode);
		return -ENOMEM;
	}
	/* Interrupt remapping replaces a device's plain PCI-MSI domain by its own; it leaves other kinds alone. */
	irq_domain_update_bus_token(irqs->domain, DOMAIN_BUS_VMD_MSI);
	return 0;
}

static void domain_destroy(struct nvmev_irqs *irqs)
{
	irq_domain_remove(irqs->domain);
	irq_domain_free_fwnode(irqs->fwnode);
}

struct irq_domain *nvmev_irqs_domain(struct nvmev_irqs *irqs)
{
	return irqs->domain;
}

unsigned int nvmev_irqs_intx(struct nvmev_irqs *irqs)
{
	return irqs->intx.irq;
}

/* ---- all of them ---- */

struct nvmev_irqs *nvmev_irqs_create(void)
{
	struct nvmev_irqs *irqs = kvzalloc(sizeof(*irqs), GFP_KERNEL);
	int irq, i;

	if (!irqs)
		return NULL;
	vector_init(&irqs->intx);
	for (i = 0; i < NVMEV_VECTORS_MAX; i++)
		vector_init(&irqs->msix[i]);
	/* Without an owner: as one, the module could not be unloaded while the driver has the interrupt. */
	irq = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);
	if (irq < 0)
		goto free;
	/* A line that is pulled for an instant: the driver shares nothing with others, so an edge says it all. */
	irq_set_chip_and_handler_name(irq, &intx_chip, handle_edge_irq, "edge");
	irq_set_chip_data(irq, &irqs->intx);
	irqs->intx.irq = irq;
	if (domain_create(irqs))
		goto free_irq;
	return irqs;

free_irq:
	irq_free_desc(irq);
free:
	kvfree(irqs);
	return NULL;
}

/* The driver is gone and no thread fires any more. */
void nvmev_irqs_destroy(struct nvmev_irqs *irqs)
{
	unsigned int intx = irqs->intx.irq;
	int i;

	for (i = 0; i < NVMEV_VECTORS_MAX; i++)
		vector_drain(&irqs->msix[i]);
	vector_drain(&irqs->intx);
	/* A handler that has cleared its pending bit may still be on its last instructions. */
	synchronize_rcu();
	domain_destroy(irqs);
	irq_free_desc(intx);
	kvfree(irqs);
}
