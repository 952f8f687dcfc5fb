//! What a zoned namespace has beyond its timing model: where zones are on the medium, the order of data movements, descriptor
//! extensions, the Changed Zone List, and the commands of the Zoned Namespace command set (NVMe ZNS 1.1).

mod changed;
mod order;
mod receive;
mod send;
mod target;

use alloc::sync::Arc;
use alloc::vec::Vec;

use ssd_model::zoned::{ZonedGeometry, ZonedModel};
use ssd_profile::{ZoneParameters, ZonedParameters, ZrwaParameters};

use crate::device::{table, SetupError};
use crate::work::{Extent, Extents};

pub(crate) use changed::ChangedZones;
pub(crate) use order::{ZoneMove, ZoneMoves, ZoneOrder};
pub(crate) use receive::ReceiveRequest;
pub(crate) use send::SendRequest;
pub(crate) use target::Target;

/// The zoned part of a namespace.
pub(crate) struct Zoned {
    pub zone: ZoneParameters,
    pub zrwa: ZrwaParameters,
    pub geometry: ZonedGeometry,
    media_offset: u64,
    /// A descriptor extension for each zone, one after another; those that are not valid are all zeros.
    extensions: Vec<u8>,
    pub order: ZoneOrder,
    pub changed: ChangedZones,
}

impl Zoned {
    pub fn new(
        parameters: &ZonedParameters,
        geometry: ZonedGeometry,
        media_offset: u64,
        moves: Arc<ZoneMoves>,
    ) -> Result<Self, SetupError> {
        let extension_bytes = parameters.zone.descriptor_extension_bytes as usize;
        Ok(Self {
            zone: parameters.zone,
            zrwa: parameters.zrwa,
            geometry,
            media_offset,
            extensions: table(geometry.zones as usize * extension_bytes, || 0)?,
            order: ZoneOrder::new(moves, media_offset, geometry.zone_capacity_bytes, geometry.zones)?,
            changed: ChangedZones::new()?,
        })
    }

    /// Bytes of memory for the tables that grow with the number of zones, beside those of the model.
    pub fn table_bytes(parameters: &ZonedParameters, geometry: &ZonedGeometry) -> u64 {
        let extension_bytes = u64::from(parameters.zone.descriptor_extension_bytes);
        u64::from(geometry.zones) * (extension_bytes + ZoneOrder::BYTES_PER_ZONE)
    }

    /// Whether a zone begins at `offset_bytes` of the namespace.
    pub fn is_zone_start(&self, offset_bytes: u64) -> bool {
        self.geometry
            .locate(offset_bytes)
            .is_some_and(|(_, in_zone)| in_zone == 0)
    }

    /// Where the byte `in_zone` of `zone`, which lies within the zone's capacity, is on the medium. What zones have beyond their capacity takes no room there.
    fn media_at(&self, zone: u32, in_zone: u64) -> u64 {
        self.media_offset + u64::from(zone) * self.geometry.zone_capacity_bytes + in_zone
    }

    /// What a write at `offset_bytes` of the namespace, which stays within a zone, writes on the medium.
    pub fn written_extents(&self, offset_bytes: u64, len_bytes: u32) -> Extents {
        match self.geometry.locate(offset_bytes) {
            Some((zone, in_zone)) => Extents::whole(self.media_at(zone, in_zone), len_bytes),
            None => Extents::NONE,
        }
    }

    /// What a read of `len_bytes` at `offset_bytes` of the namespace gets: what was written since the zone was reset, zeros else. A
    /// transfer is never longer than a zone (the profile sees to it), so it touches two zones at most.
    pub fn readable_extents(&self, model: &ZonedModel, offset_bytes: u64, len_bytes: u32) -> Extents {
        let mut extents = Extents::NONE;
        let mut at = offset_bytes;
        let end = offset_bytes + u64::from(len_bytes);
        for extent in &mut extents.0 {
            let Some((zone, in_zone)) = self.geometry.locate(at) else {
                break;
            };
            let len = (self.geometry.zone_bytes - in_zone).min(end - at);
            let readable = model
                .zones()
                .readable_bytes(zone)
                .saturating_sub(in_zone)
                .min(len);
            *extent = Extent {
                media_offset: if readable > 0 {
                    self.media_at(zone, in_zone)
                } else {
                    0
                },
                data_bytes: readable as u32,
                len_bytes: len as u32,
            };
            at += len;
            if at == end {
                break;
            }
        }
        extents
    }

    /// The part of the medium from byte `from` to byte `to` of `zone`.
    pub fn media_range(&self, zone: u32, from: u64, to: u64) -> (u64, u32) {
        (self.media_at(zone, from), to.saturating_sub(from) as u32)
    }

    /// The descriptor extension of `zone`; empty if this namespace has none.
    pub fn extension(&self, zone: u32) -> &[u8] {
        let len = self.zone.descriptor_extension_bytes as usize;
        let at = zone as usize * len;
        self.extensions.get(at..at + len).unwrap_or_default()
    }

    fn extension_mut(&mut self, zone: u32) -> &mut [u8] {
        let len = self.zone.descriptor_extension_bytes as usize;
        let at = zone as usize * len;
        self.extensions.get_mut(at..at + len).unwrap_or_default()
    }
}
