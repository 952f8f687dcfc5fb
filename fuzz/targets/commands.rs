//! Commands from a host that keeps its queues in order: see `nvmev_fuzz::commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nvmev_fuzz::commands(input));
