//! The Changed Namespace List (NVMe Base 2.0 §5.16.1.5).

use crate::admin::page::put_dword;
use crate::limits::NAMESPACES_MAX;

/// Namespaces that have changed since the host last looked: a bit for each identifier, from 1 on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChangedNamespaces(u32);

const _: () = assert!(NAMESPACES_MAX == u32::BITS);

impl ChangedNamespaces {
    pub fn add(&mut self, nsid: u32) {
        self.0 |= 1u32.checked_shl(nsid.wrapping_sub(1)).unwrap_or(0);
    }

    /// The host has read the list.
    pub fn clear(&mut self) {
        self.0 = 0;
    }

    /// Writes the list into `buffer`, which is all zeros.
    pub fn fill_log(self, buffer: &mut [u8]) {
        let changed = (1..=NAMESPACES_MAX).filter(|nsid| self.0 >> (nsid - 1) & 1 != 0);
        for (index, nsid) in changed.enumerate() {
            put_dword(buffer, index, nsid);
        }
    }
}
