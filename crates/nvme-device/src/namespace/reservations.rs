//! Reservations of a namespace (NVMe Base 2.0 §8.19): who is registered, who holds what, and who may do what.
//!
//! There is one controller. Hosts are told apart by the feature Host Identifier, and the host that a command comes from is the one that the
//! controller has now. What that host may not do is worked out whenever something changes, so a command pays for a comparison with zero.

use alloc::vec::Vec;

use nvme_spec::{
    AcquireAction, RegisterAction, ReleaseAction, ReservationKeys, ReservationNotice, ReservationType,
    Status, RESERVATION_STATUS_EXTENDED_BYTES,
};

use crate::command::table::{io_command, Effect};
use crate::setup::{table, SetupError};

/// A host identifier; one of 64 bits has zeros behind it.
pub(crate) type HostIdentifier = [u8; 16];

/// Hosts registered with a namespace at once: a page has room for the report about all of them.
const REGISTRANTS_MAX: usize = (nvme_spec::PAGE_SIZE_BYTES - RESERVATION_STATUS_EXTENDED_BYTES) / 64;

/// What a command wants that others can be kept from.
const READS: u8 = 1 << 0;
const WRITES: u8 = 1 << 1;

/// A registered host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registrant {
    pub host: HostIdentifier,
    pub key: u64,
}

/// The reservation that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub kind: ReservationType,
    /// Who acquired it: the holder, unless all registrants are.
    holder: HostIdentifier,
}

/// What the other hosts are to be told of: a bit for each [`ReservationNotice`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notices(u8);

impl Notices {
    const NONE: Self = Self(0);

