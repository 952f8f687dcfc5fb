//! Sanitize and its log.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;

open_enum! {
    /// Sanitize Action (NVMe Base 2.0 §5.24).
    SanitizeAction: u8 {
        /// Leave the state in which a failed operation has left the NVM subsystem.
        EXIT_FAILURE_MODE = 1,
        /// Start a Block Erase.
        BLOCK_ERASE = 2,
        /// Start an Overwrite.
        OVERWRITE = 3,
        /// Start a Crypto Erase.
        CRYPTO_ERASE = 4,
    }
}

open_enum! {
    /// Most recent sanitize status: SSTAT bits 2:0 (NVMe Base 2.0 §5.16.1.21).
    SanitizeState: u16 {
        /// The NVM subsystem has never been sanitized.
        NEVER = 0,
        /// The operation was completed.
        COMPLETED = 1,
        /// The operation is under way.
        IN_PROGRESS = 2,
    }
}

/// SSTAT: nothing was written since the operation was completed.
pub const SANITIZE_GLOBAL_DATA_ERASED: u16 = 1 << 8;

/// SANICAP: Crypto Erase (bit 0), Block Erase (bit 1), Overwrite (bit 2).
pub const SANICAP_ALL_ACTIONS: u32 = 0b111;
/// SANICAP.NODMMAS: without deallocation, nothing else is done to the medium after a sanitize operation.
pub const SANICAP_NO_MODIFICATION: u32 = 0b01 << 30;

/// Sanitize Status log, 512 bytes (NVMe Base 2.0 §5.16.1.21). Times are in seconds; all ones if they are not known.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SanitizeLog {
    /// SPROG: how much of the operation is done, in 65536ths; all ones if none is under way.
    pub progress: U16,
    /// SSTAT: [`SanitizeState`] (2:0), overwrite passes done (7:3), [`SANITIZE_GLOBAL_DATA_ERASED`].
    pub status: U16,
    /// SCDW10: dword 10 of the command that started the operation.
    pub command_dword10: U32,
    /// Estimated Time For Overwrite.
    pub overwrite_seconds: U32,
    /// Estimated Time For Block Erase.
    pub block_erase_seconds: U32,
    /// Estimated Time For Crypto Erase.
    pub crypto_erase_seconds: U32,
    /// The same three with No-Deallocate Media Modification.
    pub with_modification_seconds: [U32; 3],
    #[doc(hidden)]
    pub reserved32: [u8; 480],
}

const _: () = assert!(size_of::<SanitizeLog>() == 512);

dword! {
    /// Dword 10 of Sanitize (NVMe Base 2.0 §5.24).
    Cdw10Sanitize {
        /// SANACT: Sanitize Action.
        action, with_action: SanitizeAction = 2:0,
        /// OWPASS: Overwrite Pass Count; 0 stands for 16.
        passes, with_passes: u8 = 7:4,
        /// OIPBP: Overwrite Invert Pattern Between Passes.
        inverts_pattern, with_inverts_pattern: bool = 8:8,
        /// No-Deallocate After Sanitize.
        keeps_allocated, with_keeps_allocated: bool = 9:9,
    }
}
