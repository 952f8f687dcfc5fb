//! Copies that have to wait: for other movements of data in their zones, and for room in the write buffer.

use nvme_device::NamespaceReport;

use super::*;

const ZONE_LBAS: u64 = 512 * 1024 / LBA as u64;
const ZONE_A: u64 = 0;
const ZONE_B: u64 = ZONE_LBAS;
const ZONE_C: u64 = 2 * ZONE_LBAS;

/// Queue 2 belongs to worker 0, queues 1 and 3 to worker 1. Zone A has been written with 0x55, and much later something begins.
fn zoned_drive() -> Drive {
    let mut drive = Drive::new("zoned");
    drive.host.create_io_queues(2, 16);
    drive.host.create_io_queues(3, 16);
    let written = drive.page_command(NvmOpcode::WRITE, ZONE_A, 0, 0x55);
    assert_eq!(drive.status(written), SUCCESS);
    drive.host.settle();
    drive.host.now_ns += 1_000_000_000;
    drive
}

impl Drive {
    /// A command about 8 LBAs with a page of this byte.
    fn page_command(&mut self, opcode: NvmOpcode, slba: u64, page: u64, byte: u8) -> SubmissionQueueEntry {
        let address = self.buffer + page * 4096;
        self.host.machine.set_ram(address, &[byte; 4096]);
        commands::read_write(opcode, 1, slba, 8, address, 0)
    }

    fn copy_command(&mut self, sdlba: u64, sources: &[(u64, u32)]) -> SubmissionQueueEntry {
        let list = self.buffer + 15 * 4096;
        self.host.machine.set_ram(list, &commands::copy_list(sources, 0));
        commands::copy(1, sdlba, sources.len() as u32, 0, list)
    }

    fn submit_and_fetch(&mut self, qid: u16, entry: SubmissionQueueEntry) {
        self.host.submit(qid, entry);
        self.poll_controller();
    }

    fn poll_worker(&mut self, worker: usize) {
        self.host.device.workers[worker].poll(self.host.now_ns, &self.host.machine);
    }
}

#[test]
fn a_copy_that_waited_reads_what_was_written_meanwhile() {
    let mut drive = zoned_drive();
    let reset = commands::zone_send(1, ZONE_A, ZoneSendAction::RESET, false);
    assert_eq!(drive.status(reset), SUCCESS);
    drive.host.settle();
    // Zone B is being written, and a read waits for the end of it: no other write begins there.
    let write_b = drive.page_command(NvmOpcode::WRITE, ZONE_B, 0, 0x11);
    drive.submit_and_fetch(2, write_b);
    let read_b = drive.page_command(NvmOpcode::READ, ZONE_B, 3, 0);
    drive.submit_and_fetch(1, read_b);
    let copy = drive.copy_command(ZONE_B + 8, &[(ZONE_A, 8)]);
    drive.submit_and_fetch(3, copy);
    drive.poll_worker(0);
    // Zone A gets other data, which is not moved yet when the copy is looked at again.
    let write_a = drive.page_command(NvmOpcode::WRITE, ZONE_A, 1, 0x22);
    drive.submit_and_fetch(2, write_a);
    for _ in 0..5 {
        drive.host.now_ns += 2_000;
        drive.poll_controller();
        drive.poll_worker(1);
    }
    assert_eq!(drive.host.wait(3).status(), SUCCESS);
    for qid in [2, 2, 1] {
        assert_eq!(drive.host.wait(qid).status(), SUCCESS);
    }
    assert_eq!(drive.read(ZONE_A, 8), Ok(vec![0x22; 4096]));
    assert_eq!(drive.read(ZONE_B + 8, 8), Ok(vec![0x22; 4096]));
}

#[test]
fn a_copy_that_waits_to_read_takes_no_more_time_on_flash() {
    let took_ns = [0, 1000].map(|waits| {
        let mut drive = zoned_drive();
        let write_b = drive.page_command(NvmOpcode::WRITE, ZONE_B, 0, 0x11);
        drive.submit_and_fetch(2, write_b);
        let start_ns = drive.host.now_ns;
        let copy = drive.copy_command(ZONE_C, &[(ZONE_A, 8), (ZONE_B, 8)]);
        drive.host.submit(3, copy);
        for _ in 0..waits {
            drive.poll_controller();
            drive.host.now_ns += 1000;
        }
        drive.poll_worker(0);
        assert_eq!(drive.host.wait(3).status(), SUCCESS);
        drive.host.now_ns - start_ns
    });
    let waited_ns = 1_000_000;
    assert!(
        took_ns[1] < took_ns[0] + waited_ns + 10_000,
        "{took_ns:?}: beside {waited_ns} ns of waiting"
    );
}

/// Many copies at a time: those that find no buffer space wait for it, and each is done once.
#[test]
fn copies_wait_for_buffer_space() {
    let mut drive = Drive::with_small_buffer();
    let written = data(136);
    for part in 0..2 {
        let lbas = part * 68..part * 68 + 68;
        let bytes = &written[lbas.start * LBA..lbas.end * LBA];
        assert_eq!(
            drive.with_data(NvmOpcode::WRITE, lbas.start as u64, bytes),
            SUCCESS
        );
    }
    let sources = |copy: u64| [(copy % 8, 64), (copy % 5, 64), (2, 64), (copy % 3, 64)];
    let lists: Vec<u64> = (0..40).map(|_| drive.host.pages(1)).collect();
    for round in 0..4 {
        for (copy, &list) in (0u64..).zip(&lists) {
            let ranges = commands::copy_list(&sources(copy + round), 0);
            drive.host.machine.set_ram(list, &ranges);
            drive
                .host
                .submit(1, commands::copy(1, 256 + copy % 20 * 256, 4, 0, list));
        }
        for _ in &lists {
            assert_eq!(drive.host.wait(1).status(), SUCCESS, "round {round}");
        }
    }
    drive.host.device.shared.request_flash_reports();
    drive.poll_controller();
    let NamespaceReport::Flash(report) = drive.host.device.shared.namespace_report(1) else {
        panic!("the drive has flash")
    };
    assert!(report.statistics.buffer_stalls > 20, "{report:?}");
    for copy in 0..20 {
        // The last of the copies to this place.
        let wanted = lbas_of(&written, &sources(copy + 20 + 3));
        for half in 0..2 {
            let at = half * 128;
            let part = &wanted[at as usize * LBA..][..128 * LBA];
            assert_eq!(drive.read(256 + copy * 256 + at, 128), Ok(part.to_vec()));
        }
    }
}
