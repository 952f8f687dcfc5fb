//! Format NVM (NVMe Base 2.0 §5.14).
//!
//! A formatted namespace is as it was in the beginning: the medium is zeros, and the model knows of nothing that was written. All three secure
//! erase settings do the same; nothing is left to be read after any of them.

use nvme_spec::{Cdw10Format, FormatStartEvent, SelfTestResult, Status, SubmissionQueueEntry};

use crate::admin::capabilities::FNA;
use crate::admin::erase_start::{check_not_erasing, renew};
use crate::admin::outcome::Outcome;
use crate::admin::self_test;
use crate::core::Core;
use crate::erase::{ErasePattern, ErasePlan, ErasePurpose};
use crate::namespace::LBA_FORMATS_LOG2;

/// FPI: progress is indicated.
const PROGRESS_SUPPORTED: u8 = 1 << 7;
const SECURE_ERASE_MAX: u8 = 2;

/// What to format, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FormatNvm {
    pub nsid: u32,
    /// With index of the format, protection information and secure erase settings.
    pub cdw10: Cdw10Format,
}

impl FormatNvm {
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        Self {
            nsid: entry.nsid.get(),
            cdw10: Cdw10Format(entry.cdw10.get()),
        }
    }
}

pub(crate) fn format_nvm(core: &mut Core, asked: FormatNvm, now_ns: u64) -> Result<Outcome, Status> {
    let FormatNvm { nsid, cdw10 } = asked;
    check_not_erasing(core)?;
    if cdw10.secure_erase() > SECURE_ERASE_MAX {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    // Protection information needs metadata, which no format has.
    if cdw10.protection() != 0 {
        return Err(Status::INVALID_FORMAT);
    }
    let format_index = usize::from(cdw10.format_index());
    let renewed = renew(core, core.queue_set.io.namespaces.select(nsid)?, |namespace| {
        if namespace.has_pairs_only() {
            Some(namespace.lba_log2).filter(|_| format_index == 0)
        } else {
            LBA_FORMATS_LOG2.get(format_index).copied()
        }
    })?;
    let mut plan = ErasePlan::new(ErasePurpose::Format { nsid }, ErasePattern::ZEROS)
        .map_err(|_| Status::INTERNAL_ERROR)?;
    for namespace in &renewed {
        plan = plan.with_extent(namespace.media());
        core.queue_set.io.namespaces.set_erasing(namespace.nsid, true);
    }
    let event = FormatStartEvent {
        nsid: nsid.into(),
        fna: FNA,
        cdw10: cdw10.0.into(),
        ..FormatStartEvent::zeroed()
    };
    core.admin.record(&event, now_ns);
    self_test::end_self_test(core, now_ns, SelfTestResult::ABORTED_BY_FORMAT);
    Ok(Outcome::Erases {
        plan: plan.with_renewed(renewed),
        result: 0,
    })
}

/// FPI: how much of a format is still to be done.
pub(crate) fn format_progress(core: &Core, nsid: u32) -> u8 {
    if core.queue_set.io.namespaces.is_erasing(nsid) {
        PROGRESS_SUPPORTED | (100 - core.eraser.progress(100).min(100)) as u8
    } else {
        PROGRESS_SUPPORTED
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::admin::test_drive::{TestDrive, FAST, FAST_LBAS, FLASH, INVALID, PAIRS, UNALLOCATED};

    const ALL: u32 = 0xFFFF_FFFF;

    fn format(drive: &mut TestDrive, nsid: u32, cdw10: Cdw10Format) -> Result<Outcome, Status> {
        format_nvm(drive.core(), FormatNvm { nsid, cdw10 }, 0)
    }

    #[test]
    fn what_is_formatted_serves_nobody_until_it_is_done() {
        for (nsid, formatted) in [(FAST, vec![FAST]), (ALL, vec![FAST, FLASH, 3, PAIRS])] {
            let mut drive = TestDrive::new();
            let Ok(Outcome::Erases { plan, result: 0 }) = format(&mut drive, nsid, Cdw10Format(0)) else {
                panic!("nothing is erased");
            };
            drive.core().begin_erase(plan);
            assert_eq!(drive.core().eraser.purpose(), Some(ErasePurpose::Format { nsid }));
            let namespaces = &drive.core().queue_set.io.namespaces;
            let erasing: Vec<u32> = (1..=5).filter(|&nsid| namespaces.is_erasing(nsid)).collect();
            assert_eq!(erasing, formatted);
            // As long as the plan is not carried out, it is what it was.
            assert_eq!(namespaces.allocated(FAST).unwrap().size_lbas, FAST_LBAS);
        }
    }

    #[test]
    fn a_format_that_there_is_not_is_refused_before_anything_changes() {
        let mut drive = TestDrive::new();
        let cdw10 = Cdw10Format::default;
        let refused = [
            (FAST, cdw10().with_format_index(2), Status::INVALID_FORMAT),
            (PAIRS, cdw10().with_format_index(1), Status::INVALID_FORMAT),
            (FAST, cdw10().with_protection(1), Status::INVALID_FORMAT),
            (
                FAST,
                cdw10().with_secure_erase(3),
                Status::INVALID_FIELD_IN_COMMAND,
            ),
            (UNALLOCATED, cdw10(), Status::INVALID_FIELD_IN_COMMAND),
            (INVALID, cdw10(), Status::INVALID_NAMESPACE_OR_FORMAT),
            (0, cdw10(), Status::INVALID_NAMESPACE_OR_FORMAT),
        ];
        for (nsid, cdw10, status) in refused {
            assert_eq!(
                format(&mut drive, nsid, cdw10).err(),
                Some(status),
                "namespace {nsid}, {cdw10:?}"
            );
            let namespaces = &drive.core().queue_set.io.namespaces;
            assert!(!(1..=5).any(|nsid| namespaces.is_erasing(nsid)));
        }
    }

    #[test]
    fn nothing_is_formatted_while_something_is_erased() {
        let mut drive = TestDrive::new();
        let Ok(Outcome::Erases { plan, .. }) = format(&mut drive, FAST, Cdw10Format(0)) else {
            panic!("nothing is erased");
        };
        drive.core().begin_erase(plan);
        assert_eq!(
            format(&mut drive, FLASH, Cdw10Format(0)).err(),
            Some(Status::FORMAT_IN_PROGRESS)
        );
        assert_eq!(format_progress(drive.core(), FAST), PROGRESS_SUPPORTED | 100);
        assert_eq!(format_progress(drive.core(), FLASH), PROGRESS_SUPPORTED);
    }
}
