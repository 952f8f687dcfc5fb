//! Putting an answer together in a page.

/// Puts `bytes` into an answer at `offset`, as far as there is room.
pub(crate) fn put(page: &mut [u8], offset: usize, bytes: &[u8]) {
    for (slot, byte) in page.iter_mut().skip(offset).zip(bytes) {
        *slot = *byte;
    }
}

/// Puts the dword number `index` of an answer there.
pub(crate) fn put_dword(page: &mut [u8], index: usize, value: u32) {
    put(page, index * 4, &value.to_le_bytes());
}
