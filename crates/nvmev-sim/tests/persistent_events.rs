//! The Persistent Event log (NVMe Base 2.0 §5.16.1.14).

use nvme_spec::registers::{self, sq_tail_doorbell};
use nvme_spec::{
    AdminOpcode, FeatureId, IdentifyCns, LogPageId, PersistentEventAction, Status, SubmissionQueueEntry,
    NSSR_RESET,
};
use nvmev_sim::host::{commands, TestHost};

const READ: PersistentEventAction = PersistentEventAction::READ;
const ESTABLISH: PersistentEventAction = PersistentEventAction::ESTABLISH_AND_READ;
const RELEASE: PersistentEventAction = PersistentEventAction::RELEASE;
const HEADER: PersistentEventAction = PersistentEventAction::ESTABLISH_AND_READ_HEADER;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const HOUR_NS: u64 = 3_600_000_000_000;

const SMART: u8 = 0x01;
const FIRMWARE_COMMIT: u8 = 0x02;
const TIMESTAMP: u8 = 0x03;
const RESET: u8 = 0x04;
const HARDWARE_ERROR: u8 = 0x05;
const CHANGE_NAMESPACE: u8 = 0x06;
const FORMAT_START: u8 = 0x07;
const FORMAT_COMPLETION: u8 = 0x08;
const SANITIZE_START: u8 = 0x09;
const SANITIZE_COMPLETION: u8 = 0x0A;
const SET_FEATURE: u8 = 0x0B;
const TELEMETRY: u8 = 0x0C;

