//! The Commands Supported and Effects log (NVMe Base 2.0 §5.16.1.6), and that of features.

use nvme_spec::{effects, CommandSet};

use crate::admin::page::put_dword;
use crate::admin::state::feature_table::FEATURES;
use crate::admin::table::admin_commands;
use crate::command::table::{Sets, IO_COMMANDS};
use crate::core::Core;

/// Where the dwords of I/O commands begin.
const IO_COMMANDS_AT: usize = 256;

/// Writes the log of the I/O command set `command_set` into `buffer`, which is all zeros.
pub(crate) fn fill_command_effects(core: &Core, command_set: CommandSet, buffer: &mut [u8]) {
    for row in admin_commands(core) {
        put_dword(buffer, usize::from(row.opcode.0), row.effects());
    }
    let mut sets = Sets::of(command_set);
    let has_vendor_commands = sets.contains(Sets::KEY_VALUE)
        || core
            .queue_set
            .io
            .namespaces
            .iter()
            .any(|namespace| namespace.key_value.is_some() && namespace.command_set() == command_set);
    sets.set(Sets::VENDOR, has_vendor_commands);
    for command in IO_COMMANDS.iter().filter(|command| command.sets.intersects(sets)) {
        put_dword(
            buffer,
            IO_COMMANDS_AT + usize::from(command.opcode),
            command.effects(),
        );
    }
}

/// Writes an entry for each feature into `buffer`, which is all zeros (NVMe Base 2.0 §5.16.1.17).
pub(crate) fn fill_feature_effects(buffer: &mut [u8]) {
    for row in FEATURES {
        let scope = match row.capabilities().namespace_specific {
            true => effects::SCOPE_NAMESPACE,
            false => effects::SCOPE_CONTROLLER,
        };
        put_dword(buffer, usize::from(row.id.0), effects::SUPPORTED | scope);
    }
}
