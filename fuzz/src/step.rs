//! What an input says: a line of steps of the same size, so that a change of one leaves the others as they are.

use nvme_spec::{
    AdminOpcode, KeyValueOpcode, NvmOpcode, SubmissionQueueEntry, ZoneSendAction, FUSED_FIRST, FUSED_SECOND,
};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::drive::{Kind, Traits, ZONE_LBAS};

/// How the device is driven: the first bytes of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Workers; in the upper half, how often the steps are taken: the later rounds find what the earlier ones have left.
    pub workers: u8,
    /// I/O queue pairs.
    pub queues: u8,
    /// Their entries.
    pub entries: u8,
    /// MSI-X, and how many dispatchers: with the pin they would have nothing to do.
    pub interrupts: u8,
}

impl Header {
    /// Whether interrupts are messages.
    pub fn has_msix(&self) -> bool {
        self.interrupts & 1 != 0
    }

    /// Dispatchers.
    pub fn dispatchers(&self) -> usize {
        match self.has_msix() {
            true => 1 + usize::from(self.interrupts >> 1 & 0b11) % 3,
            false => 1,
        }
    }

    /// How often an input's `steps` are taken. Short inputs more often: making the device takes as long as hundreds of commands.
    pub fn rounds(&self, steps: usize) -> usize {
        1 + usize::from(self.workers >> 4) * (64 / steps.clamp(8, 64))
    }
}

/// One thing that the host does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Step {
    /// What: see [`Action`]. The highest bit: go on before it has come to its end.
    pub action: u8,
    /// I/O queue.
    pub queue: u8,
    /// Namespace.
    pub nsid: u8,
    /// Which command of those that the namespace has, or, from 0xC0 on, the opcode that `value` says.
    pub opcode: u8,
    /// First LBA.
    pub lba: U16,
    /// How many, and bytes of a value.
    pub lbas: u8,
    /// Key, and what else a command has.
    pub detail: u8,
    /// Form of the data pointer.
    pub pointer: u8,
    /// A detail of it.
    pub pointer_detail: u8,
    /// FUSE, and bits of dword 12.
    pub flags: u8,
    /// Which dword to put `value` into; none if 0.
    pub dword: u8,
    /// See there.
    pub value: U32,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An I/O command.
    Io,
    /// An admin command.
    Admin,
    /// A Compare and a Write as one.
    Fused,
    /// An Abort of a command that is on its way.
    Abort,
    /// An Asynchronous Event Request.
    Event,
    /// One pass of the controller.
    PollController,
    /// One pass of a worker.
    PollWorker,
    /// Passes until nothing happens now.
    Run,
    /// The clock goes on.
    Wait,
    /// Everything comes to its end.
    Settle,
    /// A reset, of whatever kind.
    Reset,
    /// A queue pair is deleted and made again.
    Recreate,
    /// Interrupts are masked or allowed.
    Mask,
}

/// The bit of [`Step::action`] that goes on at once.
pub const AT_ONCE: u8 = 0x80;

impl Step {
    /// What it does.
    pub fn action(&self) -> Action {
        match self.action & 0x1F {
            0..=13 => Action::Io,
            14..=17 => Action::Admin,
            18 | 19 => Action::Fused,
            20 => Action::Abort,
            21 => Action::Event,
            22 => Action::PollController,
            23 | 24 => Action::PollWorker,
            25 => Action::Run,
            26 => Action::Wait,
            27 => Action::Settle,
            28 => Action::Reset,
            29 => Action::Recreate,
            30 => Action::Mask,
            _ => Action::Io,
        }
    }

    /// Whether the next step comes before this one's end.
    pub fn is_at_once(&self) -> bool {
        self.action & AT_ONCE != 0
    }

    /// The namespace, of `count`.
    fn nsid(&self, count: u32) -> u32 {
        match self.nsid {
            0xF0..=0xF7 => self.value.get(),
            0xF8..=0xFB => u32::MAX,
            0xFC..=0xFF => 0,
            nsid => u32::from(nsid) % count + 1,
        }
    }

    /// First LBA and count.
    fn range(&self, size: u64) -> (u64, u32) {
        let lba = u64::from(self.lba.get());
        let slba = match lba {
            0xFFFF => u64::MAX,
            0xF800..=0xFFFE => size - 8 + (lba & 0xF),
            // So that commands meet each other.
            _ => (lba & 0xFF) % size + lba / 256 % 4 * ZONE_LBAS,
        };
        let lbas = match self.lbas {
            0xF0.. => 16 << (self.lbas & 7),
            0xC0.. => 120 + u32::from(self.lbas & 0xF),
            lbas => u32::from(lbas) % 12 + 1,
        };
        (slba, lbas)
    }

    /// A value's bytes.
    fn value_bytes(&self) -> u32 {
        match self.lbas {
            0xF0.. => 65536 - 8 + u32::from(self.lbas & 0xF) * 4,
            0xC0.. => 4096 - 32 + u32::from(self.lbas & 0x3F),
            lbas => u32::from(lbas) * 5,
        }
    }

