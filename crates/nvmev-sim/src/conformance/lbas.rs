//! Commands about LBAs, with or without zones.

use nvme_spec::{FeatureId, NvmOpcode, Status, SubmissionQueueEntry, NSID_BROADCAST};

use super::identify::absent_namespace;
use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Kind, Obstacle, Subject};
use crate::host::commands;

const FORCE_UNIT_ACCESS: u32 = 1 << 30;

fn has(subject: &Subject<'_>, oncs_bit: u32) -> bool {
    subject.controller.oncs.get() >> oncs_bit & 1 != 0
}

/// What was written last is read, LBA for LBA, through whatever pieces (NVM CS 1.0 §3.2.4, §3.2.6).
pub(super) fn what_was_written_is_read(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let slba = subject.fresh_lba(0)?;
    let mut expected = Vec::new();
    for (seed, lbas) in [(1, 3), (2, 1), (3, 4)] {
        let pattern = subject.pattern(seed, lbas);
        let at = slba + (expected.len() / subject.lba_bytes) as u64;
        subject.write(at, &pattern)?;
        expected.extend_from_slice(&pattern);
    }
    if subject.kind != Kind::Zones {
        let again = subject.pattern(4, 2);
        subject.write(slba + 1, &again)?;
        expected[subject.lba_bytes..][..again.len()].copy_from_slice(&again);
    }
    for (at, lbas) in [(0, 8), (1, 3), (7, 1)] {
        let data = subject.read(slba + at as u64, lbas)?;
        let wanted = &expected[at * subject.lba_bytes..][..data.len()];
        ensure!(
            data == wanted,
            "{lbas} LBAs from {} are not what was written",
            slba + at as u64
        );
    }
    Ok(())
}

/// The last LBA can be read; one that reaches beyond it is LBA Out of Range, and so is one whose end is beyond 2^64 (NVM CS 1.0 figure 20).
pub(super) fn lbas_beyond_the_namespace_are_refused(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let size = subject.size_lbas;
    let out_of_range = Status::LBA_OUT_OF_RANGE;
    if subject.kind != Kind::Zones {
        subject.read(size - 1, 1)?;
    }
    for opcode in [NvmOpcode::READ, NvmOpcode::WRITE] {
        for (slba, lbas) in [
            (size, 1),
            (size - 1, 2),
            (u64::MAX, 1),
            (u64::MAX, 2),
            (1 << 63, 1),
        ] {
            let entry = subject.about_lbas(opcode, slba, lbas);
            subject.io_ends(
                &format!("{opcode:?} of {lbas} LBAs at {slba:#x}"),
                entry,
                out_of_range,
            )?;
        }
    }
    Ok(())
}

/// A namespace that cannot be is Invalid Namespace or Format, one that is not active Invalid Field; no read is of all namespaces (NVMe Base 2.0 §3.2.1.2 to
/// §3.2.1.4, figure 87).
pub(super) fn wrong_namespaces_are_refused(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let invalid = Status::INVALID_NAMESPACE_OR_FORMAT;
    let mut cases = vec![
        (0, invalid),
        (subject.controller.nn.get() + 1, invalid),
        (0xFFFF_FFFE, invalid),
    ];
    match absent_namespace(subject) {
        Ok(nsid) => cases.push((nsid, INVALID_FIELD)),
        Err(Obstacle::NotApplicable(_)) => {}
        Err(failed) => return Err(failed),
    }
    for opcode in [NvmOpcode::READ, NvmOpcode::WRITE, NvmOpcode::FLUSH] {
        for &(nsid, expected) in &cases {
            let nsid = nsid.into();
            let entry = subject.about_lbas(opcode, 0, 1);
            let entry = SubmissionQueueEntry { nsid, ..entry };
            subject.io_ends(&format!("{opcode:?} of namespace {nsid:#x}"), entry, expected)?;
        }
    }
    let nsid = NSID_BROADCAST.into();
    let entry = SubmissionQueueEntry {
        nsid,
        ..subject.about_lbas(NvmOpcode::READ, 0, 1)
    };
    let status = subject.io(entry).status();
    ensure!(
        matches!(
            status,
            Status::INVALID_NAMESPACE_OR_FORMAT | Status::INVALID_FIELD_IN_COMMAND
        ),
        "a read of all namespaces ends with {status:?}"
    );
    Ok(())
}

