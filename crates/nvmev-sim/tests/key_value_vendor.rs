//! Conformance of key-value namespaces: the vendor specific commands (MODELS.md §7), and the LBAs of a drive that has them beside its pairs.

use nvme_spec::{
    vendor_option, DatasetRange, IdentifyCns, IdentifyNamespace, KeyValueOpcode, LogPageId, NvmOpcode,
    Status, SubmissionQueueEntry, VENDOR_ITERATORS,
};
use nvmev_sim::host::key_value::{
    batch_payload, iterate_read, iterate_request, standard, vendor, Dialect, KeyValueDriver,
};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;
use zerocopy::{FromBytes, IntoBytes};

use Dialect::Vendor;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const STORE: KeyValueOpcode = KeyValueOpcode::VENDOR_STORE;
const DELETE: KeyValueOpcode = KeyValueOpcode::VENDOR_DELETE;
const CAPACITY_BYTES: u64 = 8 << 20;

fn drive(changes: &'static str) -> KeyValueDriver {
    let mut profile = *profiles::by_name("kv-prototype").unwrap();
    profile.set_list(changes).unwrap();
    profile.validate().unwrap();
    KeyValueDriver::new(TestHost::new(&profile, CAPACITY_BYTES, 512, 1))
}

#[test]
fn keys_of_every_length_are_had_inline_and_through_prps() {
    let mut drive = drive("");
    let key = |len: usize| -> Vec<u8> { (0..len).map(|at| (at * 3 + len) as u8).collect() };
    for len in 1..=255 {
        assert_eq!(drive.store(Vendor, &key(len), &[len as u8; 77], 0), SUCCESS);
    }
    for len in 1..=255 {
        assert_eq!(drive.exist(Vendor, &key(len)), SUCCESS);
        assert_eq!(drive.value(Vendor, &key(len)), Ok(vec![len as u8; 77]));
        if len % 2 == 0 {
            assert_eq!(
                drive.delete(Vendor, &key(len), vendor_option::DELETE_MUST_EXIST),
                SUCCESS
            );
        }
    }
    for len in 1..=255 {
        let exists = drive.exist(Vendor, &key(len)) == SUCCESS;
        assert_eq!(exists, len % 2 == 1);
    }
    let too_long = SubmissionQueueEntry {
        cdw11: 255.into(),
        ..vendor(KeyValueOpcode::VENDOR_EXIST, 1, b"", 0, 0)
    };
    assert_eq!(drive.execute(too_long).0, Status::VENDOR_INVALID_KEY_SIZE);
    // The key cannot be fetched.
    for (prp1, status) in [(0, Status::DATA_TRANSFER_ERROR), (2, Status::PRP_OFFSET_INVALID)] {
        let entry = SubmissionQueueEntry {
            cdw11: 99.into(),
            cdw12: prp1.into(),
            ..vendor(KeyValueOpcode::VENDOR_EXIST, 1, b"", 0, 0)
        };
        assert_eq!(drive.execute(entry).0, status);
    }
}

