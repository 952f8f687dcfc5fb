// SPDX-License-Identifier: GPL-2.0-only
//! The threads: the dispatcher on the first CPU, or several on the first ones, an I/O worker on each of the others. With a single CPU, one thread is
//! both.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Write;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use module_params::{Cpus, Idle, TextBuffer};
use nvme_device::{Activity, Controller, Dispatcher, Worker};

use crate::host::KernelHost;
use crate::hotplug::{HeldCpus, Machine, Watch};
use crate::log::info;
use crate::running::{with_times, Running};
use crate::shim;

/// What one thread does.
enum Role {
    First(Box<FirstDispatcher>),
    Dispatcher(Box<Dispatcher>),
    Worker(Box<Worker>),
}

/// The dispatcher that has the controller.
struct FirstDispatcher {
    controller: Box<Controller>,
    /// The only worker, if there is no CPU for it.
    worker: Option<Worker>,
    /// Generation of the timing that the controller has.
    times_seen: u32,
}

impl FirstDispatcher {
    fn poll(&mut self, now_ns: u64, running: &Running) -> Activity {
        if let Some((generation, times)) = running.times.load_if_new(self.times_seen) {
            self.times_seen = generation;
            self.controller.set_nvm_parameters(with_times(running.nvm, times));
        }
        let mut activity = self.controller.poll(now_ns, &running.host);
        if let Some(worker) = &mut self.worker {
            activity.add(work(worker, now_ns, activity.progressed, &running.host));
        } else if activity.progressed {
            running.wake_others(0);
        }
        activity
    }
}

/// One pass of a worker, begun at `now_ns` or, with `is_stale`, some time after it. Fetching, copying and posting take time: completions are
/// posted, and measured, at the time that it is when their turn comes.
fn work(worker: &mut Worker, mut now_ns: u64, is_stale: bool, host: &KernelHost) -> Activity {
    let has_taken = worker.take_items(now_ns, host);
    if is_stale || has_taken {
        now_ns = shim::nvmev_now_ns();
    }
    loop {
        if let Some(mut activity) = worker.post_completions(now_ns, host) {
            activity.progressed |= has_taken;
            return activity;
        }
        now_ns = shim::nvmev_now_ns();
    }
}

/// All that a thread has; its own alone while it runs.
pub struct Body {
    running: Arc<Running>,
    role: Role,
    /// Index in `cpus=`.
    index: usize,
    cpu: u32,
}

impl Body {
    /// One pass over everything that is this thread's to do.
    fn poll(&mut self, now_ns: u64) -> Activity {
        let Self {
            running, role, index, ..
        } = self;
        if running.failed.load(Ordering::Acquire) {
            // Once more: a controller that was in the middle of a pass may have put its own idea of CSTS there.
            running.mark_failed();
            return Activity::default();
        }
        match role {
            Role::First(dispatcher) => dispatcher.poll(now_ns, running),
            Role::Dispatcher(dispatcher) => {
                let mut activity = dispatcher.poll(now_ns, &running.host);
                if activity.progressed {
                    running.wake_others(*index);
                }
                if dispatcher.has_queues() {
                    // No sleep is that short.
                    activity.next_event_ns = Some(now_ns);
                }
                activity
            }
            Role::Worker(worker) => work(worker, now_ns, false, &running.host),
        }
    }

    /// Runs until the thread is asked to stop.
    pub fn run(&mut self) {
        info!(
            "{} started on cpu {} (node {})",
            self.running.places.name(self.index),
            self.cpu,
            shim::nvmev_cpu_node(self.cpu)
        );
        let start_ns = shim::nvmev_now_ns();
        let mut idle = match self.role {
            Role::First(_) => Idle::dispatcher(self.running.idle_timeout_ns, start_ns),
            Role::Dispatcher(_) | Role::Worker(_) => Idle::worker(self.running.idle_timeout_ns, start_ns),
        };
        let Some(handle) = self.running.threads.get(self.index) else {
            return;
        };
        let handle = handle.load(Ordering::Acquire);
        while shim::nvmev_thread_should_stop() == 0 {
            #[cfg(feature = "test-faults")]
            self.panic_if_asked();
            let now_ns = shim::nvmev_now_ns();
            let activity = self.poll(now_ns);
            if activity.progressed {
                idle.worked(now_ns);
            } else if idle.sleep_ns(now_ns, activity.next_event_ns).is_some() {
                self.sleep(handle, &mut idle);
            }
            shim::nvmev_thread_yield();
            // SAFETY: `handle` is this thread's own, and its owner waits for the thread to end before freeing it.
            unsafe { shim::nvmev_thread_stay(handle) };
        }
    }

    /// Sleeps unless there is work after all.
    fn sleep(&mut self, handle: *mut shim::Thread, idle: &mut Idle) {
        // SAFETY: `handle` is this thread's own, and its owner waits for the thread to end before freeing it.
        unsafe { shim::nvmev_thread_announce_sleep(handle) };
        let now_ns = shim::nvmev_now_ns();
        let activity = self.poll(now_ns);
        if activity.progressed {
            idle.worked(now_ns);
        } else if let Some(ns) = idle.sleep_ns(now_ns, activity.next_event_ns) {
            // SAFETY: as above.
            return unsafe { shim::nvmev_thread_sleep(handle, ns) };
        }
        // SAFETY: as above.
        unsafe { shim::nvmev_thread_cancel_sleep(handle) }
    }

    /// The device has failed: this thread panicked.
    pub fn mark_failed(&self) {
        self.running.mark_failed();
    }

