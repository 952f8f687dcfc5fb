//! Several dispatchers, each with queues of its own.

mod forwarding;
mod simulation;

use nvme_device::NamespaceConfig;
use nvme_spec::{FeatureId, LogPageId, NvmOpcode, Status};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const NAMESPACE_BYTES: u64 = 8 << 20;
const LBA: usize = 512;

/// Namespaces of these profiles, one after the other.
fn namespaces(names: &[&str]) -> Vec<NamespaceConfig> {
    let offsets = (0..).step_by(NAMESPACE_BYTES as usize);
    let all = names.iter().zip(offsets).map(|(name, media_offset)| {
        let profile = profiles::by_name(name).expect("a built-in profile");
        NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes: LBA as u32,
            media_offset,
            media_len_bytes: NAMESPACE_BYTES,
        }
    });
    all.collect()
}

/// Enabled, with I/O queues 1 to 4, and everything lent: there was work for another dispatcher.
fn ready(names: &[&str], dispatchers: usize, workers: usize) -> TestHost {
    ready_with(namespaces(names), dispatchers, workers)
}

fn ready_with(namespaces: Vec<NamespaceConfig>, dispatchers: usize, workers: usize) -> TestHost {
    let mut host = TestHost::with_dispatchers(namespaces, dispatchers, workers);
    host.enable();
    (1..=4).for_each(|qid| host.create_io_queues(qid, 32));
    host.settle();
    lend(&mut host);
    host
}

fn lend(host: &mut TestHost) {
    assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
}

fn work(host: &mut TestHost) {
    for worker in &mut host.device.workers {
        while worker.poll(host.now_ns, &host.machine).progressed {}
    }
}

/// Passes of one dispatcher, and of the workers, until nothing happens any more.
fn run_alone(host: &mut TestHost, dispatcher: u64) {
    loop {
        let activity = host.poll_a_dispatcher(dispatcher);
        work(host);
        if !activity.progressed {
            break;
        }
    }
    host.now_ns += 1_000_000;
    work(host);
}

/// Commands of queue 1 that were taken on.
fn dispatched(host: &TestHost) -> u32 {
    let queue = host.device.shared.statistics().io_queues().next();
    queue.map_or(0, |queue| queue.dispatched)
}

fn set_burst_of_16(host: &mut TestHost) {
    let burst_log2 = 4;
    let set = commands::set_features(FeatureId::ARBITRATION, false, burst_log2, 0);
    assert_eq!(host.admin(set).status(), SUCCESS);
}

#[test]
fn each_dispatcher_serves_its_queues_without_the_others() {
    let mut host = ready(&["optane"], 2, 2);
    let buffer = host.pages(1);
    for (qid, own, other) in [(1, 1, 0), (2, 0, 1), (3, 1, 0), (4, 0, 1)] {
        host.submit(qid, commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0));
        run_alone(&mut host, other);
        assert!(host.reap(qid).is_none(), "queue {qid} is not that one's");
        run_alone(&mut host, own);
        let completion = host.reap(qid).expect("its dispatcher and its worker were there");
        assert_eq!(completion.status(), SUCCESS);
    }
}

/// After a while without work nobody but the controller looks for some.
#[test]
fn an_idle_drive_is_the_controllers() {
    let mut host = ready(&["optane"], 3, 1);
    let has_queues = |host: &TestHost| host.device.dispatchers.iter().any(|other| other.has_queues());
    assert!(has_queues(&host));
    host.settle();
    assert!(!has_queues(&host));
    lend(&mut host);
    assert!(has_queues(&host));
}

/// What counts and what is told is the same, whoever worked.
#[test]
fn all_dispatchers_commands_are_counted_and_their_errors_logged() {
    for names in [&["optane"], &["970pro"]] {
        let mut host = ready(names, 3, 2);
        let buffer = host.pages(1);
        for qid in 1..=4 {
            for _ in 0..25 {
                let read = commands::read_write(NvmOpcode::READ, 1, 3, 1, buffer, 0);
                assert_eq!(host.execute(qid, read).status(), SUCCESS);
            }
            let beyond = commands::read_write(NvmOpcode::READ, 1, 1 << 40, 1, buffer, 0);
            assert_eq!(host.execute(qid, beyond).status(), Status::LBA_OUT_OF_RANGE);
            let absent = commands::read_write(NvmOpcode::READ, 9, 0, 1, buffer, 0);
            assert_eq!(
                host.execute(qid, absent).status(),
                Status::INVALID_FIELD_IN_COMMAND
            );
        }
        host.execute(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer),
        );
        let smart = host.machine.ram(buffer, 512);
        assert_eq!(smart[64], 100, "host reads");
        assert_eq!(smart[176], 8, "errors");
    }
}

/// What a worker holds when a reset comes is forgotten by the dispatcher that sent it, too: otherwise it would some day think the worker full.
#[test]
fn resets_leave_room_at_the_workers() {
    let mut host = ready(&["optane"], 2, 1);
    let buffer = host.pages(1);
    let free = host.next_page();
    for round in 0..300 {
        assert_eq!(
            host.execute(1, commands::flush(1)).status(),
            SUCCESS,
            "round {round}"
        );
        for _ in 0..30 {
            host.submit(1, commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0));
        }
        for _ in 0..10 {
            host.poll_a_dispatcher(1);
        }
        work(&mut host);
        let dispatched = dispatched(&host);
        assert!(dispatched >= 31, "round {round}: {dispatched}");
        host.forget_pages(free);
        host.disable();
        host.enable();
        host.create_io_queues(1, 32);
    }
}

#[test]
fn too_many_dispatchers_are_refused() {
    let refused = std::panic::catch_unwind(|| TestHost::with_dispatchers(namespaces(&["optane"]), 9, 1));
    assert!(refused.is_err());
}
