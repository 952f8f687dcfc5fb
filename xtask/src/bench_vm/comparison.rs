//! What the rounds say together: medians, ratios and how far they spread.

use serde::Serialize;

use super::jobs::{self, Job, Measured, Results};

/// Both sides' results of one round.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// In which boot of the VM each side ran, counted from 1: ours, the other's.
    pub boots: [usize; 2],
    /// Ours.
    pub ours: Results,
    /// The other's.
    pub other: Results,
}

/// The middle of some values and the ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number of values the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (upper, lower) = (values.len() / 2, values.len().checked_sub(1)? / 2);
        Some(Self {
            min: *values.first()?,
            median: f64::midpoint(*values.get(lower)?, *values.get(upper)?),
            max: *values.last()?,
        })
    }

    /// Whether a value lies within.
    pub fn has(&self, value: f64) -> bool {
        self.min <= value && value <= self.max
    }
}

/// One quantity of a job on both sides.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Compared {
    /// The median of our rounds.
    pub ours_median: f64,
    /// The median of the other's rounds.
    pub other_median: f64,
    /// Ours divided by the other's, in each round by itself: what lies far apart in time is not compared.
    pub ratio: Spread,
}

impl Compared {
    fn of(rounds: &[[f64; 2]]) -> Option<Self> {
        let each = |value: fn(&[f64; 2]) -> f64| Spread::of(rounds.iter().map(value).collect());
        Some(Self {
            ours_median: each(|&[ours, _]| ours)?.median,
            other_median: each(|&[_, other]| other)?.median,
            ratio: each(|&[ours, other]| ours / other)?,
        })
    }
}

/// A job on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct JobComparison {
    /// Its name.
    pub job: String,
    /// Commands per second.
    pub iops: Compared,
    /// Mean latencies, at queue depth 1 only: at greater depths they are the depth divided by the IOPS.
    pub mean_latency_ns: Option<Compared>,
}

/// Compares all jobs; those that no round has are left out.
pub fn compare(rounds: &[Round]) -> Vec<JobComparison> {
    let jobs = jobs::all().into_iter();
    jobs.filter_map(|job| compare_job(job, rounds)).collect()
}

fn compare_job(job: Job, rounds: &[Round]) -> Option<JobComparison> {
    let name = job.name();
    let each = |value: fn(&Measured) -> f64| {
        let pairs = rounds
            .iter()
            .filter_map(|round| Some([value(round.ours.get(&name)?), value(round.other.get(&name)?)]));
        Compared::of(&pairs.collect::<Vec<_>>())
    };
    Some(JobComparison {
        iops: each(|measured| measured.iops)?,
        mean_latency_ns: (job.queue_depth == 1)
            .then(|| each(|measured| measured.mean_latency_ns))
            .flatten(),
        job: name,
    })
}

/// How the rounds' ratios of many jobs together spread.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Of which jobs.
    pub jobs: &'static str,
    /// The geometric mean of the jobs' ratios of IOPS, in each round by itself: being twice as fast in one job and half as fast in another is 1.
    pub ratio: Spread,
}

/// Sums the rounds up: the jobs with each queue depth, then all.
pub fn summarize(rounds: &[Round]) -> Vec<Summary> {
    let groups = [
        ("queue depth 1", Some(1)),
        ("queue depth 32", Some(32)),
        ("all jobs", None),
    ];
    let summaries = groups.into_iter().filter_map(|(jobs, queue_depth)| {
        let means = rounds.iter().filter_map(|round| mean_ratio(round, queue_depth));
        let ratio = Spread::of(means.collect())?;
        Some(Summary { jobs, ratio })
    });
    summaries.collect()
}

/// The geometric mean of the ratios of IOPS of the jobs with a queue depth, or of all.
fn mean_ratio(round: &Round, queue_depth: Option<u32>) -> Option<f64> {
    let is_meant = |job: &Job| queue_depth.is_none_or(|depth| job.queue_depth == depth);
    let ratios = jobs::all().into_iter().filter(is_meant).filter_map(|job| {
        let name = job.name();
        Some(round.ours.get(&name)?.iops / round.other.get(&name)?.iops)
    });
    let logarithms: Vec<f64> = ratios.map(f64::ln).collect();
    let count = u32::try_from(logarithms.len()).ok().filter(|&count| count > 0)?;
    Some((logarithms.iter().sum::<f64>() / f64::from(count)).exp())
}

