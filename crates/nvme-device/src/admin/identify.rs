//! Identify (NVMe Base 2.0 §5.17).

use nvme_spec::registers::{ControllerConfiguration, VERSION_2_0};
use nvme_spec::{
    namespace_id_type, ozcs, CommandSet, IdentifyController, IdentifyIndependentNamespace,
    IdentifyKeyValueNamespace, IdentifyNamespace, IdentifyNvmController, IdentifyZonedController,
    IdentifyZonedNamespace, KeyValueFormat, LbaFormat, Status, IDENTIFY_BYTES, KEY_VALUE_KEY_BYTES_MAX,
    RESCAP_ALL, ZRWACAP_EXPLICIT_FLUSH,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes, KnownLayout};

use crate::admin::capabilities::{CONTROLLER_ID, FNA, OAES, SANICAP};
use crate::admin::format;
use crate::admin::identify_request::{Identify, Structure};
use crate::admin::outcome::Outcome;
use crate::admin::page::{put, put_dword};
use crate::admin::state::feature_buffers::{describe_power_states, LAST_POWER_STATE};
use crate::admin::state::{error_log, events, features, firmware, persistent_events, self_test};
use crate::admin::table::admin_commands;
use crate::command::table as io_commands;
use crate::core::Core;
use crate::data_pointer::sgl::SUPPORT as SGL_SUPPORT;
use crate::host::{CopyEngine, HostMemory};
use crate::io::copy::FORMATS as COPY_FORMATS;
use crate::limits::{COPY_RANGES_MAX, NAMESPACES_MAX};
use crate::namespace::key_value::KeyValue;
use crate::namespace::zoned::Zoned;
use crate::namespace::{Namespace, LBA_FORMATS_LOG2};
use crate::pci::config as pci;

/// A list can start after any identifier but FFFFFFFEh and FFFFFFFFh (NVMe Base 2.0 §5.17.2.2).
const NSID_LIST_START_MAX: u32 = 0xFFFF_FFFD;

/// NSTAT: the namespace is ready.
const NAMESPACE_READY: u8 = 1;

/// DLFEAT: deallocated blocks read as zeros (bits 2:0 = 001b), Write Zeroes can deallocate (bit 3).
const DLFEAT: u8 = 1 << 3 | 0b001;

/// NSFEAT.OPTPERF: the fields NPWG to NOWS are there.
const NSFEAT_OPTIMAL_PERFORMANCE: u8 = 1 << 4;

/// NSFEAT.NSABP: the fields NAWUN, NAWUPF and NACWU are there.
const NSFEAT_ATOMIC_BOUNDARIES: u8 = 1 << 1;

/// APSTA: Autonomous Power State Transition, as the specification has it.
const APSTA: u8 = 1;

/// NSZEGRAN and NCAPGRAN: what sizes of namespaces are best multiples of.
const NAMESPACE_GRANULARITY_BYTES: u64 = 4096;

/// Where the descriptors of a Namespace Granularity List begin (NVM CS 1.0 figure 102).
const GRANULARITY_DESCRIPTORS_AT: usize = 32;

/// NSFEAT.UIDREUSE: NGUID and EUI64 are never those of another namespace.
const NSFEAT_IDENTIFIERS_NOT_REUSED: u8 = 1 << 3;

/// Sources: figure 275 of NVMe Base 2.0.
mod controller_fields {
    /// SQES / CQES: required and maximum size are the same.
    pub const SQES: u8 = 0x66;
    pub const CQES: u8 = 0x44;
    /// ONCS, beside the bits of I/O commands: Save and Select fields (bit 4), Timestamp (bit 6).
    pub const ONCS_FEATURES: u16 = 1 << 4 | 1 << 6;
    /// FUSES: Compare and Write.
    pub const FUSES: u16 = 1;
    /// VWC: present (bit 0); Flush may address all namespaces (bits 2:1 = 11b).
    pub const VWC: u8 = 0b111;
    /// LPA: SMART log of each namespace (bit 0), effects log (bit 1), extended data for Get Log Page (bit 2), telemetry (bit 3), Persistent Event log (bit 4), Supported Log
    /// Pages with its attributes (bit 5).
    pub const LPA: u8 = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
    /// DSTO: one operation at a time in the NVM subsystem.
    pub const DSTO: u8 = 1;
    /// CTRATT: 128-bit host identifier (bit 0), Namespace Granularity List (bit 7).
    pub const CTRATT: u32 = 1 | 1 << 7;
    /// RAB: bursts of 2^3.
    pub const RAB: u8 = 3;
    /// Abort commands at once, 0's based.
    pub const ACL_Z: u8 = 3;
}

