// SPDX-License-Identifier: GPL-2.0-only
//! From `profile=`, `ns=` and `profile_set=` to the namespaces of the device.

use alloc::vec::Vec;

use module_params::namespaces::NamespaceRequest;
use module_params::{NvmOverrides, Settings};
use nvme_device::NamespaceConfig;
use ssd_model::conventional::Geometry;
use ssd_model::key_value;
use ssd_model::zoned::ZonedGeometry;
use ssd_model::{namespace_bytes, profiles};
use ssd_profile::{KeyValueParameters, NvmParameters, Profile, ProfileKind};

use crate::error::{LoadError, NamespaceError};
use crate::log::info;
use crate::running::{times_of, with_times};

/// The namespaces of the device, checked.
///
/// # Errors
/// The first thing that cannot be.
pub fn plan<'a>(settings: &Settings<'a>) -> Result<Vec<NamespaceConfig>, LoadError<'a>> {
    let requests = settings.namespaces.as_slice();
    let parts = settings
        .namespaces
        .divide(settings.storage_bytes)
        .map_err(LoadError::Namespaces)?;
    let mut plan = Vec::new();
    plan.try_reserve_exact(requests.len())
        .map_err(|_| nvme_device::SetupError::OutOfMemory)?;
    for ((nsid, request), part) in (1..).zip(requests).zip(parts) {
        let refuse = |error| LoadError::Namespace {
            nsid: (requests.len() > 1).then_some(nsid),
            profile: request.profile,
            error,
        };
        let mut profile = *profiles::by_name(request.profile).ok_or(LoadError::Profile(request.profile))?;
        for entry in settings.profile_set.of(nsid) {
            profile.set_list(entry).map_err(LoadError::ProfileSet)?;
        }
        apply_times(&mut profile, &settings.nvm);
        profile
            .validate()
            .map_err(|error| refuse(NamespaceError::Parameter(error)))?;
        if !settings.has_medium && profile.kind.needs_medium() {
            return Err(refuse(NamespaceError::KeysWithoutData));
        }
        let config = NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes: settings.lba_bytes,
            media_offset: part.start,
            media_len_bytes: part.end - part.start,
        };
        namespace_bytes(&config.kind, config.media_len_bytes)
            .map_err(|error| refuse(NamespaceError::Model(error)))?;
        plan.push(config);
    }
    Ok(plan)
}

/// Puts the timing parameters that NVMeVirt had into `profile`. A drive with flash has no such parameters.
fn apply_times(profile: &mut Profile<'_>, given: &NvmOverrides) {
    if let Some(parameters) = profile.kind.nvm_mut() {
        *parameters = with_times(*parameters, given.apply(times_of(parameters)));
    } else if !given.is_empty() {
        info!(
            "profile {} has no use for read_time, write_time, nr_io_units and the like",
            profile.name
        );
    }
}

/// The timing that `/proc` shows, and can change for all such namespaces: that of the first one without flash; if there is none, zeros, which
/// `/proc` cannot change.
pub fn first_nvm(plan: &[NamespaceConfig]) -> NvmParameters {
    let mut parameters = plan.iter().filter_map(|namespace| namespace.kind.nvm());
    parameters.next().copied().unwrap_or_default()
}

/// Says what the namespaces are, for whoever compares them with others.
pub fn describe(
    plan: &[NamespaceConfig],
    requests: &[NamespaceRequest<'_>],
) -> Result<(), nvme_device::SetupError> {
    for ((index, namespace), request) in plan.iter().enumerate().zip(requests) {
        let bytes = namespace_bytes(&namespace.kind, namespace.media_len_bytes)?;
        info!(
            "ns {}/{}: size {} MiB, profile {}",
            index + 1,
            plan.len(),
            bytes >> 20,
            request.profile
        );
        match &namespace.kind {
            ProfileKind::Nvm(_) => {}
            ProfileKind::Conventional(parameters) => {
                describe_flash(namespace, &Geometry::new(parameters, namespace.media_len_bytes)?);
            }
            ProfileKind::Zoned(parameters) => {
                describe_zones(
                    namespace,
                    &ZonedGeometry::new(parameters, namespace.media_len_bytes)?,
                );
            }
            ProfileKind::KeyValue(parameters) => describe_pairs(namespace, parameters)?,
        }
    }
    Ok(())
}

fn describe_flash(namespace: &NamespaceConfig, geometry: &Geometry) {
    info!(
        "FTL: capacity {} bytes, namespace {} bytes, {} partitions of {} pages, {} lines of {} KiB, blocks of {} KiB",
        namespace.media_len_bytes,
        geometry.namespace_bytes,
        geometry.partitions,
        geometry.physical_pages,
        geometry.lines,
        geometry.line_bytes() >> 10,
        geometry.block_bytes() >> 10
    );
}

fn describe_pairs(
    namespace: &NamespaceConfig,
    parameters: &KeyValueParameters,
) -> Result<(), nvme_device::SetupError> {
    let tables = key_value::table_sizes(parameters, namespace.media_len_bytes)?;
    info!(
        "Key-value: up to {} keys, units of {} bytes; the tables take {} MiB",
        tables.keys_max,
        parameters.unit_bytes,
        tables.memory_bytes >> 20
    );
    if !namespace.kind.has_lbas() {
        info!("Key-value: Linux shows this namespace as /dev/ngXnY, without a block device");
    }
    Ok(())
}

fn describe_zones(namespace: &NamespaceConfig, geometry: &ZonedGeometry) {
    info!(
        "Zones: {} of {} KiB, {} KiB of each can be written; the {} bytes that there are were rounded down to {} for whole zones",
        geometry.zones,
        geometry.zone_bytes >> 10,
        geometry.zone_capacity_bytes >> 10,
        namespace.media_len_bytes,
        geometry.capacity_bytes()
    );
    if !geometry.zone_bytes.is_power_of_two() {
        info!(
            "Zones: {} KiB is not a power of two; Linux will offer no block device for this namespace",
            geometry.zone_bytes >> 10
        );
    }
}
