//! `make deb`: the Debian packages `nvmev` (the command) and `nvmev-dkms` (the module's source), built by debhelper from what is
//! collected here. What they are is in packaging/debian/.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::dkms_source::{self, copy, copy_folder, write};
use crate::packages::{self, Purpose};
use crate::paths::{program, root};
use crate::process::{loud, quiet, step};

/// Shells whose completions there are, and what these have to be called.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "nvmev"), ("zsh", "_nvmev"), ("fish", "nvmev.fish")];

/// Builds the packages in `target/deb` and checks them with lintian.
///
/// # Errors
/// If a step fails, or lintian finds something.
pub fn run(version: &str) -> Result<()> {
    let version = dkms_source::checked_version(version)?;
    packages::provide(&[Purpose::Package])?;
    build(version)?;
    step("checking the packages (lintian)", || {
        let mut lintian = Command::new("lintian");
        // As root it warns about being root.
        lintian
            .args(["--allow-root", "--fail-on", "error,warning"])
            .arg(folder().join(format!("nvmev_{version}_amd64.changes")));
        loud(&mut lintian)
    })?;
    for deb in debs(version) {
        println!("{}", deb.display());
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("target/deb")
}

/// Builds the packages of a version.
fn build(version: &str) -> Result<()> {
    let folder = folder();
    let tree = folder.join(format!("nvmev-{version}"));
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
    step("building the command, its manual and its completions", || {
        stage_command(&tree)
    })?;
    step("collecting the module's sources", || {
        dkms_source::stage(&tree.join("dkms"), version)
    })?;
    step("building the packages", || {
        stage_rules(&tree, version)?;
        let mut build = Command::new("dpkg-buildpackage");
        build
            .args(["--build=binary", "--no-sign"])
            .env("DEB_BUILD_OPTIONS", "noautodbgsym nocheck")
            .current_dir(&tree);
        quiet(&mut build).map(drop)
    })?;
    for deb in debs(version) {
        ensure!(deb.is_file(), "{} was not built", deb.display());
    }
    Ok(())
}

/// The packages of a version: the command's, then the module's.
fn debs(version: &str) -> [PathBuf; 2] {
    ["nvmev_{}_amd64.deb", "nvmev-dkms_{}_all.deb"].map(|name| folder().join(name.replace("{}", version)))
}

/// The command as users get it, with what it says about itself.
fn stage_command(tree: &Path) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    quiet(
        Command::new(cargo)
            .args(["build", "--release", "--locked", "--package", "nvmev"])
            .args(["--target-dir", "target"])
            .current_dir(root()),
    )?;
    let command = tree.join("command/nvmev");
    copy(&root().join("target/release/nvmev"), &command)?;
    let manual = tree.join("manual");
    fs::create_dir_all(&manual)?;
    quiet(Command::new(&command).arg("manual").arg(&manual))?;
    for (shell, file) in COMPLETIONS {
        let text = quiet(Command::new(&command).args(["completions", shell]))?;
        let folder = tree.join("completions").join(shell);
        fs::create_dir_all(&folder)?;
        write(&folder.join(file), &text)?;
    }
    copy(&root().join("README.md"), &tree.join("README.md"))?;
    copy(&root().join("CHANGELOG.md"), &tree.join("CHANGELOG.md"))?;
    copy_folder(&root().join("docs"), &tree.join("docs"), &|name| {
        name.ends_with(".md")
    })
}

/// The folder `debian`, with a changelog of this version.
fn stage_rules(tree: &Path, version: &str) -> Result<()> {
    copy_folder(&root().join("packaging/debian"), &tree.join("debian"), &|_| true)?;
    let maintainer = maintainer()?;
    let date = quiet(Command::new("date").args(["--rfc-email", "--utc"]))?;
    write(
        &tree.join("debian/changelog"),
        &format!(
            "nvmev ({version}) unstable; urgency=medium\n\n  * Version {version}: see CHANGELOG.md.\n\n -- {maintainer}  {date}"
        ),
    )?;
    let control = tree.join("debian/control");
    let text = fs::read_to_string(&control).with_context(|| format!("cannot read {}", control.display()))?;
    write(&control, &text.replace("@MAINTAINER@", &maintainer))
}

/// Who builds the packages, as Debian's tools have it: `$DEBFULLNAME` and `$DEBEMAIL`, else git's settings.
fn maintainer() -> Result<String> {
    let one = |variable: &str, setting: &str, otherwise: &str| {
        let git = || {
            program("git")?;
            let output = Command::new("git")
                .args(["config", setting])
                .current_dir(root())
                .output()
                .ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        env::var(variable)
            .ok()
            .or_else(git)
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| otherwise.to_owned())
    };
    let name = one("DEBFULLNAME", "user.name", "Local build");
    let address = one("DEBEMAIL", "user.email", "root@localhost.localdomain");
    ensure!(
        !name.contains(['<', '>', '\n']) && !address.contains(['<', '>', ' ', '\n']),
        "{name} <{address}> cannot be a maintainer: set DEBFULLNAME and DEBEMAIL"
    );
    Ok(format!("{name} <{address}>"))
}
