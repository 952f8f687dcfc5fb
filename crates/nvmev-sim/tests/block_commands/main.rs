//! Compare, Verify, Write Uncorrectable, Copy, and Compare and Write as one (NVM CS 1.0 §3.2) on every kind of namespace that has LBAs.

mod copies;
mod fused;

use nvme_spec::{DatasetRange, LogPageId, NvmOpcode, Status, SubmissionQueueEntry, ZoneSendAction};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;
use zerocopy::IntoBytes;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const LBA: usize = 512;

/// A drive of each kind, by name.
const KINDS: [&str; 4] = ["nvm", "conventional", "zoned", "key-value"];

fn profile(kind: &str) -> Profile<'static> {
    let (name, changes) = match kind {
        "nvm" => ("optane", ""),
        "conventional" => ("tlc-ssd", ""),
        "zoned" => (
            "zn540",
            "mdts=5,zone.size_kib=512,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,reference_quirks=false",
        ),
        _ => ("kv-prototype", "key_value.command_set=nvm,key_value.value_bytes_max=65536"),
    };
    let mut profile = *profiles::by_name(name).unwrap();
    profile.set_list(changes).unwrap();
    profile.validate().unwrap();
    profile
}

struct Drive {
    host: TestHost,
    is_zoned: bool,
    buffer: u64,
}

impl Drive {
    fn new(kind: &str) -> Self {
        Self::with_profile(&profile(kind), kind == "zoned")
    }

    /// Of the conventional kind, with a write buffer of 768 KiB.
    fn with_small_buffer() -> Self {
        let mut profile = profile("conventional");
        profile.set_list("write_buffer.size_bytes=786432").unwrap();
        profile.validate().unwrap();
        Self::with_profile(&profile, false)
    }

    fn with_profile(profile: &Profile<'_>, is_zoned: bool) -> Self {
        let mut host = TestHost::new(profile, 4 << 20, LBA as u32, 2);
        host.enable();
        host.create_io_queues(1, 64);
        let buffer = host.pages(17);
        Self {
            host,
            is_zoned,
            buffer,
        }
    }

    /// A pass of the controller, in which the workers do nothing.
    fn poll_controller(&mut self) {
        self.host.dispatch(self.host.now_ns);
    }

    fn status(&mut self, entry: SubmissionQueueEntry) -> Status {
        self.host.execute(1, entry).status()
    }

    /// A command about LBAs with this data in its buffer.
    fn with_data(&mut self, opcode: NvmOpcode, slba: u64, data: &[u8]) -> Status {
        self.host.machine.set_ram(self.buffer, data);
        let entry = commands::read_write(opcode, 1, slba, (data.len() / LBA) as u32, 0, 0);
        let entry = self.host.with_buffer(entry, self.buffer, data.len());
        self.status(entry)
    }

    fn on_lbas(&mut self, opcode: NvmOpcode, slba: u64, lbas: u32) -> Status {
        self.status(commands::read_write(opcode, 1, slba, lbas, 0, 0))
    }

    fn read(&mut self, slba: u64, lbas: u32) -> Result<Vec<u8>, Status> {
        let len = lbas as usize * LBA;
        self.host.machine.set_ram(self.buffer, &vec![0xEE; len]);
        let entry = commands::read_write(NvmOpcode::READ, 1, slba, lbas, 0, 0);
        let entry = self.host.with_buffer(entry, self.buffer, len);
        match self.status(entry) {
            SUCCESS => Ok(self.host.machine.ram(self.buffer, len)),
            status => Err(status),
        }
    }
}

fn data(lbas: usize) -> Vec<u8> {
    (0..lbas * LBA).map(|at| (at * 7 + at / LBA) as u8).collect()
}

#[test]
fn compare_tells_whether_the_data_is_the_same() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let written = data(40);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS, "{kind}");
        assert_eq!(
            drive.with_data(NvmOpcode::COMPARE, 0, &written),
            SUCCESS,
            "{kind}"
        );
        assert_eq!(
            drive.with_data(NvmOpcode::COMPARE, 7, &written[7 * LBA..20 * LBA]),
            SUCCESS,
            "{kind}"
        );
        for at in [0, 511, 512, 4095, 4096, 40 * LBA - 1] {
            let mut other = written.clone();
            other[at] ^= 1;
            assert_eq!(
                drive.with_data(NvmOpcode::COMPARE, 0, &other),
                Status::COMPARE_FAILURE,
                "{kind}, byte {at}"
            );
        }
        // What was never written is zeros.
        assert_eq!(
            drive.with_data(
                NvmOpcode::COMPARE,
                36,
                &[&written[36 * LBA..], &[0; 4 * LBA]].concat()
            ),
            SUCCESS,
            "{kind}"
        );
        assert_eq!(
            drive.read(0, 40),
            Ok(written.clone()),
            "{kind}: nothing has changed"
        );
        let nowhere = commands::read_write(NvmOpcode::COMPARE, 1, 0, 1, 0, 0);
        assert_eq!(drive.status(nowhere), Status::DATA_TRANSFER_ERROR, "{kind}");
    }
}

