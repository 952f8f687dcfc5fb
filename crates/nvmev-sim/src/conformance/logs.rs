//! Log pages: which there are, and how they are read.

use nvme_spec::{
    IdentifyCns, LogPageId, NvmOpcode, SmartLog, Status, SubmissionQueueEntry, EFFECTS_LOG_BYTES,
    FEATURE_EFFECTS_LOG_BYTES, FIRMWARE_SLOT_LOG_BYTES, SUPPORTED_LOG_PAGES_BYTES,
};
use zerocopy::FromBytes;

use super::subject::{INVALID_FIELD, PAGE_BYTES, SUCCESS};
use super::{Finding, Obstacle, Subject};
use crate::host::commands;

/// Establishes a reporting context for the Persistent Event log, or keeps the telemetry data that there are.
const PERSISTENT_EVENT_ESTABLISH: u32 = 1 << 8;
const ERROR_LOG_ENTRY_BYTES: usize = 64;

/// A log page is Invalid Log Page if, and only if, Supported Log Pages does not have it (NVMe Base 2.0 §5.16.1.1).
pub(super) fn log_pages_are_those_that_are_supported(subject: &mut Subject<'_>) -> Finding {
    let supported = subject.log_dwords(LogPageId::SUPPORTED_LOG_PAGES, SUPPORTED_LOG_PAGES_BYTES)?;
    for mandatory in [
        LogPageId::SUPPORTED_LOG_PAGES,
        LogPageId::ERROR_INFORMATION,
        LogPageId::SMART_HEALTH,
        LogPageId::FIRMWARE_SLOT,
        LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS,
        LogPageId::FEATURE_IDENTIFIERS_EFFECTS,
    ] {
        ensure!(
            supported[usize::from(mandatory.0)] & 1 != 0,
            "log page {mandatory:?} is mandatory, and not supported"
        );
    }
    for id in 0..=u8::MAX {
        let log = LogPageId(id);
        let nsid = subject.log_nsid(log);
        let entry = commands::get_log_page(log, nsid, 0, 512, subject.buffer());
        let action = if log == LogPageId::PERSISTENT_EVENT {
            PERSISTENT_EVENT_ESTABLISH
        } else {
            0
        };
        let entry = SubmissionQueueEntry {
            cdw10: (entry.cdw10.get() | action).into(),
            ..entry
        };
        let status = subject.admin(entry).status();
        let is_supported = supported[usize::from(id)] & 1 != 0;
        ensure!(
            is_supported == (status != Status::INVALID_LOG_PAGE),
            "log page {id:#x} is supported: {is_supported}; and reading it ends with {status:?}"
        );
        ensure!(
            !is_supported || status == SUCCESS || log == LogPageId::CHANGED_ZONE_LIST,
            "log page {log:?} is supported, and reading it ends with {status:?}"
        );
    }
    Ok(())
}

/// A part of a log page is what the whole has there; an offset must be one of a dword inside the page, and no more can be had than MDTS (NVMe Base 2.0
/// §5.16).
pub(super) fn logs_are_read_from_any_offset(subject: &mut Subject<'_>) -> Finding {
    let error_log_bytes = (usize::from(subject.controller.elpe_z) + 1) * ERROR_LOG_ENTRY_BYTES;
    let logs = [
        (LogPageId::SUPPORTED_LOG_PAGES, SUPPORTED_LOG_PAGES_BYTES),
        (LogPageId::ERROR_INFORMATION, error_log_bytes),
        (LogPageId::FIRMWARE_SLOT, FIRMWARE_SLOT_LOG_BYTES),
        (LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS, EFFECTS_LOG_BYTES),
        (LogPageId::FEATURE_IDENTIFIERS_EFFECTS, FEATURE_EFFECTS_LOG_BYTES),
    ];
    let cannot_be_read =
        |log, at, status| Obstacle::Failed(format!("reading {log:?} from {at} ends with {status:?}"));
    for (log, len_bytes) in logs {
        let read = |subject: &mut Subject<'_>, at: usize, len| {
            let bytes = subject.log(log, at as u64, len);
            bytes.map_err(|status| cannot_be_read(log, at, status))
        };
        let whole = read(subject, 0, len_bytes)?;
        for (at, len) in [
            (0, 4),
            (4, 252),
            (len_bytes / 2, len_bytes / 2),
            (len_bytes - 4, 4),
        ] {
            let part = read(subject, at, len)?;
            ensure!(
                part[..] == whole[at..at + len],
                "{len} bytes of {log:?} from {at} are not those of the whole page"
            );
        }
        for offset in [1, 2, 7, len_bytes as u64, len_bytes as u64 + 4, u64::MAX - 3] {
            let status = subject.log(log, offset, 4).err();
            ensure!(
                status == Some(INVALID_FIELD),
                "reading {log:?} from {offset} does not end with an Invalid Field: {status:?}"
            );
        }
    }
    if let Some(pages) = subject.transfer_pages_max() {
        let log = LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS;
        let beyond = (pages * PAGE_BYTES + 4) as u32;
        let entry = commands::get_log_page(log, 0, 0, beyond, subject.buffer());
        subject.admin_ends("a log page longer than MDTS", entry, INVALID_FIELD)?;
    }
    Ok(())
}

