//! `make doctor`: can the module be built and loaded on this machine, and what is to be done if not.

use std::fs;
use std::path::Path;
use std::process::Command;

use kmod_build::module::CHECKED_CALLS;

use crate::kernels;
use crate::packages;
use crate::paths::program;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Bad,
}

struct Report {
    bad: usize,
}

impl Report {
    /// A line, and below it what to do.
    fn line(&mut self, verdict: Verdict, what: &str, advice: &str) {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Bad => "bad",
        };
        println!("{word:4}  {what}");
        if !advice.is_empty() {
            println!("      → {advice}");
        }
        self.bad += usize::from(verdict == Verdict::Bad);
    }
}

/// The running kernel's configuration.
struct Config(String);

impl Config {
    fn read(release: &str) -> Option<Self> {
        let installed = [
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/build/.config"),
        ];
        if let Some(text) = installed.iter().find_map(|path| fs::read_to_string(path).ok()) {
            return Some(Self(text));
        }
        let output = Command::new("gzip")
            .args(["-dc", "/proc/config.gz"])
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| Self(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn has(&self, option: &str) -> bool {
        self.0
            .lines()
            .any(|line| line == format!("{option}=y") || line == format!("{option}=m"))
    }
}

/// Checks this machine; returns the status to end with: 1 only if it cannot work.
pub fn run() -> i32 {
    let mut report = Report { bad: 0 };
    let release = kernels::running_release();
    println!("Linux {release} on {}", std::env::consts::ARCH);
    let modules = Path::new("/proc/modules").exists();
    if modules {
        report.line(Verdict::Ok, "the kernel can load modules", "");
    } else {
        report.line(
            Verdict::Bad,
            "this kernel cannot load modules (CONFIG_MODULES is off)",
            "boot a distribution's kernel, or use the module in a VM: make demo, make vm",
        );
    }
    if std::env::consts::ARCH != "x86_64" {
        report.line(Verdict::Bad, "the module is for x86-64 only", "");
    }
    headers(&mut report, &release, modules);
    match Config::read(&release) {
        Some(config) => configuration(&mut report, &config),
        None => report.line(
            Verdict::Warn,
            "the kernel's configuration is not to be found, so nothing can be said about it",
            "install the kernel's headers",
        ),
    }
    memory(&mut report);
    cpus(&mut report);
    signing(&mut report);
    interrupts(&mut report);
    toolchain(&mut report);
    println!();
    if report.bad == 0 {
        println!("The module can be built and loaded here: make, then make load.");
        0
    } else {
        println!(
            "As this machine is, it cannot work ({} bad). In a VM it can: make demo.",
            report.bad
        );
        1
    }
}

fn headers(report: &mut Report, release: &str, modules: bool) {
    let build = format!("/lib/modules/{release}/build");
    if Path::new(&build).join("Module.symvers").is_file() {
        report.line(Verdict::Ok, &format!("kernel headers are in {build}"), "");
    } else if modules {
        report.line(
            Verdict::Bad,
            &format!("no kernel headers in {build}"),
            &format!("apt-get install linux-headers-{release} (elsewhere: kernel-devel, linux-headers)"),
        );
    } else {
        report.line(Verdict::Warn, &format!("no kernel headers in {build}"), "");
    }
}

fn configuration(report: &mut Report, config: &Config) {
    if config.has("CONFIG_PCI") && config.has("CONFIG_BLK_DEV_NVME") {
        report.line(Verdict::Ok, "the kernel has PCI and an NVMe driver", "");
    } else {
        report.line(
            Verdict::Bad,
            "the kernel lacks PCI or an NVMe driver (CONFIG_PCI, CONFIG_BLK_DEV_NVME)",
            "use another kernel",
        );
    }
    if config.has("CONFIG_PCI_MSI") {
        report.line(
            Verdict::Ok,
            "message-signalled interrupts: one for each queue",
            "",
        );
    } else {
        report.line(
            Verdict::Warn,
            "no message-signalled interrupts (CONFIG_PCI_MSI): all queues share one",
            "",
        );
    }
    if config.has("CONFIG_MEMORY_HOTREMOVE") {
        report.line(
            Verdict::Ok,
            "memory can be taken from the running kernel (size=)",
            "",
        );
    } else {
        report.line(
            Verdict::Warn,
            "memory cannot be taken from the running kernel (CONFIG_MEMORY_HOTREMOVE is off): size= will not work",
            "reserve memory at boot: memmap=SIZE$START on the kernel's command line ('\\$' in /etc/default/grub), then load with \
             memmap_start=START memmap_size=SIZE",
        );
    }
    for option in CHECKED_CALLS {
        if config.has(&format!("CONFIG_{option}")) {
            report.line(
                Verdict::Bad,
                &format!("this kernel checks calls through pointers (CONFIG_{option}), which the module cannot be built for"),
                "use a kernel without it",
            );
        }
    }
    if config.has("CONFIG_PREEMPT_RT") {
        report.line(
            Verdict::Warn,
            "this is a real-time kernel, with which nobody has tried the module",
            "",
        );
    }
}

fn memory(report: &mut Report) {
    if let Ok(text) = fs::read_to_string("/sys/devices/system/memory/block_size_bytes") {
        if let Ok(bytes) = u64::from_str_radix(text.trim(), 16) {
            let mib = bytes >> 20;
            report.line(
                Verdict::Ok,
                &format!("memory is taken in blocks of {mib} MiB: size= is rounded to these"),
                "",
            );
        }
    }
    let available = meminfo_mib("MemAvailable");
    let text = format!("{available} MiB of memory are available");
    if available >= 2048 {
        report.line(Verdict::Ok, &text, "");
    } else {
        report.line(
            Verdict::Warn,
            &text,
            "a drive of useful size wants 1 GiB and more beside what your programs need",
        );
    }
    let reserved: Vec<String> = fs::read_to_string("/proc/cmdline")
        .unwrap_or_default()
        .split_whitespace()
        .filter(|word| word.starts_with("memmap=") && word.contains('$'))
        .map(str::to_owned)
        .collect();
    if !reserved.is_empty() {
        report.line(
            Verdict::Ok,
            &format!("reserved at boot: {}", reserved.join(" ")),
            "",
        );
    }
}

fn meminfo_mib(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .strip_prefix(':')?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        })
        .unwrap_or(0)
        / 1024
}

