//! Commands in a queue of one dispatcher for a namespace of another.

use nvme_device::Dispatcher;
use nvme_spec::{registers, AdminOpcode, LogPageId, NvmOpcode, Status};
use nvmev_sim::host::{commands, TestHost};

use super::{dispatched, lend, namespaces, ready, run_alone, set_burst_of_16, work, LBA, SUCCESS};

/// Reads of an LBA each from namespace 1, in queue `qid`, of which the device is told together.
fn submit_reads(host: &mut TestHost, qid: u16, count: u64, buffer: u64) {
    for lba in 0..count {
        host.enqueue(qid, commands::read_write(NvmOpcode::READ, 1, lba, 1, buffer, 0));
    }
    host.ring(qid);
}

/// How the commands of queue 1 ended that have.
fn ends(host: &mut TestHost) -> Vec<Status> {
    let ends = std::iter::from_fn(|| host.reap(1));
    ends.map(|end| end.status()).collect()
}

/// A drive with flash has one dispatcher that times its commands; those of another one's queues get there.
#[test]
fn commands_for_another_dispatchers_namespace_get_there() {
    let mut host = ready(&["970pro", "970pro"], 2, 1);
    let buffer = host.pages(1);
    for (nsid, qid, via, timed_by) in [(1, 1, 1, 0), (2, 2, 0, 1)] {
        host.machine.set_ram(buffer, &[nsid as u8; LBA]);
        host.submit(qid, commands::read_write(NvmOpcode::WRITE, nsid, 5, 1, buffer, 0));
        run_alone(&mut host, via);
        assert!(host.reap(qid).is_none(), "namespace {nsid} is not that one's");
        run_alone(&mut host, timed_by);
        let completion = host
            .reap(qid)
            .expect("the namespace's dispatcher has taken it on");
        assert_eq!(completion.status(), SUCCESS);
        host.machine.set_ram(buffer, &[0; LBA]);
        let read = commands::read_write(NvmOpcode::READ, nsid, 5, 1, buffer, 0);
        assert_eq!(host.execute(3, read).status(), SUCCESS);
        assert_eq!(host.machine.ram(buffer, LBA), [nsid as u8; LBA]);
    }
}

#[test]
fn a_burst_for_another_dispatchers_namespace_goes_there_together() {
    let mut host = ready(&["970pro"], 2, 1);
    let buffer = host.pages(1);
    let before = dispatched(&host);
    submit_reads(&mut host, 1, 8, buffer);
    host.device.shared.statistics().reset_in_flight_max();
    host.poll_a_dispatcher(1);
    assert_eq!(dispatched(&host), before, "that one fetches");
    host.poll_a_dispatcher(0);
    assert_eq!(dispatched(&host), before + 8, "this one takes on");
    host.poll_a_dispatcher(1);
    let queue = host.device.shared.statistics().io_queues().next();
    assert_eq!(queue.map(|queue| queue.in_flight_max), Some(8));
    for _ in 0..8 {
        assert_eq!(host.wait(1).status(), SUCCESS);
    }
}

/// A shutdown waits for commands that were fetched before it, also for those that had gone to another dispatcher.
#[test]
fn what_has_gone_to_another_dispatcher_is_done_before_a_shutdown_is() {
    let mut host = ready(&["970pro"], 2, 1);
    let buffer = host.pages(1);
    submit_reads(&mut host, 1, 8, buffer);
    host.poll_a_dispatcher(1);
    host.set_register(registers::CC, host.register(registers::CC) | 1 << 14);
    host.settle();
    assert_eq!(host.register(registers::CSTS) >> 2 & 3, 2, "complete");
    assert_eq!(ends(&mut host), [SUCCESS; 8]);
}

/// More commands than there is room for between two dispatchers wait where they are.
#[test]
fn all_commands_of_many_queues_get_to_another_dispatcher() {
    const QUEUES: u16 = 30;
    let mut host = TestHost::with_dispatchers(namespaces(&["970pro"]), 2, 1);
    host.enable();
    set_burst_of_16(&mut host);
    let odd = || (0..QUEUES).map(|index| 2 * index + 1);
    odd().for_each(|qid| host.create_io_queues(qid, 32));
    host.settle();
    lend(&mut host);
    let buffer = host.pages(1);
    for qid in odd() {
        submit_reads(&mut host, qid, 30, buffer);
    }
    host.device.shared.statistics().reset_in_flight_max();
    // So many passes of one that the other has to begin with as much as there can be.
    (0..100).for_each(|_| {
        host.poll_a_dispatcher(1);
    });
    let taken_on = |host: &TestHost| {
        let queues = host.device.shared.statistics().io_queues();
        queues.map(|queue| queue.dispatched).sum::<u32>()
    };
    let before = taken_on(&host);
    (0..100).for_each(|_| {
        host.poll_a_dispatcher(0);
    });
    assert_eq!(taken_on(&host) - before, 256);
    host.poll_a_dispatcher(1);
    for queue in host.device.shared.statistics().io_queues() {
        assert_eq!(queue.in_flight, queue.in_flight_max);
    }
    for qid in odd() {
        for _ in 0..30 {
            assert_eq!(host.wait(qid).status(), SUCCESS, "queue {qid}");
        }
    }
    host.settle();
    assert!(odd().all(|qid| host.reap(qid).is_none()));
}

