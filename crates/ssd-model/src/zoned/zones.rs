//! The zones of a namespace: states, write pointers, resources (NVMe ZNS 1.1 §2.1.1.3, §2.1.1.4; random write areas: TP 4076). It knows nothing of time or flash; addresses and lengths are in
//! bytes from a zone's start.

use alloc::vec::Vec;

use nvme_spec::{zone_attributes, Status, ZoneState};
use ssd_profile::{ZoneParameters, ZrwaParameters};

use super::geometry::ZonedGeometry;
use super::opened::OpenedOrder;
use crate::table::table;
use crate::SetupError;

/// A zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its state.
    pub state: ZoneState,
    /// Zone attributes as a zone descriptor has them ([`zone_attributes`]).
    pub attributes: u8,
    /// Write pointer. In a full zone, what it was before.
    pub write_pointer: u64,
    /// How often it was reset with something in it.
    pub resets: u32,
    /// When it became active or full, ns: for recommendations.
    pub since_ns: u64,
}

/// Number of resources of a kind, and how many are taken.
#[derive(Clone, Copy, Debug)]
struct Resource {
    taken: u32,
    max: u32,
}

impl Resource {
    /// `limit` of them; 0: as many as anybody can want.
    fn new(limit: u32) -> Self {
        let max = if limit == 0 { u32::MAX } else { limit };
        Self { taken: 0, max }
    }

    fn is_free(&self, wanted: u32) -> bool {
        self.max - self.taken >= wanted
    }
}

/// All zones.
#[derive(Clone, Debug)]
pub struct Zones {
    zones: Vec<Zone>,
    capacity_bytes: u64,
    open: Resource,
    active: Resource,
    zrwa: Resource,
    zrwa_bytes: u64,
    zrwa_granularity_bytes: u64,
    /// Implicitly opened zones, the one that was opened first in front: the first to be closed when an open resource is wanted. Kept only
    /// where these are limited.
    implicitly_opened: OpenedOrder,
}

