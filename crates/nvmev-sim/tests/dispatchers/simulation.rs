//! Everything at once, in an order that a seed says.

use std::collections::HashMap;

use nvme_device::NamespaceReport;
use nvme_spec::{AdminOpcode, CompletionQueueEntry, LogPageId, NvmOpcode, SubmissionQueueEntry};
use nvmev_sim::host::{commands, Random, TestHost};
use ssd_profile::ProfileKind;

use super::{namespaces, ready_with, set_burst_of_16, SUCCESS};

/// What a slot of the simulation has on the drive.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u8,
    is_busy: bool,
}

/// A host that reads and writes through all queues, and now and then wants something that needs all of the drive; the parts take turns as a random
/// number says.
struct Simulation {
    host: TestHost,
    random: Random,
    slots: Vec<Slot>,
    buffers: Vec<u64>,
    log: u64,
    /// What the outstanding commands are for, by queue and identifier.
    under_way: HashMap<(u16, u16), (usize, bool)>,
    done: u32,
    namespaces: u64,
}

impl Simulation {
    fn new(names: &[&str], dispatchers: usize, seed: u64) -> Self {
        let mut namespaces = namespaces(names);
        for namespace in &mut namespaces {
            if let ProfileKind::Conventional(parameters) = &mut namespace.kind {
                // Few commands at once fill it.
                parameters.write_buffer.size_bytes = 128 << 10;
            }
        }
        let mut host = ready_with(namespaces, dispatchers, 2);
        set_burst_of_16(&mut host);
        let slots = 64 * names.len();
        let buffers = (0..slots).map(|_| host.pages(1)).collect();
        let log = host.pages(1);
        Self {
            host,
            random: Random::new(seed),
            slots: vec![Slot::default(); slots],
            buffers,
            log,
            under_way: HashMap::new(),
            done: 0,
            namespaces: names.len() as u64,
        }
    }

    fn send(&mut self) {
        let qid = 1 + self.random.below(4) as u16;
        let slot = self.random.below(self.slots.len() as u64) as usize;
        if !self.host.has_room(qid) || self.slots[slot].is_busy {
            return;
        }
        let is_write = self.random.one_in(2);
        let buffer = self.buffers[slot];
        if is_write {
            self.slots[slot].tag = self.random.next_bits() as u8;
        }
        let content = if is_write {
            self.slots[slot].tag
        } else {
            !self.slots[slot].tag
        };
        self.host.machine.set_ram(buffer, &[content; 4096]);
        let opcode = if is_write {
            NvmOpcode::WRITE
        } else {
            NvmOpcode::READ
        };
        let nsid = 1 + slot as u64 % self.namespaces;
        let lba = slot as u64 / self.namespaces * 8;
        let entry = commands::read_write(opcode, nsid as u32, lba, 8, buffer, 0);
        let cid = self.host.submit(qid, entry);
        self.slots[slot].is_busy = true;
        self.under_way.insert((qid, cid), (slot, is_write));
    }

    fn reap(&mut self) {
        for qid in 1..=4 {
            while let Some(completion) = self.host.reap(qid) {
                self.end(qid, &completion);
            }
        }
    }

    fn end(&mut self, qid: u16, completion: &CompletionQueueEntry) {
        assert_eq!(completion.status(), SUCCESS);
        let (slot, is_write) = self
            .under_way
            .remove(&(qid, completion.cid.get()))
            .expect("one completion a command");
        self.slots[slot].is_busy = false;
        self.done += 1;
        if !is_write {
            let tag = self.slots[slot].tag;
            assert_eq!(
                self.host.machine.ram(self.buffers[slot], 4096),
                [tag; 4096],
                "slot {slot}"
            );
        }
    }

    /// Something that the controller needs everything for.
    fn ask(&mut self) {
        match self.random.below(4) {
            0 => {
                let smart = commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, self.log);
                if self.host.has_room(0) {
                    self.host.submit(0, smart);
                }
            }
            1 => {
                let flush = SubmissionQueueEntry {
                    nsid: u32::MAX.into(),
                    ..commands::flush(1)
                };
                let qid = 1 + self.random.below(4) as u16;
                if self.under_way.keys().all(|(used, _)| *used != qid) {
                    assert_eq!(self.host.execute(qid, flush).status(), SUCCESS);
                }
            }
            2 => {
                self.host.device.shared.request_flash_reports();
            }
            _ => {
                if self.host.has_room(0) {
                    self.host.submit(0, commands::admin(AdminOpcode::KEEP_ALIVE));
                }
            }
        }
        while self.host.reap(0).is_some() {}
    }

    fn act(&mut self) {
        match self.random.below(20) {
            0..=4 => self.send(),
            5..=10 => {
                self.host.poll_a_dispatcher(self.random.next_bits());
            }
            11..=15 => {
                let worker = self.random.below(2) as usize;
                self.host.device.workers[worker].poll(self.host.now_ns, &self.host.machine);
            }
            16 if self.random.one_in(20) => self.ask(),
            16..=17 => self.host.now_ns += self.random.below(20_000),
            _ => self.reap(),
        }
    }
}

#[test]
fn whatever_takes_its_turn_what_was_written_is_read() {
    for (seed, names, dispatchers) in [
        (1, &["optane"][..], 2),
        (2, &["970pro"], 2),
        (3, &["optane", "970pro", "optane", "970pro"], 2),
        (4, &["optane", "970pro", "970pro"], 3),
        (5, &["970pro", "optane"], 8),
    ] {
        let mut simulation = Simulation::new(names, dispatchers, seed);
        for _ in 0..60_000 {
            simulation.act();
        }
        let done = simulation.done;
        assert!(done > 2_000, "seed {seed}: {done} commands");
        for _ in 0..50 {
            simulation.host.settle();
            simulation.reap();
        }
        assert!(simulation.under_way.is_empty(), "seed {seed}");
        simulation.host.device.shared.request_flash_reports();
        simulation.host.settle();
        for (nsid, name) in (1..).zip(names) {
            let report = simulation.host.device.shared.namespace_report(nsid);
            match report {
                NamespaceReport::Flash(report) => {
                    assert!(report.statistics.buffer_stalls > 0, "seed {seed}: nothing waited");
                }
                report => assert_eq!((report, *name), (NamespaceReport::WithoutFlash, "optane")),
            }
        }
    }
}

#[test]
fn the_same_turns_give_the_same_times() {
    let run = |seed| {
        let mut simulation = Simulation::new(&["970pro", "optane"], 2, seed);
        (0..20_000).for_each(|_| simulation.act());
        (
            simulation.done,
            simulation.host.now_ns,
            simulation.host.machine.media(),
        )
    };
    assert!(run(7) == run(7));
}
