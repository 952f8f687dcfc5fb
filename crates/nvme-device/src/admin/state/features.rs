//! Values of the features.

use nvme_spec::{
    FeatureId, InterruptVectorConfiguration, LbaStatusInformationAttributes, Status, TemperatureThreshold,
    AEC_TELEMETRY_LOG, OAES_LBA_STATUS, OAES_NAMESPACE_ATTRIBUTE, OAES_ZONE_DESCRIPTOR_CHANGED,
};

use crate::admin::state::feature_buffers::{HostBehavior, PowerTransitions};
use crate::admin::state::feature_table::{self, row_of, Kept, FEATURES, FEATURE_COUNT};
use crate::limits::{BURST_MAX, IO_QUEUE_PAIRS_MAX, VECTORS_MAX, VECTOR_WORDS};

/// The drive's temperature does not change: 37 °C.
const TEMPERATURE_KELVIN: u16 = 310;
/// WCTEMP: 70 °C.
pub(crate) const WARNING_TEMPERATURE_KELVIN: u16 = 343;
/// CCTEMP: 80 °C.
pub(crate) const CRITICAL_TEMPERATURE_KELVIN: u16 = 353;
/// Interrupts of the admin queue are never coalesced: the bit of vector 0.
const ADMIN_VECTOR: [u64; VECTOR_WORDS] = {
    let mut words = [0; VECTOR_WORDS];
    words[0] = 1;
    words
};
/// Temperature Threshold: sensor 0 is the composite temperature; 1111b means all (set only).
const SENSOR_ALL: u8 = 0xF;
const ASYNC_EVENT_TEMPERATURE: u32 = 1 << 1;
/// LSIPI: the log is up to date whenever it is read; 100 ms is the least that can be said.
const LBA_STATUS_POLL_INTERVAL: u32 = 1 << 16;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Arbitration Burst, and its value for no limit (NVMe Base 2.0 figure 318).
const ARBITRATION_BURST_MASK: u32 = 0b111;
const ARBITRATION_BURST_UNLIMITED: u32 = 0b111;

/// The values of the features that a reset brings back to what was saved. One instance is in force, one is the saved one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    /// Those that are a dword, by the number of their rows.
    dwords: [u32; FEATURE_COUNT],
    temperature_over_kelvin: u16,
    temperature_under_kelvin: u16,
    /// Bit per vector: coalescing disabled.
    coalescing_disabled: [u64; VECTOR_WORDS],
    /// LSIRI: least time between two alerts, in units of 100 ms.
    lba_status_interval: u32,
}

const ARBITRATION: usize = row_of(FeatureId::ARBITRATION);
const INTERRUPT_COALESCING: usize = row_of(FeatureId::INTERRUPT_COALESCING);
const ASYNC_EVENTS: usize = row_of(FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION);

impl Values {
    pub const DEFAULT: Self = Self {
        dwords: default_dwords(),
        temperature_over_kelvin: WARNING_TEMPERATURE_KELVIN,
        temperature_under_kelvin: 0,
        coalescing_disabled: ADMIN_VECTOR,
        lba_status_interval: 0,
    };