fn cpus(report: &mut Report) {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let isolated = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    let last = count.saturating_sub(1);
    if !isolated.trim().is_empty() {
        report.line(
            Verdict::Ok,
            &format!("isolated CPUs: {}", isolated.trim()),
            "give these to the module: cpus=",
        );
    } else if count >= 4 {
        report.line(
            Verdict::Warn,
            &format!("{count} CPUs, none isolated: other programs will disturb the timing"),
            &format!(
                "for steady latencies add isolcpus={0},{last} to the kernel's command line and load with cpus={0},{last}",
                last - 1
            ),
        );
    } else {
        report.line(
            Verdict::Warn,
            &format!("{count} CPUs: the module takes one or two of them for itself while the drive is busy"),
            "it will work; its timing will not be steady",
        );
    }
}

fn signing(report: &mut Report) {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let locked = lockdown
        .split_whitespace()
        .find(|word| word.starts_with('['))
        .is_some_and(|word| word != "[none]");
    // The last of five bytes: four are the variable's attributes.
    let secure_boot = fs::read_dir("/sys/firmware/efi/efivars")
        .ok()
        .is_some_and(|entries| {
            entries
                .flatten()
                .find(|entry| entry.file_name().to_string_lossy().starts_with("SecureBoot-"))
                .and_then(|entry| fs::read(entry.path()).ok())
                .is_some_and(|bytes| bytes.last() == Some(&1))
        });
    let enforced =
        fs::read_to_string("/sys/module/module/parameters/sig_enforce").is_ok_and(|text| text.trim() == "Y");
    if locked || enforced {
        report.line(
            Verdict::Bad,
            &format!(
                "the kernel takes signed modules only (lockdown: {}, enforced: {})",
                if locked { "on" } else { "off" },
                if enforced { "yes" } else { "no" }
            ),
            "sign nvmev.ko with a key of yours that is enrolled (mokutil --import), or switch Secure Boot off",
        );
    } else if secure_boot {
        report.line(
            Verdict::Ok,
            "Secure Boot is on, but unsigned modules are accepted",
            "",
        );
    } else {
        report.line(Verdict::Ok, "unsigned modules are accepted", "");
    }
}

fn interrupts(report: &mut Report) {
    let iommu = fs::read_dir("/sys/class/iommu").is_ok_and(|mut entries| entries.next().is_some());
    let text = if iommu {
        "an IOMMU is on: no matter, interrupts do not go through it"
    } else {
        "no IOMMU is on"
    };
    report.line(Verdict::Ok, text, "");
}

fn toolchain(report: &mut Report) {
    match packages::rust_with_source() {
        Some((_, path)) => report.line(Verdict::Ok, &format!("Rust with its library's source: {}", path.display()), ""),
        None => report.line(
            Verdict::Bad,
            "no Rust toolchain with its library's source",
            "rustup component add rust-src; on Debian 12 also: apt-get install rustc-web cargo-web rust-web-src",
        ),
    }
    for (name, package) in [("gcc", "gcc"), ("make", "make"), ("ld", "binutils")] {
        if program(name).is_none() {
            report.line(
                Verdict::Bad,
                &format!("{name} is missing"),
                &format!("apt-get install {package}"),
            );
        }
    }
    if program("nvme").is_none() {
        report.line(
            Verdict::Warn,
            "nvme-cli is missing: useful, not needed",
            "apt-get install nvme-cli",
        );
    }
}
