//! Each bit by which the controller or the namespace advertises something: set if, and only if, that works, or else is refused as specified.

use nvme_spec::{
    AdminOpcode, DirectiveType, FeatureId, IdentifyCns, LogPageId, NamespaceAttachmentSelect, NvmOpcode,
    SglDescriptor, SglDescriptorType, Status, SubmissionQueueEntry, FUSED_FIRST, FUSED_SECOND,
    NSID_BROADCAST, SUPPORTED_LOG_PAGES_BYTES,
};

use super::effects::with_all_ones;
use super::subject::{INVALID_FIELD, PAGE_BYTES, SUCCESS};
use super::{Finding, Kind, Subject};
use crate::host::{commands, sgl};

/// Bits of OACS, and what they are about (NVMe Base 2.0 figure 275).
const OACS: [(u32, &[u8]); 11] = [
    (0, &[0x81, 0x82]),
    (1, &[AdminOpcode::FORMAT_NVM.0]),
    (
        2,
        &[
            AdminOpcode::FIRMWARE_COMMIT.0,
            AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD.0,
        ],
    ),
    (
        3,
        &[
            AdminOpcode::NAMESPACE_MANAGEMENT.0,
            AdminOpcode::NAMESPACE_ATTACHMENT.0,
        ],
    ),
    (4, &[AdminOpcode::DEVICE_SELF_TEST.0]),
    (
        5,
        &[AdminOpcode::DIRECTIVE_SEND.0, AdminOpcode::DIRECTIVE_RECEIVE.0],
    ),
    (6, &[0x1D, 0x1E]),
    (7, &[0x1C]),
    (8, &[AdminOpcode::DOORBELL_BUFFER_CONFIG.0]),
    (9, &[AdminOpcode::GET_LBA_STATUS.0]),
    (10, &[0x24]),
];
/// Bits of ONCS that are about commands with an LBA in dwords 10 and 11.
const ONCS_OF_LBAS: [(u32, NvmOpcode); 4] = [
    (0, NvmOpcode::COMPARE),
    (1, NvmOpcode::WRITE_UNCORRECTABLE),
    (3, NvmOpcode::WRITE_ZEROES),
    (7, NvmOpcode::VERIFY),
];
const ONCS_DATASET_MANAGEMENT: u32 = 2;
const ONCS_SAVE_AND_SELECT: u32 = 4;
const ONCS_RESERVATIONS: u32 = 5;
const ONCS_TIMESTAMP: u32 = 6;
const ONCS_COPY: u32 = 8;
const RESERVATIONS: [NvmOpcode; 4] = [
    NvmOpcode::RESERVATION_REGISTER,
    NvmOpcode::RESERVATION_REPORT,
    NvmOpcode::RESERVATION_ACQUIRE,
    NvmOpcode::RESERVATION_RELEASE,
];
/// Bits of LPA that are about log pages.
const LPA: [(u32, &[LogPageId]); 4] = [
    (1, &[LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS]),
    (
        3,
        &[
            LogPageId::TELEMETRY_HOST_INITIATED,
            LogPageId::TELEMETRY_CONTROLLER_INITIATED,
        ],
    ),
    (4, &[LogPageId::PERSISTENT_EVENT]),
    (
        5,
        &[
            LogPageId::SUPPORTED_LOG_PAGES,
            LogPageId::FEATURE_IDENTIFIERS_EFFECTS,
            LogPageId::MI_COMMANDS_EFFECTS,
        ],
    ),
];
const LPA_TELEMETRY: u8 = 1 << 3;
const AEC_TELEMETRY: u32 = 10;
const OAES_NAMESPACE_ATTRIBUTE: u32 = 8;
const SELF_TEST_ABORT: u32 = 0xF;

