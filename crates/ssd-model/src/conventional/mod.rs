//! A conventional SSD: flash behind a page-mapping translation layer with garbage collection (MODELS.md §5).
//!
//! 4 KiB pages are dealt to partitions in turn. Each `partition` is a translation layer of its own over its share of the
//! channels; the write buffer and the link to the host are shared. The parts that can be exchanged have a file each:
//! `mapping`, `allocation` (in which order pages are written), `victim` (which line is collected), and
//! `write_buffer`; the profile names which one is used.
//!
//! A write that does not cover a page reads the rest of it first, if that is on flash, and the page is programmed as a whole; the reference does not read.
//!
//! Not modelled: planes, wear-out, read disturb, power loss, a limit of the mapping table's cache.

mod allocation;
mod check;
mod geometry;
mod lines;
mod mapping;
mod partition;
#[cfg(test)]
mod tests;
mod victim;

pub use geometry::{Geometry, PAGE_BYTES};

use alloc::vec::Vec;

use nvme_spec::Status;
use ssd_profile::{ConventionalParameters, FirmwareTimes};

use crate::divisor::Divisor;
use crate::link::Link;
use crate::nand::Nand;
use crate::table::{room, table};
use crate::write_buffer::{no_room, WriteBuffer};
use crate::{
    Accepted, Command, EraseCounts, FlashReport, FlashStatistics, LineCounts, Model, Refusal, SetupError,
    ZoneCounts,
};
use partition::Partition;

/// The model of MODELS.md §5.
#[derive(Clone, Debug)]
pub struct ConventionalModel {
    geometry: Geometry,
    partition_count: Divisor,
    partitions: Vec<Partition>,
    nand: Nand,
    link: Link,
    write_buffer: WriteBuffer,
    /// For each partition, the buffer space that its unfinished one-shot page holds, bytes.
    unfinished_bytes: Vec<u32>,
    /// For each partition, when what its unfinished one-shot page is merged with has been read, ns.
    merged_at_ns: Vec<u64>,
    firmware: FirmwareTimes,
    early_completion: bool,
    oneshot_bytes: u32,
    reference_quirks: bool,
    host_read_bytes: u64,
    host_written_bytes: u64,
}

/// The pages that a command touches.
#[derive(Clone, Copy, Debug)]
struct PageRange {
    first: u64,
    count: u64,
}

impl PageRange {
    /// All that `len_bytes` at `offset_bytes` touch; nothing for no bytes.
    fn touched(offset_bytes: u64, len_bytes: u64) -> Self {
        let first = offset_bytes / PAGE_BYTES;
        let end = offset_bytes.saturating_add(len_bytes).div_ceil(PAGE_BYTES);
        let count = if len_bytes == 0 { 0 } else { end - first };
        Self { first, count }
    }

    /// Whether `len_bytes` at `offset_bytes` cover `page`, one of those that they touch.
    fn has_whole(page: u64, offset_bytes: u64, len_bytes: u32) -> bool {
        let first = page * PAGE_BYTES;
        first >= offset_bytes && first + PAGE_BYTES <= offset_bytes + u64::from(len_bytes)
    }

    /// Those that they have as a whole.
    fn whole(offset_bytes: u64, len_bytes: u64) -> Self {
        let first = offset_bytes.div_ceil(PAGE_BYTES);
        let end = offset_bytes.saturating_add(len_bytes) / PAGE_BYTES;
        Self {
            first,
            count: end.saturating_sub(first),
        }
    }
}

impl ConventionalModel {
    /// A drive of `capacity_bytes` on which nothing was written yet.
    ///
    /// # Errors
    /// [`SetupError`] when the capacity does not fit the flash, or memory is lacking. The parameters are to be those of a checked profile.
    pub fn new(parameters: &ConventionalParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        let geometry = Geometry::new(parameters, capacity_bytes)?;
        let quirks = parameters.reference_quirks;
        let nand = Nand::new(&parameters.nand, quirks)?;
        let mut partitions = room(geometry.partitions as usize)?;
        for number in 0..geometry.partitions {
            partitions.push(Partition::new(number, &geometry, &parameters.ftl, &nand)?);
        }
        Ok(Self {
            geometry,
            partition_count: Divisor::new(geometry.partitions),
            partitions,
            nand,
            link: Link::new(parameters.link.mib_per_s, 0, quirks)?,
            write_buffer: WriteBuffer::new(&parameters.write_buffer, quirks)?,
            unfinished_bytes: table(geometry.partitions as usize, 0)?,
            merged_at_ns: table(geometry.partitions as usize, 0)?,
            firmware: parameters.firmware,
            early_completion: parameters.write_buffer.early_completion,
            oneshot_bytes: parameters.nand.oneshot_page_bytes,
            reference_quirks: quirks,
            host_read_bytes: 0,
            host_written_bytes: 0,
        })
    }

    /// How the drive is laid out.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The flash array, for how busy its parts are.
    pub fn nand(&self) -> &Nand {
        &self.nand
    }

