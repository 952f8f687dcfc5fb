//! Which pairs there are: a hash table of fixed size with a chain for each bucket.
//!
//! Buckets go by the upper bits of the hash, and every chain is sorted by hash and key. So going through the table from its beginning to its
//! end is going through all keys in the order of (hash, key), whatever comes and goes meanwhile: a place in that order stays a place in it.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::table::{room, table};
use crate::SetupError;

/// No node.
const NONE: u32 = u32::MAX;

/// What is known of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub hash: u64,
    /// The next one in the bucket, or among the free ones.
    next: u32,
    pub first_unit: u32,
    pub value_bytes: u32,
    /// 1 to 255; 0 for a page of LBAs, whose hash says which.
    pub key_bytes: u8,
}

const _: () = assert!(size_of::<Node>() == 24);

/// Where a key is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub hash: u64,
    /// The node before it in its bucket.
    previous: Option<u32>,
    pub found: Option<u32>,
}

impl Position {
    /// That of the node `id`, which comes behind `previous` in its bucket.
    pub fn of(hash: u64, previous: Option<u32>, id: u32) -> Self {
        Self {
            hash,
            previous,
            found: Some(id),
        }
    }
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Index {
    heads: Vec<u32>,
    nodes: Vec<Node>,
    free_first: u32,
    len: u32,
    /// A hash shifted right by so much is its bucket's number.
    shift: u32,
}

impl Index {
    /// For `capacity` keys, at least 1 and below 2^32 - 1.
    pub fn new(capacity: u32) -> Result<Self, SetupError> {
        let buckets_log2 = Self::buckets_log2(capacity);
        let mut nodes = room(capacity as usize)?;
        nodes.extend((1..capacity).chain([NONE]).map(|next| Node {
            hash: 0,
            next,
            first_unit: 0,
            value_bytes: 0,
            key_bytes: 0,
        }));
        Ok(Self {
            heads: table(1 << buckets_log2, NONE)?,
            nodes,
            free_first: 0,
            len: 0,
            shift: 64 - buckets_log2,
        })
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn capacity(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Bytes of memory that an index for `capacity` keys takes.
    pub fn memory_bytes(capacity: u32) -> u64 {
        let buckets = 1u64 << Self::buckets_log2(capacity);
        buckets * size_of::<u32>() as u64 + u64::from(capacity) * size_of::<Node>() as u64
    }

    /// A key per bucket, or fewer.
    fn buckets_log2(capacity: u32) -> u32 {
        u32::BITS - capacity.saturating_sub(1).leading_zeros().min(u32::BITS - 1)
    }

    pub fn buckets(&self) -> usize {
        self.heads.len()
    }

    pub fn bucket_of(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The smallest hash that belongs into `bucket`.
    pub fn first_hash_of(&self, bucket: usize) -> u64 {
        (bucket as u64) << self.shift
    }

    pub fn node(&self, id: u32) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    pub fn node_mut(&mut self, id: u32) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }

    /// The nodes of a bucket, in their order.
    pub fn bucket(&self, bucket: usize) -> impl Iterator<Item = (u32, &Node)> + '_ {
        let mut id = self.heads.get(bucket).copied().unwrap_or(NONE);
        core::iter::from_fn(move || {
            let node = self.node(id)?;
            let this = core::mem::replace(&mut id, node.next);
            Some((this, node))
        })
    }

    /// Finds the place for `hash` and what `compare` says about nodes that have it: how they stand to the key.
    ///
    /// # Errors
    /// Those of `compare`.
    pub fn find<E>(
        &self,
        hash: u64,
        mut compare: impl FnMut(&Node) -> Result<Ordering, E>,
    ) -> Result<Position, E> {
        let mut position = Position {
            hash,
            previous: None,
            found: None,
        };
        for (id, node) in self.bucket(self.bucket_of(hash)) {
            let order = match node.hash.cmp(&hash) {
                Ordering::Equal => compare(node)?,
                other => other,
            };
            match order {
                Ordering::Less => position.previous = Some(id),
                Ordering::Equal => {
                    position.found = Some(id);
                    break;
                }
                Ordering::Greater => break,
            }
        }
        Ok(position)
    }

    /// Puts a key where `position`, which found none, says. Nothing if the table is full.
    pub fn insert(
        &mut self,
        position: &Position,
        first_unit: u32,
        value_bytes: u32,
        key_bytes: u8,
    ) -> Option<u32> {
        let id = self.free_first;
        self.free_first = self.node(id)?.next;
        let next = self.link(position).map(|link| core::mem::replace(link, id));
        let node = self.node_mut(id)?;
        *node = Node {
            hash: position.hash,
            next: next.unwrap_or(NONE),
            first_unit,
            value_bytes,
            key_bytes,
        };
        self.len += 1;
        Some(id)
    }

    /// Takes the key that `position` found out.
    pub fn remove(&mut self, position: &Position) -> Option<Node> {
        let id = position.found?;
        let node = *self.node(id)?;
        if let Some(link) = self.link(position) {
            *link = node.next;
        }
        let free_first = core::mem::replace(&mut self.free_first, id);
        if let Some(slot) = self.node_mut(id) {
            slot.next = free_first;
        }
        self.len -= 1;
        Some(node)
    }

    /// What leads to the place of `position`.
    fn link(&mut self, position: &Position) -> Option<&mut u32> {
        match position.previous {
            Some(previous) => self.nodes.get_mut(previous as usize).map(|node| &mut node.next),
            None => {
                let bucket = self.bucket_of(position.hash);
                self.heads.get_mut(bucket)
            }
        }
    }
}
