//! Get Log Page (NVMe Base 2.0 §5.16).

use nvme_spec::{
    effects, CommandSet, FeatureId, KeyValueOpcode, LogPageId, NvmOpcode, ReservationNotification,
    SanitizeLog, SmartLog, Status, SubmissionQueueEntry, CHANGED_NAMESPACE_LIST_BYTES,
    CHANGED_ZONE_LIST_BYTES, EFFECTS_LOG_BYTES, FEATURE_EFFECTS_LOG_BYTES, MI_EFFECTS_LOG_BYTES,
    PAGE_SIZE_BYTES, PERSISTENT_EVENT_HEADER_ACTION, SUPPORTED_LOG_PAGES_BYTES,
};
use zerocopy::IntoBytes;

use crate::admin::log_request::Request;
use crate::admin::outcome::Outcome;
use crate::admin::page::{put, put_dword};
use crate::admin::smart::smart_log_of;
use crate::admin::state::error_log;
use crate::admin::table::{admin_effects, scope, SUPPORTED};
use crate::admin::{lba_status, persistent_events, sanitize, table, telemetry};
use crate::core::Core;
use crate::host::HostMemory;

const SUPPORTED_PAGES: &[LogPageId] = &[
    LogPageId::SUPPORTED_LOG_PAGES,
    LogPageId::ERROR_INFORMATION,
    LogPageId::SMART_HEALTH,
    LogPageId::FIRMWARE_SLOT,
    LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS,
    LogPageId::DEVICE_SELF_TEST,
    LogPageId::CHANGED_NAMESPACE_LIST,
    LogPageId::SANITIZE_STATUS,
    LogPageId::RESERVATION_NOTIFICATION,
    LogPageId::TELEMETRY_HOST_INITIATED,
    LogPageId::TELEMETRY_CONTROLLER_INITIATED,
    LogPageId::PERSISTENT_EVENT,
    LogPageId::LBA_STATUS_INFORMATION,
    LogPageId::FEATURE_IDENTIFIERS_EFFECTS,
    LogPageId::MI_COMMANDS_EFFECTS,
    LogPageId::CHANGED_ZONE_LIST,
];

