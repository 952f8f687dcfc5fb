//! Controller registers in BAR0 (NVMe Base 2.0 §3.1.3, PCIe Transport 1.0 §3.1.2).

/// Controller Capabilities, 64 bits.
pub const CAP: usize = 0x00;
/// Version.
pub const VS: usize = 0x08;
/// Interrupt Mask Set.
pub const INTMS: usize = 0x0C;
/// Interrupt Mask Clear.
pub const INTMC: usize = 0x10;
/// Controller Configuration.
pub const CC: usize = 0x14;
/// Controller Status.
pub const CSTS: usize = 0x1C;
/// NVM Subsystem Reset.
pub const NSSR: usize = 0x20;
/// Admin Queue Attributes.
pub const AQA: usize = 0x24;
/// Admin Submission Queue Base Address, 64 bits.
pub const ASQ: usize = 0x28;
/// Admin Completion Queue Base Address, 64 bits.
pub const ACQ: usize = 0x30;
/// Controller Ready Timeouts.
pub const CRTO: usize = 0x68;
/// First doorbell.
pub const DOORBELLS: usize = 0x1000;

/// VS of NVMe 2.0.
pub const VERSION_2_0: u32 = 0x0002_0000;

/// Offset of the tail doorbell of submission queue `qid`, with CAP.DSTRD = 0.
pub const fn sq_tail_doorbell(qid: u16) -> usize {
    DOORBELLS + 8 * qid as usize
}

/// Offset of the head doorbell of completion queue `qid`, with CAP.DSTRD = 0.
pub const fn cq_head_doorbell(qid: u16) -> usize {
    DOORBELLS + 8 * qid as usize + 4
}

/// The fields of CAP that this device uses (NVMe Base 2.0 figure 36); the others are zero.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Maximum Queue Entries Supported, 0's based.
    pub mqes_z: u16,
    /// Timeout for CC.EN changes, in units of 500 ms.
    pub timeout_500ms: u8,
}

impl Capabilities {
    /// CAP as the host reads it: contiguous queues required, NVM subsystem reset supported, command sets by CC.CSS,
    /// 4 KiB memory pages only, Controller Ready With Media.
    pub const fn to_bits(self) -> u64 {
        const CONTIGUOUS_QUEUES_REQUIRED: u64 = 1 << 16;
        const NVM_SUBSYSTEM_RESET: u64 = 1 << 36;
        const NVM_COMMAND_SET: u64 = 1 << 37;
        const IO_COMMAND_SETS: u64 = 1 << 43;
        const READY_WITH_MEDIA: u64 = 1 << 59;
        self.mqes_z as u64
            | CONTIGUOUS_QUEUES_REQUIRED
            | (self.timeout_500ms as u64) << 24
            | NVM_SUBSYSTEM_RESET
            | NVM_COMMAND_SET
            | IO_COMMAND_SETS
            | READY_WITH_MEDIA
    }
}

/// Controller Configuration (NVMe Base 2.0 figure 46).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerConfiguration(pub u32);

impl ControllerConfiguration {
    /// CC.CSS: the NVM command set alone.
    pub const CSS_NVM: u8 = 0b000;
    /// CC.CSS: all supported I/O command sets.
    pub const CSS_ALL: u8 = 0b110;

    /// EN.
    pub const fn enabled(self) -> bool {
        self.0 & 1 != 0
    }

    /// CSS: I/O command set selected.
    pub const fn css(self) -> u8 {
        (self.0 >> 4 & 0b111) as u8
    }

    /// MPS: the memory page is 2^(12 + MPS) bytes.
    pub const fn mps(self) -> u8 {
        (self.0 >> 7 & 0xF) as u8
    }

    /// AMS: arbitration mechanism; 0 is round robin.
    pub const fn ams(self) -> u8 {
        (self.0 >> 11 & 0b111) as u8
    }

    /// SHN: 0 none, 1 normal, 2 abrupt.
    pub const fn shutdown_notification(self) -> u8 {
        (self.0 >> 14 & 0b11) as u8
    }

    /// IOSQES: log2 of the I/O submission queue entry size.
    pub const fn iosqes(self) -> u8 {
        (self.0 >> 16 & 0xF) as u8
    }

    /// IOCQES: log2 of the I/O completion queue entry size.
    pub const fn iocqes(self) -> u8 {
        (self.0 >> 20 & 0xF) as u8
    }
}

/// Bits of Controller Status (NVMe Base 2.0 figure 47).
pub mod csts {
    /// Ready.
    pub const RDY: u32 = 1 << 0;
    /// Controller Fatal Status.
    pub const CFS: u32 = 1 << 1;
    /// SHST: shutdown processing complete.
    pub const SHST_COMPLETE: u32 = 0b10 << 2;
    /// SHST, both bits.
    pub const SHST_MASK: u32 = 0b11 << 2;
    /// NVM Subsystem Reset Occurred; written as 1 to clear.
    pub const NSSRO: u32 = 1 << 4;
}

/// Admin Queue Attributes (NVMe Base 2.0 figure 49).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminQueueAttributes(pub u32);

impl AdminQueueAttributes {
    /// ASQS: entries of the admin submission queue, 0's based.
    pub const fn asqs_z(self) -> u16 {
        (self.0 & 0xFFF) as u16
    }

    /// ACQS: entries of the admin completion queue, 0's based.
    pub const fn acqs_z(self) -> u16 {
        (self.0 >> 16 & 0xFFF) as u16
    }

    /// Whether a reserved bit is set.
    pub const fn has_reserved_bits(self) -> bool {
        self.0 & 0xF000_F000 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_pack_as_the_specification_lays_them_out() {
        let cap = Capabilities {
            mqes_z: 1023,
            timeout_500ms: 10,
        };
        assert_eq!(cap.to_bits(), 0x0800_0830_0A01_03FF);
    }

    #[test]
    fn the_linux_drivers_cc_value_is_taken_apart() {
        let cc = ControllerConfiguration(0x0046_0061);
        assert!(cc.enabled());
        assert_eq!(
            (cc.css(), cc.mps(), cc.iosqes(), cc.iocqes()),
            (ControllerConfiguration::CSS_ALL, 0, 6, 4)
        );
    }

    #[test]
    fn doorbells_interleave() {
        assert_eq!(
            (sq_tail_doorbell(0), cq_head_doorbell(0), sq_tail_doorbell(1)),
            (0x1000, 0x1004, 0x1008)
        );
    }
}
