//! Boots a kernel with the module in QEMU, on the host's own files, and runs a command there.
//!
//! The guest sees the host's root over a read-only 9p file system with a tmpfs over it, so every program and file of the host is
//! there at the same path and nothing that the guest does reaches the host. A second, writable 9p folder (the *share*) carries
//! the settings in, the exit status and files with results out; a virtio port carries the output; the kernel's messages go to a file.

mod options;

pub use options::VmOptions;

use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, Context, Result};
use clap::Args;
use module_params::{CpuList, Cpus};

use crate::accel::{self, Accelerator};
use crate::paths::{self, program, Lock};
use crate::process::seconds;
use crate::share::Share;
use crate::{initramfs, klog};

/// One VM at a time: two would fight for the same cores and make each other's timeouts wrong.
const LOCK: &str = "/tmp/nvmev-vm.lock";

/// CPUs of a guest: one for the system, two for a module that has a dispatcher and a worker.
pub const CPUS_USUAL: u32 = 3;

/// Memory for a guest in which the module is loaded with `modparams`, as QEMU writes it: what `size=` takes has to be there in one piece
/// above the 3 GiB that lie below the PCI hole, beside what the guest itself needs.
pub fn memory_for(modparams: &str) -> String {
    let gib = taken_gib(modparams);
    let beside = if gib > 1 { 7 } else { 5 };
    format!("{}G", gib.saturating_add(beside).max(7))
}

/// What a person can say of the VM.
#[derive(Args)]
pub struct GuestArguments {
    /// Kernel to boot: 6.12, 7.3-cloud, newest, or a release
    #[arg(long, env = "NVMEV_KVER")]
    pub kver: Option<String>,
    /// Number of CPUs; else three, or as many as the module's cpus= needs
    #[arg(long, env = "NVMEV_VMCPUS", default_value = "", value_parser = parse_cpu_count)]
    pub cpus: GivenCpuCount,
    /// Memory, such as 8G; else what the module's size= needs
    #[arg(long, env = "NVMEV_VMMEM", default_value = "")]
    pub mem: String,
    /// More parameters for the guest's kernel
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_APPEND", default_value = "")]
    pub append: String,
    /// More options for QEMU
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_QEMUOPTS", default_value = "")]
    pub qemuopts: String,
}

/// A number of CPUs, if one was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenCpuCount(Option<u32>);

/// Reads what may be empty, as everything that `make` hands on.
fn parse_cpu_count(text: &str) -> Result<GivenCpuCount, String> {
    match text.trim() {
        "" => Ok(GivenCpuCount(None)),
        text => match text.parse() {
            Ok(count @ 1..) => Ok(GivenCpuCount(Some(count))),
            _ => Err("a guest has 1 CPU or more".to_owned()),
        },
    }
}

impl GuestArguments {
    /// Its number of CPUs, for modules with these parameters, one after the other.
    pub fn cpus(&self, modparams: &[&str]) -> u32 {
        let needed = modparams.iter().map(|modparams| cpus_for(modparams));
        self.cpus.0.unwrap_or_else(|| needed.fold(CPUS_USUAL, u32::max))
    }

    /// Its memory, for a module with these parameters.
    pub fn memory(&self, modparams: &str) -> String {
        if self.mem.is_empty() {
            memory_for(modparams)
        } else {
            self.mem.clone()
        }
    }
}

/// How many CPUs a guest needs for a module with these parameters to find all that its `cpus=` names.
pub fn cpus_for(modparams: &str) -> u32 {
    let mut parameters = modparams.split_whitespace();
    parameters
        .find_map(|parameter| parameter.strip_prefix("cpus="))
        .and_then(|cpus| CpuList::parse(cpus, &ManyCpus).ok())
        .and_then(|cpus| cpus.as_slice().iter().max().copied())
        .map_or(1, |highest| highest + 1)
}

/// A machine with more CPUs than anybody gives a guest.
struct ManyCpus;

impl Cpus for ManyCpus {
    fn limit(&self) -> u32 {
        64
    }

    fn is_online(&self, _cpu: u32) -> bool {
        true
    }
}

/// Of two modules' parameters those that take more memory.
pub fn larger<'a>(one: &'a str, other: &'a str) -> &'a str {
    if taken_gib(other) > taken_gib(one) {
        other
    } else {
        one
    }
}

/// What `size=` takes from the guest's kernel, GiB.
fn taken_gib(modparams: &str) -> u64 {
    let mut parameters = modparams.split_whitespace();
    if parameters.clone().any(|parameter| parameter == "data=none") {
        return 0;
    }
    parameters
        .find_map(|parameter| parameter.strip_prefix("size="))
        .and_then(|size| module_params::size::parse_size(size).ok())
        .unwrap_or(0)
        .div_ceil(1 << 30)
}

