//! The telemetry logs (NVMe Base 2.0 §5.16.1.8, §5.16.1.9).
//!
//! What is captured is text, a name and a value in each line: data area 1 is about the controller, data area 2 has the namespaces besides, with what their
//! flash did, and data area 3 the I/O queues. Each area is filled up with newlines to a whole block. What does not fit is cut off, and the text then ends in
//! `...`. The host's log is captured when the host asks for it; the controller's when it fails (CSTS.CFS), once, until the host has read it.

use core::fmt;
use core::fmt::Write;

use nvme_spec::{HardwareErrorEvent, LogPageId, Status, TELEMETRY_BLOCK_BYTES, TELEMETRY_CREATE};
use zerocopy::IntoBytes;

use crate::admin::log_request::Request;
use crate::admin::page::put;
use crate::admin::state::telemetry::{Header, LOG_BYTES};
use crate::core::Core;
use crate::host::HostMemory;

const CUT_OFF: &[u8] = b"...\n";
const REASON_OF_HOST: &[u8] = b"the host asked for it";
const REASON_OF_CONTROLLER: &[u8] = b"the controller failed";

/// Sends what is asked for of a telemetry log, after capturing it if the host wants that.
pub(crate) fn send_telemetry<H: HostMemory>(
    core: &mut Core,
    request: &Request,
    now_ns: u64,
    host: &H,
) -> Result<(), Status> {
    let block_bytes = TELEMETRY_BLOCK_BYTES;
    let is_aligned = request.offset % block_bytes as u64 == 0 && request.len_bytes % block_bytes == 0;
    if !is_aligned || request.offset >= LOG_BYTES as u64 {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let log = request.log;
    if log == LogPageId::TELEMETRY_HOST_INITIATED && request.specific & TELEMETRY_CREATE != 0 {
        capture(core, log, REASON_OF_HOST, now_ns);
    }
    let header = core.admin.telemetry.header(log);
    let (bytes, _) = core.admin.telemetry.log_mut(log);
    put(bytes, 0, header.as_bytes());
    request.send(bytes, host)?;
    if log == LogPageId::TELEMETRY_CONTROLLER_INITIATED && !request.retains_event {
        core.admin.telemetry.acknowledge();
    }
    Ok(())
}

/// Records that the controller has failed, and captures its state; what was captured before stays until a host has acknowledged it.
pub(crate) fn capture_failure(core: &mut Core, now_ns: u64) {
    let event = HardwareErrorEvent {
        code: HardwareErrorEvent::CONTROLLER_FATAL_STATUS.into(),
        ..HardwareErrorEvent::zeroed()
    };
    core.admin.record(&event, now_ns);
    if !core.admin.telemetry.is_available() {
        core.admin.telemetry.is_available = true;
        let log = LogPageId::TELEMETRY_CONTROLLER_INITIATED;
        capture(core, log, REASON_OF_CONTROLLER, now_ns);
    }
}

fn capture(core: &mut Core, captured: LogPageId, reason: &'static [u8], now_ns: u64) {
    let mut bytes = core::mem::take(core.admin.telemetry.log_mut(captured).0);
    let data = bytes.get_mut(TELEMETRY_BLOCK_BYTES..).unwrap_or_default();
    data.fill(0);
    let mut blocks = Blocks { data, used: 0 };
    let last_blocks = [
        blocks.area(|text| write_controller(core, text, now_ns)),
        blocks.area(|text| write_namespaces(core, text)),
        blocks.area(|text| write_queues(core, text)),
    ];
    let (log, header) = core.admin.telemetry.log_mut(captured);
    *log = bytes;
    *header = Header {
        last_blocks,
        generation: header.generation.wrapping_add(1),
        reason,
    };
    let event = core.admin.telemetry.header(captured);
    core.admin.record(&event, now_ns);
}

fn write_controller(core: &Core, text: &mut impl Write, now_ns: u64) -> fmt::Result {
    let counters = &core.queue_set.io.counters;
    let (cc, csts) = (core.cc, core.csts);
    let revision = core.admin.firmware.running();
    let revision = core::str::from_utf8(&revision).unwrap_or_default().trim_end();
    writeln!(text, "firmware_revision {revision}")?;
    writeln!(text, "time_ns {now_ns}")?;
    writeln!(text, "powered_ns {}", core.admin.powered_ns(now_ns))?;
    writeln!(text, "power_cycles {}", core.admin.power_cycles)?;
    writeln!(text, "unsafe_shutdowns {}", core.admin.unsafe_shutdowns)?;
    writeln!(text, "cc {cc:#x}")?;
    writeln!(text, "csts {csts:#x}")?;
    writeln!(text, "workers {}", core.queue_set.links.len())?;
    writeln!(text, "errors {}", core.admin.error_log.count())?;
    writeln!(text, "read_commands {}", counters.read_commands)?;
    writeln!(text, "write_commands {}", counters.write_commands)?;
    writeln!(text, "read_bytes {}", counters.read_bytes)?;
    writeln!(text, "written_bytes {}", counters.written_bytes)?;
    writeln!(text, "busy_ns {}", counters.busy_ns)
}

fn write_namespaces(core: &Core, text: &mut impl Write) -> fmt::Result {
    for namespace in core.queue_set.io.namespaces.iter() {
        writeln!(text, "namespace {}", namespace.nsid)?;
        writeln!(text, "command_set {:?}", namespace.command_set())?;
        writeln!(text, "capacity_bytes {}", namespace.capacity_bytes())?;
        if let Some(report) = namespace.model.flash_report() {
            write!(text, "{report}")?;
        }
    }
    Ok(())
}

fn write_queues(core: &Core, text: &mut impl Write) -> fmt::Result {
    for queue in core.shared.statistics().io_queues() {
        writeln!(text, "queue {}", queue.queue)?;
        writeln!(text, "pending {}", queue.pending)?;
        writeln!(text, "in_flight {}", queue.in_flight)?;
        writeln!(text, "in_flight_max {}", queue.in_flight_max)?;
        writeln!(text, "dispatch_calls {}", queue.dispatch_calls)?;
        writeln!(text, "dispatched {}", queue.dispatched)?;
        writeln!(text, "bytes {}", queue.bytes)?;
    }
    Ok(())
}

/// Data blocks being filled with text.
struct Blocks<'a> {
    data: &'a mut [u8],
    used: usize,
}

