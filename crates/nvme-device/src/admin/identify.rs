//! Identify (NVMe Base 2.0 §5.17).

use nvme_spec::registers::{ControllerConfiguration, VERSION_2_0};
use nvme_spec::{
    namespace_id_type, CommandSet, IdentifyCns, IdentifyController, IdentifyIndependentNamespace,
    IdentifyNamespace, LbaFormat, Status, SubmissionQueueEntry, IDENTIFY_BYTES,
};
use zerocopy::IntoBytes;

use super::{data_pointer, error_log, events, features, Outcome};
use crate::controller::Controller;
use crate::host::Host;
use crate::namespace::{Namespace, LBA_FORMATS_LOG2};
use crate::pci;

/// A list can start after any identifier but FFFFFFFEh and FFFFFFFFh (NVMe Base 2.0 §5.17.2.2).
const NSID_LIST_START_MAX: u32 = 0xFFFF_FFFD;

/// Room for the four identification descriptors of a namespace.
const DESCRIPTORS_BYTES: usize = 64;

/// Sources: figure 275 of NVMe Base 2.0.
mod controller_fields {
    /// SQES / CQES: required and maximum size are the same.
    pub const SQES: u8 = 0x66;
    pub const CQES: u8 = 0x44;
    /// ONCS: Save and Select fields (bit 4), Timestamp (bit 6).
    pub const ONCS: u16 = 1 << 4 | 1 << 6;
    /// VWC: present (bit 0); Flush may address all namespaces (bits 2:1 = 11b).
    pub const VWC: u8 = 0b111;
    /// LPA: effects log (bit 1), extended data for Get Log Page (bit 2), Supported Log Pages with its attributes (bit 5).
    pub const LPA: u8 = 1 << 1 | 1 << 2 | 1 << 5;
    /// FRMW: one slot, read-only.
    pub const FRMW: u8 = 1 << 1 | 1;
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
        let cns = IdentifyCns((entry.cdw10.get() & 0xFF) as u8);
        let command_set = CommandSet((entry.cdw11.get() >> 24) as u8);
        let nsid = entry.nsid.get();
        let write = |bytes: &[u8]| data_pointer(entry).write(host, bytes, IDENTIFY_BYTES);
        match cns {
            IdentifyCns::NAMESPACE => {
                let namespace = self.namespace_for_identify(nsid)?;
                require_command_set(namespace.command_set(), CommandSet::NVM)?;
                write(self.identify_namespace(namespace).as_bytes())
            }
            IdentifyCns::CONTROLLER => write(self.identify_controller().as_bytes()),
            IdentifyCns::ACTIVE_NAMESPACE_LIST => write(self.active_namespaces(nsid, None)?.as_bytes()),
            IdentifyCns::NAMESPACE_DESCRIPTORS => {
                write(&self.namespace_descriptors(self.namespace_for_identify(nsid)?))
            }
            IdentifyCns::COMMAND_SET_NAMESPACE => {
                require_command_set(command_set, CommandSet::NVM)?;
                self.namespace_for_identify(nsid)?;
                write(&[])
            }
            IdentifyCns::COMMAND_SET_CONTROLLER => {
                require_command_set(command_set, CommandSet::NVM)?;
                write(&[])
            }
            IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST => {
                require_command_set(command_set, CommandSet::NVM)?;
                write(self.active_namespaces(nsid, Some(command_set))?.as_bytes())
            }
            IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE => {
                self.namespace_for_identify(nsid)?;
                // NSTAT: ready.
                write(
                    IdentifyIndependentNamespace {
                        nstat: 1,
                        ..IdentifyIndependentNamespace::zeroed()
                    }
                    .as_bytes(),
                )
            }
            IdentifyCns::IO_COMMAND_SET => {
                if !matches!(entry.cdw10.get() >> 16, 0 | 0xFFFF) {
                    return Err(Status::INVALID_FIELD_IN_COMMAND);
                }
                // The only combination: the NVM command set (bit 0).
                write(&1u64.to_le_bytes())
            }
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        }?;
        Ok(Outcome::Done(0))
    }

    /// Every namespace that exists is attached, so there are no inactive ones.
    fn namespace_for_identify(&self, nsid: u32) -> Result<&Namespace, Status> {
        self.io.namespace(nsid).ok_or(Status::INVALID_NAMESPACE_OR_FORMAT)
    }

    fn identify_controller(&self) -> IdentifyController {
        let mut data = IdentifyController {
            vid: pci::VENDOR_ID.into(),
            ssvid: pci::VENDOR_ID.into(),
            serial_number: self.identity.serial_number,
            model_number: self.identity.model_number,
            firmware_revision: self.identity.firmware_revision,
            rab: controller_fields::RAB,
            mdts: self.mdts,
            ver: VERSION_2_0.into(),
            ctratt: controller_fields::CTRATT.into(),
            cntrltype: 1,
            acl_z: controller_fields::ACL_Z,
            aerl_z: events::REQUESTS_MAX as u8 - 1,
            frmw: controller_fields::FRMW,
            lpa: controller_fields::LPA,
            elpe_z: error_log::ENTRIES as u8 - 1,
            wctemp_kelvin: features::WARNING_TEMPERATURE_KELVIN.into(),
            cctemp_kelvin: features::CRITICAL_TEMPERATURE_KELVIN.into(),
            sqes: controller_fields::SQES,
            cqes: controller_fields::CQES,
            nn: (self.io.namespaces.len() as u32).into(),
            oncs: controller_fields::ONCS.into(),
            vwc: controller_fields::VWC,
            subnqn: self.identity.subsystem_nqn(),
            ..IdentifyController::zeroed()
        };
        let capacity: u128 = self
            .io
            .namespaces
            .iter()
            .map(|namespace| u128::from(namespace.capacity_bytes()))
            .sum();
        data.tnvmcap_bytes = capacity.to_le_bytes();
        // Power state 0: 25 W, the most that a slot gives without negotiation.
        data.psd[0].maximum_power_centiwatts = 2500.into();
        data
    }

    fn identify_namespace(&self, namespace: &Namespace) -> IdentifyNamespace {
        let mut data = IdentifyNamespace {
            nsze_lbas: namespace.size_lbas.into(),
            ncap_lbas: namespace.size_lbas.into(),
            nuse_lbas: namespace.size_lbas.into(),
            nlbaf_z: LBA_FORMATS_LOG2.len() as u8 - 1,
            flbas: namespace.format_index(),
            nvmcap_bytes: u128::from(namespace.capacity_bytes()).to_le_bytes(),
            nguid: self.identity.nguid(namespace.nsid),
            eui64: self.identity.eui64(namespace.nsid),
            ..IdentifyNamespace::zeroed()
        };
        for (slot, lba_data_size_log2) in data.lbaf.iter_mut().zip(LBA_FORMATS_LOG2) {
            *slot = LbaFormat {
                metadata_bytes: 0.into(),
                lba_data_size_log2,
                relative_performance: 0,
            };
        }
        data
    }

    /// Identifiers above `after`, ascending, ended by zeros.
    fn active_namespaces(&self, after: u32, command_set: Option<CommandSet>) -> Result<[u32; 1024], Status> {
        if after > NSID_LIST_START_MAX {
            return Err(Status::INVALID_NAMESPACE_OR_FORMAT);
        }
        let mut list = [0u32; 1024];
        let listed = self.io.namespaces.iter().filter(|namespace| {
            namespace.nsid > after && command_set.is_none_or(|set| set == namespace.command_set())
        });
        for (slot, namespace) in list.iter_mut().zip(listed) {
            *slot = namespace.nsid.to_le();
        }
        Ok(list)
    }

    fn namespace_descriptors(&self, namespace: &Namespace) -> [u8; DESCRIPTORS_BYTES] {
        let mut data = [0; DESCRIPTORS_BYTES];
        let mut at = data.iter_mut();
        let mut add = |kind: u8, id: &[u8]| {
            for byte in [kind, id.len() as u8, 0, 0].iter().chain(id) {
                if let Some(slot) = at.next() {
                    *slot = *byte;
                }
            }
        };
        add(namespace_id_type::EUI64, &self.identity.eui64(namespace.nsid));
        add(namespace_id_type::NGUID, &self.identity.nguid(namespace.nsid));
        add(namespace_id_type::UUID, &self.identity.uuid(namespace.nsid));
        if self.admin.css == ControllerConfiguration::CSS_ALL {
            add(namespace_id_type::COMMAND_SET, &[namespace.command_set().0]);
        }
        data
    }
}

fn require_command_set(asked: CommandSet, there: CommandSet) -> Result<(), Status> {
    if asked == there {
        Ok(())
    } else {
        Err(Status::INVALID_IO_COMMAND_SET)
    }
}

// Four headers of 4 bytes, EUI64, NGUID, UUID, CSI, and a zero after them that ends the list.
const _: () = assert!(4 * 4 + 8 + 16 + 16 + 1 < DESCRIPTORS_BYTES);
