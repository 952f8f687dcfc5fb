//! Fetches programs of another suite than the machine's, with which modules for that suite's kernels are built, into the cache. Each suite's are in one root folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use kmod_build::tools::Tools;

use crate::archive::Archive;
use crate::paths::{self, Lock};

/// What Kbuild runs beside what the headers' packages ask for.
const BASE: [&str; 11] = [
    "base-files",
    "bash",
    "binutils",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "make",
    "mawk",
    "sed",
];

/// The programs of `suite` that `packages` and [`BASE`] have, fetched if they are not there yet, for the kernel in the folder `kernel`.
///
/// # Errors
/// If they cannot be fetched, or cannot be run on this machine.
pub fn provide(suite: &str, packages: &[String], kernel: &Path) -> Result<Tools> {
    let folder = paths::cache()?.join("tools");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = Lock::take(
        &folder.join(format!(".{suite}.lock")),
        "another fetch of these programs",
    )?;
    let tools = Tools {
        root: folder.join(suite),
        kernel: kernel.to_owned(),
    };
    let complete = folder.join(format!("{suite}.packages"));
    let mut there: Vec<String> = fs::read_to_string(&complete)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut missing: Vec<String> = BASE.iter().map(|&name| name.to_owned()).collect();
    missing.extend_from_slice(packages);
    missing.retain(|name| !there.contains(name));
    if !missing.is_empty() {
        fs::create_dir_all(&tools.root)?;
        Archive::open()?.unpack_with_dependencies(&missing, suite, &tools.root)?;
        arrange(&tools.root)?;
        there.extend(missing);
        fs::write(&complete, there.join("\n") + "\n")?;
    }
    tools.check()?;
    Ok(tools)
}

/// What the packages' scripts would do that is needed here.
fn arrange(root: &Path) -> Result<()> {
    for (name, target) in [("usr/bin/awk", "mawk"), ("bin/sh", "dash")] {
        let path = root.join(name);
        if !path.exists() {
            symlink(target, &path).with_context(|| format!("cannot make {}", path.display()))?;
        }
    }
    // Documentation is as much as the programs.
    for name in [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
    ] {
        let path = root.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The names of the packages that hold programs, of all that a kernel's headers depend on.
///
/// # Errors
/// If the lists of packages cannot be read.
pub fn needed(archive: &Archive, headers: &[String]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for package in headers {
        names.extend(archive.depends(package)?);
    }
    names.retain(|name| !name.starts_with("linux-") || name.starts_with("linux-compiler-"));
    names.sort();
    names.dedup();
    Ok(names)
}
