//! Kernels to build for and to boot: the machine's own, or a distribution's, fetched into the cache and never installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};
use kmod_build::module::Target;
use kmod_build::tools::Tools;

use crate::apt;
use crate::archive::Archive;
use crate::catalogue::{self, is_series, Offer, NEWEST};
use crate::paths::{self, program, Lock};
use crate::process::{quiet, step};
use crate::tool_root;

/// What tests build for and boot, oldest first.
pub const SERIES: [&str; 3] = ["6.1", "6.12", NEWEST];
/// What is booted where the machine has no kernel of its own that would do and its distribution has this one.
const SERIES_DEFAULT: &str = "6.12";
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
    /// The programs to build with; none: the machine's.
    pub tools: Option<Tools>,
}

impl From<&Kernel> for Target {
    fn from(kernel: &Kernel) -> Self {
        Self {
            kdir: kernel.build.clone(),
            tools: kernel.tools.clone(),
        }
    }
}

/// The kernel for `KVER`: an installed release; whatever [`catalogue::choose`] finds in the distribution's suites; or (empty) the machine's
/// own if it can be built for and booted, else the usual one of the distribution.
///
/// # Errors
/// If there is no such kernel, or it cannot be fetched.
pub fn provide(wanted: Option<&str>) -> Result<Kernel> {
    match wanted.filter(|name| !name.is_empty()) {
        None => match installed(&running_release()) {
            Ok(kernel) => Ok(kernel),
            Err(reason) => {
                eprintln!("This machine's own kernel is not used: {reason:#}. One of its distribution takes its place.");
                usual()
            }
        },
        Some(name) => match installed(name) {
            Ok(kernel) => Ok(kernel),
            Err(reason) if Path::new("/lib/modules").join(name).exists() => {
                eprintln!("The installed kernel {name} is not used: {reason:#}. The distribution's takes its place.");
                fetched(name)
            }
            Err(_) => fetched(name),
        },
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
        tools: None,
    })
}

/// The usual kernel of the distribution: from the cache without a look at the lists, if that is possible.
fn usual() -> Result<Kernel> {
    if let Some(kernel) = unpacked(&folder_of(SERIES_DEFAULT)?)? {
        return Ok(kernel);
    }
    let offers = offers()?;
    let offer = catalogue::choose_usual(&offers, SERIES_DEFAULT)?;
    fetch(&offer.series(), offer)
}

/// A distribution's kernel, from the cache or fetched into it. A series stays at the release that was fetched first.
///
/// # Errors
/// If there is none, or it cannot be fetched or unpacked.
fn fetched(name: &str) -> Result<Kernel> {
    // Without a look at the lists: a machine without a network has what it has.
    if let Some(kernel) = unpacked(&folder_of(name)?)? {
        return Ok(kernel);
    }
    let offers = offers()?;
    let offer = catalogue::choose(&offers, name)?;
    let key = if is_series(name) || name.starts_with(NEWEST) {
        offer.series()
    } else {
        offer.release.clone()
    };
    fetch(&key, offer)
}

/// What the distribution's suites have.
///
/// # Errors
/// If there is no apt here, or no lists.
pub fn offers() -> Result<Vec<Offer>> {
    catalogue::offers(&archive()?)
}

fn archive() -> Result<Archive> {
    ensure!(
        apt::available(),
        "a kernel can be fetched only where there is apt-get (Debian, Ubuntu). Here, install your distribution's kernel with its \
         headers and name it with KVER=RELEASE"
    );
    Archive::open()
}

fn folder_of(key: &str) -> Result<PathBuf> {
    ensure!(
        key.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte)),
        "KVER={key} is not the name of a kernel"
    );
    let kernels = paths::cache()?.join("kernels");
    fs::create_dir_all(&kernels).with_context(|| format!("cannot make {}", kernels.display()))?;
    Ok(kernels.join(key))
}

/// The kernel of `offer` in the cache's folder `key`, with image and modules.
fn fetch(key: &str, offer: &Offer) -> Result<Kernel> {
    let folder = folder_of(key)?;
    let kernels = folder.parent().context("a kernel's folder is in another")?;
    let _lock = Lock::take(
        &kernels.join(format!(".{key}.lock")),
        "another fetch of this kernel",
    )?;
    // Somebody else may have fetched it meanwhile.
    if let Some(kernel) = unpacked(&folder)? {
        return Ok(kernel);
    }
    step(
        &format!("providing Linux {} in {}", offer.release, folder.display()),
        || {
            let archive = archive()?;
            let temporary = kernels.join(format!(".{key}.partial"));
            if temporary.exists() {
                fs::remove_dir_all(&temporary)?;
            }
            unpack(&archive, offer, Extent::Bootable, &temporary, &folder)?;
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(&temporary, &folder)?;
            Ok(())
        },
    )?;
    unpacked(&folder)?
        .with_context(|| format!("{} is incomplete although it was just unpacked", folder.display()))
}

