//! Where the pairs of a key-value drive are (MODELS.md §7): an index of keys, and units of the medium for keys and values.
//!
//! A key-value drive is timed as a drive without flash ([`crate::nvm`]), each command by the length of its value; this module is what such a
//! drive needs besides. A pair takes a chain of whole units: its key, padded to 16 bytes, and the value behind it. The index has a node of fixed
//! size for each key. It compares keys with what is on the medium, once per command as a rule: two keys that differ have the same 64-bit hash so
//! rarely that it does not count, and if they have, all is still right.
//!
//! Writing has two steps, because data may fail to arrive: [`KeyValueStore::prepare`] finds room, and only [`KeyValueStore::commit`] makes the
//! pair visible, in place of what the key had before. A part of the medium is kept back, so that a full drive can still replace its pairs.
//!
//! LBAs, for a drive that has them too, are pages under keys of their own ([`Key::Page`]): whoever writes LBAs takes nothing away from the pairs.
//!
//! What is not here: values are moved by the device; nothing is persistent, and nothing is timed.

mod division;
mod index;
mod key;
mod medium;
#[cfg(test)]
mod tests;
mod units;

use core::cmp::Ordering;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use ssd_profile::KeyValueParameters;

use crate::{Command, SetupError};
use division::{pair_bytes, value_offset, Division};
use index::{Index, Node, Position};
use units::{Chain, Units};

pub use division::{table_sizes, usable_bytes, TableSizes, PAGE_BYTES};
pub use key::{Key, KeyBuffer, KEY_BYTES_MAX};
pub use medium::Medium;
pub use units::{Piece, Pieces};

/// What storing a value is timed as.
pub const fn store_command(value_bytes: u32) -> Command {
    Command::Write {
        offset_bytes: 0,
        len_bytes: value_bytes,
        fua: false,
    }
}

/// What retrieving a value is timed as.
pub const fn retrieve_command(value_bytes: u32) -> Command {
    Command::Read {
        offset_bytes: 0,
        len_bytes: value_bytes,
    }
}

/// Where a key is, or would be. It is good until the store changes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    position: Position,
    key_bytes: u8,
    value_bytes: Option<u32>,
    first_unit: u32,
}

impl Place {
    /// Length of the key's value, if the key is there.
    pub fn value_bytes(&self) -> Option<u32> {
        self.value_bytes
    }
}

/// Room for a pair that is not there yet. To be given to [`KeyValueStore::commit`] or [`KeyValueStore::discard`]: dropped, it is lost.
#[derive(Debug)]
#[must_use]
pub struct Draft {
    chain: Chain,
    key_bytes: u8,
    value_bytes: u32,
}

/// Room for more of a value. To be given to [`KeyValueStore::commit_extension`] or [`KeyValueStore::discard_extension`].
#[derive(Debug)]
#[must_use]
pub struct Extension {
    chain: Chain,
    units_before: u32,
    value_bytes: u32,
}

/// No unit is free for it, or no place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityExceeded;

/// Why a pair was not prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepareError<E> {
    /// There is no room.
    CapacityExceeded,
    /// The key could not be written.
    Medium(E),
}

/// A place in the order of all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    hash: u64,
    among_equals: AmongEquals,
}

/// A place among the keys that have the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AmongEquals {
    First,
    At(KeyBuffer),
    Behind(KeyBuffer),
}

impl AmongEquals {
    fn is_before(&self, key: &KeyBuffer) -> bool {
        match self {
            Self::First => true,
            Self::At(at) => key.as_bytes() >= at.as_bytes(),
            Self::Behind(behind) => key.as_bytes() > behind.as_bytes(),
        }
    }
}

impl Cursor {
    /// Before all keys.
    pub const START: Self = Self::at_hash(0);

    /// Before all keys with this hash.
    pub const fn at_hash(hash: u64) -> Self {
        Self {
            hash,
            among_equals: AmongEquals::First,
        }
    }

