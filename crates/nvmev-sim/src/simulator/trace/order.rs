//! Events by their times: lines of several CPUs come out of order by as much as a buffer of the recorder holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::event::Event;

/// Events that are sorted among each other. Memory is bounded, so a trace may be of any length.
pub const EVENTS_MAX: usize = 65_536;

/// An event with the number of its line; ties in time are in the order of lines.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    time_ns: u64,
    line: u64,
    event: Event,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_ns, self.line).cmp(&(other.time_ns, other.line))
    }
}

/// An event in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// When it comes: never before an earlier one.
    pub time_ns: u64,
    pub line: u64,
    pub event: Event,
    /// Its own time had passed.
    pub is_late: bool,
}

/// The events that wait for their turn.
#[derive(Debug, Default)]
pub struct Window {
    waiting: BinaryHeap<Reverse<Waiting>>,
    last_ns: u64,
}

impl Window {
    pub fn push(&mut self, time_ns: u64, line: u64, event: Event) {
        self.waiting.push(Reverse(Waiting { time_ns, line, event }));
    }

    /// The next event, if nothing that may still come can be before it: the window is full, or the trace `is_at_end`.
    pub fn pop(&mut self, is_at_end: bool) -> Option<Ordered> {
        if !is_at_end && self.waiting.len() < EVENTS_MAX {
            return None;
        }
        let Reverse(Waiting { time_ns, line, event }) = self.waiting.pop()?;
        let is_late = time_ns < self.last_ns;
        self.last_ns = self.last_ns.max(time_ns);
        Some(Ordered {
            time_ns: self.last_ns,
            line,
            event,
            is_late,
        })
    }
}
