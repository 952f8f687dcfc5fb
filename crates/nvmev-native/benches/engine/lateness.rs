//! Table (d): how much later than their time completions are posted, with the real clock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use nvme_device::{
    CopyEngine, DataCopy, Device, DeviceConfig, HostMemory, Identity, InterruptLines, Media, MemoryFault,
    NamespaceConfig,
};
use nvme_spec::{NvmOpcode, SubmissionQueueEntry};
use nvmev_native::{Clock, Driver, Layout, Machine, Medium, QueuePair, Threads};
use nvmev_sim::host::{commands, Random};
use serde::Serialize;
use ssd_model::{profiles, AnyModel, Command, Model};
use ssd_profile::ProfileKind;
use zerocopy::FromBytes;

const CAPACITY_BYTES: u64 = 1 << 30;
const LBA_BYTES: u32 = 4096;
const ENTRIES: u16 = 256;
/// Time of a command: long enough for whatever is done before it, so that what remains is how exactly its end is met.
const LATENCY_NS: u32 = 20_000;
const MEASURED: Duration = Duration::from_secs(2);
/// Samples at most.
const SAMPLES: usize = 1 << 22;

/// What is run: threads, commands a second, with or without data.
const CASES: [(bool, u64, bool); 6] = [
    (true, 100_000, false),
    (true, 500_000, false),
    (true, 100_000, true),
    (false, 100_000, false),
    (false, 500_000, false),
    (false, 100_000, true),
];

/// When commands of an identifier are due: the present one and, for whoever is late to look, the one before, in turns. So nobody has to look before
/// a completion is published: to get the time from another CPU's cache would make the completion late.
#[derive(Default)]
struct Due {
    at_ns: [AtomicU64; 2],
    /// Counted by the dispatcher, and by the worker.
    fetched: AtomicUsize,
    published: AtomicUsize,
}

impl Due {
    fn set(&self, at_ns: u64) {
        let count = self.fetched.load(Ordering::Relaxed);
        self.at_ns[count % 2].store(at_ns, Ordering::Relaxed);
        self.fetched.store(count + 1, Ordering::Relaxed);
    }

    fn take(&self) -> u64 {
        let count = self.published.load(Ordering::Relaxed);
        self.published.store(count + 1, Ordering::Relaxed);
        self.at_ns[count % 2].load(Ordering::Relaxed)
    }
}

/// The machine, and a look at what passes: from commands fetched it knows when they are due, for it asks a model of its own the same at the same time.
struct Watched {
    machine: Arc<Machine>,
    clock: Clock,
    is_watching: AtomicBool,
    /// Time of the dispatcher's present pass.
    pass_ns: AtomicU64,
    twin: Mutex<AnyModel>,
    /// By command identifier.
    due: Box<[Due]>,
    lateness_ns: Box<[AtomicU32]>,
    count: AtomicUsize,
    /// Completions before their time: a bug.
    early: AtomicUsize,
}

impl Watched {
    fn new(machine: Arc<Machine>, kind: &ProfileKind, clock: Clock) -> Self {
        Self {
            machine,
            clock,
            is_watching: AtomicBool::new(false),
            pass_ns: AtomicU64::new(0),
            twin: Mutex::new(AnyModel::new(kind, CAPACITY_BYTES).expect("enough memory")),
            due: (0..ENTRIES).map(|_| Due::default()).collect(),
            lateness_ns: (0..SAMPLES).map(|_| AtomicU32::new(0)).collect(),
            count: AtomicUsize::new(0),
            early: AtomicUsize::new(0),
        }
    }

    fn fetched(&self, bytes: &[u8]) {
        let Ok(entry) = SubmissionQueueEntry::read_from_bytes(bytes) else {
            return;
        };
        let command = Command::Read {
            offset_bytes: entry.slba() * u64::from(LBA_BYTES),
            len_bytes: LBA_BYTES,
        };
        let now_ns = self.pass_ns.load(Ordering::Relaxed);
        let mut twin = self.twin.lock().expect("nobody panics with it");
        let accepted = twin.submit(now_ns, &command).expect("reads are never refused");
        // The ring to the worker orders this before the completion.
        self.due[usize::from(entry.cid.get())].set(accepted.done_at_ns);
    }

