//! The clock that all threads of the engine go by.

use std::time::Instant;

/// Nanoseconds since it was made, from the system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at 0.
    #[expect(
        clippy::new_without_default,
        reason = "a clock that starts now is no default value"
    )]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// The time, ns.
    pub fn now_ns(self) -> u64 {
        // 2^64 ns are 584 years.
        self.0.elapsed().as_nanos() as u64
    }
}
