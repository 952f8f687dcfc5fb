//! Zones.

use nvme_spec::{
    CommandSet, IdentifyCns, IdentifyZonedNamespace, NvmOpcode, Status, ZoneDescriptor, ZoneSendAction,
    ZoneState,
};

use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Kind, Obstacle, Subject};
use crate::host::commands;

/// MAR and MOR of no limit.
const NO_LIMIT: u32 = u32::MAX;
/// Options of a report: the states that it lists.
const REPORT_EMPTY: u8 = 1;

/// Fails unless the zone at `zslba` is in `state`, and its write pointer, where it has a meaning, has come this far.
fn zone_is(subject: &mut Subject<'_>, zslba: u64, state: ZoneState, written_lbas: u64) -> Finding {
    let zone = subject.zone(zslba)?;
    let found = zone.zone_state >> 4;
    ensure!(
        found == state as u8,
        "the zone at {zslba} is in state {found:#x}, not {state:?}"
    );
    let pointer = zone.write_pointer.get();
    ensure!(
        state == ZoneState::Full || pointer == zslba + written_lbas,
        "the write pointer of the zone at {zslba} is {pointer}, not {written_lbas} LBAs behind its start"
    );
    Ok(())
}

fn write_ends(subject: &mut Subject<'_>, slba: u64, lbas: u32, expected: Status) -> Finding {
    let pattern = subject.pattern(slba as u8, lbas);
    subject.fill(&pattern);
    let entry = subject.about_lbas(NvmOpcode::WRITE, slba, lbas);
    subject.io_ends(&format!("writing {lbas} LBAs at {slba}"), entry, expected)?;
    Ok(())
}

/// Reports list each zone once, in order, of the size that Identify says, and as many as there are (ZNS 1.1 §3.4.2).
pub(super) fn reports_agree_with_identify(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zone_lbas = subject.zone_lbas;
    let expected = subject.size_lbas / zone_lbas;
    let (count, zones) = subject.report_zones(0, 0, false, 64)?;
    ensure!(
        count == expected,
        "the report counts {count} zones, and Identify {expected}"
    );
    let mut capacity_lbas = 0;
    for (index, zone) in (0..).zip(&zones) {
        let (start, capacity) = (zone.start_lba.get(), zone.capacity_lbas.get());
        ensure!(start == index * zone_lbas, "zone {index} begins at {start}");
        ensure!(zone.zone_type == 2, "zone {index} has type {}", zone.zone_type);
        ensure!(
            (1..=zone_lbas).contains(&capacity),
            "zone {index} has a capacity of {capacity}"
        );
        capacity_lbas += capacity;
    }
    let all = subject.namespace()?.ncap_lbas.get();
    ensure!(
        zones.len() as u64 != count || capacity_lbas == all,
        "the zones have {capacity_lbas} LBAs, and NCAP is {all}"
    );
    let (some, listed) = subject.report_zones(zone_lbas, 0, true, 1)?;
    ensure!(
        some == 1 && listed[0].start_lba.get() == zone_lbas,
        "a partial report counts {some}"
    );
    let empty = zones
        .iter()
        .filter(|zone| zone.zone_state >> 4 == ZoneState::Empty as u8)
        .count();
    let (listed, _) = subject.report_zones(0, REPORT_EMPTY, false, 64)?;
    ensure!(
        listed == empty as u64,
        "{listed} of {empty} empty zones are reported"
    );
    let entry = commands::zone_receive(
        subject.nsid,
        subject.size_lbas,
        nvme_spec::ZoneReceiveAction::REPORT_ZONES,
        0,
        true,
        128,
        subject.buffer(),
    );
    subject.io_ends("a report beyond the namespace", entry, Status::LBA_OUT_OF_RANGE)?;
    Ok(())
}

