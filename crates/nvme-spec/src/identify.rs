//! Identify data structures.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dword::dword;
use crate::opcodes::{CommandSet, IdentifyCns};

/// Bytes that every Identify command transfers.
pub const IDENTIFY_BYTES: usize = 4096;

/// Power state descriptor, 32 bytes (NVMe Base 2.0 figure 276).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PowerStateDescriptor {
    /// MP: maximum power, in units of 0.01 W while flags.MXPS is 0.
    pub maximum_power_centiwatts: U16,
    #[doc(hidden)]
    pub reserved2: u8,
    /// MXPS (bit 0), NOPS (bit 1).
    pub flags: u8,
    /// ENLAT: entry latency, µs.
    pub entry_latency_us: U32,
    /// EXLAT: exit latency, µs.
    pub exit_latency_us: U32,
    #[doc(hidden)]
    pub rest: [u8; 20],
}

const _: () = assert!(size_of::<PowerStateDescriptor>() == 32);

/// NOPS, in [`PowerStateDescriptor::flags`]: no I/O command is processed in this state.
pub const POWER_STATE_IS_NON_OPERATIONAL: u8 = 1 << 1;

/// Bytes of the table of Autonomous Power State Transition: 8 for each of 32 states (NVMe Base 2.0 figure 333).
pub const POWER_TRANSITION_BYTES: usize = 256;

/// Bytes of Host Behavior Support (NVMe Base 2.0 figure 345).
pub const HOST_BEHAVIOR_BYTES: usize = 512;

/// Identify Controller (NVMe Base 2.0 figure 275). Fields that this device leaves at zero are not named.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyController {
    /// PCI Vendor ID.
    pub vid: U16,
    /// PCI Subsystem Vendor ID.
    pub ssvid: U16,
    /// Serial Number, padded with spaces.
    pub serial_number: [u8; 20],
    /// Model Number, padded with spaces.
    pub model_number: [u8; 40],
    /// Firmware Revision, padded with spaces.
    pub firmware_revision: [u8; 8],
    /// Recommended Arbitration Burst, log2.
    pub rab: u8,
    /// IEEE OUI.
    pub ieee: [u8; 3],
    /// CMIC.
    pub cmic: u8,
    /// Maximum Data Transfer Size, log2 of memory pages.
    pub mdts: u8,
    /// Controller ID.
    pub cntlid: U16,
    /// Version, as in register VS.
    pub ver: U32,
    /// RTD3 Resume Latency, µs.
    pub rtd3r: U32,
    /// RTD3 Entry Latency, µs.
    pub rtd3e: U32,
    /// Optional Asynchronous Events Supported.
    pub oaes: U32,
    /// Controller Attributes.
    pub ctratt: U32,
    #[doc(hidden)]
    pub reserved100: [u8; 11],
    /// Controller Type: 1 = I/O controller.
    pub cntrltype: u8,
    /// FRU GUID.
    pub fguid: [u8; 16],
    #[doc(hidden)]
    pub reserved128: [u8; 128],
    /// Optional Admin Command Support.
    pub oacs: U16,
    /// Abort Command Limit, 0's based.
    pub acl_z: u8,
    /// Asynchronous Event Request Limit, 0's based.
    pub aerl_z: u8,
    /// Firmware Updates.
    pub frmw: u8,
    /// Log Page Attributes.
    pub lpa: u8,
    /// Error Log Page Entries, 0's based.
    pub elpe_z: u8,
    /// Number of Power States Support, 0's based.
    pub npss_z: u8,
    #[doc(hidden)]
    pub reserved264: u8,
    /// Autonomous Power State Transition Attributes: supported (bit 0).
    pub apsta: u8,
    /// Warning Composite Temperature Threshold, kelvin.
    pub wctemp_kelvin: U16,
    /// Critical Composite Temperature Threshold, kelvin.
    pub cctemp_kelvin: U16,
    #[doc(hidden)]
    pub reserved270: [u8; 10],
    /// Total NVM Capacity, bytes.
    pub tnvmcap_bytes: [u8; 16],
    /// Unallocated NVM Capacity, bytes.
    pub unvmcap_bytes: [u8; 16],
    /// Replay Protected Memory Block Support.
    pub rpmbs: U32,
    /// Extended Device Self-test Time, minutes.
    pub edstt_minutes: U16,
    /// Device Self-test Options.
    pub dsto: u8,
    /// Firmware Update Granularity, in units of 4 KiB.
    pub fwug: u8,
    #[doc(hidden)]
    pub reserved320: [u8; 8],
    /// Sanitize Capabilities.
    pub sanicap: U32,
    #[doc(hidden)]
    pub reserved332: [u8; 20],
    /// Persistent Event Log Size, in units of 64 KiB.
    pub pels_64kib: U32,
    #[doc(hidden)]
    pub reserved356: [u8; 156],
    /// SQES: required (3:0) and maximum (7:4) entry size, log2.
    pub sqes: u8,
    /// CQES: required (3:0) and maximum (7:4) entry size, log2.
    pub cqes: u8,
    /// Maximum Outstanding Commands.
    pub maxcmd: U16,
    /// Number of Namespaces.
    pub nn: U32,
    /// Optional NVM Command Support.
    pub oncs: U16,
    /// Fused Operation Support.
    pub fuses: U16,
    /// Format NVM Attributes.
    pub fna: u8,
    /// Volatile Write Cache.
    pub vwc: u8,
    /// Atomic Write Unit Normal, LBAs, 0's based.
    pub awun_z: U16,
    /// Atomic Write Unit Power Fail, LBAs, 0's based.
    pub awupf_z: U16,
    #[doc(hidden)]
    pub reserved530: [u8; 2],
    /// Atomic Compare & Write Unit, LBAs, 0's based.
    pub acwu_z: U16,
    /// Optional Copy Formats Supported.
    pub ocfs: U16,
    /// SGL Support.
    pub sgls: U32,
    /// Maximum Number of Allowed Namespaces.
    pub mnan: U32,
    #[doc(hidden)]
    pub reserved544: [u8; 224],
    /// NVM Subsystem NVMe Qualified Name, null-terminated.
    pub subnqn: [u8; 256],
    #[doc(hidden)]
    pub reserved1024: [u8; 1024],
    /// Power state descriptors.
    pub psd: [PowerStateDescriptor; 32],
    #[doc(hidden)]
    pub vendor_specific: [u8; 1024],
}

