//! Get and Set Features (NVMe Base 2.0 §5.15 and §5.27).

use nvme_spec::{
    Cdw10GetFeatures, Cdw10SetFeatures, Cdw11HostIdentifier, FeatureId, FeatureSelect, NumberOfQueues,
    SetFeatureEvent, Status, SubmissionQueueEntry, NSID_BROADCAST, SMART_EVENT_TEMPERATURE_THRESHOLD,
};

use crate::admin::outcome::Outcome;
use crate::admin::state::feature_buffers::{HostBehavior, PowerTransitions};
use crate::admin::state::feature_table::{self, FeatureRow, Kept};
use crate::admin::state::features::{Timestamp, Values};
use crate::admin::{io_queues, namespace_features, reservations};
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::limits::IO_QUEUE_PAIRS_MAX;

/// Which value of which feature is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GetFeatures {
    pub row: &'static FeatureRow,
    pub select: FeatureSelect,
    pub nsid: u32,
    pub cdw11: u32,
    pub pointer: DataPointer,
}

impl GetFeatures {
    /// # Errors
    /// Invalid Field for a feature or a kind of value that there is not.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw10 = Cdw10GetFeatures(entry.cdw10.get());
        let row = row(cdw10.feature())?;
        if cdw10.select().0 > FeatureSelect::SUPPORTED_CAPABILITIES.0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(Self {
            row,
            select: cdw10.select(),
            nsid: entry.nsid.get(),
            cdw11: entry.cdw11.get(),
            pointer: DataPointer::of(entry),
        })
    }
}

/// What to set which feature to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetFeatures {
    pub row: &'static FeatureRow,
    pub is_saved: bool,
    pub nsid: u32,
    /// As the Persistent Event log has it.
    pub cdw10: u32,
    pub cdw11: u32,
    pub pointer: DataPointer,
}

impl SetFeatures {
    /// # Errors
    /// Invalid Field for a feature that there is not; Feature Identifier Not Saveable.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw10 = Cdw10SetFeatures(entry.cdw10.get());
        let row = row(cdw10.feature())?;
        if cdw10.is_saved() && !row.capabilities().saveable {
            return Err(Status::FEATURE_IDENTIFIER_NOT_SAVEABLE);
        }
        Ok(Self {
            row,
            is_saved: cdw10.is_saved(),
            nsid: entry.nsid.get(),
            cdw10: cdw10.0,
            cdw11: entry.cdw11.get(),
            pointer: DataPointer::of(entry),
        })
    }
}

/// The row of a feature.
fn row(feature: FeatureId) -> Result<&'static FeatureRow, Status> {
    let found = feature_table::feature(feature);
    found.map(|(_, row)| row).ok_or(Status::INVALID_FIELD_IN_COMMAND)
}

/// Bytes of the host identifier that dword 11 asks for (EXHID).
fn host_identifier_len(cdw11: u32) -> usize {
    if Cdw11HostIdentifier(cdw11).is_extended() {
        16
    } else {
        8
    }
}

pub(crate) fn get_features<H: HostMemory>(
    core: &mut Core,
    asked: &GetFeatures,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    let &GetFeatures {
        row,
        select,
        nsid,
        cdw11,
        pointer,
    } = asked;
    let feature = row.id;
    if select == FeatureSelect::SUPPORTED_CAPABILITIES {
        return Ok(Outcome::Done(row.capabilities().to_dword().into()));
    }
    let features = &core.admin.features;
    // A feature that cannot be saved has its default as saved value.
    let is_current = select == FeatureSelect::CURRENT;
    let result = match feature {
        FeatureId::NUMBER_OF_QUEUES => features.number_of_queues(if is_current {
            features.io_queue_pairs
        } else {
            IO_QUEUE_PAIRS_MAX
        }),
        FeatureId::IO_COMMAND_SET_PROFILE => 0,
        _ if matches!(row.kept, Kept::NamespaceDword { .. }) => {
            namespace_features::get_namespace_feature(core, nsid, feature, select)?
        }
        FeatureId::RESERVATION_NOTIFICATION_MASK | FeatureId::RESERVATION_PERSISTENCE => {
            let namespace = core.queue_set.io.namespaces.attached(nsid)?;
            let reservations = &namespace.reservations;
            match feature {
                _ if !is_current => 0,
                FeatureId::RESERVATION_PERSISTENCE => reservations.persists().into(),
                _ => reservations.masked(),
            }
        }
        FeatureId::AUTONOMOUS_POWER_STATE_TRANSITION => {
            let default = PowerTransitions::DEFAULT;
            let value = if is_current {
                &features.power_transitions
            } else {
                &default
            };
            value.get(pointer, host)?
        }
        FeatureId::HOST_BEHAVIOR_SUPPORT => {
            let default = HostBehavior::DEFAULT;
            let value = if is_current {
                &features.host_behavior
            } else {
                &default
            };
            value.get(pointer, host)?
        }
        FeatureId::TIMESTAMP => {
            let bytes = if is_current {
                features.timestamp(now_ns)
            } else {
                [0; 8]
            };
            pointer.write(host, &bytes, bytes.len())?;
            0
        }
        FeatureId::HOST_IDENTIFIER => {
            let bytes = if is_current {
                features.host_identifier
            } else {
                [0; 16]
            };
            pointer.write(host, &bytes, host_identifier_len(cdw11))?;
            0
        }
        _ => match select {
            FeatureSelect::CURRENT => features.current.get(feature, cdw11)?,
            FeatureSelect::SAVED => features.saved.get(feature, cdw11)?,
            _ => Values::DEFAULT.get(feature, cdw11)?,
        },
    };
    Ok(Outcome::Done(result.into()))
}

