//! Parameters of the conventional SSD (MODELS.md §1, 2, 3, 5).

use core::ops::RangeInclusive;

use crate::field::choice;
use crate::{Field, PageTimes, ParameterError, Rule, CELL_BITS_MAX};

/// Unit of mapping, bytes: every flash page is a multiple of it.
pub(crate) const MAPPING_PAGE_BYTES: u32 = 4096;

/// Any time that fits.
const ANY: RangeInclusive<u32> = 0..=u32::MAX;

/// Bandwidths, MiB/s. Below, a slot of 4 µs would not have room for one unit of 128 B; above, a unit would take no time.
pub(crate) const BANDWIDTH: RangeInclusive<u32> = 31..=122_070;

/// Sizes of flash pages, one-shot pages and channel transfers, bytes.
const PAGE_BYTES: RangeInclusive<u32> = MAPPING_PAGE_BYTES..=16 << 20;

choice! {
    /// How physical pages are found by logical page number.
    pub enum Mapping {
        /// One entry per 4 KiB page.
        Page = "page",
    }
}

choice! {
    /// In which order the pages of a line are written.
    pub enum AllocationOrder {
        /// A one-shot page on each channel, then on the next LUN of each channel.
        ChannelFirst = "channel-first",
        /// A one-shot page on each LUN of a channel, then on the next channel.
        LunFirst = "lun-first",
    }
}

choice! {
    /// Which line garbage collection takes.
    pub enum VictimPolicy {
        /// The one with the fewest valid pages.
        Greedy = "greedy",
        /// The one with the best ratio of space gained and age to the cost of moving (Rosenblum and Ousterhout, LFS).
        CostBenefit = "cost-benefit",
        /// Any that has an invalid page.
        Random = "random",
    }
}

choice! {
    /// How a write takes space in the buffer.
    pub enum WriteBufferPolicy {
        /// Its length in bytes.
        Bytes = "bytes",
        /// A slot for each 4 KiB page that it touches.
        Pages = "pages",
    }
}

choice! {
    /// How the flash's geometry follows from the capacity.
    pub enum GeometryRule {
        /// As the reference has it: the number of blocks is fixed and blocks are whole one-shot pages, so that small drives have far
        /// more flash than their capacity; over-provisioning is taken off the namespace.
        Reference = "reference",
        /// The namespace is the whole capacity; over-provisioning is flash beyond it, and small drives have fewer blocks.
        FollowsCapacity = "follows-capacity",
    }
}

/// Parameters of the conventional SSD (MODELS.md §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConventionalParameters {
    /// The flash.
    pub nand: NandParameters,
    /// The link to the host.
    pub link: LinkParameters,
    /// Time that the firmware takes.
    pub firmware: FirmwareTimes,
    /// The write buffer.
    pub write_buffer: WriteBufferParameters,
    /// The flash translation layer.
    pub ftl: FtlParameters,
    /// Whether the oddities Q1, Q6 and Q7 of the reference are reproduced. Each has its place in the model, named there, with
    /// what happens when this is off.
    pub reference_quirks: bool,
}

/// The flash (MODELS.md §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NandParameters {
    /// Channels of the whole drive.
    pub channels: u32,
    /// LUNs on each channel.
    pub luns_per_channel: u32,
    /// Unit of reading, bytes.
    pub flash_page_bytes: u32,
    /// Unit of programming, bytes.
    pub oneshot_page_bytes: u32,
    /// Bits per cell: 1 SLC, 2 MLC, 3 TLC, 4 QLC.
    pub cell_bits: u32,
    /// Array read time of 4 KiB, for each page of a cell.
    pub read_4k_ns: PageTimes,
    /// Array read time of anything else, for each page of a cell.
    pub read_ns: PageTimes,
    /// Program time of a one-shot page, ns.
    pub program_ns: u32,
    /// Erase time of a block, ns.
    pub erase_ns: u32,
    /// Bandwidth of a channel, MiB/s.
    pub channel_mib_per_s: u32,
    /// Largest piece in which data crosses a channel, bytes.
    pub channel_transfer_bytes_max: u32,
    /// Time that the firmware adds to each 4 KiB on a channel, ns.
    pub channel_firmware_ns_per_4k: u32,
}

/// The link to the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkParameters {
    /// Bandwidth, MiB/s.
    pub mib_per_s: u32,
}

/// Time that the firmware takes before the flash or the link begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FirmwareTimes {
    /// Reads of up to this length are small, bytes.
    pub small_read_bytes_max: u32,
    /// A small read, ns.
    pub small_read_ns: u32,
    /// Another read, ns.
    pub read_ns: u32,
    /// A write, ns.
    pub write_ns: u32,
    /// A write, for each 4 KiB begun, ns.
    pub write_ns_per_4k: u32,
}

