//! The admin commands that there are.

use nvme_spec::{effects, AdminOpcode};

use crate::core::Core;

/// Admin commands that this controller has, for the effects log and the dispatch below.
pub(crate) const SUPPORTED: &[AdminOpcode] = &[
    AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
    AdminOpcode::CREATE_IO_SUBMISSION_QUEUE,
    AdminOpcode::GET_LOG_PAGE,
    AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
    AdminOpcode::CREATE_IO_COMPLETION_QUEUE,
    AdminOpcode::IDENTIFY,
    AdminOpcode::ABORT,
    AdminOpcode::SET_FEATURES,
    AdminOpcode::GET_FEATURES,
    AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST,
    AdminOpcode::FIRMWARE_COMMIT,
    AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD,
    AdminOpcode::DEVICE_SELF_TEST,
    AdminOpcode::NAMESPACE_MANAGEMENT,
    AdminOpcode::NAMESPACE_ATTACHMENT,
    AdminOpcode::DIRECTIVE_SEND,
    AdminOpcode::DIRECTIVE_RECEIVE,
    AdminOpcode::DOORBELL_BUFFER_CONFIG,
    AdminOpcode::FORMAT_NVM,
    AdminOpcode::SANITIZE,
    AdminOpcode::GET_LBA_STATUS,
];

/// Those that are carried out while the NVM subsystem is being sanitized (NVMe Base 2.0 §8.21.1).
pub(crate) const ALLOWED_WHILE_SANITIZING: &[AdminOpcode] = &[
    AdminOpcode::DELETE_IO_SUBMISSION_QUEUE,
    AdminOpcode::CREATE_IO_SUBMISSION_QUEUE,
    AdminOpcode::GET_LOG_PAGE,
    AdminOpcode::DELETE_IO_COMPLETION_QUEUE,
    AdminOpcode::CREATE_IO_COMPLETION_QUEUE,
    AdminOpcode::IDENTIFY,
    AdminOpcode::ABORT,
    AdminOpcode::SET_FEATURES,
    AdminOpcode::GET_FEATURES,
    AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST,
    AdminOpcode::SANITIZE,
];

/// What `opcode` can have an effect on, for the effects log.
pub(crate) fn scope(opcode: AdminOpcode) -> u32 {
    match opcode {
        AdminOpcode::FIRMWARE_COMMIT
        | AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD
        | AdminOpcode::DEVICE_SELF_TEST
        | AdminOpcode::NAMESPACE_MANAGEMENT
        | AdminOpcode::SANITIZE => effects::SCOPE_SUBSYSTEM,
        AdminOpcode::FORMAT_NVM
        | AdminOpcode::GET_LBA_STATUS
        | AdminOpcode::NAMESPACE_ATTACHMENT
        | AdminOpcode::DIRECTIVE_SEND
        | AdminOpcode::DIRECTIVE_RECEIVE => effects::SCOPE_NAMESPACE,
        _ => effects::SCOPE_CONTROLLER,
    }
}

/// What an admin command does besides being there.
pub(crate) fn admin_effects(opcode: AdminOpcode) -> u32 {
    match opcode {
        AdminOpcode::FORMAT_NVM => {
            effects::CHANGES_BLOCK_CONTENT | effects::CHANGES_NAMESPACE | effects::ALONE_IN_NAMESPACE
        }
        AdminOpcode::SANITIZE => effects::CHANGES_BLOCK_CONTENT | effects::ALONE,
        AdminOpcode::NAMESPACE_MANAGEMENT => effects::CHANGES_BLOCK_CONTENT | effects::CHANGES_INVENTORY,
        AdminOpcode::NAMESPACE_ATTACHMENT => effects::CHANGES_INVENTORY,
        _ => 0,
    }
}

/// Whether there is such an admin command.
pub(crate) fn has_command(core: &Core, opcode: AdminOpcode) -> bool {
    SUPPORTED.contains(&opcode)
        && (opcode != AdminOpcode::DOORBELL_BUFFER_CONFIG || core.queue_set.has_shadow_doorbells())
}
