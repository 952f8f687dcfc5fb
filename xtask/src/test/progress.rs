//! How far the long checks have come on a version of the sources.

use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::parts::{Check, Part, MINUTES_MAX, PARTS};
use super::record::{Outcome, Record, Version};
use super::Verdict;
use crate::packages;

/// The checks of a part that this machine can run, each with the time that it is said to take.
pub(super) fn checks_here(part: &Part) -> Vec<(Check, Duration)> {
    let mut checks = part.checks();
    // Debian's cargo-web has none.
    checks.retain(|(check, _)| !matches!(check, Check::FuzzLints) || packages::cargo_has("clippy"));
    checks
}

/// Whole minutes.
pub(super) fn minutes(time: Duration) -> u64 {
    (time.as_secs() + 30) / 60
}

/// The record, for one version of the sources.
pub(super) struct Log {
    pub record: Record,
    pub version: Version,
}

impl Log {
    pub fn open() -> Result<Self> {
        Ok(Self {
            record: Record::open()?,
            version: Version::current(),
        })
    }

    /// Records what a check found.
    pub fn add(&mut self, check: &str, verdict: Verdict) -> Result<()> {
        let version = self.version.clone().if_still(&Version::current());
        if version != self.version {
            println!("the sources changed while {check} ran: its result does not count for any version");
        }
        let outcome = Outcome::new(version, verdict.took, verdict.passed, verdict.failed);
        self.record.add(check, outcome)
    }

    /// What a check found on this version. Sources whose version is not known may have changed since.
    fn current(&self, check: &str) -> Option<&Outcome> {
        let is_known = self.version.is_known();
        self.record.on(check, &self.version).filter(|_| is_known)
    }

    /// The checks of a part that have not passed on this version.
    pub fn left(&self, part: &Part) -> Vec<(Check, Duration)> {
        let mut checks = checks_here(part);
        checks.retain(|(check, _)| !self.current(&check.name()).is_some_and(Outcome::has_passed));
        checks
    }

    pub fn has_passed(&self, part: &Part) -> bool {
        self.left(part).is_empty()
    }

    /// Checks that were counted on this version, in all parts.
    pub fn passed(&self) -> usize {
        PARTS.iter().map(|part| self.standing(part).passed).sum()
    }

    /// How long a check takes: as long as the last time that it came to a good end, or as long as it is said to.
    pub fn expected(&self, (check, stated): (Check, Duration)) -> Duration {
        let last = self.record.last(&check.name());
        last.filter(|outcome| outcome.has_passed())
            .map_or(stated, Outcome::took)
    }

    /// How long it takes until a part has passed.
    pub fn time_left(&self, part: &Part) -> Duration {
        let left = self.left(part);
        if left.is_empty() {
            return Duration::ZERO;
        }
        let checks: Duration = left.into_iter().map(|check| self.expected(check)).sum();
        checks + part.build_time()
    }

    /// Where a part stands on this version; if nothing of it has run there, on the version where something ran last.
    pub fn standing(&self, part: &Part) -> Standing {
        let checks: Vec<String> = checks_here(part).iter().map(|(check, _)| check.name()).collect();
        let last = || {
            let all = checks.iter().filter_map(|check| self.record.last(check));
            all.max_by_key(|outcome| outcome.ended())
                .map(|outcome| &outcome.version)
        };
        let is_current = checks.iter().any(|check| self.current(check).is_some());
        let version = if is_current { Some(&self.version) } else { last() };
        let mut standing = Standing {
            version: version.map(Version::short),
            is_current,
            checks: checks.len(),
            ..Standing::default()
        };
        if let Some(version) = version {
            for (is_check, name) in checks
                .iter()
                .map(|check| (true, check))
                .chain([(false, &part.build())])
            {
                if let Some(outcome) = self.record.on(name, version) {
                    standing.add(name, outcome, is_check);
                }
            }
        }
        standing
    }
}

/// What is recorded of a part on one version of the sources.
#[derive(Default)]
pub(super) struct Standing {
    /// For people; none if nothing has ever run.
    pub version: Option<String>,
    /// It is that of the sources as they are.
    is_current: bool,
    checks: usize,
    checks_run: usize,
    checks_passed: usize,
    pub passed: usize,
    /// What failed, each with its check.
    pub failed: Vec<String>,
    pub ended: Option<SystemTime>,
    pub took: Duration,
}

impl Standing {
    fn add(&mut self, name: &str, outcome: &Outcome, is_check: bool) {
        self.checks_run += usize::from(is_check);
        self.checks_passed += usize::from(is_check && outcome.has_passed());
        self.passed += outcome.passed;
        let failed = outcome.failed.iter().map(|what| format!("{name}: {what}"));
        self.failed.extend(failed);
        self.ended = self.ended.max(Some(outcome.ended()));
        self.took += outcome.took();
    }

    fn has_passed(&self) -> bool {
        self.checks_run > 0 && self.checks_passed == self.checks
    }

    pub fn is_too_long(&self) -> bool {
        self.took > Duration::from_secs(MINUTES_MAX * 60)
    }

