//! Which CPUs the device's threads run on: the `cpus=` parameter.

use core::fmt;

/// More threads than this help nobody: dispatchers and I/O workers together.
pub const CPU_COUNT_MAX: usize = 64;

/// Most dispatchers.
pub const DISPATCHER_COUNT_MAX: usize = 8;

/// The machine's CPUs.
pub trait Cpus {
    /// One more than the highest number a CPU can have.
    fn limit(&self) -> u32;
    /// Whether this CPU is running now.
    fn is_online(&self, cpu: u32) -> bool;
}

/// At least one CPU, none twice, all online. The first is the dispatcher's, or the first ones those of several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CpuList {
    cpus: [u32; CPU_COUNT_MAX],
    count: usize,
}

impl CpuList {
    const EMPTY: Self = Self {
        cpus: [0; CPU_COUNT_MAX],
        count: 0,
    };

    /// The CPUs in the order given.
    pub fn as_slice(&self) -> &[u32] {
        self.cpus.get(..self.count).unwrap_or(&[])
    }

    /// I/O workers: one for each CPU after those of the dispatchers; with a single CPU, the dispatcher's thread is also the one worker.
    pub fn worker_count(&self, dispatchers: usize) -> usize {
        self.count.saturating_sub(dispatchers).max(1)
    }

    /// Checks that so many dispatchers, if there are several, leave a CPU for a worker.
    ///
    /// # Errors
    /// If they do not, or there are too many.
    pub fn check_dispatchers(&self, dispatchers: usize) -> Result<(), CpuListError> {
        match dispatchers {
            0 => Err(CpuListError::Dispatchers),
            1 => Ok(()),
            2..=DISPATCHER_COUNT_MAX if dispatchers < self.count => Ok(()),
            2..=DISPATCHER_COUNT_MAX => Err(CpuListError::TooFew {
                dispatchers,
                cpus: self.count,
            }),
            _ => Err(CpuListError::Dispatchers),
        }
    }

    fn push(&mut self, cpu: u32, machine: &impl Cpus) -> Result<(), CpuListError> {
        if cpu >= machine.limit() || !machine.is_online(cpu) {
            return Err(CpuListError::Offline {
                cpu,
                limit: machine.limit(),
            });
        }
        if self.as_slice().contains(&cpu) {
            return Err(CpuListError::Twice { cpu });
        }
        *self.cpus.get_mut(self.count).ok_or(CpuListError::TooMany)? = cpu;
        self.count += 1;
        Ok(())
    }

    /// Reads `1,2` or `1-3,7`.
    ///
    /// # Errors
    /// If the list is empty or malformed, or names a CPU twice or one that is not online.
    pub fn parse(text: &str, machine: &impl Cpus) -> Result<Self, CpuListError> {
        let mut list = Self::EMPTY;
        let text = text.trim();
        if text.is_empty() {
            return Err(CpuListError::Empty);
        }
        for item in text.split(',') {
            let (first, last) = match item.split_once('-') {
                Some((first, last)) => (parse_cpu(first)?, parse_cpu(last)?),
                None => (parse_cpu(item)?, parse_cpu(item)?),
            };
            if first > last {
                return Err(CpuListError::Malformed);
            }
            for cpu in first..=last {
                list.push(cpu, machine)?;
            }
        }
        Ok(list)
    }

    /// What is used without `cpus=`: the last CPUs, one for each dispatcher and one for a worker, if one is left over then. With fewer CPUs one
    /// dispatcher has the last one, so that CPU 0 stays free where possible.
    ///
    /// # Errors
    /// If no CPU is online, which no machine says.
    pub fn choose(machine: &impl Cpus, dispatchers: usize) -> Result<Self, CpuListError> {
        let online = (0..machine.limit()).filter(|&cpu| machine.is_online(cpu)).count();
        let wanted = match dispatchers.clamp(1, DISPATCHER_COUNT_MAX) {
            1 if online < 3 => 1,
            dispatchers => dispatchers + 1,
        };
        let mut list = Self::EMPTY;
        for cpu in (0..machine.limit())
            .filter(|&cpu| machine.is_online(cpu))
            .skip(online.saturating_sub(wanted))
        {
            list.push(cpu, machine)?;
        }
        if list.as_slice().is_empty() {
            return Err(CpuListError::Empty);
        }
        Ok(list)
    }
}

impl fmt::Debug for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

fn parse_cpu(text: &str) -> Result<u32, CpuListError> {
    let text = text.trim();
    // `+1` is a number to Rust, but not to the other readers of CPU lists.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CpuListError::Malformed);
    }
    text.parse().map_err(|_| CpuListError::Malformed)
}

/// What is wrong with a list of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuListError {
    /// Nothing in it.
    Empty,
    /// Too few for the dispatchers and a worker.
    TooFew {
        /// The dispatchers.
        dispatchers: usize,
        /// The CPUs.
        cpus: usize,
    },
    /// A number of dispatchers that cannot be.
    Dispatchers,
    /// Not numbers and ranges.
    Malformed,
    /// A CPU that is there twice.
    Twice {
        /// Which.
        cpu: u32,
    },
    /// A CPU that is not running.
    Offline {
        /// Which.
        cpu: u32,
        /// One more than the highest number on this machine.
        limit: u32,
    },
    /// More than [`CPU_COUNT_MAX`].
    TooMany,
}

