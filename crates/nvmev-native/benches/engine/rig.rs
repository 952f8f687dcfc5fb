//! A device and its driver on one thread, in the drive's own time: what is measured is how fast they get through their work, not when it would be due.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nvme_device::{
    Activity, Controller, Device, DeviceConfig, Dispatcher, HostMemory, Identity, NamespaceConfig, Shared,
    Worker,
};
use nvme_spec::{NvmOpcode, Status, PAGE_SIZE_BYTES};
use nvmev_native::{pin, Driver, Machine, Medium, QueuePair};
use nvmev_sim::host::commands;
use ssd_model::{namespace_bytes, profiles, AnyModel};
use ssd_profile::{Profile, ProfileKind};

use crate::rounds::CpuTime;
use crate::setup::{DataPointer, Kind, Setup};
use crate::work::{Addresses, Work, Zones, LONG_BYTES};

/// RAM for queues, and 128 KiB for the data of each command where there is any.
const RAM_BYTES: usize = 512 << 20;
/// With the time that a worker is given, everything is due.
const EVERYTHING_IS_DUE_NS: u64 = 1 << 60;

/// See the module's documentation.
pub struct Rig {
    pub setup: Setup,
    pub machine: Arc<Machine>,
    pub controller: Box<Controller>,
    /// The others.
    dispatchers: Vec<Dispatcher>,
    /// Always there, but for the moments in which another thread has it.
    worker: Option<Worker>,
    pub shared: Arc<Shared>,
    pub queues: Vec<QueuePair>,
    pub work: Work,
    /// The drive's time.
    pub now_ns: u64,
}

/// A pass of the dispatcher: a function of its own, which does not end in a jump to another, so that callgrind can count what happens in it.
#[inline(never)]
pub fn dispatcher_pass(controller: &mut Controller, now_ns: u64, machine: &Machine) -> Activity {
    black_box(controller.poll(now_ns, machine))
}

/// A pass of a worker: as above.
#[inline(never)]
pub fn worker_pass(worker: &mut Worker, now_ns: u64, machine: &Machine) -> Activity {
    black_box(worker.poll(now_ns, machine))
}

impl Rig {
    /// The device, enabled, with its queues, and on it what the commands are about.
    pub fn new(setup: Setup) -> Self {
        let profile = profiles::by_name(setup.profile).expect("a built-in profile");
        let (machine, device) = build(&setup, profile);
        let Device {
            mut controller,
            mut dispatchers,
            mut workers,
            shared,
        } = device;
        let mut worker = workers.pop().expect("the one worker");
        let mut now_ns = 1_000_000_000;
        let mut step = || {
            let mut activity = controller.poll(now_ns, &*machine);
            for dispatcher in &mut dispatchers {
                activity.progressed |= dispatcher.poll(now_ns, &*machine).progressed;
            }
            let worked = worker.poll(now_ns, &*machine);
            if !activity.progressed && !worked.progressed {
                now_ns = next_ns(now_ns, activity, worked);
            }
        };
        let mut driver = Driver::enable(machine.clone(), &shared, &mut step);
        if setup.has_shadow_doorbells {
            driver.use_shadow_doorbells(&mut step);
        }
        let mut queues: Vec<QueuePair> = (1..=setup.queues)
            .map(|qid| driver.create_queue_pair(qid, setup.depth + 1, &mut step))
            .collect();
        if setup.is_reserved {
            let keys = driver.pages(1);
            let register = commands::reservation(NvmOpcode::RESERVATION_REGISTER, 1, 0, keys);
            let acquire = commands::reservation(NvmOpcode::RESERVATION_ACQUIRE, 1, 2 << 8, keys);
            driver.execute(&mut queues[0], register, &mut step);
            driver.execute(&mut queues[0], acquire, &mut step);
        }
        queues.truncate(setup.busy_queues.into());
        let bytes = namespace_bytes(&profile.kind, setup.capacity_bytes).expect("a size it can have");
        let addresses = Addresses::random(bytes.min(setup.span_bytes), setup.len_bytes);
        let work = Work::new(
            &setup,
            setup.kind,
            setup.len_bytes,
            setup.data,
            addresses,
            &mut driver,
        );
        let mut rig = Self {
            setup,
            machine,
            controller,
            dispatchers,
            worker: Some(worker),
            shared,
            queues,
            work,
            now_ns,
        };
        match profile.kind {
            // A medium that was never written is no memory yet.
            ProfileKind::Nvm(_) | ProfileKind::KeyValue(_) if setup.has_data => {
                let all = Addresses::Sequential(0);
                rig.prepare(Kind::Write, LONG_BYTES, all, bytes, &mut driver);
            }
            ProfileKind::Nvm(_) | ProfileKind::KeyValue(_) => {}
            ProfileKind::Conventional(_) => rig.fill_drive(&profile.kind, bytes, &mut driver),
            ProfileKind::Zoned(_) => rig.use_zones(&profile.kind, bytes, &mut driver),
        }
        rig
    }

