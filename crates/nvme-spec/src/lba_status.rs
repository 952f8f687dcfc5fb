//! Get LBA Status and the LBA Status Information log (NVM CS 1.0 §4.2.1, §4.1.4.5).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;

open_enum! {
    /// Action Type of Get LBA Status.
    LbaStatusAction: u8 {
        /// Look for LBAs that may be unrecoverable, and return them with those that are known.
        SCAN = 0x10,
        /// Return those that are known.
        TRACKED = 0x11,
    }
}

open_enum! {
    /// Completion Condition of Get LBA Status.
    LbaStatusCondition: u8 {
        /// There are more descriptors than were asked for.
        INCOMPLETE = 1,
        /// All of the range was looked at.
        COMPLETE = 2,
    }
}

/// What the answer begins with; [`LbaStatusDescriptor`]s follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaStatusHeader {
    /// Number of LBA Status Descriptors.
    pub descriptors: U32,
    /// [`LbaStatusCondition`].
    pub condition: u8,
    #[doc(hidden)]
    pub reserved5: [u8; 3],
}

/// A run of LBAs that may be unrecoverable.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaStatusDescriptor {
    /// Descriptor Starting LBA.
    pub slba: U64,
    /// Number of Logical Blocks.
    pub lbas: U32,
    #[doc(hidden)]
    pub reserved12: [u8; 4],
}

/// What the log begins with; a [`LbaStatusElement`] for each namespace follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaStatusLogHeader {
    /// LBA Status Log Page Length, bytes.
    pub log_bytes: U32,
    /// Number of LBA Status Log Namespace Elements.
    pub elements: U32,
    /// Estimate of Unrecoverable Logical Blocks.
    pub unrecoverable_lbas: U32,
    #[doc(hidden)]
    pub reserved12: [u8; 2],
    /// LBA Status Generation Counter.
    pub generation: U16,
}

/// A namespace with LBAs that may be unrecoverable.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaStatusElement {
    /// The namespace.
    pub nsid: U32,
    /// Number of LBA Range Descriptors: all ones for none, and all of the namespace.
    pub ranges: U32,
    /// Recommended Action Type: [`LbaStatusAction`].
    pub recommended_action: u8,
    #[doc(hidden)]
    pub reserved9: [u8; 7],
}

const _: () = {
    assert!(size_of::<LbaStatusHeader>() == 8 && size_of::<LbaStatusDescriptor>() == 16);
    assert!(size_of::<LbaStatusLogHeader>() == 16 && size_of::<LbaStatusElement>() == 16);
};

impl LbaStatusElement {
    /// [`LbaStatusElement::ranges`] for all of the namespace.
    pub const WHOLE_NAMESPACE: u32 = 0xFFFF_FFFF;
}

/// OAES and Asynchronous Event Configuration: LBA Status Information notices.
pub const OAES_LBA_STATUS: u32 = 1 << 13;
/// Notice: LBA Status Information Alert.
pub const NOTICE_LBA_STATUS_ALERT: u8 = 0x05;

dword! {
    /// Dword 13 of Get LBA Status (NVM CS 1.0 §4.2.1).
    Cdw13GetLbaStatus {
        /// RL: Range Length, LBAs; 0 for all up to the end of the namespace.
        lbas, with_lbas: u16 = 15:0,
        /// ATYPE: Action Type.
        action, with_action: LbaStatusAction = 31:24,
    }
}
