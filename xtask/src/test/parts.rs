//! The parts of `make test-long`: each takes half an hour at most, and is run, stopped and continued by itself.

use std::time::Duration;

use anyhow::{ensure, Result};

use crate::fuzz;
use crate::suites::{self, Suite};

/// What a part may take.
pub const MINUTES_MAX: u64 = 30;
/// What a part with VMs takes beside its checks: the module and programs are built.
const BUILD_MINUTES: u64 = 3;

/// What is run and recorded by itself.
#[derive(Clone, Copy)]
pub enum Check {
    /// Tests that need more memory than others.
    Ignored,
    /// Tests of the core with two dispatchers.
    TwoDispatchers,
    /// The engine's threads under ThreadSanitizer.
    Race,
    /// Lints of the fuzz targets.
    FuzzLints,
    /// A fuzz target with new inputs.
    Fuzz(&'static str),
    /// A VM.
    Suite(&'static Suite),
}

impl Check {
    /// All that do not run in `make test`.
    fn all() -> impl Iterator<Item = Self> {
        let suites = suites::all().filter(|suite| !suite.length.is_usual());
        [Self::Ignored, Self::TwoDispatchers, Self::Race, Self::FuzzLints]
            .into_iter()
            .chain(fuzz::TARGETS.into_iter().map(Self::Fuzz))
            .chain(suites.map(Self::Suite))
    }

    /// As in [`PARTS`] and in the record.
    pub fn name(self) -> String {
        match self {
            Self::Ignored => "memory".to_owned(),
            Self::TwoDispatchers => "core with two dispatchers".to_owned(),
            Self::Race => "race".to_owned(),
            Self::FuzzLints => "fuzz lints".to_owned(),
            Self::Fuzz(target) => format!("fuzz {target}"),
            Self::Suite(suite) => suite.name.to_owned(),
        }
    }
}

/// A part.
pub struct Part {
    /// As `PART=` selects it.
    pub name: &'static str,
    /// Its checks by name, with the minutes that each takes in an emulated VM on two CPUs, as long as no run has been recorded.
    rows: &'static [(&'static str, u64)],
}

