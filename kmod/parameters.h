/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's parameters: the name and what `modinfo` says of each. This list is the only one. C makes the parameters of
 * it; crates/module-params/build.rs reads it, so each parameter is one line here, of the form PARAM(name, "description"),
 * and makes the structure that passes them to Rust.
 */
#define NVMEV_PARAMETERS(PARAM) \
	PARAM(memmap_start, "Start of the memory reserved with memmap=SIZE$START on the kernel command line, e.g. 4G") \
	PARAM(memmap_size, "Size of the reserved memory, e.g. 2G; the first 1 MiB holds the registers") \
	PARAM(size, "Take this much memory from the running kernel instead, e.g. 1G; no memmap= needed") \
	PARAM(data, "Where data is kept: memory (default), or none: NOTHING THAT IS WRITTEN IS KEPT, reads return zeros, size= says how large the drive is") \
	PARAM(cpus, "CPUs to use, e.g. 2,3: the first runs the dispatcher, the others I/O workers") \
	PARAM(dispatchers, "How many of the CPUs run dispatchers, which divide the queues among themselves; default 1") \
	PARAM(profile, "Device to emulate") \
	PARAM(ns, "Namespaces of different kinds: PROFILE:SIZE,PROFILE:SIZE,...; one without a size has what is left") \
	PARAM(profile_set, "Parameters of the profile to change, e.g. nand.program_ns=200000,ftl.victim=random; with ns=, 1/nand.program_ns=200000 for the first") \
	PARAM(lba_size, "Logical block size: 512 or 4096") \
	PARAM(serial, "Serial number, up to 20 characters") \
	PARAM(read_time, "Read time per I/O unit in nanoseconds") \
	PARAM(read_delay, "Delay before a read in nanoseconds") \
	PARAM(read_trailing, "Delay after a read in nanoseconds") \
	PARAM(write_time, "Write time per I/O unit in nanoseconds") \
	PARAM(write_delay, "Delay before a write in nanoseconds") \
	PARAM(write_trailing, "Delay after a write in nanoseconds") \
	PARAM(nr_io_units, "Number of I/O units that work in parallel") \
	PARAM(io_unit_shift, "Size of an I/O unit as a power of two") \
	PARAM(idle_timeout_us, "Microseconds without work after which the threads begin to sleep; 0: never") \
	PARAM(lateness_bound_ns, "Nanoseconds after which a completion is posted too late, for /proc/nvmev/lateness") \
	PARAM(shadow_doorbells, "Whether hosts can have shadow doorbells (Doorbell Buffer Config): 1 or 0; default 1") \
	PARAM(dma, "DMA engines that copy data: off (default), any, or the name of a device or a channel, such as dma0 or dma0chan1") \
	PARAM(debug, "Accepted for compatibility with NVMeVirt; has no effect")
