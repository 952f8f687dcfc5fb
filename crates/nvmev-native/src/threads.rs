//! The engine's threads: dispatchers and workers, as the kernel module runs them, but never asleep.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nvme_device::{Controller, Device, Dispatcher, Host, Worker};
use rustix::thread::{sched_setaffinity, CpuSet};

use crate::Clock;

/// Which threads there are, and where.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Dispatchers and workers take turns on one thread. Otherwise each has its own.
    pub is_one_thread: bool,
    /// The CPUs: the dispatchers' first, then a worker's each. A thread for which there is none here runs wherever the kernel puts it.
    pub cpus: Vec<usize>,
    /// Threads that find nothing to do let others run: needed where there are more threads than CPUs.
    pub yields: bool,
}

/// What a thread does besides the device: called before each pass, with the time of the pass, ns.
pub type Companion = Box<dyn FnMut(u64) + Send>;

/// The threads of a device, which end when this is dropped.
pub struct Threads {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them. `companion` shares the dispatcher's thread: a driver, where there is no CPU for it.
    pub fn start<H: Host + Send + Sync + 'static>(
        host: &Arc<H>,
        device: Device,
        clock: Clock,
        layout: &Layout,
        companion: Option<Companion>,
    ) -> Self {
        let Device {
            controller,
            dispatchers,
            workers,
            shared: _,
        } = device;
        let (mut dispatchers, mut workers) = (dispatchers, workers);
        let mut first = Part {
            controller: Some(controller),
            companion,
            ..Part::default()
        };
        if layout.is_one_thread {
            first.dispatchers = std::mem::take(&mut dispatchers);
            first.workers = std::mem::take(&mut workers);
        }
        let dispatchers = dispatchers.into_iter().map(|dispatcher| Part {
            dispatchers: vec![dispatcher],
            ..Part::default()
        });
        let workers = workers.into_iter().map(|worker| Part {
            workers: vec![worker],
            ..Part::default()
        });
        let stop = Arc::new(AtomicBool::new(false));
        let threads = std::iter::once(first)
            .chain(dispatchers)
            .chain(workers)
            .enumerate()
            .map(|(index, mut part)| {
                let (host, stop) = (host.clone(), stop.clone());
                let (cpu, yields) = (layout.cpus.get(index).copied(), layout.yields);
                thread::spawn(move || {
                    if let Some(cpu) = cpu {
                        pin(cpu).expect("a CPU of this machine");
                    }
                    while !stop.load(Ordering::Acquire) {
                        if !part.pass(clock.now_ns(), &*host) && yields {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "a thread of the engine panicked"
            );
        }
    }
}

/// What one thread runs.
#[derive(Default)]
struct Part {
    controller: Option<Box<Controller>>,
    dispatchers: Vec<Dispatcher>,
    workers: Vec<Worker>,
    companion: Option<Companion>,
}

impl Part {
    /// Returns whether there was anything to do.
    fn pass<H: Host>(&mut self, now_ns: u64, host: &H) -> bool {
        if let Some(companion) = &mut self.companion {
            companion(now_ns);
        }
        let controller = self.controller.as_mut();
        let mut progressed = controller.is_some_and(|controller| controller.poll(now_ns, host).progressed);
        for dispatcher in &mut self.dispatchers {
            progressed |= dispatcher.poll(now_ns, host).progressed;
        }
        for worker in &mut self.workers {
            progressed |= worker.poll(now_ns, host).progressed;
        }
        progressed
    }
}

/// Keeps the calling thread on `cpu`.
///
/// # Errors
/// What the kernel says: there is no such CPU, or it is not ours to use.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
