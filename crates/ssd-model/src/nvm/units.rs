//! Times until which I/O units are busy: of one owner, or of several threads that time commands at once.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ssd_profile::{NvmParameters, IO_UNITS};

use super::{time, NvmModel};
use crate::table::room;
use crate::{Accepted, Command, Refusal, SetupError};

/// Access to the time until which each unit is busy, ns.
pub(super) trait Units {
    /// Changes the time of a unit to what `change` makes of it; the result is what it was. The unit is one of those that the parameters in force have.
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64;

    /// The latest time of all units.
    fn latest_ns(&self) -> u64;
}

impl Units for [u64] {
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64 {
        let before_ns = self[unit];
        self[unit] = change(before_ns);
        before_ns
    }

    fn latest_ns(&self) -> u64 {
        self.iter().copied().max().unwrap_or(0)
    }
}

/// A unit's time, in cache lines of its own: threads that use different units do not wait for each other.
#[derive(Debug)]
#[repr(align(128))]
struct Unit(AtomicU64);

impl Units for &[Unit] {
    fn update(&mut self, unit: usize, change: impl Fn(u64) -> u64) -> u64 {
        // Nothing else is told by these times, so no order is needed.
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        match self[unit]
            .0
            .fetch_update(set, fetch, |busy_until_ns| Some(change(busy_until_ns)))
        {
            Ok(before_ns) | Err(before_ns) => before_ns,
        }
    }

    fn latest_ns(&self) -> u64 {
        let times = self.iter().map(|unit| unit.0.load(Ordering::Relaxed));
        times.max().unwrap_or(0)
    }
}

/// The units of a drive that several threads time commands of at once, each without waiting for the others.
///
/// A unit's time only ever is what some order of the commands gives it: each looks at its first unit and takes it in one step. With one thread it is
/// what [`NvmModel`] says.
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
}

impl NvmModel {
    /// Lets `shared` go on where the model is, until [`NvmModel::take_back`].
    pub fn share(&self, shared: &SharedUnits) {
        for (unit, &busy_until_ns) in shared.busy_until_ns.iter().zip(self.busy_until_ns()) {
            unit.0.store(busy_until_ns, Ordering::Relaxed);
        }
    }

    /// Goes on where `shared` is. Its threads have stopped.
    pub fn take_back(&mut self, shared: &SharedUnits) {
        let io_units = self.parameters.io_units as usize;
        let units = self.busy_until_ns.iter_mut().take(io_units);
        for (busy_until_ns, unit) in units.zip(&shared.busy_until_ns) {
            *busy_until_ns = unit.0.load(Ordering::Relaxed);
        }
    }
}
