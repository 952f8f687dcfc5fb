//! The fields that key-value commands have in common: the key, and the sizes.

use nvme_spec::{
    Cdw11KeyValue, Status, SubmissionQueueEntry, VendorCdw11KeyValue, KEY_VALUE_KEY_BYTES_MAX,
    VENDOR_INLINE_KEY_BYTES_MAX, VENDOR_KEY_BYTES_MAX,
};
use ssd_model::key_value::KeyBuffer;

use crate::data_pointer::prp::Prps;
use crate::data_pointer::DataPointer;
use crate::host::Host;

/// Which of the two sets a command belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The Key Value Command Set.
    Standard,
    /// The vendor specific commands.
    Vendor,
}

impl Dialect {
    pub fn key_does_not_exist(self) -> Status {
        match self {
            Self::Standard => Status::KEY_DOES_NOT_EXIST,
            Self::Vendor => Status::VENDOR_KEY_DOES_NOT_EXIST,
        }
    }

    pub fn key_exists(self) -> Status {
        match self {
            Self::Standard => Status::KEY_EXISTS,
            Self::Vendor => Status::VENDOR_KEY_EXISTS,
        }
    }

    pub fn capacity_exceeded(self) -> Status {
        match self {
            Self::Standard => Status::CAPACITY_EXCEEDED,
            Self::Vendor => Status::VENDOR_CAPACITY_EXCEEDED,
        }
    }

    pub fn invalid_value_size(self) -> Status {
        match self {
            Self::Standard => Status::INVALID_VALUE_SIZE,
            Self::Vendor => Status::VENDOR_INVALID_VALUE_SIZE,
        }
    }

    pub fn invalid_option(self) -> Status {
        match self {
            Self::Standard => Status::INVALID_FIELD_IN_COMMAND,
            Self::Vendor => Status::VENDOR_INVALID_OPTION,
        }
    }

    /// The key of a command, fetched if it is not in there.
    ///
    /// # Errors
    /// If it is too long, too short, or cannot be fetched.
    pub fn key<H: Host>(self, entry: &SubmissionQueueEntry, host: &H) -> Result<KeyBuffer, Status> {
        match self {
            Self::Standard => match standard_key(entry)? {
                key if key.as_bytes().is_empty() => Err(Status::INVALID_KEY_SIZE),
                key => Ok(key),
            },
            Self::Vendor => vendor_key(entry, host),
        }
    }

    /// Length of what is stored, or of the buffer for what is retrieved.
    pub fn len_bytes(self, entry: &SubmissionQueueEntry) -> u32 {
        match self {
            Self::Standard => entry.cdw10.get(),
            Self::Vendor => {
                // Samsung's driver has the number of bytes that do not count of the last dword in two bits more.
                let unused = VendorCdw11KeyValue(entry.cdw11.get()).unused_bytes().into();
                let len = entry.cdw10.get().saturating_mul(4);
                len.saturating_sub(unused)
            }
        }
    }
}

/// Options: bits 15:8 of dword 11 in both sets.
pub(crate) fn options(entry: &SubmissionQueueEntry) -> u8 {
    Cdw11KeyValue(entry.cdw11.get()).options()
}

/// Puts `key` into an entry of a list, behind the bytes of its length, and zeros behind it.
pub(crate) fn fill_slot(slot: &mut [u8], length: &[u8], key: &[u8]) {
    let bytes = length.iter().chain(key).chain(core::iter::repeat(&0));
    slot.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
}

/// The key of a command of the Key Value Command Set, which may be empty.
///
/// # Errors
/// If it is longer than a command can hold (KV CS 1.0 §2.1.5).
pub(crate) fn standard_key(entry: &SubmissionQueueEntry) -> Result<KeyBuffer, Status> {
    let len = usize::from(Cdw11KeyValue(entry.cdw11.get()).key_bytes());
    let dwords = [entry.cdw2, entry.cdw3, entry.cdw14, entry.cdw15];
    inline_key(dwords.map(|dword| dword.get()), len).ok_or(Status::INVALID_FIELD_IN_COMMAND)
}

fn vendor_key<H: Host>(entry: &SubmissionQueueEntry, host: &H) -> Result<KeyBuffer, Status> {
    let len = usize::from(VendorCdw11KeyValue(entry.cdw11.get()).key_bytes_z()) + 1;
    let dwords = [entry.cdw12, entry.cdw13, entry.cdw14, entry.cdw15].map(|dword| dword.get());
    if len <= VENDOR_INLINE_KEY_BYTES_MAX {
        return inline_key(dwords, len).ok_or(Status::VENDOR_INVALID_KEY_SIZE);
    }
    let mut bytes = [0; VENDOR_KEY_BYTES_MAX];
    let key = bytes.get_mut(..len).ok_or(Status::VENDOR_INVALID_KEY_SIZE)?;
    let [low1, high1, low2, high2] = dwords.map(u64::from);
    // These are PRP entries whatever the data has (MODELS.md §7): PSDT is about the data pointer, and the host's driver may choose it.
    let pointer = DataPointer::Prps(Prps {
        prp1: low1 | high1 << 32,
        prp2: low2 | high2 << 32,
    });
    pointer.read(host, key)?;
    KeyBuffer::new(key).ok_or(Status::VENDOR_INVALID_KEY_SIZE)
}

fn inline_key(dwords: [u32; 4], len: usize) -> Option<KeyBuffer> {
    let bytes = dwords.map(u32::to_le_bytes);
    const _: () = assert!(KEY_VALUE_KEY_BYTES_MAX == 16 && VENDOR_INLINE_KEY_BYTES_MAX == 16);
    KeyBuffer::new(bytes.as_flattened().get(..len)?)
}

/// The offset into the value, of a vendor specific command. MODELS.md has it in dword 5; the drivers that there are put it into dword 4. The field
/// that both are in, the metadata pointer, has no other use here: so either will do.
///
/// # Errors
/// If they disagree.
pub(crate) fn value_offset(entry: &SubmissionQueueEntry) -> Result<u32, Status> {
    let mptr = entry.mptr.get();
    match (mptr as u32, (mptr >> 32) as u32) {
        (low, 0) => Ok(low),
        (0, high) => Ok(high),
        (low, high) if low == high => Ok(low),
        _ => Err(Status::VENDOR_INVALID_VALUE_OFFSET),
    }
}
