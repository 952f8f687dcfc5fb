//! The commands: Reservation Register, Report, Acquire and Release (NVMe Base 2.0 §7.2 to §7.5).

use nvme_spec::{
    Cdw10ReservationAcquire, Cdw10ReservationRegister, Cdw10ReservationRelease, Cdw11ReservationReport,
    ChangePersistence, NvmOpcode, ReservationKeys, ReservationRegistrant, ReservationRegistrantExtended,
    ReservationStatus, Status, SubmissionQueueEntry, REGISTRANT_HOLDS_RESERVATION,
    RESERVATION_STATUS_EXTENDED_BYTES,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::command::fetched::check_flags;
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::namespace::reservations::{Notices, Reservations};
use crate::namespace::Namespace;

/// A host identifies itself.
pub(crate) fn set_reservation_host(core: &mut Core) {
    let host = core.admin.features.host_identifier();
    for namespace in core.queue_set.io.namespaces.iter_mut() {
        namespace.reservations.set_host(host);
    }
}

/// Sets a feature of reservations of a namespace, or of all.
pub(crate) fn configure_reservations(
    core: &mut Core,
    nsid: u32,
    set: impl Fn(&mut Namespace) -> Result<(), Status>,
) -> Result<(), Status> {
    let mut namespaces = core.queue_set.io.namespaces.settable_mut(nsid)?;
    namespaces.try_for_each(set)
}

/// Carries a reservation command out.
///
/// # Errors
/// The command's status.
pub(crate) fn reservation<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<(), Status> {
    check_flags(entry)?;
    let nsid = entry.nsid.get();
    let namespace = core.queue_set.io.namespaces.serving_mut(nsid)?;
    if NvmOpcode(entry.opcode) == NvmOpcode::RESERVATION_REPORT {
        return report_reservations(core, entry, host);
    }
    let notices = change(&mut namespace.reservations, entry, host)?;
    for notice in notices.iter() {
        core.admin.notify_reservation(nsid, notice);
    }
    Ok(())
}

fn report_reservations<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<(), Status> {
    let is_extended = Cdw11ReservationReport(entry.cdw11.get()).is_extended();
    let host_is_extended = core.admin.features.has_extended_host_identifier();
    if host_is_extended.is_some_and(|host_is_extended| host_is_extended != is_extended) {
        return Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT);
    }
    let len_bytes = core.queue_set.io.limits.dwords_z(entry.cdw10.get())?;
    core.with_page(
        |core, page| {
            let namespace = core.queue_set.io.namespaces.attached(entry.nsid.get())?;
            namespace.reservations.report(is_extended, page);
            Ok(())
        },
        |page, ()| DataPointer::of(entry).write(host, page, len_bytes),
    )
}

