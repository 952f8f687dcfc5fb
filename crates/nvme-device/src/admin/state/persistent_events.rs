//! The Persistent Event log (NVMe Base 2.0 §5.16.1.14).

use alloc::vec::Vec;

use nvme_spec::{
    ChangeNamespaceEvent, FirmwareCommitEvent, FormatCompletionEvent, FormatStartEvent, HardwareErrorEvent,
    PersistentEvent, PersistentEventHeader, PersistentEventLogHeader, PowerOnOrResetEvent,
    SanitizeCompletionEvent, SanitizeStartEvent, SetFeatureEvent, SmartLog, TelemetryHeader,
    TimestampChangeEvent,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::admin::page::put;
use crate::limits::NANOSECONDS_PER_HOUR;
use crate::setup::{table, SetupError};

/// PELS, in units of 64 KiB.
pub(crate) const PELS: u32 = 1;
const LOG_BYTES: usize = PELS as usize * (64 << 10);
pub(crate) const LOG_HEADER_BYTES: usize = size_of::<PersistentEventLogHeader>();
const EVENT_HEADER_BYTES: usize = size_of::<PersistentEventHeader>();
const EVENTS_BYTES: usize = LOG_BYTES - LOG_HEADER_BYTES;
pub(crate) const LOG_REVISION: u8 = 2;
pub(crate) const SNAPSHOT_INTERVAL_NS: u64 = 24 * NANOSECONDS_PER_HOUR;
pub(crate) const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Supported Events Bitmap, as event types.
pub(crate) const RECORDED: [u8; 12] = [
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

#[expect(clippy::indexing_slicing, reason = "evaluated when the device is compiled")]
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
    /// When the next SMART / Health snapshot is due, of [`AdminState::powered_ns`](crate::admin::state::admin_state::AdminState::powered_ns).
    pub snapshot_due_ns: u64,
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

    pub fn add<E: PersistentEvent>(&mut self, event: &E, timestamp: [u8; 8]) {
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

    pub fn has_context(&self) -> bool {
        self.context_bytes > 0
    }

    /// A host, or a controller level reset, gives the reporting context up.
    pub fn release(&mut self) {
        self.context_bytes = 0;
    }

    /// Keeps what there is for a host to read: `header`, and the events from the newest to the oldest.
    pub fn establish(&mut self, mut header: PersistentEventLogHeader) {
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
    pub fn tell_whether_there_was_a_context(&mut self, there_was: bool) {
        if let Ok((header, _)) = PersistentEventLogHeader::mut_from_prefix(&mut self.context) {
            let of_port = PersistentEventLogHeader::CONTEXT_OF_PORT_0;
            header.reporting_context = if there_was { of_port } else { 0 }.into();
        }
    }

    pub fn log(&self) -> &[u8] {
        self.context.get(..self.context_bytes).unwrap_or_default()
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
