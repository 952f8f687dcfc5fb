//! Seeded whole-device runs: random commands, good and bad, against an oracle; and a host that writes anything anywhere.
//!
//! A failure names its seed; the same seed gives the same bytes and times, which is itself checked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use nvme_device::NamespaceConfig;
use nvme_spec::registers::{self, csts};
use nvme_spec::{
    AdminOpcode, DirectiveType, FeatureId, IdentifyCns, KeyValueOpcode, LogPageId, NamespaceAttachmentSelect,
    NvmOpcode, SglDescriptor, SglDescriptorType, Status, SubmissionQueueEntry,
};
use nvmev_sim::host::{commands, key_value, sgl, EngineFaults, Random, Ring, TestHost, RAM_BASE};
use ssd_model::profiles;
use ssd_profile::Profile;
use zerocopy::{FromBytes, IntoBytes};

const CAPACITY_BYTES: usize = 1 << 20;
/// A drive without flash and one with, whose namespaces have the whole capacity.
const PROFILES: [&str; 2] = ["optane", "tlc-ssd"];
const LBAS: u64 = (CAPACITY_BYTES / 512) as u64;

/// What a command that was submitted must come to.
struct Expected {
    status: Status,
    read_from: Option<(usize, usize, u64)>,
}

/// Random reads and writes over several queues with resets in between; returns a digest of everything observable.
fn run(seed: u64, commands_count: usize) -> u64 {
    let mut random = Random::new(seed);
    let workers = 1 + random.below(3) as usize;
    let profile = profiles::by_name(PROFILES[(seed % 2) as usize]).unwrap();
    let mut host = TestHost::new(profile, CAPACITY_BYTES as u64, 512, workers);
    if seed % 3 == 0 {
        host.machine.install_engine(seed, EngineFaults::SOME);
    }
    let first_free = host.next_page();
    let mut oracle = vec![0u8; CAPACITY_BYTES];
    let mut digest = Digest::default();
    let mut done = 0;
    while done < commands_count {
        host.forget_pages(first_free);
        host.enable();
        let queues = 1 + random.below(4) as u16;
        if random.one_in(2) {
            host.use_shadow_doorbells(Ring::WhenPassedModulo);
        }
        for qid in 1..=queues {
            host.create_io_queues(qid, 2 + random.below(30) as u16);
        }
        let buffers: Vec<u64> = (0..64).map(|_| host.pages(2)).collect();
        for _ in 0..40 {
            done += batch(
                seed,
                &mut host,
                &mut random,
                queues,
                &buffers,
                &mut oracle,
                &mut digest,
            );
        }
        host.disable();
        assert!(
            host.machine.media() == oracle,
            "seed {seed}: the medium is not what was written"
        );
    }
    digest.add(host.now_ns);
    digest.0
}

#[derive(Default)]
struct Digest(u64);

impl Digest {
    fn add(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x100_0000_01b3).rotate_left(7);
    }
}

