//! Identify (NVMe Base 2.0 §5.17).

use nvme_spec::registers::{ControllerConfiguration, VERSION_2_0};
use nvme_spec::{
    namespace_id_type, ozcs, CommandSet, IdentifyCns, IdentifyController, IdentifyIndependentNamespace,
    IdentifyKeyValueNamespace, IdentifyNamespace, IdentifyNvmController, IdentifyZonedController,
    IdentifyZonedNamespace, KeyValueFormat, LbaFormat, Status, SubmissionQueueEntry, IDENTIFY_BYTES,
    KEY_VALUE_KEY_BYTES_MAX, OAES_ZONE_DESCRIPTOR_CHANGED, ZRWACAP_EXPLICIT_FLUSH,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes, KnownLayout};

use super::{error_log, events, features, firmware, persistent_events, put, put_dword, self_test, Outcome};
use crate::controller::Controller;
use crate::data_pointer::DataPointer;
use crate::dataset::{RANGES_MAX, RANGE_BYTES_MAX};
use crate::host::Host;
use crate::io::{COPY_FORMATS, COPY_RANGES_MAX};
use crate::key_value::KeyValue;
use crate::namespace::{Namespace, LBA_FORMATS_LOG2};
use crate::pci;
use crate::zoned::Zoned;

/// A list can start after any identifier but FFFFFFFEh and FFFFFFFFh (NVMe Base 2.0 §5.17.2.2).
const NSID_LIST_START_MAX: u32 = 0xFFFF_FFFD;

/// NSTAT: the namespace is ready.
const NAMESPACE_READY: u8 = 1;

/// DLFEAT: deallocated blocks read as zeros (bits 2:0 = 001b), Write Zeroes can deallocate (bit 3).
const DLFEAT: u8 = 1 << 3 | 0b001;

/// NSFEAT.OPTPERF: the fields NPWG to NOWS are there.
const NSFEAT_OPTIMAL_PERFORMANCE: u8 = 1 << 4;

/// Sources: figure 275 of NVMe Base 2.0.
mod controller_fields {
    /// SQES / CQES: required and maximum size are the same.
    pub const SQES: u8 = 0x66;
    pub const CQES: u8 = 0x44;
    /// ONCS: Compare (bit 0), Write Uncorrectable (bit 1), Dataset Management (bit 2), Write Zeroes (bit 3), Save and Select fields (bit 4), Timestamp
    /// (bit 6), Verify (bit 7), Copy (bit 8).
    pub const ONCS: u16 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8;
    /// FUSES: Compare and Write.
    pub const FUSES: u16 = 1;
    /// VWC: present (bit 0); Flush may address all namespaces (bits 2:1 = 11b).
    pub const VWC: u8 = 0b111;
    /// LPA: effects log (bit 1), extended data for Get Log Page (bit 2), telemetry (bit 3), Persistent Event log (bit 4), Supported Log
    /// Pages with its attributes (bit 5).
    pub const LPA: u8 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
    /// OACS: Firmware Commit and Image Download (bit 2), Device Self-test (bit 4).
    pub const OACS: u16 = 1 << 2 | 1 << 4;
    /// DSTO: one operation at a time in the NVM subsystem.
    pub const DSTO: u8 = 1;
    /// CTRATT: 128-bit host identifier.
    pub const CTRATT: u32 = 1;
    /// RAB: bursts of 2^3.
    pub const RAB: u8 = 3;
    /// Abort commands at once, 0's based.
    pub const ACL_Z: u8 = 3;
}

