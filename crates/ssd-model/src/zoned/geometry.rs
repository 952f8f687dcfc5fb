//! How a capacity is cut into zones, and where a zone's pages are on flash (MODELS.md §6).

use ssd_profile::{ParameterError, Rule, WriteBufferScope, ZonedParameters};

use crate::SetupError;

/// Unit of reading, bytes: reads are whole pages of it.
pub const PAGE_BYTES: u64 = 4096;

/// What is known of a zone: its state, its place in the order of opening, what of it is in the write buffer.
const ZONE_TABLE_BYTES: u64 = 64;

/// A drive's layout. All sizes are of one zone unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonedGeometry {
    /// Number of zones.
    pub zones: u32,
    /// From one zone's first byte to the next one's.
    pub zone_bytes: u64,
    /// Bytes that can be written, from the zone's first.
    pub zone_capacity_bytes: u64,
    /// LUNs over which a zone is spread.
    pub dies_per_zone: u32,
    /// Channels of the drive.
    pub channels: u32,
    /// LUNs of the drive.
    pub luns: u32,
    /// Unit of reading from flash.
    pub flash_page_bytes: u64,
    /// Unit of programming.
    pub oneshot_page_bytes: u64,
}

impl ZonedGeometry {
    /// The layout of a drive of `capacity_bytes`: as many whole zones as there is room for.
    ///
    /// # Errors
    /// [`SetupError`] when there is no room for one zone, or the write buffer is too small for the zones.
    pub fn new(parameters: &ZonedParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        let (nand, zone) = (&parameters.nand, &parameters.zone);
        let zone_capacity_bytes = u64::from(zone.usable_kib()) * 1024;
        let units = [
            nand.channels,
            nand.luns_per_channel,
            nand.flash_page_bytes,
            nand.oneshot_page_bytes,
            zone.usable_kib(),
            zone.dies_per_zone,
        ];
        if units.contains(&0) {
            return Err(SetupError::NoCapacity);
        }
        let zones = capacity_bytes / zone_capacity_bytes;
        if zones == 0 {
            return Err(SetupError::TooSmall {
                capacity_bytes,
                needed_bytes: zone_capacity_bytes,
                key: Some(if zone.capacity_kib == 0 {
                    "zone.size_kib"
                } else {
                    "zone.capacity_kib"
                }),
            });
        }
        let too_large = SetupError::TooLarge { capacity_bytes };
        let zone_bytes = u64::from(zone.size_kib) * 1024;
        zones.checked_mul(zone_bytes).ok_or(too_large)?;
        let geometry = Self {
            zones: u32::try_from(zones).map_err(|_| too_large)?,
            zone_bytes,
            zone_capacity_bytes,
            dies_per_zone: zone.dies_per_zone,
            channels: nand.channels,
            luns: nand.channels * nand.luns_per_channel,
            flash_page_bytes: nand.flash_page_bytes.into(),
            oneshot_page_bytes: nand.oneshot_page_bytes.into(),
        };
        geometry.check_buffer(parameters)?;
        Ok(geometry)
    }

    /// A shared buffer must have room for a transfer beside what all active zones may keep in it until more is written to them.
    fn check_buffer(&self, parameters: &ZonedParameters) -> Result<(), SetupError> {
        let active = match parameters.zone.max_active {
            0 => self.zones,
            limit => limit.min(self.zones),
        };
        let unfinished_bytes = parameters.unfinished_bytes_max() * u64::from(active);
        let size_bytes = u64::from(parameters.write_buffer.size_bytes);
        if parameters.write_buffer.scope == WriteBufferScope::PerZone || unfinished_bytes < size_bytes / 2 {
            return Ok(());
        }
        Err(SetupError::Parameter(ParameterError {
            key: "write_buffer.size_bytes",
            value: size_bytes,
            rule: Rule::AtLeast {
                min: 2 * unfinished_bytes + 1,
                because: "for one unfinished one-shot page of each active zone (see zone.max_active, zone.write_unit_bytes) in half of it",
            },
        }))
    }

    /// Bytes of the namespace's address range; each zone's part beyond its capacity included.
    pub fn namespace_bytes(&self) -> u64 {
        u64::from(self.zones) * self.zone_bytes
    }

    /// Bytes that can be written in all.
    pub fn capacity_bytes(&self) -> u64 {
        u64::from(self.zones) * self.zone_capacity_bytes
    }

    /// Bytes of memory for the tables of zones.
    pub fn table_bytes(&self) -> u64 {
        u64::from(self.zones) * ZONE_TABLE_BYTES
    }

    /// The zone that has the byte at `offset_bytes`, and where in it that is; nothing beyond the namespace.
    #[inline]
    pub fn locate(&self, offset_bytes: u64) -> Option<(u32, u64)> {
        let zone = u32::try_from(offset_bytes / self.zone_bytes).ok()?;
        (zone < self.zones).then_some((zone, offset_bytes % self.zone_bytes))
    }

    /// First byte of `zone`.
    #[inline]
    pub fn zone_start(&self, zone: u32) -> u64 {
        u64::from(zone) * self.zone_bytes
    }

    /// Channel and LUN of the one-shot page that has the byte at `in_zone_bytes` of `zone`.
    #[inline]
    pub fn lun(&self, zone: u32, in_zone_bytes: u64) -> (u32, u32) {
        let first = u64::from(zone) * u64::from(self.dies_per_zone) % u64::from(self.luns);
        let turn = in_zone_bytes / self.oneshot_page_bytes % u64::from(self.dies_per_zone);
        // Both are less than the number of LUNs, which the number of dies divides.
        let die = (first + turn) as u32 % self.luns;
        (die % self.channels, die / self.channels)
    }
}
