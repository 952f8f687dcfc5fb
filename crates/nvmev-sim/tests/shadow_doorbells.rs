//! Doorbells in the host's memory, set up by Doorbell Buffer Config.

use std::collections::BTreeSet;

use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell};
use nvme_spec::{AdminOpcode, IdentifyCns, LogPageId, Status};
use nvmev_sim::host::{commands, QueuePair, Random, Ring, TestHost, RAM_BASE};
use ssd_model::profiles;

const RINGS: [Ring; 4] = [
    Ring::Never,
    Ring::WhenPassed,
    Ring::WhenPassedModulo,
    Ring::Always,
];

fn ready(ring: Ring) -> TestHost {
    let mut host = TestHost::ready();
    host.use_shadow_doorbells(ring);
    host
}

fn shadow_of(host: &TestHost, register: usize) -> u64 {
    host.shadow.unwrap().shadows + (register - registers::DOORBELLS) as u64
}

fn write_shadow(host: &TestHost, register: usize, value: u32) {
    host.machine
        .set_ram(shadow_of(host, register), &value.to_le_bytes());
}

fn flush(host: &mut TestHost, qid: u16) {
    let completion = host.execute(qid, commands::flush(1));
    assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
}

fn is_failed(host: &TestHost) -> bool {
    host.register(registers::CSTS) & csts::CFS != 0
}

#[test]
fn buffers_that_are_no_pages_of_memory_are_an_invalid_field_and_change_nothing() {
    let mut host = TestHost::ready();
    let (good, other) = (host.pages(1), host.pages(1));
    let beyond = host.machine.ram_end();
    for (shadows, event_indices) in [
        (good + 4, other),
        (good, other + 8),
        (good + 2048, other),
        (0, other),
        (good, 0),
        (beyond, other),
        (good, beyond),
        (u64::MAX - 4095, other),
        (good, u64::MAX - 4095),
        (good, good),
    ] {
        let completion = host.admin(commands::doorbell_buffer_config(shadows, event_indices));
        assert_eq!(
            completion.status(),
            Status::INVALID_FIELD_IN_COMMAND,
            "{shadows:#x} {event_indices:#x}"
        );
    }
    flush(&mut host, 1);
    assert_eq!(host.machine.ram(good, 4096), [0; 4096], "not even written to");
    host.use_shadow_doorbells(Ring::Never);
    let completion = host.admin(commands::doorbell_buffer_config(good + 4, other));
    assert_eq!(completion.status(), Status::INVALID_FIELD_IN_COMMAND);
    // The buffers that were there are still looked at.
    flush(&mut host, 1);
}

#[test]
fn drivers_are_served_however_rarely_they_ring() {
    for ring in RINGS {
        let mut host = ready(ring);
        // Another pair is made after the buffers, and a third one in its place, without the driver's clearing anything.
        host.create_io_queues(2, 5);
        for _ in 0..200 {
            flush(&mut host, 1);
            flush(&mut host, 2);
        }
        host.admin(commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 2));
        host.admin(commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, 2));
        for shadow in [sq_tail_doorbell(2), cq_head_doorbell(2)] {
            write_shadow(&host, shadow, 1);
        }
        host.create_io_queues(2, 7);
        for _ in 0..200 {
            flush(&mut host, 2);
        }
        let rung = host.shadow.unwrap().rung;
        match ring {
            Ring::Never | Ring::WhenPassed => assert_eq!(rung, 0, "{ring:?}"),
            // Once around each queue: 40 times in the one of 5 entries, tail and head, and so on.
            Ring::WhenPassedModulo => assert!((1..200).contains(&rung), "{rung}"),
            Ring::Always => assert!(rung > 1200, "{rung}"),
        }
    }
}

#[test]
fn the_queues_that_are_there_go_on_where_they_are() {
    let mut host = TestHost::ready();
    (0..5).for_each(|_| flush(&mut host, 1));
    // What was in the pages before does not matter.
    let next = host.next_page();
    host.use_shadow_doorbells(Ring::WhenPassedModulo);
    assert_eq!(host.next_page(), next + 8192);
    let word = |host: &TestHost, register| host.machine.ram(shadow_of(host, register), 4)[0];
    assert_eq!(
        (word(&host, sq_tail_doorbell(1)), word(&host, cq_head_doorbell(1))),
        (5, 5)
    );
    (0..100).for_each(|_| flush(&mut host, 1));
    // To other pages, and back to the registers by a reset.
    host.use_shadow_doorbells(Ring::Never);
    (0..100).for_each(|_| flush(&mut host, 1));
}

#[test]
fn the_admin_queue_may_be_rung_either_way() {
    let mut host = ready(Ring::Never);
    let shadow = host.shadow;
    for _ in 0..3 {
        flush_admin(&mut host);
    }
    // As Linux does: by the register only, from the beginning.
    let mut host = TestHost::ready();
    host.use_shadow_doorbells(Ring::Never);
    assert!(shadow.is_some() && host.shadow.take().is_some());
    (0..100).for_each(|_| flush_admin(&mut host));
}