pub(crate) fn identify<H: HostMemory + CopyEngine>(
    core: &mut Core,
    asked: &Identify,
    host: &H,
) -> Result<Outcome, Status> {
    // Engines have the copies of several commands under way at once.
    let has_engine = host.has_engine(0);
    core.with_page(
        |core, page| fill_identify(core, asked.structure, has_engine, page),
        |page, ()| asked.pointer.write(host, page, IDENTIFY_BYTES),
    )?;
    Ok(Outcome::Done(0))
}

/// Writes what is asked for into `page`, which is all zeros.
fn fill_identify(core: &Core, structure: Structure, has_engine: bool, page: &mut [u8]) -> Result<(), Status> {
    let atomic_bytes = atomic_write_bytes(core, has_engine);
    match structure {
        // NVM CS 1.0 §4.1.5.1 and §4.1.5.5: all formats are alike.
        Structure::CommonNamespace => identify_common(layout(page)?),
        // The structure of the NVM command set is that of zoned namespaces, too (ZNS 1.1 §4.1.5.1).
        Structure::Namespace {
            nsid,
            may_be_detached,
        } => {
            match namespace_for_identify(core, nsid, may_be_detached)? {
                // The structure is not one of the namespace's command set. No command set is named here that could be invalid (as with CNS 05h), so it is
                // the field that has a value without meaning; and SPDK takes this answer for an inactive namespace, and goes on.
                Some(namespace) if namespace.has_pairs_only() => {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                Some(namespace) => identify_namespace(core, namespace, atomic_bytes, layout(page)?),
                None => {}
            }
        }
        Structure::CommandSetFormat { command_set } => identify_format(core, command_set, page)?,
        Structure::NamespaceGranularityList => {
            // One descriptor (their number is 0's based), for all formats.
            let bytes = NAMESPACE_GRANULARITY_BYTES.to_le_bytes();
            put(page, GRANULARITY_DESCRIPTORS_AT, &bytes);
            put(page, GRANULARITY_DESCRIPTORS_AT + bytes.len(), &bytes);
        }
        Structure::Controller => identify_controller(core, atomic_bytes, layout(page)?),
        Structure::NamespaceList {
            after,
            command_set,
            may_be_detached,
        } => {
            if let Some(command_set) = command_set {
                require_command_set(core, command_set)?;
            }
            let namespaces = &core.queue_set.io.namespaces;
            let is_meant = |namespace: &&Namespace| {
                command_set.is_none_or(|command_set| namespace.command_set() == command_set)
            };
            match may_be_detached {
                false => fill_list(after, namespaces.iter_attached().filter(is_meant), page)?,
                true => fill_list(after, namespaces.iter().filter(is_meant), page)?,
            }
        }
        Structure::NamespaceDescriptors { nsid } => {
            namespace_descriptors(core, core.queue_set.io.namespaces.attached(nsid)?, page);
        }
        Structure::ControllerList { first, nsid } => {
            let is_listed = match nsid {
                None => true,
                Some(nsid) => {
                    core.queue_set.io.namespaces.allocated(nsid)?;
                    core.queue_set.io.namespaces.is_attached(nsid)
                }
            };
            fill_controller_list(first, is_listed, page);
        }
        Structure::CommandSetNamespace {
            nsid,
            command_set,
            may_be_detached,
        } => match namespace_for_identify(core, nsid, may_be_detached)? {
            Some(namespace) => identify_command_set_namespace(core, namespace, command_set, page)?,
            None => require_command_set(core, command_set)?,
        },
        Structure::CommandSetController { command_set } => match command_set {
            CommandSet::NVM => identify_nvm_controller(core, layout(page)?),
            // There is no such structure: all zeros (KV CS 1.0 §4.1.5.2).
            CommandSet::KEY_VALUE => {}
            CommandSet::ZONED => {
                let data: &mut IdentifyZonedController = layout(page)?;
                data.zasl = core.zasl;
            }
            _ => return Err(Status::INVALID_IO_COMMAND_SET),
        },
        Structure::IndependentNamespace { nsid } => {
            if namespace_for_identify(core, nsid, false)?.is_some() {
                let data: &mut IdentifyIndependentNamespace = layout(page)?;
                data.nsfeat = NSFEAT_IDENTIFIERS_NOT_REUSED;
                data.rescap = RESCAP_ALL;
                data.fpi = format::format_progress(core, nsid);
                data.nstat = NAMESPACE_READY;
            }
        }
        // The only combination: all that there are.
        Structure::CommandSetCombinations => put(page, 0, &command_sets(core).to_le_bytes()),
    }
    Ok(())
}

/// What a command set has about a namespace.
fn identify_command_set_namespace(
    core: &Core,
    namespace: &Namespace,
    command_set: CommandSet,
    page: &mut [u8],
) -> Result<(), Status> {
    match (command_set, &namespace.zoned, &namespace.key_value) {
        // Nothing but zeros: no protection information.
        (CommandSet::NVM, _, _) if !namespace.has_pairs_only() => {}
        (CommandSet::ZONED, Some(zoned), _) => {
            identify_zoned_namespace(zoned, namespace.lba_log2, layout(page)?);
        }
        (CommandSet::KEY_VALUE, _, Some(key_value)) if namespace.has_pairs_only() => {
            identify_key_value_namespace(core, namespace, key_value, layout(page)?);
        }
        _ => return Err(Status::INVALID_IO_COMMAND_SET),
    }
    Ok(())
}

/// The namespace whose structure is asked for; nothing if it is not there, and the structure all zeros (NVMe Base 2.0 §5.17.2.1).
fn namespace_for_identify(
    core: &Core,
    nsid: u32,
    may_be_detached: bool,
) -> Result<Option<&Namespace>, Status> {
    let found = if may_be_detached {
        core.queue_set.io.namespaces.allocated(nsid)
    } else {
        core.queue_set.io.namespaces.attached(nsid)
    };
    match found {
        Ok(namespace) => Ok(Some(namespace)),
        Err(Status::INVALID_NAMESPACE_OR_FORMAT) => Err(Status::INVALID_NAMESPACE_OR_FORMAT),
        Err(_) => Ok(None),
    }
}

/// The I/O command sets that namespaces can have, a bit for each (NVMe Base 2.0 figure 290).
fn command_sets(core: &Core) -> u64 {
    let templates = core.provisioning.templates.all();
    templates.fold(0, |bits, template| bits | 1 << template.kind.command_set().0)
}

fn require_command_set(core: &Core, asked: CommandSet) -> Result<(), Status> {
    if 1u64
        .checked_shl(asked.0.into())
        .is_some_and(|bit| command_sets(core) & bit != 0)
    {
        Ok(())
    } else {
        Err(Status::INVALID_IO_COMMAND_SET)
    }
}

/// How much one write may have and still be done as a whole, whatever else is read and written, and whenever the controller is reset: nothing beyond an LBA,
/// unless there is a single worker that copies command after command, each to its end.
fn atomic_write_bytes(core: &Core, has_engine: bool) -> Option<u32> {
    (core.queue_set.links.len() == 1 && !has_engine).then_some(core.queue_set.io.limits.transfer_bytes_max)
}

/// What all namespaces of a command set have in common, whatever their format.
fn identify_format(core: &Core, command_set: CommandSet, page: &mut [u8]) -> Result<(), Status> {
    let mut namespaces = core.queue_set.io.namespaces.iter();
    let zoned = namespaces.find_map(|namespace| Some((namespace.zoned.as_ref()?, namespace.lba_log2)));
    match (command_set, zoned) {
        // Nothing but zeros: no protection information.
        (CommandSet::NVM, _) => {}
        (CommandSet::ZONED, Some((zoned, lba_log2))) => {
            identify_zoned_namespace(zoned, lba_log2, layout(page)?);
        }
        (CommandSet::ZONED, None) => require_command_set(core, command_set)?,
        _ => return Err(Status::INVALID_IO_COMMAND_SET),
    }
    Ok(())
}

fn identify_controller(core: &Core, atomic_bytes: Option<u32>, data: &mut IdentifyController) {
    data.vid = pci::VENDOR_ID.into();
    data.ssvid = pci::VENDOR_ID.into();
    data.serial_number = core.identity.serial_number;
    data.model_number = core.identity.model_number;
    data.firmware_revision = core.admin.firmware.running();
    data.rab = controller_fields::RAB;
    data.mdts = core.mdts;
    data.ver = VERSION_2_0.into();
    data.ctratt = controller_fields::CTRATT.into();
    data.cntrltype = 1;
    data.oacs = admin_commands(core).fold(0, |bits, row| bits | row.oacs).into();
    data.edstt_minutes = self_test::EXTENDED_MINUTES.into();
    data.dsto = controller_fields::DSTO;
    data.acl_z = controller_fields::ACL_Z;
    data.aerl_z = events::REQUESTS_MAX as u8 - 1;
    data.frmw = firmware::FRMW;
    data.fwug = firmware::FWUG;
    data.pels_64kib = persistent_events::PELS.into();
    data.lpa = controller_fields::LPA;
    data.elpe_z = error_log::ENTRIES as u8 - 1;
    data.wctemp_kelvin = features::WARNING_TEMPERATURE_KELVIN.into();
    data.cctemp_kelvin = features::CRITICAL_TEMPERATURE_KELVIN.into();
    data.sqes = controller_fields::SQES;
    data.cqes = controller_fields::CQES;
    data.nn = NAMESPACES_MAX.into();
    data.mnan = NAMESPACES_MAX.into();
    data.oaes = OAES.into();
    data.cntlid = CONTROLLER_ID.into();
    data.sanicap = SANICAP.into();
    data.fna = FNA;
    data.oncs = (io_commands::oncs() | controller_fields::ONCS_FEATURES).into();
    data.fuses = controller_fields::FUSES.into();
    // In LBAs of the longest format, so that it holds for all.
    let lba_log2 = LBA_FORMATS_LOG2.into_iter().max().unwrap_or_default();
    let atomic_z = atomic_bytes.map_or(0, |bytes| lbas_z(bytes, lba_log2));
    data.awun_z = atomic_z.into();
    data.awupf_z = atomic_z.into();
    // A pair is alone with the data, however long it is.
    data.acwu_z = lbas_z(core.queue_set.io.limits.transfer_bytes_max, lba_log2).into();
    data.vwc = controller_fields::VWC;
    data.ocfs = COPY_FORMATS.into();
    data.sgls = SGL_SUPPORT.into();
    data.subnqn = core.identity.subsystem_nqn();
    data.tnvmcap_bytes = u128::from(core.provisioning.media_bytes).to_le_bytes();
    let unallocated_bytes = core.provisioning.unallocated_bytes(&core.queue_set.io.namespaces);
    data.unvmcap_bytes = u128::from(unallocated_bytes).to_le_bytes();
    data.npss_z = LAST_POWER_STATE;
    data.apsta = APSTA;
    describe_power_states(&mut data.psd);
}

/// Limits of Verify and Write Uncorrectable. Write Zeroes and Dataset Management have none (WZSL, DMRL, DMRSL and DMSL are 0): they are done in parts,
/// because there are hosts that never look at this structure.
fn identify_nvm_controller(core: &Core, data: &mut IdentifyNvmController) {
    data.vsl = core.mdts;
    data.wusl = core.mdts;
}

fn identify_namespace(
    core: &Core,
    namespace: &Namespace,
    atomic_bytes: Option<u32>,
    data: &mut IdentifyNamespace,
) {
    data.nsze_lbas = namespace.size_lbas.into();
    let capacity_lbas = namespace.capacity_bytes() >> namespace.lba_log2;
    data.ncap_lbas = capacity_lbas.into();
    data.nuse_lbas = capacity_lbas.into();
    identify_common(data);
    data.nsfeat = NSFEAT_IDENTIFIERS_NOT_REUSED;
    if let Some(bytes) = atomic_bytes {
        let atomic_z = lbas_z(bytes, namespace.lba_log2);
        data.nsfeat |= NSFEAT_ATOMIC_BOUNDARIES;
        data.nawun_z = atomic_z.into();
        data.nawupf_z = atomic_z.into();
        data.nacwu_z = atomic_z.into();
    }
    data.flbas = namespace.format_index();
    data.rescap = RESCAP_ALL;
    data.fpi = format::format_progress(core, namespace.nsid);
    let transfer_lbas = core.queue_set.io.limits.transfer_bytes_max >> namespace.lba_log2;
    data.mssrl_lbas = u16::try_from(transfer_lbas).unwrap_or(u16::MAX).into();
    data.mcl_lbas = transfer_lbas.into();
    data.msrc_z = COPY_RANGES_MAX as u8 - 1;
    let media = namespace.media();
    data.nvmcap_bytes = u128::from(media.end - media.start).to_le_bytes();
    if let Some(granularity_bytes) = namespace.granularity_bytes() {
        let granularity_z = ((granularity_bytes >> namespace.lba_log2).max(1) - 1) as u16;
        data.nsfeat |= NSFEAT_OPTIMAL_PERFORMANCE;
        for field in [
            &mut data.npwg_z,
            &mut data.npwa_z,
            &mut data.npdg_z,
            &mut data.npda_z,
            &mut data.nows_z,
        ] {
            *field = granularity_z.into();
        }
    }
    data.nguid = core.identity.nguid(namespace.unique_number);
    data.eui64 = core.identity.eui64(namespace.unique_number);
}

/// What the Key Value Command Set has about a namespace (KV CS 1.0 figure 36).
fn identify_key_value_namespace(
    core: &Core,
    namespace: &Namespace,
    key_value: &KeyValue,
    data: &mut IdentifyKeyValueNamespace,
) {
    data.nsze_bytes = key_value.store.capacity_bytes().into();
    data.nuse_bytes = key_value.store.used_bytes().into();
    data.nsfeat = NSFEAT_IDENTIFIERS_NOT_REUSED;
    data.rescap = RESCAP_ALL;
    data.fpi = format::format_progress(core, namespace.nsid);
    data.nguid = core.identity.nguid(namespace.unique_number);
    data.eui64 = core.identity.eui64(namespace.unique_number);
    data.kvf[0] = KeyValueFormat {
        key_bytes_max: (KEY_VALUE_KEY_BYTES_MAX as u16).into(),
        value_bytes_max: key_value.value_bytes_max().into(),
        keys_max: key_value.store.keys_max().into(),
        ..KeyValueFormat::new_zeroed()
    };
}

fn namespace_descriptors(core: &Core, namespace: &Namespace, page: &mut [u8]) {
    let mut at = page.iter_mut();
    let mut add = |kind: u8, id: &[u8]| {
        for (byte, slot) in [kind, id.len() as u8, 0, 0].iter().chain(id).zip(at.by_ref()) {
            *slot = *byte;
        }
    };
    add(
        namespace_id_type::EUI64,
        &core.identity.eui64(namespace.unique_number),
    );
    add(
        namespace_id_type::NGUID,
        &core.identity.nguid(namespace.unique_number),
    );
    add(
        namespace_id_type::UUID,
        &core.identity.uuid(namespace.unique_number),
    );
    if core.admin.css == ControllerConfiguration::CSS_ALL {
        add(namespace_id_type::COMMAND_SET, &[namespace.command_set().0]);
    }
}

/// Identifiers above `after`, ascending, ended by zeros.
fn fill_list<'a>(
    after: u32,
    namespaces: impl Iterator<Item = &'a Namespace>,
    page: &mut [u8],
) -> Result<(), Status> {
    if after > NSID_LIST_START_MAX {
        return Err(Status::INVALID_NAMESPACE_OR_FORMAT);
    }
    let listed = namespaces.filter(|namespace| namespace.nsid > after);
    for (index, namespace) in listed.enumerate() {
        put_dword(page, index, namespace.nsid);
    }
    Ok(())
}

