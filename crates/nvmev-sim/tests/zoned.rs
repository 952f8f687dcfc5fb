//! Conformance of zoned namespaces: what a host reads of them, each status of NVMe ZNS 1.1, reports, random write areas, events.

use nvme_device::NamespaceConfig;
use nvme_spec::registers;
use nvme_spec::{
    ozcs, zone_attributes, FeatureId, IdentifyCns, IdentifyNamespace, IdentifyZonedController,
    IdentifyZonedNamespace, LogPageId, NvmOpcode, Status, SubmissionQueueEntry, ZoneDescriptor,
    ZoneReceiveAction, ZoneSendAction, ZoneState, OAES_ZONE_DESCRIPTOR_CHANGED,
};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;
use ssd_profile::Profile;
use zerocopy::FromBytes;

const PAGE: u64 = 4096;
/// LBAs of 512 bytes in the drives below.
const ZONE_LBAS: u64 = 256;
const CAPACITY_LBAS: u64 = 192;
const ZONES: u64 = 8;
const CSI_NVM: u8 = 0;
const CSI_ZONED: u8 = 2;
const CSI_KEY_VALUE: u8 = 1;

const SMALL: &str = "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.zasl=3,\
    zone.max_open=3,zone.max_active=4,zone.descriptor_extension_bytes=64,zone.read_only=1,zone.offline=1,\
    zrwa.count=2,zrwa.size_bytes=16384,zrwa.granularity_bytes=4096,reference_quirks=false";

