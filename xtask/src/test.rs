//! `make test`: every check there is, a line for each step, and one line at the end that counts them.

use std::fs;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use clap::Args;

use crate::fuzz::Limit;
use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::seconds;
use crate::suites::Added;
use crate::{fuzz, klog};

mod long;
mod parts;
mod progress;
mod record;
mod vms;

/// How long each fuzz target runs: inputs that are the same each time, so that a change is judged by what it changes.
const FUZZ: Limit = Limit::Inputs(2500);

/// Which checks of a scope, and how.
#[derive(Args, Debug, Default)]
pub struct Selection {
    /// Only VM suites whose name starts so
    #[arg(long, env = "NVMEV_SUITE", default_value = "")]
    suite: String,
    /// Only these parts of the long checks: names, or how they begin, with commas between them
    #[arg(long, env = "NVMEV_PART", default_value = "")]
    part: String,
    /// Only show which parts of the long checks have passed, and on which commit
    #[arg(
        long,
        env = "NVMEV_STATUS",
        default_value = "",
        num_args = 0..=1,
        default_missing_value = "1"
    )]
    status: String,
    #[command(flatten)]
    added: Added,
}

impl Selection {
    fn wants_status(&self) -> bool {
        !matches!(self.status.as_str(), "" | "0")
    }
}

/// Which checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Without VM and without kernel: some minutes.
    Quick,
    /// What has to pass before anything is handed in.
    Usual,
    /// The checks that take long, in parts.
    Long,
    /// Only what runs in VMs.
    Vm,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
}

impl Tally {
    /// Counts what a step found, prints a line about it, and what it printed if something failed.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Found>) -> Verdict {
        eprintln!("==> {name}");
        let start = Instant::now();
        let found = work().unwrap_or_else(|error| Found::one(false, format!("error: {error:#}")));
        let verdict = if found.failed.is_empty() { "ok" } else { "FAILED" };
        let took = start.elapsed();
        println!(
            "{verdict:6} {name}: {} passed, {} failed, {}",
            found.passed,
            found.failed.len(),
            seconds(took)
        );
        if !found.failed.is_empty() {
            println!("{}", found.output.trim_end());
        }
        self.passed += found.passed;
        let failed = found.failed.iter().map(|what| format!("{name}: {what}"));
        self.failed.extend(failed);
        Verdict {
            took,
            passed: found.passed,
            failed: found.failed,
        }
    }
}

/// What a step came to.
struct Verdict {
    took: Duration,
    passed: usize,
    failed: Vec<String>,
}

/// What a step found.
#[derive(Default)]
struct Found {
    passed: usize,
    failed: Vec<String>,
    output: String,
}

impl Found {
    fn one(passed: bool, output: String) -> Self {
        let failed = if passed {
            Vec::new()
        } else {
            vec!["see above".to_owned()]
        };
        Self {
            passed: passed.into(),
            failed,
            output,
        }
    }

    fn add(&mut self, passed: bool, what: &str) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(what.to_owned());
        }
    }
}

/// Runs the checks of `scope` that are selected. Returns the status to end with.
///
/// # Errors
/// If the checks cannot be run at all.
pub fn run(scope: Scope, selection: &Selection) -> Result<i32> {
    let start = Instant::now();
    let mut tally = Tally::default();
    ensure!(
        scope == Scope::Long || (selection.part.is_empty() && !selection.wants_status()),
        "PART= and STATUS= are for make test-long"
    );
    if scope == Scope::Long {
        if selection.wants_status() {
            return long::show_status(&selection.part).map(|()| 0);
        }
        if let Some(passed) = long::run(&mut tally, selection)? {
            println!("{passed} passed, 0 failed");
            return Ok(0);
        }
    }
    if matches!(scope, Scope::Quick | Scope::Usual) {
        packages::provide(&[Purpose::Checks, Purpose::Fuzz])?;
        source_checks(&mut tally);
    }
    if matches!(scope, Scope::Usual | Scope::Vm) {
        packages::provide(&[Purpose::Module, Purpose::Vm])?;
        let suites = vms::select(true, &selection.suite)?;
        vms::run(&mut tally, &suites, &selection.added, |_, _| Ok(()))?;
    }
    for what in &tally.failed {
        println!("failed: {what}");
    }
    println!("all of it took {}", seconds(start.elapsed()));
    println!("{} passed, {} failed", tally.passed, tally.failed.len());
    Ok(i32::from(!tally.failed.is_empty() || tally.passed == 0))
}