    /// For how long data was on the link to the host, ns.
    pub fn link_busy_ns(&self) -> u64 {
        self.link.busy_ns()
    }

    /// What the drive did so far. Looks at every line: not for the path of an I/O.
    pub fn report(&self) -> FlashReport {
        let (nand_read_bytes, nand_programmed_bytes) = self.nand.bytes();
        let mut statistics = FlashStatistics {
            host_read_bytes: self.host_read_bytes,
            host_written_bytes: self.host_written_bytes,
            nand_read_bytes,
            nand_programmed_bytes,
            buffer_stalls: self.write_buffer.stalls(),
            ..FlashStatistics::default()
        };
        let mut lines = LineCounts::default();
        let mut erases = EraseCounts {
            min: u32::MAX,
            ..EraseCounts::default()
        };
        for partition in &self.partitions {
            partition.add_to(&mut statistics, &mut lines, &mut erases);
        }
        let partitions = u64::from(self.geometry.partitions);
        erases.mean_milli =
            erases.mean_milli.saturating_mul(1000) / (partitions * u64::from(self.geometry.lines));
        FlashReport {
            statistics,
            lines,
            zones: ZoneCounts::default(),
            erases,
            mapped_pages: self.partitions.iter().map(Partition::mapped_pages).sum(),
            logical_pages: self.geometry.namespace_bytes.div_ceil(PAGE_BYTES),
            physical_pages: partitions * u64::from(self.geometry.physical_pages),
            buffered_bytes: self.write_buffer.used_bytes(),
            buffer_bytes: self.write_buffer.size_bytes(),
            metadata_bytes: self.metadata_bytes(),
        }
    }

    /// Counts anew; erase counts stay.
    pub fn reset_statistics(&mut self) {
        (self.host_read_bytes, self.host_written_bytes) = (0, 0);
        self.partitions.iter_mut().for_each(Partition::reset_statistics);
        self.nand.reset_statistics();
        self.link.reset_busy();
        self.write_buffer.reset_statistics();
    }

