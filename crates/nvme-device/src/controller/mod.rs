//! The controller: registers and their state machine, queues, and the link to the workers.

pub(crate) mod cap;
pub(crate) mod doorbells;
pub(crate) mod fetch;
pub(crate) mod fused;
pub(crate) mod fused_pair;
pub(crate) mod interrupts;
pub(crate) mod lease;
pub(crate) mod leases;
pub(crate) mod reset;
pub(crate) mod state;

use alloc::sync::Arc;
use alloc::vec::Vec;

use nvme_spec::registers;
use nvme_spec::registers::csts;
use nvme_spec::Status;
use ssd_profile::NvmParameters;

use crate::activity::Activity;
use crate::admin::erase_end;
use crate::admin::outcome::Question;
use crate::admin::state::admin_state::{AdminState, PendingAdmin};
use crate::admin::{lba_status, persistent_events, telemetry};
use crate::command::work::{Asker, Report, Ticket};
use crate::controller::fused_pair::FusedPair;
use crate::controller::leases::{queue_sets, Leases};
use crate::controller::state::{Shutdown, State};
use crate::core::{transfer_limits, Core};
use crate::dispatch::link::WorkerLink;
use crate::dispatcher::Dispatcher;
use crate::erase::{Eraser, FinishedErase};
use crate::host::Host;
use crate::identity::Identity;
use crate::io::context::IoContext;
use crate::limits::BAR_SIZE_BYTES;
use crate::namespace::provisioning::Provisioning;
use crate::namespace::Namespace;
use crate::pci::bar::Bar;
use crate::ring::Consumer;
use crate::setup::SetupError;
use crate::shared::Shared;
use crate::stats::flash::NamespaceReport;

/// What connects the queue sets with the workers.
pub(crate) struct Wiring {
    /// For each queue set, the controller's first, its link to each worker.
    pub links: Vec<Vec<WorkerLink>>,
    /// What each worker tells the controller.
    pub reports: Vec<Consumer<Report>>,
}

/// The controller: everything that reads what the host writes. One thread runs it.
pub struct Controller {
    pub(crate) core: Core,
    /// Nothing else is fetched while there is one.
    fused: Option<FusedPair>,
    state: State,
    shutdown: Shutdown,
    interrupt_mask: u32,
    /// As last seen.
    reaches_memory: bool,
    /// In the last pass there was no room for a command that a queue set leaves to the controller.
    has_waiting_command: bool,
    /// In the last pass there was something to do for a queue that another dispatcher could work on.
    has_work_for_others: bool,
    /// When the LBA status alert is due.
    lba_status_alert_ns: Option<u64>,
    /// What the workers tell.
    reports: Vec<Consumer<Report>>,
    leases: Leases,
    /// To be set when everything is back.
    new_nvm_parameters: Option<NvmParameters>,
}

impl Controller {
    #[inline(never)]
    pub(crate) fn new(
        identity: Identity,
        mdts: u8,
        namespaces: Vec<Namespace>,
        provisioning: Provisioning,
        wiring: Wiring,
        shared: Arc<Shared>,
        has_medium: bool,
    ) -> Result<(Self, Vec<Dispatcher>), SetupError> {
        let (limits, zasl) = transfer_limits(mdts, &namespaces, &provisioning);
        let firmware = identity.firmware_revision;
        let Wiring { links, reports } = wiring;
        let (queue_set, leases, dispatchers) =
            queue_sets(IoContext::new(namespaces, limits, has_medium)?, links, &shared)?;
        let core = Core {
            identity,
            mdts,
            zasl,
            provisioning,
            eraser: Eraser::new(queue_set.links.len(), has_medium)?,
            queue_set,
            shared,
            admin: AdminState::new(firmware)?,
            cc: 0,
            csts: 0,
        };
        let controller = Self {
            core,
            fused: None,
            state: State::Disabled,
            shutdown: Shutdown::No,
            interrupt_mask: 0,
            reaches_memory: false,
            has_waiting_command: false,
            has_work_for_others: false,
            lba_status_alert_ns: None,
            reports,
            leases,
            new_nvm_parameters: None,
        };
        Ok((controller, dispatchers))
    }

    /// Registers as they are after power on.
    pub(crate) fn initialise_registers(&self, bar: &[core::sync::atomic::AtomicU32]) {
        let bar = Bar(bar);
        bar.clear(0, BAR_SIZE_BYTES);
        bar.reset_msix();
        self.restore_read_only(bar);
    }

