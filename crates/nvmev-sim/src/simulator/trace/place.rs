//! From a trace's addresses to commands of this drive.

use super::event::{Event, Kind};
use super::options::Beyond;
use super::tally::{LeftOut, Reason};
use crate::simulator::source::{Action, Io};

/// Unit of addresses: what a command covers is whole blocks of it.
const BLOCK_BYTES: u64 = 512;

/// The drive that a trace is run on.
#[derive(Clone, Copy, Debug)]
pub struct Placer {
    /// A multiple of a block.
    namespace_bytes: u64,
    /// Longest read or write, a multiple of a block.
    transfer_bytes_max: u64,
    beyond: Beyond,
}

/// The commands of an event. They are made one by one: a long command on a large drive is many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pieces {
    namespace_bytes: u64,
    piece_bytes_max: u64,
    /// A flush comes first.
    flush: bool,
    /// The command that the others are pieces of; nothing when all of it is given out.
    rest: Option<Io>,
}

impl Iterator for Pieces {
    type Item = Io;

    fn next(&mut self) -> Option<Io> {
        let rest = self.rest.as_mut()?;
        let mut piece = *rest;
        // The others come with the first one.
        rest.wait_ns = 0;
        if self.flush {
            self.flush = false;
            (piece.action, piece.offset_bytes, piece.len_bytes) = (Action::Flush, 0, 0);
            return Some(piece);
        }
        piece.len_bytes = rest.len_bytes.min(self.piece_bytes_max);
        if piece.offset_bytes.saturating_add(piece.len_bytes) > self.namespace_bytes {
            piece.offset_bytes = wrapped(piece.offset_bytes, piece.len_bytes, self.namespace_bytes);
        }
        rest.offset_bytes = rest.offset_bytes.saturating_add(piece.len_bytes);
        rest.len_bytes -= piece.len_bytes;
        if rest.len_bytes == 0 {
            self.rest = None;
        }
        Some(piece)
    }
}

/// Where a command that is not longer than the drive is moved: its address modulo the places where it fits as a whole.
fn wrapped(offset_bytes: u64, len_bytes: u64, namespace_bytes: u64) -> u64 {
    let places = namespace_bytes - len_bytes + BLOCK_BYTES;
    offset_bytes % places / BLOCK_BYTES * BLOCK_BYTES
}

impl Placer {
    pub fn new(namespace_bytes: u64, transfer_bytes_max: u32, beyond: Beyond) -> Self {
        let whole = |bytes: u64| (bytes / BLOCK_BYTES * BLOCK_BYTES).max(BLOCK_BYTES);
        Self {
            namespace_bytes: whole(namespace_bytes),
            transfer_bytes_max: whole(transfer_bytes_max.into()),
            beyond,
        }
    }

    /// The commands of `event`, which comes at `at_ns` or after `wait_ns`; what is changed goes to `remark`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn place(
        &self,
        event: &Event,
        at_ns: Option<u64>,
        wait_ns: u64,
        remark: &mut impl FnMut(Reason),
    ) -> Result<Pieces, LeftOut> {
        let action = match event.kind {
            Kind::Read => Action::Read,
            Kind::Write(fua) => Action::Write(fua),
            Kind::Trim => Action::Trim,
            Kind::Flush => Action::Flush,
        };
        let namespace_bytes = self.namespace_bytes;
        let pieces = |offset_bytes: u64, len_bytes: u64, piece_bytes_max: u64| Pieces {
            namespace_bytes,
            piece_bytes_max,
            flush: event.flushes_first,
            rest: Some(Io {
                at_ns,
                wait_ns,
                action,
                offset_bytes,
                len_bytes,
            }),
        };
        if action == Action::Flush {
            return Ok(pieces(0, 0, 0));
        }
        if event.len_bytes == 0 {
            return Err(LeftOut::from(Reason::ZeroLength));
        }
        let end_bytes = event
            .offset_bytes
            .checked_add(event.len_bytes)
            .and_then(|end_bytes| end_bytes.checked_next_multiple_of(BLOCK_BYTES))
            .ok_or_else(|| LeftOut::from(Reason::OutOfRange))?;
        let offset_bytes = event.offset_bytes / BLOCK_BYTES * BLOCK_BYTES;
        let len_bytes = end_bytes - offset_bytes;
        let is_beyond = end_bytes > namespace_bytes;
        if is_beyond && self.beyond != Beyond::Wrap {
            return Err(LeftOut {
                reason: Reason::Beyond,
                detail: format!("the command ends at byte {end_bytes}, the namespace at {namespace_bytes}")
                    .into(),
            });
        }
        if len_bytes != event.len_bytes {
            remark(Reason::Widened);
        }
        if is_beyond {
            remark(Reason::Moved);
        }
        // What is longer than the drive covers it once.
        let covered_bytes = len_bytes.min(namespace_bytes);
        // A deallocation names ranges and moves no data: nothing limits it but the drive.
        let piece_bytes_max = match action {
            Action::Trim => namespace_bytes,
            _ => self.transfer_bytes_max.min(namespace_bytes),
        };
        if covered_bytes > piece_bytes_max {
            remark(Reason::Split);
        }
        // As a whole where it fits, else each piece by itself.
        let offset_bytes = if is_beyond && len_bytes <= namespace_bytes {
            wrapped(offset_bytes, len_bytes, namespace_bytes)
        } else {
            offset_bytes
        };
        Ok(pieces(offset_bytes, covered_bytes, piece_bytes_max))
    }
}