    /// The key that was passed last, if the cursor is right behind it.
    pub fn key(&self) -> &[u8] {
        match &self.among_equals {
            AmongEquals::Behind(key) => key.as_bytes(),
            AmongEquals::First | AmongEquals::At(_) => &[],
        }
    }

    /// The hash of what comes next. After a [`Step::Pause`] that says all about where the cursor is.
    pub const fn hash(&self) -> u64 {
        self.hash
    }
}

/// What comes next in the order of keys.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A pair. Its key is the [`Cursor::key`].
    Pair(Place),
    /// As much work was done as allowed: go on from the cursor another time.
    Pause,
    /// There are no more.
    End,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct KeyValueStore {
    index: Index,
    units: Units,
    /// Units that new pairs leave free.
    reserve_units: u32,
    capacity_units: u32,
    unit_bytes: u32,
    seed: u64,
    #[cfg(test)]
    hash_mask: u64,
}

impl KeyValueStore {
    /// An empty store on a medium of `capacity_bytes`. Whoever does not know `seed` cannot choose keys with equal hashes.
    ///
    /// # Errors
    /// As [`usable_bytes`], or if there is no memory for the tables.
    pub fn new(parameters: &KeyValueParameters, capacity_bytes: u64, seed: u64) -> Result<Self, SetupError> {
        let division = Division::new(parameters, capacity_bytes)?;
        Ok(Self {
            index: Index::new(division.keys)?,
            units: Units::new(division.units, parameters.unit_bytes.trailing_zeros())?,
            reserve_units: division.reserve_units,
            capacity_units: division.units,
            unit_bytes: parameters.unit_bytes,
            seed,
            #[cfg(test)]
            hash_mask: u64::MAX,
        })
    }

    /// Number of keys, pages of LBAs included.
    pub fn keys(&self) -> u32 {
        self.index.len()
    }

    /// Most keys that there can be.
    pub fn keys_max(&self) -> u32 {
        self.index.capacity()
    }

    /// Bytes that pairs and pages can take.
    pub fn capacity_bytes(&self) -> u64 {
        u64::from(self.capacity_units - self.reserve_units) * u64::from(self.unit_bytes)
    }

    /// Bytes that pairs and pages take, in whole units.
    pub fn used_bytes(&self) -> u64 {
        u64::from(self.capacity_units - self.units.free()) * u64::from(self.unit_bytes)
    }

    fn hash(&self, key: Key<'_>) -> u64 {
        let hash = match key {
            // Zeros come first: from there, all keys can be listed.
            Key::Pair(bytes) if bytes.iter().all(|&byte| byte == 0) => 0,
            Key::Pair(bytes) => {
                let mut hasher = SipHasher13::new_with_keys(self.seed, 0);
                hasher.write(bytes);
                hasher.finish()
            }
            // Another page has another hash: multiplying by an odd number only reorders. Neighbours come to lie far apart.
            Key::Page(page) => page.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        };
        #[cfg(test)]
        let hash = match key {
            Key::Pair(_) => hash & self.hash_mask,
            Key::Page(_) => hash,
        };
        hash
    }

    /// How a node that has the hash of `key` stands to it. Pages come before pairs.
    fn compare<M: Medium>(&self, medium: &M, node: &Node, key: Key<'_>) -> Result<Ordering, M::Error> {
        match key {
            Key::Page(_) => Ok(node.key_bytes.cmp(&0)),
            Key::Pair(_) if node.key_bytes == 0 => Ok(Ordering::Less),
            Key::Pair(bytes) => Ok(self.read_key(medium, node)?.as_bytes().cmp(bytes)),
        }
    }

    fn read_key<M: Medium>(&self, medium: &M, node: &Node) -> Result<KeyBuffer, M::Error> {
        let pieces = self.units.pieces(node.first_unit, 0, node.key_bytes.into());
        KeyBuffer::filled_by(node.key_bytes, |into| medium.read_pieces(pieces, into))
    }

