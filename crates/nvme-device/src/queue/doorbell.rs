//! The value of a doorbell: each change of it is checked once.

/// A doorbell value that a well-behaved host cannot write (NVMe Base 2.0 figure 147, Invalid Doorbell Write Value).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidDoorbell;

/// What a doorbell was last seen to hold, so that each write is judged once: the register, and its shadow in the host's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doorbell {
    register: u32,
    pub shadow: u32,
    /// The host has written to the shadow. From then on the register only repeats what was there, and may be late with it: it is checked, but
    /// has nothing new to say.
    is_shadowed: bool,
}

impl Doorbell {
    /// The register's new value if it changed since the last look and is an index of the queue.
    pub fn changed(&mut self, value: u32, entries: u16) -> Result<Option<u16>, InvalidDoorbell> {
        if value == self.register {
            return Ok(None);
        }
        self.register = value;
        let index = checked_index(value, entries)?;
        Ok(Some(index).filter(|_| !self.is_shadowed))
    }

    /// As [`Doorbell::changed`], of the shadow.
    pub fn shadow_changed(&mut self, value: u32, entries: u16) -> Result<Option<u16>, InvalidDoorbell> {
        if value == self.shadow {
            return Ok(None);
        }
        self.shadow = value;
        let index = checked_index(value, entries)?;
        self.is_shadowed = true;
        Ok(Some(index))
    }

    /// There is no shadow any more. What the register holds, if it was late with what the shadow said, has nothing new to say; `is_new` tells whether it does.
    pub fn end_shadow(&mut self, register: u32, is_new: impl FnOnce(u16) -> bool, entries: u16) {
        if !core::mem::take(&mut self.is_shadowed) {
            return;
        }
        if !checked_index(register, entries).is_ok_and(is_new) {
            self.register = register;
        }
    }
}

fn checked_index(value: u32, entries: u16) -> Result<u16, InvalidDoorbell> {
    match u16::try_from(value) {
        Ok(index) if index < entries => Ok(index),
        _ => Err(InvalidDoorbell),
    }
}

/// Steps from `from` forward to `to` in a ring of `entries`.
pub(crate) fn distance(from: u16, to: u16, entries: u16) -> u16 {
    if to >= from {
        to - from
    } else {
        entries - from + to
    }
}
