//! The write buffer: what a write takes, and when it is given back (MODELS.md §3).

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use nvme_spec::Status;
use ssd_profile::{WriteBufferParameters, WriteBufferPolicy};

use crate::table::{room, table};
use crate::{Refusal, SetupError};

/// Unit of mapping: what is programmed is whole pages of it.
const PAGE_BYTES: u32 = 4096;

/// Releases that may be outstanding. A buffer that is released as it was taken has far fewer; Q1 could pile them up without end.
const RELEASES_MAX: usize = 8192;

/// How a write takes space, to be chosen by a profile. Each policy counts in bytes.
pub trait BufferPolicy {
    /// What a write of `len_bytes`, more than 0, at `offset_bytes` takes in all.
    fn taken_bytes(&self, offset_bytes: u64, len_bytes: u32) -> u64;

    /// What the page whose first byte is at `page_offset_bytes` gives back, of what that write took, when it is on flash.
    fn given_back_bytes(&self, page_offset_bytes: u64, offset_bytes: u64, len_bytes: u32) -> u32;
}

/// A write takes its length.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// Q1: a page gives back 4096 bytes even if the write took less for it, so the free space grows beyond the buffer.
    pub gives_back_whole_pages: bool,
}

impl BufferPolicy for Bytes {
    fn taken_bytes(&self, _: u64, len_bytes: u32) -> u64 {
        len_bytes.into()
    }

    fn given_back_bytes(&self, page_offset_bytes: u64, offset_bytes: u64, len_bytes: u32) -> u32 {
        if self.gives_back_whole_pages {
            return PAGE_BYTES;
        }
        let end = offset_bytes + u64::from(len_bytes);
        let page_end = page_offset_bytes + u64::from(PAGE_BYTES);
        (end.min(page_end) - offset_bytes.max(page_offset_bytes)) as u32
    }
}

/// A write takes a slot for each page that it touches.
#[derive(Clone, Copy, Debug)]
pub struct Pages;

impl BufferPolicy for Pages {
    fn taken_bytes(&self, offset_bytes: u64, len_bytes: u32) -> u64 {
        let page = u64::from(PAGE_BYTES);
        let pages = (offset_bytes % page + u64::from(len_bytes)).div_ceil(page);
        pages * page
    }

    fn given_back_bytes(&self, _: u64, _: u64, _: u32) -> u32 {
        PAGE_BYTES
    }
}

/// A policy of any kind.
#[derive(Clone, Copy, Debug)]
enum AnyPolicy {
    Bytes(Bytes),
    Pages(Pages),
}

/// A release: when, of which pool, and how many bytes.
type Release = Reverse<(u64, u32, u32)>;

/// The buffer: all-or-nothing space for writes, given back at scheduled times. It can be several pools of the same size, each with writes of
/// its own.
#[derive(Clone, Debug)]
pub struct WriteBuffer {
    policy: AnyPolicy,
    size_bytes: u64,
    /// What is free in each pool.
    free_bytes: Vec<u64>,
    /// What will be given back.
    releases: BinaryHeap<Release>,
    /// How many there is room for.
    releases_max: usize,
    stalls: u64,
}

/// What a write is told for which there is no room: to try again when the next release is due.
pub(crate) fn no_room(retry_at_ns: Option<u64>) -> Refusal {
    match retry_at_ns {
        Some(retry_at_ns) => Refusal::Busy { retry_at_ns },
        // A checked profile's buffer has room for every transfer; an unchecked one's command must not wait for ever.
        None => Refusal::Failed(Status::INTERNAL_ERROR),
    }
}

