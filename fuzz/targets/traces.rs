//! Files taken for traces: see `nvmev_fuzz::traces`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nvmev_fuzz::traces(input));