    fn published(&self, cid: usize) {
        let now_ns = self.clock.now_ns();
        let due_ns = self.due[cid].take();
        let Some(lateness_ns) = now_ns.checked_sub(due_ns) else {
            self.early.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let index = self.count.load(Ordering::Relaxed);
        if let Some(sample) = self.lateness_ns.get(index) {
            sample.store(lateness_ns.try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
            self.count.store(index + 1, Ordering::Relaxed);
        }
    }
}

impl HostMemory for Watched {
    fn bar(&self) -> &[AtomicU32] {
        self.machine.bar()
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.machine.read(address, into)?;
        if self.is_watching.load(Ordering::Relaxed) {
            // Without data pointers to lists, nothing else is read.
            into.chunks_exact(size_of::<SubmissionQueueEntry>())
                .for_each(|entry| self.fetched(entry));
        }
        Ok(())
    }

    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault> {
        self.machine.load(address, into)
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.machine.write(address, from)
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        self.machine.publish(address, entry)?;
        if self.is_watching.load(Ordering::Relaxed) {
            self.published(usize::from(u16::from_le_bytes([entry[12], entry[13]])));
        }
        Ok(())
    }
}

impl Media for Watched {
    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.machine.media_to_host(media_offset, address, len_bytes)
    }

    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.machine.host_to_media(address, media_offset, len_bytes)
    }

    fn prefetch(&self, copy: &DataCopy) {
        self.machine.prefetch(copy);
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.machine.read_media(media_offset, into)
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.machine.write_media(media_offset, from)
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.machine.zero_media(media_offset, len_bytes)
    }
}

impl InterruptLines for Watched {
    fn raise_msix(&self, vector: u16) {
        self.machine.raise_msix(vector);
    }

    fn raise_intx(&self) {
        self.machine.raise_intx();
    }
}

impl CopyEngine for Watched {}

/// A driver that submits a random read each so many ns, and shares the dispatcher's thread.
struct Pump {
    host: Arc<Watched>,
    queue: QueuePair,
    buffers: Vec<u64>,
    random: Random,
    interval_ns: u64,
    next_ns: u64,
}

impl Pump {
    fn pass(&mut self, now_ns: u64) {
        self.host.pass_ns.store(now_ns, Ordering::Relaxed);
        let machine = &self.host.machine;
        let mut is_changed = false;
        while self.queue.reap(machine).is_some() {
            is_changed = true;
        }
        if is_changed {
            self.queue.ring_head(machine);
        }
        if now_ns < self.next_ns {
            return;
        }
        // What was missed while the thread was away is not made up for.
        self.next_ns = now_ns.max(self.next_ns + self.interval_ns);
        if let Some(cid) = self.queue.take_cid() {
            let slba = self.random.below(CAPACITY_BYTES / u64::from(LBA_BYTES));
            let buffer = self.buffers[usize::from(cid)];
            let entry = commands::read_write(NvmOpcode::READ, 1, slba, 1, buffer, 0);
            let cid = cid.into();
            self.queue.place(machine, &SubmissionQueueEntry { cid, ..entry });
            self.queue.ring(machine);
        }
    }
}

#[derive(Serialize)]
struct Row {
    threads: u8,
    commands_per_second: f64,
    has_data: bool,
    p50_ns: u32,
    p99_ns: u32,
    p99_9_ns: u32,
    early: usize,
}

/// Measures and prints; the rows for JSON.
pub fn run(cpus: &[usize]) -> serde_json::Value {
    println!(
        "a thread that only reads the clock was away for more than 1 µs at a time in {:.2} % of it",
        away_percent()
    );
    println!(
        "{:<44} {:>10} {:>9} {:>9} {:>9} {:>6}",
        "lateness, commands of 20 µs, real clock", "commands/s", "p50 ns", "p99 ns", "p99.9 ns", "early"
    );
    let mut rows = Vec::new();
    for (is_one_thread, per_second, has_data) in CASES {
        let row = measure(is_one_thread, per_second, has_data, cpus);
        let threads = if is_one_thread {
            "driver, dispatcher, worker"
        } else {
            "driver, dispatcher | worker"
        };
        let data = if has_data { "4 KiB" } else { "no data" };
        println!(
            "{:<44} {:>10.0} {:>9} {:>9} {:>9} {:>6}",
            format!("{threads}, {data}"),
            row.commands_per_second,
            row.p50_ns,
            row.p99_ns,
            row.p99_9_ns,
            row.early
        );
        rows.push(row);
    }
    serde_json::to_value(rows).expect("plain figures")
}

