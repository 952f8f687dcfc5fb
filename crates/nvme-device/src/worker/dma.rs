//! Data that a DMA engine moves while the worker goes on.
//!
//! A command whose data is long enough is given to the engine piece by piece; what the engine declines, the CPU copies at once. The completion goes on
//! the schedule when all of it is there. If a copy fails, or does not come to an end, the CPU moves the command's data again from the beginning, with
//! all checks anew, so that a host sees no difference.
//!
//! What keeps the order that a host can see, and that of a worker which moves everything at once:
//! - A read or a write of what a command under way writes, or a write of what one reads, waits.
//! - Whatever is not a read or a write, or a command without data, waits until nothing is under way: then all that came before it has been moved.
//!   So a reset is answered when nothing can reach the host's memory any more; for that, and when memory goes out of reach, copies are abandoned.
//! - Only the oldest command is looked at, and commands end in their order.

use alloc::collections::{TryReserveError, VecDeque};
use core::ops::Range;

use nvme_spec::Status;

use crate::command::job::Job;
use crate::command::transfer::{Direction, Extents, Part, Transfer};
use crate::command::work::WorkItem;
use crate::host::{CopyBatch, CopyState, DataCopy, Host, MemoryFault};
use crate::limits::LOOK_AGAIN_NS;
use crate::shared::Shared;
use crate::worker::receiver::WorkReceiver;
use crate::worker::transfer::transfer_data;

/// Commands of a worker whose data engines move at a time; further ones are the CPU's.
pub const COPY_BATCHES_MAX: usize = 64;

/// Less data than this is the CPU's: giving it to an engine would take as long as copying it. The same limit as Linux had for what its TCP gave to
/// I/OAT engines (net_dma's `tcp_dma_copybreak`).
const LEN_BYTES_MIN: u32 = 4096;

/// If for so long no command comes to its end, none will, ns. What waits behind others may take longer.
const TIMEOUT_NS: u64 = 1_000_000_000;

/// A command whose data is on its way.
struct UnderWay {
    job: Job,
    /// The worker's source that it came through.
    source: usize,
    /// Nothing of it is under way any more.
    is_over: bool,
    /// A copy failed, or a piece could be copied neither by the engine nor by the CPU.
    has_failed: bool,
}

/// What became of giving a command to the engine.
pub(crate) enum Begun {
    /// Nothing was done.
    Not,
    /// The engine declined all of it, and the CPU has moved it.
    Moved,
    /// Its completion comes when its data is there.
    UnderWay,
}

/// A command whose copies are over, and whose completion can go on the schedule.
pub(crate) struct Ended {
    pub job: Job,
    /// The worker's source that it came through.
    pub source: usize,
    /// Whether its data was moved.
    pub transferred: Result<(), Status>,
}

/// What is under way. Never grows beyond what was allocated at set-up.
pub(crate) struct Copies {
    /// The worker whose copies these are.
    worker: usize,
    /// The oldest first.
    commands: VecDeque<UnderWay>,
    /// When a command came to its end, or the first one began, ns.
    progressed_at_ns: u64,
    /// The batch of the next command: they are used in turn.
    next_batch: usize,
    /// What waits for commands under way, and the source it came from; nothing is taken from a ring before it. At most one.
    held: VecDeque<(usize, WorkItem)>,
}