fn profile(changes: &'static str) -> Profile<'static> {
    let mut profile = *profiles::by_name("zn540").unwrap();
    for list in [SMALL, changes] {
        if !list.is_empty() {
            profile.set_list(list).unwrap();
        }
    }
    profile.validate().unwrap();
    profile
}

struct Zoned(TestHost);

/// A zone's descriptor, in LBAs.
fn state_of(descriptor: &ZoneDescriptor) -> u8 {
    descriptor.zone_state >> 4
}

impl Zoned {
    fn new(changes: &'static str, workers: usize) -> Self {
        let mut host = TestHost::new(&profile(changes), ZONES * CAPACITY_LBAS * 512, 512, workers);
        host.enable();
        host.create_io_queues(1, 64);
        Self(host)
    }

    fn status(&mut self, entry: SubmissionQueueEntry) -> Status {
        self.0.execute(1, entry).status()
    }

    fn send(&mut self, zone: u64, action: ZoneSendAction) -> Status {
        self.status(commands::zone_send(1, zone * ZONE_LBAS, action, false))
    }

    fn open_with_zrwa(&mut self, zone: u64) -> Status {
        let mut entry = commands::zone_send(1, zone * ZONE_LBAS, ZoneSendAction::OPEN, false);
        entry.cdw13 = (entry.cdw13.get() | 1 << 9).into();
        self.status(entry)
    }

    /// Writes up to 16 LBAs, all of `byte`.
    fn write(&mut self, slba: u64, lbas: u32, byte: u8) -> Status {
        let buffer = self.0.pages(2);
        self.0.machine.set_ram(buffer, &[byte; 8192]);
        self.status(commands::read_write(
            NvmOpcode::WRITE,
            1,
            slba,
            lbas,
            buffer,
            buffer + PAGE,
        ))
    }

    fn append(&mut self, zslba: u64, lbas: u32, byte: u8) -> (Status, u64) {
        let buffer = self.0.pages(2);
        self.0.machine.set_ram(buffer, &[byte; 8192]);
        let entry = commands::zone_append(1, zslba, lbas, buffer, buffer + PAGE);
        let completion = self.0.execute(1, entry);
        let result = u64::from(completion.dw0.get()) | u64::from(completion.dw1.get()) << 32;
        (completion.status(), result)
    }

    /// Reads up to 16 LBAs; the first byte of each.
    fn read(&mut self, slba: u64, lbas: u32) -> Result<Vec<u8>, Status> {
        let buffer = self.0.pages(2);
        self.0.machine.set_ram(buffer, &[0xEE; 8192]);
        let entry = commands::read_write(NvmOpcode::READ, 1, slba, lbas, buffer, buffer + PAGE);
        let status = self.status(entry);
        let bytes = self.0.machine.ram(buffer, lbas as usize * 512);
        status.is_success().then_some(()).ok_or(status)?;
        Ok(bytes
            .chunks(512)
            .map(|lba| {
                assert!(
                    lba.iter().all(|&byte| byte == lba[0]),
                    "an LBA is all of one write"
                );
                lba[0]
            })
            .collect())
    }

    fn report(
        &mut self,
        slba: u64,
        action: ZoneReceiveAction,
        option: u8,
        is_partial: bool,
        len: u32,
    ) -> Result<(u64, Vec<u8>), Status> {
        let buffer = self.0.pages(2);
        self.0.machine.set_ram(buffer, &[0xEE; 8192]);
        let entry = commands::zone_receive(1, slba, action, option, is_partial, len, buffer);
        let status = self.status(entry);
        status.is_success().then_some(()).ok_or(status)?;
        let bytes = self.0.machine.ram(buffer, 8192);
        assert!(
            bytes[len as usize..].iter().all(|&byte| byte == 0xEE),
            "not more than was asked for"
        );
        let mut head = [0; 8];
        let head_len = 8.min(len as usize);
        head[..head_len].copy_from_slice(&bytes[..head_len]);
        Ok((u64::from_le_bytes(head), bytes[..len as usize].to_vec()))
    }

    fn descriptors(&mut self) -> Vec<ZoneDescriptor> {
        let len = 64 * (1 + ZONES as u32);
        let (count, bytes) = self
            .report(0, ZoneReceiveAction::REPORT_ZONES, 0, false, len)
            .unwrap();
        assert_eq!(count, ZONES);
        let descriptors = bytes[64..].chunks(64);
        descriptors
            .map(|bytes| ZoneDescriptor::read_from_bytes(bytes).unwrap())
            .collect()
    }

    fn descriptor(&mut self, zone: u64) -> ZoneDescriptor {
        self.descriptors()[zone as usize]
    }

    fn identify<T: FromBytes>(&mut self, cns: IdentifyCns, nsid: u32, csi: u8) -> Result<T, Status> {
        let page = self.0.pages(1);
        let completion = self.0.admin(commands::identify(cns, nsid, csi, page));
        completion
            .status()
            .is_success()
            .then_some(())
            .ok_or(completion.status())?;
        Ok(T::read_from_bytes(&self.0.machine.ram(page, 4096)).unwrap())
    }
}

const OK: Status = Status::SUCCESSFUL_COMPLETION;

#[test]
fn identify_tells_a_host_all_about_the_zones() {
    let mut drive = Zoned::new("", 1);
    let namespace: IdentifyNamespace = drive.identify(IdentifyCns::NAMESPACE, 1, CSI_NVM).unwrap();
    assert_eq!(namespace.nsze_lbas.get(), ZONES * ZONE_LBAS);
    assert_eq!(namespace.ncap_lbas.get(), ZONES * CAPACITY_LBAS);
    let zoned: IdentifyZonedNamespace = drive
        .identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_ZONED)
        .unwrap();
    assert_eq!((zoned.mar_z.get(), zoned.mor_z.get()), (3, 2));
    assert_eq!(zoned.ozcs.get(), ozcs::ZRWA_SUPPORTED);
    assert_eq!(
        (
            zoned.numzrwa_z.get(),
            zoned.zrwas_lbas.get(),
            zoned.zrwafg_lbas.get()
        ),
        (1, 32, 8)
    );
    assert_eq!(zoned.zrwacap, 1);
    assert_eq!(zoned.lbafe[0].zone_size_lbas.get(), ZONE_LBAS);
    assert_eq!(zoned.lbafe[1].zone_size_lbas.get(), ZONE_LBAS / 8);
    assert_eq!(zoned.lbafe[0].descriptor_extension_64b, 1);
    let controller: IdentifyZonedController = drive
        .identify(IdentifyCns::COMMAND_SET_CONTROLLER, 0, CSI_ZONED)
        .unwrap();
    assert_eq!(controller.zasl, 3);
    let sets: [u8; 4096] = drive.identify(IdentifyCns::IO_COMMAND_SET, 0xFFFF, 0).unwrap();
    assert_eq!(sets[..8], [0b111, 0, 0, 0, 0, 0, 0, 0]);
    for (csi, listed) in [(CSI_ZONED, [1, 0, 0, 0]), (CSI_NVM, [0; 4])] {
        let list: [u8; 4096] = drive
            .identify(IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0, csi)
            .unwrap();
        assert_eq!(list[..4], listed);
    }
    let descriptors: [u8; 4096] = drive.identify(IdentifyCns::NAMESPACE_DESCRIPTORS, 1, 0).unwrap();
    let has_csi = descriptors
        .windows(5)
        .any(|bytes| bytes == [4, 1, 0, 0, CSI_ZONED]);
    assert!(has_csi, "the command set is among the descriptors");
    let refused = drive.identify::<[u8; 4096]>(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_KEY_VALUE);
    assert_eq!(refused, Err(Status::INVALID_IO_COMMAND_SET));
}

#[test]
fn no_limits_are_all_ones_and_a_drive_without_zones_has_none_of_it() {
    let mut drive = Zoned::new(
        "zone.max_open=0,zone.max_active=0,zrwa.count=0,zone.reads_across_zones=true,zone.zasl=0",
        1,
    );
    let zoned: IdentifyZonedNamespace = drive
        .identify(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_ZONED)
        .unwrap();
    assert_eq!((zoned.mar_z.get(), zoned.mor_z.get()), (u32::MAX, u32::MAX));
    assert_eq!(
        (zoned.ozcs.get(), zoned.zrwacap),
        (ozcs::READ_ACROSS_ZONE_BOUNDARIES, 0)
    );

    let mut plain = Zoned(TestHost::ready());
    let refused = plain.identify::<[u8; 4096]>(IdentifyCns::COMMAND_SET_NAMESPACE, 1, CSI_ZONED);
    assert_eq!(refused, Err(Status::INVALID_IO_COMMAND_SET));
    let list = plain.identify::<[u8; 4096]>(IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0, CSI_ZONED);
    assert_eq!(
        list,
        Ok([0; 4096]),
        "there can be zoned namespaces, but there are none"
    );
    assert_eq!(
        plain.send(0, ZoneSendAction::RESET),
        Status::INVALID_COMMAND_OPCODE
    );
    assert_eq!(plain.append(0, 1, 1).0, Status::INVALID_COMMAND_OPCODE);
    let report = plain.report(0, ZoneReceiveAction::REPORT_ZONES, 0, false, 64);
    assert_eq!(report, Err(Status::INVALID_COMMAND_OPCODE));
    let page = plain.0.pages(1);
    let log = commands::get_log_page(LogPageId::CHANGED_ZONE_LIST, 1, 0, 4096, page);
    assert_eq!(plain.0.admin(log).status(), Status::INVALID_FIELD_IN_COMMAND);
}

