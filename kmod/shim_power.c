// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep states. Suspend to RAM leaves memory as it is, and the driver brings the device to D3hot and back. An image of hibernation holds only
 * memory that the kernel manages: not what size= or memmap= took from it. After a resume, the drive's data would be whatever was in that
 * memory by then, under mounted file systems; so hibernation is refused.
 */
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/version.h>

#include "shim.h"

struct nvmev_power {
	struct notifier_block notifier;
};

static void say(const char *text)
{
	nvmev_log(1, text, strlen(text));
}

static int power_changes(struct notifier_block *notifier, unsigned long event, void *unused)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
		say("hibernation is refused: its image would not hold the drive's memory; unload the module before (suspend to RAM works)");
		return notifier_from_errno(-EBUSY);
	case PM_RESTORE_PREPARE:
		say("the return from hibernation is refused: it would overwrite the drive's memory; load the module after it");
		return notifier_from_errno(-EBUSY);
	default:
		return NOTIFY_DONE;
	}
}

/*
 * Refuses hibernation from now on. One that is under way has asked already: under the lock, which it holds to its end, we wait for that. So it
 * never meets a drive.
 */
struct nvmev_power *nvmev_power_watch(s32 *error)
{
	struct nvmev_power *power = kzalloc(sizeof(*power), GFP_KERNEL);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	unsigned int flags;
#endif

	*error = -ENOMEM;
	if (!power)
		return NULL;
	power->notifier.notifier_call = power_changes;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	flags = lock_system_sleep();
	*error = register_pm_notifier(&power->notifier);
	unlock_system_sleep(flags);
#else
	lock_system_sleep();
	*error = register_pm_notifier(&power->notifier);
	unlock_system_sleep();
#endif
	if (*error) {
		kfree(power);
		return NULL;
	}
	return power;
}

void nvmev_power_unwatch(struct nvmev_power *power)
{
	unregister_pm_notifier(&power->notifier);
	kfree(power);
}
