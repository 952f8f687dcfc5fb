//! Resets of any kind at any time under a random workload, against an oracle.

use std::collections::BTreeMap;

use nvme_spec::{AdminOpcode, CompletionQueueEntry, Status};
use nvmev_sim::host::{commands, EngineFaults, Random, TestHost};

use super::{
    content, Kind, Reset, Resettable, COMMAND, KINDS, LBA, POWER_CONTROL_STATUS, RESETS, SLOT_BYTES, SUCCESS,
};

const SLOTS: u64 = 8;
const QUEUES: u16 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Preparing,
    Writing(u32),
    Reading,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    slot: u64,
    doing: Doing,
    buffer: u64,
}

/// A part of the namespace that has one command outstanding at most, so that what it may hold is plain to see.
#[derive(Clone, Debug)]
struct Slot {
    /// Versions that may be there: one of them, unless a write has had no good end.
    possible: Vec<u32>,
    newest: u32,
    is_busy: bool,
}

struct Storm {
    kind: Kind,
    host: TestHost,
    random: Random,
    slots: Vec<Slot>,
    outstanding: BTreeMap<(u16, u16), Sent>,
    first_page: u64,
    resets: usize,
    verified: usize,
    what: String,
}

impl Storm {
    fn new(kind: Kind, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let host = kind.host(1 + random.below(3) as usize);
        if seed % 3 == 0 {
            host.machine.install_engine(seed, EngineFaults::SOME);
        }
        let slot = Slot {
            possible: vec![0],
            newest: 0,
            is_busy: false,
        };
        let mut storm = Self {
            kind,
            first_page: host.next_page(),
            host,
            random,
            slots: vec![slot; SLOTS as usize],
            outstanding: BTreeMap::new(),
            resets: 0,
            verified: 0,
            what: format!("{kind:?}, seed {seed}"),
        };
        storm.start();
        storm
    }

    fn start(&mut self) {
        self.host.forget_pages(self.first_page);
        self.host.enable();
        for qid in 1..=QUEUES {
            let entries = 2 + self.random.below(6) as u16;
            self.host.create_io_queues(qid, entries);
        }
    }

    fn act(&mut self) {
        match self.random.below(200) {
            0..=59 => self.send_something(),
            60..=169 => self.go_on(),
            170..=189 => self.reap_all(),
            190..=192 => self.abort_something(),
            193..=195 => self.lose_the_way_to_memory(),
            196 => self.delete_a_queue(),
            197 => {
                let reset = RESETS[self.random.below(3) as usize];
                self.reset(reset);
            }
            _ => self.host.now_ns += self.random.below(3_000_000),
        }
    }

    /// A part of the device does something, or time passes.
    fn go_on(&mut self) {
        let host = &mut self.host;
        match self.random.below(3) {
            // As many passes as there are dispatchers, so that several get as far as one.
            0 => {
                for _ in 0..=host.device.dispatchers.len() {
                    host.poll_a_dispatcher(self.random.next_bits());
                }
            }
            1 => {
                let worker = self.random.below(host.device.workers.len() as u64) as usize;
                host.device.workers[worker].poll(host.now_ns, &host.machine);
            }
            _ => host.now_ns += self.random.below(30_000),
        }
    }

    fn send_something(&mut self) {
        let slot = self.random.below(SLOTS);
        let qid = 1 + self.random.below(QUEUES.into()) as u16;
        if self.slots[slot as usize].is_busy || !self.host.has_room(qid) {
            return;
        }
        if self.random.one_in(3) {
            return self.send(qid, slot, Doing::Reading);
        }
        match self.kind.prepare(slot) {
            Some(_) => self.send(qid, slot, Doing::Preparing),
            None => self.send_write(qid, slot),
        }
    }

    fn send_write(&mut self, qid: u16, slot: u64) {
        self.slots[slot as usize].newest += 1;
        self.send(qid, slot, Doing::Writing(self.slots[slot as usize].newest));
    }

    fn send(&mut self, qid: u16, slot: u64, doing: Doing) {
        let buffer = self.host.pages(2);
        let state = &mut self.slots[slot as usize];
        state.is_busy = true;
        let entry = match doing {
            Doing::Preparing => {
                state.possible.push(0);
                self.kind
                    .prepare(slot)
                    .expect("the caller knows that there is something")
            }
            Doing::Writing(version) => {
                state.possible.push(version);
                self.host.machine.set_ram(buffer, &content(slot, version));
                self.kind.write(slot, buffer)
            }
            Doing::Reading => {
                self.host.machine.set_ram(buffer, &[0xEE; SLOT_BYTES]);
                self.kind.read(slot, buffer)
            }
        };
        let cid = self.host.submit(qid, entry);
        self.outstanding.insert((qid, cid), Sent { slot, doing, buffer });
    }

    fn reap_all(&mut self) {
        (1..=QUEUES).for_each(|qid| self.reap(qid));
    }

    fn reap(&mut self, qid: u16) {
        while let Some(completion) = self.host.reap(qid) {
            self.complete(qid, &completion);
        }
    }

    fn complete(&mut self, qid: u16, completion: &CompletionQueueEntry) {
        let sent = self.outstanding.remove(&(qid, completion.cid.get()));
        let sent = sent.unwrap_or_else(|| panic!("{}: a stale completion: {completion:?}", self.what));
        self.slots[sent.slot as usize].is_busy = false;
        match completion.status() {
            Status::COMMAND_ABORT_REQUESTED | Status::COMMAND_ABORTED_SQ_DELETION => {}
            SUCCESS => self.succeed(qid, &sent),
            Status::KEY_DOES_NOT_EXIST if sent.doing == Doing::Reading => {
                let possible = &self.slots[sent.slot as usize].possible;
                assert!(possible.contains(&0), "{}: a pair is gone", self.what);
            }
            status => panic!("{}: {sent:?} ended with {status:?}", self.what),
        }
    }

