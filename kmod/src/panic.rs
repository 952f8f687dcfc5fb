// SPDX-License-Identifier: GPL-2.0-only
//! A bug of ours must not take the machine down: say what happened, mark the device failed, and never go on.

use core::panic::PanicInfo;

use crate::log::error;
use crate::shim;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    error!("internal error: {info}");
    error!("the device has failed; please report this, and unload the module when nothing uses it any more");
    loop {
        // Marks the device of this thread failed and sleeps.
        shim::nvmev_panic_park();
    }
}