#[test]
fn verify_reads_without_a_transfer() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &data(16)), SUCCESS, "{kind}");
        assert_eq!(drive.on_lbas(NvmOpcode::VERIFY, 0, 16), SUCCESS, "{kind}");
        assert_eq!(
            drive.on_lbas(NvmOpcode::VERIFY, u64::MAX, 1),
            Status::LBA_OUT_OF_RANGE,
            "{kind}"
        );
        assert_eq!(
            drive.on_lbas(NvmOpcode::VERIFY, 0, 65_536),
            Status::INVALID_FIELD_IN_COMMAND,
            "{kind}"
        );
    }
}

#[test]
fn what_is_uncorrectable_cannot_be_read_until_it_is_written() {
    let unreadable = Status::UNRECOVERED_READ_ERROR;
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let written = data(64);
        // Zones are written in order: the mark is where the write pointer is.
        let marked = if drive.is_zoned {
            assert_eq!(
                drive.with_data(NvmOpcode::WRITE, 0, &written[..20 * LBA]),
                SUCCESS
            );
            assert_eq!(drive.on_lbas(NvmOpcode::WRITE_UNCORRECTABLE, 20, 10), SUCCESS);
            assert_eq!(
                drive.with_data(NvmOpcode::WRITE, 30, &written[30 * LBA..]),
                SUCCESS
            );
            20..30u64
        } else {
            assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS);
            assert_eq!(drive.on_lbas(NvmOpcode::WRITE_UNCORRECTABLE, 20, 10), SUCCESS);
            20..30
        };
        for (slba, lbas) in [(20, 1), (29, 1), (0, 64), (15, 6), (29, 10)] {
            assert_eq!(drive.read(slba, lbas), Err(unreadable), "{kind}");
            assert_eq!(drive.on_lbas(NvmOpcode::VERIFY, slba, lbas), unreadable, "{kind}");
            let other = vec![0; lbas as usize * LBA];
            assert_eq!(
                drive.with_data(NvmOpcode::COMPARE, slba, &other),
                unreadable,
                "{kind}"
            );
        }
        assert_eq!(drive.read(0, 20), Ok(written[..20 * LBA].to_vec()), "{kind}");
        assert_eq!(drive.read(30, 34), Ok(written[30 * LBA..].to_vec()), "{kind}");
        // It outlives a reset.
        drive.host.disable();
        drive.host.enable();
        drive.host.create_io_queues(1, 64);
        assert_eq!(drive.read(marked.start, 1), Err(unreadable), "{kind}");
        if drive.is_zoned {
            let reset = commands::zone_send(1, 0, ZoneSendAction::RESET, false);
            assert_eq!(drive.status(reset), SUCCESS);
            assert_eq!(
                drive.read(0, 64),
                Ok(vec![0; 64 * LBA]),
                "an empty zone is readable"
            );
            assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS);
            assert_eq!(drive.read(0, 64), Ok(written));
            continue;
        }
        // A write heals what it covers, zeros and a deallocation too.
        assert_eq!(
            drive.with_data(NvmOpcode::WRITE, 18, &written[18 * LBA..22 * LBA]),
            SUCCESS,
            "{kind}"
        );
        assert_eq!(drive.read(0, 22), Ok(written[..22 * LBA].to_vec()), "{kind}");
        assert_eq!(drive.read(22, 1), Err(unreadable), "{kind}");
        assert_eq!(
            drive.status(commands::write_zeroes(1, 22, 3, true)),
            SUCCESS,
            "{kind}"
        );
        assert_eq!(drive.read(22, 3), Ok(vec![0; 3 * LBA]), "{kind}");
        let ranges = [DatasetRange {
            slba: 25.into(),
            lbas: 4.into(),
            ..Default::default()
        }];
        drive.host.machine.set_ram(drive.buffer, ranges.as_bytes());
        let deallocate = commands::deallocate(1, 1, drive.buffer);
        assert_eq!(drive.status(deallocate), SUCCESS, "{kind}");
        assert_eq!(drive.read(25, 4), Ok(vec![0; 4 * LBA]), "{kind}");
        assert_eq!(
            drive.read(29, 1),
            Err(unreadable),
            "{kind}: the last one is still marked"
        );
        assert_eq!(
            drive.on_lbas(NvmOpcode::WRITE_UNCORRECTABLE, u64::MAX - 1, 1),
            Status::LBA_OUT_OF_RANGE
        );
    }
}

