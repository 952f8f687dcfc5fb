//! Admin commands. Each file holds one family; a handler returns what the completion carries, or the status of an error.

use nvme_spec::{AdminOpcode, Status, SubmissionQueueEntry, PSDT_PRP};

use crate::admin::outcome::Outcome;
use crate::admin::table::{ALLOWED_WHILE_SANITIZING, SUPPORTED};
use crate::command::id::CommandRef;
use crate::controller::Controller;
use crate::host::Host;
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;

impl Controller {
    /// Carries an admin command out.
    pub(crate) fn execute_admin<H: Host>(
        &mut self,
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
        let opcode = AdminOpcode(entry.opcode);
        if !self.has_command(opcode) {
            return Err(Status::INVALID_COMMAND_OPCODE);
        }
        if self.is_sanitizing() && !ALLOWED_WHILE_SANITIZING.contains(&opcode) {
            return Err(Status::SANITIZE_IN_PROGRESS);
        }
        match opcode {
            AdminOpcode::CREATE_IO_COMPLETION_QUEUE => self.create_io_completion_queue(entry, host),
            AdminOpcode::CREATE_IO_SUBMISSION_QUEUE => self.create_io_submission_queue(entry, host),
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE => {
                self.delete_io_submission_queue(entry, command, now_ns, bar)
            }
            AdminOpcode::DELETE_IO_COMPLETION_QUEUE => self.delete_io_completion_queue(entry, bar),
            AdminOpcode::IDENTIFY => self.identify(entry, host),
            AdminOpcode::GET_LOG_PAGE => self.get_log_page(entry, now_ns, host),
            AdminOpcode::SET_FEATURES => self.set_features(entry, now_ns, host),
            AdminOpcode::GET_FEATURES => self.get_features(entry, now_ns, host),
            AdminOpcode::ABORT => self.abort(entry, command, now_ns),
            AdminOpcode::DEVICE_SELF_TEST => self.device_self_test(entry, now_ns),
            AdminOpcode::NAMESPACE_MANAGEMENT => self.namespace_management(entry, command, now_ns, host),
            AdminOpcode::NAMESPACE_ATTACHMENT => self.namespace_attachment(entry, host),
            AdminOpcode::FORMAT_NVM => self.format_nvm(entry, command, now_ns),
            AdminOpcode::SANITIZE => self.sanitize(entry, now_ns),
            AdminOpcode::GET_LBA_STATUS => self.get_lba_status(entry, host),
            AdminOpcode::DIRECTIVE_SEND => self.directive_send(entry),
            AdminOpcode::DIRECTIVE_RECEIVE => self.directive_receive(entry, host),
            AdminOpcode::DOORBELL_BUFFER_CONFIG => self.doorbell_buffer_config(entry, host),
            AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => self.firmware_image_download(entry, host),
            AdminOpcode::FIRMWARE_COMMIT => self.firmware_commit(entry, now_ns),
            AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST => {
                self.admin.events.hold(command.cid)?;
                // A held request must not take the room that other commands need.
                self.admin_completions(CompletionQueue::release);
                Ok(Outcome::Later)
            }
            _ => Err(Status::INVALID_COMMAND_OPCODE),
        }
    }
}

impl Controller {
    /// Whether there is such an admin command.
    pub fn has_command(&self, opcode: AdminOpcode) -> bool {
        SUPPORTED.contains(&opcode)
            && (opcode != AdminOpcode::DOORBELL_BUFFER_CONFIG || self.queue_set.has_shadow_doorbells())
    }

    /// Does something with the admin completion queue; nothing without one.
    pub(crate) fn admin_completions<R: Default>(&mut self, f: impl FnOnce(&mut CompletionQueue) -> R) -> R {
        match self.queue_set.completion_queues.first_mut() {
            Some(Some(queue)) => f(queue),
            _ => R::default(),
        }
    }

    /// Reserves the completion of a command that was held; whether there is room.
    pub(crate) fn reserve_admin_completion(&mut self) -> bool {
        self.admin_completions(|queue| {
            let has_room = queue.has_room();
            if has_room {
                queue.reserve();
            }
            has_room
        })
    }

    /// Lets `fill` put an answer together in a page of zeros; `send` gets it with what `fill` returned.
    pub(crate) fn with_page<T, R>(
        &mut self,
        fill: impl FnOnce(&Self, &mut [u8]) -> Result<T, Status>,
        send: impl FnOnce(&[u8], T) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let mut page = core::mem::take(&mut self.admin.page);
        page.fill(0);
        let result = fill(self, &mut page).and_then(|filled| send(&page, filled));
        self.admin.page = page;
        result
    }
}
