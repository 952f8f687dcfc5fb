//! What the controller can do, for Identify and for what checks commands against it.

use nvme_spec::{
    OAES_LBA_STATUS, OAES_NAMESPACE_ATTRIBUTE, OAES_ZONE_DESCRIPTOR_CHANGED, SANICAP_ALL_ACTIONS,
    SANICAP_NO_MODIFICATION,
};

/// OAES: namespace attribute and LBA status notices, and those of zones.
pub(crate) const OAES: u32 = OAES_NAMESPACE_ATTRIBUTE | OAES_LBA_STATUS | OAES_ZONE_DESCRIPTOR_CHANGED;

/// FNA: a namespace is formatted by itself, and all at once if that is asked for; Crypto Erase (bit 2).
pub(crate) const FNA: u8 = 1 << 2;

/// SANICAP: all three kinds of erasing, and without deallocation nothing else is done afterwards.
pub(crate) const SANICAP: u32 = SANICAP_ALL_ACTIONS | SANICAP_NO_MODIFICATION;

/// CNTLID: the only controller.
pub(crate) const CONTROLLER_ID: u16 = 0;
