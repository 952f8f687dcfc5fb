//! `make test-long`: the checks that take hours, in parts that can be run one by one, stopped and continued. Each check's result is recorded when it
//! ends, so whatever interrupts a run costs the check that was under way, and no more.

use std::thread;
use std::time::Duration;

use anyhow::{ensure, Result};

use super::parts::{self, Check, Part, MINUTES_MAX, PARTS};
use super::progress::{checks_here, minutes, Log};
use super::{cargo, cargo_tests, fuzz_targets, passes, vms, Found, Selection, Tally};
use crate::fuzz::Limit;
use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::seconds;
use crate::race;
use crate::suites::Suite;

/// Processor time for each fuzz target.
const FUZZ: Duration = Duration::from_secs(1200);
/// Processes of a fuzz target at most: with more, each has little time of its own.
const FUZZ_JOBS_MAX: usize = 4;

/// Runs what is selected of the long checks, or the parts that have not passed on this version of the sources. If all have, returns what they
/// counted.
///
/// # Errors
/// If the selection is wrong, or the record cannot be read or written.
pub(super) fn run(tally: &mut Tally, selection: &Selection) -> Result<Option<usize>> {
    let mut log = Log::open()?;
    let added = &selection.added;
    let has_added = [&added.modparams, &added.append, &added.qemuopts]
        .iter()
        .any(|more| !more.is_empty());
    if !selection.suite.is_empty() {
        ensure!(selection.part.is_empty(), "either PART= or SUITE=, not both");
        let suites = vms::select(false, &selection.suite)?;
        packages::provide(&[Purpose::Module, Purpose::Vm])?;
        vms::run(tally, &suites, added, |ended, verdict| match ended {
            // With other settings it is another check.
            vms::Ended::Suite(suite) if !has_added => log.add(suite.name, verdict),
            _ => Ok(()),
        })?;
        return Ok(None);
    }
    ensure!(!has_added, "ADD=, APPEND= and QEMUOPTS= need SUITE=");
    let is_chosen = !selection.part.is_empty();
    let parts: Vec<&Part> = if is_chosen {
        parts::selected(&selection.part)?
    } else {
        PARTS.iter().filter(|part| !log.has_passed(part)).collect()
    };
    if parts.is_empty() {
        println!(
            "every part has passed on {}, says {}; PART= runs one again",
            log.version.short(),
            log.record.path().display()
        );
        return Ok(Some(log.passed()));
    }
    if !is_chosen {
        let left: Duration = parts.iter().map(|part| log.time_left(part)).sum();
        println!(
            "{} of {} parts have not passed on {}: about {} min",
            parts.len(),
            PARTS.len(),
            log.version.short(),
            minutes(left)
        );
    }
    for part in parts {
        run_part(tally, &mut log, part, selection)?;
    }
    Ok(None)
}

/// Runs the checks of a part that have not passed on this version; all, if it has passed as a whole.
fn run_part(tally: &mut Tally, log: &mut Log, part: &Part, selection: &Selection) -> Result<()> {
    let mut checks = log.left(part);
    let all = checks_here(part);
    if checks.is_empty() {
        checks = all.clone();
    }
    println!(
        "part {}: {} of {} checks, about {} min",
        part.name,
        checks.len(),
        all.len(),
        minutes(checks.iter().map(|check| log.expected(*check)).sum::<Duration>() + part.build_time())
    );
    let mut suites: Vec<&'static Suite> = Vec::new();
    for (check, _) in checks {
        let verdict = match check {
            Check::Suite(suite) => {
                suites.push(suite);
                continue;
            }
            Check::Ignored => tally.step("drives that need much memory", || {
                let ignored = ["test", "--workspace", "--no-fail-fast", "--", "--ignored"];
                cargo_tests(cargo(&ignored))
            }),
            Check::TwoDispatchers => tally.step("tests of the core with two dispatchers", || {
                let mut command = cargo(&["test", "--package", "nvmev-sim", "--no-fail-fast"]);
                command.env("NVMEV_TEST_DISPATCHERS", "2");
                cargo_tests(command)
            }),
            Check::Race => {
                packages::provide(&[Purpose::Module])?;
                tally.step("races between the engine's threads (ThreadSanitizer)", || {
                    cargo_tests(race::tests()?)
                })
            }
            Check::FuzzLints => {
                packages::provide(&[Purpose::Checks, Purpose::Fuzz])?;
                tally.step("clippy of the fuzz targets", fuzz_lints)
            }
            Check::Fuzz(target) => {
                packages::provide(&[Purpose::Fuzz])?;
                tally.step(&format!("fuzz target {target}"), || fuzz(target))
            }
        };
        log.add(&check.name(), verdict)?;
    }
    if !suites.is_empty() {
        packages::provide(&[Purpose::Module, Purpose::Vm])?;
        vms::run(tally, &suites, &selection.added, |ended, verdict| match ended {
            vms::Ended::Builds => log.add(&part.build(), verdict),
            vms::Ended::Suite(suite) => log.add(suite.name, verdict),
        })?;
    }
    let standing = log.standing(part);
    println!(
        "part {}: {}, {} min",
        part.name,
        standing.result(),
        minutes(standing.took)
    );
    if standing.is_too_long() {
        println!(
            "too long: part {} took {} min, of {MINUTES_MAX} that it may take: divide it in xtask/src/test/parts.rs",
            part.name,
            minutes(standing.took)
        );
    }
    Ok(())
}

