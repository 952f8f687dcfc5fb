//! Sanitize (NVMe Base 2.0 §5.24, §8.21).

use std::collections::BTreeMap;

use nvme_spec::{AdminOpcode, KeyValueOpcode, LogPageId, NvmOpcode, Status, NSSR_RESET};
use nvmev_sim::host::commands;

use super::*;

const EXIT_FAILURE_MODE: u32 = 1;
const BLOCK_ERASE: u32 = 2;
const OVERWRITE: u32 = 3;
const CRYPTO_ERASE: u32 = 4;
const NO_DEALLOCATE: u32 = 1 << 9;
const INVERT: u32 = 1 << 8;

fn sanitize(cdw10: u32, pattern: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        cdw10: cdw10.into(),
        cdw11: pattern.into(),
        ..commands::admin(AdminOpcode::SANITIZE)
    }
}

/// SPROG and SSTAT.
fn log(drive: &mut Drive) -> (u16, u16) {
    let data = drive.log(LogPageId::SANITIZE_STATUS, 512);
    let word = |at: usize| u16::from_le_bytes(data[at..at + 2].try_into().unwrap());
    (word(0), word(2))
}

#[test]
fn everything_is_erased_wherever_it_is() {
    for action in [BLOCK_ERASE, CRYPTO_ERASE, OVERWRITE | 1 << 4] {
        let mut drive = Drive::new();
        assert_eq!(log(&mut drive), (0xFFFF, 0x100), "never, and nothing written");
        for nsid in [NVM, CONVENTIONAL, ZONED, KEY_VALUE_LBAS] {
            assert_eq!(drive.write(nsid, 0, 0x77), SUCCESS);
        }
        assert_eq!(drive.key(KeyValueOpcode::STORE, KEY_VALUE), SUCCESS);
        assert_eq!(log(&mut drive), (0xFFFF, 0));
        // Also where no namespace is, and in those that are not attached.
        assert_eq!(drive.detach(CONVENTIONAL), SUCCESS);
        assert_eq!(drive.admin(commands::delete_namespace(KEY_VALUE_LBAS)), SUCCESS);
        assert_eq!(drive.admin(sanitize(action, 0x1234_5678)), SUCCESS);
        drive.host.settle();
        let passes = if action & 7 == OVERWRITE { 1 << 3 } else { 0 };
        assert_eq!(log(&mut drive), (0xFFFF, 0x101 | passes));
        assert!(drive.host.machine.media().iter().all(|&byte| byte == 0));
        assert_eq!(drive.attach(CONVENTIONAL), SUCCESS);
        for nsid in [NVM, CONVENTIONAL, ZONED] {
            assert_eq!(drive.read(nsid, 0), Ok(0));
            assert_eq!(drive.write(nsid, 0, 1), SUCCESS);
        }
        assert_eq!(log(&mut drive), (0xFFFF, 1 | passes));
        assert_eq!(
            drive.key(KeyValueOpcode::EXIST, KEY_VALUE),
            Status::KEY_DOES_NOT_EXIST
        );
    }
}

#[test]
fn without_deallocation_the_pattern_of_the_last_pass_is_read() {
    for (cdw10, passes) in [
        (OVERWRITE | 3 << 4 | INVERT, 3),
        (OVERWRITE, 16),
        (OVERWRITE | 2 << 4, 2),
    ] {
        let mut drive = Drive::new();
        assert_eq!(drive.admin(sanitize(cdw10 | NO_DEALLOCATE, 0xA5A5_A5A5)), SUCCESS);
        drive.host.settle();
        assert_eq!(log(&mut drive), (0xFFFF, 0x101 | passes << 3));
        assert_eq!(drive.read(NVM, 0), Ok(0xA5));
        assert_eq!(drive.read(CONVENTIONAL, 4096), Ok(0xA5));
        assert_eq!(drive.read(ZONED, 0), Ok(0), "zones are empty");
    }
}

