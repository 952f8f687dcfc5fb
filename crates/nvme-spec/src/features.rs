//! Feature payloads and asynchronous events.

use crate::dword::dword;
use crate::opcodes::{FeatureId, FeatureSelect};
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

dword! {
    /// Dword 10 of Get Features (NVMe Base 2.0 §5.15).
    Cdw10GetFeatures {
        /// FID: Feature Identifier.
        feature, with_feature: FeatureId = 7:0,
        /// SEL: Select.
        select, with_select: FeatureSelect = 10:8,
    }
}

dword! {
    /// Dword 10 of Set Features (NVMe Base 2.0 §5.27).
    Cdw10SetFeatures {
        /// FID: Feature Identifier.
        feature, with_feature: FeatureId = 7:0,
        /// SV: Save.
        is_saved, with_is_saved: bool = 31:31,
    }
}

dword! {
    /// Value of the feature Power Management (NVMe Base 2.0 §5.27.1.2).
    PowerManagement {
        /// PS: Power State.
        state, with_state: u8 = 4:0,
        /// WH: Workload Hint.
        workload_hint, with_workload_hint: u8 = 7:5,
    }
}

dword! {
    /// Value of the feature Temperature Threshold (NVMe Base 2.0 §5.27.1.3).
    TemperatureThreshold {
        /// TMPTH: the threshold, kelvins.
        threshold_kelvin, with_threshold_kelvin: u16 = 15:0,
        /// TMPSEL: the sensor; 0 for the composite temperature, 0Fh for all of them.
        sensor, with_sensor: u8 = 19:16,
        /// THSEL: 0 for the over, 1 for the under temperature threshold.
        kind, with_kind: u8 = 21:20,
    }
}

dword! {
    /// Value of the feature Number of Queues (NVMe Base 2.0 §5.27.1.5), and dword 0 of its completion.
    NumberOfQueues {
        /// NSQR or NSQA: I/O submission queues, 0's based.
        submission_z, with_submission_z: u16 = 15:0,
        /// NCQR or NCQA: I/O completion queues, 0's based.
        completion_z, with_completion_z: u16 = 31:16,
    }
}

dword! {
    /// Value of the feature Interrupt Coalescing (NVMe Base 2.0 §5.27.1.6).
    InterruptCoalescing {
        /// THR: Aggregation Threshold, completion queue entries, 0's based.
        threshold_z, with_threshold_z: u8 = 7:0,
        /// TIME: Aggregation Time, units of 100 µs.
        time_100us, with_time_100us: u8 = 15:8,
    }
}

dword! {
    /// Value of the feature Interrupt Vector Configuration (NVMe Base 2.0 §5.27.1.7).
    InterruptVectorConfiguration {
        /// IV: Interrupt Vector.
        vector, with_vector: u16 = 15:0,
        /// CD: Coalescing Disable.
        coalescing_disabled, with_coalescing_disabled: bool = 16:16,
    }
}

dword! {
    /// Value of the feature LBA Status Information Attributes (NVM CS 1.0 §4.1.3).
    LbaStatusInformationAttributes {
        /// LSIRI: LBA Status Information Report Interval, units of 100 ms.
        report_interval_100ms, with_report_interval_100ms: u16 = 15:0,
        /// LSIPI: LBA Status Information Poll Interval, units of 100 ms; the controller sets it.
        poll_interval_100ms, with_poll_interval_100ms: u16 = 31:16,
    }
}

dword! {
    /// Lower dword of an entry of the Autonomous Power State Transition table (NVMe Base 2.0 §5.27.1.9).
    PowerTransition {
        /// ITPS: Idle Transition Power State.
        state, with_state: u8 = 7:3,
        /// ITPT: Idle Time Prior to Transition, ms; 0 for no transition.
        idle_ms, with_idle_ms: u32 = 31:8,
    }
}

dword! {
    /// Dword 11 of Get and Set Features for the feature Host Identifier (NVMe Base 2.0 §5.27).
    Cdw11HostIdentifier {
        /// EXHID: the identifier has 16 bytes, not 8.
        is_extended, with_is_extended: bool = 0:0,
    }
}
