//! Get LBA Status, the LBA Status Information log, and its alert (NVM CS 1.0 §4.2.1, §4.1.4.5, §5.2.1).
//!
//! What may be unrecoverable is known: what Write Uncorrectable has marked. There is nothing to scan for.

use nvme_spec::{
    Cdw13GetLbaStatus, LbaStatusAction, LbaStatusCondition, LbaStatusDescriptor, LbaStatusElement,
    LbaStatusHeader, LbaStatusLogHeader, Status, SubmissionQueueEntry, PAGE_SIZE_BYTES,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::admin::outcome::Outcome;
use crate::admin::page::put;
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::namespace::Namespace;

/// Which LBAs are asked about, and where the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GetLbaStatus {
    pub nsid: u32,
    pub slba: u64,
    /// 0 for all up to the end of the namespace.
    pub lbas: u16,
    /// Length of the buffer, 0's based.
    pub dwords_z: u32,
    pub pointer: DataPointer,
}

impl GetLbaStatus {
    /// # Errors
    /// Invalid Field for an action that there is not. The two that there are come to the same here.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw13 = Cdw13GetLbaStatus(entry.cdw13.get());
        if !matches!(cdw13.action(), LbaStatusAction::SCAN | LbaStatusAction::TRACKED) {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        Ok(Self {
            nsid: entry.nsid.get(),
            slba: entry.slba(),
            lbas: cdw13.lbas(),
            dwords_z: entry.cdw12.get(),
            pointer: DataPointer::of(entry),
        })
    }
}

pub(crate) fn get_lba_status<H: HostMemory>(
    core: &mut Core,
    asked: &GetLbaStatus,
    host: &H,
) -> Result<Outcome, Status> {
    let len_bytes = core.queue_set.io.limits.dwords_z(asked.dwords_z)?;
    core.with_page(
        |core, page| {
            let namespace = core.queue_set.io.namespaces.attached(asked.nsid)?;
            let room = page.get_mut(..len_bytes.min(PAGE_SIZE_BYTES)).unwrap_or_default();
            fill_status(namespace, asked, room)
        },
        |page, ()| asked.pointer.write(host, page, len_bytes),
    )?;
    Ok(Outcome::Done(0))
}

/// Sees whether LBAs were marked since the log was last read.
pub(crate) fn note_lba_status(core: &mut Core) {
    let mut has_news = false;
    for namespace in core.queue_set.io.namespaces.iter_mut() {
        has_news |= namespace.uncorrectable.take_news();
    }
    let news = &mut core.admin.lba_status;
    if has_news && !news.is_unread {
        news.is_unread = true;
        news.generation = news.generation.wrapping_add(1);
    }
}

/// The host has read the log: the report interval starts again.
pub(crate) fn lba_status_was_read(core: &mut Core, now_ns: u64) {
    core.admin.lba_status.is_unread = false;
    core.admin.lba_status.read_at_ns = now_ns;
}

/// Raises the alert if it is due; the result is when it will be, ns.
pub(crate) fn raise_lba_status_alert(core: &mut Core, now_ns: u64) -> Option<u64> {
    let interval_ns = core.admin.features.lba_status_report_interval_ns()?;
    note_lba_status(core);
    let news = core.admin.lba_status;
    let due_ns = news.read_at_ns.saturating_add(interval_ns);
    if !news.is_unread || core.admin.events.has_lba_status_alert() {
        return None;
    }
    if now_ns < due_ns {
        return Some(due_ns);
    }
    core.admin.events.lba_status_alert();
    None
}

/// Writes the log into `buffer`, which is all zeros; returns its length.
pub(crate) fn fill_lba_status_log(core: &Core, buffer: &mut [u8]) -> usize {
    let mut header = LbaStatusLogHeader::new_zeroed();
    let mut len = size_of::<LbaStatusLogHeader>();
    let mut unrecoverable_lbas = 0u64;
    let namespaces = core.queue_set.io.namespaces.iter_attached();
    for namespace in namespaces.filter(|namespace| namespace.uncorrectable.count() > 0) {
        let element = LbaStatusElement {
            nsid: namespace.nsid.into(),
            ranges: LbaStatusElement::WHOLE_NAMESPACE.into(),
            recommended_action: LbaStatusAction::TRACKED.0,
            ..LbaStatusElement::new_zeroed()
        };
        put(buffer, len, element.as_bytes());
        len += size_of::<LbaStatusElement>();
        header.elements += 1;
        unrecoverable_lbas = unrecoverable_lbas.saturating_add(namespace.uncorrectable.count());
    }
    header.log_bytes = (len as u32).into();
    // All ones stand for an unknown number.
    header.unrecoverable_lbas = (unrecoverable_lbas.min(u64::from(u32::MAX - 1)) as u32).into();
    header.generation = core.admin.lba_status.generation.into();
    put(buffer, 0, header.as_bytes());
    len
}

