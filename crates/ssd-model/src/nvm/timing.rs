//! How long commands take (MODELS.md §4), whoever has the I/O units.

use nvme_spec::Status;
use ssd_profile::{NvmParameters, Timing};

use super::units::Units;
use crate::{Accepted, Command, Refusal};

/// Times `command` at `now_ns`.
#[inline]
pub(super) fn time<U: Units + ?Sized>(
    parameters: &NvmParameters,
    units: &mut U,
    now_ns: u64,
    command: &Command,
) -> Result<Accepted, Refusal> {
    let (offset_bytes, len_bytes, timing) = match *command {
        Command::Read {
            offset_bytes,
            len_bytes,
        } => (offset_bytes, len_bytes, parameters.read),
        // No cache: a write is on the medium when it is done, with or without force unit access. Zeros take the medium as long as other data:
        // there is nothing that could be told to forget them faster.
        Command::Write {
            offset_bytes,
            len_bytes,
            ..
        }
        | Command::WriteZeroes {
            offset_bytes,
            len_bytes,
            ..
        } => (offset_bytes, len_bytes, parameters.write),
        Command::Flush => return Ok(done_at(flush(parameters, units.latest_ns(), now_ns))),
        // Without a mapping there is nothing to forget.
        Command::Deallocate { .. } => return Ok(done_at(now_ns)),
        Command::Append { .. } | Command::ZoneSend { .. } | Command::ZoneSendAll { .. } => {
            return Err(Refusal::Failed(Status::INVALID_COMMAND_OPCODE))
        }
    };
    let done_at_ns = transfer(parameters, units, now_ns, offset_bytes, len_bytes, timing);
    Ok(done_at(done_at_ns))
}

fn done_at(done_at_ns: u64) -> Accepted {
    Accepted {
        done_at_ns,
        result: 0,
    }
}

/// Times a transfer of `len_bytes` from `offset_bytes`; the result is the time at which its last piece is done.
///
/// The pieces follow one another, also across units, so piece `i` is done at `start + (i + 1) * time`. A unit that
/// gets several pieces keeps the time of its last one. Hence only the last `io_units` pieces leave a mark, and the
/// loop below is bounded by the number of units, however long the command is.
#[inline]
fn transfer<U: Units + ?Sized>(
    parameters: &NvmParameters,
    units: &mut U,
    now_ns: u64,
    offset_bytes: u64,
    len_bytes: u32,
    timing: Timing,
) -> u64 {
    let NvmParameters {
        io_units,
        io_unit_shift,
        reference_quirks,
        ..
    } = *parameters;
    let io_units = u64::from(io_units);
    // At most 2^23, as a unit has at least 2^9 bytes. No data at all takes the time of one piece.
    let pieces_with_data = u64::from(len_bytes).div_ceil(1 << io_unit_shift);
    let pieces = pieces_with_data.max(1);
    let first_unit = (offset_bytes >> io_unit_shift) % io_units;

    let start_ns = |busy_until_ns: u64| {
        now_ns
            .max(busy_until_ns)
            .saturating_add(u64::from(timing.delay_ns))
    };
    // The products stay below 2^55; a sum past the end of time stays at the end of time.
    let piece_done_ns =
        |start_ns: u64, piece: u64| start_ns.saturating_add((piece + 1) * u64::from(timing.time_ns));

    // Q9: the reference adds the trailing time to the first `io_units` pieces only, so a command that comes round
    // to its first unit again loses it there. Otherwise every piece with data has it.
    let pieces_with_trailing = if reference_quirks {
        pieces_with_data.min(io_units)
    } else {
        pieces_with_data
    };
    // Until when a unit is busy that was busy until `before_ns`, when it has worked on `piece`.
    let busy_after = |before_ns: u64, start_ns: u64, piece: u64| {
        let trailing_ns = if piece < pieces_with_trailing {
            timing.trailing_ns
        } else {
            0
        };
        let free_at_ns = piece_done_ns(start_ns, piece).saturating_add(u64::from(trailing_ns));
        // Q8: the reference forgets what a unit was busy with. Otherwise work done for others is never taken back.
        if reference_quirks {
            free_at_ns
        } else {
            free_at_ns.max(before_ns)
        }
    };

    // The first unit's last piece.
    let returning = (pieces - 1) - (pieces - 1) % io_units;
    let before_ns = units.update(first_unit as usize, |before_ns| {
        busy_after(before_ns, start_ns(before_ns), returning)
    });
    let start_ns = start_ns(before_ns);
    for piece in pieces.saturating_sub(io_units)..pieces {
        if piece != returning {
            let unit = ((first_unit + piece) % io_units) as usize;
            units.update(unit, |before_ns| busy_after(before_ns, start_ns, piece));
        }
    }
    piece_done_ns(start_ns, pieces - 1)
}

/// Time at which all that was accepted so far is done: the latest at which a unit is idle.
fn flush(parameters: &NvmParameters, all_idle_at_ns: u64, now_ns: u64) -> u64 {
    // Q10: the reference completes at that time even if it lies in the past, 0 for a drive that was never used.
    // Otherwise a flush of an idle drive is done now.
    if parameters.reference_quirks {
        all_idle_at_ns
    } else {
        all_idle_at_ns.max(now_ns)
    }
}
