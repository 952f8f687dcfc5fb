//! I/O units that several threads time commands of at once.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ssd_profile::{NvmParameters, IO_UNITS};

use super::timing::time;
use super::units::Unit;
use crate::table::room;
use crate::{Accepted, Command, Refusal, SetupError};

/// The units of a drive that several threads time commands of at once, each without waiting for the others.
///
/// A unit's time only ever is what some order of the commands gives it: each looks at its first unit and takes it in one step. With one thread it is
/// what [`NvmModel`](super::NvmModel) says.
#[derive(Debug)]
pub struct SharedUnits {
    busy_until_ns: Vec<Unit>,
}

impl SharedUnits {
    /// Idle ones, as many as there can be.
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, SetupError> {
        let units = *IO_UNITS.end() as usize;
        let mut busy_until_ns = room(units)?;
        busy_until_ns.resize_with(units, || Unit(AtomicU64::new(0)));
        Ok(Self { busy_until_ns })
    }

    /// Times `command` at `now_ns`, with `parameters` that are those of the model the units came from.
    ///
    /// # Errors
    /// As [`crate::Model::submit`].
    pub fn submit(
        &self,
        parameters: &NvmParameters,
        now_ns: u64,
        command: &Command,
    ) -> Result<Accepted, Refusal> {
        let units = self.busy_until_ns.get(..parameters.io_units as usize);
        time(
            parameters,
            &mut units.unwrap_or(&self.busy_until_ns),
            now_ns,
            command,
        )
    }

    /// Goes on from these times, one of each unit, ns.
    pub(super) fn start_from(&self, busy_until_ns: &[u64]) {
        for (unit, &busy_until_ns) in self.busy_until_ns.iter().zip(busy_until_ns) {
            unit.0.store(busy_until_ns, Ordering::Relaxed);
        }
    }

    /// Until when each unit is busy, ns. No thread uses them meanwhile.
    pub(super) fn busy_until_ns(&self) -> impl Iterator<Item = u64> + '_ {
        self.busy_until_ns
            .iter()
            .map(|unit| unit.0.load(Ordering::Relaxed))
    }
}