#[test]
fn meanwhile_most_commands_are_refused_and_the_log_shows_how_far_it_is() {
    let mut drive = Drive::new();
    for _ in 0..2 {
        drive
            .host
            .submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    }
    drive.host.submit(0, sanitize(BLOCK_ERASE, 0));
    let buffer = drive.buffer;
    // A command in each pass.
    for _ in 0..3 {
        let host = &mut drive.host;
        host.dispatch(host.now_ns);
    }
    let commands = [
        (sanitize(CRYPTO_ERASE, 0), Status::SANITIZE_IN_PROGRESS),
        (sanitize(EXIT_FAILURE_MODE, 0), Status::SANITIZE_IN_PROGRESS),
        (commands::format_nvm(NVM, 0, 0), Status::SANITIZE_IN_PROGRESS),
        (commands::delete_namespace(NVM), Status::SANITIZE_IN_PROGRESS),
        (
            commands::admin(AdminOpcode::DEVICE_SELF_TEST),
            Status::SANITIZE_IN_PROGRESS,
        ),
        (commands::admin(AdminOpcode(0x7F)), Status::INVALID_COMMAND_OPCODE),
        (
            commands::get_log_page(LogPageId::SANITIZE_STATUS, 0, 0, 32, buffer),
            SUCCESS,
        ),
    ];
    let mut expected = BTreeMap::new();
    for (entry, status) in commands {
        expected.insert(drive.host.submit(0, entry), status);
        let host = &mut drive.host;
        host.dispatch(host.now_ns);
    }
    let host = &mut drive.host;
    // A part of 4 MiB takes the worker some passes.
    for _ in 0..20 {
        host.device.workers[0].poll(host.now_ns, &host.machine);
    }
    while let Some(completion) = drive.host.reap(0) {
        let status = expected.remove(&completion.cid.get()).unwrap_or(SUCCESS);
        assert_eq!(completion.status(), status, "{completion:?}");
    }
    assert!(expected.is_empty(), "{expected:?}");
    let data = drive.host.machine.ram(buffer, 8);
    assert_eq!(data[2], 2, "in progress: {data:?}");
    assert_eq!(data[4], BLOCK_ERASE as u8, "SCDW10");
    for entry in [
        commands::read_write(NvmOpcode::READ, NVM, 0, 8, buffer, 0),
        commands::flush(NVM),
        commands::flush(u32::MAX),
        commands::read_write(NvmOpcode(0x7F), NVM, 0, 8, buffer, 0),
    ] {
        drive.host.submit(1, entry);
    }
    for _ in 0..4 {
        let host = &mut drive.host;
        host.dispatch(host.now_ns);
    }
    for _ in 0..4 {
        assert_eq!(drive.host.wait(1).status(), Status::SANITIZE_IN_PROGRESS);
    }
    drive.host.settle();
    let event = drive.host.reap(0).unwrap();
    assert_eq!(event.dw0.get(), 0x0081_0106, "sanitize operation completed");
    assert!(drive.host.reap(0).is_none());
    assert_eq!(drive.read(NVM, 0), Ok(0));
    assert_eq!(drive.admin(sanitize(EXIT_FAILURE_MODE, 0)), SUCCESS);
}

#[test]
fn resets_do_not_stop_it() {
    for is_subsystem in [false, true] {
        let mut drive = Drive::new();
        assert_eq!(drive.write(NVM, 0, 1), SUCCESS);
        drive
            .host
            .submit(0, sanitize(OVERWRITE | NO_DEALLOCATE | 2 << 4, 0x0303_0303));
        for _ in 0..4 {
            drive.host.step();
        }
        if is_subsystem {
            drive.host.set_register(nvme_spec::registers::NSSR, NSSR_RESET);
            drive.host.run();
        } else {
            drive.host.disable();
        }
        drive.host.enable();
        drive.host.create_io_queues(1, 64);
        drive.host.settle();
        assert_eq!(log(&mut drive), (0xFFFF, 0x101 | 2 << 3));
        assert_eq!(drive.read(NVM, 0), Ok(3));
    }
}

#[test]
fn unknown_actions_are_refused() {
    let mut drive = Drive::new();
    for action in [0, 5, 6, 7] {
        assert_eq!(
            drive.admin(sanitize(action, 0)),
            Status::INVALID_FIELD_IN_COMMAND,
            "{action}"
        );
    }
    assert_eq!(log(&mut drive).0, 0xFFFF);
}

#[test]
fn it_does_not_begin_before_a_new_firmware_is_active() {
    let mut drive = Drive::new();
    let image = drive.buffer;
    drive.host.machine.set_ram(image, &[b'7'; 4096]);
    let download = SubmissionQueueEntry {
        prp1: image.into(),
        cdw10: 1023.into(),
        ..commands::admin(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD)
    };
    // Into slot 2, active after the next reset.
    let commit = SubmissionQueueEntry {
        cdw10: (1 << 3 | 2).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_COMMIT)
    };
    assert_eq!(drive.admin(download), SUCCESS);
    assert_eq!(drive.admin(commit), SUCCESS);
    assert_eq!(
        drive.admin(sanitize(BLOCK_ERASE, 0)),
        Status::FIRMWARE_ACTIVATION_REQUIRES_CONTROLLER_LEVEL_RESET
    );
    drive.host.disable();
    drive.host.enable();
    assert_eq!(drive.admin(sanitize(BLOCK_ERASE, 0)), SUCCESS);
}
