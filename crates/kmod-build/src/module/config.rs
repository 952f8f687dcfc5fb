//! What of a kernel's configuration matters for a module.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{bail, ensure, Context, Result};

use super::{Target, Toolchain};
use crate::paths::program;
use crate::tools::Tools;

/// Options of kernels that check calls through pointers, without `CONFIG_`; it was renamed in 6.18. The ids that they are checked by would have to agree
/// across C and Rust, so the module cannot be built for them.
pub const CHECKED_CALLS: [&str; 2] = ["CFI_CLANG", "CFI"];

/// The processors that the module can be built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    /// x86-64, 64-bit.
    X86_64,
    /// arm64: it builds, and has not run yet (see ARCHITECTURE.md).
    Arm64,
}

impl Architecture {
    /// What the Rust compiler calls it.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-none",
            // The kernel leaves floating-point registers to programs.
            Self::Arm64 => "aarch64-unknown-none-softfloat",
        }
    }

    /// One of the programs of binutils for it.
    pub(super) fn binutil(self, name: &str) -> Command {
        let is_own = match self {
            Self::X86_64 => cfg!(target_arch = "x86_64"),
            Self::Arm64 => cfg!(target_arch = "aarch64"),
        };
        if is_own {
            return Command::new(name);
        }
        let prefix = match self {
            Self::X86_64 => "x86_64-linux-gnu-",
            Self::Arm64 => "aarch64-linux-gnu-",
        };
        Command::new(format!("{prefix}{name}"))
    }
}

/// What matters of a kernel's configuration.
pub(super) struct KernelConfig {
    kdir: PathBuf,
    tools: Option<Tools>,
    /// What `uname -r` says under it.
    pub(super) release: String,
    /// Of its machines.
    pub(super) architecture: Architecture,
    options: String,
}

impl KernelConfig {
    /// Reads it from the kernel's build folder.
    ///
    /// # Errors
    /// If that is not one, or of a kernel that the module cannot be built for.
    pub(super) fn read(target: &Target) -> Result<Self> {
        let kdir = &target.kdir;
        let kdir = fs::canonicalize(kdir).with_context(|| {
            format!(
                "there are no kernel headers in {}: install the package linux-headers-…, or set KDIR=",
                kdir.display()
            )
        })?;
        let read = |name: &str| {
            let path = kdir.join(name);
            fs::read_to_string(&path).with_context(|| {
                format!(
                    "{} cannot be read: is KDIR a kernel's build folder?",
                    path.display()
                )
            })
        };
        let options = read("include/config/auto.conf")?;
        // Not the file kernel.release: in Debian's headers it has another name than the kernel.
        let release = read("include/generated/utsrelease.h")?
            .lines()
            .find_map(|line| {
                line.strip_prefix("#define UTS_RELEASE \"")?
                    .strip_suffix('"')
                    .map(str::to_owned)
            })
            .context("include/generated/utsrelease.h does not name the kernel's release")?;
        let is_for = |option: &str| options.lines().any(|line| line == format!("CONFIG_{option}=y"));
        let architecture = if is_for("X86_64") {
            Architecture::X86_64
        } else if is_for("ARM64") && !is_for("CPU_BIG_ENDIAN") {
            Architecture::Arm64
        } else {
            bail!(
                "the kernel in {} is neither for x86-64 nor for little-endian arm64",
                kdir.display()
            )
        };
        let config = Self {
            kdir: kdir.clone(),
            tools: target.tools.clone(),
            release,
            architecture,
            options,
        };
        ensure!(
            config.is_set("MODULES"),
            "the kernel in {} cannot load modules",
            kdir.display()
        );
        for option in CHECKED_CALLS {
            ensure!(
                !config.is_set(option),
                "the kernel {} checks calls through pointers (CONFIG_{option}=y), and the module's Rust half cannot be built for \
                 that: choose a kernel without it",
                config.release
            );
        }
        Ok(config)
    }

    fn value(&self, option: &str) -> Option<&str> {
        self.options.lines().find_map(|line| {
            line.strip_prefix("CONFIG_")?
                .strip_prefix(option)?
                .strip_prefix('=')
        })
    }

    fn is_set(&self, option: &str) -> bool {
        self.value(option) == Some("y")
    }

