//! Format NVM (NVMe Base 2.0 §5.14).
//!
//! A formatted namespace is as it was in the beginning: the medium is zeros, and the model knows of nothing that was written. All three secure
//! erase settings do the same; nothing is left to be read after any of them.

use alloc::vec::Vec;

use nvme_spec::{
    FormatCompletionEvent, FormatStartEvent, NvmOpcode, SelfTestResult, Status, SubmissionQueueEntry,
};

use crate::admin::capabilities::FNA;
use crate::admin::outcome::{status_of, Outcome};
use crate::command::id::CommandRef;
use crate::controller::Controller;
use crate::erase::{ErasePattern, Purpose};
use crate::limits::NAMESPACES_MAX;
use crate::namespace::{Namespace, LBA_FORMATS_LOG2};

/// FPI: progress is indicated.
const PROGRESS_SUPPORTED: u8 = 1 << 7;
const SECURE_ERASE_MAX: u32 = 2;

impl Controller {
    pub(crate) fn format_nvm(
        &mut self,
        entry: &SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
    ) -> Result<Outcome, Status> {
        let cdw10 = entry.cdw10.get();
        self.check_not_erasing()?;
        if cdw10 >> 9 & 0b111 > SECURE_ERASE_MAX {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        // Protection information needs metadata, which no format has.
        if cdw10 >> 5 & 0b111 != 0 {
            return Err(Status::INVALID_FORMAT);
        }
        let format_index = (cdw10 & 0xF | (cdw10 >> 12 & 0b11) << 4) as usize;
        let nsid = entry.nsid.get();
        let renewed = self.renew(self.queue_set.io.namespaces.select(nsid)?, |namespace| {
            if namespace.has_pairs_only() {
                Some(namespace.lba_log2).filter(|_| format_index == 0)
            } else {
                LBA_FORMATS_LOG2.get(format_index).copied()
            }
        })?;
        let event = FormatStartEvent {
            nsid: nsid.into(),
            fna: FNA,
            cdw10: cdw10.into(),
            ..FormatStartEvent::zeroed()
        };
        self.admin.record(&event, now_ns);
        self.begin_erase(Purpose::Format { nsid }, Some((command, 0)), ErasePattern::ZEROS);
        for namespace in &renewed {
            self.queue_set.io.namespaces.set_erasing(namespace.nsid, true);
            self.eraser.add(namespace.media());
        }
        self.eraser.replace_with(renewed);
        self.end_self_test(now_ns, SelfTestResult::ABORTED_BY_FORMAT);
        Ok(Outcome::Later)
    }

    /// The namespaces, made anew with LBAs of 1 << `lba_log2` bytes.
    ///
    /// # Errors
    /// Reservation Conflict; Invalid Format for one that cannot have such LBAs; what keeps one from being made.
    pub(crate) fn renew<'a>(
        &self,
        namespaces: impl Iterator<Item = &'a Namespace>,
        lba_log2: impl Fn(&Namespace) -> Option<u8>,
    ) -> Result<Vec<Namespace>, Status> {
        let mut renewed = Vec::new();
        for namespace in namespaces {
            namespace.reservations.check(NvmOpcode::WRITE.0)?;
            let lba_log2 = lba_log2(namespace).ok_or(Status::INVALID_FORMAT)?;
            renewed.try_reserve(1).map_err(|_| Status::INTERNAL_ERROR)?;
            renewed.push(
                namespace
                    .renewed(1 << lba_log2, &self.provisioning.traits)
                    .map_err(|error| status_of(&error))?,
            );
        }
        Ok(renewed)
    }

    /// Refuses what would change namespaces while they are being erased.
    pub(crate) fn check_not_erasing(&self) -> Result<(), Status> {
        match self.eraser.purpose() {
            None => Ok(()),
            Some(Purpose::Sanitize) => Err(Status::SANITIZE_IN_PROGRESS),
            Some(Purpose::Format { .. } | Purpose::Create | Purpose::Delete) => {
                Err(Status::FORMAT_IN_PROGRESS)
            }
        }
    }

    /// FPI: how much of a format is still to be done.
    pub(crate) fn format_progress(&self, nsid: u32) -> u8 {
        if self.queue_set.io.namespaces.is_erasing(nsid) {
            PROGRESS_SUPPORTED | (100 - self.eraser.progress(100).min(100)) as u8
        } else {
            PROGRESS_SUPPORTED
        }
    }

    /// An erase is over: its namespaces are there again, or for the first time, or gone.
    pub(crate) fn erase_is_done(&mut self, purpose: Purpose, now_ns: u64) {
        match purpose {
            Purpose::Sanitize => return self.sanitize_is_done(now_ns),
            Purpose::Format { nsid } => {
                let event = FormatCompletionEvent {
                    nsid: nsid.into(),
                    ..FormatCompletionEvent::zeroed()
                };
                self.admin.record(&event, now_ns);
            }
            Purpose::Create | Purpose::Delete => {}
        }
        for nsid in 1..=NAMESPACES_MAX {
            if !self.queue_set.io.namespaces.is_erasing(nsid) {
                continue;
            }
            // The list of changed zones is a new one, or none.
            self.admin.events.forget_zone_notice(nsid);
            let was_attached = self.queue_set.io.namespaces.is_attached(nsid);
            self.queue_set.io.namespaces.set_erasing(nsid, false);
            if purpose == Purpose::Delete {
                self.queue_set.io.with_streams(nsid, |streams, namespace| {
                    streams.enable(nsid, &mut namespace.streams, false);
                });
                self.queue_set.io.namespaces.remove(nsid);
                self.end_self_test(now_ns, SelfTestResult::ABORTED_BY_NAMESPACE_REMOVAL);
            }
            if was_attached {
                self.namespace_has_changed(nsid);
            }
        }
    }
}
