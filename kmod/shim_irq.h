/* SPDX-License-Identifier: GPL-2.0-only */
/* What the PCI side needs of the interrupts. */
#ifndef NVMEV_SHIM_IRQ_H
#define NVMEV_SHIM_IRQ_H

#include "shim.h"

struct irq_domain;

struct irq_domain *nvmev_irqs_domain(struct nvmev_irqs *irqs);
unsigned int nvmev_irqs_intx(struct nvmev_irqs *irqs);

#endif
