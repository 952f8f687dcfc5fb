//! Compare and Write as one.

use nvme_spec::registers::{self, csts};
use nvme_spec::{AdminOpcode, FUSED_FIRST, FUSED_SECOND};
use nvmev_sim::host::Random;

use super::*;

const MISSING: Status = Status::COMMAND_ABORTED_MISSING_FUSED;
const FAILED: Status = Status::COMMAND_ABORTED_FAILED_FUSED;
const INVALID: Status = Status::INVALID_FIELD_IN_COMMAND;

fn with_flags(flags: u8, entry: SubmissionQueueEntry) -> SubmissionQueueEntry {
    SubmissionQueueEntry { flags, ..entry }
}

impl Drive {
    /// A command about one LBA, its data at page `page` of the buffer.
    fn half(&mut self, opcode: NvmOpcode, slba: u64, page: u64, flags: u8) -> SubmissionQueueEntry {
        let address = self.buffer + page * 4096;
        with_flags(flags, commands::read_write(opcode, 1, slba, 1, address, 0))
    }

    fn set_page(&mut self, page: u64, byte: u8) {
        self.host.machine.set_ram(self.buffer + page * 4096, &[byte; LBA]);
    }

    /// Submits both with one ring of the doorbell; their statuses, in the order of their completions, which must be theirs.
    fn pair(&mut self, first: SubmissionQueueEntry, second: SubmissionQueueEntry) -> (Status, Status) {
        self.submit_pair(1, first, second);
        let completions = [self.host.wait(1), self.host.wait(1)];
        assert_eq!(
            completions.map(|completion| completion.cid.get()),
            [1001, 1002],
            "each completes once, in order"
        );
        (completions[0].status(), completions[1].status())
    }

    fn submit_pair(&mut self, qid: u16, first: SubmissionQueueEntry, second: SubmissionQueueEntry) {
        for (cid, entry) in [(1001, first), (1002, second)] {
            self.host.place(
                qid,
                &SubmissionQueueEntry {
                    cid: u16::into(cid),
                    ..entry
                },
            );
        }
        self.host.ring(qid);
    }

    /// Writes `to` into LBA `slba` if it has `from`.
    fn compare_and_write(&mut self, slba: u64, from: u8, to: u8) -> (Status, Status) {
        self.set_page(0, from);
        self.set_page(1, to);
        let compare = self.half(NvmOpcode::COMPARE, slba, 0, FUSED_FIRST);
        let write = self.half(NvmOpcode::WRITE, slba, 1, FUSED_SECOND);
        self.pair(compare, write)
    }
}

#[test]
fn what_is_as_expected_is_replaced() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        assert_eq!(drive.compare_and_write(0, 0, 7), (SUCCESS, SUCCESS), "{kind}");
        assert_eq!(drive.read(0, 1), Ok(vec![7; LBA]), "{kind}");
        assert_eq!(
            drive.compare_and_write(0, 6, 8),
            (Status::COMPARE_FAILURE, FAILED),
            "{kind}"
        );
        assert_eq!(drive.read(0, 1), Ok(vec![7; LBA]), "{kind}");
        // The second write to the same LBA of a zone fails by itself.
        let again = drive.compare_and_write(0, 7, 8);
        if drive.is_zoned {
            assert_eq!(again, (SUCCESS, Status::ZONE_INVALID_WRITE));
        } else {
            assert_eq!(again, (SUCCESS, SUCCESS), "{kind}");
            assert_eq!(drive.read(0, 1), Ok(vec![8; LBA]), "{kind}");
        }
    }
}

