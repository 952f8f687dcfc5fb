//! Firmware Image Download and Firmware Commit (NVMe Base 2.0 §3.11, §5.12, §5.13).
//!
//! There is no firmware to be replaced: what changes is the revision that the device shows. An image is anything of up to [`IMAGE_BYTES_MAX`],
//! in pieces of [`GRANULARITY_BYTES`], that begins with its revision: 8 characters of printable ASCII, padded with spaces. Nothing else of it is kept.

use nvme_spec::{
    Cdw10FirmwareCommit, FirmwareCommitAction, FirmwareCommitEvent, Status, SubmissionQueueEntry,
    PAGE_SIZE_BYTES,
};

use crate::admin::outcome::Outcome;
use crate::admin::page::put;
use crate::admin::state::firmware::{Revision, GRANULARITY_BYTES, IMAGE_BYTES_MAX};
use crate::core::Core;
use crate::data_pointer::role::Role;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;

/// A piece of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirmwareImageDownload {
    /// Length, 0's based.
    pub dwords_z: u32,
    /// Where in the image it begins.
    pub offset_dwords: u32,
    pub pointer: DataPointer,
}

impl FirmwareImageDownload {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        Self {
            dwords_z: entry.cdw10.get(),
            offset_dwords: entry.cdw11.get(),
            pointer: DataPointer::of(entry),
        }
    }
}

/// What to do with which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirmwareCommit {
    pub slot: u8,
    pub action: FirmwareCommitAction,
}

impl FirmwareCommit {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw10 = Cdw10FirmwareCommit(entry.cdw10.get());
        Self {
            slot: cdw10.slot(),
            action: cdw10.action(),
        }
    }
}

