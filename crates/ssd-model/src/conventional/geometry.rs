//! How a capacity is laid out on flash (MODELS.md §5, and the rule for our own profiles).

use ssd_profile::{ConventionalParameters, GeometryRule, ParameterError, Rule};

use super::lines::Lines;
use super::mapping::PageTable;
use crate::SetupError;

/// Unit of mapping, bytes.
pub const PAGE_BYTES: u64 = 4096;

/// Lines beyond those that hold a full namespace, so that garbage collection always finds an invalid page: two open ones,
/// one free one that collection may open, and one whose pages are spread over the others. The threshold of collection comes on top.
const SPARE_LINES: u64 = 4;

/// A drive's layout. A *line* is the same block of every LUN of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the namespace.
    pub namespace_bytes: u64,
    /// Partitions.
    pub partitions: u32,
    /// Channels of a partition.
    pub channels: u32,
    /// LUNs of each channel.
    pub luns_per_channel: u32,
    /// Mapping pages in a flash page.
    pub pages_per_flash_page: u32,
    /// Mapping pages in a one-shot page.
    pub pages_per_oneshot_page: u32,
    /// One-shot pages in a block.
    pub oneshot_pages_per_block: u32,
    /// Lines of a partition.
    pub lines: u32,
    /// Mapping pages in a line.
    pub pages_per_line: u32,
    /// Logical pages of a partition; the last ones of some partitions may lie beyond the namespace.
    pub logical_pages: u32,
    /// Physical pages of a partition.
    pub physical_pages: u32,
}

impl Geometry {
    /// The layout of a drive of `capacity_bytes`.
    ///
    /// # Errors
    /// [`SetupError`] when a parameter is out of range, or the capacity does not fit the flash's units.
    pub fn new(parameters: &ConventionalParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        let (nand, ftl) = (&parameters.nand, &parameters.ftl);
        let divisors = [
            nand.oneshot_page_bytes,
            nand.channels,
            nand.luns_per_channel,
            ftl.partitions,
        ];
        if divisors.contains(&0) || nand.oneshot_page_bytes % PAGE_BYTES as u32 != 0 {
            return Err(SetupError::NoCapacity);
        }
        let oneshot_bytes = u64::from(nand.oneshot_page_bytes);
        let partitions = u64::from(ftl.partitions);
        let channels = nand.channels / ftl.partitions;
        let luns = u64::from(channels) * u64::from(nand.luns_per_channel);
        let row_bytes = oneshot_bytes * luns;
        let percent = 100 + u64::from(ftl.over_provisioning_percent);
        let too_large = SetupError::TooLarge { capacity_bytes };
        // Room for a page.
        let needed_bytes = match ftl.geometry {
            GeometryRule::Reference => (PAGE_BYTES * percent).div_ceil(100),
            GeometryRule::FollowsCapacity => PAGE_BYTES,
        };
        if capacity_bytes < needed_bytes {
            return Err(SetupError::TooSmall {
                capacity_bytes,
                needed_bytes,
                key: None,
            });
        }

        let (namespace_bytes, lines, rows) = match ftl.geometry {
            GeometryRule::Reference => {
                let namespace_bytes = scale(capacity_bytes, 100, percent).ok_or(too_large)?;
                let lines = u64::from(ftl.blocks_per_lun);
                let block_bytes = (capacity_bytes / partitions).div_ceil(lines * luns);
                (namespace_bytes, lines, block_bytes.div_ceil(oneshot_bytes))
            }
            GeometryRule::FollowsCapacity => {
                let share_bytes = capacity_bytes.div_ceil(PAGE_BYTES).div_ceil(partitions) * PAGE_BYTES;
                let flash_bytes = scale(share_bytes, percent, 100).ok_or(too_large)?;
                // Blocks as large as they must be so that there are no more of them than asked for.
                let rows = flash_bytes
                    .div_ceil(row_bytes * u64::from(ftl.blocks_per_lun))
                    .max(1);
                let logical_lines = share_bytes.div_ceil(row_bytes * rows);
                let lines_min = logical_lines + SPARE_LINES + u64::from(ftl.gc_free_lines_min);
                (
                    capacity_bytes,
                    flash_bytes.div_ceil(row_bytes * rows).max(lines_min),
                    rows,
                )
            }
        };
        let logical_pages = namespace_bytes.div_ceil(PAGE_BYTES).div_ceil(partitions);
        let pages_per_line = rows * (row_bytes / PAGE_BYTES);
        let physical_pages = lines.checked_mul(pages_per_line).ok_or(too_large)?;
        let lines_min =
            logical_pages.div_ceil(pages_per_line) + SPARE_LINES + u64::from(ftl.gc_free_lines_min);
        if lines < lines_min {
            return Err(SetupError::Parameter(ParameterError {
                key: "ftl.blocks_per_lun",
                value: lines,
                rule: Rule::AtLeast {
                    min: lines_min,
                    because: "to hold the namespace and leave garbage collection room to work",
                },
            }));
        }
        // The last value means "no page".
        let narrow = |value: u64| {
            u32::try_from(value)
                .ok()
                .filter(|&value| value < u32::MAX)
                .ok_or(too_large)
        };
        Ok(Self {
            namespace_bytes,
            partitions: ftl.partitions,
            channels,
            luns_per_channel: nand.luns_per_channel,
            pages_per_flash_page: nand.flash_page_bytes / PAGE_BYTES as u32,
            pages_per_oneshot_page: nand.oneshot_page_bytes / PAGE_BYTES as u32,
            oneshot_pages_per_block: narrow(rows)?,
            lines: narrow(lines)?,
            pages_per_line: narrow(pages_per_line)?,
            logical_pages: narrow(logical_pages)?,
            physical_pages: narrow(physical_pages)?,
        })
    }

    /// Bytes of a block.
    pub fn block_bytes(&self) -> u64 {
        u64::from(self.oneshot_pages_per_block) * u64::from(self.pages_per_oneshot_page) * PAGE_BYTES
    }

    /// Bytes of a line.
    pub fn line_bytes(&self) -> u64 {
        u64::from(self.pages_per_line) * PAGE_BYTES
    }

    /// Bytes of memory for the tables of all partitions: of pages and of lines.
    pub fn table_bytes(&self) -> u64 {
        let mapping_bytes = PageTable::table_bytes(self.logical_pages);
        let lines_bytes = Lines::table_bytes(self.lines, self.pages_per_line);
        u64::from(self.partitions) * (mapping_bytes + lines_bytes)
    }

    /// LUNs of a partition.
    pub fn luns(&self) -> u32 {
        self.channels * self.luns_per_channel
    }
}

/// `value * factor / divisor` rounded down, for small factors and divisors, without the 128-bit division that a kernel does not have.
fn scale(value: u64, factor: u64, divisor: u64) -> Option<u64> {
    let whole = (value / divisor).checked_mul(factor)?;
    whole.checked_add(value % divisor * factor / divisor)
}