#[test]
fn a_pair_takes_the_time_of_both() {
    let mut drive = Drive::new("nvm");
    let timed = |drive: &mut Drive, entry| {
        let start_ns = drive.host.now_ns;
        assert_eq!(drive.status(entry), SUCCESS);
        drive.host.now_ns - start_ns
    };
    let compare = drive.half(NvmOpcode::COMPARE, 0, 0, 0);
    let compare_ns = timed(&mut drive, compare);
    let write = drive.half(NvmOpcode::WRITE, 0, 0, 0);
    let write_ns = timed(&mut drive, write);
    let start_ns = drive.host.now_ns;
    assert_eq!(drive.compare_and_write(0, 0, 1), (SUCCESS, SUCCESS));
    let pair_ns = drive.host.now_ns - start_ns;
    // Both are dispatched at once, so that their times may overlap on the device's channel, but one follows the other.
    assert!(
        pair_ns >= compare_ns + write_ns,
        "{pair_ns} ns, not {compare_ns} + {write_ns}"
    );
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        drive.set_page(0, 0);
        drive.set_page(1, 1);
        let compare = drive.half(NvmOpcode::COMPARE, 0, 0, FUSED_FIRST);
        let write = drive.half(NvmOpcode::WRITE, 0, 1, FUSED_SECOND);
        assert_eq!(drive.status(compare), MISSING, "{kind}: alone");
        assert_eq!(drive.status(write), MISSING, "{kind}: alone");
        assert_eq!(drive.status(with_flags(0b11, compare)), INVALID, "{kind}");
        let read = drive.half(NvmOpcode::READ, 0, 2, 0);
        assert_eq!(drive.pair(compare, read), (MISSING, SUCCESS), "{kind}");
        assert_eq!(drive.pair(compare, compare), (MISSING, MISSING), "{kind}");
        let elsewhere = drive.half(NvmOpcode::WRITE, 1, 1, FUSED_SECOND);
        let on_another = SubmissionQueueEntry {
            nsid: 2.into(),
            ..write
        };
        let longer = SubmissionQueueEntry {
            cdw12: 1.into(),
            ..write
        };
        for (first, second) in [
            (compare, elsewhere),
            (compare, on_another),
            (compare, longer),
            (compare, with_flags(FUSED_SECOND, compare)),
            (with_flags(FUSED_FIRST, write), write),
            (
                with_flags(FUSED_FIRST, commands::flush(1)),
                with_flags(FUSED_SECOND, commands::flush(1)),
            ),
        ] {
            assert_eq!(drive.pair(first, second), (INVALID, INVALID), "{kind}");
        }
        assert_eq!(drive.read(0, 1), Ok(vec![0; LBA]), "{kind}: nothing was written");
        let nowhere = |entry| SubmissionQueueEntry {
            nsid: 99.into(),
            ..entry
        };
        assert_eq!(
            drive.pair(nowhere(compare), nowhere(write)),
            (Status::INVALID_NAMESPACE_OR_FORMAT, FAILED),
            "{kind}"
        );
        let without_data = |entry| SubmissionQueueEntry {
            prp1: 0.into(),
            ..entry
        };
        assert_eq!(
            drive.pair(without_data(compare), write),
            (Status::DATA_TRANSFER_ERROR, FAILED),
            "{kind}"
        );
        assert_eq!(
            drive.pair(compare, without_data(write)),
            (SUCCESS, Status::DATA_TRANSFER_ERROR),
            "{kind}"
        );
    }
}

#[test]
fn a_pair_goes_round_the_end_of_its_queue() {
    let mut drive = Drive::new("nvm");
    for byte in 0..200 {
        assert_eq!(
            drive.compare_and_write(0, byte, byte + 1),
            (SUCCESS, SUCCESS),
            "{byte}"
        );
        if byte % 3 == 0 {
            assert_eq!(drive.status(commands::flush(1)), SUCCESS);
        }
    }
}

#[test]
fn a_pair_waits_for_room_for_both_completions_and_a_queue_of_one_never_has_it() {
    let mut drive = Drive::new("nvm");
    drive.host.create_io_queues(2, 2);
    let compare = drive.half(NvmOpcode::COMPARE, 0, 0, FUSED_FIRST);
    assert_eq!(
        drive.host.execute(2, compare).status(),
        MISSING,
        "one entry at a time"
    );
    drive.host.create_io_queues(3, 4);
    drive.set_page(0, 0);
    drive.set_page(1, 1);
    // Two completions that the host has not seen leave room for one.
    for _ in 0..2 {
        drive.host.submit(3, commands::flush(1));
        drive.host.settle();
    }
    let write = drive.half(NvmOpcode::WRITE, 0, 1, FUSED_SECOND);
    drive.submit_pair(3, compare, write);
    drive.host.settle();
    let statuses: Vec<_> = (0..4)
        .map(|_| {
            let status = drive.host.reap(3).map(|completion| completion.status());
            drive.host.settle();
            status
        })
        .collect();
    assert_eq!(statuses, [Some(SUCCESS); 4]);
    assert_eq!(drive.read(0, 1), Ok(vec![1; LBA]));
}