fn flush_admin(host: &mut TestHost) {
    let page = host.pages(1);
    let read_log = commands::get_log_page(LogPageId::ERROR_INFORMATION, 0, 0, 64, page);
    assert_eq!(host.admin(read_log).status(), Status::SUCCESSFUL_COMPLETION);
}

#[test]
fn a_register_that_is_late_with_what_the_shadow_said_is_no_error() {
    let mut host = ready(Ring::Never);
    let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    for _ in 0..10 {
        flush(&mut host, 1);
    }
    // The store that belongs to the third command arrives now.
    host.set_register(sq_tail_doorbell(1), 3);
    host.set_register(cq_head_doorbell(1), 2);
    host.settle();
    flush(&mut host, 1);
    assert_eq!(host.reap(0), None, "{aer} is still held");
}

#[test]
fn a_wrong_shadow_is_an_event_like_a_wrong_register() {
    let wrong = [
        (sq_tail_doorbell(1), 64),
        (sq_tail_doorbell(1), u32::MAX),
        (cq_head_doorbell(1), 64),
        (cq_head_doorbell(1), 3),
        (cq_head_doorbell(0), 9),
        (sq_tail_doorbell(0), 32),
    ];
    for (register, value) in wrong {
        let mut host = ready(Ring::Never);
        let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
        host.run();
        write_shadow(&host, register, value);
        host.settle();
        let completion = host.reap(0).expect("an event");
        assert_eq!(
            (completion.cid.get(), completion.dw0.get()),
            (aer, 0x0001_0100),
            "{value:#x} at {register:#x}"
        );
        // The driver's next write makes it good.
        flush(&mut host, 1);
    }
    let mut host = ready(Ring::Never);
    let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    // More than there is room for, so that some wait: a tail that goes back over them.
    let (sq, cq) = (host.pages(1), host.pages(1));
    host.admin(commands::create_cq(2, 2, 0, cq));
    host.admin(commands::create_sq(2, 2, 32, sq));
    host.adopt(2, QueuePair::new(sq, 32, cq, 2));
    for _ in 0..5 {
        host.submit(2, commands::flush(1));
    }
    host.settle();
    write_shadow(&host, sq_tail_doorbell(2), 3);
    host.settle();
    let completion = host.reap(0).expect("an event");
    assert_eq!((completion.cid.get(), completion.dw0.get()), (aer, 0x0001_0100));
    // A wrong register is one also when the shadow counts.
    let mut host = ready(Ring::Never);
    flush(&mut host, 1);
    host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.set_register(sq_tail_doorbell(1), 77);
    host.settle();
    assert_eq!(host.reap(0).expect("an event").dw0.get(), 0x0001_0100);
}

#[test]
fn a_reset_of_any_kind_goes_back_to_the_registers() {
    let resets: [fn(&mut TestHost); 3] = [
        TestHost::disable,
        |host| host.set_register(registers::NSSR, nvme_spec::NSSR_RESET),
        // Function level reset: Device Control of the PCI Express capability.
        |host| host.write_config(0x68, 2, 0x8000),
    ];
    for reset in resets {
        let mut host = ready(Ring::Never);
        flush(&mut host, 1);
        let old = host.shadow.unwrap();
        reset(&mut host);
        host.settle();
        assert_eq!(host.register(registers::CSTS) & csts::RDY, 0);
        host.shadow = None;
        host.enable();
        host.create_io_queues(1, 64);
        let before = host.machine.ram(old.shadows, 4096);
        flush(&mut host, 1);
        for doorbell in [sq_tail_doorbell(1), cq_head_doorbell(1)] {
            let at = old.shadows + (doorbell - registers::DOORBELLS) as u64;
            host.machine.set_ram(at, &[0x66; 4]);
        }
        let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
        (0..100).for_each(|_| flush(&mut host, 1));
        assert_eq!(host.reap(0), None, "{aer}: nobody looks at the old page");
        assert_eq!(host.machine.ram(old.shadows, 8), before[..8]);
    }
}

#[test]
fn one_read_a_pass_sees_all_queues_and_none_without_buffers() {
    if TestHost::has_several_dispatchers() {
        // Each of them reads.
        return;
    }
    let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 1 << 20, 512, 1);
    host.enable();
    (1..=40).for_each(|qid| host.create_io_queues(qid, 4));
    let reads_of_a_pass = |host: &mut TestHost| {
        host.settle();
        let before = host.machine.device_reads();
        host.step();
        host.machine.device_reads() - before
    };
    assert_eq!(reads_of_a_pass(&mut host), 0);
    host.use_shadow_doorbells(Ring::Never);
    assert_eq!(reads_of_a_pass(&mut host), 1);
    host.disable();
    host.enable();
    assert_eq!(reads_of_a_pass(&mut host), 0);
}