const _: () = {
    assert!(size_of::<IdentifyController>() == IDENTIFY_BYTES);
    assert!(core::mem::offset_of!(IdentifyController, cntrltype) == 111);
    assert!(core::mem::offset_of!(IdentifyController, oacs) == 256);
    assert!(core::mem::offset_of!(IdentifyController, wctemp_kelvin) == 266);
    assert!(core::mem::offset_of!(IdentifyController, tnvmcap_bytes) == 280);
    assert!(core::mem::offset_of!(IdentifyController, edstt_minutes) == 316);
    assert!(core::mem::offset_of!(IdentifyController, sanicap) == 328);
    assert!(core::mem::offset_of!(IdentifyController, pels_64kib) == 352);
    assert!(core::mem::offset_of!(IdentifyController, sqes) == 512);
    assert!(core::mem::offset_of!(IdentifyController, sgls) == 536);
    assert!(core::mem::offset_of!(IdentifyController, subnqn) == 768);
    assert!(core::mem::offset_of!(IdentifyController, psd) == 2048);
};

/// LBA format descriptor (NVM CS 1.0 figure 98).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LbaFormat {
    /// Metadata bytes per LBA.
    pub metadata_bytes: U16,
    /// LBADS: log2 of the data bytes per LBA.
    pub lba_data_size_log2: u8,
    /// RP: relative performance, 0 best to 3 degraded.
    pub relative_performance: u8,
}

/// Identify Namespace of the NVM command set (NVM CS 1.0 figure 97).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyNamespace {
    /// Namespace Size, LBAs.
    pub nsze_lbas: U64,
    /// Namespace Capacity, LBAs.
    pub ncap_lbas: U64,
    /// Namespace Utilization, LBAs.
    pub nuse_lbas: U64,
    /// Namespace Features.
    pub nsfeat: u8,
    /// Number of LBA Formats, 0's based.
    pub nlbaf_z: u8,
    /// Formatted LBA Size: index into the formats.
    pub flbas: u8,
    /// Metadata Capabilities.
    pub mc: u8,
    /// End-to-end Data Protection Capabilities.
    pub dpc: u8,
    /// End-to-end Data Protection Type Settings.
    pub dps: u8,
    /// Multi-path I/O and Namespace Sharing Capabilities.
    pub nmic: u8,
    /// Reservation Capabilities.
    pub rescap: u8,
    /// Format Progress Indicator: supported (bit 7), percent left (6:0).
    pub fpi: u8,
    /// Deallocate Logical Block Features.
    pub dlfeat: u8,
    /// Namespace Atomic Write Unit Normal, LBAs, 0's based.
    pub nawun_z: U16,
    /// Namespace Atomic Write Unit Power Fail, LBAs, 0's based.
    pub nawupf_z: U16,
    /// Namespace Atomic Compare & Write Unit, LBAs, 0's based.
    pub nacwu_z: U16,
    #[doc(hidden)]
    pub reserved40: [u8; 8],
    /// NVM Capacity, bytes.
    pub nvmcap_bytes: [u8; 16],
    /// Namespace Preferred Write Granularity, LBAs, 0's based.
    pub npwg_z: U16,
    /// Namespace Preferred Write Alignment, LBAs, 0's based.
    pub npwa_z: U16,
    /// Namespace Preferred Deallocate Granularity, LBAs, 0's based.
    pub npdg_z: U16,
    /// Namespace Preferred Deallocate Alignment, LBAs, 0's based.
    pub npda_z: U16,
    /// Namespace Optimal Write Size, LBAs, 0's based.
    pub nows_z: U16,
    /// Maximum Single Source Range Length, LBAs.
    pub mssrl_lbas: U16,
    /// Maximum Copy Length, LBAs.
    pub mcl_lbas: U32,
    /// Maximum Source Range Count, 0's based.
    pub msrc_z: u8,
    #[doc(hidden)]
    pub reserved81: [u8; 23],
    /// Namespace Globally Unique Identifier.
    pub nguid: [u8; 16],
    /// IEEE Extended Unique Identifier.
    pub eui64: [u8; 8],
    /// LBA formats.
    pub lbaf: [LbaFormat; 64],
    #[doc(hidden)]
    pub vendor_specific: [u8; 3712],
}

