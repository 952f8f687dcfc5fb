//! The files in `/proc/nvmev`, byte for byte as NVMeVirt's scripts expect them.
//!
//! | file | read | write |
//! |---|---|---|
//! | `read_times`, `write_times` | `delay + time x + trailing` | `delay time trailing` |
//! | `io_units` | `units x shift` | `units shift` |
//! | `stat` | a line per queue, then `total:` | anything: counters to zero |
//! | `data` (new) | `memory`, or `none` and what that means | refused |
//! | `cpus` (new) | the CPU to which each thread belongs and that on which it runs: `NAME cpu 2 now 3` a line | refused |
//! | `dma` (new) | which DMA engine each worker has, then what engines copied: `name value` a line | refused |
//! | `ftl` (new) | what the flash did, `name value` a line | anything: counters to zero |
//! | `lateness` (new) | how late completions are posted: `name value` a line, then `bucket from to count` | anything: counters to zero |
//!
//! The first two end without a newline. Unlike NVMeVirt, a write that does not fit the format is refused.

use core::fmt::{self, Write};

use ssd_model::FlashReport;

use crate::placement::ThreadName;

/// Nanoseconds of one direction: before, per unit, after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Before the first unit.
    pub delay_ns: u32,
    /// For each unit.
    pub time_ns: u32,
    /// After the last unit.
    pub trailing_ns: u32,
}

/// One I/O queue's line of `stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLine {
    /// The submission queue's identifier.
    pub queue: u16,
    /// Entries that the host has added and the device has not fetched.
    pub pending: u32,
    /// Fetched and not completed.
    pub in_flight: u32,
    /// The most there were since `stat` was read last.
    pub in_flight_max: u32,
    /// Passes of the dispatcher that found something.
    pub dispatch_calls: u32,
    /// Commands fetched.
    pub dispatched: u32,
    /// Data of all of them.
    pub bytes: u64,
}

/// How late completions were posted, all times in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatenessSummary {
    /// Later than this is a miss.
    pub bound_ns: u64,
    /// Completions counted.
    pub count: u64,
    /// Those that were posted later than the bound.
    pub misses: u64,
    /// The latest.
    pub max_ns: u64,
    /// Half of them were no later.
    pub p50_ns: u64,
    /// 90 % of them were no later.
    pub p90_ns: u64,
    /// 99 % of them were no later.
    pub p99_ns: u64,
    /// 99.9 % of them were no later.
    pub p99_9_ns: u64,
}

/// A line of the histogram in `lateness`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatenessBucketLine {
    /// So late or later, ns.
    pub from_ns: u64,
    /// So late at most, ns.
    pub to_ns: u64,
    /// How many completions were.
    pub count: u64,
}

/// What DMA engines copied, and what the CPU did instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCountLines {
    /// Copies that engines were given.
    pub copies: u64,
    /// Bytes of these.
    pub copied_bytes: u64,
    /// Copies that engines declined.
    pub declined: u64,
    /// Bytes of these.
    pub declined_bytes: u64,
    /// Commands whose data the CPU moved again.
    pub failed: u64,
    /// Bytes of these.
    pub failed_bytes: u64,
}

/// Writes the text of `cpus`: for each thread its name, the CPU to which it belongs, and the CPU on which it runs.
///
/// # Errors
/// If `out` is full.
pub fn write_cpus(
    out: &mut impl Write,
    threads: impl Iterator<Item = (ThreadName, u32, u32)>,
) -> fmt::Result {
    for (name, home, now) in threads {
        writeln!(out, "{name} cpu {home} now {now}")?;
    }
    Ok(())
}

/// Writes the first part of `dma`: a line for each worker, with the name of its engine.
///
/// # Errors
/// If `out` is full.
pub fn write_engines<'a>(out: &mut impl Write, names: impl Iterator<Item = Option<&'a str>>) -> fmt::Result {
    for (worker, name) in names.enumerate() {
        writeln!(out, "worker {worker} {}", name.unwrap_or("cpu"))?;
    }
    Ok(())
}

/// Writes the second part of `dma`: a name and a value in each line.
///
/// # Errors
/// If `out` is full.
pub fn write_copy_counts(out: &mut impl Write, counts: CopyCountLines) -> fmt::Result {
    let CopyCountLines {
        copies,
        copied_bytes,
        declined,
        declined_bytes,
        failed,
        failed_bytes,
    } = counts;
    for (name, value) in [
        ("copies", copies),
        ("copied_bytes", copied_bytes),
        ("declined", declined),
        ("declined_bytes", declined_bytes),
        ("failed", failed),
        ("failed_bytes", failed_bytes),
    ] {
        writeln!(out, "{name} {value}")?;
    }
    Ok(())
}