/// Up to two pages of the log, of memory that was full of ones before.
fn get(host: &mut TestHost, action: PersistentEventAction, offset: u64, len: u32) -> Result<Vec<u8>, Status> {
    let first = host.next_page();
    let buffer = host.pages(2);
    host.machine.set_ram(buffer, &[0xFF; 8192]);
    let entry = commands::get_log_page(LogPageId::PERSISTENT_EVENT, 0, offset, len, buffer);
    let entry = SubmissionQueueEntry {
        cdw10: (entry.cdw10.get() | u32::from(action.0) << 8).into(),
        ..entry
    };
    let status = host.admin(entry).status();
    let bytes = host.machine.ram(buffer, 8192);
    host.forget_pages(first);
    if status == SUCCESS {
        Ok(bytes)
    } else {
        Err(status)
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// An event as the log has it.
#[derive(Debug)]
struct Event {
    kind: u8,
    header: Vec<u8>,
    data: Vec<u8>,
}

/// Establishes a context, reads all of the log in pieces, and releases the context.
fn read_log(host: &mut TestHost) -> (Vec<u8>, Vec<Event>) {
    let header = get(host, ESTABLISH, 0, 512).unwrap()[..512].to_vec();
    let total = number(&header, 8, 8);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < total {
        bytes.extend_from_slice(&get(host, READ, bytes.len() as u64, 4096).unwrap()[..4096]);
    }
    assert!(
        bytes[total as usize..].iter().all(|&byte| byte == 0),
        "zeros after the end"
    );
    assert_eq!(get(host, RELEASE, 0, 4), Ok(vec![0xFF; 8192]), "no data");
    let mut events = Vec::new();
    let mut rest = &bytes[512..total as usize];
    while !rest.is_empty() {
        assert_eq!(rest[2], 21, "EHL");
        let (event, after) = rest.split_at(24 + number(rest, 22, 2) as usize);
        events.push(Event {
            kind: event[0],
            header: event[..24].to_vec(),
            data: event[24..].to_vec(),
        });
        rest = after;
    }
    assert_eq!(events.len() as u64, number(&header, 4, 4), "TNEV");
    (header, events)
}

/// The events that came after the first `old` ones, newest first.
fn since(host: &mut TestHost, old: usize) -> Vec<Event> {
    let (_, mut events) = read_log(host);
    events.truncate(events.len() - old);
    events
}

fn set_feature(host: &mut TestHost, feature: FeatureId, cdw11: u32) {
    let status = host
        .admin(commands::set_features(feature, false, cdw11, 0))
        .status();
    assert_eq!(status, SUCCESS);
}

#[test]
fn the_header_says_whose_log_it_is_and_what_is_in_it() {
    let mut host = TestHost::ready();
    host.now_ns += 3 * HOUR_NS;
    let (header, events) = read_log(&mut host);
    let page = host.pages(1);
    host.admin(commands::identify(IdentifyCns::CONTROLLER, 0, 0, page));
    let identify = host.machine.ram(page, 4096);
    assert_eq!((header[0], header[16]), (0x0D, 2), "LID, revision");
    assert_eq!(number(&header, 18, 2), 492, "LHL");
    assert_eq!(number(&header, 20, 6), 3 * 3_600_000, "timestamp, ms");
    assert_eq!(
        (number(&header, 28, 8), number(&header, 44, 8)),
        (3, 1),
        "hours, cycles"
    );
    assert_eq!(header[52..56], identify[..4], "VID, SSVID");
    assert_eq!(header[56..116], identify[4..64], "SN, MN");
    assert_eq!(header[116..372], identify[768..1024], "SUBNQN");
    assert_eq!(
        (number(&header, 372, 2), number(&header, 374, 4)),
        (1, 0),
        "generation, context"
    );
    let supported = [
        SMART,
        FIRMWARE_COMMIT,
        TIMESTAMP,
        RESET,
        HARDWARE_ERROR,
        CHANGE_NAMESPACE,
        FORMAT_START,
        FORMAT_COMPLETION,
        SANITIZE_START,
        SANITIZE_COMPLETION,
        SET_FEATURE,
        TELEMETRY,
    ];
    let bits = supported.iter().fold(0, |bits, event| bits | 1u64 << event);
    assert_eq!(number(&header, 480, 8), bits);
    assert!(header[378..480]
        .iter()
        .chain(&header[488..])
        .all(|&byte| byte == 0));
    // As at every power on: newest first.
    let kinds: Vec<u8> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [SMART, RESET]);
}

#[test]
fn a_context_is_established_once_and_needed_for_reading() {
    let mut host = TestHost::ready();
    assert_eq!(get(&mut host, READ, 0, 512), Err(Status::COMMAND_SEQUENCE_ERROR));
    assert_eq!(
        get(&mut host, RELEASE, 0, 512).unwrap(),
        vec![0xFF; 8192],
        "nothing to release"
    );
    let established = get(&mut host, ESTABLISH, 0, 8192).unwrap();
    assert_eq!(
        get(&mut host, ESTABLISH, 0, 512),
        Err(Status::COMMAND_SEQUENCE_ERROR)
    );
    set_feature(&mut host, FeatureId::VOLATILE_WRITE_CACHE, 0);
    let mut read = get(&mut host, READ, 0, 8192).unwrap();
    assert_eq!(
        number(&read, 374, 4),
        1 << 18 | 1 << 16,
        "there is a context, of a port"
    );
    read[374..378].fill(0);
    assert!(read == established, "frozen");
    assert_eq!(get(&mut host, READ, 500, 8).unwrap()[..8], established[500..508]);
    host.disable();
    host.enable();
    assert_eq!(
        get(&mut host, READ, 0, 512),
        Err(Status::COMMAND_SEQUENCE_ERROR),
        "a reset ends it"
    );
    let again = get(&mut host, ESTABLISH, 0, 512).unwrap();
    assert_eq!(number(&again, 372, 2), 2, "another generation");
    assert_eq!(number(&again, 4, 4), number(&established, 4, 4) + 2);
}

#[test]
fn the_header_alone_can_be_read_with_and_without_a_context() {
    let mut host = TestHost::ready();
    let first = get(&mut host, HEADER, 4096, 8192).unwrap();
    assert_eq!((first[0], number(&first, 374, 4)), (0x0D, 0));
    assert!(
        first[512..].iter().all(|&byte| byte == 0xFF),
        "no more than the header"
    );
    let second = get(&mut host, HEADER, 0, 512).unwrap();
    assert_eq!(number(&second, 374, 4), 1 << 18 | 1 << 16);
    assert_eq!(
        number(&second, 372, 2),
        number(&first, 372, 2),
        "the same context"
    );
    assert_eq!(
        get(&mut host, ESTABLISH, 0, 512),
        Err(Status::COMMAND_SEQUENCE_ERROR)
    );
    let page = host.pages(1);
    let entry = commands::get_log_page(LogPageId::SUPPORTED_LOG_PAGES, 0, 0, 1024, page);
    assert_eq!(host.admin(entry).status(), SUCCESS);
    assert_eq!(number(&host.machine.ram(page, 1024), 4 * 0x0D, 4), 1 << 16 | 1);
}

#[test]
fn a_command_that_fails_establishes_nothing() {
    let mut host = TestHost::ready();
    assert_eq!(
        get(&mut host, ESTABLISH, 1 << 16, 512),
        Err(Status::INVALID_FIELD_IN_COMMAND)
    );
    let unreachable = commands::get_log_page(LogPageId::PERSISTENT_EVENT, 0, 0, 512, 0);
    let unreachable = SubmissionQueueEntry {
        cdw10: (unreachable.cdw10.get() | 1 << 8).into(),
        ..unreachable
    };
    assert_eq!(host.admin(unreachable).status(), Status::DATA_TRANSFER_ERROR);
    assert!(get(&mut host, ESTABLISH, 0, 512).is_ok());
}

#[test]
fn resets_and_power_cycles_are_events() {
    let mut host = TestHost::ready();
    let (_, at_power_on) = read_log(&mut host);
    let power_on = &at_power_on[1];
    assert_eq!(power_on.header[..6], [RESET, 1, 21, 0b11, 0, 0], "of no port");
    assert_eq!(power_on.data.len(), 44);
    assert_eq!(
        power_on.data[..8],
        *format!("{:<8}", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    assert_eq!(
        (number(&power_on.data, 24, 4), number(&power_on.data, 28, 8)),
        (1, 0)
    );
    host.now_ns += 5_000_000_000;
    host.disable();
    host.enable();
    host.set_register(registers::NSSR, NSSR_RESET);
    host.run();
    host.enable();
    let events = since(&mut host, 2);
    let kinds: Vec<u8> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [RESET, RESET]);
    let cycles_and_ms = events
        .iter()
        .map(|event| (number(&event.data, 24, 4), number(&event.data, 28, 8)));
    assert!(cycles_and_ms.eq([(2, 5000), (1, 5000)]));
}

#[test]
fn firmware_commits_are_events_and_so_is_their_activation() {
    let mut host = TestHost::ready();
    let built_in = format!("{:<8}", env!("CARGO_PKG_VERSION"));
    let page = host.pages(1);
    host.machine.set_ram(page, b"REV A   ");
    let download = SubmissionQueueEntry {
        prp1: page.into(),
        cdw10: 1023.into(),
        ..commands::admin(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD)
    };
    assert_eq!(host.admin(download).status(), SUCCESS);
    let commit = |action: u32, slot: u32| SubmissionQueueEntry {
        cdw10: (action << 3 | slot).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_COMMIT)
    };
    assert_eq!(host.admin(commit(1, 1)).status(), Status::INVALID_FIRMWARE_SLOT);
    assert_eq!(host.admin(commit(1, 2)).status(), SUCCESS);
    host.disable();
    host.enable();
    let events = since(&mut host, 2);
    let [reset, good, bad] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (bad.kind, bad.data.len(), bad.header[3]),
        (FIRMWARE_COMMIT, 22, 0b01)
    );
    assert_eq!(bad.data[..16], [built_in.as_bytes(), &[0; 8]].concat());
    assert_eq!(
        bad.data[16..],
        [1, 1, 1, 6, 0, 0],
        "action, slot, SCT, SC, vendor's code"
    );
    assert_eq!(good.data[..16], *format!("{built_in}REV A   ").as_bytes());
    assert_eq!(good.data[16..], [1, 2, 0, 0, 0, 0]);
    assert_eq!(
        (&reset.data[..8], reset.data[10]),
        (&b"REV A   "[..], 1),
        "activated"
    );
}