/// OACS, SANICAP and KAS advertise exactly the optional admin commands that there are, and Device Self-test, Directives and Namespace Attachment do what they
/// are for (NVMe Base 2.0 figure 275).
pub(super) fn admin_commands_are_there_as_oacs_says(subject: &mut Subject<'_>) -> Finding {
    let oacs = u32::from(subject.controller.oacs.get());
    ensure!(oacs >> 11 == 0, "OACS has reserved bits: {oacs:#x}");
    let advertised = OACS.iter().map(|(bit, opcodes)| (oacs >> bit & 1 != 0, *opcodes));
    let sanitizes = subject.controller.sanicap.get() & 0b111 != 0;
    let keeps_alive = subject.controller.reserved320[..2] != [0; 2];
    let others = [
        (sanitizes, &[AdminOpcode::SANITIZE.0][..]),
        (keeps_alive, &[AdminOpcode::KEEP_ALIVE.0]),
    ];
    for (is_advertised, opcodes) in advertised.chain(others) {
        for &opcode in opcodes {
            let entry = with_all_ones(subject, opcode);
            let status = subject.admin(entry).status();
            ensure!(
                is_advertised == (status != Status::INVALID_COMMAND_OPCODE),
                "admin command {opcode:#x} is advertised: {is_advertised}; and it ends with {status:?}"
            );
        }
    }
    if oacs >> 4 & 1 != 0 {
        for (code, expected) in [
            (1, SUCCESS),
            (1, Status::DEVICE_SELF_TEST_IN_PROGRESS),
            (SELF_TEST_ABORT, SUCCESS),
        ] {
            let entry = SubmissionQueueEntry {
                nsid: NSID_BROADCAST.into(),
                cdw10: code.into(),
                ..commands::admin(AdminOpcode::DEVICE_SELF_TEST)
            };
            subject.admin_ends(&format!("Device Self-test {code:#x}"), entry, expected)?;
        }
    }
    if oacs >> 5 & 1 != 0 {
        let buffer = subject.buffer();
        let entry = commands::directive_receive(subject.nsid, DirectiveType::IDENTIFY, 1, 0, 4096, buffer);
        subject.admin_ends("the Identify directive's parameters", entry, SUCCESS)?;
        ensure!(
            subject.data(1)[0] & 1 != 0,
            "the Identify directive is not supported"
        );
    }
    if oacs >> 3 & 1 != 0 {
        for (select, is_there) in [
            (NamespaceAttachmentSelect::DETACH, false),
            (NamespaceAttachmentSelect::ATTACH, true),
        ] {
            attach(subject, select)?;
            let active =
                subject.namespace_list(IdentifyCns::ACTIVE_NAMESPACE_LIST, 0, subject.command_set)?;
            ensure!(
                active.contains(&subject.nsid) == is_there,
                "after {select:?} of namespace {} the active ones are {active:?}",
                subject.nsid
            );
        }
    }
    Ok(())
}

fn attach(subject: &mut Subject<'_>, select: NamespaceAttachmentSelect) -> Finding {
    let mut list = vec![0; PAGE_BYTES];
    list[0] = 1;
    list[2..4].copy_from_slice(&subject.controller.cntlid.get().to_le_bytes());
    subject.fill(&list);
    let entry = commands::attach_namespace(subject.nsid, select, subject.buffer());
    subject.admin_ends(&format!("{select:?} of the namespace"), entry, SUCCESS)?;
    Ok(())
}