    /// The key: one of a few, of all lengths.
    fn key(&self) -> Vec<u8> {
        let which = self.detail % 24;
        vec![b'a' + which; usize::from(which) % 17]
    }

    /// The I/O command, without where its data is, for a device with `namespaces`.
    pub fn io(&self, namespaces: &[Traits]) -> SubmissionQueueEntry {
        let nsid = self.nsid(namespaces.len() as u32);
        let of_nsid = (nsid as usize)
            .checked_sub(1)
            .and_then(|index| namespaces.get(index));
        let traits = of_nsid.unwrap_or(&namespaces[0]);
        let entry = match traits.kind {
            Kind::Pairs => self.pairs_command(nsid),
            Kind::PairsAndLbas if self.opcode & 1 != 0 => self.pairs_command(nsid),
            _ => self.lbas_command(nsid, traits),
        };
        self.change(entry)
    }

    fn lbas_command(&self, nsid: u32, traits: &Traits) -> SubmissionQueueEntry {
        let (mut slba, lbas) = self.range(traits.size_lbas);
        let opcodes = [
            NvmOpcode::WRITE,
            NvmOpcode::READ,
            NvmOpcode::WRITE,
            NvmOpcode::READ,
            NvmOpcode::WRITE_ZEROES,
            NvmOpcode::DATASET_MANAGEMENT,
            NvmOpcode::COPY,
            NvmOpcode::COMPARE,
            NvmOpcode::VERIFY,
            NvmOpcode::WRITE_UNCORRECTABLE,
            NvmOpcode::FLUSH,
            NvmOpcode::ZONE_APPEND,
            NvmOpcode::ZONE_MANAGEMENT_SEND,
            NvmOpcode::ZONE_MANAGEMENT_RECEIVE,
            NvmOpcode::ZONE_APPEND,
            NvmOpcode::ZONE_MANAGEMENT_SEND,
        ];
        let opcode = opcodes[usize::from(self.opcode / 2) % opcodes.len()];
        let zone_start = slba / ZONE_LBAS * ZONE_LBAS;
        let starts_zone = traits.kind == Kind::Zones && self.flags & 0x10 == 0;
        if opcode == NvmOpcode::ZONE_APPEND || (starts_zone && opcode != NvmOpcode::READ) {
            slba = zone_start;
        }
        let mut entry = SubmissionQueueEntry {
            opcode: opcode.0,
            nsid: nsid.into(),
            cdw10: (slba as u32).into(),
            cdw11: ((slba >> 32) as u32).into(),
            ..Default::default()
        };
        match opcode {
            NvmOpcode::DATASET_MANAGEMENT => {
                entry.cdw10 = u32::from(self.lbas % 36).into();
                entry.cdw11 = (u32::from(self.flags & 0x20 == 0) << 2).into();
            }
            NvmOpcode::COPY => {
                entry.cdw12 = (u32::from(self.lbas % 34) | u32::from(self.flags & 1) << 8).into();
            }
            NvmOpcode::ZONE_MANAGEMENT_SEND => {
                let actions = [
                    ZoneSendAction::RESET,
                    ZoneSendAction::OPEN,
                    ZoneSendAction::CLOSE,
                    ZoneSendAction::FINISH,
                    ZoneSendAction::OFFLINE,
                    ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION,
                    ZoneSendAction::FLUSH_EXPLICIT_ZRWA,
                    ZoneSendAction(self.detail),
                ];
                let action = u32::from(actions[usize::from(self.detail) % 8].0);
                let all = u32::from(self.flags & 0x40 != 0) << 8;
                let with_zrwa = u32::from(self.flags & 0x80 != 0) << 9;
                entry.cdw13 = (action | all | with_zrwa).into();
            }
            NvmOpcode::ZONE_MANAGEMENT_RECEIVE => {
                entry.cdw12 = (u32::from(self.lbas) * 16).into();
                let action = u32::from(self.detail & 1) | u32::from(self.detail >> 1 & 0xF) << 8;
                entry.cdw13 = (action | u32::from(self.detail >> 5 & 1) << 16).into();
            }
            _ => {
                let flags = u32::from(self.flags & 0x20) << 20 | u32::from(self.flags & 0x40) << 24;
                entry.cdw12 = ((lbas - 1) | flags).into();
            }
        }
        entry
    }

