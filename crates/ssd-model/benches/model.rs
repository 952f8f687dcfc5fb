//! How many commands a model times in a second of one core: the model alone, without queues and data.
//!
//! `cargo bench -p ssd-model` prints a table; `-- --json FILE` writes the figures to a file as well; `-- NAME` runs only what
//! has NAME in its name. Where valgrind is installed, the instructions of a command are counted too, on the small drives:
//! this program runs itself under callgrind with `--instructions NAME COUNT`, which is the set-up and then COUNT commands, for two
//! counts; the difference is what the commands cost.

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{self, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs};

use ssd_model::{profiles, AnyModel, Command, Model, Refusal, ZoneAction};

/// A measurement takes at least so long, after the set-up.
const MEASURED: Duration = Duration::from_secs(2);
/// Commands between two looks at the clock.
const BATCH: u64 = 1 << 16;
const PAGE: u64 = 4096;

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    profile: &'static str,
    capacity_bytes: u64,
    load: Load,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Random 4 KiB reads of a drive that was filled and partly overwritten, one each 4 µs of the drive's time.
    Read,
    /// Random 4 KiB writes, as fast as the write buffer takes them, in steady garbage collection.
    Write,
    /// Appends of 4 KiB to eight zones in turn, as fast as the write buffer takes them; a full zone is reset.
    Append,
}

const CASES: [Case; 13] = [
    case("nvm read 1G", "optane", 1, Load::Read),
    case("conventional read 1G", "970pro", 1, Load::Read),
    case("conventional read 4G", "970pro", 4, Load::Read),
    case("conventional read 64G", "970pro", 64, Load::Read),
    case("conventional write 1G", "970pro", 1, Load::Write),
    case("conventional write 4G", "970pro", 4, Load::Write),
    case("conventional write 64G", "970pro", 64, Load::Write),
    case("tlc-ssd write 1G", "tlc-ssd", 1, Load::Write),
    case("tlc-ssd write 4G", "tlc-ssd", 4, Load::Write),
    case("tlc-ssd write 64G", "tlc-ssd", 64, Load::Write),
    case("zoned read 1G", "tlc-zns", 1, Load::Read),
    case("zoned read 64G", "tlc-zns", 64, Load::Read),
    case("zoned append 1G", "tlc-zns", 1, Load::Append),
];

const fn case(name: &'static str, profile: &'static str, gib: u64, load: Load) -> Case {
    Case {
        name,
        profile,
        capacity_bytes: gib << 30,
        load,
    }
}

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(value) * u128::from(bound)) >> 64) as u64
    }
}

/// A drive in use.
struct Drive {
    model: AnyModel,
    pages: u64,
    now_ns: u64,
    random: Random,
    /// The zone that was appended to last.
    zone: u32,
}

impl Drive {
    fn new(case: Case) -> Self {
        let profile = profiles::by_name(case.profile).expect("a built-in profile");
        // The reference's sizes: the first MiB is the registers'.
        let capacity_bytes = case.capacity_bytes - (1 << 20);
        let bytes = ssd_model::namespace_bytes(&profile.kind, capacity_bytes).expect("a valid profile");
        let model = AnyModel::new(&profile.kind, capacity_bytes).expect("enough memory");
        let mut drive = Self {
            model,
            pages: bytes / PAGE,
            now_ns: 1_000_000_000,
            random: Random(42),
            zone: 0,
        };
        drive.prepare(case.load);
        drive
    }

    fn prepare(&mut self, load: Load) {
        for page in (0..self.pages).step_by(32) {
            let len_bytes = (self.pages - page).min(32) * PAGE;
            self.write(page * PAGE, len_bytes as u32);
        }
        // Garbage collection is steady when the free lines of the beginning are used up and lines are as mixed as they get.
        let overwrites = match load {
            Load::Read if self.model.zoned().is_none() => self.pages / 10,
            Load::Read | Load::Append => 0,
            Load::Write => self.physical_pages() + self.pages,
        };
        (0..overwrites).for_each(|_| self.random_write());
        self.now_ns += 1_000_000_000;
        self.model.reset_statistics();
    }

    fn physical_pages(&self) -> u64 {
        self.model
            .flash_report()
            .map_or(0, |report| report.physical_pages)
    }

    fn write(&mut self, offset_bytes: u64, len_bytes: u32) {
        let command = Command::Write {
            offset_bytes,
            len_bytes,
            fua: false,
        };
        loop {
            match self.model.submit(self.now_ns, &command) {
                Ok(accepted) => {
                    black_box(accepted);
                    return;
                }
                Err(Refusal::Busy { retry_at_ns }) => self.now_ns = retry_at_ns,
                Err(refusal) => panic!("a write failed: {refusal:?}"),
            }
        }
    }

    fn random_write(&mut self) {
        let page = self.random.below(self.pages);
        self.write(page * PAGE, PAGE as u32);
    }

