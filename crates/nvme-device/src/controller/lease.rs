//! Several dispatchers: the controller leases queues and namespaces to the others' queue sets, and calls them back.
//!
//! While they are leased, each dispatcher works on its own, and whatever concerns more than a queue and a namespace waits: then the queue sets are called back,
//! and the controller has all of it, as if it were the only dispatcher. So nothing but reading and writing has to know that there are several.
//!
//! - They are leased when there is work for another dispatcher, and come back when one of them has had none for some milliseconds: of an idle drive only
//!   the controller looks for work.
//! - A queue belongs to the dispatcher of its completion queue, by identifier.
//! - A drive without flash is timed by all at once ([`SharedNamespace`](crate::namespace::shared::SharedNamespace)), any other namespace by one of them, by identifier: others' commands for it
//!   are forwarded ([`crate::dispatch::forward`]).

use nvme_spec::{registers, NSSR_RESET};

use crate::activity::Activity;
use crate::admin::persistent_events;
use crate::controller::leases::{Leases, Stage};
use crate::controller::{Controller, Shutdown, State};
use crate::dispatch::route::NamespaceOwner;
use crate::host::Host;
use crate::limits::NAMESPACES_MAX;
use crate::pci::bar::Bar;

/// The other dispatchers return their queue sets at once: the caller must not sleep meanwhile.
const AWAITING: Activity = Activity {
    progressed: true,
    next_event_ns: None,
};

