//! Log pages.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::opcodes::{CommandSet, LogPageId};

/// An entry of the Error Information log, 64 bytes (NVMe Base 2.0 figure 204).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ErrorLogEntry {
    /// Number of this error, counted over the life of the controller; 0 marks an unused entry.
    pub error_count: U64,
    /// Submission queue of the command.
    pub sq_id: U16,
    /// Identifier of the command.
    pub cid: U16,
    /// Status field of the completion, phase in bit 0.
    pub status_field: U16,
    /// Byte and bit in the command that was wrong; all ones if unknown.
    pub parameter_error_location: U16,
    /// First LBA that had the error.
    pub lba: U64,
    /// Namespace.
    pub nsid: U32,
    /// Vendor specific information available.
    pub vendor_specific: u8,
    /// Transport type; 0 is PCIe here.
    pub transport_type: u8,
    #[doc(hidden)]
    pub rest: [u8; 34],
}

const _: () = assert!(size_of::<ErrorLogEntry>() == 64);

impl ErrorLogEntry {
    /// An unused entry.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// SMART / Health Information log, 512 bytes (NVMe Base 2.0 figure 207). Counters are 128 bits, little-endian.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SmartLog {
    /// Critical Warning.
    pub critical_warning: u8,
    /// Composite Temperature, kelvin.
    pub composite_temperature_kelvin: U16,
    /// Available Spare, percent.
    pub available_spare_percent: u8,
    /// Available Spare Threshold, percent.
    pub available_spare_threshold_percent: u8,
    /// Percentage Used.
    pub percentage_used: u8,
    #[doc(hidden)]
    pub reserved6: [u8; 26],
    /// Thousands of 512-byte units read.
    pub data_units_read: [u8; 16],
    /// Thousands of 512-byte units written.
    pub data_units_written: [u8; 16],
    /// Host Read Commands.
    pub host_read_commands: [u8; 16],
    /// Host Write Commands.
    pub host_write_commands: [u8; 16],
    /// Minutes that the controller was busy with I/O.
    pub controller_busy_minutes: [u8; 16],
    /// Power Cycles.
    pub power_cycles: [u8; 16],
    /// Power On Hours.
    pub power_on_hours: [u8; 16],
    /// Unsafe Shutdowns.
    pub unsafe_shutdowns: [u8; 16],
    /// Media and Data Integrity Errors.
    pub media_errors: [u8; 16],
    /// Number of Error Information Log Entries.
    pub error_log_entries: [u8; 16],
    #[doc(hidden)]
    pub rest: [u8; 320],
}

const _: () = {
    assert!(size_of::<SmartLog>() == 512);
    assert!(core::mem::offset_of!(SmartLog, data_units_read) == 32);
    assert!(core::mem::offset_of!(SmartLog, error_log_entries) == 176);
};

impl SmartLog {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// Critical warning: the temperature is beyond a threshold.
    pub const WARNING_TEMPERATURE: u8 = 1 << 1;
}

/// Bits of an entry of Commands Supported and Effects, and of Feature Identifiers Supported and Effects (NVMe Base 2.0 §5.16.1.6, §5.16.1.18).
pub mod effects {
    /// CSUPP, FSUPP: the command or feature is supported.
    pub const SUPPORTED: u32 = 1 << 0;
    /// LBCC: the command may change logical block content.
    pub const CHANGES_BLOCK_CONTENT: u32 = 1 << 1;
    /// NCC: the command may change what Identify says of a namespace.
    pub const CHANGES_NAMESPACE: u32 = 1 << 2;
    /// NIC: the command may change which namespaces there are.
    pub const CHANGES_INVENTORY: u32 = 1 << 3;
    /// CSE: no other command for the same namespace meanwhile.
    pub const ALONE_IN_NAMESPACE: u32 = 0b001 << 16;
    /// CSE: no other command for any namespace meanwhile.
    pub const ALONE: u32 = 0b010 << 16;
    /// Scope: a namespace.
    pub const SCOPE_NAMESPACE: u32 = 1 << 20;
    /// Scope: the controller.
    pub const SCOPE_CONTROLLER: u32 = 1 << 21;
    /// Scope: the NVM subsystem.
    pub const SCOPE_SUBSYSTEM: u32 = 1 << 25;
}

/// Bytes of the Firmware Slot Information log.
pub const FIRMWARE_SLOT_LOG_BYTES: usize = 512;
/// Bytes of the Commands Supported and Effects log.
pub const EFFECTS_LOG_BYTES: usize = 4096;
/// Bytes of the Changed Namespace List log: 1024 identifiers.
pub const CHANGED_NAMESPACE_LIST_BYTES: usize = 4096;
/// Bytes of the Feature Identifiers Supported and Effects log.
pub const FEATURE_EFFECTS_LOG_BYTES: usize = 1024;
/// Bytes of the NVMe-MI Commands Supported and Effects log.
pub const MI_EFFECTS_LOG_BYTES: usize = 4096;
/// Bytes of the Supported Log Pages log.
pub const SUPPORTED_LOG_PAGES_BYTES: usize = 1024;

dword! {
    /// Dword 10 of Get Log Page (NVMe Base 2.0 §5.16).
    Cdw10GetLogPage {
        /// LID: Log Page Identifier.
        log, with_log: LogPageId = 7:0,
        /// LSP: Log Specific Parameter.
        specific, with_specific: u8 = 14:8,
        /// RAE: Retain Asynchronous Event.
        retains_event, with_retains_event: bool = 15:15,
        /// NUMDL: bits 15:0 of the number of dwords, 0's based.
        dwords_z_lower, with_dwords_z_lower: u16 = 31:16,
    }
}

impl Cdw10GetLogPage {
    /// Number of dwords to return, 0's based: NUMDL of this dword, and NUMDU of dword 11.
    #[inline]
    pub const fn dwords_z(self, cdw11: Cdw11GetLogPage) -> u32 {
        self.dwords_z_lower() as u32 | (cdw11.dwords_z_upper() as u32) << 16
    }
}

dword! {
    /// Dword 11 of Get Log Page (NVMe Base 2.0 §5.16).
    Cdw11GetLogPage {
        /// NUMDU: bits 31:16 of the number of dwords, 0's based.
        dwords_z_upper, with_dwords_z_upper: u16 = 15:0,
    }
}

dword! {
    /// Dword 14 of Get Log Page (NVMe Base 2.0 §5.16).
    Cdw14GetLogPage {
        /// UUID Index; 0 for none.
        uuid_index, with_uuid_index: u8 = 6:0,
        /// OT: the offset counts entries of the log, not bytes.
        offset_is_index, with_offset_is_index: bool = 23:23,
        /// CSI: Command Set Identifier.
        command_set, with_command_set: CommandSet = 31:24,
    }
}

/// Dwords 10 and 11 of a Get Log Page command for a number of dwords, 0's based; all other fields are 0.
pub const fn number_of_dwords_z(dwords_z: u32) -> (Cdw10GetLogPage, Cdw11GetLogPage) {
    (
        Cdw10GetLogPage(0).with_dwords_z_lower(dwords_z as u16),
        Cdw11GetLogPage(0).with_dwords_z_upper((dwords_z >> 16) as u16),
    )
}