fn measure(is_one_thread: bool, per_second: u64, has_data: bool, cpus: &[usize]) -> Row {
    let clock = Clock::new();
    let medium = if has_data {
        Medium::Bytes(CAPACITY_BYTES as usize)
    } else {
        Medium::Nothing
    };
    let machine = Arc::new(Machine::new(16 << 20, medium).expect("enough memory"));
    let kind = drive();
    let host = Arc::new(Watched::new(machine.clone(), &kind, clock));
    let mut device = device(kind, &machine);
    let shared = device.shared.clone();
    let mut step = || {
        device.controller.poll(clock.now_ns(), &*host);
        for worker in &mut device.workers {
            worker.poll(clock.now_ns(), &*host);
        }
    };
    let mut driver = Driver::enable(machine, &shared, &mut step);
    let queue = driver.create_queue_pair(1, ENTRIES, &mut step);
    let buffers = (0..ENTRIES).map(|_| driver.pages(1)).collect();
    host.is_watching.store(true, Ordering::Relaxed);
    let mut pump = Pump {
        host: host.clone(),
        queue,
        buffers,
        random: Random::new(42),
        interval_ns: 1_000_000_000 / per_second,
        next_ns: 0,
    };
    let layout = Layout {
        is_one_thread,
        cpus: cpus.to_vec(),
        yields: false,
    };
    let companion = Box::new(move |now_ns| pump.pass(now_ns));
    let threads = Threads::start(&host, device, clock, &layout, Some(companion));
    sleep(MEASURED);
    drop(threads);
    let count = host.count.load(Ordering::Relaxed);
    let samples = host.lateness_ns.iter().take(count);
    let mut samples: Vec<u32> = samples.map(|sample| sample.load(Ordering::Relaxed)).collect();
    samples.sort_unstable();
    let percentile = |per_mille: usize| samples.get(count * per_mille / 1000).copied().unwrap_or(u32::MAX);
    Row {
        threads: if is_one_thread { 1 } else { 2 },
        commands_per_second: count as f64 / MEASURED.as_secs_f64(),
        has_data,
        p50_ns: percentile(500),
        p99_ns: percentile(990),
        p99_9_ns: percentile(999),
        early: host.early.load(Ordering::Relaxed),
    }
}

/// A drive without flash whose reads take [`LATENCY_NS`].
fn drive() -> ProfileKind {
    let profile = profiles::by_name("optane").expect("a built-in profile");
    let ProfileKind::Nvm(mut parameters) = profile.kind else {
        panic!("optane is a drive without flash")
    };
    parameters.read.delay_ns = LATENCY_NS;
    parameters.io_units = 64;
    ProfileKind::Nvm(parameters)
}

fn device(kind: ProfileKind, machine: &Machine) -> Device {
    let namespace = NamespaceConfig {
        kind,
        mdts: 5,
        lba_bytes: LBA_BYTES,
        media_offset: 0,
        media_len_bytes: CAPACITY_BYTES,
    };
    let config = DeviceConfig {
        identity: Identity::derive("lateness", CAPACITY_BYTES, LBA_BYTES, None),
        dispatcher_count: 1,
        worker_count: 1,
        namespaces: vec![namespace],
        media_bytes: CAPACITY_BYTES,
        has_medium: true,
        has_shadow_doorbells: true,
        hash_seed: 0x5EED,
    };
    Device::new(config, machine.bar()).expect("enough memory")
}

/// How much of the time this machine takes away from a thread that never waits: what no engine can make up for.
fn away_percent() -> f64 {
    let clock = Clock::new();
    let (mut last_ns, mut away_ns) = (clock.now_ns(), 0);
    let end_ns = MEASURED.as_nanos() as u64;
    while last_ns < end_ns {
        let now_ns = clock.now_ns();
        if now_ns - last_ns > 1_000 {
            away_ns += now_ns - last_ns;
        }
        last_ns = now_ns;
    }
    away_ns as f64 / end_ns as f64 * 100.0
}
