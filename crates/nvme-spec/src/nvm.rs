//! The NVM command set (NVM CS 1.0 §3.2): command dwords.

use crate::directives::DirectiveType;
use crate::dword::dword;

dword! {
    /// Dword 12 of the commands with a range of LBAs: Read, Write, Compare, Verify, Write Zeroes, Write Uncorrectable
    /// (NVM CS 1.0 §3.2), and Zone Append (ZNS 1.1 §3.4.1). A field is reserved where the command does not have it.
    Cdw12ReadWrite {
        /// NLB: Number of Logical Blocks, 0's based.
        lbas_z, with_lbas_z: u16 = 15:0,
        /// DTYPE: Directive Type, of a command that writes.
        directive, with_directive: DirectiveType = 23:20,
        /// DEAC: Deallocate, of Write Zeroes.
        deallocates, with_deallocates: bool = 25:25,
        /// FUA: Force Unit Access.
        force_unit_access, with_force_unit_access: bool = 30:30,
    }
}

dword! {
    /// Dword 13 of the commands that write (NVM CS 1.0 §3.2.6, ZNS 1.1 §3.4.1).
    Cdw13Write {
        /// DSPEC: Directive Specific; of a stream, its identifier.
        directive_specific, with_directive_specific: u16 = 31:16,
    }
}

dword! {
    /// Dword 10 of Dataset Management (NVM CS 1.0 §3.2.3).
    Cdw10DatasetManagement {
        /// NR: Number of Ranges, 0's based.
        ranges_z, with_ranges_z: u8 = 7:0,
    }
}

dword! {
    /// Dword 11 of Dataset Management (NVM CS 1.0 §3.2.3).
    Cdw11DatasetManagement {
        /// AD: Deallocate.
        deallocates, with_deallocates: bool = 2:2,
    }
}

dword! {
    /// Dword 12 of Copy (NVM CS 1.0 §3.2.2).
    Cdw12Copy {
        /// NR: Number of Ranges, 0's based.
        ranges_z, with_ranges_z: u8 = 7:0,
        /// Descriptor Format of the source ranges.
        format, with_format: u8 = 11:8,
        /// DTYPE: Directive Type.
        directive, with_directive: DirectiveType = 23:20,
        /// FUA: Force Unit Access.
        force_unit_access, with_force_unit_access: bool = 30:30,
    }
}
