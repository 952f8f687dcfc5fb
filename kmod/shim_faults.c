// SPDX-License-Identifier: GPL-2.0-only
/*
 * Only in a module that is built for tests (NVMEV_TEST_FAULTS): the function alone is suspended and resumed, by the calls that the kernel makes
 * for every device of a machine that goes to sleep. A VM whose files come over 9p survives the real thing only if the kernel leaves the devices
 * out over which they come.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/pm.h>

#include "shim.h"

#define VENDOR_ID 0x0c51
#define VIRTIO_VENDOR_ID 0x1af4

static bool is_in_d3hot(struct pci_dev *function)
{
	u16 status = 0;

	pci_read_config_word(function, function->pm_cap + PCI_PM_CTRL, &status);
	return (status & PCI_PM_CTRL_STATE_MASK) == (__force u16)PCI_D3hot;
}

static int suspend_and_resume(struct pci_dev *function, const struct dev_pm_ops *pm)
{
	struct device *device = &function->dev;
	int error = pm->prepare(device);

	if (error >= 0)
		error = pm->suspend(device);
	error = error ?: pm->suspend_late(device);
	error = error ?: pm->suspend_noirq(device);
	if (error)
		return error;
	/* Some sleep, in which the device could do what it must not. */
	msleep(50);
	error = is_in_d3hot(function) ? 0 : -EIO;
	error = pm->resume_noirq(device) ?: error;
	error = pm->resume_early(device) ?: error;
	error = pm->resume(device) ?: error;
	pm->complete(device);
	return error;
}

s32 nvmev_suspend_and_resume(void)
{
	struct pci_dev *function = pci_get_device(VENDOR_ID, PCI_ANY_ID, NULL);
	int error;

	if (!function)
		return -ENODEV;
	device_lock(&function->dev);
	error = suspend_and_resume(function, function->dev.bus->pm);
	device_unlock(&function->dev);
	pci_dev_put(function);
	return error;
}

/* From now on the machine may suspend without them, as long as it does not really lose its power (see /sys/power/pm_test). */
void nvmev_keep_virtio_awake(void)
{
	struct pci_dev *function = NULL;

	while ((function = pci_get_device(VIRTIO_VENDOR_ID, PCI_ANY_ID, function)) != NULL)
		dev_pm_syscore_device(&function->dev, true);
}
