//! Builds `nvmev.ko` for a kernel whose headers are at hand: the Rust half with cargo and the target kernel's code
//! generation flags, linked into one object without anything of the standard library that a kernel cannot use; then Kbuild
//! with the C half. A warning about our code from any of them fails the build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::paths::{self, Lock};
use crate::tools::Tools;

mod config;
mod kbuild;
mod rust;
mod toolchain;

use config::KernelConfig;
pub use config::CHECKED_CALLS;
pub use toolchain::Toolchain;

/// What to build for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kernel's build folder: headers, .config, Module.symvers.
    pub kdir: PathBuf,
    /// The programs to build the C half with; none: the machine's.
    pub tools: Option<Tools>,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kernel.
    pub target: Target,
    /// With the test-only way to make a thread panic (see kmod/Cargo.toml).
    pub test_faults: bool,
}

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

/// Leaves a file alone that has these bytes already, so that make sees nothing to do.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
