//! The order in which zones were implicitly opened: a list through a table, so that any of them leaves it at once.

use alloc::vec::Vec;

use crate::table::table;
use crate::SetupError;

/// No zone.
const NONE: u32 = u32::MAX;

/// The neighbours of a zone in the list.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    before: u32,
    after: u32,
}

/// See the module's documentation. Without a table nothing is kept.
#[derive(Clone, Debug)]
pub(super) struct OpenedOrder {
    neighbours: Vec<Neighbours>,
    first: u32,
    last: u32,
}

impl OpenedOrder {
    /// For zones with numbers below `zones`; 0: nothing is to be kept.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(zones: u32) -> Result<Self, SetupError> {
        let alone = Neighbours {
            before: NONE,
            after: NONE,
        };
        Ok(Self {
            neighbours: table(zones as usize, alone)?,
            first: NONE,
            last: NONE,
        })
    }

    /// The zone that has been in it for longest.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts `zone`, which is not in it, at its end.
    pub fn push(&mut self, zone: u32) {
        let last = self.last;
        let Some(its) = self.neighbours.get_mut(zone as usize) else {
            return;
        };
        *its = Neighbours {
            before: last,
            after: NONE,
        };
        self.set_after(last, zone);
        self.last = zone;
    }

    /// Takes `zone`, which is in it, out.
    pub fn remove(&mut self, zone: u32) {
        let Some(&Neighbours { before, after }) = self.neighbours.get(zone as usize) else {
            return;
        };
        self.set_after(before, after);
        match self.neighbours.get_mut(after as usize) {
            Some(next) => next.before = before,
            None => self.last = before,
        }
    }

    /// What comes after `zone`, or, for none, what comes first.
    fn set_after(&mut self, zone: u32, after: u32) {
        match self.neighbours.get_mut(zone as usize) {
            Some(its) => its.after = after,
            None => self.first = after,
        }
    }

    /// Bytes of the table.
    pub fn metadata_bytes(&self) -> u64 {
        size_of_val(self.neighbours.as_slice()) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue_from_which_anybody_can_leave(operations in proptest::collection::vec(0..8_u32, 1..200)) {
            let mut order = OpenedOrder::new(8).unwrap();
            let mut oracle = std::vec::Vec::new();
            for zone in operations {
                match oracle.iter().position(|&other| other == zone) {
                    Some(at) => {
                        oracle.remove(at);
                        order.remove(zone);
                    }
                    None => {
                        oracle.push(zone);
                        order.push(zone);
                    }
                }
                prop_assert_eq!(order.first(), oracle.first().copied());
            }
            // From the front to the end.
            for zone in oracle {
                prop_assert_eq!(order.first(), Some(zone));
                order.remove(zone);
            }
            prop_assert_eq!(order.first(), None);
        }
    }
}
