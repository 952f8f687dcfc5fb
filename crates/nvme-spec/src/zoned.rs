//! The Zoned Namespace command set (NVMe ZNS 1.1).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;
use crate::IDENTIFY_BYTES;

open_enum! {
    /// Zone Send Action (ZNS 1.1 figure 39).
    ZoneSendAction: u8 {
        /// Close Zone.
        CLOSE = 0x01,
        /// Finish Zone.
        FINISH = 0x02,
        /// Open Zone.
        OPEN = 0x03,
        /// Reset Zone.
        RESET = 0x04,
        /// Offline Zone.
        OFFLINE = 0x05,
        /// Set Zone Descriptor Extension.
        SET_ZONE_DESCRIPTOR_EXTENSION = 0x10,
        /// Flush Explicit ZRWA Zone.
        FLUSH_EXPLICIT_ZRWA = 0x11,
    }
}

open_enum! {
    /// Zone Receive Action (ZNS 1.1 figure 34).
    ZoneReceiveAction: u8 {
        /// Report Zones.
        REPORT_ZONES = 0x00,
        /// Extended Report Zones.
        EXTENDED_REPORT_ZONES = 0x01,
    }
}

/// State of a zone, as the upper half of a zone descriptor's byte 1 has it (ZNS 1.1 figure 37). Only devices write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ZoneState {
    /// ZSE.
    Empty = 0x1,
    /// ZSIO.
    ImplicitlyOpened = 0x2,
    /// ZSEO.
    ExplicitlyOpened = 0x3,
    /// ZSC.
    Closed = 0x4,
    /// ZSRO.
    ReadOnly = 0xD,
    /// ZSF.
    Full = 0xE,
    /// ZSO.
    Offline = 0xF,
}

impl ZoneState {
    /// Whether it takes an open resource.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::ImplicitlyOpened | Self::ExplicitlyOpened)
    }

    /// Whether it takes an active resource.
    pub const fn is_active(self) -> bool {
        self.is_open() || matches!(self, Self::Closed)
    }
}

/// Zone attributes (ZNS 1.1 figure 37).
pub mod zone_attributes {
    /// FZR: Finish Zone Recommended.
    pub const FINISH_RECOMMENDED: u8 = 1 << 1;
    /// RZR: Reset Zone Recommended.
    pub const RESET_RECOMMENDED: u8 = 1 << 2;
    /// ZRWAV: the zone has a random write area.
    pub const ZRWA_VALID: u8 = 1 << 3;
    /// ZDEV: the zone's descriptor extension is valid.
    pub const DESCRIPTOR_EXTENSION_VALID: u8 = 1 << 7;
}

/// Zone Type: Sequential Write Required (ZNS 1.1 figure 37).
pub const ZONE_TYPE_SEQUENTIAL_WRITE_REQUIRED: u8 = 2;

/// Zone descriptor, 64 bytes (ZNS 1.1 figure 37).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ZoneDescriptor {
    /// ZT: the type.
    pub zone_type: u8,
    /// ZS: the state, in bits 7:4.
    pub zone_state: u8,
    /// ZA: see [`zone_attributes`].
    pub attributes: u8,
    /// ZAI: which time limits the recommendations have.
    pub attributes_information: u8,
    #[doc(hidden)]
    pub reserved4: [u8; 4],
    /// ZCAP: Zone Capacity, LBAs.
    pub capacity_lbas: U64,
    /// ZSLBA: the first LBA.
    pub start_lba: U64,
    /// WP: the write pointer, all ones where it has no meaning.
    pub write_pointer: U64,
    #[doc(hidden)]
    pub reserved32: [u8; 32],
}
const _: () = assert!(size_of::<ZoneDescriptor>() == 64);

/// The head of a report of zones, 64 bytes (ZNS 1.1 figure 35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ZoneReportHeader {
    /// Number of Zones.
    pub zones: U64,
    #[doc(hidden)]
    pub reserved8: [u8; 56],
}
const _: () = assert!(size_of::<ZoneReportHeader>() == 64);

/// LBA Format Extension (ZNS 1.1 figure 49).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaFormatExtension {
    /// ZSZE: Zone Size, LBAs.
    pub zone_size_lbas: U64,
    /// ZDES: size of a zone descriptor extension, units of 64 bytes.
    pub descriptor_extension_64b: u8,
    #[doc(hidden)]
    pub reserved9: [u8; 7],
}
const _: () = assert!(size_of::<LbaFormatExtension>() == 16);