const fn part(name: &'static str, rows: &'static [(&'static str, u64)]) -> Part {
    Part { name, rows }
}

impl Part {
    /// Its checks, in the order to run them, each with the time that it is said to take.
    pub fn checks(&self) -> Vec<(Check, Duration)> {
        let find = |name: &str| Check::all().find(|check| check.name() == name);
        let rows = self.rows.iter();
        rows.filter_map(|(name, minutes)| Some((find(name)?, Duration::from_secs(minutes * 60))))
            .collect()
    }

    /// The name in the record of what is built for its VMs.
    pub fn build(&self) -> String {
        format!("builds for {}", self.name)
    }

    /// What is said to go into building, beside the checks.
    pub fn build_time(&self) -> Duration {
        let has_suites = self
            .checks()
            .iter()
            .any(|(check, _)| matches!(check, Check::Suite(_)));
        Duration::from_secs(if has_suites { BUILD_MINUTES * 60 } else { 0 })
    }
}

/// All parts, in the order in which `make test-long` runs them: first those that find most in a minute.
pub const PARTS: &[Part] = &[
    part(
        "core",
        &[
            ("memory", 5),
            ("core with two dispatchers", 6),
            ("race", 9),
            ("fuzz lints", 2),
        ],
    ),
    part(
        "newest-drives",
        &[
            ("newest-all", 5),
            ("newest-flash", 4),
            ("newest-zoned", 4),
            ("newest-keyvalue", 2),
            ("newest-namespaces", 3),
            ("newest-resets", 2),
            ("newest-hotplug", 3),
        ],
    ),
    part(
        "newest-machine",
        &[
            ("newest-lifecycle", 2),
            ("newest-faults", 2),
            ("newest-iommu", 3),
            ("newest-poll", 3),
            ("newest-poll-iommu", 3),
            ("newest-nomsi", 3),
            ("newest-memmap", 3),
            ("newest-nodata", 1),
            ("newest-peer", 1),
            ("newest-numa", 2),
            ("newest-dma", 3),
        ],
    ),
    part(
        "newest-threads",
        &[
            ("newest-onecpu", 4),
            ("newest-dispatchers", 4),
            ("newest-dispatchers-flash", 4),
            ("newest-dispatchers-zoned", 4),
            ("newest-dispatchers-namespaces", 3),
            ("newest-dispatchers-resets", 2),
            ("newest-dispatchers-iommu", 3),
        ],
    ),
    part(
        "onecpu",
        &[
            ("6.12-onecpu", 4),
            ("6.12-onecpu-flash", 4),
            ("6.12-onecpu-zoned", 3),
            ("6.12-onecpu-keyvalue", 2),
            ("6.12-onecpu-namespaces", 3),
            ("6.12-onecpu-resets", 2),
            ("6.12-onecpu-iommu", 2),
            ("6.12-onecpu-poll", 2),
            ("6.12-onecpu-dma", 3),
        ],
    ),
    part(
        "threecpus",
        &[
            ("6.12-threecpus", 4),
            ("6.12-threecpus-flash", 4),
            ("6.12-threecpus-zoned", 3),
            ("6.12-threecpus-keyvalue", 2),
            ("6.12-threecpus-namespaces", 3),
            ("6.12-threecpus-resets", 2),
            ("6.12-threecpus-iommu", 2),
            ("6.12-threecpus-poll", 2),
        ],
    ),
    part(
        "dispatchers",
        &[
            ("6.12-dispatchers", 4),
            ("6.12-dispatchers-flash", 4),
            ("6.12-dispatchers-zoned", 3),
            ("6.12-dispatchers-keyvalue", 2),
            ("6.12-dispatchers-resets", 2),
            ("6.12-dispatchers-iommu", 2),
            ("6.12-dispatchers-poll", 2),
            ("6.12-dispatchers-bar-doorbells", 4),
        ],
    ),
    part(
        "6.1-threads",
        &[
            ("6.1-onecpu", 4),
            ("6.1-threecpus", 4),
            ("6.1-dispatchers", 4),
            ("6.1-bar-doorbells", 4),
            ("6.1-poll", 2),
            ("6.1-nomsi", 2),
            ("6.1-peer-long", 1),
        ],
    ),
    part(
        "doorbells",
        &[
            ("6.12-bar-doorbells", 4),
            ("6.12-bar-doorbells-resets", 2),
            ("6.12-poll-iommu", 2),
            ("6.12-numa-long", 2),
            ("6.1-numa-long", 2),
            ("6.12-numa-io-long", 5),
        ],
    ),
    part("dma", &[("6.12-dma-long", 8), ("6.1-dma-long", 8)]),
    part(
        "keyvalue",
        &[("6.12-keyvalue-long", 3), ("6.12-keyvalue-lbas-long", 3)],
    ),
    part(
        "zoned",
        &[
            ("6.12-zoned-long", 5),
            ("6.1-zoned-long", 5),
            ("6.12-zone-capacity-long", 5),
            ("6.12-zns-prototype-long", 5),
        ],
    ),
    part("zoned-large", &[("6.12-zn540-long", 11), ("6.1-zn540-long", 11)]),
    part("resets", &[("6.12-resets-long", 10), ("6.1-resets-long", 10)]),
    part(
        "resets-settings",
        &[("6.12-resets-flash-long", 10), ("6.12-resets-nomsi-long", 10)],
    ),
    part("lifecycle-6.12", &[("6.12-lifecycle-long", 20)]),
    part("lifecycle-6.1", &[("6.1-lifecycle-long", 20)]),
    part("lifecycle-memmap", &[("6.1-memmap-long", 20)]),
    part(
        "namespaces-6.12",
        &[("6.12-namespaces-long", 20), ("6.12-sweep-long", 5)],
    ),
    part(
        "namespaces-6.1",
        &[("6.1-namespaces-long", 20), ("6.1-sweep-long", 5)],
    ),
    part("flash", &[("6.12-flash-long", 10), ("6.12-reference-long", 12)]),
    part("flash-libaio", &[("6.12-flash-libaio-long", 18)]),
    part("flash-uring", &[("6.12-flash-uring-long", 18)]),
    part("iommu-6.12", &[("6.12-iommu-long", 22)]),
    part("iommu-6.1", &[("6.1-iommu-long", 22)]),
    part("polled", &[("6.12-poll-long", 20)]),
    part(
        "size",
        &[
            ("6.12-size-long", 8),
            ("6.1-size-long", 8),
            ("6.12-memmap-long", 8),
        ],
    ),
    part(
        "size-fio-6.12",
        &[("6.12-size-libaio-long", 12), ("6.12-size-uring-long", 12)],
    ),
    part(
        "size-fio-6.1",
        &[("6.1-size-libaio-long", 12), ("6.1-size-uring-long", 12)],
    ),
    part(
        "memmap-fio",
        &[("6.12-memmap-libaio-long", 12), ("6.12-memmap-uring-long", 12)],
    ),
    part(
        "cpus-6.12",
        &[
            ("6.12-hotplug-long", 12),
            ("6.12-isolated-long", 2),
            ("6.12-kexec-long", 3),
        ],
    ),
    part("cpus-6.1", &[("6.1-hotplug-long", 12)]),
    part("fuzz-commands", &[("fuzz commands", 13)]),
    part("fuzz-data_pointers", &[("fuzz data_pointers", 13)]),
    part("fuzz-registers", &[("fuzz registers", 13)]),
    part("fuzz-config_space", &[("fuzz config_space", 13)]),
    part("fuzz-traces", &[("fuzz traces", 13)]),
];

/// The parts that `names` selects: names with commas between them; one that is no part's is the beginning of several.
///
/// # Errors
/// If one selects nothing.
pub fn selected(names: &str) -> Result<Vec<&'static Part>> {
    let mut is_selected = vec![false; PARTS.len()];
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let is_name = PARTS.iter().any(|part| part.name == name);
        let mut found = false;
        for (part, is_selected) in PARTS.iter().zip(&mut is_selected) {
            if part.name == name || (!is_name && part.name.starts_with(name)) {
                (*is_selected, found) = (true, true);
            }
        }
        ensure!(
            found,
            "PART={name}: no part's name begins so. There are: {}",
            PARTS.iter().map(|part| part.name).collect::<Vec<_>>().join(", ")
        );
    }
    let parts = PARTS.iter().zip(is_selected);
    Ok(parts
        .filter_map(|(part, is_selected)| is_selected.then_some(part))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_long_check_is_in_one_part() {
        let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for part in PARTS {
            for (name, _) in part.rows {
                parts.entry(name).or_default().push(part.name);
            }
        }
        let checks: BTreeSet<String> = Check::all().map(Check::name).collect();
        for name in &checks {
            let parts = parts.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            assert_eq!(
                parts.len(),
                1,
                "{name} has to be in one part of PARTS, and is in {parts:?}"
            );
        }
        for name in parts.keys() {
            assert!(checks.contains(*name), "there is no long check {name}");
        }
        assert_eq!(checks.len(), Check::all().count(), "names of checks are unique");
    }

    #[test]
    fn no_part_takes_longer_than_it_may() {
        for part in PARTS {
            let checks = part.checks();
            let sum: Duration = checks.iter().map(|(_, time)| *time).sum();
            let minutes = (sum + part.build_time()).as_secs() / 60;
            assert!(minutes <= MINUTES_MAX, "{}: {minutes} min", part.name);
            assert!(
                checks.iter().all(|(_, time)| *time > Duration::ZERO),
                "{}",
                part.name
            );
        }
    }

    #[test]
    fn a_suite_s_timeout_does_not_end_it_within_what_it_may_take() {
        for (check, time) in PARTS.iter().flat_map(Part::checks) {
            if let Check::Suite(suite) = check {
                assert!(2 * time <= suite.length.timeout(), "{}", suite.name);
            }
        }
    }

    #[test]
    fn parts_are_selected_by_name_or_by_its_beginning() {
        let names = |selection: &str| -> Vec<&str> {
            selected(selection)
                .unwrap()
                .iter()
                .map(|part| part.name)
                .collect()
        };
        assert_eq!(names("zoned"), ["zoned"]);
        assert_eq!(names("zoned-l"), ["zoned-large"]);
        assert_eq!(names("lifecycle-6"), ["lifecycle-6.12", "lifecycle-6.1"]);
        // In the order of the table, each once.
        assert_eq!(names("dma, onecpu,dma"), ["onecpu", "dma"]);
        assert_eq!(names("fuzz").len(), fuzz::TARGETS.len());
        let error = selected("onecpu,zonde").map(drop).unwrap_err().to_string();
        assert!(
            error.starts_with("PART=zonde: ") && error.contains("zoned-large"),
            "{error}"
        );
        let unique: BTreeSet<&str> = PARTS.iter().map(|part| part.name).collect();
        assert_eq!(unique.len(), PARTS.len());
    }
}
