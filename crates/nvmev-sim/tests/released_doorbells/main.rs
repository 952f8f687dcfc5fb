//! A host that releases the pages of its shadow doorbells while the controller still looks at them, as SPDK does before each shutdown and reset.

mod storm;

use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell, DOORBELLS};
use nvme_spec::{AdminOpcode, FeatureId, NvmOpcode, Status};
use nvmev_sim::host::{commands, Ring, ShadowDoorbells, TestHost};
use ssd_model::profiles;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const LBA: usize = 512;
const CAPACITY: u64 = 1 << 20;
const PAGE: usize = 4096;
/// CC.SHN: a normal shutdown.
const NORMAL_SHUTDOWN: u32 = 1 << 14;
/// Entries of the admin queue.
const ADMIN_ENTRIES: usize = 32;

/// Which pages are released, in which order.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// SPDK's order.
    ShadowsFirst,
    EventIndicesFirst,
    ShadowsOnly,
}

/// Each byte of a page.
type Content = fn(usize) -> u8;

const ORDERS: [Order; 3] = [Order::ShadowsFirst, Order::EventIndicesFirst, Order::ShadowsOnly];

fn pages_of(shadow: ShadowDoorbells, order: Order) -> Vec<u64> {
    match order {
        Order::ShadowsFirst => vec![shadow.shadows, shadow.event_indices],
        Order::EventIndicesFirst => vec![shadow.event_indices, shadow.shadows],
        Order::ShadowsOnly => vec![shadow.shadows],
    }
}

/// Puts what `content` says into the pages, one after the other; the device runs after each of them.
fn release(host: &mut TestHost, order: Order, content: impl Fn(usize) -> u8) {
    let shadow = host.shadow.take().expect("shadow doorbells");
    let content: Vec<u8> = (0..PAGE).map(content).collect();
    for page in pages_of(shadow, order) {
        host.machine.set_ram(page, &content);
        host.settle();
    }
}

/// More admin commands than the queue has entries: whatever is in it is an old command.
fn fill_admin_queue(host: &mut TestHost) {
    for _ in 0..ADMIN_ENTRIES + 3 {
        get_feature(host);
    }
}

fn get_feature(host: &mut TestHost) {
    let completion = host.admin(commands::get_features(FeatureId::ARBITRATION, 0, 0, 0));
    assert_eq!(completion.status(), SUCCESS);
}

/// Enabled by a driver like SPDK's, with one I/O queue of 32 entries that is made after the buffers.
fn ready(ring: Ring) -> TestHost {
    let mut host = TestHost::new(profiles::by_name("optane").unwrap(), CAPACITY, LBA as u32, 1);
    host.enable();
    fill_admin_queue(&mut host);
    host.use_io_shadow_doorbells(ring);
    host.create_io_queues(1, 32);
    host
}

fn write(host: &mut TestHost, buffer: u64, lba: u64, tag: u8) {
    host.machine.set_ram(buffer, &[tag; LBA]);
    let entry = commands::read_write(NvmOpcode::WRITE, 1, lba, 1, buffer, 0);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
}

/// Whether the controller has failed.
fn is_failed(host: &TestHost) -> bool {
    host.register(registers::CSTS) & csts::CFS != 0
}

/// Nothing has been completed that nobody submitted.
fn assert_silent(host: &mut TestHost, what: &str) {
    host.settle();
    assert!(!is_failed(host), "{what}");
    for qid in [0, 1] {
        if host.has_queue(qid) {
            assert_eq!(host.reap(qid), None, "{what}: a completion of queue {qid}");
        }
    }
}

#[test]
fn a_format_is_not_repeated_when_a_driver_detaches() {
    for order in ORDERS {
        for after in [3, 11, 25] {
            let mut host = TestHost::new(profiles::by_name("optane").unwrap(), CAPACITY, LBA as u32, 1);
            host.enable();
            fill_admin_queue(&mut host);
            let buffer = host.pages(1);
            assert_eq!(host.admin(commands::format_nvm(1, 0, 0)).status(), SUCCESS);
            // The buffers come some commands later, and the end of the drive's use between them and the place of the format in the queue.
            for _ in 0..after {
                get_feature(&mut host);
            }
            host.use_io_shadow_doorbells(Ring::WhenPassedModulo);
            host.create_io_queues(1, 32);
            write(&mut host, buffer, 7, 0x5A);
            for opcode in [
                AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
                AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
            ] {
                assert_eq!(host.admin(commands::delete_queue(opcode, 1)).status(), SUCCESS);
            }
            host.settle();
            let what = format!("{order:?}, {after} commands after the format");
            release(&mut host, order, |_| 0);
            assert_eq!(host.reap(0), None, "{what}");
            host.set_register(registers::CC, host.register(registers::CC) | NORMAL_SHUTDOWN);
            host.settle();
            assert_eq!(
                host.register(registers::CSTS) & csts::SHST_MASK,
                csts::SHST_COMPLETE,
                "{what}"
            );
            assert_eq!(host.reap(0), None, "{what}");
            host.disable();
            assert_eq!(host.machine.media()[7 * LBA..8 * LBA], [0x5A; LBA], "{what}");
        }
    }
}

