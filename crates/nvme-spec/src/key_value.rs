//! The Key Value Command Set (NVM Express Key Value Command Set Specification 1.0, "KV CS 1.0"), and the vendor specific commands of Samsung's
//! KV SSD, as the reference has them (MODELS.md §7).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::open_enum::open_enum;
use crate::IDENTIFY_BYTES;

open_enum! {
    /// Opcodes of key-value namespaces (KV CS 1.0 figure 5), and the vendor specific ones (MODELS.md §7).
    KeyValueOpcode: u8 {
        /// Flush.
        FLUSH = 0x00,
        /// Store.
        STORE = 0x01,
        /// Retrieve.
        RETRIEVE = 0x02,
        /// List.
        LIST = 0x06,
        /// Delete.
        DELETE = 0x10,
        /// Exist.
        EXIST = 0x14,

        /// Vendor specific: store.
        VENDOR_STORE = 0x81,
        /// Vendor specific: append.
        VENDOR_APPEND = 0x83,
        /// Vendor specific: several stores and deletes.
        VENDOR_BATCH = 0x85,
        /// Vendor specific: retrieve.
        VENDOR_RETRIEVE = 0x90,
        /// Vendor specific: delete.
        VENDOR_DELETE = 0xA1,
        /// Vendor specific: open or close an iterator.
        VENDOR_ITERATE_REQUEST = 0xB1,
        /// Vendor specific: read from an iterator.
        VENDOR_ITERATE_READ = 0xB2,
        /// Vendor specific: exist.
        VENDOR_EXIST = 0xB3,
    }
}

/// Longest key of the Key Value Command Set: it has its place in the command.
pub const KEY_VALUE_KEY_BYTES_MAX: usize = 16;

/// Longest key of the vendor specific commands.
pub const VENDOR_KEY_BYTES_MAX: usize = 255;

/// Longest key that a vendor specific command carries itself; a longer one is where two PRP entries in its place say.
pub const VENDOR_INLINE_KEY_BYTES_MAX: usize = 16;

/// Store options (KV CS 1.0 figure 29): bits 15:8 of dword 11.
pub mod store_option {
    /// Only if the key exists.
    pub const MUST_EXIST: u8 = 1 << 0;
    /// Only if the key does not exist.
    pub const MUST_NOT_EXIST: u8 = 1 << 1;
    /// Do not compress.
    pub const NO_COMPRESSION: u8 = 1 << 2;
}

/// Retrieve options (KV CS 1.0 figure 19): bits 15:8 of dword 11.
pub mod retrieve_option {
    /// Do not decompress.
    pub const RAW: u8 = 1 << 0;
}

/// Options of the vendor specific commands: bits 15:8 of dword 11, and a byte of each part of a batch.
pub mod vendor_option {
    /// Store, append: the value may be compressed.
    pub const STORE_COMPRESS: u8 = 1 << 0;
    /// Store: only if the key does not exist.
    pub const STORE_IDEMPOTENT: u8 = 1 << 1;
    /// Store, append: the value may be compressed later.
    pub const STORE_COMPRESS_LATER: u8 = 1 << 2;
    /// Retrieve: decompressed.
    pub const RETRIEVE_DECOMPRESS: u8 = 1 << 0;
    /// Retrieve: only the value's length.
    pub const RETRIEVE_LENGTH_ONLY: u8 = 1 << 1;
    /// Delete: an error if the key does not exist.
    pub const DELETE_MUST_EXIST: u8 = 1 << 0;
    /// Iterator: open.
    pub const ITERATE_OPEN: u8 = 1 << 0;
    /// Iterator: close.
    pub const ITERATE_CLOSE: u8 = 1 << 1;
    /// Iterator: keys.
    pub const ITERATE_KEYS: u8 = 1 << 2;
    /// Iterator: keys with their values.
    pub const ITERATE_PAIRS: u8 = 1 << 3;
}

/// Iterators that can be open at a time; their handles are 1 to this.
pub const VENDOR_ITERATORS: usize = 16;

/// Where the value begins in what an iterator of pairs returns; the key is at 0.
pub const VENDOR_PAIR_VALUE_OFFSET: usize = 512;

/// Commands in a batch, at most.
pub const VENDOR_BATCH_COMMANDS_MAX: usize = 8;

/// What comes before each part of a batch, and what keys and values in it are padded to, bytes.
pub const VENDOR_BATCH_ALIGNMENT_BYTES: usize = 64;

