//! Zones under several workers that run in any order: appends, resets and reads on several queues at once. Whatever the order, a read
//! gets what the host can expect from what it was told: never what was there before a reset, never what another append wrote.

use std::collections::BTreeMap;

use nvme_spec::{CompletionQueueEntry, NvmOpcode, Status, SubmissionQueueEntry, ZoneSendAction};
use nvmev_sim::host::{commands, EngineFaults, Random, TestHost};
use ssd_model::profiles;

const ZONES: u64 = 4;
const ZONE_LBAS: u64 = 256;
const LBA: u64 = 512;
/// Half of a zone is its capacity, so that full zones come often.
const CAPACITY_LBAS: u64 = 128;
const QUEUES: u16 = 4;
const OUTSTANDING_MAX: usize = 12;

fn host(workers: usize) -> TestHost {
    let mut profile = *profiles::by_name("zn540").unwrap();
    profile
        .set_list(
            "mdts=3,zone.size_kib=128,zone.capacity_kib=64,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=3,\
             zrwa.count=2,zrwa.size_bytes=16384,zrwa.granularity_bytes=4096,reference_quirks=false",
        )
        .unwrap();
    profile.validate().unwrap();
    let mut host = TestHost::new(&profile, ZONES * CAPACITY_LBAS * LBA, LBA as u32, workers);
    host.enable();
    for qid in 1..=QUEUES {
        host.create_io_queues(qid, 64);
    }
    host
}

/// What the host knows of when something happened: numbers that only rise.
type Moment = u64;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Append { tag: u8, lbas: u64 },
    Reset,
    Read { at: u64, lbas: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    zone: u64,
    kind: Kind,
    buffer: u64,
    at: Moment,
}

/// An append that succeeded.
#[derive(Clone, Copy, Debug)]
struct Appended {
    tag: u8,
    at_lba: u64,
    lbas: u64,
    sent: Moment,
    done: Moment,
}

/// A reset; not done yet if `done` is the end of time.
#[derive(Clone, Copy, Debug)]
struct Reset {
    sent: Moment,
    done: Moment,
}

#[derive(Default)]
struct Zone {
    appended: Vec<Appended>,
    resets: Vec<Reset>,
    /// Appends whose result the host does not know: their data may be anywhere.
    unknown: Vec<u8>,
}

impl Zone {
    /// Whether `tag` (0: nothing) may be what a read finds at `lba`, when it was sent and done at these moments.
    fn can_be(&self, lba: u64, tag: u8, read_sent: Moment, read_done: Moment) -> bool {
        let covering = || {
            let of_lba = self.appended.iter();
            of_lba.filter(move |append| (append.at_lba..append.at_lba + append.lbas).contains(&lba))
        };
        // Over and done with before the read: reset after the append was done, and the reset done before the read was sent.
        let is_gone = |append: &Appended| {
            let mut resets = self.resets.iter();
            resets.any(|reset| reset.sent > append.done && reset.done < read_sent)
        };
        // There for certain: done before the read was sent, and no reset that may have come after it had been sent by the read's end.
        let is_there = |append: &Appended| {
            let mut resets = self.resets.iter();
            append.done < read_sent && !resets.any(|reset| reset.done > append.sent && reset.sent < read_done)
        };
        if let Some(certain) = covering().find(|append| is_there(append)) {
            return certain.tag == tag;
        }
        tag == 0
            || self.unknown.contains(&tag)
            || covering().any(|append| append.tag == tag && !is_gone(append))
    }
}

