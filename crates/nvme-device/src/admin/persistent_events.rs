//! The Persistent Event log (NVMe Base 2.0 §5.16.1.14).
//!
//! Events outlive every reset. When there is no room for a new one, the oldest ones are forgotten. What happens once leaves one event, but for the SMART / Health
//! snapshot, which is taken at power on and then every 24 power on hours.

use alloc::vec::Vec;

use nvme_spec::{
    ChangeNamespaceEvent, FirmwareCommitEvent, FormatCompletionEvent, FormatStartEvent, HardwareErrorEvent,
    LogPageId, PersistentEvent, PersistentEventAction, PersistentEventHeader, PersistentEventLogHeader,
    PowerOnOrResetEvent, SanitizeCompletionEvent, SanitizeStartEvent, SetFeatureEvent, SmartLog, Status,
    TelemetryHeader, TimestampChangeEvent,
};
use zerocopy::{FromBytes, IntoBytes};

use super::log_pages::{Request, NANOSECONDS_PER_HOUR};
use super::{put, AdminState};
use crate::controller::Controller;
use crate::device::{table, SetupError};
use crate::host::Host;
use crate::pci;

/// PELS, in units of 64 KiB.
pub(super) const PELS: u32 = 1;
const LOG_BYTES: usize = PELS as usize * (64 << 10);
const LOG_HEADER_BYTES: usize = size_of::<PersistentEventLogHeader>();
const EVENT_HEADER_BYTES: usize = size_of::<PersistentEventHeader>();
const EVENTS_BYTES: usize = LOG_BYTES - LOG_HEADER_BYTES;
const LOG_REVISION: u8 = 2;
const SNAPSHOT_INTERVAL_NS: u64 = 24 * NANOSECONDS_PER_HOUR;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Supported Events Bitmap, as event types.
const RECORDED: [u8; 12] = [
    SmartLog::TYPE,
    FirmwareCommitEvent::TYPE,
    TimestampChangeEvent::TYPE,
    PowerOnOrResetEvent::TYPE,
    HardwareErrorEvent::TYPE,
    ChangeNamespaceEvent::TYPE,
    FormatStartEvent::TYPE,
    FormatCompletionEvent::TYPE,
    SanitizeStartEvent::TYPE,
    SanitizeCompletionEvent::TYPE,
    SetFeatureEvent::TYPE,
    TelemetryHeader::TYPE,
];

const fn is_recorded(event_type: u8) -> bool {
    let mut index = 0;
    while index < RECORDED.len() {
        if RECORDED[index] == event_type {
            return true;
        }
        index += 1;
    }
    false
}

/// The events, and what a host is reading of them.
pub(crate) struct PersistentEvents {
    /// The first `used` bytes are events, oldest first.
    events: Vec<u8>,
    used: usize,
    /// The first `context_bytes` are the log as it was when the host established its reporting context; 0 without one.
    context: Vec<u8>,
    context_bytes: usize,
    /// Contexts established, wrapping.
    generation: u16,
    /// When the next SMART / Health snapshot is due, of [`AdminState::powered_ns`].
    snapshot_due_ns: u64,
}

