//! What a measurement is of: the drive, its queues, and the commands.

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Append,
}

/// How its data is described.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DataPointer {
    /// PRPs of pages that follow each other.
    Prps,
    /// PRPs of every other page.
    ScatteredPrps,
    /// An SGL of one block.
    Sgl,
}

/// What is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The drive.
    pub profile: &'static str,
    pub capacity_bytes: u64,
    /// Bytes of an LBA.
    pub lba_bytes: u32,
    /// Whether there is a medium, and data is moved.
    pub has_data: bool,
    /// Dispatchers, the first of which is measured if nothing else is said.
    pub dispatchers: usize,
    /// I/O queue pairs that there are, and how many of them, from the first, are used.
    pub queues: u16,
    pub busy_queues: u16,
    /// Commands outstanding in each queue that is used.
    pub depth: u16,
    pub has_shadow_doorbells: bool,
    /// A host has reserved the namespace: the one that uses it.
    pub is_reserved: bool,
    /// What is measured: commands of one kind and length.
    pub kind: Kind,
    pub len_bytes: u32,
    pub data: DataPointer,
    /// How far from the drive's beginning they go, bytes.
    pub span_bytes: u64,
    /// The drive's time between two commands, ns: about what it can do, so that it is in the state that it has at full load.
    pub pace_ns: u64,
}

impl Setup {
    /// Commands of 4 KiB in eight queues, 32 in each, doorbells in the BAR, no data.
    pub const fn new(profile: &'static str, capacity_bytes: u64, kind: Kind, pace_ns: u64) -> Self {
        Self {
            profile,
            capacity_bytes,
            lba_bytes: 4096,
            has_data: false,
            dispatchers: 1,
            queues: 8,
            busy_queues: 8,
            depth: 32,
            has_shadow_doorbells: false,
            is_reserved: false,
            kind,
            len_bytes: 4096,
            data: DataPointer::Prps,
            span_bytes: u64::MAX,
            pace_ns,
        }
    }
}
