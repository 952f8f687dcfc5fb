//! One reset, or one loss of power or of the way to memory, with commands at a known stage.

use nvme_device::HostMemory;
use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell};
use nvme_spec::{AdminOpcode, CompletionQueueEntry, Status};
use nvmev_sim::host::{commands, TestHost};

use super::{
    content, Kind, Reset, Resettable, COMMAND, KINDS, POWER_CONTROL_STATUS, RESETS, SLOT_BYTES, SUCCESS,
};

/// How far commands have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Submitted, and not fetched.
    Queued,
    /// Fetched, and on the way to a worker.
    Sent,
    /// Their data was moved; their time has not come.
    Moved,
    /// Their time has come; they are not posted.
    Due,
    /// Posted, and not consumed.
    Posted,
}

const STAGES: [Stage; 5] = [
    Stage::Queued,
    Stage::Sent,
    Stage::Moved,
    Stage::Due,
    Stage::Posted,
];

/// Slots that were written and acknowledged, and slots whose writes are outstanding.
const KEPT: u64 = 3;
const OUTSTANDING: u64 = 3;

struct Drive {
    kind: Kind,
    host: TestHost,
    first_page: u64,
    what: String,
}

impl Drive {
    /// With the first slots written, and reads of them and writes of the next ones at `stage`.
    fn at(stage: Stage, kind: Kind, workers: usize, what: &str) -> Self {
        let host = kind.host(workers);
        let mut drive = Self {
            kind,
            first_page: host.next_page(),
            host,
            what: format!("{kind:?}, {workers} workers, {stage:?}, {what}"),
        };
        drive.start();
        for slot in 0..KEPT {
            let buffer = drive.buffer(&content(slot, 1));
            assert_eq!(
                drive.host.execute(1, kind.write(slot, buffer)).status(),
                SUCCESS,
                "{}",
                drive.what
            );
        }
        for slot in 0..KEPT {
            let (read, write) = (
                drive.buffer(&[0; SLOT_BYTES]),
                drive.buffer(&content(KEPT + slot, 1)),
            );
            drive.host.submit(1, kind.read(slot, read));
            drive.host.submit(2, kind.write(KEPT + slot, write));
        }
        drive.bring_to(stage);
        drive
    }

    fn start(&mut self) {
        self.host.enable();
        (1..=2).for_each(|qid| self.host.create_io_queues(qid, 16));
    }

    fn buffer(&mut self, bytes: &[u8]) -> u64 {
        let buffer = self.host.pages(2);
        self.host.machine.set_ram(buffer, bytes);
        buffer
    }

    fn poll_controller(&mut self) {
        let host = &mut self.host;
        host.dispatch(host.now_ns);
    }

    fn poll_workers(&mut self) {
        let host = &mut self.host;
        for worker in &mut host.device.workers {
            while worker.poll(host.now_ns, &host.machine).progressed {}
        }
    }

    fn bring_to(&mut self, stage: Stage) {
        match stage {
            Stage::Queued => {}
            Stage::Sent => (0..OUTSTANDING).for_each(|_| self.poll_controller()),
            Stage::Moved => {
                self.bring_to(Stage::Sent);
                self.poll_workers();
            }
            Stage::Due => {
                self.bring_to(Stage::Moved);
                self.host.now_ns += 1_000_000_000;
            }
            Stage::Posted => self.host.settle(),
        }
    }

    /// Some time in which the device can do what it wants.
    fn let_time_pass(&mut self) {
        self.host.now_ns += 1_000_000_000;
        self.host.settle();
    }

    /// From a reset on: the device comes back, with what was acknowledged.
    fn assert_intact(&mut self) {
        self.host.forget_pages(self.first_page);
        self.start();
        for slot in 0..KEPT + OUTSTANDING {
            let buffer = self.buffer(&[0xEE; SLOT_BYTES]);
            let status = self.host.execute(1, self.kind.read(slot, buffer)).status();
            let found = self.host.machine.ram(buffer, SLOT_BYTES);
            if slot < KEPT {
                assert_eq!(status, SUCCESS, "{}", self.what);
                assert!(
                    found == content(slot, 1),
                    "{}: slot {slot} is not as it was acknowledged",
                    self.what
                );
            } else if status == SUCCESS {
                let is_whole = |version| found == content(slot, version);
                assert!(is_whole(0) || is_whole(1), "{}: slot {slot}", self.what);
            } else {
                assert_eq!(status, Status::KEY_DOES_NOT_EXIST, "{}", self.what);
            }
        }
    }
}

