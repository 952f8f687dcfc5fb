//! How to boot and what to run.

use crate::kernels::Kernel;
use std::path::PathBuf;
use std::time::Duration;

/// How to boot and what to run.
#[derive(Clone, Debug)]
pub struct VmOptions {
    /// What to boot.
    pub kernel: Kernel,
    /// The module, and its parameters. Without parameters the command finds it by `$NVMEV_MODULE`, not loaded.
    pub module: Option<PathBuf>,
    /// Parameters to load the module with; empty: it is not loaded.
    pub modparams: String,
    /// For `bash -c`; none: an interactive shell.
    pub command: Option<String>,
    /// Number of CPUs.
    pub cpus: u32,
    /// As QEMU writes it.
    pub memory: String,
    /// Added to the kernel's command line.
    pub append: String,
    /// Added to QEMU's options, quoted as for a shell.
    pub qemuopts: String,
    /// Variables that the command finds in its environment.
    pub environment: Vec<(String, String)>,
    /// After this the guest is killed. None for interactive use.
    pub timeout: Option<Duration>,
    /// Whether the output is shown while it comes.
    pub live: bool,
}
