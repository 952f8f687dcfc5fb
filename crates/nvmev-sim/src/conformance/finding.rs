//! What a check finds.

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The device has nothing that the check is about.
    NotApplicable(&'static str),
    /// The device does what it must not, or not what it must.
    Failed(String),
}

/// What a check finds.
pub type Finding = Result<(), Obstacle>;
