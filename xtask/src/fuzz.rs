//! `cargo xtask fuzz`: builds and runs the coverage-guided fuzz targets in `fuzz/`, and replays their inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use rustix::process::{kill_process, Pid, Signal};

use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::{loud, quiet, seconds, step};

/// The targets, as the files in `fuzz/targets/` are named.
pub const TARGETS: [&str; 5] = ["commands", "data_pointers", "registers", "config_space", "traces"];

/// What libFuzzer needs in the code. Comparisons are not traced: inputs have no magic numbers, and it costs a quarter of the speed.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";

/// Longest input, bytes.
const INPUT_BYTES_MAX: usize = 2052;
/// An input that takes longer is a hang.
const INPUT_SECONDS_MAX: u32 = 30;
/// How often the runs are looked after.
const LOOK: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Args)]
pub struct FuzzArguments {
    /// Only this target
    #[arg(long, value_parser = TARGETS)]
    target: Option<String>,
    /// Until each target's device has taken so many commands
    #[arg(long, conflicts_with = "seconds")]
    commands: Option<u64>,
    /// So long for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Processes at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Only take this input, and print what it does
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
    /// Only write the seeds in fuzz/seeds/ anew
    #[arg(long)]
    write_seeds: bool,
}

/// When a target has run enough.
#[derive(Clone, Copy)]
pub enum Limit {
    /// After so long.
    Time(Duration),
    /// After so many commands.
    Commands(u64),
    /// After so many inputs, which are the same each time: nothing that earlier runs have found, and no chance.
    Inputs(u32),
}

/// What a target's run came to.
#[derive(Default)]
pub struct Outcome {
    inputs: u64,
    commands: u64,
    edges: u64,
    took: Duration,
    /// Inputs with which something is wrong.
    pub findings: Vec<PathBuf>,
    /// What the targets said of them.
    complaints: String,
}

/// `cargo xtask fuzz`. Returns the status to end with.
///
/// # Errors
/// If something cannot be built or run.
pub fn run(arguments: &FuzzArguments) -> Result<i32> {
    if arguments.write_seeds {
        loud(
            cargo()
                .args(["run", "--quiet", "--no-default-features", "--bin", "seeds"])
                .arg(fuzz_folder().join("seeds")),
        )?;
        return Ok(0);
    }
    packages::provide(&[Purpose::Fuzz])?;
    step("building the fuzz targets", build)?;
    if let (Some(target), Some(input)) = (&arguments.target, &arguments.input) {
        return replay(target, input);
    }
    let limit = match arguments.commands {
        Some(commands) => Limit::Commands(commands),
        None => Limit::Time(Duration::from_secs(arguments.seconds)),
    };
    let mut findings = 0;
    let is_meant = |target: &&&str| arguments.target.as_deref().is_none_or(|name| name == **target);
    for target in TARGETS.iter().filter(is_meant) {
        let outcome = run_target(target, limit, arguments.jobs.max(1))?;
        println!("{}", describe(target, &outcome));
        findings += outcome.findings.len();
    }
    Ok(i32::from(findings > 0))
}

/// A line for people, and one for each finding with how to see it again.
pub fn describe(target: &str, outcome: &Outcome) -> String {
    let Outcome {
        inputs,
        commands,
        edges,
        took,
        findings,
        complaints,
    } = outcome;
    let rate = *commands as f64 / took.as_secs_f64().max(0.001);
    let mut text = format!(
        "{target}: {inputs} inputs, {commands} commands in {} ({rate:.0} commands/s), {edges} edges, {} findings",
        seconds(*took),
        findings.len()
    );
    for finding in findings {
        text += &format!(
            "\n  cargo xtask fuzz --target {target} --input {}",
            finding.display()
        );
    }
    text + complaints
}

fn fuzz_folder() -> PathBuf {
    root().join("fuzz")
}

fn work_folder() -> PathBuf {
    root().join("target/fuzz")
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(fuzz_folder())
        .env("CARGO_TARGET_DIR", work_folder().join("build"));
    command
}

/// This machine's target triple: with one given, the flags are not those of build scripts.
fn triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = quiet(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it runs on")?.to_owned())
}

/// Builds all targets.
///
/// # Errors
/// If that fails.
pub fn build() -> Result<()> {
    let mut command = cargo();
    command
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            &triple()?,
        ])
        .env("RUSTFLAGS", FLAGS);
    for target in TARGETS {
        command.args(["--bin", target]);
    }
    quiet(&mut command).map(drop)
}

fn program(target: &str) -> Result<PathBuf> {
    let folder = work_folder().join("build").join(triple()?).join("release");
    Ok(folder.join(target))
}

/// The target with what it needs around it. The C library gives memory back to the kernel and gets it again for each input's device, unless told not to.
fn command(target: &str) -> Result<Command> {
    let mut command = Command::new(program(target)?);
    command
        .env("MALLOC_MMAP_THRESHOLD_", "1000000000")
        .env("MALLOC_TRIM_THRESHOLD_", "1000000000");
    Ok(command)
}

fn replay(target: &str, input: &Path) -> Result<i32> {
    let input = fs::canonicalize(input).with_context(|| format!("there is no {}", input.display()))?;
    let status = command(target)?
        .env("NVMEV_FUZZ_TRAIL", "1")
        .arg(input)
        .status()
        .context("the target cannot be started")?;
    println!(
        "{target}: {}",
        if status.success() {
            "nothing is wrong"
        } else {
            "see above"
        }
    );
    Ok(i32::from(!status.success()))
}

/// A process of a target.
struct Run {
    child: Child,
    tally: PathBuf,
    log: PathBuf,
}

