//! The project's own tool: what `make` calls, and what developers call as `cargo xtask`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use kmod_build::{module, paths, process};

mod accel;
mod apt;
mod archive;
mod bench;
mod bench_vm;
mod build;
mod catalogue;
mod deb;
mod demo;
mod dkms_source;
mod doctor;
mod fuzz;
mod golden;
mod host;
mod initramfs;
mod kernels;
mod kexec;
mod klog;
mod matrix;
mod packages;
mod race;
mod share;
mod suites;
mod test;
mod tool_root;
mod vm;

use packages::Purpose;
use test::Scope;

/// Builds the module, runs it in VMs, checks hosts.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Fetches a kernel with headers into the cache, without installing it, and says where it is
    Kernel {
        /// A series (6.12), a version, a release, newest, or nothing: the machine's own if it will do
        kver: Option<String>,
    },
    /// Builds nvmev.ko
    Module(ModuleArguments),
    /// Boots a VM on this machine's files and runs a command, or a shell, in it
    Vm(VmArguments),
    /// Shows the whole thing at work in a VM
    Demo {
        /// Kernel to boot: 6.12, 7.3-cloud, newest, or a release
        #[arg(long, env = "NVMEV_KVER")]
        kver: Option<String>,
    },
    /// Builds nvmev.ko for every kernel with headers in the distribution's suites, and prints a table
    Matrix {
        /// Only those of a series (6.12), a version or a flavour (7.3-rt)
        #[arg(long, env = "NVMEV_KVER", default_value = "")]
        kver: String,
    },
    /// Runs the project's checks
    Test {
        /// Only those without a VM and without a kernel
        #[arg(long)]
        quick: bool,
        /// Those that take long: the parts that have not passed yet on this commit
        #[arg(long, conflicts_with = "quick")]
        long: bool,
        /// Only those in VMs
        #[arg(long, conflicts_with_all = ["quick", "long"])]
        vm: bool,
        #[command(flatten)]
        selection: test::Selection,
    },
    /// Replays traces in the golden format
    Golden {
        /// Files or folders
        #[arg(env = "NVMEV_PATHS", value_delimiter = ' ', required = true)]
        paths: Vec<PathBuf>,
    },
    /// Builds the Debian packages nvmev and nvmev-dkms
    Deb {
        /// Version of the packages and the module; else the workspace's
        #[arg(long = "package-version", env = "NVMEV_PACKAGE_VERSION", default_value = "")]
        version: String,
    },
    /// Makes a source tree from which DKMS builds the module without a network
    DkmsSource {
        /// Version of the module; else the workspace's
        #[arg(long = "package-version", env = "NVMEV_PACKAGE_VERSION", default_value = "")]
        version: String,
    },
    /// Runs the coverage-guided fuzz targets, or replays an input
    Fuzz(fuzz::FuzzArguments),
    /// Run the engine's threads under ThreadSanitizer
    Race,
    /// Measures how fast the models and the simulator are
    Bench,
    /// Compares the module with another one, in a VM
    BenchVm(bench_vm::BenchVmArguments),
    /// Checks whether the module can run on this machine
    Doctor,
    /// Builds the module and loads it on this machine
    Load {
        /// The module's parameters
        #[arg(long, allow_hyphen_values = true, env = "NVMEV_MODPARAMS", default_value = "")]
        modparams: String,
    },
    /// Unloads the module from this machine
    Unload,
}

#[derive(Args)]
struct ModuleArguments {
    /// The kernel's build folder; else that of the running kernel
    #[arg(long, env = "NVMEV_KDIR", default_value = "")]
    kdir: String,
    /// Build for this kernel instead: 6.12, 7.3-cloud, newest, or a release
    #[arg(long, env = "NVMEV_KVER")]
    kver: Option<String>,
    /// With the faults that tests can ask for
    #[arg(long)]
    faults: bool,
    /// Only print the flags that the Rust half is compiled with
    #[arg(long)]
    rustflags: bool,
}

#[derive(Args)]
struct VmArguments {
    /// Shell command to run as root in the guest; without it, an interactive shell
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_CMD")]
    cmd: Option<String>,
    /// Load nvmev.ko with these parameters; without any, it is not loaded
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_MODPARAMS", default_value = "")]
    modparams: String,
    #[command(flatten)]
    guest: vm::GuestArguments,
    /// Kill the guest after so many seconds (with a command; a shell has no limit)
    #[arg(long, env = "NVMEV_TIMEOUT", default_value_t = 1800)]
    timeout: u64,
    /// Do not build the module (and so do not load it)
    #[arg(long)]
    no_module: bool,
    /// Build the module with the faults that tests can ask for
    #[arg(long, conflicts_with = "no_module")]
    faults: bool,
}

