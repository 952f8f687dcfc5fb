//! What a host knows of LBAs that may be unrecoverable (NVM CS 1.0 §5.2.1).

/// What a host knows of LBAs that may be unrecoverable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LbaStatusNews {
    /// LSGC.
    pub generation: u16,
    /// There are some that were not there when the log was last read.
    pub is_unread: bool,
    /// When that was.
    pub read_at_ns: u64,
}
