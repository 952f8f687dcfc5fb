//! Pointers to data, good and bad: see `nvmev_fuzz::data_pointers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nvmev_fuzz::data_pointers(input));
