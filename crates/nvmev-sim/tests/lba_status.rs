//! Get LBA Status, the LBA Status Information log and its alert (NVM CS 1.0 §4.2.1, §4.1.4.5, §5.2.1).

use nvme_spec::{AdminOpcode, FeatureId, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const SCAN: u32 = 0x10;
const TRACKED: u32 = 0x11;
const INCOMPLETE: u8 = 1;
const COMPLETE: u8 = 2;
const LBAS: u64 = 8192;

fn get(slba: u64, lbas: u16, action: u32, len_bytes: u32, page: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: 1.into(),
        prp1: page.into(),
        cdw10: (slba as u32).into(),
        cdw11: ((slba >> 32) as u32).into(),
        cdw12: (len_bytes / 4 - 1).into(),
        cdw13: (u32::from(lbas) | action << 24).into(),
        ..commands::admin(AdminOpcode::GET_LBA_STATUS)
    }
}

/// The condition, and the runs of LBAs: first ones and numbers.
fn status(host: &mut TestHost, slba: u64, lbas: u16, action: u32, len_bytes: u32) -> (u8, Vec<(u64, u32)>) {
    let page = host.pages(1);
    host.machine.set_ram(page, &[0xFF; 4096]);
    let entry = get(slba, lbas, action, len_bytes, page);
    assert_eq!(host.admin(entry).status(), SUCCESS);
    let data = host.machine.ram(page, 4096);
    assert!(data[len_bytes as usize..].iter().all(|&byte| byte == 0xFF));
    host.forget_pages(page);
    let count = u32::from_le_bytes(data[..4].try_into().unwrap()) as usize;
    let runs = data[8..].chunks(16).take(count).map(|descriptor| {
        (
            u64::from_le_bytes(descriptor[..8].try_into().unwrap()),
            u32::from_le_bytes(descriptor[8..12].try_into().unwrap()),
        )
    });
    (data[4], runs.collect())
}

fn mark(host: &mut TestHost, slba: u64, lbas: u32) {
    let entry = commands::read_write(NvmOpcode::WRITE_UNCORRECTABLE, 1, slba, lbas, 0, 0);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
}

/// Namespaces with unrecoverable LBAs, how many such LBAs there are, and the generation.
fn log(host: &mut TestHost, retains_event: bool) -> (Vec<u32>, u32, u16) {
    let page = host.pages(1);
    let entry = commands::get_log_page(LogPageId::LBA_STATUS_INFORMATION, 0, 0, 4096, page);
    let entry = SubmissionQueueEntry {
        cdw10: (entry.cdw10.get() | u32::from(retains_event) << 15).into(),
        ..entry
    };
    assert_eq!(host.admin(entry).status(), SUCCESS);
    let data = host.machine.ram(page, 4096);
    host.forget_pages(page);
    let dword = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
    assert_eq!(dword(0), 16 + 16 * dword(4), "LSLPLEN");
    let elements = (0..dword(4) as usize).map(|index| {
        assert_eq!(dword(20 + index * 16), u32::MAX, "the whole namespace");
        assert_eq!(u32::from(data[24 + index * 16]), TRACKED);
        dword(16 + index * 16)
    });
    (
        elements.collect(),
        dword(8),
        u16::from_le_bytes(data[14..16].try_into().unwrap()),
    )
}

#[test]
fn runs_of_unrecoverable_lbas_are_listed_as_far_as_there_is_room() {
    let mut host = TestHost::ready();
    assert_eq!(status(&mut host, 0, 0, SCAN, 4096), (COMPLETE, vec![]));
    mark(&mut host, 10, 5);
    mark(&mut host, 62, 130);
    mark(&mut host, LBAS - 1, 1);
    let all = vec![(10, 5), (62, 130), (LBAS - 1, 1)];
    for action in [SCAN, TRACKED] {
        assert_eq!(status(&mut host, 0, 0, action, 4096), (COMPLETE, all.clone()));
    }
    assert_eq!(
        status(&mut host, 12, 60, SCAN, 4096),
        (COMPLETE, vec![(12, 3), (62, 10)])
    );
    assert_eq!(status(&mut host, 15, 47, SCAN, 4096), (COMPLETE, vec![]));
    // Room for one descriptor, for none, and not even for all of the header.
    assert_eq!(status(&mut host, 0, 0, SCAN, 24), (INCOMPLETE, all[..1].to_vec()));
    assert_eq!(
        status(&mut host, 15, 0, SCAN, 24),
        (INCOMPLETE, all[1..2].to_vec())
    );
    assert_eq!(status(&mut host, 192, 0, SCAN, 24), (COMPLETE, all[2..].to_vec()));
    assert_eq!(status(&mut host, 0, 0, SCAN, 8), (INCOMPLETE, vec![]));
    // What is written can be read again.
    let page = host.pages(1);
    let write = commands::read_write(NvmOpcode::WRITE, 1, 12, 1, page, 0);
    assert_eq!(host.execute(1, write).status(), SUCCESS);
    assert_eq!(
        status(&mut host, 0, 50, SCAN, 4096),
        (COMPLETE, vec![(10, 2), (13, 2)])
    );
}

