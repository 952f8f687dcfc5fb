//! What Format NVM, Namespace Management and Sanitize have in common: parts of the medium are erased while I/O goes on elsewhere.
//!
//! First all workers move what they were told to move before: no write that was under way lands on what is erased. Then each of them
//! erases a piece at a time, between its other work; without a medium there is nothing to do. The host's admin queue goes on meanwhile. A controller level reset takes the command that
//! began it away, but not what it does.

use alloc::vec::Vec;
use core::ops::Range;

use nvme_spec::Status;
use ssd_profile::NvmParameters;

use super::{Controller, WorkerLink};
use crate::bar::Bar;
use crate::device::{table, SetupError};
use crate::namespace::Namespace;
use crate::work::{CommandRef, Filling, Job, Ticket, WorkItem};
use crate::{Activity, NAMESPACES_MAX};

/// What one worker erases at a time: long enough that messages cost nothing, short enough that I/O does not wait long.
const PIECE_BYTES: u64 = 4 << 20;

const PROGRESS_UNIT_BYTES: u64 = 4096;

/// How long until the controller looks for answers again.
const LOOK_AGAIN_NS: u64 = 20_000;

/// What an erasure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Of this namespace, or all.
    Format {
        nsid: u32,
    },
    Create,
    Delete,
    Sanitize,
}

/// What the medium is filled with, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passes {
    pub pattern: u32,
    pub count: u32,
    /// The pattern of each pass is the inverse of the one before; the last pass has the pattern itself.
    pub inverts: bool,
    /// Whether zeros are left in the end, instead of the pattern.
    pub deallocates: bool,
}

impl Passes {
    /// Zeros, once.
    pub const ZEROS: Self = Self {
        pattern: 0,
        count: 1,
        inverts: false,
        deallocates: false,
    };

    /// How often the medium is filled in all.
    fn total(self) -> u32 {
        self.count + u32::from(self.deallocates)
    }

    /// What pass `pass`, from 0, fills the medium with.
    fn pattern_of(self, pass: u32) -> u32 {
        if pass >= self.count {
            0
        } else if self.inverts && (self.count - 1 - pass) % 2 == 1 {
            !self.pattern
        } else {
            self.pattern
        }
    }
}

/// How far an erasure has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// This many workers were told to answer when they have moved what they had.
    Fencing {
        told: usize,
    },
    /// Of this pass so many bytes were given to workers.
    Filling {
        pass: u32,
        given_bytes: u64,
    },
}

/// An erasure under way, or none.
pub(crate) struct Erasure {
    stage: Stage,
    /// Whether there is anything to fill.
    has_medium: bool,
    purpose: Purpose,
    /// To be completed in the end, with this in dword 0.
    command: Option<(CommandRef, u32)>,
    passes: Passes,
    /// What is erased, one after the other.
    extents: Vec<Range<u64>>,
    /// What takes the place of namespaces when nobody uses them any more.
    renewed: Vec<Namespace>,
    /// What each worker has to answer.
    tickets: Vec<Option<Ticket>>,
}

impl Erasure {
    pub fn new(worker_count: usize, has_medium: bool) -> Result<Self, SetupError> {
        let mut extents = Vec::new();
        extents.try_reserve_exact(NAMESPACES_MAX as usize)?;
        Ok(Self {
            stage: Stage::Idle,
            has_medium,
            purpose: Purpose::Sanitize,
            command: None,
            passes: Passes::ZEROS,
            extents,
            renewed: Vec::new(),
            tickets: table(worker_count, || None)?,
        })
    }

    /// What is being done now.
    pub fn purpose(&self) -> Option<Purpose> {
        (self.stage != Stage::Idle).then_some(self.purpose)
    }

    /// The command that began it will not be completed.
    pub fn forget_command(&mut self) {
        self.command = None;
    }

    /// Begins; there is none under way. `command` is completed in the end, with the number in dword 0.
    fn begin(&mut self, purpose: Purpose, command: Option<(CommandRef, u32)>, passes: Passes) {
        self.extents.clear();
        self.purpose = purpose;
        self.command = command;
        self.passes = passes;
        self.stage = Stage::Fencing { told: 0 };
    }

