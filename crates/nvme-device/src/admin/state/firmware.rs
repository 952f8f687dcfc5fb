//! Firmware slots (NVMe Base 2.0 §3.11).

use nvme_spec::{FirmwareCommitAction, Status, FIRMWARE_REVISION_BYTES, FIRMWARE_SLOT_LOG_BYTES};

use crate::admin::page::put;

/// A firmware revision, padded with spaces.
pub(crate) type Revision = [u8; FIRMWARE_REVISION_BYTES];

const SLOTS: usize = 3;
/// It holds the revision that the device was built with.
const READ_ONLY_SLOT: u8 = 1;
/// FRMW: the first slot is read-only (bit 0), number of slots (bits 3:1), activation without a reset (bit 4).
pub(crate) const FRMW: u8 = 1 << 4 | (SLOTS as u8) << 1 | 1;
/// FWUG, in units of 4 KiB.
pub(crate) const FWUG: u8 = 1;
pub(crate) const GRANULARITY_BYTES: usize = FWUG as usize * 4096;
pub(crate) const IMAGE_BYTES_MAX: usize = 1 << 20;
const PIECES: usize = IMAGE_BYTES_MAX / GRANULARITY_BYTES;
const _: () = assert!(SLOTS > 1 && SLOTS <= 7);

/// The image that is being downloaded.
#[derive(Clone, Copy, Debug)]
struct Download {
    /// A bit for each piece of the granularity.
    covered: [u64; PIECES / 64],
    /// The first bytes, of an image that has them.
    revision: Revision,
    /// A commit has seen it: the next piece begins another image (§5.13).
    is_ended: bool,
}

impl Download {
    const NONE: Self = Self {
        covered: [0; PIECES / 64],
        revision: [0; FIRMWARE_REVISION_BYTES],
        is_ended: false,
    };

    fn is_covered(&self, piece: usize) -> bool {
        let word = self.covered.get(piece / 64).copied().unwrap_or_default();
        word >> (piece % 64) & 1 != 0
    }

    fn cover(&mut self, piece: usize) {
        if let Some(word) = self.covered.get_mut(piece / 64) {
            *word |= 1 << (piece % 64);
        }
    }

    fn is_empty(&self) -> bool {
        self.covered == Self::NONE.covered
    }

    /// The revision of a whole image: without gaps from its beginning on, and with a revision that can be shown.
    fn finished(&self) -> Result<Revision, Status> {
        let pieces: u32 = self.covered.iter().map(|word| word.count_ones()).sum();
        let is_whole = pieces > 0 && (0..pieces as usize).all(|piece| self.is_covered(piece));
        let is_shown = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
        let is_revision =
            self.revision.iter().all(is_shown) && self.revision.iter().any(u8::is_ascii_graphic);
        if is_whole && is_revision {
            Ok(self.revision)
        } else {
            Err(Status::INVALID_FIRMWARE_IMAGE)
        }
    }
}

/// The slots and what runs. All but a download outlives every reset.
#[derive(Debug)]
pub(crate) struct Firmware {
    /// Revisions of the images in the slots, slot 1 first.
    slots: [Option<Revision>; SLOTS],
    /// What runs, and the number of the slot that it was loaded from, which may hold another image by now.
    running: Revision,
    active_slot: u8,
    /// Slot that the next controller level reset activates; 0: none.
    next_slot: u8,
    /// Slot that was written last.
    written_slot: u8,
    download: Download,
}

impl Firmware {
    /// As built: with `built_in` in the first slot.
    pub fn new(built_in: Revision) -> Self {
        let mut slots = [None; SLOTS];
        slots[0] = Some(built_in);
        Self {
            slots,
            running: built_in,
            active_slot: READ_ONLY_SLOT,
            next_slot: 0,
            written_slot: READ_ONLY_SLOT,
            download: Download::NONE,
        }
    }

    /// Whether the next reset activates an image.
    pub fn is_pending(&self) -> bool {
        self.next_slot != 0
    }

    /// The revision that runs (Identify FR).
    pub fn running(&self) -> Revision {
        self.running
    }

    /// A controller level reset: activates what is to be activated, and forgets what was downloaded (§5.12, §5.13). Returns whether firmware was
    /// activated.
    pub fn reset(&mut self) -> bool {
        self.download = Download::NONE;
        let activates = self.next_slot != 0;
        if activates {
            self.activate(self.next_slot);
        }
        activates
    }