/// ONCS advertises exactly the optional I/O commands and features that there are (NVMe Base 2.0 figure 275). A namespace without LBAs has none of those about
/// LBAs.
pub(super) fn nvm_commands_are_there_as_oncs_says(subject: &mut Subject<'_>) -> Finding {
    let oncs = u32::from(subject.controller.oncs.get());
    let has = |bit: u32| oncs >> bit & 1 != 0;
    ensure!(oncs >> 9 == 0, "ONCS has reserved bits: {oncs:#x}");
    let beyond = subject.size_lbas;
    let expected = |bit, expected| {
        if has(bit) {
            expected
        } else {
            Status::INVALID_COMMAND_OPCODE
        }
    };
    if subject.has_lbas() {
        for (bit, opcode) in ONCS_OF_LBAS {
            let entry = subject.about_lbas(opcode, beyond, 1);
            let status = expected(bit, Status::LBA_OUT_OF_RANGE);
            subject.io_ends(&format!("{opcode:?} beyond the namespace"), entry, status)?;
        }
        let status = Status::LBA_OUT_OF_RANGE;
        subject.fill(&commands::range_list(&[(beyond, 1)]));
        let entry = commands::deallocate(subject.nsid, 1, subject.buffer());
        let what = "Dataset Management beyond the namespace";
        subject.io_ends(what, entry, expected(ONCS_DATASET_MANAGEMENT, status))?;
        subject.fill(&commands::copy_list(&[(beyond, 1)], 0));
        let entry = commands::copy(subject.nsid, 0, 1, 0, subject.buffer());
        subject.io_ends("Copy beyond the namespace", entry, expected(ONCS_COPY, status))?;
    }
    for opcode in RESERVATIONS {
        let entry = with_all_ones(subject, opcode.0);
        let status = subject.io(entry).status();
        ensure!(
            has(ONCS_RESERVATIONS) == (status != Status::INVALID_COMMAND_OPCODE),
            "ONCS is {oncs:#x}, and {opcode:?} ends with {status:?}"
        );
    }
    for (bit, select, feature) in [
        (ONCS_SAVE_AND_SELECT, 3, FeatureId::ARBITRATION),
        (ONCS_TIMESTAMP, 0, FeatureId::TIMESTAMP),
    ] {
        let entry = commands::get_features(feature, select, 0, subject.buffer());
        let status = if has(bit) { SUCCESS } else { INVALID_FIELD };
        subject.admin_ends(&format!("Get Features of {feature:?}"), entry, status)?;
    }
    Ok(())
}

/// LPA advertises exactly the log pages that there are, and whether SMART is had of a namespace (NVMe Base 2.0 figure 275).
pub(super) fn log_pages_are_there_as_lpa_says(subject: &mut Subject<'_>) -> Finding {
    let lpa = u32::from(subject.controller.lpa);
    let supported = subject.log_dwords(LogPageId::SUPPORTED_LOG_PAGES, SUPPORTED_LOG_PAGES_BYTES)?;
    for (bit, logs) in LPA {
        for log in logs {
            let is_supported = supported[usize::from(log.0)] & 1 != 0;
            ensure!(
                is_supported == (lpa >> bit & 1 != 0),
                "LPA is {lpa:#x}, and {log:?} is supported: {is_supported}"
            );
        }
    }
    let entry = commands::get_log_page(LogPageId::SMART_HEALTH, subject.nsid, 0, 512, subject.buffer());
    let expected = if lpa & 1 != 0 { SUCCESS } else { INVALID_FIELD };
    subject.admin_ends("the SMART log of a namespace", entry, expected)?;
    Ok(())
}

/// Compare and Write are one if FUSES says so, and a half alone is refused (NVMe Base 2.0 §3.4.2, NVM CS 1.0 §2.1.1).
pub(super) fn fused_operations_work_as_fuses_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    // Only one of the two can be at the write pointer of a zone.
    applies_if!(
        subject.kind != Kind::Zones,
        "what could be compared in a zone cannot be written again"
    );
    let fused = |entry: SubmissionQueueEntry, flags| SubmissionQueueEntry { flags, ..entry };
    let pattern = subject.pattern(3, 1);
    subject.write(0, &pattern)?;
    let compare = subject.about_lbas(NvmOpcode::COMPARE, 0, 1);
    let write = subject.about_lbas(NvmOpcode::WRITE, 0, 1);
    subject.host.enqueue(1, fused(compare, FUSED_FIRST));
    subject.host.enqueue(1, fused(write, FUSED_SECOND));
    subject.host.ring(1);
    let statuses = [subject.host.wait(1).status(), subject.host.wait(1).status()];
    if subject.controller.fuses.get() & 1 == 0 {
        ensure!(
            statuses == [INVALID_FIELD; 2],
            "FUSES is 0, and a fused pair ends with {statuses:?}"
        );
        return Ok(());
    }
    ensure!(statuses == [SUCCESS; 2], "a fused pair ends with {statuses:?}");
    let missing = Status::COMMAND_ABORTED_MISSING_FUSED;
    subject.io_ends(
        "the first half of a pair, alone",
        fused(compare, FUSED_FIRST),
        missing,
    )?;
    subject.io_ends(
        "the second half of a pair, alone",
        fused(write, FUSED_SECOND),
        missing,
    )?;
    Ok(())
}

