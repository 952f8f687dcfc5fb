//! The engine's parts on threads of their own under load, with a check of every byte. `cargo xtask race` has ThreadSanitizer watch it.

use std::sync::Arc;
use std::thread;

use nvme_device::{Device, DeviceConfig, HostMemory, Identity, NamespaceConfig};
use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry, PAGE_SIZE_BYTES};
use nvmev_native::{Clock, Driver, Layout, Machine, Medium, QueuePair, Threads};
use nvmev_sim::host::{commands, Random};
use ssd_model::profiles;

const COMMANDS: u64 = 8_000;
const QUEUES: u16 = 4;
const ENTRIES: u16 = 16;
const LBA_BYTES: usize = 512;
/// A transfer has two pages and a part of a third, so that it needs a list of PRPs.
const CHUNK_LBAS: u32 = 20;
const CHUNK_BYTES: usize = CHUNK_LBAS as usize * LBA_BYTES;
const CHUNKS: u64 = 256;
const MEDIUM_BYTES: u64 = 64 << 20;

/// What a part of the drive should hold.
#[derive(Clone, Copy, Default)]
struct Chunk {
    /// How often it was written.
    version: u64,
    /// A command on it is under way. Who reads and writes the same bytes at once may get anything.
    is_busy: bool,
}

/// What is under way.
#[derive(Clone, Copy, Default)]
struct Command {
    chunk: u64,
    is_write: bool,
}

/// The bytes of a chunk in one of its versions.
fn content(chunk: u64, version: u64) -> Vec<u8> {
    if version == 0 {
        return vec![0; CHUNK_BYTES];
    }
    let mut random = Random::new(chunk << 32 | version);
    let words = (0..CHUNK_BYTES / 8).flat_map(|_| random.next_bits().to_le_bytes());
    words.collect()
}

/// A queue with memory for each of its commands.
struct Queue {
    pair: QueuePair,
    /// For each identifier: buffer, and list of its other pages.
    buffers: Vec<(u64, u64)>,
    commands: Vec<Command>,
}

impl Queue {
    fn new(qid: u16, driver: &mut Driver, step: &mut dyn FnMut()) -> Self {
        let pair = driver.create_queue_pair(qid, ENTRIES, step);
        let buffers = (0..ENTRIES).map(|_| {
            let (buffer, list) = (driver.pages(3), driver.pages(1));
            let page = PAGE_SIZE_BYTES as u64;
            let entries: Vec<u8> = [buffer + page, buffer + 2 * page]
                .into_iter()
                .flat_map(u64::to_le_bytes)
                .collect();
            driver.machine().write_ram(list, &entries).expect("RAM");
            (buffer, list)
        });
        Self {
            buffers: buffers.collect(),
            commands: vec![Command::default(); ENTRIES.into()],
            pair,
        }
    }

    /// Writes or reads a chunk that no other command has, if there is room.
    fn submit(&mut self, machine: &Machine, chunks: &mut [Chunk], random: &mut Random) -> bool {
        let chunk = random.below(CHUNKS);
        let state = &mut chunks[chunk as usize];
        if state.is_busy {
            return false;
        }
        let Some(cid) = self.pair.take_cid() else {
            return false;
        };
        state.is_busy = true;
        let is_write = random.one_in(2);
        let (buffer, list) = self.buffers[usize::from(cid)];
        if is_write {
            state.version += 1;
            let content = content(chunk, state.version);
            machine.write_ram(buffer, &content).expect("RAM");
        }
        let opcode = if is_write {
            NvmOpcode::WRITE
        } else {
            NvmOpcode::READ
        };
        let slba = chunk * u64::from(CHUNK_LBAS);
        let entry = commands::read_write(opcode, 1, slba, CHUNK_LBAS, buffer, list);
        self.commands[usize::from(cid)] = Command { chunk, is_write };
        let cid = cid.into();
        self.pair.place(machine, &SubmissionQueueEntry { cid, ..entry });
        self.pair.ring(machine);
        true
    }

