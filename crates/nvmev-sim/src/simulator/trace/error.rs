//! Why a trace cannot be run.

use std::fmt;

/// A trace that cannot be run.
#[derive(Debug)]
pub struct TraceError {
    /// The file.
    pub file: String,
    /// The line; 0 if it is about the whole file.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for TraceError {}