#[test]
fn options_are_those_of_samsungs_drive() {
    let mut drive = drive("");
    let key = b"key";
    assert_eq!(
        drive.delete(Vendor, key, vendor_option::DELETE_MUST_EXIST),
        Status::VENDOR_KEY_DOES_NOT_EXIST
    );
    assert_eq!(drive.delete(Vendor, key, 0), SUCCESS);
    assert_eq!(drive.exist(Vendor, key), Status::VENDOR_KEY_DOES_NOT_EXIST);
    assert_eq!(drive.value(Vendor, key), Err(Status::VENDOR_KEY_DOES_NOT_EXIST));
    for options in 0..8 {
        let is_idempotent = options & vendor_option::STORE_IDEMPOTENT != 0;
        let value = [options; 5];
        let exists = drive.exist(Vendor, key) == SUCCESS;
        let status = drive.store(Vendor, key, &value, options);
        if is_idempotent && exists {
            assert_eq!(status, Status::VENDOR_KEY_EXISTS);
        } else {
            assert_eq!(status, SUCCESS);
            assert_eq!(drive.value(Vendor, key), Ok(value.to_vec()));
        }
    }
    let entry = vendor(
        KeyValueOpcode::VENDOR_RETRIEVE,
        1,
        key,
        vendor_option::RETRIEVE_LENGTH_ONLY,
        8,
    );
    assert_eq!(drive.receive(entry, 8), (SUCCESS, 5, vec![0xEE; 8]));
    for (opcode, options) in [
        (STORE, 1 << 3),
        (KeyValueOpcode::VENDOR_APPEND, 1 << 3),
        (KeyValueOpcode::VENDOR_APPEND, vendor_option::STORE_IDEMPOTENT),
        (KeyValueOpcode::VENDOR_RETRIEVE, 1 << 2),
        (DELETE, 1 << 1),
    ] {
        let entry = vendor(opcode, 1, key, options, 0);
        assert_eq!(
            drive.execute(entry).0,
            Status::VENDOR_INVALID_OPTION,
            "{opcode:?}"
        );
    }
    let long = vendor(STORE, 1, key, 0, (128 << 10) + 4);
    assert_eq!(drive.execute(long).0, Status::VENDOR_INVALID_VALUE_SIZE);
}

#[test]
fn a_value_is_retrieved_from_any_offset() {
    let mut drive = drive("");
    let value: Vec<u8> = (0..50_001u32).map(|at| (at * 13 / 7) as u8).collect();
    assert_eq!(drive.store(Vendor, b"key", &value, 0), SUCCESS);
    for offset in [0, 1, 511, 512, 4096, 49_999, 50_000] {
        for len in [4, 512, 5000, 65_536] {
            let (status, whole, data) = drive.retrieve(Vendor, b"key", offset, len);
            assert_eq!((status, whole), (SUCCESS, 50_001));
            let rest = &value[offset as usize..];
            let got = rest.len().min(len as usize);
            assert!(data[..got] == rest[..got], "{len} from {offset}");
        }
    }
    for offset in [50_001, u32::MAX] {
        let (status, ..) = drive.retrieve(Vendor, b"key", offset, 512);
        assert_eq!(status, Status::VENDOR_INVALID_VALUE_OFFSET);
    }
    // In dword 5, in dword 4, in both; but not two different ones.
    for (mptr, expected) in [
        (100u64 << 32, Ok(100)),
        (100, Ok(100)),
        (100 << 32 | 100, Ok(100)),
        (100 << 32 | 99, Err(Status::VENDOR_INVALID_VALUE_OFFSET)),
    ] {
        let entry = SubmissionQueueEntry {
            mptr: mptr.into(),
            ..vendor(KeyValueOpcode::VENDOR_RETRIEVE, 1, b"key", 0, 8)
        };
        let (status, _, data) = drive.receive(entry, 8);
        match expected {
            Ok(offset) => assert_eq!(data, value[offset..offset + 8]),
            Err(error) => assert_eq!(status, error),
        }
    }
    for opcode in [STORE, KeyValueOpcode::VENDOR_APPEND] {
        let entry = SubmissionQueueEntry {
            mptr: 4.into(),
            ..vendor(opcode, 1, b"key", 0, 4)
        };
        assert_eq!(drive.send(entry, b"data").0, Status::VENDOR_INVALID_VALUE_OFFSET);
    }
}

