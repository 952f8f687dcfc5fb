//! Where the fuzzer begins: what the tests in `crates/nvmev-sim/tests/` do, as inputs. `cargo xtask fuzz --write-seeds` writes them to `seeds/`.

mod commands;
mod data_pointers;
mod registers;
mod steps;
mod traces;

use zerocopy::{Immutable, IntoBytes};

use crate::seeds::commands::of_commands;
use crate::seeds::data_pointers::of_data_pointers;
use crate::seeds::registers::{of_config_space, of_registers};
use crate::seeds::traces::of_traces;
use crate::step::Header;

/// A seed: for which target, its name, its bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

const HEADER: Header = Header {
    workers: 0x11,
    queues: 2,
    entries: 12,
    interrupts: 1,
};

fn input<T: IntoBytes + Immutable>(records: &[T]) -> Vec<u8> {
    let mut bytes = HEADER.as_bytes().to_vec();
    records
        .iter()
        .for_each(|record| bytes.extend_from_slice(record.as_bytes()));
    bytes
}

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    seeds.extend(
        of_commands()
            .into_iter()
            .map(|(name, steps)| ("commands", name, input(&steps))),
    );
    seeds.extend(of_data_pointers().into_iter().map(|(name, steps)| {
        (
            "data_pointers",
            name,
            [HEADER.as_bytes(), &steps.concat()].concat(),
        )
    }));
    seeds.extend(
        of_registers()
            .into_iter()
            .map(|(name, acts)| ("registers", name, input(&acts))),
    );
    seeds.extend(
        of_config_space()
            .into_iter()
            .map(|(name, accesses)| ("config_space", name, input(&accesses))),
    );
    seeds.extend(
        of_traces()
            .into_iter()
            .map(|(name, text)| ("traces", name, text.as_bytes().to_vec())),
    );
    seeds
}
