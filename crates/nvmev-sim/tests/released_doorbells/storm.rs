//! A host that does everything in any order and releases the pages at any moment: each command is executed once, and nothing else.

use std::collections::BTreeMap;

use nvme_device::NamespaceConfig;
use nvme_spec::registers::{self, csts};
use nvme_spec::{AdminOpcode, NvmOpcode};
use nvmev_sim::host::{commands, Random, Ring, ShadowDoorbells, TestHost};
use ssd_model::profiles;

use super::{get_feature, is_failed, CAPACITY, LBA, NORMAL_SHUTDOWN, PAGE, SUCCESS};

const RINGS: [Ring; 4] = [
    Ring::Never,
    Ring::WhenPassed,
    Ring::WhenPassedModulo,
    Ring::Always,
];
/// LBAs that are written, each by one command at a time.
const LBAS: u64 = 64;

/// What is in a page that was released.
#[derive(Clone, Copy, Debug)]
enum Content {
    Zeros,
    Random,
    /// Numbers that are indices of a queue.
    Indices,
    /// What was there when the buffers were set up before.
    EarlierSetup,
}

/// How much of a page changes at a time.
#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce,
    /// In pieces of so many bytes, from the beginning on.
    Forwards(usize),
    /// The same from the end on.
    Backwards(usize),
}

/// An LBA as the host knows it: what is there, and what is being written.
#[derive(Clone, Copy, Default)]
struct Block {
    settled: u8,
    under_way: Option<u8>,
}

