//! What every controller and every namespace must do, whatever its kind: checks that see no more than a host does, which are registers, completions, and
//! what is written to host memory.
//!
//! A check is a function whose documentation names the clause. It begins with a controller that was just enabled, with I/O queue pair 1, and a zoned
//! namespace whose zones are empty. What the namespace held before is lost: checks write, format and sanitize.
//!
//! What a check expects is derived from what the controller says of itself, so that another device may have other limits and other optional commands,
//! but none that work otherwise than it says.

#[macro_use]
mod macros;

mod capabilities;
mod effects;
mod erasures;
mod features;
mod finding;
mod identify;
mod lbas;
mod limits;
mod logs;
mod pairs;
mod queues;
mod registers;
mod resets;
mod subject;
mod zones;

use std::fmt;

use crate::host::TestHost;

pub use finding::{Finding, Obstacle};
pub use subject::{Kind, Subject};

/// One thing that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What holds if it passes.
    pub name: &'static str,
    run: fn(&mut Subject<'_>) -> Finding,
}

/// A row of [`CHECKS`].
macro_rules! checks {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: $module::$name,
        }),+),+]
    };
}

/// All checks, in the order in which they are run.
pub const CHECKS: &[Check] = checks! {
    registers: capabilities_are_consistent, read_only_registers_cannot_be_written, ready_follows_enable,
        illegal_configurations_are_not_enabled, a_shutdown_completes_and_stops_commands;
    identify: the_mandatory_structures_are_there, the_controller_structure_is_sound,
        lists_name_what_structures_describe, capacities_add_up, lba_formats_are_sound,
        descriptors_and_structures_name_the_same_namespace, structures_of_command_sets_fit_the_namespace,
        unknown_structures_and_namespaces_are_refused;
    capabilities: admin_commands_are_there_as_oacs_says, nvm_commands_are_there_as_oncs_says,
        log_pages_are_there_as_lpa_says, fused_operations_work_as_fuses_says, sgls_work_as_sgls_says,
        events_can_be_enabled_as_oaes_says, reservations_work_as_rescap_says;
    erasures: formats_work_as_fna_says, sanitize_actions_work_as_sanicap_says;
    effects: admin_commands_are_those_of_the_effects_log, io_commands_are_those_of_the_effects_log;
    logs: log_pages_are_those_that_are_supported, logs_are_read_from_any_offset, the_smart_log_counts_commands,
        the_error_log_has_the_last_error;
    features: features_are_those_of_the_effects_log, capabilities_are_what_can_be_done,
        values_are_current_default_and_saved, wrong_selections_are_refused;
    limits: transfers_end_at_mdts, commands_without_data_end_at_their_limits, copies_end_at_their_limits,
        dataset_management_ends_at_its_limits, appends_end_at_zasl;
    lbas: what_was_written_is_read, lbas_beyond_the_namespace_are_refused, wrong_namespaces_are_refused,
        forced_unit_access_and_flush_work, write_zeroes_writes_zeros, deallocated_lbas_read_as_dlfeat_says,
        compare_tells_what_is_different, uncorrectable_lbas_cannot_be_read, copies_are_what_they_were_made_of;
    zones: reports_agree_with_identify, writes_are_taken_at_the_write_pointer_only,
        appends_go_where_the_completion_says, zones_change_state_as_they_are_told,
        nothing_crosses_a_zone_s_end, resources_are_limited_as_identify_says;
    pairs: what_was_stored_is_retrieved, keys_exist_until_they_are_deleted, store_options_are_obeyed,
        keys_are_listed, keys_and_values_end_at_their_limits, wrong_namespaces_are_refused;
    queues: queues_are_created_in_order_only, wrong_queues_are_refused, queues_are_deleted_in_order_only,
        abort_tells_what_it_did, event_requests_end_at_their_limit;
    resets: a_controller_reset_keeps_what_it_must, a_subsystem_reset_is_a_power_cycle,
        power_cycles_close_zones;
};

/// What all checks found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Each check's name and finding, in the order of [`CHECKS`].
    pub findings: Vec<(&'static str, Finding)>,
}

impl Report {
    /// Names of the checks that failed, with the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.findings.iter().filter_map(|(name, finding)| match finding {
            Err(Obstacle::Failed(reason)) => Some((*name, reason.as_str())),
            _ => None,
        })
    }

    /// Names of the checks that passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> + '_ {
        let passed = self.findings.iter().filter(|(_, finding)| finding.is_ok());
        passed.map(|(name, _)| *name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, finding) in &self.findings {
            match finding {
                Ok(()) => writeln!(f, "passed          {name}")?,
                Err(Obstacle::NotApplicable(reason)) => writeln!(f, "not applicable  {name}: {reason}")?,
                Err(Obstacle::Failed(reason)) => writeln!(f, "FAILED          {name}: {reason}")?,
            }
        }
        Ok(())
    }
}

/// Runs all checks against the device in `host`, enabled or not, and its namespace `nsid`, which is attached.
///
/// # Panics
/// If the device never completes a command, never becomes ready or does not let go of it: the host has no way on then.
pub fn run(host: &mut TestHost, nsid: u32) -> Report {
    run_some(host, nsid, |_| true)
}

/// As [`run`], those checks only whose names are `wanted`.
///
/// # Panics
/// As [`run`].
pub fn run_some(host: &mut TestHost, nsid: u32, wanted: impl Fn(&str) -> bool) -> Report {
    let mut findings = Vec::new();
    let mut subject = match Subject::new(host, nsid) {
        Ok(subject) => subject,
        Err(obstacle) => {
            findings.push(("the namespace can be identified", Err(obstacle)));
            return Report { findings };
        }
    };
    for check in CHECKS.iter().filter(|check| wanted(check.name)) {
        let finding = subject.restart().and_then(|()| (check.run)(&mut subject));
        findings.push((check.name, finding));
    }
    Report { findings }
}
