//! Commands for a namespace that another lane has.
//!
//! The commands stay where they wait for their turn, among those that their submission queue holds: what goes to the other lane are copies, and what
//! comes back is how many were taken on, and what the next has to wait for. So when the controller calls the lanes back, copies that nobody has looked at
//! can be forgotten. A queue has the commands of one burst away at a time, for one lane, and takes no others on meanwhile. They keep their order: behind
//! one that has to wait, none is taken on.

use alloc::vec::Vec;
use core::iter;

use nvme_spec::SubmissionQueueEntry;

use super::lane::Lane;
use super::turn::{Turn, Way};
use crate::device::SetupError;
use crate::host::Host;
use crate::io::{Progress, Wait};
use crate::ring::{ring, Consumer, Producer};
use crate::work::CommandRef;
use crate::{Activity, BURST_MAX, LOOK_AGAIN_NS};

/// Errands, and returns, under way from one lane to another at most: what there is no room for waits where it is.
const ROOM: usize = 16 * BURST_MAX;

/// A command for another lane.
#[derive(Clone, Copy)]
struct Errand {
    entry: SubmissionQueueEntry,
    command: CommandRef,
    progress: Progress,
    /// It is the first that its queue holds.
    is_first: bool,
}

/// What became of errands.
#[derive(Clone, Copy)]
struct Return {
    sqid: u16,
    /// So many were taken on.
    taken: u16,
    /// What the next one waits for; those behind it have been forgotten.
    wait: Option<Wait>,
}

/// Both ways between two lanes.
pub(super) struct Correspondence {
    errands_out: Producer<Errand>,
    errands_in: Consumer<Errand>,
    returns_out: Producer<Return>,
    returns_in: Consumer<Return>,
    /// An errand of the other's had to wait, and so have those that came with it.
    is_refusing: bool,
}

impl Correspondence {
    fn pair() -> Result<[Self; 2], SetupError> {
        let ((to_second, from_first), (to_first, from_second)) = (ring(ROOM)?, ring(ROOM)?);
        let ((back_to_second, back_from_first), (back_to_first, back_from_second)) =
            (ring(ROOM)?, ring(ROOM)?);
        Ok([
            Self {
                errands_out: to_second,
                errands_in: from_second,
                returns_out: back_to_second,
                returns_in: back_from_second,
                is_refusing: false,
            },
            Self {
                errands_out: to_first,
                errands_in: from_first,
                returns_out: back_to_first,
                returns_in: back_from_first,
                is_refusing: false,
            },
        ])
    }