    /// `make` for the module in a folder.
    ///
    /// # Errors
    /// If the kernel was built with a compiler that this machine lacks.
    pub(super) fn kbuild_command(&self, kbuild: &Path) -> Result<Command> {
        let mut make = match &self.tools {
            Some(tools) => tools.command("make", kbuild),
            None => Command::new("make"),
        };
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .arg(format!("-j{}", available_parallelism().map_or(1, NonZero::get)))
            .arg("-C")
            .arg(&self.kdir)
            .arg(format!("M={}", kbuild.display()));
        if self.is_set("CC_IS_CLANG") {
            make.arg(self.llvm()?);
        }
        // BTF of a module is made from the kernel's, which most headers packages leave out: without it, say so beforehand.
        let has_pahole = self.tools.is_some() || program("pahole").is_some();
        if !self.kdir.join("vmlinux").exists() || !has_pahole {
            make.arg("CONFIG_DEBUG_INFO_BTF_MODULES=");
        }
        Ok(make)
    }

    /// What tells Kbuild to use LLVM: of the version that the kernel was built with if it is there, else the machine's.
    fn llvm(&self) -> Result<String> {
        let version: u32 = self
            .value("CLANG_VERSION")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        let suffix = format!("-{}", version / 10_000);
        let is_there = |suffix: &str| {
            ["clang", "ld.lld"]
                .iter()
                .all(|name| program(&format!("{name}{suffix}")).is_some())
        };
        if is_there(&suffix) {
            return Ok(format!("LLVM={suffix}"));
        }
        if is_there("") {
            return Ok("LLVM=1".to_owned());
        }
        bail!(
            "the kernel {} was built with LLVM, and so must be its modules: install clang and lld (on Debian clang{suffix} and lld{suffix})",
            self.release
        )
    }

    /// Mitigations got a common prefix in 6.9.
    fn mitigates(&self, what: &str) -> bool {
        self.is_set(what) || self.is_set(&format!("MITIGATION_{what}"))
    }

    /// How the kernel's own code is compiled, as far as it must be the same for ours.
    pub(super) fn rustflags(&self, toolchain: &Toolchain) -> Result<Vec<String>> {
        let mut flags: Vec<String> = [
            "-Crelocation-model=static",
            "-Cno-redzone=y",
            "-Cembed-bitcode=no",
            "-Clto=off",
        ]
        .map(str::to_owned)
        .into();
        flags.extend(match self.architecture {
            Architecture::X86_64 => self.x86_64_flags(toolchain),
            Architecture::Arm64 => self.arm64_flags(toolchain),
        });
        for flag in &flags {
            let Some(name) = flag.strip_prefix("-Z") else {
                continue;
            };
            let name = name.split('=').next().unwrap_or(name);
            ensure!(
                toolchain.has_unstable_option(name),
                "{} is too old: it lacks -Z{name}, which the kernel {} needs. Rust 1.95 and newer have it",
                toolchain.rustc().display(),
                self.release
            );
        }
        Ok(flags)
    }

    fn x86_64_flags(&self, toolchain: &Toolchain) -> Vec<String> {
        let mut flags: Vec<String> = [
            "-Ccode-model=kernel",
            // Without these two the kernel would find relocations through a GOT, which modules do not have.
            "-Zplt=y",
            "-Zdirect-access-external-data=yes",
        ]
        .map(str::to_owned)
        .into();
        let mut add = |flag: &str| flags.push(flag.to_owned());
        if self.is_set("X86_KERNEL_IBT") {
            add("-Zcf-protection=branch");
        }
        if self.is_set("X86_KERNEL_IBT") || self.mitigates("RETPOLINE") {
            add(no_jump_tables(toolchain));
        }
        if self.mitigates("RETPOLINE") {
            add("-Zretpoline-external-thunk");
        }
        if self.mitigates("RETHUNK") {
            add("-Zfunction-return=thunk-extern");
        }
        if self.is_set("CALL_PADDING") {
            let bytes = self.value("FUNCTION_PADDING_BYTES").unwrap_or("16");
            add(&format!("-Zpatchable-function-entry={bytes},{bytes}"));
        }
        if self.is_set("FRAME_POINTER") {
            add("-Cforce-frame-pointers=y");
        }
        flags
    }

