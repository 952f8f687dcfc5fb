// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/nvmev: the files and their buffers. What is in them is written and read by Rust.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "shim.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define pde_data PDE_DATA
#endif

/* A line of `stat` is under 80 bytes, and there are at most 128 queues and a total; `lateness` has as many buckets, of under 60 bytes. */
#define SHOW_BYTES (16 * 1024)
#define STORE_BYTES 128

struct nvmev_proc_entry {
	struct nvmev_proc *proc;
	enum nvmev_proc_file file;
};

struct nvmev_proc {
	struct proc_dir_entry *directory;
	const void *core;
	struct mutex store_lock;
	struct nvmev_proc_entry entries[NVMEV_PROC_FILES];
};

static const char *const file_names[NVMEV_PROC_FILES] = {
	[NVMEV_PROC_READ_TIMES] = "read_times", [NVMEV_PROC_WRITE_TIMES] = "write_times",
	[NVMEV_PROC_IO_UNITS] = "io_units",	[NVMEV_PROC_STAT] = "stat",
	[NVMEV_PROC_DEBUG] = "debug",		[NVMEV_PROC_FTL] = "ftl",
	[NVMEV_PROC_LATENESS] = "lateness",	[NVMEV_PROC_DATA] = "data",
	[NVMEV_PROC_DMA] = "dma",		[NVMEV_PROC_CPUS] = "cpus",
};

static int show(struct seq_file *seq, void *unused)
{
	const struct nvmev_proc_entry *entry = seq->private;
	char *buffer = kvmalloc(SHOW_BYTES, GFP_KERNEL);

	if (!buffer)
		return -ENOMEM;
	seq_write(seq, buffer, nvmev_rs_proc_show(entry->proc->core, entry->file, buffer, SHOW_BYTES));
	kvfree(buffer);
	return 0;
}

static int open(struct inode *inode, struct file *file)
{
	/* Sized for the whole answer: a second call of show() would find `stat` already reset. */
	return single_open_size(file, show, pde_data(inode), SHOW_BYTES);
}

static ssize_t store(struct file *file, const char __user *user, size_t len, loff_t *position)
{
	struct nvmev_proc_entry *entry = pde_data(file_inode(file));
	char text[STORE_BYTES];
	int error;

	if (len > sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, len))
		return -EFAULT;
	mutex_lock(&entry->proc->store_lock);
	error = nvmev_rs_proc_store(entry->proc->core, entry->file, text, len);
	mutex_unlock(&entry->proc->store_lock);
	return error ?: len;
}

static const struct proc_ops file_ops = {
	.proc_open = open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = store,
};

struct nvmev_proc *nvmev_proc_create(const void *core)
{
	struct nvmev_proc *proc = kzalloc(sizeof(*proc), GFP_KERNEL);
	int i;

	if (!proc)
		return NULL;
	proc->core = core;
	mutex_init(&proc->store_lock);
	proc->directory = proc_mkdir("nvmev", NULL);
	if (!proc->directory)
		goto free;
	for (i = 0; i < NVMEV_PROC_FILES; i++) {
		proc->entries[i].proc = proc;
		proc->entries[i].file = i;
		if (!proc_create_data(file_names[i], 0664, proc->directory, &file_ops, &proc->entries[i]))
			goto remove;
	}
	return proc;

remove:
	proc_remove(proc->directory);
free:
	kfree(proc);
	return NULL;
}

/* Waits for readers and writers that are inside. */
void nvmev_proc_destroy(struct nvmev_proc *proc)
{
	proc_remove(proc->directory);
	kfree(proc);
}