impl Zones {
    /// Empty zones, but for those that are read only or offline from the beginning.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(
        geometry: &ZonedGeometry,
        parameters: &ZoneParameters,
        zrwa: &ZrwaParameters,
    ) -> Result<Self, SetupError> {
        let empty = Zone {
            state: ZoneState::Empty,
            attributes: 0,
            write_pointer: 0,
            resets: 0,
            since_ns: 0,
        };
        let mut zones = table(geometry.zones as usize, empty)?;
        let mut from_end = zones.iter_mut().rev();
        for (count, state) in [
            (parameters.offline, ZoneState::Offline),
            (parameters.read_only, ZoneState::ReadOnly),
        ] {
            from_end
                .by_ref()
                .take(count as usize)
                .for_each(|zone| zone.state = state);
        }
        // As many as there are zones is no limit.
        let limit = Some(parameters.open_limit()).filter(|&limit| limit < geometry.zones);
        let limit = limit.unwrap_or(0);
        Ok(Self {
            zones,
            capacity_bytes: geometry.zone_capacity_bytes,
            open: Resource::new(limit),
            active: Resource::new(parameters.max_active),
            zrwa: Resource {
                taken: 0,
                max: zrwa.count,
            },
            zrwa_bytes: zrwa.size_bytes.into(),
            zrwa_granularity_bytes: u64::from(zrwa.granularity_bytes).max(1),
            implicitly_opened: OpenedOrder::new(if limit == 0 { 0 } else { geometry.zones })?,
        })
    }

    /// The zone; nothing if there is none with this number.
    #[inline]
    pub fn get(&self, zone: u32) -> Option<&Zone> {
        self.zones.get(zone as usize)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Zone> {
        self.zones.iter()
    }

    /// Whether zones can have random write areas.
    pub fn has_zrwa(&self) -> bool {
        self.zrwa.max > 0
    }

    /// How many zones are open, and how many are active.
    pub fn open_and_active(&self) -> (u32, u32) {
        (self.open.taken, self.active.taken)
    }

    /// How many zones can be active; nothing: all of them.
    pub fn active_limit(&self) -> Option<u32> {
        Some(self.active.max).filter(|&max| max != u32::MAX)
    }

    /// How many bytes of `zone`, from its start, may have been written since its last reset; what is beyond reads as zeros.
    pub fn readable_bytes(&self, zone: u32) -> u64 {
        let Some(state) = self.get(zone) else { return 0 };
        if state.attributes & zone_attributes::ZRWA_VALID != 0 {
            self.capacity_bytes.min(state.write_pointer + self.zrwa_bytes)
        } else {
            state.write_pointer
        }
    }

    /// Whether `zone`'s state lets it be written at all, before anything else about a write is looked at.
    ///
    /// # Errors
    /// The status that the specification has for the state.
    pub fn check_writable(&self, zone: u32) -> Result<(), Status> {
        match self.get(zone).map(|zone| zone.state) {
            None => Err(Status::LBA_OUT_OF_RANGE),
            Some(ZoneState::Full) => Err(Status::ZONE_IS_FULL),
            Some(ZoneState::ReadOnly) => Err(Status::ZONE_IS_READ_ONLY),
            Some(ZoneState::Offline) => Err(Status::ZONE_IS_OFFLINE),
            Some(_) => Ok(()),
        }
    }

    /// Checks a write of `len_bytes` at `at_bytes` in the order of MODELS.md §6: within the zone, at the write pointer, the zone's state.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_write(&self, zone: u32, at_bytes: u64, len_bytes: u64) -> Result<(), Status> {
        let Some(state) = self.get(zone) else {
            return Err(Status::LBA_OUT_OF_RANGE);
        };
        let end_bytes = at_bytes + len_bytes;
        let is_appended_to_full = state.state == ZoneState::Full && at_bytes == state.write_pointer;
        if end_bytes > self.capacity_bytes && !is_appended_to_full {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        if state.attributes & zone_attributes::ZRWA_VALID != 0 {
            let window = state.write_pointer..=state.write_pointer + 2 * self.zrwa_bytes;
            if !window.contains(&at_bytes) || !window.contains(&end_bytes) {
                return Err(Status::ZONE_INVALID_WRITE);
            }
        } else if at_bytes != state.write_pointer {
            return Err(Status::ZONE_INVALID_WRITE);
        }
        self.check_writable(zone)
    }

    /// Opens `zone` for a write, if it is not open; other zones may be closed for it.
    ///
    /// # Errors
    /// If a resource is lacking; nothing has changed then.
    pub fn open_for_write(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        match self.get(zone).map(|zone| zone.state) {
            Some(ZoneState::ImplicitlyOpened | ZoneState::ExplicitlyOpened) => Ok(()),
            Some(ZoneState::Empty | ZoneState::Closed) => {
                self.take_open_resource(zone, now_ns)?;
                self.enter(zone, ZoneState::ImplicitlyOpened, now_ns);
                Ok(())
            }
            _ => Err(Status::INVALID_ZONE_STATE_TRANSITION),
        }
    }

    /// Moves the write pointer of an open zone past a write that ends at `end_bytes`; the result is the pointer before and after. With a
    /// random write area it moves only if the write went beyond that: by whole granules, so that the write's end is in it.
    pub fn advance(&mut self, zone: u32, end_bytes: u64, now_ns: u64) -> (u64, u64) {
        let (zrwa_bytes, granularity_bytes) = (self.zrwa_bytes, self.zrwa_granularity_bytes);
        let Some(state) = self.zones.get_mut(zone as usize) else {
            return (0, 0);
        };
        let before = state.write_pointer;
        if state.attributes & zone_attributes::ZRWA_VALID == 0 {
            state.write_pointer = end_bytes;
        } else if end_bytes > before + zrwa_bytes {
            let beyond = end_bytes - before - zrwa_bytes;
            state.write_pointer = before + beyond.div_ceil(granularity_bytes) * granularity_bytes;
        }
        let after = state.write_pointer;
        if after == self.capacity_bytes {
            self.enter(zone, ZoneState::Full, now_ns);
        }
        (before, after)
    }

    /// Opens `zone` explicitly, with a random write area if `with_zrwa`.
    ///
    /// # Errors
    /// If the state has no such transition or a resource is lacking; nothing has changed then.
    pub fn open(&mut self, zone: u32, with_zrwa: bool, now_ns: u64) -> Result<(), Status> {
        let Some(&state) = self.get(zone) else {
            return Err(Status::LBA_OUT_OF_RANGE);
        };
        if !matches!(state.state, ZoneState::Empty) && !state.state.is_active() {
            return Err(Status::INVALID_ZONE_STATE_TRANSITION);
        }
        let has_zrwa = state.attributes & zone_attributes::ZRWA_VALID != 0;
        if with_zrwa && !has_zrwa {
            self.check_zrwa(zone)?;
        }
        if !state.state.is_open() {
            self.take_open_resource(zone, now_ns)?;
        }
        self.enter(zone, ZoneState::ExplicitlyOpened, now_ns);
        if with_zrwa && !has_zrwa {
            self.give_zrwa(zone);
        }
        Ok(())
    }

    /// Closes `zone`.
    ///
    /// # Errors
    /// If the state has no such transition.
    pub fn close(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        self.change(zone, ZoneState::Closed, ZoneState::is_active, now_ns)?;
        Ok(())
    }

    /// Finishes `zone`.
    ///
    /// # Errors
    /// If the state has no such transition.
    pub fn finish(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        let can_finish = |state: ZoneState| state.is_active() || state == ZoneState::Empty;
        self.change(zone, ZoneState::Full, can_finish, now_ns)?;
        Ok(())
    }

    /// Resets `zone`.
    ///
    /// # Errors
    /// If the state has no such transition.
    pub fn reset(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        let can_reset = |state: ZoneState| state.is_active() || state == ZoneState::Full;
        let has_changed = self.change(zone, ZoneState::Empty, can_reset, now_ns)?;
        if let Some(zone) = self.zones.get_mut(zone as usize).filter(|_| has_changed) {
            zone.write_pointer = 0;
            zone.resets = zone.resets.saturating_add(1);
        }
        Ok(())
    }

    /// Takes `zone`, which is read only, offline.
    ///
    /// # Errors
    /// If the state has no such transition.
    pub fn offline(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        let is_read_only = |state| state == ZoneState::ReadOnly;
        self.change(zone, ZoneState::Offline, is_read_only, now_ns)?;
        Ok(())
    }

    /// Brings `zone` from a state that `can_change` into `to`; whether it was in another one.
    ///
    /// # Errors
    /// If the state has no such transition.
    fn change(
        &mut self,
        zone: u32,
        to: ZoneState,
        can_change: impl Fn(ZoneState) -> bool,
        now_ns: u64,
    ) -> Result<bool, Status> {
        match self.get(zone).map(|zone| zone.state) {
            None => Err(Status::LBA_OUT_OF_RANGE),
            Some(state) if state == to => Ok(false),
            Some(state) if can_change(state) => {
                self.enter(zone, to, now_ns);
                Ok(true)
            }
            Some(_) => Err(Status::INVALID_ZONE_STATE_TRANSITION),
        }
    }

    /// `zone`, which is empty, gets a descriptor extension, and with it a random write area if `with_zrwa`; thereby it becomes closed.
    ///
    /// # Errors
    /// If the state has no such transition, or a resource is lacking; nothing has changed then.
    pub fn set_extension(&mut self, zone: u32, with_zrwa: bool, now_ns: u64) -> Result<(), Status> {
        match self.get(zone).map(|zone| zone.state) {
            None => Err(Status::LBA_OUT_OF_RANGE),
            Some(ZoneState::Empty) => {
                if with_zrwa {
                    self.check_zrwa(zone)?;
                }
                if !self.active.is_free(1) {
                    return Err(Status::TOO_MANY_ACTIVE_ZONES);
                }
                self.enter(zone, ZoneState::Closed, now_ns);
                self.set_attributes(zone, zone_attributes::DESCRIPTOR_EXTENSION_VALID);
                if with_zrwa {
                    self.give_zrwa(zone);
                }
                Ok(())
            }
            Some(_) => Err(Status::INVALID_ZONE_STATE_TRANSITION),
        }
    }

    /// Open zones become closed, or empty if nothing was written to them and nothing else is known of them.
    pub(super) fn power_cycle(&mut self, now_ns: u64) {
        for number in 0..self.zones.len() as u32 {
            let Some(&zone) = self.get(number) else { break };
            // What is in a random write area stays, and with it the area.
            let kept = zone_attributes::DESCRIPTOR_EXTENSION_VALID | zone_attributes::ZRWA_VALID;
            if zone.state.is_active() && zone.write_pointer == 0 && zone.attributes & kept == 0 {
                self.enter(number, ZoneState::Empty, now_ns);
            } else if zone.state.is_open() {
                self.enter(number, ZoneState::Closed, now_ns);
            }
        }
    }

    /// Whether `zone` can get a random write area. As QEMU does, one that has been written to can, at the beginning of a granule.
    fn check_zrwa(&self, zone: u32) -> Result<(), Status> {
        if !self.has_zrwa() {
            return Err(Status::INVALID_ZONE_OPERATION_REQUEST);
        }
        let write_pointer = self.get(zone).map_or(0, |zone| zone.write_pointer);
        if !self.zrwa.is_free(1) || write_pointer % self.zrwa_granularity_bytes != 0 {
            return Err(Status::ZRWA_RESOURCES_UNAVAILABLE);
        }
        Ok(())
    }

    fn give_zrwa(&mut self, zone: u32) {
        self.zrwa.taken += 1;
        self.set_attributes(zone, zone_attributes::ZRWA_VALID);
    }

    /// Flushes the random write area of `zone` up to `end_bytes`; the result is the write pointer before and after.
    ///
    /// # Errors
    /// If there is no such area, the range is not in it or not whole granules, or no open resource is free.
    pub fn flush_zrwa(&mut self, zone: u32, end_bytes: u64, now_ns: u64) -> Result<(u64, u64), Status> {
        if !self.has_zrwa() {
            return Err(Status::INVALID_ZONE_OPERATION_REQUEST);
        }
        let Some(&state) = self.get(zone) else {
            return Err(Status::LBA_OUT_OF_RANGE);
        };
        if state.attributes & zone_attributes::ZRWA_VALID == 0 {
            return Err(Status::INVALID_ZONE_OPERATION_REQUEST);
        }
        let before = state.write_pointer;
        let last = self.capacity_bytes.min(before + self.zrwa_bytes);
        if end_bytes <= before || end_bytes > last {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        if (end_bytes - before) % self.zrwa_granularity_bytes != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        self.open_for_write(zone, now_ns)?;
        if let Some(zone) = self.zones.get_mut(zone as usize) {
            zone.write_pointer = end_bytes;
        }
        if end_bytes == self.capacity_bytes {
            self.enter(zone, ZoneState::Full, now_ns);
        }
        Ok((before, end_bytes))
    }

    /// Whether all closed zones can be opened at once.
    ///
    /// # Errors
    /// If open resources are lacking.
    pub fn can_open_all(&self) -> Result<(), Status> {
        let closed = self.zones.iter().filter(|zone| zone.state == ZoneState::Closed);
        if self.open.is_free(closed.count() as u32) {
            Ok(())
        } else {
            Err(Status::TOO_MANY_OPEN_ZONES)
        }
    }

    /// Sets attributes of `zone`; whether that changed anything.
    pub fn set_attributes(&mut self, zone: u32, attributes: u8) -> bool {
        let Some(zone) = self.zones.get_mut(zone as usize) else {
            return false;
        };
        let before = zone.attributes;
        zone.attributes |= attributes;
        zone.attributes != before
    }

    /// Makes sure of the resources that `zone` needs to be opened, closing the zone that was implicitly opened first if that helps.
    fn take_open_resource(&mut self, zone: u32, now_ns: u64) -> Result<(), Status> {
        let needs_active = self.get(zone).is_some_and(|zone| !zone.state.is_active());
        if needs_active && !self.active.is_free(1) {
            return Err(Status::TOO_MANY_ACTIVE_ZONES);
        }
        if !self.open.is_free(1) {
            let Some(oldest) = self.implicitly_opened.first() else {
                return Err(Status::TOO_MANY_OPEN_ZONES);
            };
            self.enter(oldest, ZoneState::Closed, now_ns);
        }
        Ok(())
    }

    /// The one place where a state changes: resources and attributes follow. The caller has made sure of the resources.
    fn enter(&mut self, number: u32, state: ZoneState, now_ns: u64) {
        let Some(zone) = self.zones.get_mut(number as usize) else {
            return;
        };
        let before = core::mem::replace(&mut zone.state, state);
        let kind = |state: ZoneState| (state.is_active(), state == ZoneState::Full);
        if kind(before) != kind(state) {
            zone.since_ns = now_ns;
            // What was recommended was done, or has no meaning any more.
            zone.attributes &= !(zone_attributes::FINISH_RECOMMENDED | zone_attributes::RESET_RECOMMENDED);
        }
        if !state.is_active() && zone.attributes & zone_attributes::ZRWA_VALID != 0 {
            if state == ZoneState::Full {
                // What was written to the area stays.
                zone.write_pointer = self.capacity_bytes.min(zone.write_pointer + self.zrwa_bytes);
            }
            zone.attributes &= !zone_attributes::ZRWA_VALID;
            self.zrwa.taken -= 1;
        }
        if matches!(state, ZoneState::Empty | ZoneState::Offline) {
            zone.attributes &= !zone_attributes::DESCRIPTOR_EXTENSION_VALID;
        }
        self.open.taken = self.open.taken + u32::from(state.is_open()) - u32::from(before.is_open());
        self.active.taken = self.active.taken + u32::from(state.is_active()) - u32::from(before.is_active());
        if before == ZoneState::ImplicitlyOpened && state != before {
            self.implicitly_opened.remove(number);
        }
        if state == ZoneState::ImplicitlyOpened && before != state {
            self.implicitly_opened.push(number);
        }
    }

    /// Bytes of the tables.
    pub(super) fn metadata_bytes(&self) -> u64 {
        size_of_val(self.zones.as_slice()) as u64 + self.implicitly_opened.metadata_bytes()
    }
}
