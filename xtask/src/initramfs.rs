//! The guest's first file system: busybox, the modules that reach the host's files, and an init script.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::apt;
use crate::kernels::Kernel;
use crate::paths::{self, program};

/// What the guest needs before it sees the host's files; the rest comes from there.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];
const INIT: &str = include_str!("../../tests/vm/init");

/// The initramfs for `kernel`, made if there is none yet.
///
/// # Errors
/// If busybox or a module is missing, or the file cannot be written.
pub fn provide(kernel: &Kernel) -> Result<PathBuf> {
    let busybox = busybox()?;
    let folder = paths::cache()?.join("initramfs");
    fs::create_dir_all(&folder)?;
    let mut archive = Archive::default();
    for name in [
        "bin", "dev", "proc", "sys", "lower", "upper", "newroot", "modules",
    ] {
        archive.folder(name);
    }
    archive.program(
        "bin/busybox",
        &fs::read(&busybox).with_context(|| format!("cannot read {}", busybox.display()))?,
    );
    archive.program("init", INIT.as_bytes());
    let mut order = String::new();
    for module in load_order(kernel)? {
        let name = module
            .file_name()
            .context("a module without a name")?
            .to_string_lossy()
            .into_owned();
        let name = name.split(".ko").next().unwrap_or(&name).to_owned() + ".ko";
        archive.program(
            &format!("modules/{name}"),
            &decompressed(&kernel.modules.join(&module))?,
        );
        order += &format!("{name}\n");
    }
    archive.program("modules/order", order.as_bytes());

    let path = folder.join(format!("{}.cpio", kernel.release));
    let bytes = archive.finish();
    if fs::read(&path).ok().as_ref() != Some(&bytes) {
        let temporary = folder.join(format!("{}.partial-{}", kernel.release, std::process::id()));
        fs::write(&temporary, bytes).with_context(|| format!("cannot write {}", temporary.display()))?;
        fs::rename(&temporary, &path)?;
    }
    Ok(path)
}

/// A busybox that needs no libraries: the machine's, or Debian's, fetched and not installed.
fn busybox() -> Result<PathBuf> {
    if let Some(path) = program("busybox").filter(|path| is_static(path)) {
        return Ok(path);
    }
    let folder = paths::cache()?.join("busybox");
    let find = || {
        ["bin/busybox", "usr/bin/busybox"]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| is_static(path))
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    ensure!(
        apt::available(),
        "a statically linked busybox is needed: install the package busybox-static"
    );
    fs::create_dir_all(&folder)?;
    apt::fetch_and_unpack(&["busybox-static".to_owned()], &folder)?;
    find().context("the package busybox-static has no statically linked busybox")
}

/// Whether an ELF file has no program header that names an interpreter.
fn is_static(path: &Path) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(bytes) = fs::read(path) else { return false };
    let u16_at = |at: usize| {
        bytes
            .get(at..at + 2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_le_bytes)
    };
    let u32_at = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_le_bytes)
    };
    // Offsets in a 64-bit ELF header: where the program headers are, how long one is, how many there are.
    let (Some(start), Some(size), Some(count)) = (u32_at(32), u16_at(54), u16_at(56)) else {
        return false;
    };
    bytes.starts_with(b"\x7fELF")
        && (0..usize::from(count))
            .all(|index| u32_at(start as usize + index * usize::from(size)) != Some(PT_INTERP))
}

/// Paths, relative to the kernel's modules folder, of [`MODULES`] and what they need, in the order to load them.
fn load_order(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let dep_file = kernel.modules.join("modules.dep");
    let dependencies =
        fs::read_to_string(&dep_file).with_context(|| format!("cannot read {}", dep_file.display()))?;
    let builtin = fs::read_to_string(kernel.modules.join("modules.builtin")).unwrap_or_default();
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for wanted in MODULES {
        if builtin.lines().any(|line| module_name(line) == wanted) {
            continue;
        }
        let line = dependencies
            .lines()
            .find(|line| {
                line.split(':')
                    .next()
                    .is_some_and(|path| module_name(path) == wanted)
            })
            .with_context(|| {
                format!(
                    "kernel {} has no module {wanted}, which the VM needs",
                    kernel.release
                )
            })?;
        let (module, needs) = line.split_once(':').unwrap_or((line, ""));
        // depmod lists what is needed with the deepest last.
        for path in needs.split_whitespace().rev().chain([module]) {
            if seen.insert(path.to_owned()) {
                order.push(PathBuf::from(path));
            }
        }
    }
    Ok(order)
}

/// `kernel/fs/9p/9p.ko.xz` → `9p`; a `-` in a file's name is a `_` in the module's.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut command = Command::new(tool);
    command.arg("-dc").arg(path);
    let output = command
        .output()
        .with_context(|| format!("cannot start {tool}, which unpacks {}", path.display()))?;
    ensure!(output.status.success(), "{tool} cannot unpack {}", path.display());
    Ok(output.stdout)
}

/// Builds a cpio archive in the form the kernel reads ("newc").
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn program(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_755, content);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries, // inode number
            mode,
            0, // user
            0, // group
            1, // links
            0, // modification time: none, so that equal inputs give equal files
            u32::try_from(content.len()).expect("no file in the initramfs comes near 4 GiB"),
            0, // device, major
            0, // device, minor
            0, // special file, major
            0, // special file, minor
            u32::try_from(name.len() + 1).expect("names are short"),
            0, // checksum: not in this form
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_entries_are_aligned_and_counted() {
        let mut archive = Archive::default();
        archive.folder("a");
        archive.program("bc", b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        // 110 bytes of header and "a\0" are 112 bytes: the next header follows at once.
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[112..118], b"070701");
        assert_eq!(&bytes[112 + 54..112 + 62], b"00000005");
    }

    #[test]
    fn module_names_are_those_the_kernel_uses() {
        assert_eq!(
            module_name("kernel/drivers/char/virtio-console.ko.xz"),
            "virtio_console"
        );
    }
}
