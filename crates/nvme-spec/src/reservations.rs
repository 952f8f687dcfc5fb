//! Reservations (NVMe Base 2.0 §7.2 to §7.5, §8.19): fields of the commands, the report, and the notifications.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;

open_enum! {
    /// RTYPE, Reservation Type (figure 400).
    ReservationType: u8 {
        /// Only the holder writes.
        WRITE_EXCLUSIVE = 1,
        /// Only the holder reads and writes.
        EXCLUSIVE_ACCESS = 2,
        /// Only registrants write.
        WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 3,
        /// Only registrants read and write.
        EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 4,
        /// Only registrants write, and all of them hold the reservation.
        WRITE_EXCLUSIVE_ALL_REGISTRANTS = 5,
        /// Only registrants read and write, and all of them hold the reservation.
        EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 6,
    }
}

impl ReservationType {
    /// Whether it is one of those that there are.
    pub const fn is_known(self) -> bool {
        matches!(self.0, 1..=6)
    }

    /// Whether others are kept from reading, too.
    pub const fn excludes_reads(self) -> bool {
        self.0 % 2 == 0
    }

    /// Whether every registrant may do what the holder may.
    pub const fn is_shared_by_registrants(self) -> bool {
        self.0 >= Self::WRITE_EXCLUSIVE_REGISTRANTS_ONLY.0
    }

    /// Whether every registrant holds it.
    pub const fn is_held_by_all_registrants(self) -> bool {
        self.0 >= Self::WRITE_EXCLUSIVE_ALL_REGISTRANTS.0
    }
}

open_enum! {
    /// RREGA, Reservation Register Action (§7.3).
    RegisterAction: u8 {
        /// Register a key.
        REGISTER = 0,
        /// Give the registration up.
        UNREGISTER = 1,
        /// Put another key in the place of the present one.
        REPLACE = 2,
    }
}

open_enum! {
    /// RACQA, Reservation Acquire Action (§7.2).
    AcquireAction: u8 {
        /// Acquire, if nobody else holds it.
        ACQUIRE = 0,
        /// Take it from the holder, or a registration from a registrant.
        PREEMPT = 1,
        /// And abort their commands.
        PREEMPT_AND_ABORT = 2,
    }
}

open_enum! {
    /// RRELA, Reservation Release Action (§7.4).
    ReleaseAction: u8 {
        /// Release the reservation.
        RELEASE = 0,
        /// Release it, and take all registrations back.
        CLEAR = 1,
    }
}

open_enum! {
    /// CPTPL, Change Persist Through Power Loss State (§7.3).
    ChangePersistence: u8 {
        /// As it is.
        NO_CHANGE = 0b00,
        /// Lost when power is.
        CLEAR = 0b10,
        /// Kept.
        SET = 0b11,
    }
}

/// RESCAP: all reservation types, persistence through power loss, and Ignore Existing Key as since NVMe 1.3 (figure 280).
pub const RESCAP_ALL: u8 = 0xFF;

/// The data of Reservation Register and Reservation Acquire: CRKEY, and NRKEY or PRKEY. Reservation Release has the first alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReservationKeys {
    /// CRKEY: the host's key.
    pub current: U64,
    /// NRKEY: the key to be registered; PRKEY: the key of those to be preempted.
    pub other: U64,
}

/// What a Reservation Report begins with (figure 406). The extended structure has 40 bytes of zeros behind it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReservationStatus {
    /// GEN: counts what has changed registrations.
    pub generation: U32,
    /// RTYPE; 0 for no reservation.
    pub reservation_type: u8,
    /// REGSTRNT, in two bytes at an odd offset: how many registrants follow, or would if there was room.
    pub registrants: U16,
    #[doc(hidden)]
    pub reserved7: [u8; 2],
    /// PTPLS: kept when power is lost.
    pub persists_through_power_loss: u8,
    #[doc(hidden)]
    pub reserved10: [u8; 14],
}

/// Bytes of the head of the extended structure.
pub const RESERVATION_STATUS_EXTENDED_BYTES: usize = 64;

/// RCSTS: the host holds the reservation.
pub const REGISTRANT_HOLDS_RESERVATION: u8 = 1;

