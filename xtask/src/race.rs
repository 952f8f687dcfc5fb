//! `cargo xtask race`: the engine's threads under ThreadSanitizer. Needs a Rust with its library's sources, as the module does: the library is built with
//! the sanitizer, too, or it would not see what happens in there.

use std::process::Command;

use anyhow::Result;

use crate::module::Toolchain;
use crate::paths::root;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A distribution's Rust comes without the sanitizer's runtime library. GCC's has the same interface, but for three functions that do what the library
/// functions do that it watches. It comes before all else, so that it is what others find.
const GCC_RUNTIME: &str = "-Zsanitizer=thread -Zexternal-clangrt \
    -Zpre-link-arg=-Wl,--whole-archive,-l:libtsan.a,--no-whole-archive \
    -Clink-arg=-Wl,--defsym=__tsan_memcpy=memcpy,--defsym=__tsan_memmove=memmove,--defsym=__tsan_memset=memset \
    -Clink-arg=-lstdc++ -Clink-arg=-lm -Clink-arg=-lc -Clink-arg=-Wl,--no-gc-sections,--export-dynamic";

/// The tests of the crate nvmev-native, as a command that has not been run. A race makes it fail.
///
/// # Errors
/// If there is no such Rust.
pub fn tests() -> Result<Command> {
    let toolchain = Toolchain::find()?;
    let flags = if toolchain.has_sanitizer("tsan") {
        "-Zsanitizer=thread"
    } else {
        GCC_RUNTIME
    };
    let mut command = toolchain.cargo();
    command
        .current_dir(root())
        .env("RUSTFLAGS", flags)
        // Without optimisation it takes several times as long.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("TSAN_OPTIONS", "halt_on_error=1")
        .args([
            "test",
            "--locked",
            "--package",
            "nvmev-native",
            "--test",
            "threads",
        ])
        .args(["--target", TARGET, "-Zbuild-std", "--target-dir"])
        .arg(root().join("target/race"));
    Ok(command)
}