    fn of(notice: ReservationNotice, is_due: bool) -> Self {
        Self(u8::from(is_due) << notice.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that there are.
    pub fn iter(self) -> impl Iterator<Item = ReservationNotice> {
        let all = [
            ReservationNotice::REGISTRATION_PREEMPTED,
            ReservationNotice::RESERVATION_RELEASED,
            ReservationNotice::RESERVATION_PREEMPTED,
        ];
        all.into_iter().filter(move |notice| self.0 & 1 << notice.0 != 0)
    }
}

/// Bits of the feature Reservation Notification Mask.
const NOTICES_MASK: u32 = 0b1110;

/// The reservations of a namespace.
pub(crate) struct Reservations {
    /// Has room for [`REGISTRANTS_MAX`].
    pub registrants: Vec<Registrant>,
    pub held: Option<Held>,
    pub generation: u32,
    /// PTPLS: kept over a power cycle.
    pub persists: bool,
    /// The feature Reservation Notification Mask.
    masked: u32,
    /// The host that the controller has now, and what it may not do.
    host: HostIdentifier,
    denied: u8,
}

impl Reservations {
    pub fn new() -> Result<Self, SetupError> {
        let mut registrants = table(REGISTRANTS_MAX, || Registrant {
            host: [0; 16],
            key: 0,
        })?;
        registrants.clear();
        Ok(Self {
            registrants,
            held: None,
            generation: 0,
            persists: false,
            masked: 0,
            host: [0; 16],
            denied: 0,
        })
    }

    /// Whether the host may do what the I/O command with this opcode does.
    ///
    /// # Errors
    /// If the reservation of another host is in the way.
    #[inline]
    pub fn check(&self, opcode: u8) -> Result<(), Status> {
        if self.denied == 0 {
            return Ok(());
        }
        if self.denied & wanted(opcode) != 0 {
            return Err(Status::RESERVATION_CONFLICT);
        }
        Ok(())
    }

    /// Whether no reservation is in the way of anything.
    pub fn allow_everything(&self) -> bool {
        self.denied == 0
    }

    /// The controller has this host now.
    pub fn set_host(&mut self, host: HostIdentifier) {
        self.host = host;
        self.update();
    }

    /// A controller level reset: the host is to identify itself anew. One without an identifier is not the same host afterwards, and nobody else's
    /// registrations go, unless there was no power and they do not persist.
    pub fn reset(&mut self, is_power_cycle: bool) {
        if is_power_cycle && !self.persists {
            self.registrants.clear();
            self.held = None;
            self.generation = 0;
        }
        self.masked = 0;
        let _: Notices = self.remove(&[0; 16]);
        self.set_host([0; 16]);
    }

    /// The feature Reservation Persistence.
    pub fn persists(&self) -> bool {
        self.persists
    }

    /// Sets the feature Reservation Persistence.
    pub fn set_persistence(&mut self, persists: bool) {
        self.persists = persists;
    }

    /// The feature Reservation Notification Mask.
    pub fn masked(&self) -> u32 {
        self.masked
    }

    /// Sets the feature Reservation Notification Mask.
    ///
    /// # Errors
    /// If a bit is set that has no meaning; nothing has changed then.
    pub fn set_masked(&mut self, masked: u32) -> Result<(), Status> {
        if masked & !NOTICES_MASK != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        self.masked = masked;
        Ok(())
    }

    fn find(&self, host: &HostIdentifier) -> Option<&Registrant> {
        self.registrants
            .iter()
            .find(|registrant| registrant.host == *host)
    }

    /// Whether the host is registered with this key.
    fn check_key(&self, key: u64) -> Result<(), Status> {
        match self.find(&self.host) {
            Some(registrant) if registrant.key == key => Ok(()),
            _ => Err(Status::RESERVATION_CONFLICT),
        }
    }

    pub fn is_held_by(&self, host: &HostIdentifier) -> bool {
        self.held.is_some_and(|held| {
            if held.kind.is_held_by_all_registrants() {
                self.find(host).is_some()
            } else {
                held.holder == *host
            }
        })
    }

    fn update(&mut self) {
        self.denied = match self.held {
            None => 0,
            Some(held) if held.kind.is_shared_by_registrants() && self.find(&self.host).is_some() => 0,
            Some(_) if self.is_held_by(&self.host) => 0,
            Some(held) if held.kind.excludes_reads() => READS | WRITES,
            Some(_) => WRITES,
        };
    }

    /// Whether other hosts are registered.
    fn has_others(&self) -> bool {
        self.registrants
            .iter()
            .any(|registrant| registrant.host != self.host)
    }

    /// Takes what the mask leaves of `notices`, after a change.
    fn changed(&mut self, notices: Notices) -> Notices {
        self.update();
        Notices(notices.0 & !(self.masked as u8))
    }

    /// Reservation Register (§8.19.3). With `ignores_key` the host need not know its key.
    ///
    /// # Errors
    /// The command's status; nothing has changed then.
    pub fn register(
        &mut self,
        action: RegisterAction,
        ignores_key: bool,
        keys: &ReservationKeys,
    ) -> Result<Notices, Status> {
        let (host, key) = (self.host, keys.other.get());
        let present = self.find(&host).map(|registrant| registrant.key);
        let knows_key = present.is_some_and(|present| ignores_key || present == keys.current.get());
        let mut notices = Notices::NONE;
        match action {
            RegisterAction::REGISTER => match present {
                Some(present) if present == key => {}
                Some(_) => return Err(Status::RESERVATION_CONFLICT),
                // There is no status for this (and 63 other hosts).
                None if self.registrants.len() >= REGISTRANTS_MAX => return Err(Status::INTERNAL_ERROR),
                None => self.registrants.push(Registrant { host, key }),
            },
            RegisterAction::UNREGISTER | RegisterAction::REPLACE if !knows_key => {
                return Err(Status::RESERVATION_CONFLICT);
            }
            RegisterAction::UNREGISTER => notices = self.remove(&host),
            RegisterAction::REPLACE => {
                let mut registrants = self.registrants.iter_mut();
                if let Some(registrant) = registrants.find(|registrant| registrant.host == host) {
                    registrant.key = key;
                }
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(self.changed(notices))
    }

    /// Takes the registration of `host` back, and with it a reservation that it alone holds.
    fn remove(&mut self, host: &HostIdentifier) -> Notices {
        self.registrants.retain(|registrant| registrant.host != *host);
        let Some(held) = self.held else {
            return Notices::NONE;
        };
        let is_last = self.registrants.is_empty();
        let is_holder = !held.kind.is_held_by_all_registrants() && held.holder == *host;
        if !is_last && !is_holder {
            return Notices::NONE;
        }
        self.held = None;
        Notices::of(
            ReservationNotice::RESERVATION_RELEASED,
            held.kind.is_shared_by_registrants() && !is_last,
        )
    }

    /// Reservation Acquire (§8.19.5 and §8.19.7). The commands under way are the host's own, as the controller has no other: there is nothing to
    /// abort when it preempts.
    ///
    /// # Errors
    /// The command's status; nothing has changed then.
    pub fn acquire(
        &mut self,
        action: AcquireAction,
        kind: ReservationType,
        keys: &ReservationKeys,
    ) -> Result<Notices, Status> {
        if !kind.is_known() || action.0 > AcquireAction::PREEMPT_AND_ABORT.0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        self.check_key(keys.current.get())?;
        let notices = match (action, self.held) {
            (AcquireAction::ACQUIRE, None) => {
                self.hold(kind);
                Notices::NONE
            }
            (AcquireAction::ACQUIRE, Some(held)) => {
                if held.kind != kind || !self.is_held_by(&self.host) {
                    return Err(Status::RESERVATION_CONFLICT);
                }
                Notices::NONE
            }
            _ => {
                let notices = self.preempt(kind, keys.other.get())?;
                self.generation = self.generation.wrapping_add(1);
                notices
            }
        };
        Ok(self.changed(notices))
    }

    fn hold(&mut self, kind: ReservationType) {
        self.held = Some(Held {
            kind,
            holder: self.host,
        });
    }

    fn preempt(&mut self, kind: ReservationType, key: u64) -> Result<Notices, Status> {
        let before = self.registrants.len();
        let host = self.host;
        if let Some(held) = self.held.filter(|held| self.is_of_holder(held, key)) {
            let takes_all = held.kind.is_held_by_all_registrants();
            self.registrants
                .retain(|registrant| registrant.host == host || !(takes_all || registrant.key == key));
            self.hold(kind);
            let is_changed = held.kind != kind && held.kind.is_shared_by_registrants() && self.has_others();
            let others_went = self.registrants.len() < before;
            return Ok(
                Notices::of(ReservationNotice::REGISTRATION_PREEMPTED, others_went)
                    .and(Notices::of(ReservationNotice::RESERVATION_RELEASED, is_changed)),
            );
        }
        if key == 0 && self.held.is_some() {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let is_own = self.check_key(key).is_ok();
        self.registrants.retain(|registrant| registrant.key != key);
        let went = before - self.registrants.len();
        if went == 0 {
            return Err(Status::RESERVATION_CONFLICT);
        }
        if self.registrants.is_empty() {
            self.held = None;
        }
        Ok(Notices::of(
            ReservationNotice::REGISTRATION_PREEMPTED,
            went > usize::from(is_own),
        ))
    }

    /// Whether who preempts `key` takes the reservation over.
    fn is_of_holder(&self, held: &Held, key: u64) -> bool {
        if held.kind.is_held_by_all_registrants() {
            return key == 0;
        }
        self.find(&held.holder).is_some_and(|holder| holder.key == key)
    }

    /// Reservation Release (§8.19.6 and §8.19.8).
    ///
    /// # Errors
    /// The command's status; nothing has changed then.
    pub fn release(
        &mut self,
        action: ReleaseAction,
        kind: ReservationType,
        key: u64,
    ) -> Result<Notices, Status> {
        if action.0 > ReleaseAction::CLEAR.0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        self.check_key(key)?;
        let has_others = self.has_others();
        let notices = match self.held {
            _ if action == ReleaseAction::CLEAR => {
                self.registrants.clear();
                self.held = None;
                self.generation = self.generation.wrapping_add(1);
                Notices::of(ReservationNotice::RESERVATION_PREEMPTED, has_others)
            }
            Some(held) if self.is_held_by(&self.host) => {
                if held.kind != kind {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                self.held = None;
                Notices::of(
                    ReservationNotice::RESERVATION_RELEASED,
                    held.kind.is_shared_by_registrants() && has_others,
                )
            }
            // Nothing that the host could release: nothing happens.
            _ => Notices::NONE,
        };
        Ok(self.changed(notices))
    }
}

/// What a reservation has to allow for this opcode.
fn wanted(opcode: u8) -> u8 {
    match io_command(opcode).effect {
        Effect::None => 0,
        Effect::Reads => READS,
        Effect::Writes | Effect::Flushes => WRITES,
    }
}
