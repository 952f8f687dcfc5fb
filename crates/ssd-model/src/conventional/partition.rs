//! One instance of the flash translation layer: mapping, write points and garbage collection (MODELS.md §5).

use alloc::vec::Vec;
use core::hint::black_box;

use ssd_profile::{FtlParameters, Mapping};

use super::allocation;
use super::geometry::{Geometry, PAGE_BYTES};
use super::lines::{LineState, Lines};
use super::mapping::{PageMapping, PageTable};
use super::victim::{AnyVictims, Victims};
use crate::divisor::Divisor;
use crate::link::Link;
use crate::nand::{Lun, Nand};
use crate::table::room;
use crate::{EraseCounts, FlashStatistics, LineCounts, SetupError};

/// Where the next page goes.
#[derive(Clone, Copy, Debug)]
struct WritePoint {
    line: u32,
    /// Number of the page in the partition, and of the first one behind the line.
    next_page: u32,
    end_page: u32,
}

/// A page that was written: where, and whether it completes its one-shot page.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// The LUN.
    pub lun: Lun,
    /// The one-shot page is whole now and is to be programmed.
    pub completes_oneshot_page: bool,
}

/// What a partition counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    host_pages: u64,
    gc_copied_pages: u64,
    deallocated_pages: u64,
    gc_runs: u64,
}

/// A partition.
#[derive(Clone, Debug)]
pub struct Partition {
    mapping: PageTable,
    lines: Lines,
    victims: AnyVictims,
    host: WritePoint,
    collector: WritePoint,
    /// The LUNs of a row in the order in which it is written.
    row: Vec<Lun>,
    /// Which of them come first when a row is collected: channel by channel, LUN by LUN.
    collection_order: Vec<u32>,
    pages_per_flash_page: Divisor,
    pages_per_oneshot_page: Divisor,
    flash_pages_per_oneshot_page: Divisor,
    oneshot_pages_per_block: Divisor,
    units_per_row: Divisor,
    oneshot_bytes: u32,
    /// Pages that hosts may write until the free lines are looked at.
    credits: u32,
    /// What is added to them then: as many pages as the last collection gained.
    refill: u32,
    free_lines_min: u32,
    mapped_pages: u64,
    counters: Counters,
}

