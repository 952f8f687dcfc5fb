//! Builds `nvmev.ko` for a kernel whose headers are at hand: the Rust half with cargo and the target kernel's code
//! generation flags, linked into one object without anything of the standard library that a kernel cannot use; then Kbuild
//! with the C half. A warning from any of them fails the build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::paths::{self, program, Lock};
use crate::process::{quiet, show};

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kernel's build folder: headers, .config, Module.symvers.
    pub kdir: PathBuf,
    /// With the test-only way to make a thread panic (see kmod/Cargo.toml).
    pub test_faults: bool,
}

const TARGET: &str = "x86_64-unknown-none";
const LIBRARY: &str = "libnvmev_kmod.a";
/// A kernel stack has 16 KiB, for us and for everything that is called and calls: no function may take a third of it.
const STACK_FRAME_BYTES_MAX: u64 = 5 * 1024;

/// Builds the module and returns its path, `target/module/RELEASE/nvmev.ko`.
///
/// # Errors
/// If a tool is missing, or any step fails or warns.
pub fn build(options: &Options) -> Result<PathBuf> {
    let kernel = KernelConfig::read(&options.kdir)?;
    let toolchain = Toolchain::find()?;
    let folder = paths::root().join("target/module").join(&kernel.release);
    let kbuild = if options.test_faults {
        folder.join("faults")
    } else {
        folder.clone()
    };
    fs::create_dir_all(&kbuild).with_context(|| format!("cannot make {}", kbuild.display()))?;
    let _lock = Lock::take(&folder.join("lock"), "another build of the module")?;
    let archive = build_rust(&toolchain, &kernel, &folder.join("rust"), options.test_faults)?;
    link_rust(&archive, &kbuild)?;
    run_kbuild(&kernel, &kbuild, options.test_faults)
}

/// Builds a module in C for tests, from `tests/vm/NAME`, and returns its path, that of [`path_for_tests`].
///
/// # Errors
/// If any step fails or warns.
pub fn build_for_tests(kdir: &Path, name: &str) -> Result<PathBuf> {
    let kernel = KernelConfig::read(kdir)?;
    let sources = paths::root().join("tests/vm").join(name);
    let folder = paths::root().join("target/module").join(&kernel.release);
    let kbuild = folder.join(name);
    fs::create_dir_all(&kbuild).with_context(|| format!("cannot make {}", kbuild.display()))?;
    let _lock = Lock::take(&folder.join("lock"), "another build of the module")?;
    copy_sources(&sources, &kbuild)?;
    run_make(kernel.kbuild_command(&kbuild), &kbuild, name)
}

/// Where [`build_for_tests`] puts the module.
pub fn path_for_tests(release: &str, name: &str) -> PathBuf {
    let folder = paths::root().join("target/module").join(release).join(name);
    folder.join(name).with_extension("ko")
}

/// The flags that the Rust half is compiled with for the kernel in `kdir`, for whoever wants to try things by hand.
///
/// # Errors
/// If the kernel's configuration cannot be read or asks for what we do not have.
pub fn rustflags(kdir: &Path) -> Result<String> {
    Ok(KernelConfig::read(kdir)?
        .rustflags(&Toolchain::find()?)?
        .join(" "))
}

/// What matters of a kernel's configuration.
struct KernelConfig {
    kdir: PathBuf,
    release: String,
    options: String,
}