    /// In words.
    pub fn result(&self) -> String {
        let Some(_) = self.version else {
            return "never ran".to_owned();
        };
        let mut text = if self.has_passed() {
            "passed".to_owned()
        } else if !self.failed.is_empty() {
            "failed".to_owned()
        } else {
            format!("{} of {} checks", self.checks_passed, self.checks)
        };
        if !self.is_current {
            text += ", stale";
        }
        if self.is_too_long() {
            text += ", too long";
        }
        text
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::parts;
    use super::super::record::tests::{record_in, version, Folder};
    use super::super::record::NO_COMMIT;
    use super::*;

    /// Two suites, of eleven minutes each as long as nothing is known of them.
    const PART: &str = "zoned-large";
    pub const CHECKS: [&str; 2] = ["6.12-zn540-long", "6.1-zn540-long"];

    fn part() -> &'static Part {
        parts::selected(PART).unwrap()[0]
    }

    pub fn log(folder: &Folder, version: &Version) -> Log {
        Log {
            record: record_in(folder),
            version: version.clone(),
        }
    }

    /// Records what `check` found on the log's version.
    pub fn record(log: &mut Log, check: &str, took_minutes: u64, failed: &[&str]) {
        let failed = failed.iter().map(|&what| what.to_owned()).collect();
        let took = Duration::from_secs(took_minutes * 60);
        let outcome = Outcome::new(log.version.clone(), took, 7, failed);
        log.record.add(check, outcome).unwrap();
    }

    fn left(log: &Log) -> Vec<String> {
        log.left(part()).iter().map(|(check, _)| check.name()).collect()
    }

    #[test]
    fn a_part_continues_with_the_checks_that_have_not_passed() {
        let folder = Folder::new("long-continues");
        let mut log = log(&folder, &version("a", None));
        assert_eq!(left(&log), CHECKS);
        assert_eq!(log.standing(part()).result(), "never ran");
        assert_eq!(minutes(log.time_left(part())), 25);
        record(&mut log, &part().build(), 2, &[]);
        record(&mut log, CHECKS[0], 9, &[]);
        assert_eq!(left(&log), CHECKS[1..]);
        assert_eq!(log.standing(part()).result(), "1 of 2 checks");
        record(&mut log, CHECKS[1], 8, &["a zone is full"]);
        assert_eq!(left(&log), CHECKS[1..]);
        let standing = log.standing(part());
        assert_eq!(standing.result(), "failed");
        assert_eq!((standing.passed, minutes(standing.took)), (21, 19));
        assert_eq!(standing.failed, ["6.1-zn540-long: a zone is full"]);
        // One that failed says nothing of how long it takes.
        assert_eq!(minutes(log.time_left(part())), 14);
        record(&mut log, CHECKS[1], 8, &[]);
        assert!(log.has_passed(part()));
        assert_eq!(log.standing(part()).result(), "passed");
        assert_eq!(log.time_left(part()), Duration::ZERO);
    }

    #[test]
    fn what_passed_on_another_version_is_stale_and_runs_again() {
        let folder = Folder::new("long-stale");
        let mut old = log(&folder, &version("0123456789abcdef", None));
        for check in CHECKS {
            record(&mut old, check, 5, &[]);
        }
        let dirty = version("0123456789abcdef", Some("1"));
        for new in [version("b", None), dirty.clone()] {
            let log = log(&folder, &new);
            assert_eq!(left(&log), CHECKS);
            assert_eq!(log.standing(part()).result(), "passed, stale");
            assert_eq!(log.standing(part()).version.as_deref(), Some("012345678"));
            assert_eq!(minutes(log.time_left(part())), 13);
        }
        let mut new = log(&folder, &dirty);
        record(&mut new, CHECKS[1], 5, &[]);
        assert_eq!(new.standing(part()).result(), "1 of 2 checks");
        assert_eq!(new.standing(part()).version.as_deref(), Some("012345678+changes"));
        // What was there stays.
        let old = log(&folder, &version("0123456789abcdef", None));
        assert_eq!(old.standing(part()).result(), "passed");
    }

    #[test]
    fn a_part_of_more_than_half_an_hour_is_too_long() {
        let folder = Folder::new("long-too-long");
        let mut log = log(&folder, &version("a", None));
        record(&mut log, CHECKS[0], 15, &[]);
        record(&mut log, CHECKS[1], 15, &[]);
        assert_eq!(log.standing(part()).result(), "passed");
        record(&mut log, &part().build(), 1, &[]);
        assert_eq!(log.standing(part()).result(), "passed, too long");
    }

    #[test]
    fn without_a_commit_nothing_counts_for_the_next_run() {
        let folder = Folder::new("long-no-commit");
        let mut log = log(&folder, &version(NO_COMMIT, None));
        for check in CHECKS {
            record(&mut log, check, 5, &[]);
        }
        assert_eq!(left(&log), CHECKS);
        assert_eq!(log.standing(part()).result(), "passed, stale");
    }
}