    /// Writes the Firmware Slot Information log into `buffer` (§5.16.1.4); returns its length.
    pub fn fill_log(&self, buffer: &mut [u8]) -> usize {
        put(buffer, 0, &[self.active_slot | self.next_slot << 4]);
        for (index, revision) in self.slots.iter().enumerate() {
            put(
                buffer,
                8 + index * FIRMWARE_REVISION_BYTES,
                &revision.unwrap_or_default(),
            );
        }
        FIRMWARE_SLOT_LOG_BYTES
    }

    fn image(&self, slot: u8) -> Option<Revision> {
        *self.slots.get(usize::from(slot).checked_sub(1)?)?
    }

    fn activate(&mut self, slot: u8) {
        if let Some(revision) = self.image(slot) {
            self.running = revision;
            self.active_slot = slot;
        }
        self.next_slot = 0;
    }

    /// Takes a part of an image: `range` in bytes, which begins with `first`.
    pub fn add(&mut self, range: core::ops::Range<usize>, first: Revision) -> Result<(), Status> {
        if self.download.is_ended {
            self.download = Download::NONE;
        }
        let pieces = range.start / GRANULARITY_BYTES..range.end / GRANULARITY_BYTES;
        if pieces.clone().any(|piece| self.download.is_covered(piece)) {
            return Err(Status::OVERLAPPING_RANGE);
        }
        pieces.for_each(|piece| self.download.cover(piece));
        if range.start == 0 {
            self.download.revision = first;
        }
        Ok(())
    }

    /// Carries a commit out; returns the revision of the image that it is about.
    pub fn commit(&mut self, action: FirmwareCommitAction, slot: u8) -> Result<Revision, Status> {
        self.download.is_ended = true;
        let slot = match action {
            FirmwareCommitAction::REPLACE => {
                if slot == self.active_slot && slot != READ_ONLY_SLOT {
                    // The next reset would no longer find there what runs.
                    return Err(Status::COMMAND_SEQUENCE_ERROR);
                }
                let slot = self.replace(slot)?;
                if self.next_slot == slot {
                    self.next_slot = 0;
                }
                slot
            }
            FirmwareCommitAction::REPLACE_AND_ACTIVATE_AT_RESET => {
                self.next_slot = self.replace(slot)?;
                self.next_slot
            }
            FirmwareCommitAction::ACTIVATE_AT_RESET => {
                self.next_slot = self.filled(slot)?;
                self.next_slot
            }
            FirmwareCommitAction::ACTIVATE_NOW => {
                let slot = if self.download.is_empty() {
                    self.filled(slot)?
                } else {
                    self.replace(slot)?
                };
                self.activate(slot);
                slot
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        self.image(slot).ok_or(Status::INTERNAL_ERROR)
    }

    /// Puts the downloaded image into `slot`, or one of our choice for 0; returns which.
    fn replace(&mut self, slot: u8) -> Result<u8, Status> {
        if slot == READ_ONLY_SLOT || usize::from(slot) > SLOTS {
            return Err(Status::INVALID_FIRMWARE_SLOT);
        }
        let revision = self.download.finished()?;
        let writable = READ_ONLY_SLOT + 1..=SLOTS as u8;
        let is_free = |&slot: &u8| self.image(slot).is_none();
        let slot = match slot {
            0 => writable
                .clone()
                .find(is_free)
                .or_else(|| writable.clone().find(|&slot| slot != self.active_slot)),
            slot => Some(slot),
        };
        let slot = slot.ok_or(Status::INVALID_FIRMWARE_SLOT)?;
        if let Some(image) = self.slots.get_mut(usize::from(slot) - 1) {
            *image = Some(revision);
        }
        self.written_slot = slot;
        self.download = Download::NONE;
        Ok(slot)
    }

    /// `slot`, or the one written last for 0, if there is an image in it.
    fn filled(&self, slot: u8) -> Result<u8, Status> {
        let slot = if slot == 0 { self.written_slot } else { slot };
        if usize::from(slot) > SLOTS {
            return Err(Status::INVALID_FIRMWARE_SLOT);
        }
        self.image(slot)
            .map(|_| slot)
            .ok_or(Status::INVALID_FIRMWARE_IMAGE)
    }
}
