//! All that admin commands keep.

use alloc::vec::Vec;

use nvme_spec::registers::ControllerConfiguration;
use nvme_spec::{
    PersistentEvent, PowerOnOrResetEvent, ReservationNotice, TimestampChangeEvent, PAGE_SIZE_BYTES,
};

use crate::admin::outcome::Question;
use crate::admin::state::changed_namespaces::ChangedNamespaces;
use crate::admin::state::error_log::ErrorLog;
use crate::admin::state::events::AsyncEvents;
use crate::admin::state::features::Features;
use crate::admin::state::firmware::{Firmware, Revision};
use crate::admin::state::lba_status::LbaStatusNews;
use crate::admin::state::persistent_events::{PersistentEvents, NANOSECONDS_PER_MILLISECOND};
use crate::admin::state::reservation_log::ReservationLog;
use crate::admin::state::sanitize::SanitizeStatus;
use crate::admin::state::self_test::SelfTest;
use crate::admin::state::telemetry::Telemetry;
use crate::command::reserved::WaitingCommand;
use crate::command::work::{Ticket, Tickets};
use crate::setup::{table, SetupError, TryBox};

/// An admin command that waits for a worker's answer.
#[derive(Debug)]
pub(crate) struct PendingAdmin {
    pub ticket: Ticket,
    pub question: Question,
    pub command: WaitingCommand,
}

/// What admin commands keep.
pub(crate) struct AdminState {
    pub features: Features,
    pub events: AsyncEvents,
    pub error_log: ErrorLog,
    pub self_test: SelfTest,
    pub sanitize: SanitizeStatus,
    pub changed_namespaces: ChangedNamespaces,
    pub lba_status: LbaStatusNews,
    pub reservation_log: ReservationLog,
    pub firmware: Firmware,
    pub telemetry: Telemetry,
    pub persistent_events: PersistentEvents,
    /// CC.CSS when the controller was enabled.
    pub css: u8,
    /// Time of the first pass.
    started_ns: Option<u64>,
    /// Time of the last controller level reset, or else of the first pass.
    reset_at_ns: u64,
    pub unsafe_shutdowns: u64,
    pub power_cycles: u64,
    pub pending: Option<PendingAdmin>,
    pub tickets: Tickets,
    /// Where answers of up to a page are put together: kernel stacks are small.
    pub page: Vec<u8>,
}

impl AdminState {
    /// For a device that was built with this firmware.
    #[inline(never)]
    pub fn new(firmware: Revision) -> Result<TryBox<Self>, SetupError> {
        TryBox::new(Self {
            features: Features::new(),
            events: AsyncEvents::new(),
            error_log: ErrorLog::new()?,
            self_test: SelfTest::new()?,
            sanitize: SanitizeStatus::new(),
            changed_namespaces: ChangedNamespaces::default(),
            lba_status: LbaStatusNews::default(),
            reservation_log: ReservationLog::new()?,
            firmware: Firmware::new(firmware),
            telemetry: Telemetry::new()?,
            persistent_events: PersistentEvents::new()?,
            css: ControllerConfiguration::CSS_NVM,
            started_ns: None,
            reset_at_ns: 0,
            unsafe_shutdowns: 0,
            power_cycles: 1,
            pending: None,
            tickets: Tickets::default(),
            page: table(PAGE_SIZE_BYTES, || 0)?,
        })
    }

    /// The first pass: time begins.
    pub fn start(&mut self, now_ns: u64) {
        if self.started_ns.is_none() {
            self.started_ns = Some(now_ns);
            self.reset_at_ns = now_ns;
            self.features.reset(now_ns);
            self.record_reset(false, now_ns);
        }
    }

    /// How long it has been on at `now_ns`.
    pub fn powered_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.started_ns.unwrap_or(now_ns))
    }

    /// A controller level reset: requests and events are forgotten, features go back to their saved values.
    pub fn reset(&mut self, now_ns: u64) {
        let powered_ns = self.powered_ns(now_ns);
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            features,
            events,
            // Logs and news outlive resets.
            error_log: _,
            self_test,
            sanitize: _,
            changed_namespaces: _,
            lba_status: _,
            reservation_log,
            firmware,
            telemetry: _,
            persistent_events,
            // Set when the controller is enabled.
            css: _,
            started_ns: _,
            reset_at_ns,
            unsafe_shutdowns: _,
            power_cycles: _,
            // Forgotten when the reset began.
            pending: _,
            tickets: _,
            page: _,
        } = self;
        self_test.reset(powered_ns);
        *reset_at_ns = now_ns;
        features.reset(now_ns);
        reservation_log.reset();
        persistent_events.release();
        *events = AsyncEvents::new();
        let has_activated_firmware = firmware.reset();
        self.record_reset(has_activated_firmware, now_ns);
        self.raise_telemetry_notice();
    }

    /// The command that waits for a worker will not be completed.
    pub fn forget_pending(&mut self) {
        self.pending = None;
    }

    /// An NVM subsystem reset is this device's power cycle; without a shutdown before it, an unsafe one.
    pub fn note_subsystem_reset(&mut self, was_shut_down: bool) {
        self.power_cycles += 1;
        self.unsafe_shutdowns += u64::from(!was_shut_down);
    }

    /// The host is to be told of a change of an attached namespace.
    pub fn namespace_has_changed(&mut self, nsid: u32) {
        self.changed_namespaces.add(nsid);
        if self.features.wants_namespace_notices() {
            self.events.namespace_attribute_changed();
        }
    }

    /// Whether a command waits for a worker: the next one has to wait, too.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub fn take_pending(&mut self, ticket: Ticket) -> Option<PendingAdmin> {
        self.pending.take_if(|pending| pending.ticket == ticket)
    }
}

impl AdminState {
    /// Records that `event` has happened.
    pub(crate) fn record<E: PersistentEvent>(&mut self, event: &E, now_ns: u64) {
        let timestamp = self.features.timestamp(now_ns);
        self.persistent_events.add(event, timestamp);
    }

    /// Records that the device was switched on, or reset.
    pub(crate) fn record_reset(&mut self, has_activated_firmware: bool, now_ns: u64) {
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
    pub(crate) fn record_timestamp_change(&mut self, previous: [u8; 8], now_ns: u64) {
        let since_reset_ns = now_ns.saturating_sub(self.reset_at_ns);
        let event = TimestampChangeEvent {
            previous,
            milliseconds_since_reset: (since_reset_ns / NANOSECONDS_PER_MILLISECOND).into(),
        };
        self.record(&event, now_ns);
    }
}

impl AdminState {
    /// There is something to tell of the reservations of a namespace.
    pub fn notify_reservation(&mut self, nsid: u32, notice: ReservationNotice) {
        self.reservation_log.add(nsid, notice);
        self.events.reservation_notification();
    }
}

impl AdminState {
    /// Tells a host that wants to know it that there is a capture of the controller's.
    pub fn raise_telemetry_notice(&mut self) {
        if self.telemetry.is_available() && self.features.wants_telemetry_notices() {
            self.events.telemetry_log_changed();
        }
    }
}
