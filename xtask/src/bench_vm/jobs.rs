//! What fio does in each turn, and what its report says of it.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};

/// The part of the drive, from its beginning, that the jobs use. Written once before they start: reading what was never written may be
/// another way through a drive.
pub const REGION_BYTES: u64 = 64 << 20;
/// What a job does before it is measured, ms.
const RAMP_MS: u32 = 200;

/// One of fio's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// fio's name for what is done.
    workload: &'static str,
    block_kib: u32,
    /// How many commands each process has in flight.
    pub queue_depth: u32,
    processes: u32,
}

impl Job {
    /// As it is called in the job file, in reports and in tables.
    pub fn name(self) -> String {
        format!(
            "{}-{}k-qd{}-jobs{}",
            self.workload, self.block_kib, self.queue_depth, self.processes
        )
    }

    fn is_read(self) -> bool {
        self.workload.ends_with("read")
    }
}

/// All of them, in the order in which they run.
pub fn all() -> Vec<Job> {
    let mut jobs = Vec::new();
    for workload in ["read", "write", "randread", "randwrite"] {
        for block_kib in [4, 128] {
            for queue_depth in [1, 32] {
                for processes in [1, 2] {
                    jobs.push(Job {
                        workload,
                        block_kib,
                        queue_depth,
                        processes,
                    });
                }
            }
        }
    }
    jobs
}

/// fio's job file: all jobs, one after the other, each measured for `seconds`.
pub fn job_file(seconds: u32) -> String {
    // A single fio for all of it: starting it takes longer than a job under emulation.
    let mut text = format!(
        "[global]\nfilename=${{NVMEV_BENCH_DEVICE}}\nsize={REGION_BYTES}\nioengine=libaio\ndirect=1\nthread=1\nnorandommap=1\n\
         group_reporting=1\nstonewall\n\n[prepare]\nrw=write\nbs=128k\niodepth=8\n"
    );
    for job in all() {
        text += &format!(
            "\n[{}]\nrw={}\nbs={}k\niodepth={}\nnumjobs={}\ntime_based=1\nramp_time={RAMP_MS}ms\nruntime={seconds}s\n",
            job.name(),
            job.workload,
            job.block_kib,
            job.queue_depth,
            job.processes
        );
    }
    text
}

/// What one job came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Commands per second, of all processes together.
    pub iops: f64,
    /// From a command's submission to its completion, as the program sees it.
    pub mean_latency_ns: f64,
}

/// One turn's results, by the name of the job.
pub type Results = BTreeMap<String, Measured>;

/// What is read of fio's report in JSON.
#[derive(Deserialize)]
struct Report {
    jobs: Vec<JobReport>,
}

#[derive(Deserialize)]
struct JobReport {
    jobname: String,
    error: i32,
    read: Direction,
    write: Direction,
}

#[derive(Deserialize)]
struct Direction {
    iops: f64,
    lat_ns: Latency,
}

#[derive(Deserialize)]
struct Latency {
    mean: f64,
}

/// Reads fio's report on the job file.
///
/// # Errors
/// If it is no such report, or a job is missing, failed or did nothing.
pub fn read_report(text: &str) -> Result<Results> {
    // Notes to people come before the JSON, if fio has any.
    let json = text.find('{').map_or(text, |start| &text[start..]);
    let report: Report = serde_json::from_str(json).context("fio's report is not what is expected of it")?;
    let mut results = Results::new();
    for job in all() {
        let name = job.name();
        let found = report.jobs.iter().find(|found| found.jobname == name);
        let found = found.with_context(|| format!("fio's report has no job {name}"))?;
        ensure!(found.error == 0, "fio's job {name} failed: error {}", found.error);
        let direction = if job.is_read() { &found.read } else { &found.write };
        ensure!(
            direction.iops > 0.0 && direction.lat_ns.mean > 0.0,
            "fio's job {name} did nothing: give it more time"
        );
        let measured = Measured {
            iops: direction.iops,
            mean_latency_ns: direction.lat_ns.mean,
        };
        results.insert(name, measured);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    /// A report on all jobs: reads with 100 IOPS, writes with 200.
    fn report() -> Value {
        let idle = json!({ "iops": 0.0, "lat_ns": { "mean": 0.0 } });
        let jobs = all().into_iter().map(|job| {
            let (read, write) = if job.is_read() {
                (
                    json!({ "iops": 100.0, "lat_ns": { "mean": 1000.0 } }),
                    idle.clone(),
                )
            } else {
                (
                    idle.clone(),
                    json!({ "iops": 200.0, "lat_ns": { "mean": 2000.0 } }),
                )
            };
            json!({ "jobname": job.name(), "error": 0, "read": read, "write": write, "cpu": {} })
        });
        json!({ "fio version": "fio-3.33", "jobs": jobs.collect::<Vec<Value>>() })
    }

    #[test]
    fn each_job_has_its_own_name() {
        let names: std::collections::BTreeSet<String> = all().into_iter().map(Job::name).collect();
        assert_eq!(names.len(), all().len());
        // Two depths, two numbers of processes, four workloads, two sizes.
        assert_eq!(names.len(), 2 * 2 * 4 * 2);
    }

    #[test]
    fn the_job_file_has_every_job_and_its_time() {
        let text = job_file(7);
        for job in all() {
            assert!(text.contains(&format!("[{}]\n", job.name())));
        }
        assert_eq!(text.matches("runtime=7s\n").count(), all().len());
    }

    #[test]
    fn a_job_s_own_direction_is_read_and_notes_before_the_report_are_skipped() {
        let results = read_report(&format!("note: something\n{}", report())).unwrap();
        assert_eq!(results.len(), all().len());
        for job in all() {
            let wanted = if job.is_read() { 100.0 } else { 200.0 };
            assert_eq!(results[&job.name()].iops, wanted);
            assert_eq!(results[&job.name()].mean_latency_ns, wanted * 10.0);
        }
    }

    #[test]
    fn a_report_without_one_of_the_jobs_or_with_a_failed_or_idle_one_is_refused() {
        let mut missing = report();
        missing["jobs"].as_array_mut().unwrap().pop();
        let mut failed = report();
        failed["jobs"][3]["error"] = json!(5);
        let mut idle = report();
        idle["jobs"][0]["read"]["iops"] = json!(0.0);
        for (report, reason) in [
            (missing, "has no job"),
            (failed, "error 5"),
            (idle, "did nothing"),
        ] {
            let error = read_report(&report.to_string()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(read_report("Terminated").is_err());
    }
}
