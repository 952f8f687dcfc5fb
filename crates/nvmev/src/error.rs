//! How a subcommand fails.

use std::io;
use std::process::ExitCode;

/// Why a subcommand did not do its work.
#[derive(Debug)]
pub enum CommandError {
    /// The user asked for something that does not exist or cannot be; the text says what to change.
    Usage(String),
    /// Something went wrong on the way; the text says what.
    Failed(String),
    /// The output could not be written.
    Output(io::Error),
    /// The answer to what was asked is no, and has been given.
    No,
}

impl CommandError {
    /// What to tell the user; nothing if the reader of our output has left, as `head` does when it has seen enough.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message.clone()),
            Self::No => None,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("the output could not be written: {error}")),
        }
    }

    /// The status to end with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Failed(_) | Self::Output(_) | Self::No => ExitCode::FAILURE,
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
