//! Who is registered with which key, and reports of that.

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::commands;

use super::{Bench, BROADCAST, CONFLICT, EXCLUSIVE_ACCESS, IGNORE_KEY, INVALID, OK};

#[test]
fn keys_are_registered_replaced_and_given_up() {
    let mut bench = Bench::new();
    let register = NvmOpcode::RESERVATION_REGISTER;
    bench.is(1);
    assert_eq!(bench.unregister(0), CONFLICT, "not registered");
    assert_eq!(bench.send(register, 2, [0, 5]), CONFLICT);
    assert_eq!(bench.send(register, 2 | IGNORE_KEY, [0, 5]), CONFLICT);
    assert_eq!(bench.send(register, 1 | IGNORE_KEY, [0, 5]), CONFLICT);
    assert_eq!(bench.report().generation, 0, "what fails is not counted");
    assert_eq!(bench.register(5), OK);
    assert_eq!(bench.register(5), OK, "the same again");
    assert_eq!(bench.register(6), CONFLICT);
    assert_eq!(bench.send(register, IGNORE_KEY, [0, 6]), CONFLICT);
    assert_eq!(bench.send(register, 2, [4, 6]), CONFLICT, "another key");
    assert_eq!(bench.send(register, 2, [5, 6]), OK);
    assert_eq!(bench.send(register, 2 | IGNORE_KEY, [0, 7]), OK);
    assert_eq!(bench.is(2).register(7), OK, "two hosts may have the same");
    let report = bench.report();
    assert_eq!(report.registrants, [(1, 7, false), (2, 7, false)]);
    assert_eq!(report.generation, 5);
    assert_eq!(bench.unregister(8), CONFLICT);
    assert_eq!(bench.unregister(7), OK);
    assert_eq!(bench.is(1).send(register, 1 | IGNORE_KEY, [99, 0]), OK);
    assert_eq!(bench.report().registrants, []);
    for cdw10 in [3, 4, 7, 1 << 30] {
        assert_eq!(bench.send(register, cdw10, [0, 1]), INVALID, "{cdw10:#x}");
    }
    let unreachable = commands::reservation(register, 1, 0, 0);
    assert_eq!(bench.command(unreachable), Status::DATA_TRANSFER_ERROR);
    assert_eq!(bench.report().registrants, []);
    for nsid in [0, 33, BROADCAST] {
        bench.nsid = nsid;
        assert_eq!(bench.register(5), Status::INVALID_NAMESPACE_OR_FORMAT);
        assert_eq!(
            bench.report_bytes(64, true),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
    }
}

#[test]
fn there_is_room_for_63_hosts() {
    let mut bench = Bench::new();
    for id in 1..=63 {
        assert_eq!(bench.is(id).register(u64::from(id) << 40), OK);
    }
    assert_eq!(bench.is(64).register(1), Status::INTERNAL_ERROR);
    let report = bench.report();
    assert_eq!(report.registrants.len(), 63);
    assert_eq!(report.registrants[62], (63, 63 << 40, false));
    // A report that has no room for all of them says how many there are.
    let bytes = bench.report_bytes(64 + 64, true).unwrap();
    assert_eq!((bytes[5], bytes[6], bytes[64 + 16]), (63, 0, 1));
    assert_eq!(bench.report_bytes(8, true).unwrap()[5], 63);
    // And one with more room than that has zeros behind them.
    let bytes = bench.report_bytes(8192, true).unwrap();
    assert!(bytes[4096..].iter().all(|&byte| byte == 0));
    assert_eq!(bench.is(7).unregister(7 << 40), OK);
    assert_eq!(bench.is(64).register(1), OK);
}

#[test]
fn reports_come_in_the_form_of_the_hosts_identifier() {
    let mut bench = Bench::new();
    // A host that has not said which form it uses may have either.
    assert_eq!(bench.register(3), OK);
    for is_extended in [false, true] {
        assert!(bench.report_bytes(64, is_extended).is_ok());
    }
    bench.become_host(9, false);
    assert_eq!(bench.register(0x0102_0304_0506_0708), OK);
    assert_eq!(
        bench.send(
            NvmOpcode::RESERVATION_ACQUIRE,
            EXCLUSIVE_ACCESS << 8,
            [0x0102_0304_0506_0708, 0]
        ),
        OK
    );
    assert_eq!(
        bench.report_bytes(64, true),
        Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT)
    );
    let bytes = bench.report_bytes(128, false).unwrap();
    assert_eq!(bytes[..10], [2, 0, 0, 0, 2, 2, 0, 0, 0, 0]);
    assert_eq!(
        bytes[24..48],
        [[0; 16], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()[..24]
    );
    assert_eq!(
        bytes[48..72],
        [0, 0, 1, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    assert!(bytes[72..].iter().all(|&byte| byte == 0));
    bench.become_host(9, true);
    assert_eq!(
        bench.report_bytes(64, false),
        Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT)
    );
    // Longer than MDTS, and the longest that can be asked for.
    assert_eq!(bench.report_bytes((128 << 10) + 4, true), Err(INVALID));
    let longest = SubmissionQueueEntry {
        cdw10: u32::MAX.into(),
        ..commands::reservation_report(1, 4, true, bench.page)
    };
    assert_eq!(bench.command(longest), INVALID);
}