pub(crate) fn set_features<H: HostMemory>(
    core: &mut Core,
    asked: &SetFeatures,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    let &SetFeatures {
        row,
        is_saved,
        nsid,
        cdw10,
        cdw11,
        pointer,
    } = asked;
    let feature = row.id;
    if let Kept::NamespaceDword { bits } = row.kept {
        namespace_features::set_namespace_feature(core, nsid, feature, bits, cdw11, is_saved)?;
        return Ok(Outcome::Done(0));
    }
    if feature == FeatureId::RESERVATION_NOTIFICATION_MASK {
        reservations::configure_reservations(core, nsid, |namespace| {
            namespace.reservations.set_masked(cdw11)
        })?;
        return Ok(Outcome::Done(0));
    }
    if feature == FeatureId::RESERVATION_PERSISTENCE {
        if cdw11 & !1 != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        reservations::configure_reservations(core, nsid, |namespace| {
            namespace.reservations.set_persistence(cdw11 != 0);
            Ok(())
        })?;
        return Ok(Outcome::Done(0));
    }
    if !matches!(nsid, 0 | NSID_BROADCAST) {
        core.queue_set.io.namespaces.attached(nsid)?;
        return Err(Status::FEATURE_NOT_NAMESPACE_SPECIFIC);
    }
    let before = core.admin.features.settings();
    let mut result = 0;
    match feature {
        FeatureId::NUMBER_OF_QUEUES => result = set_number_of_queues(core, cdw11)?,
        FeatureId::IO_COMMAND_SET_PROFILE => {
            if cdw11 & 0x1FF != 0 {
                return Err(Status::IO_COMMAND_SET_COMBINATION_REJECTED);
            }
        }
        FeatureId::AUTONOMOUS_POWER_STATE_TRANSITION => {
            core.admin.features.power_transitions.set(cdw11, pointer, host)?;
        }
        FeatureId::HOST_BEHAVIOR_SUPPORT => core.admin.features.host_behavior.set(pointer, host)?,
        FeatureId::TIMESTAMP => {
            let mut bytes = [0; 8];
            pointer.read(host, &mut bytes)?;
            let milliseconds = u64::from_le_bytes(bytes) & 0xFFFF_FFFF_FFFF;
            let previous = core.admin.features.timestamp(now_ns);
            core.admin.features.timestamp = Timestamp {
                milliseconds,
                set_at_ns: now_ns,
                is_set_by_host: true,
            };
            core.admin.record_timestamp_change(previous, now_ns);
        }
        FeatureId::HOST_IDENTIFIER => {
            let mut bytes = [0; 16];
            let len = host_identifier_len(cdw11);
            pointer.read(host, bytes.get_mut(..len).unwrap_or_default())?;
            core.admin.features.host_identifier = bytes;
            core.admin.features.is_host_identifier_extended = Some(len == bytes.len());
            reservations::set_reservation_host(core);
        }
        _ => {
            core.admin.features.current.set(feature, cdw11)?;
            if is_saved {
                core.admin.features.saved.set(feature, cdw11)?;
            }
        }
    }
    if row.is_recorded && core.admin.features.settings() != before {
        let event = SetFeatureEvent {
            layout: SetFeatureEvent::TWO_DWORDS.into(),
            cdw10: cdw10.into(),
            cdw11: cdw11.into(),
        };
        core.admin.record(&event, now_ns);
    }
    if core.admin.features.wants_temperature_event() {
        core.admin.events.smart(SMART_EVENT_TEMPERATURE_THRESHOLD);
    }
    core.apply_coalescing();
    if feature == FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION {
        core.admin.raise_telemetry_notice();
    }
    Ok(Outcome::Done(result.into()))
}

/// Queues are allocated in pairs: as many as the smaller of the two numbers asked for, and the larger within reach.
fn set_number_of_queues(core: &mut Core, cdw11: u32) -> Result<u32, Status> {
    let asked = NumberOfQueues(cdw11);
    let (submission_z, completion_z) = (asked.submission_z(), asked.completion_z());
    if submission_z == 0xFFFF || completion_z == 0xFFFF {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    if io_queues::has_io_queues(core) {
        return Err(Status::COMMAND_SEQUENCE_ERROR);
    }
    let pairs = (submission_z.max(completion_z) + 1).min(IO_QUEUE_PAIRS_MAX);
    core.admin.features.io_queue_pairs = pairs;
    Ok(core.admin.features.number_of_queues(pairs))
}
