//! What hosts are told of what others do to reservations.

use nvme_spec::{registers, AdminOpcode, FeatureId, NvmOpcode, Status};
use nvmev_sim::host::commands;

use super::{three, BROADCAST, INVALID, OK, WRITE_EXCLUSIVE_REGISTRANTS};

#[test]
fn notifications_are_read_one_by_one_and_are_an_event() {
    let mut bench = three(WRITE_EXCLUSIVE_REGISTRANTS);
    assert_eq!(bench.notification(), (0, 0, 0, 0), "none");
    let aer = bench
        .host
        .submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    bench.host.run();
    assert_eq!(bench.host.reap(0), None);
    assert_eq!(bench.host.register(registers::CSTS) & 1, 1);
    let keys: Vec<u8> = [1u64, 0].iter().flat_map(|key| key.to_le_bytes()).collect();
    bench.host.machine.set_ram(bench.page, &keys);
    let release = commands::reservation(NvmOpcode::RESERVATION_RELEASE, 1, 3 << 8, bench.page);
    assert_eq!(bench.command(release), OK);
    bench.host.run();
    let event = bench.host.reap(0).expect("an event");
    assert_eq!((event.cid.get(), event.dw0.get()), (aer, 0x0080_0006));
    // More of them, without another event before the log is read.
    assert_eq!(bench.preempt(1, 1, 2), OK);
    assert_eq!(bench.clear(1), OK);
    assert_eq!(bench.notification(), (1, 2, 2, 1));
    assert_eq!(bench.notification(), (2, 1, 1, 1));
    assert_eq!(bench.notification(), (3, 3, 0, 1));
    assert_eq!(bench.notification(), (0, 0, 0, 0));
    // What a host did to nobody is no news.
    assert_eq!(bench.register(1), OK);
    assert_eq!(bench.acquire(3, 1), OK);
    assert_eq!(bench.release(3, 1), OK);
    assert_eq!(bench.clear(1), OK);
    assert_eq!(bench.notification(), (0, 0, 0, 0));
    // Too many for the log: the numbers tell.
    for _ in 0..70 {
        for id in 1..=2 {
            assert_eq!(bench.is(id).register(id.into()), OK);
        }
        assert_eq!(bench.clear(2), OK);
    }
    assert_eq!(bench.notification(), (4, 3, 63, 1));
    let all: Vec<u8> = bench.notices();
    assert_eq!(all, [3; 63]);
    for id in 1..=2 {
        assert_eq!(bench.is(id).register(id.into()), OK);
    }
    assert_eq!(bench.clear(2), OK);
    assert_eq!(bench.notification(), (74, 3, 0, 1), "six were lost");
    for id in 1..=2 {
        assert_eq!(bench.is(id).register(id.into()), OK);
    }
    assert_eq!(bench.clear(2), OK);
    bench.reset(false);
    assert_eq!(bench.notification(), (0, 0, 0, 0), "forgotten with a reset");
}

#[test]
fn notifications_can_be_masked_for_each_namespace() {
    use FeatureId as Feature;
    let mask = Feature::RESERVATION_NOTIFICATION_MASK;
    let mut bench = three(WRITE_EXCLUSIVE_REGISTRANTS);
    assert_eq!(bench.feature(mask, 1), Ok(0));
    for nsid in [0, 33, BROADCAST] {
        assert_eq!(
            bench.feature(mask, nsid),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
    }
    for nsid in [0, 33] {
        assert_eq!(
            bench.set_feature(mask, nsid, 2),
            Status::INVALID_NAMESPACE_OR_FORMAT
        );
    }
    for value in [1, 0x10, 1 << 31] {
        assert_eq!(bench.set_feature(mask, 1, value), INVALID);
    }
    assert_eq!(bench.set_feature(mask, BROADCAST, 0b0100), OK);
    assert_eq!(bench.feature(mask, 1), Ok(0b0100));
    assert_eq!(bench.is(1).release(3, 1), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    assert_eq!(bench.preempt(1, 1, 2), OK);
    assert_eq!(bench.notices(), [1]);
    assert_eq!(bench.set_feature(mask, 1, 0b1010), OK);
    assert_eq!(bench.preempt(1, 1, 3), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    assert_eq!(bench.is(2).register(2), OK);
    assert_eq!(bench.clear(2), OK);
    assert_eq!(bench.notices(), [] as [u8; 0]);
    let saved = commands::set_features(mask, true, 0, 0);
    assert_eq!(
        bench.command_admin(saved),
        Status::FEATURE_IDENTIFIER_NOT_SAVEABLE
    );
    bench.reset(false);
    assert_eq!(bench.feature(mask, 1), Ok(0));
    for feature in [mask, Feature::RESERVATION_PERSISTENCE] {
        let capabilities = commands::get_features(feature, 3, 0, 0);
        assert_eq!(bench.host.admin(capabilities).dw0.get(), 0b110, "{feature:?}");
    }
}
