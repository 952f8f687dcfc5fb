//! `nvmev kv bench`: stores, retrieves and checks, lists and deletes pairs, from several threads.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nvme_spec::Status;
use serde::Serialize;

use super::client::{Client, ClientError, Condition};
use super::device::Namespace;
use crate::error::CommandError;

/// What to do.
pub struct Load {
    pub keys: u32,
    pub value_bytes: u32,
    pub threads: u32,
}

/// What one kind of command did.
#[derive(Debug, Serialize)]
struct PhaseResult {
    name: &'static str,
    commands: u64,
    seconds: f64,
    commands_per_second: f64,
    mib_per_second: f64,
    /// Nothing where one command does many of them.
    p50_us: Option<f64>,
    p99_us: Option<f64>,
}

/// What all did.
#[derive(Debug, Serialize)]
pub struct BenchResult {
    keys: u32,
    value_bytes: u32,
    threads: u32,
    phases: Vec<PhaseResult>,
}

/// Keys of a run: they begin with the process's number, so that runs beside each other do not meet.
fn key(run: u32, number: u32) -> Vec<u8> {
    [&run.to_be_bytes()[..], b"nvmevkey", &number.to_be_bytes()].concat()
}

/// A value that says which key it belongs to, all the way.
fn value(number: u32, len_bytes: u32) -> Vec<u8> {
    let words = (0..len_bytes.div_ceil(4)).map(|at| number.wrapping_mul(0x9E37_79B9).wrapping_add(at));
    let mut value: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    value.truncate(len_bytes as usize);
    value
}

/// Runs the phases one after another.
///
/// # Errors
/// The first command that failed; what was stored until then stays.
pub fn run<N: Namespace>(client: &Client<N>, load: &Load) -> Result<BenchResult, ClientError> {
    let run = std::process::id();
    let (keys, len_bytes) = (load.keys, load.value_bytes);
    let put = |number| client.put(&key(run, number), &value(number, len_bytes), Condition::Always);
    let get = |number| {
        let found = client.get(&key(run, number))?;
        if found == value(number, len_bytes) {
            Ok(())
        } else {
            Err(ClientError::NotPossible("a value is not what was stored"))
        }
    };
    let delete = |number| match client.delete(&key(run, number))? {
        true => Ok(()),
        false => Err(ClientError::Status(Status::KEY_DOES_NOT_EXIST)),
    };
    Ok(BenchResult {
        keys,
        value_bytes: len_bytes,
        threads: load.threads,
        phases: vec![
            phase("put", load, put)?,
            phase("get", load, get)?,
            list(client, run, keys)?,
            phase("del", load, delete)?,
        ],
    })
}

/// Lists the keys of this run, and checks that each is there, once.
fn list<N: Namespace>(client: &Client<N>, run: u32, keys: u32) -> Result<PhaseResult, ClientError> {
    let mut times_seen = vec![0u8; keys as usize];
    let mut others = 0;
    let started = Instant::now();
    client.for_each_key(&run.to_be_bytes(), false, |key, _| {
        let number = key.last_chunk().map(|number| u32::from_be_bytes(*number));
        match number.and_then(|number| times_seen.get_mut(number as usize)) {
            Some(times) => *times = times.saturating_add(1),
            None => others += 1,
        }
        Ok::<_, ClientError>(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if others > 0 || times_seen.iter().any(|&times| times != 1) {
        return Err(ClientError::NotPossible(
            "the list has a key twice, or not at all",
        ));
    }
    Ok(PhaseResult {
        name: "list",
        commands: keys.into(),
        seconds,
        commands_per_second: f64::from(keys) / seconds,
        mib_per_second: 0.0,
        p50_us: None,
        p99_us: None,
    })
}

/// Does `command` once for each key.
fn phase(
    name: &'static str,
    load: &Load,
    command: impl Fn(u32) -> Result<(), ClientError> + Sync,
) -> Result<PhaseResult, ClientError> {
    let next = AtomicU32::new(0);
    let started = Instant::now();
    let work = || -> Result<Vec<Duration>, ClientError> {
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= load.keys {
                return Ok(latencies);
            }
            let sent = Instant::now();
            if let Err(error) = command(number) {
                next.store(load.keys, Ordering::Relaxed);
                return Err(error);
            }
            latencies.push(sent.elapsed());
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..load.threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or(Err(ClientError::NotPossible("a thread of the benchmark failed")))
        };
        threads.into_iter().map(join).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies
            .get(index)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    let commands = latencies.len() as u64;
    let moved = if name == "del" { 0 } else { load.value_bytes };
    Ok(PhaseResult {
        name,
        commands,
        seconds,
        commands_per_second: commands as f64 / seconds,
        mib_per_second: commands as f64 * f64::from(moved) / seconds / f64::from(1 << 20),
        p50_us: Some(percentile(50)),
        p99_us: Some(percentile(99)),
    })
}

impl BenchResult {
    /// As a table, or as JSON.
    pub fn show(&self, json: bool, output: &mut dyn Write) -> Result<(), CommandError> {
        if json {
            let text =
                serde_json::to_string_pretty(self).map_err(|error| CommandError::Output(error.into()))?;
            return Ok(writeln!(output, "{text}")?);
        }
        writeln!(
            output,
            "{} keys, values of {} bytes, {} threads",
            self.keys, self.value_bytes, self.threads
        )?;
        writeln!(
            output,
            "{:<4} {:>12} {:>10} {:>10} {:>10}",
            "", "keys/s", "MiB/s", "p50 us", "p99 us"
        )?;
        let microseconds = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        for phase in &self.phases {
            writeln!(
                output,
                "{:<4} {:>12.0} {:>10.1} {:>10} {:>10}",
                phase.name,
                phase.commands_per_second,
                phase.mib_per_second,
                microseconds(phase.p50_us),
                microseconds(phase.p99_us)
            )?;
        }
        Ok(())
    }
}
