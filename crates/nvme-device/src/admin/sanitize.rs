//! Sanitize and its log (NVMe Base 2.0 §5.24, §5.16.1.21, §8.21).
//!
//! An operation erases the whole medium, namespaces or not, in the background. It goes on through controller level resets, and cannot fail.

use nvme_spec::{
    SanitizeAction, SanitizeCompletionEvent, SanitizeLog, SanitizeStartEvent, SanitizeState, SelfTestResult,
    Status, SubmissionQueueEntry, SANITIZE_GLOBAL_DATA_ERASED,
};
use zerocopy::FromZeros;

use crate::admin::capabilities::SANICAP;
use crate::admin::outcome::Outcome;
use crate::admin::state::sanitize::SanitizeStatus;
use crate::controller::Controller;
use crate::erase::{ErasePattern, Purpose};

const NO_DEALLOCATE: u32 = 1 << 9;
const INVERT_PATTERN: u32 = 1 << 8;
/// OWPASS = 0.
const PASSES_MAX: u32 = 16;
/// SPROG of no operation.
const NOT_IN_PROGRESS: u16 = 0xFFFF;
/// A memory's speed is not known.
const UNKNOWN_SECONDS: u32 = 0xFFFF_FFFF;

impl Controller {
    pub(crate) fn sanitize(&mut self, entry: &SubmissionQueueEntry, now_ns: u64) -> Result<Outcome, Status> {
        let cdw10 = entry.cdw10.get();
        let action = SanitizeAction((cdw10 & 0b111) as u8);
        // No operation fails, so there is no such mode to leave.
        if action == SanitizeAction::EXIT_FAILURE_MODE {
            return match self.eraser.purpose() {
                Some(Purpose::Sanitize) => Err(Status::SANITIZE_IN_PROGRESS),
                _ => Ok(Outcome::Done(0)),
            };
        }
        let passes = passes(action, cdw10, entry.cdw11.get())?;
        self.check_not_erasing()?;
        // What would be activated in the midst of it has to be activated before (NVMe Base 2.0 §8.21).
        if self.admin.firmware.is_pending() {
            return Err(Status::FIRMWARE_ACTIVATION_REQUIRES_CONTROLLER_LEVEL_RESET);
        }
        // In the formats that they have.
        let renewed = self.renew(self.queue_set.io.namespaces.iter(), |namespace| {
            Some(namespace.lba_log2)
        })?;
        let event = SanitizeStartEvent {
            sanicap: SANICAP.into(),
            cdw10: cdw10.into(),
            cdw11: entry.cdw11,
        };
        self.admin.record(&event, now_ns);
        self.end_self_test(now_ns, SelfTestResult::ABORTED_BY_SANITIZE);
        self.queue_set.io.namespaces.set_sanitizing(true);
        self.queue_set.io.streams.close_all();
        self.admin.events.sanitize_has_begun();
        self.admin.sanitize = SanitizeStatus {
            state: SanitizeState::IN_PROGRESS,
            command_dword10: cdw10,
            overwrite_passes: if action == SanitizeAction::OVERWRITE {
                passes.count
            } else {
                0
            },
            modifications: 0,
        };
        self.begin_erase(Purpose::Sanitize, None, passes);
        self.eraser.add(0..self.provisioning.media_bytes);
        self.eraser.replace_with(renewed);
        Ok(Outcome::Done(0))
    }

    /// Everything is erased.
    pub(crate) fn sanitize_is_done(&mut self, now_ns: u64) {
        self.queue_set.io.namespaces.set_sanitizing(false);
        self.admin.sanitize.state = SanitizeState::COMPLETED;
        self.admin.sanitize.modifications = self.queue_set.io.counters.modifications;
        self.admin.events.sanitize_completed();
        let log = self.sanitize_log();
        let event = SanitizeCompletionEvent {
            progress: log.progress,
            status: log.status,
            ..SanitizeCompletionEvent::zeroed()
        };
        self.admin.record(&event, now_ns);
    }

    /// Whether an operation is under way, in which case most admin commands are refused.
    pub(crate) fn is_sanitizing(&self) -> bool {
        self.eraser.purpose() == Some(Purpose::Sanitize)
    }

    pub(crate) fn sanitize_log(&self) -> SanitizeLog {
        let status = &self.admin.sanitize;
        let is_untouched = status.state != SanitizeState::IN_PROGRESS
            && self.queue_set.io.counters.modifications == status.modifications;
        let is_completed = status.state == SanitizeState::COMPLETED;
        let passes_done = if is_completed { status.overwrite_passes } else { 0 } as u16;
        let mut log = SanitizeLog::new_zeroed();
        log.progress = match status.state {
            SanitizeState::IN_PROGRESS => {
                self.eraser.progress(1 << 16).min(u64::from(NOT_IN_PROGRESS - 1)) as u16
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
}

/// What an action fills the medium with.
fn passes(action: SanitizeAction, cdw10: u32, pattern: u32) -> Result<ErasePattern, Status> {
    match action {
        // All that was written is gone, whether or not it is to be deallocated: what is erased reads as zeros.
        SanitizeAction::BLOCK_ERASE | SanitizeAction::CRYPTO_ERASE => Ok(ErasePattern::ZEROS),
        SanitizeAction::OVERWRITE => Ok(ErasePattern {
            pattern,
            count: match cdw10 >> 4 & 0xF {
                0 => PASSES_MAX,
                count => count,
            },
            inverts: cdw10 & INVERT_PATTERN != 0,
            deallocates: cdw10 & NO_DEALLOCATE == 0,
        }),
        _ => Err(Status::INVALID_FIELD_IN_COMMAND),
    }
}
