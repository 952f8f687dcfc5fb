//! What admin commands work on: all of the controller but its state machine and its leases.

use alloc::sync::Arc;

use nvme_spec::Status;

use crate::admin::state::admin_state::AdminState;
use crate::command::id::CommandRef;
use crate::command::job::Job;
use crate::command::request::Limits;
use crate::command::reserved::Reserved;
use crate::dispatch::queue_set::QueueSet;
use crate::erase::{ErasePlan, Eraser};
use crate::identity::Identity;
use crate::limits::transfer_bytes_max;
use crate::namespace::provisioning::Provisioning;
use crate::namespace::{Namespace, NamespaceConfig};
use crate::queue::completion::CompletionQueue;
use crate::setup::TryBox;
use crate::shared::Shared;

/// The parts of a controller that admin commands see. Handlers are functions of it.
pub(crate) struct Core {
    pub identity: Identity,
    pub mdts: u8,
    /// Largest Zone Append: 2^zasl pages; 0: as MDTS says.
    pub zasl: u8,
    pub queue_set: TryBox<QueueSet>,
    pub provisioning: Provisioning,
    pub eraser: Eraser,
    pub shared: Arc<Shared>,
    pub admin: TryBox<AdminState>,
    /// CC as last acted upon.
    pub cc: u32,
    /// CSTS as the host should read it.
    pub csts: u32,
}

impl Core {
    /// Does something with the admin completion queue; nothing without one.
    fn admin_completions<R: Default>(&mut self, f: impl FnOnce(&mut CompletionQueue) -> R) -> R {
        match self.queue_set.completion_queues.first_mut() {
            Some(Some(queue)) => f(queue),
            _ => R::default(),
        }
    }

    /// Reserves the completion of a request that was held, if there is room.
    pub fn reserve_admin_completion(&mut self, cid: u16) -> Option<Reserved> {
        self.admin_completions(|queue| queue.has_room().then(|| queue.reserve(CommandRef::admin(cid))))
    }

    /// The command is held: its completion must not take the room that other commands need.
    pub fn release_admin_completion(&mut self, reserved: Reserved) {
        self.admin_completions(|queue| queue.release(reserved));
    }

    /// Completes an admin command, or another one that has no data.
    pub fn complete(&mut self, reserved: Reserved, now_ns: u64, status: Status, result: u64) {
        let job = Job::immediate(reserved.command(), now_ns, status, result);
        self.queue_set.complete(reserved, job);
    }

    /// Lets `fill` put an answer together in a page of zeros; `send` gets it with what `fill` returned.
    pub fn with_page<T, R>(
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

    /// Begins to erase; nothing else is being erased. Commands that wait for buffer space are looked
    /// at again at once, and refused if their namespace is erased: what has been done of them is not
    /// to be taken for something of the namespace that comes after it.
    pub fn begin_erase(&mut self, plan: ErasePlan) {
        self.eraser.begin(plan);
        for queue in self.queue_set.submission_queues.iter_mut().flatten() {
            queue.held.look_again();
        }
    }

    /// Tells the workers which interrupts the host wants coalesced.
    pub fn apply_coalescing(&self) {
        let (aggregation, disabled) = self.admin.features.interrupt_coalescing();
        self.shared.coalescing().set(aggregation, disabled);
    }
}

/// MDTS and ZASL of a drive, in bytes; and ZASL, log2 of pages, 0 if it is as MDTS says.
pub(crate) fn transfer_limits(
    mdts: u8,
    namespaces: &[Namespace],
    provisioning: &Provisioning,
) -> (Limits, u8) {
    let configs = namespaces.iter().map(Namespace::config);
    // No more than MDTS (ZNS 1.1 figure 50).
    let zasl = match smallest_append_limit(configs.chain(provisioning.templates.all())) {
        zasl if mdts == 0 => zasl,
        zasl => zasl.min(mdts),
    };
    let transfer_bytes_max = transfer_bytes_max(mdts);
    let append_bytes_max = match zasl {
        0 => transfer_bytes_max,
        zasl => transfer_bytes_max.min(1u32.checked_shl(12 + u32::from(zasl)).unwrap_or(u32::MAX)),
    };
    let limits = Limits {
        transfer_bytes_max,
        append_bytes_max,
    };
    (limits, zasl)
}

/// The Zone Append limit that holds for every zoned namespace, also for those that can be created: log2 of pages, 0 for none.
fn smallest_append_limit<'a>(namespaces: impl Iterator<Item = &'a NamespaceConfig>) -> u8 {
    let limits = namespaces.filter_map(|namespace| namespace.kind.append_limit());
    limits.min().map_or(0, |zasl| zasl.min(0xFF) as u8)
}
