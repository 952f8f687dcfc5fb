//! What the user sees while the simulation runs, on standard error: a progress bar on a terminal, and how fast it was.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nvmev_sim::simulator::{PhaseReport, Progress};

/// A run that is over by then needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time that passes for the user.
pub struct Wall {
    quiet: bool,
    started: Instant,
    bar: Option<ProgressBar>,
    busy: Duration,
}

impl Wall {
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            started: Instant::now(),
            bar: None,
            busy: Duration::ZERO,
        }
    }

    /// Shows how far a phase is. Called rarely enough that it need not be fast.
    pub fn progress(&mut self, name: &str, progress: Progress) {
        if self.quiet || self.started.elapsed() < PATIENCE || !io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}");
            ProgressBar::new(1000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        if let Some(milli) = progress.done_milli {
            bar.set_position(milli.min(1000));
        }
        let seconds = progress.time_ns as f64 / 1e9;
        bar.set_message(format!(
            "{name}: {} commands, {seconds:.3} s of the drive's time",
            progress.commands
        ));
    }

    /// A phase took so long.
    pub fn phase_is_over(&mut self, took: Duration) {
        self.busy += took;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Something without which the results are misunderstood: said in any case.
    pub fn warn(&self, text: &str) {
        // Nobody is left to tell if this fails.
        drop(writeln!(io::stderr(), "{text}"));
    }

    /// Something to know beside the results.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Says how fast the phases were.
    pub fn say(&self, phases: &[PhaseReport]) {
        let commands: u64 = phases.iter().map(PhaseReport::commands).sum();
        let seconds = self.busy.as_secs_f64();
        if seconds > 0.0 {
            let per_second = commands as f64 / seconds / 1e6;
            self.note(&format!(
                "{commands} commands in {seconds:.2} s of this machine's time: {per_second:.2} million a second"
            ));
        }
    }
}
