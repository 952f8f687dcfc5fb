//! `cargo xtask bench`: how fast the models, the engine and the simulator are, natively on this machine.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::{loud, quiet, step};

/// Those of the crate ssd-model: timing models, and the index of a key-value drive.
const MODEL_BENCHES: [&str; 2] = ["model", "key_value"];
/// That of the crate nvmev-native: a command's way through the engine, see docs/performance.md.
const ENGINE_BENCH: &str = "engine";

/// What the simulator is timed with: commands end to end, generator, queue and histogram included.
const SIMULATIONS: [(&str, &[&str]); 2] = [
    (
        "970pro, 1 GiB, random 4 KiB reads, depth 32",
        &[
            "--size",
            "1G",
            "--workload",
            "randread:bs=4k,qd=32,count=20000000",
        ],
    ),
    (
        "970pro, 4 GiB, random 4 KiB writes, depth 32",
        &[
            "--size",
            "4G",
            "--workload",
            "randwrite:bs=4k,qd=32,count=5000000",
        ],
    ),
];

/// Runs all benchmarks; figures go to `target/bench/` as JSON, too.
///
/// # Errors
/// If something cannot be built or run.
pub fn run() -> Result<()> {
    packages::provide(&[Purpose::Bench])?;
    let folder = root().join("target/bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let benches = MODEL_BENCHES.map(|bench| ("ssd-model", bench));
    for (package, bench) in benches.into_iter().chain([("nvmev-native", ENGINE_BENCH)]) {
        loud(
            cargo()
                .args(["bench", "--quiet", "--package", package, "--bench", bench])
                .args(["--", "--json"])
                .arg(folder.join(bench).with_extension("json")),
        )?;
        println!();
    }
    step("building the simulator", || {
        quiet(cargo().args(["build", "--release", "--quiet", "--package", "nvmev"]))
    })?;
    println!("nvmev sim, end to end, 1 core");
    for (what, arguments) in SIMULATIONS {
        println!("{what}:");
        loud(
            Command::new(root().join("target/release/nvmev"))
                .args(["sim", "--precondition", "seq,rand:1x", "--json", "/dev/null"])
                .args(arguments)
                .stdout(std::process::Stdio::null()),
        )?;
    }
    println!(
        "\nFigures of the models and the engine: {}/*.json",
        folder.display()
    );
    Ok(())
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
