//! Data that a DMA engine moves beside the worker: late, in pieces, sometimes wrongly, sometimes never. A host sees no difference.

use std::collections::BTreeMap;

use nvme_device::CopyEngine;
use nvme_spec::registers::{self, csts};
use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, sgl, EngineFaults, Random, TestHost};
use ssd_model::profiles;

const LBA: usize = 512;
const CAPACITY_BYTES: usize = 1 << 20;
const LBAS: u64 = (CAPACITY_BYTES / LBA) as u64;
const BUFFERS: usize = 8;
const BUFFER_BYTES: usize = 64 << 10;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
/// What an engine has for a copy.
const TIMEOUT_NS: u64 = 1_000_000_000;

fn host_with(workers: usize, seed: u64, faults: EngineFaults) -> TestHost {
    let mut profile = *profiles::by_name("optane").unwrap();
    profile.set_list("mdts=5").unwrap();
    let mut host = TestHost::new(&profile, CAPACITY_BYTES as u64, LBA as u32, workers);
    host.machine.install_engine(seed, faults);
    host.enable();
    (1..=workers as u16).for_each(|qid| host.create_io_queues(qid, 64));
    host
}

fn buffer_of(host: &mut TestHost, len: usize, byte: u8) -> u64 {
    let buffer = host.pages(len.div_ceil(4096));
    host.machine.set_ram(buffer, &vec![byte; len]);
    buffer
}

/// A read or write of `len` bytes, in one piece.
fn access(opcode: NvmOpcode, slba: u64, len: usize, buffer: u64) -> SubmissionQueueEntry {
    let entry = commands::read_write(opcode, 1, slba, (len / LBA) as u32, 0, 0);
    entry.with_sgl1(sgl::data_block(buffer, len as u32))
}

/// Random commands on one queue, many at a time, whose LBAs overlap: with one worker, they have an effect in their order.
struct Run {
    host: TestHost,
    random: Random,
    oracle: Vec<u8>,
    /// What a read has to find, by command identifier; nothing for others.
    outstanding: BTreeMap<u16, Option<Vec<u8>>>,
    /// Each with the command that has it.
    buffers: Vec<(u64, Option<u16>)>,
    seed: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let faults = EngineFaults {
            declines_one_in: random.below(4),
            fails_one_in: random.below(6),
            copy_bytes_max: 4096 << random.below(5),
            goes_on: random.one_in(2),
            hangs: false,
        };
        let mut host = host_with(1, seed, faults);
        let buffers = (0..BUFFERS)
            .map(|_| (buffer_of(&mut host, BUFFER_BYTES, 0), None))
            .collect();
        Self {
            host,
            random,
            oracle: vec![0; CAPACITY_BYTES],
            outstanding: BTreeMap::new(),
            buffers,
            seed,
        }
    }

    fn act(&mut self) {
        match self.random.below(4) {
            0 => self.send(),
            1 => self.host.now_ns += self.random.below(5_000),
            _ => {
                self.host.step();
                self.reap();
            }
        }
    }

    fn send(&mut self) {
        let Some(free) = self.buffers.iter().position(|(_, user)| user.is_none()) else {
            return;
        };
        let buffer = self.buffers[free].0;
        let lbas = 1 + self.random.below((BUFFER_BYTES / LBA) as u64);
        let slba = self.random.below(256.min(LBAS - lbas));
        let (at, len) = (slba as usize * LBA, lbas as usize * LBA);
        let mut data: Vec<u8> = (0..len).map(|_| self.random.next_bits() as u8).collect();
        let mut wanted = None;
        let opcode = match self.random.below(8) {
            0 => NvmOpcode::WRITE_ZEROES,
            1 => NvmOpcode::COMPARE,
            2..=4 => NvmOpcode::WRITE,
            _ => NvmOpcode::READ,
        };
        let range = at..at + len;
        match opcode {
            NvmOpcode::WRITE_ZEROES => self.oracle[range].fill(0),
            NvmOpcode::COMPARE => data.copy_from_slice(&self.oracle[range]),
            NvmOpcode::WRITE => self.oracle[range].copy_from_slice(&data),
            _ => wanted = Some(self.oracle[range].to_vec()),
        }
        self.host.machine.set_ram(buffer, &data);
        let entry = match opcode {
            NvmOpcode::WRITE_ZEROES => commands::write_zeroes(1, slba, lbas as u32, false),
            _ => access(opcode, slba, len, buffer),
        };
        let cid = self.host.submit(1, entry);
        self.outstanding.insert(cid, wanted);
        self.buffers[free].1 = Some(cid);
    }

    fn reap(&mut self) {
        while let Some(completion) = self.host.reap(1) {
            let (cid, seed) = (completion.cid.get(), self.seed);
            let wanted = self.outstanding.remove(&cid);
            let wanted = wanted.unwrap_or_else(|| panic!("seed {seed}: {cid} completed twice"));
            assert_eq!(completion.status(), SUCCESS, "seed {seed}: {cid}");
            let mut buffers = self.buffers.iter_mut();
            let (buffer, user) = buffers.find(|(_, user)| *user == Some(cid)).unwrap();
            *user = None;
            if let Some(wanted) = wanted {
                assert!(
                    self.host.machine.ram(*buffer, wanted.len()) == wanted,
                    "seed {seed}: {cid} read other data"
                );
            }
        }
    }

    fn finish(&mut self) {
        while !self.outstanding.is_empty() {
            self.host.settle();
            self.reap();
        }
        assert!(
            self.host.machine.media() == self.oracle,
            "seed {}: the medium is not what was written",
            self.seed
        );
    }
}

