//! Kernels to build for and to boot: the machine's own, or a distribution's, fetched into the cache and never installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use crate::apt;
use crate::paths::{self, program, Lock};
use crate::process::{quiet, step};

/// The series that tests build for and boot, oldest first.
pub const SERIES: [&str; 2] = ["6.1", "6.12"];
/// What is booted where the machine has no kernel of its own that would do.
pub const SERIES_DEFAULT: &str = "6.12";
/// Raised when the way a kernel is unpacked changes, so that older ones are unpacked again.
const FORMAT: &str = "1";

/// A kernel with what it takes to build a module for it and to boot it.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What `uname -r` says under it.
    pub release: String,
    /// The bootable image.
    pub image: PathBuf,
    /// `lib/modules/RELEASE` with the modules that came with it.
    pub modules: PathBuf,
    /// What Kbuild calls KDIR.
    pub build: PathBuf,
}

/// The kernel for `KVER`: a series such as 6.12, a release whose image and headers are installed, or (empty) the machine's own
/// if it can be built for and booted, else [`SERIES_DEFAULT`].
///
/// # Errors
/// If there is no such kernel, or it cannot be fetched.
pub fn provide(wanted: Option<&str>) -> Result<Kernel> {
    match wanted.filter(|name| !name.is_empty()) {
        None => match installed(&running_release()) {
            Ok(kernel) => Ok(kernel),
            Err(reason) => {
                eprintln!("This machine's own kernel is not used: {reason:#}. Debian's {SERIES_DEFAULT} takes its place.");
                fetched(SERIES_DEFAULT)
            }
        },
        Some(name) if is_series(name) => fetched(name),
        Some(name) => installed(name).with_context(|| {
            format!(
                "KVER={name} is neither a series such as {} nor an installed kernel with headers",
                SERIES.join(" or ")
            )
        }),
    }
}

/// What `uname -r` says.
pub fn running_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// A kernel that is installed on this machine.
///
/// # Errors
/// If its image, modules or headers are not there.
pub fn installed(release: &str) -> Result<Kernel> {
    let modules = Path::new("/lib/modules").join(release);
    let image = PathBuf::from(format!("/boot/vmlinuz-{release}"));
    let build = modules.join("build");
    ensure!(
        modules.join("modules.dep").is_file(),
        "{} has no modules",
        modules.display()
    );
    ensure!(
        build.join("Module.symvers").is_file(),
        "{} has no kernel headers",
        build.display()
    );
    ensure!(image.is_file(), "{} is not there", image.display());
    fs::File::open(&image).with_context(|| format!("{} cannot be read", image.display()))?;
    Ok(Kernel {
        release: release.to_owned(),
        image,
        modules,
        build,
    })
}

