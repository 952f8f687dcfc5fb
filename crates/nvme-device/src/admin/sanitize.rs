//! Sanitize and its log (NVMe Base 2.0 §5.24, §5.16.1.21, §8.21).
//!
//! An operation erases the whole medium, namespaces or not, in the background. It goes on through controller level resets, and cannot fail.

use nvme_spec::{
    Cdw10Sanitize, SanitizeAction, SanitizeCompletionEvent, SanitizeLog, SanitizeStartEvent, SanitizeState,
    SelfTestResult, Status, SubmissionQueueEntry, SANITIZE_GLOBAL_DATA_ERASED,
};
use zerocopy::FromZeros;

use crate::admin::capabilities::SANICAP;
use crate::admin::erase_start;
use crate::admin::outcome::Outcome;
use crate::admin::self_test;
use crate::admin::state::sanitize::SanitizeStatus;
use crate::core::Core;
use crate::erase::{ErasePattern, ErasePlan, ErasePurpose};

/// OWPASS = 0.
const PASSES_MAX: u32 = 16;
/// SPROG of no operation.
const NOT_IN_PROGRESS: u16 = 0xFFFF;
/// A memory's speed is not known.
const UNKNOWN_SECONDS: u32 = 0xFFFF_FFFF;

/// What to fill the medium with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sanitize {
    /// Nothing: leave the failure mode.
    pub pattern: Option<ErasePattern>,
    /// Passes of an overwrite, which the log tells of; 0 for any other action.
    pub overwrite_passes: u32,
    pub cdw10: Cdw10Sanitize,
    pub cdw11: u32,
}

