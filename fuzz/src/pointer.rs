//! Data pointers, good and bad: what they look like in memory, and where a controller must find the data behind them.
//!
//! Whatever a pointer says, it says of memory that belongs to its own command or to nobody: the queues and the data of other commands cannot be hit, so
//! that the oracle knows what is where.

use nvme_spec::{SubmissionQueueEntry, PAGE_SIZE_BYTES};
use nvmev_sim::host::{Machine, RAM_BASE};

use crate::drive::{RAM_BYTES, TRANSFER_BYTES_MAX};

const PAGE: u64 = PAGE_SIZE_BYTES as u64;
/// Pages for data: the longest transfer, and one more, if it begins within a page.
const DATA_PAGES: u64 = TRANSFER_BYTES_MAX as u64 / PAGE + 1;
const LIST_PAGES: u64 = 2;
/// Pages of a slot.
pub const SLOT_PAGES: u64 = DATA_PAGES + LIST_PAGES;
/// After the last byte of RAM.
const RAM_END: u64 = RAM_BASE + RAM_BYTES as u64;

/// Memory of one command.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Its first page.
    pub base: u64,
}

impl Slot {
    fn data_page(self, index: u64) -> u64 {
        self.base + index % DATA_PAGES * PAGE
    }

    fn list_page(self, index: u64) -> u64 {
        self.base + (DATA_PAGES + index % LIST_PAGES) * PAGE
    }
}

/// What an input says of a pointer.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// Which of the forms below.
    pub form: u8,
    /// A detail of it.
    pub detail: u8,
    /// Entries of lists and segments, over and over; may be empty.
    pub script: &'a [u16],
}

impl Recipe<'_> {
    fn script(&self, index: usize) -> u16 {
        let scattered = || {
            u16::from(self.detail)
                .wrapping_mul(257)
                .wrapping_add((index as u16).wrapping_mul(40_503))
        };
        match self.script.len() {
            0 => scattered(),
            len => self.script[index % len],
        }
    }

    /// An address that the script names.
    fn address(&self, index: usize, slot: Slot) -> u64 {
        let word = u64::from(self.script(index));
        let which = word >> 4;
        match word & 0xF {
            0..=8 => slot.data_page(which),
            9 => slot.data_page(which) + which % 1024 * 4,
            10 => slot.data_page(which) + 1 + which % 4095,
            11 | 12 => slot.list_page(which) + which / 2 % 512 * 8,
            13 => RAM_END - PAGE,
            14 => [
                RAM_END,
                RAM_END - 4,
                0,
                RAM_BASE - PAGE,
                !0xFFF,
                u64::MAX - 3,
                1 << 63,
                0xFFF,
            ][which as usize % 8],
            _ => 0,
        }
    }
}

/// Forms of pointers.
const FORMS: u8 = 17;
/// The first of them are right, with PRPs.
const GOOD_FORMS: u8 = 4;

/// A form that is most often right.
pub fn mostly_good(form: u8) -> u8 {
    match form {
        0..=0xBF => form % GOOD_FORMS,
        _ => form % FORMS,
    }
}

/// Has `entry` point to `len` bytes in `slot` as `recipe` says. Not to be known from the command how many bytes it moves is `None`.
pub fn build(
    entry: &mut SubmissionQueueEntry,
    machine: &Machine,
    slot: Slot,
    len: Option<usize>,
    recipe: Recipe<'_>,
) {
    let form = recipe.form % FORMS;
    let Some(len) = len else {
        // Right for any length: the second entry is a page and a list that never ends.
        let pages = (0..PAGE / 8 - 1).map(|index| slot.data_page(2 + index % (DATA_PAGES - 2)));
        let entries: Vec<u64> = pages.chain([slot.list_page(0)]).collect();
        machine.set_ram(slot.list_page(0), &to_bytes(&entries));
        set_prps(entry, slot.base, slot.list_page(0));
        return;
    };
    let len = len.min(TRANSFER_BYTES_MAX);
    match form {
        0..=11 => build_prps(entry, machine, slot, len, recipe, form),
        _ => build_sgl(entry, machine, slot, len, recipe, form),
    }
}

