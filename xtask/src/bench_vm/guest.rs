//! Takes the turns in the VM: in one boot if that can be, else in a boot each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, Result};

use super::jobs::REGION_BYTES;
use super::order::{Side, Turn};
use super::Loaded;
use crate::kernels::Kernel;
use crate::klog;
use crate::paths::root;
use crate::vm::{self, End, Outcome, VmOptions};

/// What the script in the guest ends with when a module cannot be unloaded, or a turn failed that was not the boot's first.
const STATUS_NEEDS_BOOT: i32 = 3;
/// How often a boot is repeated that the emulator brought to its end.
const TRIPS_MAX: u32 = 3;

/// How the VM is, every time it boots.
pub struct Guest {
    pub kernel: Kernel,
    pub ours: Loaded,
    pub other: Loaded,
    /// fio's, for every turn.
    pub job_file: PathBuf,
    /// A turn that takes longer hangs.
    pub turn_time_max: Duration,
    pub cpus: u32,
    pub memory: String,
    pub append: String,
    pub qemuopts: String,
}

/// What fio said of a turn.
pub struct Report {
    /// In JSON.
    pub text: String,
    /// In which boot, counted from 1.
    pub boot: usize,
}

/// What all turns came to.
pub struct Measurements {
    /// By the turn's number.
    pub reports: BTreeMap<usize, Report>,
    /// How often the VM booted.
    pub boots: usize,
    /// What ran it.
    pub accelerator: &'static str,
    /// Whether a kernel found something wrong with itself.
    pub complained: bool,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// What to do after a boot.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Take what is left in the same way.
    GoOn,
    /// Take what is left with a boot for each.
    BootEach,
    /// Once more: it was the emulator's fault.
    Again,
    /// It has been said why.
    GiveUp,
}

impl Guest {
    /// Takes all turns.
    ///
    /// # Errors
    /// If one of them cannot be had; the guest's output, which is shown, says why.
    pub fn measure(&self, turns: &[Turn]) -> Result<Measurements> {
        let start = Instant::now();
        let mut measured = Measurements {
            reports: BTreeMap::new(),
            boots: 0,
            accelerator: "",
            complained: false,
            elapsed: Duration::ZERO,
        };
        let mut has_boot_each = false;
        let mut trips = 0;
        loop {
            let is_left = |turn: &&Turn| !measured.reports.contains_key(&turn.number);
            let mut left: Vec<Turn> = turns.iter().filter(is_left).copied().collect();
            if has_boot_each {
                left.truncate(1);
            }
            if left.is_empty() {
                break;
            }
            let outcome = vm::run(&self.options(&left))?;
            eprint!("{}", outcome.trouble());
            measured.add(&outcome);
            let is_done = left
                .iter()
                .all(|turn| measured.reports.contains_key(&turn.number));
            match next(&outcome, is_done, has_boot_each) {
                Next::GoOn => {}
                Next::BootEach => {
                    eprintln!("The VM boots anew for each turn from here on.");
                    has_boot_each = true;
                }
                Next::Again if trips < TRIPS_MAX => {
                    eprintln!("The emulator, not the guest, went wrong; booting again.");
                    trips += 1;
                }
                Next::Again | Next::GiveUp => bail!("the comparison could not be made: see above"),
            }
        }
        measured.elapsed = start.elapsed();
        Ok(measured)
    }

    fn options(&self, turns: &[Turn]) -> VmOptions {
        let words: Vec<String> = turns
            .iter()
            .map(|turn| format!("{}:{}", turn.number, turn.side.name()))
            .collect();
        let mut environment = vec![
            ("NVMEV_BENCH_TURNS".to_owned(), words.join(" ")),
            ("NVMEV_BENCH_JOBS".to_owned(), self.job_file.display().to_string()),
            ("NVMEV_BENCH_REGION_BYTES".to_owned(), REGION_BYTES.to_string()),
            (
                "NVMEV_BENCH_TURN_SECONDS_MAX".to_owned(),
                self.turn_time_max.as_secs().to_string(),
            ),
        ];
        for (side, loaded) in [(Side::Ours, &self.ours), (Side::Other, &self.other)] {
            let prefix = format!("NVMEV_BENCH_{}", side.name().to_uppercase());
            environment.push((format!("{prefix}_MODULE"), loaded.module.display().to_string()));
            environment.push((format!("{prefix}_PARAMETERS"), loaded.parameters.clone()));
        }
        let turn_count = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        VmOptions {
            kernel: self.kernel.clone(),
            // The script loads what it needs by itself.
            module: None,
            modparams: String::new(),
            command: Some(format!("bash '{}/tests/vm/bench'", root().display())),
            cpus: self.cpus,
            memory: self.memory.clone(),
            append: self.append.clone(),
            qemuopts: self.qemuopts.clone(),
            environment,
            // Beside the turns, the boot.
            timeout: Some(self.turn_time_max.saturating_mul(turn_count) + Duration::from_secs(300)),
            live: true,
        }
    }
}

