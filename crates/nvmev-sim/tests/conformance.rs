//! Every kind of namespace passes the checks of `nvmev_sim::conformance`, and a device that is wrong does not.

use nvme_spec::{CompletionQueueEntry, Status};
use nvmev_sim::conformance::{self, Report};
use nvmev_sim::host::{EngineFaults, TestHost, DRIVES};

/// A line for each check that failed.
fn failures(report: &Report, device: &str) -> Vec<String> {
    assert_eq!(report.findings.len(), conformance::CHECKS.len());
    let failures = report.failures();
    failures
        .map(|(name, reason)| format!("{device}: {name}: {reason}"))
        .collect()
}

#[test]
fn every_kind_of_namespace_conforms() {
    let mut failed = Vec::new();
    for drive in DRIVES {
        for lba_bytes in [512, 4096] {
            for workers in [1, 2] {
                let mut host = drive.host(lba_bytes, workers);
                let report = conformance::run(&mut host, 1);
                let device = format!("{}, {lba_bytes}-byte LBAs, {workers} workers", drive.name);
                failed.extend(failures(&report, &device));
            }
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn every_kind_of_namespace_conforms_with_engines_that_copy_and_fail() {
    let mut failed = Vec::new();
    for drive in DRIVES {
        for workers in [1, 2] {
            let mut host = drive.host(512, workers);
            host.machine.install_engine(1, EngineFaults::SOME);
            let report = conformance::run(&mut host, 1);
            failed.extend(failures(&report, &format!("{}, {workers} workers", drive.name)));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn namespaces_of_all_kinds_beside_each_other_conform() {
    let mut media_offset = 0;
    let namespaces = DRIVES.map(|drive| {
        let namespace = drive.namespace(4096, media_offset);
        media_offset += namespace.media_len_bytes;
        namespace
    });
    let mut host = TestHost::with_namespaces(namespaces.to_vec(), 2);
    let mut failed = Vec::new();
    for (nsid, drive) in (1..).zip(DRIVES) {
        let report = conformance::run(&mut host, nsid);
        failed.extend(failures(&report, drive.name));
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// A way in which a device can be wrong.
enum Fault {
    /// A bit of Identify Controller, by byte and mask, is the other way round.
    Controller(usize, u8),
    /// So is one of a page that begins with these bytes.
    Page(&'static [u8], usize, u8),
    /// Commands that should end with the first status end with the second.
    Status(Status, Status),
    /// The last byte of data that the library wrote, which is odd everywhere, has a wrong bit.
    Data,
    /// An LBA of zeros has a bit that is not.
    Zeros,
}

impl Fault {
    fn apply(&self, written: &mut [u8]) {
        match *self {
            Self::Controller(byte, mask) => Self::Page(&VENDOR_ID_TWICE, byte, mask).apply(written),
            Self::Page(start, byte, mask) => {
                if written.len() >= 512 && written.starts_with(start) {
                    written[byte] ^= mask;
                }
            }
            Self::Status(from, to) => {
                if written.len() != 16 {
                    return;
                }
                let field = u16::from_le_bytes([written[14], written[15]]);
                if Status(field >> 1 & 0x7FF) == from {
                    let field = CompletionQueueEntry::pack_status(to, field & 1 != 0);
                    written[14..].copy_from_slice(&field.to_le_bytes());
                }
            }
            Self::Data => {
                if written.len() >= 512 && written.iter().all(|&byte| byte & 1 == 1) {
                    written[511] ^= 0x80;
                }
            }
            Self::Zeros => {
                let lbas = written.chunks_exact_mut(512);
                for lba in lbas.filter(|lba| lba.iter().all(|&byte| byte == 0)) {
                    lba[511] = 0x80;
                }
            }
        }
    }
}

/// VID and SSVID, with which Identify Controller begins.
const VENDOR_ID_TWICE: [u8; 4] = [0x51, 0x0C, 0x51, 0x0C];
/// NSZE of the `nvm` drive, with which Identify Namespace begins.
const SIZE: &[u8] = &[0x00, 0x20, 0, 0, 0, 0, 0, 0];
/// The first of the namespace identification descriptors: an EUI64.
const DESCRIPTOR: &[u8] = &[1, 8, 0, 0];
/// Temperature and spare, with which the SMART log begins.
const SMART: &[u8] = &[0, 0x36, 0x01, 100, 10];

#[test]
fn a_device_that_is_wrong_does_not_conform() {
    const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
    const INVALID_FIELD: Status = Status::INVALID_FIELD_IN_COMMAND;
    let faults = [
        ("nvm", Fault::Controller(77, 1), "limits::transfers_end_at_mdts"),
        (
            "nvm",
            Fault::Controller(80, 1),
            "registers::capabilities_are_consistent",
        ),
        (
            "nvm",
            Fault::Controller(93, 2),
            "capabilities::events_can_be_enabled_as_oaes_says",
        ),
        (
            "nvm",
            Fault::Controller(111, 3),
            "identify::the_controller_structure_is_sound",
        ),
        (
            "nvm",
            Fault::Controller(256, 1),
            "capabilities::admin_commands_are_there_as_oacs_says",
        ),
        (
            "nvm",
            Fault::Controller(256, 1 << 5),
            "capabilities::admin_commands_are_there_as_oacs_says",
        ),
        (
            "nvm",
            Fault::Controller(259, 1),
            "queues::event_requests_end_at_their_limit",
        ),
        (
            "nvm",
            Fault::Controller(261, 1),
            "capabilities::log_pages_are_there_as_lpa_says",
        ),
        (
            "nvm",
            Fault::Controller(261, 1 << 3),
            "capabilities::log_pages_are_there_as_lpa_says",
        ),
        ("nvm", Fault::Controller(282, 0x60), "identify::capacities_add_up"),
        (
            "nvm",
            Fault::Controller(328, 1),
            "erasures::sanitize_actions_work_as_sanicap_says",
        ),
        (
            "nvm",
            Fault::Controller(516, 0x40),
            "identify::lists_name_what_structures_describe",
        ),
        (
            "nvm",
            Fault::Controller(520, 1),
            "capabilities::nvm_commands_are_there_as_oncs_says",
        ),
        (
            "nvm",
            Fault::Controller(522, 1),
            "capabilities::fused_operations_work_as_fuses_says",
        ),
        (
            "nvm",
            Fault::Controller(524, 1 << 2),
            "erasures::formats_work_as_fna_says",
        ),
        (
            "nvm",
            Fault::Controller(525, 1 << 1),
            "lbas::forced_unit_access_and_flush_work",
        ),
        (
            "nvm",
            Fault::Controller(534, 1 << 1),
            "lbas::copies_are_what_they_were_made_of",
        ),
        (
            "nvm",
            Fault::Controller(538, 1),
            "capabilities::sgls_work_as_sgls_says",
        ),
        (
            "nvm",
            Fault::Status(Status::LBA_OUT_OF_RANGE, SUCCESS),
            "lbas::lbas_beyond_the_namespace_are_refused",
        ),
        (
            "nvm",
            Fault::Status(Status::INVALID_LOG_PAGE, SUCCESS),
            "logs::log_pages_are_those_that_are_supported",
        ),
        (
            "nvm",
            Fault::Status(Status::COMPARE_FAILURE, SUCCESS),
            "lbas::compare_tells_what_is_different",
        ),
        (
            "nvm",
            Fault::Status(Status::INVALID_QUEUE_SIZE, INVALID_FIELD),
            "queues::wrong_queues_are_refused",
        ),
        (
            "nvm",
            Fault::Status(Status::INVALID_COMMAND_OPCODE, INVALID_FIELD),
            "effects::io_commands_are_those_of_the_effects_log",
        ),
        (
            "nvm",
            Fault::Status(Status::FEATURE_IDENTIFIER_NOT_SAVEABLE, SUCCESS),
            "features::capabilities_are_what_can_be_done",
        ),
        (
            "nvm",
            Fault::Status(Status::UNRECOVERED_READ_ERROR, SUCCESS),
            "lbas::uncorrectable_lbas_cannot_be_read",
        ),
        ("nvm", Fault::Data, "lbas::what_was_written_is_read"),
        ("nvm", Fault::Page(SIZE, 17, 0x40), "identify::capacities_add_up"),
        (
            "nvm",
            Fault::Page(SIZE, 134, 0x0F),
            "identify::lba_formats_are_sound",
        ),
        (
            "nvm",
            Fault::Page(SIZE, 31, 1),
            "identify::structures_of_command_sets_fit_the_namespace",
        ),
        (
            "nvm",
            Fault::Page(SIZE, 33, 0b011),
            "lbas::deallocated_lbas_read_as_dlfeat_says",
        ),
        (
            "nvm",
            Fault::Page(DESCRIPTOR, 4, 1),
            "identify::descriptors_and_structures_name_the_same_namespace",
        ),
        (
            "nvm",
            Fault::Page(SMART, 64, 2),
            "logs::the_smart_log_counts_commands",
        ),
        ("nvm", Fault::Zeros, "lbas::write_zeroes_writes_zeros"),
        ("nvm", Fault::Data, "lbas::copies_are_what_they_were_made_of"),
        ("nvm", Fault::Data, "resets::a_subsystem_reset_is_a_power_cycle"),
        (
            "zoned",
            Fault::Zeros,
            "zones::zones_change_state_as_they_are_told",
        ),
        (
            "zoned",
            Fault::Status(Status::ZONE_INVALID_WRITE, SUCCESS),
            "zones::writes_are_taken_at_the_write_pointer_only",
        ),
        (
            "zoned",
            Fault::Status(Status::TOO_MANY_OPEN_ZONES, SUCCESS),
            "zones::resources_are_limited_as_identify_says",
        ),
        (
            "key-value",
            Fault::Status(Status::KEY_DOES_NOT_EXIST, SUCCESS),
            "pairs::keys_exist_until_they_are_deleted",
        ),
        (
            "key-value-with-lbas",
            Fault::Status(Status::VENDOR_KEY_EXISTS, SUCCESS),
            "pairs::store_options_are_obeyed",
        ),
    ];
    for (kind, fault, check) in faults {
        let drive = DRIVES.iter().find(|drive| drive.name == kind).unwrap();
        let mut host = drive.host(512, 1);
        host.machine.tamper(move |written| fault.apply(written));
        let report = conformance::run_some(&mut host, 1, |name| name == check);
        assert_eq!(report.failures().count(), 1, "{kind}: not noticed:\n{report}");
    }
}
