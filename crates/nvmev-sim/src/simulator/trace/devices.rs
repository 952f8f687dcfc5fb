//! The devices, files or disks that a trace is of, and which of them is run.

use std::collections::HashMap;

use serde::Serialize;

use super::options::TraceFormat;

/// So many are told apart; memory is bounded, so a trace with more has them counted together, under these names.
const DEVICES_MAX: usize = 1000;
const OTHERS: &str = "(others)";
const OTHERS_NOT_RUN: &str = "(others, not run)";
/// So many are named in a message.
const NAMED_MAX: usize = 8;

/// A device, file or disk of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// As the trace names it; of MSR traces, host and number with a comma.
    pub name: String,
    /// Its commands in the trace.
    pub commands: u64,
}

/// Those seen so far.
#[derive(Debug)]
pub struct Devices {
    format: TraceFormat,
    /// The only one that is run.
    chosen: Option<String>,
    seen: Vec<(DeviceReport, bool)>,
    places: HashMap<String, usize>,
    /// The place of the last one.
    last: usize,
}

impl Devices {
    pub fn new(format: TraceFormat, chosen: Option<String>) -> Self {
        Self {
            format,
            chosen,
            seen: Vec::new(),
            places: HashMap::new(),
            last: 0,
        }
    }

    /// Counts a command of the device `name`; whether it is run.
    pub fn admit(&mut self, name: &str) -> bool {
        let is_last = self
            .seen
            .get(self.last)
            .is_some_and(|(last, _)| last.name == name);
        if !is_last {
            self.last = self.place_of(name);
        }
        let Some((device, is_run)) = self.seen.get_mut(self.last) else {
            return self.chosen.is_none();
        };
        device.commands += 1;
        *is_run
    }

    fn place_of(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let is_run = self.is_chosen(name);
        let name = match (self.seen.len() >= DEVICES_MAX, is_run) {
            (false, _) => name,
            (true, true) => OTHERS,
            (true, false) => OTHERS_NOT_RUN,
        };
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.seen.len();
        self.places.insert(name.to_owned(), place);
        let name = name.to_owned();
        self.seen.push((DeviceReport { name, commands: 0 }, is_run));
        place
    }

    fn is_chosen(&self, name: &str) -> bool {
        let Some(chosen) = self.chosen.as_deref() else {
            return true;
        };
        let is_part = || {
            self.format == TraceFormat::Msr
                && name
                    .rsplit_once(',')
                    .is_some_and(|(host, disk)| host == chosen || disk == chosen)
        };
        name == chosen || is_part()
    }

    /// All of them.
    pub fn reports(&self) -> impl Iterator<Item = &DeviceReport> {
        self.seen.iter().map(|(device, _)| device)
    }

    /// How many are run as one drive.
    pub fn run_count(&self) -> usize {
        self.seen.iter().filter(|(_, is_run)| *is_run).count()
    }

    /// What to say if several are run as one drive.
    pub fn merged(&self) -> Option<String> {
        (self.run_count() > 1).then(|| {
            format!(
                "{} {} ({}) were merged into one drive, where the same offset is the same place: choose one with --trace-device",
                self.run_count(),
                self.format.devices_name(),
                self.names(true)
            )
        })
    }

    /// What to say if the chosen one is not among them.
    pub fn missing(&self) -> Option<String> {
        let chosen = self.chosen.as_deref().filter(|_| self.run_count() == 0)?;
        Some(format!(
            "no command is of {chosen:?}, which --trace-device asks for; the {} of this trace: {}",
            self.format.devices_name(),
            if self.seen.is_empty() {
                String::from("none")
            } else {
                self.names(false)
            }
        ))
    }

    fn names(&self, only_run: bool) -> String {
        let names: Vec<&str> = self
            .seen
            .iter()
            .filter(|(_, is_run)| *is_run || !only_run)
            .map(|(device, _)| device.name.as_str())
            .collect();
        let rest = match names.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!("; {more} more"),
        };
        format!("{}{rest}", names[..names.len().min(NAMED_MAX)].join("; "))
    }
}