fn set_prps(entry: &mut SubmissionQueueEntry, prp1: u64, prp2: u64) {
    entry.prp1 = prp1.into();
    entry.prp2 = prp2.into();
}

fn to_bytes(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}

fn build_prps(
    entry: &mut SubmissionQueueEntry,
    machine: &Machine,
    slot: Slot,
    len: usize,
    recipe: Recipe<'_>,
    form: u8,
) {
    let detail = u64::from(recipe.detail);
    let offset = if form == 1 || form == 2 {
        detail * 16 + 4
    } else {
        0
    };
    let count = (offset + len as u64).div_ceil(PAGE).max(1);
    let page = |index: u64| match form {
        2 => slot.data_page(count - 1 - index),
        _ => slot.data_page(index),
    };
    let mut pages: Vec<u64> = (1..count).map(page).collect();
    let bad = detail as usize % pages.len().max(1);
    match (form, pages.get_mut(bad)) {
        (4, Some(entry)) => *entry += 4 + detail,
        (5, Some(entry)) => *entry = [RAM_END, 0, !0xFFF, RAM_BASE - PAGE][recipe.detail as usize % 4],
        _ => {}
    }
    if form == 11 {
        pages = (1..count)
            .map(|index| recipe.address(index as usize, slot))
            .collect();
    }
    let list = match form {
        // The list goes over into another page, or into its own: it never ends.
        3 => slot.list_page(0) + PAGE - 8 * (1 + detail % 5),
        10 => slot.list_page(0) + PAGE - 8 * (1 + detail % 3),
        9 => slot.list_page(0) + 1 + detail % 7,
        _ => slot.list_page(0),
    };
    let prp1 = match form {
        6 => slot.base + 1 + detail % 3,
        7 => [RAM_END, 0, RAM_END - 4, u64::MAX - 3][recipe.detail as usize % 4],
        11 => recipe.address(0, slot),
        _ => page(0) + offset,
    };
    let prp2 = match (form, pages.len()) {
        (8, _) => 0,
        (9, _) if detail % 2 == 1 => RAM_END + detail * 8,
        (_, 0) => 0,
        (_, 1) => pages[0],
        _ => list,
    };
    set_prps(entry, prp1, prp2);
    if pages.len() > 1 {
        let next = if form == 10 {
            slot.list_page(0)
        } else {
            slot.list_page(1)
        };
        put_list(machine, list, &pages, next);
    }
}

/// Puts `entries` at `address`; where the page ends, a pointer to `next` and the rest there.
fn put_list(machine: &Machine, address: u64, entries: &[u64], next: u64) {
    let room = ((PAGE - address % PAGE) / 8) as usize;
    if entries.len() <= room {
        machine.set_ram(address, &to_bytes(entries));
        return;
    }
    let (here, there) = entries.split_at(room - 1);
    machine.set_ram(next, &to_bytes(there));
    machine.set_ram(address, &to_bytes(here));
    machine.set_ram(address + 8 * here.len() as u64, &next.to_le_bytes());
}

/// An SGL descriptor (NVMe Base 2.0 §4.1.2).
fn descriptor(address: u64, len: u32, kind: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    bytes[15] = kind;
    bytes
}

const DATA_BLOCK: u8 = 0x00;
const SEGMENT: u8 = 0x20;
const LAST_SEGMENT: u8 = 0x30;

