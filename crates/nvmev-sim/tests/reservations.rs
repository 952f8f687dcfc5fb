//! Reservations: registrations, holders, conflicts, reports and notifications.

use nvme_device::NamespaceConfig;
use nvme_spec::registers;
use nvme_spec::{
    AdminOpcode, FeatureId, KeyValueOpcode, LogPageId, NvmOpcode, Status, SubmissionQueueEntry,
    ZoneReceiveAction, ZoneSendAction,
};
use nvmev_sim::host::{commands, key_value, Random, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;

const BROADCAST: u32 = 0xFFFF_FFFF;
const OK: Status = Status::SUCCESSFUL_COMPLETION;
const CONFLICT: Status = Status::RESERVATION_CONFLICT;
const INVALID: Status = Status::INVALID_FIELD_IN_COMMAND;

const WRITE_EXCLUSIVE: u32 = 1;
const EXCLUSIVE_ACCESS: u32 = 2;
const WRITE_EXCLUSIVE_REGISTRANTS: u32 = 3;
const ALL_REGISTRANTS: [u32; 2] = [5, 6];

const IGNORE_KEY: u32 = 1 << 3;
const PERSIST: u32 = 0b11 << 30;
const DO_NOT_PERSIST: u32 = 0b10 << 30;

/// A test host, a page for the keys, and namespace 1 unless another one is chosen.
struct Bench {
    host: TestHost,
    page: u64,
    nsid: u32,
}

impl Bench {
    fn new() -> Self {
        Self::of(TestHost::ready())
    }

    fn of(mut host: TestHost) -> Self {
        let page = host.pages(1);
        Self { host, page, nsid: 1 }
    }

    /// The controller has host `id` from now on, with an identifier of 64 or 128 bits.
    fn become_host(&mut self, id: u8, is_extended: bool) {
        let identifier = [id; 16];
        self.host.machine.set_ram(self.page, &identifier);
        let set = commands::set_features(FeatureId::HOST_IDENTIFIER, false, is_extended.into(), self.page);
        assert_eq!(self.host.admin(set).status(), OK);
    }

    fn is(&mut self, id: u8) -> &mut Self {
        self.become_host(id, true);
        self
    }

    fn send(&mut self, opcode: NvmOpcode, cdw10: u32, keys: [u64; 2]) -> Status {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        self.host.machine.set_ram(self.page, &bytes);
        let entry = commands::reservation(opcode, self.nsid, cdw10, self.page);
        self.host.execute(1, entry).status()
    }

    /// Registers with this key.
    fn register(&mut self, key: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_REGISTER, 0, [0, key])
    }

    fn unregister(&mut self, key: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_REGISTER, 1, [key, 0])
    }

    fn acquire(&mut self, kind: u32, key: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_ACQUIRE, kind << 8, [key, 0])
    }

    fn preempt(&mut self, kind: u32, key: u64, victim: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_ACQUIRE, kind << 8 | 1, [key, victim])
    }

    fn release(&mut self, kind: u32, key: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_RELEASE, kind << 8, [key, 0])
    }

    fn clear(&mut self, key: u64) -> Status {
        self.send(NvmOpcode::RESERVATION_RELEASE, 1, [key, 0])
    }

    /// A report of `len` bytes.
    fn report_bytes(&mut self, len: u32, is_extended: bool) -> Result<Vec<u8>, Status> {
        let pages = self.host.pages(2);
        self.host.machine.set_ram(pages, &[0xAA; 8192]);
        let entry = commands::reservation_report(self.nsid, len, is_extended, pages);
        match self.host.execute(1, entry).status() {
            Status::SUCCESSFUL_COMPLETION => Ok(self.host.machine.ram(pages, len as usize)),
            status => Err(status),
        }
    }

    fn report(&mut self) -> Report {
        Report::parse(&self.report_bytes(4096, true).unwrap())
    }

    fn command(&mut self, entry: SubmissionQueueEntry) -> Status {
        let entry = SubmissionQueueEntry {
            nsid: self.nsid.into(),
            ..entry
        };
        self.host.execute(1, entry).status()
    }

    /// Whether the host may read and write LBAs.
    fn access(&mut self) -> (bool, bool) {
        let entry = |opcode, page| commands::read_write(opcode, 1, 0, 1, page, 0);
        let page = self.page;
        let is_allowed = |status| match status {
            OK => true,
            CONFLICT => false,
            other => panic!("{other:?}"),
        };
        (
            is_allowed(self.command(entry(NvmOpcode::READ, page))),
            is_allowed(self.command(entry(NvmOpcode::WRITE, page))),
        )
    }

    fn notification(&mut self) -> (u64, u8, u8, u32) {
        let page = self.host.pages(1);
        let read = commands::get_log_page(LogPageId::RESERVATION_NOTIFICATION, 0, 0, 64, page);
        assert_eq!(self.host.admin(read).status(), OK);
        let bytes = self.host.machine.ram(page, 64);
        (
            u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            bytes[8],
            bytes[9],
            u32::from_le_bytes(bytes[12..16].try_into().unwrap()),
        )
    }

    /// The kinds of all notifications.
    fn notices(&mut self) -> Vec<u8> {
        let all = std::iter::from_fn(|| Some(self.notification().1).filter(|&kind| kind != 0));
        all.collect()
    }

    fn feature(&mut self, feature: FeatureId, nsid: u32) -> Result<u32, Status> {
        let entry = commands::get_features(feature, 0, 0, 0);
        let completion = self.host.admin(SubmissionQueueEntry {
            nsid: nsid.into(),
            ..entry
        });
        match completion.status() {
            OK => Ok(completion.dw0.get()),
            status => Err(status),
        }
    }

    fn set_feature(&mut self, feature: FeatureId, nsid: u32, value: u32) -> Status {
        let entry = commands::set_features(feature, false, value, 0);
        let completion = self.host.admin(SubmissionQueueEntry {
            nsid: nsid.into(),
            ..entry
        });
        completion.status()
    }

    fn reset(&mut self, is_subsystem: bool) {
        if is_subsystem {
            self.host.set_register(registers::NSSR, nvme_spec::NSSR_RESET);
            self.host.settle();
        } else {
            self.host.disable();
        }
        self.host.enable();
        self.host.create_io_queues(1, 64);
    }
}

