//! CAP: what the controller offers.

use nvme_spec::registers::Capabilities;

use crate::limits::QUEUE_ENTRIES_MAX;

/// CAP.TO and CRTO.CRWMT: readiness takes no time here, but a host gives up on us only after 10 s.
pub(crate) const READY_TIMEOUT_500MS: u8 = 20;

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        mqes_z: QUEUE_ENTRIES_MAX - 1,
        timeout_500ms: READY_TIMEOUT_500MS,
    }
}