#[test]
fn values_grow_by_appending_as_far_as_they_may() {
    let mut drive = drive("");
    let mut value = Vec::new();
    // The first one is a store.
    for step in 0u32..40 {
        let more = vec![step as u8; (step * 1733 % 70_000) as usize];
        assert_eq!(drive.append(b"key", &more), SUCCESS);
        value.extend(more);
        // Something lies between the parts.
        assert_eq!(drive.store(Vendor, &step.to_be_bytes(), &[1; 600], 0), SUCCESS);
    }
    assert!(drive.value(Vendor, b"key") == Ok(value.clone()));
    while value.len() + 131_072 <= 2 << 20 {
        assert_eq!(drive.append(b"key", &vec![0x3C; 131_072]), SUCCESS);
        value.extend(vec![0x3C; 131_072]);
    }
    assert_eq!(
        drive.append(b"key", &vec![0; 131_072]),
        Status::VENDOR_VALUE_LIMIT_EXCEEDED
    );
    assert!(drive.value(Vendor, b"key") == Ok(value));
    // The Key Value Command Set gets as much of it as one command can move.
    let (status, whole, _) = drive.retrieve(Dialect::Standard, b"key", 0, 131_072);
    assert_eq!(status, SUCCESS);
    assert!(whole > 1 << 20);
}

#[test]
fn a_batch_does_its_commands_in_order() {
    let mut drive = drive("");
    let payload = batch_payload(&[
        (STORE, 0, b"a", b"first"),
        (STORE, 0, &[7; 200], &[8; 3000]),
        (STORE, 0, b"empty", b""),
        (STORE, 0, b"a", b"second"),
        (DELETE, vendor_option::DELETE_MUST_EXIST, b"empty", b""),
        (STORE, vendor_option::STORE_IDEMPOTENT, b"c", &[9; 64]),
    ]);
    let batch = |payload: &[u8]| vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, payload.len() as u32);
    assert_eq!(drive.send(batch(&payload), &payload).0, SUCCESS);
    assert_eq!(drive.value(Vendor, b"a"), Ok(b"second".to_vec()));
    assert_eq!(drive.value(Vendor, &[7; 200]), Ok(vec![8; 3000]));
    assert_eq!(drive.value(Vendor, b"c"), Ok(vec![9; 64]));
    assert_eq!(drive.exist(Vendor, b"empty"), Status::VENDOR_KEY_DOES_NOT_EXIST);

    // The third command fails: what came before it is done, what comes after it is not.
    let payload = batch_payload(&[
        (STORE, 0, b"d", b"d"),
        (DELETE, 0, b"nothing", b""),
        (STORE, vendor_option::STORE_IDEMPOTENT, b"c", b"no"),
        (STORE, 0, b"e", b"e"),
    ]);
    assert_eq!(drive.send(batch(&payload), &payload).0, Status::VENDOR_KEY_EXISTS);
    assert_eq!(drive.value(Vendor, b"d"), Ok(b"d".to_vec()));
    assert_eq!(drive.value(Vendor, b"c"), Ok(vec![9; 64]));
    assert_eq!(drive.exist(Vendor, b"e"), Status::VENDOR_KEY_DOES_NOT_EXIST);

    // Eight, and none. The padding of the last one may be missing.
    let eight: Vec<_> = (0..8).map(|_| (STORE, 0, &b"eight"[..], &b"8"[..])).collect();
    let payload = batch_payload(&eight);
    let payload = &payload[..payload.len() - 60];
    assert_eq!(drive.send(batch(payload), payload).0, SUCCESS);
    assert_eq!(drive.value(Vendor, b"eight"), Ok(b"8".to_vec()));
    assert_eq!(drive.send(batch(&[0; 512]), &[0; 512]).0, SUCCESS);
}

