//! Steps of seeds.

use crate::step::{Step, AT_ONCE};

/// Values of [`Step::action`].
pub(super) mod action {
    pub const IO: u8 = 0;
    pub const ADMIN: u8 = 14;
    pub const FUSED: u8 = 18;
    pub const ABORT: u8 = 20;
    pub const EVENT: u8 = 21;
    pub const POLL_CONTROLLER: u8 = 22;
    pub const POLL_WORKER: u8 = 23;
    pub const WAIT: u8 = 26;
    pub const SETTLE: u8 = 27;
    pub const RESET: u8 = 28;
    pub const RECREATE: u8 = 29;
    pub const MASK: u8 = 30;
}

/// Values of [`Step::opcode`] for LBAs; one more is a command for pairs where a namespace has both.
pub(super) mod lbas {
    pub const WRITE: u8 = 0;
    pub const READ: u8 = 2;
    pub const WRITE_ZEROES: u8 = 8;
    pub const DATASET_MANAGEMENT: u8 = 10;
    pub const COPY: u8 = 12;
    pub const COMPARE: u8 = 14;
    pub const VERIFY: u8 = 16;
    pub const WRITE_UNCORRECTABLE: u8 = 18;
    pub const FLUSH: u8 = 20;
    pub const APPEND: u8 = 22;
    pub const ZONE_SEND: u8 = 24;
    pub const ZONE_RECEIVE: u8 = 26;
}

/// Values of [`Step::opcode`] for pairs, of a namespace that has LBAs as well or not.
pub(super) mod pairs {
    pub const STORE: u8 = 1;
    pub const RETRIEVE: u8 = 5;
    pub const LIST: u8 = 9;
    pub const DELETE: u8 = 11;
    pub const EXIST: u8 = 13;
    pub const VENDOR_STORE: u8 = 17;
    pub const VENDOR_APPEND: u8 = 21;
    pub const VENDOR_RETRIEVE: u8 = 23;
    pub const VENDOR_DELETE: u8 = 25;
    pub const VENDOR_BATCH: u8 = 27;
    pub const VENDOR_ITERATE: u8 = 29;
}

pub(super) fn act(action: u8) -> Step {
    Step {
        action,
        ..Step::default()
    }
}

/// A command for LBAs of namespace `nsid`.
pub(super) fn io(nsid: u8, opcode: u8, lba: u16, count: u8) -> Step {
    Step {
        action: action::IO,
        nsid: nsid - 1,
        opcode,
        lba: lba.into(),
        lbas: count - 1,
        ..Step::default()
    }
}

pub(super) fn zone(action: u8, zone: u16) -> Step {
    Step {
        detail: action,
        ..io(3, lbas::ZONE_SEND, zone << 8, 1)
    }
}

pub(super) fn pair(nsid: u8, opcode: u8, key: u8, len: u8) -> Step {
    Step {
        detail: key,
        ..io(nsid, opcode, 0, len)
    }
}

pub(super) fn admin(opcode: u8, detail: u8) -> Step {
    Step {
        opcode,
        detail,
        ..act(action::ADMIN)
    }
}

pub(super) fn at_once(step: Step) -> Step {
    Step {
        action: step.action | AT_ONCE,
        ..step
    }
}

pub(super) fn with_pointer(step: Step, pointer: u8, pointer_detail: u8) -> Step {
    Step {
        pointer,
        pointer_detail,
        ..step
    }
}
