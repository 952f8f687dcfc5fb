//! How a reservation gets a holder, another one, or none.

use nvme_spec::{NvmOpcode, Status};
use nvmev_sim::host::commands;

use super::{three, Bench, ALL_REGISTRANTS, CONFLICT, IGNORE_KEY, INVALID, OK};

#[test]
fn acquiring_follows_the_holder_and_the_type() {
    let acquire = NvmOpcode::RESERVATION_ACQUIRE;
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).acquire(1, 0), CONFLICT, "not registered");
    assert_eq!(bench.register(1), OK);
    assert_eq!(bench.acquire(1, 2), CONFLICT, "another key");
    for cdw10 in [0, 7 << 8, 0xFF << 8, 1 << 8 | 3, 1 << 8 | 7, 1 << 8 | IGNORE_KEY] {
        assert_eq!(bench.send(acquire, cdw10, [1, 0]), INVALID, "{cdw10:#x}");
    }
    let unreachable = commands::reservation(acquire, 1, 1 << 8, 0);
    assert_eq!(bench.command(unreachable), Status::DATA_TRANSFER_ERROR);
    assert_eq!(bench.report().kind, 0);
    assert_eq!(bench.acquire(1, 1), OK);
    assert_eq!(bench.acquire(1, 1), OK, "the same again");
    assert_eq!(bench.acquire(2, 1), CONFLICT, "another type");
    assert_eq!(bench.is(2).register(2), OK);
    assert_eq!(bench.acquire(1, 2), CONFLICT);
    assert_eq!(bench.release(1, 2), OK, "not the holder: nothing happens");
    assert_eq!(bench.report().kind, 1);
    assert_eq!(bench.is(1).release(2, 1), INVALID, "not its type");
    assert_eq!(bench.release(1, 7), CONFLICT, "not its key");
    assert_eq!(bench.release(1, 1), OK);
    assert_eq!(bench.release(1, 1), OK, "nothing is held");
    assert_eq!(bench.is(3).release(1, 1), CONFLICT, "not registered");
    assert_eq!(bench.clear(1), CONFLICT, "not registered");
    let release = NvmOpcode::RESERVATION_RELEASE;
    for cdw10 in [2, 7, 1 << 8 | IGNORE_KEY, 1 | IGNORE_KEY] {
        assert_eq!(bench.is(1).send(release, cdw10, [1, 0]), INVALID, "{cdw10:#x}");
    }
    let generation = bench.report().generation;
    for kind in ALL_REGISTRANTS {
        assert_eq!(bench.is(1).acquire(kind, 1), OK);
        assert_eq!(bench.is(2).acquire(kind, 2), OK, "it holds it, too");
        assert_eq!(bench.acquire(1, 2), CONFLICT);
        assert_eq!(bench.is(2).release(kind, 2), OK, "any of them may release it");
        assert_eq!(bench.report().kind, 0);
    }
    assert_eq!(
        bench.report().generation,
        generation,
        "registrations are as before"
    );
    assert_eq!(bench.clear(2), OK);
    let report = bench.report();
    assert_eq!((report.registrants, report.generation), (vec![], generation + 1));
}

