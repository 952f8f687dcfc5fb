//! Dataset Management and Write Zeroes: what reads back, limits and statuses, what the flash keeps; and writes that wait for room in the
//! write buffer.

use nvme_device::NamespaceReport;
use nvme_spec::registers;
use nvme_spec::{AdminOpcode, IdentifyCns, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::{profiles, FlashReport};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

fn host(profile: &str, capacity_bytes: u64, lba_bytes: u32) -> TestHost {
    let profile = profiles::by_name(profile).unwrap();
    let mut host = TestHost::new(profile, capacity_bytes, lba_bytes, 2);
    host.enable();
    host.create_io_queues(1, 64);
    host
}

fn write(host: &mut TestHost, slba: u64, lbas: u32, byte: u8) {
    let buffer = host.pages(2);
    host.machine.set_ram(buffer, &[byte; 8192]);
    let entry = commands::read_write(NvmOpcode::WRITE, 1, slba, lbas, buffer, buffer + PAGE);
    assert_eq!(host.execute(1, entry).status(), Status::SUCCESSFUL_COMPLETION);
}

/// Deallocates `ranges`; the status.
fn deallocate(host: &mut TestHost, ranges: &[(u64, u32)]) -> Status {
    let list = host.pages(1);
    host.machine.set_ram(list, &commands::range_list(ranges));
    host.execute(1, commands::deallocate(1, ranges.len() as u32, list))
        .status()
}

fn flash(host: &mut TestHost) -> FlashReport {
    let request = host.device.shared.request_flash_reports();
    assert!(!host.device.shared.has_flash_reports(request));
    host.run();
    assert!(host.device.shared.has_flash_reports(request));
    match host.device.shared.namespace_report(1) {
        NamespaceReport::Flash(report) => report,
        other => panic!("the drive has flash, not {other:?}"),
    }
}

#[test]
fn deallocated_blocks_read_as_zeros_and_their_neighbours_stay() {
    for profile in ["optane", "970pro", "tlc-ssd"] {
        for lba_bytes in [512_u32, 4096] {
            let mut host = host(profile, 4 * MIB, lba_bytes);
            write(&mut host, 0, 8192 / lba_bytes, 0xAB);
            assert_eq!(deallocate(&mut host, &[(1, 1)]), Status::SUCCESSFUL_COMPLETION);
            let media = host.machine.media();
            let (at, end) = (lba_bytes as usize, 2 * lba_bytes as usize);
            assert!(media[..at].iter().all(|&byte| byte == 0xAB), "{profile}");
            assert!(media[at..end].iter().all(|&byte| byte == 0), "{profile}");
            assert!(media[end..8192].iter().all(|&byte| byte == 0xAB), "{profile}");
        }
    }
}

#[test]
fn write_zeroes_writes_zeros_with_and_without_deallocation() {
    for profile in ["optane", "970pro"] {
        for is_deallocated in [false, true] {
            let mut host = host(profile, 4 * MIB, 512);
            write(&mut host, 0, 16, 0xCD);
            let entry = commands::write_zeroes(1, 3, 9, is_deallocated);
            assert_eq!(host.execute(1, entry).status(), Status::SUCCESSFUL_COMPLETION);
            let media = host.machine.media();
            assert!(media[..3 * 512].iter().all(|&byte| byte == 0xCD));
            assert!(media[3 * 512..12 * 512].iter().all(|&byte| byte == 0));
            assert!(media[12 * 512..16 * 512].iter().all(|&byte| byte == 0xCD));
        }
    }
}

#[test]
fn commands_that_are_wrong_end_with_the_status_that_says_so_and_touch_nothing() {
    let mut host = host("tlc-ssd", 64 * MIB, 512);
    let lbas = 64 * MIB / 512;
    write(&mut host, 0, 16, 0x11);
    write(&mut host, lbas - 16, 16, 0x22);
    let before = host.machine.media();

    for (ranges, expected) in [
        (&[(lbas, 1)][..], Status::LBA_OUT_OF_RANGE),
        (&[(lbas - 1, 2)], Status::LBA_OUT_OF_RANGE),
        (&[(u64::MAX, 1)], Status::LBA_OUT_OF_RANGE),
        (&[(u64::MAX, 0)], Status::LBA_OUT_OF_RANGE),
        // The first range is sound, but the command as a whole is not.
        (&[(0, 8), (lbas - 8, 9)], Status::LBA_OUT_OF_RANGE),
        (&[(0, lbas as u32 + 1)], Status::LBA_OUT_OF_RANGE),
        (&[(0, u32::MAX)], Status::LBA_OUT_OF_RANGE),
        (&[(0, 8), (u64::MAX - 5, u32::MAX)], Status::LBA_OUT_OF_RANGE),
        (&[(5, 0)], Status::SUCCESSFUL_COMPLETION),
        (&[(lbas, 0)], Status::SUCCESSFUL_COMPLETION),
    ] {
        assert_eq!(deallocate(&mut host, ranges), expected, "{ranges:?}");
    }
    let with = |change: fn(&mut SubmissionQueueEntry)| {
        let mut entry = commands::deallocate(1, 1, nvmev_sim::host::RAM_BASE);
        change(&mut entry);
        entry
    };
    for (entry, expected) in [
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
        (with(|entry| entry.flags = 0xC0), Status::INVALID_FIELD_IN_COMMAND),
        (with(|entry| entry.prp1 = 1.into()), Status::PRP_OFFSET_INVALID),
        (with(|entry| entry.prp1 = 0.into()), Status::DATA_TRANSFER_ERROR),
        // Only hints: nothing to do, and the list is not even looked at.
        (
            with(|entry| (entry.cdw11, entry.prp1) = (3.into(), 0.into())),
            Status::SUCCESSFUL_COMPLETION,
        ),
        (commands::write_zeroes(1, lbas, 1, true), Status::LBA_OUT_OF_RANGE),
        (
            commands::write_zeroes(1, lbas - 1, 2, false),
            Status::LBA_OUT_OF_RANGE,
        ),
        // Longer than other writes can be, and the last LBA is not there.
        (
            commands::write_zeroes(1, lbas - 65_535, 65_536, true),
            Status::LBA_OUT_OF_RANGE,
        ),
    ] {
        assert_eq!(host.execute(1, entry).status(), expected, "{entry:?}");
    }
    assert!(host.machine.media() == before, "the medium was touched");
}

#[test]
fn the_limits_are_what_identify_says() {
    let mut host = host("tlc-ssd", 64 * MIB, 512);
    let page = host.pages(1);
    let identify = commands::identify(IdentifyCns::COMMAND_SET_CONTROLLER, 0, 0, page);
    assert_eq!(host.admin(identify).status(), Status::SUCCESSFUL_COMPLETION);
    let data = host.machine.ram(page, 16);
    // VSL and WUSL are MDTS, 2^7 pages. WZSL, DMRL, DMRSL and DMSL are 0: no limit (NVM CS 1.0 figure 118).
    assert_eq!(data[..4], [7, 0, 7, 0]);
    assert_eq!(data[4..16], [0; 12]);
    let most = vec![(0, 131_072); 256];
    assert_eq!(deallocate(&mut host, &most), Status::SUCCESSFUL_COMPLETION);
    let largest = commands::write_zeroes(1, 0, 65_536, true);
    assert_eq!(host.execute(1, largest).status(), Status::SUCCESSFUL_COMPLETION);

    let identify = commands::identify(IdentifyCns::NAMESPACE, 1, 0, page);
    assert_eq!(host.admin(identify).status(), Status::SUCCESSFUL_COMPLETION);
    let data = host.machine.ram(page, 128);
    assert_eq!((data[24], data[33]), (0x18, 0x09), "NSFEAT and DLFEAT");
    assert_eq!(data[64..74], [7, 0].repeat(5), "granularities of 8 LBAs");
}

#[test]
fn the_flash_forgets_whole_pages_and_says_so() {
    let mut host = host("970pro", 64 * MIB, 512);
    for page in 0..16 {
        write(&mut host, page * 8, 8, 0x55);
    }
    assert_eq!(flash(&mut host).mapped_pages, 16);
    // From the middle of page 1 to the middle of page 4: pages 2 and 3 as a whole.
    assert_eq!(deallocate(&mut host, &[(12, 24)]), Status::SUCCESSFUL_COMPLETION);
    let report = flash(&mut host);
    assert_eq!(
        (report.mapped_pages, report.statistics.deallocated_pages),
        (14, 2)
    );
    let entry = commands::write_zeroes(1, 64, 16, true);
    assert_eq!(host.execute(1, entry).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(flash(&mut host).mapped_pages, 12);
    // Without deallocation, zeros are data.
    let entry = commands::write_zeroes(1, 64, 16, false);
    assert_eq!(host.execute(1, entry).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(flash(&mut host).mapped_pages, 14);
    assert_eq!(flash(&mut host).statistics.host_pages, 18);
    host.device.shared.request_flash_reset();
    let report = flash(&mut host);
    assert_eq!((report.statistics.host_pages, report.mapped_pages), (0, 14));
    host.disable();
    assert_eq!(flash(&mut host).mapped_pages, 14, "also while disabled");
}

/// A drive whose write buffer is full, with a write waiting in queue 1, and a second queue.
fn stalled() -> (TestHost, usize) {
    let mut host = host("970pro", 64 * MIB, 512);
    host.create_io_queues(2, 16);
    let buffer = host.pages(1);
    let list = host.pages(1);
    let entries: Vec<u8> = (0..64).flat_map(|_| buffer.to_le_bytes()).collect();
    host.machine.set_ram(list, &entries);
    let mut submitted = 0;
    // 256 KiB each; the buffer has 1 MiB, and a one-shot page takes 185 µs.
    for index in 0..12 {
        let entry = commands::read_write(NvmOpcode::WRITE, 1, index * 512, 512, buffer, list);
        host.submit(1, entry);
        submitted += 1;
    }
    host.run();
    (host, submitted)
}

fn reap_all(host: &mut TestHost, qid: u16) -> usize {
    let mut count = 0;
    while let Some(completion) = host.reap(qid) {
        assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
        count += 1;
    }
    count
}

#[test]
fn a_write_that_waits_for_room_holds_up_no_other_queue() {
    let (mut host, submitted) = stalled();
    let start_ns = host.now_ns;
    assert!(flash(&mut host).statistics.buffer_stalls > 0);
    let into = host.pages(1);
    let read = commands::read_write(NvmOpcode::READ, 1, 100_000, 8, into, 0);
    assert_eq!(host.execute(2, read).status(), Status::SUCCESSFUL_COMPLETION);
    let identify = commands::identify(IdentifyCns::CONTROLLER, 0, 0, into);
    assert_eq!(host.admin(identify).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        host.now_ns, start_ns,
        "other queues' commands were done without waiting"
    );
    let mut done = reap_all(&mut host, 1);
    assert!(done < submitted, "something waits");
    // No attempt before the time at which there can be room.
    let stalls = flash(&mut host).statistics.buffer_stalls;
    for _ in 0..100 {
        host.step();
    }
    assert_eq!(flash(&mut host).statistics.buffer_stalls, stalls);
    host.settle();
    done += reap_all(&mut host, 1);
    assert_eq!(done, submitted);
    assert!(host.now_ns > start_ns + 185_000);
}

#[test]
fn a_waiting_write_ends_once_whatever_happens_to_its_queue() {
    for round in 0..4 {
        let (mut host, submitted) = stalled();
        match round {
            0 => {
                let delete = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1);
                assert_eq!(host.admin(delete).status(), Status::SUCCESSFUL_COMPLETION);
                // Those that were done, one that waited, and none of those that were not fetched yet.
                let mut aborted = 0;
                let mut done = 0;
                while let Some(completion) = host.reap(1) {
                    match completion.status() {
                        Status::SUCCESSFUL_COMPLETION => done += 1,
                        status => {
                            assert_eq!(status, Status::COMMAND_ABORTED_SQ_DELETION);
                            aborted += 1;
                        }
                    }
                }
                assert!(
                    aborted >= 1 && done + aborted < submitted,
                    "{done} done, {aborted} aborted"
                );
            }
            1 => {
                for cid in 0..64 {
                    let abort = commands::abort(1, cid);
                    assert_eq!(host.admin(abort).status(), Status::SUCCESSFUL_COMPLETION);
                }
                host.settle();
                let mut count = 0;
                while host.reap(1).is_some() {
                    count += 1;
                }
                assert_eq!(count, submitted, "each command ends in one completion");
            }
            2 => {
                // A normal shutdown: what is under way is posted, what waits is not waited for.
                host.set_register(registers::CC, host.register(registers::CC) | 1 << 14);
                host.settle();
                assert_eq!(
                    host.register(registers::CSTS) >> 2 & 3,
                    2,
                    "the shutdown is complete"
                );
                assert!(reap_all(&mut host, 1) < submitted);
            }
            _ => {}
        }
        host.disable();
        host.enable();
        host.create_io_queues(1, 64);
        write(&mut host, 0, 16, 0x99);
        assert_eq!(host.machine.media()[0], 0x99);
        assert!(host.reap(1).is_none(), "no completion of before the reset");
    }
}
