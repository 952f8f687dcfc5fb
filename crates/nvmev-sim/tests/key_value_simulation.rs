//! Random key-value commands, good and bad, of both sets, against a map: every status, value, list and iteration is exactly what the map says,
//! also when the drive is full. The same seed gives the same bytes and times.

use std::collections::{BTreeMap, BTreeSet};

use nvme_spec::{
    store_option, vendor_option, IdentifyCns, IdentifyKeyValueNamespace, KeyValueOpcode, NvmOpcode, Status,
};
use nvmev_sim::host::key_value::{batch_payload, vendor, Dialect, KeyValueDriver};
use nvmev_sim::host::{commands, Random, TestHost};
use ssd_model::profiles;
use zerocopy::FromBytes;

use Dialect::{Standard, Vendor};

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const CAPACITY_BYTES: u64 = 2 << 20;
const UNIT_BYTES: u64 = 512;
const VALUE_BYTES_MAX: u64 = 64 << 10;
/// What a new pair leaves free: the longest one.
const RESERVE_UNITS: u64 = (256 + VALUE_BYTES_MAX).div_ceil(UNIT_BYTES);
const PAGE_LBAS: u64 = 8;

/// What these runs draw.
trait Draw {
    fn dialect(&mut self) -> Dialect;
    /// One of `keys` keys: one in five is longer than 16 bytes.
    fn key(&mut self, keys: u64) -> Vec<u8>;
    fn value(&mut self) -> Vec<u8>;
}

impl Draw for Random {
    fn dialect(&mut self) -> Dialect {
        [Standard, Vendor][self.below(2) as usize]
    }

    fn key(&mut self, keys: u64) -> Vec<u8> {
        let number = self.below(keys);
        let len = if number % 5 == 0 {
            17 + number % 239
        } else {
            1 + number % 16
        } as usize;
        let mut key = vec![(number % 7) as u8; len];
        key.iter_mut()
            .zip(number.to_le_bytes())
            .for_each(|(slot, byte)| *slot = byte);
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.below(4) {
            0 => self.below(20),
            1 => 480 + self.below(60),
            2 => self.below(5_000),
            _ => self.below(20_000),
        };
        let first = self.below(256) as u8;
        (0..len).map(|at| first.wrapping_add((at / 3) as u8)).collect()
    }
}

/// What the drive must have.
struct Oracle {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    pages: BTreeMap<u64, Vec<u8>>,
    keys_max: u64,
}

fn units(key: &[u8], len: usize) -> u64 {
    (key.len().next_multiple_of(16) + len).div_ceil(UNIT_BYTES as usize) as u64
}

impl Oracle {
    fn used(&self) -> u64 {
        let pairs: u64 = self
            .pairs
            .iter()
            .map(|(key, value)| units(key, value.len()))
            .sum();
        pairs + self.pages.len() as u64 * 4096 / UNIT_BYTES
    }

    /// Whether a pair, or more of one, has room: `units` that were there go, `wanted` come.
    fn has_room(&self, units: u64, wanted: u64, is_new: bool) -> bool {
        let usable = CAPACITY_BYTES / UNIT_BYTES - RESERVE_UNITS;
        let keys = (self.pairs.len() + self.pages.len()) as u64;
        self.used() - units + wanted <= usable && (!is_new || keys < self.keys_max)
    }

