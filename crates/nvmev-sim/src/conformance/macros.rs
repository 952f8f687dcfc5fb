//! How a check ends early.

/// Ends a check that failed, with the reason, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err($crate::conformance::finding::Obstacle::Failed(format!($($reason)+)));
        }
    };
}

/// Ends a check that has nothing to say about this device, unless the condition holds.
macro_rules! applies_if {
    ($condition:expr, $reason:literal) => {
        if !$condition {
            return Err($crate::conformance::finding::Obstacle::NotApplicable($reason));
        }
    };
}