/// An extended report.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    generation: u32,
    kind: u8,
    persists: u8,
    /// Host, key, whether it holds the reservation.
    registrants: Vec<(u8, u64, bool)>,
}

impl Report {
    fn parse(bytes: &[u8]) -> Self {
        let count = u16::from_le_bytes([bytes[5], bytes[6]]);
        let registrants = bytes[64..].chunks_exact(64).take(count.into()).map(|entry| {
            assert!(entry[..2] == [0; 2] && entry[3..8] == [0; 5] && entry[32..] == [0; 32]);
            assert_eq!(entry[16..32], [entry[16]; 16]);
            let key = u64::from_le_bytes(entry[8..16].try_into().unwrap());
            (entry[16], key, entry[2] == 1)
        });
        Self {
            generation: u32::from_le_bytes(bytes[..4].try_into().unwrap()),
            kind: bytes[4],
            persists: bytes[9],
            registrants: registrants.collect(),
        }
    }
}

#[test]
fn keys_are_registered_replaced_and_given_up() {
    let mut bench = Bench::new();
    let register = NvmOpcode::RESERVATION_REGISTER;
    bench.is(1);
    assert_eq!(bench.unregister(0), CONFLICT, "not registered");
    assert_eq!(bench.send(register, 2, [0, 5]), CONFLICT);
    assert_eq!(bench.send(register, 2 | IGNORE_KEY, [0, 5]), CONFLICT);
    assert_eq!(bench.send(register, 1 | IGNORE_KEY, [0, 5]), CONFLICT);
    assert_eq!(bench.report().generation, 0, "what fails is not counted");
    assert_eq!(bench.register(5), OK);
    assert_eq!(bench.register(5), OK, "the same again");
    assert_eq!(bench.register(6), CONFLICT);
    assert_eq!(bench.send(register, IGNORE_KEY, [0, 6]), CONFLICT);
    assert_eq!(bench.send(register, 2, [4, 6]), CONFLICT, "another key");
    assert_eq!(bench.send(register, 2, [5, 6]), OK);
    assert_eq!(bench.send(register, 2 | IGNORE_KEY, [0, 7]), OK);
    assert_eq!(bench.is(2).register(7), OK, "two hosts may have the same");
    let report = bench.report();
    assert_eq!(report.registrants, [(1, 7, false), (2, 7, false)]);
    assert_eq!(report.generation, 5);
    assert_eq!(bench.unregister(8), CONFLICT);
    assert_eq!(bench.unregister(7), OK);
    assert_eq!(bench.is(1).send(register, 1 | IGNORE_KEY, [99, 0]), OK);
    assert_eq!(bench.report().registrants, []);
    for cdw10 in [3, 4, 7, 1 << 30] {
        assert_eq!(bench.send(register, cdw10, [0, 1]), INVALID, "{cdw10:#x}");
    }
    let unreachable = commands::reservation(register, 1, 0, 0);
    assert_eq!(bench.command(unreachable), Status::DATA_TRANSFER_ERROR);
    assert_eq!(bench.report().registrants, []);
    for nsid in [0, 33, BROADCAST] {
        bench.nsid = nsid;
        assert_eq!(bench.register(5), Status::INVALID_NAMESPACE_OR_FORMAT);
        assert_eq!(
            bench.report_bytes(64, true),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
    }
}

#[test]
fn there_is_room_for_63_hosts() {
    let mut bench = Bench::new();
    for id in 1..=63 {
        assert_eq!(bench.is(id).register(u64::from(id) << 40), OK);
    }
    assert_eq!(bench.is(64).register(1), Status::INTERNAL_ERROR);
    let report = bench.report();
    assert_eq!(report.registrants.len(), 63);
    assert_eq!(report.registrants[62], (63, 63 << 40, false));
    // A report that has no room for all of them says how many there are.
    let bytes = bench.report_bytes(64 + 64, true).unwrap();
    assert_eq!((bytes[5], bytes[6], bytes[64 + 16]), (63, 0, 1));
    assert_eq!(bench.report_bytes(8, true).unwrap()[5], 63);
    // And one with more room than that has zeros behind them.
    let bytes = bench.report_bytes(8192, true).unwrap();
    assert!(bytes[4096..].iter().all(|&byte| byte == 0));
    assert_eq!(bench.is(7).unregister(7 << 40), OK);
    assert_eq!(bench.is(64).register(1), OK);
}

#[test]
fn reports_come_in_the_form_of_the_hosts_identifier() {
    let mut bench = Bench::new();
    // A host that has not said which form it uses may have either.
    assert_eq!(bench.register(3), OK);
    for is_extended in [false, true] {
        assert!(bench.report_bytes(64, is_extended).is_ok());
    }
    bench.become_host(9, false);
    assert_eq!(bench.register(0x0102_0304_0506_0708), OK);
    assert_eq!(
        bench.send(
            NvmOpcode::RESERVATION_ACQUIRE,
            EXCLUSIVE_ACCESS << 8,
            [0x0102_0304_0506_0708, 0]
        ),
        OK
    );
    assert_eq!(
        bench.report_bytes(64, true),
        Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT)
    );
    let bytes = bench.report_bytes(128, false).unwrap();
    assert_eq!(bytes[..10], [2, 0, 0, 0, 2, 2, 0, 0, 0, 0]);
    assert_eq!(
        bytes[24..48],
        [[0; 16], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()[..24]
    );
    assert_eq!(
        bytes[48..72],
        [0, 0, 1, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    assert!(bytes[72..].iter().all(|&byte| byte == 0));
    bench.become_host(9, true);
    assert_eq!(
        bench.report_bytes(64, false),
        Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT)
    );
    // Longer than MDTS, and the longest that can be asked for.
    assert_eq!(bench.report_bytes((128 << 10) + 4, true), Err(INVALID));
    let longest = SubmissionQueueEntry {
        cdw10: u32::MAX.into(),
        ..commands::reservation_report(1, 4, true, bench.page)
    };
    assert_eq!(bench.command(longest), INVALID);
}

#[test]
fn each_type_keeps_others_from_what_it_says() {
    let (all, reads, nothing) = ((true, true), (true, false), (false, false));
    for (kind, registrant, stranger) in [
        (1, reads, reads),
        (2, nothing, nothing),
        (3, all, reads),
        (4, all, nothing),
        (5, all, reads),
        (6, all, nothing),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.is(1).register(1), OK);
        assert_eq!(bench.is(2).register(2), OK);
        assert_eq!(bench.is(1).acquire(kind, 1), OK);
        assert_eq!(bench.access(), all, "type {kind}: the holder");
        assert_eq!(bench.is(2).access(), registrant, "type {kind}: a registrant");
        assert_eq!(bench.is(3).access(), stranger, "type {kind}: a stranger");
        let holders: Vec<bool> = bench.report().registrants.iter().map(|entry| entry.2).collect();
        assert_eq!(holders, [true, ALL_REGISTRANTS.contains(&kind)], "type {kind}");
        assert_eq!(bench.report().kind, kind as u8);
        // Becoming a registrant, or ceasing to be one, counts at once.
        assert_eq!(bench.register(3), OK);
        assert_eq!(bench.access(), registrant, "type {kind}");
        assert_eq!(bench.unregister(3), OK);
        assert_eq!(bench.access(), stranger, "type {kind}");
        assert_eq!(bench.is(1).release(kind, 1), OK);
        assert_eq!(bench.is(3).access(), all, "type {kind}: released");
    }
}

fn zoned() -> Profile<'static> {
    let mut profile = *profiles::by_name("zn540").unwrap();
    profile
        .set_list(
            "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,\
             reference_quirks=false",
        )
        .unwrap();
    profile
}