fn for_all(what: &str, mut check: impl FnMut(&mut Drive, Stage)) {
    for kind in KINDS {
        for workers in [1, 2] {
            for stage in STAGES {
                check(&mut Drive::at(stage, kind, workers, what), stage);
            }
        }
    }
}

#[test]
fn after_any_reset_at_any_stage_the_device_is_silent_and_comes_back_with_what_was_acknowledged() {
    for reset in RESETS {
        for_all(&format!("{reset:?}"), |drive, _| {
            drive.host.ask_for(reset);
            drive.host.run();
            drive.host.assert_reset(reset);
            drive.host.poison(drive.first_page);
            drive.let_time_pass();
            drive.host.assert_silent(drive.first_page, &drive.what);
            drive.assert_intact();
        });
    }
}

#[test]
fn a_function_level_reset_ends_all_accesses_at_once_and_answers_when_it_is_done() {
    for_all("at once", |drive, _| {
        drive.host.ask_for(Reset::Function);
        drive.host.poison(drive.first_page);
        let config = |drive: &Drive| drive.host.device.shared.config_space().read(0, 4);
        assert_eq!(config(drive), u32::MAX, "not ready yet");
        // Even if a host should not wait: nothing of the old commands comes through.
        drive.host.write_config(COMMAND, 2, 0x0006);
        drive.poll_workers();
        drive.let_time_pass();
        drive.host.assert_silent(drive.first_page, &drive.what);
        assert_eq!(config(drive), 0x0110_0c51);
        drive.assert_intact();
    });
}

#[test]
fn a_function_that_is_no_bus_master_leaves_memory_alone_and_goes_on_when_it_is_one_again() {
    for_all("bus master", |drive, stage| {
        drive.host.machine.take_interrupts();
        drive.host.write_config(COMMAND, 2, 0x0002);
        let ram = |drive: &Drive| {
            let len = (drive.host.next_page() - drive.first_page) as usize;
            drive.host.machine.ram(drive.first_page, len)
        };
        let before = ram(drive);
        drive.let_time_pass();
        assert!(ram(drive) == before, "{}", drive.what);
        if stage != Stage::Posted {
            assert_eq!(drive.host.machine.take_interrupts().intx, 0, "{}", drive.what);
        }
        drive.host.write_config(COMMAND, 2, 0x0006);
        assert_all_complete(drive);
    });
}

/// All commands of [`Drive::at`] complete, each once.
fn assert_all_complete(drive: &mut Drive) {
    drive.host.settle();
    for qid in 1..=2 {
        let mut cids: Vec<u16> = std::iter::from_fn(|| drive.host.reap(qid))
            .inspect(|completion| assert_eq!(completion.status(), SUCCESS, "{}", drive.what))
            .map(|completion| completion.cid.get())
            .collect();
        cids.sort_unstable();
        cids.dedup();
        assert_eq!(cids.len() as u64, OUTSTANDING, "{}", drive.what);
    }
}

#[test]
fn a_reset_needs_no_way_to_memory() {
    for reset in RESETS {
        for_all(&format!("{reset:?} without a way to memory"), |drive, _| {
            drive.host.write_config(COMMAND, 2, 0x0002);
            drive.host.ask_for(reset);
            drive.host.poison(drive.first_page);
            drive.let_time_pass();
            drive.host.assert_reset(reset);
            drive.host.assert_silent(drive.first_page, &drive.what);
            drive.assert_intact();
        });
    }
}

