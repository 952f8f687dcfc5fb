//! An admin command: taken apart, and carried out. Each file of this folder holds one family: what its commands ask for, and their handlers.
//! A handler returns what the completion carries, or the status of an error.

use nvme_spec::{AdminOpcode, Status, SubmissionQueueEntry, PSDT_PRP};

use crate::admin::abort::Abort;
use crate::admin::directives::{DirectiveReceive, DirectiveSend};
use crate::admin::features::{GetFeatures, SetFeatures};
use crate::admin::firmware::{FirmwareCommit, FirmwareImageDownload};
use crate::admin::format::FormatNvm;
use crate::admin::identify_request::Identify;
use crate::admin::io_queues::{CreateIoCompletionQueue, CreateIoSubmissionQueue};
use crate::admin::lba_status::GetLbaStatus;
use crate::admin::log_request::GetLogPage;
use crate::admin::namespaces::{NamespaceAttachment, NamespaceManagement};
use crate::admin::outcome::Outcome;
use crate::admin::sanitize::Sanitize;
use crate::admin::self_test::DeviceSelfTest;
use crate::admin::{
    abort, directives, doorbell_buffer, features, firmware, format, identify, io_queues, lba_status,
    log_pages, namespaces, sanitize, self_test, table,
};
use crate::core::Core;
use crate::host::{CopyEngine, HostMemory};
use crate::pci::bar::Bar;
use crate::queue::shadow::DoorbellBuffers;

/// An admin command, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AdminCommand {
    CreateIoCompletionQueue(CreateIoCompletionQueue),
    CreateIoSubmissionQueue(CreateIoSubmissionQueue),
    DeleteIoSubmissionQueue { sqid: u16 },
    DeleteIoCompletionQueue { cqid: u16 },
    Identify(Identify),
    GetLogPage(GetLogPage),
    SetFeatures(SetFeatures),
    GetFeatures(GetFeatures),
    Abort(Abort),
    AsynchronousEventRequest,
    DeviceSelfTest(DeviceSelfTest),
    NamespaceManagement(NamespaceManagement),
    NamespaceAttachment(NamespaceAttachment),
    FormatNvm(FormatNvm),
    Sanitize(Sanitize),
    GetLbaStatus(GetLbaStatus),
    DirectiveSend { nsid: u32, directive: DirectiveSend },
    DirectiveReceive { nsid: u32, directive: DirectiveReceive },
    DoorbellBufferConfig(DoorbellBuffers),
    FirmwareImageDownload(FirmwareImageDownload),
    FirmwareCommit(FirmwareCommit),
}

