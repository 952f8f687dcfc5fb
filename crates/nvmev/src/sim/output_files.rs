//! The files that results are written to. They are opened before the work, and their content is replaced after it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::arguments::SimArguments;
use crate::error::CommandError;

/// A file that is to be written.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: File,
    /// It was not there before, and has nothing in it yet.
    is_new: bool,
}

/// The files that were asked for.
#[derive(Debug)]
pub struct OutputFiles {
    /// For JSON; nothing if there is to be none, or on standard output.
    pub json: Option<OutputFile>,
    /// For the plot.
    pub plot: Option<OutputFile>,
}

impl OutputFiles {
    /// Opens them.
    ///
    /// # Errors
    /// If one cannot be written, or would be written over by another one or over a trace.
    pub fn open(arguments: &SimArguments) -> Result<Self, CommandError> {
        let json = arguments.json.as_deref().filter(|path| *path != "-");
        let plot = arguments.plot.as_deref();
        let files = Self {
            json: json.map(OutputFile::open).transpose()?,
            plot: plot.map(OutputFile::open).transpose()?,
        };
        let mut others: Vec<(&str, &str)> = Vec::new();
        others.extend(arguments.trace.iter().map(|path| ("--trace", path.as_str())));
        others.extend(
            arguments
                .profile_file
                .iter()
                .map(|path| ("--profile-file", path.as_str())),
        );
        for (option, path) in [("--json", json), ("--plot", plot)] {
            let Some(path) = path else { continue };
            if let Some((other, _)) = others.iter().find(|(_, other)| is_same_file(path, other)) {
                return Err(CommandError::Usage(format!(
                    "{option} and {other} are the same file, {path}: write to another one"
                )));
            }
            others.push((option, path));
        }
        Ok(files)
    }
}

/// Whether both are one regular file.
fn is_same_file(path: &str, other: &str) -> bool {
    let real = |path: &str| fs::canonicalize(path).ok().filter(|path| path.is_file());
    real(path).is_some_and(|path| real(other) == Some(path))
}

impl OutputFile {
    fn open(path: &str) -> Result<Self, CommandError> {
        let path = Path::new(path);
        let is_new = !path.exists();
        // What is in it stays until there is something else.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        Ok(Self {
            file: file.map_err(|error| cannot_write(path, &error))?,
            path: path.to_owned(),
            is_new,
        })
    }

    /// Replaces what is in it.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn write(mut self, content: &[u8]) -> Result<(), CommandError> {
        self.is_new = false;
        let is_regular = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        let emptied = if is_regular { self.file.set_len(0) } else { Ok(()) };
        emptied
            .and_then(|()| self.file.write_all(content))
            .map_err(|error| cannot_write(&self.path, &error))
    }
}

impl Drop for OutputFile {
    /// A run that fails leaves no empty file.
    fn drop(&mut self) {
        if self.is_new {
            // It is empty, and what went wrong is said already.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Failed(format!("{} could not be written: {error}", path.display()))
}
