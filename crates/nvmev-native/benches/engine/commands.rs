//! Table (a): commands per second without data.

use serde::Serialize;

use crate::rig::Rig;
use crate::rounds::{alternate, Figure};
use crate::setup::{Kind, Setup};

/// Commands of a case in each round, about.
pub const COMMANDS_PER_ROUND: u64 = 1 << 13;

const GIB: u64 = 1 << 30;

/// A case with its name.
pub type Case = (&'static str, Setup);

pub const CASES: [Case; 9] = [
    ("optane read", Setup::new("optane", GIB, Kind::Read, 250)),
    ("optane write", Setup::new("optane", GIB, Kind::Write, 250)),
    (
        "optane read, shadow doorbells",
        Setup {
            has_shadow_doorbells: true,
            ..Setup::new("optane", GIB, Kind::Read, 250)
        },
    ),
    (
        "optane read, namespace reserved",
        Setup {
            is_reserved: true,
            ..Setup::new("optane", GIB, Kind::Read, 250)
        },
    ),
    ("970pro read", Setup::new("970pro", GIB, Kind::Read, 4_000)),
    ("970pro write", Setup::new("970pro", GIB, Kind::Write, 8_000)),
    ("zn540 read", Setup::new("zn540", 64 * GIB, Kind::Read, 4_000)),
    (
        "zn540 write in order",
        Setup::new("zn540", 64 * GIB, Kind::Write, 4_000),
    ),
    ("zn540 append", Setup::new("zn540", 64 * GIB, Kind::Append, 4_000)),
];

/// What [`measure`] finds of a case.
#[derive(Serialize)]
pub struct Costs {
    name: &'static str,
    /// ns per command.
    dispatcher_ns: Figure,
    worker_ns: Figure,
    pub both_on_one_thread_ns: Figure,
    with_driver_ns: Figure,
}

impl Costs {
    pub fn new(name: &'static str, figures: [Figure; 4]) -> Self {
        let [dispatcher_ns, worker_ns, both_on_one_thread_ns, with_driver_ns] = figures;
        Self {
            name,
            dispatcher_ns,
            worker_ns,
            both_on_one_thread_ns,
            with_driver_ns,
        }
    }
}

/// Time of a command in the dispatcher, in the worker, in both in turn, and with the driver, ns.
pub fn measure(rig: &mut Rig) -> [f64; 4] {
    let batches = COMMANDS_PER_ROUND.div_ceil(rig.batch());
    let commands = (batches * rig.batch()) as f64;
    let [dispatcher, worker] = rig.run_in_phases(batches);
    let both = rig.run_interleaved(batches);
    let (end_to_end, done) = rig.run_end_to_end(batches * rig.batch());
    [
        dispatcher.as_nanos() as f64 / commands,
        worker.as_nanos() as f64 / commands,
        both.as_nanos() as f64 / commands,
        end_to_end.as_nanos() as f64 / done as f64,
    ]
}

/// A line of figures per command: ns and millions a second.
pub fn line(name: &str, [dispatcher, worker, both, driver]: [Figure; 4]) -> String {
    let millions = |figure: Figure| 1000.0 / figure.best;
    format!(
        "{name:<34} {:>6.1} ({:>6.1}) {:>6.2} {:>6.1} ({:>6.1}) {:>7.1} ({:>6.1}) {:>6.2} {:>7.1} ({:>6.1}) {:>6.2}",
        dispatcher.best,
        dispatcher.median,
        millions(dispatcher),
        worker.best,
        worker.median,
        both.best,
        both.median,
        millions(both),
        driver.best,
        driver.median,
        millions(driver)
    )
}

/// The head of such lines.
pub fn head(what: &str) -> String {
    format!(
        "{what:<34} {:>15} {:>6} {:>15} {:>16} {:>6} {:>16} {:>6}",
        "dispatcher ns", "M/s", "worker ns", "both in turn ns", "M/s", "with driver ns", "M/s"
    )
}

/// Measures and prints; the rows for JSON.
pub fn run(rounds: usize) -> serde_json::Value {
    let mut rigs: Vec<Rig> = CASES.iter().map(|(_, setup)| Rig::new(*setup)).collect();
    let figures = alternate(&mut rigs, rounds, measure);
    drop(rigs);
    println!("{}", head("without data: best (median)"));
    let mut rows = Vec::new();
    for ((name, _), figures) in CASES.iter().zip(figures) {
        println!("{}", line(name, figures));
        rows.push(Costs::new(name, figures));
    }
    serde_json::to_value(rows).expect("plain figures")
}
