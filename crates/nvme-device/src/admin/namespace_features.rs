//! Features that each namespace has for itself (NVM CS 1.0 §4.1.3, KV CS 1.0 §4.1.3).

use nvme_spec::{FeatureId, FeatureSelect, Status, KEY_VALUE_ERROR_ON_DELETE};

use crate::core::Core;
use crate::namespace::feature::NamespaceFeature;
use crate::namespace::Namespace;

/// Whether `feature` is one that namespaces have for themselves: one of these, or one that belongs to reservations.
pub(crate) fn is_of_namespaces(feature: FeatureId) -> bool {
    is_kept_here(feature)
        || matches!(
            feature,
            FeatureId::RESERVATION_NOTIFICATION_MASK | FeatureId::RESERVATION_PERSISTENCE
        )
}

/// Whether `feature` is a [`NamespaceFeature`].
pub(crate) fn is_kept_here(feature: FeatureId) -> bool {
    bits(feature) != 0
}

/// The bits of dword 11 that have a meaning.
fn bits(feature: FeatureId) -> u32 {
    match feature {
        // Time-limited error recovery; deallocated blocks never give an error here (DULBE stays 0).
        FeatureId::ERROR_RECOVERY => 0xFFFF,
        FeatureId::KEY_VALUE_CONFIGURATION => KEY_VALUE_ERROR_ON_DELETE,
        _ => 0,
    }
}

/// `feature` of `namespace`, if namespaces of its kind have it.
fn of_namespace(namespace: &mut Namespace, feature: FeatureId) -> Option<&mut NamespaceFeature> {
    match feature {
        FeatureId::ERROR_RECOVERY if !namespace.has_pairs_only() => Some(&mut namespace.error_recovery),
        FeatureId::KEY_VALUE_CONFIGURATION => Some(&mut namespace.key_value.as_mut()?.configuration),
        _ => None,
    }
}

pub(crate) fn get_namespace_feature(
    core: &mut Core,
    nsid: u32,
    feature: FeatureId,
    select: FeatureSelect,
) -> Result<u32, Status> {
    let namespace = core.queue_set.io.namespaces.attached_mut(nsid)?;
    let value = of_namespace(namespace, feature).ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
    Ok(value.get(select))
}

/// Sets the feature of a namespace, or of all that have it.
pub(crate) fn set_namespace_feature(
    core: &mut Core,
    nsid: u32,
    feature: FeatureId,
    value: u32,
    is_saved: bool,
) -> Result<(), Status> {
    let namespaces = core.queue_set.io.namespaces.settable_mut(nsid)?;
    if value & !bits(feature) != 0 {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let mut is_set = false;
    for namespace in namespaces {
        if let Some(slot) = of_namespace(namespace, feature) {
            slot.set(value, is_saved);
            is_set = true;
        }
    }
    is_set.then_some(()).ok_or(Status::INVALID_FIELD_IN_COMMAND)
}
