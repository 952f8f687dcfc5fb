//! A row for each command that the oracle knows. To teach it another: add a row.
//!
//! A command without a row may do anything to its namespace, or, if it is an admin command, to the whole device, and may end with any status that the
//! specifications define.

use nvme_spec::{AdminOpcode, KeyValueOpcode, NvmOpcode};

use super::meaning::{Context, Meaning, Transfer};
use super::pairs;
use super::zones;
use crate::drive::Kind;

/// What the oracle knows of a command.
pub struct Rule {
    /// Its opcode.
    pub opcode: u8,
    /// Status codes that it may end with, beside those that any command may end with.
    pub statuses: &'static [u16],
    /// The data that it moves.
    pub transfer: fn(&Context<'_>) -> Transfer,
    /// What it does.
    pub meaning: fn(&Context<'_>) -> Meaning,
}

const LBA_OUT_OF_RANGE: u16 = 0x080;
const CAPACITY_EXCEEDED: u16 = 0x081;
const UNRECOVERED_READ_ERROR: u16 = 0x281;
const COMPARE_FAILURE: u16 = 0x285;
const SIZE_LIMIT_EXCEEDED: u16 = 0x183;

fn no_data(_: &Context<'_>) -> Transfer {
    Transfer::None
}

fn nothing(_: &Context<'_>) -> Meaning {
    Meaning::Nothing
}

fn page_to_host(_: &Context<'_>) -> Transfer {
    Transfer::ToHost(4096)
}

fn lbas_to_host(context: &Context<'_>) -> Transfer {
    Transfer::ToHost(context.lba_bytes())
}

fn lbas_from_host(context: &Context<'_>) -> Transfer {
    Transfer::FromHost(context.lba_bytes())
}

fn log_page(context: &Context<'_>) -> Transfer {
    let dwords =
        u64::from(context.entry.cdw10.get() >> 16) | u64::from(context.entry.cdw11.get() & 0xFFFF) << 16;
    Transfer::ToHost(((dwords + 1) * 4) as usize)
}

fn feature_data(context: &Context<'_>) -> usize {
    match context.entry.cdw10.get() & 0xFF {
        0x0C => 256,
        0x0E => 8,
        0x16 => 512,
        0x03 | 0x12.. => 4096,
        _ => 0,
    }
}

/// Commands of the admin queue.
pub const ADMIN: &[Rule] = &[
    Rule {
        opcode: AdminOpcode::DELETE_IO_SUBMISSION_QUEUE.0,
        statuses: &[0x101],
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::CREATE_IO_SUBMISSION_QUEUE.0,
        statuses: &[0x100, 0x101, 0x102, 0x013],
        transfer: |_| Transfer::FromHost(4096),
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::GET_LOG_PAGE.0,
        statuses: &[0x00C, 0x109],
        transfer: log_page,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::DELETE_IO_COMPLETION_QUEUE.0,
        statuses: &[0x101, 0x10C],
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::CREATE_IO_COMPLETION_QUEUE.0,
        statuses: &[0x101, 0x102, 0x108, 0x013],
        transfer: |_| Transfer::FromHost(4096),
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::IDENTIFY.0,
        statuses: &[0x12C],
        transfer: page_to_host,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::ABORT.0,
        statuses: &[0x103],
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::SET_FEATURES.0,
        statuses: &[0x00C, 0x10D, 0x10E, 0x10F, 0x114, 0x12B, 0x12C],
        transfer: |context| Transfer::FromHost(feature_data(context)),
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::GET_FEATURES.0,
        statuses: &[0x10F, 0x12C],
        transfer: |context| Transfer::ToHost(feature_data(context)),
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST.0,
        statuses: &[0x105],
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::DEVICE_SELF_TEST.0,
        statuses: &[0x11D],
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: AdminOpcode::KEEP_ALIVE.0,
        statuses: &[],
        transfer: no_data,
        meaning: nothing,
    },
];

/// Commands for LBAs, of every namespace that has some.
const LBAS: &[Rule] = &[
    Rule {
        opcode: NvmOpcode::FLUSH.0,
        statuses: &[],
        transfer: no_data,
        meaning: |_| Meaning::Flush,
    },
    Rule {
        opcode: NvmOpcode::WRITE.0,
        statuses: &[LBA_OUT_OF_RANGE, CAPACITY_EXCEEDED],
        transfer: lbas_from_host,
        meaning: |context| Meaning::Write(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::READ.0,
        statuses: &[LBA_OUT_OF_RANGE, UNRECOVERED_READ_ERROR],
        transfer: lbas_to_host,
        meaning: |context| Meaning::Read(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::WRITE_UNCORRECTABLE.0,
        statuses: &[LBA_OUT_OF_RANGE],
        transfer: no_data,
        meaning: |context| Meaning::Spoil(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::COMPARE.0,
        statuses: &[LBA_OUT_OF_RANGE, UNRECOVERED_READ_ERROR, COMPARE_FAILURE],
        transfer: lbas_from_host,
        meaning: |context| Meaning::Compare(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::WRITE_ZEROES.0,
        statuses: &[LBA_OUT_OF_RANGE, CAPACITY_EXCEEDED],
        transfer: no_data,
        meaning: |context| Meaning::Zero(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::DATASET_MANAGEMENT.0,
        statuses: &[LBA_OUT_OF_RANGE],
        transfer: |context| Transfer::FromHost(range_count(context) * 16),
        meaning: deallocation,
    },
    Rule {
        opcode: NvmOpcode::VERIFY.0,
        statuses: &[LBA_OUT_OF_RANGE, UNRECOVERED_READ_ERROR],
        transfer: no_data,
        meaning: |context| Meaning::Verify(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::COPY.0,
        statuses: &[
            LBA_OUT_OF_RANGE,
            UNRECOVERED_READ_ERROR,
            SIZE_LIMIT_EXCEEDED,
            CAPACITY_EXCEEDED,
        ],
        transfer: |context| {
            Transfer::FromHost(copy_descriptors(context).map_or(0, |(count, bytes)| count * bytes))
        },
        meaning: |context| Meaning::Copy(copy(context)),
    },
];

fn range_count(context: &Context<'_>) -> usize {
    (context.entry.cdw10.get() & 0xFF) as usize + 1
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn deallocation(context: &Context<'_>) -> Meaning {
    let is_hint = context.entry.cdw11.get() & 1 << 2 == 0;
    if is_hint || context.namespace.traits.kind == Kind::Zones {
        return Meaning::Deallocate(Some(Vec::new()));
    }
    let list = context.data(range_count(context) * 16).ok();
    let range = |bytes: &[u8]| {
        let (slba, lbas) = (number(&bytes[8..16]), number(&bytes[4..8]));
        slba..slba.saturating_add(lbas)
    };
    Meaning::Deallocate(list.map(|list| list.chunks(16).map(range).collect()))
}

/// Number and size of the descriptors, if the format is one that is understood.
fn copy_descriptors(context: &Context<'_>) -> Option<(usize, usize)> {
    let cdw12 = context.entry.cdw12.get();
    let bytes = match cdw12 >> 8 & 0xF {
        0 => 32,
        1 => 40,
        _ => return None,
    };
    Some(((cdw12 & 0xFF) as usize + 1, bytes))
}

fn copy(context: &Context<'_>) -> Option<(Vec<std::ops::Range<u64>>, std::ops::Range<u64>)> {
    let (count, bytes) = copy_descriptors(context)?;
    let list = context.data(count * bytes).ok()?;
    let range = |bytes: &[u8]| {
        let slba = number(&bytes[8..16]);
        slba..slba.saturating_add(number(&bytes[16..18]) + 1)
    };
    let sources: Vec<_> = list.chunks(bytes).map(range).collect();
    let lbas: u64 = sources.iter().map(|range| range.end - range.start).sum();
    let sdlba = context.entry.slba();
    Some((sources, sdlba..sdlba.saturating_add(lbas)))
}

/// Commands that zoned namespaces have besides; and of those above, the ones that know zones.
const ZONES: &[Rule] = &[
    Rule {
        opcode: NvmOpcode::WRITE.0,
        statuses: zones::WRITE_STATUSES,
        transfer: lbas_from_host,
        meaning: |context| Meaning::Write(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::WRITE_ZEROES.0,
        statuses: zones::WRITE_STATUSES,
        transfer: no_data,
        meaning: |context| Meaning::Zero(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::WRITE_UNCORRECTABLE.0,
        statuses: zones::WRITE_STATUSES,
        transfer: no_data,
        meaning: |context| Meaning::Spoil(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::READ.0,
        statuses: zones::READ_STATUSES,
        transfer: lbas_to_host,
        meaning: |context| Meaning::Read(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::COMPARE.0,
        statuses: zones::READ_STATUSES,
        transfer: lbas_from_host,
        meaning: |context| Meaning::Compare(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::VERIFY.0,
        statuses: zones::READ_STATUSES,
        transfer: no_data,
        meaning: |context| Meaning::Verify(context.lbas()),
    },
    Rule {
        opcode: NvmOpcode::COPY.0,
        statuses: zones::COPY_STATUSES,
        transfer: |context| {
            Transfer::FromHost(copy_descriptors(context).map_or(0, |(count, bytes)| count * bytes))
        },
        meaning: |context| Meaning::Copy(copy(context)),
    },
    Rule {
        opcode: NvmOpcode::ZONE_APPEND.0,
        statuses: zones::WRITE_STATUSES,
        transfer: lbas_from_host,
        meaning: zones::append,
    },
    Rule {
        opcode: NvmOpcode::ZONE_MANAGEMENT_SEND.0,
        statuses: zones::SEND_STATUSES,
        transfer: zones::send_data,
        meaning: zones::send,
    },
    Rule {
        opcode: NvmOpcode::ZONE_MANAGEMENT_RECEIVE.0,
        statuses: &[LBA_OUT_OF_RANGE, 0x1B6],
        transfer: |context| Transfer::ToHost((context.entry.cdw12.get() as usize + 1) * 4),
        meaning: nothing,
    },
];

/// Commands of the Key Value Command Set.
const PAIRS: &[Rule] = &[
    Rule {
        opcode: KeyValueOpcode::FLUSH.0,
        statuses: &[],
        transfer: no_data,
        meaning: |_| Meaning::Flush,
    },
    Rule {
        opcode: KeyValueOpcode::STORE.0,
        statuses: &[0x081, 0x085, 0x086, 0x087, 0x089],
        transfer: |context| Transfer::FromHost(context.entry.cdw10.get() as usize),
        meaning: |context| pairs::with_key(pairs::standard_key(context.entry), Meaning::Store),
    },
    Rule {
        opcode: KeyValueOpcode::RETRIEVE.0,
        statuses: &[0x086, 0x087],
        transfer: |context| Transfer::ToHost(context.entry.cdw10.get() as usize),
        meaning: |context| pairs::retrieve(context, pairs::standard_key(context.entry)),
    },
    Rule {
        opcode: KeyValueOpcode::LIST.0,
        statuses: &[0x086, 0x087],
        transfer: |context| Transfer::ToHost(context.entry.cdw10.get() as usize),
        meaning: nothing,
    },
    Rule {
        opcode: KeyValueOpcode::DELETE.0,
        statuses: &[0x086, 0x087],
        transfer: no_data,
        meaning: |context| pairs::with_key(pairs::standard_key(context.entry), Meaning::Delete),
    },
    Rule {
        opcode: KeyValueOpcode::EXIST.0,
        statuses: &[0x086, 0x087],
        transfer: no_data,
        meaning: |context| pairs::exist(pairs::standard_key(context.entry)),
    },
];

/// The vendor specific commands for pairs.
const VENDOR_PAIRS: &[Rule] = &[
    Rule {
        opcode: KeyValueOpcode::VENDOR_STORE.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: |context| Transfer::FromHost(pairs::vendor_len(context.entry)),
        meaning: |context| pairs::with_key(pairs::vendor_key(context.entry), Meaning::Store),
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_APPEND.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: |context| Transfer::FromHost(pairs::vendor_len(context.entry)),
        meaning: |context| pairs::with_key(pairs::vendor_key(context.entry), Meaning::AppendValue),
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_BATCH.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: |context| Transfer::FromHost(pairs::vendor_len(context.entry)),
        meaning: |_| Meaning::ChangePairs,
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_RETRIEVE.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: |context| Transfer::ToHost(pairs::vendor_len(context.entry)),
        meaning: |context| pairs::retrieve(context, pairs::vendor_key(context.entry)),
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_DELETE.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: no_data,
        meaning: |context| pairs::with_key(pairs::vendor_key(context.entry), Meaning::Delete),
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_ITERATE_REQUEST.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: no_data,
        meaning: nothing,
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_ITERATE_READ.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: |context| Transfer::ToHost(pairs::vendor_len(context.entry)),
        meaning: nothing,
    },
    Rule {
        opcode: KeyValueOpcode::VENDOR_EXIST.0,
        statuses: pairs::VENDOR_STATUSES,
        transfer: no_data,
        meaning: |context| pairs::exist(pairs::vendor_key(context.entry)),
    },
];

/// The tables for namespaces of `kind`: an opcode's first row counts.
pub fn tables(kind: Kind) -> [&'static [Rule]; 2] {
    match kind {
        Kind::Lbas => [LBAS, &[]],
        Kind::Zones => [ZONES, LBAS],
        Kind::Pairs => [PAIRS, VENDOR_PAIRS],
        Kind::PairsAndLbas => [VENDOR_PAIRS, LBAS],
    }
}

/// The row of an I/O command.
pub fn io_rule(kind: Kind, opcode: u8) -> Option<&'static Rule> {
    let mut rules = tables(kind).into_iter().flatten();
    rules.find(|rule| rule.opcode == opcode)
}

/// The row of an admin command.
pub fn admin_rule(opcode: u8) -> Option<&'static Rule> {
    ADMIN.iter().find(|rule| rule.opcode == opcode)
}
