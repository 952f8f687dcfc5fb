//! A host that does anything, and then one that behaves well: see `nvmev_fuzz::registers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nvmev_fuzz::registers(input));
