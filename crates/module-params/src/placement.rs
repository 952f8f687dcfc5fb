//! Where a thread runs while its CPU is offline.
//!
//! Each thread belongs on one CPU of `cpus=`, its home, and is there whenever that CPU is online. While it is not, the thread runs on another CPU:
//! on one that no thread of the drive uses, if there is any.

use core::cmp::Reverse;
use core::fmt;

use crate::cpus::Cpus;

/// What matters when a CPU has to stand in for another one.
pub trait Topology: Cpus {
    /// The CPU's NUMA node.
    fn node(&self, cpu: u32) -> u32;
    /// Whether somebody keeps it for a purpose of their own: `isolcpus=`, `nohz_full=`, an isolated cpuset.
    fn is_isolated(&self, cpu: u32) -> bool;
}

/// Updates `now`, the CPU on which each thread runs, after a CPU went offline or came online. `homes` has the CPU to which each thread belongs.
///
/// A thread leaves the CPU on which it is only if that CPU is offline, if its home is online again, or if it shares the CPU with another thread and
/// need not.
pub fn place(homes: &[u32], now: &mut [u32], machine: &impl Topology) {
    for (now, &home) in now.iter_mut().zip(homes) {
        if machine.is_online(home) {
            *now = home;
        }
    }
    for (index, &home) in homes.iter().enumerate() {
        let Some(&current) = now.get(index).filter(|_| !machine.is_online(home)) else {
            continue;
        };
        let users = |cpu: u32| {
            let others = now.iter().enumerate().filter(|&(other, _)| other != index);
            others.filter(|&(_, &used)| used == cpu).count()
        };
        let online = (0..machine.limit()).filter(|&cpu| machine.is_online(cpu));
        // The highest number comes last: CPU 0 has most of the kernel's own work.
        let best = online.max_by_key(|&cpu| {
            let is_near = machine.node(cpu) == machine.node(home);
            (Reverse(users(cpu)), !machine.is_isolated(cpu), is_near, cpu)
        });
        let is_good = |best: u32| machine.is_online(current) && users(current) <= users(best);
        if let Some(best) = best.filter(|&best| !is_good(best)) {
            if let Some(now) = now.get_mut(index) {
                *now = best;
            }
        }
    }
}

/// A thread's name, from its index in `cpus=`: the dispatchers come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadName {
    /// Its index.
    pub index: usize,
    /// How many dispatchers there are.
    pub dispatcher_count: usize,
}

impl fmt::Display for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index.checked_sub(self.dispatcher_count) {
            Some(number) => write!(f, "nvmev_io_worker_{number}"),
            None if self.index == 0 => f.write_str("nvmev_dispatcher"),
            None => write!(f, "nvmev_dispatcher_{}", self.index),
        }
    }
}

