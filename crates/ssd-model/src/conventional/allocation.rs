//! In which order the pages of a line are written.
//!
//! A line is written in units of a one-shot page, one on each LUN, then the next row of the blocks. An order says which LUN
//! comes when; it is asked at set-up only, for a table.

use ssd_profile::AllocationOrder;

/// The order of a row's one-shot pages.
pub trait Order {
    /// Where the `unit`th one-shot page of a row is, for `unit` below `channels * luns_per_channel`: channel and LUN.
    fn place(&self, unit: u32, channels: u32, luns_per_channel: u32) -> (u32, u32);
}

/// All channels first: a long write uses every channel at once.
#[derive(Clone, Copy, Debug)]
pub struct ChannelFirst;

impl Order for ChannelFirst {
    fn place(&self, unit: u32, channels: u32, _: u32) -> (u32, u32) {
        (unit % channels, unit / channels)
    }
}

/// All LUNs of a channel first: a long write keeps to one channel while its LUNs program.
#[derive(Clone, Copy, Debug)]
pub struct LunFirst;

impl Order for LunFirst {
    fn place(&self, unit: u32, _: u32, luns_per_channel: u32) -> (u32, u32) {
        (unit / luns_per_channel, unit % luns_per_channel)
    }
}

/// The order that a profile names.
pub fn order(choice: AllocationOrder) -> &'static dyn Order {
    match choice {
        AllocationOrder::ChannelFirst => &ChannelFirst,
        AllocationOrder::LunFirst => &LunFirst,
    }
}
