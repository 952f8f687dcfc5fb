//! Doorbell Buffer Config (NVMe Base 2.0 §5.8).

use nvme_spec::{Status, SubmissionQueueEntry, PAGE_SIZE_BYTES};

use crate::admin::outcome::Outcome;
use crate::core::Core;
use crate::host::HostMemory;
use crate::queue::shadow::DoorbellBuffers;

/// The buffers that a command gives: two different pages. Anything else is an Invalid Field, as the
/// specification has it for all that is wrong with the memory of these buffers.
pub(crate) fn parse(entry: &SubmissionQueueEntry) -> Result<DoorbellBuffers, Status> {
    let buffers = DoorbellBuffers {
        shadows: entry.prp1.get(),
        event_indices: entry.prp2.get(),
    };
    let is_page = |address| address % PAGE_SIZE_BYTES as u64 == 0;
    if !is_page(buffers.shadows)
        || !is_page(buffers.event_indices)
        || buffers.shadows == buffers.event_indices
    {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    Ok(buffers)
}

/// Sets the shadow doorbells up, or moves them.
pub(crate) fn doorbell_buffer_config<H: HostMemory>(
    core: &mut Core,
    buffers: DoorbellBuffers,
    host: &H,
) -> Result<Outcome, Status> {
    core.queue_set
        .use_shadow_doorbells(buffers, host)
        .map_err(|_| Status::INVALID_FIELD_IN_COMMAND)?;
    Ok(Outcome::Done(0))
}