#[test]
fn in_d3hot_the_function_is_silent_and_deaf_and_in_d0_it_goes_on_where_it_was() {
    for_all("D3hot", |drive, _| {
        drive.host.write_config(POWER_CONTROL_STATUS, 2, 3);
        let registers = [
            registers::CC,
            registers::CSTS,
            registers::AQA,
            registers::ASQ,
            registers::NSSR,
            registers::INTMS,
            sq_tail_doorbell(1),
            cq_head_doorbell(2),
            sq_tail_doorbell(100),
            0x200C,
        ];
        let before = registers.map(|register| drive.host.register(register));
        let len = (drive.host.next_page() - drive.first_page) as usize;
        let ram = drive.host.machine.ram(drive.first_page, len);
        drive.host.machine.take_interrupts();
        for register in registers {
            // A reset, a doorbell, an address: whatever it would mean, it is not heard.
            drive.host.set_register(register, 0x4E56_4D65);
            drive.let_time_pass();
        }
        let config = drive.host.device.shared.config_space();
        assert_eq!(config.read(POWER_CONTROL_STATUS, 2), 3 | 1 << 3);
        assert!(
            drive.host.machine.ram(drive.first_page, len) == ram,
            "{}",
            drive.what
        );
        assert_eq!(drive.host.machine.take_interrupts().intx, 0);
        drive.host.write_config(POWER_CONTROL_STATUS, 2, 0);
        assert_eq!(registers.map(|register| drive.host.register(register)), before);
        assert_all_complete(drive);
        assert_eq!(drive.host.register(registers::CSTS), csts::RDY, "{}", drive.what);
        drive.host.disable();
        drive.assert_intact();
    });
}

#[test]
fn a_function_level_reset_wakes_the_function() {
    for_all("reset in D3hot", |drive, _| {
        drive.host.write_config(POWER_CONTROL_STATUS, 2, 3);
        drive.host.poison(drive.first_page);
        drive.let_time_pass();
        drive.host.ask_for(Reset::Function);
        drive.let_time_pass();
        drive.host.assert_reset(Reset::Function);
        drive.host.assert_silent(drive.first_page, &drive.what);
        let config = drive.host.device.shared.config_space();
        assert_eq!(config.read(POWER_CONTROL_STATUS, 2), 1 << 3);
        drive.assert_intact();
    });
}

#[test]
fn suspend_and_resume_as_a_kernel_does_it_keep_what_was_acknowledged() {
    for_all("suspend", |drive, stage| {
        let cc = drive.host.register(registers::CC);
        drive.host.set_register(registers::CC, cc | 1 << 14);
        drive.host.settle();
        assert_eq!(
            drive.host.register(registers::CSTS),
            csts::RDY | csts::SHST_COMPLETE,
            "{}",
            drive.what
        );
        let completed = (1..=2).flat_map(|qid| {
            let host = &mut drive.host;
            std::iter::from_fn(|| host.reap(qid)).collect::<Vec<CompletionQueueEntry>>()
        });
        // What was fetched before the shutdown is completed.
        let expected = if stage == Stage::Queued {
            0
        } else {
            2 * OUTSTANDING
        };
        assert_eq!(completed.count() as u64, expected, "{}", drive.what);
        drive.host.write_config(COMMAND, 2, 0x0002);
        drive.host.write_config(POWER_CONTROL_STATUS, 2, 3);
        drive.host.poison(drive.first_page);
        drive.let_time_pass();
        drive.host.write_config(POWER_CONTROL_STATUS, 2, 0);
        drive.host.disable();
        drive.host.assert_silent(drive.first_page, &drive.what);
        drive.assert_intact();
    });
}

#[test]
fn deleting_queues_at_any_stage_completes_each_command_at_most_once_and_then_nothing_is_written() {
    for_all("deletion", |drive, stage| {
        let delete = |opcode, qid| commands::delete_queue(opcode, qid);
        let mut seen = 0;
        for qid in 1..=2 {
            let deletion = delete(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, qid);
            assert_eq!(drive.host.admin(deletion).status(), SUCCESS, "{}", drive.what);
            while let Some(completion) = drive.host.reap(qid) {
                let status = completion.status();
                assert!(
                    matches!(status, SUCCESS | Status::COMMAND_ABORTED_SQ_DELETION),
                    "{}: {status:?}",
                    drive.what
                );
                seen += 1;
            }
            let deletion = delete(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, qid);
            assert_eq!(drive.host.admin(deletion).status(), SUCCESS, "{}", drive.what);
        }
        if stage != Stage::Queued {
            assert_eq!(
                seen,
                2 * OUTSTANDING,
                "{}: what was fetched has an end",
                drive.what
            );
        }
        drive.host.poison(drive.first_page);
        drive.let_time_pass();
        drive.host.assert_silent(drive.first_page, &drive.what);
        drive.host.disable();
        drive.assert_intact();
    });
}

