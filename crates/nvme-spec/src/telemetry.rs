//! The telemetry logs (NVMe Base 2.0 §5.16.1.8, §5.16.1.9).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Bytes of the header and of each data block: offsets and lengths are multiples of it.
pub const TELEMETRY_BLOCK_BYTES: usize = 512;

/// Log Specific Parameter, bit 0: capture the Telemetry Host-Initiated Data now.
pub const TELEMETRY_CREATE: u8 = 1;

/// Asynchronous Event Configuration: Telemetry Log Notices.
pub const AEC_TELEMETRY_LOG: u32 = 1 << 10;
/// Notice: the Telemetry Controller-Initiated log has data (Telemetry Log Changed).
pub const NOTICE_TELEMETRY_LOG_CHANGED: u8 = 0x02;

/// What both logs begin with. All areas begin with block 1, the one after the header: a larger one has all of a smaller one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TelemetryHeader {
    /// The log's identifier.
    pub log_page_id: u8,
    #[doc(hidden)]
    pub reserved1: [u8; 4],
    /// IEEE OUI of who can interpret the data; 0 for none.
    pub ieee: [u8; 3],
    /// Last block of data areas 1, 2 and 3; 0 for no data.
    pub last_blocks: [U16; 3],
    #[doc(hidden)]
    pub reserved14: [u8; 2],
    /// Last block of data area 4.
    pub data_area_4_last_block: U32,
    #[doc(hidden)]
    pub reserved20: [u8; 361],
    /// Telemetry Host-Initiated Data Generation Number; reserved in the controller-initiated log.
    pub host_generation: u8,
    /// Telemetry Controller-Initiated Data Available.
    pub controller_data_available: u8,
    /// Telemetry Controller-Initiated Data Generation Number.
    pub controller_generation: u8,
    /// Reason Identifier: vendor specific.
    pub reason: [u8; 128],
}

const _: () = {
    assert!(size_of::<TelemetryHeader>() == TELEMETRY_BLOCK_BYTES);
    assert!(core::mem::offset_of!(TelemetryHeader, last_blocks) == 8);
    assert!(core::mem::offset_of!(TelemetryHeader, host_generation) == 381);
    assert!(core::mem::offset_of!(TelemetryHeader, reason) == 384);
};

impl TelemetryHeader {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}
