//! Submission queue entries as a driver builds them. Everything that a test may want to get wrong is a public field of the result.
//!
//! The dwords are put together here from the bit positions of the specification, not with the typed dwords of `nvme-spec`, which the device
//! reads them with: a field that is in the wrong place there does not go unnoticed.

use nvme_spec::{
    AdminOpcode, CopyDescriptorFormat0, CopyDescriptorFormat1, DatasetRange, DirectiveType, FeatureId,
    IdentifyCns, LogPageId, NamespaceAttachmentSelect, NamespaceManagementSelect, NvmOpcode,
    SubmissionQueueEntry, ZoneReceiveAction, ZoneSendAction,
};
use zerocopy::IntoBytes;

/// An admin command without arguments.
pub fn admin(opcode: AdminOpcode) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: opcode.0,
        ..Default::default()
    }
}

/// Identify into the page at `address`.
pub fn identify(cns: IdentifyCns, nsid: u32, csi: u8, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: nsid.into(),
        prp1: address.into(),
        cdw10: u32::from(cns.0).into(),
        cdw11: (u32::from(csi) << 24).into(),
        ..admin(AdminOpcode::IDENTIFY)
    }
}

/// Get Log Page: `len_bytes` (a multiple of 4) from `offset`.
pub fn get_log_page(
    log: LogPageId,
    nsid: u32,
    offset: u64,
    len_bytes: u32,
    address: u64,
) -> SubmissionQueueEntry {
    let dwords_z = len_bytes / 4 - 1;
    SubmissionQueueEntry {
        nsid: nsid.into(),
        prp1: address.into(),
        prp2: (address & !0xFFF).wrapping_add(0x1000).into(),
        cdw10: (u32::from(log.0) | (dwords_z & 0xFFFF) << 16).into(),
        cdw11: (dwords_z >> 16).into(),
        cdw12: (offset as u32).into(),
        cdw13: ((offset >> 32) as u32).into(),
        ..admin(AdminOpcode::GET_LOG_PAGE)
    }
}

/// Format NVM with a format and a secure erase setting.
pub fn format_nvm(nsid: u32, format_index: u32, secure_erase: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: nsid.into(),
        cdw10: (format_index & 0xF | secure_erase << 9 | format_index >> 4 << 12).into(),
        ..admin(AdminOpcode::FORMAT_NVM)
    }
}

/// Namespace Management, create: the data at `address` says what.
pub fn create_namespace(csi: u8, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: address.into(),
        cdw11: (u32::from(csi) << 24).into(),
        ..admin(AdminOpcode::NAMESPACE_MANAGEMENT)
    }
}

/// Namespace Management, delete.
pub fn delete_namespace(nsid: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: nsid.into(),
        cdw10: u32::from(NamespaceManagementSelect::DELETE.0).into(),
        ..admin(AdminOpcode::NAMESPACE_MANAGEMENT)
    }
}

/// Namespace Attachment: `select` for the controllers listed at `address`.
pub fn attach_namespace(nsid: u32, select: NamespaceAttachmentSelect, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: nsid.into(),
        prp1: address.into(),
        cdw10: u32::from(select.0).into(),
        ..admin(AdminOpcode::NAMESPACE_ATTACHMENT)
    }
}

/// Get Features.
pub fn get_features(feature: FeatureId, select: u8, cdw11: u32, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: address.into(),
        cdw10: (u32::from(feature.0) | u32::from(select) << 8).into(),
        cdw11: cdw11.into(),
        ..admin(AdminOpcode::GET_FEATURES)
    }
}

/// Set Features.
pub fn set_features(feature: FeatureId, is_saved: bool, cdw11: u32, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: address.into(),
        cdw10: (u32::from(feature.0) | u32::from(is_saved) << 31).into(),
        cdw11: cdw11.into(),
        ..admin(AdminOpcode::SET_FEATURES)
    }
}

/// Create I/O Completion Queue with interrupts.
pub fn create_cq(cqid: u16, entries: u32, vector: u16, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: address.into(),
        cdw10: (u32::from(cqid) | entries.wrapping_sub(1) << 16).into(),
        cdw11: (u32::from(vector) << 16 | 0b11).into(),
        ..admin(AdminOpcode::CREATE_IO_COMPLETION_QUEUE)
    }
}

