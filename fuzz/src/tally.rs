//! How much has been done: for whoever started the run, in a file that always has the present numbers.

use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Names the file: inputs and commands so far, 8 bytes each, little-endian.
pub const VARIABLE: &str = "NVMEV_FUZZ_TALLY";

struct Tally {
    file: Option<File>,
    inputs: u64,
    commands: u64,
}

thread_local! {
    static TALLY: RefCell<Tally> = RefCell::new(Tally {
        file: env::var_os(VARIABLE).map(|path| File::create(path).expect("the tally can be written")),
        inputs: 0,
        commands: 0,
    });
}

/// An input is over in which the device has taken so many commands.
pub fn count(commands: u64) {
    TALLY.with_borrow_mut(|tally| {
        tally.inputs += 1;
        tally.commands += commands;
        if let Some(file) = &tally.file {
            let numbers = [tally.inputs.to_le_bytes(), tally.commands.to_le_bytes()];
            file.write_all_at(numbers.as_flattened(), 0)
                .expect("the tally can be written");
        }
    });
}