impl WriteBuffer {
    /// An empty buffer of one pool.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(parameters: &WriteBufferParameters, reference_quirks: bool) -> Result<Self, SetupError> {
        let policy = match parameters.policy {
            WriteBufferPolicy::Bytes => AnyPolicy::Bytes(Bytes {
                gives_back_whole_pages: reference_quirks,
            }),
            WriteBufferPolicy::Pages => AnyPolicy::Pages(Pages),
        };
        Self::with_policy(policy, parameters.size_bytes, 1)
    }

    /// Empty pools of `size_bytes` each, of which writes take their length.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn with_pools(size_bytes: u32, pools: u32) -> Result<Self, SetupError> {
        let policy = Bytes {
            gives_back_whole_pages: false,
        };
        Self::with_policy(AnyPolicy::Bytes(policy), size_bytes, pools)
    }

    fn with_policy(policy: AnyPolicy, size_bytes: u32, pools: u32) -> Result<Self, SetupError> {
        // One write cannot schedule more releases than it has pages, and has at most the buffer's size.
        let pages_max = (size_bytes / PAGE_BYTES) as usize + 2;
        Ok(Self {
            policy,
            size_bytes: size_bytes.into(),
            free_bytes: table(pools as usize, size_bytes.into())?,
            releases: room(RELEASES_MAX + pages_max)?.into(),
            releases_max: RELEASES_MAX + pages_max,
            stalls: 0,
        })
    }

    fn policy(&self) -> &dyn BufferPolicy {
        match &self.policy {
            AnyPolicy::Bytes(policy) => policy,
            AnyPolicy::Pages(policy) => policy,
        }
    }

    /// Takes the space for a write from the first pool, as the policy has it.
    ///
    /// # Errors
    /// As [`WriteBuffer::has_room`].
    #[inline]
    pub fn take(&mut self, now_ns: u64, offset_bytes: u64, len_bytes: u32) -> Result<(), Option<u64>> {
        let taken_bytes = self.policy().taken_bytes(offset_bytes, len_bytes);
        self.has_room(now_ns, 0, taken_bytes)?;
        self.take_bytes(0, taken_bytes);
        Ok(())
    }

    /// Whether `pool` has `bytes` at `now_ns`, which [`WriteBuffer::take_bytes`] can then take.
    ///
    /// # Errors
    /// If it has not: the time of the next release, later than `now_ns`; or `None` if no wait will help.
    #[inline]
    pub fn has_room(&mut self, now_ns: u64, pool: u32, bytes: u64) -> Result<(), Option<u64>> {
        self.settle(now_ns);
        let free_bytes = self.free_bytes.get(pool as usize).copied().unwrap_or(0);
        if bytes > free_bytes || self.releases.len() > RELEASES_MAX {
            self.stalls += 1;
            return Err(self.releases.peek().map(|Reverse((time_ns, ..))| *time_ns));
        }
        Ok(())
    }

    /// Takes `bytes`, which are free, from `pool`.
    #[inline]
    pub fn take_bytes(&mut self, pool: u32, bytes: u64) {
        if let Some(free_bytes) = self.free_bytes.get_mut(pool as usize) {
            *free_bytes -= bytes;
        }
    }

    /// What a page of a write gives back, see [`BufferPolicy::given_back_bytes`].
    #[inline]
    pub fn given_back_bytes(&self, page_offset_bytes: u64, offset_bytes: u64, len_bytes: u32) -> u32 {
        self.policy()
            .given_back_bytes(page_offset_bytes, offset_bytes, len_bytes)
    }

    /// Gives `bytes` of `pool` back at `time_ns`.
    #[inline]
    pub fn release_at(&mut self, time_ns: u64, pool: u32, bytes: u32) {
        // There is room: `has_room` leaves enough for every page of the write that it let in.
        if self.releases.len() < self.releases_max {
            self.releases.push(Reverse((time_ns, pool, bytes)));
        } else {
            self.give_back(pool, bytes);
        }
    }

    fn give_back(&mut self, pool: u32, bytes: u32) {
        if let Some(free_bytes) = self.free_bytes.get_mut(pool as usize) {
            *free_bytes += u64::from(bytes);
        }
    }

    /// Bytes taken now.
    pub fn used_bytes(&self) -> u64 {
        let used = |free_bytes: &u64| self.size_bytes.saturating_sub(*free_bytes);
        self.free_bytes.iter().map(used).sum()
    }

    /// Bytes that are scheduled to be given back.
    #[cfg(test)]
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.releases
            .iter()
            .map(|Reverse((_, _, bytes))| u64::from(*bytes))
            .sum()
    }

    /// A pool's size: the longest write that it can ever take.
    pub fn pool_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The size of all pools.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes * self.free_bytes.len() as u64
    }

    /// Writes refused since the last reset.
    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    /// Counts anew.
    pub fn reset_statistics(&mut self) {
        self.stalls = 0;
    }

    /// Bytes of the tables.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        (self.releases_max * size_of::<Release>() + size_of_val(self.free_bytes.as_slice())) as u64
    }

    /// Gives back what is due.
    #[inline]
    fn settle(&mut self, now_ns: u64) {
        while let Some(Reverse((time_ns, pool, bytes))) = self.releases.peek().copied() {
            if time_ns > now_ns {
                break;
            }
            self.releases.pop();
            self.give_back(pool, bytes);
        }
    }
}
