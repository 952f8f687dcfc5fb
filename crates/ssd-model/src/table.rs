//! Tables whose allocation can fail.

use alloc::vec::Vec;

use crate::SetupError;

/// A table of `len` times `value`, in one piece.
///
/// # Errors
/// [`SetupError::OutOfMemory`] where a `Vec` of the standard library would abort.
pub(crate) fn table<T: Clone>(len: usize, value: T) -> Result<Vec<T>, SetupError> {
    let mut table = room(len)?;
    // The room is there: this only fills it.
    table.resize(len, value);
    Ok(table)
}

/// An empty `Vec` with room for `len` values.
///
/// # Errors
/// As [`table`].
pub(crate) fn room<T>(len: usize) -> Result<Vec<T>, SetupError> {
    let mut room = Vec::new();
    room.try_reserve_exact(len).map_err(|_| SetupError::OutOfMemory {
        needed_bytes: len.saturating_mul(size_of::<T>()),
    })?;
    Ok(room)
}
