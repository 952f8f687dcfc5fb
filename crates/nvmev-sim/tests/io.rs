//! Read, Write, Flush: data, checks and statuses, timing, and PRP lists of every legal shape.

use nvme_device::NamespaceConfig;
use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use proptest::prelude::*;
use ssd_model::profiles;
use ssd_profile::{Profile, ProfileKind, Timing};

const PAGE: u64 = 4096;

fn optane() -> &'static Profile<'static> {
    profiles::by_name("optane").unwrap()
}

fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

#[test]
fn what_was_written_is_read_back_for_both_lba_sizes_and_over_a_reset() {
    for lba_bytes in [512u32, 4096] {
        let mut host = TestHost::new(optane(), 1 << 20, lba_bytes, 2);
        host.enable();
        host.create_io_queues(1, 16);
        let out = host.pages(1);
        let data = pattern(lba_bytes as usize, 1);
        host.machine.set_ram(out, &data);
        let last = (1 << 20) / u64::from(lba_bytes) - 1;
        for slba in [0, 3, last] {
            let write = commands::read_write(NvmOpcode::WRITE, 1, slba, 1, out, 0);
            assert_eq!(host.execute(1, write).status(), Status::SUCCESSFUL_COMPLETION);
        }
        host.disable();
        host.enable();
        host.create_io_queues(1, 16);
        let into = host.pages(1);
        for (slba, expected) in [(0, &data), (3, &data), (last, &data), (1, &vec![0; data.len()])] {
            let read = commands::read_write(NvmOpcode::READ, 1, slba, 1, into, 0);
            assert_eq!(host.execute(1, read).status(), Status::SUCCESSFUL_COMPLETION);
            assert_eq!(&host.machine.ram(into, data.len()), expected, "LBA {slba}");
        }
    }
}

