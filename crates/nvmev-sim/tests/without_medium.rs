//! A device that keeps nothing of what is written: reads return zeros, all else is as ever, and nothing takes the time that a medium would.

use nvme_device::{Device, DeviceConfig, Identity, NamespaceConfig, SetupError, BAR_SIZE_BYTES};
use nvme_spec::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry, ZoneSendAction};
use nvmev_sim::host::{commands, Drive, TestHost, DRIVES, RAM_BASE};
use ssd_model::profiles;
use ssd_profile::ProfileKind;
use std::sync::atomic::AtomicU32;

const PAGE: u64 = 4096;
const LBA: u32 = 512;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;

fn is_key_value(drive: &Drive) -> bool {
    matches!(drive.namespace(LBA, 0).kind, ProfileKind::KeyValue(_))
}

/// Those that can be without a medium.
fn drives() -> impl Iterator<Item = Drive> {
    DRIVES.into_iter().filter(|drive| !is_key_value(drive))
}

fn host_of(namespace: NamespaceConfig, workers: usize) -> TestHost {
    let mut host = TestHost::without_medium(vec![namespace], workers);
    host.enable();
    for qid in 1..=workers as u16 {
        host.create_io_queues(qid, 64);
    }
    host
}

/// A drive of 16 TiB that no test could have the data of.
fn large(profile: &str) -> TestHost {
    let profile = profiles::by_name(profile).unwrap();
    let namespace = NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: LBA,
        media_offset: 0,
        media_len_bytes: 16 << 40,
    };
    host_of(namespace, 2)
}

fn access(opcode: NvmOpcode, slba: u64, lbas: u32, buffer: u64) -> SubmissionQueueEntry {
    commands::read_write(opcode, 1, slba, lbas, buffer, 0)
}

fn buffer_of(host: &mut TestHost, byte: u8) -> u64 {
    let buffer = host.pages(1);
    host.machine.set_ram(buffer, &[byte; PAGE as usize]);
    buffer
}

#[test]
fn what_was_written_reads_as_zeros_over_the_whole_buffer_of_the_host() {
    for drive in drives() {
        for workers in [1, 2] {
            let mut host = host_of(drive.namespace(LBA, 0), workers);
            let buffer = buffer_of(&mut host, 0xA5);
            for qid in 1..=workers as u16 {
                let slba = u64::from(qid - 1) * 8;
                let write = access(NvmOpcode::WRITE, slba, 8, buffer);
                assert_eq!(host.execute(qid, write).status(), SUCCESS, "{}", drive.name);
                // What the buffer held before is not to be seen, and nothing beside it is touched.
                let into = buffer_of(&mut host, 0xEE);
                let read = access(NvmOpcode::READ, slba, 7, into);
                assert_eq!(host.execute(qid, read).status(), SUCCESS, "{}", drive.name);
                let read = host.machine.ram(into, PAGE as usize);
                assert!(read[..7 * 512].iter().all(|&byte| byte == 0), "{}", drive.name);
                assert!(read[7 * 512..].iter().all(|&byte| byte == 0xEE), "{}", drive.name);
            }
        }
    }
}

#[test]
fn memory_that_is_not_there_is_an_error_in_both_directions() {
    for drive in drives() {
        let mut host = host_of(drive.namespace(LBA, 0), 1);
        let hole = RAM_BASE - PAGE;
        for opcode in [NvmOpcode::WRITE, NvmOpcode::READ] {
            let entry = access(opcode, 0, 8, hole);
            let status = host.execute(1, entry).status();
            assert_eq!(status, Status::DATA_TRANSFER_ERROR, "{} {opcode:?}", drive.name);
        }
    }
}

#[test]
fn zeros_are_what_compares_as_equal() {
    let mut host = host_of(DRIVES[0].namespace(LBA, 0), 1);
    for (byte, expected) in [(0, SUCCESS), (1, Status::COMPARE_FAILURE)] {
        let buffer = buffer_of(&mut host, byte);
        let write = access(NvmOpcode::WRITE, 0, 8, buffer);
        assert_eq!(host.execute(1, write).status(), SUCCESS);
        let compare = access(NvmOpcode::COMPARE, 0, 8, buffer);
        assert_eq!(host.execute(1, compare).status(), expected);
    }
}

#[test]
fn pointers_of_zones_move_as_if_there_were_data() {
    let mut host = large("zn540");
    let buffer = buffer_of(&mut host, 7);
    let append = commands::zone_append(1, 0, 8, buffer, 0);
    for expected in [0, 8] {
        let done = host.execute(1, append);
        assert_eq!((done.status(), u64::from(done.dw0.get())), (SUCCESS, expected));
    }
    let reset = commands::zone_send(1, 0, ZoneSendAction::RESET, true);
    assert_eq!(host.execute(1, reset).status(), SUCCESS);
    assert_eq!(host.execute(2, append).dw0.get(), 0);
}