    fn store(&mut self, dialect: Dialect, key: &[u8], value: &[u8], options: u8) -> Status {
        let old = self.pairs.get(key);
        let (must_exist, must_not_exist) = match dialect {
            Standard => (store_option::MUST_EXIST, store_option::MUST_NOT_EXIST),
            Vendor => (0, vendor_option::STORE_IDEMPOTENT),
        };
        let of = |standard, vendor| if dialect == Standard { standard } else { vendor };
        if options & must_not_exist != 0 && old.is_some() {
            return of(Status::KEY_EXISTS, Status::VENDOR_KEY_EXISTS);
        }
        if options & must_exist != 0 && old.is_none() {
            return Status::KEY_DOES_NOT_EXIST;
        }
        let freed = old.map_or(0, |old| units(key, old.len()));
        if !self.has_room(freed, units(key, value.len()), old.is_none()) {
            return of(Status::CAPACITY_EXCEEDED, Status::VENDOR_CAPACITY_EXCEEDED);
        }
        self.pairs.insert(key.to_vec(), value.to_vec());
        SUCCESS
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Status {
        let Some(old) = self.pairs.get(key) else {
            return self.store(Vendor, key, more, 0);
        };
        let len = old.len() + more.len();
        if len as u64 > VALUE_BYTES_MAX {
            return Status::VENDOR_VALUE_LIMIT_EXCEEDED;
        }
        let (before, after) = (units(key, old.len()), units(key, len));
        if before < after && !self.has_room(before, after, false) {
            return Status::VENDOR_CAPACITY_EXCEEDED;
        }
        self.pairs.get_mut(key).unwrap().extend(more);
        SUCCESS
    }

    fn delete(&mut self, dialect: Dialect, key: &[u8], options: u8) -> Status {
        match self.pairs.remove(key) {
            None if dialect == Vendor && options != 0 => Status::VENDOR_KEY_DOES_NOT_EXIST,
            _ => SUCCESS,
        }
    }

    fn write(&mut self, slba: u64, data: &[u8]) -> Status {
        let pages = |at: usize| (slba + at as u64) / PAGE_LBAS;
        let lbas = data.len() / 512;
        let missing = (pages(0)..=pages(lbas - 1))
            .filter(|page| !self.pages.contains_key(page))
            .count() as u64;
        let keys = (self.pairs.len() + self.pages.len()) as u64;
        let usable = CAPACITY_BYTES / UNIT_BYTES - RESERVE_UNITS;
        if missing > 0 && (keys + missing > self.keys_max || self.used() + missing * 8 > usable) {
            return Status::CAPACITY_EXCEEDED;
        }
        for (at, lba) in data.chunks(512).enumerate() {
            let page = self.pages.entry(pages(at)).or_insert_with(|| vec![0; 4096]);
            let in_page = ((slba + at as u64) % PAGE_LBAS) as usize * 512;
            page[in_page..in_page + 512].copy_from_slice(lba);
        }
        SUCCESS
    }

    fn zero(&mut self, slba: u64, lbas: u64) {
        for lba in slba..slba + lbas {
            let (page, in_page) = (lba / PAGE_LBAS, (lba % PAGE_LBAS) as usize * 512);
            if let Some(page) = self.pages.get_mut(&page) {
                page[in_page..in_page + 512].fill(0);
            }
        }
        // Whole pages take no room any more.
        let whole = slba.div_ceil(PAGE_LBAS)..(slba + lbas) / PAGE_LBAS;
        self.pages.retain(|page, _| !whole.contains(page));
    }

    fn read(&self, slba: u64, lbas: u64) -> Vec<u8> {
        (slba..slba + lbas)
            .flat_map(|lba| {
                let in_page = (lba % PAGE_LBAS) as usize * 512;
                let page = self.pages.get(&(lba / PAGE_LBAS));
                page.map_or_else(|| vec![0; 512], |page| page[in_page..in_page + 512].to_vec())
            })
            .collect()
    }
}

/// How a walk goes on.
enum Means {
    Iterator { handle: u8 },
    Pairs { handle: u8 },
    List { last: Vec<u8> },
}

/// Somebody who goes through the keys, a few at a time, while others come and go.
struct Walk {
    means: Means,
    /// It sees keys whose first four bytes have none of these bits, and no longer ones than this.
    mask: u32,
    key_bytes_max: usize,
    /// Of these, the keys that have been there all the time, and those that have been there at some time.
    always: BTreeSet<Vec<u8>>,
    ever: BTreeSet<Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
}

impl Walk {
    fn new(means: Means, mask: u32, oracle: &Oracle) -> Self {
        let key_bytes_max = if matches!(means, Means::List { .. }) {
            16
        } else {
            255
        };
        let mut walk = Self {
            means,
            mask,
            key_bytes_max,
            always: BTreeSet::new(),
            ever: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        let keys = oracle.pairs.keys().filter(|key| walk.sees(key));
        walk.always = keys.cloned().collect();
        walk.ever = walk.always.clone();
        walk
    }

    fn sees(&self, key: &[u8]) -> bool {
        let mut first = [0; 4];
        first.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
        u32::from_le_bytes(first) & self.mask == 0 && key.len() <= self.key_bytes_max
    }
}

struct Simulation {
    drive: KeyValueDriver,
    oracle: Oracle,
    walks: Vec<Walk>,
    walked: u64,
    random: Random,
    has_lbas: bool,
    keys: u64,
    digest: u64,
    exceeded: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let has_lbas = seed % 2 == 1;
        // An index that is full before the medium is, or one that is not.
        let average = [2048, 16_384][random.below(2) as usize];
        let settings = format!(
            "key_value.value_bytes_max={VALUE_BYTES_MAX},key_value.average_pair_bytes={average},key_value.command_set={}",
            if has_lbas { "nvm" } else { "key-value" }
        );
        let mut profile = *profiles::by_name("kv-prototype").unwrap();
        profile.set_list(&settings).unwrap();
        let workers = 1 + random.below(3) as usize;
        let host = TestHost::new(&profile, CAPACITY_BYTES, 512, workers);
        let key_bytes = if has_lbas { average.min(4096) } else { average };
        Self {
            drive: KeyValueDriver::new(host),
            oracle: Oracle {
                pairs: BTreeMap::new(),
                pages: BTreeMap::new(),
                keys_max: CAPACITY_BYTES / key_bytes,
            },
            keys: 100 + random.below(1_500),
            walks: Vec::new(),
            walked: 0,
            random,
            has_lbas,
            digest: 0,
            exceeded: 0,
        }
    }

