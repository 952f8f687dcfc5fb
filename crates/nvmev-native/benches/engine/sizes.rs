//! Table (e): what a command costs on drives of several sizes, and with several numbers of queues; without data.

use serde::Serialize;

use crate::commands::{head, line, measure, Costs};
use crate::rig::{table_bytes, Rig};
use crate::rounds::alternate;
use crate::setup::{Kind, Setup};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Commands that all queues together have outstanding, however many there are.
const OUTSTANDING: u16 = 256;

const fn nvm(capacity_bytes: u64) -> Setup {
    Setup::new("optane", capacity_bytes, Kind::Read, 250)
}

const fn conventional(capacity_bytes: u64) -> Setup {
    Setup::new("970pro", capacity_bytes, Kind::Read, 4_000)
}

const fn queues(queues: u16, busy_queues: u16) -> Setup {
    Setup {
        queues,
        busy_queues,
        depth: OUTSTANDING / busy_queues,
        ..nvm(GIB)
    }
}

pub const CAPACITIES: [(&str, Setup); 8] = [
    ("optane read, 1 GiB", nvm(GIB)),
    ("optane read, 64 GiB", nvm(64 * GIB)),
    ("optane read, 1 TiB", nvm(TIB)),
    ("optane read, 16 TiB", nvm(16 * TIB)),
    ("970pro read, 1 GiB", conventional(GIB)),
    ("970pro read, 64 GiB", conventional(64 * GIB)),
    ("970pro read, 1 TiB", conventional(TIB)),
    ("970pro read, 16 TiB", conventional(16 * TIB)),
];

pub const QUEUES: [(&str, Setup); 7] = [
    ("1 queue", queues(1, 1)),
    ("8 queues, 1 busy", queues(8, 1)),
    ("32 queues, 1 busy", queues(32, 1)),
    ("128 queues, 1 busy", queues(128, 1)),
    ("8 queues, all busy", queues(8, 8)),
    ("32 queues, all busy", queues(32, 32)),
    ("128 queues, all busy", queues(128, 128)),
];

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    costs: Costs,
    /// Medians of both on one thread, beside the first row of the same drive.
    times_the_first: f64,
}

/// Costs against the drive's size.
pub fn capacities(rounds: usize) -> serde_json::Value {
    let available_bytes = available_bytes();
    let fits = |setup: &Setup| table_bytes(setup) < available_bytes / 4 * 3;
    let cases: Vec<_> = CAPACITIES.into_iter().filter(|(_, setup)| fits(setup)).collect();
    let rows = run("by capacity: best (median)", &cases, rounds);
    for (name, setup) in CAPACITIES.iter().filter(|(_, setup)| !fits(setup)) {
        println!(
            "{name:<34} left out: its tables take about {} MiB, and {} MiB are available",
            table_bytes(setup) >> 20,
            available_bytes >> 20
        );
    }
    rows
}

/// Costs against the number of queues.
pub fn queue_counts(rounds: usize) -> serde_json::Value {
    run("by queues: best (median)", &QUEUES, rounds)
}

fn run(what: &str, cases: &[(&'static str, Setup)], rounds: usize) -> serde_json::Value {
    let mut rigs: Vec<Rig> = cases.iter().map(|(_, setup)| Rig::new(*setup)).collect();
    let figures = alternate(&mut rigs, rounds, measure);
    println!("{} {:>6}", head(what), "times");
    let mut rows = Vec::new();
    let mut first = ("", 1.0);
    for ((name, setup), figures) in cases.iter().zip(figures) {
        let costs = Costs::new(name, figures);
        let both_ns = costs.both_on_one_thread_ns.median;
        if first.0 != setup.profile {
            first = (setup.profile, both_ns);
        }
        let times_the_first = both_ns / first.1;
        println!("{} {times_the_first:>6.2}", line(name, figures));
        rows.push(Row {
            costs,
            times_the_first,
        });
    }
    serde_json::to_value(rows).expect("plain figures")
}

fn available_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
