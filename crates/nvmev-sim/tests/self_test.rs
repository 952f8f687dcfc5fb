//! Device Self-test and its log (NVMe Base 2.0 §8.6).

use nvme_spec::registers::NSSR;
use nvme_spec::{AdminOpcode, LogPageId, Status, SubmissionQueueEntry, NSID_BROADCAST, NSSR_RESET};
use nvmev_sim::host::{commands, TestHost};

const SHORT: u32 = 1;
const EXTENDED: u32 = 2;
const ABORT: u32 = 0xF;
const SECOND_NS: u64 = 1_000_000_000;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const UNUSED: u8 = 0x0F;

fn start(host: &mut TestHost, nsid: u32, code: u32) -> Status {
    host.admin(SubmissionQueueEntry {
        nsid: nsid.into(),
        cdw10: code.into(),
        ..commands::admin(AdminOpcode::DEVICE_SELF_TEST)
    })
    .status()
}

/// The operation under way, how far it is, and codes with results, newest first.
fn log(host: &mut TestHost) -> (u8, u8, Vec<u8>) {
    let buffer = host.pages(1);
    let entry = commands::get_log_page(LogPageId::DEVICE_SELF_TEST, 0, 0, 564, buffer);
    assert_eq!(host.admin(entry).status(), SUCCESS);
    let page = host.machine.ram(buffer, 564);
    host.forget_pages(host.next_page() - 4096);
    let results = page[4..].chunks(28).map(|entry| entry[0]).collect();
    (page[0], page[1], results)
}

fn results(newest: &[u8]) -> Vec<u8> {
    let mut all = newest.to_vec();
    all.resize(20, UNUSED);
    all
}

#[test]
fn operations_take_their_time_and_are_logged() {
    let mut host = TestHost::ready();
    assert_eq!(log(&mut host), (0, 0, results(&[])));
    assert_eq!(start(&mut host, 1, SHORT), SUCCESS);
    assert_eq!(log(&mut host), (1, 0, results(&[])));
    assert_eq!(
        start(&mut host, 1, EXTENDED),
        Status::DEVICE_SELF_TEST_IN_PROGRESS
    );
    host.now_ns += 5 * SECOND_NS;
    assert_eq!(log(&mut host), (1, 50, results(&[])));
    host.now_ns += 5 * SECOND_NS;
    assert_eq!(log(&mut host), (0, 0, results(&[0x10])));
    assert_eq!(start(&mut host, NSID_BROADCAST, EXTENDED), SUCCESS);
    host.now_ns += 15 * SECOND_NS;
    assert_eq!(log(&mut host), (2, 25, results(&[0x10])));
    // Nobody looked when it ended; the next one can begin.
    host.now_ns += 100 * SECOND_NS;
    assert_eq!(start(&mut host, 0, SHORT), SUCCESS);
    assert_eq!(log(&mut host), (1, 0, results(&[0x20, 0x10])));
}

#[test]
fn an_abort_ends_an_operation() {
    let mut host = TestHost::ready();
    assert_eq!(start(&mut host, 1, ABORT), SUCCESS, "nothing to abort");
    assert_eq!(log(&mut host), (0, 0, results(&[])));
    assert_eq!(start(&mut host, 1, EXTENDED), SUCCESS);
    assert_eq!(start(&mut host, 1, ABORT), SUCCESS);
    assert_eq!(log(&mut host), (0, 0, results(&[0x21])));
    assert_eq!(start(&mut host, 1, SHORT), SUCCESS);
}

#[test]
fn a_reset_ends_a_short_operation_and_not_an_extended_one() {
    let mut host = TestHost::ready();
    let resets: [fn(&mut TestHost); 2] = [TestHost::disable, |host| {
        host.set_register(NSSR, NSSR_RESET);
        host.settle();
    }];
    for (index, reset) in resets.into_iter().enumerate() {
        assert_eq!(start(&mut host, 1, SHORT), SUCCESS);
        reset(&mut host);
        host.enable();
        let (operation, _, newest) = log(&mut host);
        assert_eq!((operation, newest[0]), (0, 0x12), "reset {index}");
        assert_eq!(start(&mut host, 1, EXTENDED), SUCCESS);
        host.now_ns += 30 * SECOND_NS;
        reset(&mut host);
        host.enable();
        let (operation, percent, _) = log(&mut host);
        assert_eq!((operation, percent), (2, 50), "reset {index}");
        host.now_ns += 31 * SECOND_NS;
        assert_eq!(log(&mut host).2[0], 0x20, "reset {index}");
    }
}

#[test]
fn the_log_keeps_the_last_20() {
    let mut host = TestHost::ready();
    for code in [SHORT, EXTENDED].into_iter().cycle().take(25) {
        assert_eq!(start(&mut host, 1, code), SUCCESS);
        assert_eq!(start(&mut host, 1, ABORT), SUCCESS);
    }
    let newest: Vec<u8> = [0x11, 0x21].into_iter().cycle().take(20).collect();
    assert_eq!(log(&mut host), (0, 0, newest));
}

#[test]
fn wrong_commands_start_nothing() {
    let mut host = TestHost::ready();
    for code in [0, 3, 8, 0xE] {
        assert_eq!(
            start(&mut host, 1, code),
            Status::INVALID_FIELD_IN_COMMAND,
            "{code:#x}"
        );
    }
    for (nsid, expected) in [
        (2, Status::INVALID_FIELD_IN_COMMAND),
        (32, Status::INVALID_FIELD_IN_COMMAND),
        (33, Status::INVALID_NAMESPACE_OR_FORMAT),
        (NSID_BROADCAST - 1, Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(start(&mut host, nsid, SHORT), expected, "{nsid:#x}");
    }
    assert_eq!(log(&mut host), (0, 0, results(&[])));
}
