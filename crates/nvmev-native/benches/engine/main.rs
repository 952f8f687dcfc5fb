//! What the engine costs on this machine: `cargo bench -p nvmev-native`, and docs/performance.md for what the tables mean.

mod commands;
mod instructions;
mod rig;
mod rounds;
mod work;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Only run so many full queues of a case of the first table, for a profiler
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
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(case), Some(batches)) = (&arguments.case, arguments.batches) {
        if instructions::run_case(case, batches) {
            return ExitCode::SUCCESS;
        }
        let names: Vec<&str> = commands::CASES.iter().map(|(name, _)| *name).collect();
        eprintln!("no case is called {case:?}; there are {names:?}");
        return ExitCode::from(2);
    }
    let is_wanted = |table| arguments.tables.is_empty() || arguments.tables.contains(&table);
    let mut figures = serde_json::Map::new();
    if is_wanted(Table::Commands) {
        let rows = commands::run(arguments.rounds, is_wanted(Table::Instructions));
        figures.insert("commands".to_owned(), rows);
    }
    match arguments.json.map(|path| write(&path, figures)) {
        Some(Err(error)) => {
            eprintln!("the figures could not be written: {error}");
            ExitCode::FAILURE
        }
        Some(Ok(())) | None => ExitCode::SUCCESS,
    }
}

fn write(path: &std::path::Path, figures: serde_json::Map<String, serde_json::Value>) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(&figures).map_err(std::io::Error::other)?;
    fs::write(path, text + "\n")
}
