//! Interrupt Coalescing and Interrupt Vector Configuration: when interrupts come, in virtual time.

use nvme_spec::{AdminOpcode, FeatureId, NvmOpcode, Status};
use nvmev_sim::host::{commands, TestHost};
use proptest::prelude::*;

const UNIT_NS: u64 = 100_000;
/// Longer than the drive takes for anything here.
const DRIVE_NS: u64 = 1000;

/// With MSI-X, and I/O queue pairs 1 and 2 on vectors 1 and 2, each with a worker of its own.
fn host() -> TestHost {
    let mut host = TestHost::new(
        ssd_model::profiles::by_name("optane").expect("a built-in profile"),
        4 << 20,
        512,
        2,
    );
    host.enable();
    host.write_config(0x52, 2, 0x8000);
    create_queues(&mut host);
    host
}

fn create_queues(host: &mut TestHost) {
    for qid in [1, 2] {
        host.create_io_queues(qid, 64);
    }
    host.machine.take_interrupts();
}

fn set(host: &mut TestHost, feature: FeatureId, is_saved: bool, cdw11: u32) {
    let set = commands::set_features(feature, is_saved, cdw11, 0);
    assert_eq!(host.admin(set).status(), Status::SUCCESSFUL_COMPLETION);
    host.machine.take_interrupts();
}

/// After `entries` entries, or `time` units of 100 µs.
fn coalesce(host: &mut TestHost, entries: u32, time: u32) {
    let cdw11 = time << 8 | (entries - 1);
    set(host, FeatureId::INTERRUPT_COALESCING, false, cdw11);
}

/// Has the device post this many completions now, on queue `qid`; returns how many interrupts that was on the queue's vector.
fn complete(host: &mut TestHost, qid: u16, commands: u16) -> u32 {
    for slba in 0..commands {
        let read = commands::read_write(NvmOpcode::READ, 1, slba.into(), 1, 0x10_0000, 0);
        host.submit(qid, read);
    }
    while host.dispatch(host.now_ns).progressed {}
    host.now_ns += DRIVE_NS;
    let worker = usize::from(qid) % 2;
    while host.device.workers[worker].take_items(host.now_ns, &host.machine) {}
    host.run();
    for _ in 0..commands {
        assert!(host.reap(qid).is_some());
    }
    interrupts(host, qid)
}

/// Interrupts on queue `qid`'s vector since the last look.
fn interrupts(host: &TestHost, qid: u16) -> u32 {
    host.machine.take_interrupts().msix[usize::from(qid)]
}

#[test]
fn an_interrupt_comes_with_enough_entries_or_when_the_first_has_waited_long_enough() {
    let mut host = host();
    coalesce(&mut host, 3, 10);
    assert_eq!(complete(&mut host, 1, 1), 0);
    let since_ns = host.now_ns;
    assert_eq!(complete(&mut host, 1, 1), 0);
    assert_eq!(complete(&mut host, 1, 1), 1, "the third");
    assert_eq!(complete(&mut host, 1, 7), 1, "more than enough");
    assert_eq!(complete(&mut host, 1, 2), 0);
    let due_ns = host.now_ns + 10 * UNIT_NS;
    assert_eq!(host.run(), Some(due_ns), "a worker that sleeps wakes up for it");
    host.now_ns = due_ns - 1;
    host.run();
    assert_eq!(interrupts(&host, 1), 0);
    host.now_ns = due_ns;
    // Another dispatcher gives its queues back after a while.
    assert!(host.run().is_none() || TestHost::has_several_dispatchers());
    assert_eq!(interrupts(&host, 1), 1);
    assert!(
        due_ns > since_ns + 10 * UNIT_NS,
        "counted anew since the last interrupt"
    );
}

#[test]
fn vectors_are_counted_apart_and_can_be_left_out() {
    let mut host = host();
    coalesce(&mut host, 2, 1);
    assert_eq!(complete(&mut host, 1, 1), 0);
    assert_eq!(complete(&mut host, 2, 1), 0);
    assert_eq!(complete(&mut host, 2, 1), 1);
    set(
        &mut host,
        FeatureId::INTERRUPT_VECTOR_CONFIGURATION,
        false,
        1 << 16 | 2,
    );
    assert_eq!(complete(&mut host, 2, 1), 1, "at once");
    host.settle();
    assert_eq!(interrupts(&host, 1), 1, "the first one");
    set(&mut host, FeatureId::INTERRUPT_VECTOR_CONFIGURATION, false, 2);
    assert_eq!(complete(&mut host, 2, 1), 0);
}

