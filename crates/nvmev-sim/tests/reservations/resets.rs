//! What is left of registrations after resets and power cycles.

use nvme_spec::{FeatureId, NvmOpcode, Status};

use super::{three, Bench, BROADCAST, CONFLICT, DO_NOT_PERSIST, EXCLUSIVE_ACCESS, INVALID, OK, PERSIST};

#[test]
fn registrations_survive_resets_and_power_cycles_as_the_host_wants() {
    let persistence = FeatureId::RESERVATION_PERSISTENCE;
    let register = NvmOpcode::RESERVATION_REGISTER;
    for (persists, by_feature) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut bench = three(EXCLUSIVE_ACCESS);
        if by_feature {
            assert_eq!(bench.set_feature(persistence, BROADCAST, persists.into()), OK);
        } else {
            let cptpl = if persists { PERSIST } else { DO_NOT_PERSIST };
            assert_eq!(bench.is(1).send(register, cptpl, [0, 1]), OK);
        }
        assert_eq!(bench.feature(persistence, 1), Ok(persists.into()));
        let mut before = bench.report();
        assert_eq!(before.persists, u8::from(persists));
        bench.reset(false);
        assert_eq!(bench.access(), (false, false), "a host without an identifier");
        assert_eq!(bench.report(), before);
        assert_eq!(bench.is(1).access(), (true, true));
        bench.reset(true);
        assert_eq!(bench.access(), (!persists, !persists));
        if !persists {
            (before.kind, before.generation, before.registrants) = (0, 0, vec![]);
        }
        assert_eq!(bench.report(), before);
        assert_eq!(bench.feature(persistence, 1), Ok(persists.into()));
    }
    let mut bench = three(0);
    for (nsid, value, status) in [
        (1, 2, INVALID),
        (0, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
        (2, 1, INVALID),
        (33, 1, Status::INVALID_NAMESPACE_OR_FORMAT),
    ] {
        assert_eq!(bench.set_feature(persistence, nsid, value), status);
    }
    // A command that fails does not change it.
    assert_eq!(bench.is(9).send(register, 1 | PERSIST, [9, 9]), CONFLICT);
    assert_eq!(bench.feature(persistence, 1), Ok(0));
    assert_eq!(bench.is(1).send(register, 1 | PERSIST, [1, 0]), OK);
    assert_eq!(bench.feature(persistence, 1), Ok(1));
    assert_eq!(bench.is(2).send(register, 1, [2, 0]), OK);
    assert_eq!(bench.feature(persistence, 1), Ok(1), "no change");
}

#[test]
fn a_host_without_an_identifier_is_another_one_after_a_reset() {
    let mut bench = Bench::new();
    assert_eq!(bench.register(5), OK);
    assert_eq!(bench.acquire(EXCLUSIVE_ACCESS, 5), OK);
    assert_eq!(bench.is(4).register(4), OK);
    bench.reset(false);
    let report = bench.report();
    assert_eq!((report.kind, report.registrants), (0, vec![(4, 4, false)]));
    assert_eq!(bench.access(), (true, true));
}
