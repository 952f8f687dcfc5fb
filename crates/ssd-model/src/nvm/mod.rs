//! A low-latency drive without flash behind it (MODELS.md §4).
//!
//! The namespace is dealt in units of `2^io_unit_shift` bytes to `io_units` I/O units, round-robin. A command starts
//! when the unit of its first byte is free, then works through its data one unit's worth at a time.
//!
//! Not modelled: media wear, caches, the link to the host, and units working on one command in parallel.

mod shared;
#[cfg(test)]
mod tests;
mod timing;
mod units;

use alloc::vec::Vec;

use ssd_profile::{NvmParameters, IO_UNITS};

use crate::table::table;
use crate::{Accepted, Command, Model, Refusal, SetupError};

pub use shared::SharedUnits;
use timing::time;

/// The model of MODELS.md §4.
#[derive(Clone, Debug)]
pub struct NvmModel {
    parameters: NvmParameters,
    /// Time until which each I/O unit is busy, ns. As long as the largest number of units, so that a change of
    /// parameters allocates nothing; units beyond `parameters.io_units` are not used.
    busy_until_ns: Vec<u64>,
}

impl NvmModel {
    /// An idle drive.
    ///
    /// # Errors
    /// [`SetupError`] when a parameter is out of range or there is no memory for the table of I/O units.
    pub fn new(parameters: NvmParameters) -> Result<Self, SetupError> {
        parameters.validate()?;
        let io_units_max = *IO_UNITS.end() as usize;
        let busy_until_ns = table(io_units_max, 0)?;
        Ok(Self {
            parameters,
            busy_until_ns,
        })
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &NvmParameters {
        &self.parameters
    }

    /// Puts `parameters` in force for the commands that follow; commands already timed keep their times. With another
    /// number or size of I/O units all units are idle again, because they stand for other addresses then. Allocates
    /// nothing.
    ///
    /// Whoever takes parameters from a user calls [`NvmParameters::validate`] first, for the message. Parameters that
    /// it refuses change nothing here.
    pub fn set_parameters(&mut self, parameters: NvmParameters) {
        if parameters.validate().is_err() {
            return;
        }
        let old = self.parameters;
        if (old.io_units, old.io_unit_shift) != (parameters.io_units, parameters.io_unit_shift) {
            self.busy_until_ns.fill(0);
        }
        self.parameters = parameters;
    }

    /// Time until which each I/O unit is busy, ns: the whole timing state, for tests and for looking inside.
    pub fn busy_until_ns(&self) -> &[u64] {
        // `validate` bounds io_units by the table's length.
        &self.busy_until_ns[..self.parameters.io_units as usize]
    }

    /// Lets `shared` go on where the model is, until [`NvmModel::take_back`].
    pub fn share(&self, shared: &SharedUnits) {
        shared.start_from(self.busy_until_ns());
    }

    /// Goes on where `shared` is. Its threads have stopped.
    pub fn take_back(&mut self, shared: &SharedUnits) {
        let io_units = self.parameters.io_units as usize;
        let units = self.busy_until_ns.iter_mut().take(io_units);
        for (unit, busy_until_ns) in units.zip(shared.busy_until_ns()) {
            *unit = busy_until_ns;
        }
    }
}

impl Model for NvmModel {
    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal> {
        // `validate` bounds io_units by the table's length.
        let units = &mut self.busy_until_ns[..self.parameters.io_units as usize];
        time(&self.parameters, units, now_ns, command)
    }
}
