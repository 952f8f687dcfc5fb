//! PRP entries and lists that are wrong (NVMe Base 2.0 §4.1.1): they loop, point to what is no memory, end early, or have offsets; in every direction,
//! and with transfers whose lists have several pages.

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const OFFSET: Status = Status::PRP_OFFSET_INVALID;
const NO_MEMORY: Status = Status::DATA_TRANSFER_ERROR;
const PAGE: u64 = 4096;
/// Entries of a page of a list.
const ENTRIES: u64 = PAGE / 8;
/// Of a transfer: its list has three pages.
const PAGES: u64 = 1200;
const NOWHERE: u64 = 0xFFFF_FFFF_F000;

/// A drive with long transfers, and a good list for the longest.
struct Drive {
    host: TestHost,
    data: u64,
    lists: u64,
}

impl Drive {
    fn new() -> Self {
        let mut profile = *profiles::by_name("optane").unwrap();
        profile.set_list("mdts=11").unwrap();
        let mut host = TestHost::new(&profile, PAGES * PAGE, 512, 1);
        host.enable();
        host.create_io_queues(1, 16);
        let data = host.pages(2);
        let lists = host.pages(6);
        let mut drive = Self { host, data, lists };
        drive.make_list();
        drive
    }

    /// A list for [`PAGES`] in consecutive pages, all of them the same page of data.
    fn make_list(&mut self) {
        let entries = (0..6 * ENTRIES).map(|slot| {
            let is_last_of_page = slot % ENTRIES == ENTRIES - 1;
            if is_last_of_page {
                self.lists + (slot + 1) * 8
            } else {
                self.data
            }
        });
        let bytes: Vec<u8> = entries.flat_map(u64::to_le_bytes).collect();
        self.host.machine.set_ram(self.lists, &bytes);
    }

    fn set_slot(&mut self, slot: u64, entry: u64) {
        self.host
            .machine
            .set_ram(self.lists + slot * 8, &entry.to_le_bytes());
    }

    /// The status of commands about so many pages, which must be the same whichever way the data goes. The device must then still work.
    fn status(&mut self, pages: u64, prp1: u64, prp2: u64) -> Status {
        let statuses = [NvmOpcode::READ, NvmOpcode::WRITE, NvmOpcode::COMPARE].map(|opcode| {
            let entry = commands::read_write(opcode, 1, 0, (pages * 8) as u32, prp1, prp2);
            self.host.execute(1, entry).status()
        });
        assert_eq!(statuses, [statuses[0]; 3], "read, write, compare");
        let good = commands::read_write(NvmOpcode::READ, 1, 0, 1, self.data, 0);
        assert_eq!(self.host.execute(1, good).status(), SUCCESS);
        statuses[0]
    }
}

#[test]
fn a_wrong_second_entry_of_two() {
    let mut drive = Drive::new();
    let (data, ram_end) = (drive.data, drive.host.machine.ram_end());
    for (prp1, prp2, status) in [
        (data, data + PAGE, SUCCESS),
        (data, data + 8, OFFSET),
        (data, data + PAGE - 4, OFFSET),
        (data, 0, NO_MEMORY),
        (data, NOWHERE, NO_MEMORY),
        (data, ram_end, NO_MEMORY),
        (data, !(PAGE - 1), NO_MEMORY),
        (data + 1, data + PAGE, OFFSET),
        (data + 2, data + PAGE, OFFSET),
        (0, data, NO_MEMORY),
    ] {
        assert_eq!(drive.status(2, prp1, prp2), status, "{prp1:#x} {prp2:#x}");
    }
}

#[test]
fn an_entry_in_any_page_of_a_list_with_an_offset_or_without_memory() {
    let mut drive = Drive::new();
    let (data, lists, ram_end) = (drive.data, drive.lists, drive.host.machine.ram_end());
    assert_eq!(drive.status(PAGES, data, lists), SUCCESS);
    // The first, one that is not the first to be fetched, the last of a page, the first and the last of a later page, and the list's last.
    let last = (PAGES - 1) + (PAGES - 1) / (ENTRIES - 1) - 1;
    for slot in [0, 40, ENTRIES - 2, ENTRIES, 2 * ENTRIES - 2, last] {
        for (entry, status) in [
            (data + 4, OFFSET),
            (data + 512, OFFSET),
            (0, NO_MEMORY),
            (NOWHERE, NO_MEMORY),
            (ram_end, NO_MEMORY),
        ] {
            drive.set_slot(slot, entry);
            assert_eq!(
                drive.status(PAGES, data, lists),
                status,
                "slot {slot}: {entry:#x}"
            );
        }
        drive.make_list();
    }
    // Behind the last entry the list may have anything.
    drive.set_slot(last + 1, 1);
    assert_eq!(drive.status(PAGES, data, lists), SUCCESS);
}

