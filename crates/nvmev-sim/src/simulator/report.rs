//! What a phase came to: numbers for tables, for machines and for plots.

use serde::{Serialize, Serializer};
use ssd_model::{Amplification, AnyModel, FlashStatistics, ZoneCounts};

use super::measure::{Direction, DirectionMeasure, Measure, Series};
use super::trace::TraceReport;

/// A phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseReport {
    /// What was run.
    pub name: String,
    /// When it began, ns of virtual time since the simulation began.
    pub start_ns: u64,
    /// How long it took, to the end of its last command.
    pub duration_ns: u64,
    /// Reads, writes (appends among them), trims and resets of zones, those that there were.
    pub directions: Vec<DirectionReport>,
    /// Flushes.
    pub flushes: u64,
    /// How long they took, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush: Option<DirectionReport>,
    /// The flash, if the drive has any.
    pub flash: Option<FlashPhaseReport>,
    /// How busy the drive's parts were.
    pub utilisation: Option<UtilisationReport>,
    /// How it went over time.
    pub series: Series,
    /// What was run of the trace, if the phase is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceReport>,
}

/// Commands of one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DirectionReport {
    /// `read`, `write`, `trim`, `reset` or `flush`.
    pub name: &'static str,
    /// Commands done.
    pub commands: u64,
    /// Commands that failed.
    pub errors: u64,
    /// Bytes.
    pub bytes: u64,
    /// Commands per second of virtual time.
    pub iops: f64,
    /// Bandwidth.
    pub mib_per_s: f64,
    /// Latencies, from arrival to completion, ns.
    pub latency_ns: Latencies,
    /// The distribution of latencies.
    pub distribution: Vec<LatencyPoint>,
}

/// Latencies, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are percentiles; p99_99 is the 99.99th")]
pub struct Latencies {
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p95: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub p99_99: u64,
    pub max: u64,
}

/// A point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyPoint {
    /// Latency.
    pub ns: u64,
    /// Commands that took no longer, as a share of all.
    pub share: f64,
}

/// What the flash did during a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FlashPhaseReport {
    /// Pages written to flash for each page that the host wrote; 0 if it wrote none.
    pub write_amplification: f64,
    /// Bytes written to flash for each byte that the host wrote; 0 if it wrote none. More than `write_amplification` where writes do not cover whole
    /// pages.
    pub write_amplification_bytes: f64,
    /// What was counted during the phase. Each counter is a field of its own in JSON.
    #[serde(flatten, serialize_with = "rows")]
    pub statistics: FlashStatistics,
    /// Erases of the least used line since the drive was new.
    pub line_erases_min: u32,
    /// Mean erases of a line since the drive was new.
    pub line_erases_mean: f64,
    /// Erases of the most used line since the drive was new.
    pub line_erases_max: u32,
    /// Free lines at the end.
    pub lines_free: u64,
    /// The zones at the end, if the drive has any. Where there are zones, erases are resets, and of zones.
    pub zones: Option<ZonesReport>,
    /// Logical pages with data at the end.
    pub mapped_pages: u64,
    /// Bytes of the model's tables.
    pub metadata_bytes: u64,
}

/// Zones by their states at the end of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ZonesReport {
    /// Empty.
    pub empty: u64,
    /// Implicitly or explicitly opened.
    pub open: u64,
    /// Closed.
    pub closed: u64,
    /// Full.
    pub full: u64,
    /// Read only or offline.
    pub unusable: u64,
}

impl ZonesReport {
    fn new(counts: ZoneCounts) -> Option<Self> {
        let ZoneCounts {
            empty,
            implicitly_opened,
            explicitly_opened,
            closed,
            full,
            read_only,
            offline,
        } = counts;
        (counts != ZoneCounts::default()).then_some(Self {
            empty,
            open: implicitly_opened + explicitly_opened,
            closed,
            full,
            unusable: read_only + offline,
        })
    }
}

/// Shares of the phase during which parts of the drive were at work, percent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UtilisationReport {
    /// The link to the host.
    pub link: f64,
    /// Each channel.
    pub channels: Vec<f64>,
    /// Each LUN, channel by channel.
    pub luns: Vec<f64>,
}

