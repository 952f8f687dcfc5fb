//! Generated workloads: `randwrite:bs=4k,qd=32,span=100%,time=60s`.

use super::amounts::{parse_bytes, parse_number, parse_time_ns, parse_times_milli};
use super::block_workload::BlockGenerator;
use super::engine::{Pacing, Simulator};
use super::error::WorkloadError;
use super::generate::Random;
use super::source::Source;
use super::zoned_workload::{ZoneWrites, ZonedCount, ZonedGenerator, ZonedWorkload};

/// Longest command: what a write buffer can take is checked by the model.
const BLOCK_BYTES_MAX: u64 = 32 << 20;

/// A workload, as its text says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The text.
    pub text: String,
    is_random: bool,
    /// Share of reads, and of trims, in percent; the rest are writes.
    read_percent: u64,
    trim_percent: u64,
    block_bytes: u64,
    span: Span,
    offset_bytes: u64,
    fua: bool,
    /// This share of the commands goes to that share of the span at its beginning, percent.
    hot: Option<(u64, u64)>,
    /// How writes are done, and in how many zones at a time: only zoned drives have a choice.
    zone_writes: ZoneWrites,
    zones: Option<u32>,
    queue_depth: u32,
    queues: u32,
    rate_per_s: Option<u64>,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Span {
    Percent(u64),
    Bytes(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Time {
        ns: u64,
    },
    Commands(u64),
    Bytes(u64),
    /// So many times the span, in thousandths.
    SpansMilli(u64),
}

impl Workload {
    /// Reads `KIND:key=value,...`; see the simulator's documentation for kinds and keys.
    ///
    /// # Errors
    /// What cannot be understood and what could stand there.
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        Self::parse_inner(text).map_err(|reason| WorkloadError {
            text: text.to_owned(),
            reason,
        })
    }

    fn parse_inner(text: &str) -> Result<Self, String> {
        let (kind, keys) = text.split_once(':').unwrap_or((text, ""));
        let (is_random, read_percent, trim_percent) = match kind {
            "read" => (false, 100, 0),
            "write" => (false, 0, 0),
            "rw" => (false, 50, 0),
            "trim" => (false, 0, 100),
            "randread" => (true, 100, 0),
            "randwrite" => (true, 0, 0),
            "randrw" => (true, 50, 0),
            "randtrim" => (true, 0, 100),
            "append" | "reset" => (false, 0, 0),
            _ => {
                return Err(format!(
                    "{kind:?} is no kind: choose read, write, rw, trim, randread, randwrite, randrw, randtrim, or for zoned \
                     drives append or reset"
                ))
            }
        };
        let zone_writes = match kind {
            "append" => ZoneWrites::Append,
            "reset" => ZoneWrites::Reset,
            _ => ZoneWrites::Write,
        };
        let mut workload = Self {
            text: text.to_owned(),
            is_random,
            read_percent,
            trim_percent,
            block_bytes: 4096,
            span: Span::Percent(100),
            offset_bytes: 0,
            fua: false,
            hot: None,
            zone_writes,
            zones: None,
            queue_depth: 1,
            queues: 1,
            rate_per_s: None,
            limit: Limit::SpansMilli(1000),
        };
        let mut given: Vec<&str> = Vec::new();
        let entries = keys.split(',').filter(|_| !keys.trim().is_empty());
        for entry in entries.map(str::trim) {
            if entry.is_empty() {
                return Err(String::from(
                    "an entry is empty: take out the comma before or after it",
                ));
            }
            let (key, value) = entry
                .split_once('=')
                .ok_or_else(|| format!("{entry:?} is not of the form key=value"))?;
            let key = match key.trim() {
                "iodepth" => "qd",
                key => key,
            };
            if given.contains(&key) {
                return Err(format!("{key} is there twice: give it one value"));
            }
            given.push(key);
            workload.set(key, value.trim())?;
        }
        workload.check_together(&given)?;
        Ok(workload)
    }

    /// Checks that none of the keys `given` makes another one say nothing.
    fn check_together(&self, given: &[&str]) -> Result<(), String> {
        let is_given = |key: &&str| given.contains(key);
        if is_given(&"rate") {
            if let Some(key) = ["qd", "queues"].into_iter().find(is_given) {
                return Err(format!(
                    "rate= and {key}= contradict each other: with rate= commands come whether or not earlier ones are done, with {key}= when \
                     they are; give one of them"
                ));
            }
        }
        let ends: Vec<&str> = ["time", "count", "size"].into_iter().filter(is_given).collect();
        if let [first, second, ..] = ends.as_slice() {
            return Err(format!(
                "{first}= and {second}= both say when the phase ends: give one of them"
            ));
        }
        if self.hot.is_some() && !self.is_random {
            return Err(String::from(
                "hot= is for randread, randwrite, randrw and randtrim: the others go through the whole span in order",
            ));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "bs" => {
                self.block_bytes = parse_bytes(value)?;
                if self.block_bytes == 0 || self.block_bytes % 512 != 0 || self.block_bytes > BLOCK_BYTES_MAX {
                    return Err(format!("bs={value}: give a multiple of 512 bytes, at most 32m"));
                }
            }
            "qd" => self.queue_depth = parse_number(key, value, 1, 65_536)? as u32,
            "queues" => self.queues = parse_number(key, value, 1, 1024)? as u32,
            "rate" => self.rate_per_s = Some(parse_number(key, value, 1, 1_000_000_000)?),
            "span" => {
                self.span = match value.strip_suffix('%') {
                    Some(percent) => Span::Percent(parse_number(key, percent, 1, 100)?),
                    None => Span::Bytes(parse_bytes(value)?),
                }
            }
            "offset" => self.offset_bytes = parse_bytes(value)?,
            "time" => {
                self.limit = Limit::Time {
                    ns: parse_time_ns(value)?,
                }
            }
            "count" => self.limit = Limit::Commands(parse_number(key, value, 1, u64::MAX)?),
            "size" => {
                self.limit = match parse_times_milli(value) {
                    Some(milli) => Limit::SpansMilli(milli),
                    None => Limit::Bytes(parse_bytes(value)?),
                }
            }
            "rwmixread" => {
                if self.read_percent == 0 || self.read_percent == 100 {
                    return Err(String::from("rwmixread is for rw and randrw"));
                }
                self.read_percent = parse_number(key, value, 1, 99)?;
            }
            "fua" => self.fua = parse_number(key, value, 0, 1)? == 1,
            "hot" => {
                let (commands, span) = value
                    .split_once('/')
                    .ok_or_else(|| format!("hot={value}: give two percentages, such as 80/20"))?;
                self.hot = Some((parse_number(key, commands, 1, 99)?, parse_number(key, span, 1, 99)?));
            }
            "zones" => self.zones = Some(parse_number(key, value, 1, 65_536)? as u32),
            _ => {
                return Err(format!(
                    "{key:?} is no key: choose bs, qd, queues, rate, span, offset, time, count, size, rwmixread, fua, hot or zones"
                ))
            }
        }
        Ok(())
    }

    /// When its commands arrive.
    pub fn pacing(&self) -> Pacing {
        match self.rate_per_s {
            Some(_) => Pacing::OpenLoop,
            None => Pacing::QueueDepth {
                depth: self.queue_depth,
                queues: self.queues,
            },
        }
    }

    /// For how long commands arrive, ns, if it is time that ends it.
    pub fn time_limit_ns(&self) -> Option<u64> {
        match self.limit {
            Limit::Time { ns } => Some(ns),
            _ => None,
        }
    }

    /// The commands, for the drive as it is now.
    ///
    /// # Errors
    /// If the workload does not fit the drive.
    pub fn generator(&self, drive: &Simulator, seed: u64) -> Result<Box<dyn Source>, WorkloadError> {
        let error = |reason: String| WorkloadError {
            text: self.text.clone(),
            reason,
        };
        Ok(match drive.model().zoned() {
            Some(model) => Box::new(ZonedGenerator::new(&self.zoned(drive)?, model, seed).map_err(error)?),
            None if self.zone_writes != ZoneWrites::Write || self.zones.is_some() => {
                return Err(error(String::from(
                    "append, reset and zones= are for zoned drives, such as --profile zn540",
                )))
            }
            None => Box::new(self.block_generator(drive.namespace_bytes(), seed)?),
        })
    }

    /// The same, in a zoned drive's terms.
    fn zoned(&self, drive: &Simulator) -> Result<ZonedWorkload, WorkloadError> {
        let error = |reason: &str| WorkloadError {
            text: self.text.clone(),
            reason: reason.to_owned(),
        };
        if self.trim_percent > 0 {
            return Err(error("a zoned drive is not trimmed: its zones are reset"));
        }
        if self.hot.is_some() {
            return Err(error(
                "hot= is not for zoned drives: their zones are written in order",
            ));
        }
        let writes_in_place = self.read_percent < 100 && self.zone_writes == ZoneWrites::Write;
        if writes_in_place && self.queues > 1 {
            return Err(error(
                "several queues do not keep the order in which a zone must be written: use append, or one queue",
            ));
        }
        let namespace_bytes = drive.namespace_bytes();
        Ok(ZonedWorkload {
            is_random: self.is_random,
            read_percent: self.read_percent,
            zone_writes: self.zone_writes,
            zones: self.zones,
            block_bytes: self.block_bytes,
            offset_bytes: self.offset_bytes,
            span_bytes: self.span_bytes(namespace_bytes)?,
            fua: self.fua,
            rate_per_s: self.rate_per_s,
            count: match self.limit {
                Limit::Time { .. } => ZonedCount::Commands(u64::MAX),
                Limit::Commands(count) => ZonedCount::Commands(count),
                Limit::Bytes(bytes) => ZonedCount::Commands(bytes.div_ceil(self.block_bytes)),
                Limit::SpansMilli(milli) => ZonedCount::SpansMilli(milli),
            },
        })
    }

    /// Bytes that the workload is about, from its offset on.
    fn span_bytes(&self, namespace_bytes: u64) -> Result<u64, WorkloadError> {
        let room = namespace_bytes.saturating_sub(self.offset_bytes);
        let span_bytes = match self.span {
            Span::Percent(percent) => room / 100 * percent + room % 100 * percent / 100,
            Span::Bytes(bytes) => bytes,
        };
        if span_bytes > room {
            return Err(WorkloadError {
                text: self.text.clone(),
                reason: format!(
                    "offset and span end at {} bytes, the namespace at {namespace_bytes}",
                    self.offset_bytes.saturating_add(span_bytes)
                ),
            });
        }
        Ok(span_bytes)
    }

    fn block_generator(&self, namespace_bytes: u64, seed: u64) -> Result<BlockGenerator, WorkloadError> {
        let error = |reason: String| WorkloadError {
            text: self.text.clone(),
            reason,
        };
        let span_bytes = self.span_bytes(namespace_bytes)?;
        let blocks = span_bytes / self.block_bytes;
        if blocks == 0 {
            return Err(error(format!(
                "the span of {span_bytes} bytes has no room for one block of {} bytes: choose a smaller bs=, or a larger span (and --size)",
                self.block_bytes
            )));
        }
        let count = match self.limit {
            Limit::Time { .. } => u64::MAX,
            Limit::Commands(count) => count,
            Limit::Bytes(bytes) => bytes.div_ceil(self.block_bytes),
            Limit::SpansMilli(milli) => {
                u64::try_from(u128::from(blocks) * u128::from(milli) / 1000).unwrap_or(u64::MAX)
            }
        };
        let hot_blocks = self.hot.map(|(_, span)| (blocks * span / 100).clamp(1, blocks));
        Ok(BlockGenerator {
            random: Random::new(seed),
            is_random: self.is_random,
            read_percent: self.read_percent,
            trim_percent: self.trim_percent,
            block_bytes: self.block_bytes,
            blocks,
            offset_bytes: self.offset_bytes,
            fua: self.fua,
            hot: self.hot.map(|(commands, _)| commands).zip(hot_blocks),
            rate_per_s: self.rate_per_s,
            index: 0,
            count,
        })
    }
}