impl AdminCommand {
    /// Takes any entry apart. Total and pure: what needs the drive's state is checked by the handlers, and so is what they
    /// check after the state.
    ///
    /// # Errors
    /// Invalid Command Opcode; what is wrong with the command whatever the state of the drive.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let nsid = entry.nsid.get();
        Ok(match AdminOpcode(entry.opcode) {
            AdminOpcode::CREATE_IO_COMPLETION_QUEUE => {
                Self::CreateIoCompletionQueue(CreateIoCompletionQueue::parse(entry))
            }
            AdminOpcode::CREATE_IO_SUBMISSION_QUEUE => {
                Self::CreateIoSubmissionQueue(CreateIoSubmissionQueue::parse(entry))
            }
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE => Self::DeleteIoSubmissionQueue {
                sqid: io_queues::parse_qid(entry),
            },
            AdminOpcode::DELETE_IO_COMPLETION_QUEUE => Self::DeleteIoCompletionQueue {
                cqid: io_queues::parse_qid(entry),
            },
            AdminOpcode::IDENTIFY => Self::Identify(Identify::parse(entry)?),
            AdminOpcode::GET_LOG_PAGE => Self::GetLogPage(GetLogPage::parse(entry)?),
            AdminOpcode::SET_FEATURES => Self::SetFeatures(SetFeatures::parse(entry)?),
            AdminOpcode::GET_FEATURES => Self::GetFeatures(GetFeatures::parse(entry)?),
            AdminOpcode::ABORT => Self::Abort(Abort::parse(entry)),
            AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST => Self::AsynchronousEventRequest,
            AdminOpcode::DEVICE_SELF_TEST => Self::DeviceSelfTest(DeviceSelfTest::parse(entry)),
            AdminOpcode::NAMESPACE_MANAGEMENT => Self::NamespaceManagement(NamespaceManagement::parse(entry)),
            AdminOpcode::NAMESPACE_ATTACHMENT => Self::NamespaceAttachment(NamespaceAttachment::parse(entry)),
            AdminOpcode::FORMAT_NVM => Self::FormatNvm(FormatNvm::parse(entry)),
            AdminOpcode::SANITIZE => Self::Sanitize(Sanitize::parse(entry)?),
            AdminOpcode::GET_LBA_STATUS => Self::GetLbaStatus(GetLbaStatus::parse(entry)?),
            AdminOpcode::DIRECTIVE_SEND => Self::DirectiveSend {
                nsid,
                directive: DirectiveSend::parse(entry)?,
            },
            AdminOpcode::DIRECTIVE_RECEIVE => Self::DirectiveReceive {
                nsid,
                directive: DirectiveReceive::parse(entry)?,
            },
            AdminOpcode::DOORBELL_BUFFER_CONFIG => Self::DoorbellBufferConfig(doorbell_buffer::parse(entry)?),
            AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => {
                Self::FirmwareImageDownload(FirmwareImageDownload::parse(entry))
            }
            AdminOpcode::FIRMWARE_COMMIT => Self::FirmwareCommit(FirmwareCommit::parse(entry)),
            _ => return Err(Status::INVALID_COMMAND_OPCODE),
        })
    }

    fn execute<H: HostMemory + CopyEngine>(
        &self,
        core: &mut Core,
        cid: u16,
        now_ns: u64,
        host: &H,
    ) -> Result<Outcome, Status> {
        let bar = Bar(host.bar());
        match self {
            Self::CreateIoCompletionQueue(asked) => io_queues::create_io_completion_queue(core, asked, host),
            Self::CreateIoSubmissionQueue(asked) => io_queues::create_io_submission_queue(core, asked, host),
            Self::DeleteIoSubmissionQueue { sqid } => {
                io_queues::delete_io_submission_queue(core, *sqid, now_ns, bar)
            }
            Self::DeleteIoCompletionQueue { cqid } => io_queues::delete_io_completion_queue(core, *cqid, bar),
            Self::Identify(asked) => identify::identify(core, asked, host),
            Self::GetLogPage(asked) => log_pages::get_log_page(core, asked, now_ns, host),
            Self::SetFeatures(asked) => features::set_features(core, asked, now_ns, host),
            Self::GetFeatures(asked) => features::get_features(core, asked, now_ns, host),
            Self::Abort(asked) => abort::abort(core, *asked, now_ns),
            Self::AsynchronousEventRequest => {
                core.admin.events.hold(cid)?;
                Ok(Outcome::Held)
            }
            Self::DeviceSelfTest(asked) => self_test::device_self_test(core, *asked, now_ns),
            Self::NamespaceManagement(asked) => namespaces::namespace_management(core, asked, now_ns, host),
            Self::NamespaceAttachment(asked) => namespaces::namespace_attachment(core, asked, host),
            Self::FormatNvm(asked) => format::format_nvm(core, *asked, now_ns),
            Self::Sanitize(asked) => sanitize::sanitize(core, *asked, now_ns),
            Self::GetLbaStatus(asked) => lba_status::get_lba_status(core, asked, host),
            Self::DirectiveSend { nsid, directive } => directives::directive_send(core, *nsid, *directive),
            Self::DirectiveReceive { nsid, directive } => {
                directives::directive_receive(core, *nsid, *directive, host)
            }
            Self::DoorbellBufferConfig(buffers) => {
                doorbell_buffer::doorbell_buffer_config(core, *buffers, host)
            }
            Self::FirmwareImageDownload(asked) => firmware::firmware_image_download(core, asked, host),
            Self::FirmwareCommit(asked) => firmware::firmware_commit(core, *asked, now_ns),
        }
    }
}

/// Carries an admin command out.
pub(crate) fn execute<H: HostMemory + CopyEngine>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    // SGLs are for I/O commands only (NVMe Base 2.0 §3.3.3.1, PSDT).
    if entry.fuse() != 0 || entry.psdt() != PSDT_PRP {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let row = table::admin_command(core, entry.opcode).ok_or(Status::INVALID_COMMAND_OPCODE)?;
    if sanitize::is_sanitizing(core) && !row.is_allowed_while_sanitizing {
        return Err(Status::SANITIZE_IN_PROGRESS);
    }
    AdminCommand::parse(entry)?.execute(core, entry.cid.get(), now_ns, host)
}

#[cfg(test)]
mod tests;