fn source_checks(tally: &mut Tally) {
    tally.step("format", || passes(cargo(&["fmt", "--all", "--check"])));
    tally.step("format of the module", || {
        passes(cargo(&["fmt", "--manifest-path", "kmod/Cargo.toml", "--check"]))
    });
    let clippy = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    tally.step("format of the fuzz targets", || {
        passes(cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    });
    if packages::cargo_has("clippy") {
        tally.step("clippy", || passes(cargo(&clippy)));
        // For this machine, not for a kernel: the lints do not care, and clippy need not have the library's source.
        let module = [
            "clippy",
            "--quiet",
            "--manifest-path",
            "kmod/Cargo.toml",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ];
        tally.step("clippy of the module", || passes(cargo(&module)));
    } else {
        println!("left out: clippy, which this machine's Rust does not have");
    }
    tally.step("documentation", || {
        let mut command = cargo(&["doc", "--quiet", "--workspace", "--no-deps"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        passes(command)
    });
    tally.step("shell scripts", || {
        let mut scripts = [
            "tests/vm/stage2",
            "tests/vm/demo",
            "tests/vm/bench",
            ".ci/run",
            "kmod/dkms-build",
        ]
        .map(PathBuf::from)
        .to_vec();
        for entry in fs::read_dir(root().join("tests/vm"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                scripts.push(path);
            }
        }
        scripts.sort();
        let mut command = Command::new("shellcheck");
        command
            .args(["--external-sources", "--source-path=SCRIPTDIR"])
            .args(scripts)
            .current_dir(root());
        passes(command)
    });
    tests(tally);
}

/// The tests that need no kernel. What else has to be built for them is built meanwhile: some of the tests leave a CPU idle for long.
fn tests(tally: &mut Tally) {
    thread::scope(|scope| {
        let loom = scope.spawn(loom_tests);
        let fuzz_build = scope.spawn(fuzz::build);
        tally.step("unit, property and golden tests", || {
            cargo_tests(cargo(&["test", "--workspace", "--no-fail-fast"]))
        });
        tally.step(
            "every interleaving of a ring's two ends, and of a completion and its driver (loom)",
            || joined(loom),
        );
        tally.step("fuzz targets", || {
            joined(fuzz_build)?;
            fuzz_targets(&fuzz::TARGETS, FUZZ, 1)
        });
    });
}

fn loom_tests() -> Result<Found> {
    let mut command = cargo(&["test", "--package", "nvme-device", "--lib", "loom_tests"]);
    // A folder of its own: other flags would have everything else built anew.
    command
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", root().join("target/loom"));
    cargo_tests(command)
}

/// What a thread came to; a panic there is one here.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// A target that finds nothing has passed.
fn fuzz_targets(targets: &[&str], limit: Limit, jobs: usize) -> Result<Found> {
    let mut found = Found::default();
    for (target, outcome) in fuzz::check(targets, limit, jobs)? {
        let line = fuzz::describe(target, &outcome);
        println!("       {line}");
        found.add(outcome.findings.is_empty(), target);
        found.output += &format!("{line}\n");
    }
    Ok(found)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

fn passes(mut command: Command) -> Result<Found> {
    let output = command.output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(Found::one(output.status.success(), text))
}

fn cargo_tests(mut command: Command) -> Result<Found> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = Found::default();
    for line in text.lines() {
        if let Some((passed, _)) = counts(line) {
            found.passed += passed;
        }
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            found.failed.push(name.to_owned());
        }
    }
    if !output.status.success() && found.failed.is_empty() {
        found.failed.push("cargo test did not get to its end".to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    found.output = format!("{}\n{}", klog::tail(&text, 60), klog::tail(&errors, 40));
    Ok(found)
}

/// `test result: ok. 3 passed; 1 failed; …` → (3, 1).
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?;
    let number_before = |word: &str| {
        rest.split(word)
            .next()?
            .split_whitespace()
            .next_back()?
            .parse::<usize>()
            .ok()
    };
    Some((number_before(" passed")?, number_before(" failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tests_are_counted() {
        assert_eq!(
            counts("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured"),
            Some((12, 0))
        );
        assert_eq!(
            counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"),
            Some((3, 2))
        );
        assert_eq!(counts("test a::b ... ok"), None);
    }
}
