//! A private view of the distribution's package archive: the suites that this machine uses and the others of the same distribution, with
//! their lists in the cache. Nothing of the machine changes, and nothing here needs root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{ensure, Context, Result};

use crate::paths::{self, Lock};
use crate::process::{loud, quiet, step};

/// Debian's suites that may have kernels, older ones first. Those that the machine uses are taken from its own sources.
const DEBIAN_SUITES: [&str; 5] = ["bookworm", "trixie", "trixie-backports", "forky", "sid"];
/// Lists that are older are fetched again, if they can be.
const LISTS_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// After that lists of which some could not be fetched are fetched again: a mirror may lack a suite for
/// long, and asking it each time costs seconds.
const PARTIAL_LISTS_AGE_MAX: Duration = Duration::from_secs(3600);
/// What the stamp of such a fetch says.
const PARTIAL: &str = "partial";
/// The keys that distributions sign their archives with.
const KEYRINGS: [&str; 3] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
];

/// The archive, through lists of its own.
pub struct Archive {
    folder: PathBuf,
    /// Suites as the machine's sources name them.
    own: Vec<String>,
    /// All suites, the machine's first.
    suites: Vec<String>,
}

/// A version of a package, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As dpkg writes it.
    pub version: String,
    /// Its suite.
    pub suite: String,
}

/// One line of the machine's sources, as apt understands it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    uri: String,
    suite: String,
    component: String,
}

