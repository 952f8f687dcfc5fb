//! The PCI configuration space of the function.
//!
//! Type 0 header, power management, MSI-X and PCI Express capabilities (PCI Express Base 4.0 §7.5). Reads and writes of
//! any offset and width are safe from any CPU and allocate nothing: the kernel may call them under a raw spinlock.

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
const COMMAND_BUS_MASTER: u32 = 1 << 2;
const COMMAND_WRITABLE: u32 = COMMAND_INTX_DISABLE | 1 << 8 | 1 << 6 | COMMAND_BUS_MASTER | 1 << 1;
const STATUS_INTERRUPT: u32 = 1 << (16 + 3);
const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);
const BAR_64_BIT: u32 = 0b100;
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_FUNCTION_MASK: u32 = 1 << 30;
const EXPRESS_CONTROL_FLR: u32 = 1 << 15;
/// Max_Payload_Size, which belongs to the link's partners together: a function level reset leaves it alone.
const EXPRESS_CONTROL_PAYLOAD: u32 = 0b111 << 5;
const POWER_STATE: u32 = 0b11;
const POWER_STATE_D0: u32 = 0;
const POWER_STATE_D3HOT: u32 = 3;
const POWER_NO_SOFT_RESET: u32 = 1 << 3;

/// The configuration space. Writers must not race with each other (the shell sees to that); readers may.
#[derive(Debug)]
pub struct ConfigSpace {
    dwords: [AtomicU32; DWORDS],
    /// There is something to tell by the pin.
    interrupt_pending: AtomicBool,
    function_level_reset: AtomicBool,
    /// Nobody is there to do a reset any more.
    has_failed: AtomicBool,
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
            has_failed: AtomicBool::new(false),
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
        set(POWER_CONTROL_STATUS, POWER_NO_SOFT_RESET);
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

    /// Reads `width_bytes` (1, 2 or 4) at `offset`. All ones where nothing is, and as long as a function level reset is not done: that is how a
    /// host finds out that it has to wait (PCI Express Base 4.0 §2.3.1, §6.6.2).
    pub fn read(&self, offset: u32, width_bytes: u32) -> u32 {
        let Some((dword, shift, mask)) = locate(offset, width_bytes) else {
            return u32::MAX;
        };
        if self.is_resetting() && !self.has_failed() {
            return mask;
        }
        let mut value = self.load(dword * 4);
        if dword * 4 == COMMAND && self.interrupt_pending() {
            value |= STATUS_INTERRUPT;
        }
        value >> shift & mask
    }

    /// Writes `width_bytes` (1, 2 or 4) at `offset`; read-only bits stay. A shell calls [`crate::Shared::write_config`].
    pub(crate) fn write(&self, offset: u32, width_bytes: u32, value: u32) {
        let Some((dword, shift, mask)) = locate(offset, width_bytes) else {
            return;
        };
        let offset = dword * 4;
        let (written, value) = (mask << shift, (value & mask) << shift);
        if offset == EXPRESS_DEVICE_CONTROL && value & EXPRESS_CONTROL_FLR != 0 {
            return self.reset();
        }
        let mut writable = writable_bits(offset) & written;
        let is_power_state = matches!(value & POWER_STATE, POWER_STATE_D0 | POWER_STATE_D3HOT);
        if offset == POWER_CONTROL_STATUS && !is_power_state {
            // A state that the function does not have is not entered (PCI Power Management 1.2 §3.2.4).
            writable &= !POWER_STATE;
        }
        self.store(offset, self.load(offset) & !writable | value & writable);
    }

    /// Whether the host has put the function into D0.
    pub(crate) fn is_in_d0(&self) -> bool {
        self.load(POWER_CONTROL_STATUS) & POWER_STATE == POWER_STATE_D0
    }

    /// Whether the host lets the function begin accesses to memory.
    pub(crate) fn is_bus_master(&self) -> bool {
        self.load(COMMAND) & COMMAND_BUS_MASTER != 0
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

    /// Whether the device has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    pub(crate) fn mark_failed(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    /// Whether a function level reset was asked for and is not done yet.
    pub(crate) fn is_resetting(&self) -> bool {
        self.function_level_reset.load(Ordering::Acquire)
    }

    /// It is done, but for what the caller does before the host can have noticed.
    pub(crate) fn end_function_level_reset(&self) {
        self.function_level_reset.store(false, Ordering::Release);
    }

    /// The beginning of a function level reset, at once and in the writer's context: everything that the host configured is gone, but the BAR's
    /// address stays (the kernel restores it anyway, and the memory cannot move). The controller does the rest.
    fn reset(&self) {
        // First: from now on nothing is read from or written to the host's memory.
        self.function_level_reset.store(true, Ordering::Release);
        self.interrupt_pending.store(false, Ordering::Release);
        self.store(COMMAND, STATUS_CAPABILITIES);
        for offset in [CACHE_LINE, INTERRUPT, MSIX, POWER_CONTROL_STATUS] {
            self.store(offset, self.load(offset) & !writable_bits(offset));
        }
        let control = self.load(EXPRESS_DEVICE_CONTROL);
        self.store(
            EXPRESS_DEVICE_CONTROL,
            control & !(writable_bits(EXPRESS_DEVICE_CONTROL) & !EXPRESS_CONTROL_PAYLOAD),
        );
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
        POWER_CONTROL_STATUS => POWER_STATE,
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
    fn a_function_level_reset_clears_what_the_host_set_and_answers_again_when_it_is_done() {
        let space = ConfigSpace::new();
        let fresh: [u32; 64] = core::array::from_fn(|index| space.read(index as u32 * 4, 4));
        space.write(COMMAND as u32, 2, 0x0406);
        space.write(CACHE_LINE as u32, 1, 0x10);
        space.write(INTERRUPT as u32, 1, 11);
        space.write(MSIX as u32 + 2, 2, 0xC000);
        space.write(POWER_CONTROL_STATUS as u32, 2, 3);
        space.write(EXPRESS_DEVICE_CONTROL as u32, 2, 0x283F);
        space.set_interrupt_pending();
        space.write(EXPRESS_DEVICE_CONTROL as u32, 2, 0x803F);
        assert!(space.is_resetting());
        assert_eq!((space.read(0, 4), space.read(4, 2)), (u32::MAX, 0xFFFF));
        space.end_function_level_reset();
        for (index, value) in (0u32..).zip(fresh) {
            let payload = if index * 4 == EXPRESS_DEVICE_CONTROL as u32 {
                0x20
            } else {
                0
            };
            assert_eq!(space.read(index * 4, 4), value | payload, "{:#x}", index * 4);
        }
    }

    #[test]
    fn power_states_that_the_function_does_not_have_are_not_entered() {
        let space = ConfigSpace::new();
        let control = POWER_CONTROL_STATUS as u32;
        for (written, state) in [(1, 0), (2, 0), (3, 3), (1, 3), (2, 3), (0xFFFF_FFFC, 0)] {
            space.write(control, 2, written);
            assert_eq!(space.read(control, 2), POWER_NO_SOFT_RESET | state, "{written}");
            assert_eq!(space.is_in_d0(), state == 0);
        }
        // The byte beside it says nothing about the state.
        space.write(control, 2, 3);
        space.write(control + 1, 1, 0);
        assert!(!space.is_in_d0());
    }
}