    /// Writes all of it and, for measuring writes, as much again as makes garbage collection steady: when the free lines of the beginning are used up
    /// and lines are as mixed as they get.
    fn fill_drive(&mut self, kind: &ProfileKind, bytes: u64, driver: &mut Driver) {
        self.prepare(Kind::Write, LONG_BYTES, Addresses::Sequential(0), bytes, driver);
        if self.setup.kind == Kind::Write {
            let model = AnyModel::new(kind, self.setup.capacity_bytes).expect("enough memory");
            let physical_pages = model.flash_report().map_or(0, |report| report.physical_pages);
            let written = bytes + physical_pages * PAGE_SIZE_BYTES as u64;
            let addresses = Addresses::random(bytes, self.setup.len_bytes);
            self.prepare(Kind::Write, self.setup.len_bytes, addresses, written, driver);
        }
    }

    /// Has writes go through zones in order, and reads to zones that are written.
    fn use_zones(&mut self, kind: &ProfileKind, bytes: u64, driver: &mut Driver) {
        let setup = self.setup;
        let model = AnyModel::new(kind, setup.capacity_bytes).expect("enough memory");
        let zone_bytes = model.zoned().expect("a zoned drive").geometry().zone_bytes;
        let lba = u64::from(setup.lba_bytes);
        let zones = |is_append| {
            let zones = Zones::new(zone_bytes / lba, bytes / lba, setup.busy_queues, is_append);
            Addresses::Zones(zones)
        };
        let addresses = if setup.kind == Kind::Read {
            let written = zone_bytes * u64::from(setup.busy_queues);
            self.prepare(Kind::Write, LONG_BYTES, zones(false), written, driver);
            Addresses::random(written.min(setup.span_bytes), setup.len_bytes)
        } else {
            zones(setup.kind == Kind::Append)
        };
        self.work = Work::new(&setup, setup.kind, setup.len_bytes, setup.data, addresses, driver);
    }

    /// Carries out `bytes` of commands that are not measured.
    fn prepare(&mut self, kind: Kind, len_bytes: u32, addresses: Addresses, bytes: u64, driver: &mut Driver) {
        // What they write is all the same: one buffer will do.
        let setup = Setup {
            has_data: false,
            ..self.setup
        };
        let work = Work::new(&setup, kind, len_bytes, DataPointer::Sgl, addresses, driver);
        let measured = std::mem::replace(&mut self.work, work);
        self.run_interleaved(bytes / u64::from(len_bytes) / self.batch());
        self.work = measured;
    }

    /// Commands that all queues have together.
    pub fn batch(&self) -> u64 {
        u64::from(self.setup.depth) * self.queues.len() as u64
    }