impl Blocks<'_> {
    /// Adds what the next larger area has besides; returns the number of its last block, counted from 1.
    fn area(&mut self, write: impl FnOnce(&mut Self) -> fmt::Result) -> u16 {
        if write(self).is_err() {
            let at = self.data.len().saturating_sub(CUT_OFF.len());
            put(self.data, at, CUT_OFF);
        }
        let end = self.used.next_multiple_of(TELEMETRY_BLOCK_BYTES);
        self.data.get_mut(self.used..end).unwrap_or_default().fill(b'\n');
        self.used = end;
        (end / TELEMETRY_BLOCK_BYTES) as u16
    }
}

impl Write for Blocks<'_> {
    /// What does not fit is cut off.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.data.get_mut(self.used..).unwrap_or_default();
        let len = text.len().min(room.len());
        put(room, 0, text.as_bytes());
        self.used += len;
        if len == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_end_with_whole_blocks_and_what_does_not_fit_is_cut_off() {
        let mut data = [0; 3 * TELEMETRY_BLOCK_BYTES];
        let mut blocks = Blocks {
            data: &mut data,
            used: 0,
        };
        assert_eq!(blocks.area(|_| Ok(())), 0, "an empty one");
        assert_eq!(blocks.area(|text| writeln!(text, "first")), 1);
        let fill = |text: &mut Blocks<'_>| (0..200).try_for_each(|line| writeln!(text, "line {line}"));
        assert_eq!(blocks.area(fill), 3);
        assert_eq!(blocks.area(|text| writeln!(text, "more")), 3);
        assert!(data.starts_with(b"first\n\n\n"));
        assert!(data[TELEMETRY_BLOCK_BYTES..].starts_with(b"line 0\nline 1\n"));
        assert!(data.ends_with(b"...\n"));
    }
}
