//! A host that behaves well, however odd its commands are: it keeps its queues in order, and knows what it waits for.

mod lifecycle;
mod payload;
mod stranger;

use std::collections::BTreeMap;

use nvme_spec::registers;
use nvme_spec::{AdminOpcode, KeyValueOpcode, NvmOpcode, SubmissionQueueEntry, PAGE_SIZE_BYTES};
use nvmev_sim::host::{commands, key_value, TestHost};

use crate::drive::{self, Kind, Traits};
use crate::oracle::{Oracle, Sent, Transfer};
use crate::pointer::{self, Recipe, Slot, SLOT_PAGES};
use crate::step::{Action, Header, Step};
use crate::{tally, trail};

/// Commands on their way at most: each has memory of its own.
const SLOTS: usize = 16;
/// Commands of the admin queue that are held or on their way, at most.
const ADMIN_MAX: usize = 16;
/// Steps of the clock without an end in sight are a bug of the device.
const SETTLING_MAX: usize = 20_000;

/// MSI-X message control, and its enable bit.
const MSIX_CONTROL: u32 = 0x52;
const MSIX_ENABLE: u32 = 1 << 15;
/// Doorbell Buffer Config would have the doorbells somewhere else: nothing that a host can do by accident.
const DOORBELL_BUFFER_CONFIG: u8 = 0x7C;

struct Flight {
    sent: Sent,
    slot: usize,
}

/// The host, its device and its oracle.
pub struct Session {
    host: TestHost,
    oracle: Oracle,
    traits: Vec<Traits>,
    queues: u16,
    entries: u16,
    has_msix: bool,
    /// By submission queue and identifier.
    flights: BTreeMap<(u16, u16), Flight>,
    free_slots: Vec<usize>,
    slots_base: u64,
    /// Makes the data of each command another.
    serial: u64,
    commands: u64,
    /// A queue was made that is not the driver's: it may stand in the way.
    has_strange_queues: bool,
    /// Where admin queues were, of a host that does anything.
    admin_queues: Vec<(u64, u64)>,
}

impl Session {
    /// A new drive, ready.
    pub fn new(header: Header) -> Self {
        let workers = 1 + usize::from(header.workers) % 3;
        let dispatchers = header.dispatchers();
        let (host, traits) = drive::new_drive(dispatchers, workers);
        let mut session = Self {
            slots_base: host.next_page() + 64 * PAGE_SIZE_BYTES as u64,
            host,
            oracle: Oracle::new(&traits),
            traits,
            queues: 1 + u16::from(header.queues) % 4,
            entries: 4 + u16::from(header.entries) % 61,
            has_msix: header.has_msix(),
            flights: BTreeMap::new(),
            free_slots: (0..SLOTS).rev().collect(),
            serial: 0,
            commands: 0,
            has_strange_queues: false,
            admin_queues: Vec::new(),
        };
        trail::note(|| {
            format!(
                "{dispatchers} dispatchers, {workers} workers, {} I/O queues of {}",
                session.queues, session.entries
            )
        });
        session.bring_up();
        session
    }

    /// Does what the step says; `script` is for the data pointer.
    pub fn take(&mut self, step: &Step, script: &[u16]) {
        match step.action() {
            Action::Io => self.io(step, script),
            Action::Admin => self.admin(step, script),
            Action::Fused => self.fused(step, script),
            Action::Abort => self.abort(step),
            Action::Event => {
                let entry = commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
                self.send(0, entry, step, &[]);
            }
            Action::PollController => {
                self.host.poll_a_dispatcher(step.detail.into());
            }
            Action::PollWorker => {
                let worker = usize::from(step.queue) % self.host.device.workers.len();
                self.host.device.workers[worker].poll(self.host.now_ns, &self.host.machine);
            }
            Action::Run => {
                self.host.run();
                self.reap();
            }
            Action::Wait => self.host.now_ns += u64::from(step.value.get() % 5_000_000),
            Action::Settle => self.settle(),
            Action::Reset => self.reset(step.detail),
            Action::Recreate => self.recreate(1 + u16::from(step.queue) % self.queues),
            Action::Mask => self.mask(step),
        }
        if !step.is_at_once() {
            self.settle();
        }
    }

    fn io(&mut self, step: &Step, script: &[u16]) {
        let qid = 1 + u16::from(step.queue) % self.queues;
        let entry = step.io(&self.traits);
        if self.oracle.is_unknown(&entry, false) {
            self.settle();
        }
        self.send(qid, entry, step, script);
        if self.oracle.is_unknown(&entry, false) {
            self.settle();
            self.relearn();
        }
    }

