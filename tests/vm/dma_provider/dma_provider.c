// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A DMA engine for tests: a dmaengine provider whose channels copy memory with the CPU, in a thread of their own and after a
 * while, and which can be told to do it badly. It counts what it does, so that a test can tell whether data went through it.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#define CHANNELS_MAX 4
/* What arrives where a copy failed. */
#define WRONG 0xbd

static unsigned int channels = 1;
module_param(channels, uint, 0444);
MODULE_PARM_DESC(channels, "Channels, up to 4");
static bool can_terminate = true;
module_param(can_terminate, bool, 0444);
MODULE_PARM_DESC(can_terminate, "Whether channels can be terminated");
static unsigned int delay_us = 20;
module_param(delay_us, uint, 0644);
MODULE_PARM_DESC(delay_us, "How long a copy takes at least");
static unsigned int fail_every;
module_param(fail_every, uint, 0644);
MODULE_PARM_DESC(fail_every, "One in so many copies puts wrong bytes there and says that it failed; 0: none");
static unsigned int busy_every;
module_param(busy_every, uint, 0644);
MODULE_PARM_DESC(busy_every, "One in so many copies is declined; 0: none");
static bool hang;
module_param(hang, bool, 0644);
MODULE_PARM_DESC(hang, "Whether copies come to no end");

static atomic_long_t copies, copied_bytes, failures, declined, terminated;

static int show_count(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%ld\n", atomic_long_read(param->arg));
}

static const struct kernel_param_ops count_ops = { .get = show_count };

module_param_cb(copies, &count_ops, &copies, 0444);
module_param_cb(copied_bytes, &count_ops, &copied_bytes, 0444);
module_param_cb(failures, &count_ops, &failures, 0444);
module_param_cb(declined, &count_ops, &declined, 0444);
module_param_cb(terminated, &count_ops, &terminated, 0444);

struct descriptor {
	struct dma_async_tx_descriptor tx;
	struct list_head node;
	dma_addr_t to, from;
	size_t len;
	bool is_to_fail;
};

struct channel {
	struct dma_chan chan;
	struct workqueue_struct *queue;
	struct work_struct work;
	spinlock_t lock;
	struct list_head submitted, issued;
	/* What was issued is not wanted any more. */
	bool is_stopping;
	unsigned int prepared;
};

struct provider {
	struct dma_device device;
	struct channel channels[CHANNELS_MAX];
};

static struct channel *of(struct dma_chan *chan)
{
	return container_of(chan, struct channel, chan);
}

/* ---- copying ---- */

/* Storage of the device under test has no page. */
static void *map(dma_addr_t address)
{
	if (pfn_valid(PHYS_PFN(address)))
		return kmap_local_page(pfn_to_page(PHYS_PFN(address)));
	return memremap(address & PAGE_MASK, PAGE_SIZE, MEMREMAP_WB);
}

static void unmap(dma_addr_t address, void *page)
{
	if (pfn_valid(PHYS_PFN(address)))
		kunmap_local(page);
	else
		memunmap(page);
}

static bool copy_part(dma_addr_t to, dma_addr_t from, size_t len, bool is_to_fail)
{
	void *source = map(from), *destination;
	bool is_done = false;

	if (!source)
		return false;
	destination = map(to);
	if (destination) {
		if (is_to_fail)
			memset(destination + offset_in_page(to), WRONG, len);
		else
			memcpy(destination + offset_in_page(to), source + offset_in_page(from), len);
		unmap(to, destination);
		is_done = true;
	}
	unmap(from, source);
	return is_done;
}

/* An engine knows device addresses alone; on the machines of these tests they are physical ones. */
static bool copy(const struct descriptor *descriptor)
{
	size_t done = 0;

	while (done < descriptor->len) {
		dma_addr_t to = descriptor->to + done, from = descriptor->from + done;
		size_t len = min3(descriptor->len - done, PAGE_SIZE - offset_in_page(to), PAGE_SIZE - offset_in_page(from));

		if (!copy_part(to, from, len, descriptor->is_to_fail))
			return false;
		done += len;
	}
	return !descriptor->is_to_fail;
}