/// Create I/O Submission Queue.
pub fn create_sq(sqid: u16, cqid: u16, entries: u32, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: address.into(),
        cdw10: (u32::from(sqid) | entries.wrapping_sub(1) << 16).into(),
        cdw11: (u32::from(cqid) << 16 | 0b1).into(),
        ..admin(AdminOpcode::CREATE_IO_SUBMISSION_QUEUE)
    }
}

/// Doorbell Buffer Config.
pub fn doorbell_buffer_config(shadows: u64, event_indices: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp1: shadows.into(),
        prp2: event_indices.into(),
        ..admin(AdminOpcode::DOORBELL_BUFFER_CONFIG)
    }
}

/// Directive Send: operation `operation` of the directive `kind`.
pub fn directive_send(
    nsid: u32,
    kind: DirectiveType,
    operation: u8,
    specific: u16,
    cdw12: u32,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        nsid: nsid.into(),
        cdw11: (u32::from(operation) | u32::from(kind.0) << 8 | u32::from(specific) << 16).into(),
        cdw12: cdw12.into(),
        ..admin(AdminOpcode::DIRECTIVE_SEND)
    }
}

/// Directive Receive of `len_bytes` (a multiple of 4) into two pages at `address`.
pub fn directive_receive(
    nsid: u32,
    kind: DirectiveType,
    operation: u8,
    cdw12: u32,
    len_bytes: u32,
    address: u64,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: AdminOpcode::DIRECTIVE_RECEIVE.0,
        prp1: address.into(),
        prp2: (address & !0xFFF).wrapping_add(0x1000).into(),
        cdw10: (len_bytes / 4).wrapping_sub(1).into(),
        ..directive_send(nsid, kind, operation, 0, cdw12)
    }
}

/// The write `entry` with a directive.
pub fn directed(entry: SubmissionQueueEntry, kind: DirectiveType, specific: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        cdw12: (entry.cdw12.get() | u32::from(kind.0 & 0xF) << 20).into(),
        cdw13: (u32::from(specific) << 16).into(),
        ..entry
    }
}

/// Delete I/O Submission or Completion Queue.
pub fn delete_queue(opcode: AdminOpcode, qid: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        cdw10: u32::from(qid).into(),
        ..admin(opcode)
    }
}

/// Abort.
pub fn abort(sqid: u16, cid: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        cdw10: (u32::from(sqid) | u32::from(cid) << 16).into(),
        ..admin(AdminOpcode::ABORT)
    }
}

/// Read or Write of `lbas` (at least 1) from `slba`.
pub fn read_write(
    opcode: NvmOpcode,
    nsid: u32,
    slba: u64,
    lbas: u32,
    prp1: u64,
    prp2: u64,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: opcode.0,
        nsid: nsid.into(),
        prp1: prp1.into(),
        prp2: prp2.into(),
        cdw10: (slba as u32).into(),
        cdw11: ((slba >> 32) as u32).into(),
        cdw12: (lbas.wrapping_sub(1) & 0xFFFF).into(),
        ..Default::default()
    }
}

/// Write Zeroes of `lbas` (at least 1) from `slba`.
pub fn write_zeroes(nsid: u32, slba: u64, lbas: u32, deallocate: bool) -> SubmissionQueueEntry {
    let entry = read_write(NvmOpcode::WRITE_ZEROES, nsid, slba, lbas, 0, 0);
    SubmissionQueueEntry {
        cdw12: (entry.cdw12.get() | u32::from(deallocate) << 25).into(),
        ..entry
    }
}

/// Dataset Management: deallocates the `ranges` (at least 1) in the list at `prp1`.
pub fn deallocate(nsid: u32, ranges: u32, prp1: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: NvmOpcode::DATASET_MANAGEMENT.0,
        nsid: nsid.into(),
        prp1: prp1.into(),
        cdw10: (ranges.wrapping_sub(1) & 0xFF).into(),
        cdw11: (1 << 2).into(),
        ..Default::default()
    }
}

/// The list of ranges, each a starting LBA and a number of LBAs, as Dataset Management reads it.
pub fn range_list(ranges: &[(u64, u32)]) -> Vec<u8> {
    let ranges = ranges.iter().map(|&(slba, lbas)| DatasetRange {
        slba: slba.into(),
        lbas: lbas.into(),
        ..Default::default()
    });
    ranges.flat_map(|range| range.as_bytes().to_vec()).collect()
}

