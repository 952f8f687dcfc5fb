//! The features: one row each, with the facts that more than one part of the device asks for.
//!
//! What can be saved, what is a namespace's, what is recorded, which bits are legal, and the Feature
//! Identifiers Supported and Effects log derive from the rows. A feature that is one dword of the
//! controller needs nothing but its row; one of each namespace also has its place in
//! `admin/namespace_features.rs`.

use nvme_spec::{
    FeatureCapabilities, FeatureId, PowerManagement, AEC_TELEMETRY_LOG, KEY_VALUE_ERROR_ON_DELETE,
};

use crate::admin::capabilities::OAES;
use crate::admin::state::feature_buffers::LAST_POWER_STATE;

/// SMART events, telemetry, and the notices that Identify names.
const ASYNC_EVENTS_SUPPORTED: u32 = 0xFF | AEC_TELEMETRY_LOG | OAES;

/// Where the value of a feature is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// In a dword of the controller, which Set Features gives in dword 11 and which can be saved.
    Dword {
        default: u32,
        /// What may be set in it.
        bits: u32,
    },
    /// In the controller, with a layout of its own ([`Values`](super::features::Values)). It can be saved.
    Values,
    /// In the controller, in a buffer or without any value. It cannot be saved.
    Unsaved,
    /// In a dword of each namespace, which can be saved and is 0 by default.
    NamespaceDword {
        /// What may be set in it.
        bits: u32,
    },
    /// With the reservations of each namespace.
    Reservations,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeatureRow {
    pub id: FeatureId,
    pub kept: Kept,
    /// Whether a change is an event for the Persistent Event log. The specification leaves that to the
    /// device. It advises against it for power management, event configuration and the progress
    /// marker, and forbids it for the timestamp.
    pub is_recorded: bool,
    /// Whether the value can be set, beyond its bits.
    pub is_legal: fn(u32) -> bool,
}

impl FeatureRow {
    const fn new(id: FeatureId, kept: Kept) -> Self {
        Self {
            id,
            kept,
            is_recorded: false,
            is_legal: |_| true,
        }
    }

    const fn dword(id: FeatureId, default: u32, bits: u32) -> Self {
        Self::new(id, Kept::Dword { default, bits })
    }

    const fn namespace_dword(id: FeatureId, bits: u32) -> Self {
        Self::new(id, Kept::NamespaceDword { bits })
    }

    const fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    const fn legal_if(mut self, is_legal: fn(u32) -> bool) -> Self {
        self.is_legal = is_legal;
        self
    }

    /// Dword 0 of Get Features for the supported capabilities (NVMe Base 2.0 figure 192).
    pub fn capabilities(&self) -> FeatureCapabilities {
        FeatureCapabilities {
            saveable: matches!(
                self.kept,
                Kept::Dword { .. } | Kept::Values | Kept::NamespaceDword { .. }
            ),
            namespace_specific: matches!(self.kept, Kept::NamespaceDword { .. } | Kept::Reservations),
            changeable: true,
        }
    }
}

/// The state that is asked for: one that there is.
fn is_power_state(value: u32) -> bool {
    PowerManagement(value).state() <= LAST_POWER_STATE
}

/// All features, by identifier.
pub(crate) const FEATURES: &[FeatureRow] = &[
    FeatureRow::dword(FeatureId::ARBITRATION, 3, 0xFFFF_FF07).recorded(),
    // The power state, and the workload hint.
    FeatureRow::dword(FeatureId::POWER_MANAGEMENT, 0, 0xFF).legal_if(is_power_state),
    FeatureRow::new(FeatureId::TEMPERATURE_THRESHOLD, Kept::Values).recorded(),
    // Time-limited error recovery; deallocated blocks never give an error here (DULBE stays 0).
    FeatureRow::namespace_dword(FeatureId::ERROR_RECOVERY, 0xFFFF),
    FeatureRow::dword(FeatureId::VOLATILE_WRITE_CACHE, 1, 1).recorded(),
    FeatureRow::new(FeatureId::NUMBER_OF_QUEUES, Kept::Unsaved).recorded(),
    FeatureRow::dword(FeatureId::INTERRUPT_COALESCING, 0, 0xFFFF).recorded(),
    FeatureRow::new(FeatureId::INTERRUPT_VECTOR_CONFIGURATION, Kept::Values).recorded(),
    FeatureRow::dword(FeatureId::WRITE_ATOMICITY_NORMAL, 0, 1).recorded(),
    FeatureRow::dword(
        FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION,
        0,
        ASYNC_EVENTS_SUPPORTED,
    ),
    FeatureRow::new(FeatureId::AUTONOMOUS_POWER_STATE_TRANSITION, Kept::Unsaved),
    FeatureRow::new(FeatureId::TIMESTAMP, Kept::Unsaved),
    FeatureRow::new(FeatureId::LBA_STATUS_INFORMATION_ATTRIBUTES, Kept::Values),
    FeatureRow::new(FeatureId::HOST_BEHAVIOR_SUPPORT, Kept::Unsaved),
    FeatureRow::new(FeatureId::IO_COMMAND_SET_PROFILE, Kept::Unsaved),
    FeatureRow::namespace_dword(FeatureId::KEY_VALUE_CONFIGURATION, KEY_VALUE_ERROR_ON_DELETE),
    FeatureRow::dword(FeatureId::SOFTWARE_PROGRESS_MARKER, 0, 0xFF),
    FeatureRow::new(FeatureId::HOST_IDENTIFIER, Kept::Unsaved),
    FeatureRow::new(FeatureId::RESERVATION_NOTIFICATION_MASK, Kept::Reservations),
    FeatureRow::new(FeatureId::RESERVATION_PERSISTENCE, Kept::Reservations),
];

/// How many features there are.
pub(crate) const FEATURE_COUNT: usize = FEATURES.len();

/// The row of `id`, and its number; nothing if there is no such feature.
pub(crate) fn feature(id: FeatureId) -> Option<(usize, &'static FeatureRow)> {
    FEATURES.iter().enumerate().find(|(_, row)| row.id == id)
}

/// The number of the row of `id`, where that is known when the device is compiled.
#[expect(clippy::indexing_slicing, reason = "evaluated when the device is compiled")]
pub(crate) const fn row_of(id: FeatureId) -> usize {
    let mut row = 0;
    while FEATURES[row].id.0 != id.0 {
        row += 1;
    }
    row
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_feature_has_one_row_and_rows_ascend() {
        let ids: Vec<u8> = FEATURES.iter().map(|row| row.id.0).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:x?}");
        for (number, row) in FEATURES.iter().enumerate() {
            assert_eq!(row_of(row.id), number);
            assert_eq!(feature(row.id).unwrap().0, number);
        }
        assert!(feature(FeatureId(0)).is_none());
    }

    #[test]
    fn a_default_is_legal() {
        for row in FEATURES {
            if let Kept::Dword { default, bits } = row.kept {
                assert!(default & !bits == 0 && (row.is_legal)(default), "{row:?}");
            }
        }
    }

    #[test]
    fn a_power_state_that_there_is_not_is_refused_whatever_the_hint() {
        let (_, row) = feature(FeatureId::POWER_MANAGEMENT).unwrap();
        assert!((row.is_legal)(0xE0 | u32::from(LAST_POWER_STATE)));
        assert!(!(row.is_legal)(u32::from(LAST_POWER_STATE) + 1));
    }
}