impl FirmwareTimes {
    /// Of a read of `len_bytes`, ns.
    #[inline]
    pub fn of_read(&self, len_bytes: u32) -> u64 {
        if len_bytes <= self.small_read_bytes_max {
            self.small_read_ns.into()
        } else {
            self.read_ns.into()
        }
    }

    /// Of a write of `len_bytes`, ns (MODELS.md §3, `admit`).
    #[inline]
    pub fn of_write(&self, len_bytes: u32) -> u64 {
        u64::from(self.write_ns) + u64::from(self.write_ns_per_4k) * u64::from(len_bytes.div_ceil(4096))
    }
}

/// The write buffer (MODELS.md §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriteBufferParameters {
    /// Its size.
    pub size_bytes: u32,
    /// How a write takes space in it.
    pub policy: WriteBufferPolicy,
    /// Whether a write is done when it is in the buffer, or only when it is on flash.
    pub early_completion: bool,
}

/// The flash translation layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FtlParameters {
    /// Independent instances, each with its share of the channels.
    pub partitions: u32,
    /// Flash beyond what the namespace has, in percent of the namespace.
    pub over_provisioning_percent: u32,
    /// How the geometry follows from the capacity.
    pub geometry: GeometryRule,
    /// Blocks of a LUN, and thus lines of a partition; with a geometry that follows the capacity, the most there are.
    pub blocks_per_lun: u32,
    /// Collection begins when there are no more free lines than this.
    pub gc_free_lines_min: u32,
    /// How pages are found.
    pub mapping: Mapping,
    /// In which order pages are written.
    pub allocation: AllocationOrder,
    /// Which line is collected.
    pub victim: VictimPolicy,
}

impl Default for ConventionalParameters {
    /// To be filled in: no drive can have these values.
    fn default() -> Self {
        Self {
            nand: NandParameters::default(),
            link: LinkParameters::default(),
            firmware: FirmwareTimes::default(),
            write_buffer: WriteBufferParameters {
                size_bytes: 0,
                policy: WriteBufferPolicy::Bytes,
                early_completion: false,
            },
            ftl: FtlParameters {
                partitions: 0,
                over_provisioning_percent: 0,
                geometry: GeometryRule::FollowsCapacity,
                blocks_per_lun: 0,
                gc_free_lines_min: 0,
                mapping: Mapping::Page,
                allocation: AllocationOrder::ChannelFirst,
                victim: VictimPolicy::Greedy,
            },
            reference_quirks: false,
        }
    }
}

impl ConventionalParameters {
    /// Shows each parameter to `each`, with its key.
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        // Every field is named, here and below, so that a new one cannot be forgotten.
        let Self {
            nand,
            link: LinkParameters { mib_per_s },
            firmware,
            write_buffer,
            ftl,
            reference_quirks,
        } = self;
        each("reference_quirks", Field::Switch(reference_quirks));
        nand.fields(each);
        each("link.mib_per_s", Field::Number(mib_per_s, BANDWIDTH));
        firmware.fields(each);
        write_buffer.fields(each);
        ftl.fields(each);
    }

    /// Checks what concerns more than one parameter; each one's own range has been.
    pub(crate) fn validate(&self, transfer_bytes_max: u32) -> Result<(), ParameterError> {
        self.nand.validate()?;
        multiple_of(
            "nand.channels",
            self.nand.channels,
            "ftl.partitions",
            self.ftl.partitions,
        )?;
        let unfinished = u64::from(self.ftl.partitions) * u64::from(self.nand.oneshot_page_bytes);
        // A page more on each side of a transfer that does not begin at one.
        let buffer_min = unfinished + u64::from(transfer_bytes_max) + 2 * u64::from(MAPPING_PAGE_BYTES);
        let size_bytes = u64::from(self.write_buffer.size_bytes);
        if size_bytes < buffer_min {
            return Err(ParameterError {
                key: "write_buffer.size_bytes",
                value: size_bytes,
                rule: Rule::AtLeast {
                    min: buffer_min,
                    because: "for a transfer of 2^mdts pages that begins inside a page, beside one unfinished one-shot page per partition",
                },
            });
        }
        Ok(())
    }
}

