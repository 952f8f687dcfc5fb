// SPDX-License-Identifier: GPL-2.0-only
//! Lines in the kernel's log, each with the prefix `NVMeVirt: `.

use core::fmt::{Arguments, Write};

use module_params::TextBuffer;

use crate::shim;

/// The longest line; what is beyond is cut off.
const LINE_BYTES_MAX: usize = 512;

/// Something went as it should.
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::write(false, format_args!($($arg)*)) };
}

/// Something did not.
macro_rules! error {
    ($($arg:tt)*) => { $crate::log::write(true, format_args!($($arg)*)) };
}

pub(crate) use {error, info};

/// Formats on the stack, so that it works in a panic too.
pub fn write(is_error: bool, line: Arguments<'_>) {
    let mut bytes = [0; LINE_BYTES_MAX];
    let mut text = TextBuffer::new(&mut bytes);
    // An error means that the line was cut off: a long line is better than none.
    if text.write_fmt(line).is_err() && text.as_bytes().is_empty() {
        return;
    }
    let text = text.as_bytes();
    // SAFETY: the pointer and length are of one live slice, which C only reads during the call.
    unsafe { shim::nvmev_log(is_error.into(), text.as_ptr(), text.len()) }
}