    #[cfg(feature = "test-faults")]
    #[expect(clippy::panic, reason = "a test asks for it")]
    fn panic_if_asked(&self) {
        let mine = match self.role {
            Role::First(_) => FAULT_DISPATCHER,
            Role::Dispatcher(_) => FAULT_OTHER_DISPATCHER,
            Role::Worker(_) => FAULT_WORKER,
        };
        if self
            .running
            .fault
            .compare_exchange(mine, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            // PANIC: only in a module that is built with this feature, and when its /proc file is written to.
            panic!("a test asked for this panic");
        }
    }
}

#[cfg(feature = "test-faults")]
const FAULT_DISPATCHER: u32 = 1;
#[cfg(feature = "test-faults")]
const FAULT_WORKER: u32 = 2;
#[cfg(feature = "test-faults")]
const FAULT_OTHER_DISPATCHER: u32 = 3;

/// Makes a thread panic in its next pass.
#[cfg(feature = "test-faults")]
pub fn request_fault(running: &Running, text: &[u8]) {
    let fault = match text.trim_ascii() {
        b"panic dispatcher" => FAULT_DISPATCHER,
        b"panic worker" => FAULT_WORKER,
        b"panic other dispatcher" => FAULT_OTHER_DISPATCHER,
        _ => 0,
    };
    running.fault.store(fault, Ordering::Relaxed);
}

struct Thread {
    handle: NonNull<shim::Thread>,
    body: NonNull<Body>,
}

/// Why there are no threads.
pub enum StartError {
    /// A CPU that was online when `cpus=` was read is not any more.
    Offline(u32),
    /// The kernel's negative error number.
    Kernel(i32),
}

/// The threads, which end when this is dropped.
pub struct Threads {
    running: Arc<Running>,
    threads: Vec<Thread>,
    /// Moves the threads, so it goes before them.
    watch: Option<Watch>,
}

impl Threads {
    /// Makes a thread for each CPU, the dispatchers' first. There MUST be as many workers as
    /// [`CpuList::worker_count`](module_params::CpuList::worker_count) says.
    ///
    /// # Errors
    /// If a CPU has gone offline meanwhile, or the kernel has no thread to give.
    pub fn start(
        running: Arc<Running>,
        controller: Box<Controller>,
        dispatchers: Vec<Dispatcher>,
        workers: Vec<Worker>,
    ) -> Result<Self, StartError> {
        let mut started = Self {
            running: running.clone(),
            threads: Vec::new(),
            watch: Some(Watch::new(running.clone()).map_err(StartError::Kernel)?),
        };
        let is_alone = running.places.homes().len() == 1;
        let mut workers = workers.into_iter();
        let first = Role::First(Box::new(FirstDispatcher {
            controller,
            worker: if is_alone { workers.next() } else { None },
            times_seen: 0,
        }));
        let dispatchers = dispatchers
            .into_iter()
            .map(|dispatcher| Role::Dispatcher(Box::new(dispatcher)));
        let workers = workers.map(|worker| Role::Worker(Box::new(worker)));
        started.add_all(core::iter::once(first).chain(dispatchers).chain(workers))?;
        for thread in &started.threads {
            // SAFETY: made in `add`, and not running yet.
            unsafe { shim::nvmev_thread_run(thread.handle.as_ptr()) }
        }
        Ok(started)
    }

    /// While no CPU can go offline: from here on, threads that are there are moved if one does.
    fn add_all(&mut self, roles: impl Iterator<Item = Role>) -> Result<(), StartError> {
        let running = self.running.clone();
        let cpus = running.places.homes();
        self.threads
            .try_reserve_exact(cpus.len())
            .map_err(|_| StartError::Kernel(shim::ENOMEM))?;
        let _held = HeldCpus::new();
        if let Some(&cpu) = cpus.iter().find(|&&cpu| !Machine::new().is_online(cpu)) {
            return Err(StartError::Offline(cpu));
        }
        for (index, (&cpu, role)) in cpus.iter().zip(roles).enumerate() {
            let running = running.clone();
            let body = Body {
                running,
                role,
                index,
                cpu,
            };
            self.add(body).map_err(StartError::Kernel)?;
        }
        Ok(())
    }

    fn add(&mut self, body: Body) -> Result<(), i32> {
        let mut name = [0; 32];
        let mut text = TextBuffer::new(&mut name);
        // 32 bytes hold any of our names and its terminating zero.
        write!(text, "{}", self.running.places.name(body.index)).map_err(|_| shim::EINVAL)?;
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| shim::EINVAL)?;
        let (cpu, index) = (body.cpu, body.index);
        let body = Box::into_raw(Box::new(body));
        let mut error = 0;
        // SAFETY: the body stays where it is until the thread has ended (see `drop`), and is used by it alone.
        let handle = unsafe { shim::nvmev_thread_create(body.cast(), name.as_ptr(), cpu, &mut error) };
        match (NonNull::new(handle), NonNull::new(body)) {
            (Some(handle), Some(body)) => {
                if let Some(slot) = self.running.threads.get(index) {
                    slot.store(handle.as_ptr(), Ordering::Release);
                }
                self.threads.push(Thread { handle, body });
                Ok(())
            }
            _ => {
                // SAFETY: from `Box::into_raw` above; no thread has it.
                drop(unsafe { Box::from_raw(body) });
                Err(error)
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.watch.take());
        for thread in &self.threads {
            // SAFETY: made in `add`; after this call the thread has ended, also if it never ran or had panicked.
            unsafe { shim::nvmev_thread_stop(thread.handle.as_ptr()) }
        }
        // Not before all have ended: dispatchers wake the others through their handles.
        for thread in &self.threads {
            // SAFETY: made in `add`, and used by threads of ours only.
            unsafe { shim::nvmev_thread_free(thread.handle.as_ptr()) }
            // SAFETY: from `Box::into_raw` in `add`; its thread has ended.
            drop(unsafe { Box::from_raw(thread.body.as_ptr()) });
        }
    }
}
