//! What the long checks found, and on which commit: a file that the runs of `make test-long` share.
//!
//! It lies in the cache folder and not in the checkout: a result belongs to a commit and a machine. So it outlasts `make clean`, and another clone or
//! worktree of the same commit continues where this one stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths::{self, root, Lock};

/// Results that are kept of a check, one for each version of the sources.
const RESULTS_MAX: usize = 16;
/// Written where there is no commit.
pub(super) const NO_COMMIT: &str = "no commit";
/// Written instead of a hash.
const CHANGED_MEANWHILE: &str = "changed while it ran";

/// A state of the sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    commit: String,
    /// A hash of what is not committed, if there is anything.
    changes: Option<String>,
}

impl Version {
    /// That of the checkout.
    pub fn current() -> Self {
        Self::of(&root()).unwrap_or_else(|error| {
            eprintln!("git cannot tell which version of the sources this is: {error:#}");
            Self {
                commit: NO_COMMIT.to_owned(),
                changes: None,
            }
        })
    }

    fn of(folder: &Path) -> Result<Self> {
        // Else git would take the repository of a folder above.
        ensure!(
            folder.join(".git").exists(),
            "{} is no checkout",
            folder.display()
        );
        let commit = text(git(folder, &["rev-parse", "HEAD"], b"")?);
        // Ignored files do not count.
        let new = git(folder, &["ls-files", "--others", "--exclude-standard", "-z"], b"")?;
        let mut changes = git(
            folder,
            &["diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv"],
            b"",
        )?;
        for name in new.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = std::str::from_utf8(name).context("a new file's name is not UTF-8")?;
            changes.extend(format!("{name} ").bytes());
            changes.extend(git(folder, &["hash-object", "--no-filters", "--", name], b"")?);
        }
        let changes = if changes.is_empty() {
            None
        } else {
            Some(text(git(folder, &["hash-object", "--stdin"], &changes)?))
        };
        Ok(Self { commit, changes })
    }

    /// This one if it is still that of the sources, else one that equals none of a checkout.
    pub fn if_still(self, now: &Self) -> Self {
        if self == *now {
            return self;
        }
        Self {
            changes: Some(CHANGED_MEANWHILE.to_owned()),
            ..self
        }
    }

    /// Whether git could tell. What is not known may be anything else the next time.
    pub fn is_known(&self) -> bool {
        self.commit != NO_COMMIT
    }

    /// For people: the commit, and a mark if the tree was dirty.
    pub fn short(&self) -> String {
        let commit = if self.commit == NO_COMMIT {
            "unknown"
        } else {
            self.commit.get(..9).unwrap_or(&self.commit)
        };
        let mark = if self.changes.is_some() { "+changes" } else { "" };
        format!("{commit}{mark}")
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("git");
    // A hook has them set, for its own repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    let mut child = command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start git")?;
    // Git prints nothing before it has read everything.
    child.stdin.take().context("git has no input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        text(output.stderr)
    );
    Ok(output.stdout)
}

/// What a check found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub version: Version,
    /// When it ended, seconds since 1970.
    ended_s: u64,
    took_ms: u64,
    pub passed: usize,
    pub failed: Vec<String>,
}

impl Outcome {
    /// One that ends now.
    pub fn new(version: Version, took: Duration, passed: usize, failed: Vec<String>) -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            version,
            ended_s: since_1970.unwrap_or_default().as_secs(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            passed,
            failed,
        }
    }

    /// Something was checked, and nothing was wrong.
    pub fn has_passed(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }

    pub fn took(&self) -> Duration {
        Duration::from_millis(self.took_ms)
    }

    pub fn ended(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.ended_s)
    }
}

/// All outcomes, by check, the newest last.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Outcomes(BTreeMap<String, Vec<Outcome>>);

/// The file.
pub struct Record {
    path: PathBuf,
    outcomes: Outcomes,
}