/// Submits a batch without overlapping writes, runs it to its end, and checks every completion.
fn batch(
    seed: u64,
    host: &mut TestHost,
    random: &mut Random,
    queues: u16,
    buffers: &[u64],
    oracle: &mut [u8],
    digest: &mut Digest,
) -> usize {
    let mut expected: BTreeMap<(u16, u16), Expected> = BTreeMap::new();
    let mut touched = BTreeSet::new();
    for &buffer in buffers.iter().take(1 + random.below(20) as usize) {
        let qid = 1 + random.below(queues.into()) as u16;
        let lbas = 1 + random.below(8) as u32;
        let slba = if random.one_in(20) {
            LBAS - random.below(8)
        } else {
            random.below(LBAS - 8)
        };
        let opcode = match random.below(8) {
            0 => NvmOpcode::WRITE_ZEROES,
            1 => NvmOpcode::DATASET_MANAGEMENT,
            2..=4 => NvmOpcode::WRITE,
            _ => NvmOpcode::READ,
        };
        let range = slba..slba + u64::from(lbas);
        if range.clone().any(|lba| !touched.insert(lba)) {
            continue;
        }
        let is_beyond = range.end > LBAS;
        let (at, len) = (slba as usize * 512, lbas as usize * 512);
        let mut written = None;
        let entry = match opcode {
            NvmOpcode::WRITE_ZEROES => {
                written = Some(vec![0; len]);
                commands::write_zeroes(1, slba, lbas, random.one_in(2))
            }
            NvmOpcode::DATASET_MANAGEMENT => {
                written = Some(vec![0; len]);
                // The same LBAs in two ranges, an empty one between them, near a page's end so that the list crosses it.
                let first = random.below(lbas.into()) as u32;
                let ranges = [(slba, first), (slba, 0), (slba + u64::from(first), lbas - first)];
                let list = buffer + 4096 - 16 * random.below(4);
                host.machine.set_ram(list, &commands::range_list(&ranges));
                let mut entry = commands::deallocate(1, 3, list);
                entry.prp2 = (buffer + 4096).into();
                entry
            }
            NvmOpcode::WRITE => {
                let data: Vec<u8> = (0..len).map(|_| random.next_bits() as u8).collect();
                host.machine.set_ram(buffer, &data);
                written = Some(data);
                commands::read_write(opcode, 1, slba, lbas, buffer, buffer + 4096)
            }
            _ => commands::read_write(opcode, 1, slba, lbas, buffer, buffer + 4096),
        };
        let entry = if entry.prp1.get() != 0 && random.one_in(3) {
            behind_sgl(host, entry, 1 + random.below(600) as u32)
        } else {
            entry
        };
        if let Some(data) = written.as_ref().filter(|_| !is_beyond) {
            oracle[at..at + len].copy_from_slice(data);
        }
        let status = if is_beyond {
            Status::LBA_OUT_OF_RANGE
        } else {
            Status::SUCCESSFUL_COMPLETION
        };
        let read_from = (written.is_none() && !is_beyond).then_some((at, len, buffer));
        // The driver never overruns its own submission queue.
        if expected.len() % 2 == 1 {
            host.run();
        }
        let cid = host.submit(qid, entry);
        expected.insert((qid, cid), Expected { status, read_from });
        reap(seed, host, qid, &mut expected, oracle, digest);
    }
    let count = touched.len().min(1) + expected.len();
    while !expected.is_empty() {
        host.settle();
        for qid in 1..=queues {
            reap(seed, host, qid, &mut expected, oracle, digest);
        }
    }
    count
}

/// The same command, whose two pages are behind an SGL of two blocks.
fn behind_sgl(host: &mut TestHost, entry: SubmissionQueueEntry, first_bytes: u32) -> SubmissionQueueEntry {
    let address = entry.prp1.get();
    let blocks = [
        sgl::data_block(address, first_bytes),
        sgl::data_block(address + u64::from(first_bytes), 8192),
    ];
    entry.with_sgl1(host.sgl([&blocks[..]].into_iter()))
}

fn reap(
    seed: u64,
    host: &mut TestHost,
    qid: u16,
    expected: &mut BTreeMap<(u16, u16), Expected>,
    oracle: &[u8],
    digest: &mut Digest,
) {
    // One entry is always consumed before the next command, so that a queue of 2 works.
    host.settle();
    while let Some(completion) = host.reap(qid) {
        let key = (completion.sq_id.get(), completion.cid.get());
        let wanted = expected
            .remove(&key)
            .unwrap_or_else(|| panic!("seed {seed}: {key:?} completed twice or never sent"));
        assert_eq!(completion.status(), wanted.status, "seed {seed}: {key:?}");
        if let Some((at, len, buffer)) = wanted.read_from {
            assert!(
                host.machine.ram(buffer, len) == oracle[at..at + len],
                "seed {seed}: {key:?} read other data"
            );
        }
        digest.add(u64::from(completion.status_and_phase.get()) << 32 | u64::from(completion.cid.get()));
        digest.add(host.now_ns);
        host.settle();
    }
}

#[test]
fn random_io_agrees_with_the_oracle_and_repeats_exactly() {
    for seed in 0..8 {
        let digest = run(seed, 2_000);
        assert_eq!(
            digest,
            run(seed, 2_000),
            "seed {seed}: the same seed must give the same bytes and times"
        );
    }
}

/// A value that is more often than not near something that matters.
fn nasty(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => random.next_bits(),
        1 => 0,
        2 => u64::MAX - random.below(16),
        3 => RAM_BASE + random.below(8 << 20),
        4 => RAM_BASE + random.below(64) * 4096,
        5 => random.below(300),
        6 => 1 << random.below(64),
        _ => RAM_BASE + (16 << 20) - random.below(8192),
    }
}

