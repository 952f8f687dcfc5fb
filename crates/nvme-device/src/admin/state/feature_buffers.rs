//! Features whose value is in a buffer: Autonomous Power State Transition and Host Behavior Support (NVMe Base 2.0 §5.27.1.9 and §5.27.1.18); and the
//! power states that there are.
//!
//! Power states change nothing about how long a command takes: what is timed is the profile's drive while it is in use. A host can ask for any of them, and
//! have the controller change by itself after some idle time, as Linux does at once.

use nvme_spec::{
    PowerStateDescriptor, PowerTransition, Status, HOST_BEHAVIOR_BYTES, POWER_STATE_IS_NON_OPERATIONAL,
    POWER_TRANSITION_BYTES,
};
use zerocopy::FromZeros;

use crate::data_pointer::DataPointer;
use crate::host::HostMemory;

/// Maximum power in 0.01 W, whether the state is non-operational, and its entry and exit latencies, µs. State 0 has the most that a slot gives
/// without negotiation.
const POWER_STATES: [(u16, bool, u32, u32); 3] = [
    (2500, false, 0, 0),
    (50, true, 500, 1_000),
    (5, true, 2_000, 8_000),
];

/// NPSS: the last power state.
pub(crate) const LAST_POWER_STATE: u8 = POWER_STATES.len() as u8 - 1;

/// Whether commands can be processed in power state `state` only after leaving it; nothing if there is none such.
fn is_non_operational(state: usize) -> Option<bool> {
    POWER_STATES.get(state).map(|&(_, is_idle, ..)| is_idle)
}

/// Fills in the descriptors.
pub(crate) fn describe_power_states(descriptors: &mut [PowerStateDescriptor]) {
    for (slot, (power, is_idle, entry_us, exit_us)) in descriptors.iter_mut().zip(POWER_STATES) {
        *slot = PowerStateDescriptor {
            maximum_power_centiwatts: power.into(),
            flags: if is_idle {
                POWER_STATE_IS_NON_OPERATIONAL
            } else {
                0
            },
            entry_latency_us: entry_us.into(),
            exit_latency_us: exit_us.into(),
            ..PowerStateDescriptor::new_zeroed()
        };
    }
}

/// Autonomous Power State Transition. Neither it nor Host Behavior Support can be saved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerTransitions {
    is_enabled: bool,
    table: [u8; POWER_TRANSITION_BYTES],
}

impl PowerTransitions {
    /// Disabled, without transitions.
    pub const DEFAULT: Self = Self {
        is_enabled: false,
        table: [0; POWER_TRANSITION_BYTES],
    };

    /// Takes the host's table, and whether it is to be used.
    ///
    /// # Errors
    /// Invalid Field for a transition to a state that is not there or is no idle one; nothing has changed then.
    pub fn set<H: HostMemory>(&mut self, cdw11: u32, pointer: DataPointer, host: &H) -> Result<(), Status> {
        if cdw11 & !1 != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let mut table = [0; POWER_TRANSITION_BYTES];
        pointer.read(host, &mut table)?;
        for transition in table.chunks_exact(8) {
            let dword = transition
                .iter()
                .take(4)
                .rev()
                .fold(0u32, |dword, byte| dword << 8 | u32::from(*byte));
            let transition = PowerTransition(dword);
            if transition.idle_ms() > 0 && is_non_operational(transition.state().into()) != Some(true) {
                return Err(Status::INVALID_FIELD_IN_COMMAND);
            }
        }
        *self = Self {
            is_enabled: cdw11 != 0,
            table,
        };
        Ok(())
    }

    /// Sends the table to the host; the result is dword 0.
    pub fn get<H: HostMemory>(&self, pointer: DataPointer, host: &H) -> Result<u32, Status> {
        pointer.write(host, &self.table, self.table.len())?;
        Ok(self.is_enabled.into())
    }
}

/// Host Behavior Support: what the host says of itself, in the bytes that have a meaning. Nothing here depends on it: no command is ended with a retry
/// delay (CRDT is 0), and there are no extended LBA formats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostBehavior([u8; 3]);

impl HostBehavior {
    /// A host that has said nothing.
    pub const DEFAULT: Self = Self([0; 3]);

    /// Takes what the host says: Advanced Command Retry Enable, Extended Telemetry Data Area 4 Supported, LBA Format Extension Enable.
    ///
    /// # Errors
    /// Invalid Field for a value without meaning; nothing has changed then.
    pub fn set<H: HostMemory>(&mut self, pointer: DataPointer, host: &H) -> Result<(), Status> {
        let mut bytes = [0; HOST_BEHAVIOR_BYTES];
        pointer.read(host, &mut bytes)?;
        let [retry, telemetry, formats, ..] = bytes;
        let said = [retry, telemetry, formats];
        if said.iter().any(|&byte| byte > 1) {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        *self = Self(said);
        Ok(())
    }

    /// Sends it to the host.
    pub fn get<H: HostMemory>(&self, pointer: DataPointer, host: &H) -> Result<u32, Status> {
        pointer.write(host, &self.0, HOST_BEHAVIOR_BYTES)?;
        Ok(0)
    }
}
