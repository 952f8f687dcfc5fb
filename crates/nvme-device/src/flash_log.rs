//! What the flash of each namespace did, for readers on other threads.
//!
//! A reader asks; the controller, which owns the models, answers in its next pass. While nobody asks, that costs the
//! controller one load per pass, and no command pays for it.

use alloc::vec::Vec;
use core::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};

use ssd_model::{EraseCounts, FlashReport, FlashStatistics, LineCounts, ZoneCounts};

use crate::device::{table, SetupError};

const FIELDS: usize = 29;

/// A namespace as seen by who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, for a reader in no hurry; a box would have to be allocated"
)]
pub enum NamespaceReport {
    /// There is none with this identifier.
    Absent,
    /// A drive without flash.
    WithoutFlash,
    /// What its flash did.
    Flash(FlashReport),
}

const ABSENT: u8 = 0;
const WITHOUT_FLASH: u8 = 1;
const FLASH: u8 = 2;

/// A namespace's report.
#[derive(Debug)]
struct Slot {
    kind: AtomicU8,
    fields: [AtomicU64; FIELDS],
}

/// The reports of all namespaces.
#[derive(Debug)]
pub(crate) struct FlashLog {
    slots: Vec<Slot>,
    /// Number of the last request, and of the last one that was answered.
    requested: AtomicU32,
    answered: AtomicU32,
    /// Odd while the controller writes; two more after each answer.
    generation: AtomicU32,
    reset_requested: AtomicBool,
}

impl FlashLog {
    pub fn new(namespaces: usize) -> Result<Self, SetupError> {
        let slot = || Slot {
            kind: AtomicU8::new(ABSENT),
            fields: [const { AtomicU64::new(0) }; FIELDS],
        };
        Ok(Self {
            slots: table(namespaces, slot)?,
            requested: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            reset_requested: AtomicBool::new(false),
        })
    }

    /// A reader asks for reports; the result is the number of the request.
    pub fn request(&self) -> u32 {
        self.requested.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Whether the request was answered.
    pub fn is_answered(&self, request: u32) -> bool {
        self.answered.load(Ordering::Acquire).wrapping_sub(request) as i32 >= 0
    }

    /// The last report of the namespace with this index. Waits for no one: while a report is being written, the reader looks again.
    pub fn read(&self, index: usize) -> NamespaceReport {
        let Some(slot) = self.slots.get(index) else {
            return NamespaceReport::Absent;
        };
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            let fields = slot.fields.each_ref().map(|field| field.load(Ordering::Relaxed));
            let kind = slot.kind.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if generation % 2 == 0 && self.generation.load(Ordering::Relaxed) == generation {
                return match kind {
                    FLASH => NamespaceReport::Flash(from_fields(fields)),
                    WITHOUT_FLASH => NamespaceReport::WithoutFlash,
                    _ => NamespaceReport::Absent,
                };
            }
            core::hint::spin_loop();
        }
    }

    pub fn request_reset(&self) {
        self.reset_requested.store(true, Ordering::Release);
    }

    /// Whether somebody wants the counters to begin anew; asked once for each time.
    pub fn take_reset_request(&self) -> bool {
        self.reset_requested.load(Ordering::Relaxed) && self.reset_requested.swap(false, Ordering::AcqRel)
    }

