//! Dataset Management and Write Zeroes of any length are done in parts: what they do in the end, and that others do not wait for them.

use nvme_device::NamespaceConfig;
use nvme_spec::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry, ZoneSendAction};
use nvmev_sim::host::{commands, TestHost, DRIVES};
use ssd_model::profiles;
use ssd_profile::ProfileKind;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
/// What a pass takes besides filling, ns.
const PASS_NS: u64 = 1_000;

fn namespace(profile: &str, media_len_bytes: u64, lba_bytes: u32) -> NamespaceConfig {
    let profile = profiles::by_name(profile).unwrap();
    NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes,
        media_offset: 0,
        media_len_bytes,
    }
}

fn with_queues(mut host: TestHost, queues: u16) -> TestHost {
    host.enable();
    for qid in 1..=queues {
        host.create_io_queues(qid, 64);
    }
    host
}

fn host(profile: &str, capacity_bytes: u64, lba_bytes: u32, queues: u16, workers: usize) -> TestHost {
    let namespaces = vec![namespace(profile, capacity_bytes, lba_bytes)];
    with_queues(TestHost::with_namespaces(namespaces, workers), queues)
}

fn deallocation(host: &mut TestHost, ranges: &[(u64, u32)]) -> SubmissionQueueEntry {
    let list = host.pages(1);
    host.machine.set_ram(list, &commands::range_list(ranges));
    commands::deallocate(1, ranges.len() as u32, list)
}

fn read(host: &mut TestHost, slba: u64, lbas: u32) -> SubmissionQueueEntry {
    let buffer = host.pages(1);
    commands::read_write(NvmOpcode::READ, 1, slba, lbas, buffer, 0)
}

fn write(host: &mut TestHost, qid: u16, slba: u64, lbas: u32, byte: u8) {
    let buffer = host.pages(2);
    host.machine.set_ram(buffer, &[byte; 8192]);
    let entry = commands::read_write(NvmOpcode::WRITE, 1, slba, lbas, buffer, buffer + 4096);
    assert_eq!(host.execute(qid, entry).status(), SUCCESS);
}

/// A pass that takes time: a nanosecond to fill a byte with zeros, as on a slow machine.
fn pass(host: &mut TestHost) {
    let before_bytes = host.machine.zeroed_bytes();
    host.step();
    host.now_ns += PASS_NS + (host.machine.zeroed_bytes() - before_bytes);
}

/// Makes passes until queue `qid` has a completion; how many they were, and how it ended.
fn passes_until(host: &mut TestHost, qid: u16) -> (u64, Status) {
    for passes in 1..10_000_000 {
        pass(host);
        if let Some(completion) = host.reap(qid) {
            return (passes, completion.status());
        }
    }
    panic!("no end is in sight");
}

#[test]
fn a_read_of_another_queue_does_not_wait_for_a_whole_drive() {
    for profile in ["optane", "970pro", "tlc-ssd"] {
        let mut host = host(profile, 64 * MIB, 512, 4, 1);
        // Over-provisioning takes a part.
        let kind = &profiles::by_name(profile).unwrap().kind;
        let bytes = ssd_model::namespace_bytes(kind, 64 * MIB).unwrap();
        let lbas = (bytes / 512) as u32;
        let entry = read(&mut host, 100_000, 8);
        let start_ns = host.now_ns;
        assert_eq!(host.execute(4, entry).status(), SUCCESS);
        let alone_ns = host.now_ns - start_ns;
        // Three queues, all with the same worker, deallocate everything.
        for qid in 1..=3 {
            let entry = deallocation(&mut host, &[(0, lbas)]);
            host.submit(qid, entry);
        }
        for _ in 0..8 {
            pass(&mut host);
        }
        assert!(host.machine.zeroed_bytes() > 0, "{profile}: it has begun");
        let start_ns = host.now_ns;
        let entry = read(&mut host, 100_000, 8);
        host.submit(4, entry);
        assert_eq!(passes_until(&mut host, 4).1, SUCCESS);
        let late_ns = host.now_ns - start_ns - alone_ns;
        assert!(late_ns < 1_000_000, "{profile}: {late_ns} ns late");
        assert!(host.reap(1).is_none(), "{profile}: the first is under way");
        for qid in 1..=3 {
            assert_eq!(passes_until(&mut host, qid).1, SUCCESS);
        }
        assert_eq!(
            host.machine.zeroed_bytes(),
            3 * u64::from(lbas) * 512,
            "{profile}"
        );
    }
}