/// Preconditioning: `seq` fills the namespace once, `rand:2x` overwrites it at random with twice its size.
///
/// # Errors
/// What cannot be understood.
pub fn parse_precondition(text: &str) -> Result<Vec<Workload>, WorkloadError> {
    let step = |step: &str| {
        let (kind, times) = step.split_once(':').unwrap_or((step, "1x"));
        let workload = match kind {
            "seq" => format!("write:bs=128k,qd=8,size={times}"),
            "rand" => format!("randwrite:bs=4k,qd=64,size={times}"),
            _ => {
                return Err(WorkloadError {
                    text: text.to_owned(),
                    reason: format!(
                        "{kind:?} is no way of preconditioning: choose seq or rand, with :2x for twice"
                    ),
                })
            }
        };
        if parse_times_milli(times).is_none() {
            return Err(WorkloadError {
                text: text.to_owned(),
                reason: format!("{times:?} is no multiple of the namespace: write 2x or 0.5x"),
            });
        }
        Workload::parse(&workload)
    };
    text.split(',').map(|part| step(part.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Action, Io};

    /// A drive whose namespace has its whole capacity.
    fn drive(bytes: u64) -> Simulator {
        let kind = &ssd_model::profiles::by_name("optane").unwrap().kind;
        Simulator::new(kind, bytes).unwrap()
    }

    fn refused(text: &str, drive: &Simulator) -> String {
        let workload = Workload::parse(text).unwrap();
        let refused = workload
            .generator(drive, 1)
            .map(|_| "was not refused")
            .unwrap_err();
        refused.to_string()
    }

    fn commands(text: &str, namespace_bytes: u64) -> Vec<Io> {
        let mut generator = Workload::parse(text)
            .unwrap()
            .generator(&drive(namespace_bytes), 1)
            .map_err(|error| error.to_string())
            .unwrap();
        std::iter::from_fn(|| generator.next().unwrap()).collect()
    }

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("512", 512),
            ("4k", 4096),
            ("4K", 4096),
            ("1MiB", 1 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["", "k", "-1", "4x", "99999999999t"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_time_ns("5ms"), Ok(5_000_000));
        assert_eq!(parse_time_ns("60"), Ok(60_000_000_000));
        assert!(parse_time_ns("0s").is_err() && parse_time_ns("s").is_err());
        assert_eq!(parse_times_milli("1.5x"), Some(1500));
        assert_eq!(
            (
                parse_times_milli("x"),
                parse_times_milli("0x"),
                parse_times_milli("2")
            ),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("", "\"\" is no kind: choose read, write, rw"),
            ("randwrte", "\"randwrte\" is no kind"),
            ("read:bs", "\"bs\" is not of the form key=value"),
            (
                "read:bs=1000",
                "bs=1000: give a multiple of 512 bytes, at most 32m",
            ),
            ("read:qd=0", "qd=0: give a number from 1 to 65536"),
            ("read:depth=1", "\"depth\" is no key: choose bs, qd"),
            ("read:rwmixread=5", "rwmixread is for rw and randrw"),
            ("read:span=101%", "span=101: give a number from 1 to 100"),
            ("read:time=soon", "\"soon\" is no time"),
            ("read:hot=5", "hot=5: give two percentages, such as 80/20"),
            ("read:bs=4k,,qd=2", "an entry is empty"),
            ("read:bs=4k,", "an entry is empty"),
            ("read:bs=4k,bs=4k", "bs is there twice"),
            ("read:qd=4,iodepth=5", "qd is there twice"),
            ("read:qd=4,rate=100", "rate= and qd= contradict each other"),
            (
                "randwrite:rate=5,bs=8k,queues=2",
                "rate= and queues= contradict each other",
            ),
            (
                "read:time=1s,count=5",
                "time= and count= both say when the phase ends",
            ),
            (
                "read:size=2x,count=5",
                "count= and size= both say when the phase ends",
            ),
            ("write:hot=80/20", "hot= is for randread"),
        ] {
            let error = Workload::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let drive = drive(1 << 20);
        assert!(refused("read:span=2m", &drive)
            .ends_with("offset and span end at 2097152 bytes, the namespace at 1048576"));
        assert!(refused("read:bs=8k,span=4k", &drive).contains("has no room for one block of 8192 bytes"));
        for text in ["append", "reset", "write:zones=2"] {
            assert!(refused(text, &drive).ends_with("are for zoned drives, such as --profile zn540"));
        }
        assert!(parse_precondition("seq,zeros")
            .unwrap_err()
            .to_string()
            .contains("choose seq or rand"));
        assert!(parse_precondition("rand:2")
            .unwrap_err()
            .to_string()
            .contains("write 2x or 0.5x"));
    }

    #[test]
    fn a_sequential_workload_goes_through_its_span_once() {
        let ios = commands("write:bs=64k,offset=1m,span=1m", 4 << 20);
        assert_eq!(ios.len(), 16);
        assert!((0..)
            .zip(&ios)
            .all(|(index, io)| io.offset_bytes == (1 << 20) + index * 65_536));
        assert!(ios.iter().all(|io| io.action == Action::Write(false)));
    }

    #[test]
    fn a_random_workload_stays_in_its_span_and_keeps_its_shares() {
        let ios = commands(
            "randrw:bs=4k,span=50%,rwmixread=70,count=100000,hot=80/20",
            1 << 30,
        );
        assert!(ios
            .iter()
            .all(|io| io.offset_bytes + io.len_bytes <= 1 << 29 && io.offset_bytes % 4096 == 0));
        let reads = ios.iter().filter(|io| io.action == Action::Read).count();
        assert!((69_000..71_000).contains(&reads), "{reads}");
        let hot = ios.iter().filter(|io| io.offset_bytes < (1 << 29) / 5).count();
        assert!((79_000..81_000).contains(&hot), "{hot}");
    }

    #[test]
    fn a_rate_spaces_arrivals() {
        let ios = commands("randread:rate=1000,count=3", 1 << 20);
        let times: Vec<_> = ios.iter().map(|io| io.at_ns).collect();
        assert_eq!(times, [Some(0), Some(1_000_000), Some(2_000_000)]);
    }
}
