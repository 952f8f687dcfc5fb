//! A zoned SSD (MODELS.md §6): zones that are written from beginning to end, laid out on flash by formula, without a mapping.
//!
//! How it is built: `geometry` (where things are), `zones` (states, write pointers, resources: the specification's state machine, without
//! time), and here the timing and what joins them. Addresses are bytes of the namespace.
//!
//! Not modelled: erase and program failures, wear (zones that are read only or offline are so from the beginning, if the profile says so),
//! the flash behind a random write area (a write there takes the time of the buffer; the flash is programmed as the write pointer moves).

mod geometry;
mod opened;
mod recommendations;
#[cfg(test)]
mod tests;
mod zones;

pub use geometry::{ZonedGeometry, PAGE_BYTES};
pub use zones::{Zone, Zones};

use alloc::vec::Vec;

use nvme_spec::{zone_attributes, Status, ZoneState};
use ssd_profile::{FirmwareTimes, WriteBufferScope, ZonedParameters};

use crate::link::Link;
use crate::nand::Nand;
use crate::table::table;
use crate::write_buffer::{no_room, WriteBuffer};
use crate::{
    Accepted, Command, EraseCounts, FlashReport, FlashStatistics, Model, Refusal, SetupError, ZoneAction,
    ZoneCounts,
};
use recommendations::Recommendations;

/// The model of MODELS.md §6.
#[derive(Clone, Debug)]
pub struct ZonedModel {
    geometry: ZonedGeometry,
    zones: Zones,
    nand: Nand,
    link: Link,
    write_buffer: WriteBuffer,
    buffer_scope: WriteBufferScope,
    /// For each zone, what its unfinished one-shot page holds of the buffer, bytes.
    held_bytes: Vec<u32>,
    firmware: FirmwareTimes,
    early_completion: bool,
    write_unit_bytes: u32,
    /// What writes have to be multiples of, bytes: that unit in the reference, else it is a hint.
    required_unit_bytes: u32,
    reads_across_zones: bool,
    /// A read that must not go across a boundary takes the time that it would take if it might, as in the reference.
    failed_reads_take_time: bool,
    recommendations: Recommendations,
    counters: Counters,
}

/// What the drive counts, beside what its parts do.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    host_read_bytes: u64,
    host_written_bytes: u64,
    host_pages: u64,
}

impl ZonedModel {
    /// A drive of `capacity_bytes` whose zones are empty.
    ///
    /// # Errors
    /// [`SetupError`] when the capacity has no room for a zone, or memory is lacking. The parameters are to be those of a checked profile.
    pub fn new(parameters: &ZonedParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        let geometry = ZonedGeometry::new(parameters, capacity_bytes)?;
        let quirks = parameters.reference_quirks;
        let pools = match parameters.write_buffer.scope {
            WriteBufferScope::Shared => 1,
            WriteBufferScope::PerZone => geometry.zones,
        };
        Ok(Self {
            zones: Zones::new(&geometry, &parameters.zone, &parameters.zrwa)?,
            nand: Nand::new(&parameters.nand, quirks)?,
            link: Link::new(parameters.link.mib_per_s, 0, quirks)?,
            write_buffer: WriteBuffer::with_pools(parameters.write_buffer.size_bytes, pools)?,
            buffer_scope: parameters.write_buffer.scope,
            held_bytes: table(geometry.zones as usize, 0)?,
            geometry,
            firmware: parameters.firmware,
            early_completion: parameters.write_buffer.early_completion,
            write_unit_bytes: parameters.zone.write_unit_bytes.max(1),
            required_unit_bytes: match quirks {
                true => parameters.zone.write_unit_bytes.max(1),
                false => 1,
            },
            reads_across_zones: parameters.zone.reads_across_zones,
            failed_reads_take_time: quirks,
            recommendations: Recommendations::new(parameters),
            counters: Counters::default(),
        })
    }

    /// How the drive is laid out.
    pub fn geometry(&self) -> &ZonedGeometry {
        &self.geometry
    }

    /// The zones.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// What writes are best multiples of, bytes; in the reference, what they must be multiples of.
    pub fn write_unit_bytes(&self) -> u32 {
        self.write_unit_bytes
    }

    /// The flash array, for how busy its parts are.
    pub fn nand(&self) -> &Nand {
        &self.nand
    }

