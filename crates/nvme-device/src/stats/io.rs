//! What the I/O commands did, for the SMART log.

use crate::command::transfer::Direction;

/// What I/O did so far, for the SMART log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IoCounters {
    pub read_commands: u64,
    pub write_commands: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    /// Commands that changed what is on the medium, or made it unreadable.
    pub modifications: u64,
    /// Time in which at least one command was being worked on.
    pub busy_ns: u64,
    busy_until_ns: u64,
}

impl IoCounters {
    pub fn count(&mut self, now_ns: u64, done_at_ns: u64, direction: Direction, len_bytes: u32) {
        match direction {
            Direction::ToHost | Direction::Compare => {
                self.read_commands += 1;
                self.read_bytes += u64::from(len_bytes);
            }
            Direction::FromHost => {
                self.write_commands += 1;
                self.written_bytes += u64::from(len_bytes);
            }
            // A Copy reads and writes, and the data written is the user's.
            Direction::Gathered => {
                self.read_commands += 1;
                self.write_commands += 1;
                self.written_bytes += u64::from(len_bytes);
            }
            // Of what moves no data, only Verify has a length: it reads, but is no read command.
            Direction::None => self.read_bytes += u64::from(len_bytes),
            // That is not data that the host wrote.
            Direction::Zeros => {}
        }
        self.modifications += u64::from(matches!(
            direction,
            Direction::FromHost | Direction::Gathered | Direction::Zeros
        ));
        self.busy_ns = self
            .busy_ns
            .saturating_add(done_at_ns.saturating_sub(now_ns.max(self.busy_until_ns)));
        self.busy_until_ns = self.busy_until_ns.max(done_at_ns);
    }

    /// Counts from 0 on, of a drive that is busy as `other` says.
    pub fn begin_at(&mut self, other: &Self) {
        *self = Self {
            busy_until_ns: other.busy_until_ns,
            ..Self::default()
        };
    }

    /// Adds what `other` has counted, but for the time, which may be the same that others were busy; that is the result, ns.
    pub fn add(&mut self, other: &Self) -> u64 {
        self.read_commands += other.read_commands;
        self.write_commands += other.write_commands;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.modifications += other.modifications;
        self.busy_until_ns = self.busy_until_ns.max(other.busy_until_ns);
        other.busy_ns
    }
}
