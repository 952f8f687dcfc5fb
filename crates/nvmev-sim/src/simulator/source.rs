//! Commands to come, and where they come from.

use super::error::SimulatorError;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Read,
    /// Write; with force unit access if true.
    Write(bool),
    /// Deallocate.
    Trim,
    /// Flush.
    Flush,
    /// Zone Append to the zone that begins at the first byte; with force unit access if true.
    Append(bool),
    /// Reset of the zone that begins at the first byte.
    Reset,
}

/// A command to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// When it arrives, ns since the phase began; without it, as soon as there is room in the queue.
    pub at_ns: Option<u64>,
    /// Without such a time: for how long nothing is sent before it, ns.
    pub wait_ns: u64,
    /// What it does.
    pub action: Action,
    /// First byte.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub len_bytes: u64,
}

/// Where commands come from.
pub trait Source {
    /// The next command; nothing at the end.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next(&mut self) -> Result<Option<Io>, SimulatorError>;

    /// How much of it is done, in thousandths, where that is known.
    fn progress_milli(&self) -> Option<u64> {
        None
    }
}
