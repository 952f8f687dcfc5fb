//! `make test`: every check there is, a line for each step, and one line at the end that counts them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self};
use std::time::Instant;

use anyhow::{ensure, Result};

use crate::fuzz;
use crate::fuzz::Limit;
use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::seconds;

mod long;
mod parts;
mod progress;
mod record;
mod tally;
mod vms;

pub use tally::Selection;
pub(crate) use tally::{cargo, cargo_tests, fuzz_targets, joined, passes, Found, Tally, Verdict};

/// How long each fuzz target runs: inputs that are the same each time, so that a change is judged by what it changes.
const FUZZ: Limit = Limit::Inputs(2500);

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
    tally.step("imports between modules", || {
        passes(cargo(&["run", "--quiet", "--package", "import-check"]))
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

#[cfg(test)]
mod tests {
    use super::tally::counts;

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
