//! Which status codes there are, and which a command may end with.

use nvme_spec::Status;

/// Those that any command may end with.
const ANY: &[u16] = &[
    0x000, // Successful Completion
    0x001, // Invalid Command Opcode
    0x002, // Invalid Field in Command
    0x006, // Internal Error
    0x00B, // Invalid Namespace or Format
];

/// Those that a command with data may end with besides.
const DATA: &[u16] = &[
    0x004, // Data Transfer Error
    0x00D, // Invalid SGL Segment Descriptor
    0x00E, // Invalid Number of SGL Descriptors
    0x00F, // Data SGL Length Invalid
    0x010, // Metadata SGL Length Invalid
    0x011, // SGL Descriptor Type Invalid
    0x013, // PRP Offset Invalid
    0x016, // SGL Offset Invalid
    0x01E, // SGL Data Block Granularity Invalid
];

/// Those that nothing can have been done before.
const UNTOUCHED: &[u16] = &[
    0x001, // Invalid Command Opcode
    0x002, // Invalid Field in Command
    0x009, // Command Aborted due to Failed Fused Command
    0x00A, // Command Aborted due to Missing Fused Command
    0x00B, // Invalid Namespace or Format
    0x080, // LBA Out of Range
    0x081, // Capacity Exceeded
    0x085, // Invalid Value Size
    0x086, // Invalid Key Size
    0x087, // Key Does Not Exist
    0x089, // Key Exists
    0x183, // Command Size Limit Exceeded
    0x1B6, // Invalid Zone Operation Request
    0x1B8, // Zone Boundary Error
    0x1B9, // Zone Is Full
    0x1BA, // Zone Is Read Only
    0x1BB, // Zone Is Offline
    0x1BC, // Zone Invalid Write
    0x1BD, // Too Many Active Zones
    0x1BE, // Too Many Open Zones
    0x1BF, // Invalid Zone State Transition
    0x281, // Unrecovered Read Error
    0x285, // Compare Failure
    0x301, 0x302, 0x303, 0x304, 0x310, 0x312, 0x380, 0x381, // Vendor specific: of pairs
];

fn has(list: &[u16], status: Status) -> bool {
    list.contains(&status.0)
}

/// Whether any command may end so; one that moves data if it `has_data`.
pub fn is_general(status: Status, has_data: bool) -> bool {
    has(ANY, status) || (has_data && has(DATA, status))
}

/// Whether a command that ended so has changed nothing.
pub fn is_untouched(status: Status) -> bool {
    has(UNTOUCHED, status)
}

/// Whether the specifications define it (NVMe Base 2.0 figures 94 to 99, and those of the command sets), or leave it to vendors.
pub fn is_defined(status: Status) -> bool {
    let code = status.0 & 0xFF;
    match status.0 >> 8 {
        0 => matches!(code, 0x00..=0x16 | 0x18..=0x24 | 0x2C | 0x80..=0x8A | 0xC0..),
        1 => matches!(code, 0x00..=0x03 | 0x05..=0x2D | 0x70..=0x83 | 0x85..=0x87 | 0xB6..),
        2 => matches!(code, 0x80..=0x88 | 0xC0..),
        3 => matches!(code, 0x00..=0x04 | 0x10 | 0x12 | 0x60 | 0x70 | 0x71 | 0x80..),
        7 => true,
        _ => false,
    }
}
