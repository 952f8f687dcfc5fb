//! The PCI configuration space of the function.
//!
//! Type 0 header, power management, MSI-X and PCI Express capabilities (PCI Express Base 4.0 §7.5). Reads and writes of
//! any offset and width are safe from any CPU and allocate nothing: the kernel calls them under a raw spinlock.

use crate::{BAR_SIZE_BYTES, VECTORS_MAX};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// PCI vendor of NVMeVirt, also the subsystem's.
pub const VENDOR_ID: u16 = 0x0c51;
/// PCI device of NVMeVirt, also the subsystem's.
pub const DEVICE_ID: u16 = 0x0110;
/// Offset of the MSI-X table in BAR0.
pub const MSIX_TABLE_OFFSET: u32 = 0x2000;
/// Offset of the MSI-X pending bit array in BAR0.
pub const MSIX_PBA_OFFSET: u32 = 0x3000;

/// Mass storage, non-volatile memory, NVMe I/O controller.
const CLASS_CODE: u32 = 0x01_08_02;
/// Dwords that have content; the rest of the 4 KiB reads as zero.
const DWORDS: usize = 64;
const SPACE_BYTES: u32 = 4096;

const COMMAND: usize = 0x04;
const CACHE_LINE: usize = 0x0C;
const BAR0: usize = 0x10;
const BAR1: usize = 0x14;
const SUBSYSTEM: usize = 0x2C;
const CAPABILITIES_POINTER: usize = 0x34;
const INTERRUPT: usize = 0x3C;
const POWER_MANAGEMENT: usize = 0x40;
const POWER_CONTROL_STATUS: usize = POWER_MANAGEMENT + 4;
const MSIX: usize = 0x50;
const EXPRESS: usize = 0x60;
const EXPRESS_DEVICE_CONTROL: usize = EXPRESS + 8;

const COMMAND_INTX_DISABLE: u32 = 1 << 10;
const COMMAND_WRITABLE: u32 = COMMAND_INTX_DISABLE | 1 << 8 | 1 << 6 | 1 << 2 | 1 << 1;
const STATUS_INTERRUPT: u32 = 1 << (16 + 3);
const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);
const BAR_64_BIT: u32 = 0b100;
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_FUNCTION_MASK: u32 = 1 << 30;
const EXPRESS_CONTROL_FLR: u32 = 1 << 15;