    /// Fills all queues.
    pub fn fill(&mut self) {
        for (index, queue) in self.queues.iter_mut().enumerate() {
            fill_queue(queue, index, &mut self.work, &self.machine);
        }
    }

    /// Takes all completions out.
    pub fn reap(&mut self) {
        for queue in &mut self.queues {
            reap_queue(queue, &self.machine);
        }
    }

    /// A pass of each dispatcher.
    #[inline]
    fn dispatcher_pass(&mut self) -> Activity {
        let mut activity = dispatcher_pass(&mut self.controller, self.now_ns, &self.machine);
        for dispatcher in &mut self.dispatchers {
            activity.progressed |= dispatcher.poll(self.now_ns, &*self.machine).progressed;
        }
        activity
    }

    #[inline]
    fn worker_pass(&mut self, now_ns: u64) -> Activity {
        let worker = self.worker.as_mut().expect("a worker");
        worker_pass(worker, now_ns, &self.machine)
    }

    /// Whether all that was placed is done.
    pub fn is_done(&self) -> bool {
        self.queues.iter().all(|queue| queue.is_done(&self.machine))
    }

    /// Runs `batches` full queues, the dispatcher until it has fetched all of a batch, then the worker until all are posted. Returns the times that each
    /// of the two took; the driver's is in neither.
    pub fn run_in_phases(&mut self, batches: u64) -> [Duration; 2] {
        let mut took = [Duration::ZERO; 2];
        for _ in 0..batches {
            let target = self.fetched().wrapping_add(self.batch() as u32);
            self.fill();
            let start = CpuTime::now();
            self.dispatch_until(target);
            let dispatched = CpuTime::now();
            while self.worker_pass(EVERYTHING_IS_DUE_NS).progressed {}
            took[0] += dispatched - start;
            took[1] += dispatched.elapsed();
            self.reap();
        }
        took
    }

    /// Runs the dispatcher until it has fetched `target` commands since the queues were made.
    pub fn dispatch_until(&mut self, target: u32) {
        loop {
            let activity = self.dispatcher_pass();
            if activity.progressed {
                self.now_ns += self.setup.pace_ns * self.queues.len() as u64;
            } else if self.fetched() == target {
                return;
            } else {
                self.now_ns = next_ns(self.now_ns, activity, Activity::default());
            }
        }
    }

    /// Commands fetched since the queues were made (wrapping).
    pub fn fetched(&self) -> u32 {
        fetched(&self.shared)
    }