    /// Checks everything that must always hold in the translation layer, page by page; for tests.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), &'static str> {
        self.partitions.iter().try_for_each(Partition::check)
    }

    /// Bytes of all tables: those of the translation layer grow with the capacity; links and write buffer do not.
    fn metadata_bytes(&self) -> u64 {
        let partitions: u64 = self.partitions.iter().map(Partition::metadata_bytes).sum();
        partitions
            + self.nand.metadata_bytes()
            + self.link.metadata_bytes()
            + self.write_buffer.metadata_bytes()
    }

    /// The partition of a page and the page's number in it. A number that is too large for a partition is one that is never mapped.
    #[inline]
    fn place(&self, page: u64) -> (usize, u32) {
        if let Ok(page) = u32::try_from(page) {
            let (local, partition) = self.partition_count.divide_with_rest(page);
            return (partition as usize, local);
        }
        let partitions = u64::from(self.partition_count.value());
        let local = u32::try_from(page / partitions).unwrap_or(u32::MAX);
        ((page % partitions) as usize, local)
    }

    fn read(&mut self, now_ns: u64, offset_bytes: u64, len_bytes: u32) -> u64 {
        let pages = PageRange::touched(offset_bytes, len_bytes.into());
        let start_ns = now_ns.saturating_add(self.firmware.of_read(len_bytes));
        self.host_read_bytes += u64::from(len_bytes);
        // Q7: a read of pages that were never written takes no time in the reference. Otherwise the firmware has to find that out.
        let mut done_ns = if self.reference_quirks { now_ns } else { start_ns };
        // A command's length is 32 bits.
        let (pages_count, partitions) = (pages.count as u32, self.partition_count.value());
        for index in 0..pages_count.min(partitions) {
            let (partition, first) = self.place(pages.first + u64::from(index));
            let count = self
                .partition_count
                .divide(pages_count - index + (partitions - 1));
            let partition_done_ns = self.partitions[partition].read(
                now_ns,
                start_ns,
                first,
                count,
                &mut self.nand,
                &mut self.link,
            );
            done_ns = done_ns.max(partition_done_ns.unwrap_or(0));
        }
        done_ns
    }

    /// Writes data, or zeros, which do not cross the link.
    fn write(
        &mut self,
        now_ns: u64,
        offset_bytes: u64,
        len_bytes: u32,
        fua: bool,
        has_data: bool,
    ) -> Result<u64, Refusal> {
        let pages = PageRange::touched(offset_bytes, len_bytes.into());
        if pages.count == 0 {
            return Ok(now_ns);
        }
        if u64::from(len_bytes) > self.write_buffer.pool_bytes() {
            return Err(Refusal::Failed(Status::INVALID_FIELD_IN_COMMAND));
        }
        self.write_buffer
            .take(now_ns, offset_bytes, len_bytes)
            .map_err(no_room)?;
        let admitted_ns = now_ns.saturating_add(self.firmware.of_write(len_bytes));
        let buffered_ns = if has_data {
            self.link.request(now_ns, admitted_ns, len_bytes)
        } else {
            admitted_ns
        };
        self.host_written_bytes += u64::from(len_bytes);
        let mut on_flash_ns = buffered_ns;
        for page in pages.first..pages.first + pages.count {
            let held_bytes = self
                .write_buffer
                .given_back_bytes(page * PAGE_BYTES, offset_bytes, len_bytes);
            let ready_ns = if self.reference_quirks || PageRange::has_whole(page, offset_bytes, len_bytes) {
                buffered_ns
            } else {
                self.read_to_merge(now_ns, buffered_ns, page)
            };
            on_flash_ns =
                on_flash_ns
                    .max(ready_ns)
                    .max(self.write_page(now_ns, buffered_ns, page, held_bytes));
        }
        let waits_for_flash = fua || !self.early_completion;
        Ok(if waits_for_flash { on_flash_ns } else { buffered_ns })
    }

    /// Reads what a write leaves of `page`, which it does not cover, if that is on flash; the result is when it is there, or `start_ns`.
    fn read_to_merge(&mut self, now_ns: u64, start_ns: u64, page: u64) -> u64 {
        let (number, logical) = self.place(page);
        let read_ns = self.partitions[number].read_to_merge(now_ns, start_ns, logical, &mut self.nand);
        let Some(read_ns) = read_ns else {
            return start_ns;
        };
        self.merged_at_ns[number] = self.merged_at_ns[number].max(read_ns);
        read_ns
    }

    /// Puts a page, which holds `held_bytes` of the buffer, onto flash; the result is when its one-shot page is programmed, or `start_ns` if that is
    /// not whole yet.
    #[inline]
    fn write_page(&mut self, now_ns: u64, start_ns: u64, page: u64, held_bytes: u32) -> u64 {
        let (number, logical) = self.place(page);
        let partition = &mut self.partitions[number];
        let Some(written) = partition.write(now_ns, logical, &mut self.nand) else {
            // A page beyond the namespace, which the device does not ask for: its space is not lost.
            self.write_buffer.release_at(now_ns, 0, held_bytes);
            return start_ns;
        };
        self.unfinished_bytes[number] += held_bytes;
        let mut done_ns = start_ns;
        if written.completes_oneshot_page {
            let start_ns = start_ns.max(core::mem::take(&mut self.merged_at_ns[number]));
            done_ns = self
                .nand
                .program(now_ns, start_ns, written.lun, self.oneshot_bytes);
            let held_bytes = core::mem::take(&mut self.unfinished_bytes[number]);
            self.write_buffer.release_at(done_ns, 0, held_bytes);
        }
        partition.page_is_written(now_ns, &mut self.nand);
        done_ns
    }

    /// Forgets the pages that the range has as a whole: what remains of others cannot be told apart.
    fn deallocate(&mut self, now_ns: u64, offset_bytes: u64, len_bytes: u64) -> u64 {
        let pages = PageRange::whole(offset_bytes, len_bytes);
        // Not past the last page, however long the range is.
        let pages_max = self.geometry.namespace_bytes.div_ceil(PAGE_BYTES);
        for page in pages.first..pages.first.saturating_add(pages.count).min(pages_max) {
            let (partition, logical) = self.place(page);
            self.partitions[partition].deallocate(logical);
        }
        // The mapping is in memory: the firmware's time for a command, and no flash.
        now_ns.saturating_add(self.firmware.write_ns.into())
    }
}

impl Model for ConventionalModel {
    #[inline]
    fn anticipate(&self, offset_bytes: u64, is_write: bool) {
        let (number, logical) = self.place(offset_bytes / PAGE_BYTES);
        if let Some(partition) = self.partitions.get(number) {
            partition.anticipate(logical, is_write);
        }
    }

    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal> {
        let done_at_ns = match *command {
            Command::Read {
                offset_bytes,
                len_bytes,
            } => self.read(now_ns, offset_bytes, len_bytes),
            Command::Write {
                offset_bytes,
                len_bytes,
                fua,
            } => self.write(now_ns, offset_bytes, len_bytes, fua, true)?,
            Command::WriteZeroes {
                offset_bytes,
                len_bytes,
                fua: _,
                deallocate: true,
            } => self.deallocate(now_ns, offset_bytes, len_bytes.into()),
            Command::WriteZeroes {
                offset_bytes,
                len_bytes,
                fua,
                deallocate: false,
            } => self.write(now_ns, offset_bytes, len_bytes, fua, false)?,
            Command::Deallocate {
                offset_bytes,
                len_bytes,
            } => self.deallocate(now_ns, offset_bytes, len_bytes),
            Command::Flush => self.nand.idle_at_ns().max(now_ns),
            Command::Append { .. } | Command::ZoneSend { .. } | Command::ZoneSendAll { .. } => {
                return Err(Refusal::Failed(Status::INVALID_COMMAND_OPCODE))
            }
        };
        Ok(Accepted {
            done_at_ns,
            result: 0,
        })
    }
}
