//! Format NVM (NVMe Base 2.0 §5.14).

use nvme_spec::registers::{self, csts};
use nvme_spec::{
    IdentifyCns, IdentifyNamespace, KeyValueOpcode, NvmOpcode, Status, ZoneSendAction, NSID_BROADCAST,
};
use nvmev_sim::host::commands;
use ssd_profile::ProfileKind;
use zerocopy::FromBytes;

use super::*;

fn flbas_and_size(drive: &mut Drive, nsid: u32) -> (u8, u64) {
    let data = drive.identify(IdentifyCns::NAMESPACE, nsid, 0);
    let namespace = IdentifyNamespace::read_from_bytes(&data).unwrap();
    (namespace.flbas, namespace.nsze_lbas.get())
}

#[test]
fn a_formatted_namespace_is_as_new_and_the_others_are_as_they_were() {
    for secure_erase in 0..3 {
        for formatted in RANDOM_WRITABLE {
            let mut drive = Drive::new();
            for nsid in RANDOM_WRITABLE {
                assert_eq!(drive.write(nsid, 0, nsid as u8), SUCCESS);
                assert_eq!(drive.write(nsid, 4096, 7), SUCCESS);
                assert_eq!(drive.io(NvmOpcode::WRITE_UNCORRECTABLE, nsid, 100, 1), SUCCESS);
            }
            assert_eq!(
                drive.admin(commands::format_nvm(formatted, 0, secure_erase)),
                SUCCESS
            );
            for nsid in RANDOM_WRITABLE {
                let is_new = nsid == formatted;
                assert_eq!(drive.read(nsid, 0), Ok(if is_new { 0 } else { nsid as u8 }));
                assert_eq!(drive.read(nsid, 4096), Ok(if is_new { 0 } else { 7 }));
                assert_eq!(drive.read(nsid, 100).is_ok(), is_new);
            }
            assert_eq!(drive.write(formatted, 8, 9), SUCCESS);
            assert_eq!(drive.read(formatted, 8), Ok(9));
        }
    }
}

#[test]
fn the_lba_size_changes_and_changes_back() {
    for nsid in [NVM, CONVENTIONAL, ZONED, KEY_VALUE_LBAS] {
        let mut drive = Drive::new();
        let (format, size_lbas) = flbas_and_size(&mut drive, nsid);
        assert_eq!(format, 0);
        assert_eq!(drive.admin(commands::format_nvm(nsid, 1, 0)), SUCCESS);
        assert_eq!(flbas_and_size(&mut drive, nsid), (1, size_lbas / 8));
        drive.host.machine.set_ram(drive.buffer, &[5; 4096]);
        assert_eq!(drive.io(NvmOpcode::WRITE, nsid, 0, 1), SUCCESS);
        assert_eq!(
            drive.io(NvmOpcode::READ, nsid, size_lbas / 8, 1),
            Status::LBA_OUT_OF_RANGE
        );
        // The format outlives a reset.
        drive.host.disable();
        drive.host.enable();
        drive.host.create_io_queues(1, 64);
        assert_eq!(flbas_and_size(&mut drive, nsid), (1, size_lbas / 8));
        assert_eq!(drive.io(NvmOpcode::READ, nsid, 0, 1), SUCCESS);
        assert_eq!(drive.host.machine.ram(drive.buffer, 4096), [5; 4096]);
        assert_eq!(drive.admin(commands::format_nvm(nsid, 0, 0)), SUCCESS);
        assert_eq!(flbas_and_size(&mut drive, nsid), (0, size_lbas));
        assert_eq!(drive.read(nsid, 0), Ok(0));
    }
}