    /// Runs `batches` full queues, dispatcher and worker in turn, as one thread of the module does. Returns the time without the driver's.
    pub fn run_interleaved(&mut self, batches: u64) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..batches {
            self.fill();
            let start = CpuTime::now();
            loop {
                let activity = self.dispatcher_pass();
                let worked = self.worker_pass(self.now_ns);
                if activity.progressed || worked.progressed {
                    self.now_ns += self.setup.pace_ns * self.queues.len() as u64;
                } else if self.is_done() {
                    break;
                } else {
                    self.now_ns = next_ns(self.now_ns, activity, worked);
                }
            }
            took += start.elapsed();
            self.reap();
        }
        took
    }

    /// Runs `batches` full queues, the dispatcher on this thread and the worker on another, on `worker_cpu` if there is one. Returns the time from a
    /// batch's doorbells to its last completion, of the quickest batch: time on the wall, for what the threads cost is how they wait for each other.
    pub fn run_on_two_threads(&mut self, batches: u64, worker_cpu: Option<usize>) -> Duration {
        let (machine, stop) = (self.machine.clone(), AtomicBool::new(false));
        // The rig's worker is on the other thread meanwhile.
        let worker = self.worker.take().expect("a worker");
        let (took, worker) = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut worker = worker;
                if let Some(cpu) = worker_cpu {
                    pin(cpu).expect("a CPU of this machine");
                }
                while !stop.load(Ordering::Relaxed) {
                    worker_pass(&mut worker, EVERYTHING_IS_DUE_NS, &machine);
                }
                worker
            });
            let mut took = Duration::MAX;
            for _ in 0..batches {
                let target = self.fetched().wrapping_add(self.batch() as u32);
                self.fill();
                let start = Instant::now();
                self.dispatch_until(target);
                while !self.is_done() {
                    std::hint::spin_loop();
                }
                took = took.min(start.elapsed());
                self.reap();
            }
            stop.store(true, Ordering::Relaxed);
            (took, other.join().expect("a worker that does not panic"))
        });
        self.worker = Some(worker);
        took
    }

    /// Runs `batches` full queues, of which there is room for all in the rings to the worker: the last dispatcher on another thread, on `other_cpu` if there is
    /// one, the first of two on this one, with the driver; then the worker. So the one on the other thread gets entries from another CPU's cache and gives
    /// jobs to it, as in use. Returns the time from a batch's doorbells to its last fetch, of the quickest batch, on the wall.
    pub fn run_dispatchers(&mut self, batches: u64, other_cpu: Option<usize>) -> Duration {
        let batch = self.batch() as u32;
        let Self {
            setup,
            machine,
            controller,
            dispatchers,
            worker,
            shared,
            queues,
            work,
            now_ns,
        } = self;
        let (machine, worker) = (&**machine, worker.as_mut().expect("a worker"));
        let step_ns = setup.pace_ns * queues.len() as u64;
        let (stop, clock, target) = (
            AtomicBool::new(false),
            AtomicU64::new(*now_ns),
            AtomicU32::new(fetched(shared)),
        );
        let (mut here, mut elsewhere): (Option<&mut Controller>, Box<dyn FnMut(u64) -> Activity + Send>) =
            match dispatchers.first_mut() {
                Some(second) => (Some(controller), Box::new(|now_ns| second.poll(now_ns, machine))),
                None => (None, Box::new(|now_ns| controller.poll(now_ns, machine))),
            };
        let took = thread::scope(|scope| {
            scope.spawn(|| {
                if let Some(cpu) = other_cpu {
                    pin(cpu).expect("a CPU of this machine");
                }
                while !stop.load(Ordering::Relaxed) {
                    if elsewhere(clock.fetch_add(step_ns, Ordering::Relaxed)).progressed {
                        continue;
                    }
                    std::hint::spin_loop();
                }
            });
            let mut took = Duration::MAX;
            for _ in 0..batches {
                let end = target.fetch_add(batch, Ordering::Relaxed).wrapping_add(batch);
                for (index, queue) in queues.iter_mut().enumerate() {
                    place_commands(queue, index, work, machine);
                }
                let start = Instant::now();
                queues.iter().for_each(|queue| queue.ring(machine));
                loop {
                    let now_ns = clock.load(Ordering::Relaxed);
                    let activity = here.as_mut().map(|first| dispatcher_pass(first, now_ns, machine));
                    if activity.is_some_and(|activity| activity.progressed) {
                        continue;
                    }
                    if fetched(shared) == end {
                        break;
                    }
                    // To look takes the counters away from the other CPU.
                    (0..20).for_each(|_| std::hint::spin_loop());
                }
                took = took.min(start.elapsed());
                while worker_pass(worker, EVERYTHING_IS_DUE_NS, machine).progressed {}
                for queue in queues.iter_mut() {
                    reap_queue(queue, machine);
                }
            }
            stop.store(true, Ordering::Relaxed);
            took
        });
        *now_ns = clock.load(Ordering::Relaxed);
        took
    }

    /// Runs at least `commands` from end to end: the driver keeps all queues full, dispatcher, worker and driver in turn. Returns the time of
    /// all of it and the number of commands.
    pub fn run_end_to_end(&mut self, commands: u64) -> (Duration, u64) {
        let mut done = 0;
        let start = CpuTime::now();
        while done < commands {
            self.fill();
            let activity = self.dispatcher_pass();
            let worked = self.worker_pass(self.now_ns);
            self.now_ns = if activity.progressed || worked.progressed {
                self.now_ns + self.setup.pace_ns * self.queues.len() as u64
            } else {
                next_ns(self.now_ns, activity, worked)
            };
            for queue in &mut self.queues {
                done += reap_queue(queue, &self.machine);
            }
        }
        let took = start.elapsed();
        // What is left over belongs to nobody's figures.
        while !self.is_done() {
            let activity = self.dispatcher_pass();
            let worked = self.worker_pass(EVERYTHING_IS_DUE_NS);
            self.now_ns = next_ns(self.now_ns, activity, worked);
        }
        self.reap();
        (took, done)
    }
}

