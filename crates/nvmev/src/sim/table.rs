//! Results for people.

use std::io::{self, Write};

use nvmev_sim::simulator::{DirectionReport, FlashPhaseReport, PhaseReport, UtilisationReport, ZonesReport};

use super::outcome::Outcome;

/// Writes a table for each phase.
pub fn write(outcome: &Outcome<'_>, output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "{}: capacity {}, namespace {}",
        outcome.profile,
        bytes(outcome.capacity_bytes),
        bytes(outcome.namespace_bytes)
    )?;
    for phase in outcome.phases {
        writeln!(output)?;
        write_phase(phase, output)?;
    }
    Ok(())
}

fn write_phase(phase: &PhaseReport, output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "{}  ({} s of the drive's time)",
        phase.name,
        seconds(phase.duration_ns)
    )?;
    writeln!(
        output,
        "  {:<6}{:>11}{:>11}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "commands", "IOPS", "MiB/s", "mean us", "p50", "p99", "p99.9", "p99.99", "max"
    )?;
    for direction in phase.directions.iter().chain(&phase.flush) {
        write_direction(direction, output)?;
    }
    if let Some(flash) = &phase.flash {
        write_flash(flash, output)?;
    }
    if let Some(utilisation) = &phase.utilisation {
        write_utilisation(utilisation, output)?;
    }
    Ok(())
}

fn write_direction(direction: &DirectionReport, output: &mut dyn Write) -> io::Result<()> {
    let latency = &direction.latency_ns;
    let us = |ns: u64| format!("{:.1}", ns as f64 / 1000.0);
    writeln!(
        output,
        "  {:<6}{:>11}{:>11.0}{:>10.1}{:>10.1}{:>10}{:>10}{:>10}{:>10}{:>10}",
        direction.name,
        direction.commands,
        direction.iops,
        direction.mib_per_s,
        latency.mean / 1000.0,
        us(latency.p50),
        us(latency.p99),
        us(latency.p99_9),
        us(latency.p99_99),
        us(latency.max)
    )?;
    if direction.errors > 0 {
        writeln!(output, "  {:<6}{:>11} failed", "", direction.errors)?;
    }
    Ok(())
}

fn write_flash(flash: &FlashPhaseReport, output: &mut dyn Write) -> io::Result<()> {
    if let Some(zones) = &flash.zones {
        return write_zones(flash, zones, output);
    }
    writeln!(
        output,
        "  flash: write amplification {:.3} ({:.3} of bytes), {} lines collected, {} pages moved, {} deallocated",
        flash.write_amplification,
        flash.write_amplification_bytes,
        flash.statistics.gc_runs,
        flash.statistics.gc_copied_pages,
        flash.statistics.deallocated_pages
    )?;
    writeln!(
        output,
        "         read {}, programmed {}; write buffer full {} times",
        bytes(flash.statistics.nand_read_bytes),
        bytes(flash.statistics.nand_programmed_bytes),
        flash.statistics.buffer_stalls
    )?;
    writeln!(
        output,
        "         erases of a line since new: {} to {}, mean {:.2}; {} lines free",
        flash.line_erases_min, flash.line_erases_max, flash.line_erases_mean, flash.lines_free
    )
}

fn write_zones(flash: &FlashPhaseReport, zones: &ZonesReport, output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "  flash: read {}, programmed {}; write buffer full {} times",
        bytes(flash.statistics.nand_read_bytes),
        bytes(flash.statistics.nand_programmed_bytes),
        flash.statistics.buffer_stalls
    )?;
    writeln!(
        output,
        "  zones: {} empty, {} open, {} closed, {} full, {} read only or offline; resets of a zone since new: {} to {}, mean {:.2}",
        zones.empty,
        zones.open,
        zones.closed,
        zones.full,
        zones.unusable,
        flash.line_erases_min,
        flash.line_erases_max,
        flash.line_erases_mean
    )
}

fn write_utilisation(utilisation: &UtilisationReport, output: &mut dyn Write) -> io::Result<()> {
    let spread = |parts: &[f64]| {
        let sum: f64 = parts.iter().sum();
        let max = parts.iter().copied().fold(0.0, f64::max);
        format!("mean {:.1} %, most {max:.1} %", sum / parts.len().max(1) as f64)
    };
    writeln!(
        output,
        "  busy:  link {:.1} %; {} channels {}; {} LUNs {}",
        utilisation.link,
        utilisation.channels.len(),
        spread(&utilisation.channels),
        utilisation.luns.len(),
        spread(&utilisation.luns)
    )
}

fn seconds(ns: u64) -> String {
    format!("{:.6}", ns as f64 / 1e9)
}

/// An amount for people, in the largest unit of which there is one.
fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.2} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_for_people() {
        assert_eq!(
            [0, 1023, 1024, 4_013_008_149].map(bytes),
            ["0 B", "1023 B", "1.00 KiB", "3.74 GiB"]
        );
    }
}
