//! Traces in files and folders, checked one after the other.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::TraceError;
use super::replay::check;
use super::report::{Report, Verdict};
use crate::packed::unpack;

/// How a trace's file name usually ends. A file that is called so and is none is reported, not passed over.
const SUFFIX: &str = ".csv.xz";
/// What a trace begins with, compressed or not.
const BEGIN: &[u8] = b"#trace,";

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Replayed, all equal.
    pub equal: u64,
    /// Something differs.
    pub different: u64,
    /// Traces of the reference's defects.
    pub not_to_be_matched: u64,
    /// Files that could not be read, or paths without a trace.
    pub unreadable: u64,
}

impl Summary {
    /// Whether all files could be read and all that have a model agree with it.
    pub fn is_ok(&self) -> bool {
        self.different == 0 && self.unreadable == 0
    }

    fn count(&mut self, result: &Result<Report, TraceError>) {
        let counter = match result {
            Ok(report) => match report.verdict {
                Verdict::Equal => &mut self.equal,
                Verdict::Different(_) => &mut self.different,
                Verdict::NotToBeMatched => &mut self.not_to_be_matched,
            },
            Err(_) => &mut self.unreadable,
        };
        *counter += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            equal,
            different,
            not_to_be_matched,
            unreadable,
        } = self;
        write!(
            formatter,
            "{equal} equal, {different} different, {unreadable} unreadable, \
             {not_to_be_matched} not to be matched: {}",
            if self.is_ok() { "ok" } else { "FAILED" }
        )
    }
}

/// The traces that `path` stands for: the file itself, or those of a folder, sorted by name. Their content tells them from other files.
///
/// # Errors
/// [`TraceError`] if there is no such path, or no trace in the folder.
pub fn find_traces(path: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let error = |reason: String| TraceError {
        file: path.display().to_string(),
        line: None,
        reason,
    };
    if !path.is_dir() {
        return match path.metadata() {
            Ok(_) => Ok(vec![path.to_owned()]),
            Err(cause) => Err(error(cause.to_string())),
        };
    }
    let entries = path
        .read_dir()
        .and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut traces: Vec<PathBuf> = entries
        .map_err(|cause| error(cause.to_string()))?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    traces.retain(|trace| file_name(trace).ends_with(SUFFIX) || begins_as_a_trace(trace));
    traces.sort();
    if traces.is_empty() {
        return Err(error(
            "no trace (a file that begins with #trace) in this folder".to_owned(),
        ));
    }
    Ok(traces)
}

fn begins_as_a_trace(path: &Path) -> bool {
    // Not of a pipe, which would wait for its writer.
    if !path.is_file() {
        return false;
    }
    let mut begin = Vec::new();
    let read = File::open(path)
        .and_then(unpack)
        .and_then(|text| text.take(BEGIN.len() as u64).read_to_end(&mut begin));
    read.is_ok() && begin == BEGIN
}

/// Checks one file.
///
/// # Errors
/// As [`check`].
pub fn check_file(path: &Path) -> Result<Report, TraceError> {
    let name = path.display().to_string();
    let text = File::open(path).and_then(unpack).map_err(|cause| TraceError {
        file: name.clone(),
        line: None,
        reason: cause.to_string(),
    })?;
    check(&name, text)
}

/// Checks the files and folders `paths`, and writes a line for each file and one for all to `output`.
///
/// # Errors
/// Only those of `output`; what is wrong with a file is counted as unreadable and written there.
pub fn check_paths(paths: &[PathBuf], output: &mut dyn Write) -> io::Result<Summary> {
    let found: Vec<Result<Vec<PathBuf>, TraceError>> = paths.iter().map(|path| find_traces(path)).collect();
    let names = found.iter().flatten().flatten().map(|trace| file_name(trace));
    let name_width = names.map(|name| name.chars().count()).max().unwrap_or(0);

    let mut summary = Summary::default();
    for found in found {
        match found {
            Ok(traces) => {
                for trace in traces {
                    let result = check_file(&trace);
                    summary.count(&result);
                    let name = file_name(&trace);
                    match result {
                        Ok(report) => writeln!(output, "{name:<name_width$}  {report}")?,
                        Err(error) => writeln!(output, "{name:<name_width$}  UNREADABLE\n    {error}")?,
                    }
                }
            }
            Err(error) => {
                summary.unreadable += 1;
                writeln!(output, "{error}")?;
            }
        }
    }
    writeln!(output, "{summary}")?;
    Ok(summary)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
