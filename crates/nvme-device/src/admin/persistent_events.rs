//! The Persistent Event log (NVMe Base 2.0 §5.16.1.14).
//!
//! Events outlive every reset. When there is no room for a new one, the oldest ones are forgotten. What happens once leaves one event, but for the SMART / Health
//! snapshot, which is taken at power on and then every 24 power on hours.

use nvme_spec::{LogPageId, PersistentEventAction, PersistentEventLogHeader, Status};

use crate::admin::log_request::Request;
use crate::admin::smart;
use crate::admin::state::persistent_events::{
    LOG_HEADER_BYTES, LOG_REVISION, RECORDED, SNAPSHOT_INTERVAL_NS,
};
use crate::core::Core;
use crate::host::HostMemory;
use crate::limits::NANOSECONDS_PER_HOUR;
use crate::pci::config as pci;

/// Takes a SMART / Health snapshot if one is due.
pub(crate) fn snapshot_smart_log(core: &mut Core, now_ns: u64) {
    if !is_smart_log_snapshot_due(core, now_ns) {
        return;
    }
    let powered_ns = core.admin.powered_ns(now_ns);
    core.admin.persistent_events.snapshot_due_ns = powered_ns.saturating_add(SNAPSHOT_INTERVAL_NS);
    let snapshot = smart::smart_log(core, now_ns);
    core.admin.record(&snapshot, now_ns);
}

/// Whether [`snapshot_smart_log`] has something to do.
pub(crate) fn is_smart_log_snapshot_due(core: &Core, now_ns: u64) -> bool {
    core.admin.powered_ns(now_ns) >= core.admin.persistent_events.snapshot_due_ns
}

/// Sends what is asked for of the log, as the action says. A command that fails establishes nothing.
pub(crate) fn send_persistent_events<H: HostMemory>(
    core: &mut Core,
    request: &Request,
    now_ns: u64,
    host: &H,
) -> Result<(), Status> {
    let had_context = core.admin.persistent_events.has_context();
    let action = PersistentEventAction(request.specific & 0b11);
    match action {
        PersistentEventAction::RELEASE => {
            core.admin.persistent_events.release();
            return Ok(());
        }
        PersistentEventAction::READ if !had_context => return Err(Status::COMMAND_SEQUENCE_ERROR),
        PersistentEventAction::ESTABLISH_AND_READ if had_context => {
            return Err(Status::COMMAND_SEQUENCE_ERROR);
        }
        _ => {}
    }
    if !had_context {
        let header = persistent_event_log_header(core, now_ns);
        core.admin.persistent_events.establish(header);
    }
    let events = &mut core.admin.persistent_events;
    events.tell_whether_there_was_a_context(had_context);
    let sent = if action == PersistentEventAction::ESTABLISH_AND_READ_HEADER {
        let header = events.log().get(..LOG_HEADER_BYTES).unwrap_or_default();
        request.within_the_first(LOG_HEADER_BYTES).send(header, host)
    } else {
        request.send(events.log(), host)
    };
    if sent.is_err() && !had_context {
        events.release();
    }
    sent
}

fn persistent_event_log_header(core: &Core, now_ns: u64) -> PersistentEventLogHeader {
    let power_on_hours = u128::from(core.admin.powered_ns(now_ns) / NANOSECONDS_PER_HOUR);
    let mut header = PersistentEventLogHeader {
        log_page_id: LogPageId::PERSISTENT_EVENT.0,
        revision: LOG_REVISION,
        header_bytes_after: PersistentEventLogHeader::HEADER_BYTES_AFTER.into(),
        timestamp: core.admin.features.timestamp(now_ns),
        power_on_hours: power_on_hours.to_le_bytes(),
        power_cycles: core.admin.power_cycles.into(),
        vid: pci::VENDOR_ID.into(),
        ssvid: pci::VENDOR_ID.into(),
        serial_number: core.identity.serial_number,
        model_number: core.identity.model_number,
        subnqn: core.identity.subsystem_nqn(),
        ..PersistentEventLogHeader::zeroed()
    };
    for event_type in RECORDED {
        if let Some(bits) = header.supported_events.get_mut(usize::from(event_type / 8)) {
            *bits |= 1 << (event_type % 8);
        }
    }
    header
}