    fn pairs_command(&self, nsid: u32) -> SubmissionQueueEntry {
        use nvmev_sim::host::key_value::{iterate_read, iterate_request, standard, vendor};
        let key = self.key();
        let key = &key[..];
        let options = if self.flags & 0xC0 == 0xC0 {
            self.flags & 0xF
        } else {
            0
        };
        let len = self.value_bytes();
        match self.opcode / 2 % 16 {
            0 | 1 => standard(KeyValueOpcode::STORE, nsid, key, options, len),
            2 | 3 => standard(KeyValueOpcode::RETRIEVE, nsid, key, options, len),
            4 => standard(KeyValueOpcode::LIST, nsid, key, options, len),
            5 => standard(KeyValueOpcode::DELETE, nsid, key, options, 0),
            6 => standard(KeyValueOpcode::EXIST, nsid, key, options, 0),
            7 => standard(KeyValueOpcode::FLUSH, nsid, &[], 0, 0),
            8 | 9 => vendor(KeyValueOpcode::VENDOR_STORE, nsid, key, options, len),
            10 => vendor(KeyValueOpcode::VENDOR_APPEND, nsid, key, options, len),
            11 => vendor(KeyValueOpcode::VENDOR_RETRIEVE, nsid, key, options, len),
            12 => vendor(KeyValueOpcode::VENDOR_DELETE, nsid, key, options, 0),
            13 => vendor(KeyValueOpcode::VENDOR_BATCH, nsid, key, 0, len),
            14 if self.flags & 1 == 0 => iterate_read(nsid, self.detail % 18, len),
            14 => {
                let options = [0b01, 0b10, 0b101, 0b1001, 0b11, self.flags][usize::from(self.flags >> 1) % 6];
                iterate_request(
                    nsid,
                    self.detail % 18,
                    options,
                    u32::from(self.lba.get()),
                    0xFF * u32::from(self.lbas & 1),
                )
            }
            _ => vendor(KeyValueOpcode::VENDOR_EXIST, nsid, key, options, 0),
        }
    }

    /// The admin command, without where its data is.
    pub fn admin(&self, namespaces: u32) -> SubmissionQueueEntry {
        let opcodes = [
            AdminOpcode::IDENTIFY,
            AdminOpcode::GET_LOG_PAGE,
            AdminOpcode::GET_FEATURES,
            AdminOpcode::SET_FEATURES,
            AdminOpcode::DEVICE_SELF_TEST,
            AdminOpcode::CREATE_IO_COMPLETION_QUEUE,
            AdminOpcode::CREATE_IO_SUBMISSION_QUEUE,
            AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
            AdminOpcode::KEEP_ALIVE,
        ];
        let opcode = opcodes[usize::from(self.opcode) % opcodes.len()];
        let which = u32::from(self.detail);
        let (low, high) = (u32::from(self.lbas), u32::from(self.lba.get()));
        let (cdw10, cdw11) = match opcode {
            AdminOpcode::IDENTIFY => (which % 0x20, (low % 3) << 24),
            AdminOpcode::GET_LOG_PAGE => (
                (if which == 0xBF { which } else { which % 24 })
                    | (self.value_bytes() / 4) << 16
                    | (low & 1) << 15,
                0,
            ),
            AdminOpcode::GET_FEATURES => ((which % 0x22) | (low % 4) << 8, high),
            AdminOpcode::SET_FEATURES => ((which % 0x22) | (low & 1) << 31, high),
            AdminOpcode::DEVICE_SELF_TEST => ([1, 2, 0xF, 0, 0xE][which as usize % 5], 0),
            AdminOpcode::CREATE_IO_COMPLETION_QUEUE => ((which % 140) | low << 16, 3 | (high % 3) << 16),
            AdminOpcode::CREATE_IO_SUBMISSION_QUEUE => ((which % 140) | low << 16, 1 | (high % 140) << 16),
            _ => (which % 140, 0),
        };
        let entry = SubmissionQueueEntry {
            opcode: opcode.0,
            nsid: match opcode {
                AdminOpcode::IDENTIFY | AdminOpcode::GET_LOG_PAGE => self.nsid(namespaces),
                AdminOpcode::DEVICE_SELF_TEST if self.flags & 1 == 0 => u32::MAX,
                _ if self.flags & 1 != 0 => self.nsid(namespaces),
                _ => 0,
            }
            .into(),
            cdw10: cdw10.into(),
            cdw11: cdw11.into(),
            ..Default::default()
        };
        self.change(entry)
    }

    /// Puts what is arbitrary into the command: the opcode, a dword, flags. What says where data is stays as it is.
    fn change(&self, mut entry: SubmissionQueueEntry) -> SubmissionQueueEntry {
        let value = self.value.get();
        if self.opcode >= 0xC0 && self.dword == 0 {
            entry.opcode = value as u8;
        }
        let dword = match self.dword & 0xF {
            1 => &mut entry.nsid,
            2 => &mut entry.cdw2,
            3 => &mut entry.cdw3,
            4 => {
                entry.mptr = (u64::from(value) << if self.dword & 0x10 != 0 { 32 } else { 0 }).into();
                return entry;
            }
            5 => {
                entry.flags = [FUSED_FIRST, FUSED_SECOND, 3, 0x3C, 0x04][value as usize % 5];
                return entry;
            }
            10 => &mut entry.cdw10,
            11 => &mut entry.cdw11,
            12 => &mut entry.cdw12,
            13 => &mut entry.cdw13,
            14 => &mut entry.cdw14,
            15 => &mut entry.cdw15,
            _ => return entry,
        };
        let changed = match self.dword >> 4 & 0b11 {
            0 => value,
            1 => dword.get() ^ value,
            2 => dword.get().wrapping_add(value),
            _ => dword.get() ^ 1 << (value % 32),
        };
        *dword = changed.into();
        entry
    }
}
