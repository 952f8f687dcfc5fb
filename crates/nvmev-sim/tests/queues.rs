//! Creating, using and deleting queues, and doorbells.

use nvme_device::IO_QUEUE_PAIRS_MAX;
use nvme_spec::registers::{cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::{AdminOpcode, FeatureId, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, QueuePair, TestHost};
use ssd_model::profiles;

fn status(host: &mut TestHost, entry: SubmissionQueueEntry) -> Status {
    host.admin(entry).status()
}

#[test]
fn create_completion_queue_refuses_what_the_specification_says() {
    let mut host = TestHost::ready();
    host.use_pin();
    let page = host.pages(1);
    let with_cdw11 = |cdw11: u32| SubmissionQueueEntry {
        cdw11: cdw11.into(),
        ..commands::create_cq(2, 16, 0, page)
    };
    for (entry, expected) in [
        (
            commands::create_cq(0, 16, 0, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_cq(1, 16, 0, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_cq(129, 16, 0, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_cq(0xFFFF, 16, 0, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (commands::create_cq(2, 1, 0, page), Status::INVALID_QUEUE_SIZE),
        (commands::create_cq(2, 1025, 0, page), Status::INVALID_QUEUE_SIZE),
        (commands::create_cq(2, 65536, 0, page), Status::INVALID_QUEUE_SIZE),
        (
            commands::create_cq(2, 16, 1, page),
            Status::INVALID_INTERRUPT_VECTOR,
        ),
        (
            commands::create_cq(2, 16, 0, page + 8),
            Status::PRP_OFFSET_INVALID,
        ),
        (with_cdw11(0b10), Status::INVALID_FIELD_IN_COMMAND),
        (commands::create_cq(2, 2, 0, page), Status::SUCCESSFUL_COMPLETION),
        (
            commands::create_cq(3, 1024, 0, page),
            Status::SUCCESSFUL_COMPLETION,
        ),
    ] {
        assert_eq!(status(&mut host, entry), expected, "{entry:?}");
    }
    host.write_config(0x52, 2, 0x8000);
    assert_eq!(
        status(&mut host, commands::create_cq(4, 16, 128, page)),
        Status::SUCCESSFUL_COMPLETION
    );
    assert_eq!(
        status(&mut host, commands::create_cq(5, 16, 129, page)),
        Status::INVALID_INTERRUPT_VECTOR
    );
}

#[test]
fn create_submission_queue_refuses_what_the_specification_says() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    assert_eq!(
        status(&mut host, commands::create_cq(2, 16, 0, page)),
        Status::SUCCESSFUL_COMPLETION
    );
    let not_contiguous = SubmissionQueueEntry {
        cdw11: (2u32 << 16).into(),
        ..commands::create_sq(2, 2, 16, page)
    };
    for (entry, expected) in [
        (
            commands::create_sq(0, 2, 16, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_sq(1, 2, 16, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_sq(200, 2, 16, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_sq(2, 0, 16, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_sq(2, 129, 16, page),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            commands::create_sq(2, 7, 16, page),
            Status::COMPLETION_QUEUE_INVALID,
        ),
        (commands::create_sq(2, 2, 1, page), Status::INVALID_QUEUE_SIZE),
        (commands::create_sq(2, 2, 1025, page), Status::INVALID_QUEUE_SIZE),
        (
            commands::create_sq(2, 2, 16, page + 0x800),
            Status::PRP_OFFSET_INVALID,
        ),
        (not_contiguous, Status::INVALID_FIELD_IN_COMMAND),
        (commands::create_sq(2, 2, 16, page), Status::SUCCESSFUL_COMPLETION),
        (commands::create_sq(3, 2, 16, page), Status::SUCCESSFUL_COMPLETION),
    ] {
        assert_eq!(status(&mut host, entry), expected, "{entry:?}");
    }
}

#[test]
fn deleting_follows_the_order_that_the_specification_asks_for() {
    use AdminOpcode as Op;
    let mut host = TestHost::ready();
    let delete = commands::delete_queue;
    for (entry, expected) in [
        (
            delete(Op::DELETE_IO_COMPLETION_QUEUE, 0),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_SUBMISSION_QUEUE, 0),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_COMPLETION_QUEUE, 2),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_SUBMISSION_QUEUE, 2),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_SUBMISSION_QUEUE, 0xFFFF),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_COMPLETION_QUEUE, 1),
            Status::INVALID_QUEUE_DELETION,
        ),
        (
            delete(Op::DELETE_IO_SUBMISSION_QUEUE, 1),
            Status::SUCCESSFUL_COMPLETION,
        ),
        (
            delete(Op::DELETE_IO_SUBMISSION_QUEUE, 1),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            delete(Op::DELETE_IO_COMPLETION_QUEUE, 1),
            Status::SUCCESSFUL_COMPLETION,
        ),
        (
            delete(Op::DELETE_IO_COMPLETION_QUEUE, 1),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
    ] {
        assert_eq!(status(&mut host, entry), expected, "{entry:?}");
    }
    host.create_io_queues(1, 8);
    assert_eq!(
        host.execute(1, commands::flush(1)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
}

#[test]
fn deleting_a_submission_queue_ends_its_commands_first_and_leaves_the_neighbours_alone() {
    let mut host = TestHost::ready();
    host.create_io_queues(2, 16);
    let buffer = host.pages(1);
    // Different LBAs, so that the commands take their time one after the other on the same unit.
    let read = commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0);
    let mut victims: Vec<u16> = (0..5).map(|_| host.submit(1, read)).collect();
    let bystander = host.submit(2, read);
    for _ in 0..5 {
        host.dispatch(host.now_ns);
    }
    let deletion = host.submit(
        0,
        commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1),
    );
    host.run();
    while let Some(completion) = host.reap(1) {
        assert_eq!(completion.status(), Status::COMMAND_ABORTED_SQ_DELETION);
        victims.retain(|cid| *cid != completion.cid.get());
    }
    assert!(victims.is_empty(), "every command ended: {victims:?}");
    let completion = host.wait(0);
    assert_eq!(
        (completion.cid.get(), completion.status()),
        (deletion, Status::SUCCESSFUL_COMPLETION)
    );
    let completion = host.wait(2);
    assert_eq!(
        (completion.cid.get(), completion.status()),
        (bystander, Status::SUCCESSFUL_COMPLETION)
    );
}

#[test]
fn all_128_queue_pairs_work_at_once_with_any_number_of_workers() {
    for workers in [1, 2, 3, 5] {
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 1 << 20, 512, workers);
        host.enable();
        let buffer = host.pages(1);
        for qid in 1..=IO_QUEUE_PAIRS_MAX {
            host.create_io_queues(qid, 2 + qid % 7);
        }
        for round in 0..20 {
            let read = commands::read_write(NvmOpcode::READ, 1, round, 1, buffer, 0);
            let cids: Vec<u16> = (1..=IO_QUEUE_PAIRS_MAX)
                .map(|qid| host.submit(qid, read))
                .collect();
            for (qid, cid) in (1..=IO_QUEUE_PAIRS_MAX).zip(cids) {
                let completion = host.wait(qid);
                assert_eq!((completion.cid.get(), completion.sq_id.get()), (cid, qid));
                assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
            }
        }
    }
}

#[test]
fn several_submission_queues_share_a_completion_queue() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    assert_eq!(
        status(&mut host, commands::create_sq(9, 1, 16, page)),
        Status::SUCCESSFUL_COMPLETION
    );
    let flush = SubmissionQueueEntry {
        cid: 77.into(),
        ..commands::flush(1)
    };
    host.machine.set_ram(page, zerocopy::IntoBytes::as_bytes(&flush));
    host.set_register(sq_tail_doorbell(9), 1);
    let completion = host.wait(1);
    assert_eq!(
        (
            completion.sq_id.get(),
            completion.cid.get(),
            completion.sq_head.get()
        ),
        (9, 77, 1)
    );
}

#[test]
fn a_full_completion_queue_holds_commands_back_and_loses_none() {
    let mut host = TestHost::ready();
    let (sq, cq) = (host.pages(1), host.pages(1));
    assert_eq!(
        status(&mut host, commands::create_cq(2, 4, 0, cq)),
        Status::SUCCESSFUL_COMPLETION
    );
    assert_eq!(
        status(&mut host, commands::create_sq(2, 2, 32, sq)),
        Status::SUCCESSFUL_COMPLETION
    );
    host.adopt(2, QueuePair::new(sq, 32, cq, 4));
    let cids: Vec<u16> = (0..20).map(|_| host.submit(2, commands::flush(1))).collect();
    host.settle();
    // Another queue goes on meanwhile.
    assert_eq!(
        host.execute(1, commands::flush(1)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    let reaped: Vec<u16> = cids.iter().map(|_| host.wait(2).cid.get()).collect();
    assert_eq!(reaped, cids);
    assert_eq!(host.reap(2), None);
}

#[test]
fn queues_go_round_their_end_many_times_with_the_phase_tag_right() {
    let mut host = TestHost::ready();
    for entries in [2, 3, 5] {
        host.create_io_queues(10 + entries, entries);
        for _ in 0..100 {
            assert_eq!(
                host.execute(10 + entries, commands::flush(1)).status(),
                Status::SUCCESSFUL_COMPLETION
            );
        }
    }
}

#[test]
fn a_wrong_doorbell_is_an_event_and_not_a_crash() {
    let mut host = TestHost::ready();
    let log = host.pages(1);
    let read_log = commands::get_log_page(LogPageId::ERROR_INFORMATION, 0, 0, 64, log);
    let expect_event = |host: &mut TestHost, doorbell: usize, value: u32, info: u32| {
        let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
        host.run();
        host.set_register(doorbell, value);
        for _ in 0..200 {
            host.step();
        }
        let completion = host
            .reap(0)
            .unwrap_or_else(|| panic!("no event for {value:#x} at {doorbell:#x}"));
        assert_eq!(
            (completion.cid.get(), completion.dw0.get()),
            (aer, 0x0001_0000 | info << 8)
        );
        assert_eq!(host.admin(read_log).status(), Status::SUCCESSFUL_COMPLETION);
    };
    const VALUE: u32 = 1;
    const REGISTER: u32 = 0;
    expect_event(&mut host, sq_tail_doorbell(1), 64, VALUE);
    expect_event(&mut host, sq_tail_doorbell(1), u32::MAX, VALUE);
    expect_event(&mut host, cq_head_doorbell(1), 64, VALUE);
    expect_event(&mut host, cq_head_doorbell(1), 3, VALUE);
    expect_event(&mut host, sq_tail_doorbell(7), 1, REGISTER);
    expect_event(&mut host, cq_head_doorbell(128), 1, REGISTER);
    // The queue still works when the doorbell is right again.
    host.set_register(cq_head_doorbell(1), 0);
    assert_eq!(
        host.execute(1, commands::flush(1)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
}

#[test]
fn the_number_of_queues_limits_identifiers_until_the_next_reset() {
    let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 1 << 20, 512, 1);
    host.enable();
    let set = |cdw11| commands::set_features(FeatureId::NUMBER_OF_QUEUES, false, cdw11, 0);
    assert_eq!(host.admin(set(0x0003_0001)).dw0.get(), 0x0003_0003);
    let page = host.pages(1);
    assert_eq!(
        status(&mut host, commands::create_cq(5, 16, 0, page)),
        Status::INVALID_QUEUE_IDENTIFIER
    );
    assert_eq!(
        status(&mut host, commands::create_cq(4, 16, 0, page)),
        Status::SUCCESSFUL_COMPLETION
    );
    assert_eq!(
        status(&mut host, set(0x0007_0007)),
        Status::COMMAND_SEQUENCE_ERROR
    );
    host.disable();
    host.enable();
    assert_eq!(host.admin(set(0x0FFF_0FFF)).dw0.get(), 0x007F_007F);
    assert_eq!(
        status(&mut host, set(0xFFFF_0000)),
        Status::INVALID_FIELD_IN_COMMAND
    );
    assert_eq!(
        status(&mut host, set(0x0000_FFFF)),
        Status::INVALID_FIELD_IN_COMMAND
    );
}

// Found by review.

#[test]
fn deleting_queues_is_no_invalid_doorbell_event() {
    let mut host = TestHost::ready();
    host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.execute(1, commands::flush(1));
    host.admin(commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1));
    host.admin(commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, 1));
    for _ in 0..300 {
        host.step();
    }
    assert_eq!(host.reap(0), None);
}
