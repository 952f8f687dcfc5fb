//! Enabling, disabling, resets and shutdown (NVMe Base 2.0 §3.5, §3.6, §3.7).

use nvme_spec::registers::{csts, AdminQueueAttributes, ControllerConfiguration};
use nvme_spec::{registers, NSSR_RESET, PAGE_SIZE_BYTES};

use crate::command::work::{Asker, Ticket, WorkItem};
use crate::controller::cap::{capabilities, READY_TIMEOUT_500MS};
use crate::controller::state::{Reset, Shutdown, State};
use crate::controller::Controller;
use crate::core::Core;
use crate::dispatch::link::WorkerLink;
use crate::host::Host;
use crate::limits::IO_QUEUE_PAIRS_MAX;
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;
use crate::queue::submission::SubmissionQueue;

impl Controller {
    /// Looks at the registers; returns whether anything happened.
    pub(crate) fn poll_registers<H: Host>(&mut self, now_ns: u64, host: &H) -> bool {
        let bar = Bar(host.bar());
        self.restore_read_only(bar);
        if matches!(self.state, State::Resetting { .. }) {
            self.core
                .queue_set
                .links
                .iter_mut()
                .for_each(WorkerLink::retry_reset);
            return false;
        }
        if self.core.shared.is_asleep() {
            return false;
        }
        if self.core.shared.config_space().is_resetting() {
            self.begin_reset(Reset::Function);
            return true;
        }
        if bar.take(registers::NSSR) == NSSR_RESET {
            self.core
                .admin
                .note_subsystem_reset(self.shutdown == Shutdown::Complete || self.state == State::Disabled);
            self.begin_reset(Reset::Subsystem);
            return true;
        }
        self.poll_usual_registers(host);
        let cc = bar.load(registers::CC);
        if cc == self.core.cc {
            return false;
        }
        self.core.cc = cc;
        self.configure(ControllerConfiguration(cc), now_ns, host);
        true
    }

    /// Looks at the registers that a host may write at any time, and that change nothing else.
    pub(crate) fn poll_usual_registers<H: Host>(&mut self, host: &H) {
        self.poll_interrupts(host);
        self.poll_status(Bar(host.bar()));
    }

    fn configure<H: Host>(&mut self, cc: ControllerConfiguration, now_ns: u64, host: &H) {
        let bar = Bar(host.bar());
        match self.state {
            State::Disabled if cc.enabled() => self.enable(cc, host),
            State::Ready | State::Failed if !cc.enabled() => {
                self.begin_reset(Reset::Controller);
                return;
            }
            _ => {}
        }
        if cc.shutdown_notification() != 0 && self.shutdown == Shutdown::No {
            self.shutdown = Shutdown::Processing;
            if self.state != State::Ready {
                self.complete_shutdown(now_ns, bar);
            } else if self.core.shared.reaches_memory() {
                // They were fetched before it, and may have been on their way to another dispatcher.
                self.core.queue_set.resume_all(now_ns, host);
            }
        }
    }