/// A read that fails on the medium takes as long as one that succeeds, and is in the error log with its LBA.
#[test]
fn an_unreadable_lba_takes_its_time_and_is_logged() {
    let mut drive = Drive::new("conventional");
    assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &data(8)), SUCCESS);
    let before_ns = drive.host.now_ns;
    assert!(drive.read(0, 8).is_ok());
    let readable_ns = drive.host.now_ns - before_ns;
    assert_eq!(drive.on_lbas(NvmOpcode::WRITE_UNCORRECTABLE, 5, 1), SUCCESS);
    drive.host.now_ns += 1_000_000_000;
    let before_ns = drive.host.now_ns;
    assert_eq!(drive.read(4, 4), Err(Status::UNRECOVERED_READ_ERROR));
    let unreadable_ns = drive.host.now_ns - before_ns;
    assert!(
        readable_ns > 10_000 && unreadable_ns > 10_000,
        "{readable_ns} {unreadable_ns}"
    );
    let page = drive.host.pages(1);
    let log = commands::get_log_page(nvme_spec::LogPageId::ERROR_INFORMATION, u32::MAX, 0, 64, page);
    assert_eq!(drive.host.admin(log).status(), SUCCESS);
    let entry = drive.host.machine.ram(page, 64);
    assert_eq!(entry[16..24], 4u64.to_le_bytes(), "the command's first LBA");
}

impl Drive {
    /// Copies LBA ranges to `sdlba`.
    fn copy(&mut self, sdlba: u64, ranges: &[(u64, u32)], format: u8) -> Status {
        let list = self.buffer + 15 * 4096;
        self.host
            .machine
            .set_ram(list, &commands::copy_list(ranges, format));
        self.status(commands::copy(1, sdlba, ranges.len() as u32, format, list))
    }
}

/// LBAs of `data`.
fn lbas_of(data: &[u8], ranges: &[(u64, u32)]) -> Vec<u8> {
    let parts = ranges.iter().map(|&(slba, lbas)| {
        let at = slba as usize * LBA;
        &data[at..at + lbas as usize * LBA]
    });
    parts.flatten().copied().collect()
}

#[test]
fn copy_gathers_ranges_into_one() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let written = data(64);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS, "{kind}");
        // Behind what was written: the write pointer of a zone.
        let mut at = 64;
        for (format, ranges) in [
            (0, &[(0, 64)][..]),
            (0, &[(3, 1), (60, 4), (3, 1), (0, 11)]),
            (1, &[(63, 1), (10, 20)]),
        ] {
            assert_eq!(drive.copy(at, ranges, format), SUCCESS, "{kind}");
            let wanted = lbas_of(&written, ranges);
            assert_eq!(
                drive.read(at, (wanted.len() / LBA) as u32),
                Ok(wanted.clone()),
                "{kind}"
            );
            at += (wanted.len() / LBA) as u64;
        }
        let many: Vec<(u64, u32)> = (0..32).map(|lba| (lba * 2, 1)).collect();
        assert_eq!(drive.copy(at, &many, 0), SUCCESS, "{kind}");
        assert_eq!(drive.read(at, 32), Ok(lbas_of(&written, &many)), "{kind}");
        // What was never written is zeros.
        assert_eq!(drive.copy(at + 32, &[(800, 3)], 0), SUCCESS, "{kind}");
        assert_eq!(drive.read(at + 32, 3), Ok(vec![0; 3 * LBA]), "{kind}");
        assert_eq!(
            drive.read(0, 64),
            Ok(written.clone()),
            "{kind}: the sources are as they were"
        );
        if !drive.is_zoned {
            // A destination that overlaps a source gets what was there before.
            assert_eq!(drive.copy(10, &[(0, 40)], 0), SUCCESS, "{kind}");
            assert_eq!(drive.read(10, 40), Ok(written[..40 * LBA].to_vec()), "{kind}");
        }
    }
}

