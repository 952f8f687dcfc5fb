//! Namespace Management and Namespace Attachment, and the Changed Namespace List (NVMe Base 2.0 §5.22, §5.23, §5.16.1.5, §8.11).
//!
//! A namespace that is created becomes a drive like the first one of its command set that the device began with; if there was none, like one of
//! the built-in profiles `optane`, `zns-prototype` and `kv-prototype`. It has all its capacity: thin provisioning there is none.

use nvme_spec::{
    ChangeNamespaceEvent, CommandSet, NamespaceAttachmentSelect, NamespaceManagementSelect,
    NamespaceToCreate, NvmOpcode, Status, SubmissionQueueEntry, NSID_BROADCAST, PAGE_SIZE_BYTES,
};
use ssd_profile::ProfileKind;
use zerocopy::{FromZeros, IntoBytes};

use crate::admin::capabilities::CONTROLLER_ID;
use crate::admin::outcome::{status_of, Outcome};
use crate::command::id::CommandRef;
use crate::controller::Controller;
use crate::data_pointer::DataPointer;
use crate::erase::{ErasePattern, Purpose};
use crate::host::Host;
use crate::limits::NAMESPACES_MAX;
use crate::namespace::{Namespace, NamespaceConfig, LBA_FORMATS_LOG2};

impl Controller {
    pub(crate) fn namespace_management<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
        host: &H,
    ) -> Result<Outcome, Status> {
        self.check_not_erasing()?;
        let mut event = ChangeNamespaceEvent {
            cdw10: entry.cdw10,
            nsid: entry.nsid,
            ..ChangeNamespaceEvent::zeroed()
        };
        match NamespaceManagementSelect((entry.cdw10.get() & 0xF) as u8) {
            NamespaceManagementSelect::CREATE => {
                let mut asked = NamespaceToCreate::new_zeroed();
                DataPointer::of(entry).read(host, asked.as_mut_bytes())?;
                let command_set = CommandSet((entry.cdw11.get() >> 24) as u8);
                event.nsid = self.create_namespace(&asked, command_set, command)?.into();
                event.nsze_lbas = asked.nsze;
                event.ncap_lbas = asked.ncap_lbas;
                event.flbas = asked.flbas;
            }
            NamespaceManagementSelect::DELETE => self.delete_namespaces(entry.nsid.get(), command)?,
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        }
        self.admin.record(&event, now_ns);
        Ok(Outcome::Later)
    }

    /// Creates a namespace, whose identifier is the result; the command ends when its part of the medium is zeros.
    fn create_namespace(
        &mut self,
        asked: &NamespaceToCreate,
        command_set: CommandSet,
        command: CommandRef,
    ) -> Result<u32, Status> {
        let nsid = self
            .queue_set
            .io
            .namespaces
            .free_nsid()
            .ok_or(Status::NAMESPACE_IDENTIFIER_UNAVAILABLE)?;
        let (config, asked_bytes) = self.plan_namespace(asked, command_set)?;
        let unique_number = self.provisioning.unique_number(nsid);
        let mut namespace = Namespace::create(
            nsid,
            unique_number,
            &config,
            asked_bytes,
            &self.provisioning.traits,
        )
        .map_err(|error| status_of(&error))?;
        namespace
            .reservations
            .set_host(self.admin.features.host_identifier());
        let media = namespace.media();
        self.queue_set.io.forget_counters_of(nsid);
        self.queue_set.io.namespaces.put(namespace);
        self.queue_set.io.namespaces.set_erasing(nsid, true);
        self.begin_erase(Purpose::Create, Some((command, nsid)), ErasePattern::ZEROS);
        self.eraser.add(media);
        Ok(nsid)
    }

    /// What a namespace becomes, and its bytes, which may be fewer than its part of the medium would make.
    fn plan_namespace(
        &self,
        asked: &NamespaceToCreate,
        command_set: CommandSet,
    ) -> Result<(NamespaceConfig, u64), Status> {
        let template = self
            .provisioning
            .templates
            .of(command_set)
            .ok_or(Status::IO_COMMAND_SET_NOT_SUPPORTED)?;
        // No sharing among controllers, of which there is one, no sets, groups or protection information.
        if asked.nmic != 0
            || asked.anagrpid.get() != 0
            || asked.nvmsetid.get() != 0
            || asked.endgid.get() != 0
            || (asked.dps != 0 && command_set != CommandSet::KEY_VALUE)
        {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let lba_log2 = match command_set {
            CommandSet::KEY_VALUE => LBA_FORMATS_LOG2.first(),
            _ => LBA_FORMATS_LOG2.get(usize::from(asked.flbas & 0xF | (asked.flbas >> 5 & 0b11) << 4)),
        };
        let lba_log2 = *lba_log2.ok_or(Status::INVALID_FORMAT)?;
        let asked_bytes = match command_set {
            CommandSet::KEY_VALUE => asked.nsze.get(),
            _ => checked_size_bytes(asked, lba_log2, &template.kind)?,
        };
        if asked_bytes == 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let room = || {
            let len_bytes = self.provisioning.media_len_bytes(&template.kind, asked_bytes)?;
            let media_offset = self
                .provisioning
                .find_room(&self.queue_set.io.namespaces, len_bytes)?;
            Some((media_offset, len_bytes))
        };
        let (media_offset, media_len_bytes) = room().ok_or(Status::NAMESPACE_INSUFFICIENT_CAPACITY)?;
        let config = NamespaceConfig {
            lba_bytes: 1 << lba_log2,
            media_offset,
            media_len_bytes,
            ..*template
        };
        Ok((config, asked_bytes))
    }

    /// Deletes a namespace, attached or not, or all of them.
    fn delete_namespaces(&mut self, nsid: u32, command: CommandRef) -> Result<(), Status> {
        if nsid == NSID_BROADCAST {
            for namespace in self.queue_set.io.namespaces.iter() {
                namespace.reservations.check(NvmOpcode::WRITE.0)?;
            }
            for nsid in 1..=NAMESPACES_MAX {
                if self.queue_set.io.namespaces.allocated(nsid).is_ok() {
                    self.queue_set.io.namespaces.set_erasing(nsid, true);
                }
            }
        } else {
            let namespace = self.queue_set.io.namespaces.allocated(nsid)?;
            namespace.reservations.check(NvmOpcode::WRITE.0)?;
            self.queue_set.io.namespaces.set_erasing(nsid, true);
        }
        self.begin_erase(Purpose::Delete, Some((command, 0)), ErasePattern::ZEROS);
        Ok(())
    }

    pub(crate) fn namespace_attachment<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        host: &H,
    ) -> Result<Outcome, Status> {
        self.check_not_erasing()?;
        let select = NamespaceAttachmentSelect((entry.cdw10.get() & 0xF) as u8);
        let is_attached = match select {
            NamespaceAttachmentSelect::ATTACH => true,
            NamespaceAttachmentSelect::DETACH => false,
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        let nsid = entry.nsid.get();
        let namespace = self.queue_set.io.namespaces.allocated(nsid)?;
        namespace.reservations.check(NvmOpcode::WRITE.0)?;
        self.check_controller_list(entry, host)?;
        if self.queue_set.io.namespaces.is_attached(nsid) == is_attached {
            return Err(if is_attached {
                Status::NAMESPACE_ALREADY_ATTACHED
            } else {
                Status::NAMESPACE_NOT_ATTACHED
            });
        }
        self.queue_set.io.namespaces.set_attached(nsid, is_attached);
        if !is_attached {
            self.admin.events.forget_zone_notice(nsid);
        }
        self.namespace_has_changed(nsid);
        Ok(Outcome::Done(0))
    }

    /// The only list that there can be is the one with the only controller.
    fn check_controller_list<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        host: &H,
    ) -> Result<(), Status> {
        let mut page = core::mem::take(&mut self.admin.page);
        let read = DataPointer::of(entry).read(host, page.get_mut(..PAGE_SIZE_BYTES).unwrap_or_default());
        let is_known = is_list_of(&page, CONTROLLER_ID);
        self.admin.page = page;
        read?;
        is_known.then_some(()).ok_or(Status::CONTROLLER_LIST_INVALID)
    }

    /// The host is to be told of a change of an attached namespace.
    pub(crate) fn namespace_has_changed(&mut self, nsid: u32) {
        self.admin.changed_namespaces.add(nsid);
        if self.admin.features.wants_namespace_notices() {
            self.admin.events.namespace_attribute_changed();
        }
    }
}

