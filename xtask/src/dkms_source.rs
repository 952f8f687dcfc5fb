//! `make dkms-source`: a source tree from which DKMS builds the module without a network. It has the module, the crates that
//! it consists of, what builds it, and everything that these need from the registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::packages::{self, Purpose};
use crate::paths::root;
use crate::process::{quiet, step};

/// The version of the workspace, which its packages have.
const WORKSPACE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is in the tree. The crates are those that the module and its builder depend on.
const FOLDERS: [&str; 9] = [
    "LICENSES",
    "kmod",
    "profiles",
    "crates/kmod-build",
    "crates/module-params",
    "crates/nvme-device",
    "crates/nvme-spec",
    "crates/ssd-model",
    "crates/ssd-profile",
];
const FILES: [&str; 3] = ["LICENSE", "Cargo.toml", "Cargo.lock"];
/// The workspaces in it, each with its lock file, and the target that it is built for.
const WORKSPACES: [(&str, &str); 2] = [
    ("Cargo.toml", "x86_64-unknown-linux-gnu"),
    ("kmod/Cargo.toml", "x86_64-unknown-none"),
];
/// Parts of our manifests that only tests need; they would bring dependencies of their own.
const SECTIONS_FOR_TESTS: [&str; 4] = [
    "[dev-dependencies]",
    "[[bench]]",
    "[[test]]",
    "[target.'cfg(loom)'.dependencies]",
];
/// What no build of a dependency reads. (Documentation and examples are part of some crates' rustdoc, which the compiler reads.)
const NOT_FOR_BUILDING: [&str; 7] = [
    "tests",
    "benches",
    "ci",
    "testdata",
    "Cargo.lock",
    "Cargo.toml.orig",
    "rust-toolchain.toml",
];
/// Cargo takes the vendored crates and nothing else. kmod/dkms-build puts those of Rust's library into the same folder.
const CARGO_CONFIG: &str = "\
[source.crates-io]
replace-with = \"vendored\"

[source.vendored]
directory = \"target/vendor\"

[net]
offline = true
";

/// Makes the tree in `target/dkms` and says what to do with it.
///
/// # Errors
/// As [`stage`].
pub fn run(version: &str) -> Result<()> {
    packages::provide(&[Purpose::Module])?;
    let version = checked_version(version)?;
    let folder = root().join("target/dkms").join(format!("nvmev-{version}"));
    step("collecting the sources", || stage(&folder, version))?;
    println!("{}", folder.display());
    println!(
        "sudo dkms add {}; sudo dkms install nvmev/{version}",
        folder.display()
    );
    Ok(())
}

/// The version to build: `wanted`, or (empty) the workspace's.
///
/// # Errors
/// If Cargo and dpkg would not both understand it.
pub fn checked_version(wanted: &str) -> Result<&str> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Ok(WORKSPACE_VERSION);
    }
    let (numbers, build) = wanted.split_once('+').unwrap_or((wanted, "0"));
    let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ensure!(
        numbers.split('.').count() == 3 && numbers.split('.').all(is_number) && build.split('.').all(is_word),
        "VERSION={wanted} is not a version such as 0.1.1 or 0.1.0+7.g0123abc"
    );
    Ok(wanted)
}

/// Makes the source tree of the module's `version` in `folder`.
///
/// # Errors
/// If a file cannot be copied, or a dependency cannot be had from the registry.
pub fn stage(folder: &Path, version: &str) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    for name in FOLDERS {
        copy_folder(&root().join(name), &folder.join(name), &|name| {
            !["target", "benches", "tests"].contains(&name)
        })?;
    }
    for name in FILES {
        copy(&root().join(name), &folder.join(name))?;
    }
    fs::rename(folder.join("kmod/dkms.conf"), folder.join("dkms.conf"))?;
    edit(&folder.join("dkms.conf"), |text| {
        replace(
            &text,
            &format!("\"{WORKSPACE_VERSION}\""),
            &format!("\"{version}\""),
        )
    })?;
    edit(&folder.join("Cargo.toml"), |text| {
        let text = replace(&text, "\"crates/*\", \"xtask\"", "\"crates/*\"")?;
        let line = |version| format!("version = \"{version}\"\nedition");
        replace(&text, &line(WORKSPACE_VERSION), &line(version))
    })?;
    for name in FOLDERS {
        let manifest = folder.join(name).join("Cargo.toml");
        if manifest.is_file() {
            edit(&manifest, |text| Ok(without_sections(&text)))?;
        }
    }
    vendor(folder)
}