#[test]
fn one_worker_with_an_engine_has_the_effect_of_one_without() {
    let (mut copies, mut failed, mut declined) = (0, 0, 0);
    for seed in 0..30 {
        let mut run = Run::new(seed);
        (0..3_000).for_each(|_| run.act());
        run.finish();
        let did = run.host.machine.engine_counts();
        let said = run.host.device.shared.copy_counts().snapshot();
        assert_eq!(
            (said.copies, said.declined),
            (did.begun, did.declined),
            "seed {seed}"
        );
        assert!(
            said.failed <= did.failed,
            "seed {seed}: a command is moved again once at most"
        );
        assert_eq!(said.failed > 0, did.failed > 0, "seed {seed}");
        (copies, failed, declined) = (
            copies + said.copies,
            failed + said.failed,
            declined + said.declined,
        );
    }
    assert!(
        copies > 10_000 && failed > 1_000 && declined > 1_000,
        "{copies} {failed} {declined}"
    );
}

#[test]
fn what_is_shorter_than_a_page_is_not_given_to_an_engine() {
    let mut host = host_with(1, 1, EngineFaults::default());
    let buffer = buffer_of(&mut host, 4096, 7);
    host.execute(1, access(NvmOpcode::WRITE, 0, 4096 - LBA, buffer));
    assert_eq!(host.machine.engine_counts().begun, 0);
    host.execute(1, access(NvmOpcode::WRITE, 0, 4096, buffer));
    assert_eq!(host.machine.engine_counts().begun, 1);
}

#[test]
fn a_worker_goes_on_while_its_engine_copies() {
    let hanging = EngineFaults {
        hangs: true,
        ..EngineFaults::default()
    };
    let mut host = host_with(1, 1, hanging);
    let (long, short) = (buffer_of(&mut host, 8192, 7), buffer_of(&mut host, 4096, 8));
    let first = host.submit(1, access(NvmOpcode::WRITE, 0, 8192, long));
    let second = host.submit(1, access(NvmOpcode::WRITE, 100, LBA, short));
    for _ in 0..100 {
        host.run();
        host.now_ns += 1_000;
    }
    assert_eq!(host.reap(1).map(|completion| completion.cid.get()), Some(second));
    assert!(host.reap(1).is_none());
    host.machine.set_engine_faults(EngineFaults::default());
    assert_eq!(host.wait(1).cid.get(), first);
    assert_eq!(host.machine.media()[..8192], [7; 8192]);
}

#[test]
fn an_engine_that_does_not_come_to_an_end_is_taken_away_after_a_second_and_the_cpu_copies() {
    let hanging = EngineFaults {
        hangs: true,
        ..EngineFaults::default()
    };
    let mut host = host_with(2, 1, hanging);
    let buffers: Vec<u64> = (0..8).map(|_| buffer_of(&mut host, 8192, 7)).collect();
    for (&buffer, slot) in buffers.iter().zip(0..) {
        host.submit(1, access(NvmOpcode::WRITE, slot * 16, 8192, buffer));
    }
    host.run();
    host.now_ns += TIMEOUT_NS;
    host.run();
    assert!(host.reap(1).is_none() && host.machine.has_engine(1));
    host.now_ns += 1;
    host.settle();
    let completed: Vec<Status> = std::iter::from_fn(|| host.reap(1))
        .map(|completion| completion.status())
        .collect();
    assert_eq!(completed, [SUCCESS; 8]);
    assert_eq!(host.machine.media()[..8 * 8192], [7; 8 * 8192]);
    // The other worker's is another one.
    assert_eq!(
        (host.machine.has_engine(0), host.machine.has_engine(1)),
        (true, false)
    );
    let begun = host.machine.engine_counts().begun;
    assert_eq!(
        host.execute(1, access(NvmOpcode::READ, 0, 8192, buffers[0]))
            .status(),
        SUCCESS
    );
    assert_eq!(host.machine.engine_counts().begun, begun);
}

