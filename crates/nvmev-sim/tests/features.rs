//! Get and Set Features, Abort and Asynchronous Event Request.

use nvme_device::NamespaceConfig;
use nvme_spec::{AdminOpcode, FeatureId, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

const CURRENT: u8 = 0;
const DEFAULT: u8 = 1;
const SAVED: u8 = 2;
const CAPABILITIES: u8 = 3;

fn get(host: &mut TestHost, feature: FeatureId, select: u8, cdw11: u32) -> Result<u32, Status> {
    let page = host.pages(1);
    let completion = host.admin(commands::get_features(feature, select, cdw11, page));
    match completion.status() {
        Status::SUCCESSFUL_COMPLETION => Ok(completion.dw0.get()),
        error => Err(error),
    }
}

fn set(host: &mut TestHost, feature: FeatureId, is_saved: bool, cdw11: u32) -> Status {
    let page = host.pages(1);
    host.admin(commands::set_features(feature, is_saved, cdw11, page))
        .status()
}

#[test]
fn values_can_be_set_saved_and_come_back_after_a_reset() {
    // (feature, dword 11 to set, dword 11 to get, default, value read back)
    let cases = [
        (FeatureId::ARBITRATION, 0x0102_0304, 0, 3, 0x0102_0304),
        (FeatureId::POWER_MANAGEMENT, 0x22, 0, 0, 0x22),
        (FeatureId::TEMPERATURE_THRESHOLD, 333, 0, 343, 333),
        (FeatureId::TEMPERATURE_THRESHOLD, 1 << 20 | 280, 1 << 20, 0, 280),
        (FeatureId::VOLATILE_WRITE_CACHE, 0, 0, 1, 0),
        (FeatureId::INTERRUPT_COALESCING, 0x1234, 0, 0, 0x1234),
        (
            FeatureId::INTERRUPT_VECTOR_CONFIGURATION,
            1 << 16 | 77,
            77,
            77,
            1 << 16 | 77,
        ),
        (FeatureId::WRITE_ATOMICITY_NORMAL, 1, 0, 0, 1),
        (FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 0x4FF, 0, 0, 0x4FF),
        (FeatureId::SOFTWARE_PROGRESS_MARKER, 3, 0, 0, 3),
    ];
    for (feature, set_cdw11, get_cdw11, default, value) in cases {
        let mut host = TestHost::ready();
        let read = |host: &mut TestHost| {
            [CURRENT, DEFAULT, SAVED].map(|select| get(host, feature, select, get_cdw11).unwrap())
        };
        assert_eq!(read(&mut host), [default; 3], "{feature:?}");
        assert_eq!(get(&mut host, feature, CAPABILITIES, 0), Ok(0b101), "{feature:?}");
        assert_eq!(
            set(&mut host, feature, false, set_cdw11),
            Status::SUCCESSFUL_COMPLETION,
            "{feature:?}"
        );
        assert_eq!(read(&mut host), [value, default, default], "{feature:?}");
        host.disable();
        host.enable();
        assert_eq!(read(&mut host), [default; 3], "{feature:?} after a reset");
        assert_eq!(
            set(&mut host, feature, true, set_cdw11),
            Status::SUCCESSFUL_COMPLETION,
            "{feature:?}"
        );
        assert_eq!(read(&mut host), [value, default, value], "{feature:?}");
        host.disable();
        host.enable();
        assert_eq!(read(&mut host), [value, default, value], "{feature:?} was saved");
    }
}

#[test]
fn wrong_values_are_refused_and_change_nothing() {
    let mut host = TestHost::ready();
    for (feature, cdw11) in [
        // There are power states 0 to 2.
        (FeatureId::POWER_MANAGEMENT, 3),
        (FeatureId::POWER_MANAGEMENT, 0x1F),
        (FeatureId::POWER_MANAGEMENT, 0x100),
        (FeatureId::TEMPERATURE_THRESHOLD, 1 << 16 | 300),
        (FeatureId::TEMPERATURE_THRESHOLD, 2 << 20 | 300),
        (FeatureId::VOLATILE_WRITE_CACHE, 2),
        (FeatureId::INTERRUPT_VECTOR_CONFIGURATION, 129),
        (FeatureId::INTERRUPT_VECTOR_CONFIGURATION, 0),
        (FeatureId::INTERRUPT_VECTOR_CONFIGURATION, 0xFFFF),
        (FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 0x1000),
        (FeatureId::SOFTWARE_PROGRESS_MARKER, 0x100),
        (FeatureId(0x03), 0),
        (FeatureId(0x00), 0),
        (FeatureId(0x0D), 1),
        (FeatureId(0xC0), 0),
    ] {
        assert_eq!(
            set(&mut host, feature, false, cdw11),
            Status::INVALID_FIELD_IN_COMMAND,
            "{feature:?} {cdw11:#x}"
        );
    }
    assert_eq!(
        get(&mut host, FeatureId::TEMPERATURE_THRESHOLD, CURRENT, 0),
        Ok(343)
    );
    for (feature, select, cdw11) in [
        (FeatureId::ARBITRATION, 4, 0),
        (FeatureId::ARBITRATION, 7, 0),
        (FeatureId::TEMPERATURE_THRESHOLD, CURRENT, 1 << 16),
        (FeatureId::INTERRUPT_VECTOR_CONFIGURATION, CURRENT, 129),
        (FeatureId(0x03), CURRENT, 0),
        (FeatureId(0x03), CAPABILITIES, 0),
        (FeatureId(0xFF), CURRENT, 0),
    ] {
        let answer = get(&mut host, feature, select, cdw11);
        assert_eq!(
            answer,
            Err(Status::INVALID_FIELD_IN_COMMAND),
            "{feature:?} {select} {cdw11:#x}"
        );
    }
}

#[test]
fn some_features_cannot_be_saved_or_are_no_namespaces() {
    let mut host = TestHost::ready();
    for feature in [
        FeatureId::NUMBER_OF_QUEUES,
        FeatureId::TIMESTAMP,
        FeatureId::HOST_IDENTIFIER,
    ] {
        assert_eq!(
            set(&mut host, feature, true, 0),
            Status::FEATURE_IDENTIFIER_NOT_SAVEABLE
        );
        assert_eq!(get(&mut host, feature, CAPABILITIES, 0), Ok(0b100));
    }
    let of = |nsid: u32| SubmissionQueueEntry {
        nsid: nsid.into(),
        ..commands::set_features(FeatureId::ARBITRATION, false, 0, 0)
    };
    assert_eq!(host.admin(of(1)).status(), Status::FEATURE_NOT_NAMESPACE_SPECIFIC);
    assert_eq!(host.admin(of(99)).status(), Status::INVALID_NAMESPACE_OR_FORMAT);
    assert_eq!(host.admin(of(9)).status(), Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(host.admin(of(u32::MAX)).status(), Status::SUCCESSFUL_COMPLETION);
    let set_profile = |index| commands::set_features(FeatureId::IO_COMMAND_SET_PROFILE, false, index, 0);
    assert_eq!(host.admin(set_profile(0)).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        host.admin(set_profile(1)).status(),
        Status::IO_COMMAND_SET_COMBINATION_REJECTED
    );
    assert_eq!(
        get(&mut host, FeatureId::NUMBER_OF_QUEUES, CURRENT, 0),
        Ok(0x007F_007F)
    );
}

#[test]
fn the_feature_effects_log_says_exactly_which_features_are_there() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let log = commands::get_log_page(LogPageId::FEATURE_IDENTIFIERS_EFFECTS, 0, 0, 1024, page);
    assert_eq!(host.admin(log).status(), Status::SUCCESSFUL_COMPLETION);
    let log = host.machine.ram(page, 1024);
    for id in 0..=255u8 {
        let capabilities = host.admin(commands::get_features(FeatureId(id), CAPABILITIES, 0, 0));
        let is_there = capabilities.status() == Status::SUCCESSFUL_COMPLETION;
        let is_of_namespaces = capabilities.dw0.get() & 0b10 != 0;
        let of_namespaces = [
            FeatureId::ERROR_RECOVERY,
            FeatureId::KEY_VALUE_CONFIGURATION,
            FeatureId::RESERVATION_NOTIFICATION_MASK,
            FeatureId::RESERVATION_PERSISTENCE,
        ];
        assert_eq!(
            is_of_namespaces,
            of_namespaces.contains(&FeatureId(id)),
            "{id:#x}"
        );
        let entry: u32 = match (is_there, is_of_namespaces) {
            (false, _) => 0,
            (true, false) => 1 << 21 | 1,
            (true, true) => 1 << 20 | 1,
        };
        let at = usize::from(id) * 4;
        assert_eq!(log[at..at + 4], entry.to_le_bytes(), "{id:#x}");
        let current = host.admin(SubmissionQueueEntry {
            nsid: u32::from(is_of_namespaces).into(),
            ..commands::get_features(FeatureId(id), CURRENT, 0, page)
        });
        // The drive can have namespaces with keys, but this one has none.
        let has_value = is_there && FeatureId(id) != FeatureId::KEY_VALUE_CONFIGURATION;
        assert_eq!(
            current.status() == Status::SUCCESSFUL_COMPLETION,
            has_value,
            "{id:#x}"
        );
    }
    let mandatory = [1, 2, 4, 5, 7, 8, 9, 0xA, 0xB];
    assert!(
        mandatory.iter().all(|id| log[id * 4] == 1),
        "of an I/O controller with the NVM command set"
    );
}

#[test]
fn each_namespace_has_an_error_recovery_of_its_own() {
    let namespace = |index: u64| NamespaceConfig {
        kind: profiles::by_name("optane").unwrap().kind,
        mdts: 5,
        lba_bytes: 512,
        media_offset: index << 20,
        media_len_bytes: 1 << 20,
    };
    let mut host = TestHost::with_namespaces(vec![namespace(0), namespace(1)], 1);
    host.enable();
    let set = |host: &mut TestHost, nsid: u32, is_saved, value| {
        let entry = SubmissionQueueEntry {
            nsid: nsid.into(),
            ..commands::set_features(FeatureId::ERROR_RECOVERY, is_saved, value, 0)
        };
        host.admin(entry).status()
    };
    let get = |host: &mut TestHost, nsid: u32, select| {
        let completion = host.admin(SubmissionQueueEntry {
            nsid: nsid.into(),
            ..commands::get_features(FeatureId::ERROR_RECOVERY, select, 0, 0)
        });
        match completion.status() {
            Status::SUCCESSFUL_COMPLETION => Ok(completion.dw0.get()),
            error => Err(error),
        }
    };
    let all =
        |host: &mut TestHost, nsid| [CURRENT, DEFAULT, SAVED].map(|select| get(host, nsid, select).unwrap());
    assert_eq!(get(&mut host, 1, CAPABILITIES), Ok(0b111));
    assert_eq!(set(&mut host, 2, false, 55), Status::SUCCESSFUL_COMPLETION);
    assert_eq!((all(&mut host, 1), all(&mut host, 2)), ([0, 0, 0], [55, 0, 0]));
    assert_eq!(set(&mut host, 1, true, 7), Status::SUCCESSFUL_COMPLETION);
    host.disable();
    host.enable();
    assert_eq!((all(&mut host, 1), all(&mut host, 2)), ([7, 0, 7], [0, 0, 0]));
    assert_eq!(set(&mut host, u32::MAX, false, 9), Status::SUCCESSFUL_COMPLETION);
    assert_eq!((all(&mut host, 1), all(&mut host, 2)), ([9, 0, 7], [9, 0, 0]));
    for (nsid, value, status) in [
        (1, 1 << 16, Status::INVALID_FIELD_IN_COMMAND),
        (0, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
        (3, 1, Status::INVALID_FIELD_IN_COMMAND),
        (1000, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(set(&mut host, nsid, false, value), status, "{nsid} {value:#x}");
    }
    assert_eq!(
        get(&mut host, 3, CURRENT),
        Err(Status::INVALID_FIELD_IN_COMMAND),
        "inactive"
    );
    for nsid in [0, 1000, u32::MAX] {
        let refused = get(&mut host, nsid, CURRENT);
        assert_eq!(refused, Err(Status::INVALID_NAMESPACE_OR_FORMAT), "{nsid}");
    }
    assert_eq!(get(&mut host, 1, CURRENT), Ok(9));
}

#[test]
fn the_timestamp_runs_on_from_what_the_host_set() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let read = |host: &mut TestHost| {
        let completion = host.admin(commands::get_features(FeatureId::TIMESTAMP, CURRENT, 0, page));
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        u64::from_le_bytes(host.machine.ram(page, 8).try_into().unwrap())
    };
    assert_eq!(read(&mut host) >> 48, 0, "origin: a reset");
    host.machine.set_ram(page, &1_700_000_000_000u64.to_le_bytes());
    let completion = host.admin(commands::set_features(FeatureId::TIMESTAMP, false, 0, page));
    assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
    host.now_ns += 5_000_000_000;
    assert_eq!(
        read(&mut host),
        1_700_000_005_000 | 0b001 << 49,
        "origin: the host"
    );
    host.disable();
    host.enable();
    host.now_ns += 3_000_000;
    assert_eq!(read(&mut host), 3, "origin 0: milliseconds since the reset");
}

#[test]
fn the_host_identifier_has_8_or_16_bytes() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    for (exhid, len) in [(0, 8), (1, 16)] {
        host.machine.set_ram(page, &[0x5A; 32]);
        let completion = host.admin(commands::set_features(
            FeatureId::HOST_IDENTIFIER,
            false,
            exhid,
            page,
        ));
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        host.machine.set_ram(page, &[0; 32]);
        host.admin(commands::get_features(
            FeatureId::HOST_IDENTIFIER,
            CURRENT,
            exhid,
            page,
        ));
        let bytes = host.machine.ram(page, 32);
        assert!(bytes[..len].iter().all(|&byte| byte == 0x5A) && bytes[len..].iter().all(|&byte| byte == 0));
    }
    let unreachable = commands::set_features(FeatureId::HOST_IDENTIFIER, false, 1, 0);
    assert_eq!(host.admin(unreachable).status(), Status::DATA_TRANSFER_ERROR);
}

#[test]
fn admin_commands_with_fused_or_sgl_bits_are_refused() {
    let mut host = TestHost::ready();
    for flags in [0b01, 0b10, 0b0100_0000, 0b1000_0000, 0b1100_0000] {
        let entry = SubmissionQueueEntry {
            flags,
            ..commands::admin(AdminOpcode::ABORT)
        };
        assert_eq!(host.admin(entry).status(), Status::INVALID_FIELD_IN_COMMAND);
    }
    let keep_alive = host.admin(commands::admin(AdminOpcode::KEEP_ALIVE));
    assert_eq!(keep_alive.status(), Status::INVALID_COMMAND_OPCODE);
    assert!(keep_alive.do_not_retry());
}

#[test]
fn abort_ends_a_command_that_is_under_way() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    let victim = host.submit(1, commands::read_write(NvmOpcode::READ, 1, 0, 1, buffer, 0));
    host.step();
    assert_eq!(host.reap(1), None);
    let abort = host.submit(0, commands::abort(1, victim));
    host.run();
    let completion = host.wait(0);
    assert_eq!((completion.cid.get(), completion.dw0.get()), (abort, 0));
    let completion = host.reap(1).unwrap();
    assert_eq!(
        (completion.cid.get(), completion.status()),
        (victim, Status::COMMAND_ABORT_REQUESTED)
    );
    host.settle();
    assert_eq!(host.reap(1), None, "exactly one completion");
    for (sqid, cid) in [(1, victim), (1, 999), (77, 0), (0xFFFF, 0), (0, 12345)] {
        let completion = host.admin(commands::abort(sqid, cid));
        assert_eq!(
            (completion.status(), completion.dw0.get()),
            (Status::SUCCESSFUL_COMPLETION, 1),
            "{sqid} {cid}"
        );
    }
}