#[test]
fn without_the_zoned_command_set_enabled_its_commands_are_not_there() {
    let mut drive = Zoned::new("", 1);
    drive.0.disable();
    let (sq, cq) = (drive.0.pages(1), drive.0.pages(1));
    drive.0.write_admin_registers(sq, cq);
    // CC.CSS = 000b: the NVM command set only.
    drive.0.set_register(registers::CC, 0x0046_0001);
    drive.0.run();
    drive.0.create_io_queues(1, 16);
    assert_eq!(
        drive.send(0, ZoneSendAction::OPEN),
        Status::INVALID_COMMAND_OPCODE
    );
    assert_eq!(drive.append(0, 1, 1).0, Status::INVALID_COMMAND_OPCODE);
    assert_eq!(drive.write(0, 8, 0x11), OK);
}

#[test]
fn each_status_of_the_command_set_is_given_where_the_specification_has_it() {
    let mut drive = Zoned::new("", 1);
    let (read_only, offline) = (ZONES - 2, ZONES - 1);
    // Zone Invalid Write, Zone Boundary Error, Zone Is Full.
    assert_eq!(drive.write(8, 8, 1), Status::ZONE_INVALID_WRITE);
    assert_eq!(drive.write(0, 8, 1), OK);
    assert_eq!(drive.write(0, 8, 1), Status::ZONE_INVALID_WRITE);
    for slba in (8..184).step_by(16) {
        assert_eq!(drive.write(slba, 16, 1), OK);
    }
    assert_eq!(drive.write(184, 16, 1), Status::ZONE_BOUNDARY_ERROR);
    assert_eq!(drive.append(0, 16, 1).0, Status::ZONE_BOUNDARY_ERROR);
    assert_eq!(drive.append(0, 8, 1), (OK, 184));
    assert_eq!(drive.write(192, 8, 1), Status::ZONE_IS_FULL);
    assert_eq!(
        drive.write(5, 16, 1),
        Status::ZONE_IS_FULL,
        "the state comes first"
    );
    assert_eq!(drive.append(0, 1, 1).0, Status::ZONE_IS_FULL);
    assert_eq!(
        drive.status(commands::write_zeroes(1, 0, 8, true)),
        Status::ZONE_IS_FULL
    );
    // A read past the capacity is zeros; one across the zone's end is refused.
    assert_eq!(drive.read(184, 16), Ok([[1; 8], [0; 8]].concat()));
    assert_eq!(drive.read(ZONE_LBAS - 1, 2), Err(Status::ZONE_BOUNDARY_ERROR));
    // Zone Is Read Only, Zone Is Offline.
    assert_eq!(
        drive.write(read_only * ZONE_LBAS, 8, 1),
        Status::ZONE_IS_READ_ONLY
    );
    assert_eq!(
        drive.append(read_only * ZONE_LBAS, 8, 1).0,
        Status::ZONE_IS_READ_ONLY
    );
    assert_eq!(drive.read(read_only * ZONE_LBAS, 1), Ok(vec![0]));
    assert_eq!(drive.write(offline * ZONE_LBAS, 8, 1), Status::ZONE_IS_OFFLINE);
    assert_eq!(drive.read(offline * ZONE_LBAS, 1), Err(Status::ZONE_IS_OFFLINE));
    // Too Many Open Zones, Too Many Active Zones; an implicitly opened zone gives way.
    assert_eq!(drive.write(ZONE_LBAS, 8, 2), OK);
    for zone in 2..=4 {
        assert_eq!(drive.send(zone, ZoneSendAction::OPEN), OK);
    }
    assert_eq!(state_of(&drive.descriptor(1)), ZoneState::Closed as u8);
    assert_eq!(drive.write(ZONE_LBAS + 8, 8, 2), Status::TOO_MANY_OPEN_ZONES);
    assert_eq!(drive.send(1, ZoneSendAction::OPEN), Status::TOO_MANY_OPEN_ZONES);
    assert_eq!(drive.send(5, ZoneSendAction::OPEN), Status::TOO_MANY_ACTIVE_ZONES);
    assert_eq!(drive.write(5 * ZONE_LBAS, 8, 2), Status::TOO_MANY_ACTIVE_ZONES);
    let all = |action| commands::zone_send(1, 0, action, true);
    assert_eq!(
        drive.status(all(ZoneSendAction::OPEN)),
        Status::TOO_MANY_OPEN_ZONES
    );
    // Invalid Zone State Transition.
    for (zone, action) in [
        (0, ZoneSendAction::OPEN),
        (0, ZoneSendAction::CLOSE),
        (5, ZoneSendAction::CLOSE),
        (read_only, ZoneSendAction::FINISH),
        (read_only, ZoneSendAction::RESET),
        (offline, ZoneSendAction::RESET),
        (5, ZoneSendAction::OFFLINE),
    ] {
        assert_eq!(
            drive.send(zone, action),
            Status::INVALID_ZONE_STATE_TRANSITION,
            "{zone} {action:?}"
        );
    }
    assert_eq!(drive.send(read_only, ZoneSendAction::OFFLINE), OK);
    // Invalid Zone Operation Request, ZRWA Resources Unavailable.
    assert_eq!(
        drive.send(2, ZoneSendAction::FLUSH_EXPLICIT_ZRWA),
        Status::INVALID_ZONE_OPERATION_REQUEST
    );
    assert_eq!(drive.open_with_zrwa(2), OK);
    assert_eq!(drive.open_with_zrwa(3), OK);
    assert_eq!(drive.open_with_zrwa(4), Status::ZRWA_RESOURCES_UNAVAILABLE);
    assert_eq!(
        drive.append(2 * ZONE_LBAS, 8, 1).0,
        Status::INVALID_ZONE_OPERATION_REQUEST
    );
}