/// The number of controllers, and their identifiers, from the one in CNTID on (NVMe Base 2.0 §4.4.1): the only one is the lowest that there can be.
fn fill_controller_list(first: u16, is_listed: bool, page: &mut [u8]) {
    if is_listed && first == CONTROLLER_ID {
        put(page, 0, &1u16.to_le_bytes());
        put(page, 2, &CONTROLLER_ID.to_le_bytes());
    }
}

/// What namespaces with LBAs have in common.
fn identify_common(data: &mut IdentifyNamespace) {
    data.nlbaf_z = LBA_FORMATS_LOG2.len() as u8 - 1;
    data.dlfeat = DLFEAT;
    for (slot, lba_data_size_log2) in data.lbaf.iter_mut().zip(LBA_FORMATS_LOG2) {
        *slot = LbaFormat {
            metadata_bytes: 0.into(),
            lba_data_size_log2,
            relative_performance: 0,
        };
    }
}

/// How many LBAs `bytes` are, 0's based, as far as 16 bits can say.
fn lbas_z(bytes: u32, lba_log2: u8) -> u16 {
    ((bytes >> lba_log2).clamp(1, 1 << 16) - 1) as u16
}

/// The page as a data structure.
fn layout<T: FromBytes + IntoBytes + KnownLayout>(page: &mut [u8]) -> Result<&mut T, Status> {
    T::mut_from_bytes(page).map_err(|_| Status::INTERNAL_ERROR)
}