impl Archive {
    /// Opens the archive, with lists that are not too old.
    ///
    /// # Errors
    /// If the machine has no source of its distribution's packages, or there are no lists and none can be fetched.
    pub fn open() -> Result<Self> {
        let folder = paths::cache()?.join("apt");
        for name in ["lists/partial", "archives/partial", "state", "no-parts"] {
            fs::create_dir_all(folder.join(name))
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let text = folder.to_str().context("the cache folder's path is not UTF-8")?;
        ensure!(
            !text.contains(['"', '\\', '\n']),
            "apt cannot work in {text}: choose another cache folder with XDG_CACHE_HOME"
        );
        let _lock = Lock::take(&folder.join("lock"), "another look at the package archive")?;
        // A status that is newer than apt's own cache would have that made again at each call.
        for (name, content) in [("apt.conf", configuration(text)), ("state/status", String::new())] {
            let path = folder.join(name);
            if fs::read_to_string(&path).ok().as_ref() != Some(&content) {
                fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }

        let codename = os_release("VERSION_CODENAME").unwrap_or_default();
        let entries = own_entries(&codename)?;
        let mut own: Vec<String> = entries.iter().map(|entry| entry.suite.clone()).collect();
        own.dedup();
        let others = if os_release("ID").as_deref() == Some("debian") {
            &DEBIAN_SUITES[..]
        } else {
            &[]
        };
        let sources = sources(&entries, others, keyring());
        let suites = own
            .iter()
            .cloned()
            .chain(others.iter().map(|&suite| suite.to_owned()))
            .fold(Vec::new(), |mut suites, suite| {
                if !suites.contains(&suite) {
                    suites.push(suite);
                }
                suites
            });
        let archive = Self { folder, own, suites };
        archive.update(&sources)?;
        Ok(archive)
    }

    /// Fetches the lists if there are none, or if they are too old or of other sources.
    fn update(&self, sources: &str) -> Result<()> {
        let (path, stamp) = (self.folder.join("sources.list"), self.folder.join("updated"));
        let is_same = fs::read_to_string(&path).is_ok_and(|old| old == sources);
        let age = fs::metadata(&stamp)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        let is_partial = fs::read_to_string(&stamp).is_ok_and(|said| said == PARTIAL);
        if is_same && age.is_some_and(|age| are_fresh(age, is_partial)) {
            return Ok(());
        }
        fs::write(&path, sources)?;
        let fetched = step("fetching the lists of the distribution's suites", || {
            // A suite that the mirror lacks fails it, and the others are there all the same.
            let output = self
                .command("apt-get")
                .args(["-q", "update"])
                .output()
                .context("cannot start apt-get")?;
            Ok((
                output.status.success(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ))
        })?;
        let has_lists = fs::read_dir(self.folder.join("lists"))?
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
        ensure!(
            has_lists,
            "no lists of packages could be fetched (is there a network?):\n{}",
            fetched.1
        );
        fs::write(&stamp, if fetched.0 { "" } else { PARTIAL })?;
        if !fetched.0 {
            eprintln!(
                "Some lists could not be fetched; what is there is used:\n{}",
                fetched.1.trim_end()
            );
        }
        Ok(())
    }

    /// Whether the machine itself uses `suite`, so that what comes from there fits its programs.
    pub fn is_own(&self, suite: &str) -> bool {
        self.own.iter().any(|own| own == suite)
    }

    /// The place of `suite` in the order in which they are preferred.
    fn rank(&self, suite: &str) -> usize {
        self.suites
            .iter()
            .position(|known| known == suite)
            .unwrap_or(self.suites.len())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(self.folder.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }

    /// The packages whose name matches a regular expression, with their versions, each from the suite that is preferred.
    ///
    /// # Errors
    /// If apt-cache fails.
    pub fn find(&self, pattern: &str) -> Result<BTreeMap<String, Version>> {
        let listing = quiet(
            self.command("apt-cache")
                .args(["search", "--names-only", pattern]),
        )?;
        let names: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let table = quiet(self.command("apt-cache").arg("madison").args(names))?;
        let mut found: BTreeMap<String, Version> = BTreeMap::new();
        for (name, version) in table.lines().filter_map(madison_line) {
            match found.get(&name) {
                Some(known) if self.rank(&known.suite) <= self.rank(&version.suite) => {}
                _ => {
                    found.insert(name, version);
                }
            }
        }
        Ok(found)
    }

    /// What `package` depends on; of alternatives the first one. Virtual packages are left out.
    ///
    /// # Errors
    /// If apt-cache fails.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let listing = quiet(self.command("apt-cache").args(["depends", package]))?;
        Ok(first_alternatives(&listing))
    }

    /// Fetches exactly `packages` and unpacks them into `folder`.
    ///
    /// # Errors
    /// If they cannot be fetched or unpacked.
    pub fn unpack(&self, packages: &[String], folder: &Path) -> Result<()> {
        let debs = folder.join("debs");
        fs::create_dir_all(&debs)?;
        let result = step(
            &format!("fetching {} (not installing)", packages.join(" ")),
            || {
                quiet(
                    self.command("apt-get")
                        .args(["-q", "download"])
                        .args(packages)
                        .current_dir(&debs),
                )
            },
        )
        .and_then(|_| unpack_all(&debs, folder));
        fs::remove_dir_all(&debs).with_context(|| format!("cannot remove {}", debs.display()))?;
        result
    }

    /// Fetches `packages` and all that they depend on, as `suite` has them, and unpacks them into `folder`.
    ///
    /// # Errors
    /// If they cannot be fetched or unpacked.
    pub fn unpack_with_dependencies(&self, packages: &[String], suite: &str, folder: &Path) -> Result<()> {
        let _lock = Lock::take(&self.folder.join("archives-lock"), "another fetch of packages")?;
        let debs = self.folder.join("archives");
        step(
            &format!("fetching {} of {suite} (not installing)", packages.join(" ")),
            || {
                quiet(
                    self.command("apt-get")
                        .args(["-q", "-y", "--download-only", "--no-install-recommends"])
                        .args(["--target-release", suite, "install"])
                        .args(packages),
                )
            },
        )?;
        unpack_all(&debs, folder)
    }
}

/// Unpacks the packages in `debs` into `folder` and removes them.
fn unpack_all(debs: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(debs)? {
        let deb = entry?.path();
        if deb.extension().is_some_and(|extension| extension == "deb") {
            loud(Command::new("dpkg").arg("-x").arg(&deb).arg(folder))?;
            fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
        }
    }
    Ok(())
}

/// apt's configuration for the private view. Proxies and the like stay the machine's.
fn configuration(folder: &str) -> String {
    let hooks = [
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
        "DPkg::Post-Invoke",
        "DPkg::Pre-Install-Pkgs",
    ];
    let mut text: String = hooks.map(|hook| format!("#clear {hook};\n")).concat();
    for (option, value) in [
        ("Dir::State", "/state"),
        ("Dir::State::lists", "/lists"),
        // Nothing is installed, as far as this view knows.
        ("Dir::State::status", "/state/status"),
        ("Dir::Cache", ""),
        ("Dir::Cache::archives", "/archives"),
        // Images of containers have none, and without it apt reads all lists each time.
        ("Dir::Cache::pkgcache", "/pkgcache.bin"),
        ("Dir::Cache::srcpkgcache", "/srcpkgcache.bin"),
        ("Dir::Etc::sourcelist", "/sources.list"),
        ("Dir::Etc::sourceparts", "/no-parts"),
        ("Dir::Etc::preferences", "/no-preferences"),
        ("Dir::Etc::preferencesparts", "/no-parts"),
    ] {
        text += &format!("{option} \"{folder}{value}\";\n");
    }
    text + "Acquire::Languages \"none\";\n\
        Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
        Acquire::IndexTargets::deb::CNF::DefaultEnabled \"false\";\n\
        APT::Sandbox::User \"root\";\n\
        APT::Keep-Downloaded-Packages \"true\";\n"
}

/// A field of /etc/os-release.
fn os_release(name: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches('"').to_owned())
}

fn keyring() -> Option<&'static str> {
    let is_own = |path: &&str| path.contains(os_release("ID").unwrap_or_default().as_str());
    KEYRINGS
        .into_iter()
        .filter(is_own)
        .find(|path| Path::new(path).is_file())
}

/// The machine's sources of its distribution.
fn own_entries(codename: &str) -> Result<Vec<Entry>> {
    let listing = quiet(
        Command::new("apt-get")
            .args([
                "indextargets",
                // Images of containers come without lists, and the sources are known without them.
                "--no-release-info",
                "--format",
                "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
                "Created-By: Packages",
            ])
            .env("LC_ALL", "C"),
    )?;
    let mut entries: Vec<Entry> = listing.lines().filter_map(entry).collect();
    entries.retain(|entry| is_distributions(entry, codename));
    // The suite itself before its updates, which have later versions of the same.
    entries.sort_by_key(|entry| (entry.suite.len(), entry.clone()));
    entries.dedup();
    ensure!(
        !entries.is_empty(),
        "apt's sources on this machine name no suite of its distribution ({})",
        if codename.is_empty() {
            "no VERSION_CODENAME in /etc/os-release"
        } else {
            codename
        }
    );
    Ok(entries)
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split('|').map(str::to_owned);
    Some(Entry {
        uri: fields.next()?,
        suite: fields.next()?,
        component: fields.next()?,
    })
}

/// Whether a source is of the distribution and not of somebody who packages for it.
fn is_distributions(entry: &Entry, codename: &str) -> bool {
    let suite = entry
        .suite
        .strip_suffix("-updates")
        .or_else(|| entry.suite.strip_suffix("-security"))
        .or_else(|| entry.suite.strip_suffix("-backports"))
        .unwrap_or(&entry.suite);
    let is_alias = ["stable", "oldstable", "testing", "unstable", "sid"].contains(&suite);
    let path = entry.uri.trim_end_matches('/');
    let is_archive = ["/debian", "/debian-security", "/ubuntu", "/ubuntu-ports"]
        .iter()
        .any(|end| path.ends_with(end));
    is_archive
        && (suite == codename || is_alias)
        && ["main", "restricted"].contains(&entry.component.as_str())
}

/// The private sources: the machine's, and the other suites from where its own suite comes from.
fn sources(own: &[Entry], others: &[&str], keyring: Option<&str>) -> String {
    let options = keyring.map_or(String::new(), |path| format!("[signed-by={path}] "));
    let mut text = String::new();
    let mut add = |uri: &str, suite: &str, component: &str| {
        text += &format!("deb {options}{uri} {suite} {component}\n");
    };
    for entry in own {
        add(&entry.uri, &entry.suite, &entry.component);
    }
    let Some(base) = own.first() else { return text };
    for suite in others {
        if own.iter().all(|entry| entry.suite != *suite) {
            add(&base.uri, suite, &base.component);
        }
    }
    text
}

/// ` linux-headers-x | 7.3.4-1 | http://host/debian sid/main amd64 Packages`
fn madison_line(line: &str) -> Option<(String, Version)> {
    let mut fields = line.split('|').map(str::trim);
    let (name, version, place) = (fields.next()?, fields.next()?, fields.next()?);
    let mut words = place.split_whitespace();
    let suite = words.nth(1)?.split('/').next()?;
    words.last().filter(|&kind| kind == "Packages")?;
    Some((
        name.to_owned(),
        Version {
            version: version.to_owned(),
            suite: suite.to_owned(),
        },
    ))
}

fn first_alternatives(listing: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut follows = false;
    for line in listing.lines() {
        let Some(name) = line.trim_start_matches([' ', '|']).strip_prefix("Depends: ") else {
            continue;
        };
        if !follows && !name.starts_with('<') {
            names.push(name.to_owned());
        }
        follows = line.trim_start().starts_with('|');
    }
    names
}

/// Whether lists that were fetched so long ago are to be used as they are.
fn are_fresh(age: Duration, is_partial: bool) -> bool {
    age < match is_partial {
        true => PARTIAL_LISTS_AGE_MAX,
        false => LISTS_AGE_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, suite: &str, component: &str) -> Entry {
        Entry {
            uri: uri.to_owned(),
            suite: suite.to_owned(),
            component: component.to_owned(),
        }
    }

    #[test]
    fn other_peoples_sources_are_left_out() {
        assert!(is_distributions(
            &of("http://mirror/debian/", "trixie", "main"),
            "trixie"
        ));
        assert!(is_distributions(
            &of("http://mirror/debian-security/", "trixie-security", "main"),
            "trixie"
        ));
        assert!(is_distributions(
            &of("http://mirror/debian/", "sid", "main"),
            "forky"
        ));
        for other in [
            of("http://mirror/linux/debian/", "trixie", "stable"),
            of("http://mirror/prod/", "trixie", "main"),
            of("http://mirror/debian/", "trixie-pgdg", "main"),
            of("http://mirror/debian/", "bookworm", "main"),
        ] {
            assert!(!is_distributions(&other, "trixie"), "{other:?}");
        }
    }

    #[test]
    fn other_suites_come_from_where_the_machine_s_own_comes_from() {
        let own = [
            of("http://mirror/debian/", "trixie", "main"),
            of("http://other/debian-security/", "trixie-security", "main"),
        ];
        assert_eq!(
            sources(&own, &["trixie", "sid"], Some("/keys")),
            "deb [signed-by=/keys] http://mirror/debian/ trixie main\n\
             deb [signed-by=/keys] http://other/debian-security/ trixie-security main\n\
             deb [signed-by=/keys] http://mirror/debian/ sid main\n"
        );
    }

    #[test]
    fn apt_s_tables_are_read() {
        let line = " linux-headers-7.3.4+deb13-amd64 | 7.3.4-1~bpo13+1 | http://mirror/debian trixie-backports/main amd64 Packages";
        let (name, version) = madison_line(line).unwrap();
        assert_eq!(name, "linux-headers-7.3.4+deb13-amd64");
        assert_eq!(version.version, "7.3.4-1~bpo13+1");
        assert_eq!(version.suite, "trixie-backports");
        assert_eq!(madison_line(&line.replace("Packages", "Sources")), None);
    }

    #[test]
    fn of_alternatives_the_first_counts_and_virtual_packages_do_not() {
        let listing = "kbuild\n  Depends: libc6\n |Depends: pahole\n  Depends: dwarves\n  Depends: <awk>\n    mawk\n  Depends: zlib1g\n";
        assert_eq!(first_alternatives(listing), ["libc6", "pahole", "zlib1g"]);
    }

    #[test]
    fn lists_that_are_not_all_there_are_asked_for_again_sooner() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(are_fresh(minutes(59), true) && !are_fresh(minutes(61), true));
        assert!(are_fresh(minutes(61), false) && !are_fresh(LISTS_AGE_MAX, false));
    }
}
