//! `nvmev sim`: a drive in virtual time.

mod arguments;
mod json;
mod plot;
mod table;
mod wall;

pub use arguments::SimArguments;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::time::Instant;

use nvmev_sim::simulator::{
    parse_bytes, parse_precondition, Pacing, PhaseReport, Simulator, SimulatorError, Source, TraceReader,
    Workload,
};
use ssd_model::profiles;
use ssd_profile::file::ProfileFile;
use ssd_profile::Profile;

use crate::error::CommandError;
use crate::profile;
use wall::Wall;

/// What was simulated, for the table, the JSON file and the plot.
struct Outcome<'a> {
    profile: &'a str,
    capacity_bytes: u64,
    namespace_bytes: u64,
    seed: u64,
    phases: &'a [PhaseReport],
}

/// Does what `arguments` ask.
pub fn run(arguments: &SimArguments, output: &mut dyn Write) -> Result<(), CommandError> {
    let file = arguments
        .profile_file
        .as_deref()
        .map(profile::read_file)
        .transpose()?;
    let profile = profile_of(arguments, file.as_ref())?;
    let capacity_bytes =
        parse_bytes(&arguments.size).map_err(|error| CommandError::Usage(format!("--size: {error}")))?;
    let workloads = parse_all(&arguments.workload)?;
    let preconditions = match &arguments.precondition {
        Some(text) => parse_precondition(text).map_err(|error| CommandError::Usage(error.to_string()))?,
        None => Vec::new(),
    };
    if workloads.is_empty() && arguments.trace.is_empty() {
        return Err(CommandError::Usage(String::from(
            "there is nothing to do: give a --workload, such as 'randread:bs=4k,qd=32,time=10s', or a --trace",
        )));
    }
    let mut simulator = Simulator::new(&profile.kind, capacity_bytes).map_err(usage)?;
    let mut wall = Wall::new(arguments.quiet);
    for workload in &preconditions {
        run_workload(
            &mut simulator,
            workload,
            arguments.seed,
            "precondition",
            &mut wall,
        )?;
    }
    let mut phases = Vec::new();
    let mut measured = Wall::new(arguments.quiet);
    for workload in &workloads {
        // Every phase has other random numbers.
        let seed = arguments.seed.wrapping_add(phases.len() as u64 + 1);
        phases.push(run_workload(
            &mut simulator,
            workload,
            seed,
            &workload.text,
            &mut measured,
        )?);
    }
    for trace in &arguments.trace {
        phases.push(run_trace(&mut simulator, trace, arguments, &mut measured)?);
    }
    measured.say(&phases);
    let outcome = Outcome {
        profile: profile.name,
        capacity_bytes,
        namespace_bytes: simulator.namespace_bytes(),
        seed: arguments.seed,
        phases: &phases,
    };
    write_results(&outcome, arguments, output)
}

fn write_results(
    outcome: &Outcome<'_>,
    arguments: &SimArguments,
    output: &mut dyn Write,
) -> Result<(), CommandError> {
    let failed = |path: &str, error: &dyn std::fmt::Display| {
        CommandError::Failed(format!("{path} could not be written: {error}"))
    };
    match arguments.json.as_deref() {
        Some("-") => json::write(outcome, output)?,
        Some(path) => {
            let mut text = Vec::new();
            json::write(outcome, &mut text)?;
            fs::write(path, text).map_err(|error| failed(path, &error))?;
            table::write(outcome, output)?;
        }
        None => table::write(outcome, output)?,
    }
    if let Some(path) = &arguments.plot {
        let picture = plot::draw(outcome).map_err(|error| failed(path, &error))?;
        fs::write(path, picture).map_err(|error| failed(path, &error))?;
    }
    Ok(())
}

/// The profile that is asked for, with the parameters that are set otherwise.
fn profile_of<'a>(
    arguments: &'a SimArguments,
    file: Option<&'a ProfileFile>,
) -> Result<Profile<'a>, CommandError> {
    let mut profile = match file {
        Some(file) => file.profile(),
        None => *profiles::by_name(&arguments.profile).ok_or_else(|| profile::unknown(&arguments.profile))?,
    };
    for list in &arguments.set {
        profile
            .set_list(list)
            .map_err(|error| CommandError::Usage(format!("--set: {error}")))?;
    }
    profile
        .validate()
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(profile)
}

fn parse_all(texts: &[String]) -> Result<Vec<Workload>, CommandError> {
    texts
        .iter()
        .map(|text| Workload::parse(text).map_err(|error| CommandError::Usage(error.to_string())))
        .collect()
}

/// What the user can mend by asking for something else, and what went wrong on the way.
fn usage(error: SimulatorError) -> CommandError {
    match error {
        SimulatorError::Trace(_) => CommandError::Failed(error.to_string()),
        _ => CommandError::Usage(error.to_string()),
    }
}

fn run_workload(
    simulator: &mut Simulator,
    workload: &Workload,
    seed: u64,
    name: &str,
    wall: &mut Wall,
) -> Result<PhaseReport, CommandError> {
    let mut generator = workload
        .generator(simulator, seed)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    run_source(
        simulator,
        &mut *generator,
        workload.pacing(),
        workload.time_limit_ns(),
        name,
        wall,
    )
}

fn run_trace(
    simulator: &mut Simulator,
    path: &str,
    arguments: &SimArguments,
    wall: &mut Wall,
) -> Result<PhaseReport, CommandError> {
    let cannot = |error: io::Error| CommandError::Failed(format!("{path} cannot be read: {error}"));
    let (reader, size_bytes): (Box<dyn BufRead>, _) = if path == "-" {
        (Box::new(BufReader::new(io::stdin())), None)
    } else {
        let file = File::open(path).map_err(cannot)?;
        let size_bytes = file.metadata().map_err(cannot)?.len();
        (
            Box::new(BufReader::with_capacity(1 << 20, file)),
            Some(size_bytes),
        )
    };
    let mut trace = TraceReader::new(
        path,
        reader,
        size_bytes,
        simulator.namespace_bytes(),
        arguments.trace_options()?,
    )
    .map_err(|error| CommandError::Failed(error.to_string()))?;
    let pacing = match arguments.qd {
        Some(depth) => Pacing::QueueDepth { depth, queues: 1 },
        None if trace.has_times() => Pacing::OpenLoop,
        None => Pacing::QueueDepth { depth: 1, queues: 1 },
    };
    let report = run_source(simulator, &mut trace, pacing, None, path, wall)?;
    if trace.beyond() > 0 {
        wall.note(&format!(
            "{path}: {} commands beyond the end of the drive were {}",
            trace.beyond(),
            arguments.beyond_word()
        ));
    }
    Ok(report)
}

fn run_source(
    simulator: &mut Simulator,
    source: &mut dyn Source,
    pacing: Pacing,
    time_limit_ns: Option<u64>,
    name: &str,
    wall: &mut Wall,
) -> Result<PhaseReport, CommandError> {
    let started = Instant::now();
    let report = simulator.run(name, source, pacing, time_limit_ns, &mut |progress| {
        wall.progress(name, progress);
    });
    wall.phase_is_over(started.elapsed());
    report.map_err(usage)
}
