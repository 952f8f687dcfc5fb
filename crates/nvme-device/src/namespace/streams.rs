//! Streams (NVMe Base 2.0 §8.7.3): which are open. Where the data goes does not depend on them.
//!
//! A stream opens when it is written to. Namespaces share what streams there can be, but for those that one has been given for itself. Where there is no
//! room for another stream, the one that was written to longest ago is closed.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use nvme_spec::{Cdw12ReadWrite, Cdw13Write, DirectiveType, Status, SubmissionQueueEntry};

use crate::setup::SetupError;

/// MSL.
pub(crate) const STREAMS_MAX: u16 = 64;

/// What a namespace has of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamShare {
    /// The directive is enabled.
    pub is_enabled: bool,
    /// NSA: streams that no other namespace can have.
    allocated: u16,
}

impl StreamShare {
    /// The stream that a command writes to, if it does.
    ///
    /// # Errors
    /// If it has another directive, or this one is not enabled.
    #[inline]
    pub fn written(self, entry: &SubmissionQueueEntry) -> Result<Option<NonZeroU16>, Status> {
        match directive(entry) {
            DirectiveType::IDENTIFY => Ok(None),
            // Identifier 0 stands for no stream.
            DirectiveType::STREAMS if self.is_enabled => Ok(NonZeroU16::new(
                Cdw13Write(entry.cdw13.get()).directive_specific(),
            )),
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        }
    }

    pub fn allocated(self) -> u16 {
        self.allocated
    }
}

/// DTYPE of a command that writes (NVM CS 1.0 figures 25, 61, 66 and 71, ZNS 1.1 figure 25).
#[inline]
pub(crate) fn directive(entry: &SubmissionQueueEntry) -> DirectiveType {
    Cdw12ReadWrite(entry.cdw12.get()).directive()
}

/// An open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    nsid: u32,
    id: NonZeroU16,
    /// Not one of those that namespaces share.
    is_exclusive: bool,
}

/// The streams of all namespaces.
pub(crate) struct Streams {
    /// The one written to longest ago first. Has room for [`STREAMS_MAX`].
    open: Vec<Stream>,
    /// NSSA: how many namespaces share.
    available: u16,
}

impl Streams {
    pub fn new() -> Result<Self, SetupError> {
        let mut open = Vec::new();
        open.try_reserve_exact(STREAMS_MAX.into())?;
        Ok(Self {
            open,
            available: STREAMS_MAX,
        })
    }

    /// A controller level reset: namespaces have no streams, and no directive enabled.
    pub fn reset(&mut self) {
        self.open.clear();
        self.available = STREAMS_MAX;
    }

    /// All streams are closed; namespaces keep what they have for themselves.
    pub fn close_all(&mut self) {
        self.open.clear();
    }

    /// How many there are that no namespace has for itself.
    pub fn available(&self) -> u16 {
        self.available
    }

    /// How many are open.
    pub fn open(&self) -> u16 {
        self.open.len() as u16
    }