    fn succeed(&mut self, qid: u16, sent: &Sent) {
        let slot = &mut self.slots[sent.slot as usize];
        match sent.doing {
            Doing::Preparing => {
                slot.possible = vec![0];
                if self.host.has_room(qid) {
                    self.send_write(qid, sent.slot);
                }
            }
            Doing::Writing(version) => slot.possible = vec![version],
            Doing::Reading => self.verify(sent),
        }
    }

    /// Each block is of a version that may be there.
    fn verify(&mut self, sent: &Sent) {
        let found = self.host.machine.ram(sent.buffer, SLOT_BYTES);
        let possible = &self.slots[sent.slot as usize].possible;
        for (index, block) in found.chunks(LBA).enumerate() {
            let is_it = |&version: &u32| content(sent.slot, version)[..LBA] == *block;
            assert!(
                possible.iter().any(is_it),
                "{}: block {index} of slot {} is none of {possible:?}: {:02x?}",
                self.what,
                sent.slot,
                &block[..8]
            );
        }
        self.verified += 1;
    }

    fn abort_something(&mut self) {
        let Some(&(qid, cid)) = self
            .outstanding
            .keys()
            .nth(self.random.below(self.outstanding.len().max(1) as u64) as usize)
        else {
            return;
        };
        let completion = self.host.admin(commands::abort(qid, cid));
        assert_eq!(completion.status(), SUCCESS, "{}", self.what);
        if completion.dw0.get() & 1 == 0 {
            self.reap(qid);
            assert!(
                !self.outstanding.contains_key(&(qid, cid)),
                "{}: aborted, but not completed",
                self.what
            );
        }
    }

    fn delete_a_queue(&mut self) {
        let qid = 1 + self.random.below(QUEUES.into()) as u16;
        let deletion = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, qid);
        assert_eq!(self.host.admin(deletion).status(), SUCCESS, "{}", self.what);
        self.reap(qid);
        let deletion = commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, qid);
        assert_eq!(self.host.admin(deletion).status(), SUCCESS, "{}", self.what);
        // What is left was never fetched.
        self.forget(|of| of == qid);
        let entries = 2 + self.random.below(6) as u16;
        self.host.create_io_queues(qid, entries);
    }

    fn forget(&mut self, is_meant: impl Fn(u16) -> bool) {
        self.outstanding.retain(|&(qid, _), sent| {
            if is_meant(qid) {
                self.slots[sent.slot as usize].is_busy = false;
            }
            !is_meant(qid)
        });
    }

    fn lose_the_way_to_memory(&mut self) {
        let (offset, off, on) = self.way_to_memory();
        self.host.write_config(offset, 2, off);
        let len = (self.host.next_page() - self.first_page) as usize;
        let before = self.host.machine.ram(self.first_page, len);
        (0..self.random.below(30)).for_each(|_| self.go_on());
        assert!(
            self.host.machine.ram(self.first_page, len) == before,
            "{}: memory was written that was out of reach",
            self.what
        );
        self.host.write_config(offset, 2, on);
    }

    /// A register in configuration space, with what takes the way to memory away and gives it back.
    fn way_to_memory(&mut self) -> (u32, u32, u32) {
        match self.random.below(2) {
            0 => (COMMAND, 0x0002, 0x0006),
            _ => (POWER_CONTROL_STATUS, 3, 0),
        }
    }

    fn reset(&mut self, reset: Reset) {
        if self.random.one_in(3) {
            // In D3hot, only a function level reset is heard.
            match reset {
                Reset::Function => self.host.write_config(POWER_CONTROL_STATUS, 2, 3),
                _ => self.host.write_config(COMMAND, 2, 0x0002),
            }
        }
        self.host.ask_for(reset);
        (0..self.random.below(10)).for_each(|_| self.go_on());
        self.host.run();
        self.host.assert_reset(reset);
        self.host.poison(self.first_page);
        self.host.write_config(COMMAND, 2, 0x0006);
        (0..self.random.below(30)).for_each(|_| self.go_on());
        self.host.now_ns += self.random.below(100_000_000);
        self.host.settle();
        self.host.assert_silent(self.first_page, &self.what);
        self.forget(|_| true);
        self.resets += 1;
        self.start();
    }

    /// Everything comes to its end; every slot has what it must have.
    fn finish(&mut self) {
        while !self.outstanding.is_empty() {
            self.host.settle();
            self.reap_all();
        }
        for slot in 0..SLOTS {
            self.send(1, slot, Doing::Reading);
            self.host.settle();
            self.reap(1);
        }
        assert!(self.outstanding.is_empty(), "{}", self.what);
    }
}

#[test]
fn storms_of_resets_leave_what_was_acknowledged_and_complete_nothing_twice() {
    let (mut resets, mut verified) = (0, 0);
    for kind in KINDS {
        for seed in 0..15 {
            let mut storm = Storm::new(kind, seed);
            for _ in 0..3_000 {
                storm.act();
            }
            storm.finish();
            resets += storm.resets;
            verified += storm.verified;
        }
    }
    // Not a storm in which nothing happened.
    assert!(
        resets > 700 && verified > 7_000,
        "{resets} resets, {verified} reads"
    );
}
