//! Firmware Commit (NVMe Base 2.0 §5.12) and Firmware Image Download (§5.13).

use crate::dword::dword;
use crate::open_enum::open_enum;

/// Bytes of a firmware revision.
pub const FIRMWARE_REVISION_BYTES: usize = 8;

open_enum! {
    /// CA, Commit Action (§5.12).
    FirmwareCommitAction: u8 {
        /// The downloaded image goes into the slot, and is not activated.
        REPLACE = 0b000,
        /// The downloaded image goes into the slot, and is activated by the next controller level reset.
        REPLACE_AND_ACTIVATE_AT_RESET = 0b001,
        /// The image in the slot is activated by the next controller level reset.
        ACTIVATE_AT_RESET = 0b010,
        /// The downloaded image, if there is one, goes into the slot; the image in the slot is activated now.
        ACTIVATE_NOW = 0b011,
    }
}

dword! {
    /// Dword 10 of Firmware Commit (NVMe Base 2.0 §5.12).
    Cdw10FirmwareCommit {
        /// FS: Firmware Slot; 0 leaves the choice to the controller.
        slot, with_slot: u8 = 2:0,
        /// CA: Commit Action.
        action, with_action: FirmwareCommitAction = 5:3,
    }
}
