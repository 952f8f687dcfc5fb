//! What is wrong with a trace's file.

use std::fmt;

/// A trace's file cannot be read, or is not in the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The file.
    pub file: String,
    /// The line, counted from 1; `None` if the file as a whole is meant.
    pub line: Option<u64>,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, reason } = self;
        match line {
            Some(line) => write!(formatter, "{file}:{line}: {reason}"),
            None => write!(formatter, "{file}: {reason}"),
        }
    }
}

impl std::error::Error for TraceError {}
