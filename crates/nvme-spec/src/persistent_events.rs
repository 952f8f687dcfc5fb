//! The Persistent Event log (NVMe Base 2.0 §5.16.1.14).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::open_enum::open_enum;
use crate::{SmartLog, TelemetryHeader, FIRMWARE_REVISION_BYTES};

open_enum! {
    /// Action of the Log Specific Parameter field.
    PersistentEventAction: u8 {
        /// Read what was established.
        READ = 0b00,
        /// Establish a reporting context, and read.
        ESTABLISH_AND_READ = 0b01,
        /// Release the reporting context; no data.
        RELEASE = 0b10,
        /// Establish a reporting context if there is none, and read the header.
        ESTABLISH_AND_READ_HEADER = 0b11,
    }
}

/// LID specific parameter of Supported Log Pages: [`PersistentEventAction::ESTABLISH_AND_READ_HEADER`] is supported.
pub const PERSISTENT_EVENT_HEADER_ACTION: u32 = 1 << 16;

/// The log's header. The events follow, newest first.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PersistentEventLogHeader {
    /// The log's identifier.
    pub log_page_id: u8,
    #[doc(hidden)]
    pub reserved1: [u8; 3],
    /// Total Number of Events.
    pub event_count: U32,
    /// Total Log Length, with this header.
    pub log_bytes: U64,
    /// Log Revision.
    pub revision: u8,
    #[doc(hidden)]
    pub reserved17: u8,
    /// Log Header Length: bytes of this header after this field.
    pub header_bytes_after: U16,
    /// Timestamp of when the context was established.
    pub timestamp: [u8; 8],
    /// Power On Hours.
    pub power_on_hours: [u8; 16],
    /// Power Cycle Count.
    pub power_cycles: U64,
    /// PCI Vendor ID.
    pub vid: U16,
    /// PCI Subsystem Vendor ID.
    pub ssvid: U16,
    /// Serial Number.
    pub serial_number: [u8; 20],
    /// Model Number.
    pub model_number: [u8; 40],
    /// NVM Subsystem NVMe Qualified Name.
    pub subnqn: [u8; 256],
    /// Generation Number: counts reporting contexts.
    pub generation: U16,
    /// Reporting Context Information: whether there was a context before the command, and of which port.
    pub reporting_context: U32,
    #[doc(hidden)]
    pub reserved378: [u8; 102],
    /// Supported Events Bitmap, by event type.
    pub supported_events: [u8; 32],
}

const _: () = {
    assert!(size_of::<PersistentEventLogHeader>() == 512);
    assert!(core::mem::offset_of!(PersistentEventLogHeader, timestamp) == 20);
    assert!(core::mem::offset_of!(PersistentEventLogHeader, subnqn) == 116);
    assert!(core::mem::offset_of!(PersistentEventLogHeader, reporting_context) == 374);
    assert!(core::mem::offset_of!(PersistentEventLogHeader, supported_events) == 480);
};

impl PersistentEventLogHeader {
    /// Value of `header_bytes_after`.
    pub const HEADER_BYTES_AFTER: u16 = 492;
    /// Value of `reporting_context` if there was a context, which a host had established through port 0 of the NVM subsystem.
    pub const CONTEXT_OF_PORT_0: u32 = 1 << 18 | 0b01 << 16;

    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// What each event begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PersistentEventHeader {
    /// Event Type.
    pub event_type: u8,
    /// Event Type Revision.
    pub revision: u8,
    /// Event Header Length: bytes of this header after this field.
    pub header_bytes_after: u8,
    /// Port Identifier Type (1:0): NVM subsystem port (01b), none (11b).
    pub port_identifier_type: u8,
    /// Controller Identifier.
    pub cntlid: U16,
    /// Event Timestamp.
    pub timestamp: [u8; 8],
    /// Port Identifier.
    pub port: U16,
    #[doc(hidden)]
    pub reserved16: [u8; 4],
    /// Vendor Specific Information Length.
    pub vendor_specific_bytes: U16,
    /// Event Length: what follows this header.
    pub event_bytes: U16,
}

const _: () = assert!(size_of::<PersistentEventHeader>() == 24);

