//! How a command must end, where the oracle can tell.

use std::ops::Range;

use super::content::{Lba, Namespace, Pair};
use super::meaning::{Meaning, Transfer};
use super::{Oracle, Sent};
use crate::drive::{Kind, TRANSFER_BYTES_MAX};

const SUCCESS: u16 = 0x000;
const INVALID_FIELD: u16 = 0x002;
const DATA_TRANSFER_ERROR: u16 = 0x004;
const PRP_OFFSET_INVALID: u16 = 0x013;
const LBA_OUT_OF_RANGE: u16 = 0x080;
const UNRECOVERED_READ_ERROR: u16 = 0x281;
const COMPARE_FAILURE: u16 = 0x285;

/// FUA, Limited Retry and Deallocate, in dword 12.
const PLAIN_FLAGS: u32 = 1 << 31 | 1 << 30 | 1 << 25;

/// What is wrong with a command, and what may be.
#[derive(Default)]
struct Verdict {
    wrong: Vec<u16>,
    maybe: Vec<u16>,
}

impl Verdict {
    fn wrong_if(&mut self, condition: bool, statuses: &[u16]) {
        if condition {
            self.wrong.extend_from_slice(statuses);
        }
    }

    fn maybe_if(&mut self, condition: bool, statuses: &[u16]) {
        if condition {
            self.maybe.extend_from_slice(statuses);
        }
    }

    /// With something wrong it must fail, and it may fail for any of the reasons.
    fn statuses(self) -> Vec<u16> {
        let mut statuses = self.wrong;
        if statuses.is_empty() {
            statuses.push(SUCCESS);
        }
        statuses.extend(self.maybe);
        statuses
    }
}

impl Oracle {
    /// The status codes one of which the command must end with; nothing if any legal one will do.
    pub(super) fn expected(&self, sent: &Sent) -> Option<Vec<u16>> {
        let entry = &sent.entry;
        if !self.is_strict || sent.is_raced || entry.psdt() != 0 || entry.fuse() != 0 {
            return None;
        }
        let namespace = &self.namespaces[sent.namespace?];
        match &sent.meaning {
            Meaning::Flush => Some(vec![SUCCESS]),
            Meaning::Store(_) | Meaning::Retrieve { .. } | Meaning::Exist(_) => {
                expected_of_pair(namespace, sent)
            }
            _ if namespace.traits.kind == Kind::Zones => None,
            Meaning::Deallocate(ranges) => expected_of_ranges(namespace, sent, ranges.as_deref()),
            Meaning::Read(lbas)
            | Meaning::Verify(lbas)
            | Meaning::Compare(lbas)
            | Meaning::Write(lbas)
            | Meaning::Zero(lbas)
            | Meaning::Spoil(lbas) => expected_of_lbas(namespace, sent, lbas.clone()),
            _ => None,
        }
    }
}

fn has_plain_dwords(sent: &Sent) -> bool {
    let entry = &sent.entry;
    let others = [entry.cdw2, entry.cdw3, entry.cdw13, entry.cdw14, entry.cdw15];
    entry.cdw12.get() & !0xFFFF & !PLAIN_FLAGS == 0
        && entry.mptr.get() == 0
        && others.iter().all(|dword| dword.get() == 0)
}