#[test]
fn a_batch_whose_head_lies_does_nothing() {
    let mut drive = drive("");
    let good: (KeyValueOpcode, u8, &[u8], &[u8]) = (STORE, 0, b"good", b"good");
    let cases: [(Vec<u8>, Status); 6] = [
        // Shorter than a head.
        (vec![0; 508], Status::VENDOR_INVALID_VALUE_SIZE),
        (
            batch_payload(&[good, (KeyValueOpcode::VENDOR_APPEND, 0, b"b", b"")]),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (
            batch_payload(&[good, (STORE, 0, b"", b"x")]),
            Status::VENDOR_INVALID_KEY_SIZE,
        ),
        (
            batch_payload(&[good, (STORE, 1 << 5, b"b", b"x")]),
            Status::VENDOR_INVALID_OPTION,
        ),
        (
            batch_payload(&[good, (DELETE, 1 << 1, b"b", b"")]),
            Status::VENDOR_INVALID_OPTION,
        ),
        {
            // A value that is longer than the payload.
            let mut payload = batch_payload(&[good, (STORE, 0, b"b", b"x")]);
            payload[16 + 4..16 + 8].copy_from_slice(&u32::MAX.to_le_bytes());
            (payload, Status::VENDOR_INVALID_VALUE_SIZE)
        },
    ];
    for (payload, status) in cases {
        let entry = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, payload.len() as u32);
        assert_eq!(drive.send(entry, &payload).0, status);
        assert_eq!(drive.exist(Vendor, b"good"), Status::VENDOR_KEY_DOES_NOT_EXIST);
    }
    // A value that is too long for the drive.
    let mut small = self::drive("key_value.value_bytes_max=4096");
    let payload = batch_payload(&[good, (STORE, 0, b"b", &[1; 5000])]);
    let entry = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, payload.len() as u32);
    assert_eq!(small.send(entry, &payload).0, Status::VENDOR_INVALID_VALUE_SIZE);
    assert_eq!(small.exist(Vendor, b"good"), Status::VENDOR_KEY_DOES_NOT_EXIST);
    let too_long = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, (128 << 10) + 4);
    assert_eq!(drive.execute(too_long).0, Status::INVALID_FIELD_IN_COMMAND);
    let nowhere = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, 4096);
    assert_eq!(drive.execute(nowhere).0, Status::DATA_TRANSFER_ERROR);
}

#[test]
fn iterators_go_through_the_keys_of_a_prefix() {
    let mut drive = drive("");
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for prefix in [b"aaaa", b"aaab", b"bbbb"] {
        for number in 0u16..150 {
            let key = [
                &prefix[..],
                &number.to_be_bytes(),
                &vec![0; usize::from(number % 40)],
            ]
            .concat();
            assert_eq!(drive.store(Vendor, &key, &[1; 10], 0), SUCCESS);
            keys.push(key);
        }
    }
    for short in [&b"a"[..], b"aa"] {
        assert_eq!(drive.store(Vendor, short, b"", 0), SUCCESS);
        keys.push(short.to_vec());
    }
    let number = |prefix: &[u8; 4]| u32::from_le_bytes(*prefix);
    for (prefix, mask, wanted) in [
        (number(b"aaaa"), u32::MAX, &b"aaaa"[..]),
        (number(b"aaab"), u32::MAX, b"aaab"),
        (number(b"aaa?"), 0x00FF_FFFF, b"aaa"),
        (number(b"bbbb"), 0x0000_00FF, b"b"),
        (0, 0, b""),
        (number(b"zzzz"), u32::MAX, b"zzzz"),
    ] {
        for len_bytes in [64, 1000, 32 << 10] {
            let handle = drive.open(prefix, mask, vendor_option::ITERATE_KEYS).unwrap();
            let mut seen = Vec::new();
            let end = loop {
                match drive.read_keys(handle, len_bytes) {
                    Ok(keys) => {
                        assert!(!keys.is_empty());
                        seen.extend(keys);
                    }
                    Err(status) => break status,
                }
            };
            assert_eq!(end, Status::VENDOR_ITERATOR_END);
            // And again; a client that takes the answer apart finds no key in it, and nothing else was written.
            let (status, result, data) = drive.receive(iterate_read(1, handle, len_bytes), 64);
            assert_eq!((status, result), (Status::VENDOR_ITERATOR_END, 0));
            assert_eq!(data[..4], [0; 4], "a count of 0");
            assert!(data[4..].iter().all(|&byte| byte == 0xEE));
            assert_eq!(drive.close(handle), SUCCESS);
            seen.sort();
            let mut expected: Vec<_> = keys
                .iter()
                .filter(|key| key.starts_with(wanted))
                .cloned()
                .collect();
            expected.sort();
            assert!(seen == expected, "{wanted:?}");
        }
    }
}