/// Identify Namespace of the Zoned Namespace command set (ZNS 1.1 figure 48).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyZonedNamespace {
    /// ZOC: Zone Operation Characteristics.
    pub zoc: U16,
    /// OZCS: Optional Zoned Command Support.
    pub ozcs: U16,
    /// MAR: Maximum Active Resources, 0's based; all ones: no limit.
    pub mar_z: U32,
    /// MOR: Maximum Open Resources, 0's based; all ones: no limit.
    pub mor_z: U32,
    /// RRL: Reset Recommended Limit, seconds.
    pub rrl_s: U32,
    /// FRL: Finish Recommended Limit, seconds.
    pub frl_s: U32,
    #[doc(hidden)]
    pub limits1_to_3: [u8; 24],
    /// NUMZRWA: random write areas, 0's based (this and the next three: TP 4076).
    pub numzrwa_z: U32,
    /// ZRWAFG: flush granularity, LBAs.
    pub zrwafg_lbas: U16,
    /// ZRWAS: size of an area, LBAs.
    pub zrwas_lbas: U16,
    /// ZRWACAP: bit 0, explicit flushes are supported.
    pub zrwacap: u8,
    #[doc(hidden)]
    pub reserved53: [u8; 2763],
    /// LBAFE: an extension for each LBA format.
    pub lbafe: [LbaFormatExtension; 64],
    #[doc(hidden)]
    pub vendor_specific: [u8; 256],
}
const _: () = {
    assert!(size_of::<IdentifyZonedNamespace>() == IDENTIFY_BYTES);
    assert!(core::mem::offset_of!(IdentifyZonedNamespace, numzrwa_z) == 44);
    assert!(core::mem::offset_of!(IdentifyZonedNamespace, zrwacap) == 52);
    assert!(core::mem::offset_of!(IdentifyZonedNamespace, lbafe) == 2816);
};

/// ZRWACAP bit 0, EXPFLUSHSUP: random write areas can be flushed explicitly.
pub const ZRWACAP_EXPLICIT_FLUSH: u8 = 1;

/// OAES bit 27, and the bit of the Asynchronous Event Configuration feature: Zone Descriptor Changed notices (ZNS 1.1 §4.1.2).
pub const OAES_ZONE_DESCRIPTOR_CHANGED: u32 = 1 << 27;

/// Information of the notice Zone Descriptor Changed (ZNS 1.1 figure 42).
pub const NOTICE_ZONE_DESCRIPTOR_CHANGED: u8 = 0xEF;

/// Bits of OZCS.
pub mod ozcs {
    /// RAZB: reads may go across zone boundaries.
    pub const READ_ACROSS_ZONE_BOUNDARIES: u16 = 1 << 0;
    /// ZRWASUP: random write areas are supported.
    pub const ZRWA_SUPPORTED: u16 = 1 << 1;
}

/// Identify Controller of the Zoned Namespace command set (ZNS 1.1 figure 50).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyZonedController {
    /// ZASL: Zone Append Size Limit, log2 of memory pages; 0: as MDTS.
    pub zasl: u8,
    #[doc(hidden)]
    pub reserved1: [u8; 4095],
}
const _: () = assert!(size_of::<IdentifyZonedController>() == IDENTIFY_BYTES);

/// Bytes of the Changed Zone List log (ZNS 1.1 figure 46).
pub const CHANGED_ZONE_LIST_BYTES: usize = 4096;

/// Most zones in the Changed Zone List log.
pub const CHANGED_ZONES_MAX: usize = 511;

dword! {
    /// Dword 13 of Zone Management Receive (ZNS 1.1 §3.4.2).
    Cdw13ZoneReceive {
        /// ZRA: Zone Receive Action.
        action, with_action: ZoneReceiveAction = 7:0,
        /// ZRASF: Zone Receive Action Specific; of a report, which zones.
        option, with_option: u8 = 15:8,
        /// Partial Report.
        is_partial, with_is_partial: bool = 16:16,
    }
}

dword! {
    /// Dword 13 of Zone Management Send (ZNS 1.1 §3.4.3, and TP 4076 for bit 9).
    Cdw13ZoneSend {
        /// ZSA: Zone Send Action.
        action, with_action: ZoneSendAction = 7:0,
        /// Select All.
        selects_all, with_selects_all: bool = 8:8,
        /// ZRWAA: Allocate ZRWA.
        allocates_zrwa, with_allocates_zrwa: bool = 9:9,
    }
}
