//! What a command means for what its namespace has to give back.

use std::ops::Range;

use nvme_spec::SubmissionQueueEntry;
use nvmev_sim::host::Machine;

use super::content::Namespace;
use crate::pointer::{self, Broken, Walked};

/// Which way a command moves data, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// None.
    None,
    /// Bytes for the host.
    ToHost(usize),
    /// Bytes of the host.
    FromHost(usize),
    /// The oracle does not know.
    Unknown,
}

impl Transfer {
    /// Bytes, if they are known.
    pub fn len(self) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::ToHost(len) | Self::FromHost(len) => Some(len),
            Self::Unknown => None,
        }
    }
}

/// A part of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Area {
    /// LBAs.
    Lbas(Range<u64>),
    /// A key.
    Key(Vec<u8>),
    /// All keys.
    Pairs,
    /// All of it.
    All,
}

impl Area {
    /// Whether they have anything in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => true,
            (Self::Lbas(a), Self::Lbas(b)) => a.start < b.end && b.start < a.end,
            (Self::Lbas(_), _) | (_, Self::Lbas(_)) => false,
            (Self::Key(a), Self::Key(b)) => a == b,
            (Self::Pairs, _) | (_, Self::Pairs) => true,
        }
    }
}

/// What a command does if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing that the oracle keeps.
    Nothing,
    /// Nothing, and it is known when it must succeed: Flush.
    Flush,
    /// Returns what is in the LBAs.
    Read(Range<u64>),
    /// Only sees whether they can be read.
    Verify(Range<u64>),
    /// Compares the host's data with what is there.
    Compare(Range<u64>),
    /// Puts the host's data there.
    Write(Range<u64>),
    /// Puts zeros there.
    Zero(Range<u64>),
    /// Marks as unreadable.
    Spoil(Range<u64>),
    /// Puts zeros into all of these; nothing if it only gives hints. `None`: the list cannot be fetched.
    Deallocate(Option<Vec<Range<u64>>>),
    /// Copies. `None`: the list cannot be fetched, or is not understood.
    Copy(Option<(Vec<Range<u64>>, Range<u64>)>),
    /// Puts the host's data somewhere into this zone: where, the result says. So many LBAs.
    Append(Range<u64>, u64),
    /// Zones are empty afterwards.
    ResetZones(Range<u64>),
    /// From now on these LBAs may be anything: a random write area is there, or was.
    Loosen(Range<u64>),
    /// Puts the host's data under a key.
    Store(Vec<u8>),
    /// Puts the host's data behind what is there.
    AppendValue(Vec<u8>),
    /// Returns a value, all of it from its beginning if it is `plain`.
    Retrieve {
        /// The key.
        key: Vec<u8>,
        /// Bytes of the buffer.
        len: usize,
        /// Whether the oracle knows what it returns.
        is_plain: bool,
    },
    /// Whether a key is there.
    Exist(Vec<u8>),
    /// Removes a key.
    Delete(Vec<u8>),
    /// Several pairs, or one whose key is not in the command.
    ChangePairs,
    /// Anything in its namespace.
    Anything,
}

impl Meaning {
    /// What may be changed.
    pub fn changes(&self) -> Vec<Area> {
        match self {
            Self::Nothing
            | Self::Flush
            | Self::Read(_)
            | Self::Verify(_)
            | Self::Compare(_)
            | Self::Retrieve { .. }
            | Self::Exist(_)
            | Self::Deallocate(None)
            | Self::Copy(None) => Vec::new(),
            Self::Write(lbas)
            | Self::Zero(lbas)
            | Self::Spoil(lbas)
            | Self::Append(lbas, _)
            | Self::ResetZones(lbas)
            | Self::Loosen(lbas)
            | Self::Copy(Some((_, lbas))) => vec![Area::Lbas(lbas.clone())],
            Self::Deallocate(Some(ranges)) => ranges.iter().cloned().map(Area::Lbas).collect(),
            Self::Store(key) | Self::AppendValue(key) | Self::Delete(key) => vec![Area::Key(key.clone())],
            Self::ChangePairs => vec![Area::Pairs],
            Self::Anything => vec![Area::All],
        }
    }

    /// What is looked at.
    pub fn reads(&self) -> Vec<Area> {
        match self {
            Self::Read(lbas) | Self::Verify(lbas) | Self::Compare(lbas) => vec![Area::Lbas(lbas.clone())],
            Self::Copy(Some((sources, _))) => sources.iter().cloned().map(Area::Lbas).collect(),
            Self::Retrieve { key, .. } | Self::Exist(key) => vec![Area::Key(key.clone())],
            _ => Vec::new(),
        }
    }
}

/// A command as the oracle's rules see it.
pub struct Context<'a> {
    /// Its namespace.
    pub namespace: &'a Namespace,
    /// The command.
    pub entry: &'a SubmissionQueueEntry,
    /// The host's memory, for lists.
    pub machine: &'a Machine,
}

impl Context<'_> {
    /// SLBA and NLB.
    pub fn lbas(&self) -> Range<u64> {
        let slba = self.entry.slba();
        slba..slba.saturating_add(self.count())
    }

    /// NLB + 1.
    pub fn count(&self) -> u64 {
        u64::from(self.entry.cdw12.get() & 0xFFFF) + 1
    }

    /// Bytes of the LBAs.
    pub fn lba_bytes(&self) -> usize {
        self.count() as usize * self.namespace.traits.lba_bytes as usize
    }

    /// The first `len` bytes of the command's data.
    ///
    /// # Errors
    /// If the pointer leads nowhere.
    pub fn data(&self, len: usize) -> Result<Vec<u8>, Broken> {
        let walked: Walked = pointer::walk(self.entry, self.machine, len)?;
        Ok(walked.gather(self.machine))
    }
}
