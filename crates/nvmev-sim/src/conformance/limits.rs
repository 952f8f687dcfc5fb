//! Limits: the last that is taken, and the first that is refused.

use nvme_spec::{CommandSet, IdentifyCns, IdentifyZonedController, NvmOpcode, Status};

use super::subject::{INVALID_FIELD, PAGE_BYTES, SUCCESS};
use super::{Finding, Kind, Subject};
use crate::host::commands;

/// NLB is 0's based and has 16 bits.
const LBAS_MAX: u32 = 1 << 16;

/// A command about `lbas` LBAs of a fresh place is taken, one about one LBA more is not.
fn ends_at(subject: &mut Subject<'_>, opcode: NvmOpcode, lbas: u32) -> Finding {
    let slba = subject.fresh_lba(0)?;
    let entry = subject.about_lbas(opcode, slba, lbas);
    subject.io_ends(&format!("{opcode:?} of {lbas} LBAs, the limit,"), entry, SUCCESS)?;
    if lbas < LBAS_MAX {
        let slba = subject.fresh_lba(0)?;
        let entry = subject.about_lbas(opcode, slba, lbas + 1);
        let what = format!("{opcode:?} of {} LBAs, one more than the limit,", lbas + 1);
        subject.io_ends(&what, entry, INVALID_FIELD)?;
    }
    Ok(())
}

/// Read and Write move as much as MDTS, and no LBA more (NVMe Base 2.0 figure 275).
pub(super) fn transfers_end_at_mdts(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let Some(lbas) = subject.transfer_lbas_max() else {
        applies_if!(false, "there is no MDTS");
        return Ok(());
    };
    ends_at(subject, NvmOpcode::WRITE, lbas)?;
    ends_at(subject, NvmOpcode::READ, lbas)
}

/// Verify, Write Zeroes and Write Uncorrectable end at VSL, WZSL and WUSL; a Write Zeroes without such a limit may be as long as NLB says (NVM CS 1.0
/// figure 100).
pub(super) fn commands_without_data_end_at_their_limits(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    let limits = subject.nvm_controller()?;
    let oncs = subject.controller.oncs.get();
    for (opcode, bit, log2) in [
        (NvmOpcode::VERIFY, 7, limits.vsl),
        (NvmOpcode::WRITE_ZEROES, 3, limits.wzsl),
        (NvmOpcode::WRITE_UNCORRECTABLE, 1, limits.wusl),
    ] {
        let lbas = (PAGE_BYTES << log2.min(16)) / subject.lba_bytes;
        if oncs >> bit & 1 != 0 && log2 > 0 && lbas <= LBAS_MAX as usize {
            ends_at(subject, opcode, lbas as u32)?;
        }
    }
    if oncs >> 3 & 1 != 0 && limits.wzsl == 0 {
        subject.reset_zones()?;
        let slba = subject.fresh_lba(0)?;
        let mut longest = u64::from(LBAS_MAX).min(subject.size_lbas - slba);
        if subject.kind == Kind::Zones {
            longest = longest.min(subject.zone(slba)?.capacity_lbas.get());
        }
        let entry = commands::write_zeroes(subject.nsid, slba, longest as u32, false);
        subject.io_ends(
            &format!("Write Zeroes of {longest} LBAs, without a limit,"),
            entry,
            SUCCESS,
        )?;
        subject.reset_zones()?;
    }
    Ok(())
}

/// Copy ends at MSSRL, MCL and MSRC, with Command Size Limit Exceeded (NVM CS 1.0 §3.2.2, figure 97).
pub(super) fn copies_end_at_their_limits(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(subject.controller.oncs.get() >> 8 & 1 != 0, "there is no Copy");
    let namespace = subject.namespace()?;
    let source_max = u32::from(namespace.mssrl_lbas.get());
    let (copy_max, count_max) = (namespace.mcl_lbas.get(), u32::from(namespace.msrc_z) + 1);
    let half = copy_max / 2;
    let ones = |count| vec![1; count as usize];
    let exceeded = Status::COMMAND_SIZE_LIMIT_EXCEEDED;
    let mut cases = vec![
        ("a range of MSSRL LBAs", vec![source_max.min(copy_max)], SUCCESS),
        ("a range longer than MSSRL", vec![source_max + 1], exceeded),
        ("as many ranges as MSRC", ones(count_max.min(copy_max)), SUCCESS),
        ("MCL LBAs", vec![half, copy_max - half], SUCCESS),
        ("more LBAs than MCL", vec![half, copy_max - half, 1], exceeded),
    ];
    if count_max < 256 {
        cases.push(("more ranges than MSRC", ones(count_max + 1), exceeded));
    }
    for (what, lengths, expected) in cases {
        let source = subject.fresh_lba(1)?;
        let destination = subject.fresh_lba(0)?;
        let ranges: Vec<_> = lengths.iter().map(|&lbas| (source, lbas)).collect();
        let list = commands::copy_list(&ranges, 0);
        subject.fill(&list);
        let entry = commands::copy(subject.nsid, destination, ranges.len() as u32, 0, 0);
        let entry = subject.with_buffer(entry, list.len());
        subject.io_ends(&format!("Copy of {what}"), entry, expected)?;
        subject.reset_zones()?;
    }
    Ok(())
}

