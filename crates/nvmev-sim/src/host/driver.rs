//! The driver: enables the controller, makes queues, submits and reaps.

use std::collections::BTreeMap;

use nvme_device::pci::MSIX_TABLE_OFFSET;
use nvme_device::{Activity, Device, DeviceConfig, HostMemory, Identity, NamespaceConfig, VECTORS_MAX};
use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell};
use nvme_spec::{CompletionQueueEntry, Status, SubmissionQueueEntry, PAGE_SIZE_BYTES};
use ssd_model::profiles;
use ssd_profile::Profile;
use zerocopy::{FromBytes, IntoBytes};

use super::{commands, Machine, Ring, ShadowDoorbells, RAM_BASE};

const RAM_BYTES: usize = 16 << 20;
/// CC as the Linux driver writes it: enabled, 64-byte and 16-byte entries, all command sets.
const CC_ENABLE: u32 = 4 << 20 | 6 << 16 | 0b110 << 4 | 1;
const ADMIN_ENTRIES: u16 = 32;
/// Passes without an end in sight are a bug of the device.
const PASSES_MAX: usize = 1_000_000;

/// The driver's half of a queue pair.
#[derive(Clone, Debug)]
pub struct QueuePair {
    /// Address of the submission queue.
    pub sq_base: u64,
    /// Address of the completion queue.
    pub cq_base: u64,
    /// Entries of the submission queue.
    pub sq_entries: u16,
    /// Entries of the completion queue.
    pub cq_entries: u16,
    sq_tail: u16,
    cq_head: u16,
    phase: bool,
    /// Commands placed, and completions taken out, so far.
    submitted: u32,
    consumed: u32,
}

impl QueuePair {
    /// A new pair at these addresses.
    pub fn new(sq_base: u64, sq_entries: u16, cq_base: u64, cq_entries: u16) -> Self {
        Self {
            sq_base,
            cq_base,
            sq_entries,
            cq_entries,
            sq_tail: 0,
            cq_head: 0,
            phase: true,
            submitted: 0,
            consumed: 0,
        }
    }
}

const MSIX_MESSAGE_CONTROL: u32 = 0x52;
const MSIX_ENABLE: u32 = 1 << 15;

/// A machine with memory for these namespaces.
fn machine_for(namespaces: &[NamespaceConfig]) -> Machine {
    let media_bytes = usize::try_from(media_bytes(namespaces)).expect("a test medium fits in memory");
    Machine::new(RAM_BYTES, media_bytes)
}

/// Dispatchers of the devices of tests: one, or as many as this variable of the environment says.
fn dispatcher_count() -> usize {
    let count = std::env::var("NVMEV_TEST_DISPATCHERS").ok();
    count.map_or(1, |count| {
        count.parse().expect("NVMEV_TEST_DISPATCHERS is a number")
    })
}

/// A machine, a device in it, and a driver for it.
pub struct TestHost {
    /// The machine.
    pub machine: Machine,
    /// The device.
    pub device: Device,
    /// Virtual time, ns.
    pub now_ns: u64,
    /// Shadow doorbells, if the driver has set them up.
    pub shadow: Option<ShadowDoorbells>,
    queues: BTreeMap<u16, QueuePair>,
    next_cid: u16,
    next_page: u64,
}

