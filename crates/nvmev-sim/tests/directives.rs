//! Directives: which there are, and streams.

use nvme_device::NamespaceConfig;
use nvme_spec::registers;
use nvme_spec::{DirectiveType, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;

const BROADCAST: u32 = 0xFFFF_FFFF;
const OK: Status = Status::SUCCESSFUL_COMPLETION;
const INVALID: Status = Status::INVALID_FIELD_IN_COMMAND;
const NO_NAMESPACE: Status = Status::INVALID_NAMESPACE_OR_FORMAT;
const IDENTIFY: DirectiveType = DirectiveType::IDENTIFY;
const STREAMS: DirectiveType = DirectiveType::STREAMS;
/// MSL.
const STREAMS_MAX: u16 = 64;

/// A drive of a namespace without flash, one with, one with zones, and two with keys and values.
fn host() -> TestHost {
    let mut zoned = *profiles::by_name("zn540").unwrap();
    zoned
        .set_list(
            "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,\
             reference_quirks=false",
        )
        .unwrap();
    let key_value = |command_set| {
        let mut profile = *profiles::by_name("kv-prototype").unwrap();
        profile.set("key_value.command_set", command_set).unwrap();
        profile.set("key_value.value_bytes_max", "65536").unwrap();
        profile
    };
    let profiles = [
        *profiles::by_name("optane").unwrap(),
        *profiles::by_name("tlc-ssd").unwrap(),
        zoned,
        key_value("nvm"),
        key_value("key-value"),
    ];
    let namespace = |(index, profile): (u64, &Profile<'_>)| NamespaceConfig {
        kind: profile.kind,
        mdts: 4,
        lba_bytes: 512,
        media_offset: index << 20,
        media_len_bytes: 1 << 20,
    };
    let namespaces = (0..).zip(&profiles).map(namespace).collect();
    let mut host = TestHost::with_namespaces(namespaces, 1);
    host.enable();
    host.create_io_queues(1, 64);
    host
}

fn send(host: &mut TestHost, nsid: u32, kind: DirectiveType, operation: u8, specific: u16) -> Status {
    let entry = commands::directive_send(nsid, kind, operation, specific, 0);
    host.admin(entry).status()
}

fn enable(host: &mut TestHost, nsid: u32, kind: DirectiveType, is_enabled: bool) -> Status {
    let cdw12 = u32::from(is_enabled) | u32::from(kind.0) << 8;
    let entry = commands::directive_send(nsid, IDENTIFY, 1, 0, cdw12);
    host.admin(entry).status()
}

fn receive(
    host: &mut TestHost,
    nsid: u32,
    kind: DirectiveType,
    operation: u8,
    len: u32,
) -> Result<Vec<u8>, Status> {
    let pages = host.pages(2);
    host.machine.set_ram(pages, &[0xAA; 8192]);
    let entry = commands::directive_receive(nsid, kind, operation, 0, len, pages);
    match host.admin(entry).status() {
        OK => Ok(host.machine.ram(pages, len as usize)),
        status => Err(status),
    }
}

fn allocate(host: &mut TestHost, nsid: u32, wanted: u32) -> Result<u32, Status> {
    let entry = commands::directive_receive(nsid, STREAMS, 3, wanted, 4, 0);
    let completion = host.admin(entry);
    match completion.status() {
        OK => Ok(completion.dw0.get()),
        status => Err(status),
    }
}

/// MSL, NSSA, NSSO, SWS, SGS, NSA, NSO.
fn parameters(host: &mut TestHost, nsid: u32) -> [u32; 7] {
    let bytes = receive(host, nsid, STREAMS, 1, 32).unwrap();
    let word = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    assert!(bytes[6..16].iter().chain(&bytes[26..]).all(|&byte| byte == 0));
    [
        word(0),
        word(2),
        word(4),
        word(16) | word(18) << 16,
        word(20),
        word(22),
        word(24),
    ]
}

/// The open streams of a namespace.
fn open(host: &mut TestHost, nsid: u32) -> Vec<u16> {
    let bytes = receive(host, nsid, STREAMS, 2, 2 + 2 * 65).unwrap_or_default();
    let words: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let count = usize::from(words[0]);
    assert!(words[1 + count..].iter().all(|&word| word == 0));
    words[1..1 + count].to_vec()
}

fn write(host: &mut TestHost, nsid: u32, kind: DirectiveType, id: u16) -> Status {
    let buffer = host.pages(1);
    let entry = commands::read_write(NvmOpcode::WRITE, nsid, 0, 1, buffer, 0);
    let status = host.execute(1, commands::directed(entry, kind, id)).status();
    host.forget_pages(buffer);
    status
}

#[test]
fn the_identify_directive_says_what_there_is_and_what_is_enabled() {
    let mut host = host();
    for (nsid, supported) in [(1, 0b11), (2, 0b11), (3, 0b11), (4, 0b01), (5, 0b01)] {
        let bytes = receive(&mut host, nsid, IDENTIFY, 1, 4096).unwrap();
        assert_eq!((bytes[0], bytes[32]), (supported, 0b01), "namespace {nsid}");
        let others = bytes.iter().enumerate().filter(|(at, _)| ![0, 32].contains(at));
        assert!(others.into_iter().all(|(_, &byte)| byte == 0));
        let status = enable(&mut host, nsid, STREAMS, true);
        assert_eq!(status == OK, supported == 0b11, "{status:?}");
        let bytes = receive(&mut host, nsid, IDENTIFY, 1, 64).unwrap();
        assert_eq!(bytes[32], supported, "namespace {nsid}");
    }
    let longer = receive(&mut host, 1, IDENTIFY, 1, 8192).unwrap();
    assert!(longer[4096..].iter().all(|&byte| byte == 0));
    assert_eq!(enable(&mut host, 1, STREAMS, false), OK);
    assert_eq!(receive(&mut host, 1, IDENTIFY, 1, 64).unwrap()[32], 0b01);
    // All that can have it.
    assert_eq!(enable(&mut host, BROADCAST, STREAMS, true), OK);
    for (nsid, enabled) in [(1, 0b11), (2, 0b11), (3, 0b11), (4, 0b01), (5, 0b01)] {
        assert_eq!(receive(&mut host, nsid, IDENTIFY, 1, 64).unwrap()[32], enabled);
    }
}

#[test]
fn what_is_wrong_in_the_commands_is_refused() {
    let mut host = host();
    for nsid in [0, 33, 0xFFFF_FFFE] {
        assert_eq!(receive(&mut host, nsid, IDENTIFY, 1, 64), Err(NO_NAMESPACE));
        assert_eq!(receive(&mut host, nsid, STREAMS, 1, 32), Err(NO_NAMESPACE));
        assert_eq!(enable(&mut host, nsid, STREAMS, true), NO_NAMESPACE);
        assert_eq!(send(&mut host, nsid, STREAMS, 1, 1), NO_NAMESPACE);
        assert_eq!(allocate(&mut host, nsid, 1), Err(NO_NAMESPACE));
    }
    assert_eq!(receive(&mut host, BROADCAST, IDENTIFY, 1, 64), Err(INVALID));
    // Not enabled.
    for nsid in [1, BROADCAST] {
        assert_eq!(receive(&mut host, nsid, STREAMS, 1, 32), Err(INVALID));
        assert_eq!(receive(&mut host, nsid, STREAMS, 2, 32), Err(INVALID));
        assert_eq!(allocate(&mut host, nsid, 1), Err(INVALID));
        assert_eq!(send(&mut host, nsid, STREAMS, 1, 1), INVALID);
        assert_eq!(send(&mut host, nsid, STREAMS, 2, 0), INVALID);
    }
    for kind in [IDENTIFY, DirectiveType(2), DirectiveType(0xFF)] {
        for is_enabled in [false, true] {
            assert_eq!(enable(&mut host, 1, kind, is_enabled), INVALID, "{kind:?}");
        }
    }
    assert_eq!(enable(&mut host, 1, STREAMS, true), OK);
    for (kind, operation) in [
        (IDENTIFY, 0),
        (IDENTIFY, 2),
        (STREAMS, 0),
        (STREAMS, 4),
        (STREAMS, 0xFF),
        (DirectiveType(2), 1),
    ] {
        assert_eq!(
            receive(&mut host, 1, kind, operation, 64),
            Err(INVALID),
            "{kind:?} {operation}"
        );
    }
    for (kind, operation) in [
        (IDENTIFY, 0),
        (IDENTIFY, 2),
        (STREAMS, 0),
        (STREAMS, 3),
        (DirectiveType(7), 1),
    ] {
        assert_eq!(
            send(&mut host, 1, kind, operation, 1),
            INVALID,
            "{kind:?} {operation}"
        );
    }
    for operation in [2, 3] {
        let all = commands::directive_receive(BROADCAST, STREAMS, operation, 1, 4, 0);
        assert_eq!(host.admin(all).status(), INVALID);
    }
    // Longer than MDTS, and memory that is not there.
    let page = host.pages(1);
    let too_long = commands::directive_receive(1, IDENTIFY, 1, 0, (64 << 10) + 4, page);
    assert_eq!(host.admin(too_long).status(), INVALID);
    let longest = SubmissionQueueEntry {
        cdw10: u32::MAX.into(),
        ..too_long
    };
    assert_eq!(host.admin(longest).status(), INVALID);
    let unreachable = commands::directive_receive(1, IDENTIFY, 1, 0, 64, 0);
    assert_eq!(host.admin(unreachable).status(), Status::DATA_TRANSFER_ERROR);
}

#[test]
fn parameters_are_those_of_the_namespace_and_of_all() {
    let mut host = host();
    assert_eq!(enable(&mut host, BROADCAST, STREAMS, true), OK);
    assert_eq!(
        parameters(&mut host, 1),
        [64, 64, 0, 1, 1, 0, 0],
        "LBAs of 512 bytes"
    );
    assert_eq!(
        parameters(&mut host, 2),
        [64, 64, 0, 8, 1, 0, 0],
        "pages of 4 KiB"
    );
    let write_unit = parameters(&mut host, 3)[3];
    assert!(write_unit >= 1);
    assert_eq!(write(&mut host, 1, STREAMS, 9), OK);
    assert_eq!(write(&mut host, 2, STREAMS, 9), OK);
    assert_eq!(write(&mut host, 2, STREAMS, 10), OK);
    assert_eq!(allocate(&mut host, 1, 4), Ok(4));
    assert_eq!(parameters(&mut host, 1), [64, 60, 3, 1, 1, 4, 1]);
    assert_eq!(parameters(&mut host, 2), [64, 60, 3, 8, 1, 0, 2]);
    assert_eq!(parameters(&mut host, BROADCAST), [64, 60, 3, 0, 0, 0, 0]);
}

#[test]
fn every_command_that_writes_can_write_to_a_stream() {
    let mut host = host();
    let buffer = host.pages(1);
    host.machine.set_ram(buffer, &commands::copy_list(&[(64, 1)], 0));
    let lbas = |nsid: u32| {
        let entry = |opcode| commands::read_write(opcode, nsid, 0, 1, buffer, 0);
        vec![
            entry(NvmOpcode::WRITE),
            commands::write_zeroes(nsid, 0, 1, false),
            commands::copy(nsid, 8, 1, 0, buffer),
            entry(NvmOpcode::WRITE_UNCORRECTABLE),
        ]
    };
    let zones = vec![
        commands::read_write(NvmOpcode::WRITE, 3, 0, 1, buffer, 0),
        commands::write_zeroes(3, 1, 1, false),
        commands::zone_append(3, 256, 1, buffer, 0),
    ];
    for (nsid, entries) in [(1, lbas(1)), (2, lbas(2)), (3, zones)] {
        for &entry in &entries {
            let refused = commands::directed(entry, STREAMS, 5);
            assert_eq!(
                host.execute(1, refused).status(),
                INVALID,
                "not enabled: {entry:?}"
            );
        }
        assert_eq!(enable(&mut host, nsid, STREAMS, true), OK);
        for (id, &entry) in (5..).zip(&entries) {
            for kind in [2, 7, 15] {
                let unknown = commands::directed(entry, DirectiveType(kind), 5);
                assert_eq!(host.execute(1, unknown).status(), INVALID, "{entry:?}");
            }
            assert!(!open(&mut host, nsid).contains(&id));
            let status = host.execute(1, commands::directed(entry, STREAMS, id)).status();
            assert_eq!(status, OK, "{entry:?}");
            assert_eq!(open(&mut host, nsid).last(), Some(&id), "{entry:?}");
        }
    }
    // Pages beside pairs are no streams, and what does not write has no directive there.
    for entry in lbas(4) {
        for kind in [1, 2] {
            let refused = commands::directed(entry, DirectiveType(kind), 5);
            assert_eq!(host.execute(1, refused).status(), INVALID, "{entry:?}");
        }
        assert_eq!(host.execute(1, entry).status(), OK, "{entry:?}");
    }
    for opcode in [NvmOpcode::VERIFY, NvmOpcode::COMPARE] {
        let entry = commands::read_write(opcode, 2, 100, 1, buffer, 0);
        assert_ne!(
            host.execute(1, commands::directed(entry, DirectiveType(2), 5))
                .status(),
            INVALID
        );
    }
}

#[test]
fn streams_open_when_written_to_and_the_oldest_gives_way() {
    let mut host = host();
    assert_eq!(write(&mut host, 1, IDENTIFY, 5), OK, "no directive");
    assert_eq!(enable(&mut host, 1, STREAMS, true), OK);
    assert_eq!(enable(&mut host, 2, STREAMS, true), OK);
    assert_eq!(write(&mut host, 1, STREAMS, 0), OK, "no stream");
    assert_eq!(open(&mut host, 1), []);
    let beyond = commands::read_write(NvmOpcode::WRITE, 1, 1 << 40, 1, 0, 0);
    let beyond = host.execute(1, commands::directed(beyond, STREAMS, 3));
    assert_eq!(beyond.status(), Status::LBA_OUT_OF_RANGE);
    assert_eq!(open(&mut host, 1), [], "nothing was written");
    for id in 1..=STREAMS_MAX {
        assert_eq!(write(&mut host, 1, STREAMS, id * 1000), OK);
    }
    assert_eq!(write(&mut host, 1, STREAMS, 1000), OK);
    assert_eq!(write(&mut host, 2, STREAMS, 0xFFFF), OK);
    assert_eq!(open(&mut host, 2), [0xFFFF]);
    let expected: Vec<u16> = (3..=STREAMS_MAX).map(|id| id * 1000).chain([1000]).collect();
    assert_eq!(open(&mut host, 1), expected, "the second was the oldest");
    assert_eq!(send(&mut host, 1, STREAMS, 1, 3000), OK);
    assert_eq!(send(&mut host, 1, STREAMS, 1, 3000), OK, "not open any more");
    assert_eq!(send(&mut host, 1, STREAMS, 1, 0), OK);
    assert_eq!(open(&mut host, 1), expected[1..]);
    // A report of fewer bytes than there are.
    assert_eq!(
        receive(&mut host, 1, STREAMS, 2, 4).unwrap()[..4],
        [62, 0, 0xA0, 0x0F]
    );
}

#[test]
fn resources_are_allocated_once_and_released() {
    let mut host = host();
    for nsid in [1, 2, 3] {
        assert_eq!(enable(&mut host, nsid, STREAMS, true), OK);
    }
    assert_eq!(allocate(&mut host, 1, 0), Err(INVALID));
    assert_eq!(allocate(&mut host, 1, 0xFFFF_0000), Err(INVALID), "16 bits");
    assert_eq!(allocate(&mut host, 1, 2), Ok(2));
    assert_eq!(allocate(&mut host, 1, 2), Err(INVALID), "it has some");
    assert_eq!(allocate(&mut host, 2, 0xFFFF), Ok(62), "what there are");
    assert_eq!(
        allocate(&mut host, 3, 1),
        Err(Status::STREAM_RESOURCE_ALLOCATION_FAILED)
    );
    assert_eq!(parameters(&mut host, 3)[1], 0);
    assert_eq!(write(&mut host, 3, STREAMS, 1), OK, "written, without a stream");
    assert_eq!(open(&mut host, 3), []);
    for id in 1..=3 {
        assert_eq!(write(&mut host, 1, STREAMS, id), OK);
    }
    assert_eq!(open(&mut host, 1), [2, 3]);
    assert_eq!(send(&mut host, 1, STREAMS, 2, 0), OK);
    assert_eq!(send(&mut host, 1, STREAMS, 2, 0), OK, "nothing to release");
    assert_eq!(parameters(&mut host, 1), [64, 2, 2, 1, 1, 0, 2]);
    // Disabling takes everything back.
    assert_eq!(enable(&mut host, 2, STREAMS, false), OK);
    assert_eq!(parameters(&mut host, 1), [64, 64, 2, 1, 1, 0, 2]);
    assert_eq!(enable(&mut host, 2, STREAMS, true), OK);
    assert_eq!(parameters(&mut host, 2)[5..], [0, 0]);
}

#[test]
fn a_reset_disables_the_directive_and_closes_all() {
    let resets: [fn(&mut TestHost); 2] = [TestHost::disable, |host| {
        host.set_register(registers::NSSR, nvme_spec::NSSR_RESET);
        host.settle();
    }];
    for reset in resets {
        let mut host = host();
        assert_eq!(enable(&mut host, 1, STREAMS, true), OK);
        assert_eq!(allocate(&mut host, 1, 7), Ok(7));
        assert_eq!(write(&mut host, 1, STREAMS, 7), OK);
        reset(&mut host);
        host.enable();
        host.create_io_queues(1, 64);
        assert_eq!(receive(&mut host, 1, IDENTIFY, 1, 64).unwrap()[32], 0b01);
        assert_eq!(write(&mut host, 1, STREAMS, 7), INVALID);
        assert_eq!(enable(&mut host, 1, STREAMS, true), OK);
        assert_eq!(parameters(&mut host, 1), [64, 64, 0, 1, 1, 0, 0]);
    }
}
