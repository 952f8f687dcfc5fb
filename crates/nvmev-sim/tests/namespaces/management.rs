//! Namespace Management and Attachment (NVMe Base 2.0 §5.22, §5.23, §8.11).

use nvme_spec::{
    AdminOpcode, FeatureId, IdentifyCns, IdentifyNamespace, KeyValueOpcode, LogPageId,
    NamespaceAttachmentSelect, Status, NSID_BROADCAST,
};
use nvmev_sim::host::{commands, Random};
use zerocopy::FromBytes;

use super::*;

const ATTACH: NamespaceAttachmentSelect = NamespaceAttachmentSelect::ATTACH;

#[test]
fn namespaces_of_each_command_set_are_created_attached_used_and_deleted() {
    let mut drive = Drive::new();
    assert_eq!(drive.capacities(), (40 * MIB, 0));
    assert_eq!(
        drive.create(CSI_NVM, 8, 8, 0),
        Err(Status::NAMESPACE_INSUFFICIENT_CAPACITY)
    );
    assert_eq!(drive.admin(commands::delete_namespace(NSID_BROADCAST)), SUCCESS);
    assert_eq!(drive.capacities(), (40 * MIB, 40 * MIB));
    assert_eq!(drive.list(IdentifyCns::ALLOCATED_NAMESPACE_LIST), []);
    assert_eq!(drive.read(NVM, 0), Err(Status::INVALID_FIELD_IN_COMMAND));
    assert_eq!(
        drive.admin(commands::delete_namespace(NSID_BROADCAST)),
        SUCCESS,
        "all of none"
    );

    let nvm = drive.create(CSI_NVM, 1000, 1000, 0).unwrap();
    let zoned = drive.create(CSI_ZONED, 1024, 1024, 1).unwrap();
    let key_value = drive.create(CSI_KEY_VALUE, 2 * MIB, 0, 0).unwrap();
    assert_eq!((nvm, zoned, key_value), (1, 2, 3));
    assert_eq!(drive.list(IdentifyCns::ALLOCATED_NAMESPACE_LIST), [1, 2, 3]);
    assert_eq!(drive.list(IdentifyCns::ACTIVE_NAMESPACE_LIST), []);
    assert_eq!(
        drive.read(nvm, 0),
        Err(Status::INVALID_FIELD_IN_COMMAND),
        "not attached yet"
    );
    for nsid in [nvm, zoned, key_value] {
        assert_eq!(drive.attach(nsid), SUCCESS);
        assert_eq!(drive.attach(nsid), Status::NAMESPACE_ALREADY_ATTACHED);
    }
    assert_eq!(drive.list(IdentifyCns::ACTIVE_NAMESPACE_LIST), [1, 2, 3]);
    let data = drive.identify(IdentifyCns::NAMESPACE, nvm, 0);
    let namespace = IdentifyNamespace::read_from_bytes(&data).unwrap();
    assert_eq!(
        (namespace.nsze_lbas.get(), namespace.ncap_lbas.get()),
        (1000, 1000)
    );
    assert_eq!(
        u128::from_le_bytes(namespace.nvmcap_bytes),
        125 * 4096,
        "1000 LBAs of 512"
    );

    assert_eq!(drive.read(nvm, 0), Ok(0));
    assert_eq!(drive.write(nvm, 992, 3), SUCCESS);
    assert_eq!(drive.read(nvm, 992), Ok(3));
    assert_eq!(drive.read(nvm, 993), Err(Status::LBA_OUT_OF_RANGE));
    // 4 zones of 1 MiB in LBAs of 4096.
    assert_eq!(drive.io(NvmOpcode::WRITE, zoned, 0, 1), SUCCESS);
    assert_eq!(
        drive.io(NvmOpcode::WRITE, zoned, 0, 1),
        Status::ZONE_INVALID_WRITE
    );
    assert_eq!(drive.io(NvmOpcode::WRITE, zoned, 768, 1), SUCCESS);
    assert_eq!(
        drive.io(NvmOpcode::WRITE, zoned, 1024, 1),
        Status::LBA_OUT_OF_RANGE
    );
    assert_eq!(drive.key(KeyValueOpcode::STORE, key_value), SUCCESS);
    assert_eq!(drive.key(KeyValueOpcode::EXIST, key_value), SUCCESS);

    let (total, unallocated) = drive.capacities();
    assert!(total - unallocated >= 1000 * 512 + 4 * MIB + 2 * MIB);
    for nsid in [nvm, zoned, key_value] {
        assert_eq!(drive.detach(nsid), SUCCESS);
        assert_eq!(drive.detach(nsid), Status::NAMESPACE_NOT_ATTACHED);
        assert_eq!(drive.admin(commands::delete_namespace(nsid)), SUCCESS);
        assert_eq!(
            drive.admin(commands::delete_namespace(nsid)),
            Status::INVALID_FIELD_IN_COMMAND
        );
    }
    assert_eq!(drive.capacities(), (40 * MIB, 40 * MIB));
}