/// Puts everything that is needed from the registry into the tree, in the versions of the lock files.
fn vendor(folder: &Path) -> Result<()> {
    let cargo = || {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(folder);
        command
    };
    let vendored = folder.join("vendor");
    // The lock files lose what only the rest of the project needs, and keep the versions of what stays.
    for (manifest, _) in WORKSPACES {
        quiet(cargo().args(["metadata", "--format-version=1", "--manifest-path", manifest]))?;
    }
    let mut command = cargo();
    command.args(["vendor", "--locked", "--versioned-dirs"]);
    for (manifest, _) in WORKSPACES {
        command.args(["--sync", manifest]);
    }
    quiet(command.arg(&vendored))?;
    let mut used = BTreeSet::new();
    for (manifest, target) in WORKSPACES {
        let tree = quiet(cargo().args([
            "tree",
            "--locked",
            "--workspace",
            "--manifest-path",
            manifest,
            "--target",
            target,
            "--edges=normal,build",
            "--prefix=none",
            "--format={p}",
        ]))?;
        // `name v1.2.3`, with more behind it for some.
        used.extend(tree.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{}-{}", words.next()?, words.next()?.strip_prefix('v')?))
        }));
    }
    for entry in fs::read_dir(&vendored)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if used.contains(&*name) {
            reduce(&path)?;
        } else {
            hollow_out(&path)?;
        }
    }
    fs::create_dir_all(folder.join(".cargo"))?;
    write(&folder.join(".cargo/config.toml"), CARGO_CONFIG)
}

/// Removes what no build needs from a vendored crate.
fn reduce(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_hidden = name.starts_with('.') && name != CHECKSUMS;
        if is_hidden || NOT_FOR_BUILDING.contains(&name.as_str()) {
            remove(&entry.path())?;
        }
    }
    forget_checksums(folder)
}

/// Leaves a crate's name and manifest: cargo wants to see every crate of the lock file, but those for other systems are never compiled.
fn hollow_out(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != CHECKSUMS && name != "Cargo.toml" {
            remove(&entry.path())?;
        }
    }
    fs::create_dir_all(folder.join("src"))?;
    write(&folder.join("src/lib.rs"), "// Not for this system.\n")?;
    forget_checksums(folder)
}

const CHECKSUMS: &str = ".cargo-checksum.json";

#[derive(Deserialize)]
struct Checksums {
    /// Of the crate's archive, as the lock file has it.
    package: String,
}

/// Keeps the checksum of the whole crate, and none of single files, some of which are gone.
fn forget_checksums(folder: &Path) -> Result<()> {
    let path = folder.join(CHECKSUMS);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let checksums: Checksums =
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
    write(
        &path,
        &format!("{{\"files\":{{}},\"package\":\"{}\"}}\n", checksums.package),
    )
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// A manifest without what only tests need.
fn without_sections(text: &str) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in text.lines() {
        if line.starts_with('[') {
            keep = !SECTIONS_FOR_TESTS.contains(&line.trim_end());
        }
        if keep {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

/// Replaces the only `old` in `text`.
fn replace(text: &str, old: &str, new: &str) -> Result<String> {
    ensure!(
        text.matches(old).count() == 1,
        "a file that is to be packaged has not exactly one `{old}`"
    );
    Ok(text.replace(old, new))
}

fn edit(path: &Path, change: impl FnOnce(String) -> Result<String>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let changed = change(text).with_context(|| format!("{} cannot be changed", path.display()))?;
    write(path, &changed)
}

/// Writes `text` as the file `path`.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies the file `from` with its permissions, and makes the folder that `to` is in.
///
/// # Errors
/// If it cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
        .map(drop)
}

/// Copies a folder and what is in it, but for files and folders whose names `wanted` does not want.
///
/// # Errors
/// If something cannot be read or written, or is neither a file nor a folder.
pub fn copy_folder(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !wanted(&name) {
            continue;
        }
        if path.is_symlink() {
            bail!("{} is a link, and a package has none", path.display());
        } else if path.is_dir() {
            copy_folder(&path, &to.join(&*name), wanted)?;
        } else {
            copy(&path, &to.join(&*name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_for_cargo_and_for_dpkg() {
        assert_eq!(checked_version("").unwrap(), WORKSPACE_VERSION);
        for good in ["0.1.1", "10.0.20", "0.1.0+7.g0123abc"] {
            assert_eq!(checked_version(good).unwrap(), good);
        }
        for bad in [
            "1.0",
            "1.0.0.0",
            "v1.0.0",
            "1.0.01",
            "1.0.0-1",
            "1.0.0~rc1",
            "1.0.0+",
            "1.0.0+a..b",
            "1. 0.0",
        ] {
            assert!(checked_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn manifests_lose_what_only_tests_need() {
        let manifest =
            "[package]\nname = \"a\"\n\n[dev-dependencies]\n# b\nb = \"1\"\n\n[[bench]]\nname = \"c\"\n\n\
                        [dependencies]\nd = \"1\"\n";
        assert_eq!(
            without_sections(manifest),
            "[package]\nname = \"a\"\n\n[dependencies]\nd = \"1\"\n"
        );
    }

    #[test]
    fn the_tree_has_every_crate_of_ours_that_one_in_it_depends_on() {
        for folder in FOLDERS {
            let manifest = root().join(folder).join("Cargo.toml");
            let Ok(text) = fs::read_to_string(&manifest) else {
                continue;
            };
            for other in fs::read_dir(root().join("crates")).unwrap() {
                let name = other.unwrap().file_name().into_string().unwrap();
                let depends = without_sections(&text).lines().any(|line| {
                    line.starts_with(&format!("{name} =")) || line.starts_with(&format!("{name}.workspace"))
                });
                let is_there = FOLDERS.contains(&format!("crates/{name}").as_str());
                assert!(!depends || is_there, "{folder} needs {name}");
            }
        }
    }
}
