//! Asynchronous events (NVMe Base 2.0 §5.2).

use nvme_spec::{
    AsyncEventType, LogPageId, Status, EVENT_SANITIZE_COMPLETED, IO_COMMAND_SET_EVENT_RESERVATION_LOG,
    NOTICE_LBA_STATUS_ALERT, NOTICE_NAMESPACE_ATTRIBUTE_CHANGED, NOTICE_TELEMETRY_LOG_CHANGED,
    NOTICE_ZONE_DESCRIPTOR_CHANGED,
};

/// Asynchronous Event Requests held at once (Identify AERL + 1).
pub(crate) const REQUESTS_MAX: usize = 4;

/// The events of one log page: reported once, then silent until the host reads the log page that goes with it.
#[derive(Clone, Copy, Debug)]
struct EventSlot {
    kind: AsyncEventType,
    log: LogPageId,
    /// What is to be reported: the information, and dword 1.
    pending: Option<(u8, u32)>,
    is_masked: bool,
    /// Dword 1 of what was reported last.
    reported: u32,
}

impl EventSlot {
    const fn new(kind: AsyncEventType, log: LogPageId) -> Self {
        Self {
            kind,
            log,
            pending: None,
            is_masked: false,
            reported: 0,
        }
    }
}

/// Held requests and events that wait for one.
#[derive(Debug)]
pub(crate) struct AsyncEvents {
    /// Identifiers of held requests, oldest first.
    held: [u16; REQUESTS_MAX],
    held_count: usize,
    slots: [EventSlot; 8],
}

impl AsyncEvents {
    pub fn new() -> Self {
        Self {
            held: [0; REQUESTS_MAX],
            held_count: 0,
            slots: [
                EventSlot::new(AsyncEventType::ERROR, LogPageId::ERROR_INFORMATION),
                EventSlot::new(AsyncEventType::SMART_HEALTH, LogPageId::SMART_HEALTH),
                EventSlot::new(AsyncEventType::NOTICE, LogPageId::CHANGED_NAMESPACE_LIST),
                EventSlot::new(AsyncEventType::NOTICE, LogPageId::LBA_STATUS_INFORMATION),
                EventSlot::new(AsyncEventType::NOTICE, LogPageId::CHANGED_ZONE_LIST),
                EventSlot::new(AsyncEventType::IO_COMMAND_SET, LogPageId::SANITIZE_STATUS),
                EventSlot::new(
                    AsyncEventType::IO_COMMAND_SET,
                    LogPageId::RESERVATION_NOTIFICATION,
                ),
                EventSlot::new(AsyncEventType::NOTICE, LogPageId::TELEMETRY_CONTROLLER_INITIATED),
            ],
        }
    }

    /// Holds a request until there is an event.
    ///
    /// # Errors
    /// More requests than the limit.
    pub fn hold(&mut self, cid: u16) -> Result<(), Status> {
        let slot = self
            .held
            .get_mut(self.held_count)
            .ok_or(Status::ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED)?;
        *slot = cid;
        self.held_count += 1;
        Ok(())
    }

    /// Whether a request with this identifier is held.
    pub fn is_held(&self, cid: u16) -> bool {
        self.held.iter().take(self.held_count).any(|&held| held == cid)
    }

    /// The request that is to be completed next, if there is an event to complete it with.
    pub fn next_to_deliver(&self) -> Option<u16> {
        let has_event = self.slots.iter().any(|slot| slot.pending.is_some());
        let held = self.held.iter().take(self.held_count);
        held.copied().next().filter(|_| has_event)
    }

    /// Gives up a held request; whether there was one with this identifier.
    pub fn forget(&mut self, cid: u16) -> bool {
        match self
            .held
            .iter()
            .take(self.held_count)
            .position(|&held| held == cid)
        {
            Some(index) => {
                self.remove(index);
                true
            }
            None => false,
        }
    }

    /// An error event.
    pub fn error(&mut self, info: u8) {
        self.raise(LogPageId::ERROR_INFORMATION, info, 0);
    }

    /// A SMART / health event.
    pub fn smart(&mut self, info: u8) {
        self.raise(LogPageId::SMART_HEALTH, info, 0);
    }

    /// Descriptors of zones of namespace `nsid` have changed (ZNS 1.1 §4.1.2).
    pub fn zone_descriptor_changed(&mut self, nsid: u32) {
        self.raise(LogPageId::CHANGED_ZONE_LIST, NOTICE_ZONE_DESCRIPTOR_CHANGED, nsid);
    }

    /// The controller has captured its state for the Telemetry Controller-Initiated log.
    pub fn telemetry_log_changed(&mut self) {
        self.raise(
            LogPageId::TELEMETRY_CONTROLLER_INITIATED,
            NOTICE_TELEMETRY_LOG_CHANGED,
            0,
        );
    }

    /// There are LBAs that may be unrecoverable, and were not in the log before.
    pub fn lba_status_alert(&mut self) {
        self.raise(LogPageId::LBA_STATUS_INFORMATION, NOTICE_LBA_STATUS_ALERT, 0);
    }

