//! What the Sanitize Status log tells of the last operation (NVMe Base 2.0 §5.16.1.21).

use nvme_spec::SanitizeState;

/// What the log tells of the last operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SanitizeStatus {
    pub state: SanitizeState,
    pub command_dword10: u32,
    pub overwrite_passes: u32,
    /// Commands that changed something, until it was completed: nothing was written since, if there are no more.
    pub modifications: u64,
}

impl SanitizeStatus {
    pub fn new() -> Self {
        Self {
            state: SanitizeState::NEVER,
            command_dword10: 0,
            overwrite_passes: 0,
            modifications: 0,
        }
    }
}