#[test]
fn no_pass_is_longer_than_a_part_for_each_queue() {
    for profile in ["optane", "tlc-ssd"] {
        let mut host = host(profile, 16 * MIB, 4096, 3, 1);
        for qid in 1..=3 {
            let entry = deallocation(&mut host, &[(0, 4096)]);
            host.submit(qid, entry);
        }
        let mut before = 0;
        for _ in 0..100_000 {
            let (progressed, next_event_ns) = host.step();
            let zeroed_bytes = host.machine.zeroed_bytes();
            assert!(
                zeroed_bytes - before <= 256 * KIB,
                "a worker fills no more in one pass"
            );
            before = zeroed_bytes;
            match next_event_ns {
                Some(next_ns) if !progressed => host.now_ns = next_ns,
                None if !progressed => break,
                _ => {}
            }
        }
        assert_eq!(before, 3 * 16 * MIB, "{profile}");
    }
}

#[test]
fn a_drive_of_a_tebibyte_without_data_is_deallocated_in_parts() {
    // Without a mapping a part is no work; with one, each is 64 pages.
    for (profile, capacity_bytes, passes_min) in [("optane", TIB, 1024), ("tlc-ssd", 4096 * MIB, 16384)] {
        let namespaces = vec![namespace(profile, capacity_bytes, 4096)];
        let mut host = with_queues(TestHost::without_medium(namespaces, 1), 2);
        let lbas = capacity_bytes / 4096;
        let entry = deallocation(&mut host, &[(0, lbas as u32)]);
        host.submit(1, entry);
        host.step();
        let entry = read(&mut host, lbas / 2, 1);
        let start_ns = host.now_ns;
        host.submit(2, entry);
        assert_eq!(passes_until(&mut host, 2).1, SUCCESS);
        assert!(host.now_ns - start_ns < 1_000_000, "{profile}");
        assert!(host.reap(1).is_none(), "{profile}: the deallocation is under way");
        let (passes, status) = passes_until(&mut host, 1);
        assert_eq!(status, SUCCESS);
        assert!(
            passes + 1000 > passes_min && passes < 2 * passes_min,
            "{profile}: {passes} passes"
        );
        assert_eq!(host.machine.zeroed_bytes(), 0);
    }
}

#[test]
fn a_list_of_256_ranges_takes_each_of_them() {
    for drive in DRIVES {
        let namespace = drive.namespace(512, 0);
        let capacity_lbas = namespace.media_len_bytes / 512;
        let has_lbas = !matches!(&namespace.kind, ProfileKind::KeyValue(parameters)
            if parameters.command_set == ssd_profile::KeyValueCommandSet::WithoutLbas);
        if !has_lbas || matches!(namespace.kind, ProfileKind::Zoned(_)) || capacity_lbas < 4096 {
            continue;
        }
        let mut host = with_queues(TestHost::with_namespaces(vec![namespace], 2), 1);
        for slba in (0..2048).step_by(16) {
            write(&mut host, 1, slba, 16, 0xEE);
        }
        // Every other group of three LBAs, from both ends, some twice; and ranges of no LBAs.
        let ranges: Vec<(u64, u32)> = (0..256)
            .map(|index| (index * 8 % 2048 + 1, if index % 5 == 0 { 0 } else { 3 }))
            .collect();
        let entry = deallocation(&mut host, &ranges);
        assert_eq!(host.execute(1, entry).status(), SUCCESS, "{}", drive.name);
        let is_gone = |lba: u64| {
            ranges
                .iter()
                .any(|&(slba, lbas)| (slba..slba + u64::from(lbas)).contains(&lba))
        };
        let buffer = host.pages(1);
        for slba in (0..2048).step_by(8) {
            let entry = commands::read_write(NvmOpcode::READ, 1, slba, 8, buffer, 0);
            assert_eq!(host.execute(1, entry).status(), SUCCESS);
            let data = host.machine.ram(buffer, 4096);
            for (lba, bytes) in (slba..).zip(data.chunks_exact(512)) {
                let expected = if is_gone(lba) { 0 } else { 0xEE };
                assert!(
                    bytes.iter().all(|&byte| byte == expected),
                    "{}: LBA {lba}",
                    drive.name
                );
            }
        }
    }
}