    /// Looks `key` up.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn look_up<M: Medium>(&self, medium: &M, key: Key<'_>) -> Result<Place, M::Error> {
        let position = self
            .index
            .find(self.hash(key), |node| self.compare(medium, node, key))?;
        let key_bytes = match key {
            Key::Pair(bytes) => bytes.len() as u8,
            Key::Page(_) => 0,
        };
        Ok(self.place(position, key_bytes))
    }

    fn place(&self, position: Position, key_bytes: u8) -> Place {
        let node = position.found.and_then(|id| self.index.node(id));
        Place {
            position,
            key_bytes,
            value_bytes: node.map(|node| node.value_bytes),
            first_unit: node.map_or(0, |node| node.first_unit),
        }
    }

    fn chain(&self, key_bytes: u8, value_bytes: u32, first: u32) -> Chain {
        Chain {
            first,
            units: self.units.needed(pair_bytes(key_bytes, value_bytes)),
        }
    }

    /// Whether there is room for `pages` more pages of LBAs.
    pub fn has_room_for_pages(&self, pages: u32) -> bool {
        let units = u64::from(self.units.needed(PAGE_BYTES.into())) * u64::from(pages);
        pages <= self.index.capacity() - self.index.len()
            && units + u64::from(self.reserve_units) <= u64::from(self.units.free())
    }

    /// Finds room for a value of `value_bytes` under `key`, whose place is `place`, and writes the key there.
    ///
    /// # Errors
    /// If there is no room, or the medium fails; nothing has changed then.
    pub fn prepare<M: Medium>(
        &mut self,
        medium: &M,
        key: Key<'_>,
        place: &Place,
        value_bytes: u32,
    ) -> Result<Draft, PrepareError<M::Error>> {
        let units = self.chain(place.key_bytes, value_bytes, 0).units;
        let freed = match place.value_bytes {
            Some(old_bytes) => self.chain(place.key_bytes, old_bytes, 0).units,
            None if self.index.len() == self.index.capacity() => return Err(PrepareError::CapacityExceeded),
            None => 0,
        };
        // What is kept back is there again when the old value is gone.
        let free_then = u64::from(self.units.free()) + u64::from(freed);
        if free_then < u64::from(units) + u64::from(self.reserve_units) {
            return Err(PrepareError::CapacityExceeded);
        }
        let chain = self.units.allocate(units).ok_or(PrepareError::CapacityExceeded)?;
        let draft = Draft {
            chain,
            key_bytes: place.key_bytes,
            value_bytes,
        };
        if let Key::Pair(bytes) = key {
            let pieces = self.units.pieces(chain.first, 0, place.key_bytes.into());
            if let Err(error) = medium.write_pieces(bytes, pieces) {
                self.discard(draft);
                return Err(PrepareError::Medium(error));
            }
        }
        Ok(draft)
    }

    /// Where the value of `draft` is to be.
    pub fn draft_pieces(&self, draft: &Draft) -> Pieces<'_> {
        let offset = value_offset(draft.key_bytes);
        self.units.pieces(draft.chain.first, offset, draft.value_bytes)
    }

    /// Makes `draft` what its key has from now on. `place` is the key's, and nothing has changed since it was found but what was prepared.
    pub fn commit(&mut self, place: &Place, draft: Draft) {
        match place.position.found {
            Some(id) => {
                let old = self.chain(place.key_bytes, place.value_bytes.unwrap_or(0), place.first_unit);
                if let Some(node) = self.index.node_mut(id) {
                    node.first_unit = draft.chain.first;
                    node.value_bytes = draft.value_bytes;
                }
                self.units.release(old);
            }
            None => {
                let first_unit = draft.chain.first;
                let inserted =
                    self.index
                        .insert(&place.position, first_unit, draft.value_bytes, draft.key_bytes);
                debug_assert!(inserted.is_some(), "`prepare` has made sure of it");
            }
        }
    }

    /// Gives the room of a pair back that is not to be.
    pub fn discard(&mut self, draft: Draft) {
        self.units.release(draft.chain);
    }

    /// Forgets the key of `place` and its value.
    pub fn remove(&mut self, place: &Place) {
        if let Some(node) = self.index.remove(&place.position) {
            self.units
                .release(self.chain(node.key_bytes, node.value_bytes, node.first_unit));
        }
    }

    /// Finds room for `more_bytes` behind the value of `place`, which is there.
    ///
    /// # Errors
    /// If there is none.
    pub fn extend(&mut self, place: &Place, more_bytes: u32) -> Result<Extension, CapacityExceeded> {
        let old_bytes = place.value_bytes.unwrap_or(0);
        let value_bytes = old_bytes.checked_add(more_bytes).ok_or(CapacityExceeded)?;
        let old = self.chain(place.key_bytes, old_bytes, place.first_unit);
        let chain = self.chain(place.key_bytes, value_bytes, place.first_unit);
        let more = chain.units - old.units;
        if more > 0 {
            if u64::from(self.units.free()) < u64::from(more) + u64::from(self.reserve_units) {
                return Err(CapacityExceeded);
            }
            let more = self.units.allocate(more).ok_or(CapacityExceeded)?;
            self.units.extend(old, more);
        }
        Ok(Extension {
            chain,
            units_before: old.units,
            value_bytes,
        })
    }

    /// Where what is put behind the value of `place` is to be.
    pub fn extension_pieces(&self, place: &Place, extension: &Extension) -> Pieces<'_> {
        let old_bytes = place.value_bytes.unwrap_or(0);
        let offset = pair_bytes(place.key_bytes, old_bytes);
        let more_bytes = extension.value_bytes - old_bytes;
        self.units.pieces(extension.chain.first, offset, more_bytes)
    }

    /// The value is longer from now on.
    pub fn commit_extension(&mut self, place: &Place, extension: Extension) {
        if let Some(node) = place.position.found.and_then(|id| self.index.node_mut(id)) {
            node.value_bytes = extension.value_bytes;
        }
    }

    /// The value stays as it was.
    pub fn discard_extension(&mut self, extension: Extension) {
        if extension.chain.units > extension.units_before {
            self.units.shorten(extension.chain, extension.units_before);
        }
    }

    /// Where `len_bytes` from byte `offset` of the value of `place` are; the range lies inside the value.
    pub fn pieces(&self, place: &Place, offset: u32, len_bytes: u32) -> Pieces<'_> {
        let offset = value_offset(place.key_bytes) + u64::from(offset);
        self.units.pieces(place.first_unit, offset, len_bytes)
    }

    /// A cursor from which the next pair is that of `key`, if it is there.
    pub fn cursor_at(&self, key: &KeyBuffer) -> Cursor {
        Cursor {
            hash: self.hash(Key::Pair(key.as_bytes())),
            among_equals: AmongEquals::At(*key),
        }
    }

    /// The next pair behind `cursor`, which moves there. Takes the nodes and buckets that it looks at off `work`, and pauses before another bucket when
    /// that is used up.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn next<M: Medium>(&self, medium: &M, cursor: &mut Cursor, work: &mut u32) -> Result<Step, M::Error> {
        let first = self.index.bucket_of(cursor.hash);
        for bucket in first..self.index.buckets() {
            if *work == 0 && bucket != first {
                *cursor = Cursor::at_hash(self.index.first_hash_of(bucket));
                return Ok(Step::Pause);
            }
            *work = work.saturating_sub(1);
            let mut previous = None;
            for (id, node) in self.index.bucket(bucket) {
                *work = work.saturating_sub(1);
                if node.key_bytes > 0 && node.hash >= cursor.hash {
                    let key = self.read_key(medium, node)?;
                    if node.hash > cursor.hash || cursor.among_equals.is_before(&key) {
                        *cursor = Cursor {
                            hash: node.hash,
                            among_equals: AmongEquals::Behind(key),
                        };
                        let position = Position::of(node.hash, previous, id);
                        return Ok(Step::Pair(self.place(position, node.key_bytes)));
                    }
                }
                previous = Some(id);
            }
        }
        Ok(Step::End)
    }
}
