//! The medium of a store, as the device gives it.

use super::units::Pieces;

/// The part of the medium that a store has.
pub trait Medium {
    /// Why it could not be reached.
    type Error;

    /// Copies from `media_offset` on.
    ///
    /// # Errors
    /// If a byte is not there.
    fn read(&self, media_offset: u64, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Copies to `media_offset`.
    ///
    /// # Errors
    /// If a byte is not there.
    fn write(&self, media_offset: u64, from: &[u8]) -> Result<(), Self::Error>;

    /// Copies from `pieces` to `into`, which is as long as they are.
    ///
    /// # Errors
    /// As [`Medium::read`].
    fn read_pieces(&self, pieces: Pieces<'_>, into: &mut [u8]) -> Result<(), Self::Error> {
        let mut rest = into;
        for piece in pieces {
            let (part, after) = rest
                .split_at_mut_checked(piece.len_bytes as usize)
                .unwrap_or_default();
            self.read(piece.media_offset, part)?;
            rest = after;
        }
        Ok(())
    }

    /// Copies `from` to `pieces`, which are as long as that.
    ///
    /// # Errors
    /// As [`Medium::write`].
    fn write_pieces(&self, from: &[u8], pieces: Pieces<'_>) -> Result<(), Self::Error> {
        let mut rest = from;
        for piece in pieces {
            let (part, after) = rest
                .split_at_checked(piece.len_bytes as usize)
                .unwrap_or((rest, &[]));
            self.write(piece.media_offset, part)?;
            rest = after;
        }
        Ok(())
    }
}