/// The configuration space. Writers must not race with each other (the kernel's config lock sees to that); readers may.
#[derive(Debug)]
pub struct ConfigSpace {
    dwords: [AtomicU32; DWORDS],
    /// There is something to tell by the pin.
    interrupt_pending: AtomicBool,
    function_level_reset: AtomicBool,
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigSpace {
    /// The space after power on, with no address in the BAR.
    pub fn new() -> Self {
        let space = Self {
            dwords: [const { AtomicU32::new(0) }; DWORDS],
            interrupt_pending: AtomicBool::new(false),
            function_level_reset: AtomicBool::new(false),
        };
        let set = |offset: usize, value: u32| space.store(offset, value);
        set(0x00, u32::from(VENDOR_ID) | u32::from(DEVICE_ID) << 16);
        set(COMMAND, STATUS_CAPABILITIES);
        set(0x08, CLASS_CODE << 8 | 1);
        set(BAR0, BAR_64_BIT);
        set(SUBSYSTEM, u32::from(VENDOR_ID) | u32::from(DEVICE_ID) << 16);
        set(CAPABILITIES_POINTER, POWER_MANAGEMENT as u32);
        set(INTERRUPT, 0x01 << 8); // INTA
                                   // Capability ID 01h, version 3: D0 and D3hot; PMCSR.No_Soft_Reset: state survives D3hot.
        set(POWER_MANAGEMENT, 0x01 | (MSIX as u32) << 8 | 3 << 16);
        set(POWER_CONTROL_STATUS, 1 << 3);
        // Capability ID 11h; the table size is 0's based; both structures are in BAR0.
        set(
            MSIX,
            0x11 | (EXPRESS as u32) << 8 | u32::from(VECTORS_MAX - 1) << 16,
        );
        set(MSIX + 4, MSIX_TABLE_OFFSET);
        set(MSIX + 8, MSIX_PBA_OFFSET);
        // Capability ID 10h, version 2, root complex integrated endpoint: there is no link above the function.
        set(EXPRESS, 0x10 | 2 << 16 | 9 << 20);
        // Role-based error reporting, function level reset.
        set(EXPRESS + 4, 1 << 15 | 1 << 28);
        space
    }

    /// Gives the BAR the physical address at which the shell has placed it.
    pub fn set_bar0(&self, address: u64) {
        self.store(BAR0, (address as u32 & bar_mask()) | BAR_64_BIT);
        self.store(BAR1, (address >> 32) as u32);
    }

    /// Reads `width_bytes` (1, 2 or 4) at `offset`. All ones where nothing is.
    pub fn read(&self, offset: u32, width_bytes: u32) -> u32 {
        let Some((dword, shift, mask)) = locate(offset, width_bytes) else {
            return u32::MAX;
        };
        let mut value = self.load(dword * 4);
        if dword * 4 == COMMAND && self.interrupt_pending() {
            value |= STATUS_INTERRUPT;
        }
        value >> shift & mask
    }

    /// Writes `width_bytes` (1, 2 or 4) at `offset`; read-only bits stay.
    pub fn write(&self, offset: u32, width_bytes: u32, value: u32) {
        let Some((dword, shift, mask)) = locate(offset, width_bytes) else {
            return;
        };
        let written = mask << shift;
        let value = (value & mask) << shift;
        if dword * 4 == EXPRESS_DEVICE_CONTROL && value & written & EXPRESS_CONTROL_FLR != 0 {
            self.reset();
            self.function_level_reset.store(true, Ordering::Release);
        }
        let writable = writable_bits(dword * 4) & written;
        self.store(dword * 4, self.load(dword * 4) & !writable | value & writable);
    }

    /// Whether the host has enabled MSI-X.
    pub fn msix_enabled(&self) -> bool {
        self.load(MSIX) & MSIX_ENABLE != 0
    }

    /// Whether the host has masked all vectors of the function at once.
    pub fn msix_masked(&self) -> bool {
        self.load(MSIX) & MSIX_FUNCTION_MASK != 0
    }

    /// Whether the host has switched pin-based interrupts off.
    pub fn intx_disabled(&self) -> bool {
        self.load(COMMAND) & COMMAND_INTX_DISABLE != 0
    }

    /// Status.Interrupt Status: whether there is something to tell by the pin, be it disabled or not.
    pub(crate) fn interrupt_pending(&self) -> bool {
        self.interrupt_pending.load(Ordering::Acquire)
    }

    pub(crate) fn set_interrupt_pending(&self) {
        self.interrupt_pending.store(true, Ordering::Release);
    }

    /// Clears it. What was posted before it was last set is seen by whoever looks after this.
    pub(crate) fn take_interrupt_pending(&self) {
        self.interrupt_pending.swap(false, Ordering::AcqRel);
    }

    /// Whether a function level reset was asked for since the last call.
    pub(crate) fn take_function_level_reset(&self) -> bool {
        self.function_level_reset.load(Ordering::Acquire)
            && self.function_level_reset.swap(false, Ordering::AcqRel)
    }

    /// What a function level reset does here, at once and in the writer's context: everything that the host configured is
    /// gone, but the BAR's address stays (the kernel restores it anyway, and the memory cannot move).
    fn reset(&self) {
        self.store(COMMAND, STATUS_CAPABILITIES);
        self.store(MSIX, self.load(MSIX) & !(MSIX_ENABLE | MSIX_FUNCTION_MASK));
    }

    fn load(&self, offset: usize) -> u32 {
        self.dwords
            .get(offset / 4)
            .map_or(0, |dword| dword.load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, value: u32) {
        if let Some(dword) = self.dwords.get(offset / 4) {
            dword.store(value, Ordering::Release);
        }
    }
}

/// Dword index, shift and mask of an access, if it is a natural one inside the space.
fn locate(offset: u32, width_bytes: u32) -> Option<(usize, u32, u32)> {
    let mask = match width_bytes {
        1 => 0xFF,
        2 => 0xFFFF,
        4 => u32::MAX,
        _ => return None,
    };
    if offset >= SPACE_BYTES || offset % width_bytes != 0 {
        return None;
    }
    Some((offset as usize / 4, offset % 4 * 8, mask))
}

const fn bar_mask() -> u32 {
    !(BAR_SIZE_BYTES as u32 - 1)
}

/// Bits of the dword at `offset` that a host can change.
const fn writable_bits(offset: usize) -> u32 {
    match offset {
        COMMAND => COMMAND_WRITABLE,
        CACHE_LINE | INTERRUPT => 0xFF,
        BAR0 => bar_mask(),
        BAR1 => u32::MAX,
        MSIX => MSIX_ENABLE | MSIX_FUNCTION_MASK,
        // PMCSR: power state and PME enable.
        POWER_CONTROL_STATUS => 0b11,
        // Device control, without the reset bit, which always reads as zero.
        EXPRESS_DEVICE_CONTROL => 0x7FFF,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_that_of_nvmevirt() {
        let space = ConfigSpace::new();
        assert_eq!(space.read(0, 4), 0x0110_0c51);
        assert_eq!(space.read(9, 1) | space.read(0xA, 2) << 8, 0x0001_0802);
        assert_eq!((space.read(0x2C, 2), space.read(0x2E, 2)), (0x0c51, 0x0110));
    }

    #[test]
    fn capabilities_are_a_list_that_ends() {
        let space = ConfigSpace::new();
        assert_ne!(space.read(6, 2) & 0x10, 0);
        let mut at = space.read(0x34, 1);
        let mut found = [0; 3];
        for id in &mut found {
            *id = space.read(at, 1);
            at = space.read(at + 1, 1);
        }
        assert_eq!((found, at), ([0x01, 0x11, 0x10], 0));
        assert_eq!(space.read(MSIX as u32 + 2, 2), 128);
    }

    #[test]
    fn sizing_the_bar_gives_its_size_and_the_address_can_be_restored() {
        let space = ConfigSpace::new();
        space.set_bar0(0x1_4000_0000);
        let (low, high) = (space.read(0x10, 4), space.read(0x14, 4));
        space.write(0x10, 4, u32::MAX);
        space.write(0x14, 4, u32::MAX);
        assert_eq!(
            (space.read(0x10, 4), space.read(0x14, 4)),
            (0xFFFF_C004, u32::MAX)
        );
        space.write(0x10, 4, low);
        space.write(0x14, 4, high);
        assert_eq!((space.read(0x10, 4), space.read(0x14, 4)), (0x4000_0004, 1));
    }

    #[test]
    fn odd_accesses_read_all_ones_and_change_nothing() {
        let space = ConfigSpace::new();
        for (offset, width) in [
            (1, 2),
            (2, 4),
            (4096, 4),
            (u32::MAX, 1),
            (0, 3),
            (0, 0),
            (4095, 2),
        ] {
            assert_eq!(space.read(offset, width), u32::MAX, "{offset}/{width}");
            space.write(offset, width, 0);
        }
        assert_eq!(space.read(0, 4), 0x0110_0c51);
        space.write(0, 4, 0);
        assert_eq!(space.read(0, 4), 0x0110_0c51);
        assert_eq!(space.read(0x100, 4), 0);
    }

    #[test]
    fn msix_and_intx_switches_follow_the_host() {
        let space = ConfigSpace::new();
        assert!(!space.msix_enabled() && !space.intx_disabled());
        space.write(MSIX as u32 + 2, 2, 0x8000);
        space.write(4, 2, 0x0406);
        assert!(space.msix_enabled() && !space.msix_masked() && space.intx_disabled());
        space.write(MSIX as u32 + 2, 2, 0xC000);
        assert!(space.msix_enabled() && space.msix_masked());
    }

    #[test]
    fn a_function_level_reset_is_seen_once_and_reads_as_zero() {
        let space = ConfigSpace::new();
        space.write(EXPRESS_DEVICE_CONTROL as u32, 2, 0x8000);
        assert_eq!(space.read(EXPRESS_DEVICE_CONTROL as u32, 2), 0);
        assert!(space.take_function_level_reset());
        assert!(!space.take_function_level_reset());
    }
}