#[test]
fn an_iterator_of_pairs_returns_one_pair_at_a_time() {
    let mut drive = drive("");
    let lengths = [0usize, 1, 3583, 3584, 3585, 20_050];
    for len in lengths {
        assert_eq!(
            drive.store(Vendor, &vec![b'k'; len % 200 + 17], &vec![len as u8; len], 0),
            SUCCESS
        );
    }
    let handle = drive.open(0, 0, vendor_option::ITERATE_PAIRS).unwrap();
    let mut seen = Vec::new();
    // A buffer without room for the key says so, and nothing is skipped.
    let (status, ..) = drive.receive(iterate_read(1, handle, 16), 16);
    assert_eq!(status, Status::VENDOR_INVALID_VALUE_SIZE);
    loop {
        let (status, result, data) = drive.receive(iterate_read(1, handle, 65_536), 65_536);
        if status == Status::VENDOR_ITERATOR_END {
            assert_eq!(data[..8], [0, 0, 0, 0, 0xEE, 0xEE, 0xEE, 0xEE]);
            break;
        }
        assert_eq!(status, SUCCESS);
        let (key_bytes, value_bytes) = ((result >> 24) as usize, (result & 0xFF_FFFF) as usize);
        assert!(data[..key_bytes].iter().all(|&byte| byte == b'k'));
        assert!(data[512..512 + value_bytes]
            .iter()
            .all(|&byte| byte == value_bytes as u8));
        assert!(data[512 + value_bytes..].iter().all(|&byte| byte == 0xEE));
        assert_eq!(key_bytes, value_bytes % 200 + 17);
        seen.push(value_bytes);
    }
    seen.sort_unstable();
    assert_eq!(seen, lengths);
}

/// A value that no buffer has room for is in nobody's way.
#[test]
fn an_iterator_of_pairs_returns_what_fits() {
    let mut drive = drive("");
    let value: Vec<u8> = (0..131_072u32).map(|at| (at / 5) as u8).collect();
    assert_eq!(drive.store(Vendor, b"large", &value, 0), SUCCESS);
    for number in 0u8..20 {
        assert_eq!(drive.store(Vendor, &[number; 3], b"small", 0), SUCCESS);
    }
    for len_bytes in [8, 512, 516, 4096, 131_072] {
        let handle = drive.open(0, 0, vendor_option::ITERATE_PAIRS).unwrap();
        let mut keys = 0;
        loop {
            let (status, result, data) =
                drive.receive(iterate_read(1, handle, len_bytes), len_bytes as usize);
            if status == Status::VENDOR_ITERATOR_END {
                break;
            }
            assert_eq!(status, SUCCESS);
            keys += 1;
            let (key_bytes, value_bytes) = ((result >> 24) as usize, (result & 0xFF_FFFF) as usize);
            if &data[..key_bytes] == b"large" {
                assert_eq!(value_bytes, 131_072);
                let room = data.len().saturating_sub(512);
                assert!(data[data.len() - room..] == value[..room]);
            } else {
                assert_eq!((key_bytes, value_bytes), (3, 5));
            }
        }
        assert_eq!(keys, 21, "{len_bytes}");
        assert_eq!(drive.close(handle), SUCCESS);
    }
}

/// Without data, the data pointer has no meaning.
#[test]
fn a_command_that_moves_nothing_does_not_look_at_its_data_pointer() {
    let mut drive = drive("");
    let nowhere = |entry| SubmissionQueueEntry {
        prp1: 1.into(),
        prp2: 3.into(),
        ..entry
    };
    for (entry, result) in [
        (standard(KeyValueOpcode::STORE, 1, b"key", 0, 0), 0),
        (vendor(STORE, 1, b"other", 0, 0), 0),
        (standard(KeyValueOpcode::RETRIEVE, 1, b"key", 0, 4096), 0),
        (vendor(KeyValueOpcode::VENDOR_RETRIEVE, 1, b"key", 0, 0), 0),
        (
            vendor(
                KeyValueOpcode::VENDOR_RETRIEVE,
                1,
                b"key",
                vendor_option::RETRIEVE_LENGTH_ONLY,
                4096,
            ),
            0,
        ),
    ] {
        assert_eq!(drive.execute(nowhere(entry)), (SUCCESS, result), "{entry:?}");
    }
}