struct Run {
    host: TestHost,
    random: Random,
    zones: Vec<Zone>,
    outstanding: BTreeMap<(u16, u16), Sent>,
    buffers: Vec<u64>,
    moment: Moment,
    next_tag: u8,
    seed: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut host = host(1 + random.below(4) as usize);
        if seed % 3 == 0 {
            host.machine.install_engine(seed, EngineFaults::SOME);
        }
        Self {
            buffers: (0..OUTSTANDING_MAX).map(|_| host.pages(2)).collect(),
            host,
            random,
            zones: (0..ZONES).map(|_| Zone::default()).collect(),
            outstanding: BTreeMap::new(),
            moment: 0,
            next_tag: 0,
            seed,
        }
    }

    fn act(&mut self) {
        self.moment += 1;
        match self.random.below(10) {
            0..=2 if !self.buffers.is_empty() => self.send(),
            3..=4 => {
                self.host.poll_a_dispatcher(self.random.next_bits());
            }
            5..=7 => {
                let host = &mut self.host;
                let worker = self.random.below(host.device.workers.len() as u64) as usize;
                host.device.workers[worker].poll(host.now_ns, &host.machine);
            }
            8 => self.host.now_ns += self.random.below(20_000),
            _ => self.reap_all(),
        }
    }

    fn send(&mut self) {
        let zone = self.random.below(ZONES);
        let zslba = zone * ZONE_LBAS;
        let buffer = self.buffers.pop().expect("the caller looked");
        let lbas = 1 + self.random.below(16);
        let transfer =
            |opcode, slba| commands::read_write(opcode, 1, slba, lbas as u32, buffer, buffer + 4096);
        let (kind, entry): (Kind, SubmissionQueueEntry) = match self.random.below(10) {
            0 => (
                Kind::Reset,
                commands::zone_send(1, zslba, ZoneSendAction::RESET, false),
            ),
            1..=5 => {
                // Tags come again only when nothing of that name is left.
                self.next_tag = self.next_tag.wrapping_add(1).max(1);
                let tag = self.next_tag;
                self.host
                    .machine
                    .set_ram(buffer, &vec![tag; (lbas * LBA) as usize]);
                (
                    Kind::Append { tag, lbas },
                    transfer(NvmOpcode::ZONE_APPEND, zslba),
                )
            }
            _ => {
                let at = self.random.below(CAPACITY_LBAS - lbas);
                (Kind::Read { at, lbas }, transfer(NvmOpcode::READ, zslba + at))
            }
        };
        if matches!(kind, Kind::Reset) {
            self.zones[zone as usize].resets.push(Reset {
                sent: self.moment,
                done: Moment::MAX,
            });
        }
        let qid = 1 + self.random.below(QUEUES.into()) as u16;
        let cid = self.host.submit(qid, entry);
        let sent = Sent {
            zone,
            kind,
            buffer,
            at: self.moment,
        };
        self.outstanding.insert((qid, cid), sent);
    }

    fn reap_all(&mut self) {
        for qid in 1..=QUEUES {
            while let Some(completion) = self.host.reap(qid) {
                self.complete(qid, &completion);
            }
        }
    }

    fn complete(&mut self, qid: u16, completion: &CompletionQueueEntry) {
        self.moment += 1;
        let key = (qid, completion.cid.get());
        let sent = self.outstanding.remove(&key).expect("a command that was sent");
        self.buffers.push(sent.buffer);
        let zone = &mut self.zones[sent.zone as usize];
        match sent.kind {
            Kind::Reset => {
                assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
                let mut resets = zone.resets.iter_mut();
                let reset = resets.find(|reset| reset.sent == sent.at).expect("it was noted");
                reset.done = self.moment;
            }
            Kind::Append { tag, lbas } => match completion.status() {
                Status::SUCCESSFUL_COMPLETION => {
                    let at_lba = u64::from(completion.dw0.get()) - sent.zone * ZONE_LBAS;
                    zone.unknown.retain(|&other| other != tag);
                    zone.appended.push(Appended {
                        tag,
                        at_lba,
                        lbas,
                        sent: sent.at,
                        done: self.moment,
                    });
                }
                Status::ZONE_IS_FULL
                | Status::ZONE_BOUNDARY_ERROR
                | Status::TOO_MANY_ACTIVE_ZONES
                | Status::TOO_MANY_OPEN_ZONES => {}
                status => panic!("seed {}: {status:?}", self.seed),
            },
            Kind::Read { at, lbas } => {
                assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
                self.check(sent, at, lbas);
            }
        }
    }

    fn check(&mut self, sent: Sent, at: u64, lbas: u64) {
        // Appends under way may be seen already.
        let under_way: Vec<u8> = self
            .outstanding
            .values()
            .filter(|other| other.zone == sent.zone)
            .filter_map(|other| match other.kind {
                Kind::Append { tag, .. } => Some(tag),
                _ => None,
            })
            .collect();
        let zone = &mut self.zones[sent.zone as usize];
        zone.unknown = under_way;
        let data = self.host.machine.ram(sent.buffer, (lbas * LBA) as usize);
        for (lba, bytes) in (at..).zip(data.chunks(LBA as usize)) {
            let tag = bytes[0];
            assert!(
                bytes.iter().all(|&byte| byte == tag),
                "seed {}: an LBA is of two writes",
                self.seed
            );
            assert!(
                zone.can_be(lba, tag, sent.at, self.moment),
                "seed {}: {tag:#x} at LBA {lba} of zone {} at {}: {:?} {:?}",
                self.seed,
                sent.zone,
                sent.at,
                zone.appended,
                zone.resets
            );
        }
    }

    /// Lets everything come to its end, and reads every zone.
    fn finish(&mut self) {
        while !self.outstanding.is_empty() {
            self.host.settle();
            self.reap_all();
        }
        for zone in 0..ZONES {
            for at in (0..CAPACITY_LBAS).step_by(16) {
                self.moment += 1;
                let buffer = self.buffers[0];
                let slba = zone * ZONE_LBAS + at;
                let entry = commands::read_write(NvmOpcode::READ, 1, slba, 16, buffer, buffer + 4096);
                let completion = self.host.execute(1, entry);
                assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
                let sent = Sent {
                    zone,
                    kind: Kind::Read { at, lbas: 16 },
                    buffer,
                    at: self.moment,
                };
                self.moment += 1;
                self.check(sent, at, 16);
            }
        }
        // What the host remembers is about the past: it can be forgotten after a reset.
        let reset = commands::zone_send(1, 0, ZoneSendAction::RESET, true);
        assert_eq!(
            self.host.execute(1, reset).status(),
            Status::SUCCESSFUL_COMPLETION
        );
        self.zones = (0..ZONES).map(|_| Zone::default()).collect();
        self.next_tag = 0;
    }
}

