//! Moving values: between the pages of the host's memory and the pieces that a value has on the medium.

use nvme_spec::Status;
use ssd_model::key_value::{Piece, Pieces};

use super::HostMedium;
use crate::data_pointer::{DataPointer, Role};
use crate::host::{Host, MemoryFault};
use crate::work::Direction;

/// The pieces of a value, cut as they are needed.
pub(super) struct PieceStream<'a> {
    pieces: Pieces<'a>,
    current: Piece,
    /// Bytes of the value before the next piece.
    position: usize,
}

impl<'a> PieceStream<'a> {
    pub fn new(pieces: Pieces<'a>) -> Self {
        let current = Piece {
            media_offset: 0,
            len_bytes: 0,
        };
        Self {
            pieces,
            current,
            position: 0,
        }
    }

    /// Leaves out what comes before `position` of the value.
    pub fn skip_to(&mut self, position: usize) {
        while self.position < position && self.take(position - self.position).is_some() {}
    }

    /// The next piece, of at most `len_bytes_max`.
    fn take(&mut self, len_bytes_max: usize) -> Option<Piece> {
        if self.current.len_bytes == 0 {
            self.current = self.pieces.next()?;
        }
        let len_bytes = self
            .current
            .len_bytes
            .min(u32::try_from(len_bytes_max).unwrap_or(u32::MAX));
        let taken = Piece {
            len_bytes,
            ..self.current
        };
        self.current.media_offset += u64::from(len_bytes);
        self.current.len_bytes -= len_bytes;
        self.position += len_bytes as usize;
        Some(taken)
    }
}

impl<H: Host> HostMedium<'_, H> {
    /// Moves the next `len` bytes between the host's memory at `address` and the medium.
    pub fn move_piece(
        &self,
        direction: Direction,
        address: u64,
        len: usize,
        stream: &mut PieceStream<'_>,
    ) -> Result<(), MemoryFault> {
        let mut done = 0;
        while done < len {
            let at = address.wrapping_add(done as u64);
            let piece = stream.take(len - done).ok_or(MemoryFault { address: at })?;
            let media_offset = self.media_offset + piece.media_offset;
            let piece_len = piece.len_bytes as usize;
            match direction {
                Direction::ToHost => self.host.media_to_host(media_offset, at, piece_len)?,
                Direction::FromHost => self.host.host_to_media(at, media_offset, piece_len)?,
                Direction::Zeros => self.host.zero_media(media_offset, piece_len)?,
                Direction::Compare | Direction::Gathered | Direction::None => {}
            }
            done += piece_len;
        }
        Ok(())
    }

    /// Moves `len_bytes` between the beginning of the buffer of `buffer_bytes` that `pointer` describes and `pieces`.
    ///
    /// # Errors
    /// As [`DataPointer::for_each_piece`]; a part may have been moved.
    pub fn move_value(
        &self,
        direction: Direction,
        pointer: DataPointer,
        buffer_bytes: u32,
        pieces: Pieces<'_>,
        len_bytes: u32,
    ) -> Result<(), Status> {
        let mut stream = PieceStream::new(pieces);
        let (buffer_bytes, len_bytes) = (buffer_bytes as usize, len_bytes as usize);
        let role = Role::of(direction);
        pointer.for_each_piece_of(
            role,
            self.host,
            buffer_bytes,
            len_bytes,
            |address, offset, len| {
                stream.skip_to(offset);
                self.move_piece(direction, address, len, &mut stream)
            },
        )
    }

    /// Fills `pieces` with zeros.
    ///
    /// # Errors
    /// If the medium is not there.
    pub fn zero_value(&self, pieces: Pieces<'_>) -> Result<(), MemoryFault> {
        for piece in pieces {
            self.host
                .zero_media(self.media_offset + piece.media_offset, piece.len_bytes as usize)?;
        }
        Ok(())
    }
}
