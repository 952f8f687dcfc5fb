//! The command line of `nvmev sim`.

use clap::{Args, ValueEnum};
use nvmev_sim::simulator::{Beyond, TraceFormat, TraceOptions};

use crate::error::CommandError;

/// Run workloads or traces on a drive in virtual time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SimArguments {
    /// Built-in profile, see `nvmev profile list`
    #[arg(long, default_value = "970pro", conflicts_with = "profile_file")]
    pub profile: String,
    /// A profile of your own
    #[arg(long, value_name = "FILE.toml")]
    pub profile_file: Option<String>,
    /// Parameters to change, see `nvmev profile keys`; may be given several times
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub set: Vec<String>,
    /// The drive's capacity
    #[arg(long, default_value = "4G")]
    pub size: String,
    /// A phase: KIND:key=value,... ; several are run one after another
    #[arg(long, value_name = "WORKLOAD")]
    pub workload: Vec<String>,
    /// A recorded trace as a phase, after the workloads; `-` is standard input; gzip, xz and zstd are unpacked
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<String>,
    /// What is done before: seq fills the drive, rand:2x overwrites twice its size at random
    #[arg(long, value_name = "seq,rand:2x")]
    pub precondition: Option<String>,
    /// Where random numbers begin
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Format of the traces; else found out from their first lines
    #[arg(long, value_enum, requires = "trace")]
    pub trace_format: Option<Format>,
    /// Of a trace of several devices, files or disks, run only this one, as the trace names it: 8,16 or /dev/sdb or HOST,DISK
    #[arg(long, value_name = "NAME", requires = "trace")]
    pub trace_device: Option<String>,
    /// Stop at the first line of a trace that cannot be run as it stands, instead of counting such lines
    #[arg(long, requires = "trace")]
    pub strict: bool,
    /// Run traces with so many commands at a time instead of at their own times
    #[arg(long, requires = "trace", conflicts_with = "speed", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub qd: Option<u32>,
    /// Run traces so many times as fast
    #[arg(long, default_value = "1", requires = "trace")]
    pub speed: String,
    /// What to do with a trace's commands beyond the end of the drive
    #[arg(long, value_enum, default_value_t = BeyondChoice::Wrap, requires = "trace")]
    pub beyond: BeyondChoice,
    /// Unit of the times in iologs of version 3 and MSR traces; else us and 100ns
    #[arg(long, value_enum, alias = "iolog-time", requires = "trace")]
    pub trace_time: Option<Unit>,
    /// Events of blkparse that count: D when issued to the drive, Q when queued
    #[arg(long, default_value_t = 'D', requires = "trace")]
    pub blkparse_action: char,
    /// Write everything as JSON to FILE, or instead of the table without one
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<String>,
    /// Draw throughput, latencies and garbage collection
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<String>,
    /// No progress, no speed and no notes on standard error; what was left out of a trace is still said
    #[arg(long, short)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Workloads: KIND is read, write, rw, trim, randread, randwrite, randrw or randtrim; for zoned drives also append or reset, and
writes go to the write pointers of zones, which are reset when it is their turn again. Keys:
  bs=4k          size of a command           qd=32        commands at a time (and queues=N queues)
  span=100%      part of the drive, or size  rate=50000   commands per second instead of qd
  offset=1G      where the span begins       fua=1        writes with force unit access
  rwmixread=70   share of reads, percent     hot=80/20    80 % of the commands on 20 % of the span
  zones=4        zoned drives: zones written at a time
  time=60s | count=1000000 | size=10G | size=2x (of the span): when the phase ends; without any, size=1x

Examples:
  nvmev sim --profile 970pro --size 4G --precondition seq,rand:2x --workload 'randwrite:bs=4k,qd=32,time=10s'
  nvmev sim --profile tlc-ssd --size 1G --trace fio.log --plot out.svg
  nvmev sim --profile zn540 --size 16G --workload append:bs=64k,qd=16,zones=4 --workload randread:qd=32,count=1000000
  nvmev sim --workload write:bs=128k,qd=8 --workload randread:qd=32,count=1000000 --json out.json";

/// Formats by the names that are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// fio's first iologs: RW, OFFSET, LENGTH
    IologV1,
    /// fio's write_iolog, version 2
    IologV2,
    /// fio's write_iolog, version 3
    IologV3,
    /// MSR Cambridge CSV
    Msr,
    /// Text of blkparse
    Blkparse,
}

/// See [`Beyond`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BeyondChoice {
    /// Address modulo the drive's size
    Wrap,
    /// Leave the command out
    Skip,
    /// Stop
    Error,
}

/// Units of time.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Unit {
    /// Nanoseconds
    Ns,
    /// Units of 100 ns
    #[value(name = "100ns")]
    Ns100,
    /// Microseconds
    Us,
    /// Milliseconds
    Ms,
    /// Seconds
    S,
}

impl Unit {
    const fn ns(self) -> u64 {
        match self {
            Self::Ns => 1,
            Self::Ns100 => 100,
            Self::Us => 1_000,
            Self::Ms => 1_000_000,
            Self::S => 1_000_000_000,
        }
    }
}

impl SimArguments {
    /// How traces are to be read for a drive whose largest transfer has `transfer_bytes_max`.
    pub fn trace_options(&self, transfer_bytes_max: u32) -> Result<TraceOptions, CommandError> {
        Ok(TraceOptions {
            format: self.trace_format.map(|format| match format {
                Format::IologV1 => TraceFormat::IologV1,
                Format::IologV2 => TraceFormat::IologV2,
                Format::IologV3 => TraceFormat::IologV3,
                Format::Msr => TraceFormat::Msr,
                Format::Blkparse => TraceFormat::Blkparse,
            }),
            device: self.trace_device.clone(),
            beyond: match self.beyond {
                BeyondChoice::Wrap => Beyond::Wrap,
                BeyondChoice::Skip => Beyond::Skip,
                BeyondChoice::Error => Beyond::Error,
            },
            speed_milli: self.speed_milli()?,
            time_unit_ns: self.trace_time.map(Unit::ns),
            blkparse_action: self.blkparse_action,
            transfer_bytes_max,
            is_strict: self.strict,
        })
    }

    fn speed_milli(&self) -> Result<u64, CommandError> {
        let speed: Option<f64> = self.speed.parse().ok();
        match speed {
            Some(speed) if (0.001..=1e9).contains(&speed) => Ok((speed * 1000.0).round() as u64),
            _ => Err(CommandError::Usage(format!(
                "--speed is {:?}: give a number from 0.001 to 1000000000",
                self.speed
            ))),
        }
    }
}