impl KernelConfig {
    fn read(kdir: &Path) -> Result<Self> {
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
        ensure!(
            !config.is_set("CFI_CLANG"),
            "kernels with CONFIG_CFI_CLANG are not supported"
        );
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
    fn kbuild_command(&self, kbuild: &Path) -> Command {
        let mut make = Command::new("make");
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .arg("-C")
            .arg(&self.kdir)
            .arg(format!("M={}", kbuild.display()));
        if self.is_set("CC_IS_CLANG") {
            make.arg("LLVM=1");
        }
        // BTF of a module is made from the kernel's, which most headers packages leave out: without it, say so beforehand.
        if !self.kdir.join("vmlinux").exists() || program("pahole").is_none() {
            make.arg("CONFIG_DEBUG_INFO_BTF_MODULES=");
        }
        make
    }

    /// Mitigations got a common prefix in 6.9.
    fn mitigates(&self, what: &str) -> bool {
        self.is_set(what) || self.is_set(&format!("MITIGATION_{what}"))
    }

    /// How the kernel's own code is compiled, as far as it must be the same for ours.
    fn rustflags(&self, toolchain: &Toolchain) -> Result<Vec<String>> {
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
            add(if toolchain.has_stable_jump_tables {
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
                toolchain.unstable_options.contains(name),
                "{} is too old: it lacks -Z{name}, which the kernel {} needs. Rust 1.95 and newer have it",
                toolchain.rustc.display(),
                self.release
            );
        }
        Ok(flags)
    }
}

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
             On Debian 12: apt install rustc-web cargo-web rust-web-src\n\
             On Debian 13 or Ubuntu: apt install rustc cargo rust-src\n\
             Looked at: {}",
            if looked_at.is_empty() { "nothing, there is no rustc".to_owned() } else { looked_at.join(", ") }
        )
    }
}

impl Toolchain {
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

/// Compiles the Rust half, and `core` and `alloc` with it.
fn build_rust(
    toolchain: &Toolchain,
    kernel: &KernelConfig,
    target_dir: &Path,
    test_faults: bool,
) -> Result<PathBuf> {
    let mut command = toolchain.cargo();
    command
        .current_dir(paths::root().join("kmod"))
        .env("RUSTFLAGS", kernel.rustflags(toolchain)?.join(" "))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "-Zbuild-std=core,alloc",
            "--target-dir",
        ])
        .arg(target_dir);
    if test_faults {
        command.args(["--features", "test-faults"]);
    }
    without_warnings(&mut command)?;
    Ok(target_dir.join(TARGET).join("release").join(LIBRARY))
}

/// Makes one relocatable object of the library, with only what the C half can reach.
fn link_rust(archive: &Path, kbuild: &Path) -> Result<()> {
    let parts = kbuild.join("rust-parts");
    if parts.exists() {
        fs::remove_dir_all(&parts)?;
    }
    fs::create_dir_all(&parts)?;
    quiet(Command::new("ar").arg("x").arg(archive).current_dir(&parts))?;
    let mut objects = Vec::new();
    for entry in fs::read_dir(&parts)? {
        let path = entry?.path();
        // The kernel has its own memcpy and so on; those of compiler_builtins lack what its configuration asks for.
        if !path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("compiler_builtins-"))
        {
            objects.push(path);
        }
    }
    objects.sort();
    call_alloc_error_handler_directly(&objects)?;

    let linked = parts.join("linked.o");
    let mut link = Command::new("ld");
    link.args(["-r", "--gc-sections"]);
    for entry in entry_points()? {
        link.args(["-u", &entry]);
    }
    quiet(link.arg("-o").arg(&linked).args(&objects))?;
    // Sections are gone, but what they alone called is still listed as undefined. File symbols, which go with the debug
    // information, would tell objtool that this is more than one object.
    let undefined = quiet(Command::new("nm").arg("-u").arg(&linked))?;
    let mut strip = Command::new("objcopy");
    strip.arg("--strip-debug");
    strip.args(
        undefined
            .split_whitespace()
            .filter(|word| *word != "U")
            .map(|name| format!("--strip-unneeded-symbol={name}")),
    );
    quiet(strip.arg(&linked))?;
    check_stack_frames(&linked)?;
    write_if_changed(&kbuild.join("nvmev_rust.a.o"), &fs::read(&linked)?)?;
    // Kbuild expects a record of how each object came to be.
    write_if_changed(&kbuild.join(".nvmev_rust.a.o.cmd"), b"")?;
    fs::remove_dir_all(&parts)?;
    Ok(())
}