    fn enable<H: Host>(&mut self, cc: ControllerConfiguration, host: &H) {
        let bar = Bar(host.bar());
        let attributes = AdminQueueAttributes(bar.load(registers::AQA));
        let asq = bar.load_u64(registers::ASQ);
        let acq = bar.load_u64(registers::ACQ);
        let mut probe = [0; 64];
        let is_legal = is_supported(cc)
            && !attributes.has_reserved_bits()
            && attributes.asqs_z() > 0
            && attributes.acqs_z() > 0
            && asq % PAGE_SIZE_BYTES as u64 == 0
            && acq % PAGE_SIZE_BYTES as u64 == 0
            && host.read(asq, &mut probe).is_ok()
            && host.read(acq, &mut probe).is_ok();
        if !is_legal {
            self.fail(bar);
            return;
        }
        let (sq_entries, cq_entries) = (attributes.asqs_z() + 1, attributes.acqs_z() + 1);
        self.core
            .queue_set
            .add_completion_queue(0, CompletionQueue::new(cq_entries, Some(0)), host);
        self.core
            .queue_set
            .add_submission_queue(0, SubmissionQueue::for_admin(asq, sq_entries), host);
        let item = WorkItem::CreateCq {
            cqid: 0,
            base: acq,
            entries: cq_entries,
            vector: Some(0),
        };
        if self.core.queue_set.send(0, item).is_err() {
            self.fail(bar);
            return;
        }
        self.core.admin.css = cc.css();
        self.core.queue_set.io.has_all_command_sets = cc.css() == ControllerConfiguration::CSS_ALL;
        self.state = State::Ready;
        // A shutdown of the disabled controller ends here, too.
        self.shutdown = Shutdown::No;
        // NSSRO ends here. A driver clears it before it enables the controller, by writing the value that CSTS has then, which cannot be seen.
        // Were it there still while the controller is ready, such a write would take RDY away until the next pass, and the driver, told that
        // the controller is disabled, would go on in the middle of a reset.
        self.set_csts(bar, csts::RDY);
    }

    /// Tells all workers to forget everything; the reset is done when all have answered.
    pub(crate) fn begin_reset(&mut self, reset: Reset) {
        // An answer that is still on its way belongs to a command that ends here: nothing may follow the reset in a ring.
        self.core.admin.forget_pending();
        self.fused = None;
        self.core.eraser.forget_command();
        let ticket = self.core.admin.tickets.issue(Asker::Reset);
        self.core.shared.set_resetting(true);
        self.core
            .queue_set
            .links
            .iter_mut()
            .for_each(|link| link.request_reset(ticket));
        self.state = State::Resetting {
            reset,
            ticket,
            unanswered: self.core.queue_set.links.len(),
        };
    }

    pub(crate) fn worker_was_reset(&mut self, answered: Ticket, now_ns: u64, bar: Bar<'_>) {
        let State::Resetting {
            reset,
            ticket,
            unanswered,
        } = self.state
        else {
            return;
        };
        if answered != ticket {
            return;
        }
        if unanswered > 1 {
            self.state = State::Resetting {
                reset,
                ticket,
                unanswered: unanswered - 1,
            };
        } else {
            self.finish_reset(reset, now_ns, bar);
        }
    }

