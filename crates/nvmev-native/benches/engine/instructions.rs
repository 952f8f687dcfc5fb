//! Instructions of a command: this program runs itself under callgrind, twice with different numbers of commands, and the difference is what the commands
//! cost, whatever else the machine does. What callgrind counts are the functions `dispatcher_pass` and `worker_pass`.

use std::env;
use std::process::Command;

use serde::Serialize;

use crate::commands::CASES;
use crate::rig::Rig;
use crate::setup::{Kind, Setup};
use crate::{data, sizes};

/// Batches of the longer run.
const BATCHES: u64 = 100;
/// What is counted: functions of this program, and what they call.
const DISPATCHER: &str = "dispatcher_pass";
const WORKER: &str = "worker_pass";

#[derive(Serialize)]
struct Row {
    name: &'static str,
    dispatcher: u64,
    worker: u64,
}

/// Counts and prints; the rows for JSON, none without valgrind.
pub fn run() -> serde_json::Value {
    let mut rows = Vec::new();
    println!(
        "{:<34} {:>10} {:>10}",
        "instructions of a command", "dispatcher", "worker"
    );
    for (name, setup) in CASES {
        if setup.profile == "970pro" && setup.kind == Kind::Write {
            println!("{name:<34} left out: to prepare this drive under callgrind takes minutes");
            continue;
        }
        let counts = [DISPATCHER, WORKER].map(|function| difference(name, function));
        let [Some(dispatcher), Some(worker)] = counts else {
            println!("left out: valgrind is not there, or counts nothing");
            break;
        };
        println!("{name:<34} {dispatcher:>10} {worker:>10}");
        rows.push(Row {
            name,
            dispatcher,
            worker,
        });
    }
    serde_json::to_value(rows).expect("plain figures")
}

/// Instructions of a command in `function` and what it calls.
fn difference(name: &str, function: &str) -> Option<u64> {
    let longer = counted(name, function, BATCHES)?;
    let shorter = counted(name, function, 0)?;
    let (_, setup) = CASES.iter().find(|(case, _)| *case == name)?;
    let commands = BATCHES * u64::from(setup.depth) * u64::from(setup.busy_queues);
    Some(longer.saturating_sub(shorter) / commands)
}

fn counted(name: &str, function: &str, batches: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{function}*"))
        .arg(env::current_exe().ok()?)
        .args(["--case", name, "--batches", &batches.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, count) = text.split_once("Collected : ")?;
    count.split_whitespace().next()?.parse().ok()
}

/// Cases of the tables about single threads, by name.
pub fn cases() -> impl Iterator<Item = (&'static str, Setup)> {
    let by_size = sizes::CAPACITIES.into_iter().chain(sizes::QUEUES);
    CASES.into_iter().chain(data::CASES).chain(by_size)
}

/// Sets a case up and runs so many batches of it: what is counted.
pub fn run_case(name: &str, batches: u64) -> bool {
    let Some((_, setup)) = cases().find(|(case, _)| *case == name) else {
        return false;
    };
    Rig::new(setup).run_interleaved(batches);
    true
}
