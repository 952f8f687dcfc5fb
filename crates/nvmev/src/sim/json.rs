//! Results for machines.

use std::io::{self, Write};

use nvmev_sim::simulator::PhaseReport;
use serde::Serialize;

use super::outcome::Outcome;

/// Version of the layout; it changes when a field is removed or gets another meaning.
const LAYOUT: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    layout: u32,
    profile: &'a str,
    capacity_bytes: u64,
    namespace_bytes: u64,
    seed: u64,
    phases: &'a [PhaseReport],
}

/// Writes everything. The same arguments give the same bytes.
pub fn write(outcome: &Outcome<'_>, output: &mut dyn Write) -> io::Result<()> {
    let Outcome {
        profile,
        capacity_bytes,
        namespace_bytes,
        seed,
        phases,
    } = *outcome;
    let document = Document {
        layout: LAYOUT,
        profile,
        capacity_bytes,
        namespace_bytes,
        seed,
        phases,
    };
    serde_json::to_writer(&mut *output, &document)?;
    writeln!(output)
}