fn key_value_profile(command_set: &'static str) -> Profile<'static> {
    let mut profile = *profiles::by_name("kv-prototype").unwrap();
    profile.set("key_value.command_set", command_set).unwrap();
    profile.set("key_value.value_bytes_max", "65536").unwrap();
    profile.set("mdts", "4").unwrap();
    profile
}

/// Every command of every kind of namespace, with what it does.
#[test]
fn every_command_belongs_to_a_group() {
    let optane = *profiles::by_name("optane").unwrap();
    let namespace = |profile: &Profile<'_>, index: u64| NamespaceConfig {
        kind: profile.kind,
        mdts: 4,
        lba_bytes: 512,
        media_offset: index << 20,
        media_len_bytes: 1 << 20,
    };
    let profiles = [
        optane,
        zoned(),
        key_value_profile("nvm"),
        key_value_profile("key-value"),
    ];
    let namespaces = (0..)
        .zip(&profiles)
        .map(|(index, profile)| namespace(profile, index));
    let mut host = TestHost::with_namespaces(namespaces.collect(), 2);
    host.enable();
    host.create_io_queues(1, 64);
    let mut bench = Bench::of(host);
    let page = bench.page;
    let io = |opcode| commands::read_write(opcode, 1, 0, 1, page, 0);
    let reads = |opcode: NvmOpcode| (io(opcode), false);
    let writes = |opcode: NvmOpcode| (io(opcode), true);
    let lbas = vec![
        reads(NvmOpcode::READ),
        reads(NvmOpcode::COMPARE),
        reads(NvmOpcode::VERIFY),
        writes(NvmOpcode::FLUSH),
        writes(NvmOpcode::WRITE),
        writes(NvmOpcode::WRITE_ZEROES),
        writes(NvmOpcode::WRITE_UNCORRECTABLE),
        writes(NvmOpcode::DATASET_MANAGEMENT),
        writes(NvmOpcode::COPY),
    ];
    let mut zones = lbas.clone();
    let report = commands::zone_receive(1, 0, ZoneReceiveAction::REPORT_ZONES, 0, false, 64, page);
    zones.push((report, false));
    zones.push((commands::zone_send(1, 0, ZoneSendAction::OPEN, false), true));
    zones.push(writes(NvmOpcode::ZONE_APPEND));
    let vendor = |opcode, is_write| (key_value::vendor(opcode, 1, b"key1", 0, 512), is_write);
    let mut vendor_commands = vec![
        vendor(KeyValueOpcode::VENDOR_STORE, true),
        vendor(KeyValueOpcode::VENDOR_APPEND, true),
        vendor(KeyValueOpcode::VENDOR_BATCH, true),
        vendor(KeyValueOpcode::VENDOR_DELETE, true),
        vendor(KeyValueOpcode::VENDOR_RETRIEVE, false),
        vendor(KeyValueOpcode::VENDOR_EXIST, false),
        vendor(KeyValueOpcode::VENDOR_ITERATE_REQUEST, false),
        vendor(KeyValueOpcode::VENDOR_ITERATE_READ, false),
    ];
    let mut both = lbas.clone();
    both.extend(vendor_commands.iter().copied());
    for (opcode, is_write) in [
        (KeyValueOpcode::FLUSH, true),
        (KeyValueOpcode::STORE, true),
        (KeyValueOpcode::DELETE, true),
        (KeyValueOpcode::RETRIEVE, false),
        (KeyValueOpcode::LIST, false),
        (KeyValueOpcode::EXIST, false),
    ] {
        let mut entry = io(NvmOpcode(opcode.0));
        entry.cdw10 = 512.into();
        entry.cdw11 = 4.into();
        vendor_commands.push((entry, is_write));
    }
    for (nsid, entries) in (1..).zip([lbas, zones, both, vendor_commands]) {
        bench.nsid = nsid;
        for (kind, excludes_reads) in [(WRITE_EXCLUSIVE, false), (EXCLUSIVE_ACCESS, true)] {
            assert_eq!(bench.is(1).register(1), OK);
            assert_eq!(bench.acquire(kind, 1), OK);
            for &(entry, is_write) in &entries {
                let is_refused = bench.is(2).command(entry) == CONFLICT;
                assert_eq!(
                    is_refused,
                    is_write || excludes_reads,
                    "namespace {nsid}, type {kind}: {entry:?}"
                );
                // The holder may have the wrong arguments, but no conflict.
                assert_ne!(bench.is(1).command(entry), CONFLICT);
            }
            assert_eq!(bench.is(1).clear(1), OK);
        }
        assert_eq!(bench.report().registrants, []);
    }
    // A flush of all namespaces meets the reservation of any.
    bench.nsid = 2;
    assert_eq!(bench.is(1).register(1), OK);
    assert_eq!(bench.acquire(WRITE_EXCLUSIVE, 1), OK);
    bench.nsid = BROADCAST;
    assert_eq!(bench.command(commands::flush(BROADCAST)), OK);
    assert_eq!(bench.is(2).command(commands::flush(BROADCAST)), CONFLICT);
    // Others are not concerned.
    bench.nsid = 1;
    assert_eq!(bench.command(io(NvmOpcode::WRITE)), OK);
}