#[test]
fn commands_that_are_wrong_end_with_the_status_that_says_so_and_move_no_data() {
    let mut host = TestHost::ready();
    let buffer = host.pages(2);
    host.machine.set_ram(buffer, &[0xEE; 8192]);
    let write = |slba, lbas| commands::read_write(NvmOpcode::WRITE, 1, slba, lbas, buffer, 0);
    let with = |change: fn(&mut SubmissionQueueEntry)| {
        let mut entry = write(0, 1);
        change(&mut entry);
        entry
    };
    for (entry, expected) in [
        (write(8192, 1), Status::LBA_OUT_OF_RANGE),
        (write(8191, 2), Status::LBA_OUT_OF_RANGE),
        (write(u64::MAX, 1), Status::LBA_OUT_OF_RANGE),
        (write(u64::MAX - 7, 8), Status::LBA_OUT_OF_RANGE),
        (write(1 << 63, 16), Status::LBA_OUT_OF_RANGE),
        (write(0, 257), Status::INVALID_FIELD_IN_COMMAND),
        (write(0, 65536), Status::INVALID_FIELD_IN_COMMAND),
        (
            with(|entry| entry.nsid = 0.into()),
            Status::INVALID_NAMESPACE_OR_FORMAT,
        ),
        (
            with(|entry| entry.nsid = 33.into()),
            Status::INVALID_NAMESPACE_OR_FORMAT,
        ),
        // There can be one, but there is none.
        (
            with(|entry| entry.nsid = 2.into()),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (
            with(|entry| entry.nsid = u32::MAX.into()),
            Status::INVALID_NAMESPACE_OR_FORMAT,
        ),
        (
            with(|entry| entry.flags = 1),
            Status::COMMAND_ABORTED_MISSING_FUSED,
        ),
        (with(|entry| entry.flags = 0xC0), Status::INVALID_FIELD_IN_COMMAND),
        (with(|entry| entry.opcode = 0x7F), Status::INVALID_COMMAND_OPCODE),
        (with(|entry| entry.opcode = 0x06), Status::INVALID_COMMAND_OPCODE),
        (
            with(|entry| entry.prp1 = (entry.prp1.get() + 2).into()),
            Status::PRP_OFFSET_INVALID,
        ),
        (with(|entry| entry.prp1 = 0.into()), Status::DATA_TRANSFER_ERROR),
        (
            with(|entry| entry.prp1 = (u64::MAX - 3).into()),
            Status::DATA_TRANSFER_ERROR,
        ),
    ] {
        assert_eq!(host.execute(1, entry).status(), expected, "{entry:?}");
    }
    assert!(
        host.machine.media().iter().all(|&byte| byte == 0),
        "nothing was written"
    );
}

#[test]
fn namespaces_are_apart_and_flush_reaches_one_or_all() {
    let half = 512 << 10;
    let namespace = |media_offset| NamespaceConfig {
        kind: optane().kind,
        mdts: optane().mdts as u8,
        lba_bytes: 512,
        media_offset,
        media_len_bytes: half,
    };
    let mut host = TestHost::with_namespaces(vec![namespace(0), namespace(half)], 2);
    host.enable();
    host.create_io_queues(1, 16);
    let buffer = host.pages(1);
    host.machine.set_ram(buffer, &[0x11; 512]);
    let last = half / 512 - 1;
    host.execute(1, commands::read_write(NvmOpcode::WRITE, 1, last, 1, buffer, 0));
    host.machine.set_ram(buffer, &[0x22; 512]);
    host.execute(1, commands::read_write(NvmOpcode::WRITE, 2, 0, 1, buffer, 0));
    let media = host.machine.media();
    let border = half as usize;
    assert!(media[border - 512..border].iter().all(|&byte| byte == 0x11));
    assert!(media[border..border + 512].iter().all(|&byte| byte == 0x22));
    let beyond = commands::read_write(NvmOpcode::READ, 1, last + 1, 1, buffer, 0);
    assert_eq!(host.execute(1, beyond).status(), Status::LBA_OUT_OF_RANGE);
    for (nsid, expected) in [
        (1, Status::SUCCESSFUL_COMPLETION),
        (2, Status::SUCCESSFUL_COMPLETION),
        (u32::MAX, Status::SUCCESSFUL_COMPLETION),
        (3, Status::INVALID_FIELD_IN_COMMAND),
        (33, Status::INVALID_NAMESPACE_OR_FORMAT),
        (0, Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(
            host.execute(1, commands::flush(nsid)).status(),
            expected,
            "nsid {nsid}"
        );
    }
}

#[test]
fn completions_come_at_the_models_time_and_not_before() {
    let mut host = TestHost::ready();
    let ProfileKind::Nvm(mut parameters) = optane().kind else {
        panic!("optane has no flash")
    };
    parameters.read = Timing {
        delay_ns: 3000,
        time_ns: 700,
        trailing_ns: 100,
    };
    host.device.controller.set_nvm_parameters(parameters);
    let buffer = host.pages(2);
    let start = host.now_ns;
    host.submit(
        1,
        commands::read_write(NvmOpcode::READ, 1, 0, 16, buffer, buffer + PAGE),
    );
    assert_eq!(
        host.run(),
        Some(start + 3000 + 2 * 700),
        "two 4 KiB units, one after the other"
    );
    host.now_ns = start + 4399;
    host.run();
    assert_eq!(host.reap(1), None);
    host.now_ns += 1;
    host.run();
    assert_eq!(host.reap(1).unwrap().status(), Status::SUCCESSFUL_COMPLETION);
}

#[test]
fn statistics_count_each_queue() {
    let mut host = TestHost::ready();
    host.create_io_queues(3, 16);
    let buffer = host.pages(1);
    for _ in 0..5 {
        host.submit(3, commands::read_write(NvmOpcode::WRITE, 1, 0, 8, buffer, 0));
    }
    while host.dispatch(host.now_ns).progressed {}
    let queues: Vec<_> = host.device.shared.statistics().io_queues().collect();
    assert_eq!(queues.iter().map(|queue| queue.queue).collect::<Vec<_>>(), [1, 3]);
    let queue = queues[1];
    assert_eq!(
        (
            queue.pending,
            queue.in_flight,
            queue.in_flight_max,
            queue.dispatched
        ),
        (0, 5, 5, 5)
    );
    // All five were fetched in one turn.
    assert_eq!((queue.dispatch_calls, queue.bytes), (1, 5 * 4096));
    host.settle();
    assert_eq!(
        host.device
            .shared
            .statistics()
            .io_queues()
            .nth(1)
            .unwrap()
            .in_flight,
        0
    );
    host.device.shared.statistics().reset_in_flight_max();
    let queue = host.device.shared.statistics().io_queues().nth(1).unwrap();
    assert_eq!((queue.in_flight_max, queue.bytes), (0, 5 * 4096));
    host.device.shared.statistics().reset();
    assert_eq!(
        host.device.shared.statistics().io_queues().nth(1).unwrap().bytes,
        0
    );
}

/// Pages of a transfer, scattered: which physical page each one is, and where the PRP list lies.
#[derive(Clone, Debug)]
struct Layout {
    lbas: u32,
    first_offset: u64,
    order: Vec<u64>,
    /// Offset of the list's first entry in its page, in entries: lists may begin near a page's end and be chained.
    list_start: u64,
}

fn layout() -> impl Strategy<Value = Layout> {
    (1u32..=256, 0u64..128, 0u64..512, any::<u64>()).prop_map(|(lbas, word, list_start, seed)| {
        let mut order: Vec<u64> = (0..40).collect();
        let mut state = seed | 1;
        // Sometimes neighbours stay neighbours, so that joined pieces occur as well as scattered ones.
        for i in (1..order.len()).rev().step_by(1 + (seed % 7) as usize) {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            order.swap(i, (state >> 33) as usize % (i + 1));
        }
        Layout {
            lbas,
            first_offset: word * 4 * 8 % PAGE,
            order,
            list_start,
        }
    })
}

/// Builds PRP1, PRP2 and lists for the layout; returns the pieces of host memory in order.
fn build(host: &mut TestHost, layout: &Layout) -> (u64, u64, Vec<(u64, usize)>) {
    let pool = host.pages(40);
    let mut left = layout.lbas as usize * 512;
    let mut pieces = Vec::new();
    for (index, page) in layout.order.iter().enumerate() {
        if left == 0 {
            break;
        }
        let offset = if index == 0 { layout.first_offset } else { 0 };
        let len = left.min((PAGE - offset) as usize);
        pieces.push((pool + page * PAGE + offset, len));
        left -= len;
    }
    assert_eq!(left, 0);
    let prp2 = match pieces.len() {
        1 => 0xDEAD_BEEF,
        2 => pieces[1].0,
        count => {
            let lists = host.pages(8);
            let start = lists + layout.list_start * 8;
            let mut at = start;
            for (index, (address, _)) in pieces.iter().enumerate().skip(1) {
                let is_last_slot = at % PAGE == PAGE - 8;
                if is_last_slot && index + 1 < count {
                    // The page's last slot points to the list's next page when more than one entry is left; leave a gap
                    // between the list's pages.
                    let next = (at & !(PAGE - 1)) + 2 * PAGE;
                    host.machine.set_ram(at, &next.to_le_bytes());
                    at = next;
                }
                host.machine.set_ram(at, &address.to_le_bytes());
                at += 8;
            }
            start
        }
    };
    (pieces[0].0, prp2, pieces)
}

fn flat(host: &TestHost, pieces: &[(u64, usize)]) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|&(address, len)| host.machine.ram(address, len))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_legal_prp_list_equals_the_flat_copy(layout in layout(), seed in any::<u64>()) {
        let mut host = TestHost::ready();
        let len = layout.lbas as usize * 512;
        let data = pattern(len, seed);
        let (prp1, prp2, pieces) = build(&mut host, &layout);
        let mut at = 0;
        for &(address, len) in &pieces {
            host.machine.set_ram(address, &data[at..at + len]);
            at += len;
        }
        let write = commands::read_write(NvmOpcode::WRITE, 1, 100, layout.lbas, prp1, prp2);
        prop_assert_eq!(host.execute(1, write).status(), Status::SUCCESSFUL_COMPLETION);
        prop_assert!(host.machine.media()[51_200..51_200 + len] == data);
        for &(address, len) in &pieces {
            host.machine.set_ram(address, &vec![0; len]);
        }
        let read = commands::read_write(NvmOpcode::READ, 1, 100, layout.lbas, prp1, prp2);
        prop_assert_eq!(host.execute(1, read).status(), Status::SUCCESSFUL_COMPLETION);
        prop_assert!(flat(&host, &pieces) == data);
    }

    #[test]
    fn a_list_entry_with_an_offset_or_without_memory_ends_with_its_status(
        layout in layout(), bad in 1usize..32, is_offset in any::<bool>(),
    ) {
        let mut host = TestHost::ready();
        let (prp1, prp2, pieces) = build(&mut host, &layout);
        prop_assume!(bad < pieces.len());
        let address = if is_offset { pieces[bad].0 + 8 } else { 0xFFFF_FFFF_F000 };
        let expected = if is_offset { Status::PRP_OFFSET_INVALID } else { Status::DATA_TRANSFER_ERROR };
        let mut prp2 = prp2;
        if pieces.len() == 2 {
            prp2 = address;
        } else {
            // Find the entry in the list pages and spoil it.
            let from = prp2 & !(PAGE - 1);
            let lists = host.machine.ram(from, 4 * PAGE as usize);
            let at = (0..lists.len()).step_by(8).find(|&at| lists[at..at + 8] == pieces[bad].0.to_le_bytes()).unwrap();
            host.machine.set_ram(from + at as u64, &address.to_le_bytes());
        }
        let write = commands::read_write(NvmOpcode::WRITE, 1, 0, layout.lbas, prp1, prp2);
        prop_assert_eq!(host.execute(1, write).status(), expected);
        prop_assert_eq!(host.execute(1, commands::flush(1)).status(), Status::SUCCESSFUL_COMPLETION);
    }
}