#[test]
fn wrong_fields_are_refused_as_such() {
    let mut drive = Zoned::new("", 1);
    let end = ZONES * ZONE_LBAS;
    assert_eq!(drive.send(ZONES, ZoneSendAction::OPEN), Status::LBA_OUT_OF_RANGE);
    let send = |slba, action| commands::zone_send(1, slba, action, false);
    for (entry, expected) in [
        (send(1, ZoneSendAction::OPEN), Status::INVALID_FIELD_IN_COMMAND),
        (send(u64::MAX, ZoneSendAction::RESET), Status::LBA_OUT_OF_RANGE),
        (send(0, ZoneSendAction(0)), Status::INVALID_FIELD_IN_COMMAND),
        (send(0, ZoneSendAction(0x12)), Status::INVALID_FIELD_IN_COMMAND),
        (
            commands::zone_append(1, 8, 8, 0, 0),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (
            // Beyond ZASL, though not beyond MDTS.
            commands::zone_append(1, 0, 65, 0, 0),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (commands::zone_append(1, end, 8, 0, 0), Status::LBA_OUT_OF_RANGE),
        (
            commands::zone_append(2, 0, 8, 0, 0),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
        (
            commands::zone_send(0, 0, ZoneSendAction::RESET, true),
            Status::INVALID_NAMESPACE_OR_FORMAT,
        ),
        (
            commands::zone_send(1, 0, ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION, true),
            Status::INVALID_FIELD_IN_COMMAND,
        ),
    ] {
        assert_eq!(drive.status(entry), expected, "{entry:?}");
    }
    let reports = ZoneReceiveAction::REPORT_ZONES;
    for (slba, action, option, expected) in [
        (end, reports, 0, Status::LBA_OUT_OF_RANGE),
        (u64::MAX, reports, 0, Status::LBA_OUT_OF_RANGE),
        (0, reports, 8, Status::INVALID_FIELD_IN_COMMAND),
        (0, reports, 10, Status::INVALID_FIELD_IN_COMMAND),
        (0, ZoneReceiveAction(2), 0, Status::INVALID_FIELD_IN_COMMAND),
    ] {
        assert_eq!(drive.report(slba, action, option, false, 64), Err(expected));
    }
    // Nothing of all that changed anything.
    assert!(drive.descriptors()[..6]
        .iter()
        .all(|zone| state_of(zone) == ZoneState::Empty as u8));
}

#[test]
fn reports_list_what_is_asked_for_in_any_length() {
    let mut drive = Zoned::new("", 1);
    let reports = ZoneReceiveAction::REPORT_ZONES;
    assert_eq!(drive.write(0, 8, 1), OK);
    assert_eq!(drive.send(1, ZoneSendAction::OPEN), OK);
    assert_eq!(drive.send(2, ZoneSendAction::OPEN), OK);
    assert_eq!(drive.send(2, ZoneSendAction::CLOSE), OK);
    assert_eq!(drive.send(3, ZoneSendAction::FINISH), OK);
    // Closing a zone that was never written: it stays closed, as it is active.
    for (option, zones) in [
        (0, vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (1, vec![4, 5]),
        (2, vec![0]),
        (3, vec![1]),
        (4, vec![2]),
        (5, vec![3]),
        (6, vec![6]),
        (7, vec![7]),
    ] {
        let (count, bytes) = drive.report(0, reports, option, false, 4096).unwrap();
        assert_eq!(count, zones.len() as u64, "option {option}");
        let listed: Vec<u64> = bytes[64..]
            .chunks(64)
            .map(|bytes| ZoneDescriptor::read_from_bytes(bytes).unwrap())
            .take_while(|zone| zone.zone_type == 2)
            .map(|zone| zone.start_lba.get() / ZONE_LBAS)
            .collect();
        assert_eq!(listed, zones, "option {option}");
        assert!(bytes[64 * (1 + zones.len())..].iter().all(|&byte| byte == 0));
    }
    // From the middle of a zone on, with room for two: all are counted, or only those that are there.
    for (is_partial, expected) in [(false, 7), (true, 2)] {
        let (count, bytes) = drive
            .report(ZONE_LBAS + 5, reports, 0, is_partial, 64 * 3)
            .unwrap();
        assert_eq!(count, expected);
        let first = ZoneDescriptor::read_from_bytes(&bytes[64..128]).unwrap();
        assert_eq!(first.start_lba.get(), ZONE_LBAS);
    }
    for len in [4, 8, 60, 64, 68, 124, 128, 132, 4096, 4100] {
        let (whole, _) = drive.report(0, reports, 0, false, 4096).unwrap();
        let (count, _) = drive.report(0, reports, 0, false, len).unwrap();
        assert_eq!(count, if len < 8 { whole & 0xFFFF_FFFF } else { whole });
    }
    // Write pointers: of the zone, none in a full zone; attributes and capacity.
    let zones = drive.descriptors();
    assert_eq!(zones[0].write_pointer.get(), 8);
    assert_eq!(zones[3].write_pointer.get(), u64::MAX);
    assert_eq!(zones[4].write_pointer.get(), 4 * ZONE_LBAS);
    assert!(zones.iter().all(|zone| zone.capacity_lbas.get() == CAPACITY_LBAS));
}

#[test]
fn descriptor_extensions_are_kept_with_the_zone_until_it_is_reset() {
    let mut drive = Zoned::new("", 1);
    let buffer = drive.0.pages(1);
    drive.0.machine.set_ram(buffer, &[0x5A; 64]);
    let mut entry = commands::zone_send(1, ZONE_LBAS, ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION, false);
    entry.prp1 = buffer.into();
    assert_eq!(drive.status(entry), OK);
    assert_eq!(drive.status(entry), Status::INVALID_ZONE_STATE_TRANSITION);
    let zone = drive.descriptor(1);
    assert_eq!(state_of(&zone), ZoneState::Closed as u8);
    assert_eq!(zone.attributes, zone_attributes::DESCRIPTOR_EXTENSION_VALID);
    let extended = ZoneReceiveAction::EXTENDED_REPORT_ZONES;
    let (count, bytes) = drive.report(0, extended, 0, false, 64 + 2 * 128 + 32).unwrap();
    assert_eq!(count, ZONES);
    assert!(bytes[128..192].iter().all(|&byte| byte == 0));
    assert!(bytes[256..320].iter().all(|&byte| byte == 0x5A));
    assert!(
        bytes[320..].iter().all(|&byte| byte == 0),
        "no room for a third zone"
    );
    assert_eq!(drive.send(1, ZoneSendAction::RESET), OK);
    let (_, bytes) = drive.report(0, extended, 0, false, 64 + 2 * 128).unwrap();
    assert!(bytes[256..320].iter().all(|&byte| byte == 0));
    // An extension that is not in memory is not taken.
    entry.prp1 = 0.into();
    assert_eq!(drive.status(entry), Status::DATA_TRANSFER_ERROR);
    assert_eq!(state_of(&drive.descriptor(1)), ZoneState::Empty as u8);
}

#[test]
fn what_was_in_a_zone_before_its_reset_is_never_read_again() {
    for workers in [1, 2] {
        let mut drive = Zoned::new("zone.reads_across_zones=true,zone.offline=0", workers);
        for slba in (0..CAPACITY_LBAS).step_by(16) {
            assert_eq!(drive.write(slba, 16, 0xAA), OK);
        }
        assert_eq!(drive.send(0, ZoneSendAction::RESET), OK);
        assert_eq!(drive.read(0, 16), Ok(vec![0; 16]));
        assert_eq!(drive.write(0, 8, 0xBB), OK);
        assert_eq!(drive.read(0, 16), Ok([[0xBB; 8], [0; 8]].concat()));
        // The data of this one cannot be fetched: its LBAs count as written, and are zeros.
        let lost = commands::read_write(NvmOpcode::WRITE, 1, 8, 8, 0, 0);
        assert_eq!(drive.status(lost), Status::DATA_TRANSFER_ERROR);
        assert_eq!(drive.read(0, 16), Ok([[0xBB; 8], [0; 8]].concat()));
        assert_eq!(drive.status(commands::write_zeroes(1, 16, 8, false)), OK);
        assert_eq!(drive.write(24, 8, 0xCC), OK);
        assert_eq!(drive.read(16, 16), Ok([[0; 8], [0xCC; 8]].concat()));
        assert_eq!(drive.send(0, ZoneSendAction::FINISH), OK);
        assert_eq!(drive.read(24, 16), Ok([[0xCC; 8], [0; 8]].concat()));
        // Across the boundary of two zones.
        assert_eq!(drive.write(ZONE_LBAS, 8, 0xDD), OK);
        assert_eq!(drive.read(ZONE_LBAS - 8, 16), Ok([[0; 8], [0xDD; 8]].concat()));
    }
}

#[test]
fn select_all_resets_every_zone_and_deallocation_is_only_a_hint() {
    let mut drive = Zoned::new("", 1);
    assert_eq!(drive.write(0, 8, 1), OK);
    assert_eq!(drive.write(ZONE_LBAS, 8, 2), OK);
    let list = drive.0.pages(1);
    drive.0.machine.set_ram(list, &commands::range_list(&[(0, 8)]));
    assert_eq!(drive.status(commands::deallocate(1, 1, list)), OK);
    assert_eq!(drive.read(0, 8), Ok(vec![1; 8]));
    // The address means nothing then.
    let reset = commands::zone_send(1, 12345, ZoneSendAction::RESET, true);
    assert_eq!(drive.status(reset), OK);
    assert_eq!(drive.read(0, 8), Ok(vec![0; 8]));
    assert_eq!(drive.read(ZONE_LBAS, 8), Ok(vec![0; 8]));
    assert_eq!(drive.write(0, 8, 3), OK);
}

#[test]
fn a_random_write_area_is_written_anywhere_and_moves_by_whole_granules() {
    let mut drive = Zoned::new("", 1);
    for slba in (0..CAPACITY_LBAS).step_by(16) {
        assert_eq!(drive.write(slba, 16, 0xAA), OK);
    }
    assert_eq!(drive.send(0, ZoneSendAction::RESET), OK);
    assert_eq!(drive.open_with_zrwa(0), OK);
    assert_eq!(drive.descriptor(0).attributes, zone_attributes::ZRWA_VALID);
    // Of 32 LBAs, out of order and twice; what is not written is zeros, not what was there before.
    assert_eq!(drive.write(24, 8, 2), OK);
    assert_eq!(drive.write(8, 8, 1), OK);
    assert_eq!(drive.write(8, 8, 3), OK);
    assert_eq!(drive.read(0, 16), Ok([[0; 8], [3; 8]].concat()));
    assert_eq!(drive.read(16, 16), Ok([[0; 8], [2; 8]].concat()));
    assert_eq!(drive.descriptor(0).write_pointer.get(), 0);
    // One LBA beyond the area: a granule of 8 is flushed.
    assert_eq!(drive.write(32, 1, 4), OK);
    assert_eq!(drive.descriptor(0).write_pointer.get(), 8);
    assert_eq!(drive.write(0, 8, 5), Status::ZONE_INVALID_WRITE);
    assert_eq!(drive.write(8 + 64, 1, 5), Status::ZONE_INVALID_WRITE);
    // An explicit flush names the last LBA.
    let flush = |lba| commands::zone_send(1, lba, ZoneSendAction::FLUSH_EXPLICIT_ZRWA, false);
    assert_eq!(drive.status(flush(14)), Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(drive.status(flush(7)), Status::ZONE_BOUNDARY_ERROR);
    assert_eq!(drive.status(flush(47)), Status::ZONE_BOUNDARY_ERROR);
    assert_eq!(drive.status(flush(15)), OK);
    assert_eq!(drive.descriptor(0).write_pointer.get(), 16);
    assert_eq!(drive.read(8, 16), Ok([[3; 8], [0; 8]].concat()));
    assert_eq!(drive.send(0, ZoneSendAction::FINISH), OK);
    let expected = [vec![2; 8], vec![4], vec![0; 7]].concat();
    assert_eq!(drive.read(24, 16), Ok(expected));
    assert_eq!(drive.read(40, 16), Ok(vec![0; 16]));
}

#[test]
fn zones_that_wait_too_long_are_reported_by_an_event_and_in_the_changed_zone_list() {
    let mut drive = Zoned::new("zone.finish_recommended_ms=5", 1);
    let set = commands::set_features(
        FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION,
        false,
        OAES_ZONE_DESCRIPTOR_CHANGED,
        0,
    );
    assert_eq!(drive.0.admin(set).status(), OK);
    let request = commands::admin(nvme_spec::AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
    let cid = drive.0.submit(0, request);
    assert_eq!(drive.send(2, ZoneSendAction::OPEN), OK);
    let event = drive.0.wait(0);
    assert_eq!(event.cid.get(), cid);
    assert_eq!((event.dw0.get(), event.dw1.get()), (0x00BF_EF02, 1));
    assert_eq!(
        drive.descriptor(2).attributes,
        zone_attributes::FINISH_RECOMMENDED
    );
    let page = drive.0.pages(1);
    let read_log = |drive: &mut Zoned, nsid, retain: bool| {
        let mut entry = commands::get_log_page(LogPageId::CHANGED_ZONE_LIST, nsid, 0, 4096, page);
        entry.cdw10 = (entry.cdw10.get() | u32::from(retain) << 15).into();
        let status = drive.0.admin(entry).status();
        let bytes = drive.0.machine.ram(page, 16);
        (
            status,
            bytes[0],
            u64::from_le_bytes(bytes[8..].try_into().unwrap()),
        )
    };
    assert_eq!(read_log(&mut drive, 1, true), (OK, 1, 2 * ZONE_LBAS));
    assert_eq!(read_log(&mut drive, 1, false), (OK, 1, 2 * ZONE_LBAS));
    assert_eq!(read_log(&mut drive, 1, false), (OK, 0, 0));
    for nsid in [0, 33, u32::MAX] {
        assert_eq!(
            read_log(&mut drive, nsid, false).0,
            Status::INVALID_NAMESPACE_OR_FORMAT
        );
    }
    assert_eq!(read_log(&mut drive, 2, false).0, Status::INVALID_FIELD_IN_COMMAND);
}

#[test]
fn namespaces_of_different_kinds_share_a_device_and_nothing_else() {
    let (zoned, plain) = (
        profile("zone.offline=0,zone.read_only=0"),
        profiles::by_name("970pro").unwrap(),
    );
    let zoned_bytes = ZONES * CAPACITY_LBAS * 512;
    let namespace = |profile: &Profile<'_>, media_offset, media_len_bytes| NamespaceConfig {
        kind: profile.kind,
        mdts: profile.mdts as u8,
        lba_bytes: 512,
        media_offset,
        media_len_bytes,
    };
    let mut host = TestHost::with_namespaces(
        vec![
            namespace(plain, 0, 8 << 20),
            namespace(&zoned, 8 << 20, zoned_bytes),
            namespace(plain, (8 << 20) + zoned_bytes, 8 << 20),
        ],
        2,
    );
    host.enable();
    host.create_io_queues(1, 64);
    let mut drive = Zoned(host);
    for (csi, listed) in [(CSI_ZONED, vec![2, 0]), (CSI_NVM, vec![1, 3])] {
        let list: [u8; 4096] = drive
            .identify(IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0, csi)
            .unwrap();
        assert_eq!(list.chunks(4).map(|id| id[0]).take(2).collect::<Vec<_>>(), listed);
    }
    let buffer = drive.0.pages(2);
    let io = |drive: &mut Zoned, opcode, nsid, byte: u8| {
        drive.0.machine.set_ram(buffer, &[byte; 4096]);
        let entry = commands::read_write(opcode, nsid, 0, 8, buffer, 0);
        assert_eq!(drive.status(entry), OK);
        drive.0.machine.ram(buffer, 1)[0]
    };
    for nsid in 1..=3 {
        io(&mut drive, NvmOpcode::WRITE, nsid, nsid as u8);
    }
    for nsid in 1..=3 {
        assert_eq!(io(&mut drive, NvmOpcode::READ, nsid, 0xFF), nsid as u8);
    }
    assert_eq!(
        drive.status(commands::zone_send(1, 0, ZoneSendAction::RESET, true)),
        Status::INVALID_COMMAND_OPCODE
    );
    assert_eq!(
        drive.status(commands::zone_send(2, 0, ZoneSendAction::RESET, true)),
        OK
    );
    for (nsid, byte) in [(1, 1), (2, 0), (3, 3)] {
        assert_eq!(io(&mut drive, NvmOpcode::READ, nsid, 0xFF), byte);
    }
}

/// Found by an independent reading of the code.
#[test]
fn a_failed_overwrite_in_a_random_write_area_leaves_what_was_there() {
    let mut drive = Zoned::new("", 2);
    assert_eq!(drive.open_with_zrwa(0), OK);
    assert_eq!(drive.write(0, 8, 0xAA), OK);
    let lost = commands::read_write(NvmOpcode::WRITE, 1, 0, 8, 2, 0);
    assert_eq!(drive.status(lost), Status::PRP_OFFSET_INVALID);
    assert_eq!(drive.read(0, 8), Ok(vec![0xAA; 8]));
}

/// Found by an independent reading of the code.
#[test]
fn a_power_cycle_closes_zones_and_empties_those_that_were_not_written() {
    let states = |drive: &mut Zoned| -> Vec<u8> { drive.descriptors()[..3].iter().map(state_of).collect() };
    for is_shutdown in [false, true] {
        let mut drive = Zoned::new("", 1);
        assert_eq!(drive.send(0, ZoneSendAction::OPEN), OK);
        assert_eq!(drive.write(ZONE_LBAS, 8, 1), OK);
        assert_eq!(drive.open_with_zrwa(2), OK);
        assert_eq!(drive.write(2 * ZONE_LBAS + 8, 8, 2), OK);
        assert_eq!(states(&mut drive), [3, 2, 3]);
        // A controller reset is none.
        drive.0.disable();
        drive.0.enable();
        drive.0.create_io_queues(1, 64);
        assert_eq!(states(&mut drive), [3, 2, 3]);
        if is_shutdown {
            let cc = drive.0.register(registers::CC);
            drive.0.set_register(registers::CC, cc | 1 << 14);
            drive.0.run();
            drive.0.disable();
        } else {
            drive.0.set_register(registers::NSSR, nvme_spec::NSSR_RESET);
            drive.0.run();
        }
        drive.0.enable();
        drive.0.create_io_queues(1, 64);
        assert_eq!(states(&mut drive), [1, 4, 4], "after a shutdown: {is_shutdown}");
        assert_eq!(drive.read(2 * ZONE_LBAS + 8, 8), Ok(vec![2; 8]));
        assert_eq!(drive.write(ZONE_LBAS + 8, 8, 1), OK);
    }
}

/// Found by an independent reading of the code.
#[test]
fn appends_are_not_larger_than_other_transfers() {
    let mut drive = Zoned::new("zone.zasl=13", 1);
    let controller: IdentifyZonedController = drive
        .identify(IdentifyCns::COMMAND_SET_CONTROLLER, 0, CSI_ZONED)
        .unwrap();
    assert_eq!(controller.zasl, 4, "MDTS");
}

/// Found by an independent reading of the code.
#[test]
fn an_extension_can_come_with_a_random_write_area() {
    let mut drive = Zoned::new("", 1);
    let buffer = drive.0.pages(1);
    let mut entry = commands::zone_send(1, 0, ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION, false);
    entry.cdw13 = (entry.cdw13.get() | 1 << 9).into();
    entry.prp1 = buffer.into();
    assert_eq!(drive.status(entry), OK);
    let both = zone_attributes::DESCRIPTOR_EXTENSION_VALID | zone_attributes::ZRWA_VALID;
    assert_eq!(drive.descriptor(0).attributes, both);
    assert_eq!(drive.write(8, 8, 1), OK);
}

/// Found by an independent reading of the code.
#[test]
fn an_offline_zone_takes_no_deallocation() {
    let mut drive = Zoned::new("", 1);
    let list = drive.0.pages(1);
    let slba = (ZONES - 1) * ZONE_LBAS;
    drive.0.machine.set_ram(list, &commands::range_list(&[(slba, 8)]));
    assert_eq!(
        drive.status(commands::deallocate(1, 1, list)),
        Status::ZONE_IS_OFFLINE
    );
}

/// Found by an independent reading of the code.
#[test]
fn a_notice_that_a_reset_took_away_comes_again_and_recommended_zones_can_be_listed() {
    let mut drive = Zoned::new("zone.finish_recommended_ms=5", 1);
    let enable_notices = |drive: &mut Zoned| {
        let feature = FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION;
        let set = commands::set_features(feature, false, OAES_ZONE_DESCRIPTOR_CHANGED, 0);
        assert_eq!(drive.0.admin(set).status(), OK);
    };
    enable_notices(&mut drive);
    assert_eq!(drive.send(2, ZoneSendAction::OPEN), OK);
    drive.0.settle();
    let recommended = drive.report(0, ZoneReceiveAction::REPORT_ZONES, 9, false, 128);
    let (count, bytes) = recommended.unwrap();
    assert_eq!(count, 1);
    let zone = ZoneDescriptor::read_from_bytes(&bytes[64..]).unwrap();
    assert_eq!(zone.start_lba.get(), 2 * ZONE_LBAS);
    drive.0.disable();
    drive.0.enable();
    enable_notices(&mut drive);
    let request = commands::admin(nvme_spec::AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
    drive.0.submit(0, request);
    let event = drive.0.wait(0);
    assert_eq!((event.dw0.get(), event.dw1.get()), (0x00BF_EF02, 1));
}

#[test]
fn a_zone_of_tlc_zns_takes_any_whole_lbas_and_identify_has_its_unit_as_a_hint() {
    let mut host = TestHost::new(profiles::by_name("tlc-zns").unwrap(), 1 << 30, 512, 1);
    host.enable();
    host.create_io_queues(1, 64);
    let page = host.pages(1);
    assert_eq!(
        host.admin(commands::identify(IdentifyCns::NAMESPACE, 1, 0, page))
            .status(),
        Status::SUCCESSFUL_COMPLETION
    );
    let namespace = IdentifyNamespace::read_from_bytes(&host.machine.ram(page, 4096)).unwrap();
    assert_eq!(namespace.npwg_z.get(), 7, "8 LBAs of 512 bytes are a unit");
    let mut zoned = Zoned(host);
    let mut at = 0;
    for (lbas, byte) in [(1, 1), (3, 2), (5, 3), (16, 4), (7, 5)] {
        assert_eq!(zoned.write(at, lbas, byte), Status::SUCCESSFUL_COMPLETION);
        at += u64::from(lbas);
    }
    let buffer = zoned.0.pages(1);
    zoned.0.machine.set_ram(buffer, &[6; 4096]);
    for lbas in [1, 2] {
        let append = zoned.0.execute(1, commands::zone_append(1, 0, lbas, buffer, 0));
        assert_eq!(append.status(), Status::SUCCESSFUL_COMPLETION);
        assert_eq!(u64::from(append.dw0.get()), at);
        at += u64::from(lbas);
    }
    let zeros = zoned.status(commands::write_zeroes(1, at, 3001, false));
    assert_eq!(zeros, Status::SUCCESSFUL_COMPLETION);
    for (slba, byte) in [
        (0, 1),
        (1, 2),
        (3, 2),
        (4, 3),
        (9, 4),
        (25, 5),
        (32, 6),
        (35, 0),
        (3035, 0),
    ] {
        let read = commands::read_write(NvmOpcode::READ, 1, slba, 1, buffer, 0);
        assert_eq!(zoned.status(read), Status::SUCCESSFUL_COMPLETION);
        assert_eq!(zoned.0.machine.ram(buffer, 512), [byte; 512], "LBA {slba}");
    }
}