#[test]
fn older_data_is_not_written_again_when_a_driver_resets() {
    for order in ORDERS {
        for ring in [
            Ring::WhenPassedModulo,
            Ring::WhenPassed,
            Ring::Never,
            Ring::Always,
        ] {
            // The place in the queue at which the driver stops.
            for more in [0, 1, 9, 21] {
                let mut host = ready(ring);
                let (old, new) = (host.pages(1), host.pages(1));
                let flush = |host: &mut TestHost| {
                    assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
                };
                (0..22).for_each(|_| flush(&mut host));
                // In the last entries of the queue, and of it all.
                (0..10).for_each(|lba| write(&mut host, old, lba, 0x01));
                (0..10).for_each(|lba| write(&mut host, new, lba, 0x02));
                (0..more).for_each(|_| flush(&mut host));
                let what = format!("{order:?}, {ring:?}, {more} more");
                release(&mut host, order, |_| 0);
                assert_silent(&mut host, &what);
                host.disable();
                let media = host.machine.media();
                assert!(media[..10 * LBA].iter().all(|&byte| byte == 2), "{what}");
                // With new buffers, at the old place, all is well.
                host.enable();
                host.use_io_shadow_doorbells(ring);
                host.create_io_queues(1, 32);
                (0..100).for_each(|_| flush(&mut host));
            }
        }
    }
}

#[test]
fn whatever_is_in_a_released_page_is_no_doorbell() {
    // In words: large numbers, numbers that are indices of the queue, and one that is the next index.
    let contents: [(&str, Content); 5] = [
        ("poison", |_| 0x6B),
        ("ones", |_| 0xFF),
        ("indices", |at| if at % 4 == 0 { (at / 4 % 32) as u8 } else { 0 }),
        ("twenty", |at| if at % 4 == 0 { 20 } else { 0 }),
        ("pointers", |at| [0x40, 0x10, 0, 0, 0, 0x20, 0, 0][at % 8]),
    ];
    for order in ORDERS {
        for (name, content) in contents {
            let mut host = ready(Ring::WhenPassedModulo);
            let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
            let buffer = host.pages(1);
            for lba in 0..45 {
                write(&mut host, buffer, lba, 7);
            }
            release(&mut host, order, content);
            assert_silent(&mut host, &format!("{order:?}, {name}, {aer}"));
            host.disable();
        }
    }
}

/// The page of EventIdx values alone tells, too: of single doorbells that change after it has gone, none counts.
#[test]
fn a_doorbell_without_its_event_index_is_none() {
    for content in [0, 0xFF, 0x3A] {
        for (register, value) in [(sq_tail_doorbell(1), 20u32), (sq_tail_doorbell(1), 0)] {
            let mut host = ready(Ring::WhenPassedModulo);
            let buffer = host.pages(1);
            (0..45).for_each(|lba| write(&mut host, buffer, lba, 7));
            let shadow = host.shadow.take().unwrap();
            // Only what belongs to this queue.
            host.machine.set_ram(shadow.event_indices + 8, &[content; 8]);
            let at = shadow.shadows + (register - DOORBELLS) as u64;
            host.machine.set_ram(at, &value.to_le_bytes());
            assert_silent(&mut host, &format!("{value} without an EventIdx, {content:#x}"));
        }
    }
}

/// Pages that another setup has now, of this drive or of another one, or their contents of an earlier time.
#[test]
fn the_contents_of_another_setup_are_no_doorbells() {
    for seed in 0..2 {
        let mut host = ready(Ring::Never);
        let first = host.shadow.unwrap();
        let buffer = host.pages(1);
        let copy = |host: &TestHost, shadow: ShadowDoorbells| {
            [shadow.shadows, shadow.event_indices].map(|page| host.machine.ram(page, PAGE))
        };
        (0..20).for_each(|lba| write(&mut host, buffer, lba, 1));
        let old = copy(&host, first);
        host.use_io_shadow_doorbells(Ring::Never);
        let second = host.shadow.unwrap();
        (0..50).for_each(|lba| write(&mut host, buffer, lba, 2));
        let pages = [second.shadows, second.event_indices];
        for index in [seed, 1 - seed] {
            host.machine.set_ram(pages[index], &old[index]);
            host.settle();
        }
        host.shadow = None;
        assert_silent(&mut host, "an earlier setup");
    }
    // The same setup's, of a time at which the queue was somewhere else: its completion queue shows that it cannot be.
    let mut host = ready(Ring::WhenPassedModulo);
    let buffer = host.pages(1);
    (0..40).for_each(|lba| write(&mut host, buffer, lba, 1));
    let shadows = host.shadow.unwrap().shadows;
    let old = host.machine.ram(shadows, PAGE);
    (0..13).for_each(|lba| write(&mut host, buffer, lba, 2));
    host.machine.set_ram(shadows, &old);
    assert_silent(&mut host, "an earlier time");
}