#[test]
fn buffers_that_go_away_are_the_end_of_the_controller_until_it_is_reset() {
    let mut host = ready(Ring::Never);
    let page = host.pages(1);
    host.machine.unplug(host.shadow.unwrap().shadows);
    host.run();
    assert!(is_failed(&host));
    host.machine.plug_all();
    host.disable();
    assert!(!is_failed(&host));
    host.enable();
    host.use_shadow_doorbells(Ring::Never);
    // What is written when a queue is made: the failure comes before or instead of a completion.
    host.machine.unplug(host.shadow.unwrap().event_indices);
    host.run();
    assert!(!is_failed(&host), "nobody has to write there now");
    host.submit(0, commands::create_cq(9, 4, 0, page));
    host.settle();
    assert!(is_failed(&host));
    host.machine.plug_all();
    host.disable();
    host.enable();
    host.create_io_queues(1, 4);
    flush(&mut host, 1);
}

/// A driver of a few queues that does everything in any order: every command has its completion, and there is no event.
#[test]
fn any_interleaving_loses_nothing() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let workers = 1 + random.below(3) as usize;
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 1 << 20, 512, workers);
        let first_free = host.next_page();
        for _ in 0..4 {
            host.forget_pages(first_free);
            host.enable();
            let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
            let queues = 1 + random.below(4) as u16;
            let with_buffers = random.below(u64::from(queues) + 2) as u16;
            let ring = RINGS[random.below(4) as usize];
            let mut room = Vec::new();
            for qid in 1..=queues {
                if qid == with_buffers {
                    host.use_shadow_doorbells(ring);
                }
                let entries = 2 + random.below(12) as u16;
                host.create_io_queues(qid, entries);
                room.push(u32::from(entries) - 1);
            }
            let mut outstanding = vec![BTreeSet::new(); queues.into()];
            for turn in 0..600 {
                let index = random.below(queues.into()) as usize;
                let qid = index as u16 + 1;
                match random.below(6) {
                    0..=2 if (outstanding[index].len() as u32) < room[index] => {
                        let cid = host.submit(qid, commands::flush(1));
                        assert!(outstanding[index].insert(cid), "seed {seed}");
                    }
                    3 => {
                        if let Some(completion) = host.reap(qid) {
                            assert!(outstanding[index].remove(&completion.cid.get()), "seed {seed}");
                        }
                    }
                    4 if turn == 300 => host.use_shadow_doorbells(ring),
                    _ => drop(host.step()),
                }
            }
            for (qid, mut outstanding) in (1..).zip(outstanding) {
                while !outstanding.is_empty() {
                    let completion = host.wait(qid);
                    assert!(outstanding.remove(&completion.cid.get()), "seed {seed}");
                }
            }
            host.settle();
            assert_eq!(host.reap(0), None, "seed {seed}: {aer} is held: no event");
            host.disable();
        }
    }
}

#[test]
fn what_is_in_the_buffers_does_no_harm() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut host = ready(Ring::Never);
        host.create_io_queues(2, 4);
        let old = host.shadow.unwrap();
        for _ in 0..2000 {
            let value = match random.below(3) {
                0 => random.next_bits() as u32,
                _ => random.below(70) as u32,
            };
            let at = 4 * random.below(8);
            host.machine.set_ram(old.shadows + at, &value.to_le_bytes());
            if random.one_in(2) {
                host.step();
            }
        }
        host.settle();
        host.forget_pages(RAM_BASE + (1 << 20));
        host.set_register(registers::CC, 0);
        host.settle();
        host.shadow = None;
        host.enable();
        host.create_io_queues(1, 8);
        flush(&mut host, 1);
    }
}

#[test]
fn a_drive_can_be_without_them() {
    let namespace = nvme_device::NamespaceConfig {
        kind: profiles::by_name("optane").unwrap().kind,
        mdts: 5,
        lba_bytes: 512,
        media_offset: 0,
        media_len_bytes: 4 << 20,
    };
    let mut host = TestHost::without_shadow_doorbells(vec![namespace], 1);
    host.enable();
    host.create_io_queues(1, 64);
    let (shadows, event_indices) = (host.pages(1), host.pages(1));
    let completion = host.admin(commands::doorbell_buffer_config(shadows, event_indices));
    assert_eq!(completion.status(), Status::INVALID_COMMAND_OPCODE);
    let page = host.pages(1);
    assert_eq!(
        host.admin(commands::identify(IdentifyCns::CONTROLLER, 0, 0, page))
            .status(),
        Status::SUCCESSFUL_COMPLETION
    );
    let oacs = host.machine.ram(page + 256, 2);
    assert_eq!(u16::from_le_bytes([oacs[0], oacs[1]]) & 1 << 8, 0);
    let opcode = u64::from(AdminOpcode::DOORBELL_BUFFER_CONFIG.0);
    let log = commands::get_log_page(LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS, 0, 0, 4096, page);
    assert_eq!(host.admin(log).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(host.machine.ram(page + opcode * 4, 4), [0; 4]);
    flush(&mut host, 1);
}