const _: () = {
    assert!(size_of::<IdentifyNamespace>() == IDENTIFY_BYTES);
    assert!(core::mem::offset_of!(IdentifyNamespace, rescap) == 31);
    assert!(core::mem::offset_of!(IdentifyNamespace, dlfeat) == 33);
    assert!(core::mem::offset_of!(IdentifyNamespace, nvmcap_bytes) == 48);
    assert!(core::mem::offset_of!(IdentifyNamespace, nguid) == 104);
    assert!(core::mem::offset_of!(IdentifyNamespace, lbaf) == 128);
};

/// Identify Controller of the NVM command set (NVM CS 1.0 figure 100).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyNvmController {
    /// Verify Size Limit, log2 of memory pages.
    pub vsl: u8,
    /// Write Zeroes Size Limit, log2 of memory pages.
    pub wzsl: u8,
    /// Write Uncorrectable Size Limit, log2 of memory pages.
    pub wusl: u8,
    /// Dataset Management Ranges Limit.
    pub dmrl: u8,
    /// Dataset Management Range Size Limit, LBAs.
    pub dmrsl_lbas: U32,
    /// Dataset Management Size Limit, LBAs.
    pub dmsl_lbas: U64,
    #[doc(hidden)]
    pub reserved16: [u8; 4080],
}

const _: () = assert!(size_of::<IdentifyNvmController>() == IDENTIFY_BYTES);

/// I/O Command Set Independent Identify Namespace (NVMe Base 2.0 figure 280).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyIndependentNamespace {
    /// Common namespace features.
    pub nsfeat: u8,
    /// Multi-path and sharing.
    pub nmic: u8,
    /// Reservation capabilities.
    pub rescap: u8,
    /// Format progress indicator.
    pub fpi: u8,
    /// ANA group.
    pub anagrpid: U32,
    /// Namespace attributes.
    pub nsattr: u8,
    #[doc(hidden)]
    pub reserved9: u8,
    /// NVM set.
    pub nvmsetid: U16,
    /// Endurance group.
    pub endgid: U16,
    /// Namespace status: bit 0 = ready.
    pub nstat: u8,
    #[doc(hidden)]
    pub reserved15: [u8; 4081],
}

const _: () = assert!(size_of::<IdentifyIndependentNamespace>() == IDENTIFY_BYTES);

/// Namespace Identifier Type of an identification descriptor (NVMe Base 2.0 figure 277).
pub mod namespace_id_type {
    /// IEEE EUI-64, 8 bytes.
    pub const EUI64: u8 = 1;
    /// NGUID, 16 bytes.
    pub const NGUID: u8 = 2;
    /// UUID, 16 bytes.
    pub const UUID: u8 = 3;
    /// Command set identifier, 1 byte.
    pub const COMMAND_SET: u8 = 4;
}

dword! {
    /// Dword 10 of Identify (NVMe Base 2.0 §5.17).
    Cdw10Identify {
        /// CNS: Controller or Namespace Structure.
        cns, with_cns: IdentifyCns = 7:0,
        /// CNTID: Controller Identifier.
        controller_id, with_controller_id: u16 = 31:16,
    }
}

dword! {
    /// Dword 11 of Identify (NVMe Base 2.0 §5.17).
    Cdw11Identify {
        /// CNS Specific Identifier; of a format's structure, the format index.
        specific, with_specific: u16 = 15:0,
        /// CSI: Command Set Identifier.
        command_set, with_command_set: CommandSet = 31:24,
    }
}
