//! Taking admin commands apart, and what holds for all of them.

use nvme_spec::*;
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::AdminCommand as Command;
use super::*;
use crate::admin::directives::DirectivePage;
use crate::admin::identify_request::Structure;
use crate::admin::io_queues::QueueToCreate;
use crate::admin::state::feature_table::FEATURES;
use crate::admin::table::ADMIN_COMMANDS;
use crate::admin::test_drive::TestDrive;
use crate::data_pointer::DataPointer;
use crate::erase::ErasePattern;

fn parsed(entry: &SubmissionQueueEntry) -> Result<Command, Status> {
    Command::parse(entry)
}

fn command(opcode: AdminOpcode) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: opcode.0,
        ..Default::default()
    }
}

proptest! {
    /// Total: whatever the entry, there is a command or a status; and that is of the opcode if and only if no row has it.
    #[test]
    fn any_entry_is_a_command_or_has_a_status(bytes: [u8; 64], row in 0..ADMIN_COMMANDS.len(), is_known: bool) {
        let mut entry = SubmissionQueueEntry::read_from_bytes(&bytes).unwrap();
        if is_known {
            entry.opcode = ADMIN_COMMANDS[row].opcode.0;
        }
        let has_row = ADMIN_COMMANDS.iter().any(|row| row.opcode.0 == entry.opcode);
        match parsed(&entry) {
            Ok(_) => prop_assert!(has_row),
            Err(Status::INVALID_COMMAND_OPCODE) => prop_assert!(!has_row),
            Err(Status::FEATURE_IDENTIFIER_NOT_SAVEABLE) => {
                prop_assert_eq!(entry.opcode, AdminOpcode::SET_FEATURES.0);
            }
            Err(status) => prop_assert_eq!(status, Status::INVALID_FIELD_IN_COMMAND),
        }
    }

    /// Pure: nothing but the fields that the command has makes a difference.
    #[test]
    fn what_is_no_field_of_the_command_makes_no_difference(bytes: [u8; 64], row in 0..ADMIN_COMMANDS.len(), cid: u16) {
        let mut entry = SubmissionQueueEntry::read_from_bytes(&bytes).unwrap();
        entry.opcode = ADMIN_COMMANDS[row].opcode.0;
        entry.flags = 0;
        let other = SubmissionQueueEntry {
            cid: cid.into(),
            cdw2: 0.into(),
            cdw3: 0.into(),
            mptr: 0.into(),
            cdw15: 0.into(),
            ..entry
        };
        let (one, other) = (parsed(&entry), parsed(&other));
        prop_assert_eq!(alloc::format!("{one:?}"), alloc::format!("{other:?}"));
    }

    #[test]
    fn queues_are_taken_apart(qid: u16, entries_z: u16, number: u16, base: u64, flags: [bool; 2]) {
        let [is_contiguous, has_interrupts] = flags;
        let cdw10 = Cdw10Queue::default().with_qid(qid).with_entries_z(entries_z).0.into();
        let queue = QueueToCreate { qid, entries_z, base, is_contiguous };
        let cdw11 = Cdw11CreateIoCompletionQueue::default()
            .with_is_contiguous(is_contiguous)
            .with_interrupts_enabled(has_interrupts)
            .with_vector(number);
        let entry = SubmissionQueueEntry {
            prp1: base.into(),
            cdw10,
            cdw11: cdw11.0.into(),
            ..command(AdminOpcode::CREATE_IO_COMPLETION_QUEUE)
        };
        let expected = CreateIoCompletionQueue { queue, vector: number, has_interrupts };
        prop_assert!(matches!(parsed(&entry), Ok(Command::CreateIoCompletionQueue(found)) if found == expected));
        let cdw11 = Cdw11CreateIoSubmissionQueue::default().with_is_contiguous(is_contiguous).with_cqid(number);
        let entry = SubmissionQueueEntry {
            opcode: AdminOpcode::CREATE_IO_SUBMISSION_QUEUE.0,
            cdw11: cdw11.0.into(),
            ..entry
        };
        let expected = CreateIoSubmissionQueue { queue, cqid: number };
        prop_assert!(matches!(parsed(&entry), Ok(Command::CreateIoSubmissionQueue(found)) if found == expected));
        let entry = SubmissionQueueEntry { opcode: AdminOpcode::DELETE_IO_SUBMISSION_QUEUE.0, ..entry };
        let found = parsed(&entry);
        prop_assert!(matches!(found, Ok(Command::DeleteIoSubmissionQueue { sqid }) if sqid == qid), "{found:?}");
        let entry = SubmissionQueueEntry { opcode: AdminOpcode::DELETE_IO_COMPLETION_QUEUE.0, ..entry };
        let found = parsed(&entry);
        prop_assert!(matches!(found, Ok(Command::DeleteIoCompletionQueue { cqid }) if cqid == qid), "{found:?}");
        let entry = SubmissionQueueEntry {
            cdw10: Cdw10Abort::default().with_sqid(qid).with_cid(number).0.into(),
            ..command(AdminOpcode::ABORT)
        };
        let expected = Abort { sqid: qid, cid: number };
        prop_assert!(matches!(parsed(&entry), Ok(Command::Abort(found)) if found == expected));
    }

    #[test]
    fn log_pages_are_taken_apart(log: u8, specific in 0u8..128, set: u8, offset: u64, dwords_z: u32, nsid: u32, rae: bool) {
        let (cdw10, cdw11) = number_of_dwords_z(dwords_z);
        let cdw10 = cdw10.with_log(LogPageId(log)).with_specific(specific).with_retains_event(rae);
        let cdw14 = Cdw14GetLogPage::default().with_command_set(CommandSet(set));
        let entry = SubmissionQueueEntry {
            nsid: nsid.into(),
            cdw10: cdw10.0.into(),
            cdw11: cdw11.0.into(),
            cdw12: (offset as u32).into(),
            cdw13: ((offset >> 32) as u32).into(),
            cdw14: cdw14.0.into(),
            ..command(AdminOpcode::GET_LOG_PAGE)
        };
        let expected = GetLogPage {
            nsid,
            log: LogPageId(log),
            specific,
            command_set: CommandSet(set),
            offset,
            dwords_z,
            retains_event: rae,
            pointer: DataPointer::NONE,
        };
        match parsed(&entry) {
            Ok(Command::GetLogPage(found)) => prop_assert!(offset % 4 == 0 && found == expected),
            other => prop_assert!(offset % 4 != 0 && matches!(other, Err(Status::INVALID_FIELD_IN_COMMAND))),
        }
        let of_uuid = SubmissionQueueEntry { cdw14: cdw14.with_uuid_index(1).0.into(), cdw12: 0.into(), ..entry };
        prop_assert_eq!(parsed(&of_uuid).err(), Some(Status::INVALID_FIELD_IN_COMMAND));
        let of_index = SubmissionQueueEntry { cdw14: cdw14.with_offset_is_index(true).0.into(), cdw12: 0.into(), ..entry };
        prop_assert_eq!(parsed(&of_index).err(), Some(Status::INVALID_FIELD_IN_COMMAND));
    }

    #[test]
    fn features_are_taken_apart(id: u8, select in 0u8..8, is_saved: bool, nsid: u32, value: u32, prp1: u64) {
        let row = FEATURES.iter().find(|row| row.id.0 == id);
        let cdw10 = Cdw10GetFeatures::default().with_feature(FeatureId(id)).with_select(FeatureSelect(select));
        let entry = SubmissionQueueEntry {
            nsid: nsid.into(),
            prp1: prp1.into(),
            cdw10: cdw10.0.into(),
            cdw11: value.into(),
            ..command(AdminOpcode::GET_FEATURES)
        };
        match parsed(&entry) {
            Ok(Command::GetFeatures(found)) => {
                prop_assert!(row.is_some_and(|row| row.id == found.row.id) && select < 4);
                prop_assert_eq!((found.select.0, found.nsid, found.cdw11), (select, nsid, value));
                prop_assert_eq!(found.pointer, DataPointer::of(&entry));
            }
            other => {
                prop_assert!(row.is_none() || select >= 4);
                prop_assert_eq!(other.err(), Some(Status::INVALID_FIELD_IN_COMMAND));
            }
        }
        let cdw10 = Cdw10SetFeatures::default().with_feature(FeatureId(id)).with_is_saved(is_saved);
        let entry = SubmissionQueueEntry {
            opcode: AdminOpcode::SET_FEATURES.0,
            cdw10: cdw10.0.into(),
            ..entry
        };
        match (parsed(&entry), row) {
            (Ok(Command::SetFeatures(found)), Some(row)) => {
                prop_assert!(row.capabilities().saveable || !is_saved);
                prop_assert_eq!((found.row.id, found.is_saved, found.nsid), (row.id, is_saved, nsid));
                prop_assert_eq!((found.cdw10, found.cdw11), (cdw10.0, value));
            }
            (Err(Status::FEATURE_IDENTIFIER_NOT_SAVEABLE), Some(row)) => {
                prop_assert!(!row.capabilities().saveable && is_saved);
            }
            (other, _) => {
                prop_assert!(row.is_none());
                prop_assert_eq!(other.err(), Some(Status::INVALID_FIELD_IN_COMMAND));
            }
        }
    }

    #[test]
    fn what_erases_is_taken_apart(nsid: u32, cdw10: u32, pattern: u32, action in 0u8..8, passes in 0u8..16, flags: [bool; 2]) {
        let entry = SubmissionQueueEntry {
            nsid: nsid.into(),
            cdw10: cdw10.into(),
            ..command(AdminOpcode::FORMAT_NVM)
        };
        let expected = FormatNvm { nsid, cdw10: Cdw10Format(cdw10) };
        prop_assert!(matches!(parsed(&entry), Ok(Command::FormatNvm(found)) if found == expected));
        let [inverts, keeps_allocated] = flags;
        let cdw10 = Cdw10Sanitize::default()
            .with_action(SanitizeAction(action))
            .with_passes(passes)
            .with_inverts_pattern(inverts)
            .with_keeps_allocated(keeps_allocated);
        let entry = SubmissionQueueEntry {
            cdw10: cdw10.0.into(),
            cdw11: pattern.into(),
            ..command(AdminOpcode::SANITIZE)
        };
        let count = if passes == 0 { 16 } else { passes.into() };
        let overwrite = ErasePattern { pattern, count, inverts, deallocates: !keeps_allocated };
        let expected = match action {
            1 => Some((None, 0)),
            2 | 4 => Some((Some(ErasePattern::ZEROS), 0)),
            3 => Some((Some(overwrite), count)),
            _ => None,
        };
        match parsed(&entry) {
            Ok(Command::Sanitize(found)) => {
                prop_assert_eq!(Some((found.pattern, found.overwrite_passes)), expected);
                prop_assert_eq!((found.cdw10, found.cdw11), (cdw10, pattern));
            }
            other => {
                prop_assert!(expected.is_none());
                prop_assert_eq!(other.err(), Some(Status::INVALID_FIELD_IN_COMMAND));
            }
        }
    }

    #[test]
    fn directives_are_taken_apart(operation: u8, kind in 0u8..4, id: u16, target in 0u8..4, enables: bool, wanted: u16, dwords_z: u32) {
        let cdw11 = Cdw11Directive::default()
            .with_operation(operation)
            .with_kind(DirectiveType(kind))
            .with_specific(id);
        let cdw12 = Cdw12EnableDirective::default().with_kind(DirectiveType(target)).with_is_enabled(enables);
        let send = SubmissionQueueEntry {
            cdw11: cdw11.0.into(),
            cdw12: cdw12.0.into(),
            ..command(AdminOpcode::DIRECTIVE_SEND)
        };
        let expected = match (kind, operation) {
            (0, 1) if target == 1 => Ok(DirectiveSend::EnableStreams(enables)),
            (1, 1) => Ok(DirectiveSend::ReleaseStream(core::num::NonZeroU16::new(id))),
            (1, 2) => Ok(DirectiveSend::ReleaseStreamResources),
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        let found = parsed(&send).map(|found| match found {
            Command::DirectiveSend { directive, .. } => Some(directive),
            _ => None,
        });
        prop_assert_eq!(found, expected.map(Some));
        let receive = SubmissionQueueEntry {
            opcode: AdminOpcode::DIRECTIVE_RECEIVE.0,
            cdw10: dwords_z.into(),
            cdw12: Cdw12AllocateStreams::default().with_requested(wanted).0.into(),
            ..send
        };
        let page = |page| Ok(DirectiveReceive::Page { page, dwords_z, pointer: DataPointer::NONE });
        let expected = match (kind, operation) {
            (0, _) => page(DirectivePage::Directives(IdentifyDirectiveOperation(operation))),
            (1, 1) => page(DirectivePage::StreamsParameters),
            (1, 2) => page(DirectivePage::StreamsStatus),
            (1, 3) => Ok(DirectiveReceive::AllocateStreams(wanted)),
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        let found = parsed(&receive).map(|found| match found {
            Command::DirectiveReceive { directive, .. } => Some(directive),
            _ => None,
        });
        prop_assert_eq!(found, expected.map(Some));
    }

    #[test]
    fn the_rest_is_taken_apart(nsid: u32, number: u32, small in 0u8..8, slba: u64, lbas: u16, prps: [u64; 2]) {
        let [prp1, prp2] = prps;
        let base = SubmissionQueueEntry { nsid: nsid.into(), prp1: prp1.into(), prp2: prp2.into(), ..Default::default() };
        let pointer = DataPointer::of(&base);
        let of = |opcode: AdminOpcode, cdw10: u32| SubmissionQueueEntry { opcode: opcode.0, cdw10: cdw10.into(), ..base };

        let entry = of(AdminOpcode::DEVICE_SELF_TEST, Cdw10DeviceSelfTest::default().with_code(SelfTestCode(small)).0);
        let expected = DeviceSelfTest { nsid, code: SelfTestCode(small) };
        prop_assert!(matches!(parsed(&entry), Ok(Command::DeviceSelfTest(found)) if found == expected));

        let cdw10 = Cdw10FirmwareCommit::default().with_slot(small).with_action(FirmwareCommitAction(7 - small));
        let entry = of(AdminOpcode::FIRMWARE_COMMIT, cdw10.0);
        let expected = FirmwareCommit { slot: small, action: FirmwareCommitAction(7 - small) };
        prop_assert!(matches!(parsed(&entry), Ok(Command::FirmwareCommit(found)) if found == expected));

        let entry = SubmissionQueueEntry { cdw11: (number ^ 1).into(), ..of(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD, number) };
        let expected = FirmwareImageDownload { dwords_z: number, offset_dwords: number ^ 1, pointer };
        prop_assert!(matches!(parsed(&entry), Ok(Command::FirmwareImageDownload(found)) if found == expected));

        let cdw10 = Cdw10NamespaceAttachment::default().with_select(NamespaceAttachmentSelect(small));
        let entry = of(AdminOpcode::NAMESPACE_ATTACHMENT, cdw10.0);
        let expected = NamespaceAttachment { nsid, select: NamespaceAttachmentSelect(small), pointer };
        prop_assert!(matches!(parsed(&entry), Ok(Command::NamespaceAttachment(found)) if found == expected));

        let cdw11 = Cdw11NamespaceManagement::default().with_command_set(CommandSet(small));
        let entry = SubmissionQueueEntry { cdw11: cdw11.0.into(), ..of(AdminOpcode::NAMESPACE_MANAGEMENT, number) };
        let expected = NamespaceManagement {
            nsid,
            cdw10: Cdw10NamespaceManagement(number),
            command_set: CommandSet(small),
            pointer,
        };
        prop_assert!(matches!(parsed(&entry), Ok(Command::NamespaceManagement(found)) if found == expected));

        let cdw13 = Cdw13GetLbaStatus::default().with_lbas(lbas);
        for (action, is_known) in [(LbaStatusAction::SCAN, true), (LbaStatusAction::TRACKED, true), (LbaStatusAction(small), false)] {
            let entry = SubmissionQueueEntry {
                cdw12: number.into(),
                cdw13: cdw13.with_action(action).0.into(),
                ..of(AdminOpcode::GET_LBA_STATUS, 0).with_slba(slba)
            };
            let expected = GetLbaStatus { nsid, slba, lbas, dwords_z: number, pointer };
            match parsed(&entry) {
                Ok(Command::GetLbaStatus(found)) => prop_assert!(is_known && found == expected),
                other => prop_assert!(!is_known && matches!(other, Err(Status::INVALID_FIELD_IN_COMMAND))),
            }
        }

        let is_page = |address: u64| address % 4096 == 0;
        let found = parsed(&of(AdminOpcode::DOORBELL_BUFFER_CONFIG, 0));
        prop_assert!(is_page(prp1) && is_page(prp2) || matches!(found, Err(Status::INVALID_FIELD_IN_COMMAND)));
        let (shadows, event_indices) = (prp1 & !0xFFF, (prp1 & !0xFFF) ^ 0x1000);
        let entry = SubmissionQueueEntry {
            prp1: shadows.into(),
            prp2: event_indices.into(),
            ..of(AdminOpcode::DOORBELL_BUFFER_CONFIG, 0)
        };
        let found = parsed(&entry);
        prop_assert!(matches!(found, Ok(Command::DoorbellBufferConfig(found))
            if (found.shadows, found.event_indices) == (shadows, event_indices)));
        let one_page = SubmissionQueueEntry { prp2: shadows.into(), ..entry };
        prop_assert_eq!(parsed(&one_page).err(), Some(Status::INVALID_FIELD_IN_COMMAND));
    }
}

/// Structures by CNS, and what each takes from the command (NVMe Base 2.0 figure 273).
#[test]
fn identify_is_taken_apart() {
    let identify = |cns: u8, nsid: u32, controller_id: u16, format_index: u16| {
        let cdw10 = Cdw10Identify::default()
            .with_cns(IdentifyCns(cns))
            .with_controller_id(controller_id);
        let cdw11 = Cdw11Identify::default()
            .with_specific(format_index)
            .with_command_set(CommandSet::ZONED);
        let entry = SubmissionQueueEntry {
            nsid: nsid.into(),
            cdw10: cdw10.0.into(),
            cdw11: cdw11.0.into(),
            ..command(AdminOpcode::IDENTIFY)
        };
        match parsed(&entry) {
            Ok(Command::Identify(found)) => Ok(found.structure),
            other => Err(other.err()),
        }
    };
    let command_set = CommandSet::ZONED;
    let list = |command_set, may_be_detached| Structure::NamespaceList {
        after: 7,
        command_set,
        may_be_detached,
    };
    let expected = [
        (
            0x00,
            Structure::Namespace {
                nsid: 7,
                may_be_detached: false,
            },
        ),
        (0x01, Structure::Controller),
        (0x02, list(None, false)),
        (0x03, Structure::NamespaceDescriptors { nsid: 7 }),
        (
            0x05,
            Structure::CommandSetNamespace {
                nsid: 7,
                command_set,
                may_be_detached: false,
            },
        ),
        (0x06, Structure::CommandSetController { command_set }),
        (0x07, list(Some(command_set), false)),
        (0x08, Structure::IndependentNamespace { nsid: 7 }),
        (0x09, Structure::CommonNamespace),
        (0x0A, Structure::CommandSetFormat { command_set }),
        (0x10, list(None, true)),
        (
            0x11,
            Structure::Namespace {
                nsid: 7,
                may_be_detached: true,
            },
        ),
        (
            0x12,
            Structure::ControllerList {
                first: 0,
                nsid: Some(7),
            },
        ),
        (0x13, Structure::ControllerList { first: 0, nsid: None }),
        (0x16, Structure::NamespaceGranularityList),
        (0x1A, list(Some(command_set), true)),
        (
            0x1B,
            Structure::CommandSetNamespace {
                nsid: 7,
                command_set,
                may_be_detached: true,
            },
        ),
        (0x1C, Structure::CommandSetCombinations),
    ];
    let refused = Err(Some(Status::INVALID_FIELD_IN_COMMAND));
    for cns in 0..=0xFF {
        let structure = expected.iter().find(|(known, _)| *known == cns);
        let found = identify(cns, 7, 0, 1);
        assert_eq!(
            found,
            structure.map_or(refused, |(_, structure)| Ok(*structure)),
            "CNS {cns:#04x}"
        );
    }
    assert_eq!(
        identify(0x00, NSID_BROADCAST, 0, 0),
        Ok(Structure::CommonNamespace)
    );
    assert_eq!(identify(0x09, 7, 0, 2), refused, "there are two formats");
    assert_eq!(identify(0x0A, 7, 0, 2), refused);
    assert_eq!(
        identify(0x13, 7, 3, 0),
        Ok(Structure::ControllerList { first: 3, nsid: None })
    );
    assert_eq!(
        identify(0x1C, 7, 0xFFFF, 0),
        Ok(Structure::CommandSetCombinations)
    );
    assert_eq!(identify(0x1C, 7, 1, 0), refused, "another controller");
}

#[test]
fn fused_commands_and_sgls_are_refused() {
    let mut drive = TestDrive::new();
    // FUSE and PSDT are bits 1:0 and 7:6 (NVMe Base 2.0 figure 87).
    for flags in [0b01, 0b10, 0b11, 0b01 << 6, 0b10 << 6, 0b11 << 6] {
        let entry = SubmissionQueueEntry {
            flags,
            ..command(AdminOpcode::ABORT)
        };
        let (core, memory) = drive.parts();
        let refused = execute(core, &entry, 0, memory);
        assert_eq!(
            refused.err(),
            Some(Status::INVALID_FIELD_IN_COMMAND),
            "{flags:#04x}"
        );
    }
}

/// NVMe Base 2.0 §8.21 lists the admin commands that a sanitize operation allows.
#[test]
fn a_sanitize_operation_allows_some_commands() {
    let mut drive = TestDrive::new();
    let (core, memory) = drive.parts();
    let sanitize = SubmissionQueueEntry {
        cdw10: Cdw10Sanitize::default()
            .with_action(SanitizeAction::BLOCK_ERASE)
            .0
            .into(),
        ..command(AdminOpcode::SANITIZE)
    };
    assert!(execute(core, &sanitize, 0, memory).is_ok());
    assert_eq!(
        execute(core, &sanitize, 0, memory).err(),
        Some(Status::SANITIZE_IN_PROGRESS)
    );
    for opcode in (0..=0xFF).filter(|&opcode| opcode != AdminOpcode::SANITIZE.0) {
        let entry = SubmissionQueueEntry {
            opcode,
            ..Default::default()
        };
        let refused = execute(core, &entry, 0, memory).err();
        let is_allowed = matches!(
            AdminOpcode(opcode),
            AdminOpcode::DELETE_IO_SUBMISSION_QUEUE
                | AdminOpcode::CREATE_IO_SUBMISSION_QUEUE
                | AdminOpcode::GET_LOG_PAGE
                | AdminOpcode::DELETE_IO_COMPLETION_QUEUE
                | AdminOpcode::CREATE_IO_COMPLETION_QUEUE
                | AdminOpcode::IDENTIFY
                | AdminOpcode::ABORT
                | AdminOpcode::SET_FEATURES
                | AdminOpcode::GET_FEATURES
                | AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST
        );
        let is_known = table::admin_command(core, opcode).is_some();
        if is_known && !is_allowed {
            assert_eq!(
                refused,
                Some(Status::SANITIZE_IN_PROGRESS),
                "opcode {opcode:#04x}"
            );
        } else if is_known {
            assert_ne!(
                refused,
                Some(Status::SANITIZE_IN_PROGRESS),
                "opcode {opcode:#04x}"
            );
        } else {
            assert_eq!(
                refused,
                Some(Status::INVALID_COMMAND_OPCODE),
                "opcode {opcode:#04x}"
            );
        }
    }
}
