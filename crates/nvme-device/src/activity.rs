//! What a pass over the device did.

/// What a pass over the device did, so that the shell knows whether to go on at once, wait or sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Something was done: there may be more.
    pub progressed: bool,
    /// Earliest time at which there is something to do without the host doing anything, ns.
    pub next_event_ns: Option<u64>,
}

impl Activity {
    /// Adds what something else did.
    pub fn add(&mut self, other: Self) {
        self.progressed |= other.progressed;
        if let Some(at_ns) = other.next_event_ns {
            self.wake_at(at_ns);
        }
    }

    /// There is something to do at `at_ns`.
    pub(crate) fn wake_at(&mut self, at_ns: u64) {
        self.next_event_ns = Some(self.next_event_ns.map_or(at_ns, |next_ns| next_ns.min(at_ns)));
    }
}