/// An entry with a plausible opcode and arguments that are often wrong.
fn hostile_entry(random: &mut Random, is_admin: bool) -> SubmissionQueueEntry {
    let mut bytes = [0u8; 64];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&nasty(random).to_le_bytes());
    }
    let mut entry = SubmissionQueueEntry::read_from_bytes(&bytes).unwrap();
    entry.cid = (random.next_bits() as u16).into();
    let admin = [0, 1, 2, 4, 5, 6, 8, 9, 0xA, 0xC, 0x19, 0x1A, 0x7C];
    entry.opcode = match random.below(10) {
        0 => random.next_bits() as u8,
        _ if is_admin => admin[random.below(admin.len() as u64) as usize],
        _ => [
            0, 1, 2, 4, 5, 8, 9, 0xC, 0xD, 0xE, 0x11, 0x15, 0x19, 0x79, 0x7A, 0x7D, 6, 0x10, 0x14, 0x81,
            0x83, 0x85, 0x90, 0xA1, 0xB1, 0xB2, 0xB3,
        ][random.below(27) as usize],
    };
    if !random.one_in(10) {
        entry.flags = 0;
    }
    if !random.one_in(4) {
        entry.nsid = (1 + random.below(4) as u32).into();
    }
    if !is_admin && random.one_in(3) {
        // Keys that may be there, options and lengths that may be right, a batch that may be one.
        let key = random.below(30) as u32;
        entry.cdw2 = key.into();
        entry.cdw3 = 0.into();
        entry.mptr = if random.one_in(4) {
            random.below(5000) << 32
        } else {
            0
        }
        .into();
        entry.cdw10 = (random.below(3000) as u32).into();
        entry.cdw11 =
            ((1 + random.below(20) as u32) | [0, 0, 1, 2, 5, 9][random.below(6) as usize] << 8).into();
        entry.cdw12 = if random.one_in(3) {
            RAM_BASE as u32 + key * 4096
        } else {
            key
        }
        .into();
        entry.cdw13 = (0xFF * random.below(2) as u32).into();
        entry.cdw14 = 0.into();
        entry.cdw15 = 0.into();
    } else if !is_admin && random.one_in(4) {
        // Writes to streams, which may be enabled.
        entry.cdw10 = (random.below(1000) as u32).into();
        entry.cdw11 = 0.into();
        entry.cdw12 = (random.below(8) as u32 | (random.below(3) as u32) << 20).into();
        entry.cdw13 = ((random.below(100) as u32) << 16).into();
    } else if !is_admin && random.one_in(4) {
        // Actions and types of reservations that may be; keys of zeros, or of anything.
        entry.opcode = [0xD, 0xE, 0x11, 0x15][random.below(4) as usize];
        entry.cdw10 = (random.below(4) as u32
            | (random.below(8) as u32) << 8
            | u32::from(random.one_in(4)) << 3
            | u32::from(random.one_in(4)) << 31)
            .into();
        entry.prp1 = (RAM_BASE + random.below(256) * 4096).into();
    } else if !is_admin && random.one_in(3) {
        // Management of a zone that is there, with actions and options that may be.
        entry.cdw10 = (256 * random.below(9) as u32).into();
        entry.cdw11 = 0.into();
        entry.cdw12 = (random.below(2000) as u32).into();
        entry.cdw13 = ([1, 2, 3, 4, 5, 0x10, 0x11, 0x203][random.below(8) as usize]
            | u32::from(random.one_in(10)) << 8)
            .into();
    }
    if !is_admin && random.one_in(4) {
        let sgl1_type = SglDescriptorType(random.below(6) as u8);
        entry = entry.with_sgl1(SglDescriptor::new(
            sgl1_type,
            nasty(random),
            16 * random.below(3000) as u32,
        ));
    }
    if is_admin && random.one_in(2) {
        let page = RAM_BASE + random.below(256) * 4096;
        entry = match random.below(12) {
            11 => commands::directive_send(
                1 + random.below(4) as u32,
                DirectiveType(random.below(3) as u8),
                random.below(4) as u8,
                random.below(4) as u16,
                random.below(2) as u32 | (random.below(3) as u32) << 8,
            ),
            9..=10 => commands::directive_receive(
                if random.one_in(4) {
                    u32::MAX
                } else {
                    1 + random.below(4) as u32
                },
                DirectiveType(random.below(3) as u8),
                random.below(5) as u8,
                random.below(100) as u32,
                4 + 4 * random.below(2000) as u32,
                page,
            ),
            8 => commands::doorbell_buffer_config(page, RAM_BASE + random.below(256) * 4096),
            0 => commands::create_cq(random.below(6) as u16, random.below(20) as u32, 0, page),
            1 => commands::create_sq(
                random.below(6) as u16,
                random.below(6) as u16,
                random.below(20) as u32,
                page,
            ),
            2 => commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, random.below(6) as u16),
            3 => commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, random.below(6) as u16),
            4 => commands::abort(random.below(6) as u16, random.next_bits() as u16),
            5 => commands::set_features(
                FeatureId(if random.one_in(3) {
                    0x81 + random.below(3) as u8
                } else {
                    random.below(0x24) as u8
                }),
                random.one_in(2),
                nasty(random) as u32,
                page,
            ),
            6 => commands::get_log_page(
                LogPageId(if random.one_in(3) {
                    [0xBF, 0x80][random.below(2) as usize]
                } else {
                    random.below(8) as u8
                }),
                if random.one_in(2) { u32::MAX } else { 2 },
                nasty(random),
                4 + 4 * random.below(2000) as u32,
                page,
            ),
            _ => commands::identify(
                IdentifyCns(random.below(0x20) as u8),
                nasty(random) as u32,
                random.below(3) as u8,
                page,
            ),
        };
    }
    entry
}

