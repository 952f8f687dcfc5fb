//! `make test`: every check there is, a line for each step, and one line at the end that counts them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kernels::{self, Kernel};
use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::seconds;
use crate::suites::{Length, Suite, SUITES};
use crate::vm::{self, VmOptions};
use crate::{build_module, fuzz, klog};

/// How long each fuzz target runs, usually and in the long checks.
const FUZZ_TIME: Duration = Duration::from_secs(3);
const FUZZ_TIME_LONG: Duration = Duration::from_secs(1200);

/// Which checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Without VM and without kernel: some minutes.
    Quick,
    /// What has to pass before anything is handed in.
    Usual,
    /// The checks in VMs that take long.
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
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Found>) {
        eprintln!("==> {name}");
        let start = Instant::now();
        let found = work().unwrap_or_else(|error| Found::one(false, format!("error: {error:#}")));
        let verdict = if found.failed.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{verdict:6} {name}: {} passed, {} failed, {}",
            found.passed,
            found.failed.len(),
            seconds(start.elapsed())
        );
        if !found.failed.is_empty() {
            println!("{}", found.output.trim_end());
        }
        self.passed += found.passed;
        self.failed
            .extend(found.failed.into_iter().map(|what| format!("{name}: {what}")));
    }
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

/// Runs the checks of `scope`, those in VMs only of suites whose name starts with `suite`. Returns the status to end with.
///
/// # Errors
/// If the checks cannot be run at all.
pub fn run(scope: Scope, suite: &str) -> Result<i32> {
    let start = Instant::now();
    let mut tally = Tally::default();
    if matches!(scope, Scope::Quick | Scope::Usual) {
        packages::provide(&[Purpose::Checks, Purpose::Fuzz])?;
        source_checks(&mut tally);
    }
    if scope == Scope::Long && suite.is_empty() {
        let ignored = ["test", "--workspace", "--no-fail-fast", "--", "--ignored"];
        tally.step("drives that need much memory", || cargo_tests(cargo(&ignored)));
        packages::provide(&[Purpose::Checks, Purpose::Fuzz])?;
        if packages::cargo_has("clippy") {
            tally.step("clippy of the fuzz targets", fuzz_lints);
        }
        tally.step("fuzz targets", || fuzz_targets(FUZZ_TIME_LONG));
    }
    if scope != Scope::Quick {
        packages::provide(&[Purpose::Module, Purpose::Vm])?;
        in_vms(
            &mut tally,
            if scope == Scope::Long {
                Length::Long
            } else {
                Length::Usual
            },
            suite,
        )?;
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
        let mut scripts = vec![PathBuf::from("tests/vm/stage2"), PathBuf::from(".ci/run")];
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
    tally.step("unit, property and golden tests", || {
        cargo_tests(cargo(&["test", "--workspace", "--no-fail-fast"]))
    });
    tally.step("every interleaving of the ring's two ends (loom)", || {
        let mut command = cargo(&["test", "--package", "nvme-device", "--lib", "loom_tests"]);
        // A folder of its own: other flags would have everything else built anew.
        command
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", root().join("target/loom"));
        cargo_tests(command)
    });
    tally.step("fuzz targets", || fuzz_targets(FUZZ_TIME));
}

/// Lints of the fuzz targets. With the long checks: they are a workspace of their own, which has to be built once more for it.
fn fuzz_lints() -> Result<Found> {
    let mut command = cargo(&[
        "clippy",
        "--quiet",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]);
    command.env("CARGO_TARGET_DIR", root().join("target/fuzz/build"));
    passes(command)
}

/// A target that finds nothing has passed.
fn fuzz_targets(time: Duration) -> Result<Found> {
    let mut found = Found::default();
    for (target, outcome) in fuzz::check(time)? {
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

/// A program of ours that scripts run in the guest, which sees this machine's files.
struct Program {
    /// Its package, and its file's name.
    name: &'static str,
    /// The variable that tells the scripts where it is.
    variable: &'static str,
    /// Who runs it.
    scripts: &'static [&'static str],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "nvmev",
        variable: "NVMEV_COMMAND",
        scripts: &["flash", "keyvalue"],
    },
    Program {
        name: "nvme-userdriver",
        variable: "NVMEV_USERDRIVER",
        scripts: &["uio", "peer"],
    },
];

impl Program {
    fn is_run_by(&self, suite: &Suite) -> bool {
        suite.scripts.iter().any(|script| self.scripts.contains(script))
    }

    fn path(&self) -> PathBuf {
        root().join("target/release").join(self.name)
    }
}

fn in_vms(tally: &mut Tally, length: Length, selected: &str) -> Result<()> {
    let suites: Vec<&Suite> = SUITES
        .iter()
        .filter(|suite| suite.length == length && suite.name.starts_with(selected))
        .collect();
    anyhow::ensure!(!suites.is_empty(), "no suite's name starts with '{selected}'");
    let is_needed = |program: &&Program| suites.iter().any(|suite| program.is_run_by(suite));
    let packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(is_needed)
        .map(|program| program.name)
        .collect();
    if !packages.is_empty() {
        // At once: one after the other, they would build what they share with different features.
        let mut command = cargo(&["build", "--release", "--quiet"]);
        command.args(packages.iter().flat_map(|package| ["--package", package]));
        tally.step(&packages.join(" and "), || passes(command));
    }
    for series in kernels::SERIES {
        if !suites.iter().any(|suite| suite.kver == series) {
            continue;
        }
        // Not a check, and everything below needs it.
        let kernel = kernels::provide(Some(series))?;
        for faults in [false, true] {
            let mut suites = suites
                .iter()
                .filter(|suite| suite.kver == series && suite.faults == faults)
                .peekable();
            if suites.peek().is_none() {
                continue;
            }
            let with = if faults { ", with test faults" } else { "" };
            let mut module = None;
            tally.step(&format!("module for {}{with}", kernel.release), || {
                module = Some(build_module(&kernel, faults)?);
                Ok(Found::one(true, String::new()))
            });
            // A failed build has been counted; its suites have nothing to run with.
            let Some(module) = module else { continue };
            for suite in suites {
                tally.step(&format!("VM {}", suite.name), || {
                    run_suite(suite, &kernel, &module)
                });
            }
        }
    }
    Ok(())
}

fn run_suite(suite: &Suite, kernel: &Kernel, module: &Path) -> Result<Found> {
    let folder = root().join("tests/vm");
    let mut command = String::new();
    for script in suite.scripts {
        command += &format!("bash '{}/{script}.sh'\n", folder.display());
    }
    let long = suite.length == Length::Long;
    let flag = |name: &str, on: bool| (name.to_owned(), if on { "1".to_owned() } else { String::new() });
    let mut environment = vec![
        flag("NVMEV_LONG", long),
        flag("NVMEV_BRIEF", suite.brief),
        ("NVMEV_PARAMETERS".to_owned(), suite.modparams.to_owned()),
    ];
    environment
        .extend(PROGRAMS.map(|program| (program.variable.to_owned(), program.path().display().to_string())));
    let options = VmOptions {
        kernel: kernel.clone(),
        module: Some(module.to_owned()),
        modparams: if suite.loaded {
            suite.modparams.to_owned()
        } else {
            String::new()
        },
        command: Some(command),
        cpus: suite.cpus,
        memory: vm::memory_for(suite.modparams),
        append: suite.append.to_owned(),
        qemuopts: suite.qemuopts.to_owned(),
        environment,
        timeout: Some(Duration::from_secs(if long { 3 * 3600 } else { 600 })),
        live: false,
    };
    let mut outcome = vm::run(&options)?;
    if outcome.emulator_tripped() {
        eprintln!(
            "the emulator, not the guest, went wrong (see emulator_tripped in xtask/src/vm.rs); running {} again",
            suite.name
        );
        outcome = vm::run(&options)?;
    }
    let logs = root().join("target/vm-logs");
    fs::create_dir_all(&logs)?;
    fs::write(logs.join(format!("{}.output", suite.name)), &outcome.output)?;
    fs::write(logs.join(format!("{}.kernel", suite.name)), &outcome.kernel_log)?;
    let mut found = read_checks(&outcome.output, suite.scripts);
    found.add(
        matches!(outcome.end, vm::End::Exited(_)),
        "the VM came to its end",
    );
    let complaints = klog::complaints(&outcome.kernel_log);
    found.add(complaints.is_empty(), "the kernel's log is without complaints");
    for line in outcome
        .output
        .lines()
        .filter(|line| line.starts_with("# ") && line.ends_with(" ms"))
    {
        println!("       {line}");
    }
    found.output = format!(
        "{}\n{}\nAll of it: {}/{}.*",
        failures_of(&outcome.output),
        outcome.trouble(),
        logs.display(),
        suite.name
    );
    Ok(found)
}

/// The failed checks with what is said about them, and the script's last lines.
fn failures_of(output: &str) -> String {
    let mut text = String::new();
    let mut failing = false;
    for line in output.lines() {
        failing = line.starts_with("not ok ") || (failing && line.starts_with('#'));
        if failing {
            text += &format!("{line}\n");
        }
    }
    text + "...\n" + &klog::tail(output, 5)
}

/// Counts the checks in what the scripts printed; one that did not reach its end is a failure.
fn read_checks(output: &str, scripts: &[&str]) -> Found {
    let mut found = Found::default();
    for line in output.lines() {
        if line.starts_with("ok ") {
            found.add(true, line);
        } else if let Some(what) = line.strip_prefix("not ok ") {
            found.add(false, what);
        }
    }
    for script in scripts {
        let end = format!("# {script}: ");
        if !output
            .lines()
            .any(|line| line.starts_with(&end) && line.ends_with(" checks done"))
        {
            found.add(false, &format!("{script}.sh did not reach its end"));
        }
    }
    found
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

    #[test]
    fn a_script_that_stops_half_way_is_a_failure() {
        let output = "ok fio: a\nnot ok fio: b: why\n# fio: 2 checks done\nok idle: c\n";
        let found = read_checks(output, &["fio", "idle"]);
        assert_eq!(found.passed, 2);
        assert_eq!(found.failed, ["fio: b: why", "idle.sh did not reach its end"]);
    }
}