    fn admin(&mut self, step: &Step, script: &[u16]) {
        let mut entry = step.admin(self.traits.len() as u32);
        let opcode = AdminOpcode(entry.opcode);
        match opcode {
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE | AdminOpcode::DELETE_IO_COMPLETION_QUEUE => {
                // Not one of the driver's.
                let qid = entry.cdw10.get() & 0xFFFF;
                if (1..=u32::from(self.queues)).contains(&qid) {
                    entry.cdw10 = (entry.cdw10.get() + 8).into();
                }
            }
            AdminOpcode::CREATE_IO_SUBMISSION_QUEUE | AdminOpcode::CREATE_IO_COMPLETION_QUEUE => {
                self.has_strange_queues = true;
            }
            // The driver's own aborts know what they abort.
            AdminOpcode::ABORT => return,
            _ if entry.opcode == DOORBELL_BUFFER_CONFIG => return,
            _ => {}
        }
        let is_unknown = self.oracle.is_unknown(&entry, true);
        if is_unknown {
            self.settle();
        }
        self.send(0, entry, step, script);
        if is_unknown {
            self.settle();
            self.relearn();
        }
    }

    fn fused(&mut self, step: &Step, script: &[u16]) {
        let qid = 1 + u16::from(step.queue) % self.queues;
        let mut entry = step.io(&self.traits);
        entry.opcode = NvmOpcode::COMPARE.0;
        if !self.has_room(qid, 2) || self.oracle.is_unknown(&entry, false) {
            self.settle();
        }
        let step = Step {
            flags: step.flags & 3,
            ..*step
        };
        entry.flags = 1;
        self.place(qid, entry, &step, script);
        entry.opcode = NvmOpcode::WRITE.0;
        entry.flags = 2;
        self.place(qid, entry, &step, script);
        self.host.ring(qid);
    }

    fn abort(&mut self, step: &Step) {
        let keys: Vec<_> = self.flights.keys().copied().collect();
        let Some(&(sqid, cid)) = keys.get(usize::from(step.detail) % keys.len().max(1)) else {
            return;
        };
        if let Some(flight) = self.flights.get_mut(&(sqid, cid)) {
            flight.sent.interference.is_aborted = true;
        }
        self.send(0, commands::abort(sqid, cid), step, &[]);
    }

    fn mask(&mut self, step: &Step) {
        let register = if step.detail & 1 == 0 {
            registers::INTMS
        } else {
            registers::INTMC
        };
        match step.detail & 0b110 {
            0 => self.host.set_register(register, step.value.get()),
            2 => {
                let command = 0x0006 | (step.value.get() & 1) << 10;
                self.host.write_config(4, 2, command);
            }
            _ => {
                // The function mask; whether there is MSI-X at all stays.
                let enable = if self.has_msix { MSIX_ENABLE } else { 0 };
                let control = enable | (step.value.get() & 1) << 14;
                self.host.write_config(MSIX_CONTROL, 2, control);
            }
        }
    }

    /// Whether the queue and the memory have room for so many commands.
    fn has_room(&self, qid: u16, count: usize) -> bool {
        let of_queue = self.flights.keys().filter(|(sqid, _)| *sqid == qid).count();
        let max = if qid == 0 {
            ADMIN_MAX
        } else {
            usize::from(self.entries) - 1
        };
        self.free_slots.len() >= count && of_queue + count <= max
    }

    fn send(&mut self, qid: u16, entry: SubmissionQueueEntry, step: &Step, script: &[u16]) {
        if !self.has_room(qid, 1) {
            self.settle();
            // Held event requests may have taken all of it.
            if !self.has_room(qid, 1) {
                return;
            }
        }
        self.place(qid, entry, step, script);
        self.host.ring(qid);
    }

    /// Puts a command into the queue, with memory for its data.
    fn place(&mut self, qid: u16, mut entry: SubmissionQueueEntry, step: &Step, script: &[u16]) {
        let index = self.free_slots.pop().expect("room was checked");
        let slot = Slot {
            base: self.slots_base + index as u64 * SLOT_PAGES * PAGE_SIZE_BYTES as u64,
        };
        let is_admin = qid == 0;
        let machine = &self.host.machine;
        let transfer = self.oracle.transfer(&entry, is_admin, machine);
        if transfer != Transfer::None {
            let recipe = Recipe {
                form: if script.is_empty() {
                    pointer::mostly_good(step.pointer)
                } else {
                    step.pointer
                },
                detail: step.pointer_detail,
                script,
            };
            pointer::build(&mut entry, machine, slot, transfer.len(), recipe);
        }
        self.serial += 1;
        if let Transfer::FromHost(len) = transfer {
            self.put_payload(&entry, step, len);
        }
        let machine = &self.host.machine;
        let others = self.flights.values_mut().map(|flight| &mut flight.sent);
        let sent = self.oracle.note(entry, is_admin, machine, others);
        let cid = self.host.enqueue(qid, entry);
        trail::note(|| {
            let name = self.oracle.name(&entry, is_admin);
            format!("queue {qid}: {cid:#x} {name} {}", describe(&entry))
        });
        self.commands += 1;
        self.flights.insert((qid, cid), Flight { sent, slot: index });
    }