/// `alloc` calls the handler through a function that only jumps on, and objtool does not see that neither returns.
fn call_alloc_error_handler_directly(objects: &[PathBuf]) -> Result<()> {
    let symbols = |path: &Path| quiet(Command::new("nm").arg(path));
    let mut handler = None;
    let mut callers = Vec::new();
    for object in objects {
        for line in symbols(object)?.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["U", name] if name.ends_with("__rust_alloc_error_handler") => {
                    callers.push((object, name.to_owned()));
                }
                [_, "T", name]
                    if name.ends_with("__rdl_alloc_error_handler") || name.ends_with("__rdl_oom") =>
                {
                    handler = Some(name.to_owned());
                }
                _ => {}
            }
        }
    }
    let handler = handler.context("the Rust library has no handler for failed allocations")?;
    for (object, name) in callers {
        quiet(
            Command::new("objcopy")
                .arg("--redefine-sym")
                .arg(format!("{name}={handler}"))
                .arg(object),
        )?;
    }
    Ok(())
}

/// The functions that C calls, from the header that declares them.
fn entry_points() -> Result<Vec<String>> {
    let header = paths::root().join("kmod/shim.h");
    let text = fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    let mut names: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("nvmev_rs_"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The compiler knows no limit for stack frames, and a kernel stack that overflows takes the machine down.
fn check_stack_frames(object: &Path) -> Result<()> {
    let code = quiet(
        Command::new("objdump")
            .args(["-d", "--no-show-raw-insn"])
            .arg(object),
    )?;
    let mut function = "";
    // Large frames are taken in several steps, with a probe of the guard page between them.
    let mut frame_bytes = 0;
    for line in code.lines() {
        if let Some((_, name)) = line.split_once(" <").filter(|_| line.ends_with(">:")) {
            function = name.trim_end_matches(">:");
            frame_bytes = 0;
        }
        let step = line
            .contains("sub ")
            .then(|| line.split_once("$0x")?.1.strip_suffix(",%rsp"))
            .flatten();
        if let Some(step) = step {
            frame_bytes += u64::from_str_radix(step, 16).unwrap_or(0);
            ensure!(
                frame_bytes <= STACK_FRAME_BYTES_MAX,
                "{function} needs more than {STACK_FRAME_BYTES_MAX} bytes of stack; a kernel thread has 16 KiB in all. \
                 Put large arrays on the heap at set-up"
            );
        }
    }
    Ok(())
}

/// Compiles the C half and links the module.
fn run_kbuild(kernel: &KernelConfig, kbuild: &Path, test_faults: bool) -> Result<PathBuf> {
    copy_sources(&paths::root().join("kmod"), kbuild)?;
    let mut make = kernel.kbuild_command(kbuild);
    make.arg(format!("NVMEV_VERSION={}", env!("CARGO_PKG_VERSION")));
    if test_faults {
        make.arg("NVMEV_TEST_FAULTS=y");
    }
    run_make(make, kbuild, "nvmev")
}

/// Kbuild builds where the sources are.
fn copy_sources(from: &Path, kbuild: &Path) -> Result<()> {
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

fn run_make(mut make: Command, kbuild: &Path, name: &str) -> Result<PathBuf> {
    make.arg("modules");
    without_warnings(&mut make)?;
    let module = kbuild.join(name).with_extension("ko");
    // Nobody debugs a module with DWARF on a machine without the kernel's, and it is ten times the module's size.
    quiet(Command::new("objcopy").arg("--strip-debug").arg(&module))?;
    Ok(module)
}

/// Runs `command`; a warning is as bad as an error. Shows what it printed only then.
fn without_warnings(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if !output.status.success() {
        bail!("{text}\n{shown}: {}", output.status);
    }
    let warned = text.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        // About the machine and not about our code: a distribution's kernel, a slightly newer compiler.
        let foreign = line.contains("the compiler differs from the one used to build the kernel");
        !foreign && (line.contains("warning") || line.contains("error:") || line.contains("skipping btf"))
    });
    if warned {
        bail!("{text}\n{shown}: a warning, and the module builds without any");
    }
    Ok(())
}

/// Leaves a file alone that has these bytes already, so that make sees nothing to do.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