    fn random_read(&mut self) {
        let command = Command::Read {
            offset_bytes: self.random.below(self.pages) * PAGE,
            len_bytes: PAGE as u32,
        };
        self.now_ns += 4_000;
        black_box(self.model.submit(self.now_ns, &command)).expect("reads are never refused");
    }

    fn append(&mut self) {
        let Some(geometry) = self.model.zoned().map(|model| *model.geometry()) else {
            panic!("appends are for zoned drives")
        };
        self.zone = (self.zone + 1) % geometry.zones.min(8);
        let offset_bytes = geometry.zone_start(self.zone);
        let append = Command::Append {
            offset_bytes,
            len_bytes: PAGE as u32,
            fua: false,
        };
        loop {
            match self.model.submit(self.now_ns, &append) {
                Ok(accepted) => {
                    black_box(accepted);
                    return;
                }
                Err(Refusal::Busy { retry_at_ns }) => self.now_ns = retry_at_ns,
                Err(Refusal::Failed(_)) => {
                    let action = ZoneAction::Reset;
                    let reset = Command::ZoneSend { offset_bytes, action };
                    self.model
                        .submit(self.now_ns, &reset)
                        .expect("a full zone can be reset");
                }
                Err(refusal) => panic!("an append failed: {refusal:?}"),
            }
        }
    }

    fn run(&mut self, load: Load, commands: u64) {
        match load {
            Load::Read => (0..commands).for_each(|_| self.random_read()),
            Load::Write => (0..commands).for_each(|_| self.random_write()),
            Load::Append => (0..commands).for_each(|_| self.append()),
        }
    }
}

/// Commands per second.
fn measure(drive: &mut Drive, load: Load) -> f64 {
    drive.run(load, BATCH);
    let started = Instant::now();
    let mut commands = 0;
    while started.elapsed() < MEASURED {
        drive.run(load, BATCH);
        commands += BATCH;
    }
    commands as f64 / started.elapsed().as_secs_f64()
}

/// Commands under callgrind: enough for garbage collection to come round.
const COUNTED: u64 = 200_000;

/// Instructions of a command, if the drive is small enough for callgrind, which takes fifty times as long, and valgrind is there.
fn instructions(case: &Case) -> Option<u64> {
    if case.capacity_bytes > 1 << 30 {
        return None;
    }
    let of_run = |count: u64| {
        let output = process::Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args(["--instructions", case.name, &count.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.split_once("Collected : ")?
            .1
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    Some(of_run(COUNTED)?.saturating_sub(of_run(0)?) / COUNTED)
}

fn run_all(filter: &str, json: Option<&str>) -> std::io::Result<()> {
    println!(
        "{:<24} {:>12} {:>8} {:>13} {:>6} {:>9}",
        "model alone, 1 core", "commands/s", "ns each", "instructions", "WAF", "set-up"
    );
    let mut figures = String::new();
    for case in CASES.iter().filter(|case| case.name.contains(filter)) {
        let started = Instant::now();
        let mut drive = Drive::new(*case);
        let setup = started.elapsed();
        let per_second = measure(&mut drive, case.load);
        let report = drive.model.flash_report();
        let waf = report
            .filter(|_| drive.model.zoned().is_none())
            .and_then(|report| report.statistics.write_amplification_milli());
        let waf = waf.map_or(String::from("-"), |milli| format!("{:.2}", milli as f64 / 1000.0));
        let instructions = instructions(case);
        let shown = instructions.map_or(String::from("-"), |count| count.to_string());
        println!(
            "{:<24} {:>12.0} {:>8.1} {:>13} {:>6} {:>7.1} s",
            case.name,
            per_second,
            1e9 / per_second,
            shown,
            waf,
            setup.as_secs_f64()
        );
        let separator = if figures.is_empty() { "" } else { ",\n" };
        let _ = write!(
            figures,
            "{separator}  {{\"name\": \"{}\", \"commands_per_second\": {per_second:.0}, \"instructions\": {}}}",
            case.name,
            instructions.map_or(String::from("null"), |count| count.to_string())
        );
    }
    match json {
        Some(path) => fs::write(path, format!("[\n{figures}\n]\n")),
        None => Ok(()),
    }
}

/// The set-up, and then `count` commands: run with two counts, the difference is what the commands cost.
fn run_for_instructions(name: &str, count: u64) -> bool {
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        return false;
    };
    Drive::new(*case).run(case.load, count);
    true
}

fn main() -> ExitCode {
    // Cargo passes `--bench` to every benchmark.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["--instructions", name, count] => match count.parse() {
            Ok(count) if run_for_instructions(name, count) => Ok(()),
            _ => {
                eprintln!("no case is called {name:?}, or {count:?} is no count");
                return ExitCode::from(2);
            }
        },
        [] => run_all("", None),
        ["--json", path] => run_all("", Some(path)),
        ["--json", path, filter] => run_all(filter, Some(path)),
        [filter] => run_all(filter, None),
        _ => {
            eprintln!("usage: [--json FILE] [NAME], or --instructions NAME COUNT");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the figures could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}