/// See [`Rig::fetched`].
fn fetched(shared: &Shared) -> u32 {
    let queues = shared.statistics().io_queues();
    queues.map(|queue| queue.dispatched).fold(0, u32::wrapping_add)
}

/// The next time at which there is something to do, if nothing was done at `now_ns`.
fn next_ns(now_ns: u64, activity: Activity, worked: Activity) -> u64 {
    let next = activity
        .next_event_ns
        .into_iter()
        .chain(worked.next_event_ns)
        .min();
    next.unwrap_or(0).max(now_ns + 1)
}

/// The namespace of a drive of `setup`.
fn namespace(setup: &Setup, profile: &Profile<'_>) -> NamespaceConfig {
    NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: setup.lba_bytes,
        media_offset: 0,
        media_len_bytes: setup.capacity_bytes,
    }
}

/// Bytes of memory that the tables of a drive of `setup` take.
pub fn table_bytes(setup: &Setup) -> u64 {
    let profile = profiles::by_name(setup.profile).expect("a built-in profile");
    let bytes = namespace(setup, profile).table_bytes();
    bytes.expect("a size that the drive can have")
}

/// The device of `setup` in its machine.
fn build(setup: &Setup, profile: &Profile<'_>) -> (Arc<Machine>, Device) {
    let medium = if setup.has_data {
        Medium::Bytes(usize::try_from(setup.capacity_bytes).expect("a medium that fits"))
    } else {
        Medium::Nothing
    };
    let machine = Machine::new(RAM_BYTES, medium).expect("enough memory");
    let config = DeviceConfig {
        identity: Identity::derive(setup.profile, setup.capacity_bytes, setup.lba_bytes, None),
        dispatcher_count: setup.dispatchers,
        worker_count: 1,
        namespaces: vec![namespace(setup, profile)],
        media_bytes: setup.capacity_bytes,
        has_medium: setup.has_data,
        has_shadow_doorbells: true,
        hash_seed: 0x5EED,
    };
    let device = Device::new(config, machine.bar()).expect("enough memory");
    (Arc::new(machine), device)
}

/// Puts commands into `queue` until it is full.
fn fill_queue(queue: &mut QueuePair, index: usize, work: &mut Work, machine: &Machine) {
    if place_commands(queue, index, work, machine) {
        queue.ring(machine);
    }
}

/// As [`fill_queue`], without telling the device; whether there was room for any.
fn place_commands(queue: &mut QueuePair, index: usize, work: &mut Work, machine: &Machine) -> bool {
    let mut is_changed = false;
    while let Some(cid) = queue.take_cid() {
        queue.place(machine, &work.next(index, cid));
        is_changed = true;
    }
    is_changed
}

/// Takes what is there out of `queue`; returns how much it was.
fn reap_queue(queue: &mut QueuePair, machine: &Machine) -> u64 {
    let mut count = 0;
    while let Some(completion) = queue.reap(machine) {
        assert_eq!(
            completion.status,
            Status::SUCCESSFUL_COMPLETION,
            "a command failed"
        );
        count += 1;
    }
    if count > 0 {
        queue.ring_head(machine);
    }
    count
}