/// A registrant with a 64-bit host identifier (figure 407).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReservationRegistrant {
    /// CNTLID.
    pub controller_id: U16,
    /// RCSTS.
    pub status: u8,
    #[doc(hidden)]
    pub reserved3: [u8; 5],
    /// HOSTID.
    pub host_identifier: [u8; 8],
    /// RKEY.
    pub key: U64,
}

/// A registrant with a 128-bit host identifier (figure 409).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReservationRegistrantExtended {
    /// CNTLID.
    pub controller_id: U16,
    /// RCSTS.
    pub status: u8,
    #[doc(hidden)]
    pub reserved3: [u8; 5],
    /// RKEY.
    pub key: U64,
    /// HOSTID.
    pub host_identifier: [u8; 16],
    #[doc(hidden)]
    pub reserved32: [u8; 32],
}

const _: () = {
    assert!(size_of::<ReservationKeys>() == 16);
    assert!(size_of::<ReservationStatus>() == 24);
    assert!(core::mem::offset_of!(ReservationStatus, registrants) == 5);
    assert!(core::mem::offset_of!(ReservationStatus, persists_through_power_loss) == 9);
    assert!(size_of::<ReservationRegistrant>() == 24);
    assert!(size_of::<ReservationRegistrantExtended>() == 64);
};

open_enum! {
    /// What a notification tells of (figure 254). The bits of the feature Reservation Notification Mask have the same numbers.
    ReservationNotice: u8 {
        /// Another host has taken a registration back.
        REGISTRATION_PREEMPTED = 1,
        /// A reservation that registrants shared is no longer there, or of another type.
        RESERVATION_RELEASED = 2,
        /// Another host has cleared all registrations.
        RESERVATION_PREEMPTED = 3,
    }
}

/// The Reservation Notification log: the oldest notification (§5.16.1.23).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReservationNotification {
    /// LPC: number of this notification; 0 if there is none.
    pub log_page_count: U64,
    /// [`ReservationNotice`].
    pub notice: u8,
    /// NALP: how many more there are, 255 at most.
    pub more: u8,
    #[doc(hidden)]
    pub reserved10: [u8; 2],
    /// The namespace.
    pub nsid: U32,
    #[doc(hidden)]
    pub reserved16: [u8; 48],
}

const _: () = assert!(size_of::<ReservationNotification>() == 64);

impl ReservationNotification {
    /// None.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// Event of the type I/O Command Set: there is a Reservation Notification (figure 150).
pub const IO_COMMAND_SET_EVENT_RESERVATION_LOG: u8 = 0x00;

dword! {
    /// Dword 10 of Reservation Register (NVMe Base 2.0 §7.3).
    Cdw10ReservationRegister {
        /// RREGA: Reservation Register Action.
        action, with_action: RegisterAction = 2:0,
        /// IEKEY: Ignore Existing Key.
        ignores_key, with_ignores_key: bool = 3:3,
        /// CPTPL: Change Persist Through Power Loss State.
        persistence, with_persistence: ChangePersistence = 31:30,
    }
}

dword! {
    /// Dword 10 of Reservation Acquire (NVMe Base 2.0 §7.2).
    Cdw10ReservationAcquire {
        /// RACQA: Reservation Acquire Action.
        action, with_action: AcquireAction = 2:0,
        /// IEKEY: Ignore Existing Key.
        ignores_key, with_ignores_key: bool = 3:3,
        /// RTYPE: Reservation Type.
        kind, with_kind: ReservationType = 15:8,
    }
}

dword! {
    /// Dword 10 of Reservation Release (NVMe Base 2.0 §7.4).
    Cdw10ReservationRelease {
        /// RRELA: Reservation Release Action.
        action, with_action: ReleaseAction = 2:0,
        /// IEKEY: Ignore Existing Key.
        ignores_key, with_ignores_key: bool = 3:3,
        /// RTYPE: Reservation Type.
        kind, with_kind: ReservationType = 15:8,
    }
}

dword! {
    /// Dword 11 of Reservation Report (NVMe Base 2.0 §7.5).
    Cdw11ReservationReport {
        /// EDS: Extended Data Structure.
        is_extended, with_is_extended: bool = 0:0,
    }
}
