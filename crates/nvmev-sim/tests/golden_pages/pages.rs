//! The pages, and how they are read.

use nvme_spec::{
    AdminOpcode, CommandSet, FeatureId, IdentifyCns, KeyValueOpcode, LogPageId, NvmOpcode, Status,
    SubmissionQueueEntry, CHANGED_NAMESPACE_LIST_BYTES, CHANGED_ZONE_LIST_BYTES, EFFECTS_LOG_BYTES,
    FEATURE_EFFECTS_LOG_BYTES, FIRMWARE_SLOT_LOG_BYTES, IDENTIFY_BYTES, NSID_BROADCAST,
    SUPPORTED_LOG_PAGES_BYTES,
};
use nvmev_sim::host::{commands, TestHost};

use super::fields::{self, Field};

/// How a page's bytes are taken apart.
#[derive(Clone, Copy)]
pub enum Fields {
    /// By a table.
    Named(&'static [Field]),
    /// Into double words, whose index has a name; those that are zero are not shown.
    Dwords(fn(usize) -> String),
}

/// Where a page comes from.
#[derive(Clone, Copy)]
enum Source {
    /// Identify: structure, namespace, command set.
    Identify(IdentifyCns, u32, CommandSet),
    /// Get Log Page: log page, namespace, command set, bytes.
    Log(LogPageId, u32, CommandSet, usize),
}

/// A page of some drives: those that answer.
pub struct Page {
    /// Name, and which figure it is.
    pub name: &'static str,
    /// What is in it.
    pub fields: Fields,
    source: Source,
}

impl Page {
    /// The page's bytes, if the drive has it.
    pub fn read(&self, host: &mut TestHost) -> Option<Vec<u8>> {
        let first_page = host.next_page();
        let buffer = host.pages(2);
        let (entry, len) = match self.source {
            Source::Identify(cns, nsid, csi) => {
                (commands::identify(cns, nsid, csi.0, buffer), IDENTIFY_BYTES)
            }
            Source::Log(log, nsid, csi, len) => {
                let entry = commands::get_log_page(log, nsid, 0, len as u32, buffer);
                let cdw14 = (u32::from(csi.0) << 24).into();
                (SubmissionQueueEntry { cdw14, ..entry }, len)
            }
        };
        let status = host.admin(entry).status();
        let bytes = host.machine.ram(buffer, len);
        host.forget_pages(first_page);
        match status {
            Status::SUCCESSFUL_COMPLETION => Some(bytes),
            // A namespace of another command set, or without zones.
            Status::INVALID_IO_COMMAND_SET | Status::INVALID_FIELD_IN_COMMAND => None,
            other => panic!("{} cannot be read: {other:?}", self.name),
        }
    }
}

const fn page(name: &'static str, fields: &'static [Field], source: Source) -> Page {
    Page {
        name,
        fields: Fields::Named(fields),
        source,
    }
}

const fn dwords(name: &'static str, of: fn(usize) -> String, source: Source) -> Page {
    Page {
        name,
        fields: Fields::Dwords(of),
        source,
    }
}

const fn effects(name: &'static str, of: fn(usize) -> String, csi: CommandSet) -> Page {
    let source = Source::Log(
        LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS,
        0,
        csi,
        EFFECTS_LOG_BYTES,
    );
    dwords(name, of, source)
}

fn nvm_command(index: usize) -> String {
    match (index as u8, index < 256) {
        (opcode, true) => format!("{:?}", AdminOpcode(opcode)),
        // The vendor specific commands of a namespace that has pairs besides.
        (opcode @ 0x80.., false) => key_value_command(256 + usize::from(opcode)),
        (opcode, false) => format!("{:?}", NvmOpcode(opcode)),
    }
}

fn key_value_command(index: usize) -> String {
    let is_reservation = |opcode: &NvmOpcode| usize::from(opcode.0) + 256 == index;
    let reservations = [
        NvmOpcode::RESERVATION_REGISTER,
        NvmOpcode::RESERVATION_REPORT,
        NvmOpcode::RESERVATION_ACQUIRE,
        NvmOpcode::RESERVATION_RELEASE,
    ];
    match reservations.iter().find(|opcode| is_reservation(opcode)) {
        _ if index < 256 => format!("{:?}", AdminOpcode(index as u8)),
        Some(opcode) => format!("{opcode:?}"),
        None => format!("{:?}", KeyValueOpcode(index as u8)),
    }
}

fn log_page(index: usize) -> String {
    format!("{:?}", LogPageId(index as u8))
}

fn feature(index: usize) -> String {
    format!("{:?}", FeatureId(index as u8))
}

use CommandSet as Csi;
use IdentifyCns as Cns;
use Source::{Identify, Log};

/// Each of them, for namespace 1.
pub const PAGES: &[Page] = &[
    // First, because what a drive does not have is an error, and it counts errors.
    page(
        "SMART / Health Information (02h; NVMe Base 2.0 figure 207)",
        fields::SMART,
        Log(LogPageId::SMART_HEALTH, NSID_BROADCAST, Csi::NVM, 512),
    ),
    page(
        "Identify Controller (CNS 01h; NVMe Base 2.0 figure 275)",
        fields::CONTROLLER,
        Identify(Cns::CONTROLLER, 0, Csi::NVM),
    ),
    page(
        "Identify Namespace (CNS 00h; NVM CS 1.0 figure 97)",
        fields::NAMESPACE,
        Identify(Cns::NAMESPACE, 1, Csi::NVM),
    ),
    page(
        "Identify Namespace, common to all (CNS 00h; NVM CS 1.0 figure 97)",
        fields::NAMESPACE,
        Identify(Cns::NAMESPACE, NSID_BROADCAST, Csi::NVM),
    ),
    page(
        "Namespace Identification Descriptors (CNS 03h; NVMe Base 2.0 figure 277)",
        fields::DESCRIPTORS,
        Identify(Cns::NAMESPACE_DESCRIPTORS, 1, Csi::NVM),
    ),
    page(
        "I/O Command Set Independent Identify Namespace (CNS 08h; NVMe Base 2.0 figure 280)",
        fields::INDEPENDENT_NAMESPACE,
        Identify(Cns::COMMAND_SET_INDEPENDENT_NAMESPACE, 1, Csi::NVM),
    ),
    page(
        "Identify Namespace, NVM (CNS 05h CSI 00h; NVM CS 1.0 figure 99)",
        fields::NVM_NAMESPACE,
        Identify(Cns::COMMAND_SET_NAMESPACE, 1, Csi::NVM),
    ),
    page(
        "Identify Namespace, zoned (CNS 05h CSI 02h; ZNS 1.1 figure 48)",
        fields::ZONED_NAMESPACE,
        Identify(Cns::COMMAND_SET_NAMESPACE, 1, Csi::ZONED),
    ),
    page(
        "Identify Namespace, key-value (CNS 05h CSI 01h; KV CS 1.0 figure 36)",
        fields::KEY_VALUE_NAMESPACE,
        Identify(Cns::COMMAND_SET_NAMESPACE, 1, Csi::KEY_VALUE),
    ),
    page(
        "Identify Controller, NVM (CNS 06h CSI 00h; NVM CS 1.0 figure 100)",
        fields::NVM_CONTROLLER,
        Identify(Cns::COMMAND_SET_CONTROLLER, 0, Csi::NVM),
    ),
    page(
        "Identify Controller, zoned (CNS 06h CSI 02h; ZNS 1.1 figure 50)",
        fields::ZONED_CONTROLLER,
        Identify(Cns::COMMAND_SET_CONTROLLER, 0, Csi::ZONED),
    ),
    page(
        "Active Namespace List (CNS 02h; NVMe Base 2.0 §5.17.2.2)",
        fields::NAMESPACE_LIST,
        Identify(Cns::ACTIVE_NAMESPACE_LIST, 0, Csi::NVM),
    ),
    page(
        "Controller List (CNS 13h; NVMe Base 2.0 §4.4.1)",
        fields::CONTROLLER_LIST,
        Identify(Cns::CONTROLLER_LIST, 0, Csi::NVM),
    ),
    page(
        "I/O Command Set (CNS 1Ch; NVMe Base 2.0 figure 290)",
        fields::IO_COMMAND_SETS,
        Identify(Cns::IO_COMMAND_SET, 0, Csi::NVM),
    ),
    dwords(
        "Supported Log Pages (00h; NVMe Base 2.0 §5.16.1.1)",
        log_page,
        Log(
            LogPageId::SUPPORTED_LOG_PAGES,
            0,
            Csi::NVM,
            SUPPORTED_LOG_PAGES_BYTES,
        ),
    ),
    page(
        "Firmware Slot Information (03h; NVMe Base 2.0 §5.16.1.4)",
        fields::FIRMWARE_SLOT,
        Log(LogPageId::FIRMWARE_SLOT, 0, Csi::NVM, FIRMWARE_SLOT_LOG_BYTES),
    ),
    page(
        "Changed Namespace List (04h; NVMe Base 2.0 §5.16.1.5)",
        fields::NAMESPACE_LIST,
        Log(
            LogPageId::CHANGED_NAMESPACE_LIST,
            NSID_BROADCAST,
            Csi::NVM,
            CHANGED_NAMESPACE_LIST_BYTES,
        ),
    ),
    effects(
        "Commands Supported and Effects, NVM (05h CSI 00h; NVMe Base 2.0 §5.16.1.6)",
        nvm_command,
        Csi::NVM,
    ),
    effects(
        "Commands Supported and Effects, key-value (05h CSI 01h; NVMe Base 2.0 §5.16.1.6)",
        key_value_command,
        Csi::KEY_VALUE,
    ),
    effects(
        "Commands Supported and Effects, zoned (05h CSI 02h; NVMe Base 2.0 §5.16.1.6)",
        nvm_command,
        Csi::ZONED,
    ),
    dwords(
        "Feature Identifiers Supported and Effects (12h; NVMe Base 2.0 §5.16.1.18)",
        feature,
        Log(
            LogPageId::FEATURE_IDENTIFIERS_EFFECTS,
            0,
            Csi::NVM,
            FEATURE_EFFECTS_LOG_BYTES,
        ),
    ),
    page(
        "Sanitize Status (81h; NVMe Base 2.0 §5.16.1.21)",
        fields::SANITIZE,
        Log(LogPageId::SANITIZE_STATUS, 0, Csi::NVM, 512),
    ),
    page(
        "Changed Zone List (BFh; ZNS 1.1 figure 46)",
        fields::CHANGED_ZONE_LIST,
        Log(LogPageId::CHANGED_ZONE_LIST, 1, Csi::NVM, CHANGED_ZONE_LIST_BYTES),
    ),
];