/// Copy of the ranges (at least 1) in the list at `prp1`, in descriptor format `format`, to `sdlba`.
pub fn copy(nsid: u32, sdlba: u64, ranges: u32, format: u8, prp1: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: NvmOpcode::COPY.0,
        nsid: nsid.into(),
        prp1: prp1.into(),
        cdw10: (sdlba as u32).into(),
        cdw11: ((sdlba >> 32) as u32).into(),
        cdw12: (ranges.wrapping_sub(1) & 0xFF | u32::from(format) << 8).into(),
        ..Default::default()
    }
}

/// The list of ranges, each a starting LBA and a number of LBAs (at least 1), as Copy reads it in descriptor format 0 or 1.
pub fn copy_list(ranges: &[(u64, u32)], format: u8) -> Vec<u8> {
    let descriptors = ranges.iter().map(|&(slba, lbas)| {
        let nlb_z = ((lbas - 1) as u16).into();
        let slba = slba.into();
        if format == 0 {
            let descriptor = CopyDescriptorFormat0 {
                slba,
                nlb_z,
                ..Default::default()
            };
            descriptor.as_bytes().to_vec()
        } else {
            let descriptor = CopyDescriptorFormat1 {
                slba,
                nlb_z,
                ..Default::default()
            };
            descriptor.as_bytes().to_vec()
        }
    });
    descriptors.flatten().collect()
}

/// Reservation Register, Acquire or Release, with the keys at `address`.
pub fn reservation(opcode: NvmOpcode, nsid: u32, cdw10: u32, address: u64) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: opcode.0,
        nsid: nsid.into(),
        prp1: address.into(),
        cdw10: cdw10.into(),
        ..Default::default()
    }
}

/// Reservation Report of `len_bytes` (a multiple of 4) into two pages at `address`.
pub fn reservation_report(
    nsid: u32,
    len_bytes: u32,
    is_extended: bool,
    address: u64,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        prp2: (address & !0xFFF).wrapping_add(0x1000).into(),
        cdw11: u32::from(is_extended).into(),
        ..reservation(
            NvmOpcode::RESERVATION_REPORT,
            nsid,
            (len_bytes / 4).wrapping_sub(1),
            address,
        )
    }
}

/// Flush.
pub fn flush(nsid: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: NvmOpcode::FLUSH.0,
        nsid: nsid.into(),
        ..Default::default()
    }
}

/// Zone Management Send: `action` on the zone that begins at `zslba`, or on all.
pub fn zone_send(nsid: u32, zslba: u64, action: ZoneSendAction, select_all: bool) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: NvmOpcode::ZONE_MANAGEMENT_SEND.0,
        nsid: nsid.into(),
        cdw10: (zslba as u32).into(),
        cdw11: ((zslba >> 32) as u32).into(),
        cdw13: (u32::from(action.0) | u32::from(select_all) << 8).into(),
        ..Default::default()
    }
}

/// Zone Management Receive: a report of zones from `slba` on, of `len_bytes` (a multiple of 4), into two pages at `address`.
pub fn zone_receive(
    nsid: u32,
    slba: u64,
    action: ZoneReceiveAction,
    option: u8,
    is_partial: bool,
    len_bytes: u32,
    address: u64,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: NvmOpcode::ZONE_MANAGEMENT_RECEIVE.0,
        nsid: nsid.into(),
        prp1: address.into(),
        prp2: (address & !0xFFF).wrapping_add(0x1000).into(),
        cdw10: (slba as u32).into(),
        cdw11: ((slba >> 32) as u32).into(),
        cdw12: (len_bytes / 4).wrapping_sub(1).into(),
        cdw13: (u32::from(action.0) | u32::from(option) << 8 | u32::from(is_partial) << 16).into(),
        ..Default::default()
    }
}

/// Zone Append of `lbas` (at least 1) to the zone that begins at `zslba`.
pub fn zone_append(nsid: u32, zslba: u64, lbas: u32, prp1: u64, prp2: u64) -> SubmissionQueueEntry {
    read_write(NvmOpcode::ZONE_APPEND, nsid, zslba, lbas, prp1, prp2)
}
