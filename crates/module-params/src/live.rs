//! Timing that changes while the device runs: from whoever writes to `/proc/nvmev` to the dispatcher, without a lock.

use core::sync::atomic::{fence, AtomicU32, Ordering};

use crate::nvm::NvmTimes;
use crate::proc_text::Times;

const FIELDS: usize = 8;

/// A value that one writer at a time replaces and any number of readers copy: a sequence lock over atomics.
#[derive(Debug)]
pub struct LiveTimes {
    /// Odd while a writer is at it; two more after each write.
    generation: AtomicU32,
    fields: [AtomicU32; FIELDS],
}

impl LiveTimes {
    /// Begins with `times`, as generation 0.
    pub fn new(times: NvmTimes) -> Self {
        Self {
            generation: AtomicU32::new(0),
            fields: to_fields(times).map(AtomicU32::new),
        }
    }

    /// Replaces the value. Calls MUST NOT overlap.
    pub fn store(&self, times: NvmTimes) {
        let generation = self.generation.load(Ordering::Relaxed);
        self.generation
            .store(generation.wrapping_add(1), Ordering::Relaxed);
        // The odd generation is seen before any field that changes under it.
        fence(Ordering::Release);
        for (field, value) in self.fields.iter().zip(to_fields(times)) {
            field.store(value, Ordering::Relaxed);
        }
        self.generation
            .store(generation.wrapping_add(2), Ordering::Release);
    }

    /// The value, and its generation, if that is not `seen` and no writer is at it just now.
    pub fn load_if_new(&self, seen: u32) -> Option<(u32, NvmTimes)> {
        let generation = self.generation.load(Ordering::Acquire);
        if generation == seen || generation % 2 == 1 {
            return None;
        }
        let times = self.copy();
        fence(Ordering::Acquire);
        (self.generation.load(Ordering::Relaxed) == generation).then_some((generation, times))
    }

    /// The value, for whoever excludes writers otherwise or only shows it.
    pub fn copy(&self) -> NvmTimes {
        from_fields(self.fields.each_ref().map(|field| field.load(Ordering::Relaxed)))
    }
}

fn to_fields(times: NvmTimes) -> [u32; FIELDS] {
    // Every field is named, so that a new one cannot be forgotten.
    let NvmTimes {
        read:
            Times {
                delay_ns: read_delay,
                time_ns: read_time,
                trailing_ns: read_trailing,
            },
        write:
            Times {
                delay_ns: write_delay,
                time_ns: write_time,
                trailing_ns: write_trailing,
            },
        io_units,
        io_unit_shift,
    } = times;
    [
        read_delay,
        read_time,
        read_trailing,
        write_delay,
        write_time,
        write_trailing,
        io_units,
        io_unit_shift,
    ]
}

fn from_fields(fields: [u32; FIELDS]) -> NvmTimes {
    let [read_delay, read_time, read_trailing, write_delay, write_time, write_trailing, io_units, io_unit_shift] =
        fields;
    NvmTimes {
        read: Times {
            delay_ns: read_delay,
            time_ns: read_time,
            trailing_ns: read_trailing,
        },
        write: Times {
            delay_ns: write_delay,
            time_ns: write_time,
            trailing_ns: write_trailing,
        },
        io_units,
        io_unit_shift,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: u32) -> NvmTimes {
        from_fields([n; FIELDS])
    }

    #[test]
    fn a_new_value_is_seen_once() {
        let live = LiveTimes::new(times(1));
        assert_eq!(live.load_if_new(0), None);
        live.store(times(2));
        let (generation, seen) = live.load_if_new(0).unwrap();
        assert_eq!(seen, times(2));
        assert_eq!(live.load_if_new(generation), None);
        assert_eq!(live.copy(), times(2));
    }

    #[test]
    fn no_reader_sees_half_of_a_value() {
        const LAST: u32 = 20_000;
        let live = LiveTimes::new(times(0));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=LAST).for_each(|n| live.store(times(n))));
            let mut seen = 0;
            loop {
                if let Some((generation, value)) = live.load_if_new(seen) {
                    assert_eq!(value, times(value.io_units));
                    seen = generation;
                    if value.io_units == LAST {
                        break;
                    }
                }
            }
        });
    }
}