impl PersistentEvents {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            events: table(EVENTS_BYTES, || 0)?,
            used: 0,
            context: table(LOG_BYTES, || 0)?,
            context_bytes: 0,
            generation: 0,
            snapshot_due_ns: 0,
        })
    }

    fn add<E: PersistentEvent>(&mut self, event: &E, timestamp: [u8; 8]) {
        const {
            assert!(is_recorded(E::TYPE), "the header says which events there are");
            assert!(EVENT_HEADER_BYTES + size_of::<E>() <= EVENTS_BYTES);
        }
        let header = PersistentEventHeader {
            event_type: E::TYPE,
            revision: E::REVISION,
            header_bytes_after: PersistentEventHeader::HEADER_BYTES_AFTER,
            port_identifier_type: if E::IS_OF_COMMAND {
                PersistentEventHeader::OF_PORT
            } else {
                PersistentEventHeader::OF_NO_PORT
            },
            timestamp,
            event_bytes: (size_of::<E>() as u16).into(),
            ..PersistentEventHeader::zeroed()
        };
        while self.used + EVENT_HEADER_BYTES + size_of::<E>() > EVENTS_BYTES {
            self.forget_oldest();
        }
        put(&mut self.events, self.used, header.as_bytes());
        put(&mut self.events, self.used + EVENT_HEADER_BYTES, event.as_bytes());
        self.used += EVENT_HEADER_BYTES + size_of::<E>();
    }

    fn forget_oldest(&mut self) {
        let len = self.event(0).len();
        self.events.copy_within(len..self.used, 0);
        self.used -= len;
    }

    /// The event that begins at `offset`.
    fn event(&self, offset: usize) -> &[u8] {
        let rest = self.events.get(offset..self.used).unwrap_or_default();
        let len = PersistentEventHeader::ref_from_prefix(rest).map_or(0, |(header, _)| {
            EVENT_HEADER_BYTES + usize::from(header.event_bytes.get())
        });
        rest.get(..len).unwrap_or_default()
    }

    fn has_context(&self) -> bool {
        self.context_bytes > 0
    }

    /// A host, or a controller level reset, gives the reporting context up.
    pub fn release(&mut self) {
        self.context_bytes = 0;
    }

    /// Keeps what there is for a host to read: `header`, and the events from the newest to the oldest.
    fn establish(&mut self, mut header: PersistentEventLogHeader) {
        self.generation = self.generation.wrapping_add(1);
        self.context_bytes = LOG_HEADER_BYTES + self.used;
        let mut context = core::mem::take(&mut self.context);
        let (mut offset, mut count) = (0, 0u32);
        while offset < self.used {
            let event = self.event(offset);
            offset += event.len();
            count += 1;
            put(&mut context, self.context_bytes - offset, event);
        }
        header.event_count = count.into();
        header.log_bytes = (self.context_bytes as u64).into();
        header.generation = self.generation.into();
        put(&mut context, 0, header.as_bytes());
        self.context = context;
    }

    /// Has the header say whether there was a context before the command that reads it.
    fn tell_whether_there_was_a_context(&mut self, there_was: bool) {
        if let Ok((header, _)) = PersistentEventLogHeader::mut_from_prefix(&mut self.context) {
            let of_port = PersistentEventLogHeader::CONTEXT_OF_PORT_0;
            header.reporting_context = if there_was { of_port } else { 0 }.into();
        }
    }

    fn log(&self) -> &[u8] {
        self.context.get(..self.context_bytes).unwrap_or_default()
    }
}

impl AdminState {
    /// Records that `event` has happened.
    pub(crate) fn record<E: PersistentEvent>(&mut self, event: &E, now_ns: u64) {
        let timestamp = self.features.timestamp(now_ns);
        self.persistent_events.add(event, timestamp);
    }

    /// Records that the device was switched on, or reset.
    pub(super) fn record_reset(&mut self, has_activated_firmware: bool, now_ns: u64) {
        let event = PowerOnOrResetEvent {
            firmware_revision: self.firmware.running(),
            firmware_activation: has_activated_firmware.into(),
            power_cycles: (self.power_cycles as u32).into(),
            power_on_milliseconds: (self.powered_ns(now_ns) / NANOSECONDS_PER_MILLISECOND).into(),
            timestamp: self.features.timestamp(now_ns),
            ..PowerOnOrResetEvent::zeroed()
        };
        self.record(&event, now_ns);
    }

    /// Records that the host has set the timestamp, which was `previous`.
    pub(super) fn record_timestamp_change(&mut self, previous: [u8; 8], now_ns: u64) {
        let since_reset_ns = now_ns.saturating_sub(self.reset_at_ns);
        let event = TimestampChangeEvent {
            previous,
            milliseconds_since_reset: (since_reset_ns / NANOSECONDS_PER_MILLISECOND).into(),
        };
        self.record(&event, now_ns);
    }
}

impl Controller {
    /// Takes a SMART / Health snapshot if one is due.
    pub(crate) fn snapshot_smart_log(&mut self, now_ns: u64) {
        if !self.is_smart_log_snapshot_due(now_ns) {
            return;
        }
        let powered_ns = self.admin.powered_ns(now_ns);
        self.admin.persistent_events.snapshot_due_ns = powered_ns.saturating_add(SNAPSHOT_INTERVAL_NS);
        let snapshot = self.smart_log(now_ns);
        self.admin.record(&snapshot, now_ns);
    }

    /// Whether [`Controller::snapshot_smart_log`] has something to do.
    pub(crate) fn is_smart_log_snapshot_due(&self, now_ns: u64) -> bool {
        self.admin.powered_ns(now_ns) >= self.admin.persistent_events.snapshot_due_ns
    }

