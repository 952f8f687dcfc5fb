//! What Format NVM, Namespace Management and Sanitize have in common: parts of the medium are erased while I/O goes on elsewhere.
//!
//! First all workers move what they were told to move before: no write that was under way lands on what is erased. Then each of them
//! erases a piece at a time, between its other work; without a medium there is nothing to do. The host's admin queue goes on meanwhile. A controller level reset takes the command that
//! began it away, but not what it does.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

use ssd_profile::NvmParameters;

use crate::activity::Activity;
use crate::command::job::Filling;
use crate::command::reserved::WaitingCommand;
use crate::command::work::{Asker, Ticket, Tickets, WorkItem};
use crate::dispatch::link::WorkerLink;
use crate::dispatch::queue_set::QueueSet;
use crate::limits::NAMESPACES_MAX;
use crate::namespace::table::NamespaceTable;
use crate::namespace::Namespace;
use crate::setup::{table, SetupError};

/// What one worker erases at a time: long enough that messages cost nothing, short enough that I/O does not wait long.
const PIECE_BYTES: u64 = 4 << 20;

const PROGRESS_UNIT_BYTES: u64 = 4096;

/// How long until the controller looks for answers again.
const LOOK_AGAIN_NS: u64 = 20_000;

/// What an erase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErasePurpose {
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
pub(crate) struct ErasePattern {
    pub pattern: u32,
    pub count: u32,
    /// The pattern of each pass is the inverse of the one before; the last pass has the pattern itself.
    pub inverts: bool,
    /// Whether zeros are left in the end, instead of the pattern.
    pub deallocates: bool,
}

impl ErasePattern {
    /// Zeros, once.
    pub const ZEROS: Self = Self {
        pattern: 0,
        count: 1,
        inverts: false,
        deallocates: false,
    };

    /// How often the medium is filled in all.
    pub fn total(self) -> u32 {
        self.count + u32::from(self.deallocates)
    }

    /// What pass `pass`, from 0, fills the medium with.
    pub fn pattern_of(self, pass: u32) -> u32 {
        if pass >= self.count {
            0
        } else if self.inverts && (self.count - 1 - pass) % 2 == 1 {
            !self.pattern
        } else {
            self.pattern
        }
    }
}

/// What is erased, and what follows: built before anything is changed.
pub(crate) struct ErasePlan {
    purpose: ErasePurpose,
    pattern: ErasePattern,
    /// To be completed in the end, with this in dword 0.
    command: Option<(WaitingCommand, u32)>,
    /// Parts of the medium, erased one after the other. With room for [`NAMESPACES_MAX`].
    extents: Vec<Range<u64>>,
    /// What takes the place of namespaces when nobody uses them any more.
    renewed: Vec<Namespace>,
}

impl ErasePlan {
    /// Erases nothing, for no command.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(purpose: ErasePurpose, pattern: ErasePattern) -> Result<Self, TryReserveError> {
        let mut extents = Vec::new();
        extents.try_reserve_exact(NAMESPACES_MAX as usize)?;
        Ok(Self {
            purpose,
            pattern,
            command: None,
            extents,
            renewed: Vec::new(),
        })
    }

    /// Completes `command` in the end, with `result` in dword 0.
    pub fn for_command(mut self, command: WaitingCommand, result: u32) -> Self {
        self.command = Some((command, result));
        self
    }

    /// Erases this part of the medium too: at most one for each namespace that there can be.
    pub fn with_extent(mut self, extent: Range<u64>) -> Self {
        debug_assert!(
            self.extents.len() < NAMESPACES_MAX as usize,
            "one for each namespace"
        );
        self.extents.push(extent);
        self
    }

    /// Puts `renewed` in the place of the namespaces with their identifiers.
    pub fn with_renewed(mut self, renewed: Vec<Namespace>) -> Self {
        self.renewed = renewed;
        self
    }

    fn pass_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.end - extent.start).sum()
    }

    /// The next piece of a pass of which `given_bytes` were given to workers.
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
}