    /// One pass of the dispatcher: answers of the workers, registers, the admin queue, then a command of each I/O queue.
    pub fn poll<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        if self.leases.is_alone() {
            self.poll_all(now_ns, host)
        } else {
            self.poll_among_others(now_ns, host)
        }
    }

    /// A pass over everything.
    fn poll_all<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let bar = Bar(host.bar());
        self.core.admin.start(now_ns);
        persistent_events::snapshot_smart_log(&mut self.core, now_ns);
        self.serve_flash_log();
        let mut activity = Activity {
            progressed: self.collect_reports(now_ns, bar),
            next_event_ns: None,
        };
        self.core.queue_set.recommend_zones(now_ns, &mut activity);
        activity.progressed |= self.poll_reach();
        activity.progressed |= self.poll_registers(now_ns, host);
        self.handle_deferred(bar);
        if !matches!(self.state, State::Resetting { .. }) {
            self.poll_eraser(now_ns, &mut activity);
        }
        if self.state == State::Ready && !self.core.shared.is_asleep() {
            // A host that was told that the shutdown is complete may have given their pages away.
            if self.shutdown != Shutdown::Complete {
                self.core.queue_set.poll_shadow_doorbells(host);
            }
            self.poll_completion_doorbells(bar);
            self.poll_pin(host);
            if self.core.shared.reaches_memory() {
                self.poll_fused(now_ns, host, &mut activity);
                self.handle_deferred(bar);
                self.poll_queues(now_ns, host, &mut activity);
            }
            // A host that was told that the shutdown is complete may have given its queues' memory away.
            if self.shutdown != Shutdown::Complete {
                self.lba_status_alert_ns = lba_status::raise_lba_status_alert(&mut self.core, now_ns);
                if let Some(due_ns) = self.lba_status_alert_ns {
                    activity.wake_at(due_ns);
                }
                activity.progressed |= self.deliver_events(now_ns);
            }
            self.finish_shutdown(now_ns, bar);
        }
        if self.core.admin.telemetry.take_failure() {
            telemetry::capture_failure(&mut self.core, now_ns);
        }
        activity
    }

    /// Workers hold everything back while memory is out of reach; whether it no longer is, so that there may be something to do.
    fn poll_reach(&mut self) -> bool {
        let reached = core::mem::replace(&mut self.reaches_memory, self.core.shared.reaches_memory());
        self.reaches_memory && !reached
    }

    /// Takes the erase under way further.
    fn poll_eraser(&mut self, now_ns: u64, activity: &mut Activity) {
        let core = &mut self.core;
        let finished = core
            .eraser
            .poll(now_ns, &mut core.queue_set, &mut core.admin.tickets, activity);
        let Some(FinishedErase { purpose, command }) = finished else {
            return;
        };
        erase_end::erase_is_done(core, purpose, now_ns);
        if let Some((command, result)) = command {
            let success = Status::SUCCESSFUL_COMPLETION;
            core.complete(command.resume(), now_ns, success, result.into());
        }
    }

    /// Answers those who want to know what the flash did.
    fn serve_flash_log(&mut self) {
        let log = self.core.shared.flash_log();
        if log.take_reset_request() {
            for namespace in self.core.queue_set.io.namespaces.iter_mut() {
                namespace.model.reset_statistics();
            }
        }
        if log.has_request() {
            let namespaces = self.core.queue_set.io.namespaces.by_identifier();
            log.answer(namespaces.map(|namespace| match namespace {
                None => NamespaceReport::Absent,
                Some(namespace) => match namespace.model.flash_report() {
                    None => NamespaceReport::WithoutFlash,
                    Some(report) => NamespaceReport::Flash(report),
                },
            }));
        }
    }

    /// Gives every NVM namespace other timing parameters, also those that will be created; commands already under way keep their times.
    pub fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        if !self.leases.is_home() {
            self.new_nvm_parameters = Some(parameters);
            return;
        }
        for namespace in self.core.queue_set.io.namespaces.iter_mut() {
            namespace.set_nvm_parameters(parameters);
        }
        self.core.provisioning.templates.set_nvm_parameters(parameters);
        self.core.eraser.set_nvm_parameters(parameters);
    }

    fn collect_reports(&mut self, now_ns: u64, bar: Bar<'_>) -> bool {
        let mut progressed = false;
        for worker in 0..self.reports.len() {
            while let Some(report) = self.reports.get_mut(worker).and_then(Consumer::pop) {
                progressed = true;
                self.take_report(report, now_ns, bar);
            }
        }
        progressed
    }

    fn take_report(&mut self, report: Report, now_ns: u64, bar: Bar<'_>) {
        match report {
            Report::Done { ticket, found } => self.take_answer(ticket, found, now_ns, bar),
            Report::Failed {
                command,
                status,
                nsid,
                lba,
            } => {
                self.core.admin.error_log.add(command, status, nsid, lba);
            }
            Report::QueueUnreachable => self.fail(bar),
        }
    }

    /// A worker has answered.
    fn take_answer(&mut self, ticket: Ticket, found: bool, now_ns: u64, bar: Bar<'_>) {
        match ticket.asker {
            Asker::AdminCommand => {
                if let Some(PendingAdmin {
                    question, command, ..
                }) = self.core.admin.take_pending(ticket)
                {
                    let result = match question {
                        Question::DeleteQueue => 0,
                        Question::Abort => u64::from(!found),
                    };
                    let success = Status::SUCCESSFUL_COMPLETION;
                    self.core.complete(command.resume(), now_ns, success, result);
                }
            }
            Asker::Eraser => self.core.eraser.take_answer(ticket),
            Asker::FusedPair => self.worker_settled(ticket, now_ns),
            Asker::Reset => self.worker_was_reset(ticket, now_ns, bar),
        }
    }

    /// Marks the controller as failed: it stops fetching until the host resets it (NVMe Base 2.0 §9.5).
    /// A reset under way makes up for whatever went wrong before it.
    pub(crate) fn fail(&mut self, bar: Bar<'_>) {
        if matches!(self.state, State::Resetting { .. } | State::Failed) {
            return;
        }
        self.state = State::Failed;
        self.set_csts(bar, self.core.csts | csts::CFS);
        self.core.admin.telemetry.note_failure();
    }

    fn set_csts(&mut self, bar: Bar<'_>, value: u32) {
        self.core.csts = value;
        bar.store(registers::CSTS, value);
    }
}