#[test]
fn a_pointer_to_the_next_page_of_a_list_with_an_offset_or_without_memory() {
    let mut drive = Drive::new();
    let (data, lists) = (drive.data, drive.lists);
    for page in 1..=2 {
        for (pointer, status) in [
            (lists + page * PAGE + 8, OFFSET),
            (lists + page * PAGE + 1, OFFSET),
            (0, NO_MEMORY),
            (NOWHERE, NO_MEMORY),
            (drive.host.machine.ram_end(), NO_MEMORY),
        ] {
            drive.set_slot(page * ENTRIES - 1, pointer);
            assert_eq!(
                drive.status(PAGES, data, lists),
                status,
                "page {page}: {pointer:#x}"
            );
        }
        drive.make_list();
    }
    // The last slot is an entry if it is the last that is needed, and not a pointer.
    drive.set_slot(ENTRIES - 1, data);
    assert_eq!(drive.status(ENTRIES + 1, data, lists), SUCCESS);
    drive.set_slot(ENTRIES - 1, data + 8);
    assert_eq!(drive.status(ENTRIES + 1, data, lists), OFFSET);
}

#[test]
fn a_list_that_begins_at_no_entry_or_near_the_end_of_a_page_or_of_memory() {
    let mut drive = Drive::new();
    let (data, lists, ram_end) = (drive.data, drive.lists, drive.host.machine.ram_end());
    for (list, status) in [
        (lists + 1, OFFSET),
        (lists + 4, OFFSET),
        (lists + PAGE - 4, OFFSET),
        (0, NO_MEMORY),
        (NOWHERE, NO_MEMORY),
        (ram_end, NO_MEMORY),
        (u64::MAX - 7, NO_MEMORY),
        // Nothing but a pointer in the first page.
        (lists + PAGE - 8, SUCCESS),
        (lists + 10 * 8, SUCCESS),
    ] {
        assert_eq!(drive.status(64, data, list), status, "{list:#x}");
    }
    // The last page of memory is the first of the list: what its last slot points to is not there.
    let last_slots = [data.to_le_bytes(), ram_end.to_le_bytes()].concat();
    drive.host.machine.set_ram(ram_end - 16, &last_slots);
    assert_eq!(drive.status(64, data, ram_end - 16), NO_MEMORY);
}

#[test]
fn a_list_that_ends_early() {
    let mut drive = Drive::new();
    let (data, lists) = (drive.data, drive.lists);
    for entries in [0, 1, 31, 32, 33, ENTRIES - 2, ENTRIES - 1, ENTRIES, 1000] {
        let zeros = vec![0; ((6 * ENTRIES - entries) * 8) as usize];
        drive.host.machine.set_ram(lists + entries * 8, &zeros);
        assert_eq!(drive.status(PAGES, data, lists), NO_MEMORY, "{entries}");
        drive.make_list();
    }
}

#[test]
fn a_list_whose_pages_lead_in_a_circle_ends_with_the_transfer() {
    let mut drive = Drive::new();
    let (data, lists) = (drive.data, drive.lists);
    // To itself, and to the one before.
    for (page, back_to) in [(1, 0), (2, 0), (2, 1)] {
        drive.set_slot(page * ENTRIES - 1, lists + back_to * PAGE);
        let before = drive.host.machine.device_reads();
        assert_eq!(drive.status(PAGES, data, lists), SUCCESS, "{page} to {back_to}");
        // Three commands, of up to 38 fetches of entries and a few of pointers, and a compare's pieces of data.
        let reads = drive.host.machine.device_reads() - before;
        assert!(reads < 3 * 50 + PAGES * 8, "{reads}");
        drive.make_list();
    }
    // Without data entries there would be no end: a page that begins with its last slot leads to the beginning of another.
    drive.set_slot(ENTRIES - 1, lists + PAGE - 8);
    assert_eq!(drive.status(PAGES, data, lists + PAGE - 8), OFFSET);
}

#[test]
fn lists_of_ranges_that_lie_across_pages() {
    let mut drive = Drive::new();
    let (data, ram_end) = (drive.data, drive.host.machine.ram_end());
    let ranges = commands::range_list(&[(0, 8), (8, 8), (16, 8)]);
    let at = data + PAGE - 32;
    drive.host.machine.set_ram(at, &ranges);
    let deallocate = |prp1: u64, prp2: u64| SubmissionQueueEntry {
        prp2: prp2.into(),
        ..commands::deallocate(1, 3, prp1)
    };
    for (prp1, prp2, status) in [
        (at, data + PAGE, SUCCESS),
        (at, data + PAGE + 4, OFFSET),
        (at, 0, NO_MEMORY),
        (at, ram_end, NO_MEMORY),
        (at + 1, data + PAGE, OFFSET),
    ] {
        let completion = drive.host.execute(1, deallocate(prp1, prp2));
        assert_eq!(completion.status(), status, "{prp1:#x} {prp2:#x}");
    }
}