impl PhaseReport {
    pub(super) fn new(
        name: &str,
        start_ns: u64,
        duration_ns: u64,
        measure: Measure,
        model: &AnyModel,
    ) -> Self {
        let directions = Direction::ALL
            .into_iter()
            .map(|direction| (direction, measure.direction(direction)))
            .filter(|(_, measure)| !measure.latencies.is_empty() || measure.errors > 0)
            .map(|(direction, measure)| DirectionReport::new(direction.name(), measure, duration_ns))
            .collect();
        Self {
            name: name.to_owned(),
            start_ns,
            duration_ns,
            directions,
            flushes: measure.flushes.latencies.len(),
            flush: (!measure.flushes.latencies.is_empty())
                .then(|| DirectionReport::new("flush", &measure.flushes, duration_ns)),
            flash: flash(model),
            utilisation: utilisation(model, duration_ns),
            series: measure.series,
            trace: None,
        }
    }

    /// Commands done.
    pub fn commands(&self) -> u64 {
        let directions: u64 = self.directions.iter().map(|direction| direction.commands).sum();
        directions + self.flushes
    }
}

impl DirectionReport {
    fn new(name: &'static str, measure: &DirectionMeasure, duration_ns: u64) -> Self {
        let latencies = &measure.latencies;
        let commands = latencies.len();
        // Nothing can be said of what takes no time.
        let per_second = |amount: f64| {
            if duration_ns == 0 {
                0.0
            } else {
                amount * 1e9 / duration_ns as f64
            }
        };
        let at = |percent| latencies.value_at_percentile(percent);
        Self {
            name,
            commands,
            errors: measure.errors,
            bytes: measure.bytes,
            iops: per_second(commands as f64),
            mib_per_s: per_second(measure.bytes as f64 / f64::from(1 << 20)),
            latency_ns: Latencies {
                mean: if commands == 0 { 0.0 } else { latencies.mean() },
                p50: at(50.0),
                p90: at(90.0),
                p95: at(95.0),
                p99: at(99.0),
                p99_9: at(99.9),
                p99_99: at(99.99),
                max: latencies.max(),
            },
            distribution: latencies
                .iter_recorded()
                .scan(0, |so_far, value| {
                    *so_far += value.count_since_last_iteration();
                    Some(LatencyPoint {
                        ns: value.value_iterated_to(),
                        share: *so_far as f64 / commands.max(1) as f64,
                    })
                })
                .collect(),
        }
    }
}

/// Writes counters under their names.
fn rows<S: Serializer>(statistics: &FlashStatistics, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(statistics.rows())
}

/// What went to flash for what the host wrote; 0 if it wrote nothing.
fn ratio(amplification: Amplification) -> f64 {
    match amplification.host {
        0 => 0.0,
        host => amplification.flash as f64 / host as f64,
    }
}

fn flash(model: &AnyModel) -> Option<FlashPhaseReport> {
    let report = model.flash_report()?;
    Some(FlashPhaseReport {
        write_amplification: ratio(report.statistics.write_amplification()),
        write_amplification_bytes: ratio(report.write_amplification_bytes()),
        statistics: report.statistics,
        line_erases_min: report.erases.min,
        line_erases_mean: report.erases.mean_milli as f64 / 1000.0,
        line_erases_max: report.erases.max,
        lines_free: report.lines.free,
        zones: ZonesReport::new(report.zones),
        mapped_pages: report.mapped_pages,
        metadata_bytes: report.metadata_bytes,
    })
}

fn utilisation(model: &AnyModel, duration_ns: u64) -> Option<UtilisationReport> {
    let (nand, link_busy_ns) = model.parts()?;
    // Work may go on after the last command is done: no part is busy for more than all of the phase.
    let percent = |busy_ns: u64| (busy_ns as f64 / duration_ns.max(1) as f64 * 100.0).min(100.0);
    Some(UtilisationReport {
        link: percent(link_busy_ns),
        channels: nand
            .channel_utilisation()
            .map(|part| percent(part.busy_ns))
            .collect(),
        luns: nand.lun_utilisation().map(|part| percent(part.busy_ns)).collect(),
    })
}
