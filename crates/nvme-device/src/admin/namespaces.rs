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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_drive::{
        done, to_buffer, TestDrive, FAST, FLASH, FREE_BYTES, INVALID, LBA_BYTES, PAIRS, UNALLOCATED,
    };

    fn manage(
        drive: &mut TestDrive,
        nsid: u32,
        select: NamespaceManagementSelect,
        command_set: CommandSet,
    ) -> Result<Outcome, Status> {
        let asked = NamespaceManagement {
            nsid,
            cdw10: Cdw10NamespaceManagement::default().with_select(select),
            command_set,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        namespace_management(core, &asked, 0, memory)
    }

    fn create(
        drive: &mut TestDrive,
        wanted: &NamespaceToCreate,
        command_set: CommandSet,
    ) -> Result<u32, Status> {
        drive.memory.fill_buffer(wanted.as_bytes());
        match manage(drive, 0, NamespaceManagementSelect::CREATE, command_set)? {
            Outcome::Erases { result, .. } => Ok(result),
            _ => panic!("its part of the medium is not erased"),
        }
    }

    fn attach(drive: &mut TestDrive, nsid: u32, select: NamespaceAttachmentSelect) -> Result<u64, Status> {
        let asked = NamespaceAttachment {
            nsid,
            select,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(namespace_attachment(core, &asked, memory))
    }

    fn of_lbas(lbas: u64) -> NamespaceToCreate {
        NamespaceToCreate {
            nsze: lbas.into(),
            ncap_lbas: lbas.into(),
            ..NamespaceToCreate::new_zeroed()
        }
    }

    const REFUSED: Status = Status::INVALID_FIELD_IN_COMMAND;
    const FREE_LBAS: u64 = FREE_BYTES / LBA_BYTES;

    #[test]
    fn what_is_created_is_detached_and_serves_nobody_until_it_is_erased() {
        let mut drive = TestDrive::new();
        assert_eq!(
            create(&mut drive, &of_lbas(FREE_LBAS), CommandSet::NVM),
            Ok(UNALLOCATED)
        );
        let namespaces = &drive.core().queue_set.io.namespaces;
        assert_eq!(namespaces.allocated(UNALLOCATED).unwrap().size_lbas, FREE_LBAS);
        assert!(!namespaces.is_attached(UNALLOCATED) && namespaces.is_erasing(UNALLOCATED));
    }

    #[test]
    fn what_there_is_no_room_or_no_form_for_is_refused() {
        let mut drive = TestDrive::new();
        let thin = NamespaceToCreate {
            ncap_lbas: 8.into(),
            ..of_lbas(16)
        };
        let fat = NamespaceToCreate {
            ncap_lbas: 32.into(),
            ..of_lbas(16)
        };
        let refused = [
            (
                of_lbas(FREE_LBAS + 1),
                CommandSet::NVM,
                Status::NAMESPACE_INSUFFICIENT_CAPACITY,
            ),
            (
                of_lbas(u64::MAX),
                CommandSet::NVM,
                Status::NAMESPACE_INSUFFICIENT_CAPACITY,
            ),
            (of_lbas(0), CommandSet::NVM, REFUSED),
            (of_lbas(0), CommandSet::KEY_VALUE, REFUSED),
            (thin, CommandSet::NVM, Status::THIN_PROVISIONING_NOT_SUPPORTED),
            (fat, CommandSet::NVM, REFUSED),
            // Not of whole zones, which have 128 KiB.
            (of_lbas(8), CommandSet::ZONED, REFUSED),
            (
                NamespaceToCreate {
                    flbas: 2,
                    ..of_lbas(16)
                },
                CommandSet::NVM,
                Status::INVALID_FORMAT,
            ),
            (
                NamespaceToCreate {
                    dps: 1,
                    ..of_lbas(16)
                },
                CommandSet::NVM,
                REFUSED,
            ),
            (
                NamespaceToCreate {
                    nmic: 1,
                    ..of_lbas(16)
                },
                CommandSet::NVM,
                REFUSED,
            ),
            (
                NamespaceToCreate {
                    endgid: 1.into(),
                    ..of_lbas(16)
                },
                CommandSet::NVM,
                REFUSED,
            ),
            (of_lbas(16), CommandSet(9), Status::IO_COMMAND_SET_NOT_SUPPORTED),
        ];
        for (wanted, command_set, status) in refused {
            assert_eq!(
                create(&mut drive, &wanted, command_set),
                Err(status),
                "{wanted:?}"
            );
            assert!(drive
                .core()
                .queue_set
                .io
                .namespaces
                .allocated(UNALLOCATED)
                .is_err());
        }
        let select = NamespaceManagementSelect(7);
        assert_eq!(
            manage(&mut drive, 0, select, CommandSet::NVM).err(),
            Some(REFUSED)
        );
    }

    #[test]
    fn what_is_deleted_serves_nobody_from_then_on() {
        for (nsid, deleted) in [(FLASH, FLASH..=FLASH), (NSID_BROADCAST, FAST..=PAIRS)] {
            let mut drive = TestDrive::new();
            let Ok(Outcome::Erases { plan, .. }) = manage(
                &mut drive,
                nsid,
                NamespaceManagementSelect::DELETE,
                CommandSet::NVM,
            ) else {
                panic!("it is not deleted");
            };
            for nsid in FAST..=PAIRS {
                assert_eq!(
                    drive.core().queue_set.io.namespaces.is_erasing(nsid),
                    deleted.contains(&nsid)
                );
            }
            drive.core().begin_erase(plan);
            let second = manage(
                &mut drive,
                FAST,
                NamespaceManagementSelect::DELETE,
                CommandSet::NVM,
            );
            assert_eq!(second.err(), Some(Status::FORMAT_IN_PROGRESS));
        }
        let mut drive = TestDrive::new();
        for (nsid, status) in [
            (UNALLOCATED, REFUSED),
            (INVALID, Status::INVALID_NAMESPACE_OR_FORMAT),
        ] {
            let refused = manage(
                &mut drive,
                nsid,
                NamespaceManagementSelect::DELETE,
                CommandSet::NVM,
            );
            assert_eq!(refused.err(), Some(status));
        }
    }

    #[test]
    fn a_namespace_is_attached_or_not() {
        let mut drive = TestDrive::new();
        let (attaching, detaching) = (
            NamespaceAttachmentSelect::ATTACH,
            NamespaceAttachmentSelect::DETACH,
        );
        drive.memory.fill_buffer(&[1, 0, CONTROLLER_ID as u8, 0]);
        assert_eq!(
            attach(&mut drive, FLASH, attaching),
            Err(Status::NAMESPACE_ALREADY_ATTACHED)
        );
        assert_eq!(attach(&mut drive, FLASH, detaching), Ok(0));
        assert!(!drive.core().queue_set.io.namespaces.is_attached(FLASH));
        assert_eq!(
            attach(&mut drive, FLASH, detaching),
            Err(Status::NAMESPACE_NOT_ATTACHED)
        );
        assert_eq!(attach(&mut drive, FLASH, attaching), Ok(0));
        assert_eq!(
            attach(&mut drive, FLASH, NamespaceAttachmentSelect(2)),
            Err(REFUSED)
        );
        assert_eq!(attach(&mut drive, UNALLOCATED, attaching), Err(REFUSED));
        // No controller, another one, one too many.
        for list in [[0, 0, 0, 0], [1, 0, 9, 9], [2, 0, CONTROLLER_ID as u8, 0]] {
            drive.memory.fill_buffer(&list);
            assert_eq!(
                attach(&mut drive, FLASH, detaching),
                Err(Status::CONTROLLER_LIST_INVALID)
            );
            assert!(drive.core().queue_set.io.namespaces.is_attached(FLASH));
        }
    }
}
