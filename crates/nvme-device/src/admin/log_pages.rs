//! Get Log Page (NVMe Base 2.0 §5.16).

use nvme_spec::{
    LogPageId, ReservationNotification, SanitizeLog, SmartLog, Status, CHANGED_NAMESPACE_LIST_BYTES,
    CHANGED_ZONE_LIST_BYTES, EFFECTS_LOG_BYTES, FEATURE_EFFECTS_LOG_BYTES, MI_EFFECTS_LOG_BYTES,
    PAGE_SIZE_BYTES, SUPPORTED_LOG_PAGES_BYTES,
};
use zerocopy::IntoBytes;

use crate::admin::effects_log;
use crate::admin::log_request::{GetLogPage, Request};
use crate::admin::outcome::Outcome;
use crate::admin::page::{put, put_dword};
use crate::admin::smart::smart_log_of;
use crate::admin::state::error_log;
use crate::admin::table::LOG_PAGES;
use crate::admin::{lba_status, persistent_events, sanitize, telemetry};
use crate::core::Core;
use crate::host::HostMemory;

/// The longest page kept here.
const PAGE_BYTES_MAX: usize = PAGE_SIZE_BYTES;
const _: () = assert!(error_log::ENTRIES * 64 <= PAGE_BYTES_MAX && EFFECTS_LOG_BYTES <= PAGE_BYTES_MAX);

pub(crate) fn get_log_page<H: HostMemory>(
    core: &mut Core,
    asked: &GetLogPage,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    let request = Request::of(asked, core.queue_set.io.limits)?;
    let log = request.log;
    match log {
        LogPageId::TELEMETRY_HOST_INITIATED | LogPageId::TELEMETRY_CONTROLLER_INITIATED => {
            telemetry::send_telemetry(core, &request, now_ns, host)?;
        }
        LogPageId::PERSISTENT_EVENT => {
            persistent_events::send_persistent_events(core, &request, now_ns, host)?
        }
        _ => {
            let powered_ns = core.admin.powered_ns(now_ns);
            core.admin.self_test.settle(powered_ns);
            lba_status::note_lba_status(core);
            core.with_page(
                |core, buffer| fill_log_page(core, asked, now_ns, buffer),
                |buffer, page_len| request.send(buffer.get(..page_len).unwrap_or(buffer), host),
            )?;
        }
    }
    if log == LogPageId::RESERVATION_NOTIFICATION {
        core.admin.reservation_log.remove_oldest();
    }
    if !request.retains_event {
        core.admin.events.log_was_read(log);
        match log {
            LogPageId::CHANGED_ZONE_LIST => forget_changed_zones(core, asked.nsid),
            LogPageId::CHANGED_NAMESPACE_LIST => core.admin.changed_namespaces.clear(),
            LogPageId::LBA_STATUS_INFORMATION => lba_status::lba_status_was_read(core, now_ns),
            _ => {}
        }
    }
    Ok(Outcome::Done(0))
}