#[test]
fn a_change_of_the_timestamp_is_an_event() {
    let mut host = TestHost::ready();
    host.disable();
    host.enable();
    host.now_ns += 7_000_000_000;
    let page = host.pages(1);
    host.machine.set_ram(page, &1_700_000_000_000u64.to_le_bytes());
    host.admin(commands::set_features(FeatureId::TIMESTAMP, false, 0, page));
    let events = since(&mut host, 3);
    assert_eq!((events.len(), events[0].kind), (1, TIMESTAMP));
    assert_eq!(
        number(&events[0].header, 6, 8),
        1_700_000_000_000 | 1 << 49,
        "the new one"
    );
    assert_eq!(
        (number(&events[0].data, 0, 8), number(&events[0].data, 8, 8)),
        (7000, 7000)
    );
}

#[test]
fn changed_features_are_events_and_unchanged_ones_are_not() {
    let mut host = TestHost::ready();
    for value in [0, 0, 1] {
        set_feature(&mut host, FeatureId::VOLATILE_WRITE_CACHE, value);
    }
    set_feature(&mut host, FeatureId::POWER_MANAGEMENT, 0x20);
    set_feature(&mut host, FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 1);
    let refused = host.admin(commands::set_features(
        FeatureId::VOLATILE_WRITE_CACHE,
        false,
        2,
        0,
    ));
    assert_eq!(refused.status(), Status::INVALID_FIELD_IN_COMMAND);
    host.disable();
    host.enable();
    set_feature(&mut host, FeatureId::NUMBER_OF_QUEUES, 0x0007_0007);
    let events = since(&mut host, 2);
    let told: Vec<(u8, u64, u64)> = events
        .iter()
        .filter(|event| event.kind != RESET)
        .map(|event| (event.kind, number(&event.data, 4, 4), number(&event.data, 8, 4)))
        .collect();
    let expected = [
        (SET_FEATURE, 7, 0x0007_0007),
        (SET_FEATURE, 6, 1),
        (SET_FEATURE, 6, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(number(&events[0].data, 0, 4), 2, "two dwords, no data");
}

#[test]
fn captured_telemetry_and_a_failure_are_events() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let capture = |page| {
        let entry = commands::get_log_page(LogPageId::TELEMETRY_HOST_INITIATED, 0, 0, 512, page);
        SubmissionQueueEntry {
            cdw10: (entry.cdw10.get() | 1 << 8).into(),
            ..entry
        }
    };
    assert_eq!(host.admin(capture(page)).status(), SUCCESS);
    let log = host.machine.ram(page, 512);
    // The controller cannot fetch from a queue that is not in memory.
    assert_eq!(host.admin(commands::create_cq(2, 16, 0, page)).status(), SUCCESS);
    assert_eq!(host.admin(commands::create_sq(2, 2, 16, 0)).status(), SUCCESS);
    host.set_register(sq_tail_doorbell(2), 1);
    host.run();
    host.disable();
    host.enable();
    let events = since(&mut host, 2);
    let kinds: Vec<u8> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [RESET, TELEMETRY, HARDWARE_ERROR, TELEMETRY]);
    assert_eq!(events[3].data, log);
    assert_eq!((events[1].data[0], events[1].data[382]), (0x08, 1));
    assert_eq!(events[2].data, [0x09, 0, 0, 0], "controller fatal status");
}