/// Carries out a command that changes something; what there is to tell.
fn change<H: HostMemory>(
    reservations: &mut Reservations,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<Notices, Status> {
    let cdw10 = entry.cdw10.get();
    let mut keys = ReservationKeys::default();
    if NvmOpcode(entry.opcode) == NvmOpcode::RESERVATION_REGISTER {
        let cdw10 = Cdw10ReservationRegister(cdw10);
        let persists = match cdw10.persistence() {
            ChangePersistence::NO_CHANGE => reservations.persists(),
            ChangePersistence::CLEAR => false,
            ChangePersistence::SET => true,
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        DataPointer::of(entry).read(host, keys.as_mut_bytes())?;
        let notices = reservations.register(cdw10.action(), cdw10.ignores_key(), &keys)?;
        reservations.set_persistence(persists);
        return Ok(notices);
    }
    // Only Register may ignore the existing key.
    if NvmOpcode(entry.opcode) == NvmOpcode::RESERVATION_ACQUIRE {
        let cdw10 = Cdw10ReservationAcquire(cdw10);
        if cdw10.ignores_key() {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        DataPointer::of(entry).read(host, keys.as_mut_bytes())?;
        return reservations.acquire(cdw10.action(), cdw10.kind(), &keys);
    }
    let cdw10 = Cdw10ReservationRelease(cdw10);
    if cdw10.ignores_key() {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    DataPointer::of(entry).read(host, keys.current.as_mut_bytes())?;
    reservations.release(cdw10.action(), cdw10.kind(), keys.current.get())
}

impl Reservations {
    /// Writes the report into `page`, which is all zeros.
    fn report(&self, is_extended: bool, page: &mut [u8]) {
        let head = ReservationStatus {
            generation: self.generation.into(),
            reservation_type: self.held.map_or(0, |held| held.kind.0),
            registrants: (self.registrants.len() as u16).into(),
            persists_through_power_loss: self.persists.into(),
            ..ReservationStatus::new_zeroed()
        };
        let head_bytes = if is_extended {
            RESERVATION_STATUS_EXTENDED_BYTES
        } else {
            size_of::<ReservationStatus>()
        };
        put(page, head.as_bytes());
        let mut rest = page.get_mut(head_bytes..).unwrap_or_default();
        for registrant in &self.registrants {
            let status = if self.is_held_by(&registrant.host) {
                REGISTRANT_HOLDS_RESERVATION
            } else {
                0
            };
            let [short @ .., _, _, _, _, _, _, _, _] = registrant.host;
            let len = if is_extended {
                put(
                    rest,
                    ReservationRegistrantExtended {
                        status,
                        key: registrant.key.into(),
                        host_identifier: registrant.host,
                        ..ReservationRegistrantExtended::new_zeroed()
                    }
                    .as_bytes(),
                )
            } else {
                put(
                    rest,
                    ReservationRegistrant {
                        status,
                        host_identifier: short,
                        key: registrant.key.into(),
                        ..ReservationRegistrant::new_zeroed()
                    }
                    .as_bytes(),
                )
            };
            rest = rest.get_mut(len..).unwrap_or_default();
        }
    }
}

/// Puts `bytes` at the beginning of `into`, as far as there is room; how many there are.
fn put(into: &mut [u8], bytes: &[u8]) -> usize {
    into.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    bytes.len()
}

#[cfg(test)]
mod tests {
    use nvme_spec::{AcquireAction, RegisterAction, ReleaseAction, ReservationType};

    use super::*;
    use crate::admin::test_drive::{TestDrive, BUFFER, FAST, INVALID, UNALLOCATED};

    const KEY: u64 = 0xA1;
    const OURS: [u8; 16] = [0xAA; 16];
    const ANOTHER: [u8; 16] = [0xBB; 16];

    /// Carries a command of the host with identifier `host` out.
    fn run(
        drive: &mut TestDrive,
        host: [u8; 16],
        opcode: NvmOpcode,
        nsid: u32,
        cdw10: u32,
        keys: [u64; 2],
    ) -> Result<(), Status> {
        let [current, other] = keys.map(Into::into);
        drive
            .memory
            .fill_buffer(ReservationKeys { current, other }.as_bytes());
        let (core, memory) = drive.parts();
        core.admin.features.host_identifier = host;
        core.admin.features.is_host_identifier_extended = Some(true);
        set_reservation_host(core);
        let entry = SubmissionQueueEntry {
            opcode: opcode.0,
            nsid: nsid.into(),
            prp1: BUFFER.into(),
            cdw10: cdw10.into(),
            ..Default::default()
        };
        reservation(core, &entry, memory)
    }

    fn register(drive: &mut TestDrive, host: [u8; 16], key: u64) -> Result<(), Status> {
        let cdw10 = Cdw10ReservationRegister::default().with_action(RegisterAction::REGISTER);
        run(
            drive,
            host,
            NvmOpcode::RESERVATION_REGISTER,
            FAST,
            cdw10.0,
            [0, key],
        )
    }

    fn acquire(drive: &mut TestDrive, host: [u8; 16], key: u64) -> Result<(), Status> {
        let cdw10 = Cdw10ReservationAcquire::default()
            .with_action(AcquireAction::ACQUIRE)
            .with_kind(ReservationType::WRITE_EXCLUSIVE);
        run(
            drive,
            host,
            NvmOpcode::RESERVATION_ACQUIRE,
            FAST,
            cdw10.0,
            [key, 0],
        )
    }

    fn write_of(drive: &mut TestDrive, host: [u8; 16]) -> Result<(), Status> {
        drive.core().admin.features.host_identifier = host;
        set_reservation_host(drive.core());
        let namespaces = &drive.core().queue_set.io.namespaces;
        namespaces
            .allocated(FAST)
            .unwrap()
            .reservations
            .check(NvmOpcode::WRITE.0)
    }

    #[test]
    fn a_reservation_keeps_others_from_writing_until_it_is_released() {
        let mut drive = TestDrive::new();
        assert_eq!(
            acquire(&mut drive, OURS, KEY),
            Err(Status::RESERVATION_CONFLICT),
            "not registered"
        );
        assert_eq!(register(&mut drive, OURS, KEY), Ok(()));
        assert_eq!(
            acquire(&mut drive, OURS, KEY + 1),
            Err(Status::RESERVATION_CONFLICT),
            "another key"
        );
        assert_eq!(acquire(&mut drive, OURS, KEY), Ok(()));
        assert_eq!(write_of(&mut drive, OURS), Ok(()));
        assert_eq!(write_of(&mut drive, ANOTHER), Err(Status::RESERVATION_CONFLICT));
        let cdw10 = Cdw10ReservationRelease::default()
            .with_action(ReleaseAction::RELEASE)
            .with_kind(ReservationType::WRITE_EXCLUSIVE);
        let release = NvmOpcode::RESERVATION_RELEASE;
        assert_eq!(
            run(&mut drive, ANOTHER, release, FAST, cdw10.0, [KEY, 0]),
            Err(Status::RESERVATION_CONFLICT)
        );
        assert_eq!(run(&mut drive, OURS, release, FAST, cdw10.0, [KEY, 0]), Ok(()));
        assert_eq!(write_of(&mut drive, ANOTHER), Ok(()));
    }

    #[test]
    fn only_register_may_ignore_the_key() {
        let mut drive = TestDrive::new();
        register(&mut drive, OURS, KEY).unwrap();
        let acquire = Cdw10ReservationAcquire::default()
            .with_kind(ReservationType::WRITE_EXCLUSIVE)
            .with_ignores_key(true)
            .0;
        let release = Cdw10ReservationRelease::default().with_ignores_key(true).0;
        for (opcode, cdw10) in [
            (NvmOpcode::RESERVATION_ACQUIRE, acquire),
            (NvmOpcode::RESERVATION_RELEASE, release),
        ] {
            let refused = run(&mut drive, OURS, opcode, FAST, cdw10, [KEY, 0]);
            assert_eq!(refused, Err(Status::INVALID_FIELD_IN_COMMAND));
        }
        let replace = Cdw10ReservationRegister::default()
            .with_action(RegisterAction::REPLACE)
            .with_ignores_key(true);
        let register = NvmOpcode::RESERVATION_REGISTER;
        assert_eq!(
            run(&mut drive, OURS, register, FAST, replace.0, [9, KEY + 1]),
            Ok(())
        );
        let persistence = Cdw10ReservationRegister::default().with_persistence(ChangePersistence(1));
        let refused = run(&mut drive, OURS, register, FAST, persistence.0, [KEY, KEY]);
        assert_eq!(refused, Err(Status::INVALID_FIELD_IN_COMMAND));
    }

    #[test]
    fn the_report_lists_registrants_in_the_length_of_their_identifiers() {
        let mut drive = TestDrive::new();
        register(&mut drive, OURS, KEY).unwrap();
        acquire(&mut drive, OURS, KEY).unwrap();
        let mut entry = SubmissionQueueEntry {
            opcode: NvmOpcode::RESERVATION_REPORT.0,
            nsid: FAST.into(),
            prp1: BUFFER.into(),
            cdw10: 31.into(),
            ..Default::default()
        };
        let (core, memory) = drive.parts();
        let refused = reservation(core, &entry, memory);
        assert_eq!(
            refused,
            Err(Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT),
            "it has given 128 bits"
        );
        entry.cdw11 = Cdw11ReservationReport::default().with_is_extended(true).0.into();
        assert_eq!(reservation(core, &entry, memory), Ok(()));
        let page = memory.buffer(128);
        // RTYPE, REGCTL; RCSTS, RKEY and HOSTID of the first registrant (NVMe Base 2.0 figures 408 and 409).
        assert_eq!((page[4], page[5]), (ReservationType::WRITE_EXCLUSIVE.0, 1));
        assert_eq!(page[66], 1);
        assert_eq!(
            (&page[72..80], &page[80..96]),
            (&KEY.to_le_bytes()[..], &OURS[..])
        );
    }

    #[test]
    fn a_namespace_that_is_not_there_is_refused() {
        let mut drive = TestDrive::new();
        for nsid in [UNALLOCATED, INVALID, 0] {
            let register = NvmOpcode::RESERVATION_REGISTER;
            assert!(
                run(&mut drive, OURS, register, nsid, 0, [0, KEY]).is_err(),
                "namespace {nsid}"
            );
        }
    }
}
