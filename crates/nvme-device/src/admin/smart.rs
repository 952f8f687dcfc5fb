//! The SMART / Health log (NVMe Base 2.0 §5.16.1.3).

use nvme_spec::{SmartLog, Status, NSID_BROADCAST};

use crate::core::Core;
use crate::limits::NANOSECONDS_PER_HOUR;

const NANOSECONDS_PER_MINUTE: u64 = 60_000_000_000;

/// The log of the controller, or of a namespace (Identify LPA bit 0): of that are data units and commands.
pub(crate) fn smart_log_of(core: &Core, nsid: u32, now_ns: u64) -> Result<SmartLog, Status> {
    let log = smart_log(core, now_ns);
    if matches!(nsid, 0 | NSID_BROADCAST) {
        return Ok(log);
    }
    core.queue_set.io.namespaces.attached(nsid)?;
    let counters = core.queue_set.io.counters_of(nsid);
    Ok(SmartLog {
        data_units_read: thousands(counters.read_bytes),
        data_units_written: thousands(counters.written_bytes),
        host_read_commands: number(counters.read_commands),
        host_write_commands: number(counters.write_commands),
        ..log
    })
}

pub(crate) fn smart_log(core: &Core, now_ns: u64) -> SmartLog {
    let counters = &core.queue_set.io.counters;
    let features = &core.admin.features;
    let powered_ns = core.admin.powered_ns(now_ns);
    SmartLog {
        critical_warning: if features.temperature_is_beyond_threshold() {
            SmartLog::WARNING_TEMPERATURE
        } else {
            0
        },
        composite_temperature_kelvin: features.temperature_kelvin().into(),
        available_spare_percent: 100,
        available_spare_threshold_percent: 10,
        data_units_read: thousands(counters.read_bytes),
        data_units_written: thousands(counters.written_bytes),
        host_read_commands: number(counters.read_commands),
        host_write_commands: number(counters.write_commands),
        controller_busy_minutes: number(counters.busy_ns / NANOSECONDS_PER_MINUTE),
        power_cycles: number(core.admin.power_cycles),
        power_on_hours: number(powered_ns / NANOSECONDS_PER_HOUR),
        unsafe_shutdowns: number(core.admin.unsafe_shutdowns),
        error_log_entries: number(core.admin.error_log.count()),
        ..SmartLog::zeroed()
    }
}

/// Data units: thousands of 512 bytes, rounded up.
fn thousands(bytes: u64) -> [u8; 16] {
    number((bytes / 512).div_ceil(1000))
}

fn number(value: u64) -> [u8; 16] {
    u128::from(value).to_le_bytes()
}
