//! What checks give, and running them.

use crate::fuzz;
use crate::fuzz::Limit;
use crate::klog;
use crate::paths::root;
use crate::process::seconds;
use crate::suites::Added;
use anyhow::Result;
use clap::Args;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use std::time::Instant;

/// Which checks of a scope, and how.
#[derive(Args, Debug, Default)]
pub struct Selection {
    /// Only VM suites whose name starts so
    #[arg(long, env = "NVMEV_SUITE", default_value = "")]
    pub suite: String,
    /// Only these parts of the long checks: names, or how they begin, with commas between them
    #[arg(long, env = "NVMEV_PART", default_value = "")]
    pub part: String,
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
    pub added: Added,
}

impl Selection {
    pub fn wants_status(&self) -> bool {
        !matches!(self.status.as_str(), "" | "0")
    }
}

#[derive(Default)]
pub(crate) struct Tally {
    pub passed: usize,
    pub failed: Vec<String>,
}

impl Tally {
    /// Counts what a step found, prints a line about it, and what it printed if something failed.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Found>) -> Verdict {
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
pub(crate) struct Verdict {
    pub took: Duration,
    pub passed: usize,
    pub failed: Vec<String>,
}

/// What a step found.
#[derive(Default)]
pub(crate) struct Found {
    pub passed: usize,
    pub failed: Vec<String>,
    pub output: String,
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

    pub fn add(&mut self, passed: bool, what: &str) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(what.to_owned());
        }
    }
}

/// What a thread came to; a panic there is one here.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// A target that finds nothing has passed.
pub(crate) fn fuzz_targets(targets: &[&str], limit: Limit, jobs: usize) -> Result<Found> {
    let mut found = Found::default();
    for (target, outcome) in fuzz::check(targets, limit, jobs)? {
        let line = fuzz::describe(target, &outcome);
        println!("       {line}");
        found.add(outcome.findings.is_empty(), target);
        found.output += &format!("{line}\n");
    }
    Ok(found)
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

pub(crate) fn passes(mut command: Command) -> Result<Found> {
    let output = command.output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(Found::one(output.status.success(), text))
}

pub(crate) fn cargo_tests(mut command: Command) -> Result<Found> {
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
pub(crate) fn counts(line: &str) -> Option<(usize, usize)> {
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
