//! Running other programs, and saying how long it took.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

/// Runs `work` under a heading and prints how long it took.
///
/// # Errors
/// Whatever `work` returns.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let result = work();
    let word = if result.is_ok() { "done" } else { "failed" };
    eprintln!("    {word} after {}", seconds(start.elapsed()));
    result
}

/// A duration as people write it.
pub fn seconds(duration: Duration) -> String {
    let total = duration.as_secs();
    if total < 100 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", total / 60, total % 60)
    }
}

/// Runs `command` and fails, showing what it printed, if it fails.
///
/// # Errors
/// If it cannot be started or ends with a status other than 0.
pub fn quiet(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        // What it printed explains the failure; where even stderr is gone there is nobody to tell.
        std::io::stderr().write_all(&output.stdout)?;
        std::io::stderr().write_all(&output.stderr)?;
        bail!("{shown}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` and returns all that it printed, and how it was called.
///
/// # Errors
/// If it cannot be started or ends with a status other than 0: what it printed, too.
pub fn run_and_read(command: &mut Command) -> Result<(String, String)> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if !output.status.success() {
        bail!("{text}\n{shown}: {}", output.status);
    }
    Ok((text, shown))
}

/// Runs `command` with its output going where ours goes.
///
/// # Errors
/// If it cannot be started or ends with a status other than 0.
pub fn loud(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// A command as one line.
pub fn show(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect();
    words
        .iter()
        .map(|word| OsStr::to_string_lossy(word))
        .collect::<Vec<_>>()
        .join(" ")
}