impl NandParameters {
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            channels,
            luns_per_channel,
            flash_page_bytes,
            oneshot_page_bytes,
            cell_bits,
            read_4k_ns,
            read_ns,
            program_ns,
            erase_ns,
            channel_mib_per_s,
            channel_transfer_bytes_max,
            channel_firmware_ns_per_4k,
        } = self;
        each("nand.channels", Field::Number(channels, 1..=64));
        each("nand.luns_per_channel", Field::Number(luns_per_channel, 1..=64));
        each(
            "nand.flash_page_bytes",
            Field::Number(flash_page_bytes, PAGE_BYTES),
        );
        each(
            "nand.oneshot_page_bytes",
            Field::Number(oneshot_page_bytes, PAGE_BYTES),
        );
        each(
            "nand.cell_bits",
            Field::Number(cell_bits, 1..=CELL_BITS_MAX as u32),
        );
        each("nand.read_4k_ns", Field::PageTimes(read_4k_ns));
        each("nand.read_ns", Field::PageTimes(read_ns));
        each("nand.program_ns", Field::Number(program_ns, ANY));
        each("nand.erase_ns", Field::Number(erase_ns, ANY));
        each(
            "nand.channel_mib_per_s",
            Field::Number(channel_mib_per_s, BANDWIDTH),
        );
        each(
            "nand.channel_transfer_bytes_max",
            Field::Number(channel_transfer_bytes_max, PAGE_BYTES),
        );
        // A second for 4 KiB: no channel is slower.
        each(
            "nand.channel_firmware_ns_per_4k",
            Field::Number(channel_firmware_ns_per_4k, 0..=1_000_000_000),
        );
    }

    /// Checks what concerns more than one parameter.
    pub(crate) fn validate(&self) -> Result<(), ParameterError> {
        let flash_page = ("nand.flash_page_bytes", self.flash_page_bytes);
        let oneshot_page = ("nand.oneshot_page_bytes", self.oneshot_page_bytes);
        multiple_of(flash_page.0, flash_page.1, "a mapping page", MAPPING_PAGE_BYTES)?;
        multiple_of(oneshot_page.0, oneshot_page.1, flash_page.0, flash_page.1)?;
        for (key, times) in [
            ("nand.read_4k_ns", self.read_4k_ns),
            ("nand.read_ns", self.read_ns),
        ] {
            if u32::from(times.count) != self.cell_bits {
                return Err(ParameterError {
                    key,
                    value: u64::from(times.count),
                    rule: Rule::CountOf {
                        of: u64::from(self.cell_bits),
                        what: "nand.cell_bits",
                    },
                });
            }
        }
        Ok(())
    }
}

impl FirmwareTimes {
    pub(crate) fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            small_read_bytes_max,
            small_read_ns,
            read_ns,
            write_ns,
            write_ns_per_4k,
        } = self;
        each(
            "firmware.small_read_bytes_max",
            Field::Number(small_read_bytes_max, ANY),
        );
        each("firmware.small_read_ns", Field::Number(small_read_ns, ANY));
        each("firmware.read_ns", Field::Number(read_ns, ANY));
        each("firmware.write_ns", Field::Number(write_ns, ANY));
        each("firmware.write_ns_per_4k", Field::Number(write_ns_per_4k, ANY));
    }
}

impl WriteBufferParameters {
    fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            size_bytes,
            policy,
            early_completion,
        } = self;
        each(
            "write_buffer.size_bytes",
            Field::Number(size_bytes, MAPPING_PAGE_BYTES..=1 << 30),
        );
        each("write_buffer.policy", Field::Choice(policy));
        each("write_buffer.early_completion", Field::Switch(early_completion));
    }
}

impl FtlParameters {
    fn fields(&mut self, each: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self {
            partitions,
            over_provisioning_percent,
            geometry,
            blocks_per_lun,
            gc_free_lines_min,
            mapping,
            allocation,
            victim,
        } = self;
        each("ftl.partitions", Field::Number(partitions, 1..=64));
        each(
            "ftl.over_provisioning_percent",
            Field::Number(over_provisioning_percent, 1..=1000),
        );
        each("ftl.geometry", Field::Choice(geometry));
        each("ftl.blocks_per_lun", Field::Number(blocks_per_lun, 16..=1 << 20));
        // One for the host and one for collection to open.
        each(
            "ftl.gc_free_lines_min",
            Field::Number(gc_free_lines_min, 2..=1024),
        );
        each("ftl.mapping", Field::Choice(mapping));
        each("ftl.allocation", Field::Choice(allocation));
        each("ftl.victim", Field::Choice(victim));
    }
}

/// Refuses a value that is no multiple of another.
pub(crate) fn multiple_of(
    key: &'static str,
    value: u32,
    what: &'static str,
    of: u32,
) -> Result<(), ParameterError> {
    if value % of == 0 {
        return Ok(());
    }
    let rule = Rule::MultipleOf { of: of.into(), what };
    Err(ParameterError {
        key,
        value: value.into(),
        rule,
    })
}
