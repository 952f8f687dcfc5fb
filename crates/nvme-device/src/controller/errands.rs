//! Commands for a namespace that another lane has.
//!
//! The command stays where it waits for its turn, in its submission queue's place for one that is stalled: what goes to the other lane is a copy, and what
//! comes back is that it was taken on, or has to wait. So when the controller calls the lanes back, copies that nobody has looked at can be forgotten.
//! A queue has one command away at a time, and takes no other on meanwhile.

use alloc::vec::Vec;

use nvme_spec::SubmissionQueueEntry;

use super::lane::Lane;
use super::turn::Turn;
use crate::device::SetupError;
use crate::host::Host;
use crate::io::{Progress, Wait};
use crate::queues::Stalled;
use crate::ring::{ring, Consumer, Producer};
use crate::work::CommandRef;
use crate::{Activity, IO_QUEUE_PAIRS_MAX, LOOK_AGAIN_NS};

/// A command for another lane.
#[derive(Clone, Copy)]
struct Errand {
    entry: SubmissionQueueEntry,
    command: CommandRef,
    progress: Progress,
}

/// What became of it.
#[derive(Clone, Copy)]
struct Return {
    sqid: u16,
    /// If it was not taken on.
    wait: Option<Wait>,
}

/// Both ways between two lanes. There is room for every submission queue's command.
pub(super) struct Correspondence {
    errands_out: Producer<Errand>,
    errands_in: Consumer<Errand>,
    returns_out: Producer<Return>,
    returns_in: Consumer<Return>,
}

impl Correspondence {
    fn pair() -> Result<[Self; 2], SetupError> {
        let room = usize::from(IO_QUEUE_PAIRS_MAX);
        let ((to_second, from_first), (to_first, from_second)) = (ring(room)?, ring(room)?);
        let ((back_to_second, back_from_first), (back_to_first, back_from_second)) =
            (ring(room)?, ring(room)?);
        Ok([
            Self {
                errands_out: to_second,
                errands_in: from_second,
                returns_out: back_to_second,
                returns_in: back_from_second,
            },
            Self {
                errands_out: to_first,
                errands_in: from_first,
                returns_out: back_to_first,
                returns_in: back_from_first,
            },
        ])
    }
}

/// What each of `count` lanes has to do with each other one; nothing with itself.
pub(super) fn correspondences(count: usize) -> Result<Vec<Vec<Option<Correspondence>>>, SetupError> {
    let mut all: Vec<Vec<Option<Correspondence>>> = Vec::new();
    all.try_reserve_exact(count)?;
    for _ in 0..count {
        let mut own = Vec::new();
        own.try_reserve_exact(count)?;
        for other in &mut all {
            let [of_other, of_own] = Correspondence::pair()?;
            other.push(Some(of_other));
            own.push(Some(of_own));
        }
        own.push(None);
        all.push(own);
    }
    Ok(all)
}

impl Lane {
    /// Sends a copy of a command that waits to lane `other`; what its turn was.
    pub(super) fn send_away(&mut self, stalled: Stalled, other: usize) -> Turn {
        let errand = Errand {
            entry: stalled.entry,
            command: stalled.command,
            progress: stalled.wait.progress,
        };
        let correspondence = self.correspondence(other);
        let is_away = correspondence.is_some_and(|other| other.errands_out.push(errand).is_ok());
        debug_assert!(is_away, "there is room for one command of each queue");
        self.set_stalled(stalled.command.sqid, Some(Stalled { is_away, ..stalled }));
        Turn::Fetched
    }

    /// Sees to what other lanes have sent.
    pub(super) fn serve_others<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        for other in 0..self.others.len() {
            while let Some(returned) = self
                .correspondence(other)
                .and_then(|other| other.returns_in.pop())
            {
                activity.progressed = true;
                self.take_return(returned);
            }
            while let Some(errand) = self
                .correspondence(other)
                .and_then(|other| other.errands_in.pop())
            {
                activity.progressed = true;
                let wait = self.run_errand(&errand, now_ns, host).err();
                let sqid = errand.command.sqid;
                let sent = self
                    .correspondence(other)
                    .map(|other| other.returns_out.push(Return { sqid, wait }));
                debug_assert!(
                    matches!(sent, Some(Ok(()))),
                    "there is room for one of each queue"
                );
            }
        }
    }

    fn correspondence(&mut self, other: usize) -> Option<&mut Correspondence> {
        self.others.get_mut(other)?.as_mut()
    }

    fn run_errand<H: Host>(&mut self, errand: &Errand, now_ns: u64, host: &H) -> Result<(), Wait> {
        let Errand {
            entry,
            command,
            progress,
        } = errand;
        if !self.has_worker_room(command.cqid) || !self.notes.has_room() {
            return Err(Wait {
                retry_at_ns: now_ns.saturating_add(LOOK_AGAIN_NS),
                progress: *progress,
            });
        }
        self.start_io(entry, *command, *progress, now_ns, host)
    }

    fn take_return(&mut self, returned: Return) {
        let sqid = returned.sqid;
        let Some(Some(queue)) = self.submission_queues.get_mut(usize::from(sqid)) else {
            return;
        };
        queue.stalled = queue.stalled.and_then(|stalled| {
            Some(Stalled {
                wait: returned.wait?,
                is_away: false,
                ..stalled
            })
        });
        let is_busy = queue.is_busy();
        self.doorbells.set_busy(sqid, is_busy);
    }

    /// The lanes are with the controller: nothing is away any more. What others have not looked at is forgotten by them in
    /// [`Lane::forget_errands`].
    pub(super) fn end_errands(&mut self) {
        for other in 0..self.others.len() {
            while let Some(returned) = self
                .correspondence(other)
                .and_then(|other| other.returns_in.pop())
            {
                self.take_return(returned);
            }
        }
        for queue in self.submission_queues.iter_mut().flatten() {
            if let Some(stalled) = queue.stalled.as_mut().filter(|stalled| stalled.is_away) {
                stalled.is_away = false;
                stalled.wait.retry_at_ns = 0;
            }
        }
    }

    /// Forgets what others have sent: the commands are where they were.
    pub(super) fn forget_errands(&mut self) {
        for other in 0..self.others.len() {
            while self
                .correspondence(other)
                .and_then(|other| other.errands_in.pop())
                .is_some()
            {}
        }
    }
}