/// The headers of `offer` alone, in `folder`, which is made, and the tools to build with: the image and modules of the [`Kernel`] are not there.
///
/// # Errors
/// If they cannot be fetched or unpacked.
pub fn fetch_headers(offer: &Offer, folder: &Path) -> Result<Kernel> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    unpack(&archive()?, offer, Extent::Headers, folder, folder)?;
    unpacked(folder)?.with_context(|| format!("{} is incomplete", folder.display()))
}

/// What is in one of our folders, if it is complete, and the tools that it needs.
fn unpacked(folder: &Path) -> Result<Option<Kernel>> {
    let Some(release) = fs::read_to_string(folder.join("complete"))
        .ok()
        .and_then(|complete| Some(complete.strip_prefix(&format!("{FORMAT} "))?.trim().to_owned()))
    else {
        return Ok(None);
    };
    let root = folder.join("root");
    let modules = modules_folder(&root).join(&release);
    let image = [
        root.join(format!("boot/vmlinuz-{release}")),
        modules.join("vmlinuz"),
    ];
    let tools = match fs::read_to_string(folder.join("tools")) {
        Ok(text) => {
            let mut lines = text.lines().map(str::to_owned);
            let suite = lines.next().unwrap_or_default();
            Some(tool_root::provide(&suite, &lines.collect::<Vec<_>>(), &root)?)
        }
        Err(_) => None,
    };
    Ok(Some(Kernel {
        image: image
            .iter()
            .find(|path| path.is_file())
            .unwrap_or(&image[0])
            .clone(),
        modules,
        build: root.join("usr/src").join(format!("linux-headers-{release}")),
        release,
        tools,
    }))
}

/// Where packages put modules: since `/lib` is a link, in `/usr/lib`.
fn modules_folder(root: &Path) -> PathBuf {
    let merged = root.join("usr/lib/modules");
    let split = root.join("lib/modules");
    if split.is_dir() {
        split
    } else {
        merged
    }
}

/// How much of a kernel is unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What a module is built with.
    Headers,
    /// That, and what is booted.
    Bootable,
}

/// Fetches and unpacks `offer` into `temporary`, arranged to work once it is renamed to `destination`.
fn unpack(
    archive: &Archive,
    offer: &Offer,
    extent: Extent,
    temporary: &Path,
    destination: &Path,
) -> Result<()> {
    let release = &offer.release;
    let headers_name = format!("linux-headers-{release}");
    let headers = with_parts(archive, &headers_name, &["linux-kbuild-", "linux-headers-"])?;
    let mut packages = headers.clone();
    if extent == Extent::Bootable {
        // The package of the image may have nothing but dependencies.
        let image = format!("linux-image-{release}");
        let parts = ["linux-binary-", "linux-modules-", "linux-base-", "linux-image-"];
        packages.extend(with_parts(archive, &image, &parts)?);
    }
    let root = temporary.join("root");
    fs::create_dir_all(&root)?;
    archive.unpack(&packages, &root)?;
    step("arranging headers and modules", || {
        relocate_headers(&root.join("usr/src"), &destination.join("root"))?;
        if extent == Extent::Bootable {
            arrange_modules(&root, &destination.join("root"), release)?;
        }
        if !offer.is_own {
            let suite = offer.suite.trim_end_matches("-backports");
            let needed = tool_root::needed(archive, &headers)?;
            fs::write(
                temporary.join("tools"),
                format!("{suite}\n{}\n", needed.join("\n")),
            )?;
        }
        fs::write(temporary.join("complete"), format!("{FORMAT} {release}\n"))?;
        Ok(())
    })
}

/// A package and those that it is made up of, whose names begin so.
fn with_parts(archive: &Archive, package: &str, prefixes: &[&str]) -> Result<Vec<String>> {
    let is_part = |name: &str| {
        let end = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        end.is_some_and(|end| end.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut names = vec![package.to_owned()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        for part in archive.depends(&name)? {
            if is_part(&part) && !names.contains(&part) {
                names.push(part);
            }
        }
        next += 1;
    }
    Ok(names)
}

fn arrange_modules(root: &Path, new_root: &Path, release: &str) -> Result<()> {
    let folder = modules_folder(root);
    let modules = folder.join(release);
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
        new_root.join("usr/src").join(format!("linux-headers-{release}")),
        modules.join("build"),
    )?;
    // depmod looks in lib/modules.
    if !root.join("lib").exists() {
        symlink("usr/lib", root.join("lib"))?;
    }
    let depmod = program("depmod").context("depmod is missing: install the package kmod")?;
    quiet(Command::new(depmod).arg("-b").arg(root).arg(release)).map(drop)
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
    fn a_kernel_s_name_cannot_lead_out_of_the_cache() {
        assert!(folder_of("6.12.117+deb12-amd64").is_ok());
        for name in ["../6.12", "a/b", "6.12 "] {
            assert!(folder_of(name).is_err(), "{name}");
        }
    }
}
