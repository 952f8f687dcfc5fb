//! Results as a picture: throughput over time, the distribution of latencies, garbage collection over time.

use std::ops::Range;

use nvmev_sim::simulator::{PhaseReport, SeriesPoint};
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;

use super::outcome::Outcome;

const WIDTH: u32 = 1000;
const CHART_HEIGHT: u32 = 330;
const TITLE_HEIGHT: u32 = 40;

const READ: RGBColor = RGBColor(31, 119, 180);
const WRITE: RGBColor = RGBColor(214, 95, 14);
const TRIM: RGBColor = RGBColor(110, 110, 110);
const MOVED: RGBColor = RGBColor(44, 140, 60);

type Error = Box<dyn std::error::Error>;
type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A line of a chart.
struct Line {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws all phases into an SVG file's text.
pub fn draw(outcome: &Outcome<'_>) -> Result<String, Error> {
    let mut svg = String::new();
    {
        let size = (WIDTH, TITLE_HEIGHT + 3 * CHART_HEIGHT);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (title, charts) = root.split_vertically(TITLE_HEIGHT);
        let text = format!(
            "{}, {:.2} GiB",
            outcome.profile,
            outcome.capacity_bytes as f64 / f64::from(1 << 30)
        );
        title.titled(&text, ("sans-serif", 22))?;
        let areas = charts.split_evenly((3, 1));
        if let [throughput, latencies, collection] = areas.as_slice() {
            draw_throughput(outcome.phases, throughput)?;
            draw_latencies(outcome.phases, latencies)?;
            draw_collection(outcome.phases, collection)?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// A value of each stretch of time, per second, over all phases; in seconds since the first phase began.
fn over_time(phases: &[PhaseReport], value: impl Fn(&SeriesPoint) -> f64) -> Vec<(f64, f64)> {
    let Some(first) = phases.first() else {
        return Vec::new();
    };
    let mut points = Vec::new();
    for phase in phases {
        let start = (phase.start_ns - first.start_ns) as f64 / 1e9;
        let width = phase.series.width_ns as f64 / 1e9;
        let duration = phase.duration_ns as f64 / 1e9;
        let values: Vec<f64> = phase.series.points.iter().map(&value).collect();
        let mut index = 0;
        while index < values.len() {
            let begin = index as f64 * width;
            let rest = duration - begin;
            // What is left at the end is short, and joins the stretch before it: few commands in little time would make a spike.
            let is_last = rest < 1.5 * width;
            let amount: f64 = if is_last {
                values[index..].iter().sum()
            } else {
                values[index]
            };
            let length = if is_last { rest.max(width / 1000.0) } else { width };
            points.push((start + begin + length / 2.0, amount / length));
            index = if is_last { values.len() } else { index + 1 };
        }
    }
    points
}

fn draw_throughput(phases: &[PhaseReport], area: &Canvas<'_>) -> Result<(), Error> {
    let mib = f64::from(1 << 20);
    let lines = [
        Line {
            name: "read",
            color: READ,
            points: over_time(phases, |point| point.read_bytes as f64 / mib),
        },
        Line {
            name: "write",
            color: WRITE,
            points: over_time(phases, |point| point.written_bytes as f64 / mib),
        },
    ];
    draw_over_time("Throughput", "MiB/s", &lines, phases, area)
}

fn draw_collection(phases: &[PhaseReport], area: &Canvas<'_>) -> Result<(), Error> {
    let lines = [Line {
        name: "pages moved",
        color: MOVED,
        points: over_time(phases, |point| point.gc_copied_pages as f64),
    }];
    draw_over_time(
        "Garbage collection",
        "4 KiB pages moved per second",
        &lines,
        phases,
        area,
    )
}

/// From 0 to a little above the largest.
fn value_range(lines: &[Line]) -> Range<f64> {
    let max = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.1)
        .fold(0.0, f64::max);
    0.0..if max > 0.0 { max * 1.15 } else { 1.0 }
}

fn draw_over_time(
    caption: &str,
    unit: &str,
    lines: &[Line],
    phases: &[PhaseReport],
    area: &Canvas<'_>,
) -> Result<(), Error> {
    let begin = phases.first().map_or(0, |phase| phase.start_ns);
    let ends = phases
        .iter()
        .map(|phase| (phase.start_ns + phase.duration_ns - begin) as f64 / 1e9);
    let end = ends.fold(1e-6, f64::max);
    let values = value_range(lines);
    let top = values.end;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, values)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("time, s")
        .y_desc(unit)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    // Where one phase ends and the next begins.
    for phase in phases.iter().skip(1) {
        let at = (phase.start_ns - begin) as f64 / 1e9;
        chart.draw_series(LineSeries::new([(at, 0.0), (at, top)], BLACK.mix(0.4)))?;
    }
    let is_shown = |line: &&Line| line.points.iter().any(|point| point.1 > 0.0);
    for line in lines.iter().filter(is_shown) {
        let color = line.color;
        chart
            .draw_series(LineSeries::new(
                line.points.iter().copied(),
                color.stroke_width(2),
            ))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    // Else there would be an empty box.
    if lines.iter().filter(is_shown).count() == 0 {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn draw_latencies(phases: &[PhaseReport], area: &Canvas<'_>) -> Result<(), Error> {
    let directions: Vec<_> = phases
        .iter()
        .enumerate()
        .flat_map(|(number, phase)| {
            phase
                .directions
                .iter()
                .map(move |direction| (number + 1, direction))
        })
        .filter(|(_, direction)| !direction.distribution.is_empty())
        .collect();
    let all = || {
        directions
            .iter()
            .flat_map(|(_, direction)| &direction.distribution)
    };
    let us = |ns: u64| ns.max(1) as f64 / 1000.0;
    let (min, max) = (
        all().map(|point| us(point.ns)).fold(f64::MAX, f64::min),
        all().map(|point| us(point.ns)).fold(0.0, f64::max),
    );
    let range = if directions.is_empty() {
        1.0..10.0
    } else {
        min * 0.9..max * 1.1
    };
    let mut chart = ChartBuilder::on(area)
        .caption("Latencies", ("sans-serif", 18))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(range.log_scale(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("latency, us")
        .y_desc("share of commands")
        .x_label_formatter(&|value| short(*value))
        .draw()?;
    for (number, direction) in &directions {
        let base = match direction.name {
            "read" => READ,
            "write" => WRITE,
            _ => TRIM,
        };
        // Later phases are paler.
        let color = base.mix(1.0 / (1.0 + 0.35 * (*number as f64 - 1.0)));
        let first = direction.distribution.first().map(|point| (us(point.ns), 0.0));
        let points = direction
            .distribution
            .iter()
            .map(|point| (us(point.ns), point.share));
        let name = if phases.len() == 1 {
            direction.name.to_owned()
        } else {
            format!("{}, phase {number}", direction.name)
        };
        chart
            .draw_series(LineSeries::new(
                first.into_iter().chain(points),
                color.stroke_width(2),
            ))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// A number in few characters.
fn short(value: f64) -> String {
    let trimmed = |value: f64, unit: &str| {
        let text = format!("{value:.3}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        large if large >= 1e6 => trimmed(value / 1e6, "M"),
        large if large >= 1e4 => trimmed(value / 1e3, "k"),
        _ => trimmed(value, ""),
    }
}
