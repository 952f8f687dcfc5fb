//! The store against a map that forgets nothing: random operations, keys that collide, a drive that is nearly full.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::vec;
use std::vec::Vec;

use ssd_profile::{KeyValueCommandSet, KeyValueParameters, ProfileKind};

use super::*;
use crate::profiles;

struct Memory(RefCell<Vec<u8>>);

impl Medium for Memory {
    type Error = Infallible;

    fn read(&self, media_offset: u64, into: &mut [u8]) -> Result<(), Infallible> {
        let at = media_offset as usize;
        into.copy_from_slice(&self.0.borrow()[at..at + into.len()]);
        Ok(())
    }

    fn write(&self, media_offset: u64, from: &[u8]) -> Result<(), Infallible> {
        let at = media_offset as usize;
        self.0.borrow_mut()[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }
}

fn parameters() -> KeyValueParameters {
    let profile = profiles::by_name("kv-prototype").expect("a built-in profile");
    let ProfileKind::KeyValue(parameters) = profile.kind else {
        panic!("kv-prototype is a key-value drive")
    };
    KeyValueParameters {
        value_bytes_max: 8192,
        ..parameters
    }
}

/// A drive and what must be on it.
struct Drive {
    store: KeyValueStore,
    memory: Memory,
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Drive {
    fn new(parameters: &KeyValueParameters, capacity_bytes: u64, hash_mask: u64) -> Self {
        let mut store = KeyValueStore::new(parameters, capacity_bytes, 7).expect("enough memory");
        store.hash_mask = hash_mask;
        Self {
            store,
            memory: Memory(RefCell::new(vec![0; capacity_bytes as usize])),
            pairs: BTreeMap::new(),
            pages: BTreeMap::new(),
        }
    }

    fn place(&self, key: Key<'_>) -> Place {
        self.store
            .look_up(&self.memory, key)
            .unwrap_or_else(|never| match never {})
    }

    fn fill(&self, pieces: Pieces<'_>, value: &[u8]) {
        let mut at = 0;
        for piece in pieces {
            let end = at + piece.len_bytes as usize;
            let Ok(()) = self.memory.write(piece.media_offset, &value[at..end]);
            at = end;
        }
        assert_eq!(at, value.len(), "there is room for the whole value");
    }

    fn read(&self, place: &Place, offset: u32, len_bytes: u32) -> Vec<u8> {
        let mut value = Vec::new();
        for piece in self.store.pieces(place, offset, len_bytes) {
            let mut part = vec![0; piece.len_bytes as usize];
            let Ok(()) = self.memory.read(piece.media_offset, &mut part);
            value.extend(part);
        }
        value
    }

    /// Stores, or only nearly: then nothing changes. Whether there was room.
    fn put(&mut self, key: Key<'_>, value: &[u8], is_committed: bool) -> bool {
        let place = self.place(key);
        let draft = match self.store.prepare(&self.memory, key, &place, value.len() as u32) {
            Ok(draft) => draft,
            Err(PrepareError::CapacityExceeded) => return false,
            Err(PrepareError::Medium(never)) => match never {},
        };
        self.fill(self.store.draft_pieces(&draft), value);
        if !is_committed {
            self.store.discard(draft);
            return true;
        }
        self.store.commit(&place, draft);
        match key {
            Key::Pair(bytes) => self.pairs.insert(bytes.to_vec(), value.to_vec()),
            Key::Page(page) => self.pages.insert(page, value.to_vec()),
        };
        true
    }

    fn append(&mut self, key: &[u8], more: &[u8], is_committed: bool) -> bool {
        let place = self.place(Key::Pair(key));
        if place.value_bytes().is_none() {
            return true;
        }
        let Ok(extension) = self.store.extend(&place, more.len() as u32) else {
            return false;
        };
        self.fill(self.store.extension_pieces(&place, &extension), more);
        if is_committed {
            self.store.commit_extension(&place, extension);
            self.pairs.get_mut(key).expect("it is there").extend(more);
        } else {
            self.store.discard_extension(extension);
        }
        true
    }

    fn delete(&mut self, key: Key<'_>) {
        let place = self.place(key);
        self.store.remove(&place);
        let was_there = match key {
            Key::Pair(bytes) => self.pairs.remove(bytes).is_some(),
            Key::Page(page) => self.pages.remove(&page).is_some(),
        };
        assert_eq!(place.value_bytes().is_some(), was_there);
    }

    fn check_value(&self, key: Key<'_>) {
        let wanted = match key {
            Key::Pair(bytes) => self.pairs.get(bytes),
            Key::Page(page) => self.pages.get(&page),
        };
        let place = self.place(key);
        let found = place.value_bytes().map(|bytes| self.read(&place, 0, bytes));
        assert_eq!(found.as_ref(), wanted, "{key:?}");
        if let Some(value) = found.filter(|value| !value.is_empty()) {
            let from = value.len() / 3;
            let part = self.read(&place, from as u32, (value.len() - from) as u32);
            assert_eq!(part, value[from..]);
        }
    }

    /// Every value, the keys by going through them, and that every unit is used exactly once.
    fn check_all(&self) {
        self.pairs.keys().for_each(|key| self.check_value(Key::Pair(key)));
        self.pages
            .keys()
            .for_each(|&page| self.check_value(Key::Page(page)));
        let mut seen = BTreeSet::new();
        let mut cursor = Cursor::START;
        while let Some((key, place)) = self.step(&mut cursor) {
            assert_eq!(self.pairs[&key].len() as u32, place.value_bytes.expect("live"));
            assert!(seen.insert(key), "a key twice");
        }
        assert_eq!(seen.len(), self.pairs.len());
        assert_eq!(self.store.keys() as usize, self.pairs.len() + self.pages.len());

        let unit_bytes = u64::from(self.store.unit_bytes);
        let mut used = BTreeSet::new();
        for bucket in 0..self.store.index.buckets() {
            let nodes: Vec<&Node> = self.store.index.bucket(bucket).map(|(_, node)| node).collect();
            assert!(nodes.windows(2).all(|pair| pair[0].hash <= pair[1].hash));
            for node in nodes {
                assert_eq!(self.store.index.bucket_of(node.hash), bucket);
                let chain = self
                    .store
                    .chain(node.key_bytes, node.value_bytes, node.first_unit);
                let bytes = chain.units * self.store.unit_bytes;
                for piece in self.store.units.pieces(chain.first, 0, bytes) {
                    for at in (0..u64::from(piece.len_bytes)).step_by(unit_bytes as usize) {
                        assert!(used.insert(piece.media_offset + at), "two pairs have one unit");
                    }
                }
            }
        }
        assert_eq!(used.len() as u64 * unit_bytes, self.store.used_bytes());
    }

    /// One step through the keys, with as little work at a time as possible.
    fn step(&self, cursor: &mut Cursor) -> Option<(Vec<u8>, Place)> {
        loop {
            let mut work = 3;
            let Ok(step) = self.store.next(&self.memory, cursor, &mut work);
            match step {
                Step::Pair(place) => return Some((cursor.key().to_vec(), place)),
                Step::Pause => {}
                Step::End => return None,
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }

    fn value(&mut self, bytes_max: u64) -> Vec<u8> {
        let len = self.below(bytes_max + 1);
        let first = self.below(256) as u8;
        (0..len)
            .map(|at| first.wrapping_add(at as u8).wrapping_mul(31))
            .collect()
    }

    /// Keys of all lengths, and not too many of them.
    fn key(&mut self, keys: u64) -> Vec<u8> {
        let number = self.below(keys);
        let len = if number % 4 == 0 {
            number % 255 + 1
        } else {
            number % 16 + 1
        } as usize;
        let mut key = vec![0xA5; len];
        for (slot, byte) in key.iter_mut().zip(number.to_le_bytes()) {
            *slot = byte;
        }
        key
    }
}

/// Random operations; how many found no room.
fn run(drive: &mut Drive, seed: u64, operations: u64, keys: u64, value_bytes_max: u64) -> u64 {
    let mut random = Random(seed);
    let mut refused = 0;
    for operation in 0..operations {
        let key = random.key(keys);
        let is_committed = random.below(8) > 0;
        let had_room = match random.below(16) {
            0..6 => drive.put(Key::Pair(&key), &random.value(value_bytes_max), is_committed),
            6..9 => {
                drive.delete(Key::Pair(&key));
                true
            }
            9..11 => drive.append(&key, &random.value(value_bytes_max / 4), is_committed),
            11 => {
                let page = Key::Page(random.below(keys / 4));
                let value = vec![operation as u8; PAGE_BYTES as usize];
                drive.put(page, &value, is_committed)
            }
            12 => {
                drive.delete(Key::Page(random.below(keys / 4)));
                true
            }
            _ => {
                drive.check_value(Key::Pair(&key));
                drive.check_value(Key::Page(random.below(keys / 4)));
                true
            }
        };
        refused += u64::from(!had_room);
        if operation % (operations / 8) == 0 {
            drive.check_all();
        }
    }
    drive.check_all();
    refused
}

#[test]
fn what_was_stored_is_found_whatever_else_happens() {
    let mut drive = Drive::new(&parameters(), 16 << 20, u64::MAX);
    assert_eq!(run(&mut drive, 1, 1_000_000, 2_000, 3_000), 0);
}

#[test]
fn keys_with_equal_hashes_are_told_apart() {
    for hash_mask in [0, 0x8000_0000_0000_0001, 0xC0 << 56] {
        let mut drive = Drive::new(&parameters(), 4 << 20, hash_mask);
        run(&mut drive, 2, 20_000, 100, 1_000);
    }
}

#[test]
fn a_drive_that_is_nearly_full_loses_nothing() {
    for unit_bytes in [64, 512, 4096] {
        let parameters = KeyValueParameters {
            unit_bytes,
            ..parameters()
        };
        let mut drive = Drive::new(&parameters, 1 << 20, u64::MAX);
        let refused = run(&mut drive, 3, 400_000, 1_500, 3_000);
        assert!(refused > 10_000, "{refused}");
    }
}

#[test]
fn the_same_operations_give_the_same_drive() {
    let drives: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let mut drive = Drive::new(&parameters(), 1 << 20, u64::MAX);
            run(&mut drive, 4, 50_000, 1_500, 3_000);
            drive.memory.0.into_inner()
        })
        .collect();
    assert!(drives[0] == drives[1]);
}

#[test]
fn all_of_the_capacity_can_be_used_and_a_full_drive_replaces_its_pairs() {
    let mut drive = Drive::new(&parameters(), 1 << 20, u64::MAX);
    let usable = usable_bytes(&parameters(), 1 << 20).expect("large enough");
    let value = vec![9; 512 - 16];
    let mut pairs = 0u32;
    while drive.put(Key::Pair(&pairs.to_be_bytes()), &value, true) {
        pairs += 1;
    }
    // The index is sized for pairs of 1024 bytes: it is full first.
    assert_eq!((u64::from(pairs), drive.store.keys_max()), (1024, pairs));
    let mut long = 0u32;
    while drive.append(&long.to_be_bytes(), &[8; 512], true) {
        long += 1;
    }
    assert_eq!(drive.store.used_bytes(), usable);
    for key in 0..pairs {
        let len = drive.pairs[&key.to_be_bytes()[..]].len();
        assert!(drive.put(Key::Pair(&key.to_be_bytes()), &vec![key as u8; len], true));
        assert!(!drive.put(Key::Pair(&key.to_be_bytes()), &vec![key as u8; len + 1], true));
    }
    drive.check_all();
    drive.delete(Key::Pair(&0u32.to_be_bytes()));
    assert!(
        drive.put(Key::Pair(b"another"), &value, true),
        "its room is free again"
    );
}

#[test]
fn every_page_of_lbas_can_be_written() {
    [64, 512, 4096].into_iter().for_each(pages_of_a_drive_with_units);
}

fn pages_of_a_drive_with_units(unit_bytes: u32) {
    let parameters = KeyValueParameters {
        command_set: KeyValueCommandSet::WithLbas,
        average_pair_bytes: 1 << 20,
        unit_bytes,
        ..parameters()
    };
    let mut drive = Drive::new(&parameters, 4 << 20, u64::MAX);
    let pages = usable_bytes(&parameters, 4 << 20).expect("large enough") / u64::from(PAGE_BYTES);
    for page in 0..pages {
        assert!(
            drive.put(Key::Page(page), &vec![page as u8; PAGE_BYTES as usize], true),
            "page {page}"
        );
    }
    drive.check_all();
}

/// A key that is there all the time is seen once, one that is never there not at all, and the others once at most.
#[test]
fn going_through_keys_that_come_and_go_sees_each_once() {
    for hash_mask in [u64::MAX, 0xF0 << 56] {
        let mut drive = Drive::new(&parameters(), 4 << 20, hash_mask);
        let mut random = Random(5);
        let staying: Vec<Vec<u8>> = (0u32..300).map(|number| number.to_be_bytes().to_vec()).collect();
        for key in &staying {
            assert!(drive.put(Key::Pair(key), b"stays", true));
        }
        for _ in 0..20 {
            let mut cursor = Cursor::START;
            let mut seen = BTreeMap::<Vec<u8>, u32>::new();
            while let Some((key, _)) = drive.step(&mut cursor) {
                *seen.entry(key).or_default() += 1;
                let other = (random.below(300) + 1_000).to_be_bytes();
                if random.below(2) == 0 {
                    drive.put(Key::Pair(&other), b"comes", true);
                } else {
                    drive.delete(Key::Pair(&other));
                }
            }
            assert!(seen.values().all(|&times| times == 1));
            assert!(staying.iter().all(|key| seen.contains_key(key)));
        }
    }
}

#[test]
fn a_cursor_begins_at_the_key_it_is_given() {
    cursors_begin_at_their_keys(u64::MAX);
    cursors_begin_at_their_keys(0xF0 << 56);
}

fn cursors_begin_at_their_keys(hash_mask: u64) {
    let mut drive = Drive::new(&parameters(), 4 << 20, hash_mask);
    for number in 0u32..500 {
        assert!(drive.put(Key::Pair(&number.to_be_bytes()), b"x", true));
    }
    assert!(drive.put(Key::Pair(&[0]), b"x", true));
    let mut all = Vec::new();
    let mut cursor = Cursor::START;
    while let Some((key, _)) = drive.step(&mut cursor) {
        all.push(key);
    }
    assert_eq!(all[..2], [vec![0], vec![0; 4]], "zeros come first");
    for (at, key) in all.iter().enumerate() {
        let mut cursor = drive.store.cursor_at(&KeyBuffer::new(key).expect("short enough"));
        let first = drive.step(&mut cursor).expect("it is there").0;
        assert_eq!(&first, key);
        let second = drive.step(&mut cursor).map(|(key, _)| key);
        assert_eq!(second.as_ref(), all.get(at + 1));
    }
}

#[test]
fn drives_that_cannot_be_are_refused() {
    let wrong = |parameters: &KeyValueParameters, capacity_bytes| {
        KeyValueStore::new(parameters, capacity_bytes, 0).expect_err("it cannot be")
    };
    let small = parameters();
    assert_eq!(
        wrong(&small, 8192),
        SetupError::TooSmall {
            capacity_bytes: 8192,
            needed_bytes: 8192 + 512 + 512,
            key: Some("key_value.value_bytes_max"),
        }
    );
    assert_eq!(
        wrong(&small, 1 << 42),
        SetupError::TooManyUnits {
            capacity_bytes: 1 << 42
        }
    );
    let odd = KeyValueParameters {
        unit_bytes: 513,
        ..small
    };
    assert!(matches!(wrong(&odd, 1 << 20), SetupError::Parameter(_)));
}