impl Copies {
    /// For worker number `worker`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(worker: usize) -> Result<Self, TryReserveError> {
        let (mut commands, mut held) = (VecDeque::new(), VecDeque::new());
        commands.try_reserve_exact(COPY_BATCHES_MAX)?;
        held.try_reserve_exact(1)?;
        Ok(Self {
            worker,
            commands,
            progressed_at_ns: 0,
            next_batch: 0,
            held,
        })
    }

    /// Time at which there may be something to do about copies under way.
    pub fn next_look_ns(&self, now_ns: u64) -> Option<u64> {
        (!self.commands.is_empty()).then_some(now_ns.saturating_add(LOOK_AGAIN_NS))
    }

    /// The batch of a command under way.
    fn batch_of(&self, index: usize) -> usize {
        let younger = self.commands.len().saturating_sub(index);
        (self.next_batch + COPY_BATCHES_MAX - younger) % COPY_BATCHES_MAX
    }

    fn has_to_wait(&self, item: &WorkItem) -> bool {
        let WorkItem::Job(job) = item else {
            return !self.commands.is_empty();
        };
        match job.transfer.direction {
            Direction::None => false,
            Direction::ToHost | Direction::FromHost => self
                .commands
                .iter()
                .any(|under_way| is_in_conflict(&under_way.job.transfer, &job.transfer)),
            Direction::Zeros | Direction::Compare | Direction::Gathered => !self.commands.is_empty(),
        }
    }

    /// The next item of `receiver` that can be taken now.
    #[inline]
    pub fn next_item(&mut self, receiver: &mut WorkReceiver) -> Option<WorkItem> {
        if self.commands.is_empty() && self.held.is_empty() {
            return receiver.next();
        }
        self.next_that_need_not_wait(receiver)
    }

    fn next_that_need_not_wait(&mut self, receiver: &mut WorkReceiver) -> Option<WorkItem> {
        let held = self.held.pop_front();
        let item = match held {
            Some((source, item)) => {
                receiver.set_source(source);
                item
            }
            None => receiver.next()?,
        };
        if self.has_to_wait(&item) {
            self.held.push_back((receiver.source(), item));
            return None;
        }
        Some(item)
    }

    /// Gives the data of `job` to the engine, if it is the engine's.
    #[inline]
    pub fn begin<H: Host>(
        &mut self,
        job: &Job,
        source: usize,
        now_ns: u64,
        shared: &Shared,
        host: &H,
    ) -> Begun {
        if !host.has_engine(self.worker) {
            return Begun::Not;
        }
        let transfer = &job.transfer;
        let Some(is_to_host) = transfer.direction.is_to_host() else {
            return Begun::Not;
        };
        let is_for_engine = transfer.len_bytes >= LEN_BYTES_MIN
            && is_wholly_on_medium(transfer)
            && self.commands.len() < COPY_BATCHES_MAX
            && !shared.is_resetting();
        if !is_for_engine {
            return Begun::Not;
        }
        let transfer = &job.transfer;
        let batch = CopyBatch {
            worker: self.worker,
            batch: self.next_batch,
        };
        let mut is_under_way = false;
        let begun = begin_pieces(transfer, is_to_host, batch, &mut is_under_way, shared, host);
        match (is_under_way, begun) {
            (true, begun) => {
                host.issue_copies(self.worker);
                if self.commands.is_empty() {
                    self.progressed_at_ns = now_ns;
                }
                self.next_batch = (batch.batch + 1) % COPY_BATCHES_MAX;
                self.commands.push_back(UnderWay {
                    job: *job,
                    source,
                    is_over: false,
                    has_failed: begun.is_err(),
                });
                Begun::UnderWay
            }
            (false, Ok(())) => Begun::Moved,
            // Once more in the usual way, which knows what is owed to the medium.
            (false, Err(_)) => Begun::Not,
        }
    }

    /// Takes the oldest command out if its copies are over.
    #[inline]
    pub fn take_ended<H: Host>(&mut self, now_ns: u64, shared: &Shared, host: &H) -> Option<Ended> {
        if self.commands.is_empty() {
            return None;
        }
        self.take_oldest(now_ns, shared, host)
    }

    fn take_oldest<H: Host>(&mut self, now_ns: u64, shared: &Shared, host: &H) -> Option<Ended> {
        if !self.is_over(0, now_ns, host) {
            return None;
        }
        let UnderWay {
            job,
            source,
            has_failed,
            is_over: _,
        } = self.commands.pop_front()?;
        let transferred = match has_failed {
            true => self.move_again(&job.transfer, shared, host),
            false => Ok(()),
        };
        Some(Ended {
            job,
            source,
            transferred,
        })
    }

    fn move_again<H: Host>(&self, transfer: &Transfer, shared: &Shared, host: &H) -> Result<(), Status> {
        shared.copy_counts().add_failed(self.worker, transfer.len_bytes);
        transfer_data(transfer, host)
    }

    /// Ends what is under way, as far as the engine can: it must not touch the host's memory any more, or nobody wants to have it.
    pub fn abandon<H: Host>(&mut self, now_ns: u64, host: &H) {
        let is_any_under_way = self.commands.iter().any(|command| !command.is_over);
        if is_any_under_way {
            host.abandon_copies(self.worker);
            for index in 0..self.commands.len() {
                self.is_over(index, now_ns, host);
            }
        }
    }

    /// Whether there is a command under way of this index, and its copies are over. If they do not come to an end, the engine is taken away.
    fn is_over<H: Host>(&mut self, index: usize, now_ns: u64, host: &H) -> bool {
        let batch = CopyBatch {
            worker: self.worker,
            batch: self.batch_of(index),
        };
        let progressed_at_ns = self.progressed_at_ns;
        let Some(command) = self.commands.get_mut(index) else {
            return false;
        };
        if command.is_over {
            return true;
        }
        let mut state = host.copies_state(batch);
        // Only after a look: what is over, and was not looked at in time, is not late.
        if state == CopyState::UnderWay && now_ns.saturating_sub(progressed_at_ns) > TIMEOUT_NS {
            host.remove_engine(self.worker);
            state = match host.copies_state(batch) {
                CopyState::Done => CopyState::Done,
                CopyState::Failed | CopyState::UnderWay => CopyState::Failed,
            };
        }
        command.is_over = state != CopyState::UnderWay;
        command.has_failed |= state == CopyState::Failed;
        if command.is_over {
            self.progressed_at_ns = now_ns;
        }
        state != CopyState::UnderWay
    }
}