#[test]
fn a_large_drive_is_deallocated_formatted_and_sanitized_at_once() {
    for profile in ["optane", "zn540"] {
        let mut host = large(profile);
        let buffer = buffer_of(&mut host, 7);
        assert_eq!(
            host.execute(1, access(NvmOpcode::WRITE, 0, 8, buffer)).status(),
            SUCCESS
        );
        let ranges: Vec<(u64, u32)> = (0..32).map(|range| (range << 28, 4096)).collect();
        host.machine.set_ram(buffer, &commands::range_list(&ranges));
        assert_eq!(
            host.execute(1, commands::deallocate(1, 32, buffer)).status(),
            SUCCESS
        );
        // `TestHost` gives up long before a medium of that size could have been filled.
        assert_eq!(host.admin(commands::format_nvm(1, 1, 1)).status(), SUCCESS);
        assert_eq!(host.admin(commands::format_nvm(1, 0, 1)).status(), SUCCESS);
        // Overwrite, three passes.
        let sanitize = SubmissionQueueEntry {
            cdw10: (0b011 | 3 << 4).into(),
            cdw11: 0xDEAD_BEEF.into(),
            ..commands::admin(AdminOpcode::SANITIZE)
        };
        assert_eq!(host.admin(sanitize).status(), SUCCESS);
        host.settle();
        let into = buffer_of(&mut host, 0xEE);
        assert_eq!(
            host.execute(1, access(NvmOpcode::READ, 0, 8, into)).status(),
            SUCCESS
        );
        assert_eq!(host.machine.ram(into, PAGE as usize), [0; PAGE as usize]);
    }
}

#[test]
fn lbas_at_the_end_of_a_large_drive_can_be_unreadable() {
    let mut host = large("optane");
    let last = (16 << 40) / u64::from(LBA) - 8;
    let buffer = buffer_of(&mut host, 7);
    let spoil = access(NvmOpcode::WRITE_UNCORRECTABLE, last + 3, 1, 0);
    let read = access(NvmOpcode::READ, last, 8, buffer);
    assert_eq!(host.execute(1, read).status(), SUCCESS);
    assert_eq!(host.execute(1, spoil).status(), SUCCESS);
    assert_eq!(host.execute(1, read).status(), Status::UNRECOVERED_READ_ERROR);
    assert_eq!(
        host.execute(1, access(NvmOpcode::WRITE, last, 8, buffer))
            .status(),
        SUCCESS
    );
    assert_eq!(host.execute(1, read).status(), SUCCESS);
}

#[test]
fn marks_that_would_take_too_much_memory_are_refused() {
    let mut host = large("optane");
    let stretch = 1 << 15;
    let mut refused = 0;
    for number in 0..20_000 {
        let spoil = access(NvmOpcode::WRITE_UNCORRECTABLE, number * stretch, 1, 0);
        match host.execute(1, spoil).status() {
            SUCCESS => assert_eq!(refused, 0),
            status => {
                assert_eq!(status, Status::INTERNAL_ERROR);
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    let buffer = buffer_of(&mut host, 7);
    assert_eq!(
        host.execute(1, access(NvmOpcode::WRITE, 0, 8, buffer)).status(),
        SUCCESS
    );
    let spoil = access(NvmOpcode::WRITE_UNCORRECTABLE, 19_999 * stretch, 1, 0);
    assert_eq!(
        host.execute(1, spoil).status(),
        SUCCESS,
        "what was written makes room"
    );
}

#[test]
fn keys_need_a_medium() {
    let bar: Vec<AtomicU32> = (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect();
    for drive in DRIVES {
        let namespace = drive.namespace(LBA, 0);
        let config = DeviceConfig {
            identity: Identity::derive("test", namespace.media_len_bytes, LBA, None),
            dispatcher_count: 1,
            worker_count: 1,
            media_bytes: namespace.media_len_bytes,
            namespaces: vec![namespace],
            has_medium: false,
            has_shadow_doorbells: true,
            hash_seed: 1,
        };
        match Device::new(config, &bar) {
            Ok(_) => assert!(!is_key_value(&drive)),
            Err(error) => {
                assert_eq!(error, SetupError::NoMediumForKeys);
                assert!(is_key_value(&drive));
            }
        }
    }
    // Nor can a host create such a namespace later.
    let mut host = host_of(DRIVES[0].namespace(LBA, 0), 1);
    let page = host.pages(1);
    let identify = commands::identify(nvme_spec::IdentifyCns::IO_COMMAND_SET, 0xFFFF, 0, page);
    assert_eq!(host.admin(identify).status(), SUCCESS);
    let command_sets = host.machine.ram(page, 1)[0];
    assert_eq!(command_sets, 0b101, "the NVM and the zoned command set");
}

/// What a device with this namespace allocates.
fn allocated_bytes(namespace: NamespaceConfig) -> u64 {
    let bar: Vec<AtomicU32> = (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect();
    let config = DeviceConfig {
        identity: Identity::derive("test", namespace.media_len_bytes, namespace.lba_bytes, None),
        dispatcher_count: 1,
        worker_count: 2,
        media_bytes: namespace.media_len_bytes,
        namespaces: vec![namespace],
        has_medium: true,
        has_shadow_doorbells: true,
        hash_seed: 1,
    };
    let allocations = allocation_counter::measure(|| {
        let device = Device::new(config, &bar).unwrap();
        std::hint::black_box(&device);
    });
    allocations.bytes_max
}

#[test]
fn tables_are_as_large_as_is_said() {
    for drive in DRIVES {
        for (lba_bytes, mib) in [(512, 200), (512, 1900), (4096, 700)] {
            let with_size = |mib: u64| NamespaceConfig {
                media_len_bytes: mib << 20,
                ..drive.namespace(lba_bytes, 0)
            };
            // Two sizes of a drive differ by their tables alone, but for a few bytes of messages.
            let (small, large) = (with_size(100), with_size(mib));
            let allocated = allocated_bytes(large) - allocated_bytes(small);
            let said = large.table_bytes().unwrap() - small.table_bytes().unwrap();
            let name = drive.name;
            assert!(
                said + 1024 >= allocated,
                "{name} of {mib} MiB: {said} for {allocated}"
            );
            assert!(
                said <= allocated + allocated / 4 + 1024,
                "{name} of {mib} MiB: {said} for {allocated}"
            );
        }
    }
}