/// The comparison for people.
pub fn table(jobs: &[JobComparison], summaries: &[Summary]) -> String {
    let mut text = format!(
        "{:26} {:>10} {:>10} {:>7}  {:12} {:>10} {:>10}\n",
        "job", "ours, IOPS", "other", "ratio", "min…max", "ours, µs", "other"
    );
    let ratio_columns = |ratio: &Spread| {
        let ends = format!("{:.2}…{:.2}", ratio.min, ratio.max);
        format!("{:>7.2}  {ends:12}", ratio.median)
    };
    for job in jobs {
        let iops = &job.iops;
        let mut line = format!(
            "{:26} {:>10.0} {:>10.0} {}",
            job.job,
            iops.ours_median,
            iops.other_median,
            ratio_columns(&iops.ratio)
        );
        if let Some(latency) = &job.mean_latency_ns {
            let [ours, other] = [latency.ours_median, latency.other_median].map(|ns| ns / 1000.0);
            line += &format!(" {ours:>10.1} {other:>10.1}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    for summary in summaries {
        let line = format!(
            "{:48} {}",
            format!("{}, geometric mean", summary.jobs),
            ratio_columns(&summary.ratio)
        );
        text += line.trim_end();
        text.push('\n');
    }
    let even = jobs.iter().filter(|job| job.iops.ratio.has(1.0)).count();
    text + &format!(
        "IOPS and mean latencies: medians of the rounds. Ratio: ours/other in IOPS (above 1 ours is faster), median and ends of the rounds' ratios;\n\
         1 lies between the ends for {even} of {} jobs.\n",
        jobs.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ours_iops: f64, other_iops: f64) -> Round {
        let results = |iops| {
            let measured = Measured {
                iops,
                mean_latency_ns: 1e9 / iops,
            };
            jobs::all()
                .into_iter()
                .map(|job| (job.name(), measured))
                .collect()
        };
        Round {
            boots: [1, 1],
            ours: results(ours_iops),
            other: results(other_iops),
        }
    }

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_the_two_there() {
        let median = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0]), Some(4.0));
        assert_eq!(median(&[9.0, 1.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), Some(3.0));
    }

    #[test]
    fn the_spread_goes_from_the_smallest_to_the_largest() {
        let spread = Spread::of(vec![3.0, -1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.max), (-1.0, 3.0));
        assert!(spread.has(-1.0) && spread.has(0.0) && spread.has(3.0));
        assert!(!spread.has(3.1) && !spread.has(-1.1));
    }

    /// The machine became four times as fast between the rounds, which says nothing about the sides.
    #[test]
    fn ratios_are_of_rounds_not_of_medians() {
        let jobs = compare(&[round(100.0, 50.0), round(400.0, 200.0), round(1000.0, 1000.0)]);
        assert_eq!(jobs.len(), jobs::all().len());
        for job in &jobs {
            assert_eq!((job.iops.ours_median, job.iops.other_median), (400.0, 200.0));
            let Spread { min, median, max } = job.iops.ratio;
            assert_eq!((min, median, max), (1.0, 2.0, 2.0));
        }
    }

    #[test]
    fn latencies_are_compared_at_queue_depth_1_only() {
        for (job, compared) in jobs::all().into_iter().zip(compare(&[round(100.0, 50.0)])) {
            assert_eq!(compared.job, job.name());
            assert_eq!(compared.mean_latency_ns.is_some(), job.queue_depth == 1);
            if let Some(latency) = compared.mean_latency_ns {
                assert_eq!(latency.ratio.median, 0.5);
            }
        }
    }

    #[test]
    fn twice_as_fast_here_and_half_as_fast_there_is_even_on_the_whole() {
        let mut round = round(100.0, 100.0);
        for job in jobs::all() {
            let measured = round.ours.get_mut(&job.name()).unwrap();
            measured.iops = if job.queue_depth == 1 { 200.0 } else { 50.0 };
        }
        let close = |ratio: Spread, wanted: f64| (ratio.median - wanted).abs() < 1e-9;
        for summary in summarize(&[round]) {
            let wanted = match summary.jobs {
                "queue depth 1" => 2.0,
                "queue depth 32" => 0.5,
                _ => 1.0,
            };
            assert!(
                close(summary.ratio, wanted),
                "{}: {:?}",
                summary.jobs,
                summary.ratio
            );
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_job_and_says_how_many_are_even() {
        let text = |rounds: &[Round]| table(&compare(rounds), &summarize(rounds));
        let even = text(&[round(100.0, 110.0), round(100.0, 90.0)]);
        for job in jobs::all() {
            assert!(even.contains(&format!("\n{} ", job.name())), "{even}");
        }
        let count = jobs::all().len();
        assert!(even.contains(&format!("for {count} of {count} jobs")), "{even}");
        let uneven = text(&[round(100.0, 50.0)]);
        assert!(uneven.contains(&format!("for 0 of {count} jobs")), "{uneven}");
        assert_eq!(uneven.matches("  2.00…2.00").count(), count + 3, "{uneven}");
    }

    #[test]
    fn no_rounds_are_an_empty_comparison() {
        assert!(compare(&[]).is_empty());
        assert!(summarize(&[]).is_empty());
    }
}
