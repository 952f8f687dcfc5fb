//! Messages between the controller and the workers.

use nvme_spec::{Status, SubmissionQueueEntry};

use crate::data_pointer::DataPointer;
use crate::host::DataCopy;
use crate::zoned::ZoneMove;

/// Which way a command moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    None,
    ToHost,
    FromHost,
    /// No data of the host: the medium is filled with zeros.
    Zeros,
    /// The host's data is compared with the medium's.
    Compare,
    /// What was gathered of the medium goes to another place of it.
    Gathered,
}

impl Direction {
    /// Of what is copied between the host and the medium, whether it goes to the host; nothing if there is no such copy.
    pub fn is_to_host(self) -> Option<bool> {
        match self {
            Self::ToHost => Some(true),
            Self::FromHost => Some(false),
            Self::None | Self::Zeros | Self::Compare | Self::Gathered => None,
        }
    }
}

/// A stretch of a transfer: `data_bytes` on the medium, then zeros up to `len_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub media_offset: u64,
    pub data_bytes: u32,
    pub len_bytes: u32,
}

/// Where the bytes of a transfer are, in order. Two stretches, because a read may go across the boundary of two zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents(pub [Extent; 2]);

/// A part of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    OnMedium { media_offset: u64, len: usize },
    Zeros { len: usize },
}

impl Extents {
    pub const NONE: Self = Self(
        [Extent {
            media_offset: 0,
            data_bytes: 0,
            len_bytes: 0,
        }; 2],
    );

    /// All of it on the medium, in one stretch.
    pub fn whole(media_offset: u64, len_bytes: u32) -> Self {
        let extent = Extent {
            media_offset,
            data_bytes: len_bytes,
            len_bytes,
        };
        Self([extent, Extent::default()])
    }

    /// Calls `each` for the parts that make up the transfer's bytes from `offset` to `offset + len`, in order, with where each begins in that range.
    pub fn for_each_part<E>(
        &self,
        offset: usize,
        len: usize,
        mut each: impl FnMut(usize, Part) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = offset + len;
        let mut extent_start = 0;
        for extent in &self.0 {
            let data_end = extent_start + extent.data_bytes as usize;
            let extent_end = extent_start + extent.len_bytes as usize;
            let data = offset.max(extent_start)..end.min(data_end);
            if !data.is_empty() {
                let part = Part::OnMedium {
                    media_offset: extent.media_offset + (data.start - extent_start) as u64,
                    len: data.len(),
                };
                each(data.start - offset, part)?;
            }
            let zeros = offset.max(data_end)..end.min(extent_end);
            if !zeros.is_empty() {
                each(zeros.start - offset, Part::Zeros { len: zeros.len() })?;
            }
            extent_start = extent_end;
        }
        Ok(())
    }
}

/// The data movement of a command: `len_bytes` between the host's pages and the medium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub direction: Direction,
    pub pointer: DataPointer,
    pub extents: Extents,
    pub len_bytes: u32,
    /// For what is written to a zone: the controller may be waiting for the end of it.
    pub zone: Option<ZoneMove>,
    /// If it fails, the medium is filled with zeros instead: what is there is not to be seen.
    pub clears_on_failure: bool,
}

impl Transfer {
    pub const NONE: Self = Self {
        direction: Direction::None,
        pointer: DataPointer::NONE,
        extents: Extents::NONE,
        len_bytes: 0,
        zone: None,
        clears_on_failure: false,
    };

    /// What the copy begins with, up to `len_bytes_max`; nothing if the CPU copies nothing between host and medium there.
    pub fn beginning(&self, len_bytes_max: u32) -> Option<DataCopy> {
        let is_to_host = self.direction.is_to_host()?;
        let [first, _] = &self.extents.0;
        let len_bytes = first.data_bytes.min(len_bytes_max);
        (len_bytes > 0).then_some(DataCopy {
            is_to_host,
            address: self.pointer.first_address()?,
            media_offset: first.media_offset,
            len_bytes: len_bytes as usize,
        })
    }
}

/// A part of the medium that is to be filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zeroing {
    pub media_offset: u64,
    pub len_bytes: u32,
    /// See [`Transfer::zone`].
    pub zone: Option<ZoneMove>,
}

/// A part of the medium that is to be filled with a pattern: zeros, if that is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filling {
    pub media_offset: u64,
    pub len_bytes: u32,
    pub pattern: u32,
}

/// Names a fetched command until it is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandRef {
    pub sqid: u16,
    pub cqid: u16,
    pub cid: u16,
}

impl CommandRef {
    /// The command of this entry, which was in queue `sqid`.
    #[inline]
    pub fn of(entry: &SubmissionQueueEntry, sqid: u16, cqid: u16) -> Self {
        Self {
            sqid,
            cqid,
            cid: entry.cid.get(),
        }
    }
}

