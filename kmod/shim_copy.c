// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies to and from the host's memory, which the nvme driver names by bus address: RAM, or the memory of another device
 * (shim_peer.c). Nothing else is touched: an address with anything else behind it (a hole, the machine's own registers,
 * our own BAR and storage) is reported back as a fault.
 */
#include <linux/cache.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/prefetch.h>
#include <linux/pgtable.h>
#include <linux/string.h>

#include "shim_peer.h"

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
	/* What a driver offers for peer-to-peer has a struct page, too, but is what any BAR is. */
	if (is_device_private_page(page) || is_pci_p2pdma_page(page))
		return NULL;
	return page;
}

/*
 * Not all RAM may be touched: the kernel's text and constants, and those of modules and of BPF programs, are not to be
 * written, and what is secret is not in the kernel's own map of memory at all. That map says so. Pages of anonymous memory,
 * which most transfers are about, are always in it.
 */
#ifdef CONFIG_X86
static bool is_accessible(struct page *page, pteval_t flags)
{
	unsigned int level;
	pte_t *entry;

	if (PageAnon(page))
		return true;
	entry = lookup_address((unsigned long)page_address(page), &level);
	return entry && (pte_flags(*entry) & flags) == flags;
}

static bool is_readable(struct page *page)
{
	return is_accessible(page, _PAGE_PRESENT);
}

static bool is_writable(struct page *page)
{
	return is_accessible(page, _PAGE_PRESENT | _PAGE_RW);
}
#else
/* No function for modules tells; the kernel's own image is reserved, at least. See "Other architectures" in ARCHITECTURE.md. */
static bool is_readable(struct page *page)
{
	return true;
}

static bool is_writable(struct page *page)
{
	return !PageReserved(page);
}
#endif

static size_t within_page(u64 address, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(address));
}

/*
 * Copies what does not go beyond a page. Returns how much was copied: less than was asked for at the end of another
 * device's memory, nothing if the address has no memory.
 */
static size_t read_part(struct nvmev_peers *peers, u64 address, void *into, size_t len)
{
	struct page *page = host_page(address);
	void *from;

	if (!page)
		return nvmev_peer_access(peers, NVMEV_ACCESS_READ, address, into, len);
	if (!is_readable(page))
		return 0;
	from = kmap_local_page(page);
	memcpy(into, from + offset_in_page(address), len);
	kunmap_local(from);
	return len;
}

static size_t write_part(struct nvmev_peers *peers, u64 address, const void *from, size_t len)
{
	struct page *page = host_page(address);
	void *into;

	if (!page)
		return nvmev_peer_access(peers, NVMEV_ACCESS_WRITE, address, (void *)from, len);
	if (!is_writable(page))
		return 0;
	into = kmap_local_page(page);
	memcpy(into + offset_in_page(address), from, len);
	kunmap_local(into);
	return len;
}

/* Returns 1 if all of it was copied, 0 if some address has no memory. */
u32 nvmev_host_read(struct nvmev_peers *peers, u64 address, void *into, size_t len)
{
	while (len) {
		size_t part = read_part(peers, address, into, within_page(address, len));

		if (!part)
			return 0;
		address += part;
		into += part;
		len -= part;
	}
	return 1;
}

/*
 * Whether nvmev_host_read() would find memory at each address. What other devices have is read to find out, as it would be
 * then.
 */
u32 nvmev_host_is_readable(struct nvmev_peers *peers, u64 address, size_t len)
{
	while (len) {
		size_t part = within_page(address, len);
		struct page *page = host_page(address);
		u8 unused;

		if (page ? !is_readable(page) : !nvmev_peer_access(peers, NVMEV_ACCESS_READ, address, &unused, 1))
			return 0;
		address += part;
		len -= part;
	}
	return 1;
}

/* How many bytes from the address on are RAM that may be read, or written. */
size_t nvmev_host_ram(u64 address, size_t len, u32 is_written)
{
	size_t done = 0;

	while (done < len) {
		struct page *page = host_page(address + done);

		if (!page || !(is_written ? is_writable(page) : is_readable(page)))
			break;
		done += within_page(address + done, len - done);
	}
	return done;
}

/* Aligned words that the host may be writing: each of them at once. Returns how much was copied, as above. */
static size_t load_part(struct nvmev_peers *peers, u64 address, u32 *into, size_t len)
{
	struct page *page = host_page(address);
	const u32 *from;
	void *mapping;
	size_t i;

	if (!page)
		return nvmev_peer_access(peers, NVMEV_ACCESS_READ, address, into, len);
	if (!is_readable(page))
		return 0;
	mapping = kmap_local_page(page);
	from = mapping + offset_in_page(address);
	for (i = 0; i < len / sizeof(*into); i++)
		into[i] = READ_ONCE(from[i]);
	kunmap_local(mapping);
	return len;
}

/* As nvmev_host_read(), of aligned words that the host may be writing: each of them at once, and all before what is read next. */
u32 nvmev_host_load(struct nvmev_peers *peers, u64 address, u32 *into, size_t words)
{
	if (address % sizeof(*into))
		return 0;
	while (words) {
		size_t part = load_part(peers, address, into, within_page(address, words * sizeof(*into)));

		if (!part || part % sizeof(*into))
			return 0;
		address += part;
		into += part / sizeof(*into);
		words -= part / sizeof(*into);
	}
	smp_rmb();
	return 1;
}

u32 nvmev_host_write(struct nvmev_peers *peers, u64 address, const void *from, size_t len)
{
	while (len) {
		size_t part = write_part(peers, address, from, within_page(address, len));

		if (!part)
			return 0;
		address += part;
		from += part;
		len -= part;
	}
	return 1;
}

/*
 * Not by the kernel's prefetch(), which wants nothing in the second cache, nor its prefetchw(): measured in user space, this is better for both
 * ends of a copy (docs/performance.md). To prefetch what is not mapped does nothing.
 */
static void prefetch_lines(const void *start, size_t len)
{
	const char *line = PTR_ALIGN_DOWN(start, L1_CACHE_BYTES);

	for (; line < (const char *)start + len; line += L1_CACHE_BYTES)
#ifdef CONFIG_X86
		asm volatile("prefetcht0 %0" : : "m"(*line));
#else
		prefetch(line);
#endif
}

/*
 * A copy between these places comes soon. RAM need not be looked at as closely as for the copy itself. Nothing of another device is touched.
 */
void nvmev_host_prefetch(u64 address, const void *ours, size_t len)
{
	struct page *page = host_page(address);

	if (!page)
		return;
	prefetch_lines(ours, len);
	prefetch_lines(page_address(page) + offset_in_page(address), within_page(address, len));
}

/* Writes a completion: the half with the phase bit last, so that the host never sees it before the rest. */
u32 nvmev_host_publish(struct nvmev_peers *peers, u64 address, const u64 *entry)
{
	struct page *page = host_page(address);
	const size_t len = 2 * sizeof(*entry);
	void *mapping;
	u64 *into;

	if (address % len)
		return 0;
	if (!page)
		return nvmev_peer_access(peers, NVMEV_ACCESS_PUBLISH, address, (void *)entry, len) == len;
	if (!is_writable(page))
		return 0;
	mapping = kmap_local_page(page);
	into = mapping + offset_in_page(address);
	WRITE_ONCE(into[0], entry[0]);
	smp_store_release(&into[1], entry[1]);
	kunmap_local(mapping);
	return 1;
}
