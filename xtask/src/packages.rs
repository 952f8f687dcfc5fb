//! Programs of this machine that the project needs, and how to get those that are missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Result};

use crate::apt;
use crate::paths::program;

/// What a program is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Building the kernel module.
    Module,
    /// Booting a VM, and what runs in it.
    Vm,
    /// Checking the sources.
    Checks,
    /// Building the fuzz targets.
    Fuzz,
    /// Measuring.
    Bench,
    /// Building and checking Debian packages.
    Package,
}

/// How to see whether something is there.
enum Sign {
    /// A program in PATH.
    Program(&'static str),
    /// A shared library of the loader's usual folders.
    Library(&'static str),
    /// A subcommand of cargo.
    Cargo(&'static str),
}

struct Need {
    purpose: Purpose,
    sign: Sign,
    package: &'static str,
    why: &'static str,
}

const fn need(purpose: Purpose, sign: Sign, package: &'static str, why: &'static str) -> Need {
    Need {
        purpose,
        sign,
        package,
        why,
    }
}

/// Packages are named as Debian and Ubuntu name them.
const NEEDS: &[Need] = &[
    need(
        Purpose::Module,
        Sign::Program("gcc"),
        "gcc",
        "compiles the module's C part",
    ),
    // Debian 12's kernels want the compiler that they were built with, by this name.
    need(
        Purpose::Module,
        Sign::Program("gcc-12"),
        "gcc-12",
        "compiles for Debian 12's kernels",
    ),
    need(
        Purpose::Module,
        Sign::Program("make"),
        "make",
        "runs the kernel's build system",
    ),
    need(
        Purpose::Module,
        Sign::Program("ld"),
        "binutils",
        "links the module",
    ),
    need(
        Purpose::Module,
        Sign::Program("pahole"),
        "pahole",
        "writes the module's type information",
    ),
    need(
        Purpose::Module,
        Sign::Library("libelf.so.1"),
        "libelf1",
        "the kernel's objtool needs it",
    ),
    need(
        Purpose::Module,
        Sign::Program("depmod"),
        "kmod",
        "arranges kernel modules",
    ),
    need(
        Purpose::Vm,
        Sign::Program("qemu-system-x86_64"),
        "qemu-system-x86",
        "runs the VM",
    ),
    need(
        Purpose::Vm,
        Sign::Program("depmod"),
        "kmod",
        "arranges and loads kernel modules",
    ),
    need(
        Purpose::Vm,
        Sign::Program("xz"),
        "xz-utils",
        "unpacks kernel modules",
    ),
    need(
        Purpose::Vm,
        Sign::Program("setpriv"),
        "util-linux",
        "ends the VM with us",
    ),
    need(
        Purpose::Vm,
        Sign::Program("nvme"),
        "nvme-cli",
        "asks the drive questions",
    ),
    need(
        Purpose::Vm,
        Sign::Program("fio"),
        "fio",
        "does I/O on the drive and checks it",
    ),
    need(
        Purpose::Vm,
        Sign::Program("mkfs.f2fs"),
        "f2fs-tools",
        "puts a file system on zones",
    ),
    need(
        Purpose::Vm,
        Sign::Program("mkfs.btrfs"),
        "btrfs-progs",
        "puts another one there",
    ),
    need(
        Purpose::Vm,
        Sign::Program("mkfs.ext4"),
        "e2fsprogs",
        "puts a file system on the drive",
    ),
    need(
        Purpose::Vm,
        Sign::Program("pgrep"),
        "procps",
        "looks for the module's threads",
    ),
    need(Purpose::Vm, Sign::Program("ip"), "iproute2", "sets up the guest"),
    need(
        Purpose::Fuzz,
        Sign::Program("c++"),
        "g++",
        "compiles the fuzzing engine",
    ),
    need(
        Purpose::Bench,
        Sign::Program("valgrind"),
        "valgrind",
        "counts instructions",
    ),
    need(
        Purpose::Package,
        Sign::Program("dpkg-buildpackage"),
        "dpkg-dev",
        "builds packages",
    ),
    need(
        Purpose::Package,
        Sign::Program("dh"),
        "debhelper",
        "puts packages together",
    ),
    need(
        Purpose::Package,
        Sign::Program("dh_dkms"),
        "dh-dkms",
        "makes a package for DKMS",
    ),
    need(
        Purpose::Package,
        Sign::Program("lintian"),
        "lintian",
        "checks packages",
    ),
    need(
        Purpose::Checks,
        Sign::Program("shellcheck"),
        "shellcheck",
        "checks the shell scripts",
    ),
    need(
        Purpose::Checks,
        Sign::Program("git"),
        "git",
        "tells which commit the long checks ran on",
    ),
    need(
        Purpose::Checks,
        Sign::Cargo("fmt"),
        "rustfmt",
        "checks the sources' format",
    ),
];

/// Says what is missing for `purposes` and installs it.
///
/// # Errors
/// If something is missing that cannot be installed here.
pub fn provide(purposes: &[Purpose]) -> Result<()> {
    if missing(purposes).is_empty() {
        return Ok(());
    }
    if apt::available() {
        // The lists that came with a machine's image may be empty, or name versions that are gone or too old for us.
        apt::update()?;
    }
    let missing = missing(purposes);
    eprintln!("Missing on this machine:");
    for (package, why) in &missing {
        eprintln!("    {package}: {why}");
    }
    if !apt::available() {
        bail!("install these (named here as Debian names them) with your distribution's tools and try again");
    }
    let packages: Vec<String> = missing.into_iter().map(|(package, _)| package).collect();
    apt::install(&packages)
}

/// The packages that are missing for `purposes`, and why each is needed.
fn missing(purposes: &[Purpose]) -> Vec<(String, &'static str)> {
    let mut missing: Vec<(String, &'static str)> = Vec::new();
    let mut add = |package: &str, why| {
        if !missing.iter().any(|(name, _)| name == package) {
            missing.push((package.to_owned(), why));
        }
    };
    for need in NEEDS
        .iter()
        .filter(|need| purposes.contains(&need.purpose) && !is_there(&need.sign))
    {
        // Elsewhere the kernels are not Debian 12's, and there may be no such package.
        if need.package == "gcc-12" && apt::available() && !apt::has_candidate("gcc-12") {
            continue;
        }
        let compiled_for_web = format!("{}-web", need.package);
        let package = match need.sign {
            Sign::Cargo(_) if apt::available() && apt::has_candidate(&compiled_for_web) => &compiled_for_web,
            _ => need.package,
        };
        add(package, need.why);
    }
    if purposes.contains(&Purpose::Module) && !has_rust_for_kernels() {
        for package in rust_packages() {
            add(
                package,
                "Rust with its source, from which the module's core library is built",
            );
        }
    }
    missing
}

/// Whether there is a Rust with its library's source, and where Debian's newer one can be had, one that knows all flags that
/// distributions' kernels ask for. (Elsewhere the module's build says which flag is missing, if any is.)
fn has_rust_for_kernels() -> bool {
    /// The first one with -Zretpoline-external-thunk.
    const RUST_MINOR_MIN: u32 = 95;
    rust_with_source().is_some_and(|(rustc, _)| {
        rust_minor(rustc).is_none_or(|minor| minor >= RUST_MINOR_MIN) || !has_rust_for_web()
    })
}

/// 95 of `rustc 1.95.0 (...)`.
fn rust_minor(rustc: &str) -> Option<u32> {
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// Debian 12 has a Rust that is new enough under names of its own.
fn has_rust_for_web() -> bool {
    apt::available() && apt::has_candidate("rust-web-src")
}

fn rust_packages() -> [&'static str; 3] {
    if has_rust_for_web() {
        ["rustc-web", "cargo-web", "rust-web-src"]
    } else {
        ["rustc", "cargo", "rust-src"]
    }
}

fn is_there(sign: &Sign) -> bool {
    match sign {
        Sign::Program(name) => program(name).is_some(),
        Sign::Library(name) => [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
            "/lib64",
            "/lib/x86_64-linux-gnu",
        ]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists()),
        Sign::Cargo(name) => cargo_has(name),
    }
}

/// Whether cargo has a subcommand.
pub fn cargo_has(name: &str) -> bool {
    Command::new("cargo")
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A Rust toolchain with its library's source, and the source: the one in PATH, or the distribution's.
pub fn rust_with_source() -> Option<(&'static str, PathBuf)> {
    ["rustc", "/usr/bin/rustc"].into_iter().find_map(|rustc| {
        let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let source = sysroot.join("lib/rustlib/src/rust/library");
        fs::metadata(source.join("core"))
            .is_ok()
            .then_some((rustc, source))
    })
}