/// Writes the text of `read_times` or `write_times`.
///
/// # Errors
/// If `out` is full.
pub fn write_times(out: &mut impl Write, times: Times) -> fmt::Result {
    write!(
        out,
        "{} + {} x + {}",
        times.delay_ns, times.time_ns, times.trailing_ns
    )
}

/// Writes the part of `ftl` that is about namespace `nsid`: a name and a value in each line. Pages have 4 KiB; times and sizes are in the names.
///
/// # Errors
/// If `out` is full.
pub fn write_flash(out: &mut impl Write, nsid: u32, report: &FlashReport) -> fmt::Result {
    writeln!(out, "namespace {nsid}")?;
    write!(out, "{report}")
}

/// Writes the text of `lateness`: a name and a value in each line, then a line for each bucket.
///
/// # Errors
/// If `out` is full.
pub fn write_lateness(
    out: &mut impl Write,
    summary: LatenessSummary,
    buckets: impl Iterator<Item = LatenessBucketLine>,
) -> fmt::Result {
    let LatenessSummary {
        bound_ns,
        count,
        misses,
        max_ns,
        p50_ns,
        p90_ns,
        p99_ns,
        p99_9_ns,
    } = summary;
    for (name, value) in [
        ("bound_ns", bound_ns),
        ("count", count),
        ("misses", misses),
        ("p50_ns", p50_ns),
        ("p90_ns", p90_ns),
        ("p99_ns", p99_ns),
        ("p99_9_ns", p99_9_ns),
        ("max_ns", max_ns),
    ] {
        writeln!(out, "{name} {value}")?;
    }
    for LatenessBucketLine {
        from_ns,
        to_ns,
        count,
    } in buckets
    {
        writeln!(out, "bucket {from_ns} {to_ns} {count}")?;
    }
    Ok(())
}

/// Writes the text of `data`: whether what is written is kept.
///
/// # Errors
/// If `out` is full.
pub fn write_data(out: &mut impl Write, has_medium: bool) -> fmt::Result {
    out.write_str(match has_medium {
        true => "memory\n",
        false => "none: nothing that is written is kept, reads return zeros\n",
    })
}

/// Writes the text of `io_units`.
///
/// # Errors
/// If `out` is full.
pub fn write_io_units(out: &mut impl Write, units: u32, shift: u32) -> fmt::Result {
    write!(out, "{units} x {shift}")
}

/// Writes the text of `stat`. Sums of 32-bit counters wrap like the counters themselves.
///
/// # Errors
/// If `out` is full.
pub fn write_stat(out: &mut impl Write, queues: impl Iterator<Item = QueueLine>) -> fmt::Result {
    let mut total = QueueLine::default();
    for line in queues {
        let QueueLine {
            queue,
            pending,
            in_flight,
            in_flight_max,
            dispatch_calls,
            dispatched,
            bytes,
        } = line;
        writeln!(
            out,
            "{queue:2}: {pending:2} {in_flight:4} {in_flight_max:4} {dispatch_calls:4} {dispatched:4} {bytes}"
        )?;
        total.in_flight = total.in_flight.wrapping_add(in_flight);
        total.dispatch_calls = total.dispatch_calls.wrapping_add(dispatch_calls);
        total.dispatched = total.dispatched.wrapping_add(dispatched);
        total.bytes = total.bytes.wrapping_add(bytes);
    }
    writeln!(
        out,
        "total: {} {} {} {}",
        total.in_flight, total.dispatch_calls, total.dispatched, total.bytes
    )
}

/// Reads what is written to `read_times` and `write_times`: `delay time trailing`.
pub fn parse_times(text: &[u8]) -> Option<Times> {
    let [delay_ns, time_ns, trailing_ns] = parse_numbers(text)?;
    Some(Times {
        delay_ns,
        time_ns,
        trailing_ns,
    })
}

/// Reads what is written to `io_units`: `units shift`.
pub fn parse_io_units(text: &[u8]) -> Option<(u32, u32)> {
    let [units, shift] = parse_numbers(text)?;
    Some((units, shift))
}