impl Record {
    /// That in the cache folder.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn open() -> Result<Self> {
        Self::at(paths::cache()?.join("test-long.json"))
    }

    fn at(path: PathBuf) -> Result<Self> {
        let mut record = Self {
            path,
            outcomes: Outcomes::default(),
        };
        record.read()?;
        Ok(record)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&mut self) -> Result<()> {
        if self.path.exists() {
            let path = self.path.display();
            let text = fs::read(&self.path).with_context(|| format!("cannot read {path}"))?;
            self.outcomes = serde_json::from_slice(&text).with_context(|| {
                format!("{path} is not a record of test-long; move it away to begin a new one")
            })?;
        }
        Ok(())
    }

    /// Adds what `check` found, in the file at once. An earlier outcome of the same version goes.
    ///
    /// # Errors
    /// If the file cannot be written; it is what it was, then.
    pub fn add(&mut self, check: &str, outcome: Outcome) -> Result<()> {
        let _lock = Lock::take(
            &self.path.with_extension("lock"),
            "another run to write its results",
        )?;
        // What others have added meanwhile.
        self.read()?;
        let outcomes = self.outcomes.0.entry(check.to_owned()).or_default();
        outcomes.retain(|earlier| earlier.version != outcome.version);
        outcomes.push(outcome);
        let surplus = outcomes.len().saturating_sub(RESULTS_MAX);
        outcomes.drain(..surplus);
        // Whoever reads, or interrupts, finds the old file or the new one.
        let new = self.path.with_extension("new");
        let path = new.display();
        let mut file = File::create(&new).with_context(|| format!("cannot write {path}"))?;
        serde_json::to_writer_pretty(&mut file, &self.outcomes)?;
        file.sync_all().with_context(|| format!("cannot write {path}"))?;
        fs::rename(&new, &self.path).with_context(|| format!("cannot rename {path}"))
    }

    /// What `check` found the last time on `version`.
    pub fn on(&self, check: &str, version: &Version) -> Option<&Outcome> {
        let outcomes = self.outcomes.0.get(check)?;
        outcomes.iter().rev().find(|outcome| outcome.version == *version)
    }

    /// What it found the last time, on whatever version.
    pub fn last(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.0.get(check)?.last()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder that is gone when dropped.
    pub struct Folder(PathBuf);

    impl Folder {
        pub fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nvmev-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    pub fn record_in(folder: &Folder) -> Record {
        Record::at(folder.0.join("test-long.json")).unwrap()
    }

    pub fn version(commit: &str, changes: Option<&str>) -> Version {
        Version {
            commit: commit.to_owned(),
            changes: changes.map(str::to_owned),
        }
    }

    fn passed(version: &Version) -> Outcome {
        Outcome::new(version.clone(), Duration::from_secs(90), 3, Vec::new())
    }

    #[test]
    fn each_result_is_in_the_file_at_once_and_belongs_to_its_version() {
        let folder = Folder::new("record");
        let path = folder.0.join("test-long.json");
        let (old, new) = (version("a", None), version("b", None));
        let mut record = Record::at(path.clone()).unwrap();
        // Another run with the same file, which began before anything was written.
        let mut other = Record::at(path.clone()).unwrap();
        record.add("one", passed(&old)).unwrap();
        other.add("two", passed(&old)).unwrap();
        let failed = Outcome::new(new.clone(), Duration::from_secs(1), 2, vec!["it".to_owned()]);
        record.add("one", failed).unwrap();
        let read = Record::at(path.clone()).unwrap();
        assert!(read.on("one", &old).unwrap().has_passed());
        assert_eq!(read.on("one", &old).unwrap().took(), Duration::from_secs(90));
        assert!(read.on("two", &old).unwrap().has_passed());
        assert!(!read.on("one", &new).unwrap().has_passed());
        assert!(read.on("two", &new).is_none());
        assert_eq!(read.last("one").unwrap().failed, ["it"]);
        assert!(!path.with_extension("new").exists());
        // A second time on the same version.
        record.add("one", passed(&new)).unwrap();
        assert!(record.on("one", &new).unwrap().has_passed());
        assert_eq!(record.outcomes.0["one"].len(), 2);
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_taken_for_an_empty_record() {
        let folder = Folder::new("record-cut");
        let path = folder.0.join("test-long.json");
        Record::at(path.clone())
            .unwrap()
            .add("one", passed(&version("a", None)))
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        let error = Record::at(path.clone()).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("test-long.json"), "{error:#}");
    }

    #[test]
    fn old_results_go_when_there_are_too_many() {
        let folder = Folder::new("record-many");
        let mut record = Record::at(folder.0.join("test-long.json")).unwrap();
        for commit in 0..=RESULTS_MAX {
            record
                .add("one", passed(&version(&commit.to_string(), None)))
                .unwrap();
        }
        assert!(record.on("one", &version("0", None)).is_none());
        assert!(record.on("one", &version("1", None)).is_some());
        assert!(record
            .on("one", &version(&RESULTS_MAX.to_string(), None))
            .is_some());
    }

    #[test]
    fn a_check_that_counts_nothing_has_not_passed() {
        let nothing = Outcome::new(version("a", None), Duration::ZERO, 0, Vec::new());
        assert!(!nothing.has_passed());
    }

    #[test]
    fn a_result_of_sources_that_changed_meanwhile_is_none_of_a_checkout() {
        let (clean, dirty) = (version("a", None), version("a", Some("1")));
        assert_eq!(clean.clone().if_still(&clean), clean);
        let changed = clean.clone().if_still(&dirty);
        assert!(changed != clean && changed != dirty && changed.commit == "a");
        assert!(clean.is_known() && dirty.is_known() && !version(NO_COMMIT, None).is_known());
    }

    #[test]
    fn a_dirty_tree_is_told_apart_by_what_is_changed_in_it() {
        let folder = Folder::new("version");
        let run = |arguments: &[&str]| {
            let name = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            git(&folder.0, &[&name[..], arguments].concat(), b"").unwrap();
        };
        assert!(Version::of(&folder.0).is_err());
        run(&["init", "--quiet"]);
        fs::write(folder.0.join("file"), "one").unwrap();
        fs::write(folder.0.join(".gitignore"), "target\n").unwrap();
        run(&["add", "--all"]);
        run(&["commit", "--quiet", "--message=one"]);
        let clean = Version::of(&folder.0).unwrap();
        assert_eq!(clean.changes, None);
        assert_eq!(clean.commit.len(), 40);
        fs::write(folder.0.join("target"), "built").unwrap();
        assert_eq!(Version::of(&folder.0).unwrap(), clean);
        let mut seen = vec![clean.clone()];
        for (name, content) in [("file", "two"), ("file", "three"), ("new", "one"), ("new", "two")] {
            fs::write(folder.0.join(name), content).unwrap();
            let dirty = Version::of(&folder.0).unwrap();
            assert!(!seen.contains(&dirty), "{name} {content}");
            assert_eq!(dirty, Version::of(&folder.0).unwrap());
            assert!(dirty.short().ends_with("+changes"));
            seen.push(dirty);
        }
        // Staged or not is the same.
        run(&["add", "file"]);
        assert_eq!(Version::of(&folder.0).unwrap(), seen[4]);
        run(&["add", "--all"]);
        run(&["commit", "--quiet", "--message=two"]);
        let next = Version::of(&folder.0).unwrap();
        assert!(next.changes.is_none() && next.commit != clean.commit);
    }
}
