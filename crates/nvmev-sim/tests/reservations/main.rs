//! Reservations: registrations, holders, conflicts, reports and notifications.

mod access;
mod holders;
mod notifications;
mod registrations;
mod resets;

use nvme_spec::{registers, FeatureId, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, Random, TestHost};

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

    fn command_admin(&mut self, entry: SubmissionQueueEntry) -> Status {
        let nsid = self.nsid.into();
        self.host.admin(SubmissionQueueEntry { nsid, ..entry }).status()
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
