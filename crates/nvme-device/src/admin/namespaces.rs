//! Namespace Management and Namespace Attachment, and the Changed Namespace List (NVMe Base 2.0 §5.22, §5.23, §5.16.1.5, §8.11).
//!
//! A namespace that is created becomes a drive like the first one of its command set that the device began with; if there was none, like one of
//! the built-in profiles `optane`, `zns-prototype` and `kv-prototype`. It has all its capacity: thin provisioning there is none.

use nvme_spec::{
    Cdw10NamespaceAttachment, Cdw10NamespaceManagement, Cdw11NamespaceManagement, ChangeNamespaceEvent,
    CommandSet, NamespaceAttachmentSelect, NamespaceManagementSelect, NamespaceToCreate, NvmOpcode, Status,
    SubmissionQueueEntry, NSID_BROADCAST, PAGE_SIZE_BYTES,
};
use ssd_profile::ProfileKind;
use zerocopy::{FromZeros, IntoBytes};

use crate::admin::capabilities::CONTROLLER_ID;
use crate::admin::erase_start;
use crate::admin::outcome::{status_of, Outcome};
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::erase::{ErasePattern, ErasePlan, ErasePurpose};
use crate::host::HostMemory;
use crate::limits::NAMESPACES_MAX;
use crate::namespace::{Namespace, NamespaceConfig, LBA_FORMATS_LOG2};

/// What to create, or which namespaces to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceManagement {
    pub nsid: u32,
    pub cdw10: Cdw10NamespaceManagement,
    /// Of the namespace to be created, which `pointer` tells more of.
    pub command_set: CommandSet,
    pub pointer: DataPointer,
}

impl NamespaceManagement {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        Self {
            nsid: entry.nsid.get(),
            cdw10: Cdw10NamespaceManagement(entry.cdw10.get()),
            command_set: Cdw11NamespaceManagement(entry.cdw11.get()).command_set(),
            pointer: DataPointer::of(entry),
        }
    }
}

/// What to attach to which controllers, or to detach from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceAttachment {
    pub nsid: u32,
    pub select: NamespaceAttachmentSelect,
    /// The list of controllers.
    pub pointer: DataPointer,
}

impl NamespaceAttachment {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        Self {
            nsid: entry.nsid.get(),
            select: Cdw10NamespaceAttachment(entry.cdw10.get()).select(),
            pointer: DataPointer::of(entry),
        }
    }
}

pub(crate) fn namespace_management<H: HostMemory>(
    core: &mut Core,
    asked: &NamespaceManagement,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    erase_start::check_not_erasing(core)?;
    let mut event = ChangeNamespaceEvent {
        cdw10: asked.cdw10.0.into(),
        nsid: asked.nsid.into(),
        ..ChangeNamespaceEvent::zeroed()
    };
    let (plan, result) = match asked.cdw10.select() {
        NamespaceManagementSelect::CREATE => {
            let mut wanted = NamespaceToCreate::new_zeroed();
            asked.pointer.read(host, wanted.as_mut_bytes())?;
            let (plan, nsid) = create_namespace(core, &wanted, asked.command_set)?;
            event.nsid = nsid.into();
            event.nsze_lbas = wanted.nsze;
            event.ncap_lbas = wanted.ncap_lbas;
            event.flbas = wanted.flbas;
            (plan, nsid)
        }
        NamespaceManagementSelect::DELETE => (delete_namespaces(core, asked.nsid)?, 0),
        _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
    };
    core.admin.record(&event, now_ns);
    Ok(Outcome::Erases { plan, result })
}