#[test]
fn a_fused_pair_meets_the_reservation_half_by_half() {
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).register(1), OK);
    assert_eq!(bench.acquire(WRITE_EXCLUSIVE, 1), OK);
    bench.is(2);
    let zeros = bench.host.pages(1);
    let half = |opcode, fuse| SubmissionQueueEntry {
        flags: fuse,
        ..commands::read_write(opcode, 1, 0, 1, zeros, 0)
    };
    bench.host.place(1, &half(NvmOpcode::COMPARE, 1));
    bench.host.place(1, &half(NvmOpcode::WRITE, 2));
    bench.host.ring(1);
    assert_eq!(bench.host.wait(1).status(), OK);
    assert_eq!(bench.host.wait(1).status(), CONFLICT);
}

#[test]
fn acquiring_follows_the_holder_and_the_type() {
    let acquire = NvmOpcode::RESERVATION_ACQUIRE;
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).acquire(1, 0), CONFLICT, "not registered");
    assert_eq!(bench.register(1), OK);
    assert_eq!(bench.acquire(1, 2), CONFLICT, "another key");
    for cdw10 in [0, 7 << 8, 0xFF << 8, 1 << 8 | 3, 1 << 8 | 7, 1 << 8 | IGNORE_KEY] {
        assert_eq!(bench.send(acquire, cdw10, [1, 0]), INVALID, "{cdw10:#x}");
    }
    let unreachable = commands::reservation(acquire, 1, 1 << 8, 0);
    assert_eq!(bench.command(unreachable), Status::DATA_TRANSFER_ERROR);
    assert_eq!(bench.report().kind, 0);
    assert_eq!(bench.acquire(1, 1), OK);
    assert_eq!(bench.acquire(1, 1), OK, "the same again");
    assert_eq!(bench.acquire(2, 1), CONFLICT, "another type");
    assert_eq!(bench.is(2).register(2), OK);
    assert_eq!(bench.acquire(1, 2), CONFLICT);
    assert_eq!(bench.release(1, 2), OK, "not the holder: nothing happens");
    assert_eq!(bench.report().kind, 1);
    assert_eq!(bench.is(1).release(2, 1), INVALID, "not its type");
    assert_eq!(bench.release(1, 7), CONFLICT, "not its key");
    assert_eq!(bench.release(1, 1), OK);
    assert_eq!(bench.release(1, 1), OK, "nothing is held");
    assert_eq!(bench.is(3).release(1, 1), CONFLICT, "not registered");
    assert_eq!(bench.clear(1), CONFLICT, "not registered");
    let release = NvmOpcode::RESERVATION_RELEASE;
    for cdw10 in [2, 7, 1 << 8 | IGNORE_KEY, 1 | IGNORE_KEY] {
        assert_eq!(bench.is(1).send(release, cdw10, [1, 0]), INVALID, "{cdw10:#x}");
    }
    let generation = bench.report().generation;
    for kind in ALL_REGISTRANTS {
        assert_eq!(bench.is(1).acquire(kind, 1), OK);
        assert_eq!(bench.is(2).acquire(kind, 2), OK, "it holds it, too");
        assert_eq!(bench.acquire(1, 2), CONFLICT);
        assert_eq!(bench.is(2).release(kind, 2), OK, "any of them may release it");
        assert_eq!(bench.report().kind, 0);
    }
    assert_eq!(
        bench.report().generation,
        generation,
        "registrations are as before"
    );
    assert_eq!(bench.clear(2), OK);
    let report = bench.report();
    assert_eq!((report.registrants, report.generation), (vec![], generation + 1));
}

