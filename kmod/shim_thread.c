// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher's and the workers' threads: starting, stopping, sleeping, waking, and what is left of one that
 * panicked. And where the process runs that loads the module.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/version.h>

#include "shim.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define kthread_complete_and_exit complete_and_exit
#endif

struct nvmev_thread {
	struct task_struct *task;
	/* Where it runs: its CPU of cpus=, or another one while that is offline. */
	unsigned int cpu;
	/* 1 from the moment the thread says that it is about to sleep until somebody wakes it or it is up again. */
	int asleep;
};

static int thread_main(void *body)
{
	/*
	 * Whatever a host has us allocate (a namespace, the mapping of a BAR), memory must not become free by I/O to a drive
	 * that only this thread serves.
	 */
	unsigned int flags = memalloc_noio_save();

	nvmev_rs_thread(body);
	memalloc_noio_restore(flags);
	return 0;
}

/* Creates a thread bound to a CPU that is online; it runs from nvmev_thread_run() on. */
struct nvmev_thread *nvmev_thread_create(void *body, const char *name, u32 cpu, s32 *error)
{
	struct nvmev_thread *thread = kzalloc(sizeof(*thread), GFP_KERNEL);
	struct task_struct *task;

	if (!thread) {
		*error = -ENOMEM;
		return NULL;
	}
	task = kthread_create_on_node(thread_main, body, cpu_to_node(cpu), "%s", name);
	if (IS_ERR(task)) {
		*error = PTR_ERR(task);
		kfree(thread);
		return NULL;
	}
	kthread_bind(task, cpu);
	thread->cpu = cpu;
	/* Ours until nvmev_thread_free(), even if the thread should end before. */
	get_task_struct(task);
	thread->task = task;
	return thread;
}

void nvmev_thread_run(struct nvmev_thread *thread)
{
	wake_up_process(thread->task);
}

/* Asks the thread to end and waits for it. */
void nvmev_thread_stop(struct nvmev_thread *thread)
{
	kthread_stop(thread->task);
}

/* The thread has been stopped, and so has everybody who might wake it. */
void nvmev_thread_free(struct nvmev_thread *thread)
{
	put_task_struct(thread->task);
	kfree(thread);
}

u32 nvmev_thread_should_stop(void)
{
	return kthread_should_stop();
}

/* A polling thread never blocks; this is where it lets others run and RCU go on. */
void nvmev_thread_yield(void)
{
	cond_resched_tasks_rcu_qs();
	cpu_relax();
}

/*
 * Moves a thread to a CPU that is online. kthread_bind() keeps users and cpusets from moving it, and works only before it runs; the kernel
 * itself may move it at any time.
 */
s32 nvmev_thread_move(struct nvmev_thread *thread, u32 cpu)
{
	WRITE_ONCE(thread->cpu, cpu);
	return set_cpus_allowed_ptr(thread->task, cpumask_of(cpu));
}

/*
 * The calling thread goes back to where it belongs, if the kernel has moved it away. The scheduler does that when a CPU begins to go offline, and
 * tells nobody if the CPU stays after all.
 */
void nvmev_thread_stay(struct nvmev_thread *thread)
{
	unsigned int cpu;

	do {
		cpu = READ_ONCE(thread->cpu);
		if (likely(raw_smp_processor_id() == cpu && current->nr_cpus_allowed == 1))
			return;
		/* One that is about to go offline is not for us; nvmev_thread_move() will say where to go. */
		if (!cpu_active(cpu) || set_cpus_allowed_ptr(current, cpumask_of(cpu)))
			return;
		/* Moved meanwhile? */
	} while (READ_ONCE(thread->cpu) != cpu);
}

/*
 * Sleeping without missing work: the sleeper announces, looks for work once more, and only then sleeps; whoever makes
 * work does so before nvmev_thread_wake(). The two full barriers make sure that at least one of them sees the other.
 */
void nvmev_thread_announce_sleep(struct nvmev_thread *thread)
{
	WRITE_ONCE(thread->asleep, 1);
	smp_mb();
}

void nvmev_thread_cancel_sleep(struct nvmev_thread *thread)
{
	WRITE_ONCE(thread->asleep, 0);
}

/* Sleeps for about this long, or until woken or stopped. */
void nvmev_thread_sleep(struct nvmev_thread *thread, u64 ns)
{
	ktime_t timeout = ns_to_ktime(ns);

	set_current_state(TASK_IDLE);
	if (READ_ONCE(thread->asleep) && !kthread_should_stop())
		schedule_hrtimeout_range(&timeout, ns / 8, HRTIMER_MODE_REL);
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(thread->asleep, 0);
}

void nvmev_thread_wake(struct nvmev_thread *thread)
{
	smp_mb();
	if (READ_ONCE(thread->asleep)) {
		WRITE_ONCE(thread->asleep, 0);
		wake_up_process(thread->task);
	}
}

/*
 * The end of a panic in Rust. There is no way back into the code that failed, and its stack must not be unwound: a
 * thread of ours waits here until the module is unloaded, so that kthread_stop() finds it, and ends. Returns only to be
 * called again.
 */
void nvmev_panic_park(void)
{
	/* Under a spinlock (configuration space) nobody may sleep: this is the kernel's own way to report a bug. */
	BUG_ON(in_atomic() || irqs_disabled());
	/* A system call that panicked waits for good: it cannot return, and the only exit that modules have is an oops. */
	set_current_state(TASK_IDLE);
	if ((current->flags & PF_KTHREAD) && kthread_func(current) == thread_main) {
		nvmev_rs_mark_failed(kthread_data(current));
		if (kthread_should_stop()) {
			__set_current_state(TASK_RUNNING);
			kthread_complete_and_exit(NULL, 0);
		}
	}
	schedule();
}

/* Keeps the calling process on a node's CPUs; what it gives is for nvmev_node_leave(). NULL: nothing has changed. */
struct cpumask *nvmev_node_enter(u32 node)
{
	struct cpumask *before = kmalloc(cpumask_size(), GFP_KERNEL);

	if (before)
		cpumask_copy(before, current->cpus_ptr);
	if (!before || node >= MAX_NUMNODES || set_cpus_allowed_ptr(current, cpumask_of_node(node))) {
		kfree(before);
		return NULL;
	}
	return before;
}

/* Lets it run where it could before; if none of those CPUs is left, it stays. */
void nvmev_node_leave(struct cpumask *before)
{
	set_cpus_allowed_ptr(current, before);
	kfree(before);
}