    /// Sends what is asked for of the log, as the action says. A command that fails establishes nothing.
    pub(super) fn send_persistent_events<H: Host>(
        &mut self,
        request: &Request,
        now_ns: u64,
        host: &H,
    ) -> Result<(), Status> {
        let had_context = self.admin.persistent_events.has_context();
        let action = PersistentEventAction(request.specific & 0b11);
        match action {
            PersistentEventAction::RELEASE => {
                self.admin.persistent_events.release();
                return Ok(());
            }
            PersistentEventAction::READ if !had_context => return Err(Status::COMMAND_SEQUENCE_ERROR),
            PersistentEventAction::ESTABLISH_AND_READ if had_context => {
                return Err(Status::COMMAND_SEQUENCE_ERROR);
            }
            _ => {}
        }
        if !had_context {
            let header = self.persistent_event_log_header(now_ns);
            self.admin.persistent_events.establish(header);
        }
        let events = &mut self.admin.persistent_events;
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

    fn persistent_event_log_header(&self, now_ns: u64) -> PersistentEventLogHeader {
        let power_on_hours = u128::from(self.admin.powered_ns(now_ns) / NANOSECONDS_PER_HOUR);
        let mut header = PersistentEventLogHeader {
            log_page_id: LogPageId::PERSISTENT_EVENT.0,
            revision: LOG_REVISION,
            header_bytes_after: PersistentEventLogHeader::HEADER_BYTES_AFTER.into(),
            timestamp: self.admin.features.timestamp(now_ns),
            power_on_hours: power_on_hours.to_le_bytes(),
            power_cycles: self.admin.power_cycles.into(),
            vid: pci::VENDOR_ID.into(),
            ssvid: pci::VENDOR_ID.into(),
            serial_number: self.identity.serial_number,
            model_number: self.identity.model_number,
            subnqn: self.identity.subsystem_nqn(),
            ..PersistentEventLogHeader::zeroed()
        };
        for event_type in RECORDED {
            if let Some(bits) = header.supported_events.get_mut(usize::from(event_type / 8)) {
                *bits |= 1 << (event_type % 8);
            }
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(number: u32) -> PowerOnOrResetEvent {
        PowerOnOrResetEvent {
            power_cycles: number.into(),
            ..PowerOnOrResetEvent::zeroed()
        }
    }

    /// Numbers of the resets in the log, in its order; checks that the events fill it.
    fn numbers(events: &mut PersistentEvents) -> Vec<u32> {
        events.establish(PersistentEventLogHeader::zeroed());
        let (header, mut rest) = PersistentEventLogHeader::ref_from_prefix(events.log()).unwrap();
        let mut numbers = Vec::new();
        while !rest.is_empty() {
            let (event, after) = PersistentEventHeader::ref_from_prefix(rest).unwrap();
            let (data, after) = after.split_at(event.event_bytes.get().into());
            if event.event_type == PowerOnOrResetEvent::TYPE {
                numbers.push(
                    PowerOnOrResetEvent::read_from_bytes(data)
                        .unwrap()
                        .power_cycles
                        .get(),
                );
            }
            rest = after;
        }
        assert_eq!(header.log_bytes.get(), events.log().len() as u64);
        numbers
    }

    #[test]
    fn the_oldest_events_fall_out_of_a_full_log() {
        let mut events = PersistentEvents::new().unwrap();
        assert_eq!(numbers(&mut events), []);
        // Of another length among them, so that the log is not filled to its last byte.
        for number in 0..3000 {
            events.add(&reset(number), [0; 8]);
            if number % 7 == 0 {
                events.add(&SmartLog::zeroed(), [0; 8]);
            }
        }
        let kept = numbers(&mut events);
        let newest_first: Vec<u32> = (3000 - kept.len() as u32..3000).rev().collect();
        assert_eq!(kept, newest_first);
        // A snapshot of 536 bytes comes with 7 resets of 68.
        assert!(
            (EVENTS_BYTES / (7 * 68 + 536) * 7).abs_diff(kept.len()) <= 7,
            "{}",
            kept.len()
        );
    }

    #[test]
    fn a_context_stays_as_it_is_while_events_are_added() {
        let mut events = PersistentEvents::new().unwrap();
        events.add(&reset(1), [0; 8]);
        assert_eq!(numbers(&mut events), [1]);
        let before = events.log().to_vec();
        for number in 2..3000 {
            events.add(&reset(number), [0; 8]);
        }
        assert!(events.log() == before);
        events.release();
        assert!(events.log().is_empty());
    }
}
