// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts. The device is made of software, so nothing ever writes an MSI message: an interrupt domain of our own
 * (shim_msi.c) hands out vectors whose messages go nowhere, and we run the driver's handler on a CPU of the vector's
 * affinity. That works the same with and without interrupt remapping.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "shim_irq.h"

enum { NVMEV_VECTOR_PENDING };

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

/* ---- what both chips do: where interrupts of ours are routed ---- */

void nvmev_chip_ignore(struct irq_data *data)
{
}

int nvmev_chip_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	unsigned int cpu = cpumask_first_and(mask, cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK;
}

/* What was fired while the driver had the interrupt disabled. */
int nvmev_chip_retrigger(struct irq_data *data)
{
	vector_fire(irq_data_get_irq_chip_data(data));
	return 1;
}

static struct irq_chip intx_chip = {
	.name = "NVMEV-INTX",
	.irq_ack = nvmev_chip_ignore,
	.irq_mask = nvmev_chip_ignore,
	.irq_unmask = nvmev_chip_ignore,
	.irq_set_affinity = nvmev_chip_set_affinity,
	.irq_retrigger = nvmev_chip_retrigger,
};

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
	if (nvmev_msix_create(irqs))
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
	nvmev_msix_destroy(irqs);
	irq_free_desc(intx);
	kvfree(irqs);
}
