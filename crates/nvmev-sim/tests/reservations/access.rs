//! What a reservation keeps other hosts from.

use nvme_device::NamespaceConfig;
use nvme_spec::{KeyValueOpcode, NvmOpcode, SubmissionQueueEntry, ZoneReceiveAction, ZoneSendAction};
use nvmev_sim::host::{commands, key_value, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;

use super::{Bench, ALL_REGISTRANTS, BROADCAST, CONFLICT, EXCLUSIVE_ACCESS, OK, WRITE_EXCLUSIVE};

#[test]
fn each_type_keeps_others_from_what_it_says() {
    let (all, reads, nothing) = ((true, true), (true, false), (false, false));
    for (kind, registrant, stranger) in [
        (1, reads, reads),
        (2, nothing, nothing),
        (3, all, reads),
        (4, all, nothing),
        (5, all, reads),
        (6, all, nothing),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.is(1).register(1), OK);
        assert_eq!(bench.is(2).register(2), OK);
        assert_eq!(bench.is(1).acquire(kind, 1), OK);
        assert_eq!(bench.access(), all, "type {kind}: the holder");
        assert_eq!(bench.is(2).access(), registrant, "type {kind}: a registrant");
        assert_eq!(bench.is(3).access(), stranger, "type {kind}: a stranger");
        let holders: Vec<bool> = bench.report().registrants.iter().map(|entry| entry.2).collect();
        assert_eq!(holders, [true, ALL_REGISTRANTS.contains(&kind)], "type {kind}");
        assert_eq!(bench.report().kind, kind as u8);
        // Becoming a registrant, or ceasing to be one, counts at once.
        assert_eq!(bench.register(3), OK);
        assert_eq!(bench.access(), registrant, "type {kind}");
        assert_eq!(bench.unregister(3), OK);
        assert_eq!(bench.access(), stranger, "type {kind}");
        assert_eq!(bench.is(1).release(kind, 1), OK);
        assert_eq!(bench.is(3).access(), all, "type {kind}: released");
    }
}

fn zoned() -> Profile<'static> {
    let mut profile = *profiles::by_name("zn540").unwrap();
    profile
        .set_list(
            "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,\
             reference_quirks=false",
        )
        .unwrap();
    profile
}

