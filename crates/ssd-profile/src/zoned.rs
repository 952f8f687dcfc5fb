//! Parameters of the zoned SSD (MODELS.md §6, and NVMe ZNS 1.1 for what hosts see of them).

use core::ops::RangeInclusive;

use crate::conventional::{multiple_of, BANDWIDTH, MAPPING_PAGE_BYTES};
use crate::field::choice;
use crate::{Field, FirmwareTimes, LinkParameters, NandParameters, ParameterError, Rule};

/// Sizes of a zone, KiB: from 64 KiB to 1 TiB.
const ZONE_KIB: RangeInclusive<u32> = 64..=1 << 30;

/// Most bytes of a zone descriptor extension: 255 units of 64 bytes (ZNS 1.1 figure 49, ZDES).
const EXTENSION_BYTES_MAX: u32 = 255 * 64;

/// Most bytes of a random write area: its size is 16 bits of LBAs (TP 4076, ZRWAS), and LBAs have 512 bytes at least.
const ZRWA_BYTES_MAX: u32 = 65_535 * 512;

choice! {
    /// Whose the write buffer is.
    pub enum WriteBufferScope {
        /// One for the whole drive.
        Shared = "shared",
        /// Each zone has one of its own.
        PerZone = "per-zone",
    }
}

/// Parameters of the zoned SSD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZonedParameters {
    /// The flash.
    pub nand: NandParameters,
    /// The link to the host.
    pub link: LinkParameters,
    /// Time that the firmware takes.
    pub firmware: FirmwareTimes,
    /// The write buffer.
    pub write_buffer: ZonedWriteBufferParameters,
    /// The zones.
    pub zone: ZoneParameters,
    /// Random write areas.
    pub zrwa: ZrwaParameters,
    /// Whether the oddity Q6 of the reference is reproduced: see the link.
    pub reference_quirks: bool,
}

/// The write buffer of a zoned SSD (MODELS.md §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZonedWriteBufferParameters {
    /// Its size, or that of each zone's.
    pub size_bytes: u32,
    /// Whose it is.
    pub scope: WriteBufferScope,
    /// Whether a write is done when it is in the buffer, or only when it is on flash.
    pub early_completion: bool,
}

/// The zones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ZoneParameters {
    /// LBAs from one zone's start to the next one's, KiB. Linux takes powers of two only.
    pub size_kib: u32,
    /// LBAs of each zone that can be written, KiB; 0: all of them.
    pub capacity_kib: u32,
    /// LUNs over which a zone is spread.
    pub dies_per_zone: u32,
    /// Writes are whole multiples of this many bytes.
    pub write_unit_bytes: u32,
    /// Most zones that can be open (MOR); 0: no limit but that of active ones.
    pub max_open: u32,
    /// Most zones that can be active (MAR); 0: no limit.
    pub max_active: u32,
    /// Largest Zone Append: 2^zasl pages of 4 KiB; 0: as other commands.
    pub zasl: u32,
    /// Bytes of a zone descriptor extension, a multiple of 64; 0: there are none.
    pub descriptor_extension_bytes: u32,
    /// Whether a read may go on into the next zone (OZCS).
    pub reads_across_zones: bool,
    /// A zone that was active for so long gets "finish recommended"; 0: never.
    pub finish_recommended_ms: u32,
    /// A zone that was full for so long gets "reset recommended"; 0: never.
    pub reset_recommended_ms: u32,
    /// So many zones at the end, before those that are offline, are read only from the beginning, as worn ones are.
    pub read_only: u32,
    /// So many zones at the end are offline from the beginning.
    pub offline: u32,
}

/// Random write areas (ZRWA).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ZrwaParameters {
    /// How many zones can have one at a time; 0: none.
    pub count: u32,
    /// Size of an area.
    pub size_bytes: u32,
    /// What is flushed is a multiple of this.
    pub granularity_bytes: u32,
}

impl Default for ZonedParameters {
    /// To be filled in: no drive can have these values.
    fn default() -> Self {
        Self {
            nand: NandParameters::default(),
            link: LinkParameters::default(),
            firmware: FirmwareTimes::default(),
            write_buffer: ZonedWriteBufferParameters {
                size_bytes: 0,
                scope: WriteBufferScope::Shared,
                early_completion: false,
            },
            zone: ZoneParameters::default(),
            zrwa: ZrwaParameters::default(),
            reference_quirks: false,
        }
    }
}

