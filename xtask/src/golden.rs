//! `cargo xtask golden PATH...`: checks golden traces against our models.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks the traces in `paths` (files or folders) and prints a line for each. Succeeds if every file can be read and
/// every trace of a kind that has a model agrees with it.
pub fn run(paths: &[PathBuf]) -> ExitCode {
    if paths.is_empty() {
        eprintln!("golden: name at least one trace (*.csv.xz) or folder, e.g. crates/nvmev-sim/golden");
        return ExitCode::from(2);
    }
    match nvmev_sim::golden::check_paths(paths, &mut io::stdout().lock()) {
        Ok(summary) if summary.is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden: the report could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}