    /// Whether that was said, and the log was not read since.
    pub fn has_lba_status_alert(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| {
            slot.log == LogPageId::LBA_STATUS_INFORMATION && (slot.is_masked || slot.pending.is_some())
        })
    }

    /// The Changed Namespace List has a new entry.
    pub fn namespace_attribute_changed(&mut self) {
        self.raise(
            LogPageId::CHANGED_NAMESPACE_LIST,
            NOTICE_NAMESPACE_ATTRIBUTE_CHANGED,
            0,
        );
    }

    /// There is a notification about reservations (NVMe Base 2.0 figure 150).
    pub fn reservation_notification(&mut self) {
        self.raise(
            LogPageId::RESERVATION_NOTIFICATION,
            IO_COMMAND_SET_EVENT_RESERVATION_LOG,
            0,
        );
    }

    /// A sanitize operation is over.
    pub fn sanitize_completed(&mut self) {
        self.raise(LogPageId::SANITIZE_STATUS, EVENT_SANITIZE_COMPLETED, 0);
    }

    /// A new sanitize operation: the end of the one before is of no interest any more (NVMe Base 2.0 §8.21).
    pub fn sanitize_has_begun(&mut self) {
        for slot in self.slots_of(LogPageId::SANITIZE_STATUS) {
            slot.pending = None;
            slot.is_masked = false;
        }
    }

    /// Nobody can read the list of changed zones of namespace `nsid` any more: its notice is not to stand in the way of others.
    pub fn forget_zone_notice(&mut self, nsid: u32) {
        for slot in self.slots_of(LogPageId::CHANGED_ZONE_LIST) {
            slot.pending.take_if(|&mut (_, dword1)| dword1 == nsid);
            slot.is_masked &= slot.reported != nsid;
        }
    }

    /// Whether a change of a zone would be reported next, rather than be lost behind another one.
    pub fn can_take_zone_notice(&self) -> bool {
        let mut slots = self.slots.iter();
        slots
            .any(|slot| slot.log == LogPageId::CHANGED_ZONE_LIST && slot.pending.is_none() && !slot.is_masked)
    }

    fn slots_of(&mut self, log: LogPageId) -> impl Iterator<Item = &mut EventSlot> {
        self.slots.iter_mut().filter(move |slot| slot.log == log)
    }

    /// Raises the event that goes with `log`.
    fn raise(&mut self, log: LogPageId, info: u8, dword1: u32) {
        for slot in self.slots_of(log).filter(|slot| !slot.is_masked) {
            // The first one wins until it is reported.
            slot.pending.get_or_insert((info, dword1));
        }
    }

    /// The host has read a log page without asking to retain its event.
    pub fn log_was_read(&mut self, log: LogPageId) {
        for slot in self.slots_of(log) {
            slot.is_masked = false;
        }
    }

    /// Completes the request that [`AsyncEvents::next_to_deliver`] has named: dwords 0 and 1 of its completion.
    pub fn deliver(&mut self) -> u64 {
        self.remove(0);
        for slot in &mut self.slots {
            if let Some((info, dword1)) = slot.pending.take() {
                slot.is_masked = true;
                slot.reported = dword1;
                let dword0 = u32::from(slot.kind.0) | u32::from(info) << 8 | u32::from(slot.log.0) << 16;
                return u64::from(dword0) | u64::from(dword1) << 32;
            }
        }
        0
    }

    fn remove(&mut self, index: usize) -> u16 {
        let cid = self.held.get(index).copied().unwrap_or_default();
        self.held.copy_within(index + 1.., index);
        self.held_count -= 1;
        cid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(events: &mut AsyncEvents) -> Option<(u16, u64)> {
        let cid = events.next_to_deliver()?;
        Some((cid, events.deliver()))
    }

    #[test]
    fn an_event_is_reported_once_until_its_log_is_read() {
        let mut events = AsyncEvents::new();
        events.hold(7).unwrap();
        events.hold(8).unwrap();
        assert_eq!(deliver(&mut events), None);
        events.error(1);
        events.error(0);
        assert_eq!(deliver(&mut events), Some((7, 0x0001_0100)));
        events.error(1);
        assert_eq!(deliver(&mut events), None, "masked");
        events.smart(1);
        assert_eq!(
            deliver(&mut events),
            Some((8, 0x0002_0101)),
            "another type is not masked"
        );
        events.log_was_read(LogPageId::ERROR_INFORMATION);
        events.error(0);
        assert_eq!(deliver(&mut events), None, "no request held");
        events.hold(9).unwrap();
        assert_eq!(deliver(&mut events), Some((9, 0x0001_0000)));
    }

    #[test]
    fn a_notice_names_its_namespace_and_waits_for_the_log_to_be_read() {
        let mut events = AsyncEvents::new();
        events.hold(1).unwrap();
        events.hold(2).unwrap();
        assert!(events.can_take_zone_notice());
        events.zone_descriptor_changed(3);
        assert!(!events.can_take_zone_notice());
        assert_eq!(deliver(&mut events), Some((1, 0x0000_0003_00BF_EF02)));
        assert!(!events.can_take_zone_notice(), "masked");
        events.log_was_read(LogPageId::CHANGED_ZONE_LIST);
        assert!(events.can_take_zone_notice());
    }

    #[test]
    fn requests_beyond_the_limit_are_refused_and_held_ones_can_be_given_up() {
        let mut events = AsyncEvents::new();
        for cid in 0..4 {
            events.hold(cid).unwrap();
        }
        assert_eq!(
            events.hold(4),
            Err(Status::ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED)
        );
        assert!(events.forget(1));
        assert!(!events.forget(1));
        events.hold(5).unwrap();
        events.error(1);
        assert_eq!(deliver(&mut events).map(|(cid, _)| cid), Some(0));
    }
}