/// A fetched command on its way to its completion. Room for the completion is already reserved in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub command: CommandRef,
    pub status: Status,
    pub result: u64,
    pub done_at_ns: u64,
    /// Whether a model gave that time, so that the completion can be late: not for an admin command, nor for one that is over at once.
    pub is_timed: bool,
    pub transfer: Transfer,
    /// For the error log.
    pub nsid: u32,
    pub lba: u64,
}

impl Job {
    /// A command that is over at once, without data.
    pub fn immediate(command: CommandRef, now_ns: u64, status: Status, result: u64) -> Self {
        Self {
            command,
            status,
            result,
            done_at_ns: now_ns,
            is_timed: false,
            transfer: Transfer::NONE,
            nsid: 0,
            lba: 0,
        }
    }

    /// When the command is over that fails with `status` as its data is moved, at `now_ns`. What was compared has been read, which takes its time;
    /// data that does not arrive takes none.
    pub fn failed_at_ns(&self, status: Status, now_ns: u64) -> u64 {
        if status == Status::COMPARE_FAILURE {
            self.done_at_ns
        } else {
            now_ns
        }
    }
}

/// Number of a request from the controller to a worker, returned in the answer.
pub(crate) type Ticket = u32;

/// What the controller tells a worker, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkItem {
    /// Move the data, wait, post the completion.
    Job(Job),
    /// Fill a part of the medium with zeros; the command that wants it follows.
    Zero(Zeroing),
    /// Fill a part of the medium, for no command.
    Fill(Filling),
    /// Gather a part of what the Copy that follows writes.
    Gather { extents: Extents, len_bytes: u32 },
    /// From now on this completion queue is there.
    CreateCq {
        cqid: u16,
        base: u64,
        entries: u16,
        vector: Option<u16>,
    },
    /// The completion queue is gone; nothing is outstanding on it.
    DeleteCq { cqid: u16 },
    /// Complete every outstanding command of this submission queue now, as aborted, and answer.
    AbortQueue { sqid: u16, ticket: Ticket },
    /// Complete this command now, as aborted, if it is outstanding, and answer whether it was.
    AbortCommand { sqid: u16, cid: u16, ticket: Ticket },
    /// Answer: what came before has been moved then.
    Answer { ticket: Ticket },
    /// Forget all queues and commands, and answer.
    Reset { ticket: Ticket },
}

/// What a worker tells the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
    /// The answer to a ticket; `found` tells whether an AbortCommand found its command.
    Done { ticket: Ticket, found: bool },
    /// A command failed while its data was moved.
    Failed {
        command: CommandRef,
        status: Status,
        nsid: u32,
        lba: u64,
    },
    /// A completion could not be written: the completion queue is not in memory.
    QueueUnreachable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn beginning(direction: Direction, data_bytes: u32) -> Option<(bool, u64, usize)> {
        let transfer = Transfer {
            direction,
            extents: Extents::whole(7 << 12, data_bytes),
            len_bytes: 4096,
            ..Transfer::NONE
        };
        let copy = transfer.beginning(512)?;
        Some((copy.is_to_host, copy.media_offset, copy.len_bytes))
    }

    #[test]
    fn a_copy_begins_with_what_is_on_the_medium_and_not_more_than_is_asked_for() {
        assert_eq!(beginning(Direction::ToHost, 4096), Some((true, 7 << 12, 512)));
        assert_eq!(beginning(Direction::FromHost, 100), Some((false, 7 << 12, 100)));
        assert_eq!(beginning(Direction::ToHost, 0), None);
        assert_eq!(beginning(Direction::Compare, 4096), None);
    }

    #[test]
    fn a_range_of_a_transfer_is_cut_where_data_ends_and_zones_meet() {
        let extents = Extents([
            Extent {
                media_offset: 1000,
                data_bytes: 10,
                len_bytes: 30,
            },
            Extent {
                media_offset: 5000,
                data_bytes: 20,
                len_bytes: 25,
            },
        ]);
        let parts = |offset, len| {
            let mut parts = Vec::new();
            let done: Result<(), ()> = extents.for_each_part(offset, len, |at, part| {
                parts.push((at, part));
                Ok(())
            });
            done.unwrap();
            parts
        };
        let medium = |media_offset, len| Part::OnMedium { media_offset, len };
        let zeros = |len| Part::Zeros { len };
        let all = [
            (0, medium(1000, 10)),
            (10, zeros(20)),
            (30, medium(5000, 20)),
            (50, zeros(5)),
        ];
        assert_eq!(parts(0, 55), all);
        assert_eq!(parts(5, 10), [(0, medium(1005, 5)), (5, zeros(5))]);
        assert_eq!(parts(35, 5), [(0, medium(5005, 5))]);
        assert_eq!(parts(20, 0), []);
    }
}