/// A command of a batch (MODELS.md §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VendorBatchAttribute {
    /// Vendor specific store or delete; 0 after the last.
    pub opcode: u8,
    /// Key length.
    pub key_bytes: u8,
    #[doc(hidden)]
    pub reserved2: [u8; 2],
    /// Value length.
    pub value_bytes: U32,
    /// As in the command of its own.
    pub option: u8,
    /// Not looked at: the namespace is that of the batch.
    pub nsid: u8,
    #[doc(hidden)]
    pub reserved10: [u8; 6],
}

/// What a batch begins with (MODELS.md §7).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VendorBatchHead {
    /// Its commands.
    pub attributes: [VendorBatchAttribute; VENDOR_BATCH_COMMANDS_MAX],
    #[doc(hidden)]
    pub reserved128: [u8; 384],
}

const _: () = {
    assert!(size_of::<VendorBatchAttribute>() == 16);
    assert!(size_of::<VendorBatchHead>() == 512);
};

/// KV format (KV CS 1.0 figure 37).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KeyValueFormat {
    /// KV Key Max Length, bytes.
    pub key_bytes_max: U16,
    #[doc(hidden)]
    pub reserved2: u8,
    /// Relative performance.
    pub additional_options: u8,
    /// KV Value Max Length, bytes.
    pub value_bytes_max: U32,
    /// Max Num Keys; 0: not said.
    pub keys_max: U32,
    #[doc(hidden)]
    pub reserved12: U32,
}

/// Identify Namespace of the Key Value Command Set (KV CS 1.0 figure 36). Fields that this device leaves at zero are not named.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyKeyValueNamespace {
    /// Namespace Size, bytes.
    pub nsze_bytes: U64,
    #[doc(hidden)]
    pub reserved8: U64,
    /// Namespace Utilization, bytes.
    pub nuse_bytes: U64,
    /// Namespace Features.
    pub nsfeat: u8,
    /// Number of KV Formats, 0's based.
    pub nkvf_z: u8,
    /// Multi-path I/O and Namespace Sharing Capabilities.
    pub nmic: u8,
    /// Reservation Capabilities.
    pub rescap: u8,
    /// Format Progress Indicator: supported (bit 7), percent left (6:0).
    pub fpi: u8,
    #[doc(hidden)]
    pub reserved29: [u8; 3],
    /// Namespace Optimal Value Granularity, bytes.
    pub novg_bytes: U32,
    #[doc(hidden)]
    pub reserved36: [u8; 12],
    /// Namespace Globally Unique Identifier.
    pub nguid: [u8; 16],
    /// IEEE Extended Unique Identifier.
    pub eui64: [u8; 8],
    /// KV formats.
    pub kvf: [KeyValueFormat; 16],
    #[doc(hidden)]
    pub reserved328: [u8; 3768],
}

const _: () = {
    assert!(size_of::<KeyValueFormat>() == 16);
    assert!(size_of::<IdentifyKeyValueNamespace>() == IDENTIFY_BYTES);
    assert!(core::mem::offset_of!(IdentifyKeyValueNamespace, nkvf_z) == 25);
    assert!(core::mem::offset_of!(IdentifyKeyValueNamespace, fpi) == 28);
    assert!(core::mem::offset_of!(IdentifyKeyValueNamespace, novg_bytes) == 32);
    assert!(core::mem::offset_of!(IdentifyKeyValueNamespace, nguid) == 48);
    assert!(core::mem::offset_of!(IdentifyKeyValueNamespace, kvf) == 72);
};

/// Key Value Configuration, Error on Delete of Non-Existent KV Key (KV CS 1.0 figure 34).
pub const KEY_VALUE_ERROR_ON_DELETE: u32 = 1 << 0;

dword! {
    /// Dword 11 of the commands with a key (KV CS 1.0 §3).
    Cdw11KeyValue {
        /// KL: Key Length, bytes.
        key_bytes, with_key_bytes: u8 = 7:0,
        /// Options of the command; the vendor commands have theirs in the same bits.
        options, with_options: u8 = 15:8,
    }
}

dword! {
    /// Dword 11 of the vendor commands with a key (MODELS.md §7).
    VendorCdw11KeyValue {
        /// Key length, bytes, 0's based.
        key_bytes_z, with_key_bytes_z: u8 = 7:0,
        /// Options of the command.
        options, with_options: u8 = 15:8,
        /// Bytes of the value's last dword that do not count.
        unused_bytes, with_unused_bytes: u8 = 17:16,
    }
}

dword! {
    /// Dword 11 of the vendor commands of iterators (MODELS.md §7).
    VendorCdw11Iterate {
        /// Handle of the iterator.
        handle, with_handle: u8 = 7:0,
        /// Options of the command.
        options, with_options: u8 = 15:8,
    }
}