/// Writes of 256 KiB in queue 1 of which the fifth has to wait for room in the drive's buffer, and behind them a read of what the last one writes;
/// everything has been looked at. Returns where the read's data goes, too.
fn waiting_in_queue_1(dispatchers: usize) -> (TestHost, u64) {
    let mut host = ready(&["970pro"], dispatchers, 1);
    let (list, into) = (host.pages(1), host.pages(1));
    for index in 0..7 {
        let buffer = host.pages(1);
        host.machine.set_ram(buffer, &[index as u8 + 1; 4096]);
        let entries: Vec<u8> = (0..64).flat_map(|_| buffer.to_le_bytes()).collect();
        let list = list + index * 512;
        host.machine.set_ram(list, &entries);
        let write = commands::read_write(NvmOpcode::WRITE, 1, index * 512, 512, buffer, list);
        host.enqueue(1, write);
    }
    host.enqueue(1, commands::read_write(NvmOpcode::READ, 1, 6 * 512, 8, into, 0));
    host.ring(1);
    for pass in 0..20 {
        host.poll_a_dispatcher(pass);
        work(&mut host);
    }
    (host, into)
}

/// Behind a command that has to wait, another dispatcher takes none on: they keep their order.
#[test]
fn commands_that_have_gone_to_another_dispatcher_keep_their_order() {
    for dispatchers in 1..=2 {
        let before = dispatched(&ready(&["970pro"], dispatchers, 1));
        let (mut host, into) = waiting_in_queue_1(dispatchers);
        assert_eq!(dispatched(&host) - before, 4, "{dispatchers} dispatchers");
        for pass in 0..200 {
            host.now_ns += 10_000;
            host.poll_a_dispatcher(pass);
            work(&mut host);
            let is_lent = host.device.dispatchers.iter().all(Dispatcher::has_queues);
            assert!(is_lent, "nobody is called back for that");
        }
        assert_eq!(dispatched(&host) - before, 8, "{dispatchers} dispatchers");
        for _ in 0..8 {
            assert_eq!(host.wait(1).status(), SUCCESS);
        }
        assert_eq!(
            host.machine.ram(into, 4096),
            [7; 4096],
            "{dispatchers} dispatchers"
        );
    }
}

#[test]
fn all_that_a_queue_holds_for_another_dispatcher_ends_with_the_queue() {
    let (mut host, _) = waiting_in_queue_1(2);
    let delete = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1);
    assert_eq!(host.admin(delete).status(), SUCCESS);
    host.settle();
    assert_eq!(ends(&mut host), [Status::COMMAND_ABORTED_SQ_DELETION; 8]);
}

#[test]
fn a_command_that_a_queue_holds_for_another_dispatcher_can_be_aborted() {
    for behind in 0..4 {
        let (mut host, _) = waiting_in_queue_1(2);
        let cid = host.next_cid() - 4 + behind;
        let abort = host.admin(commands::abort(1, cid));
        assert_eq!((abort.status(), abort.dw0.get()), (SUCCESS, 0));
        let mut ends: Vec<(u16, Status)> = Vec::new();
        for _ in 0..8 {
            let end = host.wait(1);
            ends.push((end.cid.get(), end.status()));
        }
        ends.retain(|(_, status)| *status != SUCCESS);
        assert_eq!(ends, [(cid, Status::COMMAND_ABORT_REQUESTED)]);
        host.settle();
        assert!(host.reap(1).is_none());
    }
}

/// Commands that have gone to another dispatcher when the controller calls everybody back are neither lost nor done twice.
#[test]
fn what_is_under_way_between_dispatchers_survives_a_call_back() {
    const COMMANDS: u8 = 20;
    for passes in 0..12 {
        let mut host = ready(&["970pro"], 2, 1);
        let buffer = host.pages(2);
        submit_reads(&mut host, 1, COMMANDS.into(), buffer);
        for pass in 0..passes {
            host.poll_a_dispatcher(pass + 1);
        }
        host.submit(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer + 4096),
        );
        assert_eq!(host.wait(0).status(), SUCCESS);
        for _ in 0..COMMANDS {
            assert_eq!(host.wait(1).status(), SUCCESS);
        }
        host.settle();
        assert!(host.reap(1).is_none(), "{passes} passes");
        host.execute(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer),
        );
        assert_eq!(
            host.machine.ram(buffer + 64, 1),
            [COMMANDS],
            "host reads, {passes} passes"
        );
    }
}