#[test]
fn preempting_takes_what_the_key_says() {
    const PREEMPTED: u8 = 1;
    const RELEASED: u8 = 2;
    let reg = |ids: &[(u8, bool)]| -> Vec<(u8, u64, bool)> {
        ids.iter().map(|&(id, holds)| (id, id.into(), holds)).collect()
    };
    type Case<'a> = (u32, u8, u32, u64, Status, u8, Vec<(u8, u64, bool)>, &'a [u8]);
    // Type before; host, type and key of the preemption; status; type, registrants and notices after.
    let cases: [Case<'_>; 15] = [
        // Of the holder: its reservation goes over.
        (1, 2, 4, 1, OK, 4, reg(&[(2, true), (3, false)]), &[PREEMPTED]),
        (3, 2, 3, 1, OK, 3, reg(&[(2, true), (3, false)]), &[PREEMPTED]),
        (
            3,
            2,
            1,
            1,
            OK,
            1,
            reg(&[(2, true), (3, false)]),
            &[PREEMPTED, RELEASED],
        ),
        // Of another one: only the registration.
        (1, 2, 4, 3, OK, 1, reg(&[(1, true), (2, false)]), &[PREEMPTED]),
        (1, 1, 4, 2, OK, 1, reg(&[(1, true), (3, false)]), &[PREEMPTED]),
        // Its own, by a host that does not hold it.
        (1, 2, 4, 2, OK, 1, reg(&[(1, true), (3, false)]), &[]),
        // Its own, by the holder: the type changes.
        (1, 1, 3, 1, OK, 3, reg(&[(1, true), (2, false), (3, false)]), &[]),
        (
            3,
            1,
            1,
            1,
            OK,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[RELEASED],
        ),
        // Of nobody.
        (
            1,
            2,
            4,
            9,
            CONFLICT,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[],
        ),
        (
            1,
            2,
            4,
            0,
            INVALID,
            1,
            reg(&[(1, true), (2, false), (3, false)]),
            &[],
        ),
        // Nothing is held: registrations only.
        (0, 2, 4, 1, OK, 0, reg(&[(2, false), (3, false)]), &[PREEMPTED]),
        (
            0,
            2,
            4,
            0,
            CONFLICT,
            0,
            reg(&[(1, false), (2, false), (3, false)]),
            &[],
        ),
        // All hold it: key 0 is that of all of them.
        (5, 2, 2, 0, OK, 2, reg(&[(2, true)]), &[PREEMPTED]),
        (6, 2, 2, 1, OK, 6, reg(&[(2, true), (3, true)]), &[PREEMPTED]),
        (
            6,
            2,
            2,
            9,
            CONFLICT,
            6,
            reg(&[(1, true), (2, true), (3, true)]),
            &[],
        ),
    ];
    for action in [1, 2] {
        for (index, (before, id, kind, key, status, after, registrants, notices)) in cases.iter().enumerate()
        {
            let mut bench = three(*before);
            let generation = bench.report().generation;
            let cdw10 = kind << 8 | action;
            let sent = bench
                .is(*id)
                .send(NvmOpcode::RESERVATION_ACQUIRE, cdw10, [(*id).into(), *key]);
            assert_eq!(sent, *status, "case {index}");
            let report = bench.report();
            assert_eq!(report.kind, *after, "case {index}");
            assert_eq!(&report.registrants, registrants, "case {index}");
            assert_eq!(
                report.generation - generation,
                u32::from(*status == OK),
                "case {index}"
            );
            assert_eq!(&bench.notices()[..], *notices, "case {index}");
        }
    }
    // The last one of all takes itself away, and the reservation with it.
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).register(7), OK);
    assert_eq!(bench.acquire(6, 7), OK);
    assert_eq!(bench.preempt(6, 7, 7), OK);
    let report = bench.report();
    assert_eq!((report.kind, report.registrants), (0, vec![]));
}

#[test]
fn giving_a_registration_up_gives_the_reservation_up_with_it() {
    for kind in 1..=6 {
        let mut bench = three(kind);
        assert_eq!(bench.is(1).unregister(1), OK);
        let is_held = ALL_REGISTRANTS.contains(&kind);
        assert_eq!(
            bench.report().kind,
            if is_held { kind as u8 } else { 0 },
            "type {kind}"
        );
        let notices: &[u8] = if matches!(kind, 3 | 4) { &[2] } else { &[] };
        assert_eq!(bench.notices(), notices, "type {kind}");
        assert_eq!(bench.is(2).unregister(2), OK);
        assert_eq!(bench.is(3).unregister(3), OK);
        let report = bench.report();
        assert_eq!((report.kind, report.registrants), (0, vec![]), "type {kind}");
        assert_eq!(bench.access(), (true, true));
    }
}