impl Partition {
    /// The partition `number` of a drive, with nothing written.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(
        number: u32,
        geometry: &Geometry,
        parameters: &FtlParameters,
        nand: &Nand,
    ) -> Result<Self, SetupError> {
        let (channels, luns_per_channel) = (geometry.channels, geometry.luns_per_channel);
        let order = allocation::order(parameters.allocation);
        let place = |unit| order.place(unit, channels, luns_per_channel);
        let mut row = room(geometry.luns() as usize)?;
        let mut collection_order = room(geometry.luns() as usize)?;
        for unit in 0..geometry.luns() {
            let (channel, lun) = place(unit);
            row.push(nand.lun(number * channels + channel, lun));
            collection_order.push(unit);
        }
        collection_order.sort_unstable_by_key(|&unit| place(unit));

        let mapping = match parameters.mapping {
            Mapping::Page => PageTable::new(geometry.logical_pages)?,
        };
        let mut lines = Lines::new(geometry.lines, geometry.pages_per_line)?;
        // The geometry has more lines than these two.
        let (Some(host), Some(collector)) = (lines.open(), lines.open()) else {
            return Err(SetupError::NoCapacity);
        };
        let pages_per_line = geometry.pages_per_line;
        Ok(Self {
            mapping,
            victims: AnyVictims::new(parameters.victim, geometry.lines)?,
            host: WritePoint::new(host, pages_per_line),
            collector: WritePoint::new(collector, pages_per_line),
            lines,
            row,
            collection_order,
            pages_per_flash_page: Divisor::new(geometry.pages_per_flash_page),
            pages_per_oneshot_page: Divisor::new(geometry.pages_per_oneshot_page),
            flash_pages_per_oneshot_page: Divisor::new(
                geometry.pages_per_oneshot_page / geometry.pages_per_flash_page.max(1),
            ),
            oneshot_pages_per_block: Divisor::new(geometry.oneshot_pages_per_block),
            units_per_row: Divisor::new(geometry.luns()),
            oneshot_bytes: geometry.pages_per_oneshot_page * PAGE_BYTES as u32,
            credits: pages_per_line,
            refill: pages_per_line,
            free_lines_min: parameters.gc_free_lines_min,
            mapped_pages: 0,
            counters: Counters::default(),
        })
    }

    /// Reads `count` logical pages from `first` on; the result is when the last of them is with the host, or `start_ns` of none. Pages that
    /// follow one another in the same flash page are read at once; unmapped ones take no time.
    #[inline]
    pub fn read(
        &mut self,
        now_ns: u64,
        start_ns: u64,
        first: u32,
        count: u32,
        nand: &mut Nand,
        link: &mut Link,
    ) -> Option<u64> {
        let mut read = |(flash_page, pages): (u32, u32)| {
            let (lun, page_in_block) = self.place_of(flash_page);
            let bytes = pages * PAGE_BYTES as u32;
            nand.read(now_ns, start_ns, lun, page_in_block, bytes, Some(link))
        };
        if count == 1 {
            let physical = self.mapping.lookup(first)?;
            return Some(read((self.pages_per_flash_page.divide(physical), 1)));
        }
        let mut done_ns = None;
        // The flash page being gathered, and how many of its pages are wanted.
        let mut run: Option<(u32, u32)> = None;
        for logical in first..first.saturating_add(count) {
            let Some(physical) = self.mapping.lookup(logical) else {
                continue;
            };
            let flash_page = self.pages_per_flash_page.divide(physical);
            run = match run {
                Some((same, pages)) if same == flash_page => Some((same, pages + 1)),
                other => {
                    if let Some(run) = other {
                        done_ns = done_ns.max(Some(read(run)));
                    }
                    Some((flash_page, 1))
                }
            };
        }
        done_ns.max(run.map(read))
    }

    /// Reads `logical` from flash, where it is, so that a write can be merged into it; the result is when it is at the controller. A page of an unfinished
    /// one-shot page is there already.
    pub fn read_to_merge(
        &mut self,
        now_ns: u64,
        start_ns: u64,
        logical: u32,
        nand: &mut Nand,
    ) -> Option<u64> {
        let physical = self.mapping.lookup(logical)?;
        let unit_of = |page| self.pages_per_oneshot_page.divide(page);
        let is_unfinished =
            |point: &WritePoint| physical < point.next_page && unit_of(physical) == unit_of(point.next_page);
        if is_unfinished(&self.host) || is_unfinished(&self.collector) {
            return None;
        }
        let (lun, page_in_block) = self.place_of(self.pages_per_flash_page.divide(physical));
        Some(nand.read(now_ns, start_ns, lun, page_in_block, PAGE_BYTES as u32, None))
    }

    /// Looks at what the tables have about `logical`, see [`crate::Model::anticipate`].
    #[inline]
    pub fn anticipate(&self, logical: u32, is_write: bool) {
        let physical = black_box(self.mapping.lookup(logical));
        if let (Some(before), true) = (physical, is_write) {
            black_box(self.lines.owner(before));
        }
    }

    /// Puts `logical` into the next page for hosts; nothing if there is no such logical page. The caller programs the one-shot page if it is whole,
    /// and then calls [`Partition::page_is_written`].
    #[inline]
    pub fn write(&mut self, now_ns: u64, logical: u32, nand: &mut Nand) -> Option<Written> {
        if logical >= self.mapping.len() {
            return None;
        }
        let physical = self.host.next_page;
        match self.mapping.map(logical, physical) {
            Some(before) => self.invalidate(before),
            None => self.mapped_pages += 1,
        }
        self.lines.fill(physical, logical, self.host.line);
        self.counters.host_pages += 1;
        let written = self.written(physical);
        self.host.next_page += 1;
        if self.host.next_page == self.host.end_page {
            self.close(self.host.line, now_ns);
            self.keep_a_free_line(now_ns, nand);
            self.host = self.open();
        }
        Some(written)
    }

    /// Takes the credit of a page that hosts wrote; when there is none left, collects a line if free ones are scarce.
    #[inline]
    pub fn page_is_written(&mut self, now_ns: u64, nand: &mut Nand) {
        self.credits = self.credits.saturating_sub(1);
        if self.credits > 0 {
            return;
        }
        if self.lines.free_len() <= self.free_lines_min {
            if let Some(line) = self.victims.take(now_ns, &self.lines) {
                self.refill = self.collect(line, now_ns, nand);
            }
        }
        self.credits += self.refill;
    }

    /// Forgets `logical`.
    pub fn deallocate(&mut self, logical: u32) {
        if let Some(before) = self.mapping.unmap(logical) {
            self.invalidate(before);
            self.mapped_pages -= 1;
            self.counters.deallocated_pages += 1;
        }
    }

    /// Adds what this partition counted to `statistics`, `lines` and `erases` (see [`Lines::add_to`]).
    pub fn add_to(&self, statistics: &mut FlashStatistics, lines: &mut LineCounts, erases: &mut EraseCounts) {
        let Counters {
            host_pages,
            gc_copied_pages,
            deallocated_pages,
            gc_runs,
        } = self.counters;
        statistics.host_pages += host_pages;
        statistics.gc_copied_pages += gc_copied_pages;
        statistics.deallocated_pages += deallocated_pages;
        statistics.gc_runs += gc_runs;
        self.lines.add_to(lines, erases);
    }

    /// Logical pages that have data.
    pub fn mapped_pages(&self) -> u64 {
        self.mapped_pages
    }

    /// Counts anew.
    pub fn reset_statistics(&mut self) {
        self.counters = Counters::default();
    }

    /// Bytes of the tables.
    pub fn metadata_bytes(&self) -> u64 {
        self.mapping.metadata_bytes() + self.lines.metadata_bytes() + self.victims.metadata_bytes()
    }

    #[inline]
    fn invalidate(&mut self, physical: u32) {
        let (line, state) = self.lines.invalidate(physical);
        match state {
            LineState::Full => self.victims.insert(line, &self.lines),
            LineState::Victim => self.victims.page_invalidated(line, &self.lines),
            LineState::Open | LineState::Free => {}
        }
    }

    /// Where a flash page is, as its number in the partition has it: its LUN, and which one of its block it is.
    #[inline]
    fn place_of(&self, flash_page: u32) -> (Lun, u32) {
        let (unit, in_oneshot_page) = self.flash_pages_per_oneshot_page.divide_with_rest(flash_page);
        let (row, unit_in_row) = self.units_per_row.divide_with_rest(unit);
        let (_, row_in_block) = self.oneshot_pages_per_block.divide_with_rest(row);
        (
            self.row[unit_in_row as usize],
            row_in_block * self.flash_pages_per_oneshot_page.value() + in_oneshot_page,
        )
    }

    #[inline]
    fn written(&self, physical: u32) -> Written {
        let (unit, in_oneshot_page) = self.pages_per_oneshot_page.divide_with_rest(physical);
        let (_, unit_in_row) = self.units_per_row.divide_with_rest(unit);
        Written {
            lun: self.row[unit_in_row as usize],
            completes_oneshot_page: in_oneshot_page + 1 == self.pages_per_oneshot_page.value(),
        }
    }

    fn close(&mut self, line: u32, now_ns: u64) {
        if self.lines.close(line, now_ns) == LineState::Victim {
            self.victims.insert(line, &self.lines);
        }
    }

    fn open(&mut self) -> WritePoint {
        // `keep_a_free_line` sees to it that there is one; the geometry, that it can.
        let line = self.lines.open();
        debug_assert!(line.is_some(), "a free line was kept");
        WritePoint::new(line.unwrap_or(0), self.lines.pages_per_line())
    }

    /// Collects until there are a free line for the host and one that collection may open. The reference does not: with a
    /// scarcity of invalid pages, one collection may not free a line, and it runs out of them.
    ///
    /// It ends: the spare lines of the geometry hold invalid or erased pages; as there are fewer than two free lines, some of those are in lines
    /// that are candidates, and each collection gains at least one page.
    fn keep_a_free_line(&mut self, now_ns: u64, nand: &mut Nand) {
        while self.lines.free_len() < 2 {
            let Some(line) = self.victims.take_emptiest(&self.lines) else {
                return;
            };
            self.collect(line, now_ns, nand);
        }
    }

    /// Moves what is valid out of `line` and erases it; the result is how many pages that gained.
    fn collect(&mut self, line: u32, now_ns: u64, nand: &mut Nand) -> u32 {
        let valid_pages = self.lines.valid_pages(line);
        let flash_pages_per_oneshot_page = self.flash_pages_per_oneshot_page.value();
        let (row_pages, oneshot_pages, flash_pages) = (
            self.units_per_row.value() * self.pages_per_oneshot_page.value(),
            self.pages_per_oneshot_page.value(),
            self.pages_per_flash_page.value(),
        );
        let rows = self.oneshot_pages_per_block.value();
        let first_page = self.lines.first_page(line);
        for row in 0..rows {
            for in_oneshot_page in 0..flash_pages_per_oneshot_page {
                let is_last = row + 1 == rows && in_oneshot_page + 1 == flash_pages_per_oneshot_page;
                let page_in_block = row * flash_pages_per_oneshot_page + in_oneshot_page;
                for index in 0..self.collection_order.len() {
                    let unit = self.collection_order[index];
                    let lun = self.row[unit as usize];
                    let first =
                        first_page + row * row_pages + unit * oneshot_pages + in_oneshot_page * flash_pages;
                    self.move_flash_page(first, lun, page_in_block, now_ns, nand);
                    if is_last {
                        nand.erase(now_ns, lun);
                    }
                }
            }
        }
        self.lines.erase(line);
        self.counters.gc_runs += 1;
        self.counters.gc_copied_pages += u64::from(valid_pages);
        self.lines.pages_per_line() - valid_pages
    }

    /// Moves the valid pages of the flash page that begins at `first`.
    #[inline]
    fn move_flash_page(&mut self, first: u32, lun: Lun, page_in_block: u32, now_ns: u64, nand: &mut Nand) {
        let pages = self.pages_per_flash_page.value();
        let valid_pages = self.lines.count_valid(first, pages);
        if valid_pages == 0 {
            return;
        }
        nand.read(
            now_ns,
            now_ns,
            lun,
            page_in_block,
            valid_pages * PAGE_BYTES as u32,
            None,
        );
        for physical in first..first + pages {
            if let Some(logical) = self.lines.owner(physical) {
                self.lines.vacate(physical);
                self.move_page(logical, now_ns, nand);
            }
        }
    }

    /// Puts `logical` into the next page of garbage collection.
    #[inline]
    fn move_page(&mut self, logical: u32, now_ns: u64, nand: &mut Nand) {
        let physical = self.collector.next_page;
        self.mapping.map(logical, physical);
        self.lines.fill(physical, logical, self.collector.line);
        let written = self.written(physical);
        if written.completes_oneshot_page {
            nand.program(now_ns, now_ns, written.lun, self.oneshot_bytes);
        } else {
            nand.hold(now_ns, written.lun);
        }
        self.collector.next_page += 1;
        if self.collector.next_page == self.collector.end_page {
            self.close(self.collector.line, now_ns);
            self.collector = self.open();
        }
    }

    /// Whether `logical` has data.
    #[cfg(test)]
    pub fn is_mapped(&self, logical: u32) -> bool {
        self.mapping.lookup(logical).is_some()
    }

    /// Checks everything that must always hold; for tests.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), &'static str> {
        super::check::check(
            &self.mapping,
            &self.lines,
            &self.victims,
            [self.host.line, self.collector.line],
        )?;
        let mapped = (0..self.mapping.len()).filter(|&logical| self.mapping.lookup(logical).is_some());
        if mapped.count() as u64 != self.mapped_pages {
            return Err("the count of mapped pages is not that of a recount");
        }
        Ok(())
    }
}

impl WritePoint {
    fn new(line: u32, pages_per_line: u32) -> Self {
        let next_page = line * pages_per_line;
        Self {
            line,
            next_page,
            end_page: next_page + pages_per_line,
        }
    }
}
