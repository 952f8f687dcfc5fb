//! The admin commands and log pages: one row each, with the facts that more than one part of the
//! device asks for. The effects log, the rules during Sanitize, Supported Log Pages and Identify's
//! OACS derive from them.

use nvme_spec::{effects, AdminOpcode, LogPageId, PERSISTENT_EVENT_HEADER_ACTION};

use crate::core::Core;

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminCommandRow {
    pub opcode: AdminOpcode,
    /// What it does besides being there, with its scope, as in the Commands Supported and Effects log.
    effects: u32,
    /// Whether it is executed while the NVM subsystem is being sanitized (NVMe Base 2.0 §8.21.1).
    pub is_allowed_while_sanitizing: bool,
    /// OACS: the bit that tells of it (NVMe Base 2.0 figure 275).
    pub oacs: u16,
}

impl AdminCommandRow {
    const fn new(opcode: AdminOpcode, effects: u32) -> Self {
        Self {
            opcode,
            effects,
            is_allowed_while_sanitizing: false,
            oacs: 0,
        }
    }

    const fn while_sanitizing(mut self) -> Self {
        self.is_allowed_while_sanitizing = true;
        self
    }

    const fn oacs(mut self, bit: u16) -> Self {
        self.oacs = 1 << bit;
        self
    }

    /// Dword of the Commands Supported and Effects log.
    pub fn effects(&self) -> u32 {
        effects::SUPPORTED | self.effects
    }
}

const CONTROLLER: u32 = effects::SCOPE_CONTROLLER;
const NAMESPACE: u32 = effects::SCOPE_NAMESPACE;
const SUBSYSTEM: u32 = effects::SCOPE_SUBSYSTEM;
const FORMAT: u32 =
    NAMESPACE | effects::CHANGES_BLOCK_CONTENT | effects::CHANGES_NAMESPACE | effects::ALONE_IN_NAMESPACE;
const SANITIZE: u32 = SUBSYSTEM | effects::CHANGES_BLOCK_CONTENT | effects::ALONE;
const NAMESPACE_MANAGEMENT: u32 = SUBSYSTEM | effects::CHANGES_BLOCK_CONTENT | effects::CHANGES_INVENTORY;
const NAMESPACE_ATTACHMENT: u32 = NAMESPACE | effects::CHANGES_INVENTORY;

/// All admin commands, by opcode.
pub(crate) const ADMIN_COMMANDS: &[AdminCommandRow] = &[
    AdminCommandRow::new(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::CREATE_IO_SUBMISSION_QUEUE, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::GET_LOG_PAGE, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::CREATE_IO_COMPLETION_QUEUE, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::IDENTIFY, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::ABORT, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::SET_FEATURES, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::GET_FEATURES, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST, CONTROLLER).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::NAMESPACE_MANAGEMENT, NAMESPACE_MANAGEMENT).oacs(3),
    AdminCommandRow::new(AdminOpcode::FIRMWARE_COMMIT, SUBSYSTEM).oacs(2),
    AdminCommandRow::new(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD, SUBSYSTEM).oacs(2),
    AdminCommandRow::new(AdminOpcode::DEVICE_SELF_TEST, SUBSYSTEM).oacs(4),
    AdminCommandRow::new(AdminOpcode::NAMESPACE_ATTACHMENT, NAMESPACE_ATTACHMENT).oacs(3),
    AdminCommandRow::new(AdminOpcode::DIRECTIVE_SEND, NAMESPACE).oacs(5),
    AdminCommandRow::new(AdminOpcode::DIRECTIVE_RECEIVE, NAMESPACE).oacs(5),
    AdminCommandRow::new(AdminOpcode::DOORBELL_BUFFER_CONFIG, CONTROLLER).oacs(8),
    AdminCommandRow::new(AdminOpcode::FORMAT_NVM, FORMAT).oacs(1),
    AdminCommandRow::new(AdminOpcode::SANITIZE, SANITIZE).while_sanitizing(),
    AdminCommandRow::new(AdminOpcode::GET_LBA_STATUS, NAMESPACE).oacs(9),
];

/// The admin commands of this drive.
pub(crate) fn admin_commands(core: &Core) -> impl Iterator<Item = &'static AdminCommandRow> {
    let has_shadow_doorbells = core.queue_set.has_shadow_doorbells();
    ADMIN_COMMANDS
        .iter()
        .filter(move |row| has_shadow_doorbells || row.opcode != AdminOpcode::DOORBELL_BUFFER_CONFIG)
}

/// The row of an opcode; nothing if the drive has no such command.
pub(crate) fn admin_command(core: &Core, opcode: u8) -> Option<&'static AdminCommandRow> {
    admin_commands(core).find(|row| row.opcode.0 == opcode)
}

/// The log pages, each with its dword of the Supported Log Pages log (NVMe Base 2.0 figure 203).
pub(crate) const LOG_PAGES: &[(LogPageId, u32)] = &[
    (LogPageId::SUPPORTED_LOG_PAGES, effects::SUPPORTED),
    (LogPageId::ERROR_INFORMATION, effects::SUPPORTED),
    (LogPageId::SMART_HEALTH, effects::SUPPORTED),
    (LogPageId::FIRMWARE_SLOT, effects::SUPPORTED),
    (LogPageId::CHANGED_NAMESPACE_LIST, effects::SUPPORTED),
    (LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS, effects::SUPPORTED),
    (LogPageId::DEVICE_SELF_TEST, effects::SUPPORTED),
    (LogPageId::TELEMETRY_HOST_INITIATED, effects::SUPPORTED),
    (LogPageId::TELEMETRY_CONTROLLER_INITIATED, effects::SUPPORTED),
    (
        LogPageId::PERSISTENT_EVENT,
        effects::SUPPORTED | PERSISTENT_EVENT_HEADER_ACTION,
    ),
    (LogPageId::LBA_STATUS_INFORMATION, effects::SUPPORTED),
    (LogPageId::FEATURE_IDENTIFIERS_EFFECTS, effects::SUPPORTED),
    (LogPageId::MI_COMMANDS_EFFECTS, effects::SUPPORTED),
    (LogPageId::RESERVATION_NOTIFICATION, effects::SUPPORTED),
    (LogPageId::SANITIZE_STATUS, effects::SUPPORTED),
    (LogPageId::CHANGED_ZONE_LIST, effects::SUPPORTED),
];

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_command_and_each_page_has_one_row_and_rows_ascend() {
        let opcodes: Vec<u8> = ADMIN_COMMANDS.iter().map(|row| row.opcode.0).collect();
        assert!(opcodes.is_sorted_by(|a, b| a < b), "{opcodes:x?}");
        let pages: Vec<u8> = LOG_PAGES.iter().map(|(page, _)| page.0).collect();
        assert!(pages.is_sorted_by(|a, b| a < b), "{pages:x?}");
    }

    #[test]
    fn oacs_is_what_the_specification_says_of_these_commands() {
        // Format NVM, Firmware, Namespace Management, Device Self-test, Directives, Doorbell Buffer Config, Get LBA Status.
        let oacs = ADMIN_COMMANDS.iter().fold(0, |bits, row| bits | row.oacs);
        assert_eq!(oacs, 0b11_0011_1110);
    }
}
