//! What an input does, in words: printed as it happens when somebody wants to see it.

use std::cell::Cell;
use std::env;

/// Set to print the trail.
pub const VARIABLE: &str = "NVMEV_FUZZ_TRAIL";

thread_local! {
    static IS_ON: Cell<Option<bool>> = const { Cell::new(None) };
}

fn is_on() -> bool {
    IS_ON.with(|cell| {
        cell.get().unwrap_or_else(|| {
            let is_on = env::var_os(VARIABLE).is_some();
            cell.set(Some(is_on));
            is_on
        })
    })
}

/// Prints what `line` makes, if anybody wants to see it.
pub fn note(line: impl FnOnce() -> String) {
    if is_on() {
        println!("{}", line());
    }
}