/// One hostile act; reports the number of commands that it may have submitted.
fn act(host: &mut TestHost, random: &mut Random) {
    match random.below(20) {
        // Entries and doorbells of small queues, anywhere in the low pages.
        0..=9 => {
            let qid = random.below(6) as u16;
            let page = RAM_BASE + random.below(64) * 4096;
            let entry = hostile_entry(random, qid == 0);
            host.machine
                .set_ram(page + random.below(64) * 64, entry.as_bytes());
            let value = if random.one_in(10) {
                nasty(random) as u32
            } else {
                random.below(20) as u32
            };
            host.set_register(registers::sq_tail_doorbell(qid), value);
        }
        10..=13 => {
            let qid = random.below(6) as u16;
            host.set_register(registers::cq_head_doorbell(qid), random.below(20) as u32);
        }
        14 => {
            let offset = 4 * random.below(nvme_device::BAR_SIZE_BYTES as u64 / 4) as usize;
            host.set_register(offset, nasty(random) as u32);
        }
        15 => {
            let cc = if random.one_in(3) {
                nasty(random) as u32
            } else {
                0x0046_0060 | random.below(2) as u32
            };
            host.set_register(registers::CC, cc);
        }
        16 => {
            let (offset, width) = (random.below(300) as u32, [1, 2, 4][random.below(3) as usize]);
            host.write_config(offset, width, nasty(random) as u32);
            let _ = host.device.shared.config_space().read(offset, width);
            // Else the function would sleep, or be kept from memory, most of the time.
            if random.one_in(3) {
                host.switch_on();
            }
        }
        17 => {
            host.set_register(registers::AQA, 0x000F_000F);
            host.set_register_u64(registers::ASQ, RAM_BASE + random.below(64) * 4096);
            host.set_register_u64(registers::ACQ, RAM_BASE + (64 + random.below(64)) * 4096);
        }
        18 => host.now_ns += random.below(1_000_000),
        _ => {
            if random.one_in(20) {
                host.set_register(registers::NSSR, nvme_spec::NSSR_RESET);
            }
        }
    }
}

/// The `index`th namespace.
fn namespace(profile: &Profile<'_>, index: u64) -> NamespaceConfig {
    NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: 512,
        media_offset: index * CAPACITY_BYTES as u64,
        media_len_bytes: CAPACITY_BYTES as u64,
    }
}

/// A small drive with zones of 128 KiB, and everything that zones can have.
fn zoned() -> Profile<'static> {
    let mut profile = *profiles::by_name("zn540").unwrap();
    profile
        .set_list(
            "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,\
             zone.descriptor_extension_bytes=64,zone.read_only=1,zone.offline=1,zone.finish_recommended_ms=1,\
             zone.reset_recommended_ms=2,zone.reads_across_zones=true,zrwa.count=2,zrwa.size_bytes=16384,\
             zrwa.granularity_bytes=4096,reference_quirks=false",
        )
        .unwrap();
    profile.validate().unwrap();
    profile
}