fn expected_of_lbas(namespace: &Namespace, sent: &Sent, lbas: Range<u64>) -> Option<Vec<u16>> {
    if !has_plain_dwords(sent) {
        return None;
    }
    let mut verdict = Verdict::default();
    let bytes = (lbas.end - lbas.start).saturating_mul(namespace.traits.lba_bytes.into());
    let is_limited = !matches!(sent.meaning, Meaning::Zero(_));
    verdict.wrong_if(
        is_limited && bytes > TRANSFER_BYTES_MAX as u64 || lbas.end == u64::MAX,
        &[INVALID_FIELD, LBA_OUT_OF_RANGE],
    );
    verdict.wrong_if(lbas.end > namespace.traits.size_lbas, &[LBA_OUT_OF_RANGE]);
    let has_data = sent.transfer != Transfer::None;
    verdict.wrong_if(
        has_data && sent.walked.is_err(),
        &[PRP_OFFSET_INVALID, DATA_TRANSFER_ERROR],
    );
    let is_read = !sent.meaning.reads().is_empty();
    if is_read && verdict.wrong.is_empty() {
        let has = |wanted: Lba| lbas.clone().any(|lba| *namespace.lba(lba) == wanted);
        verdict.wrong_if(has(Lba::Unreadable), &[UNRECOVERED_READ_ERROR]);
        verdict.maybe_if(has(Lba::Unknown), &[UNRECOVERED_READ_ERROR]);
        if matches!(sent.meaning, Meaning::Compare(_)) {
            match (namespace.bytes(lbas), &sent.data) {
                (Some(bytes), Some(data)) => verdict.wrong_if(bytes != *data, &[COMPARE_FAILURE]),
                _ => verdict.maybe.push(COMPARE_FAILURE),
            }
        }
    }
    // Whichever is looked at first.
    verdict.maybe_if(is_read && !verdict.wrong.is_empty(), &[UNRECOVERED_READ_ERROR]);
    let may_be_full =
        namespace.traits.kind == Kind::PairsAndLbas && matches!(sent.meaning, Meaning::Write(_));
    verdict.maybe_if(may_be_full, &[0x081]);
    Some(verdict.statuses())
}

fn expected_of_ranges(namespace: &Namespace, sent: &Sent, ranges: Option<&[Range<u64>]>) -> Option<Vec<u16>> {
    let mut verdict = Verdict::default();
    let ranges = ranges.unwrap_or_default();
    let is_hint = sent.entry.cdw11.get() & 1 << 2 == 0;
    verdict.wrong_if(
        !is_hint && sent.walked.is_err(),
        &[PRP_OFFSET_INVALID, DATA_TRANSFER_ERROR],
    );
    let is_beyond = |range: &Range<u64>| range.end > namespace.traits.size_lbas;
    verdict.wrong_if(ranges.iter().any(is_beyond), &[LBA_OUT_OF_RANGE]);
    Some(verdict.statuses())
}

fn expected_of_pair(namespace: &Namespace, sent: &Sent) -> Option<Vec<u16>> {
    let entry = &sent.entry;
    if entry.cdw11.get() & 0xFF00 != 0 || entry.mptr.get() != 0 {
        return None;
    }
    let is_vendor = entry.opcode >= 0x80;
    let mut verdict = Verdict::default();
    let key = match &sent.meaning {
        Meaning::Store(key) | Meaning::Exist(key) | Meaning::Retrieve { key, .. } => key,
        _ => return None,
    };
    verdict.wrong_if(key.is_empty(), &[0x086]);
    let does_not_exist = if is_vendor { 0x310 } else { 0x087 };
    match &sent.meaning {
        Meaning::Store(_) => {
            let len = sent.transfer.len()?;
            let invalid_size = if is_vendor { 0x301 } else { 0x085 };
            verdict.wrong_if(len > TRANSFER_BYTES_MAX, &[invalid_size]);
            verdict.wrong_if(sent.walked.is_err(), &[PRP_OFFSET_INVALID, DATA_TRANSFER_ERROR]);
            verdict.maybe_if(true, &[if is_vendor { 0x312 } else { 0x081 }]);
        }
        Meaning::Retrieve { len, .. } => {
            // How much is moved depends on the value: a pointer may be good for that.
            if sent.walked.is_err() && *len <= TRANSFER_BYTES_MAX {
                return None;
            }
            verdict.wrong_if(*len > TRANSFER_BYTES_MAX, &[INVALID_FIELD]);
            verdict.wrong_if(*namespace.pair(key) == Pair::Absent, &[does_not_exist]);
            verdict.maybe_if(*namespace.pair(key) == Pair::Unknown, &[does_not_exist]);
        }
        _ => {
            verdict.wrong_if(*namespace.pair(key) == Pair::Absent, &[does_not_exist]);
            verdict.maybe_if(*namespace.pair(key) == Pair::Unknown, &[does_not_exist]);
        }
    }
    Some(verdict.statuses())
}