    /// Dword 0 of Get Features, for the features that are kept here.
    ///
    /// # Errors
    /// Invalid Field for any other, and for a sensor or a vector that is not there.
    pub fn get(&self, feature: FeatureId, cdw11: u32) -> Result<u32, Status> {
        let (number, row) = feature_table::feature(feature).ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
        if let Kept::Dword { .. } = row.kept {
            return Ok(self.dwords.get(number).copied().unwrap_or_default());
        }
        Ok(match feature {
            FeatureId::TEMPERATURE_THRESHOLD => {
                let cdw11 = TemperatureThreshold(cdw11);
                match (cdw11.sensor(), cdw11.kind()) {
                    (0, 0) => self.temperature_over_kelvin.into(),
                    (0, 1) => self.temperature_under_kelvin.into(),
                    _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
                }
            }
            FeatureId::INTERRUPT_VECTOR_CONFIGURATION => {
                let vector = checked_vector(cdw11)?;
                let word = self
                    .coalescing_disabled
                    .get(vector / 64)
                    .copied()
                    .unwrap_or_default();
                let is_disabled = word >> (vector % 64) & 1 != 0;
                InterruptVectorConfiguration(0)
                    .with_vector(vector as u16)
                    .with_coalescing_disabled(is_disabled)
                    .0
            }
            FeatureId::LBA_STATUS_INFORMATION_ATTRIBUTES => {
                LBA_STATUS_POLL_INTERVAL | self.lba_status_interval
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        })
    }

    /// Takes a new value from dword 11 of Set Features.
    ///
    /// # Errors
    /// Invalid Field; nothing has changed then.
    pub fn set(&mut self, feature: FeatureId, cdw11: u32) -> Result<(), Status> {
        let (number, row) = feature_table::feature(feature).ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
        if let Kept::Dword { bits, .. } = row.kept {
            if cdw11 & !bits != 0 || !(row.is_legal)(cdw11) {
                return Err(Status::INVALID_FIELD_IN_COMMAND);
            }
            if let Some(dword) = self.dwords.get_mut(number) {
                *dword = cdw11;
            }
            return Ok(());
        }
        match feature {
            FeatureId::TEMPERATURE_THRESHOLD => {
                let cdw11 = TemperatureThreshold(cdw11);
                let threshold = cdw11.threshold_kelvin();
                if !matches!(cdw11.sensor(), 0 | SENSOR_ALL) {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                match cdw11.kind() {
                    0 => self.temperature_over_kelvin = threshold,
                    1 => self.temperature_under_kelvin = threshold,
                    _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
                }
            }
            FeatureId::INTERRUPT_VECTOR_CONFIGURATION => {
                if cdw11 & !0x1_FFFF != 0 {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                let vector = checked_vector(cdw11)?;
                let is_disabled = InterruptVectorConfiguration(cdw11).coalescing_disabled();
                if vector == 0 && !is_disabled {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                if let Some(word) = self.coalescing_disabled.get_mut(vector / 64) {
                    *word = *word & !(1 << (vector % 64)) | u64::from(is_disabled) << (vector % 64);
                }
            }
            // LSIPI is the controller's to say.
            FeatureId::LBA_STATUS_INFORMATION_ATTRIBUTES => {
                self.lba_status_interval = LbaStatusInformationAttributes(cdw11)
                    .report_interval_100ms()
                    .into();
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }
        Ok(())
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated when the device is compiled")]
const fn default_dwords() -> [u32; FEATURE_COUNT] {
    let mut dwords = [0; FEATURE_COUNT];
    let mut row = 0;
    while row < FEATURE_COUNT {
        if let Kept::Dword { default, .. } = FEATURES[row].kept {
            dwords[row] = default;
        }
        row += 1;
    }
    dwords
}

fn checked_vector(cdw11: u32) -> Result<usize, Status> {
    let vector = InterruptVectorConfiguration(cdw11).vector();
    if vector < VECTORS_MAX {
        Ok(vector.into())
    } else {
        Err(Status::INVALID_FIELD_IN_COMMAND)
    }
}

/// The clock that a host can set: what it was set to, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    pub milliseconds: u64,
    pub set_at_ns: u64,
    pub is_set_by_host: bool,
}

/// All features.
#[derive(Debug)]
pub(crate) struct Features {
    pub current: Values,
    pub saved: Values,
    pub io_queue_pairs: u16,
    pub power_transitions: PowerTransitions,
    pub host_behavior: HostBehavior,
    pub timestamp: Timestamp,
    pub host_identifier: [u8; 16],
    /// Whether the host has given one of 128 bits; nothing if it has given none.
    pub is_host_identifier_extended: Option<bool>,
}

impl Features {
    pub fn new() -> Self {
        Self {
            current: Values::DEFAULT,
            saved: Values::DEFAULT,
            io_queue_pairs: IO_QUEUE_PAIRS_MAX,
            power_transitions: PowerTransitions::DEFAULT,
            host_behavior: HostBehavior::DEFAULT,
            timestamp: Timestamp {
                milliseconds: 0,
                set_at_ns: 0,
                is_set_by_host: false,
            },
            host_identifier: [0; 16],
            is_host_identifier_extended: None,
        }
    }

    /// A controller level reset: the timestamp begins at 0 now.
    pub fn reset(&mut self, now_ns: u64) {
        let timestamp = Timestamp {
            milliseconds: 0,
            set_at_ns: now_ns,
            is_set_by_host: false,
        };
        *self = Self {
            current: self.saved,
            saved: self.saved,
            timestamp,
            ..Self::new()
        };
    }

    /// What a Set Feature event tells of.
    pub fn settings(&self) -> (Values, u16) {
        (self.current, self.io_queue_pairs)
    }

    /// I/O queue pairs that the host may create.
    pub fn io_queue_pairs(&self) -> u16 {
        self.io_queue_pairs
    }

    /// The host that the controller has.
    pub fn host_identifier(&self) -> [u8; 16] {
        self.host_identifier
    }

    /// Whether the host has given an identifier of 128 bits; nothing if it has given none.
    pub fn has_extended_host_identifier(&self) -> Option<bool> {
        self.is_host_identifier_extended
    }

    pub fn temperature_kelvin(&self) -> u16 {
        TEMPERATURE_KELVIN
    }

    pub fn temperature_is_beyond_threshold(&self) -> bool {
        TEMPERATURE_KELVIN >= self.current.temperature_over_kelvin
            || TEMPERATURE_KELVIN <= self.current.temperature_under_kelvin
    }

    /// Whether a temperature beyond its threshold is to be reported as an event.
    pub fn wants_temperature_event(&self) -> bool {
        self.current.dwords[ASYNC_EVENTS] & ASYNC_EVENT_TEMPERATURE != 0
            && self.temperature_is_beyond_threshold()
    }

    /// Commands that a queue may have fetched in its turn (Arbitration Burst: a power of two, or no limit).
    #[inline]
    pub fn arbitration_burst(&self) -> usize {
        match self.current.dwords[ARBITRATION] & ARBITRATION_BURST_MASK {
            ARBITRATION_BURST_UNLIMITED => BURST_MAX,
            burst_log2 => BURST_MAX.min(1 << burst_log2),
        }
    }

    /// Dword 11 of Interrupt Coalescing, and a bit for each vector that is not coalesced.
    pub fn interrupt_coalescing(&self) -> (u32, [u64; VECTOR_WORDS]) {
        (
            self.current.dwords[INTERRUPT_COALESCING],
            self.current.coalescing_disabled,
        )
    }

    /// Whether changed namespaces are to be reported as events.
    pub fn wants_namespace_notices(&self) -> bool {
        self.current.dwords[ASYNC_EVENTS] & OAES_NAMESPACE_ATTRIBUTE != 0
    }

    /// Whether changed zones are to be reported as events.
    pub fn wants_zone_notices(&self) -> bool {
        self.current.dwords[ASYNC_EVENTS] & OAES_ZONE_DESCRIPTOR_CHANGED != 0
    }

    /// Least time between two alerts of LBAs that may be unrecoverable, if they are to be reported as events.
    pub fn lba_status_report_interval_ns(&self) -> Option<u64> {
        let is_wanted = self.current.dwords[ASYNC_EVENTS] & OAES_LBA_STATUS != 0;
        is_wanted.then(|| u64::from(self.current.lba_status_interval) * 100 * NANOSECONDS_PER_MILLISECOND)
    }

    /// Whether captures of the controller's are to be reported as events.
    pub fn wants_telemetry_notices(&self) -> bool {
        self.current.dwords[ASYNC_EVENTS] & AEC_TELEMETRY_LOG != 0
    }

    pub fn number_of_queues(&self, pairs: u16) -> u32 {
        let pairs_z = u32::from(pairs - 1);
        pairs_z | pairs_z << 16
    }

    /// The timestamp's 8 bytes: milliseconds (48 bits), then attributes (NVMe Base 2.0 figure 336).
    pub fn timestamp(&self, now_ns: u64) -> [u8; 8] {
        let elapsed_ms = now_ns.saturating_sub(self.timestamp.set_at_ns) / NANOSECONDS_PER_MILLISECOND;
        let milliseconds = self.timestamp.milliseconds.wrapping_add(elapsed_ms) & 0xFFFF_FFFF_FFFF;
        let origin = u64::from(self.timestamp.is_set_by_host);
        (milliseconds | origin << 49).to_le_bytes()
    }
}
