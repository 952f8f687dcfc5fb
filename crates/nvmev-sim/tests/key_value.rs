//! Conformance of key-value namespaces: what a host reads of them, and the Key Value Command Set (KV CS 1.0).

use nvme_device::NamespaceConfig;
use nvme_spec::registers::{self};
use nvme_spec::{
    effects, store_option, AdminOpcode, FeatureId, IdentifyCns, IdentifyKeyValueNamespace, KeyValueOpcode,
    LogPageId, NvmOpcode, Status, SubmissionQueueEntry, KEY_VALUE_ERROR_ON_DELETE, NSID_BROADCAST,
};
use nvmev_sim::host::key_value::{standard, Dialect, KeyValueDriver};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;
use zerocopy::FromBytes;

use Dialect::{Standard, Vendor};

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const CSI_KEY_VALUE: u8 = 1;
const CAPACITY_BYTES: u64 = 8 << 20;

fn profile(changes: &'static str) -> Profile<'static> {
    let mut profile = *profiles::by_name("kv-prototype").unwrap();
    profile.set_list(changes).unwrap();
    profile.validate().unwrap();
    profile
}

fn drive(changes: &'static str) -> KeyValueDriver {
    KeyValueDriver::new(TestHost::new(&profile(changes), CAPACITY_BYTES, 512, 2))
}

#[test]
fn identify_says_what_the_namespace_is() {
    let mut drive = drive("");
    let host = &mut drive.host;
    let page = host.pages(1);
    let identify = |host: &mut TestHost, cns, nsid, csi| {
        host.machine.set_ram(page, &[0; 4096]);
        let status = host.admin(commands::identify(cns, nsid, csi, page)).status();
        (status, host.machine.ram(page, 4096))
    };
    let (status, data) = identify(host, IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_KEY_VALUE);
    assert_eq!(status, SUCCESS);
    let namespace = IdentifyKeyValueNamespace::read_from_bytes(&data).unwrap();
    // What is kept back for replacing pairs: one with the longest key and value.
    let kept_back = 512 * u64::div_ceil(256 + (2 << 20), 512);
    assert_eq!(namespace.nsze_bytes.get(), CAPACITY_BYTES - kept_back);
    assert_eq!((namespace.nuse_bytes.get(), namespace.nkvf_z), (0, 0));
    // Keys lie before values, so no length of a value is better than others.
    assert_eq!(namespace.novg_bytes.get(), 0);
    let format = &namespace.kvf[0];
    assert_eq!(
        (format.key_bytes_max.get(), format.value_bytes_max.get()),
        (16, 128 << 10)
    );
    assert_eq!(u64::from(format.keys_max.get()), CAPACITY_BYTES / 1024);
    assert!(namespace.nguid != [0; 16] && namespace.eui64 != [0; 8]);

    let (status, data) = identify(host, IdentifyCns::COMMAND_SET_CONTROLLER, 0, CSI_KEY_VALUE);
    assert_eq!((status, data), (SUCCESS, vec![0; 4096]));
    let (status, data) = identify(host, IdentifyCns::IO_COMMAND_SET, 0xFFFF, 0);
    assert_eq!((status, data[0]), (SUCCESS, 0b111));
    let (_, data) = identify(host, IdentifyCns::NAMESPACE_DESCRIPTORS, 1, 0);
    assert!(
        data.windows(5).any(|bytes| bytes == [4, 1, 0, 0, 1]),
        "a descriptor says command set 1"
    );
    let (_, data) = identify(
        host,
        IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST,
        0,
        CSI_KEY_VALUE,
    );
    assert_eq!(data[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    // It has no LBAs, and no zones.
    for csi in [0, 2] {
        let (status, _) = identify(host, IdentifyCns::COMMAND_SET_NAMESPACE, 1, csi);
        assert_eq!(status, Status::INVALID_IO_COMMAND_SET);
    }
    // SPDK attaches to a drive if this is Invalid Field or Invalid Namespace (nvme_ctrlr.c); it is then none of its namespaces.
    for cns in [IdentifyCns::NAMESPACE, IdentifyCns::ALLOCATED_NAMESPACE] {
        assert_eq!(identify(host, cns, 1, 0).0, Status::INVALID_FIELD_IN_COMMAND);
    }
    let (status, _) = identify(host, IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE, 1, 0);
    assert_eq!(status, SUCCESS);

    assert_eq!(drive.store(Standard, b"key", &[1; 1000], 0), SUCCESS);
    let entry = commands::identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_KEY_VALUE, page);
    assert_eq!(drive.host.admin(entry).status(), SUCCESS);
    let data = drive.host.machine.ram(page, 4096);
    let namespace = IdentifyKeyValueNamespace::read_from_bytes(&data).unwrap();
    assert_eq!(namespace.nuse_bytes.get(), 1024, "two units");
}

#[test]
fn a_drive_without_keys_does_not_speak_of_them() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let entry = commands::identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_KEY_VALUE, page);
    assert_eq!(host.admin(entry).status(), Status::INVALID_IO_COMMAND_SET);
    let entry = SubmissionQueueEntry {
        nsid: 1.into(),
        ..commands::get_features(FeatureId::KEY_VALUE_CONFIGURATION, 0, 0, 0)
    };
    assert_eq!(host.admin(entry).status(), Status::INVALID_FIELD_IN_COMMAND);
    for opcode in [
        KeyValueOpcode::LIST,
        KeyValueOpcode::DELETE,
        KeyValueOpcode::VENDOR_STORE,
    ] {
        let entry = standard(opcode, 1, b"key", 0, 4);
        assert_eq!(host.execute(1, entry).status(), Status::INVALID_COMMAND_OPCODE);
    }
}

