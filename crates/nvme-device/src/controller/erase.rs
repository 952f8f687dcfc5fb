//! Erasing parts of the medium, step by step.

use nvme_spec::Status;

use crate::activity::Activity;
use crate::command::id::CommandRef;
use crate::command::job::{Filling, Job, WorkItem};
use crate::controller::Controller;
use crate::dispatch::link::WorkerLink;
use crate::erase::{ErasePattern, Purpose, Stage, LOOK_AGAIN_NS};
use crate::pci::bar::Bar;

impl Controller {
    /// Begins an erase of namespaces that are marked for it. Commands that wait for buffer space are looked at again at once, and refused if they
    /// are for one of them: what has been done of them is not to be taken for something of the namespace that comes after it.
    pub(crate) fn begin_erase(
        &mut self,
        purpose: Purpose,
        command: Option<(CommandRef, u32)>,
        pattern: ErasePattern,
    ) {
        self.eraser.begin(purpose, command, pattern);
        for queue in self.queue_set.submission_queues.iter_mut().flatten() {
            queue.held.look_again();
        }
    }

    /// Takes the erase under way further; `activity` says whether it did.
    pub(crate) fn poll_erase(&mut self, now_ns: u64, bar: Bar<'_>, activity: &mut Activity) {
        let before = self.eraser.stage;
        match before {
            Stage::Idle => return,
            Stage::Fencing { told } => self.fence(told),
            Stage::Filling { pass, given_bytes } => self.give_pieces(pass, given_bytes),
        }
        if self.eraser.is_quiet() {
            self.end_stage(now_ns, bar);
        }
        activity.progressed |= self.eraser.stage != before;
        if self.eraser.stage != Stage::Idle {
            activity.wake_at(now_ns.saturating_add(LOOK_AGAIN_NS));
        }
    }

    fn fence(&mut self, told: usize) {
        for worker in told..self.queue_set.links.len() {
            if !self.tell_worker(worker, None) {
                return;
            }
            self.eraser.stage = Stage::Fencing { told: worker + 1 };
        }
    }

    fn give_pieces(&mut self, pass: u32, mut given_bytes: u64) {
        let pattern = self.eraser.pattern.pattern_of(pass);
        for worker in 0..self.queue_set.links.len() {
            if !matches!(self.eraser.tickets.get(worker), Some(None)) {
                continue;
            }
            let Some(piece) = self.eraser.piece(given_bytes) else {
                break;
            };
            let len_bytes = piece.end - piece.start;
            let filling = Filling {
                media_offset: piece.start,
                len_bytes: len_bytes as u32,
                pattern,
            };
            if self.tell_worker(worker, Some(WorkItem::Fill(filling))) {
                given_bytes += len_bytes;
            }
        }
        self.eraser.stage = Stage::Filling { pass, given_bytes };
    }

    /// Sends an item, if there is one, and asks for an answer; whether there was room.
    fn tell_worker(&mut self, worker: usize, item: Option<WorkItem>) -> bool {
        let ticket = self.admin.new_ticket();
        let Some(link) = self.queue_set.links.get_mut(worker) else {
            return false;
        };
        if !link.has_control_room() {
            return false;
        }
        let mut items = item.into_iter().chain([WorkItem::Answer { ticket }]);
        // There is room for more than two.
        let is_sent = items.all(|item| WorkerLink::send(link, item).is_ok());
        if let Some(slot) = self.eraser.tickets.get_mut(worker) {
            *slot = Some(ticket);
        }
        is_sent
    }

    /// Nobody has anything left to do of the stage.
    fn end_stage(&mut self, now_ns: u64, bar: Bar<'_>) {
        match self.eraser.stage {
            Stage::Fencing { told } if told == self.queue_set.links.len() => {
                for namespace in core::mem::take(&mut self.eraser.renewed) {
                    self.queue_set.io.namespaces.replace(namespace);
                }
                if !self.eraser.has_medium {
                    return self.end_erase(now_ns, bar);
                }
                self.eraser.stage = Stage::Filling {
                    pass: 0,
                    given_bytes: 0,
                };
            }
            Stage::Filling { pass, given_bytes } if given_bytes >= self.eraser.pass_bytes() => {
                if pass + 1 < self.eraser.pattern.total() {
                    self.eraser.stage = Stage::Filling {
                        pass: pass + 1,
                        given_bytes: 0,
                    };
                } else {
                    self.end_erase(now_ns, bar);
                }
            }
            Stage::Idle | Stage::Fencing { .. } | Stage::Filling { .. } => {}
        }
    }

    fn end_erase(&mut self, now_ns: u64, bar: Bar<'_>) {
        self.eraser.stage = Stage::Idle;
        self.erase_is_done(self.eraser.purpose, now_ns);
        if let Some((command, result)) = self.eraser.command.take() {
            let job = Job::immediate(command, now_ns, Status::SUCCESSFUL_COMPLETION, result.into());
            self.complete_admin(job, bar);
        }
    }
}
