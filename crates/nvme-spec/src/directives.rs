//! Directives (NVMe Base 2.0 §5.10, §5.11, §8.7).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;

open_enum! {
    /// DTYPE, Directive Type.
    DirectiveType: u8 {
        /// Which directives there are; in a write, none.
        IDENTIFY = 0x00,
        /// Data that belongs together.
        STREAMS = 0x01,
    }
}

open_enum! {
    /// DOPER of the Identify Directive (§8.7.2).
    IdentifyDirectiveOperation: u8 {
        /// Received: which directives are supported and enabled. Sent: enables or disables one.
        PARAMETERS_OR_ENABLE = 0x01,
    }
}

open_enum! {
    /// DOPER of Directive Receive for the Streams Directive (§8.7.3.1).
    StreamsReceiveOperation: u8 {
        /// Return Parameters.
        RETURN_PARAMETERS = 0x01,
        /// Get Status.
        GET_STATUS = 0x02,
        /// Allocate Resources.
        ALLOCATE_RESOURCES = 0x03,
    }
}

open_enum! {
    /// DOPER of Directive Send for the Streams Directive (§8.7.3.2).
    StreamsSendOperation: u8 {
        /// Release Identifier.
        RELEASE_IDENTIFIER = 0x01,
        /// Release Resources.
        RELEASE_RESOURCES = 0x02,
    }
}

/// Offset of the bits of enabled directives in the Identify Directive's parameters: 32 bytes, as those of supported ones before them.
pub const DIRECTIVES_ENABLED_OFFSET: usize = 32;

/// Bytes of the Identify Directive's parameters.
pub const DIRECTIVES_BYTES: usize = 4096;

/// The Streams Directive's parameters, 32 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StreamsParameters {
    /// MSL: streams that the NVM subsystem can have open.
    pub streams_max: U16,
    /// NSSA: those that no namespace has for itself.
    pub available: U16,
    /// NSSO: those that are open.
    pub open: U16,
    #[doc(hidden)]
    pub reserved6: [u8; 10],
    /// SWS: what writes are best multiples of, LBAs.
    pub write_size_lbas: U32,
    /// SGS: what a stream is best deallocated in multiples of, in units of SWS.
    pub granularity: U16,
    /// NSA: streams that the namespace has for itself.
    pub namespace_allocated: U16,
    /// NSO: those that it has open.
    pub namespace_open: U16,
    #[doc(hidden)]
    pub reserved26: [u8; 6],
}

const _: () = {
    assert!(size_of::<StreamsParameters>() == 32);
    assert!(core::mem::offset_of!(StreamsParameters, write_size_lbas) == 16);
};

impl StreamsParameters {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

dword! {
    /// Dword 11 of Directive Send and Directive Receive (NVMe Base 2.0 §5.10, §5.11).
    Cdw11Directive {
        /// DOPER: Directive Operation; its meaning depends on the type.
        operation, with_operation: u8 = 7:0,
        /// DTYPE: Directive Type.
        kind, with_kind: DirectiveType = 15:8,
        /// DSPEC: Directive Specific; of a stream, its identifier.
        specific, with_specific: u16 = 31:16,
    }
}

dword! {
    /// Dword 12 of Directive Send, Enable Directive (NVMe Base 2.0 §8.7.2).
    Cdw12EnableDirective {
        /// ENDIR: whether to enable the directive.
        is_enabled, with_is_enabled: bool = 0:0,
        /// TDTYPE: the directive to enable or disable.
        kind, with_kind: DirectiveType = 15:8,
    }
}

dword! {
    /// Dword 12 of Directive Receive, Allocate Resources of the Streams Directive (NVMe Base 2.0 §8.7.3.1).
    Cdw12AllocateStreams {
        /// NSR: Namespace Streams Requested.
        requested, with_requested: u16 = 15:0,
    }
}
