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

/// What matters of a kernel's configuration.
pub(super) struct KernelConfig {
    kdir: PathBuf,
    tools: Option<Tools>,
    /// What `uname -r` says under it.
    pub(super) release: String,
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
        let config = Self {
            kdir: kdir.clone(),
            tools: target.tools.clone(),
            release,
            options,
        };
        ensure!(
            config.is_set("X86_64"),
            "the kernel in {} is not for x86-64",
            kdir.display()
        );
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
            "-Ccode-model=kernel",
            "-Cno-redzone=y",
            "-Cembed-bitcode=no",
            "-Clto=off",
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
            add(if toolchain.has_stable_jump_tables() {
                "-Cjump-tables=n"
            } else {
                "-Zno-jump-tables"
            });
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