    /// Whether the counters are to begin anew.
    pub fn has_reset_request(&self) -> bool {
        self.reset_requested.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for reports. Only the controller asks, and then answers.
    pub fn has_request(&self) -> bool {
        self.requested.load(Ordering::Relaxed) != self.answered.load(Ordering::Relaxed)
    }

    /// Answers all requests until now. Only the controller calls this.
    pub fn answer(&self, reports: impl Iterator<Item = NamespaceReport>) {
        let request = self.requested.load(Ordering::Acquire);
        let generation = self.generation.load(Ordering::Relaxed);
        self.generation
            .store(generation.wrapping_add(1), Ordering::Relaxed);
        // The odd generation is seen before any field that changes under it.
        fence(Ordering::Release);
        for (slot, report) in self.slots.iter().zip(reports) {
            let (kind, report) = match report {
                NamespaceReport::Absent => (ABSENT, FlashReport::default()),
                NamespaceReport::WithoutFlash => (WITHOUT_FLASH, FlashReport::default()),
                NamespaceReport::Flash(report) => (FLASH, report),
            };
            slot.kind.store(kind, Ordering::Relaxed);
            for (field, value) in slot.fields.iter().zip(to_fields(report)) {
                field.store(value, Ordering::Relaxed);
            }
        }
        self.generation
            .store(generation.wrapping_add(2), Ordering::Release);
        self.answered.store(request, Ordering::Release);
    }
}

fn to_fields(report: FlashReport) -> [u64; FIELDS] {
    // Every field is named, so that a new one cannot be forgotten.
    let FlashReport {
        statistics:
            FlashStatistics {
                host_read_bytes,
                host_written_bytes,
                host_pages,
                moved_pages,
                deallocated_pages,
                nand_read_bytes,
                nand_programmed_bytes,
                collections,
                buffer_stalls,
            },
        lines:
            LineCounts {
                free,
                open,
                full,
                victim,
            },
        zones:
            ZoneCounts {
                empty,
                implicitly_opened,
                explicitly_opened,
                closed,
                full: full_zones,
                read_only,
                offline,
            },
        erases: EraseCounts { min, mean_milli, max },
        mapped_pages,
        logical_pages,
        physical_pages,
        buffered_bytes,
        buffer_bytes,
        metadata_bytes,
    } = report;
    [
        host_read_bytes,
        host_written_bytes,
        host_pages,
        moved_pages,
        deallocated_pages,
        nand_read_bytes,
        nand_programmed_bytes,
        collections,
        buffer_stalls,
        free,
        open,
        full,
        victim,
        empty,
        implicitly_opened,
        explicitly_opened,
        closed,
        full_zones,
        read_only,
        offline,
        min.into(),
        mean_milli,
        max.into(),
        mapped_pages,
        logical_pages,
        physical_pages,
        buffered_bytes,
        buffer_bytes,
        metadata_bytes,
    ]
}

fn from_fields(fields: [u64; FIELDS]) -> FlashReport {
    let [host_read_bytes, host_written_bytes, host_pages, moved_pages, deallocated_pages, nand_read_bytes, nand_programmed_bytes, collections, buffer_stalls, free, open, full, victim, empty, implicitly_opened, explicitly_opened, closed, full_zones, read_only, offline, min, mean_milli, max, mapped_pages, logical_pages, physical_pages, buffered_bytes, buffer_bytes, metadata_bytes] =
        fields;
    FlashReport {
        statistics: FlashStatistics {
            host_read_bytes,
            host_written_bytes,
            host_pages,
            moved_pages,
            deallocated_pages,
            nand_read_bytes,
            nand_programmed_bytes,
            collections,
            buffer_stalls,
        },
        lines: LineCounts {
            free,
            open,
            full,
            victim,
        },
        zones: ZoneCounts {
            empty,
            implicitly_opened,
            explicitly_opened,
            closed,
            full: full_zones,
            read_only,
            offline,
        },
        erases: EraseCounts {
            min: min as u32,
            mean_milli,
            max: max as u32,
        },
        mapped_pages,
        logical_pages,
        physical_pages,
        buffered_bytes,
        buffer_bytes,
        metadata_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_as_it_was() {
        let mut fields = [0; FIELDS];
        (1..).zip(&mut fields).for_each(|(value, field)| *field = value);
        assert_eq!(to_fields(from_fields(fields)), fields);
    }

    #[test]
    fn a_request_is_answered_once_and_flash_is_told_from_none() {
        let log = FlashLog::new(3).unwrap();
        assert!(!log.has_request());
        let request = log.request();
        assert!(log.has_request() && !log.is_answered(request));
        let report = FlashReport {
            mapped_pages: 7,
            ..FlashReport::default()
        };
        let reports = [
            NamespaceReport::Flash(report),
            NamespaceReport::WithoutFlash,
            NamespaceReport::Absent,
        ];
        log.answer(reports.into_iter());
        assert!(log.is_answered(request) && !log.has_request());
        assert_eq!([log.read(0), log.read(1), log.read(2)], reports);
        assert_eq!(log.read(3), NamespaceReport::Absent);
        assert!(!log.take_reset_request());
        log.request_reset();
        assert!(log.take_reset_request() && !log.take_reset_request());
    }
}
