//! What the engine costs on this machine: `cargo bench -p nvmev-native`, and docs/performance.md for what the tables mean.

mod commands;
mod data;
mod instructions;
mod lateness;
mod rig;
mod rounds;
mod scaling;
mod setup;
mod sizes;
mod work;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};

/// Measures the engine natively
#[derive(Parser)]
struct Arguments {
    /// Only these tables
    #[arg(long, value_delimiter = ',')]
    tables: Vec<Table>,
    /// Rounds in which all cases of a table take turns
    #[arg(long, default_value_t = 41)]
    rounds: usize,
    /// Write the figures to this file, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// CPUs for the dispatcher and for the worker; otherwise the kernel's scheduler chooses
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Only run so many full queues of a case of a table about one thread, for a profiler
    #[arg(long, requires = "batches")]
    case: Option<String>,
    #[arg(long, hide = true)]
    batches: Option<u64>,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Commands per second without data
    Commands,
    /// Instructions per command
    Instructions,
    /// With data, beside bare copies
    Data,
    /// One thread and two
    Scaling,
    /// One dispatcher and two
    Dispatchers,
    /// How late completions are
    Lateness,
    /// By the drive's size
    Capacities,
    /// By the number of queues
    Queues,
}

/// Has this program's large tables in large pages, as the module's are (`kmod/shim_main.c`): glibc's allocator does that, if it is told so before it starts.
fn use_large_pages() {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    const LARGE_PAGES: &str = "glibc.malloc.hugetlb=1";
    match std::env::var(TUNABLES) {
        Ok(tunables) if tunables.contains(LARGE_PAGES) => {}
        Ok(tunables) => eprintln!("tables are in small pages, unlike the module's: {TUNABLES}={tunables}"),
        Err(_) => {
            let mut again = Command::new("/proc/self/exe");
            again.args(std::env::args_os().skip(1)).env(TUNABLES, LARGE_PAGES);
            // It only returns if it failed.
            eprintln!("tables are in small pages, unlike the module's: {}", again.exec());
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(case), Some(batches)) = (&arguments.case, arguments.batches) {
        if instructions::run_case(case, batches) {
            return ExitCode::SUCCESS;
        }
        let names: Vec<&str> = instructions::cases().map(|(name, _)| name).collect();
        eprintln!("no case is called {case:?}; there are {names:?}");
        return ExitCode::from(2);
    }
    // Not before a case is run by itself: profilers do not follow.
    use_large_pages();
    if let Some(&cpu) = arguments.cpus.first() {
        nvmev_native::pin(cpu).expect("a CPU of this machine");
    }
    let figures = run(&arguments);
    match arguments.json.map(|path| write(&path, figures)) {
        Some(Err(error)) => {
            eprintln!("the figures could not be written: {error}");
            ExitCode::FAILURE
        }
        Some(Ok(())) | None => ExitCode::SUCCESS,
    }
}

/// Runs the tables that are wanted; what is to be written as JSON.
fn run(arguments: &Arguments) -> serde_json::Map<String, serde_json::Value> {
    let Arguments {
        tables, rounds, cpus, ..
    } = arguments;
    let is_wanted = |table| tables.is_empty() || tables.contains(&table);
    let mut figures = serde_json::Map::new();
    let mut add = |name: &str, rows| {
        println!();
        figures.insert(name.to_owned(), rows);
    };
    if is_wanted(Table::Commands) {
        add("commands", commands::run(*rounds));
    }
    if is_wanted(Table::Instructions) {
        add("instructions", instructions::run());
    }
    if is_wanted(Table::Data) {
        add("data", data::run(*rounds));
    }
    if is_wanted(Table::Scaling) {
        add("scaling", scaling::run(*rounds, cpus));
    }
    if is_wanted(Table::Dispatchers) {
        add("dispatchers", scaling::run_dispatchers(*rounds, cpus));
    }
    if is_wanted(Table::Lateness) {
        add("lateness", lateness::run(cpus));
    }
    if is_wanted(Table::Capacities) {
        add("capacities", sizes::capacities(*rounds));
    }
    if is_wanted(Table::Queues) {
        add("queues", sizes::queue_counts(*rounds));
    }
    figures
}

fn write(path: &std::path::Path, figures: serde_json::Map<String, serde_json::Value>) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(&figures).map_err(std::io::Error::other)?;
    fs::write(path, text + "\n")
}