    /// Identifiers of those that a namespace has open, the one written to longest ago first.
    pub fn open_of(&self, nsid: u32) -> impl Iterator<Item = u16> + '_ {
        let streams = self.open.iter().filter(move |stream| stream.nsid == nsid);
        streams.map(|stream| stream.id.get())
    }

    /// A stream is written to, and opens if it is not open.
    pub fn write(&mut self, nsid: u32, share: StreamShare, id: NonZeroU16) {
        self.close(nsid, id);
        let is_exclusive = share.allocated > 0;
        let room = if is_exclusive {
            share.allocated
        } else {
            self.available
        };
        let Some(others_max) = room.checked_sub(1) else {
            // Other namespaces have all streams for themselves: the data is that of none.
            return;
        };
        let is_alike =
            |stream: &Stream| stream.is_exclusive == is_exclusive && (stream.nsid == nsid || !is_exclusive);
        self.close_oldest_beyond(others_max, is_alike);
        self.open.push(Stream {
            nsid,
            id,
            is_exclusive,
        });
    }

    /// Closes a stream, if it is open.
    pub fn close(&mut self, nsid: u32, id: NonZeroU16) {
        self.open.retain(|stream| (stream.nsid, stream.id) != (nsid, id));
    }

    /// Gives a namespace `wanted` streams for itself, or what there are.
    ///
    /// # Errors
    /// If it has some, wants none, or there are none; nothing has changed then.
    pub fn allocate(&mut self, nsid: u32, share: &mut StreamShare, wanted: u16) -> Result<u16, Status> {
        if share.allocated > 0 || wanted == 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let allocated = wanted.min(self.available);
        if allocated == 0 {
            return Err(Status::STREAM_RESOURCE_ALLOCATION_FAILED);
        }
        self.move_to(nsid, share, allocated);
        Ok(allocated)
    }

    /// Takes the streams back that a namespace has for itself.
    pub fn release(&mut self, nsid: u32, share: &mut StreamShare) {
        self.move_to(nsid, share, 0);
    }

    /// Enables or disables the directive for a namespace. Disabled, it has no streams.
    pub fn enable(&mut self, nsid: u32, share: &mut StreamShare, is_enabled: bool) {
        if !is_enabled {
            self.open.retain(|stream| stream.nsid != nsid);
            self.release(nsid, share);
        }
        share.is_enabled = is_enabled;
    }

    fn move_to(&mut self, nsid: u32, share: &mut StreamShare, allocated: u16) {
        self.available = self.available + share.allocated - allocated;
        share.allocated = allocated;
        let is_exclusive = allocated > 0;
        for stream in self.open.iter_mut().filter(|stream| stream.nsid == nsid) {
            stream.is_exclusive = is_exclusive;
        }
        self.close_oldest_beyond(self.available, |stream| !stream.is_exclusive);
        if is_exclusive {
            self.close_oldest_beyond(allocated, |stream| stream.nsid == nsid);
        }
    }

    /// Leaves no more than `streams_max` of those for which `is_meant` holds: those written to last.
    fn close_oldest_beyond(&mut self, streams_max: u16, is_meant: impl Fn(&Stream) -> bool) {
        let count = self.open.iter().filter(|stream| is_meant(stream)).count();
        let mut surplus = count.saturating_sub(streams_max.into());
        self.open.retain(|stream| {
            let goes = surplus > 0 && is_meant(stream);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn id(id: u16) -> NonZeroU16 {
        NonZeroU16::new(id).unwrap()
    }

    fn open_of(streams: &Streams, nsid: u32) -> Vec<u16> {
        streams.open_of(nsid).collect()
    }

    #[test]
    fn the_stream_written_to_longest_ago_gives_way_among_those_that_share() {
        let mut streams = Streams::new().unwrap();
        let mut share = StreamShare::default();
        let other = StreamShare::default();
        assert_eq!(streams.allocate(1, &mut share, 62), Ok(62));
        // Two are left for namespaces 2 and 3.
        streams.write(2, other, id(7));
        streams.write(3, other, id(7));
        streams.write(2, other, id(7));
        streams.write(2, other, id(8));
        assert_eq!((open_of(&streams, 2), open_of(&streams, 3)), (vec![7, 8], vec![]));
        for stream in 1..=63 {
            streams.write(1, share, id(stream));
        }
        assert_eq!(open_of(&streams, 1), (2..=63).collect::<Vec<u16>>());
        assert_eq!(streams.open(), 64);
        // Back to what all share: the oldest of all of them go, if there are too many.
        streams.release(1, &mut share);
        assert_eq!(
            (share.allocated(), streams.available(), streams.open()),
            (0, 64, 64)
        );
        streams.write(3, other, id(1));
        assert_eq!((open_of(&streams, 2), streams.open()), (vec![8], 64));
    }

    #[test]
    fn a_namespace_with_too_many_for_what_it_is_given_closes_some() {
        let mut streams = Streams::new().unwrap();
        let (mut one, mut two) = (StreamShare::default(), StreamShare::default());
        for stream in 1..=10 {
            streams.write(1, one, id(stream));
            streams.write(2, two, id(stream));
        }
        assert_eq!(streams.allocate(1, &mut one, 3), Ok(3));
        assert_eq!(open_of(&streams, 1), [8, 9, 10]);
        assert_eq!(open_of(&streams, 2).len(), 10);
        assert_eq!(
            streams.allocate(1, &mut one, 3),
            Err(Status::INVALID_FIELD_IN_COMMAND)
        );
        assert_eq!(
            streams.allocate(2, &mut two, 0),
            Err(Status::INVALID_FIELD_IN_COMMAND)
        );
        assert_eq!(streams.allocate(2, &mut two, 0xFFFF), Ok(61));
        let mut three = StreamShare::default();
        assert_eq!(
            streams.allocate(3, &mut three, 1),
            Err(Status::STREAM_RESOURCE_ALLOCATION_FAILED)
        );
        streams.write(3, three, id(1));
        assert_eq!(open_of(&streams, 3), [] as [u16; 0]);
        streams.enable(2, &mut two, false);
        assert_eq!(
            (two, streams.available(), streams.open()),
            (StreamShare::default(), 61, 3)
        );
    }
}
