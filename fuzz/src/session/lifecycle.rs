//! Resets, queues that are deleted and made again, namespaces that have become others.

use nvme_spec::registers::{self, csts};
use nvme_spec::{AdminOpcode, IdentifyCns, SubmissionQueueEntry, NSSR_RESET, PAGE_SIZE_BYTES};
use nvmev_sim::host::commands;

use super::{Session, MSIX_CONTROL, MSIX_ENABLE, SETTLING_MAX};
use crate::drive::Kind;
use crate::step::Step;
use crate::trail;

/// The device control register of the PCI Express capability, and its reset bit.
const EXPRESS_DEVICE_CONTROL: u32 = 0x68;
const FUNCTION_LEVEL_RESET: u32 = 1 << 15;
const SHUTDOWN: u32 = 1 << 14;

impl Session {
    /// From a disabled controller to one with queues.
    pub(super) fn bring_up(&mut self) {
        let control = if self.has_msix { MSIX_ENABLE } else { 0 };
        self.host.write_config(MSIX_CONTROL, 2, control);
        self.host.switch_on();
        self.host.forget_pages(nvmev_sim::host::RAM_BASE);
        self.host.enable();
        for qid in 1..=self.queues {
            self.host.create_io_queues(qid, self.entries);
        }
        self.commands += 2 * u64::from(self.queues);
        self.has_strange_queues = false;
    }

    pub(super) fn reset(&mut self, how: u8) {
        trail::note(|| format!("reset {}", how % 5));
        match how % 5 {
            0 => self.host.disable(),
            1 => {
                self.host
                    .write_config(EXPRESS_DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET);
                self.host.run();
            }
            2 => {
                self.host.set_register(registers::NSSR, NSSR_RESET);
                self.host.run();
            }
            _ => {
                let cc = self.host.register(registers::CC);
                self.host.set_register(registers::CC, cc | SHUTDOWN);
                self.finish_shutdown();
                if how % 5 == 3 {
                    self.host.disable();
                } else {
                    self.host.set_register(registers::NSSR, NSSR_RESET);
                    self.host.run();
                }
            }
        }
        self.lose_all();
        self.host.set_register(registers::CC, 0);
        self.host.run();
        self.bring_up();
    }

    /// Completions are taken until the controller says that it is done.
    fn finish_shutdown(&mut self) {
        for _ in 0..SETTLING_MAX {
            let next_ns = self.host.run();
            self.reap();
            if self.host.register(registers::CSTS) & csts::SHST_MASK == csts::SHST_COMPLETE {
                return;
            }
            if let Some(next_ns) = next_ns {
                self.host.now_ns = self.host.now_ns.max(next_ns);
            }
        }
        panic!("a shutdown has no end");
    }

    /// Deletes a queue pair while commands may be on their way, and makes it anew.
    pub(super) fn recreate(&mut self, qid: u16) {
        if self.has_strange_queues {
            return self.reset(0);
        }
        trail::note(|| format!("queue {qid} is deleted and made again"));
        for (key, flight) in &mut self.flights {
            flight.sent.interference.is_deleted |= key.0 == qid;
        }
        let step = Step::default();
        // What is not fetched yet is never completed: the deletion itself ends the wait.
        self.send_alone(
            commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, qid),
            &step,
        );
        let of_queue = |key: &(u16, u16)| key.0 == qid;
        let left: Vec<_> = self.flights.keys().copied().filter(of_queue).collect();
        for key in left {
            let flight = self.flights.remove(&key).expect("it was there just now");
            self.oracle.lose(&flight.sent);
            self.free_slots.push(flight.slot);
        }
        self.send_alone(
            commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, qid),
            &step,
        );
        self.settle();
        let next_page = self.host.next_page();
        self.host.create_io_queues(qid, self.entries);
        assert!(
            self.host.next_page() <= self.slots_base,
            "queues stay below the slots"
        );
        if next_page > nvmev_sim::host::RAM_BASE + 40 * PAGE_SIZE_BYTES as u64 {
            // There is no more room for queues at new places.
            self.settle();
            self.reset(0);
        }
    }

    /// An admin command, until it is over; other queues' commands need not be.
    fn send_alone(&mut self, entry: SubmissionQueueEntry, step: &Step) {
        while !self.has_room(0, 1) {
            self.reset_events();
        }
        self.place(0, entry, step, &[]);
        self.host.ring(0);
        for _ in 0..SETTLING_MAX {
            let next_ns = self.host.run();
            self.reap();
            let is_over = self
                .flights
                .iter()
                .all(|(key, flight)| key.0 != 0 || flight.sent.is_held());
            if is_over {
                return;
            }
            if let Some(next_ns) = next_ns {
                self.host.now_ns = self.host.now_ns.max(next_ns);
            }
        }
        panic!("an admin command has no end: {entry:?}");
    }

    /// Makes room where held event requests have taken it.
    fn reset_events(&mut self) {
        self.settle();
        if !self.has_room(0, 1) {
            self.reset(0);
        }
    }

    /// After something that the oracle does not know: what namespaces there are, and how they are cut.
    pub(super) fn relearn(&mut self) {
        if self.oracle.is_strict {
            return;
        }
        if self.host.register(registers::CSTS) & csts::CFS != 0 {
            return self.reset(0);
        }
        for index in 0..self.traits.len() {
            if self.traits[index].kind == Kind::Pairs {
                continue;
            }
            let page = self.slots_base;
            let nsid = index as u32 + 1;
            let completion = self
                .host
                .admin(commands::identify(IdentifyCns::NAMESPACE, nsid, 0, page));
            self.commands += 1;
            if !completion.status().is_success() {
                continue;
            }
            let data = self.host.machine.ram(page, PAGE_SIZE_BYTES);
            let size_lbas = u64::from_le_bytes(data[..8].try_into().expect("8 bytes"));
            let format = usize::from(data[26] & 0xF | data[26] >> 1 & 0x30);
            let lba_log2 = data[128 + 4 * format + 2];
            if size_lbas > 0 && (9..=16).contains(&lba_log2) {
                let traits = &mut self.traits[index];
                (traits.size_lbas, traits.lba_bytes) = (size_lbas, 1 << lba_log2);
                self.oracle.namespaces[index].traits = *traits;
            }
        }
    }
}
