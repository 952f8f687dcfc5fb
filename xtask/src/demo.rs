//! `make demo`: from a fresh machine to a drive under load, in a VM, with nothing of this machine changed but some packages.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build::build_module;
use crate::kernels;
use crate::klog;
use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::{seconds, step};
use crate::vm::{self, End, VmOptions};

// Threads that sleep soon: under emulation the guest's CPUs share too few cores to have some of them poll.
const MODPARAMS: &str = "size=1G cpus=1,2 idle_timeout_us=20";

/// Runs the demonstration; returns the status to end with.
///
/// # Errors
/// If it cannot be set up.
pub fn run(kver: Option<&str>) -> Result<i32> {
    let start = Instant::now();
    step("1/4 looking for the programs that are needed", || {
        packages::provide(&[Purpose::Module, Purpose::Vm])
    })?;
    let kernel = step("2/4 looking for a kernel", || kernels::provide(kver))?;
    eprintln!("    Linux {}", kernel.release);
    let module = step("3/4 building the module", || build_module(&kernel, false))?;
    let size = std::fs::metadata(&module)?.len();
    eprintln!("    {}: {} KiB", module.display(), size / 1024);
    let options = VmOptions {
        kernel,
        module: Some(module),
        modparams: MODPARAMS.to_owned(),
        command: Some(format!("bash '{}/tests/vm/demo'", root().display())),
        cpus: 3,
        memory: "6G".to_owned(),
        append: String::new(),
        qemuopts: String::new(),
        environment: Vec::new(),
        timeout: Some(Duration::from_secs(600)),
        live: true,
    };
    let outcome = step(
        &format!("4/4 booting a VM and loading nvmev.ko {MODPARAMS}"),
        || vm::run(&options),
    )?;
    eprint!("{}", outcome.trouble());
    let clean = klog::complaints(&outcome.kernel_log).is_empty();
    let good = outcome.end == End::Exited(0) && clean;
    println!();
    println!(
        "Kernel       Linux {}, in a VM under {}",
        options.kernel.release,
        outcome.accelerator.name()
    );
    println!("Module       nvmev.ko, {} KiB, {MODPARAMS}", size / 1024);
    println!(
        "In the VM    {}",
        if outcome.end == End::Exited(0) {
            "every step worked"
        } else {
            "a step failed: see above"
        }
    );
    println!(
        "Kernel log   {}",
        if clean {
            "no warning, bug or oops"
        } else {
            "complaints: see above"
        }
    );
    println!("All of it    {}", seconds(start.elapsed()));
    println!(
        "{}",
        if good {
            "The demonstration worked."
        } else {
            "The demonstration failed."
        }
    );
    Ok(i32::from(!good))
}