    fn finish_reset(&mut self, reset: Reset, now_ns: u64, bar: Bar<'_>) {
        let is_power_cycle = reset == Reset::Subsystem;
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            core,
            // Forgotten when the reset began.
            fused: _,
            state,
            shutdown,
            interrupt_mask,
            // Read again in the next pass.
            reaches_memory: _,
            has_waiting_command: _,
            has_work_for_others: _,
            lba_status_alert_ns: _,
            reports: _,
            leases,
            new_nvm_parameters: _,
        } = self;
        let Core {
            identity: _,
            mdts: _,
            zasl: _,
            queue_set,
            provisioning: _,
            // Goes on; its command was forgotten when the reset began.
            eraser: _,
            shared,
            admin,
            cc,
            csts,
        } = core;
        shared.set_resetting(false);
        queue_set.reset(is_power_cycle, now_ns);
        leases.forget_in_flight();
        for qid in 0..=IO_QUEUE_PAIRS_MAX {
            shared.statistics().queue(qid).deleted();
        }
        bar.clear(registers::DOORBELLS, 8 * (usize::from(IO_QUEUE_PAIRS_MAX) + 1));
        admin.reset(now_ns);
        *shutdown = Shutdown::No;
        *interrupt_mask = 0;
        shared.set_interrupt_mask(0);
        shared.config_space().take_interrupt_pending();
        bar.store(registers::INTMS, 0);
        if reset != Reset::Controller {
            for register in [
                registers::CC,
                registers::AQA,
                registers::ASQ,
                registers::ASQ + 4,
                registers::ACQ,
                registers::ACQ + 4,
            ] {
                bar.store(register, 0);
            }
            *cc = 0;
        }
        if reset == Reset::Function {
            bar.reset_msix();
        }
        *state = State::Disabled;
        let subsystem_reset_occurred = match reset {
            Reset::Controller => *csts & csts::NSSRO,
            Reset::Function => 0,
            Reset::Subsystem => csts::NSSRO,
        };
        self.core.apply_coalescing();
        self.set_csts(bar, subsystem_reset_occurred);
        if reset == Reset::Function {
            // Last: from now on the host gets answers, and finds everything as after power on.
            self.core.shared.config_space().end_function_level_reset();
        }
    }

    /// A shutdown is complete when the commands that were fetched before it are.
    pub(crate) fn finish_shutdown(&mut self, now_ns: u64, bar: Bar<'_>) {
        if self.shutdown != Shutdown::Processing {
            return;
        }
        let queues = (0u16..).zip(&self.core.queue_set.completion_queues).skip(1);
        let io_done = queues
            .filter_map(|(cqid, queue)| Some((cqid, queue.as_ref()?)))
            .all(|(cqid, queue)| queue.unposted(self.core.shared.cq_posted(cqid)) == self.held_count(cqid));
        if io_done {
            self.complete_shutdown(now_ns, bar);
        }
    }

    /// Commands that wait for buffer space and will be completed on this queue, or never: a shutdown does not wait for them.
    fn held_count(&self, cqid: u16) -> u32 {
        let queues = self.core.queue_set.submission_queues.iter().flatten();
        let of_queue = queues.filter(|queue| queue.cqid == cqid);
        of_queue.map(|queue| queue.held.len() as u32).sum()
    }

    fn complete_shutdown(&mut self, now_ns: u64, bar: Bar<'_>) {
        // Whatever comes next finds the zones as after a power cycle (ZNS 1.1 §2.1.1.3).
        for namespace in self.core.queue_set.io.namespaces.iter_mut() {
            if let Some(model) = namespace.model.zoned_mut() {
                model.power_cycle(now_ns);
            }
        }
        self.core.eraser.forget_command();
        self.shutdown = Shutdown::Complete;
        self.set_csts(bar, self.core.csts & !csts::SHST_MASK | csts::SHST_COMPLETE);
    }

    /// Whether commands are fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        self.state == State::Ready && self.shutdown == Shutdown::No
    }

    /// Registers that only we write: what a host may have put there is undone.
    pub(crate) fn restore_read_only(&self, bar: Bar<'_>) {
        let cap = capabilities().to_bits();
        for (register, value) in [
            (registers::CAP, cap as u32),
            (registers::CAP + 4, (cap >> 32) as u32),
            (registers::VS, registers::VERSION_2_0),
            (registers::CRTO, u32::from(READY_TIMEOUT_500MS)),
        ] {
            if bar.load(register) != value {
                bar.store(register, value);
            }
        }
    }

    /// CSTS is read-only but for NSSRO, which a write of 1 clears. Without traps a write of exactly the value that the
    /// register already has cannot be seen: `enable` makes up for that.
    fn poll_status(&mut self, bar: Bar<'_>) {
        let seen = bar.load(registers::CSTS);
        if seen != self.core.csts {
            self.set_csts(bar, self.core.csts & !(seen & csts::NSSRO));
        }
    }
}

/// Whether the configuration is one that CAP offers. Entry sizes may still be 0: they are due before I/O queues are made.
fn is_supported(cc: ControllerConfiguration) -> bool {
    matches!(
        cc.css(),
        ControllerConfiguration::CSS_NVM | ControllerConfiguration::CSS_ALL
    ) && cc.mps() == 0
        && cc.ams() == 0
        && matches!(cc.iosqes(), 0 | 6)
        && matches!(cc.iocqes(), 0 | 4)
}