fn key_value_profile(command_set: &'static str) -> Profile<'static> {
    let mut profile = *profiles::by_name("kv-prototype").unwrap();
    profile.set("key_value.command_set", command_set).unwrap();
    profile.set("key_value.value_bytes_max", "65536").unwrap();
    profile.set("mdts", "4").unwrap();
    profile
}

/// Every command of every kind of namespace, with what it does.
#[test]
fn every_command_belongs_to_a_group() {
    let optane = *profiles::by_name("optane").unwrap();
    let namespace = |profile: &Profile<'_>, index: u64| NamespaceConfig {
        kind: profile.kind,
        mdts: 4,
        lba_bytes: 512,
        media_offset: index << 20,
        media_len_bytes: 1 << 20,
    };
    let profiles = [
        optane,
        zoned(),
        key_value_profile("nvm"),
        key_value_profile("key-value"),
    ];
    let namespaces = (0..)
        .zip(&profiles)
        .map(|(index, profile)| namespace(profile, index));
    let mut host = TestHost::with_namespaces(namespaces.collect(), 2);
    host.enable();
    host.create_io_queues(1, 64);
    let mut bench = Bench::of(host);
    let page = bench.page;
    let io = |opcode| commands::read_write(opcode, 1, 0, 1, page, 0);
    let reads = |opcode: NvmOpcode| (io(opcode), false);
    let writes = |opcode: NvmOpcode| (io(opcode), true);
    let lbas = vec![
        reads(NvmOpcode::READ),
        reads(NvmOpcode::COMPARE),
        reads(NvmOpcode::VERIFY),
        writes(NvmOpcode::FLUSH),
        writes(NvmOpcode::WRITE),
        writes(NvmOpcode::WRITE_ZEROES),
        writes(NvmOpcode::WRITE_UNCORRECTABLE),
        writes(NvmOpcode::DATASET_MANAGEMENT),
        writes(NvmOpcode::COPY),
    ];
    let mut zones = lbas.clone();
    let report = commands::zone_receive(1, 0, ZoneReceiveAction::REPORT_ZONES, 0, false, 64, page);
    zones.push((report, false));
    zones.push((commands::zone_send(1, 0, ZoneSendAction::OPEN, false), true));
    zones.push(writes(NvmOpcode::ZONE_APPEND));
    let vendor = |opcode, is_write| (key_value::vendor(opcode, 1, b"key1", 0, 512), is_write);
    let mut vendor_commands = vec![
        vendor(KeyValueOpcode::VENDOR_STORE, true),
        vendor(KeyValueOpcode::VENDOR_APPEND, true),
        vendor(KeyValueOpcode::VENDOR_BATCH, true),
        vendor(KeyValueOpcode::VENDOR_DELETE, true),
        vendor(KeyValueOpcode::VENDOR_RETRIEVE, false),
        vendor(KeyValueOpcode::VENDOR_EXIST, false),
        vendor(KeyValueOpcode::VENDOR_ITERATE_REQUEST, false),
        vendor(KeyValueOpcode::VENDOR_ITERATE_READ, false),
    ];
    let mut both = lbas.clone();
    both.extend(vendor_commands.iter().copied());
    for (opcode, is_write) in [
        (KeyValueOpcode::FLUSH, true),
        (KeyValueOpcode::STORE, true),
        (KeyValueOpcode::DELETE, true),
        (KeyValueOpcode::RETRIEVE, false),
        (KeyValueOpcode::LIST, false),
        (KeyValueOpcode::EXIST, false),
    ] {
        let mut entry = io(NvmOpcode(opcode.0));
        entry.cdw10 = 512.into();
        entry.cdw11 = 4.into();
        vendor_commands.push((entry, is_write));
    }
    for (nsid, entries) in (1..).zip([lbas, zones, both, vendor_commands]) {
        bench.nsid = nsid;
        for (kind, excludes_reads) in [(WRITE_EXCLUSIVE, false), (EXCLUSIVE_ACCESS, true)] {
            assert_eq!(bench.is(1).register(1), OK);
            assert_eq!(bench.acquire(kind, 1), OK);
            for &(entry, is_write) in &entries {
                let is_refused = bench.is(2).command(entry) == CONFLICT;
                assert_eq!(
                    is_refused,
                    is_write || excludes_reads,
                    "namespace {nsid}, type {kind}: {entry:?}"
                );
                // The holder may have the wrong arguments, but no conflict.
                assert_ne!(bench.is(1).command(entry), CONFLICT);
            }
            assert_eq!(bench.is(1).clear(1), OK);
        }
        assert_eq!(bench.report().registrants, []);
    }
    // A flush of all namespaces meets the reservation of any.
    bench.nsid = 2;
    assert_eq!(bench.is(1).register(1), OK);
    assert_eq!(bench.acquire(WRITE_EXCLUSIVE, 1), OK);
    bench.nsid = BROADCAST;
    assert_eq!(bench.command(commands::flush(BROADCAST)), OK);
    assert_eq!(bench.is(2).command(commands::flush(BROADCAST)), CONFLICT);
    // Others are not concerned.
    bench.nsid = 1;
    assert_eq!(bench.command(io(NvmOpcode::WRITE)), OK);
}

#[test]
fn a_fused_pair_meets_the_reservation_half_by_half() {
    let mut bench = Bench::new();
    assert_eq!(bench.is(1).register(1), OK);
    assert_eq!(bench.acquire(WRITE_EXCLUSIVE, 1), OK);
    bench.is(2);
    let zeros = bench.host.pages(1);
    let half = |opcode, fuse| SubmissionQueueEntry {
        flags: fuse,
        ..commands::read_write(opcode, 1, 0, 1, zeros, 0)
    };
    bench.host.place(1, &half(NvmOpcode::COMPARE, 1));
    bench.host.place(1, &half(NvmOpcode::WRITE, 2));
    bench.host.ring(1);
    assert_eq!(bench.host.wait(1).status(), OK);
    assert_eq!(bench.host.wait(1).status(), CONFLICT);
}