#[test]
fn list_pointers_must_be_aligned_and_lists_that_loop_end() {
    let mut host = TestHost::ready();
    let (list, buffer) = (host.pages(1), host.pages(1));
    let read = |prp2| commands::read_write(NvmOpcode::READ, 1, 0, 256, buffer, prp2);
    assert_eq!(
        host.execute(1, read(list + 4)).status(),
        Status::PRP_OFFSET_INVALID
    );
    assert_eq!(host.execute(1, read(!7)).status(), Status::DATA_TRANSFER_ERROR);
    // The last slot of the page points to the page itself; all other entries are the same page.
    for slot in 0..512 {
        host.machine.set_ram(list + slot * 8, &buffer.to_le_bytes());
    }
    host.machine.set_ram(list + 511 * 8, &list.to_le_bytes());
    assert_eq!(
        host.execute(1, read(list + 511 * 8)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    // Chained pointers have no offset.
    host.machine.set_ram(list + 511 * 8, &(list + 8).to_le_bytes());
    assert_eq!(
        host.execute(1, read(list + 511 * 8)).status(),
        Status::PRP_OFFSET_INVALID
    );
}

#[test]
fn each_list_entry_is_read_once() {
    let mut host = TestHost::ready();
    let (list, buffer) = (host.pages(1), host.pages(32));
    for slot in 0..31 {
        // Every other page, so that nothing is joined.
        host.machine
            .set_ram(list + slot * 8, &(buffer + (slot ^ 1) * PAGE).to_le_bytes());
    }
    let before = host.machine.device_reads();
    let read = commands::read_write(NvmOpcode::READ, 1, 0, 256, buffer + 31 * PAGE, list);
    assert_eq!(host.execute(1, read).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        host.machine.device_reads() - before,
        2,
        "the entry, and one fetch of the list"
    );
}