/// I/O commands of the NVM command set that this controller has, with their effects; the scope is left open, because Linux warns about effects
/// of I/O commands that it does not know.
const NVM_EFFECTS: [(NvmOpcode, u32); 9] = [
    (NvmOpcode::FLUSH, effects::SUPPORTED),
    (
        NvmOpcode::WRITE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (NvmOpcode::READ, effects::SUPPORTED),
    (
        NvmOpcode::WRITE_UNCORRECTABLE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (NvmOpcode::COMPARE, effects::SUPPORTED),
    (NvmOpcode::VERIFY, effects::SUPPORTED),
    (
        NvmOpcode::COPY,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (
        NvmOpcode::WRITE_ZEROES,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (
        NvmOpcode::DATASET_MANAGEMENT,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
];

/// Those that every namespace has, whatever its command set.
const RESERVATION_EFFECTS: [(NvmOpcode, u32); 4] = [
    (NvmOpcode::RESERVATION_REGISTER, effects::SUPPORTED),
    (NvmOpcode::RESERVATION_REPORT, effects::SUPPORTED),
    (NvmOpcode::RESERVATION_ACQUIRE, effects::SUPPORTED),
    (NvmOpcode::RESERVATION_RELEASE, effects::SUPPORTED),
];

/// Those of the Key Value Command Set.
const KEY_VALUE_EFFECTS: [(KeyValueOpcode, u32); 6] = [
    (KeyValueOpcode::FLUSH, effects::SUPPORTED),
    (
        KeyValueOpcode::STORE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (KeyValueOpcode::RETRIEVE, effects::SUPPORTED),
    (KeyValueOpcode::LIST, effects::SUPPORTED),
    (
        KeyValueOpcode::DELETE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (KeyValueOpcode::EXIST, effects::SUPPORTED),
];

/// The vendor specific commands that a key-value namespace has in any case.
const VENDOR_EFFECTS: [(KeyValueOpcode, u32); 8] = [
    (
        KeyValueOpcode::VENDOR_STORE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (
        KeyValueOpcode::VENDOR_APPEND,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (
        KeyValueOpcode::VENDOR_BATCH,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (KeyValueOpcode::VENDOR_RETRIEVE, effects::SUPPORTED),
    (
        KeyValueOpcode::VENDOR_DELETE,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (KeyValueOpcode::VENDOR_ITERATE_REQUEST, effects::SUPPORTED),
    (KeyValueOpcode::VENDOR_ITERATE_READ, effects::SUPPORTED),
    (KeyValueOpcode::VENDOR_EXIST, effects::SUPPORTED),
];

/// What a zoned namespace has besides.
const ZONED_EFFECTS: [(NvmOpcode, u32); 3] = [
    (
        NvmOpcode::ZONE_MANAGEMENT_SEND,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
    (NvmOpcode::ZONE_MANAGEMENT_RECEIVE, effects::SUPPORTED),
    (
        NvmOpcode::ZONE_APPEND,
        effects::SUPPORTED | effects::CHANGES_BLOCK_CONTENT,
    ),
];

/// The longest page kept here.
const PAGE_BYTES_MAX: usize = PAGE_SIZE_BYTES;
const _: () = assert!(error_log::ENTRIES * 64 <= PAGE_BYTES_MAX && EFFECTS_LOG_BYTES <= PAGE_BYTES_MAX);

pub(crate) fn get_log_page<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    now_ns: u64,
    host: &H,
) -> Result<Outcome, Status> {
    let request = Request::of(entry, core.queue_set.io.limits)?;
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
                |core, buffer| fill_log_page(core, log, entry, now_ns, buffer),
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
            LogPageId::CHANGED_ZONE_LIST => forget_changed_zones(core, entry.nsid.get()),
            LogPageId::CHANGED_NAMESPACE_LIST => core.admin.changed_namespaces.clear(),
            LogPageId::LBA_STATUS_INFORMATION => lba_status::lba_status_was_read(core, now_ns),
            _ => {}
        }
    }
    Ok(Outcome::Done(0))
}

/// Writes the page into `buffer`, which is all zeros; returns the page's length.
fn fill_log_page(
    core: &Core,
    log: LogPageId,
    entry: &SubmissionQueueEntry,
    now_ns: u64,
    buffer: &mut [u8],
) -> Result<usize, Status> {
    match log {
        LogPageId::SUPPORTED_LOG_PAGES => {
            for page in SUPPORTED_PAGES {
                put_dword(buffer, usize::from(page.0), 1);
            }
            let index = usize::from(LogPageId::PERSISTENT_EVENT.0);
            put_dword(buffer, index, 1 | PERSISTENT_EVENT_HEADER_ACTION);
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
            put(
                buffer,
                0,
                smart_log_of(core, entry.nsid.get(), now_ns)?.as_bytes(),
            );
            Ok(size_of::<SmartLog>())
        }
        LogPageId::FIRMWARE_SLOT => Ok(core.admin.firmware.fill_log(buffer)),
        LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS => {
            let command_set = CommandSet((entry.cdw14.get() >> 24) as u8);
            for opcode in SUPPORTED
                .iter()
                .filter(|&&opcode| table::has_command(core, opcode))
            {
                let effect = effects::SUPPORTED | scope(*opcode) | admin_effects(*opcode);
                put_dword(buffer, usize::from(opcode.0), effect);
            }
            let is_zoned = command_set == CommandSet::ZONED;
            let is_key_value = command_set == CommandSet::KEY_VALUE;
            let block = NVM_EFFECTS
                .iter()
                .filter(|_| is_zoned || command_set == CommandSet::NVM);
            let zoned = ZONED_EFFECTS.iter().filter(|_| is_zoned);
            let has_any = is_zoned || is_key_value || command_set == CommandSet::NVM;
            let reservations = RESERVATION_EFFECTS.iter().filter(|_| has_any);
            for (opcode, effect) in block.chain(zoned).chain(reservations) {
                put_dword(buffer, 256 + usize::from(opcode.0), *effect);
            }
            let has_vendor_commands =
                is_key_value
                    || core.queue_set.io.namespaces.iter().any(|namespace| {
                        namespace.key_value.is_some() && namespace.command_set() == command_set
                    });
            let pairs = KEY_VALUE_EFFECTS.iter().filter(|_| is_key_value);
            let vendor = VENDOR_EFFECTS.iter().filter(|_| has_vendor_commands);
            for (opcode, effect) in pairs.chain(vendor) {
                put_dword(buffer, 256 + usize::from(opcode.0), *effect);
            }
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
            feature_effects(core, buffer);
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
            changed_zone_list(core, entry.nsid.get(), buffer)?;
            Ok(CHANGED_ZONE_LIST_BYTES)
        }
        _ => Err(Status::INVALID_LOG_PAGE),
    }
}

/// An entry for each feature identifier.
fn feature_effects(_core: &Core, buffer: &mut [u8]) {
    for feature in 0..=u8::MAX {
        if let Ok(capabilities) = crate::admin::features::capabilities(FeatureId(feature)) {
            let scope = if capabilities.namespace_specific {
                effects::SCOPE_NAMESPACE
            } else {
                effects::SCOPE_CONTROLLER
            };
            put_dword(buffer, usize::from(feature), effects::SUPPORTED | scope);
        }
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
