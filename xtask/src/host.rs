//! `make load` and `make unload`: the module on this machine itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};

use crate::build::build_module;
use crate::kernels::{self, Kernel};
use crate::paths::program;
use crate::process::{loud, step};

/// Builds the module for the running kernel and loads it.
///
/// # Errors
/// If this machine cannot load it; the message says why and what to do.
pub fn load(modparams: &str) -> Result<()> {
    ensure!(
        Path::new("/proc/modules").exists(),
        "this machine's kernel cannot load modules. make doctor says more; make demo shows the module in a VM"
    );
    ensure!(!loaded(), "nvmev is loaded already: make unload");
    let release = kernels::running_release();
    let build = Path::new("/lib/modules").join(&release).join("build");
    ensure!(
        build.join("Module.symvers").is_file(),
        "no kernel headers in {}: apt-get install linux-headers-{release} (make doctor says more)",
        build.display()
    );
    let parameters: Vec<&str> = modparams.split_whitespace().collect();
    ensure!(
        !parameters.is_empty(),
        "say how much memory and which CPUs the drive gets, for example: make load MODPARAMS='size=1G cpus=2,3'"
    );
    let kernel = Kernel {
        image: format!("/boot/vmlinuz-{release}").into(),
        modules: Path::new("/lib/modules").join(&release),
        build,
        release,
        tools: None,
    };
    let module = step("building the module", || build_module(&kernel, false))?;
    eprintln!("Loading a module that is not part of your kernel. It takes memory and CPUs from this machine until make unload.");
    loud(as_root("modprobe")?.arg("nvme")).context("the kernel has no nvme driver")?;
    if loud(as_root("insmod")?.arg(&module).args(&parameters)).is_err() {
        bail!("the kernel did not load it. Its last messages say why: dmesg | grep NVMeVirt | tail");
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if let Some(device) = drive() {
            println!("{device} is there.");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("it is loaded, but no drive has appeared after 10 s. The kernel's messages may say why: dmesg | tail -n 30")
}

/// Unloads the module.
///
/// # Errors
/// If it is not loaded, or the kernel keeps it.
pub fn unload() -> Result<()> {
    ensure!(loaded(), "nvmev is not loaded");
    loud(as_root("rmmod")?.arg("nvmev"))?;
    println!("nvmev is unloaded; its memory is the kernel's again.");
    Ok(())
}

fn loaded() -> bool {
    fs::read_to_string("/proc/modules").is_ok_and(|text| text.lines().any(|line| line.starts_with("nvmev ")))
}

fn as_root(name: &str) -> Result<Command> {
    let path = program(name).with_context(|| format!("{name} is missing: install the package kmod"))?;
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new(path));
    }
    ensure!(
        program("sudo").is_some(),
        "{name} needs root: become root, or install sudo"
    );
    let mut command = Command::new("sudo");
    command.arg(path);
    Ok(command)
}

/// The first block device of a controller with our PCI vendor id.
fn drive() -> Option<String> {
    for entry in fs::read_dir("/sys/class/nvme").ok()?.flatten() {
        if fs::read_to_string(entry.path().join("device/vendor")).is_ok_and(|text| text.trim() == "0x0c51") {
            let device = format!("/dev/{}n1", entry.file_name().to_string_lossy());
            if Path::new(&device).exists() {
                return Some(device);
            }
        }
    }
    None
}
