//! What was simulated.

use nvmev_sim::simulator::PhaseReport;

/// What was simulated, for the table, the JSON file and the plot.
pub struct Outcome<'a> {
    pub profile: &'a str,
    pub capacity_bytes: u64,
    pub namespace_bytes: u64,
    pub seed: u64,
    pub phases: &'a [PhaseReport],
}
