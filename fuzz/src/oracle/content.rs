//! What a namespace must give back: what was acknowledged, as long as it is known.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::drive::Traits;

/// Content of an LBA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lba {
    /// These bytes.
    Data(Box<[u8]>),
    /// Zeros.
    Zeros,
    /// Marked by Write Uncorrectable.
    Unreadable,
    /// Anything.
    Unknown,
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pair {
    /// Nothing.
    Absent,
    /// This value.
    Value(Vec<u8>),
    /// Anything.
    Unknown,
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// What it is.
    pub traits: Traits,
    lbas: BTreeMap<u64, Lba>,
    /// Of the LBAs that are not in the map.
    other_lbas: Lba,
    pairs: BTreeMap<Vec<u8>, Pair>,
    /// Of the keys that are not in the map.
    other_pairs: Pair,
}

impl Namespace {
    /// A new one.
    pub fn new(traits: Traits) -> Self {
        Self {
            traits,
            lbas: BTreeMap::new(),
            other_lbas: Lba::Zeros,
            pairs: BTreeMap::new(),
            other_pairs: Pair::Absent,
        }
    }

    /// The LBAs that there are of `range`.
    pub fn clip(&self, range: Range<u64>) -> Range<u64> {
        range.start.min(self.traits.size_lbas)..range.end.min(self.traits.size_lbas)
    }

    /// What is at `lba`.
    pub fn lba(&self, lba: u64) -> &Lba {
        self.lbas.get(&lba).unwrap_or(&self.other_lbas)
    }

    /// The bytes of `range`, if all of them are known.
    pub fn bytes(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for lba in range {
            match self.lba(lba) {
                Lba::Data(data) => bytes.extend_from_slice(data),
                Lba::Zeros => bytes.resize(bytes.len() + self.traits.lba_bytes as usize, 0),
                Lba::Unreadable | Lba::Unknown => return None,
            }
        }
        Some(bytes)
    }

    /// Puts the same into all of `range`.
    pub fn fill(&mut self, range: Range<u64>, with: &Lba) {
        for lba in self.clip(range) {
            if self.other_lbas == *with {
                self.lbas.remove(&lba);
            } else {
                self.lbas.insert(lba, with.clone());
            }
        }
    }

    /// Puts `bytes` there.
    pub fn write(&mut self, range: Range<u64>, bytes: &[u8]) {
        for (lba, bytes) in range.zip(bytes.chunks_exact(self.traits.lba_bytes as usize)) {
            self.lbas.insert(lba, Lba::Data(bytes.into()));
        }
    }

    /// What is under `key`.
    pub fn pair(&self, key: &[u8]) -> &Pair {
        self.pairs.get(key).unwrap_or(&self.other_pairs)
    }

    /// Puts something under `key`.
    pub fn set_pair(&mut self, key: &[u8], pair: Pair) {
        self.pairs.insert(key.to_vec(), pair);
    }

    /// Nothing is known of the LBAs any more.
    pub fn forget_lbas(&mut self) {
        self.lbas.clear();
        self.other_lbas = Lba::Unknown;
    }

    /// Nothing is known of the pairs any more.
    pub fn forget_pairs(&mut self) {
        self.pairs.clear();
        self.other_pairs = Pair::Unknown;
    }

    /// LBAs whose bytes are known: all of those written, to be read again.
    pub fn known_data(&self) -> impl Iterator<Item = u64> + '_ {
        self.lbas
            .iter()
            .filter(|(_, content)| matches!(content, Lba::Data(_)))
            .map(|(lba, _)| *lba)
    }

    /// Keys whose values are known, and that a vendor specific command can have in it.
    pub fn known_keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let pairs = self
            .pairs
            .iter()
            .filter(|(_, pair)| matches!(pair, Pair::Value(_)));
        pairs
            .map(|(key, _)| key.clone())
            .filter(|key| (1..=16).contains(&key.len()))
    }
}