fn main() -> ExitCode {
    // Kbuild must not inherit variables of a make that called us.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"] {
        env::remove_var(name);
    }
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Subject) -> Result<ExitCode> {
    let status = match command {
        Subject::Kernel { kver } => {
            let kernel = kernels::provide(kver.as_deref())?;
            println!("release {}", kernel.release);
            println!("image   {}", kernel.image.display());
            println!("modules {}", kernel.modules.display());
            println!("KDIR    {}", kernel.build.display());
            0
        }
        Subject::Module(arguments) => {
            make_module(&arguments)?;
            0
        }
        Subject::Vm(arguments) => run_vm(arguments)?,
        Subject::Demo { kver } => demo::run(kver.as_deref())?,
        Subject::Test {
            quick,
            long,
            vm,
            selection,
        } => {
            let scope = match (quick, long, vm) {
                (true, ..) => Scope::Quick,
                (_, true, _) => Scope::Long,
                (_, _, true) => Scope::Vm,
                _ => Scope::Usual,
            };
            test::run(scope, &selection)?
        }
        Subject::Matrix { kver } => matrix::run(&kver)?,
        Subject::Golden { paths } => return Ok(golden::run(&paths)),
        Subject::Deb { version } => {
            deb::run(&version)?;
            0
        }
        Subject::DkmsSource { version } => {
            dkms_source::run(&version)?;
            0
        }
        Subject::Fuzz(arguments) => fuzz::run(&arguments)?,
        Subject::Race => {
            process::loud(&mut race::tests()?)?;
            0
        }
        Subject::Bench => {
            bench::run()?;
            0
        }
        Subject::BenchVm(arguments) => bench_vm::run(&arguments)?,
        Subject::Doctor => doctor::run(),
        Subject::Load { modparams } => {
            host::load(&modparams)?;
            0
        }
        Subject::Unload => {
            host::unload()?;
            0
        }
    };
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Builds the module for people: the result lies in the project's root.
fn make_module(arguments: &ModuleArguments) -> Result<()> {
    packages::provide(&[Purpose::Module])?;
    let kver = arguments.kver.as_deref().filter(|kver| !kver.is_empty());
    let kdir = |kdir| module::Target { kdir, tools: None };
    let target = match (arguments.kdir.as_str(), kver) {
        (folder, _) if !folder.is_empty() => kdir(PathBuf::from(folder)),
        (_, Some(kver)) => (&kernels::provide(Some(kver))?).into(),
        _ => kdir(PathBuf::from(format!(
            "/lib/modules/{}/build",
            kernels::running_release()
        ))),
    };
    if arguments.rustflags {
        println!("{}", module::rustflags(&target)?);
        return Ok(());
    }
    let options = module::Options {
        target,
        test_faults: arguments.faults,
    };
    let built = process::step("building nvmev.ko", || module::build(&options))?;
    let here = paths::root().join("nvmev.ko");
    fs::copy(&built, &here).with_context(|| format!("cannot write {}", here.display()))?;
    println!("{}: {} KiB", here.display(), fs::metadata(&here)?.len() / 1024);
    Ok(())
}

fn run_vm(arguments: VmArguments) -> Result<i32> {
    let purposes: &[Purpose] = if arguments.no_module {
        &[Purpose::Vm]
    } else {
        &[Purpose::Module, Purpose::Vm]
    };
    packages::provide(purposes)?;
    let guest = arguments.guest;
    let kernel = kernels::provide(guest.kver.as_deref())?;
    let module = if arguments.no_module {
        None
    } else {
        Some(build::build_module(&kernel, arguments.faults)?)
    };
    let command = arguments.cmd.filter(|command| !command.trim().is_empty());
    vm::run_for_person(&vm::VmOptions {
        kernel,
        module,
        cpus: guest.cpus(&[&arguments.modparams]),
        memory: guest.memory(&arguments.modparams),
        modparams: arguments.modparams,
        timeout: command
            .is_some()
            .then_some(Duration::from_secs(arguments.timeout)),
        command,
        append: guest.append,
        qemuopts: guest.qemuopts,
        environment: Vec::new(),
        live: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make` exports all its variables, those that nobody gave as empty ones.
    #[test]
    fn an_empty_value_is_taken_for_everything_that_make_may_leave_empty() {
        for (command, options) in [
            ("module", &["--kdir", "--kver"][..]),
            (
                "vm",
                &[
                    "--cmd",
                    "--modparams",
                    "--kver",
                    "--cpus",
                    "--mem",
                    "--append",
                    "--qemuopts",
                ],
            ),
            (
                "bench-vm",
                &[
                    "--other",
                    "--otherparams",
                    "--modparams",
                    "--kver",
                    "--cpus",
                    "--mem",
                    "--append",
                    "--qemuopts",
                ],
            ),
            ("demo", &["--kver"]),
            ("matrix", &["--kver"]),
            (
                "test",
                &["--suite", "--part", "--status", "--add", "--append", "--qemuopts"],
            ),
            ("load", &["--modparams"]),
            ("deb", &["--package-version"]),
            ("dkms-source", &["--package-version"]),
        ] {
            for option in options {
                let parsed = Arguments::try_parse_from(["xtask", command, option, ""]);
                assert!(parsed.is_ok(), "{command} {option}: {:?}", parsed.err());
            }
        }
    }
}