struct Storm {
    seed: u64,
    random: Random,
    host: TestHost,
    dispatchers: u64,
    queues: u16,
    blocks: Vec<Block>,
    /// What is outstanding: the LBA.
    outstanding: BTreeMap<(u16, u16), usize>,
    /// Commands put into each queue.
    submitted: Vec<u32>,
    /// Both pages of earlier setups.
    earlier: Vec<[Vec<u8>; 2]>,
    writes: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let namespace = NamespaceConfig {
            kind: profiles::by_name("optane").unwrap().kind,
            mdts: 5,
            lba_bytes: LBA as u32,
            media_offset: 0,
            media_len_bytes: CAPACITY,
        };
        let dispatchers = 1 + seed % 3;
        let workers = 1 + random.below(2) as usize;
        let host = TestHost::with_dispatchers(vec![namespace], dispatchers as usize, workers);
        Self {
            seed,
            random,
            host,
            dispatchers,
            queues: 0,
            blocks: vec![Block::default(); LBAS as usize],
            outstanding: BTreeMap::new(),
            submitted: Vec::new(),
            earlier: Vec::new(),
            writes: 0,
        }
    }

    /// A part of the device works, whichever the next number says.
    fn step(&mut self) {
        let workers = self.host.device.workers.len() as u64;
        match self.random.below(self.dispatchers + workers + 1) {
            0 => self.host.now_ns += self.random.below(20_000),
            part if part <= self.dispatchers => drop(self.host.poll_a_dispatcher(part - 1)),
            part => {
                let worker = (part - self.dispatchers - 1) as usize;
                self.host.device.workers[worker].poll(self.host.now_ns, &self.host.machine);
            }
        }
    }

    fn submit(&mut self, buffers: &[u64]) {
        let qid = 1 + self.random.below(self.queues.into()) as u16;
        let lba = self.random.below(LBAS);
        let block = &mut self.blocks[lba as usize];
        if !self.host.has_room(qid) || block.under_way.is_some() {
            return;
        }
        // Old commands have another buffer, with older data.
        self.writes += 1;
        let buffer = buffers[(self.writes % buffers.len() as u64) as usize];
        let tag = 1 + (self.writes % 251) as u8;
        block.under_way = Some(tag);
        self.host.machine.set_ram(buffer, &[tag; LBA]);
        let entry = commands::read_write(NvmOpcode::WRITE, 1, lba, 1, buffer, 0);
        let cid = self.host.submit(qid, entry);
        self.submitted[usize::from(qid) - 1] += 1;
        assert_eq!(self.outstanding.insert((qid, cid), lba as usize), None);
    }

    fn reap(&mut self, qid: u16) {
        let Some(completion) = self.host.reap(qid) else {
            return;
        };
        let lba = self.outstanding.remove(&(qid, completion.cid.get()));
        let lba = lba.unwrap_or_else(|| panic!("seed {}: a completion of no command", self.seed));
        assert_eq!(completion.status(), SUCCESS, "seed {}", self.seed);
        let block = &mut self.blocks[lba];
        block.settled = block.under_way.take().expect("under way");
    }

    /// No more was fetched than was submitted.
    fn check_fetched(&self) {
        for queue in self.host.device.shared.statistics().io_queues() {
            let submitted = self.submitted[usize::from(queue.queue) - 1];
            assert!(
                queue.dispatched <= submitted,
                "seed {}: {} commands of queue {} fetched, {submitted} submitted",
                self.seed,
                queue.dispatched,
                queue.queue
            );
        }
    }

    fn content(&mut self, content: Content, page: usize) -> Vec<u8> {
        let mut words = |bound: u64| -> Vec<u8> {
            let numbers = (0..PAGE / 4).map(|_| self.random.below(bound) as u32);
            numbers.flat_map(u32::to_le_bytes).collect()
        };
        match content {
            Content::Zeros => vec![0; PAGE],
            Content::Random => words(1 << 32),
            Content::Indices => words(12),
            Content::EarlierSetup => match self.earlier.last() {
                Some(pages) => pages[page].clone(),
                None => vec![0; PAGE],
            },
        }
    }

    /// The pages are the host's for something else, one of them or both.
    fn release(&mut self, shadow: ShadowDoorbells) {
        let content = match self.random.below(6) {
            0 => Content::Random,
            1 => Content::Indices,
            2 => Content::EarlierSetup,
            _ => Content::Zeros,
        };
        let pace = match self.random.below(4) {
            // Of shadows of the admin queue, which the host writes, the beginning of the page tells nothing.
            _ if shadow.has_admin_queue => Pace::AtOnce,
            0 => Pace::Forwards(8 << self.random.below(6)),
            1 => Pace::Backwards(8 << self.random.below(6)),
            _ => Pace::AtOnce,
        };
        let order: &[usize] = match self.random.below(4) {
            0 => &[1, 0],
            1 => &[0],
            2 => &[1],
            _ => &[0, 1],
        };
        for &index in order {
            let page = [shadow.shadows, shadow.event_indices][index];
            let bytes = self.content(content, index);
            let chunk = match pace {
                Pace::AtOnce => PAGE,
                Pace::Forwards(bytes) | Pace::Backwards(bytes) => bytes,
            };
            for number in 0..PAGE / chunk {
                let at = match pace {
                    Pace::Backwards(_) => PAGE - (number + 1) * chunk,
                    Pace::AtOnce | Pace::Forwards(_) => number * chunk,
                };
                self.host
                    .machine
                    .set_ram(page + at as u64, &bytes[at..at + chunk]);
                self.step();
            }
            for _ in 0..self.random.below(30) {
                self.step();
            }
        }
    }

    /// From enabling to the reset.
    fn round(&mut self, first_page: u64) {
        let seed = self.seed;
        self.host.forget_pages(first_page);
        self.host.enable();
        let aer = self
            .host
            .submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
        (0..self.random.below(50)).for_each(|_| get_feature(&mut self.host));
        let ring = RINGS[self.random.below(4) as usize];
        let has_admin_queue = self.random.one_in(4);
        self.queues = 1 + self.random.below(4) as u16;
        let buffers_before = self.random.below(u64::from(self.queues) + 1) as u16;
        self.submitted = vec![0; self.queues.into()];
        for qid in 0..=self.queues {
            if qid == buffers_before {
                self.host.use_shadow_doorbells(ring);
                let shadow = self.host.shadow.as_mut().unwrap();
                shadow.has_admin_queue = has_admin_queue;
            }
            if qid > 0 {
                self.host.create_io_queues(qid, 2 + self.random.below(20) as u16);
            }
        }
        (0..2).for_each(|_| get_feature(&mut self.host));
        let buffers: Vec<u64> = (0..300).map(|_| self.host.pages(1)).collect();
        for _ in 0..self.random.below(1500) {
            match self.random.below(5) {
                0 => self.submit(&buffers),
                1 => {
                    let qid = 1 + self.random.below(self.queues.into()) as u16;
                    self.reap(qid);
                }
                _ => self.step(),
            }
        }
        let shadow = self.host.shadow.take().expect("set up");
        let setup = [shadow.shadows, shadow.event_indices].map(|page| self.host.machine.ram(page, PAGE));
        self.release(shadow);
        self.earlier.push(setup);
        // Commands that the device has seen are completed; the others may be lost.
        self.host.settle();
        for qid in 1..=self.queues {
            while !self.outstanding.is_empty() {
                let left = self.outstanding.len();
                self.reap(qid);
                if left == self.outstanding.len() {
                    break;
                }
            }
        }
        self.host.settle();
        self.check_fetched();
        assert!(!is_failed(&self.host), "seed {seed}");
        assert_eq!(
            self.host.reap(0),
            None,
            "seed {seed}: {aer} is held, and there is nothing else"
        );
        if self.random.one_in(2) {
            let cc = self.host.register(registers::CC);
            self.host.set_register(registers::CC, cc | NORMAL_SHUTDOWN);
            self.host.settle();
            let csts = self.host.register(registers::CSTS);
            assert_eq!(csts & csts::SHST_MASK, csts::SHST_COMPLETE, "seed {seed}");
            self.check_fetched();
        }
        self.host.disable();
        self.check_medium();
    }

    fn check_medium(&mut self) {
        let media = self.host.machine.media();
        let seed = self.seed;
        for (lba, (block, data)) in self.blocks.iter_mut().zip(media.chunks(LBA)).enumerate() {
            let tag = data[0];
            assert!(
                data.iter().all(|&byte| byte == tag),
                "seed {seed}: LBA {lba} is torn"
            );
            let lost = block.under_way.take();
            assert!(
                tag == block.settled || Some(tag) == lost,
                "seed {seed}: LBA {lba} has {tag}, not {} or {lost:?}",
                block.settled
            );
            block.settled = tag;
        }
        self.outstanding.clear();
    }
}

#[test]
fn each_command_is_executed_once_whenever_the_pages_are_released() {
    for seed in 0..150 {
        let mut storm = Storm::new(seed);
        let first_page = storm.host.next_page();
        for _ in 0..4 {
            storm.round(first_page);
        }
        assert!(storm.writes > 0, "seed {seed}");
    }
}
