//! The program that starts a kernel from a running one, for the guest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::apt;
use crate::archive::Archive;
use crate::initramfs;
use crate::kernels::Kernel;
use crate::paths::{self, program};

/// The script in tests/vm that runs it.
pub const SCRIPT: &str = "kexec";

/// Variables that tell the script where the program is, and what to start: the guest's own kernel again.
///
/// # Errors
/// If the program or the initramfs cannot be had.
pub fn environment(kernel: &Kernel) -> Result<Vec<(String, String)>> {
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    Ok(vec![
        variable("NVMEV_KEXEC", &provide()?),
        variable("NVMEV_IMAGE", &kernel.image),
        variable("NVMEV_INITRAMFS", &initramfs::provide(kernel)?),
    ])
}

/// The machine's, or one that is fetched with its libraries and not installed: installed, it would have a say in how the
/// machine reboots.
fn provide() -> Result<PathBuf> {
    if let Some(path) = program("kexec") {
        return Ok(path);
    }
    let folder = paths::cache()?.join("kexec-tools");
    let start = folder.join("start");
    if start.is_file() {
        return Ok(start);
    }
    ensure!(
        apt::available(),
        "the program kexec is needed: install the package kexec-tools"
    );
    let archive = Archive::open()?;
    let found = archive.find("^kexec-tools$")?;
    let version = found
        .get("kexec-tools")
        .context("the distribution has no package kexec-tools")?;
    fs::create_dir_all(&folder)?;
    archive.unpack_with_dependencies(&["kexec-tools".to_owned()], &version.suite, &folder)?;
    let kexec = ["sbin/kexec", "usr/sbin/kexec"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .context("the package kexec-tools has no program kexec")?;
    write_start(&folder, &kexec, &start)?;
    Ok(start)
}

/// Writes a script that runs `kexec` with the loader and the libraries in `folder`.
fn write_start(folder: &Path, kexec: &Path, start: &Path) -> Result<()> {
    let (folder, kexec) = (folder.display(), kexec.display());
    let libraries = format!("{folder}/lib/x86_64-linux-gnu:{folder}/usr/lib/x86_64-linux-gnu");
    let text = format!(
        "#!/bin/sh\n\
         for loader in '{folder}/lib64/ld-linux-x86-64.so.2' '{folder}/usr/lib64/ld-linux-x86-64.so.2'; do\n\
         [ -e \"$loader\" ] && exec \"$loader\" --library-path '{libraries}' '{kexec}' \"$@\"\n\
         done\n\
         echo 'no loader in {folder}' >&2; exit 1\n"
    );
    // Complete or not at all: another call takes the file for the sign that everything is there.
    let partial = start.with_extension("partial");
    fs::write(&partial, text).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))?;
    fs::rename(&partial, start)?;
    Ok(())
}
