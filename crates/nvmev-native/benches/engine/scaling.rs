//! Table (c): dispatcher and worker on one thread, and on two; and one dispatcher beside two.

use serde::Serialize;

use crate::rig::Rig;
use crate::rounds::{alternate, Figure};
use crate::setup::{Kind, Setup};

const GIB: u64 = 1 << 30;

/// As many commands as a worker holds, nearly: so that the start and the end of a batch, where one of the threads has nothing to do, do not count.
const fn deep(setup: Setup) -> Setup {
    Setup { depth: 1000, ..setup }
}

const CASES: [(&str, Setup); 4] = [
    ("optane read", deep(Setup::new("optane", GIB, Kind::Read, 250))),
    (
        "optane read, 4 KiB of data",
        Setup {
            has_data: true,
            ..deep(Setup::new("optane", GIB, Kind::Read, 250))
        },
    ),
    ("970pro read", deep(Setup::new("970pro", GIB, Kind::Read, 4_000))),
    (
        "zn540 append",
        deep(Setup::new("zn540", 64 * GIB, Kind::Append, 4_000)),
    ),
];

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// ns per command.
    one_thread_ns: Figure,
    two_threads_ns: Figure,
    /// Of the bests.
    speed_up: f64,
}

/// What two dispatchers get through, beside one: as much as there is room for between them and the worker.
const DISPATCHERS: [(&str, Setup); 3] = [
    ("optane read", shallow(Setup::new("optane", GIB, Kind::Read, 250))),
    (
        "970pro read",
        shallow(Setup::new("970pro", GIB, Kind::Read, 4_000)),
    ),
    (
        "zn540 append",
        shallow(Setup::new("zn540", 64 * GIB, Kind::Append, 4_000)),
    ),
];

/// Full queues of a round: the first ones meet a thread that has just begun, and caches without what it needs.
const BATCHES: u64 = 64;

const fn shallow(setup: Setup) -> Setup {
    Setup { depth: 75, ..setup }
}

#[derive(Serialize)]
struct DispatcherRow {
    name: &'static str,
    /// ns per command, on the wall.
    one_ns: Figure,
    two_ns: Figure,
    /// Of the bests.
    speed_up: f64,
}

/// Measures one dispatcher and two, without the worker, and prints; the rows for JSON.
pub fn run_dispatchers(rounds: usize, cpus: &[usize]) -> serde_json::Value {
    let mut rigs: Vec<[Rig; 2]> = DISPATCHERS
        .iter()
        .map(|&(_, setup)| [1, 2].map(|dispatchers| Rig::new(Setup { dispatchers, ..setup })))
        .collect();
    let figures = alternate(&mut rigs, rounds, |[one, two]| {
        let commands = one.batch() as f64;
        let cpu = cpus.get(1).copied();
        let alone = one.run_dispatchers(BATCHES, cpu).as_nanos() as f64 / commands;
        let both = two.run_dispatchers(BATCHES, cpu);
        [alone, both.as_nanos() as f64 / commands]
    });
    head("dispatchers: best (median)", "one ns", "two ns");
    let rows = DISPATCHERS
        .iter()
        .zip(figures)
        .map(|((name, _), [one_ns, two_ns])| DispatcherRow {
            name,
            one_ns,
            two_ns,
            speed_up: line(name, one_ns, two_ns),
        });
    serde_json::to_value(rows.collect::<Vec<_>>()).expect("plain figures")
}

/// Measures and prints; the rows for JSON.
pub fn run(rounds: usize, cpus: &[usize]) -> serde_json::Value {
    let mut rigs: Vec<Rig> = CASES.iter().map(|(_, setup)| Rig::new(*setup)).collect();
    let figures = alternate(&mut rigs, rounds, |rig| {
        let commands = rig.batch() as f64;
        let one = rig.run_interleaved(1).as_nanos() as f64 / commands;
        let both = rig.run_on_two_threads(4, cpus.get(1).copied());
        [one, both.as_nanos() as f64 / commands]
    });
    head("scaling: best (median)", "one thread ns", "two threads ns");
    let rows = CASES
        .iter()
        .zip(figures)
        .map(|((name, _), [one_thread_ns, two_threads_ns])| Row {
            name,
            one_thread_ns,
            two_threads_ns,
            speed_up: line(name, one_thread_ns, two_threads_ns),
        });
    serde_json::to_value(rows.collect::<Vec<_>>()).expect("plain figures")
}

fn head(title: &str, one: &str, two: &str) {
    println!("{title:<34} {one:>18} {two:>18} {:>9}", "speed-up");
}

/// Prints a line; how many times as quick the second is, by the bests.
fn line(name: &str, one: Figure, two: Figure) -> f64 {
    let speed_up = one.best / two.best;
    let text = |figure: Figure| format!("{:.1} ({:.1})", figure.best, figure.median);
    println!("{name:<34} {:>18} {:>18} {speed_up:>9.2}", text(one), text(two));
    speed_up
}
