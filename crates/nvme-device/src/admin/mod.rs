//! Admin commands. Each file holds one family; a handler returns what the completion carries, or the status of an error.

mod abort;
mod directives;
mod doorbell_buffer;
mod error_log;
mod events;
mod feature_buffers;
mod features;
mod firmware;
mod format;
mod identify;
mod io_queues;
mod lba_status;
mod log_pages;
mod namespace_features;
mod namespaces;
mod persistent_events;
mod reservation_log;
mod sanitize;
mod self_test;
mod telemetry;

use alloc::vec::Vec;

use nvme_spec::registers::ControllerConfiguration;
use nvme_spec::{effects, AdminOpcode, Status, SubmissionQueueEntry, PAGE_SIZE_BYTES, PSDT_PRP};

use crate::bar::Bar;
use crate::controller::Controller;
use crate::device::{table, SetupError};
use crate::heap::Heap;
use crate::host::Host;
use crate::queues::CompletionQueue;
use crate::work::{CommandRef, Ticket};

use error_log::ErrorLog;
use events::AsyncEvents;
use features::Features;
use firmware::{Firmware, Revision};
use lba_status::LbaStatusNews;
pub(crate) use namespace_features::NamespaceFeature;
use namespaces::ChangedNamespaces;
use persistent_events::PersistentEvents;
use reservation_log::ReservationLog;
use sanitize::SanitizeStatus;
use self_test::SelfTest;
use telemetry::Telemetry;

/// Admin commands that this controller has, for the effects log and the dispatch below.
const SUPPORTED: &[AdminOpcode] = &[
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
const ALLOWED_WHILE_SANITIZING: &[AdminOpcode] = &[
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
fn scope(opcode: AdminOpcode) -> u32 {
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

/// How a handler leaves its command.
pub(crate) enum Outcome {
    /// Done, with dwords 0 and 1 of the completion.
    Done(u64),
    /// Completed by something that happens later: an event, or a worker's answer.
    Later,
}

/// An admin command that waits for a worker's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PendingAdmin {
    DeleteQueue { command: CommandRef },
    Abort { command: CommandRef },
}

impl PendingAdmin {
    pub fn command(self) -> CommandRef {
        match self {
            Self::DeleteQueue { command } | Self::Abort { command } => command,
        }
    }
}

/// What admin commands keep.
pub(crate) struct AdminState {
    pub features: Features,
    pub events: AsyncEvents,
    pub error_log: ErrorLog,
    pub self_test: SelfTest,
    pub sanitize: SanitizeStatus,
    pub changed_namespaces: ChangedNamespaces,
    pub lba_status: LbaStatusNews,
    reservation_log: ReservationLog,
    pub firmware: Firmware,
    pub telemetry: Telemetry,
    pub persistent_events: PersistentEvents,
    /// CC.CSS when the controller was enabled.
    pub css: u8,
    /// Time of the first pass.
    started_ns: Option<u64>,
    /// Time of the last controller level reset, or else of the first pass.
    reset_at_ns: u64,
    unsafe_shutdowns: u64,
    power_cycles: u64,
    pending: Option<(Ticket, PendingAdmin)>,
    next_ticket: Ticket,
    /// Where answers of up to a page are put together: kernel stacks are small.
    page: Vec<u8>,
}

impl AdminState {
    /// For a device that was built with this firmware.
    #[inline(never)]
    pub fn new(firmware: Revision) -> Result<Heap<Self>, SetupError> {
        Heap::new(Self {
            features: Features::new(),
            events: AsyncEvents::new(),
            error_log: ErrorLog::new()?,
            self_test: SelfTest::new()?,
            sanitize: SanitizeStatus::new(),
            changed_namespaces: ChangedNamespaces::default(),
            lba_status: LbaStatusNews::default(),
            reservation_log: ReservationLog::new()?,
            firmware: Firmware::new(firmware),
            telemetry: Telemetry::new()?,
            persistent_events: PersistentEvents::new()?,
            css: ControllerConfiguration::CSS_NVM,
            started_ns: None,
            reset_at_ns: 0,
            unsafe_shutdowns: 0,
            power_cycles: 1,
            pending: None,
            next_ticket: 0,
            page: table(PAGE_SIZE_BYTES, || 0)?,
        })
    }

    /// The first pass: time begins.
    pub fn start(&mut self, now_ns: u64) {
        if self.started_ns.is_none() {
            self.started_ns = Some(now_ns);
            self.reset_at_ns = now_ns;
            self.features.reset(now_ns);
            self.record_reset(false, now_ns);
        }
    }

    /// How long it has been on at `now_ns`.
    pub fn powered_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.started_ns.unwrap_or(now_ns))
    }

    /// A controller level reset: requests and events are forgotten, features go back to their saved values.
    pub fn reset(&mut self, now_ns: u64) {
        self.self_test.reset(self.powered_ns(now_ns));
        self.reset_at_ns = now_ns;
        self.features.reset(now_ns);
        self.reservation_log.reset();
        let has_activated_firmware = self.firmware.reset();
        self.persistent_events.release();
        self.record_reset(has_activated_firmware, now_ns);
        self.events = AsyncEvents::new();
        self.raise_telemetry_notice();
    }

    /// The command that waits for a worker will not be completed.
    pub fn forget_pending(&mut self) {
        self.pending = None;
    }

    /// An NVM subsystem reset is this device's power cycle; without a shutdown before it, an unsafe one.
    pub fn note_subsystem_reset(&mut self, was_shut_down: bool) {
        self.power_cycles += 1;
        self.unsafe_shutdowns += u64::from(!was_shut_down);
    }

    pub fn new_ticket(&mut self) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.next_ticket
    }

    /// Whether a command waits for a worker: the next one has to wait, too.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub fn take_pending(&mut self, ticket: Ticket) -> Option<PendingAdmin> {
        match self.pending {
            Some((expected, pending)) if expected == ticket => {
                self.pending = None;
                Some(pending)
            }
            _ => None,
        }
    }
}

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
    fn has_command(&self, opcode: AdminOpcode) -> bool {
        SUPPORTED.contains(&opcode)
            && (opcode != AdminOpcode::DOORBELL_BUFFER_CONFIG || self.lane.has_shadow_doorbells())
    }

    /// Does something with the admin completion queue; nothing without one.
    pub(crate) fn admin_completions<R: Default>(&mut self, f: impl FnOnce(&mut CompletionQueue) -> R) -> R {
        match self.lane.completion_queues.first_mut() {
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

/// Puts `bytes` into an answer at `offset`, as far as there is room.
fn put(page: &mut [u8], offset: usize, bytes: &[u8]) {
    for (slot, byte) in page.iter_mut().skip(offset).zip(bytes) {
        *slot = *byte;
    }
}

/// Puts the dword number `index` of an answer there.
fn put_dword(page: &mut [u8], index: usize, value: u32) {
    put(page, index * 4, &value.to_le_bytes());
}
