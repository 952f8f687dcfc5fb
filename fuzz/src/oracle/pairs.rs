//! What the commands for pairs mean.

use nvme_spec::{KeyValueOpcode, SubmissionQueueEntry};

use super::meaning::{Context, Meaning};

/// Of the vendor specific commands, whose keys may be somewhere else.
pub const VENDOR_STATUSES: &[u16] = &[
    0x004, 0x013, 0x301, 0x302, 0x303, 0x304, 0x310, 0x312, 0x380, 0x381, 0x390, 0x391, 0x392, 0x393,
];

fn key_of(dwords: [u32; 4], len: usize) -> Option<Vec<u8>> {
    let bytes = dwords.map(u32::to_le_bytes);
    Some(bytes.as_flattened().get(..len)?.to_vec())
}

/// The key of a command of the Key Value Command Set.
pub fn standard_key(entry: &SubmissionQueueEntry) -> Option<Vec<u8>> {
    let dwords = [entry.cdw2, entry.cdw3, entry.cdw14, entry.cdw15].map(|dword| dword.get());
    key_of(dwords, (entry.cdw11.get() & 0xFF) as usize)
}

/// The key of a vendor specific command, if it is in there.
pub fn vendor_key(entry: &SubmissionQueueEntry) -> Option<Vec<u8>> {
    let dwords = [entry.cdw12, entry.cdw13, entry.cdw14, entry.cdw15].map(|dword| dword.get());
    key_of(dwords, (entry.cdw11.get() & 0xFF) as usize + 1)
}

/// Length of the value, or of the buffer, of a vendor specific command.
pub fn vendor_len(entry: &SubmissionQueueEntry) -> usize {
    let unused = entry.cdw11.get() >> 16 & 0b11;
    (entry.cdw10.get().saturating_mul(4)).saturating_sub(unused) as usize
}

fn is_vendor(entry: &SubmissionQueueEntry) -> bool {
    entry.opcode >= KeyValueOpcode::VENDOR_STORE.0
}

/// A command that changes what is under `key`, if that is known.
pub fn with_key(key: Option<Vec<u8>>, meaning: fn(Vec<u8>) -> Meaning) -> Meaning {
    key.map_or(Meaning::ChangePairs, meaning)
}

/// Exist.
pub fn exist(key: Option<Vec<u8>>) -> Meaning {
    key.map_or(Meaning::Nothing, Meaning::Exist)
}

/// Retrieve.
pub fn retrieve(context: &Context<'_>, key: Option<Vec<u8>>) -> Meaning {
    let entry = context.entry;
    let has_options = entry.cdw11.get() & 0xFF00 != 0;
    let len = if is_vendor(entry) {
        vendor_len(entry)
    } else {
        entry.cdw10.get() as usize
    };
    let is_plain = !has_options && entry.mptr.get() == 0;
    key.map_or(Meaning::Nothing, |key| Meaning::Retrieve { key, len, is_plain })
}