/// A kernel spreads what cannot be moved over its memory as that grows, and puts itself anywhere: much memory in one piece is there for certain only
/// if it is kept movable and the kernel stays where it always was. For a module that the command loads, this belongs into [`VmOptions::append`].
pub fn movable_memory(modparams: &str) -> String {
    match taken_gib(modparams) {
        0..=1 => String::new(),
        // Some of it, at the end, the kernel has already used when it comes to that.
        gib => format!("nokaslr movablecore={}G", gib.saturating_add(2)),
    }
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The command ended with this status.
    Exited(i32),
    /// The guest stopped without a status: a crash, or a command that shut it down.
    Died,
    /// The guest was killed after its time was up.
    TimedOut,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What the command printed.
    pub output: String,
    /// Files that it left in the share's folder `results`, with their content.
    pub results: Vec<(String, String)>,
    /// The kernel's messages.
    pub kernel_log: String,
    /// How long it took, boot included.
    pub elapsed: Duration,
    /// What ran the guest.
    pub accelerator: Accelerator,
}

impl Outcome {
    /// The command's status, or one that says that there is none, as timeout(1) and shells have them.
    pub fn status(&self) -> i32 {
        let crashed = klog::complaints(&self.kernel_log)
            .iter()
            .any(|line| klog::is_fatal(line));
        match self.end {
            End::Exited(0) if crashed => 70,
            End::Exited(status) => status,
            End::Died => 70,
            End::TimedOut => 124,
        }
    }

    /// Whether QEMU's emulation, not the guest, is to blame: a processor that meets an `int3` which the kernel's patching of its own
    /// text has already replaced runs code as it was (QEMU drops its translation before the write, not after it); or its flags
    /// come out as something that no processor can have.
    pub fn emulator_tripped(&self) -> bool {
        self.end == End::Died
            && self
                .kernel_log
                .lines()
                .any(|line| line.contains("int3: 0000") || klog::has_impossible_flags(line))
    }

    /// What a person needs to know beyond the output; empty if all went well.
    pub fn trouble(&self) -> String {
        let mut text = match self.end {
            End::Exited(_) => String::new(),
            End::Died => "The VM stopped before the command was done.\n".to_owned(),
            End::TimedOut => format!("The VM was killed: not done after {}.\n", seconds(self.elapsed)),
        };
        let complaints = klog::complaints(&self.kernel_log);
        if !complaints.is_empty() {
            text += "The guest's kernel complained:\n";
            for line in complaints.iter().take(10) {
                text += &format!("    {line}\n");
            }
        }
        if !text.is_empty() && !matches!(self.end, End::Exited(_)) {
            text += &format!(
                "The guest kernel's last lines:\n{}\n",
                klog::tail(&self.kernel_log, 30)
            );
        }
        text
    }
}

/// How often a boot is tried that the emulator, not the guest, brought to an end.
const BOOTS_MAX: u32 = 4;

/// Boots, runs, cleans up.
///
/// # Errors
/// If the VM cannot be set up; whatever happens inside is in the [`Outcome`].
pub fn run(options: &VmOptions) -> Result<Outcome> {
    let _lock = Lock::take(Path::new(LOCK), "another VM to end")?;
    let accelerator = accel::probe(&options.kernel)?;
    let initramfs = initramfs::provide(&options.kernel)?;
    for boot in 1.. {
        let share = Share::make(options)?;
        let outcome = boot_once(options, accelerator, &initramfs, &share)?;
        if boot < BOOTS_MAX && !share.started() && outcome.emulator_tripped() {
            eprintln!("the emulator tripped over the booting kernel patching itself; booting again");
            continue;
        }
        fs::write(paths::cache()?.join("last-kernel.log"), &outcome.kernel_log)?;
        return Ok(outcome);
    }
    unreachable!("the last boot returns")
}

fn boot_once(
    options: &VmOptions,
    accelerator: Accelerator,
    initramfs: &Path,
    share: &Share,
) -> Result<Outcome> {
    let log = share.path.join("kernel.log");
    let interactive = options.command.is_none();
    let mut command = qemu_command(options, accelerator, initramfs, share, &log)?;
    if !interactive {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
    }
    let start = Instant::now();
    let terminal = interactive.then(Terminal::remember);
    let mut child = command.spawn().context("cannot start QEMU")?;
    let relay = child.stdout.take().map(|stdout| relay(stdout, options.live));
    let ended = wait(&mut child, options.timeout.map(|limit| start + limit));
    // In every case: no guest is left behind.
    if !matches!(ended, Ok(true)) {
        child.kill()?;
        child.wait()?;
    }
    drop(terminal);
    let in_time = ended?;
    let output = match relay {
        Some(relay) => relay
            .join()
            .map_err(|_| anyhow!("the thread that collects the output panicked"))?,
        None => Vec::new(),
    };
    let end = match share.status() {
        Some(status) => End::Exited(status),
        None if in_time => End::Died,
        None => End::TimedOut,
    };
    Ok(Outcome {
        end,
        output: String::from_utf8_lossy(&output).into_owned(),
        results: share.results()?,
        kernel_log: String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).replace('\r', ""),
        elapsed: start.elapsed(),
        accelerator,
    })
}

