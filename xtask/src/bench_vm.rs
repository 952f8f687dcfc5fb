//! `make bench-vm`: the same fio jobs on our module and on another one, or on ours with other parameters, in alternating order in a VM.
//!
//! A single boot serves all turns as long as both modules can be unloaded; else each turn that is left has a boot of its own, with the
//! same settings. Where the VM is emulated its times mean nothing by themselves, so ratios within a round are what counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

mod comparison;
mod guest;
mod jobs;
mod loaded;
mod order;
mod other;

pub(crate) use loaded::Loaded;

use crate::build::build_module;
use crate::kernels::{self, Kernel};
use crate::packages::{self, Purpose};
use crate::paths::{root, Lock};
use crate::process::{seconds, step};
use crate::vm;
use comparison::{JobComparison, Round, Summary};
use guest::{Guest, Measurements};
use order::{Side, Turn};

/// Threads that sleep soon: under emulation the guest's CPUs share too few cores to have some of them poll.
const PARAMETERS: &str = "size=256M cpus=1,2 idle_timeout_us=20";

/// What to compare, and how long.
#[derive(Args)]
pub struct BenchVmArguments {
    /// The module to compare ours with; without it, ours
    #[arg(long, env = "NVMEV_OTHER", default_value = "")]
    other: String,
    /// The other module's parameters; without them and without another module, those of ours
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "NVMEV_OTHERPARAMS",
        default_value = ""
    )]
    otherparams: String,
    /// Our module's parameters; without them, a small drive
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_MODPARAMS", default_value = "")]
    modparams: String,
    /// How often each side has its turn
    #[arg(long, env = "NVMEV_ROUNDS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each job is measured, seconds
    #[arg(long, env = "NVMEV_JOBSECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    jobseconds: u32,
    #[command(flatten)]
    guest: vm::GuestArguments,
}

/// Everything that was measured, and under which conditions: what the JSON file has.
#[derive(Serialize)]
struct Record<'a> {
    kernel: &'a str,
    accelerator: &'a str,
    cpus: u32,
    memory: &'a str,
    append: &'a str,
    qemuopts: &'a str,
    seconds_per_job: u32,
    boots: usize,
    ours: &'a Loaded,
    other: &'a Loaded,
    rounds: &'a [Round],
    jobs: &'a [JobComparison],
    summaries: &'a [Summary],
}

/// Compares the two; returns the status to end with.
///
/// # Errors
/// If something cannot be built, booted, loaded or measured.
pub fn run(arguments: &BenchVmArguments) -> Result<i32> {
    packages::provide(&[Purpose::Module, Purpose::Vm])?;
    let kernel = kernels::provide(arguments.guest.kver.as_deref())?;
    let [ours, other] = sides(arguments, &kernel)?;
    let folder = root().join("target/bench/vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The job file and the reports are those of one comparison.
    let _lock = Lock::take(&folder.with_extension("lock"), "another comparison to end")?;
    let guest = prepare(arguments, kernel, ours, other, &folder)?;
    let turns = order::turns(arguments.rounds.into());
    println!("ours:  {}", describe(&guest.ours));
    println!("other: {}", describe(&guest.other));
    eprintln!(
        "{} turns of {} jobs, each measured for {} s",
        turns.len(),
        jobs::all().len(),
        arguments.jobseconds
    );
    let measured = guest.measure(&turns)?;
    let rounds = rounds(&turns, &measured, &folder)?;
    report(arguments, &guest, &measured, &rounds)?;
    Ok(0)
}

/// What is compared: ours, the other.
fn sides(arguments: &BenchVmArguments, kernel: &Kernel) -> Result<[Loaded; 2]> {
    // First, for what is wrong with it is said before anybody waits for a build.
    let other = match arguments.other.as_str() {
        "" => None,
        path => Some(other::find(path, kernel)?),
    };
    let module = step("building nvmev.ko", || build_module(kernel, false))?;
    let given = |parameters: &str| Some(parameters.trim().to_owned()).filter(|text| !text.is_empty());
    let ours = Loaded {
        parameters: given(&arguments.modparams).unwrap_or_else(|| PARAMETERS.to_owned()),
        module,
    };
    let parameters = given(&arguments.otherparams);
    let other = match other {
        Some(module) => Loaded {
            module,
            parameters: parameters.unwrap_or_default(),
        },
        None => Loaded {
            module: ours.module.clone(),
            parameters: parameters.unwrap_or_else(|| ours.parameters.clone()),
        },
    };
    Ok([ours, other])
}

/// Empties the folder of results, writes fio's job file there, and says how the VM is to be.
fn prepare(
    arguments: &BenchVmArguments,
    kernel: Kernel,
    ours: Loaded,
    other: Loaded,
    folder: &Path,
) -> Result<Guest> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let job_file = folder.join("jobs.fio");
    fs::write(&job_file, jobs::job_file(arguments.jobseconds))
        .with_context(|| format!("cannot write {}", job_file.display()))?;
    let larger = vm::larger(&ours.parameters, &other.parameters);
    let memory = arguments.guest.memory(larger);
    let cpus = arguments.guest.cpus(&[&ours.parameters, &other.parameters]);
    let append = format!("{} {}", vm::movable_memory(larger), arguments.guest.append);
    // Several times what it takes: only what hangs comes to it.
    let turn_seconds_max =
        u64::try_from(jobs::all().len())?.saturating_mul(u64::from(arguments.jobseconds) + 5) + 120;
    Ok(Guest {
        kernel,
        ours,
        other,
        job_file,
        turn_time_max: Duration::from_secs(turn_seconds_max),
        cpus,
        memory,
        append: append.trim().to_owned(),
        qemuopts: arguments.guest.qemuopts.clone(),
    })
}

