// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies to and from the host's memory, which the nvme driver names by bus address. Only memory is touched: an address
 * with anything else behind it (a hole, a device, our own storage) is reported back as a fault.
 */
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/string.h>

#include "shim.h"

static struct page *host_page(u64 address)
{
	unsigned long pfn = address >> PAGE_SHIFT;
	struct page *page;

	if (address >> MAX_PHYSMEM_BITS || !pfn_valid(pfn))
		return NULL;
	page = pfn_to_page(pfn);
	/* Firmware ranges inside a section of RAM have a struct page too; the slow look-up is for those alone. */
	if (PageReserved(page) && !page_is_ram(pfn))
		return NULL;
	if (is_device_private_page(page))
		return NULL;
	return page;
}

/*
 * The kernel's text and constants are RAM, too, but not to be written: their pages are among the reserved ones, and the
 * kernel's own map of memory says which.
 */
static bool is_writable(struct page *page)
{
	unsigned int level;
	pte_t *entry;

	if (!PageReserved(page))
		return true;
	entry = lookup_address((unsigned long)page_address(page), &level);
	return entry && (pte_flags(*entry) & (_PAGE_PRESENT | _PAGE_RW)) == (_PAGE_PRESENT | _PAGE_RW);
}

static size_t within_page(u64 address, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(address));
}

/* Returns 1 if all of it was copied, 0 if some address has no memory. */
u32 nvmev_host_read(u64 address, void *into, size_t len)
{
	while (len) {
		size_t part = within_page(address, len);
		struct page *page = host_page(address);
		void *from;

		if (!page)
			return 0;
		from = kmap_local_page(page);
		memcpy(into, from + offset_in_page(address), part);
		kunmap_local(from);
		address += part;
		into += part;
		len -= part;
	}
	return 1;
}

/* As nvmev_host_read(), of aligned words that the host may be writing: each of them at once, and all before what is read next. */
u32 nvmev_host_load(u64 address, u32 *into, size_t words)
{
	if (address % sizeof(*into))
		return 0;
	while (words) {
		size_t part = within_page(address, words * sizeof(*into)) / sizeof(*into);
		struct page *page = host_page(address);
		const u32 *from;
		void *mapping;
		size_t i;

		if (!page)
			return 0;
		mapping = kmap_local_page(page);
		from = mapping + offset_in_page(address);
		for (i = 0; i < part; i++)
			into[i] = READ_ONCE(from[i]);
		kunmap_local(mapping);
		address += part * sizeof(*into);
		into += part;
		words -= part;
	}
	smp_rmb();
	return 1;
}

u32 nvmev_host_write(u64 address, const void *from, size_t len)
{
	while (len) {
		size_t part = within_page(address, len);
		struct page *page = host_page(address);
		void *into;

		if (!page || !is_writable(page))
			return 0;
		into = kmap_local_page(page);
		memcpy(into + offset_in_page(address), from, part);
		kunmap_local(into);
		address += part;
		from += part;
		len -= part;
	}
	return 1;
}

/* Writes a completion: the half with the phase bit last, so that the host never sees it before the rest. */
u32 nvmev_host_publish(u64 address, const u64 *entry)
{
	struct page *page = host_page(address);
	void *mapping;
	u64 *into;

	if (!page || !is_writable(page) || address % 16)
		return 0;
	mapping = kmap_local_page(page);
	into = mapping + offset_in_page(address);
	WRITE_ONCE(into[0], entry[0]);
	smp_store_release(&into[1], entry[1]);
	kunmap_local(mapping);
	return 1;
}