    /// Takes completions out and checks what was read; returns how many there were.
    fn reap(&mut self, machine: &Machine, chunks: &mut [Chunk]) -> u64 {
        let mut count = 0;
        while let Some(completion) = self.pair.reap(machine) {
            assert_eq!(completion.status, Status::SUCCESSFUL_COMPLETION);
            let Command { chunk, is_write } = self.commands[usize::from(completion.cid)];
            let state = &mut chunks[chunk as usize];
            state.is_busy = false;
            if !is_write {
                let mut bytes = vec![0xEE; CHUNK_BYTES];
                let (buffer, _) = self.buffers[usize::from(completion.cid)];
                machine.read_ram(buffer, &mut bytes).expect("RAM");
                assert!(
                    bytes == content(chunk, state.version),
                    "chunk {chunk} has other data"
                );
            }
            count += 1;
        }
        if count > 0 {
            self.pair.ring_head(machine);
        }
        count
    }
}

/// Runs a device with so many dispatchers and workers, and a driver on a thread of its own.
fn run(profile: &str, dispatchers: usize, workers: usize, layout: &Layout, has_shadow_doorbells: bool) {
    let profile = profiles::by_name(profile).expect("a built-in profile");
    let machine = Machine::new(8 << 20, Medium::Bytes(MEDIUM_BYTES as usize)).expect("enough memory");
    let machine = Arc::new(machine);
    let namespace = NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: LBA_BYTES as u32,
        media_offset: 0,
        media_len_bytes: MEDIUM_BYTES,
    };
    let config = DeviceConfig {
        identity: Identity::derive("threads", MEDIUM_BYTES, LBA_BYTES as u32, None),
        dispatcher_count: dispatchers,
        worker_count: workers,
        namespaces: vec![namespace],
        media_bytes: MEDIUM_BYTES,
        has_medium: true,
        has_shadow_doorbells: true,
        hash_seed: 0x5EED,
    };
    let device = Device::new(config, machine.bar()).expect("a sound configuration");
    let shared = device.shared.clone();
    let threads = Threads::start(&machine, device, Clock::new(), layout, None);
    let step = &mut thread::yield_now;
    let mut driver = Driver::enable(machine.clone(), &shared, step);
    if has_shadow_doorbells {
        driver.use_shadow_doorbells(step);
    }
    let mut queues: Vec<Queue> = (1..=QUEUES)
        .map(|qid| Queue::new(qid, &mut driver, step))
        .collect();
    let mut chunks = vec![Chunk::default(); CHUNKS as usize];
    let mut random = Random::new(7);
    let (mut submitted, mut done) = (0, 0);
    while done < COMMANDS {
        let before = (submitted, done);
        for queue in &mut queues {
            if submitted < COMMANDS && queue.submit(&machine, &mut chunks, &mut random) {
                submitted += 1;
            }
            done += queue.reap(&machine, &mut chunks);
        }
        if (submitted, done) == before {
            thread::yield_now();
        }
    }
    drop(threads);
    let (msix, intx) = machine.interrupts();
    assert!(
        msix > 0 && msix <= COMMANDS + 64 && intx == 0,
        "{msix} and {intx} interrupts"
    );
}

fn with_yields(is_one_thread: bool) -> Layout {
    Layout {
        is_one_thread,
        yields: true,
        ..Layout::default()
    }
}

#[test]
fn data_survives_a_dispatcher_and_two_workers() {
    run("optane", 1, 2, &with_yields(false), false);
}

#[test]
fn data_survives_shadow_doorbells_and_a_worker() {
    run("optane", 1, 1, &with_yields(false), true);
}

#[test]
fn data_survives_everything_on_one_thread() {
    run("optane", 1, 1, &with_yields(true), false);
}

#[test]
fn data_survives_a_drive_with_flash() {
    run("970pro", 1, 2, &with_yields(false), true);
}

#[test]
fn data_survives_two_dispatchers_of_one_drive() {
    run("optane", 2, 2, &with_yields(false), true);
}

#[test]
fn data_survives_commands_that_go_from_one_dispatcher_to_another() {
    run("970pro", 3, 2, &with_yields(false), false);
}
