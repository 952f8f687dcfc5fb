//! Features that each namespace has for itself (NVM CS 1.0 §4.1.3, KV CS 1.0 §4.1.3).

use nvme_spec::{FeatureId, FeatureSelect, Status};

use crate::core::Core;
use crate::namespace::feature::NamespaceFeature;
use crate::namespace::Namespace;

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

/// Sets the feature of a namespace, or of all that have it. `bits` are those that may be set.
pub(crate) fn set_namespace_feature(
    core: &mut Core,
    nsid: u32,
    feature: FeatureId,
    bits: u32,
    value: u32,
    is_saved: bool,
) -> Result<(), Status> {
    let namespaces = core.queue_set.io.namespaces.settable_mut(nsid)?;
    if value & !bits != 0 {
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