/// What the effects log of a command set says is supported, is there, and nothing else.
#[test]
fn the_effects_log_says_what_is_there() {
    for (changes, csi) in [("", 1u32), ("key_value.command_set=nvm", 0)] {
        let mut drive = drive(changes);
        let page = drive.host.pages(1);
        let entry = SubmissionQueueEntry {
            cdw14: (csi << 24).into(),
            ..commands::get_log_page(
                LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS,
                NSID_BROADCAST,
                0,
                4096,
                page,
            )
        };
        assert_eq!(drive.host.admin(entry).status(), SUCCESS);
        let log = drive.host.machine.ram(page, 4096);
        for opcode in 0..=u8::MAX {
            let at = 1024 + usize::from(opcode) * 4;
            let effect = u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
            let entry = SubmissionQueueEntry {
                opcode,
                nsid: 1.into(),
                ..Default::default()
            };
            let is_there = drive.execute(entry).0 != Status::INVALID_COMMAND_OPCODE;
            assert_eq!(
                effect & effects::SUPPORTED != 0,
                is_there,
                "opcode {opcode:#x}, command set {csi}"
            );
        }
    }
}

#[test]
fn the_command_set_is_there_only_if_the_host_has_enabled_all() {
    let mut drive = drive("");
    drive.host.disable();
    // CSS = 000b: the NVM command set alone.
    let (sq, cq) = (drive.host.pages(1), drive.host.pages(1));
    drive.host.write_admin_registers(sq, cq);
    drive.host.set_register(registers::CC, 4 << 20 | 6 << 16 | 1);
    drive.host.run();
    drive.host.create_io_queues(1, 64);
    assert_eq!(drive.exist(Standard, b"key"), Status::INVALID_COMMAND_OPCODE);
    assert_eq!(drive.store(Vendor, b"key", b"value", 0), SUCCESS);
}

#[test]
fn a_value_of_any_length_is_stored_and_retrieved_in_parts() {
    let mut drive = drive("");
    for len in [0, 1, 3, 4, 495, 496, 497, 4096, 4097, 10_000, 131_071, 131_072] {
        let value: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        let key = format!("{len:016}");
        for key in [&key.as_bytes()[15..], key.as_bytes()] {
            assert_eq!(drive.store(Standard, key, &value, 0), SUCCESS);
            for buffer in [0, 1, 100, 4095, 131_072] {
                let (status, whole, data) = drive.retrieve(Standard, key, 0, buffer);
                assert_eq!((status, whole), (SUCCESS, len as u64));
                let got = value.len().min(buffer as usize);
                assert!(data[..got] == value[..got], "{len} bytes into {buffer}");
                assert!(
                    data[got..].iter().all(|&byte| byte == 0xEE),
                    "no more than the value"
                );
            }
        }
    }
}