    /// This is erased, too: at most one part for each namespace that there can be.
    pub fn add(&mut self, extent: Range<u64>) {
        debug_assert!(self.extents.len() < NAMESPACES_MAX as usize);
        self.extents.push(extent);
    }

    /// These take the place of the namespaces with their identifiers when nobody uses those any more.
    pub fn replace_with(&mut self, renewed: Vec<Namespace>) {
        self.renewed = renewed;
    }

    /// Gives namespaces that are about to take the place of others their timing parameters.
    pub fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        for namespace in &mut self.renewed {
            namespace.set_nvm_parameters(parameters);
        }
    }

    fn pass_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.end - extent.start).sum()
    }

    /// How much of it is done, of `whole`.
    pub fn progress(&self, whole: u64) -> u64 {
        // In units in which no product overflows.
        let pass_units = self.pass_bytes() / PROGRESS_UNIT_BYTES;
        let Stage::Filling { pass, given_bytes } = self.stage else {
            return 0;
        };
        let done_units = pass_units * u64::from(pass) + given_bytes / PROGRESS_UNIT_BYTES;
        done_units
            .saturating_mul(whole)
            .checked_div(pass_units * u64::from(self.passes.total()))
            .unwrap_or(0)
    }

    /// The next piece of a pass of which `given_bytes` were given away.
    fn piece(&self, given_bytes: u64) -> Option<Range<u64>> {
        let mut skipped = given_bytes;
        for extent in &self.extents {
            let len_bytes = extent.end - extent.start;
            if skipped < len_bytes {
                let start = extent.start + skipped;
                return Some(start..extent.end.min(start + PIECE_BYTES));
            }
            skipped -= len_bytes;
        }
        None
    }

    /// A worker has answered; whether it was to this.
    pub fn is_answer(&mut self, answered: Ticket) -> bool {
        let mut tickets = self.tickets.iter_mut();
        let ticket = tickets.find(|ticket| **ticket == Some(answered));
        ticket.is_some_and(|ticket| ticket.take().is_some())
    }

    /// Whether there is none.
    pub(super) fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    fn is_quiet(&self) -> bool {
        self.tickets.iter().all(Option::is_none)
    }
}

impl Controller {
    /// Begins an erasure of namespaces that are marked for it. Commands that wait for buffer space are looked at again at once, and refused if they
    /// are for one of them: what has been done of them is not to be taken for something of the namespace that comes after it.
    pub(crate) fn begin_erasure(
        &mut self,
        purpose: Purpose,
        command: Option<(CommandRef, u32)>,
        passes: Passes,
    ) {
        self.erasure.begin(purpose, command, passes);
        for queue in self.lane.submission_queues.iter_mut().flatten() {
            queue.held.look_again();
        }
    }

    /// Takes the erasure under way further; `activity` says whether it did.
    pub(super) fn poll_erasure(&mut self, now_ns: u64, bar: Bar<'_>, activity: &mut Activity) {
        let before = self.erasure.stage;
        match before {
            Stage::Idle => return,
            Stage::Fencing { told } => self.fence(told),
            Stage::Filling { pass, given_bytes } => self.give_pieces(pass, given_bytes),
        }
        if self.erasure.is_quiet() {
            self.end_stage(now_ns, bar);
        }
        activity.progressed |= self.erasure.stage != before;
        if self.erasure.stage != Stage::Idle {
            activity.wake_at(now_ns.saturating_add(LOOK_AGAIN_NS));
        }
    }

    fn fence(&mut self, told: usize) {
        for worker in told..self.lane.links.len() {
            if !self.tell_worker(worker, None) {
                return;
            }
            self.erasure.stage = Stage::Fencing { told: worker + 1 };
        }
    }

