//! Keys.

/// Longest key.
pub const KEY_BYTES_MAX: usize = 255;

/// What a value is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A key of 1 to 255 bytes.
    Pair(&'a [u8]),
    /// The number of a page of LBAs: no host can give a pair this key.
    Page(u64),
}

/// A key of a pair, with room for the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBuffer {
    bytes: [u8; KEY_BYTES_MAX],
    len: u8,
}

impl KeyBuffer {
    /// No key.
    pub const EMPTY: Self = Self {
        bytes: [0; KEY_BYTES_MAX],
        len: 0,
    };

    /// A copy of `key`; nothing if it is longer than any can be.
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut buffer = Self::EMPTY;
        buffer.bytes.get_mut(..key.len())?.copy_from_slice(key);
        buffer.len = u8::try_from(key.len()).ok()?;
        Some(buffer)
    }

    /// The key of `len` bytes that `fill` writes.
    ///
    /// # Errors
    /// Those of `fill`.
    #[inline]
    pub(super) fn filled_by<E>(len: u8, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut buffer = Self { len, ..Self::EMPTY };
        fill(buffer.bytes.get_mut(..len.into()).unwrap_or_default())?;
        Ok(buffer)
    }

    /// The key.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}