#[test]
fn more_runs_than_a_page_has_room_for_are_read_in_several_commands() {
    let mut host = TestHost::ready();
    let expected: Vec<(u64, u32)> = (0..600).map(|run| (run * 3 + 1, 1)).collect();
    for &(slba, lbas) in &expected {
        mark(&mut host, slba, lbas);
    }
    let mut found = Vec::new();
    let mut slba = 0;
    loop {
        let (condition, runs) = status(&mut host, slba, 0, TRACKED, 4096);
        slba = runs.last().map_or(slba, |&(slba, lbas)| slba + u64::from(lbas));
        found.extend(runs);
        if condition == COMPLETE {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn what_is_wrong_in_the_command_is_refused() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let of = |nsid: u32| SubmissionQueueEntry {
        nsid: nsid.into(),
        ..get(0, 0, SCAN, 64, page)
    };
    for (entry, expected) in [
        (get(LBAS, 0, SCAN, 64, page), Status::LBA_OUT_OF_RANGE),
        (get(u64::MAX, 1, SCAN, 64, page), Status::LBA_OUT_OF_RANGE),
        (get(LBAS - 1, 2, SCAN, 64, page), Status::LBA_OUT_OF_RANGE),
        (get(0, 0, 0, 64, page), Status::INVALID_FIELD_IN_COMMAND),
        (get(0, 0, 0x12, 64, page), Status::INVALID_FIELD_IN_COMMAND),
        (
            get(0, 0, SCAN, (128 << 10) + 4, page),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (get(0, 0, SCAN, 64, 0), Status::DATA_TRANSFER_ERROR),
        (of(0), Status::INVALID_NAMESPACE_OR_FORMAT),
        (of(2), Status::INVALID_FIELD_IN_COMMAND),
        (of(u32::MAX), Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(host.admin(entry).status(), expected, "{entry:?}");
    }
}

#[test]
fn the_log_counts_and_its_generation_tells_of_what_is_new() {
    let mut host = TestHost::ready();
    assert_eq!(log(&mut host, false), (vec![], 0, 0));
    mark(&mut host, 1, 3);
    mark(&mut host, 100, 1);
    assert_eq!(log(&mut host, true), (vec![1], 4, 1));
    mark(&mut host, 200, 1);
    assert_eq!(log(&mut host, false), (vec![1], 5, 1), "not read before");
    assert_eq!(log(&mut host, false), (vec![1], 5, 1));
    mark(&mut host, 300, 1);
    assert_eq!(log(&mut host, false), (vec![1], 6, 2));
    assert_eq!(host.admin(commands::format_nvm(1, 0, 0)).status(), SUCCESS);
    assert_eq!(log(&mut host, false), (vec![], 0, 2));
}

#[test]
fn the_alert_comes_no_more_often_than_the_host_wants() {
    let mut host = TestHost::ready();
    let set = |feature, value| commands::set_features(feature, false, value, 0);
    let attributes = FeatureId::LBA_STATUS_INFORMATION_ATTRIBUTES;
    // 3 s; the poll interval is the controller's.
    assert_eq!(host.admin(set(attributes, 0xFFFF_001E)).status(), SUCCESS);
    let get = commands::get_features(attributes, 0, 0, 0);
    assert_eq!(host.admin(get).dw0.get(), 0x0001_001E);
    let events = set(FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 1 << 13);
    assert_eq!(host.admin(events).status(), SUCCESS);
    assert_eq!(log(&mut host, false).1, 0);
    for _ in 0..2 {
        host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    }
    let read_at_ns = host.now_ns;
    mark(&mut host, 5, 1);
    host.run();
    assert!(host.reap(0).is_none(), "too early");
    let event = host.wait(0);
    assert_eq!(event.dw0.get(), 0x000E_0502, "notice 5, log page 0Eh");
    assert_eq!(host.now_ns, read_at_ns + 3_000_000_000);
    mark(&mut host, 6, 1);
    host.now_ns += 10_000_000_000;
    host.run();
    assert!(host.reap(0).is_none(), "the log was not read");
    assert_eq!(log(&mut host, false).1, 2);
    host.now_ns += 10_000_000_000;
    host.run();
    assert!(host.reap(0).is_none(), "nothing is new");
    mark(&mut host, 7, 1);
    assert_eq!(host.wait(0).dw0.get(), 0x000E_0502);
}
