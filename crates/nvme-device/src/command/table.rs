//! The I/O commands: one row each, with the facts that more than one part of the device asks for.
//!
//! The effects log, reservation rules, routing among dispatchers and Identify's ONCS derive from
//! the rows. What a command does is in `io/`; its handler is the only other place that names it.

use bitflags::bitflags;
use nvme_spec::{effects, CommandSet, KeyValueOpcode, NvmOpcode};

bitflags! {
    /// The sets that have a command.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Sets: u8 {
        /// NVM Command Set.
        const NVM = 1 << 0;
        /// Zoned Namespace Command Set.
        const ZONED = 1 << 1;
        /// Key Value Command Set.
        const KEY_VALUE = 1 << 2;
        /// The vendor specific commands of a key-value namespace.
        const VENDOR = 1 << 3;
    }
}

impl Sets {
    const BLOCK: Self = Self::NVM.union(Self::ZONED);
    const EVERY: Self = Self::BLOCK.union(Self::KEY_VALUE);

    /// The flag of a command set; none for one that the device does not have.
    pub fn of(command_set: CommandSet) -> Self {
        match command_set {
            CommandSet::NVM => Self::NVM,
            CommandSet::ZONED => Self::ZONED,
            CommandSet::KEY_VALUE => Self::KEY_VALUE,
            _ => Self::empty(),
        }
    }
}

/// What a command does to the contents of its namespace. Reservations can keep a host from it
/// (NVMe Base 2.0 figure 393, NVM CS 1.0 figure 10, ZNS 1.1 figure 7, KV CS 1.0 figure 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    Reads,
    Writes,
    /// Nothing that is seen, but a host that may not write may not do it either.
    Flushes,
}

/// Who starts a command while several dispatchers work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// The dispatcher that owns the namespace.
    Owner,
    /// The same, unless the command has a directive: streams are the drive's.
    OwnerWithoutDirective,
    /// The controller: what the command changes is the drive's.
    Drive,
    /// The controller, which also executes it.
    Controller,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoCommand {
    pub opcode: u8,
    pub sets: Sets,
    pub effect: Effect,
    pub starter: Starter,
    /// Whether it needs nothing of a namespace without flash but what all dispatchers share.
    pub is_shareable: bool,
    /// ONCS: the bit that tells of it (NVMe Base 2.0 figure 275).
    pub oncs: u16,
}

impl IoCommand {
    const fn new(opcode: u8, sets: Sets, effect: Effect) -> Self {
        Self {
            opcode,
            sets,
            effect,
            starter: Starter::Owner,
            is_shareable: false,
            oncs: 0,
        }
    }

    const fn nvm(opcode: NvmOpcode, sets: Sets, effect: Effect) -> Self {
        Self::new(opcode.0, sets, effect)
    }

    const fn pairs(opcode: KeyValueOpcode, sets: Sets, effect: Effect) -> Self {
        Self::new(opcode.0, sets, effect)
    }

    const fn started_by(mut self, starter: Starter) -> Self {
        self.starter = starter;
        self
    }

    const fn shareable(mut self) -> Self {
        self.is_shareable = true;
        self
    }

    const fn oncs(mut self, bit: u16) -> Self {
        self.oncs = 1 << bit;
        self
    }

    /// Dword of the Commands Supported and Effects log. The scope is left open, because Linux warns
    /// about effects of I/O commands that it does not know.
    pub fn effects(&self) -> u32 {
        match self.effect {
            Effect::Writes => effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
            Effect::None | Effect::Reads | Effect::Flushes => effects::SUPPORTED,
        }
    }
}

use Effect::{Flushes, Reads, Writes};
use Starter::{Controller, Drive, OwnerWithoutDirective};