    /// The Key Value Command Set only where it is, and only for keys that it knows.
    fn dialect(&mut self, key: &[u8]) -> Dialect {
        if self.has_lbas || key.len() > 16 {
            Vendor
        } else {
            self.random.dialect()
        }
    }

    fn note(&mut self, value: u64) {
        self.digest = (self.digest ^ value).wrapping_mul(0x100_0000_01b3).rotate_left(7);
    }

    fn step(&mut self) {
        let key = self.random.key(self.keys);
        let dialect = self.dialect(&key);
        let (status, wanted) = match self.random.below(20) {
            0..7 => {
                let value = self.random.value();
                let options = self.random.below(8) as u8;
                let found = self.drive.store(dialect, &key, &value, options);
                (found, self.oracle.store(dialect, &key, &value, options))
            }
            7 => {
                let more = self.random.value();
                (self.drive.append(&key, &more), self.oracle.append(&key, &more))
            }
            8..11 => {
                let options = if dialect == Vendor {
                    self.random.below(2) as u8
                } else {
                    0
                };
                let found = self.drive.delete(dialect, &key, options);
                (found, self.oracle.delete(dialect, &key, options))
            }
            11..14 => {
                assert!(
                    self.drive.value(Vendor, &key).ok().as_ref() == self.oracle.pairs.get(&key),
                    "{key:?}"
                );
                let exists = self.drive.exist(dialect, &key) == SUCCESS;
                assert_eq!(exists, self.oracle.pairs.contains_key(&key));
                (SUCCESS, SUCCESS)
            }
            14 => self.batch(),
            15 if self.random.below(40) == 0 => {
                self.check_all();
                (SUCCESS, SUCCESS)
            }
            16 if self.random.below(200) == 0 => {
                self.reset();
                (SUCCESS, SUCCESS)
            }
            17 | 18 => {
                (0..3).for_each(|_| self.walk());
                (SUCCESS, SUCCESS)
            }
            _ if self.has_lbas => self.lbas(),
            _ => (SUCCESS, SUCCESS),
        };
        assert_eq!(status, wanted, "{key:?}");
        self.touched(&key);
        let is_exceeded = matches!(
            status,
            Status::CAPACITY_EXCEEDED | Status::VENDOR_CAPACITY_EXCEEDED
        );
        self.exceeded += u64::from(is_exceeded);
        self.note(u64::from(status.0));
        self.note(self.drive.host.now_ns);
    }