    /// For how long data was on the link to the host, ns.
    pub fn link_busy_ns(&self) -> u64 {
        self.link.busy_ns()
    }

    /// Gives zones the recommendations that are due, and tells `each` of those that did not have them. Returns when to ask again, ns; nothing
    /// if the profile has no recommendations or no zone waits for one.
    pub fn recommend(&mut self, now_ns: u64, mut each: impl FnMut(u32)) -> Option<u64> {
        if now_ns >= self.recommendations.due_ns {
            let mut due_ns = u64::MAX;
            for number in 0..self.geometry.zones {
                let Some(zone) = self.zones.get(number) else { break };
                match self.recommendations.for_zone(zone) {
                    Some((_, from_ns)) if from_ns > now_ns => due_ns = due_ns.min(from_ns),
                    Some((attribute, _)) if self.zones.set_attributes(number, attribute) => each(number),
                    _ => {}
                }
            }
            self.recommendations.due_ns = due_ns;
        }
        (self.recommendations.due_ns != u64::MAX).then_some(self.recommendations.due_ns)
    }

    /// What the drive did so far. Looks at every zone: not for the path of an I/O.
    pub fn report(&self) -> FlashReport {
        let (nand_read_bytes, nand_programmed_bytes) = self.nand.bytes();
        let mut zones = ZoneCounts::default();
        let mut resets = EraseCounts {
            min: u32::MAX,
            ..EraseCounts::default()
        };
        let mut written_bytes = 0;
        for zone in self.zones.iter() {
            *zones.of(zone.state) += 1;
            written_bytes += zone.write_pointer;
            resets.min = resets.min.min(zone.resets);
            resets.max = resets.max.max(zone.resets);
            resets.mean_milli += u64::from(zone.resets) * 1000;
        }
        resets.mean_milli /= u64::from(self.geometry.zones);
        FlashReport {
            statistics: FlashStatistics {
                host_read_bytes: self.counters.host_read_bytes,
                host_written_bytes: self.counters.host_written_bytes,
                host_pages: self.counters.host_pages,
                nand_read_bytes,
                nand_programmed_bytes,
                buffer_stalls: self.write_buffer.stalls(),
                ..FlashStatistics::default()
            },
            zones,
            erases: resets,
            mapped_pages: written_bytes.div_ceil(PAGE_BYTES),
            logical_pages: self.geometry.capacity_bytes() / PAGE_BYTES,
            physical_pages: self.geometry.capacity_bytes() / PAGE_BYTES,
            buffered_bytes: self.write_buffer.used_bytes(),
            buffer_bytes: self.write_buffer.size_bytes(),
            metadata_bytes: self.zones.metadata_bytes()
                + self.nand.metadata_bytes()
                + self.link.metadata_bytes()
                + self.write_buffer.metadata_bytes()
                + size_of_val(self.held_bytes.as_slice()) as u64,
            ..FlashReport::default()
        }
    }

    /// Counts anew; how often zones were reset stays.
    pub fn reset_statistics(&mut self) {
        self.counters = Counters::default();
        self.nand.reset_statistics();
        self.link.reset_busy();
        self.write_buffer.reset_statistics();
    }

    fn pool(&self, zone: u32) -> u32 {
        match self.buffer_scope {
            WriteBufferScope::Shared => 0,
            WriteBufferScope::PerZone => zone,
        }
    }

    /// The first and the last zone of a range that is not empty, none of which may be offline.
    fn check_online(&self, offset_bytes: u64, len_bytes: u64) -> Result<(u32, u32), Status> {
        let last_byte = offset_bytes.saturating_add(len_bytes.saturating_sub(1));
        let zone_of = |at| self.geometry.locate(at).map(|(zone, _)| zone);
        let (Some(first), Some(last)) = (zone_of(offset_bytes), zone_of(last_byte)) else {
            return Err(Status::LBA_OUT_OF_RANGE);
        };
        for zone in first..=last {
            if self
                .zones
                .get(zone)
                .is_some_and(|zone| zone.state == ZoneState::Offline)
            {
                return Err(Status::ZONE_IS_OFFLINE);
            }
        }
        Ok((first, last))
    }

    /// The drive's power goes and comes: open zones become closed, or empty if nothing is in them (ZNS 1.1 §2.1.1.3).
    pub fn power_cycle(&mut self, now_ns: u64) {
        self.zones.power_cycle(now_ns);
        self.recommendations.note_change(now_ns);
    }

