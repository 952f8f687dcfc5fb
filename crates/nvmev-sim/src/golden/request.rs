//! A request of a trace, and its outcome.

/// One request of a trace: the input columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Time at which it arrives, ns.
    pub arrival_ns: u64,
    /// NVMe opcode.
    pub opcode: u8,
    /// First logical block, of 512 bytes.
    pub slba: u64,
    /// Number of logical blocks, 1-based; 0 for commands without any; in key-value traces the value's bytes.
    pub nlb: u32,
    /// Force unit access.
    pub fua: bool,
    /// Zone send action, or receive action with its specific field in bits 8 to 15.
    pub zsa: u16,
    /// Select all zones, or partial report.
    pub all: bool,
}

/// The outcome of a request: the output columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Time at which the model took the request on, ns.
    pub accepted_start_ns: u64,
    /// Completion time minus `accepted_start_ns`, ns. Negative where the completion time lies in the past.
    pub latency_ns: i64,
    /// Status code type and status code, without the phase bit.
    pub status: u16,
    /// Command-specific result.
    pub result: u64,
}