#[test]
fn a_piece_that_is_not_memory_fails_the_command_once_what_is_under_way_is_over() {
    for opcode in [NvmOpcode::READ, NvmOpcode::WRITE] {
        let mut host = host_with(1, 1, EngineFaults::default());
        let buffer = buffer_of(&mut host, 8192, 7);
        // Nothing is below the beginning of RAM.
        let blocks = [sgl::data_block(buffer, 8192), sgl::data_block(0, 8192)];
        let entry = access(opcode, 0, 16384, buffer);
        let entry = entry.with_sgl1(host.sgl([&blocks[..]].into_iter()));
        assert_eq!(host.execute(1, entry).status(), Status::DATA_TRANSFER_ERROR);
        let counts = host.machine.engine_counts();
        assert!(counts.begun > 0 && counts.begun == counts.ended, "{counts:?}");
        host.settle();
        assert!(host.reap(1).is_none());
    }
}

/// Reads that an engine has begun and will not end by itself.
fn with_reads_under_way(goes_on: bool) -> (TestHost, Vec<u64>) {
    let hanging = EngineFaults {
        hangs: true,
        goes_on,
        ..EngineFaults::default()
    };
    let mut host = host_with(1, 1, hanging);
    let buffers: Vec<u64> = (0..4).map(|_| buffer_of(&mut host, 8192, 0xA5)).collect();
    for (&buffer, slot) in buffers.iter().zip(0..) {
        host.submit(1, access(NvmOpcode::READ, slot * 16, 8192, buffer));
    }
    host.run();
    assert_eq!(host.machine.engine_counts().begun, 4);
    (host, buffers)
}

/// Fills the buffers anew and lets the engine do what it still wants.
fn assert_silent(host: &mut TestHost, buffers: &[u64]) {
    host.machine.set_engine_faults(EngineFaults::default());
    for &buffer in buffers {
        host.machine.set_ram(buffer, &[0x5A; 8192]);
    }
    for _ in 0..1_000 {
        host.step();
        host.now_ns += 100_000;
    }
    for &buffer in buffers {
        assert_eq!(host.machine.ram(buffer, 8192), [0x5A; 8192]);
    }
}

#[test]
fn after_a_reset_nothing_that_was_under_way_reaches_memory() {
    for goes_on in [false, true] {
        let (mut host, buffers) = with_reads_under_way(goes_on);
        let before_ns = host.now_ns;
        // An engine that cannot abandon its copies is waited for.
        host.disable();
        assert_eq!(host.now_ns - before_ns > TIMEOUT_NS, goes_on);
        assert_eq!(host.machine.has_engine(0), !goes_on);
        assert_silent(&mut host, &buffers);
    }
}

#[test]
fn a_reset_is_not_done_while_a_copy_goes_on() {
    let (mut host, buffers) = with_reads_under_way(true);
    host.set_register(registers::CC, host.register(registers::CC) & !1);
    for _ in 0..100 {
        host.run();
        host.now_ns += 100_000;
    }
    assert_ne!(host.register(registers::CSTS) & csts::RDY, 0);
    let working = EngineFaults {
        goes_on: true,
        ..EngineFaults::default()
    };
    host.machine.set_engine_faults(working);
    host.settle();
    assert_eq!(host.register(registers::CSTS) & csts::RDY, 0);
    assert_eq!(host.machine.engine_counts().ended, 4);
    assert_silent(&mut host, &buffers);
}

#[test]
fn a_function_that_is_no_bus_master_abandons_its_copies_and_makes_them_when_it_is_one_again() {
    const COMMAND: u32 = 0x04;
    let (mut host, buffers) = with_reads_under_way(false);
    host.write_config(COMMAND, 2, 0b010);
    host.step();
    assert_silent(&mut host, &buffers);
    assert!(host.reap(1).is_none());
    host.write_config(COMMAND, 2, 0b110);
    host.settle();
    let completed: Vec<Status> = std::iter::from_fn(|| host.reap(1))
        .map(|completion| completion.status())
        .collect();
    assert_eq!(completed, [SUCCESS; 4]);
    for buffer in buffers {
        assert_eq!(host.machine.ram(buffer, 8192), [0; 8192]);
    }
}