    fn batch(&mut self) -> (Status, Status) {
        let count = 1 + self.random.below(8);
        let parts: Vec<(KeyValueOpcode, u8, Vec<u8>, Vec<u8>)> = (0..count)
            .map(|_| {
                let key = self.random.key(self.keys);
                if self.random.below(3) == 0 {
                    let options = self.random.below(2) as u8;
                    (KeyValueOpcode::VENDOR_DELETE, options, key, Vec::new())
                } else {
                    let options = self.random.below(8) as u8;
                    let mut value = self.random.value();
                    value.truncate(10_000);
                    (KeyValueOpcode::VENDOR_STORE, options, key, value)
                }
            })
            .collect();
        let borrowed: Vec<_> = parts
            .iter()
            .map(|(opcode, options, key, value)| (*opcode, *options, &key[..], &value[..]))
            .collect();
        let payload = batch_payload(&borrowed);
        let entry = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"x", 0, payload.len() as u32);
        let (status, _) = self.drive.send(entry, &payload);
        let mut wanted = SUCCESS;
        for (opcode, options, key, value) in borrowed {
            wanted = match opcode {
                KeyValueOpcode::VENDOR_STORE => self.oracle.store(Vendor, key, value, options),
                _ => self.oracle.delete(Vendor, key, options),
            };
            self.touched(key);
            if !wanted.is_success() {
                break;
            }
        }
        (status, wanted)
    }

    /// Something was done with `key`, which walks have to know.
    fn touched(&mut self, key: &[u8]) {
        let exists = self.oracle.pairs.contains_key(key);
        for walk in &mut self.walks {
            if exists && walk.sees(key) {
                walk.ever.insert(key.to_vec());
            } else if !exists {
                walk.always.remove(key);
            }
        }
    }

    /// Begins a walk, or takes one a step further; at its end, everything that was there all the time must have been seen, and nothing else.
    fn walk(&mut self) {
        let index = self.random.below(4) as usize;
        if index >= self.walks.len() {
            return self.begin_walk();
        }
        let mut walk = self.walks.swap_remove(index);
        let len_bytes = 600 + 4 * self.random.below(100) as u32;
        let more = match &mut walk.means {
            Means::Iterator { handle } => self.drive.read_keys(*handle, len_bytes),
            Means::Pairs { handle } => {
                self.drive
                    .read_pair(*handle, len_bytes)
                    .map(|(key, value_bytes, value)| {
                        let stored = &self.oracle.pairs[&key];
                        assert_eq!(value_bytes, stored.len());
                        assert!(stored.starts_with(&value));
                        vec![key]
                    })
            }
            Means::List { last } => {
                let mut keys = self.drive.list_once(last, len_bytes);
                if keys.first() == Some(last) {
                    keys.remove(0);
                }
                match keys.last() {
                    Some(key) => {
                        last.clone_from(key);
                        Ok(keys)
                    }
                    None => Err(Status::VENDOR_ITERATOR_END),
                }
            }
        };
        match more {
            Ok(keys) => {
                for key in keys {
                    assert!(self.oracle.pairs.contains_key(&key), "{key:?} is not there");
                    assert!(walk.seen.insert(key), "a key twice");
                }
                self.walks.push(walk);
            }
            Err(status) => {
                assert_eq!(status, Status::VENDOR_ITERATOR_END);
                assert!(
                    walk.always.is_subset(&walk.seen),
                    "what was there all the time was seen"
                );
                assert!(walk.seen.is_subset(&walk.ever));
                if let Means::Iterator { handle } | Means::Pairs { handle } = walk.means {
                    assert_eq!(self.drive.close(handle), SUCCESS);
                }
                self.walked += 1;
            }
        }
    }