impl ZonedParameters {
    /// Shows each parameter to `each`, with its key.
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        // Every field is named, here and below, so that a new one cannot be forgotten.
        let Self {
            nand,
            link: LinkParameters { mib_per_s },
            firmware,
            write_buffer:
                ZonedWriteBufferParameters {
                    size_bytes,
                    scope,
                    early_completion,
                },
            zone,
            zrwa,
            reference_quirks,
        } = self;
        each("reference_quirks", Field::Switch(reference_quirks));
        nand.fields(each);
        each("link.mib_per_s", Field::Number(mib_per_s, BANDWIDTH));
        firmware.fields(each);
        each(
            "write_buffer.size_bytes",
            Field::Number(size_bytes, MAPPING_PAGE_BYTES..=1 << 30),
        );
        each("write_buffer.scope", Field::Choice(scope));
        each("write_buffer.early_completion", Field::Switch(early_completion));
        zone.fields(each);
        zrwa.fields(each);
    }

    /// Checks what concerns more than one parameter; each one's own range has been. That a shared buffer is large enough for the zones of a
    /// drive is seen when its capacity is known.
    pub(crate) fn validate(&self, transfer_bytes_max: u32) -> Result<(), ParameterError> {
        self.nand.validate()?;
        self.zone.validate(&self.nand, transfer_bytes_max)?;
        self.zrwa.validate(&self.zone)?;
        let size_bytes = u64::from(self.write_buffer.size_bytes);
        let transfer_bytes_max = u64::from(transfer_bytes_max);
        let (min, because) = match self.write_buffer.scope {
            WriteBufferScope::PerZone => (
                self.unfinished_bytes_max() + transfer_bytes_max,
                "for a transfer of 2^mdts pages beside one unfinished one-shot page",
            ),
            // The other half is for what active zones may keep in it.
            WriteBufferScope::Shared => (
                2 * transfer_bytes_max,
                "for a transfer of 2^mdts pages in half of it",
            ),
        };
        if size_bytes < min {
            return Err(ParameterError {
                key: "write_buffer.size_bytes",
                value: size_bytes,
                rule: Rule::AtLeast { min, because },
            });
        }
        Ok(())
    }

    /// What a zone can hold of the write buffer until more is written to it.
    pub fn unfinished_bytes_max(&self) -> u64 {
        // Without the reference's quirks the unit is a hint, and a write may end anywhere.
        if self.reference_quirks && self.zone.write_unit_bytes % self.nand.oneshot_page_bytes.max(1) == 0 {
            0
        } else {
            self.nand.oneshot_page_bytes.into()
        }
    }
}

impl ZoneParameters {
    /// KiB of a zone that can be written.
    pub fn usable_kib(&self) -> u32 {
        if self.capacity_kib == 0 {
            self.size_kib
        } else {
            self.capacity_kib
        }
    }

    /// Most zones that can be open: no more than can be active; 0: no limit.
    pub fn open_limit(&self) -> u32 {
        if self.max_open == 0 {
            self.max_active
        } else {
            self.max_open
        }
    }

    fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            size_kib,
            capacity_kib,
            dies_per_zone,
            write_unit_bytes,
            max_open,
            max_active,
            zasl,
            descriptor_extension_bytes,
            reads_across_zones,
            finish_recommended_ms,
            reset_recommended_ms,
            read_only,
            offline,
        } = self;
        // The number of zones is less than this with any capacity: fewer would be a limit of nothing.
        let count = 0..=1 << 24;
        each("zone.size_kib", Field::Number(size_kib, ZONE_KIB));
        each(
            "zone.capacity_kib",
            Field::Number(capacity_kib, 0..=*ZONE_KIB.end()),
        );
        each("zone.dies_per_zone", Field::Number(dies_per_zone, 1..=64 * 64));
        each(
            "zone.write_unit_bytes",
            Field::Number(write_unit_bytes, 512..=16 << 20),
        );
        each("zone.max_open", Field::Number(max_open, count.clone()));
        each("zone.max_active", Field::Number(max_active, count.clone()));
        each("zone.zasl", Field::Number(zasl, 0..=13));
        each(
            "zone.descriptor_extension_bytes",
            Field::Number(descriptor_extension_bytes, 0..=EXTENSION_BYTES_MAX),
        );
        each("zone.reads_across_zones", Field::Switch(reads_across_zones));
        each(
            "zone.finish_recommended_ms",
            Field::Number(finish_recommended_ms, 0..=u32::MAX),
        );
        each(
            "zone.reset_recommended_ms",
            Field::Number(reset_recommended_ms, 0..=u32::MAX),
        );
        each("zone.read_only", Field::Number(read_only, count.clone()));
        each("zone.offline", Field::Number(offline, count));
    }

    fn validate(&self, nand: &NandParameters, transfer_bytes_max: u32) -> Result<(), ParameterError> {
        let refuse = |key, value: u32, rule| {
            Err(ParameterError {
                key,
                value: value.into(),
                rule,
            })
        };
        let unit_bytes = self.write_unit_bytes;
        if unit_bytes > MAPPING_PAGE_BYTES {
            multiple_of(
                "zone.write_unit_bytes",
                unit_bytes,
                "a mapping page",
                MAPPING_PAGE_BYTES,
            )?;
        } else if !unit_bytes.is_power_of_two() {
            return refuse("zone.write_unit_bytes", unit_bytes, Rule::PowerOfTwo);
        }
        // A read then touches two zones at most.
        let min = transfer_bytes_max / 1024;
        if self.size_kib < min {
            let because = "so that no transfer of 2^mdts pages is longer than a zone";
            let min = min.into();
            return refuse("zone.size_kib", self.size_kib, Rule::AtLeast { min, because });
        }
        multiple_of(
            "zone.size_kib",
            self.size_kib,
            "a mapping page, KiB",
            MAPPING_PAGE_BYTES / 1024,
        )?;
        let (key, usable_kib) = if self.capacity_kib == 0 {
            ("zone.size_kib", self.size_kib)
        } else {
            ("zone.capacity_kib", self.capacity_kib)
        };
        if usable_kib > self.size_kib {
            let max = u64::from(self.size_kib);
            return refuse(
                key,
                usable_kib,
                Rule::AtMost {
                    max,
                    what: "zone.size_kib",
                },
            );
        }
        multiple_of(key, usable_kib, "a mapping page, KiB", MAPPING_PAGE_BYTES / 1024)?;
        multiple_of(
            key,
            usable_kib,
            "zone.write_unit_bytes, KiB",
            unit_bytes.div_ceil(1024),
        )?;
        multiple_of(
            "nand.channels x nand.luns_per_channel",
            nand.channels * nand.luns_per_channel,
            "zone.dies_per_zone",
            self.dies_per_zone,
        )?;
        multiple_of(
            "zone.descriptor_extension_bytes",
            self.descriptor_extension_bytes,
            "units of the specification",
            64,
        )?;
        if self.max_active != 0 && self.max_open > self.max_active {
            let max = u64::from(self.max_active);
            return refuse(
                "zone.max_open",
                self.max_open,
                Rule::AtMost {
                    max,
                    what: "zone.max_active",
                },
            );
        }
        Ok(())
    }
}

impl ZrwaParameters {
    fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            count,
            size_bytes,
            granularity_bytes,
        } = self;
        each("zrwa.count", Field::Number(count, 0..=65_536));
        each("zrwa.size_bytes", Field::Number(size_bytes, 0..=ZRWA_BYTES_MAX));
        each(
            "zrwa.granularity_bytes",
            Field::Number(granularity_bytes, 0..=ZRWA_BYTES_MAX),
        );
    }

    fn validate(&self, zone: &ZoneParameters) -> Result<(), ParameterError> {
        if self.count == 0 {
            return Ok(());
        }
        let refuse = |key, value: u32, rule| {
            Err(ParameterError {
                key,
                value: value.into(),
                rule,
            })
        };
        let min = zone.write_unit_bytes.max(MAPPING_PAGE_BYTES);
        if self.granularity_bytes < min {
            let because = "which is a write unit and a mapping page";
            return refuse(
                "zrwa.granularity_bytes",
                self.granularity_bytes,
                Rule::AtLeast {
                    min: min.into(),
                    because,
                },
            );
        }
        multiple_of(
            "zrwa.granularity_bytes",
            self.granularity_bytes,
            "a write unit and a mapping page",
            min,
        )?;
        if self.size_bytes == 0 {
            let because = "as zrwa.count is not 0";
            let min = self.granularity_bytes.into();
            return refuse("zrwa.size_bytes", self.size_bytes, Rule::AtLeast { min, because });
        }
        multiple_of(
            "zrwa.size_bytes",
            self.size_bytes,
            "zrwa.granularity_bytes",
            self.granularity_bytes,
        )?;
        // The pointer then reaches the zone's end in whole granules.
        let usable_bytes = u64::from(zone.usable_kib()) * 1024;
        if u64::from(self.size_bytes) > usable_bytes {
            return refuse(
                "zrwa.size_bytes",
                self.size_bytes,
                Rule::AtMost {
                    max: usable_bytes,
                    what: "a zone's capacity",
                },
            );
        }
        if usable_bytes % u64::from(self.granularity_bytes) != 0 {
            return refuse(
                "zone.capacity_kib",
                zone.usable_kib(),
                Rule::MultipleOf {
                    of: u64::from(self.granularity_bytes / 1024),
                    what: "zrwa.granularity_bytes, KiB",
                },
            );
        }
        Ok(())
    }
}
