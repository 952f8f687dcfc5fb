//! What a host's buffer is for.

/// Whether the host's buffer is read or written: only data for the host can be discarded by a Bit
/// Bucket descriptor (NVMe Base 2.0 §4.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Data from the host.
    Source,
    /// Data for the host.
    Destination,
}