/// All I/O commands, by opcode. The sets agree where they have the same opcode.
pub(crate) const IO_COMMANDS: &[IoCommand] = &[
    IoCommand::nvm(NvmOpcode::FLUSH, Sets::EVERY, Flushes).shareable(),
    // Store of the Key Value Command Set has the same opcode.
    IoCommand::nvm(NvmOpcode::WRITE, Sets::EVERY, Writes)
        .started_by(OwnerWithoutDirective)
        .shareable(),
    // Retrieve has the same opcode.
    IoCommand::nvm(NvmOpcode::READ, Sets::EVERY, Reads).shareable(),
    IoCommand::nvm(NvmOpcode::WRITE_UNCORRECTABLE, Sets::BLOCK, Writes)
        .started_by(Drive)
        .oncs(1),
    IoCommand::nvm(NvmOpcode::COMPARE, Sets::BLOCK, Reads)
        .shareable()
        .oncs(0),
    IoCommand::pairs(KeyValueOpcode::LIST, Sets::KEY_VALUE, Reads),
    IoCommand::nvm(NvmOpcode::WRITE_ZEROES, Sets::BLOCK, Writes)
        .started_by(OwnerWithoutDirective)
        .shareable()
        .oncs(3),
    IoCommand::nvm(NvmOpcode::DATASET_MANAGEMENT, Sets::BLOCK, Writes)
        .shareable()
        .oncs(2),
    IoCommand::nvm(NvmOpcode::VERIFY, Sets::BLOCK, Reads)
        .shareable()
        .oncs(7),
    IoCommand::nvm(NvmOpcode::RESERVATION_REGISTER, Sets::EVERY, Effect::None)
        .started_by(Controller)
        .oncs(5),
    IoCommand::nvm(NvmOpcode::RESERVATION_REPORT, Sets::EVERY, Effect::None)
        .started_by(Controller)
        .oncs(5),
    IoCommand::pairs(KeyValueOpcode::DELETE, Sets::KEY_VALUE, Writes),
    IoCommand::nvm(NvmOpcode::RESERVATION_ACQUIRE, Sets::EVERY, Effect::None)
        .started_by(Controller)
        .oncs(5),
    IoCommand::pairs(KeyValueOpcode::EXIST, Sets::KEY_VALUE, Reads),
    IoCommand::nvm(NvmOpcode::RESERVATION_RELEASE, Sets::EVERY, Effect::None)
        .started_by(Controller)
        .oncs(5),
    IoCommand::nvm(NvmOpcode::COPY, Sets::BLOCK, Writes)
        .started_by(OwnerWithoutDirective)
        .oncs(8),
    IoCommand::nvm(NvmOpcode::ZONE_MANAGEMENT_SEND, Sets::ZONED, Writes),
    IoCommand::nvm(NvmOpcode::ZONE_MANAGEMENT_RECEIVE, Sets::ZONED, Reads),
    IoCommand::nvm(NvmOpcode::ZONE_APPEND, Sets::ZONED, Writes).started_by(OwnerWithoutDirective),
    IoCommand::pairs(KeyValueOpcode::VENDOR_STORE, Sets::VENDOR, Writes),
    IoCommand::pairs(KeyValueOpcode::VENDOR_APPEND, Sets::VENDOR, Writes),
    IoCommand::pairs(KeyValueOpcode::VENDOR_BATCH, Sets::VENDOR, Writes),
    IoCommand::pairs(KeyValueOpcode::VENDOR_RETRIEVE, Sets::VENDOR, Reads),
    IoCommand::pairs(KeyValueOpcode::VENDOR_DELETE, Sets::VENDOR, Writes),
    IoCommand::pairs(KeyValueOpcode::VENDOR_ITERATE_REQUEST, Sets::VENDOR, Reads),
    IoCommand::pairs(KeyValueOpcode::VENDOR_ITERATE_READ, Sets::VENDOR, Reads),
    IoCommand::pairs(KeyValueOpcode::VENDOR_EXIST, Sets::VENDOR, Reads),
];

/// What the device has no command for.
const UNKNOWN: IoCommand = IoCommand::new(0, Sets::empty(), Effect::None);

/// The rows by opcode.
#[expect(clippy::indexing_slicing, reason = "evaluated when the device is compiled")]
const BY_OPCODE: [IoCommand; 256] = {
    let mut by_opcode = [UNKNOWN; 256];
    let mut row = 0;
    while row < IO_COMMANDS.len() {
        let command = IO_COMMANDS[row];
        by_opcode[command.opcode as usize] = command;
        row += 1;
    }
    by_opcode
};

/// The row of an opcode; one without sets and effect if there is no such command.
#[inline]
pub(crate) fn io_command(opcode: u8) -> &'static IoCommand {
    BY_OPCODE.get(usize::from(opcode)).unwrap_or(&UNKNOWN)
}

/// Bits of ONCS (NVMe Base 2.0 figure 275) that tell of I/O commands.
pub(crate) fn oncs() -> u16 {
    IO_COMMANDS.iter().fold(0, |bits, command| bits | command.oncs)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_opcode_has_one_row_and_rows_ascend() {
        let opcodes: Vec<u8> = IO_COMMANDS.iter().map(|command| command.opcode).collect();
        assert!(opcodes.is_sorted_by(|a, b| a < b), "{opcodes:x?}");
        for command in IO_COMMANDS {
            assert_eq!(io_command(command.opcode).sets, command.sets);
        }
        assert!(io_command(0xFF).sets.is_empty());
    }

    #[test]
    fn oncs_is_what_the_specification_says_of_these_commands() {
        // Compare, Write Uncorrectable, Dataset Management, Write Zeroes, Reservations, Verify, Copy.
        assert_eq!(oncs(), 0b1_1010_1111);
    }

    #[test]
    fn a_command_without_an_owner_is_not_shared() {
        for command in IO_COMMANDS.iter().filter(|command| command.is_shareable) {
            let starter = command.starter;
            assert!(
                matches!(starter, Starter::Owner | OwnerWithoutDirective),
                "{command:?}"
            );
        }
    }
}
