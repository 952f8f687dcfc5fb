//! Get and Set Features.

use nvme_spec::{
    effects, FeatureCapabilities, FeatureId, FeatureSelect, LogPageId, Status, FEATURE_EFFECTS_LOG_BYTES,
};

use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Kind, Obstacle, Subject};

/// What an I/O controller must have (NVMe Base 2.0 figure 29).
const MANDATORY: [FeatureId; 5] = [
    FeatureId::ARBITRATION,
    FeatureId::POWER_MANAGEMENT,
    FeatureId::TEMPERATURE_THRESHOLD,
    FeatureId::NUMBER_OF_QUEUES,
    FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION,
];
/// Another value than the default, for features that have values to choose from.
const OTHER_VALUES: [(FeatureId, u32); 8] = [
    (FeatureId::ARBITRATION, 0x0101_0105),
    (FeatureId::POWER_MANAGEMENT, 1 << 5),
    (FeatureId::TEMPERATURE_THRESHOLD, 333),
    (FeatureId::VOLATILE_WRITE_CACHE, 0),
    (FeatureId::INTERRUPT_COALESCING, 0x0203),
    (FeatureId::WRITE_ATOMICITY_NORMAL, 1),
    (FeatureId::ERROR_RECOVERY, 7),
    (FeatureId::SOFTWARE_PROGRESS_MARKER, 9),
];

/// Entries of the log that say that there is such a feature.
fn logged(subject: &mut Subject<'_>) -> Result<Vec<(FeatureId, u32)>, Obstacle> {
    let entries = subject.log_dwords(LogPageId::FEATURE_IDENTIFIERS_EFFECTS, FEATURE_EFFECTS_LOG_BYTES)?;
    let features = (0..=u8::MAX).map(FeatureId).zip(entries);
    Ok(features
        .filter(|(_, entry)| entry & effects::SUPPORTED != 0)
        .collect())
}

/// Whether the namespace has the feature: some are of one kind only.
fn is_had(subject: &Subject<'_>, feature: FeatureId) -> bool {
    match feature {
        FeatureId::ERROR_RECOVERY => subject.has_lbas(),
        FeatureId::KEY_VALUE_CONFIGURATION => matches!(subject.kind, Kind::Pairs | Kind::LbasAndPairs),
        _ => true,
    }
}

fn capabilities(subject: &mut Subject<'_>, feature: FeatureId) -> Result<FeatureCapabilities, Obstacle> {
    let completion = subject.get_feature(feature, FeatureSelect::SUPPORTED_CAPABILITIES);
    let status = completion.status();
    ensure!(
        status == SUCCESS,
        "the capabilities of {feature:?} cannot be had: {status:?}"
    );
    let bits = completion.dw0.get();
    ensure!(
        bits & !0b111 == 0,
        "the capabilities of {feature:?} have reserved bits: {bits:#x}"
    );
    Ok(FeatureCapabilities {
        saveable: bits & 1 != 0,
        namespace_specific: bits & 2 != 0,
        changeable: bits & 4 != 0,
    })
}

fn value(subject: &mut Subject<'_>, feature: FeatureId, select: FeatureSelect) -> Result<u32, Obstacle> {
    let completion = subject.get_feature(feature, select);
    let status = completion.status();
    ensure!(
        status == SUCCESS,
        "the {select:?} value of {feature:?} cannot be had: {status:?}"
    );
    Ok(completion.dw0.get())
}

/// A feature is an Invalid Field if, and only if, the log does not have it; the mandatory ones are there, and the scope is that of the capabilities (NVMe Base
/// 2.0 §5.16.1.18, figure 29).
pub(super) fn features_are_those_of_the_effects_log(subject: &mut Subject<'_>) -> Finding {
    let logged = logged(subject)?;
    for mandatory in MANDATORY {
        ensure!(
            logged.iter().any(|(feature, _)| *feature == mandatory),
            "{mandatory:?} is mandatory, and not in the log"
        );
    }
    for feature in (0..=u8::MAX).map(FeatureId) {
        let entry = logged.iter().find(|(other, _)| *other == feature);
        let Some((_, entry)) = entry else {
            let status = subject.get_feature(feature, FeatureSelect::CURRENT).status();
            ensure!(
                status == INVALID_FIELD,
                "{feature:?} is not in the log, and ends with {status:?}"
            );
            let status = subject.set_feature(feature, false, 0).status();
            ensure!(
                status == INVALID_FIELD,
                "{feature:?} is not in the log, and is set: {status:?}"
            );
            continue;
        };
        let is_of_namespaces = capabilities(subject, feature)?.namespace_specific;
        ensure!(
            is_of_namespaces == (entry & effects::SCOPE_NAMESPACE != 0),
            "{feature:?} is of namespaces: {is_of_namespaces}; and the log says {entry:#x}"
        );
        for select in [
            FeatureSelect::CURRENT,
            FeatureSelect::DEFAULT,
            FeatureSelect::SAVED,
        ] {
            let status = subject.get_feature(feature, select).status();
            let expected = if is_had(subject, feature) {
                SUCCESS
            } else {
                INVALID_FIELD
            };
            ensure!(
                status == expected,
                "the {select:?} value of {feature:?} ends with {status:?}"
            );
        }
    }
    Ok(())
}

