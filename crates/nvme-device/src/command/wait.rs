//! What a command that takes several passes waits for, and what has been done of it.

/// Where a deallocation has come to in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Index of the range.
    pub range: u32,
    /// What has been done of it, bytes.
    pub done_bytes: u64,
}

/// What has been done of a command that takes several passes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Progress {
    /// Nothing, or nothing that has to be remembered here.
    #[default]
    None,
    /// A List has found keys.
    List(ListProgress),
    /// What a Copy reads has been timed, and it waits for buffer space.
    Copy { read_at_ns: u64 },
    /// A deallocation has come to this place in its list; what was deallocated before is done then.
    Deallocate { position: Position, done_at_ns: u64 },
    /// So many LBAs of a Write Zeroes have their zeros, which is done then.
    WriteZeroes { done_lbas: u32, done_at_ns: u64 },
}

/// A command is to be looked at again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub retry_at_ns: u64,
    /// What has been done of it.
    pub progress: Progress,
}

impl Wait {
    /// Of a command of which nothing has been done.
    pub fn until(retry_at_ns: u64) -> Self {
        Self {
            retry_at_ns,
            progress: Progress::None,
        }
    }
}

/// How far a List has come that takes several passes. The keys that it has found are in the host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListProgress {
    /// Where it goes on.
    pub hash: u64,
    pub keys: u32,
    pub len_bytes: u32,
}