#[test]
fn nothing_is_coalesced_without_a_threshold_or_a_time_nor_on_the_admin_queues_vector() {
    let mut host = host();
    assert_eq!(complete(&mut host, 1, 1), 1);
    for cdw11 in [0x0007, 0x0700] {
        set(&mut host, FeatureId::INTERRUPT_COALESCING, false, cdw11);
        assert_eq!(complete(&mut host, 1, 1), 1);
    }
    coalesce(&mut host, 8, 8);
    let get = commands::get_features(FeatureId::ARBITRATION, 0, 0, 0);
    assert_eq!(host.admin(get).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(interrupts(&host, 0), 1);
}

#[test]
fn without_msix_nothing_is_coalesced() {
    let mut host = TestHost::ready();
    host.use_pin();
    coalesce(&mut host, 8, 8);
    host.execute(1, commands::flush(1));
    assert_eq!(host.machine.take_interrupts().intx, 1);
}

#[test]
fn what_is_held_back_comes_when_coalescing_ends() {
    let mut host = host();
    coalesce(&mut host, 8, 255);
    assert_eq!(complete(&mut host, 1, 1), 0);
    let off = commands::set_features(FeatureId::INTERRUPT_COALESCING, false, 0, 0);
    assert_eq!(host.admin(off).status(), Status::SUCCESSFUL_COMPLETION);
    host.run();
    assert_eq!(interrupts(&host, 1), 1);
    assert_eq!(complete(&mut host, 1, 1), 1);
}

#[test]
fn a_reset_brings_the_saved_values_back_and_no_interrupt_of_before() {
    let mut host = host();
    coalesce(&mut host, 8, 255);
    assert_eq!(complete(&mut host, 1, 1), 0);
    host.disable();
    host.settle();
    assert_eq!(interrupts(&host, 1), 0, "its queue is gone");
    host.enable();
    create_queues(&mut host);
    assert_eq!(complete(&mut host, 1, 1), 1);
    set(&mut host, FeatureId::INTERRUPT_COALESCING, true, 0x0101);
    host.disable();
    host.enable();
    create_queues(&mut host);
    assert_eq!(complete(&mut host, 1, 1), 0);
    assert_eq!(complete(&mut host, 1, 1), 1);
}

#[test]
fn the_interrupt_of_a_queue_comes_before_the_queue_goes() {
    let mut host = host();
    coalesce(&mut host, 8, 255);
    assert_eq!(complete(&mut host, 1, 1), 0);
    for opcode in [
        AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
        AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
    ] {
        let delete = commands::delete_queue(opcode, 1);
        assert_eq!(host.admin(delete).status(), Status::SUCCESSFUL_COMPLETION);
    }
    host.run();
    assert_eq!(interrupts(&host, 1), 1);
    host.settle();
    assert_eq!(interrupts(&host, 1), 0, "once");
}

#[test]
fn a_function_that_may_not_write_tells_of_it_later() {
    let mut host = host();
    coalesce(&mut host, 8, 1);
    assert_eq!(complete(&mut host, 1, 1), 0);
    host.write_config(4, 2, 0x0002);
    host.now_ns += UNIT_NS;
    host.run();
    assert_eq!(interrupts(&host, 1), 0);
    host.write_config(4, 2, 0x0006);
    host.run();
    assert_eq!(interrupts(&host, 1), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_told_of_in_time_and_no_interrupt_comes_without_a_reason(
        entries in 2u32..12,
        time in 1u32..6,
        steps in prop::collection::vec((0u16..10, 0u64..4 * UNIT_NS), 1..60),
    ) {
        let mut host = host();
        coalesce(&mut host, entries, time);
        let time_ns = u64::from(time) * UNIT_NS;
        let mut waiting = 0;
        let mut since_ns = 0;
        for (commands, pause_ns) in steps {
            host.now_ns += pause_ns;
            host.run();
            let is_due = waiting > 0 && host.now_ns >= since_ns + time_ns;
            prop_assert_eq!(interrupts(&host, 1), u32::from(is_due));
            if is_due {
                waiting = 0;
            }
            let told = complete(&mut host, 1, commands);
            if waiting == 0 {
                since_ns = host.now_ns;
            }
            waiting += u32::from(commands);
            let is_due = waiting >= entries || waiting > 0 && host.now_ns >= since_ns + time_ns;
            prop_assert_eq!(told, u32::from(is_due));
            if is_due {
                waiting = 0;
            }
        }
    }
}