pub(crate) fn firmware_image_download<H: HostMemory>(
    core: &mut Core,
    asked: &FirmwareImageDownload,
    host: &H,
) -> Result<Outcome, Status> {
    let len = core.queue_set.io.limits.dwords_z(asked.dwords_z)?;
    let start = u64::from(asked.offset_dwords) * 4;
    let granularity = GRANULARITY_BYTES as u64;
    if len as u64 % granularity != 0
        || start % granularity != 0
        || start + len as u64 > IMAGE_BYTES_MAX as u64
    {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let start = start as usize;
    let first = read_through(core, asked.pointer, len, host)?;
    core.admin.firmware.add(start..start + len, first)?;
    Ok(Outcome::Done(0))
}

/// Reads all the host's `len` bytes, and returns the first ones.
fn read_through<H: HostMemory>(
    core: &mut Core,
    pointer: DataPointer,
    len: usize,
    host: &H,
) -> Result<Revision, Status> {
    let mut first = Revision::default();
    let page = &mut core.admin.page;
    pointer.for_each_piece(Role::Source, host, len, |address, offset, len| {
        for at in (0..len).step_by(PAGE_SIZE_BYTES) {
            let part = page.get_mut(..PAGE_SIZE_BYTES.min(len - at)).unwrap_or_default();
            host.read(address.wrapping_add(at as u64), part)?;
            put(&mut first, offset + at, part);
        }
        Ok(())
    })?;
    Ok(first)
}

pub(crate) fn firmware_commit(
    core: &mut Core,
    asked: FirmwareCommit,
    now_ns: u64,
) -> Result<Outcome, Status> {
    let FirmwareCommit { slot, action } = asked;
    let old_revision = core.admin.firmware.running();
    let committed = core.admin.firmware.commit(action, slot);
    let status = committed.err().unwrap_or(Status::SUCCESSFUL_COMPLETION);
    let event = FirmwareCommitEvent {
        old_revision,
        new_revision: committed.unwrap_or_default(),
        action: action.0,
        slot,
        status_code_type: (status.0 >> 8) as u8,
        status_code: status.0 as u8,
        ..FirmwareCommitEvent::zeroed()
    };
    core.admin.record(&event, now_ns);
    committed.map(|_| Outcome::Done(0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::admin::test_drive::{done, to_buffer, TestDrive};

    const PIECE_DWORDS: u32 = GRANULARITY_BYTES as u32 / 4;
    const REVISION: &[u8; 8] = b"NEW 1.0 ";

    fn download(drive: &mut TestDrive, offset_dwords: u32, dwords: u32) -> Result<u64, Status> {
        let asked = FirmwareImageDownload {
            dwords_z: dwords - 1,
            offset_dwords,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(firmware_image_download(core, &asked, memory))
    }

    fn commit(drive: &mut TestDrive, action: u8, slot: u8) -> Result<u64, Status> {
        let action = FirmwareCommitAction(action);
        done(firmware_commit(drive.core(), FirmwareCommit { slot, action }, 0))
    }

    /// Puts an image into slot 2, for the next reset to activate.
    pub(crate) fn wait_for_reset(drive: &mut TestDrive) {
        drive.memory.fill_buffer(REVISION);
        assert_eq!(download(drive, 0, PIECE_DWORDS), Ok(0));
        assert_eq!(commit(drive, 0, 2), Ok(0));
        assert_eq!(commit(drive, 2, 2), Ok(0));
        assert!(drive.core().admin.firmware.is_pending());
    }

    #[test]
    fn an_image_is_activated_by_a_reset_or_at_once() {
        for (action, needs_reset) in [(1, true), (3, false)] {
            let mut drive = TestDrive::new();
            drive.memory.fill_buffer(REVISION);
            assert_eq!(download(&mut drive, 0, PIECE_DWORDS), Ok(0));
            let before = drive.core().admin.firmware.running();
            let committed = commit(&mut drive, action, 2);
            if needs_reset {
                assert_eq!(committed, Ok(0));
                assert_eq!(
                    drive.core().admin.firmware.running(),
                    before,
                    "put into the slot only"
                );
                assert_eq!(commit(&mut drive, 2, 2), Ok(0));
                assert!(drive.core().admin.firmware.is_pending());
                drive.core().admin.reset(0);
            } else {
                assert_eq!(committed, Ok(0));
            }
            assert_eq!(&drive.core().admin.firmware.running(), REVISION);
        }
    }

    #[test]
    fn pieces_are_whole_and_do_not_overlap() {
        let mut drive = TestDrive::new();
        drive.memory.fill_buffer(REVISION);
        let refused = Err(Status::INVALID_FIELD_IN_COMMAND);
        assert_eq!(
            download(&mut drive, 1, PIECE_DWORDS),
            refused,
            "it begins between pieces"
        );
        assert_eq!(
            download(&mut drive, 0, PIECE_DWORDS - 1),
            refused,
            "a piece is missing its end"
        );
        assert_eq!(
            download(&mut drive, IMAGE_BYTES_MAX as u32 / 4, PIECE_DWORDS),
            refused
        );
        assert_eq!(
            download(&mut drive, u32::MAX - PIECE_DWORDS + 1, PIECE_DWORDS),
            refused
        );
        assert_eq!(download(&mut drive, PIECE_DWORDS, PIECE_DWORDS), Ok(0));
        assert_eq!(
            download(&mut drive, 0, 2 * PIECE_DWORDS),
            Err(Status::OVERLAPPING_RANGE)
        );
        assert_eq!(
            commit(&mut drive, 1, 2),
            Err(Status::INVALID_FIRMWARE_IMAGE),
            "its beginning is missing"
        );
    }

    #[test]
    fn slots_that_are_read_only_or_not_there_are_refused() {
        let mut drive = TestDrive::new();
        drive.memory.fill_buffer(REVISION);
        download(&mut drive, 0, PIECE_DWORDS).unwrap();
        for slot in [1, 4, 7] {
            assert_eq!(
                commit(&mut drive, 1, slot),
                Err(Status::INVALID_FIRMWARE_SLOT),
                "slot {slot}"
            );
        }
        assert_eq!(
            commit(&mut drive, 2, 3),
            Err(Status::INVALID_FIRMWARE_IMAGE),
            "slot 3 is empty"
        );
    }
}