impl fmt::Display for CpuListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the list is empty; name at least one CPU, for example cpus=1,2"),
            Self::Malformed => {
                f.write_str("not a list of CPUs; write numbers and ranges, for example cpus=1,2 or cpus=2-4")
            }
            Self::Twice { cpu } => write!(f, "CPU {cpu} is there twice; name each CPU once"),
            Self::Offline { cpu, limit } => {
                write!(
                    f,
                    "CPU {cpu} is not online; this machine numbers its CPUs below {limit}, see lscpu"
                )
            }
            Self::TooFew { dispatchers, cpus } => write!(
                f,
                "{dispatchers} dispatchers and an I/O worker need {} CPUs, and cpus= has {cpus}",
                dispatchers + 1
            ),
            Self::Dispatchers => write!(f, "a drive has from 1 to {DISPATCHER_COUNT_MAX} dispatchers"),
            Self::TooMany => write!(f, "too many CPUs; at most {CPU_COUNT_MAX} can be used"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(&'static [u32]);

    impl Cpus for Machine {
        fn limit(&self) -> u32 {
            self.0.last().map_or(0, |last| last + 1)
        }
        fn is_online(&self, cpu: u32) -> bool {
            self.0.contains(&cpu)
        }
    }

    const FOUR: Machine = Machine(&[0, 1, 2, 3]);

    #[test]
    fn lists_and_ranges_keep_their_order() {
        assert_eq!(CpuList::parse("2,1", &FOUR).unwrap().as_slice(), [2, 1]);
        assert_eq!(CpuList::parse("3,0-2\n", &FOUR).unwrap().as_slice(), [3, 0, 1, 2]);
        assert_eq!(CpuList::parse("3", &FOUR).unwrap().worker_count(1), 1);
        assert_eq!(CpuList::parse("1,3", &FOUR).unwrap().worker_count(1), 1);
        assert_eq!(CpuList::parse("0-3", &FOUR).unwrap().worker_count(1), 3);
        assert_eq!(CpuList::parse("0-3", &FOUR).unwrap().worker_count(2), 2);
    }

    #[test]
    fn dispatchers_leave_a_cpu_for_a_worker() {
        let list = CpuList::parse("0-3", &FOUR).unwrap();
        assert_eq!(list.check_dispatchers(3), Ok(()));
        let too_few = CpuListError::TooFew {
            dispatchers: 4,
            cpus: 4,
        };
        assert_eq!(list.check_dispatchers(4), Err(too_few));
        assert_eq!(list.check_dispatchers(0), Err(CpuListError::Dispatchers));
        assert_eq!(list.check_dispatchers(9), Err(CpuListError::Dispatchers));
        assert_eq!(CpuList::choose(&FOUR, 2).unwrap().as_slice(), [1, 2, 3]);
        let both = CpuList::choose(&Machine(&[0, 1]), 2).unwrap();
        assert!(both.check_dispatchers(2).is_err());
    }

    #[test]
    fn bad_lists_are_refused() {
        let sparse = Machine(&[0, 2, 5]);
        for (text, error) in [
            ("", CpuListError::Empty),
            (" \n", CpuListError::Empty),
            ("0,,2", CpuListError::Malformed),
            ("2,", CpuListError::Malformed),
            ("a", CpuListError::Malformed),
            ("-1", CpuListError::Malformed),
            ("+1", CpuListError::Malformed),
            ("3-1", CpuListError::Malformed),
            ("99999999999", CpuListError::Malformed),
            ("2,0,2", CpuListError::Twice { cpu: 2 }),
            ("0,1", CpuListError::Offline { cpu: 1, limit: 6 }),
            ("6", CpuListError::Offline { cpu: 6, limit: 6 }),
            ("0-4294967295", CpuListError::Offline { cpu: 1, limit: 6 }),
        ] {
            assert_eq!(CpuList::parse(text, &sparse), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        struct Huge;
        impl Cpus for Huge {
            fn limit(&self) -> u32 {
                u32::MAX
            }
            fn is_online(&self, _: u32) -> bool {
                true
            }
        }
        assert_eq!(CpuList::parse("0-4294967294", &Huge), Err(CpuListError::TooMany));
        assert_eq!(
            CpuList::parse("0-63", &Huge).unwrap().as_slice().len(),
            CPU_COUNT_MAX
        );
    }

    #[test]
    fn without_a_list_the_last_cpus_are_chosen() {
        assert_eq!(CpuList::choose(&FOUR, 1).unwrap().as_slice(), [2, 3]);
        assert_eq!(CpuList::choose(&Machine(&[0, 1]), 1).unwrap().as_slice(), [1]);
        assert_eq!(CpuList::choose(&Machine(&[0]), 1).unwrap().as_slice(), [0]);
        assert_eq!(
            CpuList::choose(&Machine(&[0, 3, 9]), 1).unwrap().as_slice(),
            [3, 9]
        );
        assert_eq!(CpuList::choose(&Machine(&[]), 1), Err(CpuListError::Empty));
    }
}
