//! What the device says of how late it posts completions.

use nvme_device::LatenessSnapshot;
use nvme_spec::{FeatureId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use proptest::prelude::*;

fn seen(host: &TestHost) -> LatenessSnapshot {
    host.device.shared.lateness().snapshot()
}

fn read(slba: u64, buffer: u64) -> SubmissionQueueEntry {
    commands::read_write(NvmOpcode::READ, 1, slba, 1, buffer, 0)
}

/// Has queue 1's commands fetched and taken by the worker, and the completions that are due now posted; when the next one is.
fn dispatch(host: &mut TestHost) -> u64 {
    host.run().expect("a command is under way")
}

/// Any time, short ones as likely as long ones.
fn late_ns() -> impl Strategy<Value = u64> {
    (0u32..36, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn counts_misses_and_maximum_are_exact_and_quantiles_nearly(
        mut times_ns in prop::collection::vec(late_ns(), 1..200),
        bound_ns in late_ns(),
    ) {
        let mut host = TestHost::ready();
        host.device.shared.lateness().set_bound_ns(bound_ns);
        let buffer = host.pages(1);
        for &late_ns in &times_ns {
            host.submit(1, read(0, buffer));
            host.now_ns = dispatch(&mut host) + late_ns;
            host.run();
            prop_assert!(host.reap(1).is_some());
        }
        times_ns.sort_unstable();
        let seen = seen(&host);
        prop_assert_eq!(seen.count(), times_ns.len() as u64);
        prop_assert_eq!(seen.misses, times_ns.iter().filter(|&&late_ns| late_ns > bound_ns).count() as u64);
        prop_assert_eq!(Some(&seen.max_ns), times_ns.last());
        for per_mille in [1, 500, 900, 990, 999, 1000] {
            let rank = (times_ns.len() * per_mille).div_ceil(1000);
            let exact_ns = times_ns[rank - 1];
            let told_ns = seen.quantile_ns(per_mille as u64);
            // What is beyond the last bucket's beginning is told apart no more.
            prop_assert!(exact_ns <= told_ns, "{} of 1000: {} for {}", per_mille, told_ns, exact_ns);
            prop_assert!(
                told_ns <= exact_ns + exact_ns / 4 || exact_ns > 15_000_000_000,
                "{} of 1000: {} for {}", per_mille, told_ns, exact_ns
            );
        }
        for bucket in seen.buckets() {
            let inside = times_ns.iter().filter(|&late_ns| (bucket.from_ns..=bucket.to_ns).contains(late_ns));
            prop_assert_eq!(bucket.count, inside.count() as u64);
        }
    }
}

#[test]
fn commands_that_no_model_gave_a_time_are_not_counted() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    let late = |host: &mut TestHost, qid, entry| {
        host.submit(qid, entry);
        host.dispatch(host.now_ns);
        host.now_ns += 1_000_000;
        host.wait(qid).status()
    };
    let get = commands::get_features(FeatureId::ARBITRATION, 0, 0, 0);
    assert_eq!(late(&mut host, 0, get), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        late(&mut host, 1, read(u64::MAX, buffer)),
        Status::LBA_OUT_OF_RANGE
    );
    assert_eq!(late(&mut host, 1, read(0, 0)), Status::DATA_TRANSFER_ERROR);
    // Nothing is under way, so that it is over at once.
    assert_eq!(
        late(&mut host, 1, commands::flush(1)),
        Status::SUCCESSFUL_COMPLETION
    );
    let cid = host.submit(1, read(0, buffer));
    dispatch(&mut host);
    host.submit(0, commands::abort(1, cid));
    assert_eq!(host.wait(1).status(), Status::COMMAND_ABORT_REQUESTED);
    host.wait(0);
    assert_eq!(seen(&host).count(), 0);
    assert_eq!(late(&mut host, 1, read(0, buffer)), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(seen(&host).count(), 1);
}

#[test]
fn a_command_whose_time_was_over_when_the_worker_got_it_is_late_too() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    host.submit(1, read(0, buffer));
    let dispatched_ns = host.now_ns;
    host.dispatch(dispatched_ns);
    host.now_ns += 5000;
    host.wait(1);
    let max_ns = seen(&host).max_ns;
    // The drive takes a few nanoseconds.
    assert!((4900..5000).contains(&max_ns), "{max_ns}");
    assert_eq!(seen(&host).misses, 1);
}

#[test]
fn the_time_that_copying_and_posting_take_is_seen() {
    const COPYING_NS: u64 = 1_000_000;
    const POSTING_NS: u64 = 100_000;
    let mut host = TestHost::ready();
    host.write_config(0x52, 2, 0x8000);
    host.create_io_queues(2, 64);
    let buffer = host.pages(1);
    for slba in 0..20 {
        host.submit(2, read(slba, buffer));
    }
    let began_ns = host.now_ns;
    while host.dispatch(began_ns).progressed {}
    host.machine.take_interrupts();
    let worker = &mut host.device.workers[0];
    while worker.take_items(began_ns, &host.machine) {}
    let mut now_ns = began_ns + COPYING_NS;
    let activity = loop {
        match worker.post_completions(now_ns, &host.machine) {
            Some(activity) => break activity,
            None => assert_eq!(
                host.machine.take_interrupts().msix[2],
                0,
                "there are more to come"
            ),
        }
        now_ns += POSTING_NS;
    };
    assert!(activity.progressed && activity.next_event_ns.is_none());
    assert_eq!(host.machine.take_interrupts().msix[2], 1, "one for all of them");
    let seen = seen(&host);
    assert_eq!((seen.count(), seen.misses), (20, 20));
    let first = seen.buckets().next().expect("a bucket");
    assert!(first.from_ns <= COPYING_NS && COPYING_NS - 100 <= first.to_ns);
    let last_ns = now_ns - began_ns;
    assert!(last_ns > COPYING_NS, "more than one call");
    assert!(
        (last_ns - 100..=last_ns).contains(&seen.max_ns),
        "{}",
        seen.max_ns
    );
}

#[test]
fn what_comes_due_while_a_pass_posts_waits_for_the_next_pass() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    for slba in 0..9 {
        host.submit(1, read(slba, buffer));
    }
    let began_ns = host.now_ns;
    while host.dispatch(began_ns).progressed {}
    let worker = &mut host.device.workers[0];
    while worker.take_items(began_ns, &host.machine) {}
    let due_ns = began_ns + 100;
    assert_eq!(worker.post_completions(due_ns, &host.machine), None);
    host.submit(1, read(9, buffer));
    host.dispatch(due_ns);
    let worker = &mut host.device.workers[0];
    worker.take_items(due_ns, &host.machine);
    let activity = worker.post_completions(due_ns + 1000, &host.machine);
    let activity = activity.expect("nine were due");
    assert!(activity
        .next_event_ns
        .is_some_and(|next_ns| next_ns < due_ns + 1000));
    assert_eq!(seen(&host).count(), 9);
    host.settle();
    assert_eq!(seen(&host).count(), 10);
}