#[test]
fn zones_are_empty_and_keys_are_gone() {
    let mut drive = Drive::new();
    assert_eq!(drive.write(ZONED, 0, 1), SUCCESS);
    let finish = commands::zone_send(ZONED, 0, ZoneSendAction::FINISH, false);
    assert_eq!(drive.host.execute(1, finish).status(), SUCCESS);
    assert_eq!(drive.write(ZONED, 8, 1), Status::ZONE_IS_FULL);
    assert_eq!(drive.key(KeyValueOpcode::STORE, KEY_VALUE), SUCCESS);
    assert_eq!(drive.key(KeyValueOpcode::EXIST, KEY_VALUE), SUCCESS);
    assert_eq!(drive.admin(commands::format_nvm(NSID_BROADCAST, 0, 0)), SUCCESS);
    assert_eq!(drive.read(ZONED, 0), Ok(0));
    assert_eq!(drive.write(ZONED, 0, 2), SUCCESS);
    assert_eq!(drive.read(ZONED, 0), Ok(2));
    assert_eq!(
        drive.key(KeyValueOpcode::EXIST, KEY_VALUE),
        Status::KEY_DOES_NOT_EXIST
    );
    assert_eq!(drive.key(KeyValueOpcode::STORE, KEY_VALUE), SUCCESS);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut drive = Drive::new();
    assert_eq!(drive.write(NVM, 0, 1), SUCCESS);
    let with = |cdw10: u32| SubmissionQueueEntry {
        cdw10: cdw10.into(),
        ..commands::format_nvm(NVM, 0, 0)
    };
    for (entry, expected) in [
        (commands::format_nvm(NVM, 2, 0), Status::INVALID_FORMAT),
        (commands::format_nvm(NVM, 17, 0), Status::INVALID_FORMAT),
        (commands::format_nvm(KEY_VALUE, 1, 0), Status::INVALID_FORMAT),
        // Key-value namespaces have one format, so all cannot have the second one.
        (commands::format_nvm(NSID_BROADCAST, 1, 0), Status::INVALID_FORMAT),
        (commands::format_nvm(NVM, 0, 3), Status::INVALID_FIELD_IN_COMMAND),
        (with(1 << 5), Status::INVALID_FORMAT),
        (commands::format_nvm(0, 0, 0), Status::INVALID_NAMESPACE_OR_FORMAT),
        (
            commands::format_nvm(33, 0, 0),
            Status::INVALID_NAMESPACE_OR_FORMAT,
        ),
        (commands::format_nvm(6, 0, 0), Status::INVALID_FIELD_IN_COMMAND),
    ] {
        assert_eq!(drive.admin(entry), expected, "{entry:?}");
    }
    assert_eq!(drive.read(NVM, 0), Ok(1));
}

/// While a namespace is being formatted its commands are refused, those of others are not, and the host sees how far it is.
#[test]
fn while_it_goes_on_only_the_namespace_itself_is_out_of_reach() {
    let mut drive = Drive::new();
    let format = drive.host.submit(0, commands::format_nvm(NVM, 1, 0));
    // Fetched, but no worker has done anything yet.
    let host = &mut drive.host;
    host.dispatch(host.now_ns);
    let (buffer, identified) = (drive.buffer, drive.host.pages(1));
    let read = |nsid| commands::read_write(NvmOpcode::READ, nsid, 0, 8, buffer, 0);
    drive.host.submit(1, read(NVM));
    drive.host.submit(2, read(CONVENTIONAL));
    drive.host.submit(0, commands::format_nvm(CONVENTIONAL, 0, 0));
    drive.host.submit(0, commands::delete_namespace(NVM));
    drive
        .host
        .submit(0, commands::identify(IdentifyCns::NAMESPACE, NVM, 0, identified));
    for _ in 0..3 {
        let host = &mut drive.host;
        host.dispatch(host.now_ns);
    }
    assert_eq!(drive.host.wait(1).status(), Status::FORMAT_IN_PROGRESS);
    assert_eq!(drive.host.wait(2).status(), SUCCESS);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let completion = drive.host.wait(0);
        statuses.push((completion.cid.get() == format, completion.status()));
    }
    statuses.sort();
    assert_eq!(
        statuses,
        [
            (false, SUCCESS),
            (false, Status::FORMAT_IN_PROGRESS),
            (false, Status::FORMAT_IN_PROGRESS),
            (true, SUCCESS),
        ]
    );
    assert_eq!(
        drive.host.machine.ram(identified + 32, 1),
        [0x80 | 100],
        "FPI: all is left to do"
    );
    let data = drive.identify(IdentifyCns::NAMESPACE, NVM, 0);
    assert_eq!(data[32], 0x80, "FPI: nothing is left");
    assert_eq!(data[26], 1);
}

/// A write that a worker has not carried out yet must not land on the formatted namespace.
#[test]
fn a_write_under_way_does_not_come_after_the_format() {
    for nsid in [NVM, CONVENTIONAL, ZONED] {
        let mut drive = Drive::new();
        drive.host.machine.set_ram(drive.buffer, &[0xAA; 4096]);
        let write = commands::read_write(NvmOpcode::WRITE, nsid, 0, 8, drive.buffer, 0);
        // Queue 2 belongs to the other worker.
        for qid in [1, 2] {
            drive.host.submit(qid, write);
        }
        drive.host.submit(0, commands::format_nvm(nsid, 0, 0));
        for _ in 0..3 {
            let host = &mut drive.host;
            host.dispatch(host.now_ns);
        }
        drive.host.settle();
        while drive.host.reap(1).is_some() {}
        assert_eq!(
            drive.host.reap(0).map(|completion| completion.status()),
            Some(SUCCESS)
        );
        assert_eq!(drive.read(nsid, 0), Ok(0), "{nsid}");
    }
}