/// From the moment at which the pages are found to be gone, nothing is read from them or written to them; the registers count.
#[test]
fn after_the_pages_are_gone_the_registers_count() {
    for order in ORDERS {
        for commands_before in [0, 5, 40] {
            let mut host = ready(Ring::WhenPassedModulo);
            let shadow = host.shadow.unwrap();
            for _ in 0..commands_before {
                assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
            }
            release(&mut host, order, |_| 0x11);
            for _ in 0..100 {
                assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
            }
            host.create_io_queues(2, 8);
            for qid in [1, 2, 1, 2, 2] {
                assert_eq!(host.execute(qid, commands::flush(1)).status(), SUCCESS);
            }
            for page in pages_of(shadow, order) {
                assert!(host.machine.ram(page, PAGE) == [0x11; PAGE], "{order:?}");
                host.machine.unplug(page);
            }
            assert_silent(&mut host, "unplugged");
            host.machine.plug_all();
            // New buffers.
            host.use_io_shadow_doorbells(Ring::Never);
            for qid in [1, 2, 1, 2, 2] {
                assert_eq!(host.execute(qid, commands::flush(1)).status(), SUCCESS);
            }
        }
    }
}

/// Pages that are gone are not written to when a queue is made.
#[test]
fn a_new_queue_leaves_released_pages_alone() {
    for order in ORDERS {
        let mut host = ready(Ring::WhenPassedModulo);
        let shadow = host.shadow.take().unwrap();
        for page in pages_of(shadow, order) {
            host.machine.set_ram(page, &[0x22; PAGE]);
        }
        host.create_io_queues(2, 8);
        for page in pages_of(shadow, order) {
            assert!(host.machine.ram(page, PAGE) == [0x22; PAGE], "{order:?}");
        }
        assert_silent(&mut host, "a new queue");
    }
}

/// A host in the middle of clearing a page, from its beginning or from its end, or one that clears less than all of it.
#[test]
fn a_page_that_is_being_cleared_is_gone() {
    for is_backwards in [false, true] {
        for chunk in [8, 32, 64, 1024] {
            let mut host = ready(Ring::WhenPassedModulo);
            let buffer = host.pages(1);
            (0..45).for_each(|lba| write(&mut host, buffer, lba, 7));
            let shadow = host.shadow.take().unwrap();
            for page in [shadow.shadows, shadow.event_indices] {
                for index in 0..PAGE / chunk {
                    let index = if is_backwards {
                        PAGE / chunk - 1 - index
                    } else {
                        index
                    };
                    host.machine
                        .set_ram(page + (index * chunk) as u64, &vec![0; chunk]);
                    host.run();
                }
            }
            assert_silent(
                &mut host,
                &format!("{chunk} bytes at a time, backwards: {is_backwards}"),
            );
        }
    }
}

/// Commands that were submitted before the pages went are completed, if the controller had seen them.
#[test]
fn commands_under_way_are_completed() {
    let mut host = ready(Ring::WhenPassedModulo);
    let buffer = host.pages(1);
    let cids: Vec<u16> = (0..9)
        .map(|lba| {
            let entry = commands::read_write(NvmOpcode::READ, 1, lba, 1, buffer, 0);
            host.submit(1, entry)
        })
        .collect();
    for _ in 0..20 {
        host.step();
    }
    release(&mut host, Order::ShadowsFirst, |_| 0);
    let mut completed: Vec<u16> = (0..9).map(|_| host.wait(1).cid.get()).collect();
    completed.sort_unstable();
    assert_eq!(completed, cids);
    assert_silent(&mut host, "all are completed");
}

/// What is in a shadow when a shutdown or a reset has been asked for is not looked at.
#[test]
fn nothing_is_fetched_after_the_end_was_asked_for() {
    for cc in [|cc: u32| cc | NORMAL_SHUTDOWN, |cc: u32| cc & !1] {
        let mut host = ready(Ring::Never);
        let buffer = host.pages(1);
        (0..45).for_each(|lba| write(&mut host, buffer, lba, 7));
        let shadows = host.shadow.unwrap().shadows;
        // Plausible: as a driver would write it.
        let at = shadows + (sq_tail_doorbell(1) - DOORBELLS) as u64;
        host.machine.set_ram(at, &20u32.to_le_bytes());
        host.set_register(registers::CC, cc(host.register(registers::CC)));
        host.settle();
        assert_eq!(host.reap(1), None);
    }
}

/// What a driver that has shadows of the admin queue, too, writes there is no reason to doubt.
#[test]
fn a_driver_may_begin_with_shadows_of_the_admin_queue_at_any_place() {
    for before in 0..ADMIN_ENTRIES {
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), CAPACITY, LBA as u32, 1);
        host.enable();
        (0..before).for_each(|_| get_feature(&mut host));
        host.use_shadow_doorbells(Ring::Never);
        for _ in 0..2 * ADMIN_ENTRIES {
            get_feature(&mut host);
        }
        host.create_io_queues(1, 5);
        for _ in 0..12 {
            assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
        }
        // Then its pages go.
        release(&mut host, Order::ShadowsFirst, |_| 0);
        assert_silent(&mut host, "a driver with shadows of the admin queue");
        assert_eq!(host.register(cq_head_doorbell(1)), 0);
    }
}
