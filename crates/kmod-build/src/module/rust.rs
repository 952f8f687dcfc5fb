//! The module's Rust half: compiled for a kernel, with `core` and `alloc`, and linked into one object.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use super::config::Architecture;
use super::{write_if_changed, KernelConfig, Toolchain};
use crate::paths;
use crate::process::{quiet, run_and_read};

const LIBRARY: &str = "libnvmev_kmod.a";
/// A kernel stack has 16 KiB, for us and for everything that is called and calls: no function may take a third of it.
const STACK_FRAME_BYTES_MAX: u64 = 5 * 1024;

/// Compiles the Rust half, and `core` and `alloc` with it. Kernels that want the same flags share the result.
pub(super) fn build(toolchain: &Toolchain, kernel: &KernelConfig, test_faults: bool) -> Result<PathBuf> {
    let flags = kernel.rustflags(toolchain)?.join(" ");
    let mut hasher = DefaultHasher::new();
    let target = kernel.architecture.target();
    (&flags, test_faults, target).hash(&mut hasher);
    let target_dir = paths::root().join(format!("target/module/rust/{:016x}", hasher.finish()));
    let mut command = toolchain.cargo();
    command
        .current_dir(paths::root().join("kmod"))
        .env("RUSTFLAGS", flags)
        // Of Rust's own library, which is not ours to change.
        .env("CARGO_FUTURE_INCOMPAT_REPORT_FREQUENCY", "never")
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            target,
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
    Ok(target_dir.join(target).join("release").join(LIBRARY))
}

/// Makes one relocatable object of the library, with only what the C half can reach.
pub(super) fn link(kernel: &KernelConfig, archive: &Path, kbuild: &Path) -> Result<()> {
    let binutil = |name| kernel.architecture.binutil(name);
    let parts = kbuild.join("rust-parts");
    if parts.exists() {
        fs::remove_dir_all(&parts)?;
    }
    fs::create_dir_all(&parts)?;
    quiet(binutil("ar").arg("x").arg(archive).current_dir(&parts))?;
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
    call_alloc_error_handler_directly(kernel.architecture, &objects)?;

    let linked = parts.join("linked.o");
    let mut link = binutil("ld");
    link.args(["-r", "--gc-sections"]);
    for entry in entry_points()? {
        link.args(["-u", &entry]);
    }
    quiet(link.arg("-o").arg(&linked).args(&objects))?;
    // Sections are gone, but what they alone called is still listed as undefined. File symbols, which go with the debug
    // information, would tell objtool that this is more than one object.
    let undefined = quiet(binutil("nm").arg("-u").arg(&linked))?;
    let mut strip = binutil("objcopy");
    strip.arg("--strip-debug");
    strip.args(
        undefined
            .split_whitespace()
            .filter(|word| *word != "U")
            .map(|name| format!("--strip-unneeded-symbol={name}")),
    );
    quiet(strip.arg(&linked))?;
    check_stack_frames(kernel.architecture, &linked)?;
    write_if_changed(&kbuild.join("nvmev_rust.a.o"), &fs::read(&linked)?)?;
    // Kbuild expects a record of how each object came to be.
    write_if_changed(&kbuild.join(".nvmev_rust.a.o.cmd"), b"")?;
    fs::remove_dir_all(&parts)?;
    Ok(())
}

/// `alloc` calls the handler through a function that only jumps on, and objtool does not see that neither returns.
fn call_alloc_error_handler_directly(architecture: Architecture, objects: &[PathBuf]) -> Result<()> {
    let symbols = |path: &Path| quiet(architecture.binutil("nm").arg(path));
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
            architecture
                .binutil("objcopy")
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
fn check_stack_frames(architecture: Architecture, object: &Path) -> Result<()> {
    let code = quiet(
        architecture
            .binutil("objdump")
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
        if let Some(step) = stack_step(architecture, line) {
            frame_bytes += step;
            ensure!(
                frame_bytes <= STACK_FRAME_BYTES_MAX,
                "{function} needs more than {STACK_FRAME_BYTES_MAX} bytes of stack; a kernel thread has 16 KiB in all. \
                 Put large arrays on the heap at set-up"
            );
        }
    }
    Ok(())
}

/// The bytes of stack that an instruction takes, as objdump shows it.
fn stack_step(architecture: Architecture, line: &str) -> Option<u64> {
    let (operation, hex) = match architecture {
        Architecture::X86_64 => ("sub ", line.split_once("$0x")?.1.strip_suffix(",%rsp")?),
        Architecture::Arm64 => {
            let (_, amount) = line.split_once("sp, sp, #0x")?;
            // `sub sp, sp, #0x1, lsl #12`
            return match amount.split_once(", lsl #12") {
                Some((pages, _)) => Some(u64::from_str_radix(pages, 16).ok()? << 12),
                None => u64::from_str_radix(amount.trim(), 16).ok(),
            }
            .filter(|_| line.contains("sub"));
        }
    };
    line.contains(operation)
        .then(|| u64::from_str_radix(hex, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_frames_are_read_from_the_disassembly() {
        for (architecture, line, bytes) in [
            (Architecture::X86_64, "  1b:\tsub    $0x1008,%rsp", Some(0x1008)),
            (Architecture::X86_64, "  1b:\tadd    $0x1008,%rsp", None),
            (Architecture::X86_64, "  1b:\tsub    $0x8,%rax", None),
            (Architecture::Arm64, "   4:\tsub\tsp, sp, #0x1c0", Some(0x1c0)),
            (
                Architecture::Arm64,
                "   8:\tsub\tsp, sp, #0x2, lsl #12",
                Some(0x2000),
            ),
            (Architecture::Arm64, "   8:\tadd\tsp, sp, #0x1c0", None),
            (Architecture::Arm64, "   8:\tsub\tx0, x1, #0x1c0", None),
        ] {
            assert_eq!(stack_step(architecture, line), bytes, "{line}");
        }
    }
}