    /// Whether the zones let `len_bytes` from `offset_bytes` be read. Takes no time.
    ///
    /// # Errors
    /// The status of a read that they do not let be.
    pub fn check_read(&self, offset_bytes: u64, len_bytes: u32) -> Result<(), Status> {
        let (first, last) = self.check_online(offset_bytes, len_bytes.into())?;
        if first != last && !self.reads_across_zones {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        Ok(())
    }

    /// Whether the zones let `len_bytes` be written at `offset_bytes`, however many commands that takes. Takes no time.
    ///
    /// # Errors
    /// The status of a write that they do not let be.
    pub fn check_write(&self, offset_bytes: u64, len_bytes: u32) -> Result<(), Status> {
        let (zone, in_zone) = self
            .geometry
            .locate(offset_bytes)
            .ok_or(Status::LBA_OUT_OF_RANGE)?;
        self.zones.check_writable(zone)?;
        if len_bytes % self.required_unit_bytes != 0 {
            return Err(Status::ZONE_INVALID_WRITE);
        }
        self.zones.check_write(zone, in_zone, len_bytes.into())
    }

    fn read(&mut self, now_ns: u64, offset_bytes: u64, len_bytes: u32) -> Result<u64, Refusal> {
        if len_bytes == 0 {
            return Ok(now_ns);
        }
        let end_bytes = offset_bytes.saturating_add(len_bytes.into());
        let (first, last) = self
            .check_online(offset_bytes, len_bytes.into())
            .map_err(Refusal::Failed)?;
        let is_refused = first != last && !self.reads_across_zones;
        if is_refused && !self.failed_reads_take_time {
            return Err(Refusal::Failed(Status::ZONE_BOUNDARY_ERROR));
        }
        let start_ns = now_ns.saturating_add(self.firmware.of_read(len_bytes));
        let mut at_controller_ns = start_ns;
        // Flash gives whole pages.
        let mut at = offset_bytes / PAGE_BYTES * PAGE_BYTES;
        let end_bytes = end_bytes.div_ceil(PAGE_BYTES) * PAGE_BYTES;
        while at < end_bytes {
            let Some((zone, in_zone)) = self.geometry.locate(at) else {
                break;
            };
            let flash_page_end =
                in_zone - in_zone % self.geometry.flash_page_bytes + self.geometry.flash_page_bytes;
            let stretch = (flash_page_end.min(self.geometry.zone_bytes) - in_zone).min(end_bytes - at);
            let (channel, lun) = self.geometry.lun(zone, in_zone);
            let flash_page = in_zone % self.geometry.oneshot_page_bytes / self.geometry.flash_page_bytes;
            let lun = self.nand.lun(channel, lun);
            let read_ns = self
                .nand
                .read(now_ns, start_ns, lun, flash_page as u32, stretch as u32, None);
            at_controller_ns = at_controller_ns.max(read_ns);
            at += stretch;
        }
        let done_at_ns = self.link.request(now_ns, at_controller_ns, len_bytes);
        if is_refused {
            return Err(Refusal::FailedLate {
                status: Status::ZONE_BOUNDARY_ERROR,
                done_at_ns,
            });
        }
        self.counters.host_read_bytes += u64::from(len_bytes);
        Ok(done_at_ns)
    }

    /// Writes `write`; the result is when that is done, and the byte where it went.
    fn write(&mut self, now_ns: u64, write: Write) -> Result<Accepted, Refusal> {
        let failed = Refusal::Failed;
        let Write {
            offset_bytes,
            len_bytes,
            fua,
            has_data,
            is_append,
        } = write;
        let (number, in_zone) = self
            .geometry
            .locate(offset_bytes)
            .ok_or(failed(Status::LBA_OUT_OF_RANGE))?;
        let zone = *self.zones.get(number).ok_or(failed(Status::LBA_OUT_OF_RANGE))?;
        let has_zrwa = zone.attributes & zone_attributes::ZRWA_VALID != 0;
        let pool = self.pool(number);
        // A random write area has memory of its own.
        if !has_zrwa {
            if u64::from(len_bytes) > self.write_buffer.pool_bytes() {
                return Err(failed(Status::INVALID_FIELD_IN_COMMAND));
            }
            self.write_buffer
                .has_room(now_ns, pool, len_bytes.into())
                .map_err(no_room)?;
        }
        if len_bytes % self.required_unit_bytes != 0 {
            return Err(failed(Status::ZONE_INVALID_WRITE));
        }
        if is_append && has_zrwa {
            return Err(failed(Status::INVALID_ZONE_OPERATION_REQUEST));
        }
        let at_bytes = if is_append { zone.write_pointer } else { in_zone };
        let end_bytes = at_bytes + u64::from(len_bytes);
        self.zones
            .check_write(number, at_bytes, len_bytes.into())
            .map_err(failed)?;
        self.zones.open_for_write(number, now_ns).map_err(failed)?;
        self.recommendations.note_change(now_ns);

        let admitted_ns = now_ns.saturating_add(self.firmware.of_write(len_bytes));
        let buffered_ns = if has_data {
            self.link.request(now_ns, admitted_ns, len_bytes)
        } else {
            admitted_ns
        };
        if !has_zrwa {
            self.write_buffer.take_bytes(pool, len_bytes.into());
        }
        let (before, after) = self.zones.advance(number, end_bytes, now_ns);
        let on_flash_ns = self.program(now_ns, buffered_ns, number, before..after, !has_zrwa);
        self.counters.host_written_bytes += u64::from(len_bytes);
        self.counters.host_pages += u64::from(len_bytes).div_ceil(PAGE_BYTES);
        let waits_for_flash = fua || !self.early_completion;
        Ok(Accepted {
            done_at_ns: if waits_for_flash {
                on_flash_ns.max(buffered_ns)
            } else {
                buffered_ns
            },
            result: self.geometry.zone_start(number) + at_bytes,
        })
    }

    /// Puts the bytes `range` of `zone`, which are in the controller at `start_ns`, onto flash: each one-shot page when the last of its bytes comes, and the zone's last
    /// one though it may not be whole. What the bytes hold of the buffer, if they do, is given back then. The result is when the last of these is programmed.
    fn program(
        &mut self,
        now_ns: u64,
        start_ns: u64,
        zone: u32,
        range: core::ops::Range<u64>,
        holds_buffer: bool,
    ) -> u64 {
        let oneshot_bytes = self.geometry.oneshot_page_bytes;
        let pool = self.pool(zone);
        let mut done_ns = 0;
        let mut at = range.start;
        while at < range.end {
            let page_end = (at - at % oneshot_bytes + oneshot_bytes).min(self.geometry.zone_capacity_bytes);
            let stretch_end = page_end.min(range.end);
            let mut held_bytes = 0;
            if let Some(held) = self.held_bytes.get_mut(zone as usize) {
                if holds_buffer {
                    *held += (stretch_end - at) as u32;
                }
                if stretch_end == page_end {
                    held_bytes = core::mem::take(held);
                }
            }
            if stretch_end == page_end {
                let (channel, lun) = self.geometry.lun(zone, at);
                let lun = self.nand.lun(channel, lun);
                let programmed_ns = self.nand.program(now_ns, start_ns, lun, oneshot_bytes as u32);
                done_ns = done_ns.max(programmed_ns);
                if held_bytes > 0 {
                    self.write_buffer.release_at(programmed_ns, pool, held_bytes);
                }
            }
            at = stretch_end;
        }
        done_ns
    }

    /// Gives back what `zone`, which is no longer written, holds of the buffer (the reference does not: Q3).
    fn release_held(&mut self, now_ns: u64, zone: u32) {
        let held_bytes = self.held_bytes.get_mut(zone as usize).map_or(0, core::mem::take);
        if held_bytes > 0 {
            self.write_buffer.release_at(now_ns, self.pool(zone), held_bytes);
        }
    }

    /// Carries a zone management action out. It takes no time.
    fn send(&mut self, now_ns: u64, offset_bytes: u64, action: ZoneAction) -> Result<(), Status> {
        let (zone, in_zone) = self
            .geometry
            .locate(offset_bytes)
            .ok_or(Status::LBA_OUT_OF_RANGE)?;
        self.recommendations.note_change(now_ns);
        match action {
            ZoneAction::Open { with_zrwa } => self.zones.open(zone, with_zrwa, now_ns),
            ZoneAction::Close => self.zones.close(zone, now_ns),
            ZoneAction::Finish => {
                self.zones.finish(zone, now_ns)?;
                self.release_held(now_ns, zone);
                Ok(())
            }
            ZoneAction::Reset => {
                self.zones.reset(zone, now_ns)?;
                self.release_held(now_ns, zone);
                Ok(())
            }
            ZoneAction::Offline => self.zones.offline(zone, now_ns),
            ZoneAction::SetExtension { with_zrwa } => self.zones.set_extension(zone, with_zrwa, now_ns),
            ZoneAction::FlushZrwa { len_bytes } => {
                let end_bytes = in_zone.saturating_add(len_bytes);
                let (before, after) = self.zones.flush_zrwa(zone, end_bytes, now_ns)?;
                self.program(now_ns, now_ns, zone, before..after, false);
                Ok(())
            }
        }
    }

    /// Carries an action out on every zone that it can be meant for (ZNS 1.1 §3.4.3.1.1 to 5).
    fn send_all(&mut self, now_ns: u64, action: ZoneAction) -> Result<(), Status> {
        let is_meant = |state: ZoneState| match action {
            ZoneAction::Open { .. } => state == ZoneState::Closed,
            ZoneAction::Close => state.is_open(),
            ZoneAction::Finish => state.is_active(),
            ZoneAction::Reset => state.is_active() || state == ZoneState::Full,
            ZoneAction::Offline => state == ZoneState::ReadOnly,
            ZoneAction::SetExtension { .. } | ZoneAction::FlushZrwa { .. } => false,
        };
        match action {
            ZoneAction::Open { with_zrwa: true }
            | ZoneAction::SetExtension { .. }
            | ZoneAction::FlushZrwa { .. } => return Err(Status::INVALID_FIELD_IN_COMMAND),
            ZoneAction::Open { with_zrwa: false } => self.zones.can_open_all()?,
            _ => {}
        }
        for zone in 0..self.geometry.zones {
            if self.zones.get(zone).is_some_and(|zone| is_meant(zone.state)) {
                self.send(now_ns, self.geometry.zone_start(zone), action)?;
            }
        }
        Ok(())
    }
}

/// A write, of whichever command.
#[derive(Clone, Copy, Debug)]
struct Write {
    offset_bytes: u64,
    len_bytes: u32,
    fua: bool,
    /// Whether data crosses the link; zeros do not.
    has_data: bool,
    /// Whether the drive chooses the place.
    is_append: bool,
}

impl Model for ZonedModel {
    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal> {
        let write = |offset_bytes, len_bytes, fua| Write {
            offset_bytes,
            len_bytes,
            fua,
            has_data: true,
            is_append: false,
        };
        let done_at_ns = match *command {
            Command::Read {
                offset_bytes,
                len_bytes,
            } => self.read(now_ns, offset_bytes, len_bytes)?,
            Command::Write {
                offset_bytes,
                len_bytes,
                fua,
            } => return self.write(now_ns, write(offset_bytes, len_bytes, fua)),
            Command::Append {
                offset_bytes,
                len_bytes,
                fua,
            } => {
                let append = Write {
                    is_append: true,
                    ..write(offset_bytes, len_bytes, fua)
                };
                return self.write(now_ns, append);
            }
            // They move the write pointer like any write, so they are written even if they could be deallocated.
            Command::WriteZeroes {
                offset_bytes,
                len_bytes,
                fua,
                deallocate: _,
            } => {
                let zeros = Write {
                    has_data: false,
                    ..write(offset_bytes, len_bytes, fua)
                };
                return self.write(now_ns, zeros);
            }
            // A hint that a zoned drive has no use for: zones are reset.
            Command::Deallocate {
                offset_bytes,
                len_bytes,
            } => {
                self.check_online(offset_bytes, len_bytes)
                    .map_err(Refusal::Failed)?;
                now_ns.saturating_add(self.firmware.write_ns.into())
            }
            Command::Flush => self.nand.idle_at_ns().max(now_ns),
            Command::ZoneSend { offset_bytes, action } => {
                self.send(now_ns, offset_bytes, action).map_err(Refusal::Failed)?;
                now_ns
            }
            Command::ZoneSendAll { action } => {
                self.send_all(now_ns, action).map_err(Refusal::Failed)?;
                now_ns
            }
        };
        Ok(Accepted {
            done_at_ns,
            result: 0,
        })
    }
}