/// What the Zoned Namespace command set has about a namespace, for each LBA format (ZNS 1.1 figure 48).
fn identify_zoned_namespace(zoned: &Zoned, lba_log2: u8, data: &mut IdentifyZonedNamespace) {
    // 0's based, and 0 for no limit becomes all ones.
    let resources_z = |limit: u32| limit.wrapping_sub(1);
    let (zone, zrwa) = (&zoned.zone, &zoned.zrwa);
    data.mar_z = resources_z(zone.max_active).into();
    data.mor_z = resources_z(zone.open_limit()).into();
    if zone.reads_across_zones {
        data.ozcs = (data.ozcs.get() | ozcs::READ_ACROSS_ZONE_BOUNDARIES).into();
    }
    if zrwa.count > 0 {
        data.ozcs = (data.ozcs.get() | ozcs::ZRWA_SUPPORTED).into();
        data.numzrwa_z = (zrwa.count - 1).into();
        data.zrwafg_lbas = ((zrwa.granularity_bytes >> lba_log2) as u16).into();
        data.zrwas_lbas = ((zrwa.size_bytes >> lba_log2) as u16).into();
        data.zrwacap = ZRWACAP_EXPLICIT_FLUSH;
    }
    for (slot, lba_log2) in data.lbafe.iter_mut().zip(LBA_FORMATS_LOG2) {
        slot.zone_size_lbas = (zoned.geometry.zone_bytes >> lba_log2).into();
        slot.descriptor_extension_64b = (zone.descriptor_extension_bytes / 64) as u8;
    }
}

#[cfg(test)]
mod tests;
