//! The module that ours is compared with, which somebody else built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use crate::kernels::{self, Kernel};
use crate::paths::program;
use crate::process::quiet;

/// The module at `path`, which people gave as `OTHER`, for `kernel`.
///
/// # Errors
/// If it is not there, is not a module, or was built for another kernel.
pub fn find(path: &str, kernel: &Kernel) -> Result<PathBuf> {
    let module = fs::canonicalize(path).with_context(|| format!("OTHER={path}"))?;
    ensure!(
        module.is_file(),
        "OTHER={path} is not a file: name a module, such as {path}/nvmev.ko"
    );
    let built_for = release_of(&module)?;
    if built_for != kernel.release {
        bail!(
            "OTHER={path} is built for the kernel {built_for}, and the VM has {}. Build it for that one (its KDIR is {}), or give the VM \
             the other kernel: KVER={}",
            kernel.release,
            kernel.build.display(),
            kver_of(&built_for)
        );
    }
    Ok(module)
}

/// The release of the kernel that a module was built for.
fn release_of(module: &Path) -> Result<String> {
    let modinfo = program("modinfo").context("modinfo is missing: install the package kmod")?;
    let magic = quiet(Command::new(modinfo).args(["-F", "vermagic"]).arg(module))
        .with_context(|| format!("{} is not a kernel module", module.display()))?;
    let release = magic.split_whitespace().next();
    Ok(release
        .with_context(|| format!("{} does not say for which kernel it was built", module.display()))?
        .to_owned())
}

/// What `KVER` has to be for that release, as far as that can be known: it itself if it is installed, else its series.
fn kver_of(release: &str) -> &str {
    let is_of = |series: &&&str| {
        release
            .strip_prefix(**series)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    match kernels::SERIES.iter().find(is_of) {
        Some(series) if kernels::installed(release).is_err() => series,
        _ => release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            image: PathBuf::new(),
            modules: PathBuf::new(),
            build: PathBuf::from("/headers"),
            tools: None,
        }
    }

    #[test]
    fn a_kernel_is_named_as_kver_takes_it() {
        assert_eq!(kver_of("6.1.0-50-none"), "6.1");
        assert_eq!(kver_of("6.12.3+none"), "6.12");
        assert_eq!(kver_of("6.120.3"), "6.120.3");
        assert_eq!(kver_of("5.15.0-none"), "5.15.0-none");
    }

    #[test]
    fn what_is_not_there_or_not_a_file_is_refused_by_name() {
        let error = |path: &str| format!("{:#}", find(path, &kernel("6.12.3")).unwrap_err());
        assert!(error("/nowhere/x.ko").contains("OTHER=/nowhere/x.ko: No such file"));
        assert!(error("/").contains("is not a file"));
    }
}
