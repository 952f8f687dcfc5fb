//! Format NVM (NVMe Base 2.0 §5.14): command dword 10.

use crate::dword::dword;

dword! {
    /// Dword 10 of Format NVM (NVMe Base 2.0 §5.14).
    Cdw10Format {
        /// LBAFL: bits 3:0 of the format index.
        format_index_lower, with_format_index_lower: u8 = 3:0,
        /// PI: Protection Information; 0 for none.
        protection, with_protection: u8 = 7:5,
        /// SES: Secure Erase Settings.
        secure_erase, with_secure_erase: u8 = 11:9,
        /// LBAFU: bits 5:4 of the format index.
        format_index_upper, with_format_index_upper: u8 = 13:12,
    }
}

impl Cdw10Format {
    /// Index of the LBA format, 0 to 63.
    #[inline]
    pub const fn format_index(self) -> u8 {
        self.format_index_lower() | self.format_index_upper() << 4
    }

    /// The same dword with another value in [`Self::format_index`].
    #[inline]
    #[must_use]
    pub const fn with_format_index(self, index: u8) -> Self {
        self.with_format_index_lower(index)
            .with_format_index_upper(index >> 4)
    }
}
