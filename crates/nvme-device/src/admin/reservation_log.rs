//! The Reservation Notification log (NVMe Base 2.0 §5.16.1.23) and its event.
//!
//! All hosts share the one controller, so this log has what there is to tell any of them, but for what the host did itself.

use alloc::vec::Vec;

use nvme_spec::{ReservationNotice, ReservationNotification, Status, SubmissionQueueEntry};

use super::AdminState;
use crate::controller::Controller;
use crate::device::{table, SetupError};
use crate::namespace::Namespace;

/// Notifications that wait to be read; a further one is lost, which its successor's number tells.
const NOTIFICATIONS_MAX: usize = 64;

/// Notifications that nobody has read yet, oldest first.
pub(crate) struct ReservationLog {
    /// Has room for [`NOTIFICATIONS_MAX`].
    waiting: Vec<ReservationNotification>,
    /// Number of the last one.
    count: u64,
}

impl ReservationLog {
    pub fn new() -> Result<Self, SetupError> {
        let mut waiting = table(NOTIFICATIONS_MAX, ReservationNotification::zeroed)?;
        waiting.clear();
        Ok(Self { waiting, count: 0 })
    }

    /// A controller level reset: the numbers begin anew.
    pub fn reset(&mut self) {
        self.waiting.clear();
        self.count = 0;
    }

    fn add(&mut self, nsid: u32, notice: ReservationNotice) {
        // 0 is the number of no notification.
        self.count = self.count.wrapping_add(1).max(1);
        if self.waiting.len() < NOTIFICATIONS_MAX {
            self.waiting.push(ReservationNotification {
                log_page_count: self.count.into(),
                notice: notice.0,
                nsid: nsid.into(),
                ..ReservationNotification::zeroed()
            });
        }
    }

    /// The log page: the oldest one, or none.
    pub fn oldest(&self) -> ReservationNotification {
        match self.waiting.split_first() {
            Some((oldest, others)) => ReservationNotification {
                more: others.len().min(usize::from(u8::MAX)) as u8,
                ..*oldest
            },
            None => ReservationNotification::zeroed(),
        }
    }

    /// The oldest one has been read.
    pub fn remove_oldest(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.remove(0);
        }
    }
}

impl AdminState {
    /// There is something to tell of the reservations of a namespace.
    pub fn notify_reservation(&mut self, nsid: u32, notice: ReservationNotice) {
        self.reservation_log.add(nsid, notice);
        self.events.reservation_notification();
    }
}

impl Controller {
    /// A host identifies itself.
    pub(super) fn set_reservation_host(&mut self) {
        let host = self.admin.features.host_identifier();
        for namespace in self.lane.io.namespaces.iter_mut() {
            namespace.reservations.set_host(host);
        }
    }

    /// Sets a feature of reservations of the namespace that `entry` names, or of all.
    pub(super) fn configure_reservations(
        &mut self,
        entry: &SubmissionQueueEntry,
        set: impl Fn(&mut Namespace) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let mut namespaces = self.lane.io.namespaces.settable_mut(entry.nsid.get())?;
        namespaces.try_for_each(set)
    }
}
