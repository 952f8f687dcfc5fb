//! Admin commands. Each file holds one family; a handler returns what the completion carries, or the status of an error.

use nvme_spec::{AdminOpcode, Status, SubmissionQueueEntry, PSDT_PRP};

use crate::admin::outcome::Outcome;
use crate::admin::{
    abort, directives, doorbell_buffer, features, firmware, format, identify, io_queues, lba_status,
    log_pages, namespaces, sanitize, self_test, table,
};
use crate::command::id::CommandRef;
use crate::core::Core;
use crate::host::{CopyEngine, HostMemory};
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;

/// Carries an admin command out.
pub(crate) fn execute_admin<H: HostMemory + CopyEngine>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    command: CommandRef,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    // SGLs are for I/O commands only (NVMe Base 2.0 §3.3.3.1, PSDT).
    if entry.fuse() != 0 || entry.psdt() != PSDT_PRP {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let bar = Bar(host.bar());
    let row = table::admin_command(core, entry.opcode).ok_or(Status::INVALID_COMMAND_OPCODE)?;
    if sanitize::is_sanitizing(core) && !row.is_allowed_while_sanitizing {
        return Err(Status::SANITIZE_IN_PROGRESS);
    }
    match row.opcode {
        AdminOpcode::CREATE_IO_COMPLETION_QUEUE => io_queues::create_io_completion_queue(core, entry, host),
        AdminOpcode::CREATE_IO_SUBMISSION_QUEUE => io_queues::create_io_submission_queue(core, entry, host),
        AdminOpcode::DELETE_IO_SUBMISSION_QUEUE => {
            io_queues::delete_io_submission_queue(core, entry, command, now_ns, bar)
        }
        AdminOpcode::DELETE_IO_COMPLETION_QUEUE => io_queues::delete_io_completion_queue(core, entry, bar),
        AdminOpcode::IDENTIFY => identify::identify(core, entry, host),
        AdminOpcode::GET_LOG_PAGE => log_pages::get_log_page(core, entry, now_ns, host),
        AdminOpcode::SET_FEATURES => features::set_features(core, entry, now_ns, host),
        AdminOpcode::GET_FEATURES => features::get_features(core, entry, now_ns, host),
        AdminOpcode::ABORT => abort::abort(core, entry, command, now_ns),
        AdminOpcode::DEVICE_SELF_TEST => self_test::device_self_test(core, entry, now_ns),
        AdminOpcode::NAMESPACE_MANAGEMENT => {
            namespaces::namespace_management(core, entry, command, now_ns, host)
        }
        AdminOpcode::NAMESPACE_ATTACHMENT => namespaces::namespace_attachment(core, entry, host),
        AdminOpcode::FORMAT_NVM => format::format_nvm(core, entry, command, now_ns),
        AdminOpcode::SANITIZE => sanitize::sanitize(core, entry, now_ns),
        AdminOpcode::GET_LBA_STATUS => lba_status::get_lba_status(core, entry, host),
        AdminOpcode::DIRECTIVE_SEND => directives::directive_send(core, entry),
        AdminOpcode::DIRECTIVE_RECEIVE => directives::directive_receive(core, entry, host),
        AdminOpcode::DOORBELL_BUFFER_CONFIG => doorbell_buffer::doorbell_buffer_config(core, entry, host),
        AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => firmware::firmware_image_download(core, entry, host),
        AdminOpcode::FIRMWARE_COMMIT => firmware::firmware_commit(core, entry, now_ns),
        AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST => {
            core.admin.events.hold(command.cid)?;
            // A held request must not take the room that other commands need.
            core.admin_completions(CompletionQueue::release);
            Ok(Outcome::Later)
        }
        _ => Err(Status::INVALID_COMMAND_OPCODE),
    }
}