#[test]
fn abort_ends_a_held_event_request() {
    let mut host = TestHost::ready();
    let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.run();
    host.submit(0, commands::abort(0, aer));
    let first = host.wait(0);
    assert_eq!(
        (first.cid.get(), first.status()),
        (aer, Status::COMMAND_ABORT_REQUESTED)
    );
    assert_eq!(host.wait(0).dw0.get(), 0);
}

#[test]
fn more_event_requests_than_the_limit_are_refused() {
    let mut host = TestHost::ready();
    for _ in 0..4 {
        host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    }
    host.run();
    assert_eq!(host.reap(0), None, "held");
    let fifth = host.admin(commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    assert_eq!(fifth.status(), Status::ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED);
    assert!(!fifth.do_not_retry());
}

/// The table is in a buffer of 256 bytes, 8 for each state: ITPS in bits 7:3, ITPT in bits 31:8, ms (NVMe Base 2.0 figure 333).
#[test]
fn power_state_transitions_are_kept_until_a_reset() {
    let feature = FeatureId::AUTONOMOUS_POWER_STATE_TRANSITION;
    let mut host = TestHost::ready();
    let page = host.pages(1);
    // As Linux has it: from state 0 to 1 after 100 ms, from 1 to 2 after 2 s.
    let mut table = [0; 256];
    table[..4].copy_from_slice(&(100u32 << 8 | 1 << 3).to_le_bytes());
    table[8..12].copy_from_slice(&(2000u32 << 8 | 2 << 3).to_le_bytes());
    host.machine.set_ram(page, &table);
    let set = |host: &mut TestHost, cdw11| {
        host.admin(commands::set_features(feature, false, cdw11, page))
            .status()
    };
    assert_eq!(set(&mut host, 1), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(set(&mut host, 2), Status::INVALID_FIELD_IN_COMMAND);
    // To a state that is not there, and to one that is operational.
    for state in [0u32, 3, 31] {
        host.machine
            .set_ram(page, &(1u32 << 8 | state << 3).to_le_bytes());
        assert_eq!(set(&mut host, 1), Status::INVALID_FIELD_IN_COMMAND, "{state}");
    }
    let read = |host: &mut TestHost, select| {
        host.machine.set_ram(page, &[0xEE; 256]);
        let completion = host.admin(commands::get_features(feature, select, 0, page));
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        (completion.dw0.get(), host.machine.ram(page, 256))
    };
    assert_eq!(read(&mut host, CURRENT), (1, table.to_vec()));
    assert_eq!(read(&mut host, DEFAULT), (0, vec![0; 256]));
    assert_eq!(read(&mut host, SAVED), (0, vec![0; 256]));
    host.disable();
    host.enable();
    assert_eq!(read(&mut host, CURRENT), (0, vec![0; 256]));
}

/// 512 bytes. Only the first three have a meaning (NVMe Base 2.0 figure 345).
#[test]
fn what_a_host_says_of_its_behavior_is_kept_until_a_reset() {
    let feature = FeatureId::HOST_BEHAVIOR_SUPPORT;
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let set = |host: &mut TestHost, bytes: [u8; 3]| {
        host.machine.set_ram(page, &bytes);
        host.admin(commands::set_features(feature, false, 0, page))
            .status()
    };
    let read = |host: &mut TestHost| {
        host.machine.set_ram(page, &[0xEE; 512]);
        let completion = host.admin(commands::get_features(feature, CURRENT, 0, page));
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        let bytes = host.machine.ram(page, 512);
        host.machine.set_ram(page, &[0; 512]);
        assert!(bytes[3..].iter().all(|&byte| byte == 0));
        [bytes[0], bytes[1], bytes[2]]
    };
    assert_eq!(read(&mut host), [0; 3]);
    for said in [[1, 0, 1], [0, 1, 0], [1, 1, 1]] {
        assert_eq!(set(&mut host, said), Status::SUCCESSFUL_COMPLETION);
        assert_eq!(read(&mut host), said);
    }
    for wrong in [[2, 0, 0], [0, 0xFF, 0], [0, 0, 2]] {
        assert_eq!(set(&mut host, wrong), Status::INVALID_FIELD_IN_COMMAND);
        assert_eq!(read(&mut host), [1; 3]);
    }
    let saved = commands::set_features(feature, true, 0, page);
    assert_eq!(
        host.admin(saved).status(),
        Status::FEATURE_IDENTIFIER_NOT_SAVEABLE
    );
    host.disable();
    host.enable();
    assert_eq!(read(&mut host), [0; 3]);
}