impl Run {
    fn start(target: &str, job: usize, folder: &Path, corpus: &[PathBuf], limit: Limit) -> Result<Self> {
        let (tally, log) = (
            folder.join(format!("tally{job}")),
            folder.join(format!("log{job}")),
        );
        // Not what an earlier run has counted.
        fs::write(&tally, [])?;
        let mut command = command(target)?;
        if let Limit::Inputs(inputs) = limit {
            command.args(["-seed=1".to_owned(), format!("-runs={inputs}")]);
        }
        let child = command
            .env("NVMEV_FUZZ_TALLY", &tally)
            .env("RUST_BACKTRACE", "0")
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg("-len_control=0")
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-artifact_prefix={}/", folder.display()))
            .args(corpus)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("the target cannot be started")?;
        Ok(Self { child, tally, log })
    }

    /// Inputs and commands so far.
    fn tally(&self) -> (u64, u64) {
        let bytes = fs::read(&self.tally).unwrap_or_default();
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        (number(0), number(8))
    }

    /// Edges seen, as libFuzzer prints them.
    fn edges(&self) -> Result<u64> {
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        let counts = log
            .lines()
            .filter_map(|line| line.split("cov: ").nth(1)?.split(' ').next()?.parse().ok());
        Ok(counts.max().unwrap_or(0))
    }

    /// What the target says of an input with which something is wrong: the assertion that failed, and the input itself for a machine
    /// that does not have the file.
    fn complaints(&self) -> Result<String> {
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        let mut lines = log.lines();
        let mut complaints = String::new();
        while let Some(line) = lines.next() {
            if line.contains("panicked at") {
                complaints += &format!("\n  {line}\n  {}", lines.next().unwrap_or_default());
            } else if line.starts_with("Base64: ") || line.starts_with("SUMMARY: ") {
                complaints += &format!("\n  {line}");
            }
        }
        Ok(complaints)
    }

    /// Asks it to end.
    fn stop(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a child has a process id")?;
        // It may have ended just now.
        if kill_process(pid, Signal::USR1).is_err() {
            eprintln!("a target has ended by itself");
        }
        Ok(())
    }
}

/// Runs a target: first its seeds, the inputs with which something was wrong once, and what earlier runs have found interesting; then new ones.
///
/// # Errors
/// If it cannot be run.
pub fn run_target(target: &str, limit: Limit, jobs: usize) -> Result<Outcome> {
    let folder = work_folder().join(target);
    let is_repeatable = matches!(limit, Limit::Inputs(_));
    let corpus = folder.join(if is_repeatable { "once" } else { "corpus" });
    if is_repeatable && corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    fs::create_dir_all(&corpus)?;
    let mut folders = vec![corpus];
    for kind in ["seeds", "regressions"] {
        let folder = fuzz_folder().join(kind).join(target);
        folders.extend(folder.is_dir().then_some(folder));
    }
    let (since, start) = (SystemTime::now(), Instant::now());
    let mut runs = Vec::new();
    for job in 0..jobs {
        runs.push(Run::start(target, job, &folder, &folders, limit)?);
    }
    let has_failed = wait(&mut runs, limit, start)?;
    let mut outcome = Outcome {
        took: start.elapsed(),
        ..Outcome::default()
    };
    for run in &runs {
        let (inputs, commands) = run.tally();
        outcome.inputs += inputs;
        outcome.commands += commands;
        outcome.edges = outcome.edges.max(run.edges()?);
        outcome.complaints += &run.complaints()?;
    }
    outcome.findings = findings_in(&folder, since)?;
    ensure!(
        outcome.commands > 0 && has_failed != outcome.findings.is_empty(),
        "{target} has not done what it should: see {}",
        folder.display()
    );
    Ok(outcome)
}

/// Waits until all have ended. Returns whether one has failed.
fn wait(runs: &mut [Run], limit: Limit, start: Instant) -> Result<bool> {
    let mut is_stopped = false;
    loop {
        let mut running = 0;
        let mut has_failed = false;
        for run in runs.iter_mut() {
            match run.child.try_wait()? {
                None => running += 1,
                Some(status) => has_failed |= !status.success(),
            }
        }
        if running == 0 {
            return Ok(has_failed);
        }
        let is_enough = match limit {
            Limit::Time(time) => start.elapsed() >= time,
            Limit::Commands(commands) => runs.iter().map(|run| run.tally().1).sum::<u64>() >= commands,
            Limit::Inputs(_) => false,
        };
        if (is_enough || has_failed) && !is_stopped {
            is_stopped = true;
            for run in runs.iter() {
                run.stop()?;
            }
        }
        sleep(LOOK);
    }
}

/// What libFuzzer has kept because something was wrong; an input that was found before is written anew.
fn findings_in(folder: &Path, since: SystemTime) -> Result<Vec<PathBuf>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.modified()? < since {
            continue;
        }
        let path = entry.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let kinds = ["crash-", "timeout-", "oom-", "leak-"];
        if kinds.iter().any(|kind| name.starts_with(kind)) {
            findings.push(path);
        }
    }
    findings.sort();
    Ok(findings)
}

/// For the project's checks: these targets, each up to `limit` in so many processes.
///
/// # Errors
/// If they cannot be built or run, or if a seed is not there.
pub fn check<'a>(targets: &[&'a str], limit: Limit, jobs: usize) -> Result<Vec<(&'a str, Outcome)>> {
    build()?;
    let mut outcomes = Vec::new();
    for &target in targets {
        let seeds = fuzz_folder().join("seeds").join(target);
        if fs::read_dir(&seeds).map_or(0, Iterator::count) == 0 {
            bail!("{} has no seeds", seeds.display());
        }
        outcomes.push((target, run_target(target, limit, jobs)?));
    }
    Ok(outcomes)
}
