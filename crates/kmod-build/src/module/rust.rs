//! The module's Rust half: compiled for a kernel, with `core` and `alloc`, and linked into one object.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use super::{write_if_changed, KernelConfig, Toolchain};
use crate::paths;
use crate::process::{quiet, run_and_read};

const TARGET: &str = "x86_64-unknown-none";
const LIBRARY: &str = "libnvmev_kmod.a";
/// A kernel stack has 16 KiB, for us and for everything that is called and calls: no function may take a third of it.
const STACK_FRAME_BYTES_MAX: u64 = 5 * 1024;

/// Compiles the Rust half, and `core` and `alloc` with it. Kernels that want the same flags share the result.
pub(super) fn build(toolchain: &Toolchain, kernel: &KernelConfig, test_faults: bool) -> Result<PathBuf> {
    let flags = kernel.rustflags(toolchain)?.join(" ");
    let mut hasher = DefaultHasher::new();
    (&flags, test_faults).hash(&mut hasher);
    let target_dir = paths::root().join(format!("target/module/rust/{:016x}", hasher.finish()));
    let mut command = toolchain.cargo();
    command
        .current_dir(paths::root().join("kmod"))
        .env("RUSTFLAGS", flags)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "-Zbuild-std=core,alloc",
            "--target-dir",
        ])
        .arg(&target_dir);
    if test_faults {
        command.args(["--features", "test-faults"]);
    }
    let (text, shown) = run_and_read(&mut command)?;
    let has_warning = |line: &str| line.to_ascii_lowercase().contains("warning") || line.contains("error:");
    if text.lines().any(has_warning) {
        bail!("{text}\n{shown}: a warning, and the module builds without any");
    }
    Ok(target_dir.join(TARGET).join("release").join(LIBRARY))
}

/// Makes one relocatable object of the library, with only what the C half can reach.
pub(super) fn link(archive: &Path, kbuild: &Path) -> Result<()> {
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