fn qemu_command(
    options: &VmOptions,
    accelerator: Accelerator,
    initramfs: &Path,
    share: &Share,
    log: &Path,
) -> Result<Command> {
    let qemu =
        program("qemu-system-x86_64").context("QEMU is missing: install the package qemu-system-x86")?;
    // If we end, however, so does the guest.
    let mut command =
        Command::new(program("setpriv").context("setpriv is missing: install the package util-linux")?);
    command.args(["--pdeathsig", "KILL"]).arg(qemu);
    command
        .args(["-machine", "q35"])
        .args(accelerator.options(options.qemuopts.contains("intremap=on")));
    // Before our devices: an IOMMU has to be there first.
    command.args(shlex::split(&options.qemuopts).context("QEMUOPTS: a quote or backslash without its end")?);
    command.args(["-m", &options.memory, "-smp", &options.cpus.to_string()]);
    command.args([
        "-nodefaults",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
    ]);
    command.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
    command.arg("-serial").arg(format!("file:{}", log.display()));
    let folders = [
        ("nvmev-root", Path::new("/"), ",readonly=on,multidevs=remap"),
        ("nvmev-share", &share.path, ""),
    ];
    for (tag, folder, more) in folders {
        command.arg("-fsdev");
        command.arg(format!(
            "local,id={tag},security_model=none,path={}{more}",
            folder.display()
        ));
        command.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
    }
    if options.command.is_none() {
        command.args([
            "-chardev",
            "stdio,id=output,signal=off",
            "-device",
            "virtconsole,chardev=output",
        ]);
    } else {
        command.args(["-chardev", "file,id=output,path=/dev/fd/1"]);
        command.args(["-device", "virtserialport,chardev=output,name=nvmev.output"]);
    }
    command
        .arg("-kernel")
        .arg(&options.kernel.image)
        .arg("-initrd")
        .arg(initramfs);
    command.arg("-append").arg(format!(
        "console=ttyS0 earlyprintk=ttyS0 ignore_loglevel printk.devkmsg=on panic=-1 oops=panic {} {} {}",
        accelerator.kernel_parameters(),
        movable_memory(&options.modparams),
        options.append
    ));
    Ok(command)
}

/// Waits for the guest's end; false: its time is up.
fn wait(child: &mut Child, deadline: Option<Instant>) -> Result<bool> {
    loop {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Collects what the guest prints, and shows it if asked to.
fn relay(mut from: impl Read + Send + 'static, live: bool) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut collected = Vec::new();
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            collected.extend_from_slice(bytes);
            if live {
                let mut stdout = std::io::stdout().lock();
                if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
                    // Nobody listens any more; the guest may still have something to finish.
                    continue;
                }
            }
        }
        collected
    })
}

/// The terminal's settings, put back however QEMU ended.
struct Terminal(Option<String>);

impl Terminal {
    fn remember() -> Self {
        let output = Command::new("stty").arg("-g").stdin(Stdio::inherit()).output();
        Self(
            output
                .ok()
                .filter(|o| o.status.success())
                .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()),
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            if let Err(error) = Command::new("stty").arg(settings).status() {
                eprintln!("cannot put the terminal's settings back: {error}");
            }
        }
    }
}

/// Runs a person's `make vm`: shows everything, and gives the status to end with.
///
/// # Errors
/// As [`run`].
pub fn run_for_person(options: &VmOptions) -> Result<i32> {
    if options.command.is_none() && !std::io::stdin().is_terminal() {
        bail!("an interactive shell needs a terminal; give a command with CMD='...'");
    }
    let outcome = run(options)?;
    let trouble = outcome.trouble();
    if !trouble.is_empty() {
        eprint!("{trouble}");
        eprintln!(
            "All of the kernel's messages: {}",
            paths::cache()?.join("last-kernel.log").display()
        );
    }
    Ok(outcome.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_the_cpus_that_the_module_is_to_use() {
        assert_eq!(cpus_for("size=1G cpus=1-2,5 debug=1"), 6);
        assert_eq!(cpus_for("size=1G cpus=0"), 1);
        // What the module will refuse or choose by itself is no reason for more.
        assert_eq!(cpus_for("size=1G"), 1);
        assert_eq!(cpus_for("cpus=one"), 1);
        assert_eq!(cpus_for("cpus=1,4294967295"), 1);
    }

    #[test]
    fn a_person_s_number_of_cpus_holds_and_without_one_there_are_enough() {
        let guest = |cpus: &str| GuestArguments {
            kver: None,
            cpus: parse_cpu_count(cpus).unwrap(),
            mem: String::new(),
            append: String::new(),
            qemuopts: String::new(),
        };
        let for_two = ["size=1G cpus=1,2", "size=1G cpus=1,2,3"];
        assert_eq!(guest("").cpus(&for_two[..1]), 3);
        assert_eq!(guest("").cpus(&for_two), 4);
        assert_eq!(guest("").cpus(&[""]), 3);
        assert_eq!(guest("2").cpus(&for_two), 2);
        for wrong in ["0", "-1", "two"] {
            assert!(parse_cpu_count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn memory_is_for_the_larger_of_two_drives() {
        assert_eq!(larger("size=1G a=1", "size=2G"), "size=2G");
        assert_eq!(larger("size=8G", "memmap_start=4G memmap_size=1G"), "size=8G");
        assert_eq!(larger("a=1", "a=2"), "a=1");
    }
}