#[test]
fn what_is_done_to_namespaces_is_an_event_when_it_begins_and_when_it_ends() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let old = read_log(&mut host).1.len();
    let succeeds = |host: &mut TestHost, entry| assert_eq!(host.admin(entry).status(), SUCCESS);
    succeeds(&mut host, commands::format_nvm(1, 1, 2));
    succeeds(&mut host, commands::delete_namespace(1));
    host.machine
        .set_ram(page, &[16u64.to_le_bytes(), 16u64.to_le_bytes()].concat());
    succeeds(&mut host, commands::create_namespace(0, page));
    let block_erase = SubmissionQueueEntry {
        cdw10: 2.into(),
        ..commands::admin(AdminOpcode::SANITIZE)
    };
    succeeds(&mut host, block_erase);
    host.settle();
    let refused = commands::format_nvm(1, 5, 0);
    assert_ne!(host.admin(refused).status(), SUCCESS);
    let mut events = since(&mut host, old);
    events.reverse();
    let kinds: Vec<u8> = events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            FORMAT_START,
            FORMAT_COMPLETION,
            CHANGE_NAMESPACE,
            CHANGE_NAMESPACE,
            SANITIZE_START,
            SANITIZE_COMPLETION
        ]
    );
    let number = |event: usize, at: usize, len: usize| number(&events[event].data, at, len);
    assert_eq!((number(0, 0, 4), number(0, 4, 1), number(0, 8, 4)), (1, 4, 0x401));
    assert_eq!((number(1, 0, 4), number(1, 8, 2)), (1, 0), "no error");
    assert_eq!((number(2, 0, 4), number(2, 44, 4)), (1, 1), "deleted");
    assert_eq!((number(3, 0, 4), number(3, 44, 4)), (0, 1), "created");
    assert_eq!((number(3, 8, 8), number(3, 24, 8)), (16, 16), "NSZE, NCAP");
    assert_eq!(number(4, 4, 4), 2, "dword 10");
    assert_eq!(number(5, 2, 2), 0x101, "SSTAT");
}

#[test]
fn a_smart_snapshot_is_taken_every_24_hours() {
    let mut host = TestHost::ready();
    for hours in [23, 1, 10, 20, 100] {
        host.now_ns += hours * HOUR_NS;
        host.run();
    }
    let hours: Vec<u64> = since(&mut host, 1)
        .iter()
        .map(|event| {
            assert_eq!((event.kind, event.data.len()), (SMART, 512));
            number(&event.data, 128, 8)
        })
        .collect();
    assert_eq!(hours, [154, 54, 24, 0]);
}

#[test]
fn a_host_that_fills_the_log_loses_the_oldest_events() {
    let mut host = TestHost::ready();
    for value in (0..1900).map(|value| value % 2) {
        set_feature(&mut host, FeatureId::VOLATILE_WRITE_CACHE, value);
    }
    let (header, events) = read_log(&mut host);
    assert_eq!(events.len(), (65536 - 512) / 36);
    assert!(number(&header, 8, 8) <= 65536);
    assert!(events.iter().all(|event| event.kind == SET_FEATURE));
    assert_eq!(events[0].data[8], 1, "the newest is there");
}