#[test]
fn a_detached_namespace_keeps_what_was_written() {
    let mut drive = Drive::new();
    assert_eq!(drive.write(CONVENTIONAL, 16, 9), SUCCESS);
    assert_eq!(drive.detach(CONVENTIONAL), SUCCESS);
    assert_eq!(
        drive.read(CONVENTIONAL, 16),
        Err(Status::INVALID_FIELD_IN_COMMAND)
    );
    let allocated = drive.identify(IdentifyCns::ALLOCATED_NAMESPACE, CONVENTIONAL, 0);
    assert_ne!(allocated[..8], [0; 8]);
    assert_eq!(drive.identify(IdentifyCns::NAMESPACE, CONVENTIONAL, 0), [0; 4096]);
    let controllers = drive.identify(IdentifyCns::NAMESPACE_CONTROLLER_LIST, CONVENTIONAL, 0);
    assert_eq!(controllers[..2], [0, 0]);
    // Whether it is attached outlives a reset.
    drive.host.disable();
    drive.host.enable();
    drive.host.create_io_queues(1, 64);
    assert_eq!(
        drive.read(CONVENTIONAL, 16),
        Err(Status::INVALID_FIELD_IN_COMMAND)
    );
    assert_eq!(drive.attach(CONVENTIONAL), SUCCESS);
    assert_eq!(drive.read(CONVENTIONAL, 16), Ok(9));
}

#[test]
fn nothing_of_a_deleted_namespace_is_seen_in_a_new_one_and_it_has_other_names() {
    let mut drive = Drive::new();
    assert_eq!(drive.write(NVM, 0, 0x5A), SUCCESS);
    let names = |data: &[u8]| data[104..128].to_vec();
    let before = names(&drive.identify(IdentifyCns::NAMESPACE, NVM, 0));
    assert_eq!(drive.admin(commands::delete_namespace(NVM)), SUCCESS);
    assert_eq!(drive.create(CSI_NVM, 16384, 16384, 0), Ok(NVM));
    assert_eq!(drive.attach(NVM), SUCCESS);
    assert_eq!(drive.read(NVM, 0), Ok(0));
    let data = drive.identify(IdentifyCns::NAMESPACE, NVM, 0);
    assert_ne!(names(&data), before);
    let mut others = (2..=5).map(|nsid| drive.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, nsid, 0));
    assert!(others.all(|other| other[4..12] != data[120..128]));
}

