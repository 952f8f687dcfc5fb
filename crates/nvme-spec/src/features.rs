//! Feature payloads and asynchronous events.

use crate::open_enum::open_enum;

open_enum! {
    /// Asynchronous event type (NVMe Base 2.0 figure 146).
    AsyncEventType: u8 {
        /// Error status.
        ERROR = 0,
        /// SMART / health status.
        SMART_HEALTH = 1,
        /// Notice.
        NOTICE = 2,
        /// I/O command set specific.
        IO_COMMAND_SET = 6,
    }
}

/// Error event: a doorbell of a queue that does not exist was written (NVMe Base 2.0 figure 147).
pub const ERROR_EVENT_INVALID_DOORBELL_REGISTER: u8 = 0x00;
/// Error event: a doorbell was given a value out of range or overtaking (NVMe Base 2.0 figure 147).
pub const ERROR_EVENT_INVALID_DOORBELL_VALUE: u8 = 0x01;
/// Notice: what Identify says of a namespace has changed, or which namespaces there are (NVMe Base 2.0 figure 149).
pub const NOTICE_NAMESPACE_ATTRIBUTE_CHANGED: u8 = 0x00;
/// I/O command set specific event: a sanitize operation is over (NVMe Base 2.0 figure 150).
pub const EVENT_SANITIZE_COMPLETED: u8 = 0x01;
/// OAES and Asynchronous Event Configuration: namespace attribute notices.
pub const OAES_NAMESPACE_ATTRIBUTE: u32 = 1 << 8;
/// SMART event: the temperature crossed a threshold (NVMe Base 2.0 figure 148).
pub const SMART_EVENT_TEMPERATURE_THRESHOLD: u8 = 0x01;

/// Signature that NSSR.NSSRC takes: "NVMe" (NVMe Base 2.0 figure 48).
pub const NSSR_RESET: u32 = 0x4E56_4D65;

/// What can be done with a feature: dword 0 of Get Features with Select = 3 (NVMe Base 2.0 figure 193).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureCapabilities {
    /// A value can be saved over resets and power cycles.
    pub saveable: bool,
    /// The value belongs to a namespace.
    pub namespace_specific: bool,
    /// The value can be changed.
    pub changeable: bool,
}

impl FeatureCapabilities {
    /// As dword 0 of the completion.
    pub const fn to_dword(self) -> u32 {
        self.saveable as u32 | (self.namespace_specific as u32) << 1 | (self.changeable as u32) << 2
    }
}