#[test]
fn handles_are_few_and_known() {
    let mut drive = drive("");
    let handles: Vec<u8> = (0..VENDOR_ITERATORS as u32)
        .map(|prefix| drive.open(prefix, u32::MAX, 0).unwrap())
        .collect();
    assert_eq!(handles, (1..=16).collect::<Vec<u8>>());
    assert_eq!(
        drive.open(99, u32::MAX, 0),
        Err(Status::VENDOR_NO_ITERATOR_AVAILABLE)
    );
    assert_eq!(drive.open(5, u32::MAX, 0), Err(Status::VENDOR_ITERATOR_EXISTS));
    assert_eq!(drive.close(5), SUCCESS);
    for handle in [0, 5, 17, 255] {
        assert_eq!(drive.close(handle), Status::VENDOR_ITERATOR_DOES_NOT_EXIST);
        assert_eq!(
            drive.read_keys(handle, 4096),
            Err(Status::VENDOR_ITERATOR_DOES_NOT_EXIST)
        );
    }
    assert_eq!(drive.open(99, u32::MAX, 0), Ok(5));
    assert_eq!(drive.open(98, 0xFF, 0), Err(Status::VENDOR_NO_ITERATOR_AVAILABLE));
    for options in [0, 3, 4, 0x0D, 0x10, 0x11, 0xFF] {
        let entry = iterate_request(1, 1, options, 0, 0);
        assert_eq!(
            drive.execute(entry).0,
            Status::VENDOR_INVALID_OPTION,
            "{options:#x}"
        );
    }
    let long = iterate_read(1, 1, (128 << 10) + 4);
    assert_eq!(drive.execute(long).0, Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(drive.store(Vendor, &[1, 0, 0, 0], b"", 0), SUCCESS);
    for len_bytes in [0, 4, 8] {
        assert_eq!(
            drive.read_keys(2, len_bytes),
            Err(Status::VENDOR_INVALID_VALUE_SIZE)
        );
    }
    assert_eq!(drive.read_keys(2, 12), Ok(vec![vec![1, 0, 0, 0]]));
    // A reset closes all.
    drive.host.disable();
    let mut drive = KeyValueDriver::new(drive.host);
    assert_eq!(drive.close(1), Status::VENDOR_ITERATOR_DOES_NOT_EXIST);
    assert_eq!(drive.exist(Vendor, &[1, 0, 0, 0]), SUCCESS);
}

#[test]
fn without_lbas_reads_and_writes_are_the_key_value_command_set() {
    let mut drive = drive("");
    let buffer = drive.host.pages(1);
    let write = commands::read_write(NvmOpcode::WRITE, 1, 0, 1, buffer, 0);
    // A Store with a key of no bytes.
    assert_eq!(drive.execute(write).0, Status::INVALID_KEY_SIZE);
    for opcode in [NvmOpcode::WRITE_ZEROES, NvmOpcode::DATASET_MANAGEMENT] {
        let entry = commands::read_write(opcode, 1, 0, 1, buffer, 0);
        assert_eq!(drive.execute(entry).0, Status::INVALID_COMMAND_OPCODE);
    }
}

const WITH_LBAS: &str = "key_value.command_set=nvm";

fn write(drive: &mut KeyValueDriver, slba: u64, data: &[u8]) -> Status {
    let entry = commands::read_write(NvmOpcode::WRITE, 1, slba, data.len() as u32 / 512, 0, 0);
    drive.send(entry, data).0
}

fn read(drive: &mut KeyValueDriver, slba: u64, lbas: u32) -> Vec<u8> {
    let entry = commands::read_write(NvmOpcode::READ, 1, slba, lbas, 0, 0);
    let (status, _, data) = drive.receive(entry, lbas as usize * 512);
    assert_eq!(status, SUCCESS);
    data
}

#[test]
fn lbas_are_read_and_written_beside_the_pairs() {
    let mut drive = drive(WITH_LBAS);
    let page = drive.host.pages(1);
    let entry = commands::identify(IdentifyCns::NAMESPACE, 1, 0, page);
    assert_eq!(drive.host.admin(entry).status(), SUCCESS);
    let namespace = IdentifyNamespace::read_from_bytes(&drive.host.machine.ram(page, 4096)).unwrap();
    let lbas = namespace.nsze_lbas.get();
    assert!(lbas > CAPACITY_BYTES * 7 / 10 / 512 && lbas < CAPACITY_BYTES / 512);

    assert_eq!(read(&mut drive, 0, 256), vec![0; 131_072], "never written");
    let mut expected = vec![0u8; 64 * 512];
    for (slba, count, byte) in [(3u64, 1usize, 1u8), (0, 8, 2), (5, 20, 3), (9, 1, 4), (60, 4, 5)] {
        let data: Vec<u8> = (0..count * 512).map(|at| (at as u8).wrapping_mul(byte)).collect();
        assert_eq!(write(&mut drive, slba, &data), SUCCESS);
        expected[slba as usize * 512..][..count * 512].copy_from_slice(&data);
        let key = [byte; 30];
        assert_eq!(drive.store(Vendor, &key, &data, 0), SUCCESS);
        assert!(read(&mut drive, 0, 64) == expected);
        assert!(drive.value(Vendor, &key) == Ok(data));
    }
    assert!(read(&mut drive, 7, 13) == expected[7 * 512..20 * 512]);
    for (slba, count) in [(0u64, 1u32), (6, 20)] {
        assert_eq!(
            drive.execute(commands::write_zeroes(1, slba, count, true)).0,
            SUCCESS
        );
        expected[slba as usize * 512..][..count as usize * 512].fill(0);
        assert!(read(&mut drive, 0, 64) == expected);
    }
    let ranges = [(1u64, 1u32), (56, 8)].map(|(slba, lbas)| DatasetRange {
        slba: slba.into(),
        lbas: lbas.into(),
        ..Default::default()
    });
    let entry = commands::deallocate(1, 2, 0);
    assert_eq!(drive.send(entry, ranges.as_bytes()).0, SUCCESS);
    expected[512..1024].fill(0);
    expected[56 * 512..].fill(0);
    assert!(read(&mut drive, 0, 64) == expected);

    for (entry, status) in [
        (
            commands::read_write(NvmOpcode::READ, 1, lbas, 1, page, 0),
            Status::LBA_OUT_OF_RANGE,
        ),
        (
            commands::read_write(NvmOpcode::WRITE, 1, u64::MAX, 2, page, 0),
            Status::LBA_OUT_OF_RANGE,
        ),
        (
            commands::read_write(NvmOpcode::READ, 1, 0, 257, page, 0),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (
            commands::read_write(NvmOpcode::READ, 1, 0, 8, 0, 0),
            Status::DATA_TRANSFER_ERROR,
        ),
        (
            commands::read_write(NvmOpcode::WRITE, 1, 0, 8, 0, 0),
            Status::DATA_TRANSFER_ERROR,
        ),
        (commands::deallocate(1, 1, 0), Status::DATA_TRANSFER_ERROR),
        (
            commands::zone_append(1, 0, 1, page, 0),
            Status::INVALID_COMMAND_OPCODE,
        ),
    ] {
        assert_eq!(drive.execute(entry).0, status);
    }
    let log = commands::get_log_page(LogPageId::ERROR_INFORMATION, u32::MAX, 0, 64 * 7, page);
    assert_eq!(drive.host.admin(log).status(), SUCCESS);
    let logged = drive.host.machine.ram(page, 64 * 7);
    assert_eq!(
        logged[6 * 64 + 16..][..8],
        lbas.to_le_bytes(),
        "the first failure's LBA"
    );
    // Iterators know nothing of LBAs.
    let handle = drive.open(0, 0, 0).unwrap();
    let mut keys = 0;
    while let Ok(more) = drive.read_keys(handle, 32 << 10) {
        keys += more.len();
    }
    assert_eq!(keys, 5);
}

/// A deallocation of much goes on in other passes, and is complete when it says so.
#[test]
fn a_deallocation_of_many_pages_holds_nobody_up() {
    let mut drive = drive(WITH_LBAS);
    for slba in (0..8192).step_by(256) {
        assert_eq!(write(&mut drive, slba, &vec![slba as u8 | 1; 131_072]), SUCCESS);
    }
    let ranges: Vec<DatasetRange> = (0..32u64)
        .map(|range| DatasetRange {
            slba: (range + 3).into(),
            lbas: (4096 - 3 - range as u32).into(),
            ..Default::default()
        })
        .collect();
    drive.host.create_io_queues(2, 16);
    let buffer = drive.host.pages(1);
    drive.host.machine.set_ram(buffer, ranges.as_bytes());
    drive.host.submit(1, commands::deallocate(1, 32, buffer));
    drive
        .host
        .submit(2, vendor(KeyValueOpcode::VENDOR_EXIST, 1, b"x", 0, 0));
    assert_eq!(drive.host.wait(2).status(), Status::VENDOR_KEY_DOES_NOT_EXIST);
    assert!(
        drive.host.reap(1).is_none(),
        "there are more than 15,000 pages to look at"
    );
    assert_eq!(drive.host.wait(1).status(), SUCCESS);
    let data = read(&mut drive, 0, 256);
    assert!(data[..3 * 512].iter().all(|&byte| byte == 1));
    assert!(data[3 * 512..].iter().all(|&byte| byte == 0));
    for slba in (256..8192).step_by(256) {
        let expected = if slba < 4096 { 0 } else { slba as u8 | 1 };
        assert!(read(&mut drive, slba, 256).iter().all(|&byte| byte == expected));
    }
}

/// All LBAs can be written if there are no pairs; pairs then find no room, and have it again when LBAs are deallocated.
#[test]
fn lbas_and_pairs_share_the_capacity() {
    let mut drive = drive("key_value.command_set=nvm,key_value.average_pair_bytes=65536");
    let page = drive.host.pages(1);
    drive
        .host
        .admin(commands::identify(IdentifyCns::NAMESPACE, 1, 0, page));
    let namespace = IdentifyNamespace::read_from_bytes(&drive.host.machine.ram(page, 4096)).unwrap();
    let lbas = namespace.nsze_lbas.get();
    let chunk = |slba: u64| -> Vec<u8> {
        let count = (lbas - slba).min(256) as usize;
        (0..count * 512)
            .map(|at| (at as u64 / 512 + slba) as u8)
            .collect()
    };
    for slba in (0..lbas).step_by(256) {
        assert_eq!(write(&mut drive, slba, &chunk(slba)), SUCCESS, "LBA {slba}");
    }
    assert_eq!(
        drive.store(Vendor, b"key", &[1; 5000], 0),
        Status::VENDOR_CAPACITY_EXCEEDED
    );
    for slba in (0..lbas).step_by(256) {
        let wanted = chunk(slba);
        assert!(read(&mut drive, slba, wanted.len() as u32 / 512) == wanted);
    }
    assert_eq!(drive.execute(commands::write_zeroes(1, 0, 16, true)).0, SUCCESS);
    assert_eq!(drive.store(Vendor, b"key", &[1; 5000], 0), SUCCESS);
    assert_eq!(write(&mut drive, 0, &chunk(0)), Status::CAPACITY_EXCEEDED);
    assert_eq!(
        read(&mut drive, 0, 16),
        vec![0; 16 * 512],
        "none of it was written"
    );
    assert_eq!(drive.delete(Vendor, b"key", 0), SUCCESS);
    assert_eq!(write(&mut drive, 0, &chunk(0)), SUCCESS);
}
