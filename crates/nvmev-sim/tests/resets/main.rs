//! Resets, power states and loss of the way to memory, with commands at every stage and on every kind of namespace: what was acknowledged is
//! there afterwards, nothing that ended there is ever completed, and the device leaves memory alone as long as it has to.

mod stages;
mod storm;

use nvme_spec::registers::{self, csts};
use nvme_spec::{
    KeyValueOpcode, NvmOpcode, Status, SubmissionQueueEntry, ZoneSendAction, NSSR_RESET, PAGE_SIZE_BYTES,
};
use nvmev_sim::host::{commands, key_value, Interrupts, TestHost, RAM_BASE};
use ssd_model::profiles;
use ssd_profile::Profile;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const LBA: usize = 512;
const ZONE_LBAS: u64 = 256;
/// What a command transfers: two pages.
const SLOT_LBAS: u32 = 16;
const SLOT_BYTES: usize = SLOT_LBAS as usize * LBA;
const CAPACITY_BYTES: u64 = 2 << 20;
const POISON: u8 = 0xA5;

/// Offsets in configuration space.
const COMMAND: u32 = 0x04;
const POWER_CONTROL_STATUS: u32 = 0x44;
const EXPRESS_DEVICE_CONTROL: u32 = 0x68;
const FUNCTION_LEVEL_RESET: u32 = 0x8000;

/// A drive of each kind; a key-value drive in both ways in which it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nvm,
    Conventional,
    Zoned,
    KeyValueLbas,
    Pairs,
}

const KINDS: [Kind; 5] = [
    Kind::Nvm,
    Kind::Conventional,
    Kind::Zoned,
    Kind::KeyValueLbas,
    Kind::Pairs,
];

impl Kind {
    fn profile(self) -> Profile<'static> {
        let (name, changes) = match self {
            Self::Nvm => ("optane", ""),
            // With so small a write buffer that commands have to wait for room.
            Self::Conventional => ("tlc-ssd", "write_buffer.size_bytes=786432"),
            Self::Zoned => (
                "zn540",
                "mdts=5,zone.size_kib=128,zone.dies_per_zone=2,zone.max_open=8,zone.max_active=8,reference_quirks=false",
            ),
            Self::KeyValueLbas => ("kv-prototype", "key_value.command_set=nvm,key_value.value_bytes_max=65536"),
            Self::Pairs => ("kv-prototype", "key_value.command_set=key-value,key_value.value_bytes_max=65536"),
        };
        let mut profile = *profiles::by_name(name).unwrap();
        profile.set_list(changes).unwrap();
        profile.validate().unwrap();
        profile
    }

    fn host(self, workers: usize) -> TestHost {
        TestHost::new(&self.profile(), CAPACITY_BYTES, LBA as u32, workers)
    }

    fn slba(self, slot: u64) -> u64 {
        slot * match self {
            Self::Zoned => ZONE_LBAS,
            _ => u64::from(SLOT_LBAS),
        }
    }

    /// What has to be done before a slot can be written anew.
    fn prepare(self, slot: u64) -> Option<SubmissionQueueEntry> {
        (self == Self::Zoned).then(|| commands::zone_send(1, self.slba(slot), ZoneSendAction::RESET, false))
    }

    fn write(self, slot: u64, buffer: u64) -> SubmissionQueueEntry {
        self.transfer(NvmOpcode::WRITE, KeyValueOpcode::STORE, slot, buffer)
    }

    fn read(self, slot: u64, buffer: u64) -> SubmissionQueueEntry {
        self.transfer(NvmOpcode::READ, KeyValueOpcode::RETRIEVE, slot, buffer)
    }

    fn transfer(
        self,
        opcode: NvmOpcode,
        of_pairs: KeyValueOpcode,
        slot: u64,
        buffer: u64,
    ) -> SubmissionQueueEntry {
        let second = buffer + PAGE_SIZE_BYTES as u64;
        match self {
            Self::Pairs => SubmissionQueueEntry {
                prp1: buffer.into(),
                prp2: second.into(),
                ..key_value::standard(of_pairs, 1, &slot.to_le_bytes(), 0, SLOT_BYTES as u32)
            },
            _ => commands::read_write(opcode, 1, self.slba(slot), SLOT_LBAS, buffer, second),
        }
    }
}

/// What version `version` of a slot holds; version 0 is what was never written.
fn content(slot: u64, version: u32) -> Vec<u8> {
    let word = match version {
        0 => 0,
        _ => (slot << 32 | u64::from(version)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
    };
    word.to_le_bytes().repeat(SLOT_BYTES / 8)
}

/// Ways to reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    /// CC.EN.
    Controller,
    /// NSSR.
    Subsystem,
    /// Initiate Function Level Reset.
    Function,
}

const RESETS: [Reset; 3] = [Reset::Controller, Reset::Subsystem, Reset::Function];

/// What makes all tests go about it in the same way.
trait Resettable {
    /// Asks for a reset; nothing has happened yet.
    fn ask_for(&self, reset: Reset);
    /// The reset is done: CSTS.RDY is 0, and the function answers.
    fn assert_reset(&self, reset: Reset);
    /// Fills everything that the device was ever told of with what nobody would write.
    fn poison(&self, first_page: u64);
    /// Nothing of that was written to since, and no interrupt came.
    fn assert_silent(&self, first_page: u64, what: &str);
}

impl Resettable for TestHost {
    fn ask_for(&self, reset: Reset) {
        match reset {
            Reset::Controller => self.set_register(registers::CC, self.register(registers::CC) & !1),
            Reset::Subsystem => self.set_register(registers::NSSR, NSSR_RESET),
            Reset::Function => {
                self.write_config(EXPRESS_DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET);
            }
        }
    }

    fn assert_reset(&self, reset: Reset) {
        let status = self.register(registers::CSTS);
        match reset {
            Reset::Controller => assert_eq!(status & !csts::NSSRO, 0),
            Reset::Subsystem => assert_eq!(status, csts::NSSRO),
            Reset::Function => {
                assert_eq!(status, 0);
                assert_eq!(self.device.shared.config_space().read(0, 4), 0x0110_0c51);
            }
        }
    }

    fn poison(&self, first_page: u64) {
        let len = (self.next_page() - first_page) as usize;
        self.machine.set_ram(first_page, &vec![POISON; len]);
        self.machine.take_interrupts();
    }

    fn assert_silent(&self, first_page: u64, what: &str) {
        let len = (self.next_page() - first_page) as usize;
        let written = self
            .machine
            .ram(first_page, len)
            .iter()
            .position(|&byte| byte != POISON);
        assert_eq!(
            written.map(|at| first_page + at as u64 - RAM_BASE),
            None,
            "{what}: the device wrote to memory"
        );
        let Interrupts { msix, intx } = self.machine.take_interrupts();
        assert_eq!((msix.iter().sum::<u32>(), intx), (0, 0), "{what}: an interrupt");
    }
}