/* The next descriptor; it stays in its list until it is done, so that none can be lost. */
static struct descriptor *next_issued(struct channel *channel)
{
	struct descriptor *descriptor;

	spin_lock_irq(&channel->lock);
	descriptor = list_first_entry_or_null(&channel->issued, struct descriptor, node);
	spin_unlock_irq(&channel->lock);
	return descriptor;
}

/* Waits as long as a copy takes; false if it is not wanted any more. */
static bool wait(struct channel *channel)
{
	unsigned int us = READ_ONCE(delay_us);

	if (us)
		usleep_range(us, us + us / 8 + 1);
	while (READ_ONCE(hang) && !READ_ONCE(channel->is_stopping))
		usleep_range(500, 1000);
	return !READ_ONCE(channel->is_stopping);
}

static void run(struct work_struct *work)
{
	struct channel *channel = container_of(work, struct channel, work);
	struct descriptor *descriptor;

	while ((descriptor = next_issued(channel)) && wait(channel)) {
		struct dmaengine_result result = { .result = DMA_TRANS_NOERROR };

		if (copy(descriptor)) {
			atomic_long_inc(&copies);
			atomic_long_add(descriptor->len, &copied_bytes);
		} else {
			result.result = DMA_TRANS_WRITE_FAILED;
			atomic_long_inc(&failures);
		}
		spin_lock_irq(&channel->lock);
		list_del(&descriptor->node);
		channel->chan.completed_cookie = descriptor->tx.cookie;
		spin_unlock_irq(&channel->lock);
		if (descriptor->tx.callback_result)
			descriptor->tx.callback_result(descriptor->tx.callback_param, &result);
		kfree(descriptor);
	}
}

/* ---- what a dmaengine provider does ---- */

static dma_cookie_t submit(struct dma_async_tx_descriptor *tx)
{
	struct descriptor *descriptor = container_of(tx, struct descriptor, tx);
	struct channel *channel = of(tx->chan);
	unsigned long flags;
	dma_cookie_t cookie;

	spin_lock_irqsave(&channel->lock, flags);
	cookie = max(channel->chan.cookie + 1, DMA_MIN_COOKIE);
	channel->chan.cookie = tx->cookie = cookie;
	list_add_tail(&descriptor->node, &channel->submitted);
	spin_unlock_irqrestore(&channel->lock, flags);
	return cookie;
}

static bool is_one_of(unsigned int count, unsigned int every)
{
	return every && count % every == 0;
}

static struct dma_async_tx_descriptor *prepare(struct dma_chan *chan, dma_addr_t to, dma_addr_t from, size_t len,
					       unsigned long flags)
{
	struct channel *channel = of(chan);
	unsigned int count = ++channel->prepared;
	struct descriptor *descriptor;

	if (is_one_of(count, READ_ONCE(busy_every))) {
		atomic_long_inc(&declined);
		return NULL;
	}
	descriptor = kzalloc(sizeof(*descriptor), GFP_NOWAIT);
	if (!descriptor)
		return NULL;
	descriptor->to = to;
	descriptor->from = from;
	descriptor->len = len;
	descriptor->is_to_fail = is_one_of(count, READ_ONCE(fail_every));
	dma_async_tx_descriptor_init(&descriptor->tx, chan);
	descriptor->tx.flags = flags;
	descriptor->tx.tx_submit = submit;
	return &descriptor->tx;
}

static void issue(struct dma_chan *chan)
{
	struct channel *channel = of(chan);
	unsigned long flags;

	spin_lock_irqsave(&channel->lock, flags);
	list_splice_tail_init(&channel->submitted, &channel->issued);
	spin_unlock_irqrestore(&channel->lock, flags);
	queue_work(channel->queue, &channel->work);
}

