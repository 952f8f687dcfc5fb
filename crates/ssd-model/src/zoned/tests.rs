//! The state machine against a small model of its own, written from the specification's table, and what the timing must keep to.

use std::collections::BTreeSet;
use std::vec::Vec;

use nvme_spec::{zone_attributes, Status, ZoneState};
use proptest::prelude::*;
use ssd_profile::{ProfileKind, WriteBufferScope, ZonedParameters};

use super::*;
use crate::profiles;

const KIB: u64 = 1024;
/// LBAs of 4 KiB: what everything below is counted in.
const LBA: u64 = 4096;
const ZONES: u32 = 8;
const ZONE_LBAS: u64 = 32;
const CAPACITY_LBAS: u64 = 24;
const MAX_OPEN: usize = 3;
const MAX_ACTIVE: usize = 5;
const ZRWA_LBAS: u64 = 4;
const ZRWA_GRANULE_LBAS: u64 = 2;
const MAX_ZRWA: usize = 2;

fn parameters_of(name: &str) -> ZonedParameters {
    match profiles::by_name(name).expect("a built-in profile").kind {
        ProfileKind::Zoned(parameters) => parameters,
        _ => panic!("{name} is not a zoned drive"),
    }
}

/// A drive of few small zones with every limit; one zone is read only and one offline.
fn parameters(scope: WriteBufferScope) -> ZonedParameters {
    let mut parameters = parameters_of("zn540");
    parameters.reference_quirks = false;
    parameters.nand.flash_page_bytes = 4 * LBA as u32;
    parameters.nand.oneshot_page_bytes = 8 * LBA as u32;
    parameters.write_buffer.scope = scope;
    parameters.write_buffer.size_bytes = 128 * LBA as u32;
    parameters.zone.size_kib = (ZONE_LBAS * LBA / KIB) as u32;
    parameters.zone.capacity_kib = (CAPACITY_LBAS * LBA / KIB) as u32;
    parameters.zone.dies_per_zone = 2;
    parameters.zone.write_unit_bytes = LBA as u32;
    parameters.zone.max_open = MAX_OPEN as u32;
    parameters.zone.max_active = MAX_ACTIVE as u32;
    parameters.zone.descriptor_extension_bytes = 64;
    parameters.zone.read_only = 1;
    parameters.zone.offline = 1;
    parameters.zrwa.count = MAX_ZRWA as u32;
    parameters.zrwa.size_bytes = (ZRWA_LBAS * LBA) as u32;
    parameters.zrwa.granularity_bytes = (ZRWA_GRANULE_LBAS * LBA) as u32;
    parameters
}

fn drive(scope: WriteBufferScope) -> ZonedModel {
    ZonedModel::new(&parameters(scope), u64::from(ZONES) * CAPACITY_LBAS * LBA).expect("valid")
}

/// An operation of a test, in LBAs.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// At `skew` LBAs from the write pointer.
    Write {
        zone: u32,
        skew: i64,
        lbas: u64,
    },
    Zeroes {
        zone: u32,
        lbas: u64,
    },
    Append {
        zone: u32,
        lbas: u64,
    },
    Read {
        zone: u32,
        at: u64,
        lbas: u64,
    },
    Send {
        zone: u32,
        action: ZoneAction,
    },
    /// Up to `skew` LBAs beyond the write pointer.
    FlushZrwa {
        zone: u32,
        skew: u64,
    },
    SendAll {
        action: ZoneAction,
    },
    PowerCycle,
}