/// Reads fio's reports, which are also kept in `folder`, and puts both sides of each round together.
fn rounds(turns: &[Turn], measured: &Measurements, folder: &Path) -> Result<Vec<Round>> {
    let mut sides = BTreeMap::new();
    for turn in turns {
        let report = measured.reports.get(&turn.number);
        let report = report.with_context(|| format!("there is no report on turn {}", turn.number))?;
        let path = folder.join(format!("round{}-{}.json", turn.round, turn.side.name()));
        fs::write(&path, &report.text).with_context(|| format!("cannot write {}", path.display()))?;
        let results = jobs::read_report(&report.text).with_context(|| path.display().to_string())?;
        sides.insert((turn.round, turn.side), (report.boot, results));
    }
    let mut rounds = Vec::new();
    for round in 1.. {
        let mut take = |side| sides.remove(&(round, side));
        let (Some((our_boot, ours)), Some((other_boot, other))) = (take(Side::Ours), take(Side::Other))
        else {
            break;
        };
        rounds.push(Round {
            boots: [our_boot, other_boot],
            ours,
            other,
        });
    }
    Ok(rounds)
}

/// Prints what came of it and writes it down.
fn report(
    arguments: &BenchVmArguments,
    guest: &Guest,
    measured: &Measurements,
    rounds: &[Round],
) -> Result<()> {
    let jobs = comparison::compare(rounds);
    let summaries = comparison::summarize(rounds);
    println!("\n{}", comparison::table(&jobs, &summaries));
    println!("ours:  {}", describe(&guest.ours));
    println!("other: {}", describe(&guest.other));
    println!(
        "Linux {}, {}, {} CPUs, {}; rounds: {}, boots: {}, {}",
        guest.kernel.release,
        measured.accelerator,
        guest.cpus,
        guest.memory,
        rounds.len(),
        measured.boots,
        seconds(measured.elapsed)
    );
    if measured.complained {
        println!("A kernel complained: see above. Do not trust these figures.");
    }
    let path = root().join("target/bench/vm.json");
    let record = Record {
        kernel: &guest.kernel.release,
        accelerator: measured.accelerator,
        cpus: guest.cpus,
        memory: &guest.memory,
        append: &guest.append,
        qemuopts: &guest.qemuopts,
        seconds_per_job: arguments.jobseconds,
        boots: measured.boots,
        ours: &guest.ours,
        other: &guest.other,
        rounds,
        jobs: &jobs,
        summaries: &summaries,
    };
    fs::write(&path, serde_json::to_string_pretty(&record)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!(
        "All rounds: {}; fio's reports: the folder vm beside it",
        path.display()
    );
    Ok(())
}

fn describe(loaded: &Loaded) -> String {
    format!("{} {}", loaded.module.display(), loaded.parameters)
}
