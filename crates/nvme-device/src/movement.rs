//! Moving a command's data between the host and the medium.

use nvme_spec::Status;

use crate::compare::Comparison;
use crate::data_pointer::{write_zeros, Role};
use crate::host::{Host, MemoryFault};
use crate::work::{Direction, Part, Transfer};

/// Moves what `transfer` says, but for what a worker has gathered: that is the worker's to write.
///
/// # Errors
/// If memory is not there, or what is compared is not the same.
pub(crate) fn move_data<H: Host>(transfer: &Transfer, host: &H) -> Result<(), Status> {
    let moved = try_to_move(transfer, host);
    if moved.is_err() {
        clear_unwritten(transfer, host);
    }
    moved
}

fn try_to_move<H: Host>(transfer: &Transfer, host: &H) -> Result<(), Status> {
    let (extents, len_bytes) = (&transfer.extents, transfer.len_bytes as usize);
    match transfer.direction {
        Direction::None | Direction::Gathered => Ok(()),
        Direction::Zeros => Ok(zero(transfer, host)?),
        Direction::Compare => compare(transfer, host),
        Direction::ToHost => {
            transfer
                .pointer
                .for_each_piece(Role::Destination, host, len_bytes, |address, offset, len| {
                    extents.for_each_part(offset, len, |at, part| {
                        let address = address.wrapping_add(at as u64);
                        match part {
                            Part::OnMedium { media_offset, len } => {
                                host.media_to_host(media_offset, address, len)
                            }
                            Part::Zeros { len } => write_zeros(host, address, len),
                        }
                    })
                })
        }
        Direction::FromHost => {
            transfer
                .pointer
                .for_each_piece(Role::Source, host, len_bytes, |address, offset, len| {
                    extents.for_each_part(offset, len, |at, part| match part {
                        Part::OnMedium { media_offset, len } => {
                            host.host_to_media(address.wrapping_add(at as u64), media_offset, len)
                        }
                        Part::Zeros { .. } => Ok(()),
                    })
                })
        }
    }
}

/// Compares the host's data with the medium's.
fn compare<H: Host>(transfer: &Transfer, host: &H) -> Result<(), Status> {
    let mut comparison = Comparison::new(host);
    let len_bytes = transfer.len_bytes as usize;
    transfer
        .pointer
        .for_each_piece(Role::Source, host, len_bytes, |address, offset, len| {
            transfer.extents.for_each_part(offset, len, |at, part| {
                let address = address.wrapping_add(at as u64);
                match part {
                    Part::OnMedium { media_offset, len } => comparison.with(address, len, |done, ours| {
                        host.read_media(media_offset + done as u64, ours)
                    }),
                    Part::Zeros { len } => comparison.with(address, len, |_, _| Ok(())),
                }
            })
        })?;
    comparison.finish()
}

/// Fills what the transfer covers of the medium with zeros.
fn zero<H: Host>(transfer: &Transfer, host: &H) -> Result<(), MemoryFault> {
    let extents = &transfer.extents;
    extents.for_each_part(0, transfer.len_bytes as usize, |_, part| match part {
        Part::OnMedium { media_offset, len } => host.zero_media(media_offset, len),
        Part::Zeros { .. } => Ok(()),
    })
}

/// A zone's write pointer has moved past what could not be written. What was there before the zone was reset must not be seen again.
fn clear_unwritten<H: Host>(transfer: &Transfer, host: &H) {
    if transfer.clears_on_failure {
        let zeroed = zero(transfer, host);
        debug_assert!(zeroed.is_ok(), "the controller has checked the range");
    }
}