impl Sanitize {
    /// # Errors
    /// Invalid Field for an action that there is not.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw10 = Cdw10Sanitize(entry.cdw10.get());
        let cdw11 = entry.cdw11.get();
        let passes = match cdw10.passes() {
            0 => PASSES_MAX,
            passes => passes.into(),
        };
        let (pattern, overwrite_passes) = match cdw10.action() {
            SanitizeAction::EXIT_FAILURE_MODE => (None, 0),
            // All that was written is gone, whether or not it is to be deallocated: what is erased reads as zeros.
            SanitizeAction::BLOCK_ERASE | SanitizeAction::CRYPTO_ERASE => (Some(ErasePattern::ZEROS), 0),
            SanitizeAction::OVERWRITE => {
                let pattern = ErasePattern {
                    pattern: cdw11,
                    count: passes,
                    inverts: cdw10.inverts_pattern(),
                    deallocates: !cdw10.keeps_allocated(),
                };
                (Some(pattern), passes)
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        Ok(Self {
            pattern,
            overwrite_passes,
            cdw10,
            cdw11,
        })
    }
}

pub(crate) fn sanitize(core: &mut Core, asked: Sanitize, now_ns: u64) -> Result<Outcome, Status> {
    let Some(pattern) = asked.pattern else {
        // No operation fails, so there is no such mode to leave.
        return match is_sanitizing(core) {
            true => Err(Status::SANITIZE_IN_PROGRESS),
            false => Ok(Outcome::Done(0)),
        };
    };
    erase_start::check_not_erasing(core)?;
    // What would be activated in the midst of it has to be activated before (NVMe Base 2.0 §8.21).
    if core.admin.firmware.is_pending() {
        return Err(Status::FIRMWARE_ACTIVATION_REQUIRES_CONTROLLER_LEVEL_RESET);
    }
    // In the formats that they have.
    let renewed = erase_start::renew(core, core.queue_set.io.namespaces.iter(), |namespace| {
        Some(namespace.lba_log2)
    })?;
    let plan = ErasePlan::new(ErasePurpose::Sanitize, pattern)
        .map_err(|_| Status::INTERNAL_ERROR)?
        .with_extent(0..core.provisioning.media_bytes)
        .with_renewed(renewed);
    let event = SanitizeStartEvent {
        sanicap: SANICAP.into(),
        cdw10: asked.cdw10.0.into(),
        cdw11: asked.cdw11.into(),
    };
    core.admin.record(&event, now_ns);
    self_test::end_self_test(core, now_ns, SelfTestResult::ABORTED_BY_SANITIZE);
    core.queue_set.io.namespaces.set_sanitizing(true);
    core.queue_set.io.streams.close_all();
    core.admin.events.sanitize_has_begun();
    core.admin.sanitize = SanitizeStatus {
        state: SanitizeState::IN_PROGRESS,
        command_dword10: asked.cdw10.0,
        overwrite_passes: asked.overwrite_passes,
        modifications: 0,
    };
    core.begin_erase(plan);
    Ok(Outcome::Done(0))
}

/// Everything is erased.
pub(crate) fn sanitize_is_done(core: &mut Core, now_ns: u64) {
    core.queue_set.io.namespaces.set_sanitizing(false);
    core.admin.sanitize.state = SanitizeState::COMPLETED;
    core.admin.sanitize.modifications = core.queue_set.io.counters.modifications;
    core.admin.events.sanitize_completed();
    let log = sanitize_log(core);
    let event = SanitizeCompletionEvent {
        progress: log.progress,
        status: log.status,
        ..SanitizeCompletionEvent::zeroed()
    };
    core.admin.record(&event, now_ns);
}

/// Whether an operation is under way, in which case most admin commands are refused.
pub(crate) fn is_sanitizing(core: &Core) -> bool {
    core.eraser.purpose() == Some(ErasePurpose::Sanitize)
}

pub(crate) fn sanitize_log(core: &Core) -> SanitizeLog {
    let status = &core.admin.sanitize;
    let is_untouched = status.state != SanitizeState::IN_PROGRESS
        && core.queue_set.io.counters.modifications == status.modifications;
    let is_completed = status.state == SanitizeState::COMPLETED;
    let passes_done = if is_completed { status.overwrite_passes } else { 0 } as u16;
    let mut log = SanitizeLog::new_zeroed();
    log.progress = match status.state {
        SanitizeState::IN_PROGRESS => {
            core.eraser.progress(1 << 16).min(u64::from(NOT_IN_PROGRESS - 1)) as u16
        }
        _ => NOT_IN_PROGRESS,
    }
    .into();
    log.status = (status.state.0
        | passes_done << 3
        | if is_untouched {
            SANITIZE_GLOBAL_DATA_ERASED
        } else {
            0
        })
    .into();
    log.command_dword10 = status.command_dword10.into();
    log.overwrite_seconds = UNKNOWN_SECONDS.into();
    log.block_erase_seconds = UNKNOWN_SECONDS.into();
    log.crypto_erase_seconds = UNKNOWN_SECONDS.into();
    log.with_modification_seconds = [UNKNOWN_SECONDS.into(); 3];
    log
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::firmware::tests::wait_for_reset;
    use crate::admin::test_drive::{done, TestDrive};

    fn asked(action: SanitizeAction) -> Sanitize {
        let entry = SubmissionQueueEntry {
            cdw10: Cdw10Sanitize::default().with_action(action).0.into(),
            cdw11: 0xA5A5_A5A5.into(),
            ..Default::default()
        };
        Sanitize::parse(&entry).unwrap()
    }

    fn state(core: &Core) -> u16 {
        sanitize_log(core).status.get() & 7
    }

    #[test]
    fn an_operation_goes_on_after_its_command_and_excludes_another() {
        for action in [
            SanitizeAction::BLOCK_ERASE,
            SanitizeAction::CRYPTO_ERASE,
            SanitizeAction::OVERWRITE,
        ] {
            let mut drive = TestDrive::new();
            let core = drive.core();
            assert_eq!(
                (state(core), sanitize_log(core).progress.get()),
                (0, NOT_IN_PROGRESS),
                "never sanitized"
            );
            assert_eq!(done(sanitize(core, asked(action), 0)), Ok(0));
            assert!(is_sanitizing(core));
            assert_eq!((state(core), sanitize_log(core).progress.get()), (2, 0));
            assert_eq!(
                core.queue_set.io.namespaces.serving_mut(1).err(),
                Some(Status::SANITIZE_IN_PROGRESS)
            );
            for other in [action, SanitizeAction::EXIT_FAILURE_MODE] {
                assert_eq!(
                    done(sanitize(core, asked(other), 0)),
                    Err(Status::SANITIZE_IN_PROGRESS)
                );
            }
            sanitize_is_done(core, 1);
            assert_eq!(state(core), 1);
            assert_eq!(sanitize_log(core).progress.get(), NOT_IN_PROGRESS);
        }
    }

    #[test]
    fn there_is_no_failure_mode_to_leave() {
        let mut drive = TestDrive::new();
        assert_eq!(
            done(sanitize(
                drive.core(),
                asked(SanitizeAction::EXIT_FAILURE_MODE),
                0
            )),
            Ok(0)
        );
        assert!(!is_sanitizing(drive.core()));
    }

    #[test]
    fn firmware_that_waits_for_a_reset_comes_first() {
        let mut drive = TestDrive::new();
        wait_for_reset(&mut drive);
        let core = drive.core();
        let refused = done(sanitize(core, asked(SanitizeAction::BLOCK_ERASE), 0));
        assert_eq!(
            refused,
            Err(Status::FIRMWARE_ACTIVATION_REQUIRES_CONTROLLER_LEVEL_RESET)
        );
        assert!(!is_sanitizing(core));
    }
}
