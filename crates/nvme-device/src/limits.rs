//! Limits of the device, as constants.

pub(crate) const NANOSECONDS_PER_HOUR: u64 = 3_600_000_000_000;

/// MSRC + 1: ranges of a command. All of them together have no more data than a transfer (MSSRL, MCL).
pub(crate) const COPY_RANGES_MAX: usize = 32;

/// What one turn deallocates, if that is work for each page: 64 pages of a mapping table, or as much of the medium as a worker fills in one pass.
pub(crate) const PART_BYTES: u32 = 256 << 10;

/// Ranges of a list that one turn looks at.
pub(crate) const PART_RANGES_MAX: usize = 32;

/// A part makes so many items for a worker at most.
pub(crate) const ZEROINGS_MAX: usize = PART_RANGES_MAX;

/// Bytes of BAR0: registers from 0, doorbells from 0x1000, MSI-X table at 0x2000, pending bits at 0x3000.
pub const BAR_SIZE_BYTES: usize = 0x4000;

/// Most I/O queue pairs that a host can create.
pub const IO_QUEUE_PAIRS_MAX: u16 = 128;

/// Most dispatchers of a device.
pub const DISPATCHERS_MAX: usize = 8;

/// Most namespaces that there can be at a time, and the highest identifier of one (Identify NN).
pub const NAMESPACES_MAX: u32 = 32;

/// Interrupt vectors: one for the admin queue and one for each I/O completion queue.
pub const VECTORS_MAX: u16 = IO_QUEUE_PAIRS_MAX + 1;

/// Poll interval for conditions that raise no wake-up, ns: room for a message, a worker's answer, the
/// end of a copy.
pub(crate) const LOOK_AGAIN_NS: u64 = 1_000;

/// Words of 64 bits in which each vector has a bit.
pub(crate) const VECTOR_WORDS: usize = (VECTORS_MAX as usize).div_ceil(64);

/// Most entries of an I/O queue (CAP.MQES + 1).
pub const QUEUE_ENTRIES_MAX: u16 = 1024;

/// Most commands of a queue that one service round fetches. Other queues wait no longer than that, and
/// commands that arrived together are timed as having arrived together.
pub(crate) const BURST_MAX: usize = 16;

/// Largest data transfer, for MDTS in pages of 4 KiB.
pub(crate) fn transfer_bytes_max(mdts: u8) -> u32 {
    // A limit of 2^31 bytes keeps every length within 32 bits.
    let bytes = 1u32.checked_shl(12 + u32::from(mdts));
    bytes.filter(|_| mdts > 0 && mdts < 20).unwrap_or(1 << 31)
}
