//! Limits of parameters' values.

/// Alignment of memory's addresses and sizes, bytes: the size of the BAR, which PCI aligns to itself.
pub const MEMORY_ALIGNMENT: u64 = 16 << 10;

/// A serial number's field in Identify Controller, bytes (NVMe Base 2.0 §5.17.2.1).
pub const SERIAL_LEN_MAX: usize = 20;