/// What cannot be saved is refused as Feature Identifier Not Saveable, what cannot be changed as Not Changeable, and everything else takes the value that it has
/// (NVMe Base 2.0 §5.27, figure 193).
pub(super) fn capabilities_are_what_can_be_done(subject: &mut Subject<'_>) -> Finding {
    for (feature, _) in logged(subject)? {
        if !is_had(subject, feature) {
            continue;
        }
        let can = capabilities(subject, feature)?;
        let current = value(subject, feature, FeatureSelect::CURRENT)?;
        let status = subject.set_feature(feature, true, current).status();
        let saved = if can.saveable {
            SUCCESS
        } else {
            Status::FEATURE_IDENTIFIER_NOT_SAVEABLE
        };
        ensure!(
            status == saved,
            "saving {feature:?}, saveable: {}, ends with {status:?}",
            can.saveable
        );
        let set = match feature {
            // Not once there are I/O queues (NVMe Base 2.0 §5.27.1.5).
            FeatureId::NUMBER_OF_QUEUES => Status::COMMAND_SEQUENCE_ERROR,
            _ if can.changeable => SUCCESS,
            _ => Status::FEATURE_NOT_CHANGEABLE,
        };
        // Host identifiers and the timestamp are in the buffer, where Get Features has just put them.
        value(subject, feature, FeatureSelect::CURRENT)?;
        let status = subject.set_feature(feature, false, current).status();
        ensure!(
            status == set,
            "setting {feature:?} to what it is ends with {status:?}"
        );
    }
    Ok(())
}

/// A value that was set is the current one, a reset brings the saved one back, and the default never changes (NVMe Base 2.0 §4.4.1, §5.27).
pub(super) fn values_are_current_default_and_saved(subject: &mut Subject<'_>) -> Finding {
    let logged = logged(subject)?;
    for (feature, other) in OTHER_VALUES {
        let is_logged = logged.iter().any(|(logged, _)| *logged == feature);
        if !is_logged || !is_had(subject, feature) {
            continue;
        }
        let values = |subject: &mut Subject<'_>| -> Result<[u32; 3], Obstacle> {
            Ok([
                value(subject, feature, FeatureSelect::CURRENT)?,
                value(subject, feature, FeatureSelect::SAVED)?,
                value(subject, feature, FeatureSelect::DEFAULT)?,
            ])
        };
        let can = capabilities(subject, feature)?;
        let [_, saved, default] = values(subject)?;
        let set = |subject: &mut Subject<'_>, is_saved, to| {
            let status = subject.set_feature(feature, is_saved, to).status();
            ensure!(
                status == SUCCESS,
                "{feature:?} cannot be set to {to:#x}: {status:?}"
            );
            Ok(())
        };
        set(subject, false, other)?;
        let found = values(subject)?;
        ensure!(
            found == [other, saved, default],
            "{feature:?} was set to {other:#x}; current, saved, default are {found:x?}"
        );
        subject.reset_controller();
        let found = values(subject)?;
        ensure!(
            found == [saved, saved, default],
            "{feature:?} is {found:x?} after a reset"
        );
        if can.saveable {
            set(subject, true, other)?;
            subject.reset_controller();
            let found = values(subject)?;
            // As it was, for the next check, before this one may end.
            set(subject, true, saved)?;
            ensure!(
                found == [other, other, default],
                "{feature:?} was saved as {other:#x}; after a reset it is {found:x?}"
            );
        }
    }
    Ok(())
}

/// A reserved Select is an Invalid Field, and a feature of the controller is not a namespace's (NVMe Base 2.0 §5.15, §5.27).
pub(super) fn wrong_selections_are_refused(subject: &mut Subject<'_>) -> Finding {
    for select in 4..8 {
        let status = subject
            .get_feature(FeatureId::ARBITRATION, FeatureSelect(select))
            .status();
        ensure!(
            status == INVALID_FIELD,
            "Get Features with Select {select} ends with {status:?}"
        );
    }
    let entry = crate::host::commands::set_features(FeatureId::ARBITRATION, false, 0, 0);
    let entry = nvme_spec::SubmissionQueueEntry {
        nsid: subject.nsid.into(),
        ..entry
    };
    let expected = Status::FEATURE_NOT_NAMESPACE_SPECIFIC;
    subject.admin_ends("Arbitration of a namespace", entry, expected)?;
    Ok(())
}