    /// Takes all completions that there are.
    fn reap(&mut self) {
        for qid in 0..=self.queues {
            while let Some(completion) = self.host.reap(qid) {
                let key = (completion.sq_id.get(), completion.cid.get());
                trail::note(|| format!("    {:#x} of queue {}: {:?}", key.1, key.0, completion.status()));
                let flight = self.flights.remove(&key);
                let flight = flight.unwrap_or_else(|| panic!("{key:?} completed twice, or was never sent"));
                assert_eq!(key.0, qid, "the completion is in its queue");
                assert!(
                    completion.sq_head.get() < self.entries.max(32),
                    "the head is in the queue"
                );
                self.oracle.judge(&flight.sent, &completion, &self.host.machine);
                self.free_slots.push(flight.slot);
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.flights.values().any(|flight| !flight.sent.is_held())
    }

    /// Lets everything that was sent come to its end.
    pub fn settle(&mut self) {
        for _ in 0..SETTLING_MAX {
            let next_ns = self.host.run();
            self.reap();
            if !self.is_waiting() {
                return;
            }
            let next_ns = match next_ns {
                Some(next_ns) => next_ns,
                // What was reaped just now makes room for more.
                None => {
                    let (progressed, next_ns) = self.host.step();
                    if progressed {
                        continue;
                    }
                    next_ns.unwrap_or_else(|| self.nothing_happens())
                }
            };
            self.host.now_ns = self.host.now_ns.max(next_ns);
        }
        panic!("commands have no end");
    }

    fn nothing_happens(&self) -> u64 {
        let csts = self.host.register(registers::CSTS);
        let left: Vec<_> = self
            .flights
            .iter()
            .map(|(key, flight)| (key, flight.sent.entry))
            .collect();
        panic!("nothing will ever happen, CSTS is {csts:#x}, and these are left: {left:x?}");
    }

    /// Nothing comes of what was sent.
    fn lose_all(&mut self) {
        for (_, flight) in std::mem::take(&mut self.flights) {
            self.oracle.lose(&flight.sent);
            self.free_slots.push(flight.slot);
        }
    }

    /// Puts something where a host that does anything must leave it.
    pub fn put_something_away(&mut self) {
        for nsid in 0..self.traits.len() as u8 {
            let write = Step {
                nsid,
                lba: 3.into(),
                lbas: 9,
                detail: 7,
                opcode: if self.traits[usize::from(nsid)].kind == Kind::Zones {
                    22
                } else {
                    0
                },
                ..Step::default()
            };
            self.take(&write, &[]);
        }
    }

    /// The end of an input: everything is over, and what is known to be there is there.
    pub fn finish(mut self) {
        self.settle();
        self.read_back();
        trail::note(|| format!("{} commands", self.commands));
        tally::count(self.commands);
        drive::put_away(self.host);
    }

    /// Reads all data that is known.
    fn read_back(&mut self) {
        for index in 0..self.traits.len() {
            let keys: Vec<Vec<u8>> = self.oracle.namespaces[index].known_keys().take(16).collect();
            for key in keys {
                let opcode = KeyValueOpcode::VENDOR_RETRIEVE;
                let entry = key_value::vendor(
                    opcode,
                    index as u32 + 1,
                    &key,
                    0,
                    drive::TRANSFER_BYTES_MAX as u32,
                );
                self.send(1, entry, &Step::default(), &[]);
            }
            let lbas: Vec<u64> = self.oracle.namespaces[index].known_data().take(64).collect();
            for lba in lbas {
                let entry = commands::read_write(NvmOpcode::READ, index as u32 + 1, lba, 1, 0, 0);
                self.send(1, entry, &Step::default(), &[]);
            }
            self.settle();
        }
    }
}

fn describe(entry: &SubmissionQueueEntry) -> String {
    format!(
        "nsid {:#x} flags {:#x} prp {:#x} {:#x} mptr {:#x} cdw2 {:#x} {:#x} cdw10 {:#x} {:#x} {:#x} {:#x} {:#x} {:#x}",
        entry.nsid,
        entry.flags,
        entry.prp1,
        entry.prp2,
        entry.mptr,
        entry.cdw2,
        entry.cdw3,
        entry.cdw10,
        entry.cdw11,
        entry.cdw12,
        entry.cdw13,
        entry.cdw14,
        entry.cdw15
    )
}