/// An erase that is over.
pub(crate) struct FinishedErase {
    pub purpose: ErasePurpose,
    /// To be completed, with this in dword 0.
    pub command: Option<(WaitingCommand, u32)>,
}

/// How far an erase has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// This many workers were told to answer when they have moved what they had.
    Fencing { told: usize },
    /// Of this pass so many bytes were given to workers.
    Filling { pass: u32, given_bytes: u64 },
}

/// Erases, one plan at a time.
pub(crate) struct Eraser {
    under_way: Option<(ErasePlan, Stage)>,
    /// Whether there is anything to fill.
    has_medium: bool,
    /// What each worker has to answer.
    tickets: Vec<Option<Ticket>>,
}

impl Eraser {
    /// For so many workers.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(worker_count: usize, has_medium: bool) -> Result<Self, SetupError> {
        Ok(Self {
            under_way: None,
            has_medium,
            tickets: table(worker_count, || None)?,
        })
    }

    /// What is being done now.
    pub fn purpose(&self) -> Option<ErasePurpose> {
        self.under_way.as_ref().map(|(plan, _)| plan.purpose)
    }

    /// Whether there is none.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// The command that began it will not be completed.
    pub fn forget_command(&mut self) {
        if let Some((plan, _)) = &mut self.under_way {
            plan.command = None;
        }
    }

    /// Begins; there is none under way.
    pub fn begin(&mut self, plan: ErasePlan) {
        debug_assert!(self.is_idle(), "one plan at a time");
        self.under_way = Some((plan, Stage::Fencing { told: 0 }));
    }

    /// Gives namespaces that are about to take the place of others their timing parameters.
    pub fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        for namespace in self.under_way.iter_mut().flat_map(|(plan, _)| &mut plan.renewed) {
            namespace.set_nvm_parameters(parameters);
        }
    }

    /// How much of it is done, of `whole`.
    pub fn progress(&self, whole: u64) -> u64 {
        let Some((plan, Stage::Filling { pass, given_bytes })) = &self.under_way else {
            return 0;
        };
        // In units in which no product overflows.
        let pass_units = plan.pass_bytes() / PROGRESS_UNIT_BYTES;
        let done_units = pass_units * u64::from(*pass) + given_bytes / PROGRESS_UNIT_BYTES;
        done_units
            .saturating_mul(whole)
            .checked_div(pass_units * u64::from(plan.pattern.total()))
            .unwrap_or(0)
    }

    /// A worker has answered.
    pub fn take_answer(&mut self, answered: Ticket) {
        let mut tickets = self.tickets.iter_mut();
        if let Some(ticket) = tickets.find(|ticket| **ticket == Some(answered)) {
            *ticket = None;
        }
    }

    /// Takes the erase under way further; `activity` says whether it did. What is over is the result.
    pub fn poll(
        &mut self,
        now_ns: u64,
        queue_set: &mut QueueSet,
        tickets: &mut Tickets,
        activity: &mut Activity,
    ) -> Option<FinishedErase> {
        let (mut plan, before) = self.under_way.take()?;
        let given = match before {
            Stage::Fencing { told } => self.fence(told, &mut queue_set.links, tickets),
            Stage::Filling { pass, given_bytes } => {
                self.give_pieces(&plan, pass, given_bytes, &mut queue_set.links, tickets)
            }
        };
        let after = match self.tickets.iter().all(Option::is_none) {
            true => self.next_stage(&mut plan, given, &mut queue_set.io.namespaces),
            false => Some(given),
        };
        activity.progressed |= after != Some(before);
        match after {
            Some(stage) => {
                activity.wake_at(now_ns.saturating_add(LOOK_AGAIN_NS));
                self.under_way = Some((plan, stage));
                None
            }
            None => Some(FinishedErase {
                purpose: plan.purpose,
                command: plan.command,
            }),
        }
    }

    fn fence(&mut self, told: usize, links: &mut [WorkerLink], tickets: &mut Tickets) -> Stage {
        for (worker, link) in links.iter_mut().enumerate().skip(told) {
            if !self.tell_worker(worker, link, None, tickets) {
                return Stage::Fencing { told: worker };
            }
        }
        Stage::Fencing { told: links.len() }
    }

    fn give_pieces(
        &mut self,
        plan: &ErasePlan,
        pass: u32,
        mut given_bytes: u64,
        links: &mut [WorkerLink],
        tickets: &mut Tickets,
    ) -> Stage {
        let pattern = plan.pattern.pattern_of(pass);
        for (worker, link) in links.iter_mut().enumerate() {
            if !matches!(self.tickets.get(worker), Some(None)) {
                continue;
            }
            let Some(piece) = plan.piece(given_bytes) else {
                break;
            };
            let len_bytes = piece.end - piece.start;
            let filling = Filling {
                media_offset: piece.start,
                len_bytes: len_bytes as u32,
                pattern,
            };
            if self.tell_worker(worker, link, Some(WorkItem::Fill(filling)), tickets) {
                given_bytes += len_bytes;
            }
        }
        Stage::Filling { pass, given_bytes }
    }

    /// Sends an item, if there is one, and asks for an answer; whether there was room.
    fn tell_worker(
        &mut self,
        worker: usize,
        link: &mut WorkerLink,
        item: Option<WorkItem>,
        tickets: &mut Tickets,
    ) -> bool {
        if !link.has_control_room() {
            return false;
        }
        let ticket = tickets.issue(Asker::Eraser);
        let mut items = item.into_iter().chain([WorkItem::Answer { ticket }]);
        // There is room for more than two.
        let is_sent = items.all(|item| link.send(item).is_ok());
        if let Some(slot) = self.tickets.get_mut(worker) {
            *slot = Some(ticket);
        }
        is_sent
    }

    /// What follows when no worker has anything left to do of `stage`; nothing after the last one.
    fn next_stage(
        &self,
        plan: &mut ErasePlan,
        stage: Stage,
        namespaces: &mut NamespaceTable,
    ) -> Option<Stage> {
        let next_pass = match stage {
            Stage::Fencing { told } if told < self.tickets.len() => return Some(stage),
            Stage::Fencing { .. } => {
                for namespace in core::mem::take(&mut plan.renewed) {
                    namespaces.replace(namespace);
                }
                if !self.has_medium {
                    return None;
                }
                0
            }
            Stage::Filling { given_bytes, .. } if given_bytes < plan.pass_bytes() => return Some(stage),
            Stage::Filling { pass, .. } => pass + 1,
        };
        // Even what has nothing to fill has its first pass.
        (next_pass == 0 || next_pass < plan.pattern.total()).then_some(Stage::Filling {
            pass: next_pass,
            given_bytes: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverted_pattern_ends_as_it_was_given_and_zeros_come_last() {
        let pattern = ErasePattern {
            pattern: 0xF0F0_F0F0,
            count: 3,
            inverts: true,
            deallocates: true,
        };
        let patterns: Vec<u32> = (0..pattern.total())
            .map(|pass| pattern.pattern_of(pass))
            .collect();
        assert_eq!(patterns, [0xF0F0_F0F0, 0x0F0F_0F0F, 0xF0F0_F0F0, 0]);
        let even = ErasePattern { count: 2, ..pattern };
        assert_eq!(even.pattern_of(0), 0x0F0F_0F0F);
    }

    #[test]
    fn pieces_cover_every_extent_once_and_stay_inside() {
        let plan = ErasePlan::new(ErasePurpose::Sanitize, ErasePattern::ZEROS)
            .unwrap()
            .with_extent(0..PIECE_BYTES + 1)
            .with_extent(100 << 20..(100 << 20) + 5);
        let mut given_bytes = 0;
        let mut pieces = Vec::new();
        while let Some(piece) = plan.piece(given_bytes) {
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
        assert_eq!(given_bytes, plan.pass_bytes());
        let mut eraser = Eraser::new(2, true).unwrap();
        let stage = Stage::Filling {
            pass: 0,
            given_bytes: PIECE_BYTES / 4,
        };
        eraser.under_way = Some((plan, stage));
        assert_eq!(eraser.progress(4000), 1000);
    }
}