#[test]
fn a_key_is_its_bytes_and_their_number() {
    let mut drive = drive("");
    let keys: [&[u8]; 6] = [
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"aaaaaaaaaaaaaaaa",
        b"aaaaaaaaaaaaaaa\0",
    ];
    for (number, key) in keys.into_iter().enumerate() {
        assert_eq!(drive.exist(Standard, key), Status::KEY_DOES_NOT_EXIST);
        assert_eq!(drive.store(Standard, key, &[number as u8], 0), SUCCESS);
    }
    for (number, key) in keys.into_iter().enumerate() {
        assert_eq!(drive.value(Standard, key), Ok(vec![number as u8]));
        assert_eq!(
            drive.value(Vendor, key),
            Ok(vec![number as u8]),
            "one set of keys"
        );
    }
    assert_eq!(drive.delete(Standard, b"a", 0), SUCCESS);
    assert_eq!(drive.exist(Standard, b"a"), Status::KEY_DOES_NOT_EXIST);
    assert_eq!(drive.value(Standard, b"a\0"), Ok(vec![3]));
}

#[test]
fn store_options_are_conditions() {
    let mut drive = drive("");
    let (must_exist, must_not_exist) = (store_option::MUST_EXIST, store_option::MUST_NOT_EXIST);
    let key = b"key";
    assert_eq!(
        drive.store(Standard, key, b"1", must_exist),
        Status::KEY_DOES_NOT_EXIST
    );
    assert_eq!(drive.exist(Standard, key), Status::KEY_DOES_NOT_EXIST);
    assert_eq!(drive.store(Standard, key, b"2", must_not_exist), SUCCESS);
    assert_eq!(
        drive.store(Standard, key, b"3", must_not_exist),
        Status::KEY_EXISTS
    );
    assert_eq!(drive.value(Standard, key), Ok(b"2".to_vec()));
    assert_eq!(drive.store(Standard, key, b"4", must_exist), SUCCESS);
    assert_eq!(
        drive.store(Standard, key, b"5", store_option::NO_COMPRESSION),
        SUCCESS
    );
    // Both at once can never be.
    for key in [&key[..], b"other"] {
        let status = drive.store(Standard, key, b"6", must_exist | must_not_exist);
        assert!(!status.is_success());
    }
    assert_eq!(drive.value(Standard, key), Ok(b"5".to_vec()));
    assert_eq!(
        drive.store(Standard, key, b"7", 1 << 3),
        Status::INVALID_FIELD_IN_COMMAND
    );
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let mut drive = drive("");
    let long = &[7; 17][..];
    for entry in [
        standard(KeyValueOpcode::STORE, 1, long, 0, 0),
        standard(KeyValueOpcode::RETRIEVE, 1, long, 0, 0),
        standard(KeyValueOpcode::DELETE, 1, long, 0, 0),
        standard(KeyValueOpcode::EXIST, 1, long, 0, 0),
        standard(KeyValueOpcode::LIST, 1, long, 0, 4096),
        standard(KeyValueOpcode::RETRIEVE, 1, b"key", 0, (128 << 10) + 1),
        standard(KeyValueOpcode::RETRIEVE, 1, b"key", 1 << 1, 0),
        standard(KeyValueOpcode::LIST, 1, b"key", 0, (128 << 10) + 1),
        standard(KeyValueOpcode::LIST, 1, b"key", 0, 3),
    ] {
        assert_eq!(
            drive.execute(entry).0,
            Status::INVALID_FIELD_IN_COMMAND,
            "{entry:?}"
        );
    }
    for opcode in [
        KeyValueOpcode::STORE,
        KeyValueOpcode::RETRIEVE,
        KeyValueOpcode::DELETE,
        KeyValueOpcode::EXIST,
    ] {
        let entry = standard(opcode, 1, b"", 0, 0);
        assert_eq!(drive.execute(entry).0, Status::INVALID_KEY_SIZE);
    }
    for len_bytes in [(128 << 10) + 1, u32::MAX] {
        let entry = standard(KeyValueOpcode::STORE, 1, b"key", 0, len_bytes);
        assert_eq!(drive.execute(entry).0, Status::INVALID_VALUE_SIZE);
    }
    let fused = SubmissionQueueEntry {
        flags: 1,
        ..standard(KeyValueOpcode::EXIST, 1, b"key", 0, 0)
    };
    assert_eq!(drive.execute(fused).0, Status::COMMAND_ABORTED_MISSING_FUSED);
    let elsewhere = standard(KeyValueOpcode::EXIST, 33, b"key", 0, 0);
    assert_eq!(drive.execute(elsewhere).0, Status::INVALID_NAMESPACE_OR_FORMAT);
    assert_eq!(drive.list(4096), Vec::<Vec<u8>>::new(), "nothing was stored");
}

