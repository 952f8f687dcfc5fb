//! The PCI function, as sysfs and uio show it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::mapping::Mapping;

/// Offset of the Command register, and its bits (PCI Express Base 4.0 §7.5.1.1.3).
const COMMAND: u64 = 4;
const COMMAND_MEMORY_SPACE: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;

/// Where the list of capabilities begins, and two of them (§7.5.1.1.11, PCI Code and ID Assignment 1.11 §2).
const CAPABILITIES_POINTER: u64 = 0x34;
const POWER_MANAGEMENT: u8 = 0x01;
const EXPRESS: u8 = 0x10;
/// Device Control in the PCI Express capability, and Initiate Function Level Reset (§7.5.3.4).
const DEVICE_CONTROL: u64 = 8;
const FUNCTION_LEVEL_RESET: u16 = 1 << 15;
/// PMCSR in the power management capability (PCI Power Management 1.2 §3.2.4).
const POWER_CONTROL_STATUS: u64 = 4;
const D3HOT: u16 = 0b11;

/// How completions are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// By looking again and again.
    Poll,
    /// By the pin, through /dev/uioN.
    Interrupt,
}

/// A function that is bound to uio_pci_generic.
pub struct PciFunction {
    /// BAR 0.
    pub bar: Mapping,
    config: File,
    uio: File,
    wait: Wait,
    /// Interrupts that came.
    pub interrupts: u32,
}

impl PciFunction {
    /// Opens a function by its name, for example `0001:10:00.0`, and switches it on.
    ///
    /// # Errors
    /// What is missing.
    pub fn open(name: &str, wait: Wait) -> Result<Self, String> {
        let folder = Path::new("/sys/bus/pci/devices").join(name);
        let uio = uio_device(&folder)?;
        let open = |path: &Path| {
            let file = OpenOptions::new().read(true).write(true).open(path);
            file.map_err(|error| format!("{}: {error}", path.display()))
        };
        let resource = folder.join("resource0");
        let bar_bytes =
            fs::metadata(&resource).map_err(|error| format!("{}: {error}", resource.display()))?;
        let bar = Mapping::of_file(&resource, 0, bar_bytes.len() as usize)
            .map_err(|error| format!("{}: {error}", resource.display()))?;
        let mut function = Self {
            bar,
            config: open(&folder.join("config"))?,
            uio: open(&uio)?,
            wait,
            interrupts: 0,
        };
        function.switch_on().map_err(|error| error.to_string())?;
        Ok(function)
    }

    /// Lets the function answer, reach memory, and pull its pin if that is wanted.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn switch_on(&mut self) -> io::Result<()> {
        let pin = match self.wait {
            Wait::Poll => COMMAND_INTX_DISABLE,
            Wait::Interrupt => 0,
        };
        let command = COMMAND_MEMORY_SPACE | COMMAND_BUS_MASTER | pin;
        self.write_config(COMMAND, command)
    }

    /// Keeps the function from beginning accesses to memory.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take_bus(&self) -> io::Result<()> {
        self.write_config(COMMAND, COMMAND_MEMORY_SPACE)
    }

    /// Puts the function to sleep.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter_d3hot(&self) -> io::Result<()> {
        self.write_config(self.capability(POWER_MANAGEMENT)? + POWER_CONTROL_STATUS, D3HOT)
    }

    /// Wakes it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter_d0(&self) -> io::Result<()> {
        self.write_config(self.capability(POWER_MANAGEMENT)? + POWER_CONTROL_STATUS, 0)?;
        // What the function may take (§4.2 there).
        std::thread::sleep(Duration::from_millis(10));
        Ok(())
    }

    /// Begins a function level reset.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reset(&self) -> io::Result<()> {
        self.write_config(self.capability(EXPRESS)? + DEVICE_CONTROL, FUNCTION_LEVEL_RESET)
    }

    /// Whether the function answers.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn answers(&self) -> io::Result<bool> {
        Ok(self.read_config(0)? != 0xFFFF)
    }

    fn capability(&self, wanted: u8) -> io::Result<u64> {
        let mut pointer = self.read_config(CAPABILITIES_POINTER)? as u8;
        while pointer != 0 {
            let [id, next] = self.read_config(pointer.into())?.to_le_bytes();
            if id == wanted {
                return Ok(pointer.into());
            }
            pointer = next;
        }
        Err(io::Error::other(format!(
            "the function has no capability {wanted:#x}"
        )))
    }

    fn read_config(&self, offset: u64) -> io::Result<u16> {
        let mut bytes = [0; 2];
        self.config.read_exact_at(&mut bytes, offset)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn write_config(&self, offset: u64, value: u16) -> io::Result<()> {
        self.config.write_all_at(&value.to_le_bytes(), offset)
    }

    /// Waits a moment, or for an interrupt; false if there was none in time.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&mut self, limit: Duration) -> io::Result<bool> {
        if self.wait == Wait::Poll {
            std::thread::yield_now();
            return Ok(true);
        }
        // The kernel's handler has disabled the pin. If there is something to tell still, it is pulled at once.
        self.switch_on()?;
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        if poll(&mut [PollFd::new(&self.uio, PollFlags::IN)], Some(&limit))? == 0 {
            return Ok(false);
        }
        // The number of interrupts so far.
        let mut count = [0; 4];
        self.uio.read_exact(&mut count)?;
        self.interrupts += 1;
        Ok(true)
    }
}

/// The uio device of a function.
fn uio_device(folder: &Path) -> Result<PathBuf, String> {
    let unbound = |error| {
        format!(
            "{} has no uio device ({error}): bind it to uio_pci_generic",
            folder.display()
        )
    };
    let mut entries = fs::read_dir(folder.join("uio")).map_err(|error| unbound(error.to_string()))?;
    match entries.next() {
        Some(Ok(entry)) => Ok(Path::new("/dev").join(entry.file_name())),
        _ => Err(unbound("an empty folder".to_owned())),
    }
}