fn build_sgl(
    entry: &mut SubmissionQueueEntry,
    machine: &Machine,
    slot: Slot,
    len: usize,
    recipe: Recipe<'_>,
    form: u8,
) {
    let detail = recipe.detail;
    let len = len as u32;
    let part = (len / (1 + u32::from(detail % 7))).next_multiple_of(4).max(4);
    let blocks = len.div_ceil(part).min(120);
    let block = |index: u32| {
        let address = slot.base + u64::from(index * part);
        descriptor(address, part.min(len.saturating_sub(index * part)), DATA_BLOCK)
    };
    let first = match form {
        12 => descriptor(slot.base + u64::from(detail % 16) * 4, len, DATA_BLOCK),
        13 => {
            let all: Vec<u8> = (0..blocks).flat_map(block).collect();
            machine.set_ram(slot.list_page(0), &all);
            descriptor(slot.list_page(0), blocks * 16, LAST_SEGMENT)
        }
        14 => {
            // The last block is in a segment of its own.
            let mut all: Vec<u8> = (0..blocks.saturating_sub(1)).flat_map(block).collect();
            all.extend(descriptor(slot.list_page(1), 16, LAST_SEGMENT));
            machine.set_ram(slot.list_page(0), &all);
            machine.set_ram(slot.list_page(1), &block(blocks.saturating_sub(1)));
            descriptor(slot.list_page(0), all.len() as u32, SEGMENT)
        }
        _ => {
            let scripted = |index: usize| {
                let word = recipe.script(index + 1);
                let kind = [
                    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x00, 0x01, 0x0F, 0xF0, 0x20, 0x30,
                ][usize::from(word) % 12];
                let len = [part, 16, 32, 0, 4096, u32::MAX, len, 1, 48, 1 << 31][usize::from(word >> 4) % 10];
                descriptor(recipe.address(index, slot), len, kind)
            };
            for page in 0..LIST_PAGES {
                let all: Vec<u8> = (0..16)
                    .flat_map(|index| scripted(index + page as usize))
                    .collect();
                machine.set_ram(slot.list_page(page), &all);
            }
            match detail % 3 {
                0 => scripted(0),
                1 => descriptor(slot.list_page(0), 16 * u32::from(detail / 3 % 18), LAST_SEGMENT),
                _ => descriptor(slot.list_page(0), 16 * u32::from(detail / 3 % 18), SEGMENT),
            }
        }
    };
    let half = |at: usize| u64::from_le_bytes(first[at..at + 8].try_into().expect("8 bytes"));
    set_prps(entry, half(0), half(8));
    let psdt = match form {
        16 => 2 + (detail & 1),
        _ => 1,
    };
    entry.flags = entry.flags & 0x3F | psdt << 6;
}

/// Where the data of a command is.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// Address and length of each piece, in order.
    pub pieces: Vec<(u64, usize)>,
    /// Pages from which the pieces are known.
    lists: Vec<u64>,
}

impl Walked {
    /// Whether a transfer to the host would change, on its way, where the rest of it goes, or have two bytes for one place.
    pub fn is_tangled(&self) -> bool {
        let pages = || {
            let firsts = self.pieces.iter().map(|(address, _)| address & !(PAGE - 1));
            firsts.chain(self.lists.iter().copied())
        };
        let mut seen: Vec<u64> = pages().collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len() < pages().count()
    }

    /// Whether it leads to the end of RAM, where other commands may write: then its data is not known.
    pub fn is_shared(&self) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|&(address, len)| address + len as u64 > RAM_END - PAGE)
            || self.lists.contains(&(RAM_END - PAGE))
    }

    /// The bytes behind it.
    pub fn gather(&self, machine: &Machine) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(address, len) in &self.pieces {
            bytes.extend_from_slice(&machine.ram(address, len));
        }
        bytes
    }

    /// Puts `bytes` there, as far as they go.
    pub fn scatter(&self, machine: &Machine, mut bytes: &[u8]) {
        for &(address, len) in &self.pieces {
            let (here, after) = bytes.split_at(len.min(bytes.len()));
            machine.set_ram(address, here);
            bytes = after;
        }
    }
}

/// A pointer that leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