/// Three registered hosts, the first of which holds the reservation, and no notifications yet.
fn three(kind: u32) -> Bench {
    let mut bench = Bench::new();
    for id in 1..=3 {
        assert_eq!(bench.is(id).register(u64::from(id)), OK);
    }
    if kind != 0 {
        assert_eq!(bench.is(1).acquire(kind, 1), OK);
    }
    bench
}

#[test]
fn preempting_takes_what_the_key_says() {
    const PREEMPTED: u8 = 1;
    const RELEASED: u8 = 2;
    let reg = |ids: &[(u8, bool)]| -> Vec<(u8, u64, bool)> {
        ids.iter().map(|&(id, holds)| (id, id.into(), holds)).collect()
    };
    type Case<'a> = (u32, u8, u32, u64, Status, u8, Vec<(u8, u64, bool)>, &'a [u8]);
    // Type before; host, type and key of the preemption; status; type, registrants and notices after.
    let cases: [Case<'_>; 15] = [
        // Of the holder: its reservation goes over.
        (1, 2, 4, 1, OK, 4, reg(&[(2, true), (3, false)]), &[PREEMPTED]),
        (3, 2, 3, 1, OK, 3, reg(&[(2, true), (3, false)]), &[PREEMPTED]),
        (
            3,
            2,
            1,
            1,
            OK,
            1,
            reg(&[(2, true), (3, false)]),
            &[PREEMPTED, RELEASED],
        ),
        // Of another one: only the registration.
        (1, 2, 4, 3, OK, 1, reg(&[(1, true), (2, false)]), &[PREEMPTED]),
        (1, 1, 4, 2, OK, 1, reg(&[(1, true), (3, false)]), &[PREEMPTED]),
        // Its own, by a host that does not hold it.
        (1, 2, 4, 2, OK, 1, reg(&[(1, true), (3, false)]), &[]),
        // Its own, by the holder: the type changes.
        (1, 1, 3, 1, OK, 3, reg(&[(1, true), (2, false), (3, false)]), &[]),
        (
            3,
            1,
            1,
            1,
            OK,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[RELEASED],
        ),
        // Of nobody.
        (
            1,
            2,
            4,
            9,
            CONFLICT,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[],
        ),
        (
            1,
            2,
            4,
            0,
            INVALID,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[],
        ),
        // Nothing is held: registrations only.
        (0, 2, 4, 1, OK, 0, reg(&[(2, false), (3, false)]), &[PREEMPTED]),
        (
            0,
            2,
            4,
            0,
            CONFLICT,
            0,
            reg(&[(1, false), (2, false), (3, false)]),
            &[],
        ),
        // All hold it: key 0 is that of all of them.
        (5, 2, 2, 0, OK, 2, reg(&[(2, true)]), &[PREEMPTED]),
        (6, 2, 2, 1, OK, 6, reg(&[(2, true), (3, true)]), &[PREEMPTED]),
        (
            6,
            2,
            2,
            9,
            CONFLICT,
            6,
            reg(&[(1, true), (2, true), (3, true)]),
            &[],
        ),
    ];
    for action in [1, 2] {
        for (index, (before, id, kind, key, status, after, registrants, notices)) in cases.iter().enumerate()
        {
            let mut bench = three(*before);
            let generation = bench.report().generation;
            let cdw10 = kind << 8 | action;
            let sent = bench
                .is(*id)
                .send(NvmOpcode::RESERVATION_ACQUIRE, cdw10, [(*id).into(), *key]);
            assert_eq!(sent, *status, "case {index}");
            let report = bench.report();
            assert_eq!(report.kind, *after, "case {index}");
            assert_eq!(&report.registrants, registrants, "case {index}");
            assert_eq!(
                report.generation - generation,
                u32::from(*status == OK),
                "case {index}"
            );
            assert_eq!(&bench.notices()[..], *notices, "case {index}");
        }
    }
    // The last one of all takes itself away, and the reservation with it.
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).register(7), OK);
    assert_eq!(bench.acquire(6, 7), OK);
    assert_eq!(bench.preempt(6, 7, 7), OK);
    let report = bench.report();
    assert_eq!((report.kind, report.registrants), (0, vec![]));
}

