//! What is gathered while a phase runs: latencies, and how things went over time.

use hdrhistogram::Histogram;
use serde::Serialize;
use ssd_model::FlashStatistics;

use super::source::Action;

/// Significant digits of a latency.
const DIGITS: u8 = 3;
/// Longest latency that is told apart from longer ones: an hour.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
/// Most points of a series; with more, each begins to stand for twice the time.
const POINTS_MAX: usize = 1024;
/// Time of a point at first.
const WIDTH_NS: u64 = 1_000_000;

/// Reads, writes (appends among them), trims and resets of zones apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
    Trim,
    Reset,
}

impl Direction {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Trim, Self::Reset];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Trim => "trim",
            Self::Reset => "reset",
        }
    }

    /// A flush is none of them: it is measured by itself.
    pub const fn of(action: Action) -> Option<Self> {
        match action {
            Action::Read => Some(Self::Read),
            Action::Write(_) | Action::Append(_) => Some(Self::Write),
            Action::Trim => Some(Self::Trim),
            Action::Reset => Some(Self::Reset),
            Action::Flush => None,
        }
    }
}

/// Latencies and amounts of one direction.
#[derive(Clone, Debug)]
pub(super) struct DirectionMeasure {
    pub latencies: Histogram<u64>,
    pub bytes: u64,
    pub errors: u64,
}

impl DirectionMeasure {
    fn new() -> Self {
        Self {
            latencies: Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS).expect("sound bounds"),
            bytes: 0,
            errors: 0,
        }
    }
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeriesPoint {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Commands done.
    pub commands: u64,
    /// Lines collected.
    pub gc_runs: u64,
    /// Pages that garbage collection copied.
    pub gc_copied_pages: u64,
}

impl SeriesPoint {
    fn add(&mut self, other: Self) {
        let Self {
            read_bytes,
            written_bytes,
            commands,
            gc_runs,
            gc_copied_pages,
        } = other;
        self.read_bytes += read_bytes;
        self.written_bytes += written_bytes;
        self.commands += commands;
        self.gc_runs += gc_runs;
        self.gc_copied_pages += gc_copied_pages;
    }
}

/// How things went over time. Keeps to a bounded number of points, however long a phase is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Time that each point stands for, ns.
    pub width_ns: u64,
    /// The points, from the phase's beginning on.
    pub points: Vec<SeriesPoint>,
}

impl Series {
    fn new() -> Self {
        Self {
            width_ns: WIDTH_NS,
            points: Vec::with_capacity(POINTS_MAX),
        }
    }

    /// The point of a time since the phase began.
    fn at(&mut self, time_ns: u64) -> &mut SeriesPoint {
        while time_ns / self.width_ns >= POINTS_MAX as u64 {
            self.double();
        }
        let index = (time_ns / self.width_ns) as usize;
        if index >= self.points.len() {
            self.points.resize(index + 1, SeriesPoint::default());
        }
        &mut self.points[index]
    }

    fn double(&mut self) {
        let mut points = Vec::with_capacity(POINTS_MAX);
        for pair in self.points.chunks(2) {
            let mut sum = SeriesPoint::default();
            pair.iter().for_each(|point| sum.add(*point));
            points.push(sum);
        }
        self.points = points;
        self.width_ns = self.width_ns.saturating_mul(2);
    }
}

/// Everything that is gathered during a phase.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    directions: [DirectionMeasure; 4],
    /// Flushes are none of the directions: they are of no place.
    pub flushes: DirectionMeasure,
    pub series: Series,
    flash_seen: FlashStatistics,
    /// When garbage collection is looked at next, ns since the phase began.
    pub flash_due_ns: u64,
}

impl Measure {
    pub fn new() -> Self {
        Self {
            directions: Direction::ALL.map(|_| DirectionMeasure::new()),
            flushes: DirectionMeasure::new(),
            series: Series::new(),
            flash_seen: FlashStatistics::default(),
            flash_due_ns: WIDTH_NS,
        }
    }

    pub fn direction(&self, direction: Direction) -> &DirectionMeasure {
        &self.directions[direction as usize]
    }

    /// A command is done, `done_ns` after the phase began.
    #[inline]
    pub fn done(&mut self, action: Action, len_bytes: u64, latency_ns: u64, done_ns: u64) {
        let latency_ns = latency_ns.max(1);
        let Some(direction) = Direction::of(action) else {
            self.flushes.latencies.saturating_record(latency_ns);
            return;
        };
        let measure = &mut self.directions[direction as usize];
        measure.latencies.saturating_record(latency_ns);
        measure.bytes += len_bytes;
        let point = self.series.at(done_ns);
        point.commands += 1;
        match direction {
            Direction::Read => point.read_bytes += len_bytes,
            Direction::Write => point.written_bytes += len_bytes,
            Direction::Trim | Direction::Reset => {}
        }
    }

    pub fn failed(&mut self, action: Action) {
        if let Some(direction) = Direction::of(action) {
            self.directions[direction as usize].errors += 1;
        }
    }

    /// Notes what garbage collection did until `now_ns` since the phase began.
    pub fn flash(&mut self, now_ns: u64, statistics: FlashStatistics) {
        let (gc_runs, gc_copied_pages) = (
            statistics.gc_runs - self.flash_seen.gc_runs,
            statistics.gc_copied_pages - self.flash_seen.gc_copied_pages,
        );
        self.flash_seen = statistics;
        // What was found out now happened before, most of it in the point that has just ended.
        let point = self.series.at(now_ns.min(self.flash_due_ns).saturating_sub(1));
        point.gc_runs += gc_runs;
        point.gc_copied_pages += gc_copied_pages;
        let width_ns = self.series.width_ns;
        self.flash_due_ns = (now_ns / width_ns + 1).saturating_mul(width_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_its_sums_while_its_points_widen() {
        let mut series = Series::new();
        for time_ns in (0..10_000_000_000_u64).step_by(777_777) {
            series.at(time_ns).commands += 1;
        }
        assert!(series.points.len() <= POINTS_MAX);
        let commands: u64 = series.points.iter().map(|point| point.commands).sum();
        assert_eq!(commands, 10_000_000_000_u64.div_ceil(777_777));
        series.at(u64::MAX / 4);
        assert!(series.points.len() <= POINTS_MAX);
    }
}