#[test]
fn appends_resets_and_reads_in_any_order_of_the_workers_agree_with_what_the_host_was_told() {
    for seed in 0..24 {
        let mut run = Run::new(seed);
        for _ in 0..20 {
            // Few enough that no tag comes twice.
            while run.next_tag < 200 {
                run.act();
            }
            run.finish();
        }
    }
}

#[test]
fn random_write_areas_keep_what_is_written_in_any_order_of_the_workers() {
    for seed in 0..24_u64 {
        let mut random = Random::new(seed);
        let mut host = host(1 + random.below(4) as usize);
        if seed % 3 == 0 {
            host.machine.install_engine(seed, EngineFaults::SOME);
        }
        let buffers: Vec<u64> = (0..4).map(|_| host.pages(1)).collect();
        for round in 0..20 {
            let mut oracle = vec![0_u8; CAPACITY_LBAS as usize];
            let mut open = commands::zone_send(1, 0, ZoneSendAction::OPEN, false);
            open.cdw13 = (open.cdw13.get() | 1 << 9).into();
            assert_eq!(host.execute(1, open).status(), Status::SUCCESSFUL_COMPLETION);
            let mut pointer = 0;
            while pointer + 64 < CAPACITY_LBAS {
                // Up to four writes at once, of an LBA each, in the area of 32 LBAs and a little beyond it.
                let mut expected = BTreeMap::new();
                for &buffer in &buffers {
                    let lba = pointer + random.below(40);
                    if expected.contains_key(&lba) || lba >= CAPACITY_LBAS {
                        continue;
                    }
                    let tag = 1 + random.below(255) as u8;
                    host.machine.set_ram(buffer, &[tag; LBA as usize]);
                    let write = commands::read_write(NvmOpcode::WRITE, 1, lba, 1, buffer, 0);
                    let qid = 1 + random.below(QUEUES.into()) as u16;
                    let cid = host.submit(qid, write);
                    host.dispatch(host.now_ns);
                    expected.insert(lba, (qid, cid, tag));
                }
                for _ in 0..random.below(20) {
                    let worker = random.below(host.device.workers.len() as u64) as usize;
                    host.device.workers[worker].poll(host.now_ns, &host.machine);
                }
                let mut outcomes = BTreeMap::new();
                while outcomes.len() < expected.len() {
                    host.settle();
                    for qid in 1..=QUEUES {
                        while let Some(completion) = host.reap(qid) {
                            outcomes.insert((qid, completion.cid.get()), completion.status());
                        }
                    }
                }
                for (lba, (qid, cid, tag)) in expected {
                    match outcomes[&(qid, cid)] {
                        Status::SUCCESSFUL_COMPLETION => {
                            oracle[lba as usize] = tag;
                            // Granules of 8 LBAs are flushed until the write is in the area.
                            while lba >= pointer + 32 {
                                pointer += 8;
                            }
                        }
                        // Another one of them was first, and has moved the area past this LBA.
                        Status::ZONE_INVALID_WRITE => {}
                        status => panic!("seed {seed}: {status:?}"),
                    }
                }
            }
            let finish = commands::zone_send(1, 0, ZoneSendAction::FINISH, false);
            assert_eq!(host.execute(2, finish).status(), Status::SUCCESSFUL_COMPLETION);
            for at in (0..CAPACITY_LBAS).step_by(8) {
                let read = commands::read_write(NvmOpcode::READ, 1, at, 8, buffers[0], 0);
                assert_eq!(host.execute(3, read).status(), Status::SUCCESSFUL_COMPLETION);
                let data = host.machine.ram(buffers[0], 4096);
                for (lba, bytes) in (at..).zip(data.chunks(LBA as usize)) {
                    let expected = oracle[lba as usize];
                    assert!(
                        bytes.iter().all(|&byte| byte == expected),
                        "seed {seed}, round {round}: LBA {lba} is {:#x}, not {expected:#x}",
                        bytes[0]
                    );
                }
            }
            let reset = commands::zone_send(1, 0, ZoneSendAction::RESET, false);
            assert_eq!(host.execute(4, reset).status(), Status::SUCCESSFUL_COMPLETION);
        }
    }
}