#[test]
fn list_returns_every_key_once_and_as_many_as_fit() {
    let mut drive =
        drive("key_value.average_pair_bytes=512,key_value.unit_bytes=64,key_value.value_bytes_max=1048576");
    assert_eq!(drive.list_once(&[0], 4), Vec::<Vec<u8>>::new());
    let mut keys: Vec<Vec<u8>> = (0u32..3000)
        .map(|number| {
            let mut key = number.to_be_bytes().to_vec();
            key.resize(4 + number as usize % 13, 0x55);
            key
        })
        .collect();
    keys.push(vec![0]);
    for key in &keys {
        assert_eq!(drive.store(Standard, key, b"", 0), SUCCESS);
    }
    // The Key Value Command Set cannot have this one.
    assert_eq!(drive.store(Vendor, &[9; 200], b"", 0), SUCCESS);
    keys.sort();
    for len_bytes in [48, 100, 4096, 128 << 10] {
        let mut listed = drive.list(len_bytes);
        assert_eq!(listed[0], [0], "zeros come first");
        listed.sort();
        assert!(listed == keys, "{len_bytes}");
    }
    // From a key on: that key first, if it is there.
    let all = drive.list(4096);
    let from = &all[1000];
    assert_eq!(drive.list_once(from, 4096)[..10], all[1000..1010]);
    // With no key, or the first that there can be, from the beginning.
    assert_eq!(drive.list_once(&[0], 64), drive.list_once(&[], 64));
    // A place stays a place when its key goes.
    let next = all[1001].clone();
    assert_eq!(drive.delete(Standard, from, 0), SUCCESS);
    assert_eq!(drive.list_once(from, 64)[0], next);
    assert_eq!(
        drive.list_once(from, 4),
        Vec::<Vec<u8>>::new(),
        "there is no room for one"
    );
}

/// Keys of zeros come first, and are places like others: a list that goes on from one that has gone repeats nothing.
#[test]
fn a_list_goes_on_from_a_key_that_has_gone() {
    let mut drive = drive("");
    let keys: [&[u8]; 5] = [&[0], &[0; 2], &[0; 3], &[0; 4], b"other"];
    for key in keys {
        assert_eq!(drive.store(Standard, key, b"", 0), SUCCESS);
    }
    assert_eq!(drive.list_once(&[0], 4096), keys);
    assert_eq!(drive.delete(Standard, &[0; 2], 0), SUCCESS);
    assert_eq!(drive.list_once(&[0; 2], 4096), keys[2..]);
    assert_eq!(drive.delete(Standard, &[0], 0), SUCCESS);
    assert_eq!(drive.list_once(&[0], 4096), keys[2..]);
}

#[test]
fn small_values_count_as_data() {
    let mut drive = drive("");
    for number in 0u32..3000 {
        assert_eq!(
            drive.store(Standard, &number.to_be_bytes(), &[1; 500], 0),
            SUCCESS
        );
    }
    let page = drive.host.pages(1);
    let log = commands::get_log_page(LogPageId::SMART_HEALTH, NSID_BROADCAST, 0, 512, page);
    assert_eq!(drive.host.admin(log).status(), SUCCESS);
    // 1.5 MB in thousands of 512 bytes, rounded up.
    assert_eq!(drive.host.machine.ram(page + 48, 16), 3u128.to_le_bytes());
}

