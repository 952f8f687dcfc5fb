//! What outlives a reset, and what does not.

use nvme_spec::registers::{self, csts};
use nvme_spec::{
    FeatureId, FeatureSelect, IdentifyCns, IdentifyController, Status, ZoneSendAction, ZoneState,
};

use super::logs::smart;
use super::subject::SUCCESS;
use super::{Finding, Kind, Obstacle, Subject};
use crate::host::commands;

/// What was written, what Identify says and the counters of the SMART log.
struct Before {
    slba: u64,
    pattern: Vec<u8>,
    controller: IdentifyController,
    namespace: Vec<u8>,
    written_commands: [u8; 16],
}

fn note(subject: &mut Subject<'_>) -> Result<Before, Obstacle> {
    let (mut slba, mut pattern) = (0, Vec::new());
    if subject.has_lbas() {
        slba = subject.fresh_lba(0)?;
        pattern = subject.pattern(31, 3);
        subject.write(slba, &pattern)?;
    }
    let csi = subject.command_set;
    Ok(Before {
        slba,
        pattern,
        controller: subject.identify_as(IdentifyCns::CONTROLLER, 0, csi)?,
        namespace: subject.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, subject.nsid, csi)?,
        written_commands: smart(subject)?.host_write_commands,
    })
}

/// Fails unless all of it is still the same.
fn is_as(subject: &mut Subject<'_>, before: &Before) -> Finding {
    let csi = subject.command_set;
    let controller: IdentifyController = subject.identify_as(IdentifyCns::CONTROLLER, 0, csi)?;
    ensure!(
        (
            controller.serial_number,
            controller.subnqn,
            controller.firmware_revision
        ) == (
            before.controller.serial_number,
            before.controller.subnqn,
            before.controller.firmware_revision
        ),
        "it is another controller, or has other firmware, after a reset"
    );
    let namespace = subject.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, subject.nsid, csi)?;
    ensure!(
        namespace == before.namespace,
        "it is another namespace after a reset"
    );
    let written = smart(subject)?.host_write_commands;
    ensure!(
        written == before.written_commands,
        "the SMART log counts otherwise after a reset"
    );
    if subject.has_lbas() {
        let lbas = (before.pattern.len() / subject.lba_bytes) as u32;
        let data = subject.read(before.slba, lbas)?;
        ensure!(
            data == before.pattern,
            "what was written is not there after a reset"
        );
    }
    Ok(())
}

/// Data, identity and counters outlive a controller reset; queues, held requests and the host's identifier do not (NVMe Base 2.0 §3.7.2, §5.27.1.25).
pub(super) fn a_controller_reset_keeps_what_it_must(subject: &mut Subject<'_>) -> Finding {
    let before = note(subject)?;
    subject.fill(&[9; 16]);
    let status = subject.set_feature(FeatureId::HOST_IDENTIFIER, false, 1).status();
    ensure!(status == SUCCESS, "the host identifier cannot be set: {status:?}");
    subject.host.disable();
    subject.host.enable();
    let entry = commands::create_sq(1, 1, 8, subject.buffer());
    let gone = Status::COMPLETION_QUEUE_INVALID;
    subject.admin_ends(
        "a submission queue, its completion queue gone with the reset,",
        entry,
        gone,
    )?;
    let get = commands::get_features(
        FeatureId::HOST_IDENTIFIER,
        FeatureSelect::CURRENT.0,
        1,
        subject.buffer(),
    );
    subject.admin_ends("the host identifier", get, SUCCESS)?;
    ensure!(
        subject.data(16) == [0; 16],
        "the host identifier outlives a reset"
    );
    subject.reset_controller();
    is_as(subject, &before)
}

/// An NVM subsystem reset sets CSTS.NSSRO and clears CC and the admin queue's registers; data and identity outlive it (NVMe Base 2.0 §3.7.1, §3.1.3.6).
pub(super) fn a_subsystem_reset_is_a_power_cycle(subject: &mut Subject<'_>) -> Finding {
    applies_if!(
        subject.host.register(registers::CAP + 4) & 1 << 4 != 0,
        "CAP.NSSRS is 0"
    );
    let before = note(subject)?;
    subject.reset_subsystem();
    let status = subject.host.register(registers::CSTS);
    ensure!(
        status & (csts::NSSRO | csts::RDY) == csts::NSSRO,
        "CSTS is {status:#x} after a reset of the subsystem"
    );
    for register in [registers::CC, registers::AQA, registers::ASQ, registers::ACQ] {
        let value = subject.host.register(register);
        ensure!(
            value == 0,
            "register {register:#x} is {value:#x} after a reset of the subsystem"
        );
    }
    subject.bring_up();
    is_as(subject, &before)
}

/// Zones that were open are closed after a power cycle, and their write pointers are where they were; a controller reset leaves them open (ZNS 1.1
/// §2.1.1.3).
pub(super) fn power_cycles_close_zones(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zslba = subject.fresh_lba(0)?;
    let pattern = subject.pattern(33, 2);
    subject.write(zslba, &pattern)?;
    subject.send_to_zone(zslba, ZoneSendAction::OPEN, SUCCESS)?;
    subject.reset_controller();
    let zone = subject.zone(zslba)?;
    ensure!(
        zone.zone_state >> 4 == ZoneState::ExplicitlyOpened as u8,
        "an open zone is in state {:#x} after a controller reset",
        zone.zone_state >> 4
    );
    subject.reset_subsystem();
    subject.bring_up();
    let zone = subject.zone(zslba)?;
    ensure!(
        zone.zone_state >> 4 == ZoneState::Closed as u8 && zone.write_pointer.get() == zslba + 2,
        "after a power cycle, an open zone is in state {:#x}, its write pointer at {}",
        zone.zone_state >> 4,
        zone.write_pointer.get()
    );
    Ok(())
}