/// Exactly `N` unsigned decimal numbers between white space.
fn parse_numbers<const N: usize>(text: &[u8]) -> Option<[u32; N]> {
    // A shell's printf may have put a terminating zero byte there.
    let text = core::str::from_utf8(text).ok()?.trim_end_matches('\0');
    let mut words = text.split_ascii_whitespace();
    let mut numbers = [0; N];
    for number in &mut numbers {
        let word = words.next()?;
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = word.parse().ok()?;
    }
    words.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssd_model::{EraseCounts, FlashStatistics};
    use std::string::String;

    #[test]
    fn cpus_have_a_line_for_each_thread() {
        let thread = |index, home, now| {
            let name = ThreadName {
                index,
                dispatcher_count: 1,
            };
            (name, home, now)
        };
        let mut text = String::new();
        write_cpus(&mut text, [thread(0, 1, 1), thread(1, 12, 3)].into_iter()).unwrap();
        assert_eq!(
            text,
            "nvmev_dispatcher cpu 1 now 1\nnvmev_io_worker_0 cpu 12 now 3\n"
        );
    }

    #[test]
    fn flash_is_a_name_and_a_value_in_each_line() {
        let report = FlashReport {
            statistics: FlashStatistics {
                host_pages: 1000,
                gc_copied_pages: 1234,
                ..FlashStatistics::default()
            },
            erases: EraseCounts {
                mean_milli: 12_003,
                ..EraseCounts::default()
            },
            ..FlashReport::default()
        };
        let mut text = std::string::String::new();
        write_flash(&mut text, 1, &report).unwrap();
        assert!(text.starts_with("namespace 1\nhost_read_bytes 0\n"));
        assert!(text.contains("\nwrite_amplification 2.234\n"));
        assert!(text.contains("\nline_erases_mean 12.003\n"));
        assert!(text.ends_with("\n"));
    }

    #[test]
    fn lateness_is_a_name_and_a_value_in_each_line_and_then_the_buckets() {
        let summary = LatenessSummary {
            bound_ns: 1000,
            count: 3,
            misses: 1,
            max_ns: 2000,
            p50_ns: 111,
            p90_ns: 2000,
            p99_ns: 2001,
            p99_9_ns: 2002,
        };
        let bucket = |from_ns, to_ns, count| LatenessBucketLine {
            from_ns,
            to_ns,
            count,
        };
        let mut text = String::new();
        write_lateness(
            &mut text,
            summary,
            [bucket(96, 111, 2), bucket(1792, 2047, 1)].into_iter(),
        )
        .unwrap();
        assert_eq!(
            text,
            "bound_ns 1000\ncount 3\nmisses 1\np50_ns 111\np90_ns 2000\np99_ns 2001\np99_9_ns 2002\nmax_ns 2000\n\
             bucket 96 111 2\nbucket 1792 2047 1\n"
        );
    }

    #[test]
    fn dma_is_a_line_for_each_worker_and_then_the_counts() {
        let mut text = String::new();
        write_engines(&mut text, [Some("dma0chan1"), None].into_iter()).unwrap();
        let counts = CopyCountLines {
            copies: 4,
            copied_bytes: 65536,
            declined: 3,
            failed_bytes: 4096,
            ..CopyCountLines::default()
        };
        write_copy_counts(&mut text, counts).unwrap();
        assert_eq!(
            text,
            "worker 0 dma0chan1\nworker 1 cpu\ncopies 4\ncopied_bytes 65536\ndeclined 3\ndeclined_bytes 0\nfailed 0\n\
             failed_bytes 4096\n"
        );
    }

    #[test]
    fn times_and_units_read_as_in_nvmevirt() {
        let mut text = String::new();
        write_times(
            &mut text,
            Times {
                delay_ns: 1,
                time_ns: 200,
                trailing_ns: 3,
            },
        )
        .unwrap();
        assert_eq!(text, "1 + 200 x + 3");
        text.clear();
        write_io_units(&mut text, 8, 12).unwrap();
        assert_eq!(text, "8 x 12");
    }

    #[test]
    fn stat_reads_as_in_nvmevirt() {
        let line = QueueLine {
            queue: 1,
            pending: 2,
            in_flight: 3,
            in_flight_max: 4,
            dispatch_calls: 50000,
            dispatched: 6,
            bytes: 7,
        };
        let mut text = String::new();
        write_stat(
            &mut text,
            [
                line,
                QueueLine {
                    queue: 12,
                    bytes: u64::MAX - 7,
                    ..line
                },
            ]
            .into_iter(),
        )
        .unwrap();
        assert_eq!(
            text,
            " 1:  2    3    4 50000    6 7\n12:  2    3    4 50000    6 18446744073709551608\n\
             total: 6 100000 12 18446744073709551615\n"
        );
    }

    #[test]
    fn writes_are_whole_or_refused() {
        let times = Times {
            delay_ns: 10,
            time_ns: 20,
            trailing_ns: 30,
        };
        assert_eq!(parse_times(b"10 20 30\n"), Some(times));
        assert_eq!(parse_times(b"  10\t20  30"), Some(times));
        assert_eq!(parse_times(b"10 20 30\n\0"), Some(times));
        assert_eq!(parse_io_units(b"8 12\n"), Some((8, 12)));
        for text in [
            &b""[..],
            b"\n",
            b"10 20",
            b"10 20 30 40",
            b"10 20 x",
            b"-1 2 3",
            b"+1 2 3",
            b"4294967296 1 1",
            b"\xff 1 2",
        ] {
            assert_eq!(parse_times(text), None, "{text:?}");
        }
    }
}
