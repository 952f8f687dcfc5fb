//! Power states of the function (PCI Power Management 1.2 §5.4, PCI Express Base 4.0 §5.3): D0 and D3hot.
//!
//! In D3hot a function answers configuration accesses only. The BAR is plain memory here, and a host can write to it at any time; so what it held
//! when the function left D0 is put back before the function is in D0 again: such writes never happened. PMCSR.No_Soft_Reset is set, so all else
//! goes on where it was.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::device::{table, SetupError};
use crate::BAR_SIZE_BYTES;

/// Whether the function sleeps, and what it must wake up with.
#[derive(Debug)]
pub(crate) struct Power {
    is_asleep: AtomicBool,
    registers: Vec<AtomicU32>,
}

impl Power {
    /// In D0.
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            is_asleep: AtomicBool::new(false),
            registers: table(BAR_SIZE_BYTES / 4, || AtomicU32::new(0))?,
        })
    }

    /// Whether the function is in D3hot.
    pub fn is_asleep(&self) -> bool {
        self.is_asleep.load(Ordering::Acquire)
    }

    /// Follows the state that the host has chosen, in the host's context: it may use the BAR as soon as it goes on.
    pub fn follow(&self, is_in_d0: bool, bar: &[AtomicU32]) {
        if is_in_d0 != self.is_asleep() {
            return;
        }
        for (kept, register) in self.registers.iter().zip(bar) {
            let (kept_value, value) = (kept.load(Ordering::Relaxed), register.load(Ordering::Relaxed));
            match is_in_d0 {
                true if kept_value != value => register.store(kept_value, Ordering::Release),
                true => {}
                false => kept.store(value, Ordering::Relaxed),
            }
        }
        self.is_asleep.store(!is_in_d0, Ordering::Release);
    }
}