/// Writes the answer into `room`, which is all zeros: as many descriptors as it has room for.
fn fill_status(namespace: &Namespace, asked: &GetLbaStatus, room: &mut [u8]) -> Result<(), Status> {
    if namespace.has_pairs_only() {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let slba = asked.slba;
    if slba >= namespace.size_lbas {
        return Err(Status::LBA_OUT_OF_RANGE);
    }
    let end = match asked.lbas {
        // Up to the end of the namespace.
        0 => namespace.size_lbas,
        lbas => slba
            .checked_add(lbas.into())
            .filter(|&end| end <= namespace.size_lbas)
            .ok_or(Status::LBA_OUT_OF_RANGE)?,
    };
    let mut header = LbaStatusHeader::new_zeroed();
    header.condition = LbaStatusCondition::COMPLETE.0;
    let mut len = size_of::<LbaStatusHeader>();
    let mut from = slba;
    while let Some(run) = namespace.uncorrectable.next_run(from..end) {
        if len + size_of::<LbaStatusDescriptor>() > room.len() {
            header.condition = LbaStatusCondition::INCOMPLETE.0;
            break;
        }
        // A run that is longer than a descriptor can say goes on in the next one.
        let lbas = u32::try_from(run.end - run.start).unwrap_or(u32::MAX);
        let descriptor = LbaStatusDescriptor {
            slba: run.start.into(),
            lbas: lbas.into(),
            ..LbaStatusDescriptor::new_zeroed()
        };
        put(room, len, descriptor.as_bytes());
        len += size_of::<LbaStatusDescriptor>();
        header.descriptors += 1;
        from = run.start + u64::from(lbas);
    }
    put(room, 0, header.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use zerocopy::FromBytes;

    use super::*;
    use crate::admin::test_drive::{done, to_buffer, TestDrive, FAST, FAST_LBAS, FLASH, INVALID, PAIRS};

    /// The condition, and the runs that are listed.
    fn status(
        drive: &mut TestDrive,
        nsid: u32,
        slba: u64,
        lbas: u16,
        len_bytes: u32,
    ) -> Result<(u8, Vec<(u64, u32)>), Status> {
        let asked = GetLbaStatus {
            nsid,
            slba,
            lbas,
            dwords_z: len_bytes / 4 - 1,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(get_lba_status(core, &asked, memory))?;
        let bytes = memory.buffer(len_bytes as usize);
        let (header, rest) = LbaStatusHeader::read_from_prefix(&bytes).unwrap();
        let descriptors = rest.chunks_exact(size_of::<LbaStatusDescriptor>());
        let runs = descriptors.take(header.descriptors.get() as usize).map(|bytes| {
            let descriptor = LbaStatusDescriptor::read_from_bytes(bytes).unwrap();
            (descriptor.slba.get(), descriptor.lbas.get())
        });
        Ok((header.condition, runs.collect()))
    }

    fn mark(drive: &mut TestDrive, nsid: u32, lbas: core::ops::Range<u64>) {
        let namespaces = &mut drive.core().queue_set.io.namespaces;
        namespaces.allocated_mut(nsid).unwrap().uncorrectable.mark(lbas);
    }

    #[test]
    fn marked_lbas_are_listed_as_far_as_they_are_asked_for_and_have_room() {
        let mut drive = TestDrive::new();
        mark(&mut drive, FAST, 8..10);
        mark(&mut drive, FAST, 100..101);
        let (complete, incomplete) = (LbaStatusCondition::COMPLETE.0, LbaStatusCondition::INCOMPLETE.0);
        let all = vec![(8, 2), (100, 1)];
        assert_eq!(
            status(&mut drive, FAST, 0, 0, 64),
            Ok((complete, all.clone())),
            "up to the end"
        );
        assert_eq!(status(&mut drive, FAST, 9, 91, 64), Ok((complete, vec![(9, 1)])));
        assert_eq!(
            status(&mut drive, FAST, 9, 92, 64),
            Ok((complete, vec![(9, 1), (100, 1)]))
        );
        // 8 bytes of header, 16 of each descriptor.
        assert_eq!(status(&mut drive, FAST, 0, 0, 40), Ok((complete, all)));
        assert_eq!(status(&mut drive, FAST, 0, 0, 36), Ok((incomplete, vec![(8, 2)])));
        assert_eq!(
            status(&mut drive, FLASH, 0, 0, 64),
            Ok((complete, vec![])),
            "another namespace"
        );
    }

    #[test]
    fn lbas_that_there_are_not_are_refused() {
        let mut drive = TestDrive::new();
        for (slba, lbas) in [(FAST_LBAS, 0), (FAST_LBAS - 1, 2), (u64::MAX, 1), (u64::MAX, 0)] {
            assert_eq!(
                status(&mut drive, FAST, slba, lbas, 64),
                Err(Status::LBA_OUT_OF_RANGE)
            );
        }
        assert!(status(&mut drive, FAST, FAST_LBAS - 1, 1, 64).is_ok());
        assert_eq!(
            status(&mut drive, PAIRS, 0, 0, 64),
            Err(Status::INVALID_FIELD_IN_COMMAND)
        );
        assert_eq!(
            status(&mut drive, INVALID, 0, 0, 64),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
    }

    #[test]
    fn the_alert_comes_once_after_the_interval() {
        let mut drive = TestDrive::new();
        let core = drive.core();
        assert_eq!(raise_lba_status_alert(core, 0), None, "not wanted");
        // Asynchronous Event Configuration bit 13; intervals of 100 ms.
        core.admin
            .features
            .current
            .set(nvme_spec::FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 1 << 13)
            .unwrap();
        core.admin
            .features
            .current
            .set(nvme_spec::FeatureId::LBA_STATUS_INFORMATION_ATTRIBUTES, 2)
            .unwrap();
        assert_eq!(raise_lba_status_alert(core, 0), None, "nothing is marked");
        mark(&mut drive, FAST, 8..10);
        let core = drive.core();
        assert_eq!(raise_lba_status_alert(core, 0), Some(200_000_000));
        assert!(!core.admin.events.has_lba_status_alert());
        assert_eq!(raise_lba_status_alert(core, 200_000_000), None);
        assert!(core.admin.events.has_lba_status_alert());
    }
}
