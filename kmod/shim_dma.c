// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies by DMA engines: channels of the kernel's dmaengine that can copy memory, at most one for each I/O worker, which
 * nobody else uses while we have them.
 *
 *  - A channel is used by its worker alone, without a lock. Only callbacks, which say that a copy is over, run elsewhere.
 *  - The result that comes with the callback is what counts. A status alone does not tell: some drivers let a failed copy
 *    look complete, and some do not complete copies in their order. It is asked for all the same, because some drivers look
 *    at their hardware only then.
 *  - A copy is of RAM of the host that is contiguous and that the CPU may touch, too (see shim_copy.c). It and the storage
 *    are mapped for the copy and unmapped by the worker afterwards. Anything else is declined: the CPU knows what to do
 *    about it.
 */
#include "shim.h"

#include <linux/kconfig.h>

#if IS_ENABLED(CONFIG_DMA_ENGINE)

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#include <linux/cc_platform.h>
#else
#include <linux/mem_encrypt.h>
#endif

/* Copies under way of a worker. */
#define COPIES_MAX 256
#define NAME_BYTES 32

/* What is under way for one command. */
struct batch {
	atomic_t under_way;
	/* A callback sets it before it counts down. */
	bool has_failed;
	dma_cookie_t newest;
	struct copy *copies;
};

struct copy {
	struct batch *batch;
	/* The next one of the batch, or the next unused one. */
	struct copy *next;
	bool is_to_host;
	bool has_storage_page;
	size_t len;
	dma_addr_t host;
	dma_addr_t storage;
};

struct engine {
	/* NULL: there is none, or it was taken away. */
	struct dma_chan *chan;
	char name[NAME_BYTES];
	size_t copy_bytes_max;
	struct copy *unused;
	struct batch batches[NVMEV_DMA_BATCHES];
	struct copy copies[COPIES_MAX];
};

struct nvmev_dma {
	u64 storage_start;
	u32 workers;
	struct engine engines[];
};

/* ---- finding channels ---- */

struct wish {
	char name[NAME_BYTES]; /* empty: any */
	u64 storage_end;
};

static bool has_wished_name(const struct dma_chan *chan, const struct wish *wish)
{
	const char *name = dev_name(&chan->dev->device);
	size_t len = strlen(wish->name);

	/* The channel's own name, or that of the device: dma0 for dma0chan1. */
	return !strncmp(name, wish->name, len) && (!len || !name[len] || !strncmp(name + len, "chan", 4));
}

static size_t longest_copy(struct device *dev)
{
	return round_down(min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev)), PAGE_SIZE);
}

