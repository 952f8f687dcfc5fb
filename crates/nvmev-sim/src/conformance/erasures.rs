//! Format NVM and Sanitize, as far as they are advertised.

use nvme_spec::{
    AdminOpcode, IdentifyCns, LogPageId, SanitizeAction, SanitizeLog, SanitizeState, Status,
    SubmissionQueueEntry, NSID_BROADCAST,
};
use zerocopy::FromBytes;

use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Obstacle, Subject};
use crate::host::commands;

const FNA_ALL_NAMESPACES: u8 = 0b11;
const FNA_CRYPTO_ERASE: u8 = 1 << 2;
const FNA_NO_BROADCAST: u8 = 1 << 3;
const SECURE_ERASE_CRYPTO: u32 = 2;
const ONE_OVERWRITE_PASS: u32 = 1 << 4;

/// Something that an erasure would leave none of: where it is.
fn leave_traces(subject: &mut Subject<'_>) -> Result<u64, Obstacle> {
    if !subject.has_lbas() {
        return Ok(0);
    }
    subject.reset_zones()?;
    let slba = subject.fresh_lba(0)?;
    let pattern = subject.pattern(21, 2);
    subject.write(slba, &pattern)?;
    Ok(slba)
}

fn is_erased(subject: &mut Subject<'_>, slba: u64, by: &str) -> Finding {
    if subject.has_lbas() {
        let data = subject.read(slba, 2)?;
        ensure!(data.iter().all(|&byte| byte == 0), "data can be read after {by}");
        subject.reset_zones()?;
    }
    Ok(())
}

/// The secure erase settings are those that FNA has, a format that is not there is Invalid Format, and every one that is can be had (NVMe Base 2.0 §5.14,
/// figure 275).
pub(super) fn formats_work_as_fna_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(
        subject.controller.oacs.get() >> 1 & 1 != 0,
        "there is no Format NVM"
    );
    let (fna, nsid) = (subject.controller.fna, subject.nsid);
    let active = subject.namespace_list(IdentifyCns::ACTIVE_NAMESPACE_LIST, 0, subject.command_set)?;
    let (index, formats) = if subject.has_lbas() {
        let namespace = subject.namespace()?;
        (u32::from(namespace.flbas & 0xF), u32::from(namespace.nlbaf_z) + 1)
    } else {
        (0, 1)
    };
    for (setting, is_there) in [
        (0, true),
        (1, true),
        (SECURE_ERASE_CRYPTO, fna & FNA_CRYPTO_ERASE != 0),
        (3, false),
    ] {
        let traces = leave_traces(subject)?;
        let expected = if is_there { SUCCESS } else { INVALID_FIELD };
        let what = format!("Format NVM with secure erase setting {setting}");
        subject.admin_ends(&what, commands::format_nvm(nsid, index, setting), expected)?;
        if is_there {
            is_erased(subject, traces, &what)?;
        }
    }
    let absent = commands::format_nvm(nsid, formats, 0);
    subject.admin_ends(
        "Format NVM to a format that is not there",
        absent,
        Status::INVALID_FORMAT,
    )?;
    if active.len() == 1 {
        let expected = if fna & FNA_NO_BROADCAST == 0 {
            SUCCESS
        } else {
            INVALID_FIELD
        };
        let all = commands::format_nvm(NSID_BROADCAST, index, 0);
        subject.admin_ends("Format NVM of all namespaces", all, expected)?;
    }
    if subject.has_lbas() && fna & FNA_ALL_NAMESPACES == 0 {
        for other in (0..formats).filter(|&other| other != index) {
            subject.admin_ends(
                "Format NVM to another format",
                commands::format_nvm(nsid, other, 0),
                SUCCESS,
            )?;
            let namespace = subject.namespace();
            // As it was, for what comes after, before this check may end.
            subject.admin_ends("Format NVM back", commands::format_nvm(nsid, index, 0), SUCCESS)?;
            let namespace = namespace?;
            ensure!(
                u32::from(namespace.flbas & 0xF) == other,
                "after a format to {other}, FLBAS is {:#x}",
                namespace.flbas
            );
            let log2 = namespace.lbaf[other as usize].lba_data_size_log2;
            let (bytes, before) = (
                namespace.nsze_lbas.get() << log2,
                subject.size_lbas * subject.lba_bytes as u64,
            );
            ensure!(
                bytes <= before + (1 << log2),
                "formatted, it has {bytes} bytes; before, it had {before}"
            );
        }
    }
    Ok(())
}

/// The sanitize actions are those that SANICAP has; when one is over, the log says so, and nothing is left (NVMe Base 2.0 §5.24, §8.21, figure 275).
pub(super) fn sanitize_actions_work_as_sanicap_says(subject: &mut Subject<'_>) -> Finding {
    let sanicap = subject.controller.sanicap.get();
    applies_if!(sanicap & 0b111 != 0, "there is no Sanitize");
    for (bit, action, arguments) in [
        (0, SanitizeAction::CRYPTO_ERASE, 0),
        (1, SanitizeAction::BLOCK_ERASE, 0),
        (2, SanitizeAction::OVERWRITE, ONE_OVERWRITE_PASS),
    ] {
        let traces = leave_traces(subject)?;
        let is_there = sanicap >> bit & 1 != 0;
        let cdw10 = u32::from(action.0) | arguments;
        let entry = SubmissionQueueEntry {
            cdw10: cdw10.into(),
            ..commands::admin(AdminOpcode::SANITIZE)
        };
        let expected = if is_there { SUCCESS } else { INVALID_FIELD };
        let what = format!("Sanitize, {action:?}");
        subject.admin_ends(&what, entry, expected)?;
        if !is_there {
            continue;
        }
        subject.host.settle();
        let log = subject.log(LogPageId::SANITIZE_STATUS, 0, size_of::<SanitizeLog>());
        let log = log.map_err(|status| Obstacle::Failed(format!("no sanitize status log: {status:?}")))?;
        let log = SanitizeLog::read_from_bytes(&log).expect("512 bytes");
        let state = SanitizeState(log.status.get() & 0b111);
        ensure!(
            state == SanitizeState::COMPLETED,
            "after {what}, the log says {state:?}"
        );
        ensure!(
            log.command_dword10.get() == cdw10,
            "the log has {:#x} for {what}",
            log.command_dword10.get()
        );
        is_erased(subject, traces, &what)?;
    }
    for action in [0, 5, 7] {
        let entry = SubmissionQueueEntry {
            cdw10: action.into(),
            ..commands::admin(AdminOpcode::SANITIZE)
        };
        subject.admin_ends(&format!("Sanitize with action {action}"), entry, INVALID_FIELD)?;
    }
    Ok(())
}