/// Reads and writes take FUA; Flush is of a namespace, and of all if VWC says so, with the volatile write cache on or off (NVM CS 1.0 §3.2.4, §3.2.6, NVMe
/// Base 2.0 §7.1, §5.27.1.4).
pub(super) fn forced_unit_access_and_flush_work(subject: &mut Subject<'_>) -> Finding {
    let vwc = subject.controller.vwc;
    let all = match vwc >> 1 & 0b11 {
        0b11 => Some(SUCCESS),
        0b10 => Some(INVALID_FIELD),
        _ => None,
    };
    subject.io_ends("Flush", commands::flush(subject.nsid), SUCCESS)?;
    if let Some(expected) = all {
        subject.io_ends(
            "Flush of all namespaces",
            commands::flush(NSID_BROADCAST),
            expected,
        )?;
    }
    if vwc & 1 != 0 {
        for is_enabled in [0, 1] {
            let status = subject
                .set_feature(FeatureId::VOLATILE_WRITE_CACHE, false, is_enabled)
                .status();
            ensure!(
                status == SUCCESS,
                "the write cache cannot be set to {is_enabled}: {status:?}"
            );
            subject.io_ends("Flush", commands::flush(subject.nsid), SUCCESS)?;
        }
    }
    if subject.has_lbas() {
        let slba = subject.fresh_lba(0)?;
        let pattern = subject.pattern(9, 2);
        subject.fill(&pattern);
        for opcode in [NvmOpcode::WRITE, NvmOpcode::READ] {
            let entry = subject.about_lbas(opcode, slba, 2);
            let cdw12 = (entry.cdw12.get() | FORCE_UNIT_ACCESS).into();
            subject.io_ends(
                &format!("{opcode:?} with FUA"),
                SubmissionQueueEntry { cdw12, ..entry },
                SUCCESS,
            )?;
        }
        ensure!(
            subject.data(pattern.len()) == pattern,
            "what was read with FUA is not what was written"
        );
    }
    Ok(())
}

/// What Write Zeroes wrote is read as zeros, deallocated or not, and nothing beside it is (NVM CS 1.0 §3.2.8).
pub(super) fn write_zeroes_writes_zeros(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(has(subject, 3), "there is no Write Zeroes");
    for deallocate in [false, true] {
        subject.reset_zones()?;
        let slba = subject.fresh_lba(0)?;
        let mut expected = subject.pattern(7, 6);
        let zeros = 4 * subject.lba_bytes..6 * subject.lba_bytes;
        if subject.kind == Kind::Zones {
            // At the write pointer, as everything that writes.
            subject.write(slba, &expected[..zeros.start])?;
        } else {
            let longer = subject.pattern(7, 8);
            subject.write(slba, &longer)?;
            expected = longer;
        }
        let entry = commands::write_zeroes(subject.nsid, slba + 4, 2, deallocate);
        subject.io_ends("Write Zeroes", entry, SUCCESS)?;
        expected[zeros].fill(0);
        let lbas = (expected.len() / subject.lba_bytes) as u32;
        let data = subject.read(slba, lbas)?;
        ensure!(
            data == expected,
            "2 LBAs of {lbas} were to be zeros (deallocated: {deallocate})"
        );
    }
    Ok(())
}

/// Deallocated LBAs are read as DLFEAT says, and those beside them as before (NVM CS 1.0 §3.2.3.2.1, figure 97).
pub(super) fn deallocated_lbas_read_as_dlfeat_says(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(subject.kind != Kind::Zones, "a zone is deallocated by its reset");
    applies_if!(has(subject, 2), "there is no Dataset Management");
    let byte = match subject.namespace()?.dlfeat & 0b111 {
        0b001 => Some(0),
        0b010 => Some(0xFF),
        _ => None,
    };
    let mut expected = subject.pattern(11, 8);
    subject.write(0, &expected)?;
    subject.fill(&commands::range_list(&[(1, 2), (5, 1)]));
    let entry = commands::deallocate(subject.nsid, 2, subject.buffer());
    subject.io_ends("a deallocation", entry, SUCCESS)?;
    let data = subject.read(0, 8)?;
    for lba in [1, 2, 5] {
        let range = lba * subject.lba_bytes..(lba + 1) * subject.lba_bytes;
        // DLFEAT promises nothing: but then it is what it was, or bytes of one kind.
        let read = byte.unwrap_or(data[range.start]);
        expected[range].fill(read);
    }
    ensure!(
        data == expected,
        "deallocated LBAs are not {byte:x?}, or others have changed"
    );
    Ok(())
}