#[test]
fn an_abort_at_any_stage_says_what_came_of_it() {
    for_all("abort", |drive, _| {
        let cids: Vec<u16> = (0..2 * OUTSTANDING as u16)
            .map(|back| drive.host.next_cid() - 1 - back)
            .collect();
        let mut aborted = Vec::new();
        for qid in 1..=2 {
            for &cid in &cids {
                if drive.host.admin(commands::abort(qid, cid)).dw0.get() & 1 == 0 {
                    aborted.push((qid, cid));
                }
            }
        }
        drive.host.settle();
        let mut ended = Vec::new();
        for qid in 1..=2 {
            while let Some(completion) = drive.host.reap(qid) {
                let name = (qid, completion.cid.get());
                let was_aborted = completion.status() == Status::COMMAND_ABORT_REQUESTED;
                assert!(
                    was_aborted || completion.status() == SUCCESS,
                    "{}: {completion:?}",
                    drive.what
                );
                assert_eq!(aborted.contains(&name), was_aborted, "{}", drive.what);
                ended.push(name);
            }
        }
        assert_eq!(ended.len() as u64, 2 * OUTSTANDING, "{}", drive.what);
        drive.host.disable();
        drive.assert_intact();
    });
}

#[test]
fn a_function_level_reset_masks_every_vector_and_a_masked_one_is_pending_until_it_is_unmasked() {
    const VECTOR_CONTROL: usize = 0x2000 + 5 * 16 + 12;
    const PENDING: usize = 0x3000;
    let mut host = Kind::Nvm.host(1);
    let first_page = host.next_page();
    for _ in 0..2 {
        assert_eq!(
            host.register(VECTOR_CONTROL),
            1,
            "masked at power on and after a reset"
        );
        assert_eq!(host.register(PENDING), 0);
        host.forget_pages(first_page);
        host.enable();
        host.write_config(0x52, 2, 0x8000);
        host.create_io_queues(5, 16);
        host.set_register(VECTOR_CONTROL, 1);
        host.machine.take_interrupts();
        host.submit(5, commands::flush(1));
        host.settle();
        assert_eq!(host.machine.take_interrupts().msix[5], 0);
        assert_eq!(host.register(PENDING), 1 << 5);
        host.set_register(VECTOR_CONTROL, 0);
        host.run();
        assert_eq!(host.machine.take_interrupts().msix[5], 1);
        assert_eq!(host.register(PENDING), 0);
        assert_eq!(host.wait(5).status(), SUCCESS);
        host.ask_for(Reset::Function);
        host.run();
    }
}

// Found in a VM: the driver of Linux was bound anew after a subsystem reset.

#[test]
fn a_driver_that_clears_what_tells_of_a_subsystem_reset_does_not_take_the_controller_for_disabled() {
    let mut host = Kind::Nvm.host(1);
    host.enable();
    host.ask_for(Reset::Subsystem);
    host.run();
    for _ in 0..3 {
        // As Linux does it, faster than the device looks.
        if host.register(registers::CSTS) & csts::NSSRO != 0 {
            host.set_register(registers::CSTS, csts::NSSRO);
        }
        let cc = host.register(registers::CC);
        host.set_register(registers::CC, cc & !1);
        if host.register(registers::CSTS) & csts::RDY != 0 {
            host.run();
        }
        host.enable();
        host.create_io_queues(1, 16);
        assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
        let cc = host.register(registers::CC);
        host.set_register(registers::CC, cc | 1 << 14);
        host.settle();
    }
}

// Found in a VM: the driver of Linux tries a function level reset of a device that has failed, and waited a minute for it.

#[test]
fn a_device_that_has_failed_for_good_is_silent_and_does_not_let_a_host_wait_for_its_reset() {
    for_all("failed", |drive, _| {
        drive.host.device.shared.mark_failed(drive.host.machine.bar());
        drive.host.poison(drive.first_page);
        // Workers that have not noticed.
        drive.host.now_ns += 1_000_000_000;
        drive.poll_workers();
        drive.host.ask_for(Reset::Function);
        drive.poll_workers();
        let config = drive.host.device.shared.config_space();
        assert_eq!(config.read(0, 4), 0x0110_0c51);
        assert_ne!(drive.host.register(registers::CSTS) & csts::CFS, 0);
        drive.host.assert_silent(drive.first_page, &drive.what);
    });
}
