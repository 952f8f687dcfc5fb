//! The module's C half, and the kernel's build system that compiles it and links the module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Result};

use super::{write_if_changed, KernelConfig};
use crate::paths;
use crate::process::{quiet, run_and_read};

/// Compiles the C half and links the module.
pub(super) fn build(kernel: &KernelConfig, kbuild: &Path, test_faults: bool) -> Result<PathBuf> {
    copy_sources(&paths::root().join("kmod"), kbuild)?;
    let mut make = kernel.kbuild_command(kbuild)?;
    make.arg(format!("NVMEV_VERSION={}", env!("CARGO_PKG_VERSION")));
    if test_faults {
        make.arg("NVMEV_TEST_FAULTS=y");
    }
    run_make(kernel, make, kbuild, "nvmev")
}

/// Kbuild builds where the sources are.
pub(super) fn copy_sources(from: &Path, kbuild: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if name == "Kbuild"
            || path
                .extension()
                .is_some_and(|extension| extension == "c" || extension == "h")
        {
            write_if_changed(&kbuild.join(name), &fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// Runs `make` for the module `name` in the folder `kbuild`, and returns the module's path.
///
/// # Errors
/// If it fails, or warns about our code.
pub(super) fn run_make(
    kernel: &KernelConfig,
    mut make: Command,
    kbuild: &Path,
    name: &str,
) -> Result<PathBuf> {
    make.arg("modules");
    let (text, shown) = run_and_read(&mut make)?;
    let ours = Ours::in_folder(kbuild, name)?;
    if text.lines().any(|line| ours.is_warned_of(line)) {
        bail!("{text}\n{shown}: a warning, and the module builds without any");
    }
    let module = kbuild.join(name).with_extension("ko");
    // Nobody debugs a module with DWARF on a machine without the kernel's, and it is ten times the module's size.
    let mut strip = kernel.architecture.binutil("objcopy");
    quiet(strip.arg("--strip-debug").arg(&module))?;
    Ok(module)
}

/// Tells warnings about our code from those about the kernel's or the machine: another version of the compiler or of pahole than the kernel was built with, a
/// header's own, no type information.
struct Ours {
    folder: String,
    names: Vec<String>,
}

impl Ours {
    fn in_folder(folder: &Path, module: &str) -> Result<Self> {
        let mut names = vec![module.to_owned()];
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if [".c", ".h", ".o", ".ko"].iter().any(|end| name.ends_with(end)) {
                names.push(name);
            }
        }
        Ok(Self {
            folder: folder.display().to_string(),
            names,
        })
    }

    /// Whether `line` of the compiler, of objtool, of modpost or of the linker warns of something of ours.
    fn is_warned_of(&self, line: &str) -> bool {
        let lower = line.to_ascii_lowercase();
        // In a header's macro that we use, the compiler names the header first.
        let is_warning = ["warning", "error:", "note: in expansion of macro"]
            .iter()
            .any(|word| lower.contains(word));
        // Of a file whose path is given it is the path that tells.
        let (place, _) = line.split_once(": ").unwrap_or((line, ""));
        if !is_warning || (place.starts_with('/') && !place.starts_with(&self.folder)) {
            return false;
        }
        line.contains(&self.folder)
            || line
                .split(|c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c))
                .any(|word| self.names.iter().any(|name| name == word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_are_warned_of_is_told_from_what_others_are() {
        let ours = Ours {
            folder: "/p/target/module/7.3.4".to_owned(),
            names: [
                "nvmev",
                "nvmev.ko",
                "nvmev.o",
                "shim_pci.c",
                "shim.h",
                "nvmev_rust.o",
            ]
            .map(str::to_owned)
            .into(),
        };
        for line in [
            "/p/target/module/7.3.4/shim_pci.c:10:5: warning: unused variable 'a' [-Wunused-variable]",
            // Since 6.13 Kbuild works in our folder.
            "shim_pci.c:10:5: warning: unused variable 'a' [-Wunused-variable]",
            "./shim.h:1: warning: \"X\" redefined",
            "shim_pci.c:20:9: note: in expansion of macro 'max'",
            "nvmev_rust.o: warning: objtool: nvmev_rs_load+0x12: unreachable instruction",
            "/p/target/module/7.3.4/nvmev.o: warning: objtool: a+0x1: missing endbr",
            "WARNING: modpost: missing MODULE_DESCRIPTION() in /p/target/module/7.3.4/nvmev.o",
            "WARNING: modpost: nvmev: section mismatch in reference: a (section: .text) -> b (section: .init.text)",
            "ld: warning: nvmev_rust.o: missing .note.GNU-stack section implies executable stack",
        ] {
            assert!(ours.is_warned_of(line), "{line}");
        }
        for line in [
            "warning: the compiler differs from the one used to build the kernel",
            "warning: pahole version differs from the one used to build the kernel",
            "Skipping BTF generation for /p/target/module/7.3.4/nvmev.ko due to unavailability of vmlinux",
            "/usr/src/linux-headers-7.3.4/arch/x86/include/asm/ibt.h:77:1: warning: 'nocf_check' attribute ignored",
            "WARNING: Symbol version dump \"Module.symvers\" is missing.",
            "make[2]: warning:  Clock skew detected.  Your build may be incomplete.",
            "  CC [M]  shim_pci.o",
            "shim_pci.c:10:5: note: each undeclared identifier is reported only once",
        ] {
            assert!(!ours.is_warned_of(line), "{line}");
        }
    }
}