/// Compare finds the same and what differs in a single bit (NVM CS 1.0 §3.2.1).
pub(super) fn compare_tells_what_is_different(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(has(subject, 0), "there is no Compare");
    let slba = subject.fresh_lba(0)?;
    let mut pattern = subject.pattern(13, 3);
    subject.write(slba, &pattern)?;
    let entry = subject.about_lbas(NvmOpcode::COMPARE, slba, 3);
    subject.io_ends("comparing the same", entry, SUCCESS)?;
    for at in [0, subject.lba_bytes, 3 * subject.lba_bytes - 1] {
        pattern[at] ^= 0x80;
        subject.fill(&pattern);
        subject.io_ends(
            &format!("comparing, with byte {at} different,"),
            entry,
            Status::COMPARE_FAILURE,
        )?;
        pattern[at] ^= 0x80;
    }
    Ok(())
}

/// What Write Uncorrectable marked cannot be read or verified until it was written again (NVM CS 1.0 §3.2.7).
pub(super) fn uncorrectable_lbas_cannot_be_read(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(has(subject, 1), "there is no Write Uncorrectable");
    let slba = subject.fresh_lba(0)?;
    let pattern = subject.pattern(15, 2);
    subject.write(slba, &pattern)?;
    let entry = subject.about_lbas(NvmOpcode::WRITE_UNCORRECTABLE, slba + 2, 1);
    subject.io_ends("Write Uncorrectable", entry, SUCCESS)?;
    let unreadable = Status::UNRECOVERED_READ_ERROR;
    let entry = subject.about_lbas(NvmOpcode::READ, slba + 1, 2);
    subject.io_ends("a read of an uncorrectable LBA", entry, unreadable)?;
    if has(subject, 7) {
        let entry = subject.about_lbas(NvmOpcode::VERIFY, slba, 3);
        subject.io_ends("Verify of an uncorrectable LBA", entry, unreadable)?;
        let entry = subject.about_lbas(NvmOpcode::VERIFY, slba, 2);
        subject.io_ends("Verify of the LBAs before it", entry, SUCCESS)?;
    }
    ensure!(
        subject.read(slba, 2)? == pattern,
        "the LBAs before it are not what was written"
    );
    subject.reset_zones()?;
    let again = subject.pattern(16, 3);
    subject.write(slba, &again)?;
    ensure!(
        subject.read(slba, 3)? == again,
        "an LBA written again is not what was written"
    );
    Ok(())
}

/// Copy puts its ranges one after the other, in each format that OCFS has and in no other (NVM CS 1.0 §3.2.2).
pub(super) fn copies_are_what_they_were_made_of(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(has(subject, 8), "there is no Copy");
    let formats = subject.controller.ocfs.get();
    for format in 0..2 {
        subject.reset_zones()?;
        let source = subject.fresh_lba(0)?;
        let pattern = subject.pattern(17 + format, 4);
        subject.write(source, &pattern)?;
        let destination = match subject.kind {
            // The first empty zone is the one behind the source.
            Kind::Zones => subject.fresh_lba(0)?,
            _ => subject.fresh_lba(1)?,
        };
        subject.fill(&commands::copy_list(&[(source + 2, 2), (source, 1)], format));
        let entry = commands::copy(subject.nsid, destination, 2, format, subject.buffer());
        let has_format = formats >> format & 1 != 0;
        let expected = if has_format { SUCCESS } else { INVALID_FIELD };
        subject.io_ends(&format!("Copy in format {format}"), entry, expected)?;
        if has_format {
            let copied = subject.read(destination, 3)?;
            let lba = |index: usize| &pattern[index * subject.lba_bytes..][..subject.lba_bytes];
            ensure!(
                copied == [lba(2), lba(3), lba(0)].concat(),
                "the copy in format {format} is other data"
            );
        }
    }
    Ok(())
}