/// Whether a controller list (NVMe Base 2.0 §4.4.1) names `controller_id` and no other.
fn is_list_of(list: &[u8], controller_id: u16) -> bool {
    let mut words = list.chunks_exact(2).map(|word| match word {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    words.next() == Some(1) && words.next() == Some(controller_id)
}

/// The size of a namespace with LBAs, if it is one that such a drive can have.
fn checked_size_bytes(asked: &NamespaceToCreate, lba_log2: u8, kind: &ProfileKind) -> Result<u64, Status> {
    let (size_lbas, capacity_lbas) = (asked.nsze.get(), asked.ncap_lbas.get());
    let bytes = |lbas: u64| {
        let bytes = u128::from(lbas) << lba_log2;
        u64::try_from(bytes).map_err(|_| Status::NAMESPACE_INSUFFICIENT_CAPACITY)
    };
    let (size_bytes, capacity_bytes) = (bytes(size_lbas)?, bytes(capacity_lbas)?);
    if capacity_bytes > size_bytes {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let ProfileKind::Zoned(parameters) = kind else {
        return match capacity_bytes == size_bytes {
            true => Ok(size_bytes),
            false => Err(Status::THIN_PROVISIONING_NOT_SUPPORTED),
        };
    };
    // Whole zones; what can be written of them may be given for the capacity.
    let zone_bytes = u64::from(parameters.zone.size_kib) << 10;
    let usable_bytes = u64::from(parameters.zone.usable_kib()) << 10;
    if size_bytes % zone_bytes != 0 {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    if capacity_bytes != size_bytes && capacity_bytes != size_bytes / zone_bytes * usable_bytes {
        return Err(Status::THIN_PROVISIONING_NOT_SUPPORTED);
    }
    Ok(size_bytes)
}
