//! What a module is built for, and from.

use crate::tools::Tools;
use anyhow::Context;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

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

/// Leaves a file alone that has these bytes already, so that make sees nothing to do.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
