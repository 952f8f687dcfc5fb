//! What the flash of each namespace did, for readers on other threads.
//!
//! A reader asks; the controller, which owns the models, answers in its next pass. While nobody asks, that costs the
//! controller one load per pass, and no command pays for it.

use alloc::vec::Vec;
use core::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};

use ssd_model::FlashReport;
use zerocopy::transmute;

use crate::setup::{table, SetupError};

/// A report in words of 64 bits: it has no padding, or [`transmute!`] would refuse it.
const WORDS: usize = size_of::<FlashReport>() / size_of::<u64>();

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
    words: [AtomicU64; WORDS],
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
            words: [const { AtomicU64::new(0) }; WORDS],
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
            let words = slot.words.each_ref().map(|word| word.load(Ordering::Relaxed));
            let kind = slot.kind.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if generation % 2 == 0 && self.generation.load(Ordering::Relaxed) == generation {
                return match kind {
                    FLASH => NamespaceReport::Flash(transmute!(words)),
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
        // The odd generation is seen before any word that changes under it.
        fence(Ordering::Release);
        for (slot, report) in self.slots.iter().zip(reports) {
            let (kind, report) = match report {
                NamespaceReport::Absent => (ABSENT, FlashReport::default()),
                NamespaceReport::WithoutFlash => (WITHOUT_FLASH, FlashReport::default()),
                NamespaceReport::Flash(report) => (FLASH, report),
            };
            slot.kind.store(kind, Ordering::Relaxed);
            let words: [u64; WORDS] = transmute!(report);
            for (word, value) in slot.words.iter().zip(words) {
                word.store(value, Ordering::Relaxed);
            }
        }
        self.generation
            .store(generation.wrapping_add(2), Ordering::Release);
        self.answered.store(request, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_as_it_was() {
        let mut words = [0_u64; WORDS];
        (1..).zip(&mut words).for_each(|(value, word)| *word = value);
        let report: FlashReport = transmute!(words);
        let log = FlashLog::new(1).unwrap();
        log.answer([NamespaceReport::Flash(report)].into_iter());
        assert_eq!(log.read(0), NamespaceReport::Flash(report));
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