/// Data goes through SGLs of each kind that SGLS has, and through no other (NVMe Base 2.0 figure 275, §4.1.2).
pub(super) fn sgls_work_as_sgls_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let sgls = subject.controller.sgls.get();
    let (slba, len) = (subject.fresh_lba(0)?, subject.lba_bytes as u32);
    let pattern = subject.pattern(5, 2);
    subject.write(slba, &pattern)?;
    let read = |subject: &mut Subject<'_>, lbas, first: SglDescriptor, expected, what: &str| {
        subject.fill(&vec![0; 3 * PAGE_BYTES]);
        let entry = commands::read_write(NvmOpcode::READ, subject.nsid, slba, lbas, 0, 0);
        subject.io_ends(what, entry.with_sgl1(first), expected)
    };
    let buffer = subject.buffer();
    if sgls & 0b11 == 0 {
        read(
            subject,
            1,
            sgl::data_block(buffer, len),
            INVALID_FIELD,
            "a read with an SGL",
        )?;
        return Ok(());
    }
    let offset = if sgls & 0b11 == 0b01 { 1 } else { 4 };
    let block = sgl::data_block(buffer + offset as u64, len);
    read(subject, 1, block, SUCCESS, "a read through a Data Block")?;
    let data = subject.data(len as usize + offset);
    ensure!(
        data[offset..] == pattern[..len as usize],
        "a read through a Data Block has other data"
    );
    let longer = if sgls & 1 << 18 != 0 {
        SUCCESS
    } else {
        Status::DATA_SGL_LENGTH_INVALID
    };
    read(
        subject,
        1,
        sgl::data_block(buffer, 2 * len),
        longer,
        "an SGL longer than the data",
    )?;
    let shorter = Status::DATA_SGL_LENGTH_INVALID;
    read(
        subject,
        2,
        sgl::data_block(buffer, len),
        shorter,
        "an SGL shorter than the data",
    )?;
    let invalid = Status::SGL_DESCRIPTOR_TYPE_INVALID;
    let bucket = if sgls & 1 << 16 != 0 { SUCCESS } else { invalid };
    let list = subject
        .host
        .sgl([&[sgl::bit_bucket(len), sgl::data_block(buffer, len)][..]].into_iter());
    read(subject, 2, list, bucket, "a read through a Bit Bucket")?;
    ensure!(
        bucket != SUCCESS || subject.data(len as usize) == pattern[len as usize..],
        "the data behind a Bit Bucket is other data"
    );
    let keyed = SglDescriptor::new(SglDescriptorType(0x4), buffer, len);
    let is_keyed = sgls & 1 << 2 != 0;
    read(
        subject,
        1,
        keyed,
        if is_keyed { SUCCESS } else { invalid },
        "a keyed Data Block",
    )?;
    Ok(())
}

/// Events that OAES has, and no others, can be enabled; a namespace notice comes when it is enabled (NVMe Base 2.0 figure 275, §5.27.1.8).
pub(super) fn events_can_be_enabled_as_oaes_says(subject: &mut Subject<'_>) -> Finding {
    let has_telemetry = subject.controller.lpa & LPA_TELEMETRY != 0;
    let oaes =
        subject.controller.oaes.get() & !(1 << AEC_TELEMETRY) | u32::from(has_telemetry) << AEC_TELEMETRY;
    for bit in 8..32 {
        let feature = FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION;
        let status = subject.set_feature(feature, false, 1 << bit).status();
        let expected = if oaes >> bit & 1 != 0 {
            SUCCESS
        } else {
            INVALID_FIELD
        };
        ensure!(
            status == expected,
            "OAES is {oaes:#x}; enabling event {bit} ends with {status:?}"
        );
    }
    let can_attach = subject.controller.oacs.get() & 1 << 3 != 0;
    if can_attach && oaes >> OAES_NAMESPACE_ATTRIBUTE & 1 != 0 {
        subject.log_dwords(LogPageId::CHANGED_NAMESPACE_LIST, PAGE_BYTES)?;
        let feature = FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION;
        subject.set_feature(feature, false, 1 << OAES_NAMESPACE_ATTRIBUTE);
        attach(subject, NamespaceAttachmentSelect::DETACH)?;
        attach(subject, NamespaceAttachmentSelect::ATTACH)?;
        let request = commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST);
        let cid = subject.host.submit(0, request);
        subject.host.settle();
        let event = subject.host.reap(0);
        let log = u32::from(LogPageId::CHANGED_NAMESPACE_LIST.0);
        let told = event.map(|event| (event.cid.get(), event.dw0.get()));
        ensure!(
            told == Some((cid, log << 16 | 0x02)),
            "no notice of a namespace attached again, but {told:x?}"
        );
        let changed = subject.log_dwords(LogPageId::CHANGED_NAMESPACE_LIST, PAGE_BYTES)?;
        ensure!(
            changed[0] == subject.nsid,
            "the changed namespaces begin with {}",
            changed[0]
        );
    }
    Ok(())
}

