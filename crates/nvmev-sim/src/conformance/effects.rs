//! The Commands Supported and Effects log against what the controller does with each opcode.

use nvme_spec::{effects, AdminOpcode, Status, SubmissionQueueEntry};

use super::{Finding, Kind, Subject};
use crate::host::commands;

const ALL_ONES: u32 = u32::MAX;
/// The first vendor specific opcode.
const VENDOR_SPECIFIC: u8 = 0x80;
/// What a controller that administers and does I/O must have (NVMe Base 2.0 figure 22).
const MANDATORY: [AdminOpcode; 10] = [
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
];

/// A command whose every argument is all ones: no command does anything with these but refuse them, or, at most, nothing.
pub(super) fn with_all_ones(subject: &Subject<'_>, opcode: u8) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode,
        nsid: subject.nsid.into(),
        prp1: (subject.buffer() | 4).into(),
        cdw10: ALL_ONES.into(),
        cdw11: ALL_ONES.into(),
        cdw12: ALL_ONES.into(),
        cdw13: ALL_ONES.into(),
        cdw14: ALL_ONES.into(),
        cdw15: ALL_ONES.into(),
        ..Default::default()
    }
}

/// An admin command is Invalid Command Opcode if, and only if, the log does not have it; the mandatory ones are there (NVMe Base 2.0 §5.16.1.6, figure 22).
pub(super) fn admin_commands_are_those_of_the_effects_log(subject: &mut Subject<'_>) -> Finding {
    let log = subject.effects_log(subject.command_set)?;
    for opcode in MANDATORY {
        ensure!(
            log[usize::from(opcode.0)] & effects::SUPPORTED != 0,
            "the log does not have {opcode:?}, which is mandatory"
        );
    }
    for opcode in 0..=u8::MAX {
        let is_logged = log[usize::from(opcode)] & effects::SUPPORTED != 0;
        ensure!(
            is_logged || log[usize::from(opcode)] == 0,
            "command {opcode:#x} has effects, and is not there"
        );
        // It would be held, not refused: see the check of its limit.
        if opcode == AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST.0 {
            continue;
        }
        let entry = with_all_ones(subject, opcode);
        let status = subject.admin(entry).status();
        ensure!(
            is_logged == (status != Status::INVALID_COMMAND_OPCODE),
            "admin command {opcode:#x} is in the log: {is_logged}; and it ends with {status:?}"
        );
    }
    Ok(())
}

/// An I/O command is Invalid Command Opcode if, and only if, the log of the namespace's command set does not have it; Flush is there in all, and what writes
/// says that it changes blocks (NVMe Base 2.0 §5.16.1.6).
pub(super) fn io_commands_are_those_of_the_effects_log(subject: &mut Subject<'_>) -> Finding {
    let log = subject.effects_log(subject.command_set)?;
    ensure!(log[256] & effects::SUPPORTED != 0, "the log does not have Flush");
    let writing = if subject.kind == Kind::Pairs {
        &[0x01, 0x10][..]
    } else {
        &[0x01]
    };
    for opcode in writing {
        let entry = log[256 + opcode];
        ensure!(
            entry & effects::CHANGES_BLOCK_CONTENT != 0,
            "command {opcode:#x} writes, and the log says it does not: {entry:#x}"
        );
    }
    for opcode in 0..=u8::MAX {
        let is_logged = log[256 + usize::from(opcode)] & effects::SUPPORTED != 0;
        // Those can be of another namespace of the same command set.
        if is_logged && opcode >= VENDOR_SPECIFIC && subject.kind == Kind::Lbas {
            continue;
        }
        let entry = with_all_ones(subject, opcode);
        let status = subject.io(entry).status();
        ensure!(
            is_logged == (status != Status::INVALID_COMMAND_OPCODE),
            "I/O command {opcode:#x} is in the log: {is_logged}; and it ends with {status:?}"
        );
    }
    subject.io_ends(
        "Flush",
        commands::flush(subject.nsid),
        Status::SUCCESSFUL_COMPLETION,
    )?;
    Ok(())
}