#[test]
fn zeros_of_any_length_are_written_where_they_belong() {
    for profile in ["optane", "970pro", "tlc-ssd", "kv-ssd"] {
        for (slba, lbas, deallocates) in [
            (3, 65_536, false),
            (3, 65_536, true),
            (1000, 30_000, false),
            (8, 2049, true),
        ] {
            let Some(profile) = profiles::by_name(profile) else {
                continue;
            };
            let namespace = NamespaceConfig {
                kind: profile.kind,
                mdts: profile.mdts as u8,
                lba_bytes: 512,
                media_offset: 0,
                media_len_bytes: 64 * MIB,
            };
            if matches!(&namespace.kind, ProfileKind::KeyValue(parameters)
                if parameters.command_set == ssd_profile::KeyValueCommandSet::WithoutLbas)
            {
                continue;
            }
            let mut host = with_queues(TestHost::with_namespaces(vec![namespace], 1), 1);
            let end = slba + lbas;
            for at in [slba - 1, slba, slba + lbas / 2, end - 1, end] {
                write(&mut host, 1, at, 1, 0x77);
            }
            let entry = commands::write_zeroes(1, slba, lbas as u32, deallocates);
            assert_eq!(host.execute(1, entry).status(), SUCCESS);
            let buffer = host.pages(1);
            let mut byte_at = |at| {
                let entry = commands::read_write(NvmOpcode::READ, 1, at, 1, buffer, 0);
                assert_eq!(host.execute(1, entry).status(), SUCCESS);
                host.machine.ram(buffer, 512)[511]
            };
            let found = [slba - 1, slba, slba + lbas / 2, end - 1, end].map(&mut byte_at);
            assert_eq!(found, [0x77, 0, 0, 0, 0x77], "{lbas} LBAs from {slba}");
        }
    }
}

#[test]
fn long_zeros_take_the_marks_of_unreadable_lbas_away() {
    let mut host = host("optane", 64 * MIB, 512, 1, 1);
    for slba in [5, 40_000, 65_541] {
        let entry = SubmissionQueueEntry {
            opcode: NvmOpcode::WRITE_UNCORRECTABLE.0,
            ..commands::read_write(NvmOpcode::READ, 1, slba, 1, 0, 0)
        };
        assert_eq!(host.execute(1, entry).status(), SUCCESS);
    }
    let entry = commands::write_zeroes(1, 5, 65_536, false);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
    for (slba, expected) in [
        (5, SUCCESS),
        (40_000, SUCCESS),
        (65_541, Status::UNRECOVERED_READ_ERROR),
    ] {
        let entry = read(&mut host, slba, 1);
        assert_eq!(host.execute(1, entry).status(), expected);
    }
    let entry = deallocation(&mut host, &[(0, 131_072)]);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
    let entry = read(&mut host, 65_541, 1);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
}

#[test]
fn a_zone_takes_zeros_as_a_whole_or_not_at_all() {
    let drive = DRIVES
        .iter()
        .find(|drive| drive.name == "zoned")
        .expect("a zoned drive");
    let namespace = drive.namespace(4096, 0);
    let ProfileKind::Zoned(parameters) = &namespace.kind else {
        panic!("the drive has zones")
    };
    let mdts_lbas = 1u64 << namespace.mdts;
    let zone_lbas = u64::from(parameters.zone.size_kib) / 4;
    let capacity_lbas = u64::from(parameters.zone.usable_kib()) / 4;
    assert!(capacity_lbas > mdts_lbas, "a zone is longer than a transfer");
    let mut host = with_queues(TestHost::with_namespaces(vec![namespace], 1), 1);
    // Past the end of the zone, and not at the write pointer: neither begins.
    let past_end = commands::write_zeroes(1, 0, capacity_lbas as u32 + 1, false);
    assert_eq!(host.execute(1, past_end).status(), Status::ZONE_BOUNDARY_ERROR);
    let ahead = commands::write_zeroes(1, 1, mdts_lbas as u32 + 1, false);
    assert_eq!(host.execute(1, ahead).status(), Status::ZONE_INVALID_WRITE);
    assert_eq!(host.machine.zeroed_bytes(), 0);
    let whole = commands::write_zeroes(1, 0, capacity_lbas as u32, false);
    assert_eq!(host.execute(1, whole).status(), SUCCESS);
    let again = commands::write_zeroes(1, 0, capacity_lbas as u32, false);
    assert_eq!(host.execute(1, again).status(), Status::ZONE_IS_FULL);
    // The zone is full, and can be reset, at once.
    let reset = commands::zone_send(1, 0, ZoneSendAction::RESET, false);
    assert_eq!(host.execute(1, reset).status(), SUCCESS);
    let entry = commands::write_zeroes(1, zone_lbas, capacity_lbas as u32, true);
    assert_eq!(host.execute(1, entry).status(), SUCCESS);
}