#[test]
fn a_copy_that_cannot_be_changes_nothing() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let written = data(64);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS);
        let too_much = Status::COMMAND_SIZE_LIMIT_EXCEEDED;
        let many: Vec<(u64, u32)> = (0..33).map(|lba| (lba, 1)).collect();
        let limit = profile(kind).transfer_bytes_max() / LBA as u32;
        for (sdlba, ranges, status) in [
            (64, &many[..], too_much),
            (64, &[(0, limit + 1)], too_much),
            (64, &[(0, limit), (0, 1)], too_much),
            (64, &[(0, 1), (u64::MAX, 1)], Status::LBA_OUT_OF_RANGE),
            (u64::MAX, &[(0, 1)], Status::LBA_OUT_OF_RANGE),
        ] {
            assert_eq!(drive.copy(sdlba, ranges, 0), status, "{kind}");
        }
        assert_eq!(
            drive.copy(64, &[(0, 1)], 2),
            Status::INVALID_FIELD_IN_COMMAND,
            "{kind}"
        );
        let nowhere = commands::copy(1, 64, 1, 0, 0);
        assert_eq!(drive.status(nowhere), Status::DATA_TRANSFER_ERROR, "{kind}");
        if drive.is_zoned {
            assert_eq!(drive.copy(70, &[(0, 1)], 0), Status::ZONE_INVALID_WRITE);
            assert_eq!(drive.copy(1020, &[(0, 8)], 0), Status::ZONE_BOUNDARY_ERROR);
        }
        assert_eq!(drive.read(64, 40), Ok(vec![0; 40 * LBA]), "{kind}");
    }
}

#[test]
fn copy_does_not_read_what_is_uncorrectable_and_heals_what_it_writes() {
    for kind in ["nvm", "conventional", "key-value"] {
        let mut drive = Drive::new(kind);
        let written = data(64);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &written), SUCCESS);
        assert_eq!(drive.on_lbas(NvmOpcode::WRITE_UNCORRECTABLE, 100, 4), SUCCESS);
        assert_eq!(
            drive.copy(0, &[(5, 1), (103, 1)], 0),
            Status::UNRECOVERED_READ_ERROR,
            "{kind}"
        );
        assert_eq!(drive.read(0, 64), Ok(written.clone()), "{kind}");
        assert_eq!(drive.copy(100, &[(8, 2)], 0), SUCCESS, "{kind}");
        assert_eq!(drive.read(100, 2), Ok(lbas_of(&written, &[(8, 2)])), "{kind}");
        assert_eq!(drive.read(102, 1), Err(Status::UNRECOVERED_READ_ERROR), "{kind}");
    }
}

/// Data units read and written (thousands of 512 bytes, rounded up), read commands and write commands.
fn smart(drive: &mut Drive) -> [u64; 4] {
    let page = drive.host.pages(1);
    let entry = commands::get_log_page(LogPageId::SMART_HEALTH, 0, 0, 512, page);
    assert_eq!(drive.host.admin(entry).status(), SUCCESS);
    let log = drive.host.machine.ram(page, 512);
    [32, 48, 64, 80].map(|at| u64::from_le_bytes(log[at..at + 8].try_into().expect("8 bytes")))
}

#[test]
fn smart_counts_what_reads_and_what_writes() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        assert_eq!(drive.with_data(NvmOpcode::WRITE, 0, &data(64)), SUCCESS);
        assert_eq!(smart(&mut drive), [0, 1, 0, 1], "{kind}: Write");
        assert_eq!(drive.on_lbas(NvmOpcode::VERIFY, 0, 64), SUCCESS);
        assert_eq!(smart(&mut drive), [1, 1, 0, 1], "{kind}: Verify");
        for _ in 0..16 {
            assert_eq!(drive.with_data(NvmOpcode::COMPARE, 0, &data(64)), SUCCESS);
        }
        assert_eq!(smart(&mut drive), [2, 1, 16, 1], "{kind}: Compare");
        let list = drive.buffer + 15 * 4096;
        drive
            .host
            .machine
            .set_ram(list, &commands::copy_list(&[(0, 8)], 0));
        assert_eq!(drive.status(commands::copy(1, 64, 1, 0, list)), SUCCESS);
        assert_eq!(smart(&mut drive), [2, 1, 17, 2], "{kind}: Copy");
    }
}