/// A drive with 50 keys for a List and `long_keys` that it leaves out, queue 2 beside queue 1, and a List whose answer goes to the address in the result.
fn with_keys_to_leave_out(long_keys: u32) -> (KeyValueDriver, SubmissionQueueEntry, u64) {
    let mut drive =
        drive("key_value.average_pair_bytes=64,key_value.unit_bytes=64,key_value.value_bytes_max=65536");
    for number in 0..long_keys {
        let mut key = [0x5A; 20];
        key[..4].copy_from_slice(&number.to_be_bytes());
        assert_eq!(drive.store(Vendor, &key, b"", 0), SUCCESS);
    }
    for number in 0u32..50 {
        assert_eq!(drive.store(Standard, &number.to_be_bytes(), b"", 0), SUCCESS);
    }
    drive.host.create_io_queues(2, 16);
    let buffer = drive.host.pages(2);
    let list = SubmissionQueueEntry {
        prp1: buffer.into(),
        ..standard(KeyValueOpcode::LIST, 1, &[0], 0, 4096)
    };
    (drive, list, buffer)
}

/// A drive whose List takes many passes, with one under way on queue 1 whose answer goes to the address in the result.
fn with_paused_list() -> (KeyValueDriver, u16, u64) {
    let (mut drive, list, buffer) = with_keys_to_leave_out(8_000);
    let cid = drive.host.submit(1, list);
    for _ in 0..5 {
        drive.host.step();
    }
    assert!(drive.host.reap(1).is_none(), "the list is not done yet");
    (drive, cid, buffer)
}

#[test]
fn a_paused_list_is_aborted_deleted_and_reset_like_any_command() {
    let (mut drive, cid, _) = with_paused_list();
    let aborted = drive.host.admin(commands::abort(1, cid));
    assert_eq!(aborted.status(), SUCCESS);
    let completion = drive.host.wait(1);
    assert_eq!(completion.cid.get(), cid);
    if aborted.dw0.get() & 1 == 0 {
        assert_eq!(completion.status(), Status::COMMAND_ABORT_REQUESTED);
    }
    assert_eq!(drive.list(4096).len(), 50);

    let (mut drive, cid, _) = with_paused_list();
    let delete = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1);
    assert_eq!(drive.host.admin(delete).status(), SUCCESS);
    let completion = drive.host.reap(1).expect("it was ended with its queue");
    assert_eq!(completion.cid.get(), cid);

    let (mut drive, ..) = with_paused_list();
    drive.host.disable();
    drive.restart();
    assert_eq!(drive.list(4096).len(), 50);
}

/// Others change what there is while a List is under way, and use the drive's buffer.
#[test]
fn what_happens_between_the_passes_of_a_list_does_not_disturb_it() {
    let (mut drive, _, buffer) = with_paused_list();
    let other = drive.host.pages(2);
    for number in 0u32..40 {
        let key = (number + 1_000).to_be_bytes();
        drive
            .host
            .submit(2, standard(KeyValueOpcode::STORE, 1, &key, 0, 0));
        assert_eq!(drive.host.wait(2).status(), SUCCESS);
        let list = SubmissionQueueEntry {
            prp1: other.into(),
            ..standard(KeyValueOpcode::LIST, 1, &key, 0, 8)
        };
        drive.host.submit(2, list);
        assert_eq!(drive.host.wait(2).status(), SUCCESS);
    }
    if drive.host.reap(1).is_none() {
        assert_eq!(drive.host.wait(1).status(), SUCCESS);
    }
    let answer = drive.host.machine.ram(buffer, 4096);
    let count = u32::from_le_bytes(answer[..4].try_into().unwrap());
    let mut numbers: Vec<u32> = (0..count as usize)
        .map(|at| {
            let entry = &answer[4 + at * 8..][..8];
            assert_eq!(entry[..2], [4, 0], "every key has four bytes");
            u32::from_be_bytes(entry[2..6].try_into().unwrap())
        })
        .collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
    assert_eq!(
        numbers.iter().filter(|&&number| number < 50).count(),
        50,
        "all that were there all the time"
    );
}

/// Keys that a List leaves out take time: it goes on in another pass, and other commands have their turn.
#[test]
fn a_list_that_takes_long_holds_nobody_up() {
    let (mut drive, list, buffer) = with_keys_to_leave_out(20_000);
    drive.host.submit(1, list);
    drive
        .host
        .submit(2, standard(KeyValueOpcode::EXIST, 1, &7u32.to_be_bytes(), 0, 0));
    assert_eq!(drive.host.wait(2).status(), SUCCESS);
    assert!(drive.host.reap(1).is_none(), "the list is not done yet");
    assert_eq!(drive.host.wait(1).status(), SUCCESS);
    assert_eq!(drive.host.machine.ram(buffer, 4), 50u32.to_le_bytes());
    assert_eq!(drive.list(128 << 10).len(), 50);
}

