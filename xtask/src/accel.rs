//! Whether KVM works here. That /dev/kvm opens says little: inside another VM a guest may die at once, or never say a word.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::kernels::Kernel;
use crate::paths;

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU, in software; some twenty times slower.
    Emulation,
}

impl Accelerator {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Accelerator::Kvm => "KVM",
            Accelerator::Emulation => "emulation",
        }
    }

    /// QEMU's options for it.
    pub fn options(self, interrupt_remapping: bool) -> [&'static str; 4] {
        match self {
            // An emulated IOMMU can remap interrupts only where QEMU has the I/O APIC.
            Accelerator::Kvm if interrupt_remapping => ["-accel", "kvm,kernel-irqchip=split", "-cpu", "host"],
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Accelerator::Emulation => ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"],
        }
    }

    /// What the guest's kernel is told about it.
    pub fn kernel_parameters(self) -> &'static str {
        match self {
            Accelerator::Kvm => "",
            // Under emulation the clocksource watchdog finds the clock wanting and patches kernel text while other
            // CPUs run it, which kills the guest ("Oops: int3"); so does the switch to tickless idling. Mitigations cost
            // much and protect nobody. On a busy host the timer's interrupts come too late for the kernel's check at boot,
            // which ends in a panic where interrupts are remapped.
            Accelerator::Emulation => "tsc=reliable nowatchdog nohz=off mitigations=off no_timer_check",
        }
    }
}

/// Finds out, once per boot of this machine, by running a guest.
///
/// # Errors
/// If the answer cannot be kept.
pub fn probe(kernel: &Kernel) -> Result<Accelerator> {
    if OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Emulation);
    }
    let boot_id =
        fs::read_to_string("/proc/sys/kernel/random/boot_id").context("cannot tell one boot from another")?;
    let remembered = paths::cache()?.join("kvm");
    let text = fs::read_to_string(&remembered).unwrap_or_default();
    if let Some(answer) = text.strip_prefix(&boot_id) {
        return Ok(if answer == "works" {
            Accelerator::Kvm
        } else {
            Accelerator::Emulation
        });
    }
    eprintln!("==> finding out whether KVM works here, once");
    let works = tiny_guest_ends()? && kernel_speaks(kernel)?;
    eprintln!(
        "    it {}",
        if works {
            "does"
        } else {
            "does not: guests run under emulation, which is slow"
        }
    );
    fs::write(
        &remembered,
        format!("{boot_id}{}", if works { "works" } else { "fails" }),
    )?;
    Ok(if works {
        Accelerator::Kvm
    } else {
        Accelerator::Emulation
    })
}

fn qemu() -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(Accelerator::Kvm.options(false)).args([
        "-smp",
        "2",
        "-m",
        "512M",
        "-display",
        "none",
        "-nodefaults",
    ]);
    command
        .args(["-no-reboot"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A boot sector that ends the guest with a status that nothing else gives.
fn tiny_guest_ends() -> Result<bool> {
    // mov dx,0xf4; mov al,0x10; out dx,al; hlt; jmp back to the hlt. The device turns 0x10 into the status 0x21.
    const CODE: [u8; 9] = [0xba, 0xf4, 0x00, 0xb0, 0x10, 0xee, 0xf4, 0xeb, 0xfd];
    const STATUS: i32 = 0x21;
    let mut sector = [0; 512];
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let image = paths::cache()?.join(format!("boot-sector-{}", std::process::id()));
    fs::write(&image, sector)?;
    let mut command = qemu();
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive"]);
    command.arg(format!("file={},format=raw,if=ide", image.display()));
    let status = within(command, Duration::from_secs(5));
    fs::remove_file(&image)?;
    Ok(status? == Some(STATUS))
}

/// A real kernel without a root file system: it should print, give up and restart.
fn kernel_speaks(kernel: &Kernel) -> Result<bool> {
    let log = paths::cache()?.join(format!("kvm-log-{}", std::process::id()));
    let mut command = qemu();
    command
        .arg("-serial")
        .arg(format!("file:{}", log.display()))
        .arg("-kernel")
        .arg(&kernel.image);
    command.args(["-append", "console=ttyS0 panic=-1"]);
    let status = within(command, Duration::from_secs(30));
    let spoke = fs::read_to_string(Path::new(&log)).is_ok_and(|text| text.contains("Linux version"));
    fs::remove_file(&log).or_else(|error| if log.exists() { Err(error) } else { Ok(()) })?;
    Ok(status?.is_some() && spoke)
}

/// Runs `command` for at most `limit`; its exit status, if it ended by itself with one.
fn within(mut command: Command, limit: Duration) -> Result<Option<i32>> {
    let mut child: Child = command.spawn().context("cannot start qemu-system-x86_64")?;
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