static bool suits(struct dma_chan *chan, void *param)
{
	const struct wish *wish = param;
	struct device *dev = chan->device->dev;

	/* The storage is mapped as it is: there are no pages that could be copied within its reach first. */
	return has_wished_name(chan, wish) && longest_copy(dev) &&
	       wish->storage_end - 1 <= min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

static void set_up(struct engine *engine, struct dma_chan *chan)
{
	unsigned int i;

	engine->chan = chan;
	strscpy(engine->name, dev_name(&chan->dev->device), sizeof(engine->name));
	engine->copy_bytes_max = longest_copy(chan->device->dev);
	for (i = 0; i < COPIES_MAX; i++) {
		engine->copies[i].next = engine->unused;
		engine->unused = &engine->copies[i];
	}
}

/* What a device sees of encrypted memory depends on how a page is mapped, and the storage has no pages. */
static bool is_memory_encrypted(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
	return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
#else
	return mem_encrypt_active();
#endif
}

/* Takes channels for the first workers, as far as there are; NULL if there are none, or no memory. An empty name is any. */
struct nvmev_dma *nvmev_dma_open(const char *name, size_t name_len, u64 storage_start, u64 storage_bytes, u32 workers)
{
	struct wish wish = { .storage_end = storage_start + storage_bytes };
	struct nvmev_dma *dma;
	dma_cap_mask_t mask;
	u32 worker;

	if (is_memory_encrypted() || name_len >= sizeof(wish.name))
		return NULL;
	memcpy(wish.name, name, name_len);
	dma = kvzalloc(struct_size(dma, engines, workers), GFP_KERNEL);
	if (!dma)
		return NULL;
	dma->storage_start = storage_start;
	dma->workers = workers;
	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	for (worker = 0; worker < workers; worker++) {
		struct dma_chan *chan = dma_request_channel(mask, suits, &wish);

		if (!chan)
			break;
		set_up(&dma->engines[worker], chan);
	}
	if (worker)
		return dma;
	kvfree(dma);
	return NULL;
}

/* The name of the channel that the worker has or had; empty if it never had one. */
const char *nvmev_dma_name(const struct nvmev_dma *dma, u32 worker)
{
	return worker < dma->workers ? dma->engines[worker].name : "";
}

u32 nvmev_dma_is_open(const struct nvmev_dma *dma, u32 worker)
{
	return worker < dma->workers && READ_ONCE(dma->engines[worker].chan);
}

/* ---- mapping ---- */

/* The source is what the device reads, the destination what it writes. */
static enum dma_data_direction host_direction(const struct copy *copy)
{
	return copy->is_to_host ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
}

static enum dma_data_direction storage_direction(const struct copy *copy)
{
	return copy->is_to_host ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static dma_addr_t map_page(struct device *dev, u64 address, size_t len, enum dma_data_direction direction)
{
	return dma_map_page(dev, pfn_to_page(PHYS_PFN(address)), offset_in_page(address), len, direction);
}

/* Memory that was taken from the kernel has no pages, memory that was reserved at boot may have some: those are no resource. */
static dma_addr_t map_storage(struct device *dev, u64 address, const struct copy *copy)
{
	if (copy->has_storage_page)
		return map_page(dev, address, copy->len, storage_direction(copy));
	return dma_map_resource(dev, address, copy->len, storage_direction(copy), 0);
}

static bool map(struct device *dev, struct copy *copy, u64 host, u64 storage)
{
	copy->has_storage_page = pfn_valid(PHYS_PFN(storage));
	if (copy->has_storage_page != pfn_valid(PHYS_PFN(storage + copy->len - 1)))
		return false;
	copy->host = map_page(dev, host, copy->len, host_direction(copy));
	if (dma_mapping_error(dev, copy->host))
		return false;
	copy->storage = map_storage(dev, storage, copy);
	if (!dma_mapping_error(dev, copy->storage))
		return true;
	dma_unmap_page(dev, copy->host, copy->len, host_direction(copy));
	return false;
}

static void unmap(struct device *dev, const struct copy *copy)
{
	dma_unmap_page(dev, copy->host, copy->len, host_direction(copy));
	if (copy->has_storage_page)
		dma_unmap_page(dev, copy->storage, copy->len, storage_direction(copy));
	else
		dma_unmap_resource(dev, copy->storage, copy->len, storage_direction(copy), 0);
}

/* ---- copying ---- */

/* In any context. */
static void copy_is_over(void *param, const struct dmaengine_result *result)
{
	struct copy *copy = param;
	struct batch *batch = copy->batch;

	if (result && result->result != DMA_TRANS_NOERROR)
		WRITE_ONCE(batch->has_failed, true);
	/* Releases what was copied, and the batch: what comes after this is the worker's. */
	atomic_dec_return_release(&batch->under_way);
}

static bool submit(struct engine *engine, struct copy *copy)
{
	struct dma_device *device = engine->chan->device;
	dma_addr_t from = copy->is_to_host ? copy->storage : copy->host;
	dma_addr_t to = copy->is_to_host ? copy->host : copy->storage;
	struct dma_async_tx_descriptor *descriptor;
	dma_cookie_t cookie;

	if (!is_dma_copy_aligned(device, from, to, copy->len))
		return false;
	/* With the interrupt comes the callback. */
	descriptor = dmaengine_prep_dma_memcpy(engine->chan, to, from, copy->len, DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!descriptor)
		return false;
	descriptor->callback_result = copy_is_over;
	descriptor->callback_param = copy;
	atomic_inc(&copy->batch->under_way);
	cookie = dmaengine_submit(descriptor);
	if (dma_submit_error(cookie)) {
		atomic_dec(&copy->batch->under_way);
		return false;
	}
	copy->batch->newest = cookie;
	return true;
}

/* Gives a copy to the engine. Returns how much of it that is, 0 if the engine is busy or the copy is not for it. */
size_t nvmev_dma_begin(struct nvmev_dma *dma, u32 worker, u32 batch, u32 is_to_host, u64 address, u64 media_offset,
		       size_t len)
{
	struct engine *engine = &dma->engines[worker];
	struct copy *copy = engine->unused;
	struct device *dev;

	if (!engine->chan || !copy || batch >= NVMEV_DMA_BATCHES)
		return 0;
	dev = engine->chan->device->dev;
	copy->batch = &engine->batches[batch];
	copy->is_to_host = is_to_host;
	copy->len = nvmev_host_ram(address, min(len, engine->copy_bytes_max), is_to_host);
	if (!copy->len || !map(dev, copy, address, dma->storage_start + media_offset))
		return 0;
	if (!submit(engine, copy)) {
		unmap(dev, copy);
		return 0;
	}
	engine->unused = copy->next;
	copy->next = copy->batch->copies;
	copy->batch->copies = copy;
	return copy->len;
}

void nvmev_dma_issue(struct nvmev_dma *dma, u32 worker)
{
	struct engine *engine = &dma->engines[worker];

	if (engine->chan)
		dma_async_issue_pending(engine->chan);
}

/* Nothing of the batch is under way. */
static void unmap_all(struct engine *engine, struct device *dev, struct batch *batch)
{
	while (batch->copies) {
		struct copy *copy = batch->copies;

		unmap(dev, copy);
		batch->copies = copy->next;
		copy->next = engine->unused;
		engine->unused = copy;
	}
}

static bool is_over(struct engine *engine, struct batch *batch)
{
	if (!atomic_read_acquire(&batch->under_way))
		return true;
	dma_async_is_tx_complete(engine->chan, batch->newest, NULL, NULL);
	return !atomic_read_acquire(&batch->under_way);
}

/* What has become of a batch. If it is over, it is ready for others. */
u32 nvmev_dma_state(struct nvmev_dma *dma, u32 worker, u32 index)
{
	struct engine *engine = &dma->engines[worker];
	struct batch *batch;
	bool has_failed;

	if (index >= NVMEV_DMA_BATCHES)
		return NVMEV_COPIES_FAILED;
	batch = &engine->batches[index];
	if (!is_over(engine, batch))
		return NVMEV_COPIES_UNDER_WAY;
	if (batch->copies)
		unmap_all(engine, engine->chan->device->dev, batch);
	has_failed = batch->has_failed;
	batch->has_failed = false;
	return has_failed ? NVMEV_COPIES_FAILED : NVMEV_COPIES_DONE;
}

/* The channel has stopped: there are no more callbacks. */
static void fail_what_was_under_way(struct engine *engine, struct device *dev)
{
	unsigned int i;

	for (i = 0; i < NVMEV_DMA_BATCHES; i++) {
		struct batch *batch = &engine->batches[i];

		if (atomic_read_acquire(&batch->under_way))
			batch->has_failed = true;
		atomic_set(&batch->under_way, 0);
		unmap_all(engine, dev, batch);
	}
}

/* Ends what is under way, if the driver can do that. May sleep. */
void nvmev_dma_abandon(struct nvmev_dma *dma, u32 worker)
{
	struct engine *engine = &dma->engines[worker];

	if (engine->chan && !dmaengine_terminate_sync(engine->chan))
		fail_what_was_under_way(engine, engine->chan->device->dev);
}

/*
 * Gives the channel back, whatever is under way. A driver that cannot terminate copies stops the channel when it is
 * released; so mappings go after that, and the driver stays until they have gone. May sleep.
 */
void nvmev_dma_remove(struct nvmev_dma *dma, u32 worker)
{
	struct engine *engine = &dma->engines[worker];
	struct dma_chan *chan = engine->chan;
	struct module *owner;
	struct device *dev;

	if (!chan)
		return;
	owner = chan->device->owner;
	dev = get_device(chan->device->dev);
	__module_get(owner);
	dmaengine_terminate_sync(chan);
	dma_release_channel(chan);
	fail_what_was_under_way(engine, dev);
	WRITE_ONCE(engine->chan, NULL);
	module_put(owner);
	put_device(dev);
}

/* No worker may be at it any more. */
void nvmev_dma_close(struct nvmev_dma *dma)
{
	u32 worker;

	for (worker = 0; worker < dma->workers; worker++)
		nvmev_dma_remove(dma, worker);
	kvfree(dma);
}

#else /* There are no engines. */

struct nvmev_dma *nvmev_dma_open(const char *name, size_t name_len, u64 storage_start, u64 storage_bytes, u32 workers)
{
	return NULL;
}

const char *nvmev_dma_name(const struct nvmev_dma *dma, u32 worker)
{
	return "";
}

u32 nvmev_dma_is_open(const struct nvmev_dma *dma, u32 worker)
{
	return 0;
}

size_t nvmev_dma_begin(struct nvmev_dma *dma, u32 worker, u32 batch, u32 is_to_host, u64 address, u64 media_offset,
		       size_t len)
{
	return 0;
}

void nvmev_dma_issue(struct nvmev_dma *dma, u32 worker)
{
}

u32 nvmev_dma_state(struct nvmev_dma *dma, u32 worker, u32 batch)
{
	return NVMEV_COPIES_DONE;
}

void nvmev_dma_abandon(struct nvmev_dma *dma, u32 worker)
{
}

void nvmev_dma_remove(struct nvmev_dma *dma, u32 worker)
{
}

void nvmev_dma_close(struct nvmev_dma *dma)
{
}

#endif