fn action() -> impl Strategy<Value = ZoneAction> {
    prop_oneof![
        3 => Just(ZoneAction::Open { with_zrwa: false }),
        3 => Just(ZoneAction::Open { with_zrwa: true }),
        3 => Just(ZoneAction::Close),
        2 => Just(ZoneAction::Finish),
        3 => Just(ZoneAction::Reset),
        1 => Just(ZoneAction::Offline),
        1 => any::<bool>().prop_map(|with_zrwa| ZoneAction::SetExtension { with_zrwa }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let zone = || 0..ZONES;
    prop_oneof![
        8 => (zone(), prop_oneof![6 => Just(0), 1 => -2_i64..=9], 1..=9_u64)
            .prop_map(|(zone, skew, lbas)| Operation::Write { zone, skew, lbas }),
        1 => (zone(), 1..=9_u64).prop_map(|(zone, lbas)| Operation::Zeroes { zone, lbas }),
        4 => (zone(), 1..=9_u64).prop_map(|(zone, lbas)| Operation::Append { zone, lbas }),
        1 => (zone(), 0..ZONE_LBAS, 1..=9_u64).prop_map(|(zone, at, lbas)| Operation::Read { zone, at, lbas }),
        8 => (zone(), action()).prop_map(|(zone, action)| Operation::Send { zone, action }),
        2 => (zone(), 0..=10_u64).prop_map(|(zone, skew)| Operation::FlushZrwa { zone, skew }),
        1 => action().prop_map(|action| Operation::SendAll { action }),
        1 => Just(Operation::PowerCycle),
    ]
}

/// What the specification says of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    state: ZoneState,
    /// LBAs from the zone's start; without meaning where the specification gives it none.
    pointer: u64,
    zrwa: bool,
    extension: bool,
}

/// The zones as the specification has them (ZNS 1.1 §2.1.1.3 and §2.1.1.4): resources are counted anew each time.
#[derive(Clone, Debug)]
struct Oracle {
    zones: Vec<Expected>,
    /// A zone was opened where as many were open as can be: another one must be closed for it.
    must_close_one: bool,
}

use ZoneState::{Closed, Empty, ExplicitlyOpened, Full, ImplicitlyOpened, Offline, ReadOnly};

impl Oracle {
    fn new() -> Self {
        let empty = Expected {
            state: Empty,
            pointer: 0,
            zrwa: false,
            extension: false,
        };
        let mut zones = std::vec![empty; ZONES as usize];
        zones[ZONES as usize - 2].state = ReadOnly;
        zones[ZONES as usize - 1].state = Offline;
        Self {
            zones,
            must_close_one: false,
        }
    }

    fn count(&self, states: &[ZoneState]) -> usize {
        self.zones
            .iter()
            .filter(|zone| states.contains(&zone.state))
            .count()
    }

    fn open(&self) -> usize {
        self.count(&[ImplicitlyOpened, ExplicitlyOpened])
    }

    fn active(&self) -> usize {
        self.count(&[ImplicitlyOpened, ExplicitlyOpened, Closed])
    }

    /// Resources for opening a zone that is empty or closed. One that is implicitly opened may be closed for it.
    fn check_resources(&mut self, from: ZoneState) -> Result<(), Status> {
        if from == Empty && self.active() == MAX_ACTIVE {
            return Err(Status::TOO_MANY_ACTIVE_ZONES);
        }
        if self.open() == MAX_OPEN && self.count(&[ImplicitlyOpened]) == 0 {
            return Err(Status::TOO_MANY_OPEN_ZONES);
        }
        self.must_close_one = self.open() == MAX_OPEN;
        Ok(())
    }

    fn writable(&self, zone: u32) -> Result<Expected, Status> {
        let zone = self.zones[zone as usize];
        match zone.state {
            Full => Err(Status::ZONE_IS_FULL),
            ReadOnly => Err(Status::ZONE_IS_READ_ONLY),
            Offline => Err(Status::ZONE_IS_OFFLINE),
            _ => Ok(zone),
        }
    }

    /// `at` is nothing for an append.
    fn write(&mut self, zone: u32, at: Option<u64>, lbas: u64) -> Result<(), Status> {
        let state = self.writable(zone)?;
        if at.is_none() && state.zrwa {
            return Err(Status::INVALID_ZONE_OPERATION_REQUEST);
        }
        let at = at.unwrap_or(state.pointer);
        let end = at + lbas;
        if end > CAPACITY_LBAS {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        let fits = if state.zrwa {
            at >= state.pointer && end <= state.pointer + 2 * ZRWA_LBAS
        } else {
            at == state.pointer
        };
        if !fits {
            return Err(Status::ZONE_INVALID_WRITE);
        }
        if matches!(state.state, Empty | Closed) {
            self.check_resources(state.state)?;
            self.zones[zone as usize].state = ImplicitlyOpened;
        }
        self.move_pointer(zone, |pointer| {
            if !state.zrwa {
                return end;
            }
            let beyond = end.saturating_sub(pointer + ZRWA_LBAS);
            pointer + beyond.next_multiple_of(ZRWA_GRANULE_LBAS)
        });
        Ok(())
    }

    /// A zone whose pointer gets to its capacity is full.
    fn move_pointer(&mut self, zone: u32, to: impl Fn(u64) -> u64) {
        let zone = &mut self.zones[zone as usize];
        zone.pointer = to(zone.pointer);
        if zone.pointer == CAPACITY_LBAS {
            (zone.state, zone.zrwa) = (Full, false);
        }
    }

    fn read(&self, zone: u32, at: u64, lbas: u64) -> Result<(), Status> {
        let next = zone + u32::from(at + lbas > ZONE_LBAS);
        if next == ZONES {
            return Err(Status::LBA_OUT_OF_RANGE);
        }
        if [zone, next]
            .iter()
            .any(|&zone| self.zones[zone as usize].state == Offline)
        {
            return Err(Status::ZONE_IS_OFFLINE);
        }
        if next != zone {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        Ok(())
    }

    fn send(&mut self, zone: u32, action: ZoneAction) -> Result<(), Status> {
        let state = self.zones[zone as usize];
        let is_active = matches!(state.state, ImplicitlyOpened | ExplicitlyOpened | Closed);
        let becomes = |new: ZoneState| Expected { state: new, ..state };
        let cleared = |new: ZoneState| Expected {
            state: new,
            pointer: 0,
            zrwa: false,
            extension: false,
        };
        let result = match (action, state.state) {
            (ZoneAction::Open { with_zrwa }, Empty | ImplicitlyOpened | ExplicitlyOpened | Closed) => {
                let needs_zrwa = with_zrwa && !state.zrwa;
                let zrwas = self.zones.iter().filter(|zone| zone.zrwa).count();
                if needs_zrwa && (zrwas == MAX_ZRWA || state.pointer % ZRWA_GRANULE_LBAS != 0) {
                    return Err(Status::ZRWA_RESOURCES_UNAVAILABLE);
                }
                if matches!(state.state, Empty | Closed) {
                    self.check_resources(state.state)?;
                }
                Expected {
                    zrwa: state.zrwa || with_zrwa,
                    ..becomes(ExplicitlyOpened)
                }
            }
            (ZoneAction::Close, _) if is_active => becomes(Closed),
            (ZoneAction::Finish, Full) => state,
            (ZoneAction::Finish, _) if is_active || state.state == Empty => Expected {
                zrwa: false,
                ..becomes(Full)
            },
            (ZoneAction::Reset, Empty) => state,
            (ZoneAction::Reset, _) if is_active || state.state == Full => cleared(Empty),
            (ZoneAction::Offline, ReadOnly | Offline) => cleared(Offline),
            (ZoneAction::SetExtension { with_zrwa }, Empty) => {
                if with_zrwa && self.zones.iter().filter(|zone| zone.zrwa).count() == MAX_ZRWA {
                    return Err(Status::ZRWA_RESOURCES_UNAVAILABLE);
                }
                if self.active() == MAX_ACTIVE {
                    return Err(Status::TOO_MANY_ACTIVE_ZONES);
                }
                Expected {
                    extension: true,
                    zrwa: with_zrwa,
                    ..becomes(Closed)
                }
            }
            _ => return Err(Status::INVALID_ZONE_STATE_TRANSITION),
        };
        self.zones[zone as usize] = result;
        Ok(())
    }

    fn flush(&mut self, zone: u32, end: u64) -> Result<(), Status> {
        let state = self.zones[zone as usize];
        if !state.zrwa {
            return Err(Status::INVALID_ZONE_OPERATION_REQUEST);
        }
        if end <= state.pointer || end > (state.pointer + ZRWA_LBAS).min(CAPACITY_LBAS) {
            return Err(Status::ZONE_BOUNDARY_ERROR);
        }
        if (end - state.pointer) % ZRWA_GRANULE_LBAS != 0 {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        if state.state == Closed {
            self.check_resources(Closed)?;
            self.zones[zone as usize].state = ImplicitlyOpened;
        }
        self.move_pointer(zone, |_| end);
        Ok(())
    }

    fn send_all(&mut self, action: ZoneAction) -> Result<(), Status> {
        let from: &[ZoneState] = match action {
            ZoneAction::Close => &[ImplicitlyOpened, ExplicitlyOpened],
            ZoneAction::Finish => &[ImplicitlyOpened, ExplicitlyOpened, Closed],
            ZoneAction::Reset => &[ImplicitlyOpened, ExplicitlyOpened, Closed, Full],
            ZoneAction::Offline => &[ReadOnly],
            ZoneAction::Open { with_zrwa: false } => {
                // All or none (ZNS 1.1 §3.4.3.1.3).
                if self.open() + self.count(&[Closed]) > MAX_OPEN {
                    return Err(Status::TOO_MANY_OPEN_ZONES);
                }
                &[Closed]
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        for zone in 0..ZONES {
            if from.contains(&self.zones[zone as usize].state) {
                self.send(zone, action)?;
            }
        }
        Ok(())
    }
}

/// A drive, its oracle, and time.
struct Pair {
    model: ZonedModel,
    oracle: Oracle,
    now_ns: u64,
}

impl Pair {
    fn new(scope: WriteBufferScope) -> Self {
        Self {
            model: drive(scope),
            oracle: Oracle::new(),
            now_ns: 1_000,
        }
    }

    /// As a device does it: the zone's state first, and again while the drive is busy.
    fn submit(&mut self, written: Option<u32>, command: Command) -> Result<Accepted, Status> {
        if let Some(zone) = written {
            self.model.zones().check_writable(zone)?;
        }
        loop {
            match self.model.submit(self.now_ns, &command) {
                Ok(accepted) => {
                    assert!(accepted.done_at_ns >= self.now_ns);
                    return Ok(accepted);
                }
                Err(Refusal::Busy { retry_at_ns }) => {
                    assert!(retry_at_ns > self.now_ns);
                    self.now_ns = retry_at_ns;
                }
                Err(Refusal::Failed(status)) => return Err(status),
                Err(refusal @ Refusal::FailedLate { .. }) => panic!("{refusal:?}"),
            }
        }
    }

    fn run(&mut self, operation: Operation) {
        let pointer = |oracle: &Oracle, zone: u32| oracle.zones[zone as usize].pointer;
        let start = |zone: u32| u64::from(zone) * ZONE_LBAS;
        let before = self.oracle.clone();
        let (expected, found) = match operation {
            Operation::Write { zone, skew, lbas } => {
                let at = pointer(&self.oracle, zone)
                    .saturating_add_signed(skew)
                    .min(ZONE_LBAS - 1);
                let command = Command::Write {
                    offset_bytes: (start(zone) + at) * LBA,
                    len_bytes: (lbas * LBA) as u32,
                    fua: false,
                };
                (
                    self.oracle.write(zone, Some(at), lbas),
                    self.submit(Some(zone), command).map(drop),
                )
            }
            Operation::Zeroes { zone, lbas } => {
                let at = pointer(&self.oracle, zone).min(ZONE_LBAS - 1);
                let command = Command::WriteZeroes {
                    offset_bytes: (start(zone) + at) * LBA,
                    len_bytes: (lbas * LBA) as u32,
                    fua: true,
                    deallocate: true,
                };
                (
                    self.oracle.write(zone, Some(at), lbas),
                    self.submit(Some(zone), command).map(drop),
                )
            }
            Operation::Append { zone, lbas } => {
                let command = Command::Append {
                    offset_bytes: start(zone) * LBA,
                    len_bytes: (lbas * LBA) as u32,
                    fua: false,
                };
                let expected = self.oracle.write(zone, None, lbas);
                let found = self.submit(Some(zone), command);
                if let Ok(accepted) = found {
                    assert_eq!(accepted.result, (start(zone) + pointer(&before, zone)) * LBA);
                }
                (expected, found.map(drop))
            }
            Operation::Read { zone, at, lbas } => {
                let command = Command::Read {
                    offset_bytes: (start(zone) + at) * LBA,
                    len_bytes: (lbas * LBA) as u32,
                };
                (
                    self.oracle.read(zone, at, lbas),
                    self.submit(None, command).map(drop),
                )
            }
            Operation::Send { zone, action } => {
                let command = Command::ZoneSend {
                    offset_bytes: start(zone) * LBA,
                    action,
                };
                (
                    self.oracle.send(zone, action),
                    self.submit(None, command).map(drop),
                )
            }
            Operation::FlushZrwa { zone, skew } => {
                let end = (pointer(&self.oracle, zone) + skew).min(ZONE_LBAS);
                let action = ZoneAction::FlushZrwa { len_bytes: end * LBA };
                let command = Command::ZoneSend {
                    offset_bytes: start(zone) * LBA,
                    action,
                };
                (self.oracle.flush(zone, end), self.submit(None, command).map(drop))
            }
            Operation::PowerCycle => {
                self.model.power_cycle(self.now_ns);
                for zone in &mut self.oracle.zones {
                    let is_kept = zone.pointer > 0 || zone.extension || zone.zrwa;
                    zone.state = match zone.state {
                        ImplicitlyOpened | ExplicitlyOpened | Closed if !is_kept => Empty,
                        ImplicitlyOpened | ExplicitlyOpened => Closed,
                        other => other,
                    };
                }
                (Ok(()), Ok(()))
            }
            Operation::SendAll { action } => (
                self.oracle.send_all(action),
                self.submit(None, Command::ZoneSendAll { action }).map(drop),
            ),
        };
        assert_eq!(found, expected, "{operation:?} with {before:?}");
        self.adopt_closed_zone();
        self.compare(operation);
    }

    /// Which implicitly opened zone is closed for another one, the drive chooses: any, but only one, and only if it had to be.
    fn adopt_closed_zone(&mut self) {
        if !core::mem::take(&mut self.oracle.must_close_one) {
            return;
        }
        let zones = self.model.zones();
        let closed: Vec<u32> = (0..ZONES)
            .filter(|&zone| self.oracle.zones[zone as usize].state == ImplicitlyOpened)
            .filter(|&zone| zones.get(zone).is_some_and(|found| found.state == Closed))
            .collect();
        assert_eq!(closed.len(), 1, "{:?}", self.oracle);
        self.oracle.zones[closed[0] as usize].state = Closed;
    }

    fn compare(&self, operation: Operation) {
        for (zone, expected) in (0..).zip(&self.oracle.zones) {
            let found = self.model.zones().get(zone).expect("there are as many");
            assert_eq!(found.state, expected.state, "zone {zone} after {operation:?}");
            let flag = |attribute: u8| found.attributes & attribute != 0;
            assert_eq!(
                flag(zone_attributes::ZRWA_VALID),
                expected.zrwa,
                "zone {zone} after {operation:?}"
            );
            assert_eq!(
                flag(zone_attributes::DESCRIPTOR_EXTENSION_VALID),
                expected.extension,
                "zone {zone} after {operation:?}"
            );
            if !matches!(expected.state, Full | ReadOnly | Offline) {
                assert_eq!(
                    found.write_pointer,
                    expected.pointer * LBA,
                    "zone {zone} after {operation:?}"
                );
            }
        }
        let counts = (self.oracle.open() as u32, self.oracle.active() as u32);
        assert_eq!(self.model.zones().open_and_active(), counts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn zones_do_what_the_specification_says_and_lose_no_buffer_space(
        shared in any::<bool>(),
        operations in proptest::collection::vec(operation(), 1..250),
    ) {
        let scope = if shared { WriteBufferScope::Shared } else { WriteBufferScope::PerZone };
        let mut pair = Pair::new(scope);
        for operation in operations {
            pair.run(operation);
            pair.now_ns += 500;
        }
        // Q2 and Q3 of the reference: space that failed commands, resets and finishes kept.
        pair.run(Operation::SendAll { action: ZoneAction::Finish });
        pair.run(Operation::SendAll { action: ZoneAction::Reset });
        pair.now_ns += 1_000_000_000;
        for zone in 0..ZONES - 2 {
            pair.run(Operation::Append { zone, lbas: 8 });
        }
        pair.now_ns += 1_000_000_000;
        pair.run(Operation::SendAll { action: ZoneAction::Close });
        for zone in 0..ZONES - 2 {
            // Asking for room collects what is due.
            pair.run(Operation::Send { zone, action: ZoneAction::Reset });
            pair.run(Operation::Append { zone, lbas: 1 });
            pair.run(Operation::Send { zone, action: ZoneAction::Reset });
        }
        pair.now_ns += 1_000_000_000;
        for zone in 0..ZONES - 2 {
            pair.run(Operation::Append { zone, lbas: 1 });
            pair.run(Operation::Send { zone, action: ZoneAction::Reset });
        }
        prop_assert!(pair.model.report().buffered_bytes <= u64::from(ZONES) * LBA);
    }

    #[test]
    fn a_pages_place_is_on_one_of_its_zones_dies(zone in 0..ZONES, page in 0..CAPACITY_LBAS) {
        let geometry = *drive(WriteBufferScope::Shared).geometry();
        let (channel, lun) = geometry.lun(zone, page * LBA);
        prop_assert!(channel < geometry.channels && lun < geometry.luns / geometry.channels);
        let dies: BTreeSet<_> = (0..CAPACITY_LBAS).map(|page| geometry.lun(zone, page * LBA)).collect();
        prop_assert_eq!(dies.len(), 2);
    }
}

#[test]
fn an_append_that_had_to_wait_for_the_buffer_stays_in_its_zone() {
    // Q4 of the reference: it went to the next one.
    let mut parameters = parameters(WriteBufferScope::Shared);
    parameters.write_buffer.size_bytes = (18 * LBA) as u32;
    parameters.zone.max_open = 1;
    parameters.zone.max_active = 1;
    let mut model = ZonedModel::new(&parameters, u64::from(ZONES) * CAPACITY_LBAS * LBA).expect("valid");
    let append = Command::Append {
        offset_bytes: 0,
        len_bytes: (9 * LBA) as u32,
        fua: false,
    };
    let mut now_ns = 1_000;
    let mut places = Vec::new();
    let mut waits = 0;
    while places.len() < 2 {
        match model.submit(now_ns, &append) {
            Ok(accepted) => places.push(accepted.result),
            Err(Refusal::Busy { retry_at_ns }) => (waits, now_ns) = (waits + 1, retry_at_ns),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    assert_eq!(places, [0, 9 * LBA]);
    let last = Command::Append {
        offset_bytes: 0,
        len_bytes: (6 * LBA) as u32,
        fua: false,
    };
    let result = loop {
        match model.submit(now_ns, &last) {
            Err(Refusal::Busy { retry_at_ns }) => (waits, now_ns) = (waits + 1, retry_at_ns),
            result => break result,
        }
    };
    assert_eq!(result.expect("it fits exactly").result, 18 * LBA);
    assert!(waits > 0, "the buffer was never full");
    now_ns += 1_000_000_000;
    assert_eq!(model.zones().get(0).map(|zone| zone.state), Some(Full));
    assert_eq!(
        model.submit(now_ns, &append),
        Err(Refusal::Failed(Status::ZONE_IS_FULL))
    );
    assert_eq!(model.zones().get(1).map(|zone| zone.write_pointer), Some(0));
}

#[test]
fn a_oneshot_page_is_programmed_once_however_small_the_writes_are() {
    // Q5 of the reference: each write into its last page programmed it.
    let mut parameters = parameters(WriteBufferScope::PerZone);
    parameters.zone.write_unit_bytes = 512;
    let mut model = ZonedModel::new(&parameters, u64::from(ZONES) * CAPACITY_LBAS * LBA).expect("valid");
    for at in (0..16 * LBA).step_by(512) {
        let write = Command::Write {
            offset_bytes: at,
            len_bytes: 512,
            fua: false,
        };
        model.submit(1_000, &write).expect("there is room");
    }
    assert_eq!(model.report().statistics.nand_programmed_bytes, 16 * LBA);
}

#[test]
fn recommendations_come_when_they_are_due_and_end_with_the_state() {
    let mut parameters = parameters(WriteBufferScope::PerZone);
    parameters.zone.finish_recommended_ms = 10;
    parameters.zone.reset_recommended_ms = 20;
    let mut model = ZonedModel::new(&parameters, u64::from(ZONES) * CAPACITY_LBAS * LBA).expect("valid");
    let ms = |ms: u64| ms * 1_000_000;
    let recommended = |model: &mut ZonedModel, now_ns| {
        let mut zones = Vec::new();
        let next_ns = model.recommend(now_ns, |zone| zones.push(zone));
        (zones, next_ns)
    };
    assert_eq!(recommended(&mut model, ms(100)), (Vec::new(), None));
    let send = |zone: u64, action| Command::ZoneSend {
        offset_bytes: zone * ZONE_LBAS * LBA,
        action,
    };
    model
        .submit(ms(100), &send(1, ZoneAction::Open { with_zrwa: false }))
        .expect("empty");
    model
        .submit(ms(105), &send(2, ZoneAction::Finish))
        .expect("empty");
    assert_eq!(recommended(&mut model, ms(106)).0, []);
    assert_eq!(recommended(&mut model, ms(110)), (std::vec![1], Some(ms(125))));
    let attributes = |model: &ZonedModel, zone| model.zones().get(zone).expect("there is").attributes;
    assert_eq!(attributes(&model, 1), zone_attributes::FINISH_RECOMMENDED);
    assert_eq!(recommended(&mut model, ms(130)), (std::vec![2], None));
    assert_eq!(attributes(&model, 2), zone_attributes::RESET_RECOMMENDED);
    model.submit(ms(140), &send(1, ZoneAction::Finish)).expect("open");
    model.submit(ms(140), &send(2, ZoneAction::Reset)).expect("full");
    assert_eq!((attributes(&model, 1), attributes(&model, 2)), (0, 0));
    assert_eq!(recommended(&mut model, ms(150)), (Vec::new(), Some(ms(160))));
}

#[test]
fn capacity_is_rounded_down_to_whole_zones_and_too_little_is_refused() {
    let parameters = parameters_of("zn540");
    let geometry = ZonedGeometry::new(&parameters, (8 << 30) - (1 << 20)).expect("three zones fit");
    assert_eq!((geometry.zones, geometry.namespace_bytes()), (3, 6 << 30));
    let error = ZonedGeometry::new(&parameters, 1 << 30).expect_err("no zone fits");
    assert_eq!(
        std::format!("{error}"),
        "1073741824 bytes are too few: give the drive 2147483648 (2G) at least, or set zone.size_kib lower"
    );
}

#[test]
fn the_write_unit_is_a_rule_in_the_reference_and_a_hint_elsewhere() {
    let write = |offset_bytes, len_bytes| Command::Write {
        offset_bytes,
        len_bytes,
        fua: false,
    };
    for (name, unit_bytes) in [("zns-prototype", 131_072), ("tlc-zns", 4096)] {
        let parameters = parameters_of(name);
        assert_eq!(parameters.zone.write_unit_bytes, unit_bytes);
        let mut model = ZonedModel::new(&parameters, 1 << 30).expect("valid");
        let small = model.submit(1_000, &write(0, 512));
        let rest = model.submit(2_000, &write(512, unit_bytes - 512));
        if parameters.reference_quirks {
            let refused = Err(Refusal::Failed(Status::ZONE_INVALID_WRITE));
            assert_eq!((small, rest), (refused, refused), "{name}");
            assert!(model.submit(3_000, &write(0, unit_bytes)).is_ok());
        } else {
            assert!(small.is_ok() && rest.is_ok(), "{name}");
            let pointer = model.zones().get(0).map(|zone| zone.write_pointer);
            assert_eq!(pointer, Some(unit_bytes.into()));
        }
    }
}