#[test]
fn giving_a_registration_up_gives_the_reservation_up_with_it() {
    for kind in 1..=6 {
        let mut bench = three(kind);
        assert_eq!(bench.is(1).unregister(1), OK);
        let is_held = ALL_REGISTRANTS.contains(&kind);
        assert_eq!(
            bench.report().kind,
            if is_held { kind as u8 } else { 0 },
            "type {kind}"
        );
        let notices: &[u8] = if matches!(kind, 3 | 4) { &[2] } else { &[] };
        assert_eq!(bench.notices(), notices, "type {kind}");
        assert_eq!(bench.is(2).unregister(2), OK);
        assert_eq!(bench.is(3).unregister(3), OK);
        let report = bench.report();
        assert_eq!((report.kind, report.registrants), (0, vec![]), "type {kind}");
        assert_eq!(bench.access(), (true, true));
    }
}

#[test]
fn notifications_are_read_one_by_one_and_are_an_event() {
    let mut bench = three(WRITE_EXCLUSIVE_REGISTRANTS);
    assert_eq!(bench.notification(), (0, 0, 0, 0), "none");
    let aer = bench
        .host
        .submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    bench.host.run();
    assert_eq!(bench.host.reap(0), None);
    assert_eq!(bench.host.register(registers::CSTS) & 1, 1);
    let keys: Vec<u8> = [1u64, 0].iter().flat_map(|key| key.to_le_bytes()).collect();
    bench.host.machine.set_ram(bench.page, &keys);
    let release = commands::reservation(NvmOpcode::RESERVATION_RELEASE, 1, 3 << 8, bench.page);
    assert_eq!(bench.command(release), OK);
    bench.host.run();
    let event = bench.host.reap(0).expect("an event");
    assert_eq!((event.cid.get(), event.dw0.get()), (aer, 0x0080_0006));
    // More of them, without another event before the log is read.
    assert_eq!(bench.preempt(1, 1, 2), OK);
    assert_eq!(bench.clear(1), OK);
    assert_eq!(bench.notification(), (1, 2, 2, 1));
    assert_eq!(bench.notification(), (2, 1, 1, 1));
    assert_eq!(bench.notification(), (3, 3, 0, 1));
    assert_eq!(bench.notification(), (0, 0, 0, 0));
    // What a host did to nobody is no news.
    assert_eq!(bench.register(1), OK);
    assert_eq!(bench.acquire(3, 1), OK);
    assert_eq!(bench.release(3, 1), OK);
    assert_eq!(bench.clear(1), OK);
    assert_eq!(bench.notification(), (0, 0, 0, 0));
    // Too many for the log: the numbers tell.
    for _ in 0..70 {
        for id in 1..=2 {
            assert_eq!(bench.is(id).register(id.into()), OK);
        }
        assert_eq!(bench.clear(2), OK);
    }
    assert_eq!(bench.notification(), (4, 3, 63, 1));
    let all: Vec<u8> = bench.notices();
    assert_eq!(all, [3; 63]);
    for id in 1..=2 {
        assert_eq!(bench.is(id).register(id.into()), OK);
    }
    assert_eq!(bench.clear(2), OK);
    assert_eq!(bench.notification(), (74, 3, 0, 1), "six were lost");
    for id in 1..=2 {
        assert_eq!(bench.is(id).register(id.into()), OK);
    }
    assert_eq!(bench.clear(2), OK);
    bench.reset(false);
    assert_eq!(bench.notification(), (0, 0, 0, 0), "forgotten with a reset");
}

