//! Reads `profiles/*.toml` at the root of the workspace, checks them, and writes the table that `src/profiles.rs`
//! includes. Runs on the building machine, also when the crate itself is built for the kernel.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use ssd_profile::file::{check_file_name, ProfileFile};

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo shows an error without line breaks best: the TOML parser's own has several lines.
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../profiles");
    println!("cargo::rerun-if-changed=build.rs");
    // A change of the folder is a file added or removed; each file is watched too.
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut profiles = String::from("static PROFILES: &[Profile<'static>] = &[\n");
    let mut sources = String::from("static SOURCES: &[&str] = &[\n");
    for path in profile_paths(&folder)? {
        println!("cargo::rerun-if-changed={}", path.display());
        let in_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let source = fs::read_to_string(&path).map_err(|error| in_file(&error))?;
        let file = ProfileFile::parse(&source).map_err(|error| in_file(&error))?;
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        check_file_name(&file.profile(), stem).map_err(|error| in_file(&error))?;
        // `Debug` of plain structures is their Rust expression but for the paths, which the including file supplies.
        writeln!(profiles, "{:?},", file.profile())?;
        writeln!(sources, "{source:?},")?;
    }
    let table = format!("{profiles}];\n{sources}];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("profiles.rs"), table)?;
    Ok(())
}

/// The profiles in `folder`, sorted by name; at least one.
fn profile_paths(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    // By name, not by file name: '-' and '.' would sort differently.
    paths.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    if paths.is_empty() {
        return Err(format!("{}: no profile (*.toml) in this folder", folder.display()).into());
    }
    Ok(paths)
}