/// Dataset Management ends at DMRL, DMRSL and DMSL, with Command Size Limit Exceeded; where they are 0, it ends at 256 ranges of the whole namespace (NVM CS
/// 1.0 §3.2.3, figure 100).
pub(super) fn dataset_management_ends_at_its_limits(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.has_lbas(), "the namespace has no LBAs");
    applies_if!(
        subject.controller.oncs.get() >> 2 & 1 != 0,
        "there is no Dataset Management"
    );
    let limits = subject.nvm_controller()?;
    let (ranges_max, range_max, all_max) = (
        u64::from(limits.dmrl),
        u64::from(limits.dmrsl_lbas.get()),
        limits.dmsl_lbas.get(),
    );
    let exceeded = Status::COMMAND_SIZE_LIMIT_EXCEEDED;
    // What is within the limit can still be beyond the namespace.
    let within = |lbas| {
        if lbas <= subject.size_lbas {
            SUCCESS
        } else {
            Status::LBA_OUT_OF_RANGE
        }
    };
    let mut cases = Vec::new();
    if ranges_max > 0 {
        cases.push(("as many ranges as DMRL", ranges_max, 1, within(1)));
        cases.push(("more ranges than DMRL", ranges_max + 1, 1, exceeded));
    } else {
        cases.push(("as many ranges as NR can say", 256, 1, SUCCESS));
    }
    if range_max > 0 {
        cases.push(("a range of DMRSL LBAs", 1, range_max, within(range_max)));
        cases.push(("a range longer than DMRSL", 1, range_max + 1, exceeded));
    } else if subject.kind != Kind::Zones {
        // A zone may be offline.
        let all = subject.size_lbas.min(u32::MAX.into());
        cases.push(("a range of the whole namespace", 1, all, SUCCESS));
        cases.push(("a range longer than the namespace", 1, all + 1, within(all + 1)));
    }
    if all_max > 0 && ranges_max > 1 && all_max < ranges_max * range_max {
        cases.push((
            "more LBAs than DMSL",
            ranges_max,
            all_max / ranges_max + 1,
            exceeded,
        ));
    }
    for (what, ranges, lbas, expected) in cases {
        let ranges = vec![(0, lbas as u32); ranges as usize];
        if ranges.len() > 256 {
            continue;
        }
        subject.fill(&commands::range_list(&ranges));
        let entry = commands::deallocate(subject.nsid, ranges.len() as u32, subject.buffer());
        subject.io_ends(&format!("Dataset Management of {what}"), entry, expected)?;
    }
    Ok(())
}

/// Zone Append ends at ZASL, which is MDTS if it is 0 (ZNS 1.1 figure 50).
pub(super) fn appends_end_at_zasl(subject: &mut Subject<'_>) -> Finding {
    applies_if!(subject.kind == Kind::Zones, "the namespace has no zones");
    let limits: IdentifyZonedController =
        subject.identify_as(IdentifyCns::COMMAND_SET_CONTROLLER, 0, CommandSet::ZONED)?;
    let (zasl, mdts) = (limits.zasl, subject.controller.mdts);
    ensure!(mdts == 0 || zasl <= mdts, "ZASL is {zasl}, above MDTS, {mdts}");
    let log2 = if zasl == 0 { mdts } else { zasl };
    applies_if!(log2 > 0, "there is no limit");
    let lbas = (PAGE_BYTES << log2) / subject.lba_bytes;
    ends_at(subject, NvmOpcode::ZONE_APPEND, lbas as u32)
}
