//! The driver's half of shadow doorbells (NVMe Base 2.0 annex B.5).

use nvme_spec::registers::{sq_tail_doorbell, DOORBELLS};

use super::Machine;

/// When a driver that writes shadow doorbells rings the register, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// It trusts in the device's looking at the shadow.
    Never,
    /// If the value passes the EventIdx, as the specification words it.
    WhenPassed,
    /// If the value passes the EventIdx modulo 2^16, as the Linux driver compares.
    WhenPassedModulo,
    /// Each time.
    Always,
}

/// Buffers that the device was told of.
#[derive(Clone, Copy, Debug)]
pub struct ShadowDoorbells {
    /// Address of the shadow doorbells.
    pub shadows: u64,
    /// Address of the EventIdx values.
    pub event_indices: u64,
    /// When to ring.
    pub ring: Ring,
    /// Whether the admin queue has shadows, too. The drivers of Linux and SPDK ring its registers only.
    pub has_admin_queue: bool,
    /// How often the register was rung.
    pub rung: u64,
}

impl ShadowDoorbells {
    /// Whether the doorbell that is at `register` in the BAR has a shadow.
    pub fn has(&self, register: usize) -> bool {
        self.has_admin_queue || register >= sq_tail_doorbell(1)
    }

    /// Writes `value` to the shadow of the doorbell that is at `register` in the BAR; whether to ring.
    pub fn write(&mut self, machine: &Machine, register: usize, value: u32) -> bool {
        let offset = (register - DOORBELLS) as u64;
        let word = |address| u32::from_le_bytes(machine.ram(address, 4).try_into().expect("4 bytes"));
        let old = word(self.shadows + offset);
        machine.set_ram(self.shadows + offset, &value.to_le_bytes());
        let event_index = word(self.event_indices + offset);
        let rings = match self.ring {
            Ring::Never => false,
            Ring::WhenPassed => old <= event_index && value > event_index,
            Ring::WhenPassedModulo => {
                let [old, value, event_index] = [old, value, event_index].map(|index| index as u16);
                value.wrapping_sub(event_index).wrapping_sub(1) < value.wrapping_sub(old)
            }
            Ring::Always => true,
        };
        self.rung += u64::from(rings);
        rings
    }
}
