//! Checks the imports of all crates of the workspace, and prints figures about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use import_check::{Graph, Layers, Sources};

/// The root modules of a crate: its library, its programs, its benches.
fn roots(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs"]
        .map(|root| folder.join(root))
        .into_iter()
        .filter(|root| root.exists())
        .collect();
    let benches = folder.join("benches");
    if benches.exists() {
        for entry in fs::read_dir(benches)? {
            let path = entry?.path();
            let inside = path.join("main.rs");
            if inside.exists() {
                roots.push(inside);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                roots.push(path);
            }
        }
    }
    roots.sort();
    Ok(roots)
}

/// The folders of all crates, from the workspace's root on.
fn crates(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.join("fuzz"), root.join("kmod"), root.join("xtask")];
    for entry in fs::read_dir(root.join("crates"))? {
        folders.push(entry?.path());
    }
    folders.retain(|folder| folder.join("Cargo.toml").exists());
    folders.sort();
    Ok(folders)
}

/// Checks one root module; what is wrong.
fn check(root: &Path, name: &str, document: &str) -> Result<Vec<String>> {
    let sources = Sources::read(root)?;
    let graph = Graph::new(&sources);
    let cycles = graph.cycles();
    let mut problems: Vec<String> = cycles.iter().map(ToString::to_string).collect();
    if root.ends_with("src/lib.rs") {
        if let Some(layers) = Layers::find(document, name)? {
            problems.extend(layers.violations(&graph));
        }
    }
    let largest = sources.modules().max_by_key(|module| module.lines);
    let figures = sources.figures();
    let (function_lines, function) = figures.longest_function;
    let blocks = figures.impl_blocks.iter().max_by_key(|(_, count)| **count);
    println!(
        "{:<28} {:>3} files, {} in cycles; largest file {:>3} lines ({}); longest function {:>3} lines ({function}); \
         most impl blocks {} ({})",
        format!("{name}/{}", root.file_name().and_then(|file| file.to_str()).unwrap_or_default()),
        sources.modules().count(),
        cycles.iter().map(|cycle| cycle.modules).sum::<usize>(),
        largest.map_or(0, |module| module.lines),
        largest.map_or_else(String::new, |module| module.file.display().to_string()),
        function_lines,
        blocks.map_or(0, |(_, count)| *count),
        blocks.map_or("", |(name, _)| name),
    );
    Ok(problems
        .into_iter()
        .map(|problem| format!("{name}: {problem}"))
        .collect())
}

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document =
        fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md cannot be read")?;
    let mut problems = Vec::new();
    for folder in crates(&root)? {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        for module in roots(&folder)? {
            problems.extend(check(&module, name, &document)?);
        }
    }
    for problem in &problems {
        eprintln!("{}", problem.trim_end());
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