/// Reservations of the types that RESCAP has, and of no others, can be had; persistence can be asked for if RESCAP has it (NVMe Base 2.0 figure 280, §7.2 to
/// §7.5).
pub(super) fn reservations_work_as_rescap_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(
        subject.controller.oncs.get() >> ONCS_RESERVATIONS & 1 != 0,
        "the controller has no reservations"
    );
    const KEY: u64 = 0x1122_3344_5566_7788;
    let independent = subject.identify(
        IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
        subject.nsid,
        subject.command_set,
    )?;
    let rescap = u32::from(independent[2]);
    subject.fill(&[7; 16]);
    let status = subject.set_feature(FeatureId::HOST_IDENTIFIER, false, 1).status();
    ensure!(status == SUCCESS, "the host identifier cannot be set: {status:?}");
    let send = |subject: &mut Subject<'_>, opcode, cdw10, keys: [u64; 2], expected| {
        subject.fill(&[keys[0].to_le_bytes(), keys[1].to_le_bytes()].concat());
        let entry = commands::reservation(opcode, subject.nsid, cdw10, subject.buffer());
        subject.io_ends(&format!("{opcode:?} with dword 10 = {cdw10:#x}"), entry, expected)
    };
    let when = |has| if has { SUCCESS } else { INVALID_FIELD };
    send(subject, NvmOpcode::RESERVATION_REGISTER, 0, [0, KEY], SUCCESS)?;
    for kind in 1..=6 {
        let is_there = rescap >> kind & 1 != 0;
        send(
            subject,
            NvmOpcode::RESERVATION_ACQUIRE,
            kind << 8,
            [KEY, 0],
            when(is_there),
        )?;
        let entry = commands::reservation_report(subject.nsid, 64, true, subject.buffer());
        subject.io_ends("a reservation report", entry, SUCCESS)?;
        let reported = u32::from(subject.data(5)[4]);
        ensure!(
            reported == if is_there { kind } else { 0 },
            "a reservation of type {kind} is reported as {reported}"
        );
        if is_there {
            send(
                subject,
                NvmOpcode::RESERVATION_RELEASE,
                kind << 8,
                [KEY, 0],
                SUCCESS,
            )?;
        }
    }
    for kind in [0, 7, 0xFF] {
        send(
            subject,
            NvmOpcode::RESERVATION_ACQUIRE,
            kind << 8,
            [KEY, 0],
            INVALID_FIELD,
        )?;
    }
    let (set, clear) = (0b11 << 30, 0b10 << 30);
    send(
        subject,
        NvmOpcode::RESERVATION_REGISTER,
        set | 2,
        [KEY, KEY],
        when(rescap & 1 != 0),
    )?;
    send(
        subject,
        NvmOpcode::RESERVATION_REGISTER,
        clear | 2,
        [KEY, KEY],
        SUCCESS,
    )?;
    let other = [KEY + 1, 0];
    send(
        subject,
        NvmOpcode::RESERVATION_REGISTER,
        1,
        other,
        Status::RESERVATION_CONFLICT,
    )?;
    send(subject, NvmOpcode::RESERVATION_REGISTER, 1, [KEY, 0], SUCCESS)?;
    Ok(())
}