/// A drive with a long command under way in queue 1.
fn amid(is_write_zeroes: bool) -> (TestHost, u16) {
    let mut host = host("tlc-ssd", 64 * MIB, 512, 2, 2);
    let entry = match is_write_zeroes {
        true => commands::write_zeroes(1, 0, 65_536, true),
        false => deallocation(&mut host, &[(0, 65_536), (65_536, 65_536)]),
    };
    let cid = host.submit(1, entry);
    for _ in 0..8 {
        host.step();
        host.now_ns += 1;
    }
    assert!(host.reap(1).is_none());
    assert!(host.machine.zeroed_bytes() > 0);
    (host, cid)
}

#[test]
fn a_long_command_can_be_aborted_and_its_queue_deleted() {
    for is_write_zeroes in [false, true] {
        let (mut host, cid) = amid(is_write_zeroes);
        let completion = host.admin(commands::abort(1, cid));
        assert_eq!((completion.status(), completion.dw0.get()), (SUCCESS, 0));
        assert_eq!(host.wait(1).status(), Status::COMMAND_ABORT_REQUESTED);
        host.settle();
        assert!(
            host.machine.zeroed_bytes() < 32 * MIB,
            "no part came after the abort"
        );
        write(&mut host, 1, 0, 16, 0x42);
        assert_eq!(host.machine.media()[0], 0x42);

        let (mut host, _) = amid(is_write_zeroes);
        let delete = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1);
        assert_eq!(host.admin(delete).status(), SUCCESS);
        assert_eq!(host.wait(1).status(), Status::COMMAND_ABORTED_SQ_DELETION);
        write(&mut host, 2, 0, 16, 0x42);
        host.settle();
        assert_eq!(host.machine.media()[0], 0x42, "nothing of it comes later");
    }
}

#[test]
fn a_reset_ends_a_long_command() {
    for is_write_zeroes in [false, true] {
        let (mut host, _) = amid(is_write_zeroes);
        host.disable();
        host.enable();
        host.create_io_queues(1, 64);
        write(&mut host, 1, 0, 16, 0x42);
        host.settle();
        assert_eq!(host.machine.media()[0], 0x42);
        assert!(host.reap(1).is_none());
        // And another one begins and ends as if nothing had been.
        let entry = deallocation(&mut host, &[(0, 131_072)]);
        assert_eq!(host.execute(1, entry).status(), SUCCESS);
        assert!(host.machine.media().iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_format_ends_a_long_command_of_its_namespace() {
    let (mut host, _) = amid(false);
    host.submit(0, commands::format_nvm(1, 0, 1));
    assert_eq!(host.wait(1).status(), Status::FORMAT_IN_PROGRESS);
    assert_eq!(host.wait(0).status(), SUCCESS);
}

#[test]
fn several_dispatchers_deallocate_as_one_does() {
    for profile in ["optane", "tlc-ssd"] {
        for dispatchers in [2, 3] {
            let namespaces = vec![namespace(profile, 16 * MIB, 512)];
            let host = TestHost::with_dispatchers(namespaces, dispatchers, 2);
            let mut host = with_queues(host, 3);
            for qid in 1..=3 {
                write(&mut host, qid, u64::from(qid) * 10_000, 16, qid as u8);
            }
            let parts = [(0, 10_100), (10_100, 10_000), (20_100, 12_668)];
            for (qid, range) in (1..).zip(parts) {
                let entry = deallocation(&mut host, &[range]);
                host.submit(qid, entry);
            }
            for qid in 1..=3 {
                assert_eq!(
                    host.wait(qid).status(),
                    SUCCESS,
                    "{profile}, {dispatchers} dispatchers"
                );
            }
            host.settle();
            assert_eq!(host.machine.zeroed_bytes(), 16 * MIB);
            assert!(host.machine.media().iter().all(|&byte| byte == 0), "{profile}");
        }
    }
}