/// A write elsewhere than at the write pointer is Zone Invalid Write, and the pointer moves by what was written (ZNS 1.1 §2.1.1.2, figure 11).
pub(super) fn writes_are_taken_at_the_write_pointer_only(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zslba = subject.fresh_lba(0)?;
    write_ends(subject, zslba + 1, 1, Status::ZONE_INVALID_WRITE)?;
    zone_is(subject, zslba, ZoneState::Empty, 0)?;
    write_ends(subject, zslba, 2, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::ImplicitlyOpened, 2)?;
    for at in [0, 1, 3] {
        write_ends(subject, zslba + at, 1, Status::ZONE_INVALID_WRITE)?;
    }
    write_ends(subject, zslba + 2, 1, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::ImplicitlyOpened, 3)
}

/// An append goes where its completion says, which is the write pointer; it must name a zone's first LBA (ZNS 1.1 §3.4.1).
pub(super) fn appends_go_where_the_completion_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zslba = subject.fresh_lba(0)?;
    let mut at = zslba;
    for lbas in [1, 3, 2] {
        let pattern = subject.pattern(lbas as u8 + 40, lbas);
        subject.fill(&pattern);
        let entry = subject.about_lbas(NvmOpcode::ZONE_APPEND, zslba, lbas);
        let completion = subject.io(entry);
        let placed = u64::from(completion.dw0.get()) | u64::from(completion.dw1.get()) << 32;
        let status = completion.status();
        ensure!(
            status == SUCCESS && placed == at,
            "an append ends with {status:?} at {placed}, not {at}"
        );
        ensure!(
            subject.read(placed, lbas)? == pattern,
            "what was appended at {placed} is other data"
        );
        at += u64::from(lbas);
    }
    let entry = subject.about_lbas(NvmOpcode::ZONE_APPEND, zslba + 1, 1);
    subject.io_ends("an append inside a zone", entry, INVALID_FIELD)?;
    Ok(())
}

/// Open, Close, Finish and Reset lead from state to state; others are Invalid Zone State Transition (ZNS 1.1 §2.1.1.3, §3.4.3).
pub(super) fn zones_change_state_as_they_are_told(subject: &mut Subject<'_>) -> Finding {
    use ZoneSendAction as Action;
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zslba = subject.fresh_lba(0)?;
    let refused = Status::INVALID_ZONE_STATE_TRANSITION;
    let steps = [
        (Action::CLOSE, refused, ZoneState::Empty),
        (Action::OPEN, SUCCESS, ZoneState::ExplicitlyOpened),
        (Action::OPEN, SUCCESS, ZoneState::ExplicitlyOpened),
        // Closed, though nothing was written.
        (Action::CLOSE, SUCCESS, ZoneState::Closed),
        (Action::CLOSE, SUCCESS, ZoneState::Closed),
        (Action::RESET, SUCCESS, ZoneState::Empty),
        (Action::FINISH, SUCCESS, ZoneState::Full),
        (Action::FINISH, SUCCESS, ZoneState::Full),
        (Action::OPEN, refused, ZoneState::Full),
        (Action::CLOSE, refused, ZoneState::Full),
        (Action::RESET, SUCCESS, ZoneState::Empty),
    ];
    for (action, status, state) in steps {
        subject.send_to_zone(zslba, action, status)?;
        zone_is(subject, zslba, state, 0)?;
    }
    write_ends(subject, zslba, 1, SUCCESS)?;
    subject.send_to_zone(zslba, Action::CLOSE, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::Closed, 1)?;
    subject.send_to_zone(zslba, Action::OPEN, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::ExplicitlyOpened, 1)?;
    subject.send_to_zone(zslba, Action::RESET, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::Empty, 0)?;
    let data = subject.read(zslba, 1)?;
    ensure!(
        data.iter().all(|&byte| byte == 0),
        "an LBA of a zone that was reset is not zeros"
    );
    subject.send_to_zone(zslba + 1, Action::RESET, INVALID_FIELD)?;
    subject.send_to_zone(subject.size_lbas, Action::RESET, Status::LBA_OUT_OF_RANGE)
}

