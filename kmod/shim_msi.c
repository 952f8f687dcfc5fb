// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt domain that the driver's MSI-X vectors come from. No message is ever sent: shim_irq.c runs the driver's
 * handlers itself.
 */
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/version.h>

#include "shim_irq.h"

/* Which vector of the device a descriptor stands for. */
static unsigned int vector_index(const struct msi_desc *desc)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0)
	return desc->msi_index;
#else
	return desc->msi_attrib.entry_nr;
#endif
}

/* The message is never sent; it only has to be one that the driver's side accepts. */
static void chip_compose_message(struct irq_data *data, struct msi_msg *message)
{
	memset(message, 0, sizeof(*message));
	message->data = data->hwirq;
}

static void vector_detach(struct irq_domain *domain, unsigned int virq)
{
	struct irq_data *data = irq_domain_get_irq_data(domain, virq);
	struct nvmev_vector *vector = data ? irq_data_get_irq_chip_data(data) : NULL;

	if (vector)
		WRITE_ONCE(vector->irq, 0);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)

/*
 * Each PCI device makes an MSI-X domain of its own, which masks vectors and writes messages, below a parent domain that
 * its bus names. Ours is such a parent.
 */
static struct irq_chip parent_chip = {
	.name = "NVMEV",
	.irq_ack = nvmev_chip_ignore,
	.irq_set_affinity = nvmev_chip_set_affinity,
	.irq_retrigger = nvmev_chip_retrigger,
	.irq_compose_msi_msg = chip_compose_message,
};

static void parent_free(struct irq_domain *domain, unsigned int virq, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		vector_detach(domain, virq + i);
}

static int parent_alloc(struct irq_domain *domain, unsigned int virq, unsigned int count, void *arg)
{
	const msi_alloc_info_t *info = arg;
	struct nvmev_irqs *irqs = domain->host_data;
	unsigned int first = vector_index(info->desc);
	unsigned int i;

	if (first >= NVMEV_VECTORS_MAX || count > NVMEV_VECTORS_MAX - first)
		return -ENOSPC;
	for (i = 0; i < count; i++) {
		struct nvmev_vector *vector = &irqs->msix[first + i];

		irq_domain_set_info(domain, virq + i, first + i, &parent_chip, vector, handle_edge_irq, NULL, "edge");
		WRITE_ONCE(vector->irq, virq + i);
	}
	return 0;
}

static const struct irq_domain_ops parent_domain_ops = {
	.alloc = parent_alloc,
	.free = parent_free,
};

/*
 * What the device's domain can do and leaves to ours; what msi_lib_init_dev_msi_info() would say, which not every
 * kernel has.
 */
static bool init_device_domain(struct device *dev, struct irq_domain *domain, struct irq_domain *parent,
			       struct msi_domain_info *info)
{
	const struct msi_parent_ops *ops = parent->msi_parent_ops;

	if (info->bus_token != DOMAIN_BUS_PCI_DEVICE_MSIX)
		return false;
	info->flags &= ops->supported_flags;
	info->flags |= ops->required_flags;
	info->chip->irq_ack = irq_chip_ack_parent;
	/* The message does not depend on the CPU, so there is nothing to write again. */
	info->chip->irq_set_affinity = irq_chip_set_affinity_parent;
	return true;
}

static const struct msi_parent_ops parent_ops = {
	.supported_flags = MSI_GENERIC_FLAGS_MASK | MSI_FLAG_PCI_MSIX,
	.required_flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS,
	.chip_flags = MSI_CHIP_FLAG_SET_ACK,
	/* Interrupt remapping replaces a device's plain PCI-MSI domain by its own; it leaves other kinds alone. */
	.bus_select_token = DOMAIN_BUS_VMD_MSI,
	.bus_select_mask = BIT(DOMAIN_BUS_PCI_MSI),
	.prefix = "NVMEV-",
	.init_dev_msi_info = init_device_domain,
};

static struct irq_domain *domain_create(struct nvmev_irqs *irqs)
{
	struct irq_domain_info info = {
		.fwnode = irqs->fwnode,
		.size = NVMEV_VECTORS_MAX,
		.ops = &parent_domain_ops,
		.host_data = irqs,
	};

	return msi_create_parent_irq_domain(&info, &parent_ops);
}

#else

/* One domain does it all, for every device that it is given to. */
static struct irq_chip msix_chip = {
	.name = "NVMEV-MSIX",
	.irq_ack = nvmev_chip_ignore,
	.irq_mask = pci_msi_mask_irq,
	.irq_unmask = pci_msi_unmask_irq,
	.irq_set_affinity = nvmev_chip_set_affinity,
	.irq_retrigger = nvmev_chip_retrigger,
	.irq_compose_msi_msg = chip_compose_message,
};

static int domain_vector_init(struct irq_domain *domain, struct msi_domain_info *info, unsigned int virq,
			      irq_hw_number_t hwirq, msi_alloc_info_t *arg)
{
	struct nvmev_irqs *irqs = info->data;
	unsigned int index = vector_index(arg->desc);

	if (index >= NVMEV_VECTORS_MAX)
		return -ENOSPC;
	irq_domain_set_info(domain, virq, hwirq, info->chip, &irqs->msix[index], handle_edge_irq, NULL, "edge");
	WRITE_ONCE(irqs->msix[index].irq, virq);
	return 0;
}

static void domain_vector_free(struct irq_domain *domain, struct msi_domain_info *info, unsigned int virq)
{
	vector_detach(domain, virq);
}

static struct msi_domain_ops domain_ops = {
	.msi_init = domain_vector_init,
	.msi_free = domain_vector_free,
};

static struct irq_domain *domain_create(struct nvmev_irqs *irqs)
{
	static struct msi_domain_info info;
	struct irq_domain *domain;

	info = (struct msi_domain_info){
		.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_PCI_MSIX,
		.ops = &domain_ops,
		.chip = &msix_chip,
		.data = irqs,
	};
	domain = pci_msi_create_irq_domain(irqs->fwnode, &info, NULL);
	/* Interrupt remapping replaces a device's plain PCI-MSI domain by its own; it leaves other kinds alone. */
	if (domain)
		irq_domain_update_bus_token(domain, DOMAIN_BUS_VMD_MSI);
	return domain;
}

#endif

int nvmev_msix_create(struct nvmev_irqs *irqs)
{
	irqs->fwnode = irq_domain_alloc_named_fwnode("NVMEV-MSIX");
	if (!irqs->fwnode)
		return -ENOMEM;
	irqs->domain = domain_create(irqs);
	if (!irqs->domain) {
		irq_domain_free_fwnode(irqs->fwnode);
		return -ENOMEM;
	}
	return 0;
}

void nvmev_msix_destroy(struct nvmev_irqs *irqs)
{
	irq_domain_remove(irqs->domain);
	irq_domain_free_fwnode(irqs->fwnode);
}

struct irq_domain *nvmev_msix_domain(struct nvmev_irqs *irqs)
{
	return irqs->domain;
}