impl Measurements {
    fn add(&mut self, outcome: &Outcome) {
        self.boots += 1;
        self.accelerator = outcome.accelerator.name();
        self.complained |= !klog::complaints(&outcome.kernel_log).is_empty();
        for (name, text) in &outcome.results {
            let number = name.strip_suffix(".json").and_then(|number| number.parse().ok());
            if let Some(number) = number {
                let report = Report {
                    text: text.clone(),
                    boot: self.boots,
                };
                self.reports.insert(number, report);
            }
        }
    }
}

/// What to do after a boot in which all turns that were asked for came to their end, or not.
fn next(outcome: &Outcome, is_done: bool, has_boot_each: bool) -> Next {
    match outcome.end {
        _ if is_done => Next::GoOn,
        End::Exited(status) if status != STATUS_NEEDS_BOOT => Next::GiveUp,
        // QEMU did not even start.
        End::Died if outcome.kernel_log.trim().is_empty() => Next::GiveUp,
        _ if !has_boot_each => Next::BootEach,
        End::Died if outcome.emulator_tripped() => Next::Again,
        _ => Next::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Accelerator;

    fn outcome(end: End, kernel_log: &str) -> Outcome {
        Outcome {
            end,
            output: String::new(),
            results: Vec::new(),
            kernel_log: kernel_log.to_owned(),
            elapsed: Duration::ZERO,
            accelerator: Accelerator::Emulation,
        }
    }

    #[test]
    fn a_module_that_stays_or_takes_the_machine_down_gets_a_boot_for_each_turn() {
        for end in [End::Exited(STATUS_NEEDS_BOOT), End::Died, End::TimedOut] {
            assert_eq!(next(&outcome(end, "Linux version"), false, false), Next::BootEach);
        }
    }

    #[test]
    fn a_vm_that_does_not_start_is_not_started_again() {
        assert_eq!(next(&outcome(End::Died, "\n"), false, false), Next::GiveUp);
    }

    #[test]
    fn what_fails_in_a_boot_of_its_own_is_given_up_unless_the_emulator_is_to_blame() {
        assert_eq!(next(&outcome(End::Died, "Oops"), false, true), Next::GiveUp);
        assert_eq!(next(&outcome(End::TimedOut, ""), false, true), Next::GiveUp);
        assert_eq!(
            next(&outcome(End::Died, "int3: 0000 [#1]"), false, true),
            Next::Again
        );
    }

    #[test]
    fn what_another_boot_does_not_mend_is_given_up_at_once() {
        for has_boot_each in [false, true] {
            assert_eq!(
                next(&outcome(End::Exited(1), ""), false, has_boot_each),
                Next::GiveUp
            );
        }
    }

    #[test]
    fn how_the_vm_ends_is_of_no_importance_once_every_turn_is_measured() {
        for end in [End::Exited(0), End::Exited(STATUS_NEEDS_BOOT), End::Died] {
            assert_eq!(next(&outcome(end, ""), true, true), Next::GoOn);
        }
    }

    #[test]
    fn results_are_filed_by_the_turn_s_number_with_their_boot() {
        let mut measured = Measurements {
            reports: BTreeMap::new(),
            boots: 2,
            accelerator: "",
            complained: false,
            elapsed: Duration::ZERO,
        };
        let mut outcome = outcome(End::Exited(0), "[    1.0] WARNING: CPU: 1 PID: 7\n");
        // The guest died while it wrote the second one.
        outcome.results = vec![
            ("12.json".to_owned(), "{}".to_owned()),
            ("part".to_owned(), "{".to_owned()),
        ];
        measured.add(&outcome);
        assert_eq!(measured.reports.keys().copied().collect::<Vec<_>>(), [12]);
        assert_eq!(measured.reports[&12].boot, 3);
        assert!(measured.complained);
    }
}