/// Writes the page into `buffer`, which is all zeros; returns the page's length.
fn fill_log_page(core: &Core, asked: &GetLogPage, now_ns: u64, buffer: &mut [u8]) -> Result<usize, Status> {
    match asked.log {
        LogPageId::SUPPORTED_LOG_PAGES => {
            for (page, dword) in LOG_PAGES {
                put_dword(buffer, usize::from(page.0), *dword);
            }
            Ok(SUPPORTED_LOG_PAGES_BYTES)
        }
        LogPageId::ERROR_INFORMATION => {
            for (slot, error) in buffer
                .chunks_exact_mut(64)
                .zip(core.admin.error_log.newest_first())
            {
                slot.copy_from_slice(error.as_bytes());
            }
            Ok(error_log::ENTRIES * 64)
        }
        LogPageId::SMART_HEALTH => {
            put(buffer, 0, smart_log_of(core, asked.nsid, now_ns)?.as_bytes());
            Ok(size_of::<SmartLog>())
        }
        LogPageId::FIRMWARE_SLOT => Ok(core.admin.firmware.fill_log(buffer)),
        LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS => {
            effects_log::fill_command_effects(core, asked.command_set, buffer);
            Ok(EFFECTS_LOG_BYTES)
        }
        LogPageId::LBA_STATUS_INFORMATION => Ok(lba_status::fill_lba_status_log(core, buffer)),
        LogPageId::CHANGED_NAMESPACE_LIST => {
            core.admin.changed_namespaces.fill_log(buffer);
            Ok(CHANGED_NAMESPACE_LIST_BYTES)
        }
        LogPageId::SANITIZE_STATUS => {
            put(buffer, 0, sanitize::sanitize_log(core).as_bytes());
            Ok(size_of::<SanitizeLog>())
        }
        LogPageId::FEATURE_IDENTIFIERS_EFFECTS => {
            effects_log::fill_feature_effects(buffer);
            Ok(FEATURE_EFFECTS_LOG_BYTES)
        }
        // There is no management interface: no command, all zeros.
        LogPageId::MI_COMMANDS_EFFECTS => Ok(MI_EFFECTS_LOG_BYTES),
        LogPageId::DEVICE_SELF_TEST => {
            let powered_ns = core.admin.powered_ns(now_ns);
            Ok(core.admin.self_test.fill_log(powered_ns, buffer))
        }
        LogPageId::RESERVATION_NOTIFICATION => {
            let oldest = core.admin.reservation_log.oldest();
            put(buffer, 0, oldest.as_bytes());
            Ok(size_of::<ReservationNotification>())
        }
        LogPageId::CHANGED_ZONE_LIST => {
            changed_zone_list(core, asked.nsid, buffer)?;
            Ok(CHANGED_ZONE_LIST_BYTES)
        }
        _ => Err(Status::INVALID_LOG_PAGE),
    }
}

/// The number of zones, and then the first LBA of each (ZNS 1.1 figure 46).
fn changed_zone_list(core: &Core, nsid: u32, buffer: &mut [u8]) -> Result<(), Status> {
    let namespace = core.queue_set.io.namespaces.attached(nsid)?;
    let zoned = namespace.zoned.as_ref().ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
    let (count, zones) = zoned.changed.listed();
    put(buffer, 0, &count.to_le_bytes());
    for (index, &zone) in zones.iter().enumerate() {
        let start_lba = zoned.geometry.zone_start(zone) >> namespace.lba_log2;
        put(buffer, 8 + index * 8, &start_lba.to_le_bytes());
    }
    Ok(())
}

