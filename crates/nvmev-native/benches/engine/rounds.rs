//! Rounds: all cases take turns, so that what else the machine does falls on all of them; and how their time is taken.

use std::time::Duration;

use rustix::time::{clock_gettime, ClockId};

/// Time that this thread has run: what the machine gives to others is not in it. A look costs as much as a system call, so one is taken at a few hundred
/// commands.
#[derive(Clone, Copy)]
pub struct CpuTime(Duration);

impl CpuTime {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Self(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }
}

impl std::ops::Sub for CpuTime {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

/// What the rounds of a case came to.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Figure {
    pub best: f64,
    pub median: f64,
}

/// Runs `rounds` rounds of all cases; `run` measures a case once, several things at a time, for each of which lower is better. One round before them does
/// not count.
pub fn alternate<C, const N: usize>(
    cases: &mut [C],
    rounds: usize,
    mut run: impl FnMut(&mut C) -> [f64; N],
) -> Vec<[Figure; N]> {
    let mut measured: Vec<Vec<[f64; N]>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (case, measured) in cases.iter_mut().zip(&mut measured) {
            let values = run(case);
            if round > 0 {
                measured.push(values);
            }
        }
    }
    let figures = |values: &Vec<[f64; N]>| {
        std::array::from_fn(|index| figure(values.iter().map(|of_round| of_round[index]).collect()))
    };
    measured.iter().map(figures).collect()
}

fn figure(mut values: Vec<f64>) -> Figure {
    values.sort_by(f64::total_cmp);
    Figure {
        best: values[0],
        median: values[values.len() / 2],
    }
}