impl PersistentEventHeader {
    /// Value of `header_bytes_after`.
    pub const HEADER_BYTES_AFTER: u8 = 21;
    /// Of an NVM subsystem port.
    pub const OF_PORT: u8 = 0b01;
    /// Not associated with any port.
    pub const OF_NO_PORT: u8 = 0b11;

    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// Data of an event.
pub trait PersistentEvent: IntoBytes + Immutable {
    /// Event Type.
    const TYPE: u8;
    /// Event Type Revision.
    const REVISION: u8 = 1;
    /// Whether a command of the host is behind it, which came through a port.
    const IS_OF_COMMAND: bool;
}

/// SMART / Health Log Snapshot.
impl PersistentEvent for SmartLog {
    const TYPE: u8 = 0x01;
    const IS_OF_COMMAND: bool = false;
}

/// Telemetry Log Created: the log's header.
impl PersistentEvent for TelemetryHeader {
    const TYPE: u8 = 0x0C;
    const IS_OF_COMMAND: bool = false;
}

/// Declares the data of an event.
macro_rules! event {
    ($(#[$outer:meta])* $name:ident: type $type:literal, $bytes:literal bytes, of_command $is_of_command:literal {
        $($(#[$inner:meta])* $field:ident: $field_type:ty,)+
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name {
            $($(#[$inner])* pub $field: $field_type,)+
        }

        const _: () = assert!(size_of::<$name>() == $bytes);

        impl $name {
            /// All fields zero.
            pub fn zeroed() -> Self {
                Self::new_zeroed()
            }
        }

        impl PersistentEvent for $name {
            const TYPE: u8 = $type;
            const IS_OF_COMMAND: bool = $is_of_command;
        }
    };
}

event! {
    /// Firmware Commit.
    FirmwareCommitEvent: type 0x02, 22 bytes, of_command true {
        /// Revision that ran.
        old_revision: [u8; FIRMWARE_REVISION_BYTES],
        /// Revision that was to become active.
        new_revision: [u8; FIRMWARE_REVISION_BYTES],
        /// Commit Action.
        action: u8,
        /// Firmware Slot.
        slot: u8,
        /// Status Code Type of the completion.
        status_code_type: u8,
        /// Status Code of the completion.
        status_code: u8,
        /// Vendor Assigned Firmware Commit Result Code.
        vendor_result: U16,
    }
}

event! {
    /// Timestamp Change.
    TimestampChangeEvent: type 0x03, 16 bytes, of_command true {
        /// The timestamp before.
        previous: [u8; 8],
        /// Milliseconds since the last controller level reset.
        milliseconds_since_reset: U64,
    }
}

event! {
    /// Power-on or Reset, of one controller.
    PowerOnOrResetEvent: type 0x04, 44 bytes, of_command false {
        /// Revision that runs.
        firmware_revision: [u8; FIRMWARE_REVISION_BYTES],
        /// Controller Identifier.
        cntlid: U16,
        /// Firmware Activation: 1 if firmware was activated.
        firmware_activation: u8,
        /// Operation in Progress: 1 if a Format NVM was.
        operation_in_progress: u8,
        #[doc(hidden)]
        reserved12: [u8; 12],
        /// Controller Power Cycle.
        power_cycles: U32,
        /// Power on milliseconds.
        power_on_milliseconds: U64,
        /// Controller Timestamp.
        timestamp: [u8; 8],
    }
}

event! {
    /// NVM Subsystem Hardware Error, without additional information.
    HardwareErrorEvent: type 0x05, 4 bytes, of_command false {
        /// NVM Subsystem Hardware Error Event Code.
        code: U16,
        #[doc(hidden)]
        reserved2: [u8; 2],
    }
}

impl HardwareErrorEvent {
    /// Controller Fatal Status.
    pub const CONTROLLER_FATAL_STATUS: u16 = 0x09;
}

event! {
    /// Change Namespace.
    ChangeNamespaceEvent: type 0x06, 48 bytes, of_command true {
        /// Dword 10 of the Namespace Management command.
        cdw10: U32,
        #[doc(hidden)]
        reserved4: U32,
        /// NSZE.
        nsze_lbas: U64,
        #[doc(hidden)]
        reserved16: U64,
        /// NCAP.
        ncap_lbas: U64,
        /// FLBAS.
        flbas: u8,
        /// DPS.
        dps: u8,
        /// NMIC.
        nmic: u8,
        #[doc(hidden)]
        reserved35: u8,
        /// ANA Group Identifier.
        anagrpid: U32,
        /// NVM Set Identifier.
        nvmsetid: U16,
        #[doc(hidden)]
        reserved42: U16,
        /// The namespace, or all.
        nsid: U32,
    }
}

event! {
    /// Format NVM Start.
    FormatStartEvent: type 0x07, 12 bytes, of_command true {
        /// The namespace, or all.
        nsid: U32,
        /// Format NVM Attributes, of Identify Controller.
        fna: u8,
        #[doc(hidden)]
        reserved5: [u8; 3],
        /// Dword 10 of the command.
        cdw10: U32,
    }
}

event! {
    /// Format NVM Completion.
    FormatCompletionEvent: type 0x08, 12 bytes, of_command true {
        /// The namespace, or all.
        nsid: U32,
        /// Smallest Format Progress Indicator.
        smallest_progress: u8,
        /// Format NVM Status.
        format_status: u8,
        /// Completion Information, vendor specific.
        completion_information: U16,
        /// Status Field of the completion, the phase in bit 0.
        status_field: U16,
        #[doc(hidden)]
        reserved10: U16,
    }
}

event! {
    /// Sanitize Start.
    SanitizeStartEvent: type 0x09, 12 bytes, of_command true {
        /// SANICAP, of Identify Controller.
        sanicap: U32,
        /// Dword 10 of the command.
        cdw10: U32,
        /// Dword 11 of the command.
        cdw11: U32,
    }
}

event! {
    /// Sanitize Completion.
    SanitizeCompletionEvent: type 0x0A, 8 bytes, of_command false {
        /// Sanitize Progress, as in the Sanitize Status log.
        progress: U16,
        /// Sanitize Status, as in the Sanitize Status log.
        status: U16,
        /// Completion Information, vendor specific.
        completion_information: U16,
        #[doc(hidden)]
        reserved6: U16,
    }
}

event! {
    /// Set Feature, of a feature that has no more than dword 11.
    SetFeatureEvent: type 0x0B, 12 bytes, of_command true {
        /// Set Feature Event Layout.
        layout: U32,
        /// Dword 10 of the command.
        cdw10: U32,
        /// Dword 11 of the command.
        cdw11: U32,
    }
}

impl SetFeatureEvent {
    /// Layout: two dwords, no data.
    pub const TWO_DWORDS: u32 = 2;
}
