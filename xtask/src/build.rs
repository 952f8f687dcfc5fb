//! Building the module for one of our kernels.

use std::path::PathBuf;

use anyhow::Result;

use crate::{kernels, module};

/// The module for `kernel`; with `faults`, one whose threads panic when a test asks for it.
pub fn build_module(kernel: &kernels::Kernel, faults: bool) -> Result<PathBuf> {
    module::build(&module::Options {
        target: kernel.into(),
        test_faults: faults,
    })
}
