//! When a host is recommended to finish or reset a zone (NVMe ZNS 1.1 figure 37).

use nvme_spec::{zone_attributes, ZoneState};
use ssd_profile::ZonedParameters;

use super::zones::Zone;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// When zones are recommended to be finished or reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recommendations {
    /// After so long as an active zone, and as a full one; `None`: never.
    finish_after_ns: Option<u64>,
    reset_after_ns: Option<u64>,
    /// No recommendation is due before.
    pub due_ns: u64,
}

impl Recommendations {
    pub fn new(parameters: &ZonedParameters) -> Self {
        let after = |ms: u32| (ms != 0).then(|| u64::from(ms) * NANOSECONDS_PER_MILLISECOND);
        Self {
            finish_after_ns: after(parameters.zone.finish_recommended_ms),
            reset_after_ns: after(parameters.zone.reset_recommended_ms),
            due_ns: u64::MAX,
        }
    }

    /// Some zone may have changed its state.
    pub fn note_change(&mut self, now_ns: u64) {
        let soonest = [self.finish_after_ns, self.reset_after_ns]
            .into_iter()
            .flatten()
            .min();
        if let Some(after_ns) = soonest {
            self.due_ns = self.due_ns.min(now_ns.saturating_add(after_ns));
        }
    }

    /// What is recommended for `zone`, and from when on.
    pub fn for_zone(&self, zone: &Zone) -> Option<(u8, u64)> {
        let (attribute, after_ns) = if zone.state.is_active() {
            (zone_attributes::FINISH_RECOMMENDED, self.finish_after_ns?)
        } else if zone.state == ZoneState::Full {
            (zone_attributes::RESET_RECOMMENDED, self.reset_after_ns?)
        } else {
            return None;
        };
        Some((attribute, zone.since_ns.saturating_add(after_ns)))
    }
}