/// Host reads and writes are counted, and nothing else is (NVMe Base 2.0 figure 207).
pub(super) fn the_smart_log_counts_commands(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "pairs are no blocks");
    let before = smart(subject)?;
    let slba = subject.fresh_lba(0)?;
    let pattern = subject.pattern(1, 1);
    subject.write(slba, &pattern)?;
    for _ in 0..2 {
        subject.read(slba, 1)?;
    }
    subject.identify(IdentifyCns::CONTROLLER, 0, subject.command_set)?;
    let after = smart(subject)?;
    let grown = |counter: fn(&SmartLog) -> [u8; 16]| {
        u128::from_le_bytes(counter(&after)).wrapping_sub(u128::from_le_bytes(counter(&before)))
    };
    let (reads, writes) = (
        grown(|log| log.host_read_commands),
        grown(|log| log.host_write_commands),
    );
    ensure!(
        (reads, writes) == (2, 1),
        "after 2 reads and a write, {reads} and {writes} more are counted"
    );
    Ok(())
}

pub(super) fn smart(subject: &mut Subject<'_>) -> Result<SmartLog, Obstacle> {
    let bytes = subject.log(LogPageId::SMART_HEALTH, 0, size_of::<SmartLog>());
    let bytes =
        bytes.map_err(|status| Obstacle::Failed(format!("the SMART log cannot be read: {status:?}")))?;
    Ok(SmartLog::read_from_bytes(&bytes).expect("512 bytes"))
}

/// The newest entry is the command that failed last, with its queue and identifier, and the counts go up (NVMe Base 2.0 figure 204).
pub(super) fn the_error_log_has_the_last_error(subject: &mut Subject<'_>) -> Finding {
    let mut counts = Vec::new();
    for _ in 0..2 {
        let entry = SubmissionQueueEntry {
            // Reserved in every command set.
            opcode: 0x7F,
            nsid: subject.nsid.into(),
            ..commands::read_write(NvmOpcode::READ, subject.nsid, 0, 1, 0, 0)
        };
        let cid = subject.host.next_cid();
        subject.io_ends(
            "a command that is not there",
            entry,
            Status::INVALID_COMMAND_OPCODE,
        )?;
        let newest = subject.log_dwords(LogPageId::ERROR_INFORMATION, ERROR_LOG_ENTRY_BYTES)?;
        ensure!(
            newest[2] == 1 | u32::from(cid) << 16,
            "the newest error is that of queue {} and command {}, not of queue 1 and command {cid}",
            newest[2] & 0xFFFF,
            newest[2] >> 16
        );
        let status = Status((newest[3] >> 1 & 0x7FF) as u16);
        ensure!(
            status == Status::INVALID_COMMAND_OPCODE,
            "the newest error is {status:?}"
        );
        counts.push(u64::from(newest[0]) | u64::from(newest[1]) << 32);
    }
    ensure!(
        counts[0] > 0 && counts[1] == counts[0] + 1,
        "two errors have the counts {counts:?}"
    );
    Ok(())
}