/// Creates a namespace, which can be used once its part of the medium is zeros: how to fill it, and the namespace's identifier.
fn create_namespace(
    core: &mut Core,
    asked: &NamespaceToCreate,
    command_set: CommandSet,
) -> Result<(ErasePlan, u32), Status> {
    let nsid = core
        .queue_set
        .io
        .namespaces
        .free_nsid()
        .ok_or(Status::NAMESPACE_IDENTIFIER_UNAVAILABLE)?;
    let (config, asked_bytes) = plan_namespace(core, asked, command_set)?;
    let plan =
        ErasePlan::new(ErasePurpose::Create, ErasePattern::ZEROS).map_err(|_| Status::INTERNAL_ERROR)?;
    let unique_number = core.provisioning.unique_number(nsid);
    let mut namespace = Namespace::create(
        nsid,
        unique_number,
        &config,
        asked_bytes,
        &core.provisioning.traits,
    )
    .map_err(|error| status_of(&error))?;
    namespace
        .reservations
        .set_host(core.admin.features.host_identifier());
    let media = namespace.media();
    core.queue_set.io.forget_counters_of(nsid);
    core.queue_set.io.namespaces.put(namespace);
    core.queue_set.io.namespaces.set_erasing(nsid, true);
    Ok((plan.with_extent(media), nsid))
}

/// What a namespace becomes, and its bytes, which may be fewer than its part of the medium would make.
fn plan_namespace(
    core: &Core,
    asked: &NamespaceToCreate,
    command_set: CommandSet,
) -> Result<(NamespaceConfig, u64), Status> {
    let template = core
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
        let len_bytes = core.provisioning.media_len_bytes(&template.kind, asked_bytes)?;
        let media_offset = core
            .provisioning
            .find_room(&core.queue_set.io.namespaces, len_bytes)?;
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

/// Deletes a namespace, attached or not, or all of them, once nobody uses them any more.
fn delete_namespaces(core: &mut Core, nsid: u32) -> Result<ErasePlan, Status> {
    let plan =
        ErasePlan::new(ErasePurpose::Delete, ErasePattern::ZEROS).map_err(|_| Status::INTERNAL_ERROR)?;
    if nsid == NSID_BROADCAST {
        for namespace in core.queue_set.io.namespaces.iter() {
            namespace.reservations.check(NvmOpcode::WRITE.0)?;
        }
        for nsid in 1..=NAMESPACES_MAX {
            if core.queue_set.io.namespaces.allocated(nsid).is_ok() {
                core.queue_set.io.namespaces.set_erasing(nsid, true);
            }
        }
    } else {
        let namespace = core.queue_set.io.namespaces.allocated(nsid)?;
        namespace.reservations.check(NvmOpcode::WRITE.0)?;
        core.queue_set.io.namespaces.set_erasing(nsid, true);
    }
    Ok(plan)
}

pub(crate) fn namespace_attachment<H: HostMemory>(
    core: &mut Core,
    asked: &NamespaceAttachment,
    host: &H,
) -> Result<Outcome, Status> {
    erase_start::check_not_erasing(core)?;
    let is_attached = match asked.select {
        NamespaceAttachmentSelect::ATTACH => true,
        NamespaceAttachmentSelect::DETACH => false,
        _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
    };
    let nsid = asked.nsid;
    let namespace = core.queue_set.io.namespaces.allocated(nsid)?;
    namespace.reservations.check(NvmOpcode::WRITE.0)?;
    check_controller_list(core, asked.pointer, host)?;
    if core.queue_set.io.namespaces.is_attached(nsid) == is_attached {
        return Err(if is_attached {
            Status::NAMESPACE_ALREADY_ATTACHED
        } else {
            Status::NAMESPACE_NOT_ATTACHED
        });
    }
    core.queue_set.io.namespaces.set_attached(nsid, is_attached);
    if !is_attached {
        core.admin.events.forget_zone_notice(nsid);
    }
    core.admin.namespace_has_changed(nsid);
    Ok(Outcome::Done(0))
}

/// The only list that there can be is the one with the only core.
fn check_controller_list<H: HostMemory>(
    core: &mut Core,
    pointer: DataPointer,
    host: &H,
) -> Result<(), Status> {
    let mut page = core::mem::take(&mut core.admin.page);
    let read = pointer.read(host, page.get_mut(..PAGE_SIZE_BYTES).unwrap_or_default());
    let is_known = is_list_of(&page, CONTROLLER_ID);
    core.admin.page = page;
    read?;
    is_known.then_some(()).ok_or(Status::CONTROLLER_LIST_INVALID)
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
    let Some(parameters) = kind.zoned() else {
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
