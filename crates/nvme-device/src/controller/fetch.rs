//! Fetching: the controller gives the queues their turns, and sees to the commands that are its own.

use nvme_spec::{Status, SubmissionQueueEntry, ERROR_EVENT_INVALID_DOORBELL_VALUE};

use crate::activity::Activity;
use crate::admin::outcome::Outcome;
use crate::admin::state::admin_state::PendingAdmin;
use crate::admin::{command as admin_command, reservations};
use crate::command::id::CommandRef;
use crate::command::job::Job;
use crate::command::reserved::Reserved;
use crate::controller::Controller;
use crate::dispatch::route::Serviced;
use crate::host::Host;
use crate::pci::bar::Bar;

impl Controller {
    /// Gives the admin queue and each I/O queue that has something to do a turn.
    pub(crate) fn poll_queues<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        let bar = Bar(host.bar());
        self.core.queue_set.burst = self.core.admin.features.arbitration_burst();
        self.has_waiting_command = false;
        self.has_work_for_others = false;
        let first = self.core.queue_set.next_queue();
        for sqids in [0..1, first..self.core.queue_set.queues_end, 1..first] {
            let mut from = sqids.start;
            while let Some(sqid) = self.core.queue_set.doorbells.next_busy(from..sqids.end, bar) {
                if !self.is_fetching() || self.fused.is_some() {
                    return;
                }
                if sqid != 0 || self.can_start_admin() {
                    self.service_queue(sqid, now_ns, host, activity);
                }
                from = sqid + 1;
            }
        }
    }

    /// Whether an admin command can be taken on: no other one waits for a worker's answer, and there is room for what it may send to workers.
    pub(crate) fn can_start_admin(&mut self) -> bool {
        !self.core.admin.is_waiting() && self.core.queue_set.has_control_room()
    }

    fn service_queue<H: Host>(&mut self, sqid: u16, now_ns: u64, host: &H, activity: &mut Activity) {
        let mut turn = Activity::default();
        if let Some((entry, command)) = self.core.queue_set.service_queue(sqid, now_ns, host, &mut turn) {
            let own = self.take_own(entry, command, now_ns, host);
            self.has_waiting_command |= !matches!(own, Serviced::Fetched);
            self.core.queue_set.finish_service(sqid, &own, &mut turn);
        }
        let queue = self.core.queue_set.submission_queues.get(usize::from(sqid));
        let is_of_others = matches!(queue, Some(Some(queue)) if self.leases.is_of_others(queue.cqid));
        self.has_work_for_others |= turn.progressed && is_of_others;
        activity.add(turn);
        self.handle_deferred(Bar(host.bar()));
    }

    /// Starts a command that a queue set leaves to the controller.
    fn take_own<H: Host>(
        &mut self,
        entry: SubmissionQueueEntry,
        command: CommandRef,
        now_ns: u64,
        host: &H,
    ) -> Serviced {
        if command.sqid != 0 && entry.fuse() != 0 {
            return self.service_fused(entry, command, now_ns, host);
        }
        let Some(reserved) = self.core.queue_set.consume(command) else {
            return Serviced::Idle;
        };
        if command.sqid == 0 {
            self.core.queue_set.note_admin_command(host);
            self.start_admin(&entry, reserved, now_ns, host);
        } else {
            self.start_reservation(&entry, reserved, now_ns, host);
        }
        Serviced::Fetched
    }

    fn start_reservation<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        reserved: Reserved,
        now_ns: u64,
        host: &H,
    ) {
        let done = match reservations::reservation(&mut self.core, entry, host) {
            Ok(()) => Status::SUCCESSFUL_COMPLETION,
            Err(status) => status,
        };
        let job = Job {
            nsid: entry.nsid.get(),
            ..Job::immediate(reserved.command(), now_ns, done, 0)
        };
        self.core.queue_set.finish_dispatch(reserved, job.into(), now_ns);
    }

    /// Handles what a pass over the queue set has left to the controller.
    pub(crate) fn handle_deferred(&mut self, bar: Bar<'_>) {
        let deferred = &mut self.core.queue_set.deferred;
        if deferred.is_empty() {
            return;
        }
        for failure in deferred.failures.drain(..) {
            self.core
                .admin
                .error_log
                .add(failure.command, failure.status, failure.nsid, failure.lba);
        }
        if core::mem::take(&mut deferred.has_invalid_doorbell) {
            self.core.admin.events.error(ERROR_EVENT_INVALID_DOORBELL_VALUE);
        }
        // The passes that come see to them.
        deferred.has_command = false;
        deferred.has_zone_change = false;
        deferred.is_idle = false;
        if core::mem::take(&mut deferred.is_broken) {
            self.fail(bar);
        }
    }

    fn start_admin<H: Host>(
        &mut self,
        entry: &SubmissionQueueEntry,
        reserved: Reserved,
        now_ns: u64,
        host: &H,
    ) {
        let core = &mut self.core;
        match admin_command::execute(core, entry, now_ns, host) {
            Ok(Outcome::Done(result)) => {
                core.complete(reserved, now_ns, Status::SUCCESSFUL_COMPLETION, result);
            }
            Ok(Outcome::Erases { plan, result }) => {
                core.begin_erase(plan.for_command(reserved.wait(), result));
            }
            Ok(Outcome::Asks(ticket, question)) => {
                core.admin.pending = Some(PendingAdmin {
                    ticket,
                    question,
                    command: reserved.wait(),
                });
            }
            Ok(Outcome::Held) => core.release_admin_completion(reserved),
            Err(status) => {
                let nsid = entry.nsid.get();
                core.admin.error_log.add(reserved.command(), status, nsid, 0);
                core.complete(reserved, now_ns, status, 0);
            }
        }
    }

    /// Completes held Asynchronous Event Requests for the events there are; returns whether there were any.
    pub(crate) fn deliver_events(&mut self, now_ns: u64) -> bool {
        let mut delivered = false;
        self.raise_zone_notices();
        while let Some(cid) = self.core.admin.events.next_to_deliver() {
            let Some(reserved) = self.core.reserve_admin_completion(cid) else {
                break;
            };
            let result = self.core.admin.events.deliver();
            self.core
                .complete(reserved, now_ns, Status::SUCCESSFUL_COMPLETION, result);
            delivered = true;
        }
        delivered
    }

    /// Turns zones that have changed into a notice for their namespace, one after the other: the first one's log is to be read before the next.
    fn raise_zone_notices(&mut self) {
        if !self.core.admin.features.wants_zone_notices() {
            return;
        }
        for namespace in self.core.queue_set.io.namespaces.iter_attached_mut() {
            let Some(zoned) = &mut namespace.zoned else {
                continue;
            };
            if zoned.changed.wants_event && self.core.admin.events.can_take_zone_notice() {
                zoned.changed.wants_event = false;
                self.core.admin.events.zone_descriptor_changed(namespace.nsid);
            }
        }
    }
}