impl Controller {
    /// A pass of the first of several dispatchers.
    pub(crate) fn poll_among_others<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        match self.leases.stage {
            Stage::Home => {
                let mut activity = self.poll_all(now_ns, host);
                if self.may_lease(Bar(host.bar())) {
                    self.lease(now_ns);
                    activity.progressed = true;
                }
                activity
            }
            Stage::Leased => {
                if !self.has_to_recall(now_ns, Bar(host.bar())) {
                    return self.poll_own(now_ns, host);
                }
                self.core.shared.set_recalling(true);
                self.leases.stage = Stage::Recalled;
                AWAITING
            }
            Stage::Recalled => {
                if !self.leases.collect() {
                    return AWAITING;
                }
                self.take_everything_back(Bar(host.bar()));
                self.poll_all(now_ns, host)
            }
        }
    }

    /// Whether there is nothing that needs all of it, nor will there be at once.
    fn may_lease(&mut self, bar: Bar<'_>) -> bool {
        let is_quiet = self.state == State::Ready
            && self.shutdown == Shutdown::No
            && self.fused.is_none()
            && self.core.eraser.is_idle()
            && !self.core.admin.is_waiting()
            && !self.has_waiting_command
            && self.is_usual()
            && self.core.queue_set.doorbells.next_busy(0..1, bar).is_none();
        // A worker must know of a queue before another queue set's commands for it come.
        is_quiet
            && self
                .core
                .queue_set
                .links
                .iter_mut()
                .all(|link| link.has_no_new_queue())
            && self.has_work_for_others
    }

    /// Whether memory is within reach and interrupts are messages: the pin has to know of all completions.
    fn is_usual(&self) -> bool {
        self.core.shared.reaches_memory()
            && !self.core.shared.is_asleep()
            && self.core.shared.config_space().msix_enabled()
    }

    /// Whether there is something that needs all of it.
    fn has_to_recall(&mut self, now_ns: u64, bar: Bar<'_>) -> bool {
        let flash_log = self.core.shared.flash_log();
        bar.load(registers::CC) != self.core.cc
            || bar.load(registers::NSSR) == NSSR_RESET
            || self.state != State::Ready
            || !self.is_usual()
            || self.core.shared.has_call()
            || !self.core.queue_set.deferred.is_empty()
            || self.core.queue_set.doorbells.next_busy(0..1, bar).is_some()
            || flash_log.has_request()
            || flash_log.has_reset_request()
            || self.new_nvm_parameters.is_some()
            || persistent_events::is_smart_log_snapshot_due(&self.core, now_ns)
            || self.lba_status_alert_ns.is_some_and(|due_ns| due_ns <= now_ns)
    }

    /// A pass over what the controller has while the rest is leased.
    fn poll_own<H: Host>(&mut self, now_ns: u64, host: &H) -> Activity {
        let bar = Bar(host.bar());
        let has_reports = self.collect_reports(now_ns, bar);
        self.restore_read_only(bar);
        self.poll_usual_registers(host);
        self.core.queue_set.look_at_head(0, bar);
        let next = self.core.queue_set.look_at_next_head(bar);
        self.look_for_stray(next, bar);
        let mut activity = self.core.queue_set.poll(now_ns, host);
        activity.progressed |= has_reports | self.deliver_events(now_ns);
        // What was found only now: an admin command, say, by its shadow doorbell.
        activity.progressed |= self.has_to_recall(now_ns, bar);
        if let Some(due_ns) = self.lba_status_alert_ns {
            activity.wake_at(due_ns);
        }
        activity
    }

    /// Gives every dispatcher its part.
    fn lease(&mut self, now_ns: u64) {
        let dispatchers = self.leases.dispatchers();
        let Leases {
            lessees,
            leased_queues,
            busy_ns,
            stage,
        } = &mut self.leases;
        *busy_ns = self.core.queue_set.io.counters.busy_ns;
        self.core.queue_set.places.clear();
        for nsid in 1..=NAMESPACES_MAX {
            let place = match self.core.queue_set.io.namespaces.serving_mut(nsid) {
                Err(_) => NamespaceOwner::Nowhere,
                Ok(namespace) => match namespace.share() {
                    Some(shared) => {
                        for lessee in &mut *lessees {
                            if let Some(queue_set) = &mut lessee.queue_set {
                                queue_set.io.set_shared(nsid, shared.clone());
                            }
                        }
                        self.core.queue_set.io.set_shared(nsid, shared);
                        NamespaceOwner::Everywhere
                    }
                    None => NamespaceOwner::QueueSet((nsid - 1) as usize % dispatchers),
                },
            };
            self.core.queue_set.places.push(place);
        }
        for (number, lessee) in (1..).zip(lessees) {
            if let Some(mut queue_set) = lessee.queue_set.take() {
                self.core
                    .queue_set
                    .lease_to(&mut queue_set, number, dispatchers, leased_queues);
                queue_set.begin(now_ns);
                // There is room: it came from there.
                lessee.queue_set = lessee.leased.push(queue_set).err();
                debug_assert!(lessee.queue_set.is_none(), "there is one queue_set");
            }
        }
        self.core.queue_set.begin(now_ns);
        *stage = Stage::Leased;
    }

    /// Everything has been given back.
    fn take_everything_back(&mut self, bar: Bar<'_>) {
        self.core.shared.set_recalling(false);
        self.core.shared.clear_call();
        self.leases.stage = Stage::Home;
        self.leases.leased_queues.fill([false; 2]);
        self.core.queue_set.end_forwarding();
        for lessee in &mut self.leases.lessees {
            if let Some(queue_set) = &mut lessee.queue_set {
                queue_set.end_forwarding();
            }
        }
        self.core.queue_set.forget_forwarded();
        self.handle_deferred(bar);
        let mut busy_ns = self.core.queue_set.io.counters.busy_ns - self.leases.busy_ns;
        for index in 0..self.leases.lessees.len() {
            let lessee = self.leases.lessees.get_mut(index);
            let Some(queue_set) = lessee.and_then(|lessee| lessee.queue_set.as_mut()) else {
                continue;
            };
            queue_set.forget_forwarded();
            self.core.queue_set.take_back(queue_set);
            busy_ns = busy_ns.max(self.core.queue_set.io.add_counts(&queue_set.io));
            self.handle_deferred(bar);
        }
        self.core.queue_set.io.counters.busy_ns = self.leases.busy_ns + busy_ns;
        if self.core.queue_set.shadow_doorbells.is_lost() {
            self.core.queue_set.abandon_shadow_doorbells(bar);
        }
        self.core.queue_set.places.clear();
        self.core.queue_set.io.end_sharing();
        if let Some(parameters) = self.new_nvm_parameters.take() {
            self.set_nvm_parameters(parameters);
        }
    }
}
