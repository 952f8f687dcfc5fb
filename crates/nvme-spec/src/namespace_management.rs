//! Namespace Management and Attachment.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::opcodes::CommandSet;
use crate::open_enum::open_enum;

open_enum! {
    /// Select field of Namespace Management (NVMe Base 2.0 §5.23).
    NamespaceManagementSelect: u8 {
        /// Create.
        CREATE = 0,
        /// Delete.
        DELETE = 1,
    }
}

open_enum! {
    /// Select field of Namespace Attachment (NVMe Base 2.0 §5.22).
    NamespaceAttachmentSelect: u8 {
        /// Attach to the controllers listed.
        ATTACH = 0,
        /// Detach from the controllers listed.
        DETACH = 1,
    }
}

/// What a namespace to be created is to be: the first bytes of 4096 (NVM CS 1.0 §4.1.6; those of the other command sets are the same, or reserved).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NamespaceToCreate {
    /// Namespace Size, LBAs; of a key-value namespace, bytes.
    pub nsze: U64,
    /// Namespace Capacity, LBAs.
    pub ncap_lbas: U64,
    #[doc(hidden)]
    pub reserved16: [u8; 10],
    /// Formatted LBA Size.
    pub flbas: u8,
    #[doc(hidden)]
    pub reserved27: [u8; 2],
    /// End-to-end Data Protection Type Settings.
    pub dps: u8,
    /// Multi-path I/O and Namespace Sharing Capabilities.
    pub nmic: u8,
    #[doc(hidden)]
    pub reserved31: [u8; 61],
    /// ANA Group Identifier.
    pub anagrpid: U32,
    #[doc(hidden)]
    pub reserved96: [u8; 4],
    /// NVM Set Identifier.
    pub nvmsetid: U16,
    /// Endurance Group Identifier.
    pub endgid: U16,
}

const _: () = {
    assert!(size_of::<NamespaceToCreate>() == 104);
    assert!(core::mem::offset_of!(NamespaceToCreate, anagrpid) == 92);
};

dword! {
    /// Dword 10 of Namespace Management (NVMe Base 2.0 §5.23).
    Cdw10NamespaceManagement {
        /// SEL: Select.
        select, with_select: NamespaceManagementSelect = 3:0,
    }
}

dword! {
    /// Dword 11 of Namespace Management (NVMe Base 2.0 §5.23).
    Cdw11NamespaceManagement {
        /// CSI: Command Set Identifier.
        command_set, with_command_set: CommandSet = 31:24,
    }
}

dword! {
    /// Dword 10 of Namespace Attachment (NVMe Base 2.0 §5.22).
    Cdw10NamespaceAttachment {
        /// SEL: Select.
        select, with_select: NamespaceAttachmentSelect = 3:0,
    }
}
