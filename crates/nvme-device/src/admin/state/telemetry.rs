//! Captured telemetry (NVMe Base 2.0 §5.16.1.8, §5.16.1.9).

use alloc::vec::Vec;

use nvme_spec::{LogPageId, TelemetryHeader, TELEMETRY_BLOCK_BYTES};

use crate::admin::page::put;
use crate::setup::{table, SetupError};

/// Header and blocks of one log.
pub(crate) const LOG_BYTES: usize = 64 << 10;
const _: () = assert!(LOG_BYTES % TELEMETRY_BLOCK_BYTES == 0);

/// Both logs. All of it outlives every reset.
pub(crate) struct Telemetry {
    of_host: Vec<u8>,
    of_controller: Vec<u8>,
    host_header: Header,
    controller_header: Header,
    /// Telemetry Controller-Initiated Data Available: captured, and not read with an acknowledgement.
    pub is_available: bool,
    /// The controller has failed, and nothing was captured yet.
    has_failed: bool,
}

/// What a log's header says of its data.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    pub last_blocks: [u16; 3],
    /// Captures, wrapping.
    pub generation: u8,
    pub reason: &'static [u8],
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

    pub fn log_mut(&mut self, log: LogPageId) -> (&mut Vec<u8>, &mut Header) {
        if log == LogPageId::TELEMETRY_HOST_INITIATED {
            (&mut self.of_host, &mut self.host_header)
        } else {
            (&mut self.of_controller, &mut self.controller_header)
        }
    }

    /// The header of a log, as it is now.
    pub fn header(&self, log: LogPageId) -> TelemetryHeader {
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
