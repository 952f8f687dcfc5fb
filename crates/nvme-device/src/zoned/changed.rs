//! The Changed Zone List: zones whose descriptors the controller changed by itself (NVMe ZNS 1.1 §4.1.4.1).

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use nvme_spec::CHANGED_ZONES_MAX;

/// The list of a namespace.
#[derive(Debug)]
pub(crate) struct ChangedZones {
    /// Numbers of the zones, ascending, each once.
    zones: Vec<u32>,
    has_overflowed: bool,
    /// The host is yet to be told that there is something in the list.
    pub wants_event: bool,
}

impl ChangedZones {
    pub fn new() -> Result<Self, TryReserveError> {
        let mut zones = Vec::new();
        zones.try_reserve_exact(CHANGED_ZONES_MAX)?;
        Ok(Self {
            zones,
            has_overflowed: false,
            wants_event: false,
        })
    }

    pub fn add(&mut self, zone: u32) {
        self.wants_event = true;
        if let Err(at) = self.zones.binary_search(&zone) {
            if self.zones.len() < CHANGED_ZONES_MAX {
                self.zones.insert(at, zone);
            } else {
                self.has_overflowed = true;
            }
        }
    }

    /// The host has read the list.
    pub fn clear(&mut self) {
        self.zones.clear();
        self.has_overflowed = false;
        self.wants_event = false;
    }

    /// The host has forgotten that it was told.
    pub fn tell_again(&mut self) {
        self.wants_event = self.listed().0 != 0;
    }

    /// The number of zones as the log has it, and the zones: FFFFh and none if there are more than fit.
    pub fn listed(&self) -> (u16, &[u32]) {
        if self.has_overflowed {
            (0xFFFF, &[])
        } else {
            (self.zones.len() as u16, &self.zones)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_listed_once_in_order_and_too_many_are_told_of() {
        let mut changed = ChangedZones::new().unwrap();
        for zone in [7, 3, 7, 5] {
            changed.add(zone);
        }
        assert_eq!(changed.listed(), (3, &[3, 5, 7][..]));
        assert!(changed.wants_event);
        changed.clear();
        assert_eq!(changed.listed(), (0, &[][..]));
        for zone in 0..511 {
            changed.add(zone);
        }
        assert_eq!(changed.listed().0, 511);
        changed.add(1000);
        assert_eq!(changed.listed(), (0xFFFF, &[][..]));
    }
}