fn forget_changed_zones(core: &mut Core, nsid: u32) {
    if let Ok(namespace) = core.queue_set.io.namespaces.allocated_mut(nsid) {
        if let Some(zoned) = &mut namespace.zoned {
            zoned.changed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use nvme_spec::CommandSet;

    use super::*;
    use crate::admin::test_drive::{done, to_buffer, TestDrive, FAST, INVALID, POWER_ON_NS, ZONED};
    use crate::command::id::CommandRef;

    const REFUSED: Status = Status::INVALID_FIELD_IN_COMMAND;

    fn asked(log: LogPageId, nsid: u32) -> GetLogPage {
        GetLogPage {
            nsid,
            log,
            specific: 0,
            command_set: CommandSet::NVM,
            offset: 0,
            dwords_z: 127,
            retains_event: false,
            pointer: to_buffer(),
        }
    }

    fn get(drive: &mut TestDrive, asked: &GetLogPage) -> Result<Vec<u8>, Status> {
        drive.memory.fill_buffer(&[0xEE; 512]);
        let (core, memory) = drive.parts();
        done(get_log_page(core, asked, POWER_ON_NS, memory))?;
        Ok(memory.buffer(4 * (asked.dwords_z as usize + 1)))
    }

    #[test]
    fn each_supported_page_is_there_and_no_other() {
        for id in 0..=0xFF {
            let mut drive = TestDrive::new();
            let log = LogPageId(id);
            let nsid = match log {
                LogPageId::CHANGED_ZONE_LIST => ZONED,
                _ => 0xFFFF_FFFF,
            };
            let is_there = LOG_PAGES.iter().any(|(page, _)| *page == log);
            // The first of a Persistent Event log establishes what the others read.
            let specific = u8::from(log == LogPageId::PERSISTENT_EVENT);
            let found = get(
                &mut drive,
                &GetLogPage {
                    specific,
                    ..asked(log, nsid)
                },
            );
            assert_eq!(found.is_ok(), is_there, "log {id:#04x}: {found:?}");
            if !is_there {
                assert_eq!(found.err(), Some(Status::INVALID_LOG_PAGE), "log {id:#04x}");
            }
        }
    }

    #[test]
    fn a_log_is_read_from_an_offset_and_ends_in_zeros() {
        let mut drive = TestDrive::new();
        let error = |core: &mut Core| {
            core.admin
                .error_log
                .add(CommandRef::admin(5), Status::INVALID_FIELD_IN_COMMAND, 1, 9)
        };
        error(drive.core());
        let whole = get(&mut drive, &asked(LogPageId::ERROR_INFORMATION, 0)).unwrap();
        assert_eq!(whole[0], 1, "the first error");
        assert_eq!(whole[16], 9, "its LBA");
        let log_bytes = error_log::ENTRIES as u64 * 64;
        let part = |offset| GetLogPage {
            offset,
            dwords_z: 1,
            ..asked(LogPageId::ERROR_INFORMATION, 0)
        };
        assert_eq!(get(&mut drive, &part(16)).unwrap(), whole[16..24]);
        assert_eq!(
            get(&mut drive, &part(log_bytes - 4)).unwrap(),
            [0; 8],
            "beyond the end"
        );
        assert_eq!(get(&mut drive, &part(log_bytes)), Err(REFUSED));
        assert_eq!(get(&mut drive, &part(!3)), Err(REFUSED));
        let too_long = GetLogPage {
            dwords_z: u32::MAX,
            ..asked(LogPageId::ERROR_INFORMATION, 0)
        };
        let (core, memory) = drive.parts();
        assert_eq!(
            done(get_log_page(core, &too_long, POWER_ON_NS, memory)),
            Err(REFUSED),
            "beyond MDTS"
        );
    }

    #[test]
    fn news_are_gone_once_they_are_read_unless_they_are_retained() {
        let mut drive = TestDrive::new();
        drive.core().admin.namespace_has_changed(2);
        let read = asked(LogPageId::CHANGED_NAMESPACE_LIST, 0);
        let retained = GetLogPage {
            retains_event: true,
            ..read
        };
        for expected in [[2, 0], [2, 0]] {
            assert_eq!(get(&mut drive, &retained).unwrap()[..2], expected);
        }
        assert_eq!(get(&mut drive, &read).unwrap()[..2], [2, 0]);
        assert_eq!(get(&mut drive, &read).unwrap()[..2], [0, 0]);
    }

    #[test]
    fn changed_zones_are_those_of_a_zoned_namespace() {
        let mut drive = TestDrive::new();
        let namespaces = &mut drive.core().queue_set.io.namespaces;
        let zoned = namespaces.allocated_mut(ZONED).unwrap().zoned.as_mut().unwrap();
        zoned.changed.add(2);
        let list = get(&mut drive, &asked(LogPageId::CHANGED_ZONE_LIST, ZONED)).unwrap();
        // Zones of 128 KiB, LBAs of 512 bytes: the third one begins at LBA 512.
        assert_eq!((list[0], &list[8..12]), (1, &[0, 2, 0, 0][..]));
        assert_eq!(
            get(&mut drive, &asked(LogPageId::CHANGED_ZONE_LIST, ZONED)).unwrap()[0],
            0
        );
        assert_eq!(
            get(&mut drive, &asked(LogPageId::CHANGED_ZONE_LIST, FAST)),
            Err(REFUSED)
        );
        let invalid = get(&mut drive, &asked(LogPageId::CHANGED_ZONE_LIST, INVALID));
        assert_eq!(invalid, Err(Status::INVALID_NAMESPACE_OR_FORMAT));
    }
}
