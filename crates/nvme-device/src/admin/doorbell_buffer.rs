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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_drive::{done, TestDrive, BUFFER, NOWHERE};

    fn configure(drive: &mut TestDrive, shadows: u64, event_indices: u64) -> Result<u64, Status> {
        let buffers = DoorbellBuffers {
            shadows,
            event_indices,
        };
        let (core, memory) = drive.parts();
        done(doorbell_buffer_config(core, buffers, memory))
    }

    #[test]
    fn both_pages_must_be_memory() {
        let mut drive = TestDrive::new();
        for (shadows, event_indices) in [(NOWHERE, BUFFER), (BUFFER, NOWHERE)] {
            let refused = configure(&mut drive, shadows, event_indices);
            assert_eq!(refused, Err(Status::INVALID_FIELD_IN_COMMAND));
            assert_eq!(
                drive.memory.buffer(PAGE_SIZE_BYTES),
                [0; PAGE_SIZE_BYTES],
                "nothing is written"
            );
        }
        assert_eq!(
            configure(&mut drive, BUFFER, BUFFER + PAGE_SIZE_BYTES as u64),
            Ok(0)
        );
        assert_ne!(
            drive.memory.buffer(2 * PAGE_SIZE_BYTES),
            [0; 2 * PAGE_SIZE_BYTES],
            "it has its marks there"
        );
    }
}
