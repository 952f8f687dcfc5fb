//! The Rust that the module is built with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Result};

use crate::process::quiet;

/// A Rust that can build its own `core` for a target that it was not shipped with.
pub struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    unstable_options: String,
    has_stable_jump_tables: bool,
}

impl Toolchain {
    /// The first one with sources: the one in PATH (rustup's, mostly), then the distribution's.
    ///
    /// # Errors
    /// If there is none; what to do about it.
    pub fn find() -> Result<Self> {
        let mut looked_at = Vec::new();
        for rustc in ["rustc", "/usr/bin/rustc"] {
            let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output() else {
                continue;
            };
            let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
            if !output.status.success() || !sysroot.join("lib/rustlib/src/rust/library/Cargo.toml").is_file()
            {
                looked_at.push(format!("{rustc} (in {})", sysroot.display()));
                continue;
            }
            let (rustc, cargo) = (sysroot.join("bin/rustc"), sysroot.join("bin/cargo"));
            if !rustc.is_file() || !cargo.is_file() {
                looked_at.push(format!("{} (no cargo beside it)", rustc.display()));
                continue;
            }
            // Asking for help on unstable options is allowed to everybody with this variable, which building needs too.
            let help = |group| {
                quiet(
                    Command::new(&rustc)
                        .args([group, "help"])
                        .env("RUSTC_BOOTSTRAP", "1"),
                )
            };
            let (unstable_options, stable_options) = (help("-Z")?, help("-C")?);
            return Ok(Self {
                rustc,
                cargo,
                unstable_options,
                has_stable_jump_tables: stable_options.contains("jump-tables"),
            });
        }
        bail!(
            "no Rust with its library's sources (rust-src), which the module needs to build `core` for the kernel.\n\
             With rustup: rustup component add rust-src\n\
             On Debian 12 and 13: apt install rustc-web cargo-web rust-web-src\n\
             Elsewhere, if they are 1.95 or newer: apt install rustc cargo rust-src\n\
             Looked at: {}",
            if looked_at.is_empty() { "nothing, there is no rustc".to_owned() } else { looked_at.join(", ") }
        )
    }
}

impl Toolchain {
    /// Its compiler.
    pub fn rustc(&self) -> &Path {
        &self.rustc
    }

    /// Whether the compiler knows `-Z` with this option.
    pub fn has_unstable_option(&self, name: &str) -> bool {
        self.unstable_options.contains(name)
    }

    /// Whether jump tables can be switched with `-C`, no longer with `-Z`.
    pub fn has_stable_jump_tables(&self) -> bool {
        self.has_stable_jump_tables
    }

    /// Its cargo, with unstable options allowed.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        // What the cargo that runs us has set for itself must not reach this one.
        for name in [
            "RUSTUP_TOOLCHAIN",
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
        ] {
            command.env_remove(name);
        }
        command.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// Whether it was shipped with a sanitizer's runtime library.
    pub fn has_sanitizer(&self, name: &str) -> bool {
        let libraries = self.rustc.parent().map(|bin| {
            let folder = bin.join("../lib/rustlib/x86_64-unknown-linux-gnu/lib");
            fs::read_dir(folder)
        });
        let suffix = format!("_rt.{name}.a");
        let mut names = libraries.into_iter().flatten().flatten().flatten();
        names.any(|entry| entry.file_name().to_string_lossy().ends_with(&suffix))
    }
}