/// A small key-value drive.
fn key_value_profile(command_set: &'static str) -> Profile<'static> {
    let mut profile = *profiles::by_name("kv-prototype").unwrap();
    profile.set("key_value.command_set", command_set).unwrap();
    profile.set("key_value.value_bytes_max", "65536").unwrap();
    profile.set("mdts", "4").unwrap();
    profile.validate().unwrap();
    profile
}

/// A device of all kinds of namespaces, with a few workers.
fn device_of_all_kinds(seed: u64, random: &mut Random) -> TestHost {
    let workers = 1 + random.below(3) as usize;
    let profile = profiles::by_name(PROFILES[(seed % 2) as usize]).unwrap();
    let namespaces = vec![
        namespace(profile, 0),
        namespace(&zoned(), 1),
        namespace(&key_value_profile("key-value"), 2),
        namespace(&key_value_profile("nvm"), 3),
    ];
    let host = TestHost::with_namespaces(namespaces, workers);
    if seed % 3 == 0 {
        host.machine.install_engine(seed, EngineFaults::SOME);
    }
    host
}

/// The queues are in order here, so that what is in the commands is all that is wrong; their data may land on the queues.
#[test]
fn commands_with_anything_in_them_are_survived_and_the_next_host_is_served() {
    let mut completed = 0;
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let mut host = device_of_all_kinds(seed, &mut random);
        let first_free = host.next_page();
        for _ in 0..60 {
            host.forget_pages(first_free);
            host.enable();
            (1..=3).for_each(|qid| host.create_io_queues(qid, 16));
            for _ in 0..200 {
                let qid = 1 + random.below(3) as u16;
                host.submit(qid, hostile_entry(&mut random, false));
                host.settle();
                completed += u64::from(host.reap(qid).is_some());
            }
            host.set_register(registers::CC, 0);
            host.settle();
        }
        well_formed_host_is_served(seed, &mut host);
    }
    assert!(
        completed > 100_000,
        "most of the commands have an end: {completed}"
    );
}

#[test]
fn a_host_that_writes_anything_anywhere_is_survived_and_the_next_one_is_served() {
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let mut host = device_of_all_kinds(seed, &mut random);
        host.enable();
        for _ in 0..20_000 {
            act(&mut host, &mut random);
            for _ in 0..random.below(4) {
                host.step();
            }
        }
        well_formed_host_is_served(seed, &mut host);
    }
}

/// The identifiers of a list.
fn identifiers(host: &mut TestHost, cns: IdentifyCns, buffer: u64) -> Vec<u32> {
    let identify = commands::identify(cns, 0, 0, buffer);
    assert_eq!(host.admin(identify).status(), Status::SUCCESSFUL_COMPLETION);
    let list = host.machine.ram(buffer, 4096);
    let dwords = list
        .chunks(4)
        .map(|dword| u32::from_le_bytes(dword.try_into().unwrap()));
    dwords.take_while(|&nsid| nsid != 0).collect()
}

/// The other host may have detached namespaces, formatted or deleted them: a drive whose owner does that works nevertheless.
fn bring_namespaces_back(seed: u64, host: &mut TestHost, buffer: u64) {
    let succeeds = |host: &mut TestHost, entry| {
        let status = host.admin(entry).status();
        assert_eq!(status, Status::SUCCESSFUL_COMPLETION, "seed {seed}: {entry:?}");
    };
    let allocated = identifiers(host, IdentifyCns::ALLOCATED_NAMESPACE_LIST, buffer);
    if allocated != [1, 2, 3, 4] {
        succeeds(host, commands::delete_namespace(u32::MAX));
        for (csi, mebibytes) in [(0, 1), (2, 1), (1, 1), (1, 1)] {
            // Of LBAs of 512 bytes, but for pairs: NSZE and NCAP.
            let size: u64 = mebibytes << if csi == 1 { 20 } else { 11 };
            host.machine.set_ram(buffer, &[0; 4096]);
            host.machine.set_ram(buffer, [size, size].as_bytes());
            succeeds(host, commands::create_namespace(csi, buffer));
        }
    }
    let active = identifiers(host, IdentifyCns::ACTIVE_NAMESPACE_LIST, buffer);
    for nsid in (1..=4).filter(|nsid| !active.contains(nsid)) {
        host.machine.set_ram(buffer, &[1, 0, 0, 0]);
        succeeds(
            host,
            commands::attach_namespace(nsid, NamespaceAttachmentSelect::ATTACH, buffer),
        );
    }
}