    /// The other's next errand that is not behind one that has to wait. Those of a queue come one after the other.
    fn next_errand(&mut self) -> Option<Errand> {
        loop {
            let errand = self.errands_in.pop()?;
            self.is_refusing &= !errand.is_first;
            if !self.is_refusing {
                return Some(errand);
            }
        }
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
    /// Sends copies of the commands that queue `sqid` holds to lane `other`, as far as they are for it; what the queue's turn was.
    pub(super) fn send_away(&mut self, sqid: u16, other: usize) -> Turn {
        let Some(Some(queue)) = self.submission_queues.get(usize::from(sqid)) else {
            return Turn::Idle;
        };
        let (held, cqid) = (&queue.held, queue.cqid);
        let for_other = held
            .iter()
            .take_while(|entry| self.way_of(entry) == Way::Lane(other))
            .count();
        let first = held.first().map(|(_, wait)| wait.progress);
        let progress = first.into_iter().chain(iter::repeat(Progress::None));
        let errands = held.iter().zip(progress).enumerate().take(for_other);
        let errands = errands.map(|(index, (entry, progress))| Errand {
            entry: *entry,
            command: CommandRef::of(entry, sqid, cqid),
            progress,
            is_first: index == 0,
        });
        let correspondence = self.others.get_mut(other).and_then(Option::as_mut);
        let sent = correspondence.map_or(0, |other| other.errands_out.push_all(errands));
        if let Some(queue) = self.submission_queue(sqid) {
            queue.held.send(sent);
        }
        Turn::Fetched
    }

    /// Sees to what other lanes have sent.
    pub(super) fn serve_others<H: Host>(&mut self, now_ns: u64, host: &H, activity: &mut Activity) {
        for other in 0..self.others.len() {
            activity.progressed |= self.take_returns(other);
            activity.progressed |= self.run_errands(other, now_ns, host);
        }
    }

    fn correspondence(&mut self, other: usize) -> Option<&mut Correspondence> {
        self.others.get_mut(other)?.as_mut()
    }

    /// Does what lane `other` has sent, a burst at most; whether there was something.
    fn run_errands<H: Host>(&mut self, other: usize, now_ns: u64, host: &H) -> bool {
        let count = self.anticipate_errands(other);
        let mut answer: Option<Return> = None;
        for _ in 0..count {
            let Some(errand) = self.correspondence(other).and_then(Correspondence::next_errand) else {
                break;
            };
            let sqid = errand.command.sqid;
            if answer.is_some_and(|answer| answer.sqid != sqid) {
                self.answer(other, answer.take());
            }
            let result = self.run_errand(&errand, now_ns, host);
            let answer = answer.get_or_insert(Return {
                sqid,
                taken: 0,
                wait: None,
            });
            match result {
                Ok(()) => answer.taken += 1,
                Err(wait) => {
                    answer.wait = Some(wait);
                    if let Some(other) = self.correspondence(other) {
                        other.is_refusing = true;
                    }
                }
            }
        }
        self.answer(other, answer);
        count > 0
    }

    /// How many of lane `other`'s errands are to be done now; the models may look at what these need.
    fn anticipate_errands(&mut self, other: usize) -> usize {
        let Some(Some(other)) = self.others.get_mut(other) else {
            return 0;
        };
        let waiting = other.errands_in.count().min(BURST_MAX);
        if waiting == 0 {
            return 0;
        }
        let count = waiting.min(other.returns_out.free());
        if count > 1 {
            for index in 0..count {
                other
                    .errands_in
                    .peek(index, |errand| self.io.anticipate(iter::once(&errand.entry)));
            }
        }
        count
    }

    fn run_errand<H: Host>(&mut self, errand: &Errand, now_ns: u64, host: &H) -> Result<(), Wait> {
        let Errand {
            entry,
            command,
            progress,
            is_first: _,
        } = errand;
        if !self.has_worker_room(command.cqid) || !self.notes.has_room() {
            return Err(Wait {
                retry_at_ns: now_ns.saturating_add(LOOK_AGAIN_NS),
                progress: *progress,
            });
        }
        self.start_io(entry, *command, *progress, now_ns, host)
    }

    fn answer(&mut self, other: usize, answer: Option<Return>) {
        let Some(answer) = answer else { return };
        let sent = self
            .correspondence(other)
            .map(|other| other.returns_out.push(answer));
        debug_assert!(matches!(sent, Some(Ok(()))), "room was looked for");
    }

    /// Takes what lane `other` has answered; whether it has.
    fn take_returns(&mut self, other: usize) -> bool {
        let mut has_some = false;
        while let Some(returned) = self
            .correspondence(other)
            .and_then(|other| other.returns_in.pop())
        {
            has_some = true;
            self.take_return(&returned);
        }
        has_some
    }

    fn take_return(&mut self, returned: &Return) {
        let Some(queue) = self.submission_queue(returned.sqid) else {
            return;
        };
        queue.held.take_first(returned.taken.into());
        if let Some(wait) = returned.wait {
            queue.held.wait_for(wait);
            queue.held.call_back();
        }
        let is_busy = queue.is_busy();
        self.doorbells.set_busy(returned.sqid, is_busy);
        self.shared.statistics().queue(returned.sqid).turn_over();
    }

    /// The lanes are with the controller: nothing is away any more. What others have not looked at is forgotten by them in
    /// [`Lane::forget_errands`].
    pub(super) fn end_errands(&mut self) {
        for other in 0..self.others.len() {
            self.take_returns(other);
        }
        for queue in self.submission_queues.iter_mut().flatten() {
            queue.held.call_back();
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