#[test]
fn deleting_what_is_not_there_is_an_error_if_the_host_wants_it() {
    let feature = FeatureId::KEY_VALUE_CONFIGURATION;
    let mut drive = drive("");
    let set = |nsid: u32, is_saved, value| SubmissionQueueEntry {
        nsid: nsid.into(),
        ..commands::set_features(feature, is_saved, value, 0)
    };
    let get = |nsid: u32, select| SubmissionQueueEntry {
        nsid: nsid.into(),
        ..commands::get_features(feature, select, 0, 0)
    };
    assert_eq!(drive.delete(Standard, b"key", 0), SUCCESS);
    assert_eq!(
        drive
            .host
            .admin(set(1, false, KEY_VALUE_ERROR_ON_DELETE))
            .status(),
        SUCCESS
    );
    assert_eq!(drive.host.admin(get(1, 0)).dw0.get(), 1);
    assert_eq!(drive.delete(Standard, b"key", 0), Status::KEY_DOES_NOT_EXIST);
    assert_eq!(
        drive.delete(Vendor, b"key", 0),
        SUCCESS,
        "it has an option of its own"
    );
    // Saveable, changeable, a namespace's own.
    assert_eq!(drive.host.admin(get(1, 3)).dw0.get(), 0b111);
    assert_eq!(drive.host.admin(get(1, 1)).dw0.get(), 0, "default");
    assert_eq!(drive.host.admin(get(1, 2)).dw0.get(), 0, "saved");
    for (entry, status) in [
        (set(1, false, 2), Status::INVALID_FIELD_IN_COMMAND),
        (set(2, false, 1), Status::INVALID_FIELD_IN_COMMAND),
        (set(0, false, 1), Status::INVALID_NAMESPACE_OR_FORMAT),
        (get(2, 0), Status::INVALID_FIELD_IN_COMMAND),
        (get(0, 0), Status::INVALID_NAMESPACE_OR_FORMAT),
        (set(NSID_BROADCAST, true, 1), SUCCESS),
        (set(1, false, 0), SUCCESS),
    ] {
        assert_eq!(drive.host.admin(entry).status(), status);
    }
    drive.host.disable();
    let mut drive = KeyValueDriver::new(drive.host);
    assert_eq!(
        drive.host.admin(get(1, 0)).dw0.get(),
        1,
        "a reset brings back what was saved"
    );
    assert_eq!(drive.delete(Standard, b"key", 0), Status::KEY_DOES_NOT_EXIST);
}

#[test]
fn a_full_drive_says_so_and_keeps_what_it_has() {
    let mut drive = drive("key_value.value_bytes_max=131072");
    let mut stored = 0u32;
    loop {
        match drive.store(Standard, &stored.to_be_bytes(), &[stored as u8; 20_000], 0) {
            SUCCESS => stored += 1,
            status => {
                assert_eq!(status, Status::CAPACITY_EXCEEDED);
                break;
            }
        }
    }
    // 8 MiB without what is kept back, in pairs of 40 units.
    let usable = CAPACITY_BYTES - 512 * u64::div_ceil(256 + (128 << 10), 512);
    assert_eq!(u64::from(stored), usable / (40 * 512));
    for number in 0..stored {
        let value = drive.value(Standard, &number.to_be_bytes());
        assert!(value == Ok(vec![number as u8; 20_000]));
    }
    // Another value of the same length, and one that is shorter.
    assert_eq!(
        drive.store(Standard, &0u32.to_be_bytes(), &[0xAA; 20_000], 0),
        SUCCESS
    );
    assert_eq!(drive.store(Vendor, &1u32.to_be_bytes(), &[0xBB; 100], 0), SUCCESS);
    assert_eq!(
        drive.store(Vendor, b"one more", &[0xCC; 40_000], 0),
        Status::VENDOR_CAPACITY_EXCEEDED
    );
    assert_eq!(drive.store(Vendor, b"one more", &[0xCC; 19_000], 0), SUCCESS);
}

