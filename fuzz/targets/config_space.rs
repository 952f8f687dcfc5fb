//! Configuration space: see `nvmev_fuzz::config_space`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nvmev_fuzz::config_space(input));