#[test]
fn what_cannot_be_created_or_attached_is_refused() {
    let mut drive = Drive::new();
    for nsid in [ZONED, KEY_VALUE] {
        assert_eq!(drive.admin(commands::delete_namespace(nsid)), SUCCESS);
    }
    let free = drive.capacities().1;
    for (csi, size, capacity, flbas, expected) in [
        (CSI_NVM, 0, 0, 0, Status::INVALID_FIELD_IN_COMMAND),
        (CSI_NVM, 100, 50, 0, Status::THIN_PROVISIONING_NOT_SUPPORTED),
        (CSI_NVM, 100, 101, 0, Status::INVALID_FIELD_IN_COMMAND),
        (CSI_NVM, 100, 100, 2, Status::INVALID_FORMAT),
        (
            CSI_NVM,
            u64::MAX,
            u64::MAX,
            0,
            Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        ),
        (
            CSI_NVM,
            1 << 54,
            1 << 54,
            1,
            Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        ),
        (
            CSI_NVM,
            16 * MIB / 512 + 1,
            16 * MIB / 512 + 1,
            0,
            Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        ),
        // Zones are whole: 2048 LBAs.
        (CSI_ZONED, 2047, 2047, 0, Status::INVALID_FIELD_IN_COMMAND),
        (CSI_ZONED, 2048, 1024, 0, Status::THIN_PROVISIONING_NOT_SUPPORTED),
        (CSI_KEY_VALUE, 0, 0, 0, Status::INVALID_FIELD_IN_COMMAND),
        (
            CSI_KEY_VALUE,
            1 << 60,
            0,
            0,
            Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        ),
        (3, 100, 100, 0, Status::IO_COMMAND_SET_NOT_SUPPORTED),
        (0xFF, 100, 100, 0, Status::IO_COMMAND_SET_NOT_SUPPORTED),
    ] {
        assert_eq!(
            drive.create(csi, size, capacity, flbas),
            Err(expected),
            "{csi} {size} {capacity} {flbas}"
        );
    }
    let fields: [fn(&mut NamespaceToCreate); 5] = [
        |asked| asked.dps = 1,
        |asked| asked.nmic = 1,
        |asked| asked.anagrpid = 1.into(),
        |asked| asked.nvmsetid = 1.into(),
        |asked| asked.endgid = 1.into(),
    ];
    for field in fields {
        let refused = drive.create_as(CSI_NVM, |asked| {
            asked.nsze = 8.into();
            asked.ncap_lbas = 8.into();
            field(asked);
        });
        assert_eq!(refused, Err(Status::INVALID_FIELD_IN_COMMAND));
    }
    let nowhere = commands::create_namespace(CSI_NVM, 0);
    assert_eq!(drive.admin(nowhere), Status::DATA_TRANSFER_ERROR);
    assert_eq!(drive.capacities().1, free);
    assert_eq!(drive.list(IdentifyCns::ALLOCATED_NAMESPACE_LIST), [1, 2, 5]);

    for (nsid, list, expected) in [
        (NVM, &[0u16, 0][..], Status::CONTROLLER_LIST_INVALID),
        (NVM, &[1, 1], Status::CONTROLLER_LIST_INVALID),
        (NVM, &[2, 0, 1], Status::CONTROLLER_LIST_INVALID),
        (NVM, &[0xFFFF, 0], Status::CONTROLLER_LIST_INVALID),
        (NVM, &[1, 0], Status::NAMESPACE_ALREADY_ATTACHED),
        (ZONED, &[1, 0], Status::INVALID_FIELD_IN_COMMAND),
        (0, &[1, 0], Status::INVALID_NAMESPACE_OR_FORMAT),
        (33, &[1, 0], Status::INVALID_NAMESPACE_OR_FORMAT),
        (NSID_BROADCAST, &[1, 0], Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(
            drive.set_attached_to(nsid, ATTACH, list),
            expected,
            "{nsid} {list:?}"
        );
    }
    for opcode in [
        AdminOpcode::NAMESPACE_ATTACHMENT,
        AdminOpcode::NAMESPACE_MANAGEMENT,
    ] {
        let unknown = SubmissionQueueEntry {
            nsid: NVM.into(),
            cdw10: 2.into(),
            ..commands::admin(opcode)
        };
        assert_eq!(drive.admin(unknown), Status::INVALID_FIELD_IN_COMMAND);
    }
    for nsid in [0, 33] {
        assert_eq!(
            drive.admin(commands::delete_namespace(nsid)),
            Status::INVALID_NAMESPACE_OR_FORMAT
        );
    }
}

#[test]
fn all_identifiers_can_be_in_use() {
    let mut drive = Drive::new();
    assert_eq!(drive.admin(commands::delete_namespace(NSID_BROADCAST)), SUCCESS);
    for nsid in 1..=32 {
        assert_eq!(drive.create(CSI_NVM, 8, 8, 0), Ok(nsid));
        assert_eq!(drive.attach(nsid), SUCCESS);
    }
    assert_eq!(
        drive.create(CSI_NVM, 8, 8, 0),
        Err(Status::NAMESPACE_IDENTIFIER_UNAVAILABLE)
    );
    for nsid in 1..=32 {
        assert_eq!(drive.write(nsid, 0, nsid as u8), SUCCESS);
    }
    for nsid in 1..=32 {
        assert_eq!(drive.read(nsid, 0), Ok(nsid as u8));
    }
    let flush = drive.host.execute(1, commands::flush(NSID_BROADCAST)).status();
    assert_eq!(flush, SUCCESS);
}

#[test]
fn the_host_hears_of_changes_and_finds_them_in_the_list() {
    let mut drive = Drive::new();
    let events = commands::set_features(FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, false, 1 << 8, 0);
    assert_eq!(drive.admin(events), SUCCESS);
    let changed = |drive: &mut Drive| {
        let list = drive.log(LogPageId::CHANGED_NAMESPACE_LIST, 4096);
        let dwords = list
            .chunks(4)
            .map(|dword| u32::from_le_bytes(dword.try_into().unwrap()));
        dwords.take_while(|&nsid| nsid != 0).collect::<Vec<u32>>()
    };
    let changes: [fn(&mut Drive) -> Status; 4] = [
        |drive| drive.detach(NVM),
        |drive| drive.attach(NVM),
        |drive| drive.admin(commands::format_nvm(NVM, 1, 0)),
        |drive| drive.admin(commands::delete_namespace(NVM)),
    ];
    for change in changes {
        let request = drive
            .host
            .submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
        drive.host.run();
        assert!(drive.host.reap(0).is_none());
        // The event may come before or after the command's own completion.
        let before = change_without_order(&mut drive, change);
        assert_eq!(before, (request, 0x0004_0002), "notice 0, log page 4");
        assert_eq!(changed(&mut drive), [NVM]);
        assert_eq!(changed(&mut drive), []);
    }
    // What is created is not attached, and no news for the controller.
    assert_eq!(drive.create(CSI_NVM, 8, 8, 0), Ok(NVM));
    assert_eq!(changed(&mut drive), []);
}

/// Makes `change`, which completes one command, while an event request is held; the event's command and dword 0.
fn change_without_order(drive: &mut Drive, change: fn(&mut Drive) -> Status) -> (u16, u32) {
    assert_eq!(change(drive), SUCCESS);
    let event = drive.host.wait(0);
    (event.cid.get(), event.dw0.get())
}

/// Creates and deletes for a long time, with an oracle for room and content.
#[test]
fn many_creations_and_deletions_leave_no_trace() {
    let mut drive = Drive::new();
    assert_eq!(drive.admin(commands::delete_namespace(NSID_BROADCAST)), SUCCESS);
    let mut random = Random::new(11);
    let mut there: Vec<(u32, u8)> = Vec::new();
    let mut created = 0;
    for turn in 0..600 {
        if !there.is_empty() && random.below(2) == 0 {
            let (nsid, byte) = there.swap_remove(random.below(there.len() as u64) as usize);
            assert_eq!(drive.read(nsid, 0), Ok(byte), "turn {turn}");
            assert_eq!(drive.admin(commands::delete_namespace(nsid)), SUCCESS);
            continue;
        }
        let lbas = (1 + random.below(20)) * 2048;
        match drive.create([CSI_NVM, CSI_ZONED][random.below(2) as usize], lbas, lbas, 0) {
            Ok(nsid) => {
                assert!(there.iter().all(|&(other, _)| other != nsid));
                assert_eq!(drive.attach(nsid), SUCCESS);
                assert_eq!(drive.read(nsid, 0), Ok(0), "turn {turn}");
                assert_eq!(drive.read(nsid, lbas - 8), Ok(0), "turn {turn}");
                assert_eq!(drive.write(nsid, 0, turn as u8 | 1), SUCCESS);
                there.push((nsid, turn as u8 | 1));
                created += 1;
            }
            Err(status) => assert_eq!(status, Status::NAMESPACE_INSUFFICIENT_CAPACITY),
        }
    }
    assert!(created > 100, "{created}");
    for &(nsid, byte) in &there {
        assert_eq!(drive.read(nsid, 0), Ok(byte));
    }
    assert_eq!(drive.admin(commands::delete_namespace(NSID_BROADCAST)), SUCCESS);
    assert_eq!(drive.capacities(), (40 * MIB, 40 * MIB));
}