    fn give_pieces(&mut self, pass: u32, mut given_bytes: u64) {
        let pattern = self.erasure.passes.pattern_of(pass);
        for worker in 0..self.lane.links.len() {
            if !matches!(self.erasure.tickets.get(worker), Some(None)) {
                continue;
            }
            let Some(piece) = self.erasure.piece(given_bytes) else {
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
        self.erasure.stage = Stage::Filling { pass, given_bytes };
    }

    /// Sends an item, if there is one, and asks for an answer; whether there was room.
    fn tell_worker(&mut self, worker: usize, item: Option<WorkItem>) -> bool {
        let ticket = self.admin.new_ticket();
        let Some(link) = self.lane.links.get_mut(worker) else {
            return false;
        };
        if !link.has_control_room() {
            return false;
        }
        let mut items = item.into_iter().chain([WorkItem::Answer { ticket }]);
        // There is room for more than two.
        let is_sent = items.all(|item| WorkerLink::send(link, item).is_ok());
        if let Some(slot) = self.erasure.tickets.get_mut(worker) {
            *slot = Some(ticket);
        }
        is_sent
    }

    /// Nobody has anything left to do of the stage.
    fn end_stage(&mut self, now_ns: u64, bar: Bar<'_>) {
        match self.erasure.stage {
            Stage::Fencing { told } if told == self.lane.links.len() => {
                for namespace in core::mem::take(&mut self.erasure.renewed) {
                    self.lane.io.namespaces.replace(namespace);
                }
                if !self.erasure.has_medium {
                    return self.end_erasure(now_ns, bar);
                }
                self.erasure.stage = Stage::Filling {
                    pass: 0,
                    given_bytes: 0,
                };
            }
            Stage::Filling { pass, given_bytes } if given_bytes >= self.erasure.pass_bytes() => {
                if pass + 1 < self.erasure.passes.total() {
                    self.erasure.stage = Stage::Filling {
                        pass: pass + 1,
                        given_bytes: 0,
                    };
                } else {
                    self.end_erasure(now_ns, bar);
                }
            }
            Stage::Idle | Stage::Fencing { .. } | Stage::Filling { .. } => {}
        }
    }

    fn end_erasure(&mut self, now_ns: u64, bar: Bar<'_>) {
        self.erasure.stage = Stage::Idle;
        self.erasure_is_done(self.erasure.purpose, now_ns);
        if let Some((command, result)) = self.erasure.command.take() {
            let job = Job::immediate(command, now_ns, Status::SUCCESSFUL_COMPLETION, result.into());
            self.complete_admin(job, bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverted_pattern_ends_as_it_was_given_and_zeros_come_last() {
        let passes = Passes {
            pattern: 0xF0F0_F0F0,
            count: 3,
            inverts: true,
            deallocates: true,
        };
        let patterns: Vec<u32> = (0..passes.total()).map(|pass| passes.pattern_of(pass)).collect();
        assert_eq!(patterns, [0xF0F0_F0F0, 0x0F0F_0F0F, 0xF0F0_F0F0, 0]);
        let even = Passes { count: 2, ..passes };
        assert_eq!(even.pattern_of(0), 0x0F0F_0F0F);
    }

    #[test]
    fn pieces_cover_every_extent_once_and_stay_inside() {
        let mut erasure = Erasure::new(2, true).unwrap();
        erasure.begin(Purpose::Sanitize, None, Passes::ZEROS);
        erasure.add(0..PIECE_BYTES + 1);
        erasure.add(100 << 20..(100 << 20) + 5);
        let mut given_bytes = 0;
        let mut pieces = Vec::new();
        while let Some(piece) = erasure.piece(given_bytes) {
            given_bytes += piece.end - piece.start;
            pieces.push(piece);
        }
        assert_eq!(
            pieces,
            [
                0..PIECE_BYTES,
                PIECE_BYTES..PIECE_BYTES + 1,
                100 << 20..(100 << 20) + 5
            ]
        );
        assert_eq!(given_bytes, erasure.pass_bytes());
        erasure.stage = Stage::Filling {
            pass: 0,
            given_bytes: PIECE_BYTES / 4,
        };
        assert_eq!(erasure.progress(4000), 1000);
    }
}