fn well_formed_host_is_served(seed: u64, host: &mut TestHost) {
    host.forget_pages(RAM_BASE + (1 << 20));
    host.switch_on();
    host.set_register(registers::CC, 0);
    host.settle();
    assert_eq!(
        host.register(registers::CSTS) & (csts::RDY | csts::CFS),
        0,
        "seed {seed}"
    );
    host.write_config(0x04, 2, 0x0006);
    host.enable();
    host.create_io_queues(1, 16);
    let buffer = host.pages(1);
    bring_namespaces_back(seed, host, buffer);
    host.machine.set_ram(buffer, &[0x77; 512]);
    let write = commands::read_write(NvmOpcode::WRITE, 1, 5, 1, buffer, 0);
    assert_eq!(
        host.execute(1, write).status(),
        Status::SUCCESSFUL_COMPLETION,
        "seed {seed}"
    );
    host.machine.set_ram(buffer, &[0; 512]);
    let read = commands::read_write(NvmOpcode::READ, 1, 5, 1, buffer, 0);
    assert_eq!(
        host.execute(1, read).status(),
        Status::SUCCESSFUL_COMPLETION,
        "seed {seed}"
    );
    assert_eq!(host.machine.ram(buffer, 512), [0x77; 512], "seed {seed}");
    // Whatever pairs the other host has left: all of them can be deleted, and then there is room for the largest.
    for nsid in [3, 4] {
        delete_all_pairs(seed, host, nsid, buffer);
        let store = SubmissionQueueEntry {
            prp1: buffer.into(),
            ..key_value::vendor(KeyValueOpcode::VENDOR_STORE, nsid, b"key", 0, 512)
        };
        let retrieve = SubmissionQueueEntry {
            prp1: buffer.into(),
            ..key_value::vendor(KeyValueOpcode::VENDOR_RETRIEVE, nsid, b"key", 0, 512)
        };
        host.machine.set_ram(buffer, &[0x66; 512]);
        assert_eq!(
            host.execute(1, store).status(),
            Status::SUCCESSFUL_COMPLETION,
            "seed {seed}"
        );
        host.machine.set_ram(buffer, &[0; 512]);
        assert_eq!(
            host.execute(1, retrieve).status(),
            Status::SUCCESSFUL_COMPLETION,
            "seed {seed}"
        );
        assert_eq!(host.machine.ram(buffer, 512), [0x66; 512], "seed {seed}");
    }
}

/// By an iterator, until it finds no key.
fn delete_all_pairs(seed: u64, host: &mut TestHost, nsid: u32, buffer: u64) {
    let key_buffer = host.pages(1);
    let open = key_value::iterate_request(nsid, 0, 1, 0, 0);
    let completion = host.execute(1, open);
    assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION, "seed {seed}");
    let handle = completion.dw0.get() as u8;
    loop {
        let read = SubmissionQueueEntry {
            prp1: buffer.into(),
            ..key_value::iterate_read(nsid, handle, 4096)
        };
        match host.execute(1, read).status() {
            Status::VENDOR_ITERATOR_END => break,
            status => assert_eq!(status, Status::SUCCESSFUL_COMPLETION, "seed {seed}"),
        }
        let answer = host.machine.ram(buffer, 4096);
        let number = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().unwrap()) as usize;
        let mut at = 4;
        for _ in 0..number(0) {
            let len = number(at);
            let key = &answer[at + 4..at + 4 + len];
            at += 4 + len.next_multiple_of(4);
            host.machine.set_ram(key_buffer, key);
            let mut delete = key_value::vendor(KeyValueOpcode::VENDOR_DELETE, nsid, key, 1, 0);
            if len > 16 {
                delete.cdw12 = (key_buffer as u32).into();
                delete.cdw13 = ((key_buffer >> 32) as u32).into();
            }
            assert_eq!(
                host.execute(1, delete).status(),
                Status::SUCCESSFUL_COMPLETION,
                "seed {seed}"
            );
        }
    }
}
