//! The telemetry logs (NVMe Base 2.0 §5.16.1.8, §5.16.1.9).
//!
//! What is captured is text, a name and a value in each line: data area 1 is about the controller, data area 2 has the namespaces besides, with what their
//! flash did, and data area 3 the I/O queues. Each area is filled up with newlines to a whole block. What does not fit is cut off, and the text then ends in
//! `...`. The host's log is captured when the host asks for it; the controller's when it fails (CSTS.CFS), once, until the host has read it.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use nvme_spec::{
    HardwareErrorEvent, LogPageId, Status, TelemetryHeader, TELEMETRY_BLOCK_BYTES, TELEMETRY_CREATE,
};
use zerocopy::IntoBytes;

use super::log_pages::Request;
use super::{put, AdminState};
use crate::controller::Controller;
use crate::device::{table, SetupError};
use crate::host::Host;

/// Header and blocks of one log.
const LOG_BYTES: usize = 64 << 10;
const _: () = assert!(LOG_BYTES % TELEMETRY_BLOCK_BYTES == 0);

const CUT_OFF: &[u8] = b"...\n";
const REASON_OF_HOST: &[u8] = b"the host asked for it";
const REASON_OF_CONTROLLER: &[u8] = b"the controller failed";

/// Both logs. All of it outlives every reset.
pub(crate) struct Telemetry {
    of_host: Vec<u8>,
    of_controller: Vec<u8>,
    host_header: Header,
    controller_header: Header,
    /// Telemetry Controller-Initiated Data Available: captured, and not read with an acknowledgement.
    is_available: bool,
    /// The controller has failed, and nothing was captured yet.
    has_failed: bool,
}

/// What a log's header says of its data.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    last_blocks: [u16; 3],
    /// Captures, wrapping.
    generation: u8,
    reason: &'static [u8],
}

impl Telemetry {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            of_host: table(LOG_BYTES, || 0)?,
            of_controller: table(LOG_BYTES, || 0)?,
            host_header: Header::default(),
            controller_header: Header::default(),
            is_available: false,
            has_failed: false,
        })
    }

    /// The controller has failed: its state is to be captured in this pass.
    pub fn note_failure(&mut self) {
        self.has_failed = true;
    }

    /// Whether the controller has failed since this was last asked.
    pub fn take_failure(&mut self) -> bool {
        core::mem::take(&mut self.has_failed)
    }

    /// Whether the controller has captured data that no host has acknowledged.
    pub fn is_available(&self) -> bool {
        self.is_available
    }

    /// A host has read the controller's log and wants no more of it.
    pub fn acknowledge(&mut self) {
        self.is_available = false;
    }

    fn log_mut(&mut self, log: LogPageId) -> (&mut Vec<u8>, &mut Header) {
        if log == LogPageId::TELEMETRY_HOST_INITIATED {
            (&mut self.of_host, &mut self.host_header)
        } else {
            (&mut self.of_controller, &mut self.controller_header)
        }
    }

    /// The header of a log, as it is now.
    fn header(&self, log: LogPageId) -> TelemetryHeader {
        let is_of_host = log == LogPageId::TELEMETRY_HOST_INITIATED;
        let header = if is_of_host {
            &self.host_header
        } else {
            &self.controller_header
        };
        let mut reason = [0; 128];
        put(&mut reason, 0, header.reason);
        TelemetryHeader {
            log_page_id: log.0,
            last_blocks: header.last_blocks.map(Into::into),
            host_generation: if is_of_host { header.generation } else { 0 },
            controller_data_available: self.is_available.into(),
            controller_generation: self.controller_header.generation,
            reason,
            ..TelemetryHeader::zeroed()
        }
    }
}

impl AdminState {
    /// Tells a host that wants to know it that there is a capture of the controller's.
    pub fn raise_telemetry_notice(&mut self) {
        if self.telemetry.is_available() && self.features.wants_telemetry_notices() {
            self.events.telemetry_log_changed();
        }
    }
}

