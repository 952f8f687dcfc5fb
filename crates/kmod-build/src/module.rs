//! Builds `nvmev.ko` for a kernel whose headers are at hand: the Rust half with cargo and the target kernel's code
//! generation flags, linked into one object without anything of the standard library that a kernel cannot use; then Kbuild
//! with the C half. A warning about our code from any of them fails the build.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths::{self, Lock};

mod config;
mod kbuild;
mod rust;
mod target;
mod toolchain;

pub(crate) use target::write_if_changed;
pub use target::{Options, Target};

use config::KernelConfig;
pub use config::CHECKED_CALLS;
pub use toolchain::Toolchain;

/// Builds the module and returns its path, `target/module/RELEASE/nvmev.ko`.
///
/// # Errors
/// If a tool is missing, or any step fails or warns.
pub fn build(options: &Options) -> Result<PathBuf> {
    let kernel = KernelConfig::read(&options.target)?;
    let toolchain = Toolchain::find()?;
    let folder = paths::root().join("target/module").join(&kernel.release);
    let kbuild = if options.test_faults {
        folder.join("faults")
    } else {
        folder.clone()
    };
    fs::create_dir_all(&kbuild).with_context(|| format!("cannot make {}", kbuild.display()))?;
    let _lock = Lock::take(&folder.join("lock"), "another build of the module")?;
    let archive = rust::build(&toolchain, &kernel, options.test_faults)?;
    rust::link(&kernel, &archive, &kbuild)?;
    kbuild::build(&kernel, &kbuild, options.test_faults)
}

/// Builds a module in C for tests, from `tests/vm/NAME`, and returns its path, that of [`path_for_tests`].
///
/// # Errors
/// If any step fails or warns.
pub fn build_for_tests(target: &Target, name: &str) -> Result<PathBuf> {
    let kernel = KernelConfig::read(target)?;
    let sources = paths::root().join("tests/vm").join(name);
    let folder = paths::root().join("target/module").join(&kernel.release);
    let kbuild = folder.join(name);
    fs::create_dir_all(&kbuild).with_context(|| format!("cannot make {}", kbuild.display()))?;
    let _lock = Lock::take(&folder.join("lock"), "another build of the module")?;
    kbuild::copy_sources(&sources, &kbuild)?;
    kbuild::run_make(&kernel, kernel.kbuild_command(&kbuild)?, &kbuild, name)
}

/// Where [`build_for_tests`] puts the module.
pub fn path_for_tests(release: &str, name: &str) -> PathBuf {
    let folder = paths::root().join("target/module").join(release).join(name);
    folder.join(name).with_extension("ko")
}

/// The flags that the Rust half is compiled with for a kernel, for whoever wants to try things by hand.
///
/// # Errors
/// If the kernel's configuration cannot be read or asks for what we do not have.
pub fn rustflags(target: &Target) -> Result<String> {
    Ok(KernelConfig::read(target)?
        .rustflags(&Toolchain::find()?)?
        .join(" "))
}