/// Fuzzing found a pair that waited for ever: there was room for one completion, so nobody looked at what the host had consumed.
#[test]
fn a_pair_finds_the_room_that_the_host_has_made_meanwhile() {
    let mut drive = Drive::new("nvm");
    // With MSI-X: a pin has to know of everything that was consumed.
    drive.host.write_config(0x52, 2, 0x8000);
    drive.host.create_io_queues(3, 4);
    for byte in 0..200 {
        for _ in 0..2 {
            assert_eq!(drive.host.execute(3, commands::flush(1)).status(), SUCCESS);
        }
        drive.set_page(0, byte);
        drive.set_page(1, byte + 1);
        let compare = drive.half(NvmOpcode::COMPARE, 0, 0, FUSED_FIRST);
        let write = drive.half(NvmOpcode::WRITE, 0, 1, FUSED_SECOND);
        drive.submit_pair(3, compare, write);
        let statuses = [drive.host.wait(3).status(), drive.host.wait(3).status()];
        assert_eq!(statuses, [SUCCESS; 2], "round {byte}");
    }
}

/// Queue 1 belongs to one worker and queue 2 to the other.
#[test]
fn what_another_worker_still_has_to_write_comes_before_the_pair() {
    for kind in ["nvm", "conventional", "key-value"] {
        let mut drive = Drive::new(kind);
        drive.host.create_io_queues(2, 8);
        drive.set_page(0, 5);
        let write = drive.half(NvmOpcode::WRITE, 0, 0, 0);
        drive.host.submit(2, write);
        drive.poll_controller();
        // It is with its worker, which has done nothing yet.
        drive.set_page(1, 5);
        drive.set_page(2, 6);
        let compare = drive.half(NvmOpcode::COMPARE, 0, 1, FUSED_FIRST);
        let replace = drive.half(NvmOpcode::WRITE, 0, 2, FUSED_SECOND);
        drive.submit_pair(1, compare, replace);
        for _ in 0..10 {
            drive.poll_controller();
        }
        let statuses = [1001, 1002].map(|_| drive.host.wait(1).status());
        assert_eq!(statuses, [SUCCESS, SUCCESS], "{kind}");
        assert_eq!(drive.read(0, 1), Ok(vec![6; LBA]), "{kind}");
        assert_eq!(drive.host.wait(2).status(), SUCCESS, "{kind}");
    }
}

#[test]
fn a_reset_in_the_middle_of_a_pair_leaves_nothing_behind() {
    for passes in 0..4 {
        let mut drive = Drive::new("nvm");
        drive.set_page(0, 0);
        drive.set_page(1, 1);
        let compare = drive.half(NvmOpcode::COMPARE, 0, 0, FUSED_FIRST);
        let write = drive.half(NvmOpcode::WRITE, 0, 1, FUSED_SECOND);
        drive.submit_pair(1, compare, write);
        for _ in 0..passes {
            drive.poll_controller();
        }
        drive.host.disable();
        drive.host.enable();
        drive.host.create_io_queues(1, 64);
        drive.set_page(0, 0);
        assert_eq!(
            drive.read(0, 1),
            Ok(vec![0; LBA]),
            "it had to wait for the workers"
        );
        assert_eq!(drive.compare_and_write(0, 0, 3), (SUCCESS, SUCCESS));
        assert_eq!(drive.read(0, 1), Ok(vec![3; LBA]));
    }
}

/// A drive whose write buffer is full, with a pair that has been compared, and whose write waits.
fn drive_with_a_waiting_write() -> Drive {
    let mut drive = Drive::with_small_buffer();
    drive.host.create_io_queues(2, 64);
    let long = commands::read_write(NvmOpcode::WRITE, 1, 256, 128, 0, 0);
    let long = drive.host.with_buffer(long, drive.buffer, 128 * LBA);
    for _ in 0..20 {
        drive.host.submit(2, long);
    }
    drive.host.run();
    drive.set_page(0, 0);
    drive.set_page(1, 1);
    let compare = drive.half(NvmOpcode::COMPARE, 0, 0, FUSED_FIRST);
    let write = drive.half(NvmOpcode::WRITE, 0, 1, FUSED_SECOND);
    drive.submit_pair(1, compare, write);
    drive.host.run();
    // Nothing else is fetched meanwhile.
    drive.host.submit(0, commands::admin(AdminOpcode::KEEP_ALIVE));
    drive.host.run();
    assert!(drive.host.reap(0).is_none(), "the write waits");
    drive
}