/// The host resets the controller while a format is under way: the command is never completed, the format is.
#[test]
fn a_reset_does_not_leave_it_half_done() {
    for passes in 0..6 {
        let mut drive = Drive::new();
        assert_eq!(drive.write(NVM, 0, 1), SUCCESS);
        drive.host.submit(0, commands::format_nvm(NVM, 1, 1));
        for _ in 0..passes {
            drive.host.step();
        }
        drive.host.disable();
        drive.host.enable();
        drive.host.create_io_queues(1, 64);
        drive.host.settle();
        assert!(drive.host.reap(0).is_none());
        let data = drive.identify(IdentifyCns::NAMESPACE, NVM, 0);
        // With no pass the command was never fetched.
        let was_fetched = passes > 0;
        assert_eq!(
            (data[26], data[32]),
            (u8::from(was_fetched), 0x80),
            "{passes} passes"
        );
        let lbas = if was_fetched { 1 } else { 8 };
        assert_eq!(drive.io(NvmOpcode::READ, NVM, 0, lbas), SUCCESS);
        let expected = if was_fetched { 0 } else { 1 };
        assert_eq!(drive.host.machine.ram(drive.buffer, 4096), [expected; 4096]);
    }
}

/// A write that waits for buffer space when the format begins must not reach the namespace that comes after it.
#[test]
fn a_write_that_waits_for_buffer_space_is_refused() {
    let mut profile = *profiles::by_name("tlc-ssd").unwrap();
    profile.set_list("write_buffer.size_bytes=786432").unwrap();
    profile.validate().unwrap();
    let mut host = TestHost::new(&profile, 64 << 20, 4096, 2);
    host.enable();
    host.create_io_queues(1, 64);
    let buffer = host.pages(16);
    host.machine.set_ram(buffer, &[7; 65536]);
    // 64 KiB each: more than the buffer holds, at one time.
    for write in 0..20 {
        let entry = commands::read_write(NvmOpcode::WRITE, 1, write * 16, 16, 0, 0);
        let entry = host.with_buffer(entry, buffer, 65536);
        host.submit(1, entry);
    }
    host.run();
    assert_eq!(host.admin(commands::format_nvm(1, 0, 0)).status(), SUCCESS);
    host.settle();
    let mut refused = 0;
    while let Some(completion) = host.reap(1) {
        refused += u32::from(completion.status() == Status::FORMAT_IN_PROGRESS);
    }
    assert!(refused > 0, "the one that waited, and those behind it");
    assert!(host.machine.media().iter().all(|&byte| byte == 0));
}

#[test]
fn times_that_were_set_outlive_a_format_and_are_those_of_new_namespaces() {
    let mut drive = Drive::new();
    let ProfileKind::Nvm(mut parameters) = profiles::by_name("optane").unwrap().kind else {
        panic!("optane has no flash")
    };
    parameters.read.time_ns = 5_000_000;
    drive.host.device.controller.set_nvm_parameters(parameters);
    let read_takes_long = |drive: &mut Drive, nsid| {
        let before_ns = drive.host.now_ns;
        assert_eq!(drive.io(NvmOpcode::READ, nsid, 0, 1), SUCCESS);
        drive.host.now_ns - before_ns >= 5_000_000
    };
    assert!(read_takes_long(&mut drive, NVM));
    assert_eq!(drive.admin(commands::format_nvm(NVM, 0, 0)), SUCCESS);
    assert!(read_takes_long(&mut drive, NVM));
    assert_eq!(drive.admin(commands::delete_namespace(CONVENTIONAL)), SUCCESS);
    assert_eq!(drive.create(CSI_NVM, 8, 8, 0), Ok(CONVENTIONAL));
    assert_eq!(drive.attach(CONVENTIONAL), SUCCESS);
    assert!(read_takes_long(&mut drive, CONVENTIONAL));
}

/// A host that was told that the shutdown is complete may give its queues' memory away.
#[test]
fn after_a_shutdown_it_goes_on_without_a_word() {
    let mut drive = Drive::new();
    drive.host.submit(0, commands::format_nvm(NVM, 1, 0));
    drive.host.step();
    let cc = drive.host.register(registers::CC);
    drive.host.set_register(registers::CC, cc | 1 << 14);
    drive.host.step();
    while drive.host.register(registers::CSTS) & csts::SHST_MASK != csts::SHST_COMPLETE {
        drive.host.step();
    }
    drive.host.machine.take_interrupts();
    drive.host.settle();
    assert!(drive.host.reap(0).is_none());
    assert_eq!(drive.host.machine.take_interrupts().intx, 0);
    drive.host.disable();
    drive.host.enable();
    let data = drive.identify(IdentifyCns::NAMESPACE, NVM, 0);
    assert_eq!((data[26], data[32]), (1, 0x80));
}
