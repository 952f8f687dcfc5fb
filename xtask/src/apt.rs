//! Debian's and Ubuntu's packages: looking up, fetching without installing, unpacking, installing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use crate::paths::{self, program};
use crate::process::{loud, quiet, step};

/// Whether this machine gets its packages from apt.
pub fn available() -> bool {
    program("apt-get").is_some() && program("dpkg").is_some()
}

/// `program` run as root: directly, or through sudo.
fn as_root(name: &str) -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new(name));
    }
    ensure!(
        program("sudo").is_some(),
        "{name} needs root here: become root, or install sudo"
    );
    let mut command = Command::new("sudo");
    command.arg(name);
    Ok(command)
}

/// Fetches the lists of packages.
///
/// # Errors
/// If apt-get fails.
pub fn update() -> Result<()> {
    step("fetching the lists of packages (apt-get update)", || {
        quiet(as_root("apt-get")?.args(["-q", "update"])).map(drop)
    })
}

/// Whether apt knows a package of this name that can be installed.
pub fn has_candidate(package: &str) -> bool {
    Command::new("apt-cache")
        .args(["policy", package])
        .env("LC_ALL", "C")
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).lines().any(|line| {
                line.trim()
                    .strip_prefix("Candidate:")
                    .is_some_and(|rest| rest.trim() != "(none)")
            })
        })
}

/// Installs `packages`, or newer versions of them, as the lists have them: see [`update`].
///
/// # Errors
/// If a package is unknown, or apt-get fails.
pub fn install(packages: &[String]) -> Result<()> {
    let run = || {
        let mut command = as_root("env")?;
        command
            .args([
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-q",
                "install",
                "-y",
                "--no-install-recommends",
            ])
            .args(packages);
        quiet(&mut command).map(drop)
    };
    step(&format!("installing {}", packages.join(" ")), run)
}

/// Fetches `packages` without installing them and unpacks all of them into `folder`.
///
/// # Errors
/// If they cannot be fetched or unpacked.
pub fn fetch_and_unpack(packages: &[String], folder: &Path) -> Result<()> {
    let debs = debs_folder()?;
    step(
        &format!("fetching {} (not installing)", packages.join(" ")),
        || {
            let fetch = || {
                let mut command = Command::new("apt-get");
                // Fetching as the unprivileged user _apt fails in a home folder: no reason to warn about it.
                command
                    .args(["-q", "-o", "APT::Sandbox::User=root", "download"])
                    .args(packages)
                    .current_dir(&debs);
                quiet(&mut command).map(drop)
            };
            fetch().or_else(|_| {
                update()?;
                fetch()
            })
        },
    )?;
    step("unpacking", || {
        for package in packages {
            let deb = newest_deb(&debs, package)?;
            loud(Command::new("dpkg").arg("-x").arg(&deb).arg(folder))?;
            fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
        }
        Ok(())
    })
}

fn debs_folder() -> Result<PathBuf> {
    let folder = paths::cache()?.join("debs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn newest_deb(folder: &Path, package: &str) -> Result<PathBuf> {
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("{package}_"))
        {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    match found.pop() {
        Some((_, path)) => Ok(path),
        None => bail!(
            "apt-get said it fetched {package}, but {} has no such file",
            folder.display()
        ),
    }
}
