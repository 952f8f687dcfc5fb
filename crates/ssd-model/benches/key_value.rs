//! How many operations the index and the units of a key-value drive do in a second of one core, and what they take of memory: without queues, and with
//! values of 32 bytes that are copied.
//!
//! `cargo bench -p ssd-model --bench key_value` prints a table; `-- --json FILE` writes the figures to a file as well; `-- NUMBER` takes another
//! number of millions of keys than 1 and 16.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use ssd_model::key_value::{table_sizes, Cursor, Key, KeyValueStore, Medium, Place, Step};
use ssd_model::profiles;
use ssd_profile::{KeyValueParameters, ProfileKind};

const KEY_BYTES: u64 = 16;
const VALUE_BYTES: u32 = 32;
/// A pair takes one unit.
const UNIT_BYTES: u32 = 64;

/// The medium as plain memory.
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

/// A drive that has room for a given number of keys.
struct Drive {
    store: KeyValueStore,
    memory: Memory,
    keys: u64,
}

/// Keys in an order that has nothing to do with that of the memory they lie in.
fn key(number: u64) -> [u8; KEY_BYTES as usize] {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let mut key = [0; KEY_BYTES as usize];
    key[..8].copy_from_slice(&mixed.to_le_bytes());
    key[8..].copy_from_slice(&number.to_le_bytes());
    key
}

impl Drive {
    fn new(keys: u64) -> Self {
        let parameters = parameters();
        // What is kept back for replacing pairs comes to it.
        let capacity_bytes = (keys + 4096) * u64::from(UNIT_BYTES);
        Self {
            store: KeyValueStore::new(&parameters, capacity_bytes, 42).expect("enough memory"),
            memory: Memory(RefCell::new(vec![0; capacity_bytes as usize])),
            keys,
        }
    }

    fn look_up(&self, key: &[u8]) -> Place {
        self.store
            .look_up(&self.memory, Key::Pair(key))
            .unwrap_or_else(|never| match never {})
    }

    fn put(&mut self, number: u64) {
        let key = key(number);
        let place = self.look_up(&key);
        let draft = self
            .store
            .prepare(&self.memory, Key::Pair(&key), &place, VALUE_BYTES)
            .expect("there is room");
        for piece in self.store.draft_pieces(&draft) {
            let value = [number as u8; VALUE_BYTES as usize];
            let Ok(()) = self
                .memory
                .write(piece.media_offset, &value[..piece.len_bytes as usize]);
        }
        self.store.commit(&place, draft);
    }

    fn get(&self, number: u64) {
        let place = self.look_up(&key(number));
        let mut value = [0; VALUE_BYTES as usize];
        for piece in self.store.pieces(&place, 0, VALUE_BYTES) {
            let Ok(()) = self
                .memory
                .read(piece.media_offset, &mut value[..piece.len_bytes as usize]);
        }
        assert_eq!(value[0], number as u8, "the value is the key's");
    }

    fn exists(&self, number: u64) -> bool {
        self.look_up(&key(number)).value_bytes().is_some()
    }

    fn list(&self) -> u64 {
        let mut cursor = Cursor::START;
        let mut keys = 0;
        loop {
            let mut work = 1024;
            let Ok(step) = self.store.next(&self.memory, &mut cursor, &mut work);
            match step {
                Step::Pair(place) => {
                    black_box(place);
                    keys += 1;
                }
                Step::Pause => {}
                Step::End => return keys,
            }
        }
    }

    fn delete(&mut self, number: u64) {
        let place = self.look_up(&key(number));
        self.store.remove(&place);
    }

    /// Calls `each` with every number, in an order without neighbours.
    fn shuffled(keys: u64, mut each: impl FnMut(u64)) {
        // Odd, so that it meets every number below a power of two once; those beyond `keys` are left out.
        let mask = keys.next_power_of_two() - 1;
        for step in 0..=mask {
            let number = step.wrapping_mul(0x9E37_79B1).wrapping_add(12_345) & mask;
            if number < keys {
                each(number);
            }
        }
    }
}

fn parameters() -> KeyValueParameters {
    let profile = profiles::by_name("kv-prototype").expect("a built-in profile");
    let ProfileKind::KeyValue(parameters) = profile.kind else {
        panic!("kv-prototype is a key-value drive")
    };
    KeyValueParameters {
        unit_bytes: UNIT_BYTES,
        average_pair_bytes: UNIT_BYTES,
        value_bytes_max: 4096,
        ..parameters
    }
}

/// The name of an operation, and what does it for all keys.
type Operation = (&'static str, fn(&mut Drive));

const OPERATIONS: [Operation; 6] = [
    ("put, new keys", |drive| {
        Drive::shuffled(drive.keys, |number| drive.put(number));
    }),
    ("get", |drive| {
        Drive::shuffled(drive.keys, |number| drive.get(number))
    }),
    ("exists, other keys", |drive| {
        let keys = drive.keys;
        Drive::shuffled(keys, |number| assert!(!drive.exists(number + keys)));
    }),
    ("put, same keys", |drive| {
        Drive::shuffled(drive.keys, |number| drive.put(number));
    }),
    ("list", |drive| assert_eq!(drive.list(), drive.keys)),
    ("delete", |drive| {
        Drive::shuffled(drive.keys, |number| drive.delete(number));
        assert_eq!(drive.store.keys(), 0);
    }),
];

fn run(millions: &[u64], json: Option<&str>) -> std::io::Result<()> {
    let mut figures = String::new();
    println!(
        "{:<28} {:>12} {:>8}",
        "index of keys, 1 core", "keys/s", "ns each"
    );
    for &millions in millions {
        let keys = millions << 20;
        let mut drive = Drive::new(keys);
        let capacity_bytes = (keys + 4096) * u64::from(UNIT_BYTES);
        let sizes = table_sizes(&parameters(), capacity_bytes).expect("a valid drive");
        for (name, operation) in OPERATIONS {
            let started = Instant::now();
            operation(&mut drive);
            let per_second = keys as f64 / started.elapsed().as_secs_f64();
            println!(
                "{:<28} {:>12.0} {:>8.1}",
                format!("{name}, {millions} Mi"),
                per_second,
                1e9 / per_second
            );
            let separator = if figures.is_empty() { "" } else { ",\n" };
            // Writing to a String cannot fail.
            let _ = write!(
                figures,
                "{separator}  {{\"name\": \"{name}\", \"keys\": {keys}, \"keys_per_second\": {per_second:.0}}}"
            );
        }
        println!(
            "{:<28} {:>8} MiB, {:.1} bytes for each key that there can be, {} of units included",
            format!("memory, {millions} Mi keys"),
            sizes.memory_bytes >> 20,
            sizes.memory_bytes as f64 / f64::from(sizes.keys_max),
            size_of::<u32>()
        );
    }
    match json {
        Some(path) => fs::write(path, format!("[\n{figures}\n]\n")),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    // Cargo passes `--bench` to every benchmark.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => run(&[1, 16], None),
        ["--json", path] => run(&[1, 16], Some(path)),
        [number]
            if number
                .parse::<u64>()
                .is_ok_and(|millions| (1..=64).contains(&millions)) =>
        {
            run(&[number.parse().unwrap_or(1)], None)
        }
        _ => {
            eprintln!("usage: [--json FILE], or a number of millions of keys from 1 to 64");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the figures could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}