    fn arm64_flags(&self, toolchain: &Toolchain) -> Vec<String> {
        // What branches into a table would need no landing pad for is not worth the difference from the kernel's own code.
        let mut flags = vec![no_jump_tables(toolchain).to_owned()];
        let mut add = |flag: &str| flags.push(flag.to_owned());
        if self.is_set("FRAME_POINTER") {
            add("-Cforce-frame-pointers=y");
        }
        match (
            self.is_set("ARM64_BTI_KERNEL"),
            self.is_set("ARM64_PTR_AUTH_KERNEL"),
        ) {
            (true, _) => add("-Zbranch-protection=bti,pac-ret"),
            (false, true) => add("-Zbranch-protection=pac-ret"),
            (false, false) => {}
        }
        if self.is_set("SHADOW_CALL_STACK") {
            // The stack's register; the code itself is checked by C alone.
            add("-Zfixed-x18");
        }
        flags
    }
}

/// What both kinds of compilers call it.
fn no_jump_tables(toolchain: &Toolchain) -> &'static str {
    if toolchain.has_stable_jump_tables() {
        "-Cjump-tables=n"
    } else {
        "-Zno-jump-tables"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said to a kernel with these options.
    fn read(name: &str, options: &str) -> Result<KernelConfig> {
        let kdir = std::env::temp_dir().join(format!("nvmev-kdir-{name}-{}", std::process::id()));
        fs::create_dir_all(kdir.join("include/config")).unwrap();
        fs::create_dir_all(kdir.join("include/generated")).unwrap();
        fs::write(kdir.join("include/config/auto.conf"), options).unwrap();
        fs::write(
            kdir.join("include/generated/utsrelease.h"),
            "#define UTS_RELEASE \"7.3.4-test\"\n",
        )
        .unwrap();
        let target = Target {
            kdir: kdir.clone(),
            tools: None,
        };
        let config = KernelConfig::read(&target);
        fs::remove_dir_all(&kdir).unwrap();
        config
    }

    const USUAL: &str =
        "CONFIG_X86_64=y\nCONFIG_MODULES=y\n# CONFIG_CFI is not set\nCONFIG_CFI_AUTO_DEFAULT=y\n";

    #[test]
    fn a_usual_kernel_is_accepted() {
        assert_eq!(read("usual", USUAL).unwrap().release, "7.3.4-test");
    }

    #[test]
    fn the_kernel_says_which_processor_it_is_for() {
        let modules = "CONFIG_MODULES=y\n";
        let of = |name, options: &str| {
            read(name, &format!("{options}{modules}")).map(|config| config.architecture)
        };
        assert_eq!(of("x86", "CONFIG_X86_64=y\n").unwrap(), Architecture::X86_64);
        assert_eq!(of("arm", "CONFIG_ARM64=y\n").unwrap(), Architecture::Arm64);
        for (name, options) in [
            ("big", "CONFIG_ARM64=y\nCONFIG_CPU_BIG_ENDIAN=y\n"),
            ("riscv", "CONFIG_RISCV=y\n"),
            ("x86-32", "CONFIG_X86=y\nCONFIG_X86_32=y\n"),
        ] {
            let said = of(name, options).unwrap_err().to_string();
            assert!(
                said.ends_with("is neither for x86-64 nor for little-endian arm64"),
                "{said}"
            );
        }
    }

    #[test]
    fn checked_calls_are_refused_in_words_by_both_names() {
        for option in CHECKED_CALLS {
            let said = match read(option, &format!("{USUAL}CONFIG_{option}=y\n")) {
                Ok(_) => panic!("{option} is accepted"),
                Err(error) => error.to_string(),
            };
            assert!(
                said.starts_with(&format!(
                    "the kernel 7.3.4-test checks calls through pointers (CONFIG_{option}=y)"
                )),
                "{said}"
            );
        }
    }

    #[test]
    fn a_kernel_of_a_missing_llvm_is_refused_in_words() {
        let options = format!("{USUAL}CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=990107\n");
        let config = read("llvm", &options).unwrap();
        match config.kbuild_command(Path::new("/kbuild")) {
            // The machine's own LLVM has to do.
            Ok(make) => assert!(make.get_args().any(|argument| argument == "LLVM=1")),
            Err(error) => assert!(error
                .to_string()
                .contains("install clang and lld (on Debian clang-99 and lld-99)")),
        }
    }
}