    fn begin_walk(&mut self) {
        let kind = self.random.below(if self.has_lbas { 2 } else { 3 });
        let mask = 1u32 << self.random.below(32);
        let (means, mask) = match kind {
            0 => match self.drive.open(0, mask, vendor_option::ITERATE_KEYS) {
                Ok(handle) => (Means::Iterator { handle }, mask),
                Err(_) => return,
            },
            1 => match self.drive.open(0, mask, vendor_option::ITERATE_PAIRS) {
                Ok(handle) => (Means::Pairs { handle }, mask),
                Err(_) => return,
            },
            _ => (Means::List { last: Vec::new() }, 0),
        };
        self.walks.push(Walk::new(means, mask, &self.oracle));
    }

    fn lbas(&mut self) -> (Status, Status) {
        let slba = self.random.below(1_000);
        let lbas = 1 + self.random.below(60);
        match self.random.below(4) {
            0 => {
                let byte = self.random.below(256) as u8;
                let data: Vec<u8> = (0..lbas * 512).map(|at| (at / 512) as u8 ^ byte).collect();
                let entry = commands::read_write(NvmOpcode::WRITE, 1, slba, lbas as u32, 0, 0);
                (self.drive.send(entry, &data).0, self.oracle.write(slba, &data))
            }
            1 => {
                let entry = commands::write_zeroes(1, slba, lbas as u32, true);
                self.oracle.zero(slba, lbas);
                (self.drive.execute(entry).0, SUCCESS)
            }
            _ => {
                let entry = commands::read_write(NvmOpcode::READ, 1, slba, lbas as u32, 0, 0);
                let (status, _, data) = self.drive.receive(entry, lbas as usize * 512);
                assert!(data == self.oracle.read(slba, lbas), "LBA {slba}, {lbas} of them");
                (status, SUCCESS)
            }
        }
    }

    fn check_all(&mut self) {
        let keys: Vec<Vec<u8>> = self.oracle.pairs.keys().cloned().collect();
        for key in &keys {
            assert!(self.drive.value(Vendor, key).as_ref() == Ok(&self.oracle.pairs[key]));
        }
        let handle = self.drive.open(0, 0, vendor_option::ITERATE_KEYS).unwrap();
        let mut seen = Vec::new();
        let len_bytes = 512 + 4 * self.random.below(1_000) as u32;
        while let Ok(more) = self.drive.read_keys(handle, len_bytes) {
            seen.extend(more);
        }
        assert_eq!(self.drive.close(handle), SUCCESS);
        seen.sort();
        assert!(seen == keys, "iteration sees each key once");
        if !self.has_lbas {
            let mut listed = self.drive.list(512 + 4 * self.random.below(1_000) as u32);
            listed.sort();
            let short: Vec<_> = keys.into_iter().filter(|key| key.len() <= 16).collect();
            assert!(listed == short, "the list has each key once");
            let page = self.drive.host.pages(1);
            let entry = commands::identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, 1, page);
            assert_eq!(self.drive.host.admin(entry).status(), SUCCESS);
            let data = self.drive.host.machine.ram(page, 4096);
            let namespace = IdentifyKeyValueNamespace::read_from_bytes(&data).unwrap();
            assert_eq!(namespace.nuse_bytes.get(), self.oracle.used() * UNIT_BYTES);
        }
    }

    fn reset(&mut self) {
        self.drive.host.disable();
        self.drive.restart();
        // A reset closes iterators.
        self.walks.retain(|walk| matches!(walk.means, Means::List { .. }));
    }
}

/// A digest of all answers, how often there was no room, and how many walks came to their end.
fn run(seed: u64, steps: u64) -> (u64, u64, u64) {
    let mut simulation = Simulation::new(seed);
    for _ in 0..steps {
        simulation.step();
    }
    simulation.check_all();
    (simulation.digest, simulation.exceeded, simulation.walked)
}

#[test]
fn every_answer_is_what_a_map_would_say() {
    let (mut exceeded, mut walked) = (0, 0);
    for seed in 0..12 {
        let (digest, full, walks) = run(seed, 12_000);
        exceeded += full;
        walked += walks;
        assert_eq!(run(seed, 1_000), run(seed, 1_000), "seed {seed}");
        assert_ne!(digest, 0, "seed {seed}");
    }
    assert!(exceeded > 5_000, "full drives are part of it: {exceeded}");
    assert!(walked > 300, "and walks that come to their end: {walked}");
}