impl Controller {
    /// Sends what is asked for of a telemetry log, after capturing it if the host wants that.
    pub(super) fn send_telemetry<H: Host>(
        &mut self,
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
            self.capture(log, REASON_OF_HOST, now_ns);
        }
        let header = self.admin.telemetry.header(log);
        let (bytes, _) = self.admin.telemetry.log_mut(log);
        put(bytes, 0, header.as_bytes());
        request.send(bytes, host)?;
        if log == LogPageId::TELEMETRY_CONTROLLER_INITIATED && !request.retains_event {
            self.admin.telemetry.acknowledge();
        }
        Ok(())
    }

    /// Records that the controller has failed, and captures its state; what was captured before stays until a host has acknowledged it.
    pub(crate) fn capture_failure(&mut self, now_ns: u64) {
        let event = HardwareErrorEvent {
            code: HardwareErrorEvent::CONTROLLER_FATAL_STATUS.into(),
            ..HardwareErrorEvent::zeroed()
        };
        self.admin.record(&event, now_ns);
        if !self.admin.telemetry.is_available() {
            self.admin.telemetry.is_available = true;
            let log = LogPageId::TELEMETRY_CONTROLLER_INITIATED;
            self.capture(log, REASON_OF_CONTROLLER, now_ns);
        }
    }

    fn capture(&mut self, captured: LogPageId, reason: &'static [u8], now_ns: u64) {
        let mut bytes = core::mem::take(self.admin.telemetry.log_mut(captured).0);
        let data = bytes.get_mut(TELEMETRY_BLOCK_BYTES..).unwrap_or_default();
        data.fill(0);
        let mut blocks = Blocks { data, used: 0 };
        let last_blocks = [
            blocks.area(|text| self.write_controller(text, now_ns)),
            blocks.area(|text| self.write_namespaces(text)),
            blocks.area(|text| self.write_queues(text)),
        ];
        let (log, header) = self.admin.telemetry.log_mut(captured);
        *log = bytes;
        *header = Header {
            last_blocks,
            generation: header.generation.wrapping_add(1),
            reason,
        };
        let event = self.admin.telemetry.header(captured);
        self.admin.record(&event, now_ns);
    }

    fn write_controller(&self, text: &mut impl Write, now_ns: u64) -> fmt::Result {
        let counters = &self.lane.io.counters;
        let (cc, csts) = self.configuration_and_status();
        let revision = self.admin.firmware.running();
        let revision = core::str::from_utf8(&revision).unwrap_or_default().trim_end();
        writeln!(text, "firmware_revision {revision}")?;
        writeln!(text, "time_ns {now_ns}")?;
        writeln!(text, "powered_ns {}", self.admin.powered_ns(now_ns))?;
        writeln!(text, "power_cycles {}", self.admin.power_cycles)?;
        writeln!(text, "unsafe_shutdowns {}", self.admin.unsafe_shutdowns)?;
        writeln!(text, "cc {cc:#x}")?;
        writeln!(text, "csts {csts:#x}")?;
        writeln!(text, "workers {}", self.lane.links.len())?;
        writeln!(text, "errors {}", self.admin.error_log.count())?;
        writeln!(text, "read_commands {}", counters.read_commands)?;
        writeln!(text, "write_commands {}", counters.write_commands)?;
        writeln!(text, "read_bytes {}", counters.read_bytes)?;
        writeln!(text, "written_bytes {}", counters.written_bytes)?;
        writeln!(text, "busy_ns {}", counters.busy_ns)
    }

    fn write_namespaces(&self, text: &mut impl Write) -> fmt::Result {
        for namespace in self.lane.io.namespaces.iter() {
            writeln!(text, "namespace {}", namespace.nsid)?;
            writeln!(text, "command_set {:?}", namespace.command_set())?;
            writeln!(text, "capacity_bytes {}", namespace.capacity_bytes())?;
            if let Some(report) = namespace.model.flash_report() {
                write!(text, "{report}")?;
            }
        }
        Ok(())
    }

    fn write_queues(&self, text: &mut impl Write) -> fmt::Result {
        for queue in self.shared.statistics().io_queues() {
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
