//! Zone Management Send (NVMe ZNS 1.1 §3.4.3).

use core::ops::Range;

use nvme_spec::{Cdw13ZoneSend, Status, SubmissionQueueEntry, ZoneSendAction};
use ssd_model::{Command, Model, Refusal, ZoneAction};

use crate::command::job::Zeroing;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::io::zone::target::Target;

/// A Zone Management Send, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendRequest {
    /// The zone's first LBA; for a flush of a random write area, the last one to be flushed.
    slba: u64,
    action: ZoneSendAction,
    select_all: bool,
    allocates_zrwa: bool,
}

/// What became of one that succeeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// To be filled with zeros before the command completes.
    pub zeroing: Option<Zeroing>,
    pub done_at_ns: u64,
    /// What has been reset, bytes of the namespace.
    pub reset: Option<Range<u64>>,
}

impl SendRequest {
    /// Takes any entry apart. Total and pure.
    pub fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw13 = Cdw13ZoneSend(entry.cdw13.get());
        Self {
            slba: entry.slba(),
            action: cdw13.action(),
            select_all: cdw13.selects_all(),
            allocates_zrwa: cdw13.allocates_zrwa(),
        }
    }

    /// The first LBA, for the error log.
    pub fn slba(&self) -> u64 {
        self.slba
    }

    /// Carries the command out for a namespace whose LBAs have `2^lba_log2` bytes.
    ///
    /// # Errors
    /// The command's status, or when to try again.
    pub fn execute<H: HostMemory>(
        self,
        now_ns: u64,
        target: &mut Target<'_>,
        pointer: DataPointer,
        host: &H,
    ) -> Result<Sent, Refusal> {
        let action = self.action(target.lba_log2).map_err(Refusal::Failed)?;
        if self.select_all {
            return self.execute_all(now_ns, target, action);
        }
        let start = self
            .slba
            .checked_mul(1 << target.lba_log2)
            .and_then(|offset_bytes| target.zoned.geometry.locate(offset_bytes));
        let Some((zone, in_zone)) = start else {
            return Err(Refusal::Failed(Status::LBA_OUT_OF_RANGE));
        };
        let is_flush = matches!(action, ZoneAction::FlushZrwa { .. });
        if in_zone != 0 && !is_flush {
            return Err(Refusal::Failed(Status::INVALID_FIELD_IN_COMMAND));
        }
        let action = match action {
            ZoneAction::FlushZrwa { .. } => ZoneAction::FlushZrwa {
                len_bytes: in_zone + (1 << target.lba_log2),
            },
            other => other,
        };
        target.wait_for_order(zone, action, now_ns)?;
        if matches!(action, ZoneAction::SetExtension { .. }) {
            target.fetch_extension(zone, pointer, host)?;
        }
        let before = target.before(zone);
        let command = Command::ZoneSend {
            offset_bytes: target.zoned.geometry.zone_start(zone),
            action,
        };
        let result = target.model.submit(now_ns, &command);
        target.clear_invalid_extension(zone);
        let accepted = result?;
        if action == ZoneAction::Reset {
            target.zoned.order.reset(zone);
        }
        let start = target.zoned.geometry.zone_start(zone);
        let is_reset = action == ZoneAction::Reset;
        Ok(Sent {
            zeroing: target.grown(zone, before),
            done_at_ns: accepted.done_at_ns,
            reset: is_reset.then(|| start..start + target.zoned.geometry.zone_bytes),
        })
    }

    fn execute_all(self, now_ns: u64, target: &mut Target<'_>, action: ZoneAction) -> Result<Sent, Refusal> {
        let zones = 0..target.zoned.geometry.zones;
        if action == ZoneAction::Reset {
            for zone in zones.clone() {
                target.wait_for_order(zone, action, now_ns)?;
            }
        }
        if action == ZoneAction::Reset {
            // It never fails, and afterwards it cannot be seen which zones had an extension.
            zones.clone().for_each(|zone| target.clear_extension(zone));
        }
        let accepted = target.model.submit(now_ns, &Command::ZoneSendAll { action })?;
        if action == ZoneAction::Reset {
            zones.for_each(|zone| target.zoned.order.reset(zone));
        }
        let is_reset = action == ZoneAction::Reset;
        Ok(Sent {
            zeroing: None,
            done_at_ns: accepted.done_at_ns,
            reset: is_reset.then(|| 0..target.zoned.geometry.namespace_bytes()),
        })
    }

    fn action(&self, lba_log2: u8) -> Result<ZoneAction, Status> {
        Ok(match self.action {
            ZoneSendAction::CLOSE => ZoneAction::Close,
            ZoneSendAction::FINISH => ZoneAction::Finish,
            ZoneSendAction::OPEN => ZoneAction::Open {
                with_zrwa: self.allocates_zrwa,
            },
            ZoneSendAction::RESET => ZoneAction::Reset,
            ZoneSendAction::OFFLINE => ZoneAction::Offline,
            ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION => ZoneAction::SetExtension {
                with_zrwa: self.allocates_zrwa,
            },
            ZoneSendAction::FLUSH_EXPLICIT_ZRWA => ZoneAction::FlushZrwa {
                len_bytes: 1 << lba_log2,
            },
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        })
    }
}