fn is_ram(address: u64, len: usize) -> bool {
    let end = address.checked_add(len as u64);
    address >= RAM_BASE && end.is_some_and(|end| end <= RAM_END)
}

/// Follows the PRPs or the SGL of `entry` for `len` bytes.
///
/// # Errors
/// If they do not lead to memory.
pub fn walk(entry: &SubmissionQueueEntry, machine: &Machine, len: usize) -> Result<Walked, Broken> {
    if len == 0 {
        return Ok(Walked::default());
    }
    let walked = match entry.psdt() {
        0 => walk_prps(entry.prp1.get(), entry.prp2.get(), machine, len)?,
        _ => walk_sgl(entry, machine, len)?,
    };
    if walked.pieces.iter().all(|&(address, len)| is_ram(address, len)) {
        Ok(walked)
    } else {
        Err(Broken)
    }
}

/// NVMe Base 2.0 §4.1.1.
fn walk_prps(prp1: u64, prp2: u64, machine: &Machine, len: usize) -> Result<Walked, Broken> {
    if prp1 % 4 != 0 {
        return Err(Broken);
    }
    let first = len.min((PAGE - prp1 % PAGE) as usize);
    let mut walked = Walked {
        pieces: vec![(prp1, first)],
        lists: Vec::new(),
    };
    let mut left = len - first;
    if left == 0 {
        return Ok(walked);
    }
    let is_list = left > PAGE_SIZE_BYTES;
    let mut next = prp2;
    while left > 0 {
        let mut page = next;
        if is_list {
            if next % 8 != 0 || !is_ram(next, 8) {
                return Err(Broken);
            }
            page = read_u64(machine, next);
            walked.lists.push(next & !(PAGE - 1));
            if (next + 8) % PAGE == 0 && left > PAGE_SIZE_BYTES {
                if page % PAGE != 0 {
                    return Err(Broken);
                }
                next = page;
                continue;
            }
            next += 8;
        }
        if page % PAGE != 0 {
            return Err(Broken);
        }
        let piece = left.min(PAGE_SIZE_BYTES);
        walked.pieces.push((page, piece));
        left -= piece;
    }
    walked.lists.dedup();
    Ok(walked)
}

fn read_u64(machine: &Machine, address: u64) -> u64 {
    u64::from_le_bytes(machine.ram(address, 8).try_into().expect("8 bytes"))
}

/// NVMe Base 2.0 §4.1.2, of the plain kinds only: data blocks of exactly `len` bytes, and segments.
fn walk_sgl(entry: &SubmissionQueueEntry, machine: &Machine, len: usize) -> Result<Walked, Broken> {
    let mut walked = Walked::default();
    let mut segment = vec![(entry.prp1.get(), entry.prp2.get())];
    let mut found = 0;
    for _ in 0..8 {
        let mut after = None;
        for (index, &(address, rest)) in segment.iter().enumerate() {
            let (block_len, kind, reserved) =
                (rest as u32 as usize, (rest >> 56) as u8, rest >> 32 & 0xFF_FFFF);
            if reserved != 0 {
                return Err(Broken);
            }
            match kind {
                DATA_BLOCK => {
                    walked.pieces.push((address, block_len));
                    found += block_len;
                }
                SEGMENT | LAST_SEGMENT if index + 1 == segment.len() => after = Some((address, block_len)),
                _ => return Err(Broken),
            }
        }
        let Some((address, segment_len)) = after else {
            return if found == len { Ok(walked) } else { Err(Broken) };
        };
        if segment_len % 16 != 0
            || segment_len == 0
            || segment_len > PAGE_SIZE_BYTES
            || !is_ram(address, segment_len)
        {
            return Err(Broken);
        }
        walked.lists.push(address & !(PAGE - 1));
        let half = |at: u64| read_u64(machine, address + at);
        segment = (0..segment_len as u64)
            .step_by(16)
            .map(|at| (half(at), half(at + 8)))
            .collect();
    }
    Err(Broken)
}