/// Writes end with the zone's capacity, after which it is full; none goes on into the next zone, and reads do as OZCS says (ZNS 1.1 §2.1.1, figure 11).
pub(super) fn nothing_crosses_a_zone_s_end(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zslba = subject.fresh_lba(0)?;
    let capacity = subject.zone(zslba)?.capacity_lbas.get();
    let step = u64::from(subject.transfer_lbas_max().unwrap_or(8));
    applies_if!(capacity <= 64 * step, "a zone takes too long to fill");
    let mut written = 0;
    while capacity - written > step.min(8) {
        let lbas = step.min(capacity - written - 1);
        write_ends(subject, zslba + written, lbas as u32, SUCCESS)?;
        written += lbas;
    }
    let left = (capacity - written) as u32;
    write_ends(subject, zslba + written, left + 1, Status::ZONE_BOUNDARY_ERROR)?;
    write_ends(subject, zslba + written, left, SUCCESS)?;
    zone_is(subject, zslba, ZoneState::Full, 0)?;
    write_ends(subject, zslba, 1, Status::ZONE_IS_FULL)?;
    let zoned: IdentifyZonedNamespace = subject.identify_as(
        IdentifyCns::COMMAND_SET_NAMESPACE,
        subject.nsid,
        CommandSet::ZONED,
    )?;
    let next = zslba + subject.zone_lbas;
    if next < subject.size_lbas {
        let can_cross = zoned.ozcs.get() & 1 != 0;
        let expected = if can_cross {
            SUCCESS
        } else {
            Status::ZONE_BOUNDARY_ERROR
        };
        let entry = subject.about_lbas(NvmOpcode::READ, next - 1, 2);
        subject.io_ends("a read of two zones", entry, expected)?;
    }
    Ok(())
}

fn empty_zones(subject: &mut Subject<'_>) -> Result<Vec<u64>, Obstacle> {
    let is_empty = |zone: &&ZoneDescriptor| zone.zone_state >> 4 == ZoneState::Empty as u8;
    Ok(subject
        .zones()?
        .iter()
        .filter(is_empty)
        .map(|zone| zone.start_lba.get())
        .collect())
}

/// MOR + 1 zones can be open and MAR + 1 active, and no more (ZNS 1.1 §2.1.1.4, figure 48).
pub(super) fn resources_are_limited_as_identify_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let zoned: IdentifyZonedNamespace = subject.identify_as(
        IdentifyCns::COMMAND_SET_NAMESPACE,
        subject.nsid,
        CommandSet::ZONED,
    )?;
    let (active_z, open_z) = (zoned.mar_z.get(), zoned.mor_z.get());
    let zones = empty_zones(subject)?;
    if open_z != NO_LIMIT && zones.len() as u64 > u64::from(open_z) + 1 {
        let (opened, rest) = zones.split_at(open_z as usize + 1);
        for &zslba in opened {
            subject.send_to_zone(zslba, ZoneSendAction::OPEN, SUCCESS)?;
        }
        let expected = if active_z == open_z {
            Status::TOO_MANY_ACTIVE_ZONES
        } else {
            Status::TOO_MANY_OPEN_ZONES
        };
        subject.send_to_zone(rest[0], ZoneSendAction::OPEN, expected)?;
        subject.reset_zones()?;
    }
    applies_if!(
        active_z != NO_LIMIT && zones.len() as u64 > u64::from(active_z) + 1,
        "there are no more zones than can be active"
    );
    let (active, rest) = zones.split_at(active_z as usize + 1);
    for &zslba in active {
        write_ends(subject, zslba, 1, SUCCESS)?;
        subject.send_to_zone(zslba, ZoneSendAction::CLOSE, SUCCESS)?;
    }
    write_ends(subject, rest[0], 1, Status::TOO_MANY_ACTIVE_ZONES)
}
