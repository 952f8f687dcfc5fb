/* SPDX-License-Identifier: GPL-2.0-only */
/* What shim_irq.c (firing), shim_msi.c (the domain of the MSI-X vectors) and shim_pci.c share. */
#ifndef NVMEV_SHIM_IRQ_H
#define NVMEV_SHIM_IRQ_H

#include <linux/irq_work.h>
#include <linux/smp.h>

#include "shim.h"

struct fwnode_handle;
struct irq_data;
struct irq_domain;

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

/* shim_irq.c; the chip data of an interrupt is its vector */
unsigned int nvmev_irqs_intx(struct nvmev_irqs *irqs);
void nvmev_chip_ignore(struct irq_data *data);
int nvmev_chip_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force);
int nvmev_chip_retrigger(struct irq_data *data);

/* shim_msi.c; one domain at a time */
int nvmev_msix_create(struct nvmev_irqs *irqs);
void nvmev_msix_destroy(struct nvmev_irqs *irqs);
struct irq_domain *nvmev_msix_domain(struct nvmev_irqs *irqs);

#endif