impl Controller {
    pub(super) fn identify<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        host: &H,
    ) -> Result<Outcome, Status> {
        self.with_page(
            |controller, page| controller.fill_identify(entry, page),
            |page, ()| DataPointer::of(entry).write(host, page, IDENTIFY_BYTES),
        )?;
        Ok(Outcome::Done(0))
    }

    /// Writes what is asked for into `page`, which is all zeros.
    fn fill_identify(&self, entry: &SubmissionQueueEntry, page: &mut [u8]) -> Result<(), Status> {
        let cns = IdentifyCns((entry.cdw10.get() & 0xFF) as u8);
        let command_set = CommandSet((entry.cdw11.get() >> 24) as u8);
        let nsid = entry.nsid.get();
        match cns {
            // Every namespace that exists is attached: allocated and active ones are the same.
            IdentifyCns::NAMESPACE | IdentifyCns::ALLOCATED_NAMESPACE => {
                let namespace = self.namespace_for_identify(nsid)?;
                // The structure of the NVM command set is that of zoned namespaces, too (ZNS 1.1 §4.1.5.1).
                if namespace.has_pairs_only() {
                    return Err(Status::INVALID_IO_COMMAND_SET);
                }
                self.identify_namespace(namespace, layout(page)?);
            }
            IdentifyCns::CONTROLLER => self.identify_controller(layout(page)?),
            IdentifyCns::ACTIVE_NAMESPACE_LIST | IdentifyCns::ALLOCATED_NAMESPACE_LIST => {
                self.active_namespaces(nsid, None, page)?
            }
            IdentifyCns::NAMESPACE_DESCRIPTORS => {
                self.namespace_descriptors(self.namespace_for_identify(nsid)?, page);
            }
            IdentifyCns::COMMAND_SET_NAMESPACE => {
                let namespace = self.namespace_for_identify(nsid)?;
                match (command_set, &namespace.zoned, &namespace.key_value) {
                    // Nothing but zeros: no protection information.
                    (CommandSet::NVM, _, _) if !namespace.has_pairs_only() => {}
                    (CommandSet::ZONED, Some(zoned), _) => {
                        identify_zoned_namespace(zoned, namespace.lba_log2, layout(page)?);
                    }
                    (CommandSet::KEY_VALUE, _, Some(key_value)) if namespace.has_pairs_only() => {
                        self.identify_key_value_namespace(namespace, key_value, layout(page)?);
                    }
                    _ => return Err(Status::INVALID_IO_COMMAND_SET),
                }
            }
            IdentifyCns::COMMAND_SET_CONTROLLER => match command_set {
                CommandSet::NVM => self.identify_nvm_controller(layout(page)?),
                // There is no such structure: all zeros (KV CS 1.0 §4.1.5.2).
                CommandSet::KEY_VALUE if self.has_command_set(command_set) => {}
                CommandSet::ZONED if self.has_command_set(command_set) => {
                    let data: &mut IdentifyZonedController = layout(page)?;
                    data.zasl = self.zasl;
                }
                _ => return Err(Status::INVALID_IO_COMMAND_SET),
            },
            IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST => {
                self.require_command_set(command_set)?;
                self.active_namespaces(nsid, Some(command_set), page)?;
            }
            IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE => {
                self.namespace_for_identify(nsid)?;
                let data: &mut IdentifyIndependentNamespace = layout(page)?;
                data.nstat = NAMESPACE_READY;
            }
            IdentifyCns::IO_COMMAND_SET => {
                if !matches!(entry.cdw10.get() >> 16, 0 | 0xFFFF) {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                // The only combination: all that there are.
                put(page, 0, &self.command_sets().to_le_bytes());
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }
        Ok(())
    }

    fn namespace_for_identify(&self, nsid: u32) -> Result<&Namespace, Status> {
        self.io.namespace(nsid).ok_or(Status::INVALID_NAMESPACE_OR_FORMAT)
    }

    /// Whether a namespace speaks `command_set`.
    pub(super) fn has_command_set(&self, command_set: CommandSet) -> bool {
        let mut namespaces = self.io.namespaces.iter();
        namespaces.any(|namespace| namespace.command_set() == command_set)
    }

    /// The I/O command sets that the controller has, a bit for each (NVMe Base 2.0 figure 290): the NVM command set always, as CAP.CSS says.
    fn command_sets(&self) -> u64 {
        let sets = self.io.namespaces.iter().map(Namespace::command_set);
        sets.fold(1 << CommandSet::NVM.0, |bits, set| bits | 1 << set.0)
    }

    fn require_command_set(&self, asked: CommandSet) -> Result<(), Status> {
        if 1u64
            .checked_shl(asked.0.into())
            .is_some_and(|bit| self.command_sets() & bit != 0)
        {
            Ok(())
        } else {
            Err(Status::INVALID_IO_COMMAND_SET)
        }
    }

    fn identify_controller(&self, data: &mut IdentifyController) {
        data.vid = pci::VENDOR_ID.into();
        data.ssvid = pci::VENDOR_ID.into();
        data.serial_number = self.identity.serial_number;
        data.model_number = self.identity.model_number;
        data.firmware_revision = self.admin.firmware.running();
        data.rab = controller_fields::RAB;
        data.mdts = self.mdts;
        data.ver = VERSION_2_0.into();
        data.ctratt = controller_fields::CTRATT.into();
        data.cntrltype = 1;
        data.oacs = controller_fields::OACS.into();
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
        data.nn = (self.io.namespaces.len() as u32).into();
        if self.has_command_set(CommandSet::ZONED) {
            data.oaes = OAES_ZONE_DESCRIPTOR_CHANGED.into();
        }
        data.oncs = controller_fields::ONCS.into();
        data.fuses = controller_fields::FUSES.into();
        // A pair is alone with the data, however long it is: as long as a transfer, in LBAs of the longer format.
        let atomic_lbas = (self.io.limits.transfer_bytes_max >> 12).clamp(1, 1 << 16);
        data.acwu_z = ((atomic_lbas - 1) as u16).into();
        data.vwc = controller_fields::VWC;
        data.ocfs = COPY_FORMATS.into();
        data.subnqn = self.identity.subsystem_nqn();
        let capacity: u128 = self
            .io
            .namespaces
            .iter()
            .map(|namespace| u128::from(namespace.capacity_bytes()))
            .sum();
        data.tnvmcap_bytes = capacity.to_le_bytes();
        // Power state 0: 25 W, the most that a slot gives without negotiation.
        data.psd[0].maximum_power_centiwatts = 2500.into();
    }

    /// Limits of commands whose work would otherwise be as long as the namespace.
    fn identify_nvm_controller(&self, data: &mut IdentifyNvmController) {
        // In LBAs of any namespace.
        let lba_log2 = self
            .io
            .namespaces
            .iter()
            .map(|namespace| namespace.lba_log2)
            .max();
        let range_lbas = (RANGE_BYTES_MAX >> lba_log2.unwrap_or(0)) as u32;
        data.vsl = self.mdts;
        data.wzsl = self.mdts;
        data.wusl = self.mdts;
        data.dmrl = RANGES_MAX as u8;
        data.dmrsl_lbas = range_lbas.into();
        data.dmsl_lbas = (u64::from(range_lbas) * RANGES_MAX as u64).into();
    }

    fn identify_namespace(&self, namespace: &Namespace, data: &mut IdentifyNamespace) {
        data.nsze_lbas = namespace.size_lbas.into();
        let capacity_lbas = namespace.capacity_bytes() >> namespace.lba_log2;
        data.ncap_lbas = capacity_lbas.into();
        data.nuse_lbas = capacity_lbas.into();
        data.nlbaf_z = LBA_FORMATS_LOG2.len() as u8 - 1;
        data.flbas = namespace.format_index();
        let transfer_lbas = self.io.limits.transfer_bytes_max >> namespace.lba_log2;
        data.mssrl_lbas = u16::try_from(transfer_lbas).unwrap_or(u16::MAX).into();
        data.mcl_lbas = transfer_lbas.into();
        data.msrc_z = COPY_RANGES_MAX as u8 - 1;
        data.nvmcap_bytes = u128::from(namespace.capacity_bytes()).to_le_bytes();
        data.dlfeat = DLFEAT;
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
        data.nguid = self.identity.nguid(namespace.nsid);
        data.eui64 = self.identity.eui64(namespace.nsid);
        for (slot, lba_data_size_log2) in data.lbaf.iter_mut().zip(LBA_FORMATS_LOG2) {
            *slot = LbaFormat {
                metadata_bytes: 0.into(),
                lba_data_size_log2,
                relative_performance: 0,
            };
        }
    }

    /// What the Key Value Command Set has about a namespace (KV CS 1.0 figure 36).
    fn identify_key_value_namespace(
        &self,
        namespace: &Namespace,
        key_value: &KeyValue,
        data: &mut IdentifyKeyValueNamespace,
    ) {
        data.nsze_bytes = key_value.store.capacity_bytes().into();
        data.nuse_bytes = key_value.store.used_bytes().into();
        data.nguid = self.identity.nguid(namespace.nsid);
        data.eui64 = self.identity.eui64(namespace.nsid);
        data.kvf[0] = KeyValueFormat {
            key_bytes_max: (KEY_VALUE_KEY_BYTES_MAX as u16).into(),
            value_bytes_max: key_value.value_bytes_max().into(),
            keys_max: key_value.store.keys_max().into(),
            ..KeyValueFormat::new_zeroed()
        };
    }

    /// Identifiers above `after`, ascending, ended by zeros.
    fn active_namespaces(
        &self,
        after: u32,
        command_set: Option<CommandSet>,
        page: &mut [u8],
    ) -> Result<(), Status> {
        if after > NSID_LIST_START_MAX {
            return Err(Status::INVALID_NAMESPACE_OR_FORMAT);
        }
        let listed = self.io.namespaces.iter().filter(|namespace| {
            namespace.nsid > after && command_set.is_none_or(|set| set == namespace.command_set())
        });
        for (index, namespace) in listed.enumerate() {
            put_dword(page, index, namespace.nsid);
        }
        Ok(())
    }

    fn namespace_descriptors(&self, namespace: &Namespace, page: &mut [u8]) {
        let mut at = page.iter_mut();
        let mut add = |kind: u8, id: &[u8]| {
            for (byte, slot) in [kind, id.len() as u8, 0, 0].iter().chain(id).zip(at.by_ref()) {
                *slot = *byte;
            }
        };
        add(namespace_id_type::EUI64, &self.identity.eui64(namespace.nsid));
        add(namespace_id_type::NGUID, &self.identity.nguid(namespace.nsid));
        add(namespace_id_type::UUID, &self.identity.uuid(namespace.nsid));
        if self.admin.css == ControllerConfiguration::CSS_ALL {
            add(namespace_id_type::COMMAND_SET, &[namespace.command_set().0]);
        }
    }
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