static enum dma_status status(struct dma_chan *chan, dma_cookie_t cookie, struct dma_tx_state *state)
{
	dma_cookie_t completed = READ_ONCE(chan->completed_cookie), used = READ_ONCE(chan->cookie);

	dma_set_tx_state(state, completed, used, 0);
	return dma_async_is_complete(cookie, completed, used);
}

static int terminate(struct dma_chan *chan)
{
	WRITE_ONCE(of(chan)->is_stopping, true);
	return 0;
}

static void free_all(struct list_head *list)
{
	struct descriptor *descriptor, *next;

	list_for_each_entry_safe(descriptor, next, list, node) {
		list_del(&descriptor->node);
		kfree(descriptor);
		atomic_long_inc(&terminated);
	}
}

/* Nobody submits meanwhile. */
static void synchronize(struct dma_chan *chan)
{
	struct channel *channel = of(chan);

	if (!READ_ONCE(channel->is_stopping))
		return;
	flush_work(&channel->work);
	free_all(&channel->submitted);
	free_all(&channel->issued);
	WRITE_ONCE(channel->is_stopping, false);
}

static void free_resources(struct dma_chan *chan)
{
	terminate(chan);
	synchronize(chan);
}

/* ---- coming and going ---- */

static void destroy_queue(void *queue)
{
	destroy_workqueue(queue);
}

static int add_channel(struct provider *provider, struct channel *channel, struct device *dev)
{
	channel->queue = alloc_ordered_workqueue("test_dma", 0);
	if (!channel->queue)
		return -ENOMEM;
	INIT_WORK(&channel->work, run);
	spin_lock_init(&channel->lock);
	INIT_LIST_HEAD(&channel->submitted);
	INIT_LIST_HEAD(&channel->issued);
	channel->chan.device = &provider->device;
	channel->chan.cookie = channel->chan.completed_cookie = DMA_MIN_COOKIE;
	list_add_tail(&channel->chan.device_node, &provider->device.channels);
	return devm_add_action_or_reset(dev, destroy_queue, channel->queue);
}

static int probe(struct platform_device *platform_device)
{
	struct device *dev = &platform_device->dev;
	struct provider *provider = devm_kzalloc(dev, sizeof(*provider), GFP_KERNEL);
	struct dma_device *device;
	unsigned int i;
	int error;

	if (!provider)
		return -ENOMEM;
	device = &provider->device;
	device->dev = dev;
	dma_cap_set(DMA_MEMCPY, device->cap_mask);
	device->device_free_chan_resources = free_resources;
	device->device_prep_dma_memcpy = prepare;
	device->device_issue_pending = issue;
	device->device_tx_status = status;
	if (can_terminate)
		device->device_terminate_all = terminate;
	device->device_synchronize = synchronize;
	INIT_LIST_HEAD(&device->channels);
	for (i = 0; i < clamp(channels, 1U, (unsigned int)CHANNELS_MAX); i++) {
		error = add_channel(provider, &provider->channels[i], dev);
		if (error)
			return error;
	}
	return dmaenginem_async_device_register(device);
}

static struct platform_driver driver = {
	.probe = probe,
	.driver = { .name = "test-dma" },
};

static struct platform_device *the_device;

static int __init start(void)
{
	const struct platform_device_info info = {
		.name = "test-dma",
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int error = platform_driver_register(&driver);

	if (error)
		return error;
	the_device = platform_device_register_full(&info);
	if (!IS_ERR(the_device))
		return 0;
	platform_driver_unregister(&driver);
	return PTR_ERR(the_device);
}

static void __exit stop(void)
{
	platform_device_unregister(the_device);
	platform_driver_unregister(&driver);
}

module_init(start);
module_exit(stop);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("A DMA engine for the tests of NVMeVirt in Rust");