#[test]
fn a_shutdown_waits_for_a_pair() {
    let mut drive = drive_with_a_waiting_write();
    let cc = drive.host.register(registers::CC);
    drive.host.set_register(registers::CC, cc | 1 << 14);
    drive.host.run();
    let is_complete =
        |drive: &Drive| drive.host.register(registers::CSTS) & csts::SHST_MASK == csts::SHST_COMPLETE;
    assert!(!is_complete(&drive));
    drive.host.settle();
    assert!(is_complete(&drive));
    let statuses = [1001, 1002].map(|_| drive.host.reap(1).map(|completion| completion.status()));
    assert_eq!(statuses, [Some(SUCCESS); 2]);
    drive.host.disable();
    drive.host.enable();
    drive.host.create_io_queues(1, 64);
    assert_eq!(drive.read(0, 1), Ok(vec![1; LBA]));
}

#[test]
fn a_reset_ends_a_pair_whose_write_waits() {
    let mut drive = drive_with_a_waiting_write();
    drive.host.disable();
    drive.host.enable();
    drive.host.create_io_queues(1, 64);
    assert_eq!(drive.read(0, 1), Ok(vec![0; LBA]), "nothing was written");
    assert_eq!(drive.compare_and_write(0, 0, 3), (SUCCESS, SUCCESS));
    assert_eq!(drive.read(0, 1), Ok(vec![3; LBA]));
}

/// Hosts on several queues and workers increment one counter, each as often as its comparison holds. Whoever is polled when is random.
#[test]
fn increments_of_many_hosts_are_never_lost() {
    const QUEUES: u16 = 6;
    for kind in ["nvm", "conventional", "key-value"] {
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let mut drive = Drive::new(kind);
            for qid in 2..=QUEUES {
                drive.host.create_io_queues(qid, 8);
            }
            let mut expected = [0u8; QUEUES as usize + 1];
            let mut waits_for = [0u8; QUEUES as usize + 1];
            let mut increments = 0u32;
            for _ in 0..20_000 {
                let qid = 1 + random.below(u64::from(QUEUES)) as u16;
                let (slot, page) = (usize::from(qid), u64::from(qid) * 2);
                if waits_for[slot] == 0 && increments < 200 {
                    drive.set_page(page, expected[slot]);
                    drive.set_page(page + 1, expected[slot] + 1);
                    let compare = drive.half(NvmOpcode::COMPARE, 0, page, FUSED_FIRST);
                    let write = drive.half(NvmOpcode::WRITE, 0, page + 1, FUSED_SECOND);
                    drive.submit_pair(qid, compare, write);
                    waits_for[slot] = 2;
                }
                let now_ns = drive.host.now_ns;
                match random.below(3) {
                    0 => drive.host.poll_a_dispatcher(random.next_bits()),
                    worker => {
                        drive.host.device.workers[worker as usize - 1].poll(now_ns, &drive.host.machine)
                    }
                };
                drive.host.now_ns += random.below(5_000);
                while let Some(completion) = drive.host.reap(qid) {
                    waits_for[slot] -= 1;
                    match (completion.cid.get(), completion.status()) {
                        (1001, SUCCESS) => {}
                        (1002, SUCCESS) => {
                            increments += 1;
                            expected[slot] += 1;
                        }
                        (1001, Status::COMPARE_FAILURE) => {}
                        // Somebody else was quicker: guess again, as a host would read again.
                        (1002, FAILED) => expected[slot] += 1,
                        other => panic!("{kind}, seed {seed}: {other:?}"),
                    }
                }
            }
            drive.host.settle();
            for qid in 1..=QUEUES {
                while let Some(completion) = drive.host.reap(qid) {
                    increments += u32::from(completion.cid.get() == 1002 && completion.status() == SUCCESS);
                }
            }
            assert!(increments > 30, "{kind}, seed {seed}: {increments} increments");
            assert_eq!(
                drive.read(0, 1),
                Ok(vec![increments as u8; LBA]),
                "{kind}, seed {seed}"
            );
        }
    }
}
