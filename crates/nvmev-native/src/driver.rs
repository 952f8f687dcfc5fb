//! Bringing the controller up: everything that a driver does before and beside I/O.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use nvme_device::pci::MSIX_TABLE_OFFSET;
use nvme_device::{HostMemory, Shared, VECTORS_MAX};
use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell, DOORBELLS};
use nvme_spec::{Status, SubmissionQueueEntry, PAGE_SIZE_BYTES};
use nvmev_sim::host::commands;

use crate::queue_pair::Doorbell;
use crate::{Completion, Machine, QueuePair, RAM_BASE};

/// CC as the Linux driver writes it: enabled, 64-byte and 16-byte entries, all command sets.
const CC_ENABLE: u32 = 4 << 20 | 6 << 16 | 0b110 << 4 | 1;
const ADMIN_ENTRIES: u16 = 32;
/// Steps after which what has not happened will not happen any more.
const STEPS_MAX: u64 = 1 << 32;

/// A driver that has a machine to itself.
///
/// `step` in its functions is what there is to do while it waits for the device: run it, where the driver has the device's thread, or let the device's
/// threads run.
pub struct Driver {
    machine: Arc<Machine>,
    admin: QueuePair,
    /// Address of the shadow doorbells, if there are any.
    shadows: Option<u64>,
    next_page: u64,
}

impl Driver {
    /// Switches the function on, with MSI-X, and enables the controller.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn enable(machine: Arc<Machine>, shared: &Shared, step: &mut dyn FnMut()) -> Self {
        let mut next_page = RAM_BASE;
        let mut page = || {
            next_page += PAGE_SIZE_BYTES as u64;
            next_page - PAGE_SIZE_BYTES as u64
        };
        let (sq, cq) = (page(), page());
        let doorbells = [sq_tail_doorbell(0), cq_head_doorbell(0)].map(Doorbell::Register);
        let driver = Self {
            machine,
            admin: QueuePair::new(0, ADMIN_ENTRIES, sq, cq, doorbells),
            shadows: None,
            next_page,
        };
        driver.switch_on(shared);
        let entries_z = u32::from(ADMIN_ENTRIES - 1);
        driver.set_register(registers::AQA, entries_z << 16 | entries_z);
        for (offset, address) in [(registers::ASQ, sq), (registers::ACQ, cq)] {
            driver.set_register(offset, address as u32);
            driver.set_register(offset + 4, (address >> 32) as u32);
        }
        driver.set_register(registers::CC, CC_ENABLE);
        for _ in 0..STEPS_MAX {
            match driver.register(registers::CSTS) & (csts::RDY | csts::CFS) {
                csts::RDY => return driver,
                0 => step(),
                _ => break,
            }
        }
        panic!("the controller does not become ready");
    }

    /// D0, memory and bus master, MSI-X with all vectors unmasked.
    fn switch_on(&self, shared: &Shared) {
        const COMMAND: u32 = 0x04;
        const MEMORY_AND_BUS_MASTER: u32 = 0b110;
        const MSIX_MESSAGE_CONTROL: u32 = 0x52;
        const MSIX_ENABLE: u32 = 1 << 15;
        shared.write_config(self.machine.bar(), COMMAND, 2, MEMORY_AND_BUS_MASTER);
        shared.write_config(self.machine.bar(), MSIX_MESSAGE_CONTROL, 2, MSIX_ENABLE);
        for vector in 0..usize::from(VECTORS_MAX) {
            self.set_register(MSIX_TABLE_OFFSET as usize + vector * 16 + 12, 0);
        }
    }

    /// The machine.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    fn register(&self, offset: usize) -> u32 {
        self.machine.bar()[offset / 4].load(Ordering::Acquire)
    }

    fn set_register(&self, offset: usize, value: u32) {
        self.machine.bar()[offset / 4].store(value, Ordering::Release);
    }

    /// Address of pages that nothing else uses, one after the other.
    ///
    /// # Panics
    /// If the machine does not have so many.
    pub fn pages(&mut self, count: usize) -> u64 {
        let address = self.next_page;
        self.next_page += (count * PAGE_SIZE_BYTES) as u64;
        assert!(
            self.next_page <= self.machine.ram_end(),
            "the machine has too little RAM"
        );
        address
    }

    /// Carries a command of the admin queue out.
    ///
    /// # Panics
    /// If it fails, or does not end.
    pub fn admin(&mut self, entry: SubmissionQueueEntry, step: &mut dyn FnMut()) {
        execute(&self.machine, &mut self.admin, entry, step);
    }

    /// Has the device look for doorbells in RAM from now on: for queues that are made afterwards.
    ///
    /// # Panics
    /// If the device refuses.
    pub fn use_shadow_doorbells(&mut self, step: &mut dyn FnMut()) {
        let (shadows, event_indices) = (self.pages(1), self.pages(1));
        self.admin(commands::doorbell_buffer_config(shadows, event_indices), step);
        self.shadows = Some(shadows);
        [self.admin.tail_doorbell, self.admin.head_doorbell] = self.doorbells(0);
    }

    fn doorbells(&self, qid: u16) -> [Doorbell; 2] {
        [sq_tail_doorbell(qid), cq_head_doorbell(qid)].map(|offset| match self.shadows {
            Some(shadows) => Doorbell::Shadow(shadows + (offset - DOORBELLS) as u64),
            None => Doorbell::Register(offset),
        })
    }

    /// Makes queue pair `qid`, with a vector of its own.
    ///
    /// # Panics
    /// If the device refuses.
    pub fn create_queue_pair(&mut self, qid: u16, entries: u16, step: &mut dyn FnMut()) -> QueuePair {
        let sq = self.pages(usize::from(entries).div_ceil(64));
        let cq = self.pages(usize::from(entries).div_ceil(256));
        self.admin(commands::create_cq(qid, entries.into(), qid, cq), step);
        self.admin(commands::create_sq(qid, qid, entries.into(), sq), step);
        QueuePair::new(qid, entries, sq, cq, self.doorbells(qid))
    }

    /// Carries a command of `queue`, in which nothing is outstanding, out.
    ///
    /// # Panics
    /// If it fails, or does not end.
    pub fn execute(&self, queue: &mut QueuePair, entry: SubmissionQueueEntry, step: &mut dyn FnMut()) {
        execute(&self.machine, queue, entry, step);
    }
}

fn execute(
    machine: &Machine,
    queue: &mut QueuePair,
    entry: SubmissionQueueEntry,
    step: &mut dyn FnMut(),
) -> Completion {
    let cid = queue.take_cid().expect("nothing is outstanding");
    let cid_field = cid.into();
    queue.place(
        machine,
        &SubmissionQueueEntry {
            cid: cid_field,
            ..entry
        },
    );
    queue.ring(machine);
    for _ in 0..STEPS_MAX {
        if let Some(completion) = queue.reap(machine) {
            queue.ring_head(machine);
            assert_eq!(completion.cid, cid, "nothing else is outstanding");
            assert_eq!(
                completion.status,
                Status::SUCCESSFUL_COMPLETION,
                "opcode {:#x}",
                entry.opcode
            );
            return completion;
        }
        step();
    }
    panic!("a command does not end");
}