/// Lints of the fuzz targets. They are a workspace of their own, which has to be built once more for it.
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

/// New inputs for a target, on all CPUs.
fn fuzz(target: &str) -> Result<Found> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let jobs = cpus.min(FUZZ_JOBS_MAX);
    let time = FUZZ / u32::try_from(jobs)?;
    fuzz_targets(&[target], Limit::Time(time), jobs)
}

/// Prints where the parts stand that `names` selects; all, if it is empty.
///
/// # Errors
/// If there are no such parts, or the record cannot be read.
pub(super) fn show_status(names: &str) -> Result<()> {
    let log = Log::open()?;
    let parts = if names.is_empty() {
        PARTS.iter().collect()
    } else {
        parts::selected(names)?
    };
    print!("{}", status(&log, &parts));
    println!("record: {}", log.record.path().display());
    Ok(())
}

fn status(log: &Log, parts: &[&Part]) -> String {
    let mut text = format!(
        "{:22} {:24} {:18} {:17} {:>7} {:>7} {:>7}\n",
        "part", "result", "commit", "ended, UTC", "minutes", "passed", "failed"
    );
    let mut failed = Vec::new();
    let mut left = Duration::ZERO;
    for part in parts {
        let standing = log.standing(part);
        left += log.time_left(part);
        let has_run = standing.version.is_some();
        // `2026-12-01T00:12:34Z`, to the minute.
        let ended = standing
            .ended
            .map(|time| humantime::format_rfc3339_seconds(time).to_string());
        let ended = ended
            .as_deref()
            .and_then(|time| time.get(..16))
            .unwrap_or("")
            .replace('T', " ");
        let took = if has_run {
            minutes(standing.took).to_string()
        } else {
            format!("~{}", minutes(log.time_left(part)))
        };
        let count = |count: usize| if has_run { count.to_string() } else { String::new() };
        let line = format!(
            "{:22} {:24} {:18} {ended:17} {took:>7} {:>7} {:>7}",
            part.name,
            standing.result(),
            standing.version.as_deref().unwrap_or(""),
            count(standing.passed),
            count(standing.failed.len()),
        );
        text += line.trim_end();
        text += "\n";
        let what = standing
            .failed
            .iter()
            .map(|what| format!("failed: {}: {what}\n", part.name));
        failed.extend(what);
    }
    text += &failed.concat();
    let passed = parts.iter().filter(|part| log.has_passed(part)).count();
    text + &format!(
        "{passed} of {} parts have passed on {}; the rest takes about {}\n",
        parts.len(),
        log.version.short(),
        seconds(left)
    )
}

#[cfg(test)]
mod tests {
    use super::super::progress::tests::{log, record, CHECKS};
    use super::super::record::tests::{version, Folder};
    use super::*;

    #[test]
    fn the_status_has_a_line_for_each_part_and_says_what_failed() {
        let folder = Folder::new("long-status");
        let mut log = log(&folder, &version("0123456789", None));
        record(&mut log, CHECKS[0], 9, &["a zone is full"]);
        let text = status(&log, &parts::selected("zoned,zoned-large").unwrap());
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1][..3], ["zoned", "never", "ran"]);
        assert_eq!(lines[1].last(), Some(&"~23"));
        assert_eq!(lines[2][..3], ["zoned-large", "failed", "012345678"]);
        assert_eq!(lines[2][5..], ["9", "7", "1"]);
        assert_eq!(
            text.lines().nth(3),
            Some("failed: zoned-large: 6.12-zn540-long: a zone is full")
        );
        assert!(text
            .lines()
            .nth(4)
            .unwrap()
            .starts_with("0 of 2 parts have passed on 012345678; "));
    }
}