#[test]
fn notifications_can_be_masked_for_each_namespace() {
    use FeatureId as Feature;
    let mask = Feature::RESERVATION_NOTIFICATION_MASK;
    let mut bench = three(WRITE_EXCLUSIVE_REGISTRANTS);
    assert_eq!(bench.feature(mask, 1), Ok(0));
    for nsid in [0, 33, BROADCAST] {
        assert_eq!(
            bench.feature(mask, nsid),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
    }
    for nsid in [0, 33] {
        assert_eq!(
            bench.set_feature(mask, nsid, 2),
            Status::INVALID_NAMESPACE_OR_FORMAT
        );
    }
    for value in [1, 0x10, 1 << 31] {
        assert_eq!(bench.set_feature(mask, 1, value), INVALID);
    }
    assert_eq!(bench.set_feature(mask, BROADCAST, 0b0100), OK);
    assert_eq!(bench.feature(mask, 1), Ok(0b0100));
    assert_eq!(bench.is(1).release(3, 1), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    assert_eq!(bench.preempt(1, 1, 2), OK);
    assert_eq!(bench.notices(), [1]);
    assert_eq!(bench.set_feature(mask, 1, 0b1010), OK);
    assert_eq!(bench.preempt(1, 1, 3), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    assert_eq!(bench.is(2).register(2), OK);
    assert_eq!(bench.clear(2), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    let saved = commands::set_features(mask, true, 0, 0);
    assert_eq!(
        bench.command_admin(saved),
        Status::FEATURE_IDENTIFIER_NOT_SAVEABLE
    );
    bench.reset(false);
    assert_eq!(bench.feature(mask, 1), Ok(0));
    for feature in [mask, Feature::RESERVATION_PERSISTENCE] {
        let capabilities = commands::get_features(feature, 3, 0, 0);
        assert_eq!(bench.host.admin(capabilities).dw0.get(), 0b110, "{feature:?}");
    }
}

impl Bench {
    fn command_admin(&mut self, entry: SubmissionQueueEntry) -> Status {
        let nsid = self.nsid.into();
        self.host.admin(SubmissionQueueEntry { nsid, ..entry }).status()
    }
}

#[test]
fn registrations_survive_resets_and_power_cycles_as_the_host_wants() {
    let persistence = FeatureId::RESERVATION_PERSISTENCE;
    let register = NvmOpcode::RESERVATION_REGISTER;
    for (persists, by_feature) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut bench = three(EXCLUSIVE_ACCESS);
        if by_feature {
            assert_eq!(bench.set_feature(persistence, BROADCAST, persists.into()), OK);
        } else {
            let cptpl = if persists { PERSIST } else { DO_NOT_PERSIST };
            assert_eq!(bench.is(1).send(register, cptpl, [0, 1]), OK);
        }
        assert_eq!(bench.feature(persistence, 1), Ok(persists.into()));
        let mut before = bench.report();
        assert_eq!(before.persists, u8::from(persists));
        bench.reset(false);
        assert_eq!(bench.access(), (false, false), "a host without an identifier");
        assert_eq!(bench.report(), before);
        assert_eq!(bench.is(1).access(), (true, true));
        bench.reset(true);
        assert_eq!(bench.access(), (!persists, !persists));
        if !persists {
            (before.kind, before.generation, before.registrants) = (0, 0, vec![]);
        }
        assert_eq!(bench.report(), before);
        assert_eq!(bench.feature(persistence, 1), Ok(persists.into()));
    }
    let mut bench = three(0);
    for (nsid, value, status) in [
        (1, 2, INVALID),
        (0, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
        (2, 1, INVALID),
        (33, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(bench.set_feature(persistence, nsid, value), status);
    }
    // A command that fails does not change it.
    assert_eq!(bench.is(9).send(register, 1 | PERSIST, [9, 9]), CONFLICT);
    assert_eq!(bench.feature(persistence, 1), Ok(0));
    assert_eq!(bench.is(1).send(register, 1 | PERSIST, [1, 0]), OK);
    assert_eq!(bench.feature(persistence, 1), Ok(1));
    assert_eq!(bench.is(2).send(register, 1, [2, 0]), OK);
    assert_eq!(bench.feature(persistence, 1), Ok(1), "no change");
}

#[test]
fn a_host_without_an_identifier_is_another_one_after_a_reset() {
    let mut bench = Bench::new();
    assert_eq!(bench.register(5), OK);
    assert_eq!(bench.acquire(EXCLUSIVE_ACCESS, 5), OK);
    assert_eq!(bench.is(4).register(4), OK);
    bench.reset(false);
    let report = bench.report();
    assert_eq!((report.kind, report.registrants), (0, vec![(4, 4, false)]));
    assert_eq!(bench.access(), (true, true));
}

/// Whatever hosts do, a reservation has a registered holder, and the rights are those that the report implies.
#[test]
fn random_commands_keep_the_rules() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut bench = Bench::new();
        let next = bench.host.next_page();
        for _ in 0..400 {
            bench.host.forget_pages(next);
            let id = 1 + random.below(4) as u8;
            bench.is(id);
            let opcode = [
                NvmOpcode::RESERVATION_REGISTER,
                NvmOpcode::RESERVATION_ACQUIRE,
                NvmOpcode::RESERVATION_ACQUIRE,
                NvmOpcode::RESERVATION_RELEASE,
            ][random.below(4) as usize];
            let cdw10 =
                random.below(3) as u32 | (random.below(7) as u32) << 8 | u32::from(random.one_in(4)) << 3;
            let keys = [random.below(3), random.below(3)];
            let before = bench.report();
            let status = bench.send(opcode, cdw10, keys);
            let report = bench.report();
            if status != OK {
                assert_eq!(before, report, "seed {seed}: {status:?} changes nothing");
            }
            let holders = report.registrants.iter().filter(|entry| entry.2).count();
            let expected = match report.kind {
                0 => 0,
                1..=4 => 1,
                _ => report.registrants.len(),
            };
            assert_eq!(holders, expected, "seed {seed}");
            assert!(report.kind == 0 || holders > 0, "seed {seed}");
            let mut hosts: Vec<u8> = report.registrants.iter().map(|entry| entry.0).collect();
            hosts.sort_unstable();
            hosts.dedup();
            assert_eq!(hosts.len(), report.registrants.len(), "seed {seed}");
            let own = report.registrants.iter().find(|entry| entry.0 == id);
            let is_privileged = match report.kind {
                0 => true,
                1 | 2 => own.is_some_and(|entry| entry.2),
                _ => own.is_some(),
            };
            let access = match report.kind % 2 {
                _ if is_privileged => (true, true),
                1 => (true, false),
                _ => (false, false),
            };
            assert_eq!(bench.access(), access, "seed {seed}");
        }
    }
}
