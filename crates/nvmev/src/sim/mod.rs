//! `nvmev sim`: a drive in virtual time.

mod arguments;
mod json;
mod outcome;
mod output_files;
mod plot;
mod table;
mod wall;

pub use arguments::SimArguments;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use nvmev_sim::simulator::{
    parse_bytes, parse_precondition, Pacing, PhaseReport, Simulator, SimulatorError, Source, TraceInput,
    TraceOptions, TraceReader, Workload,
};
use ssd_model::profiles;
use ssd_profile::file::ProfileFile;
use ssd_profile::{Profile, SetError};

use crate::error::CommandError;
use crate::profile;
use outcome::Outcome;
use output_files::OutputFiles;
use wall::Wall;

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
    // What cannot be read or written is found before the work, not after it.
    let options = arguments.trace_options(profile.transfer_bytes_max())?;
    let traces = open_traces(arguments, simulator.namespace_bytes(), &options)?;
    let files = OutputFiles::open(arguments)?;
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
    for (path, trace) in arguments.trace.iter().zip(traces) {
        phases.push(run_trace(
            &mut simulator,
            path,
            trace,
            arguments.qd,
            &mut measured,
        )?);
    }
    measured.say(&phases);
    let outcome = Outcome {
        profile: profile.name,
        capacity_bytes,
        namespace_bytes: simulator.namespace_bytes(),
        seed: arguments.seed,
        phases: &phases,
    };
    write_results(&outcome, arguments, files, output)
}

fn write_results(
    outcome: &Outcome<'_>,
    arguments: &SimArguments,
    files: OutputFiles,
    output: &mut dyn Write,
) -> Result<(), CommandError> {
    if arguments.json.as_deref() == Some("-") {
        json::write(outcome, output)?;
    } else {
        table::write(outcome, output)?;
    }
    if let Some(file) = files.json {
        let mut text = Vec::new();
        json::write(outcome, &mut text)?;
        file.write(&text)?;
    }
    if let Some(file) = files.plot {
        let picture = plot::draw(outcome)
            .map_err(|error| CommandError::Failed(format!("the plot could not be drawn: {error}")))?;
        file.write(picture.as_bytes())?;
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
    let refuse = |error: SetError<'_>| CommandError::Usage(format!("--set: {error}"));
    if arguments.set.iter().any(|list| list.trim().is_empty()) {
        return Err(refuse(SetError::EmptyEntry));
    }
    // One list, so that what is set twice is found.
    profile.set_list(&arguments.set.join(",")).map_err(refuse)?;
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

/// Opens the traces and finds out what they are.
fn open_traces(
    arguments: &SimArguments,
    namespace_bytes: u64,
    options: &TraceOptions,
) -> Result<Vec<TraceReader>, CommandError> {
    if arguments.trace.iter().filter(|path| *path == "-").count() > 1 {
        return Err(CommandError::Usage(String::from(
            "--trace - is there twice: standard input can be read once",
        )));
    }
    let open = |path: &String| {
        let input = match path.as_str() {
            "-" => TraceInput::new(io::stdin(), None),
            path => TraceInput::open(Path::new(path)),
        };
        let input = input.map_err(|error| CommandError::Failed(format!("{path} cannot be read: {error}")))?;
        TraceReader::new(path, input, namespace_bytes, options.clone())
            .map_err(|error| CommandError::Failed(error.to_string()))
    };
    arguments.trace.iter().map(open).collect()
}

fn run_trace(
    simulator: &mut Simulator,
    path: &str,
    mut trace: TraceReader,
    queue_depth: Option<u32>,
    wall: &mut Wall,
) -> Result<PhaseReport, CommandError> {
    let pacing = match queue_depth {
        Some(depth) => Pacing::QueueDepth { depth, queues: 1 },
        None if trace.format().has_times() => Pacing::OpenLoop,
        None => Pacing::QueueDepth { depth: 1, queues: 1 },
    };
    let result = run_source(simulator, &mut trace, pacing, None, path, wall);
    for warning in trace.warnings() {
        wall.warn(&format!("{path}: {warning}"));
    }
    for note in trace.notes() {
        wall.note(&format!("{path}: {note}"));
    }
    let mut report = result?;
    report.trace = Some(trace.report());
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
