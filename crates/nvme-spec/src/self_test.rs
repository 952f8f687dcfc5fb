//! Device Self-test (NVMe Base 2.0 §5.9) and its log (§5.16.1.7).

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;

/// Results in the log.
pub const SELF_TEST_RESULTS: usize = 20;

open_enum! {
    /// STC, Self-test Code (§5.9).
    SelfTestCode: u8 {
        /// Start a short operation.
        SHORT = 0x1,
        /// Start an extended operation.
        EXTENDED = 0x2,
        /// Abort the operation under way.
        ABORT = 0xF,
    }
}

open_enum! {
    /// How an operation ended.
    SelfTestResult: u8 {
        /// Without an error.
        NO_ERROR = 0x0,
        /// By a Device Self-test command.
        ABORTED_BY_COMMAND = 0x1,
        /// By a controller level reset.
        ABORTED_BY_RESET = 0x2,
        /// By the removal of a namespace.
        ABORTED_BY_NAMESPACE_REMOVAL = 0x3,
        /// By a Format NVM command.
        ABORTED_BY_FORMAT = 0x4,
        /// By a sanitize operation.
        ABORTED_BY_SANITIZE = 0x9,
        /// The entry is not used.
        UNUSED = 0xF,
    }
}

/// What the log begins with; [`SELF_TEST_RESULTS`] entries follow.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SelfTestLogHeader {
    /// Code of the operation under way; 0 for none.
    pub current_operation: u8,
    /// How much of it is done, percent.
    pub percent_complete: u8,
    #[doc(hidden)]
    pub reserved2: [u8; 2],
}

/// How one operation ended, 28 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SelfTestResultEntry {
    /// [`SelfTestCode`] in 7:4, [`SelfTestResult`] in 3:0.
    pub code_and_result: u8,
    /// The first segment that failed.
    pub segment: u8,
    /// Which of the fields that follow are valid.
    pub valid_diagnostic_information: u8,
    #[doc(hidden)]
    pub reserved3: u8,
    /// Power On Hours when it ended.
    pub power_on_hours: U64,
    /// The namespace of the LBA that failed.
    pub nsid: U32,
    /// An LBA that failed.
    pub failing_lba: U64,
    /// Status Code Type of the failure.
    pub status_code_type: u8,
    /// Status Code of the failure.
    pub status_code: u8,
    #[doc(hidden)]
    pub vendor_specific: [u8; 2],
}

const _: () = assert!(size_of::<SelfTestLogHeader>() == 4 && size_of::<SelfTestResultEntry>() == 28);

impl SelfTestResultEntry {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// An entry that holds no result.
    pub fn unused() -> Self {
        Self {
            code_and_result: SelfTestResult::UNUSED.0,
            ..Self::new_zeroed()
        }
    }
}

dword! {
    /// Dword 10 of Device Self-test (NVMe Base 2.0 §5.9).
    Cdw10DeviceSelfTest {
        /// STC: Self-test Code.
        code, with_code: SelfTestCode = 3:0,
    }
}
