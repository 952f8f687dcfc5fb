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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::admin::io_queues::tests::create_pair;
    use crate::admin::test_drive::{done, to_buffer, TestDrive, FAST, INVALID, PAIRS, POWER_ON_NS};

    const CURRENT: FeatureSelect = FeatureSelect::CURRENT;
    const REFUSED: Status = Status::INVALID_FIELD_IN_COMMAND;
    const ALL: u32 = NSID_BROADCAST;

    fn get(
        drive: &mut TestDrive,
        feature: FeatureId,
        select: FeatureSelect,
        nsid: u32,
    ) -> Result<u64, Status> {
        let asked = GetFeatures {
            row: row(feature).unwrap(),
            select,
            nsid,
            cdw11: 0,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(get_features(core, &asked, POWER_ON_NS, memory))
    }

    fn set(
        drive: &mut TestDrive,
        feature: FeatureId,
        nsid: u32,
        cdw11: u32,
        is_saved: bool,
    ) -> Result<u64, Status> {
        let asked = SetFeatures {
            row: row(feature).unwrap(),
            is_saved,
            nsid,
            cdw10: Cdw10SetFeatures::default().with_feature(feature).0,
            cdw11,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(set_features(core, &asked, POWER_ON_NS, memory))
    }

    #[test]
    fn a_reset_brings_the_saved_value_back() {
        let mut drive = TestDrive::new();
        let feature = FeatureId::ARBITRATION;
        assert_eq!(set(&mut drive, feature, 0, 5, true), Ok(0));
        assert_eq!(set(&mut drive, feature, 0, 2, false), Ok(0));
        let values = |drive: &mut TestDrive| -> Vec<_> {
            (0..3)
                .map(|select| get(drive, feature, FeatureSelect(select), 0))
                .collect()
        };
        assert_eq!(
            values(&mut drive),
            [Ok(2), Ok(3), Ok(5)],
            "current, default, saved"
        );
        drive.core().admin.reset(POWER_ON_NS);
        assert_eq!(values(&mut drive), [Ok(5), Ok(3), Ok(5)]);
    }

    #[test]
    fn capabilities_are_those_of_the_row() {
        let mut drive = TestDrive::new();
        // Saveable, not of a namespace, changeable (NVMe Base 2.0 figure 196).
        let select = FeatureSelect::SUPPORTED_CAPABILITIES;
        assert_eq!(get(&mut drive, FeatureId::ARBITRATION, select, 0), Ok(0b101));
        assert_eq!(get(&mut drive, FeatureId::NUMBER_OF_QUEUES, select, 0), Ok(0b100));
    }

    #[test]
    fn queues_are_allocated_in_pairs_before_there_are_any() {
        let mut drive = TestDrive::new();
        let feature = FeatureId::NUMBER_OF_QUEUES;
        // Both numbers are 0's based.
        assert_eq!(set(&mut drive, feature, 0, 3 << 16 | 5, false), Ok(5 << 16 | 5));
        assert_eq!(get(&mut drive, feature, CURRENT, 0), Ok(5 << 16 | 5));
        for cdw11 in [0xFFFF, 0xFFFF_0000] {
            assert_eq!(set(&mut drive, feature, 0, cdw11, false), Err(REFUSED));
        }
        create_pair(&mut drive, 1);
        assert_eq!(
            set(&mut drive, feature, 0, 0, false),
            Err(Status::COMMAND_SEQUENCE_ERROR)
        );
        assert_eq!(get(&mut drive, feature, CURRENT, 0), Ok(5 << 16 | 5));
    }

    #[test]
    fn the_host_identifier_has_64_or_128_bits() {
        let mut drive = TestDrive::new();
        drive.memory.fill_buffer(&[0xEE; 16]);
        assert_eq!(set(&mut drive, FeatureId::HOST_IDENTIFIER, 0, 0, false), Ok(0));
        let mut short = [0; 16];
        short[..8].fill(0xEE);
        assert_eq!(drive.core().admin.features.host_identifier(), short);
        assert_eq!(
            drive.core().admin.features.has_extended_host_identifier(),
            Some(false)
        );
        assert_eq!(set(&mut drive, FeatureId::HOST_IDENTIFIER, 0, 1, false), Ok(0));
        assert_eq!(drive.core().admin.features.host_identifier(), [0xEE; 16]);
        drive.memory.fill_buffer(&[0; 16]);
        assert_eq!(get(&mut drive, FeatureId::HOST_IDENTIFIER, CURRENT, 0), Ok(0));
        assert_eq!(
            drive.memory.buffer(16)[..8],
            [0xEE; 8],
            "as many bytes as are asked for"
        );
        assert_eq!(drive.memory.buffer(16)[8..], [0; 8]);
    }

    #[test]
    fn the_timestamp_goes_on_from_what_was_set() {
        let mut drive = TestDrive::new();
        drive.memory.fill_buffer(&1_000_000u64.to_le_bytes());
        assert_eq!(set(&mut drive, FeatureId::TIMESTAMP, 0, 0, false), Ok(0));
        let asked = GetFeatures {
            row: row(FeatureId::TIMESTAMP).unwrap(),
            select: CURRENT,
            nsid: 0,
            cdw11: 0,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(get_features(core, &asked, POWER_ON_NS + 250_000_000, memory)).unwrap();
        let milliseconds = u64::from_le_bytes(memory.buffer(8).try_into().unwrap()) & 0xFFFF_FFFF_FFFF;
        assert_eq!(milliseconds, 1_000_250);
    }

    #[test]
    fn a_feature_belongs_to_the_controller_or_to_a_namespace() {
        let mut drive = TestDrive::new();
        let of_all = FeatureId::ARBITRATION;
        assert_eq!(
            set(&mut drive, of_all, FAST, 2, false),
            Err(Status::FEATURE_NOT_NAMESPACE_SPECIFIC)
        );
        assert_eq!(
            set(&mut drive, of_all, INVALID, 2, false),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
        assert_eq!(set(&mut drive, of_all, ALL, 2, false), Ok(0));

        let of_one = FeatureId::ERROR_RECOVERY;
        assert_eq!(set(&mut drive, of_one, FAST, 7, false), Ok(0));
        assert_eq!(get(&mut drive, of_one, CURRENT, FAST), Ok(7));
        assert_eq!(get(&mut drive, of_one, CURRENT, 2), Ok(0));
        // DULBE (bit 16) is not to be set; a namespace of pairs does not have the feature.
        assert_eq!(set(&mut drive, of_one, FAST, 1 << 16, false), Err(REFUSED));
        assert_eq!(set(&mut drive, of_one, PAIRS, 1, false), Err(REFUSED));
        assert_eq!(set(&mut drive, of_one, ALL, 9, false), Ok(0));
        assert_eq!(get(&mut drive, of_one, CURRENT, 2), Ok(9));
    }

    #[test]
    fn features_of_reservations_are_each_namespaces() {
        let mut drive = TestDrive::new();
        let persistence = FeatureId::RESERVATION_PERSISTENCE;
        assert_eq!(set(&mut drive, persistence, FAST, 2, false), Err(REFUSED));
        assert_eq!(set(&mut drive, persistence, FAST, 1, false), Ok(0));
        assert_eq!(get(&mut drive, persistence, CURRENT, FAST), Ok(1));
        assert_eq!(get(&mut drive, persistence, FeatureSelect::DEFAULT, FAST), Ok(0));
        let mask = FeatureId::RESERVATION_NOTIFICATION_MASK;
        assert_eq!(set(&mut drive, mask, FAST, 0b1110, false), Ok(0));
        assert_eq!(get(&mut drive, mask, CURRENT, FAST), Ok(0b1110));
        assert_eq!(get(&mut drive, mask, CURRENT, 2), Ok(0));
    }

    #[test]
    fn the_only_combination_of_command_sets_is_the_first() {
        let mut drive = TestDrive::new();
        let feature = FeatureId::IO_COMMAND_SET_PROFILE;
        assert_eq!(set(&mut drive, feature, 0, 0, false), Ok(0));
        assert_eq!(
            set(&mut drive, feature, 0, 1, false),
            Err(Status::IO_COMMAND_SET_COMBINATION_REJECTED)
        );
    }
}