/// Whether one writes what the other one reads or writes.
fn is_in_conflict(one: &Transfer, other: &Transfer) -> bool {
    let writes = [one, other].map(|transfer| transfer.direction == Direction::FromHost);
    let overlaps = |a: Range<u64>| ranges(&other.extents).any(|b| a.start < b.end && b.start < a.end);
    writes != [false, false] && ranges(&one.extents).any(overlaps)
}

/// The parts of the medium.
fn ranges(extents: &Extents) -> impl Iterator<Item = Range<u64>> + '_ {
    let ranges = extents.0.iter().map(|extent| {
        let end = extent.media_offset.saturating_add(extent.data_bytes.into());
        extent.media_offset..end
    });
    ranges.filter(|range| !range.is_empty())
}

fn is_wholly_on_medium(transfer: &Transfer) -> bool {
    let extents = &transfer.extents.0;
    extents.iter().all(|extent| extent.data_bytes == extent.len_bytes)
}

/// Gives all pieces of a transfer to the engine or, where it declines, copies them.
fn begin_pieces<H: Host>(
    transfer: &Transfer,
    is_to_host: bool,
    batch: CopyBatch,
    is_under_way: &mut bool,
    shared: &Shared,
    host: &H,
) -> Result<(), Status> {
    let (role, len_bytes) = (transfer.direction.role(), transfer.len_bytes as usize);
    let each_piece = |address: u64, offset, len| {
        transfer
            .extents
            .for_each_part(offset, len, |at, part| match part {
                Part::OnMedium { media_offset, len } => {
                    let copy = DataCopy {
                        is_to_host,
                        address: address.wrapping_add(at as u64),
                        media_offset,
                        len_bytes: len,
                    };
                    begin_piece(copy, batch, is_under_way, shared, host)
                }
                Part::Zeros { .. } => Ok(()),
            })
    };
    transfer.pointer.for_each_piece(role, host, len_bytes, each_piece)
}

fn begin_piece<H: Host>(
    mut copy: DataCopy,
    batch: CopyBatch,
    is_under_way: &mut bool,
    shared: &Shared,
    host: &H,
) -> Result<(), MemoryFault> {
    let counts = shared.copy_counts();
    while copy.len_bytes > 0 {
        let begun_bytes = host.begin_copy(batch, &copy).min(copy.len_bytes);
        if begun_bytes == 0 {
            counts.add_declined(batch.worker, copy.len_bytes);
            return match copy.is_to_host {
                true => host.media_to_host(copy.media_offset, copy.address, copy.len_bytes),
                false => host.host_to_media(copy.address, copy.media_offset, copy.len_bytes),
            };
        }
        counts.add_copy(batch.worker, begun_bytes);
        *is_under_way = true;
        copy.address = copy.address.wrapping_add(begun_bytes as u64);
        copy.media_offset = copy.media_offset.wrapping_add(begun_bytes as u64);
        copy.len_bytes -= begun_bytes;
    }
    Ok(())
}