/// Data that does not arrive changes nothing: neither the key that had a value, nor the one that had none.
#[test]
fn a_store_whose_data_does_not_arrive_never_was() {
    let mut drive = drive("");
    assert_eq!(drive.store(Standard, b"old", &[1; 9000], 0), SUCCESS);
    let used = |drive: &mut KeyValueDriver| {
        let page = drive.host.pages(1);
        let entry = commands::identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_KEY_VALUE, page);
        drive.host.admin(entry);
        drive.host.machine.ram(page + 16, 8)
    };
    let before = used(&mut drive);
    let good = drive.host.pages(1);
    for key in [&b"old"[..], b"new"] {
        for (prp1, prp2, status) in [
            (0, 0, Status::DATA_TRANSFER_ERROR),
            (good, 0, Status::DATA_TRANSFER_ERROR),
            (good, good + 1, Status::PRP_OFFSET_INVALID),
            (good + 2, 0, Status::PRP_OFFSET_INVALID),
            // A list that is not there, and one whose second entry leads nowhere.
            (good, u64::MAX - 7, Status::DATA_TRANSFER_ERROR),
        ] {
            let entry = SubmissionQueueEntry {
                prp1: prp1.into(),
                prp2: prp2.into(),
                ..standard(KeyValueOpcode::STORE, 1, key, 0, 8000)
            };
            let entry = if prp2 == u64::MAX - 7 {
                SubmissionQueueEntry {
                    cdw10: 20_000.into(),
                    ..entry
                }
            } else {
                entry
            };
            assert_eq!(drive.execute(entry).0, status, "{prp1:x} {prp2:x}");
        }
        let entry = SubmissionQueueEntry {
            prp1: good.into(),
            ..drive.command(Vendor, [KeyValueOpcode::VENDOR_APPEND; 2], key, 0, 8000)
        };
        assert_eq!(drive.execute(entry).0, Status::DATA_TRANSFER_ERROR);
    }
    assert!(drive.value(Standard, b"old") == Ok(vec![1; 9000]));
    assert_eq!(drive.exist(Standard, b"new"), Status::KEY_DOES_NOT_EXIST);
    assert_eq!(used(&mut drive), before, "no room was lost");
}

#[test]
fn pairs_outlive_a_reset_of_the_controller() {
    let mut drive = drive("");
    for number in 0u32..200 {
        assert_eq!(
            drive.store(Standard, &number.to_be_bytes(), &[number as u8; 700], 0),
            SUCCESS
        );
    }
    drive.host.disable();
    let mut drive = KeyValueDriver::new(drive.host);
    for number in 0u32..200 {
        assert!(drive.value(Standard, &number.to_be_bytes()) == Ok(vec![number as u8; 700]));
    }
}

/// A device of several kinds: a flush of all reaches every namespace, and commands go by the kind of theirs.
#[test]
fn a_key_value_namespace_can_be_beside_another() {
    let namespace = |profile: &Profile<'_>, media_offset| NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: 512,
        media_offset,
        media_len_bytes: CAPACITY_BYTES,
    };
    let block = profiles::by_name("optane").unwrap();
    let host = TestHost::with_namespaces(
        vec![namespace(&profile(""), 0), namespace(block, CAPACITY_BYTES)],
        2,
    );
    let mut drive = KeyValueDriver::new(host);
    assert_eq!(drive.store(Standard, b"key", &[5; 3000], 0), SUCCESS);
    let buffer = drive.host.pages(1);
    drive.host.machine.set_ram(buffer, &[6; 512]);
    let write = commands::read_write(NvmOpcode::WRITE, 2, 0, 1, buffer, 0);
    assert_eq!(drive.execute(write).0, SUCCESS);
    assert_eq!(
        drive.host.machine.media()[CAPACITY_BYTES as usize..][..512],
        [6; 512]
    );
    assert_eq!(drive.execute(commands::flush(NSID_BROADCAST)).0, SUCCESS);
    assert_eq!(drive.execute(commands::flush(1)).0, SUCCESS);
    assert!(drive.value(Standard, b"key") == Ok(vec![5; 3000]));
    let entry = standard(KeyValueOpcode::DELETE, 2, b"key", 0, 0);
    assert_eq!(drive.execute(entry).0, Status::INVALID_COMMAND_OPCODE);
}