/// A thread that [`place`] moved, as the log tells it.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// The thread.
    pub name: ThreadName,
    /// Where it belongs.
    pub home: u32,
    /// Where it ran.
    pub from: u32,
    /// Whether it could have stayed there.
    pub from_is_online: bool,
    /// Where it runs now.
    pub to: u32,
    /// Whether another thread of the drive runs there, too.
    pub is_shared: bool,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            home,
            from,
            from_is_online,
            to,
            is_shared,
        } = self;
        if to == home {
            return write!(f, "CPU {home} is back: {name} runs on it again");
        }
        if !from_is_online {
            write!(f, "CPU {from} goes offline: ")?;
        }
        write!(f, "{name} runs on CPU {to} until CPU {home} is back")?;
        if *is_shared {
            f.write_str("; it shares that CPU with another thread of the drive")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    /// Two nodes: CPUs 0 to 3, and 4 to 7.
    struct Machine {
        online: Vec<u32>,
        isolated: &'static [u32],
    }

    impl Cpus for Machine {
        fn limit(&self) -> u32 {
            8
        }
        fn is_online(&self, cpu: u32) -> bool {
            self.online.contains(&cpu)
        }
    }

    impl Topology for Machine {
        fn node(&self, cpu: u32) -> u32 {
            cpu / 4
        }
        fn is_isolated(&self, cpu: u32) -> bool {
            self.isolated.contains(&cpu)
        }
    }

    /// Takes CPUs away and brings them back, one after the other.
    struct Trial {
        machine: Machine,
        homes: &'static [u32],
        now: Vec<u32>,
    }

    impl Trial {
        fn new(homes: &'static [u32], isolated: &'static [u32]) -> Self {
            let online = (0..8).collect();
            Self {
                machine: Machine { online, isolated },
                homes,
                now: homes.to_vec(),
            }
        }

        fn offline(&mut self, cpu: u32) -> &[u32] {
            self.machine.online.retain(|&online| online != cpu);
            self.place()
        }

        fn online(&mut self, cpu: u32) -> &[u32] {
            self.machine.online.push(cpu);
            self.place()
        }

        fn place(&mut self) -> &[u32] {
            place(self.homes, &mut self.now, &self.machine);
            &self.now
        }
    }

    #[test]
    fn a_thread_leaves_its_cpu_and_comes_back() {
        let mut trial = Trial::new(&[1, 2], &[]);
        assert_eq!(trial.offline(2), [1, 3]);
        assert_eq!(trial.offline(1), [0, 3]);
        assert_eq!(trial.online(2), [0, 2]);
        assert_eq!(trial.online(1), [1, 2]);
        // A CPU that nobody uses concerns nobody.
        assert_eq!(trial.offline(5), [1, 2]);
        assert_eq!(trial.online(5), [1, 2]);
    }

    #[test]
    fn a_stand_in_may_go_offline_too() {
        let mut trial = Trial::new(&[6, 7], &[]);
        assert_eq!(trial.offline(7), [6, 5]);
        assert_eq!(trial.offline(5), [6, 4]);
        // Then none of that node is free.
        assert_eq!(trial.offline(4), [6, 3]);
        // It stays where it is: a move costs more than the distance.
        assert_eq!(trial.online(5), [6, 3]);
        assert_eq!(trial.online(7), [6, 7]);
    }

    #[test]
    fn threads_share_only_if_they_must() {
        let mut trial = Trial::new(&[0, 1, 2, 3], &[]);
        for cpu in 4..8 {
            assert_eq!(trial.offline(cpu), [0, 1, 2, 3]);
        }
        assert_eq!(trial.offline(3), [0, 1, 2, 2]);
        assert_eq!(trial.offline(0), [1, 1, 2, 2]);
        // Both could have it now; the first one takes it.
        assert_eq!(trial.online(7), [7, 1, 2, 2]);
        assert_eq!(trial.online(6), [7, 1, 2, 6]);
        // Of two that are shared, the nearer one.
        assert_eq!(trial.offline(2), [7, 1, 1, 6]);
        assert_eq!(trial.online(3), [7, 1, 6, 3]);
        assert_eq!(trial.online(2), [7, 1, 2, 3]);
        assert_eq!(trial.online(0), [0, 1, 2, 3]);
    }

    #[test]
    fn all_end_up_on_the_last_cpu() {
        let mut trial = Trial::new(&[1, 2, 3], &[]);
        for cpu in 1..8 {
            trial.offline(cpu);
        }
        assert_eq!(trial.now, [0, 0, 0]);
        for cpu in 1..8 {
            trial.online(cpu);
        }
        assert_eq!(trial.now, [1, 2, 3]);
    }

    #[test]
    fn cpus_kept_for_others_are_left_alone_while_there_is_another_free_one() {
        let mut trial = Trial::new(&[2, 3], &[2, 3, 6, 7]);
        assert_eq!(trial.offline(2), [1, 3]);
        assert_eq!(trial.offline(1), [0, 3]);
        assert_eq!(trial.offline(0), [5, 3]);
        assert_eq!(trial.offline(5), [4, 3]);
        assert_eq!(trial.offline(4), [7, 3]);
        assert_eq!(trial.online(2), [2, 3]);
    }

    #[test]
    fn threads_have_the_names_that_the_log_always_had() {
        let names = |dispatcher_count: usize| {
            (0..4)
                .map(|index| {
                    let name = ThreadName {
                        index,
                        dispatcher_count,
                    };
                    name.to_string()
                })
                .collect::<Vec<_>>()
        };
        let one = [
            "nvmev_dispatcher",
            "nvmev_io_worker_0",
            "nvmev_io_worker_1",
            "nvmev_io_worker_2",
        ];
        assert_eq!(names(1), one);
        let two = [
            "nvmev_dispatcher",
            "nvmev_dispatcher_1",
            "nvmev_io_worker_0",
            "nvmev_io_worker_1",
        ];
        assert_eq!(names(2), two);
    }

    #[test]
    fn the_log_says_which_thread_runs_where_and_why() {
        let moved = Moved {
            name: ThreadName {
                index: 1,
                dispatcher_count: 1,
            },
            home: 2,
            from: 2,
            from_is_online: false,
            to: 3,
            is_shared: false,
        };
        assert_eq!(
            moved.to_string(),
            "CPU 2 goes offline: nvmev_io_worker_0 runs on CPU 3 until CPU 2 is back"
        );
        let further = Moved {
            from: 3,
            to: 1,
            is_shared: true,
            ..moved
        };
        assert_eq!(
            further.to_string(),
            "CPU 3 goes offline: nvmev_io_worker_0 runs on CPU 1 until CPU 2 is back; \
             it shares that CPU with another thread of the drive"
        );
        let better = Moved {
            from: 1,
            from_is_online: true,
            to: 0,
            ..moved
        };
        assert_eq!(
            better.to_string(),
            "nvmev_io_worker_0 runs on CPU 0 until CPU 2 is back"
        );
        let home = Moved { to: 2, ..better };
        assert_eq!(
            home.to_string(),
            "CPU 2 is back: nvmev_io_worker_0 runs on it again"
        );
    }
}