fn is_series(name: &str) -> bool {
    name.split('.').count() == 2
        && name
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// A distribution's kernel of `series`, from the cache or fetched into it.
///
/// # Errors
/// If it cannot be fetched or unpacked.
pub fn fetched(series: &str) -> Result<Kernel> {
    let kernels = paths::cache()?.join("kernels");
    fs::create_dir_all(&kernels).with_context(|| format!("cannot make {}", kernels.display()))?;
    let folder = kernels.join(series);
    let _lock = Lock::take(
        &kernels.join(format!(".{series}.lock")),
        "another fetch of this kernel",
    )?;
    if let Some(kernel) = unpacked(&folder) {
        return Ok(kernel);
    }
    ensure!(
        apt::available(),
        "a kernel can be fetched only where there is apt-get (Debian, Ubuntu). Here, install your distribution's kernel with its \
         headers and name it with KVER=RELEASE"
    );
    step(
        &format!("providing a Linux {series} kernel in {}", folder.display()),
        || {
            let release = newest_release(series)?;
            let temporary = kernels.join(format!(".{series}.partial"));
            if temporary.exists() {
                fs::remove_dir_all(&temporary)?;
            }
            unpack(&release, &temporary, &folder)?;
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(&temporary, &folder)?;
            Ok(())
        },
    )?;
    unpacked(&folder)
        .with_context(|| format!("{} is incomplete although it was just unpacked", folder.display()))
}

fn unpacked(folder: &Path) -> Option<Kernel> {
    let complete = fs::read_to_string(folder.join("complete")).ok()?;
    let release = complete.strip_prefix(&format!("{FORMAT} "))?.trim().to_owned();
    let root = folder.join("root");
    Some(Kernel {
        image: root.join(format!("boot/vmlinuz-{release}")),
        modules: root.join("lib/modules").join(&release),
        build: root.join("usr/src").join(format!("linux-headers-{release}")),
        release,
    })
}

/// The newest release of `series` that the distribution has in its usual flavour.
fn newest_release(series: &str) -> Result<String> {
    let find = || -> Result<Option<String>> {
        let pattern = format!(
            "^linux-image-{}\\.[0-9].*-(amd64|generic)$",
            series.replace('.', "\\.")
        );
        let mut releases: Vec<String> = apt::names(&pattern)?
            .iter()
            .filter_map(|name| name.strip_prefix("linux-image-"))
            .filter(|release| {
                ["cloud", "rt-", "unsigned", "dbg"]
                    .iter()
                    .all(|word| !release.contains(word))
            })
            .map(str::to_owned)
            .collect();
        releases.sort_by_key(|release| version_key(release));
        let complete = |release: &&String| apt::has_candidate(&format!("linux-headers-{release}"));
        Ok(releases.iter().rev().find(complete).cloned())
    };
    if let Some(release) = find()? {
        return Ok(release);
    }
    apt::update()?;
    find()?.with_context(|| {
        format!("this distribution has no Linux {series} (package linux-image-{series}.*); KVER= names another series or release")
    })
}

/// The numbers in a release, for comparison.
fn version_key(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Fetches and unpacks `release` into `temporary`, arranged to work once it is renamed to `destination`.
fn unpack(release: &str, temporary: &Path, destination: &Path) -> Result<()> {
    let image = format!("linux-image-{release}");
    let headers = format!("linux-headers-{release}");
    let mut packages = vec![image.clone(), headers.clone()];
    packages.extend(
        apt::depends(&image)?
            .into_iter()
            .filter(|name| name.starts_with("linux-modules-")),
    );
    packages.extend(
        apt::depends(&headers)?
            .into_iter()
            .filter(|name| name.starts_with("linux-kbuild-") || name.starts_with("linux-headers-")),
    );
    let root = temporary.join("root");
    fs::create_dir_all(&root)?;
    apt::fetch_and_unpack(&packages, &root)?;
    step("arranging headers and modules", || {
        relocate_headers(&root.join("usr/src"), &destination.join("root"))?;
        let modules = root.join("lib/modules").join(release);
        ensure!(
            modules.is_dir(),
            "{} has no modules for {release}",
            root.display()
        );
        for link in ["build", "source"] {
            let path = modules.join(link);
            if path.is_symlink() {
                fs::remove_file(&path)?;
            }
        }
        symlink(
            destination.join("root/usr/src").join(&headers),
            modules.join("build"),
        )?;
        let depmod = program("depmod").context("depmod is missing: install the package kmod")?;
        quiet(Command::new(depmod).arg("-b").arg(&root).arg(release))?;
        fs::write(temporary.join("complete"), format!("{FORMAT} {release}\n"))?;
        Ok(())
    })
}

/// The headers' top-level makefiles include each other by absolute path; they are no longer there.
fn relocate_headers(sources: &Path, new_root: &Path) -> Result<()> {
    let new_root = new_root
        .to_str()
        .context("the cache folder's path is not UTF-8")?;
    if new_root.contains([' ', ':', '#', '$']) {
        bail!("make cannot work in {new_root}: choose another cache folder with XDG_CACHE_HOME");
    }
    for entry in fs::read_dir(sources)? {
        let makefile = entry?.path().join("Makefile");
        let Ok(text) = fs::read_to_string(&makefile) else {
            continue;
        };
        let moved = text.replace("/usr/src/linux-", &format!("{new_root}/usr/src/linux-"));
        if moved != text {
            fs::write(&makefile, moved).with_context(|| format!("cannot write {}", makefile.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_found_by_number_not_by_letter() {
        assert!(version_key("6.12.117+deb12-amd64") > version_key("6.12.99+deb12-amd64"));
        assert!(version_key("6.1.0-9-amd64") < version_key("6.1.0-50-amd64"));
    }

    #[test]
    fn a_series_is_two_numbers() {
        assert!(is_series("6.12"));
        assert!(!is_series("6.12.1") && !is_series("6") && !is_series("6.x") && !is_series("6."));
    }
}