impl TestHost {
    /// A host with a device of one namespace of `capacity_bytes`, timed by `profile`, and `workers` workers.
    pub fn new(profile: &Profile<'_>, capacity_bytes: u64, lba_bytes: u32, workers: usize) -> Self {
        let namespace = NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes,
            media_offset: 0,
            media_len_bytes: capacity_bytes,
        };
        Self::with_namespaces(vec![namespace], workers)
    }

    /// A host with a device of these namespaces.
    ///
    /// # Panics
    /// If the device refuses the configuration.
    pub fn with_namespaces(namespaces: Vec<NamespaceConfig>, workers: usize) -> Self {
        let machine = machine_for(&namespaces);
        Self::in_machine(machine, namespaces, dispatcher_count(), workers)
    }

    /// A host with a device of these namespaces that keeps nothing of what is written.
    ///
    /// # Panics
    /// If the device refuses the configuration.
    pub fn without_medium(namespaces: Vec<NamespaceConfig>, workers: usize) -> Self {
        let machine = Machine::without_medium(RAM_BYTES, media_bytes(&namespaces));
        Self::in_machine(machine, namespaces, dispatcher_count(), workers)
    }

    /// A host with a device of these namespaces, without Doorbell Buffer Config.
    ///
    /// # Panics
    /// If the device refuses the configuration.
    pub fn without_shadow_doorbells(namespaces: Vec<NamespaceConfig>, workers: usize) -> Self {
        let machine = machine_for(&namespaces);
        Self::build(machine, namespaces, dispatcher_count(), workers, false)
    }

    /// A host with a device of these namespaces and so many dispatchers in `machine`, which is new or has been wiped.
    ///
    /// # Panics
    /// If the device refuses the configuration.
    pub fn in_machine(
        machine: Machine,
        namespaces: Vec<NamespaceConfig>,
        dispatchers: usize,
        workers: usize,
    ) -> Self {
        Self::build(machine, namespaces, dispatchers, workers, true)
    }

    /// A host with a device of these namespaces and so many dispatchers.
    ///
    /// # Panics
    /// If the device refuses the configuration.
    pub fn with_dispatchers(namespaces: Vec<NamespaceConfig>, dispatchers: usize, workers: usize) -> Self {
        let machine = machine_for(&namespaces);
        Self::in_machine(machine, namespaces, dispatchers, workers)
    }

    fn build(
        machine: Machine,
        namespaces: Vec<NamespaceConfig>,
        dispatchers: usize,
        workers: usize,
        has_shadow_doorbells: bool,
    ) -> Self {
        let media_bytes = media_bytes(&namespaces);
        let config = DeviceConfig {
            identity: Identity::derive("test", media_bytes, 512, None),
            dispatcher_count: dispatchers,
            worker_count: workers,
            namespaces,
            media_bytes,
            has_medium: machine.has_medium(),
            has_shadow_doorbells,
            hash_seed: 0x5EED,
        };
        let device = Device::new(config, machine.bar()).expect("a sound configuration");
        Self {
            machine,
            device,
            now_ns: 1_000_000_000,
            shadow: None,
            queues: BTreeMap::new(),
            next_cid: 0,
            next_page: RAM_BASE,
        }
    }

    /// The usual one: the `optane` profile, 4 MiB, 512-byte LBAs, one worker; enabled, with I/O queue pair 1 of 64 entries.
    ///
    /// # Panics
    /// If the device does not come up.
    pub fn ready() -> Self {
        let mut host = Self::new(
            profiles::by_name("optane").expect("a built-in profile"),
            4 << 20,
            512,
            1,
        );
        host.enable();
        host.create_io_queues(1, 64);
        host
    }

    /// A register, 32 bits.
    pub fn register(&self, offset: usize) -> u32 {
        self.machine.bar()[offset / 4].load(std::sync::atomic::Ordering::Acquire)
    }

    /// Writes a register, 32 bits.
    pub fn set_register(&self, offset: usize, value: u32) {
        self.machine.bar()[offset / 4].store(value, std::sync::atomic::Ordering::Release);
    }

    /// Writes a register, 64 bits in two halves.
    pub fn set_register_u64(&self, offset: usize, value: u64) {
        self.set_register(offset, value as u32);
        self.set_register(offset + 4, (value >> 32) as u32);
    }

    /// Writes to configuration space.
    pub fn write_config(&self, offset: u32, width_bytes: u32, value: u32) {
        self.device
            .shared
            .write_config(self.machine.bar(), offset, width_bytes, value);
    }

    /// Brings the function into D0, with memory and itself as bus master, and all vectors unmasked, as a kernel does before a driver uses it.
    pub fn switch_on(&self) {
        const COMMAND: u32 = 0x04;
        const MEMORY_AND_BUS_MASTER: u32 = 0b110;
        const POWER_CONTROL_STATUS: u32 = 0x44;
        self.write_config(POWER_CONTROL_STATUS, 2, 0);
        let command = self.device.shared.config_space().read(COMMAND, 2);
        self.write_config(COMMAND, 2, command | MEMORY_AND_BUS_MASTER);
        for vector in 0..usize::from(VECTORS_MAX) {
            self.set_register(MSIX_TABLE_OFFSET as usize + vector * 16 + 12, 0);
        }
        if !self.device.dispatchers.is_empty() {
            // With the pin, nothing is lent to other dispatchers.
            self.write_config(MSIX_MESSAGE_CONTROL, 2, MSIX_ENABLE);
        }
    }

    /// Zeroed pages that nothing else uses, physically contiguous.
    ///
    /// # Panics
    /// If the test uses more than the machine has.
    pub fn pages(&mut self, count: usize) -> u64 {
        let address = self.next_page;
        self.next_page += (count * PAGE_SIZE_BYTES) as u64;
        assert!(
            self.next_page <= self.machine.ram_end(),
            "the test needs more RAM than the machine has"
        );
        self.machine.set_ram(address, &vec![0; count * PAGE_SIZE_BYTES]);
        address
    }

    /// Gives all pages back: for long tests that start a phase anew. Queues must have been made anew, too.
    pub fn forget_pages(&mut self, next_page: u64) {
        self.next_page = next_page;
    }

    /// First page that is not handed out.
    pub fn next_page(&self) -> u64 {
        self.next_page
    }

    /// Writes the admin queue's registers and CC.EN, as a driver does, and waits for CSTS.RDY.
    ///
    /// # Panics
    /// If the controller does not become ready.
    pub fn enable(&mut self) {
        let (sq, cq) = (self.pages(1), self.pages(1));
        self.write_admin_registers(sq, cq);
        self.set_register(registers::CC, CC_ENABLE);
        self.run();
        assert_eq!(
            self.register(registers::CSTS) & (csts::RDY | csts::CFS),
            csts::RDY,
            "the controller is ready"
        );
    }

    /// The function switched on, and AQA, ASQ, ACQ for an admin queue pair at these addresses; the driver's own state with them.
    pub fn write_admin_registers(&mut self, sq: u64, cq: u64) {
        self.switch_on();
        let entries_z = u32::from(ADMIN_ENTRIES - 1);
        self.set_register(registers::AQA, entries_z << 16 | entries_z);
        self.set_register_u64(registers::ASQ, sq);
        self.set_register_u64(registers::ACQ, cq);
        self.queues.clear();
        self.queues
            .insert(0, QueuePair::new(sq, ADMIN_ENTRIES, cq, ADMIN_ENTRIES));
    }

    /// Clears CC.EN and waits until CSTS.RDY is 0.
    ///
    /// # Panics
    /// If the controller stays ready.
    pub fn disable(&mut self) {
        self.set_register(registers::CC, self.register(registers::CC) & !1);
        // What an engine copies may take some time.
        while let Some(next_ns) = self
            .run()
            .filter(|_| self.register(registers::CSTS) & csts::RDY != 0)
        {
            self.now_ns = self.now_ns.max(next_ns);
        }
        assert_eq!(
            self.register(registers::CSTS) & csts::RDY,
            0,
            "the controller is no longer ready"
        );
        self.queues.clear();
        self.shadow = None;
    }

    /// Makes I/O queue pair `qid` with `entries` entries each, on vector `qid` if MSI-X is on, else 0.
    ///
    /// # Panics
    /// If the device refuses.
    pub fn create_io_queues(&mut self, qid: u16, entries: u16) {
        let sq = self.pages(usize::from(entries).div_ceil(64));
        let cq = self.pages(usize::from(entries).div_ceil(256));
        let vector = if self.device.shared.config_space().msix_enabled() {
            qid
        } else {
            0
        };
        let cqe = self.admin(commands::create_cq(qid, entries.into(), vector, cq));
        assert_eq!(cqe.status(), Status::SUCCESSFUL_COMPLETION);
        let cqe = self.admin(commands::create_sq(qid, qid, entries.into(), sq));
        assert_eq!(cqe.status(), Status::SUCCESSFUL_COMPLETION);
        self.adopt(qid, QueuePair::new(sq, entries, cq, entries));
    }

    /// Whether the driver has a queue pair `qid`.
    pub fn has_queue(&self, qid: u16) -> bool {
        self.queues.contains_key(&qid)
    }

    /// Lets the driver use a pair that a test made by itself.
    pub fn adopt(&mut self, qid: u16, pair: QueuePair) {
        self.queues.insert(qid, pair);
    }

    /// Puts a command into queue `qid` with a new identifier and rings the doorbell; returns the identifier.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn submit(&mut self, qid: u16, entry: SubmissionQueueEntry) -> u16 {
        let cid = self.enqueue(qid, entry);
        self.ring(qid);
        cid
    }

    /// As [`TestHost::submit`], without ringing.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn enqueue(&mut self, qid: u16, entry: SubmissionQueueEntry) -> u16 {
        let cid = self.next_cid;
        self.next_cid = self.next_cid.wrapping_add(1);
        self.place(
            qid,
            &SubmissionQueueEntry {
                cid: cid.into(),
                ..entry
            },
        );
        cid
    }

    /// The identifier that the next command gets.
    pub fn next_cid(&self) -> u16 {
        self.next_cid
    }

    /// Whether another command certainly fits into queue `qid`: as many as it has entries but one are outstanding at most.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn has_room(&self, qid: u16) -> bool {
        let pair = &self.queues[&qid];
        (pair.submitted - pair.consumed) + 1 < u32::from(pair.sq_entries.min(pair.cq_entries))
    }

    /// Sets up shadow doorbells for all queues, also the admin queue.
    ///
    /// # Panics
    /// If the device refuses.
    pub fn use_shadow_doorbells(&mut self, ring: Ring) {
        let (shadows, event_indices) = (self.pages(1), self.pages(1));
        let completion = self.admin(commands::doorbell_buffer_config(shadows, event_indices));
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        self.shadow = Some(ShadowDoorbells {
            shadows,
            event_indices,
            ring,
            has_admin_queue: true,
            rung: 0,
        });
    }

    /// Sets up shadow doorbells for the I/O queues, as the drivers of Linux and SPDK do: the admin queue is rung by its registers.
    ///
    /// # Panics
    /// If the device refuses.
    pub fn use_io_shadow_doorbells(&mut self, ring: Ring) {
        self.use_shadow_doorbells(ring);
        if let Some(shadow) = &mut self.shadow {
            shadow.has_admin_queue = false;
        }
    }

    /// Writes a doorbell: the register, or the shadow and perhaps the register.
    pub fn set_doorbell(&mut self, register: usize, value: u32) {
        let rings = match &mut self.shadow {
            Some(shadow) if shadow.has(register) => shadow.write(&self.machine, register, value),
            _ => true,
        };
        if rings {
            self.set_register(register, value);
        }
    }

    /// Tells the device of what was placed in queue `qid`.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn ring(&mut self, qid: u16) {
        let tail = self.queues[&qid].sq_tail;
        self.set_doorbell(sq_tail_doorbell(qid), tail.into());
    }

    /// Puts a command into the queue's memory without ringing.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn place(&mut self, qid: u16, entry: &SubmissionQueueEntry) {
        let pair = self.queues.get_mut(&qid).expect("a queue the driver made");
        self.machine
            .set_ram(pair.sq_base + u64::from(pair.sq_tail) * 64, entry.as_bytes());
        pair.sq_tail = (pair.sq_tail + 1) % pair.sq_entries;
        pair.submitted += 1;
    }

    /// One pass over the device; whether anything happened, and when something will.
    pub fn step(&mut self) -> (bool, Option<u64>) {
        let mut activity = self.dispatch(self.now_ns);
        for worker in &mut self.device.workers {
            activity.add(worker.poll(self.now_ns, &self.machine));
        }
        (activity.progressed, activity.next_event_ns)
    }

    /// One pass over the queues at `now_ns`: of several dispatchers as many passes as it takes them to give the controller everything back.
    pub fn dispatch(&mut self, now_ns: u64) -> Activity {
        let mut activity = self.device.controller.poll(now_ns, &self.machine);
        let more = if self.device.dispatchers.is_empty() { 0 } else { 3 };
        for _ in 0..more {
            // What was due in the round before may be done with.
            activity.next_event_ns = None;
            for dispatcher in &mut self.device.dispatchers {
                activity.add(dispatcher.poll(now_ns, &self.machine));
            }
            activity.add(self.device.controller.poll(now_ns, &self.machine));
        }
        activity
    }

    /// A pass of one of the dispatchers, whichever `choice` says.
    pub fn poll_a_dispatcher(&mut self, choice: u64) -> Activity {
        let others = self.device.dispatchers.len();
        match (choice as usize % (others + 1)).checked_sub(1) {
            None => self.device.controller.poll(self.now_ns, &self.machine),
            Some(index) => self.device.dispatchers[index].poll(self.now_ns, &self.machine),
        }
    }

    /// Switches messages off: interrupts come by the pin.
    pub fn use_pin(&self) {
        self.write_config(MSIX_MESSAGE_CONTROL, 2, 0);
    }

    /// Whether the devices of tests have several dispatchers.
    pub fn has_several_dispatchers() -> bool {
        dispatcher_count() > 1
    }

    /// Runs the device until nothing happens any more at the present time; returns when something will.
    ///
    /// # Panics
    /// If that never comes.
    pub fn run(&mut self) -> Option<u64> {
        for _ in 0..PASSES_MAX {
            let (progressed, next_event_ns) = self.step();
            if !progressed {
                return next_event_ns;
            }
        }
        panic!("the device makes progress for ever");
    }

    /// Runs the device, and the clock with it, until nothing is left to happen.
    pub fn settle(&mut self) {
        while let Some(next_ns) = self.run() {
            self.now_ns = self.now_ns.max(next_ns);
        }
    }

    /// Takes the next completion of queue `qid` out, if there is one now.
    ///
    /// # Panics
    /// If the driver has no such queue.
    pub fn reap(&mut self, qid: u16) -> Option<CompletionQueueEntry> {
        let pair = self.queues.get_mut(&qid).expect("a queue the driver made");
        let bytes = self.machine.ram(pair.cq_base + u64::from(pair.cq_head) * 16, 16);
        let entry = CompletionQueueEntry::read_from_bytes(&bytes).expect("16 bytes");
        if entry.phase() != pair.phase {
            return None;
        }
        pair.cq_head += 1;
        pair.consumed += 1;
        if pair.cq_head == pair.cq_entries {
            pair.cq_head = 0;
            pair.phase = !pair.phase;
        }
        let head = pair.cq_head;
        self.set_doorbell(cq_head_doorbell(qid), head.into());
        Some(entry)
    }

    /// Runs the device and the clock until queue `qid` has a completion.
    ///
    /// # Panics
    /// If none will ever come.
    pub fn wait(&mut self, qid: u16) -> CompletionQueueEntry {
        loop {
            let next_event_ns = self.run();
            if let Some(entry) = self.reap(qid) {
                return entry;
            }
            self.now_ns =
                next_event_ns.expect("queue has a command outstanding, but nothing will ever happen");
        }
    }

    /// Submits an admin command and waits for its completion.
    pub fn admin(&mut self, entry: SubmissionQueueEntry) -> CompletionQueueEntry {
        self.execute(0, entry)
    }

    /// Submits a command to queue `qid` and waits for its completion, which must be that command's.
    ///
    /// # Panics
    /// If another command's completion comes.
    pub fn execute(&mut self, qid: u16, entry: SubmissionQueueEntry) -> CompletionQueueEntry {
        let cid = self.submit(qid, entry);
        let completion = self.wait(qid);
        assert_eq!(completion.cid.get(), cid, "the completion is the command's");
        completion
    }
}

/// How much of a medium the namespaces need.
fn media_bytes(namespaces: &[NamespaceConfig]) -> u64 {
    let ends = namespaces.iter().map(|ns| ns.media_offset + ns.media_len_bytes);
    ends.max().unwrap_or(0)
}
