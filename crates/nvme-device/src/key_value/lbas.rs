//! LBAs of a namespace that speaks the NVM command set (MODELS.md §7): pages under keys of their own, beside the pairs.
//!
//! A page that was never written, or deallocated, takes no room and reads as zeros. So a drive that is full of pairs has no room for LBAs.

use core::ops::Range;

use nvme_spec::{DirectiveType, NvmOpcode, Status};
use ssd_model::key_value::{Key, Medium, Place, PAGE_BYTES};
use ssd_model::Command;

use super::command::Dialect;
use super::transfer::PieceStream;
use super::{Done, Execution, Unfinished, WORK_PER_PASS};
use crate::compare::Comparison;
use crate::data_pointer::{write_zeros, Role};
use crate::dataset::Position;
use crate::host::{Host, MemoryFault};
use crate::io::{Access, CopyRequest, Plan, Progress, Request};
use crate::namespace::ByteRange;
use crate::streams::directive;
use crate::work::Direction;

/// Pages of a range that are deallocated before it is looked at whether that is enough for a pass: a power of two.
const PART_PAGES: u32 = 64;

/// The part of a page that a command is about.
struct PagePart {
    page: u64,
    offset: u32,
    len_bytes: u32,
}

/// The pages of `range`.
fn page_parts(range: ByteRange) -> impl Iterator<Item = PagePart> {
    let page_bytes = u64::from(PAGE_BYTES);
    let end = range.offset_bytes + u64::from(range.len_bytes);
    let mut at = range.offset_bytes;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let part_end = (at / page_bytes + 1) * page_bytes;
        let part = PagePart {
            page: at / page_bytes,
            offset: (at % page_bytes) as u32,
            len_bytes: (part_end.min(end) - at) as u32,
        };
        at = part_end;
        Some(part)
    })
}

impl<H: Host> Execution<'_, H> {
    pub(super) fn lbas(&mut self) -> Result<Done, Unfinished> {
        let opcode = NvmOpcode(self.fetched.entry.opcode);
        let writes = matches!(
            opcode,
            NvmOpcode::WRITE | NvmOpcode::WRITE_ZEROES | NvmOpcode::WRITE_UNCORRECTABLE | NvmOpcode::COPY
        );
        if writes && directive(self.fetched.entry) != DirectiveType::IDENTIFY {
            return Err(Status::INVALID_FIELD_IN_COMMAND.into());
        }
        match opcode {
            NvmOpcode::DATASET_MANAGEMENT => return self.deallocate(),
            NvmOpcode::COPY => return Ok(self.copy_lbas()?),
            _ => {}
        }
        let request = Request::parse(self.fetched.entry);
        let Plan {
            command,
            direction,
            access,
            range,
        } = Plan::new(request, self.space, None, self.limits)?;
        let lbas = self.space.lbas(range);
        match (access, direction) {
            (Access::Neither, _) => {}
            (Access::Read, _) => {
                self.check_readable(lbas)?;
                match direction {
                    Direction::ToHost => self.move_lbas(direction, range)?,
                    Direction::Compare => self.compare_lbas(range)?,
                    _ => {}
                }
            }
            (Access::Write, Direction::FromHost) => {
                self.write_lbas(range)?;
                self.uncorrectable.clear(lbas);
            }
            (Access::Write, _) => {
                self.forget(range)?;
                self.uncorrectable.clear(lbas);
            }
            (Access::Spoil, _) => {
                if !self.uncorrectable.has_room_for(lbas.clone()) {
                    return Err(Status::INTERNAL_ERROR.into());
                }
                self.forget(range)?;
                self.uncorrectable.mark(lbas);
            }
        }
        Ok(Done {
            result: 0,
            timed_as: Some(command),
            direction,
            len_bytes: range.len_bytes,
        })
    }

    fn check_readable(&self, lbas: Range<u64>) -> Result<(), Status> {
        if self.uncorrectable.has_any(lbas) {
            return Err(Status::UNRECOVERED_READ_ERROR);
        }
        Ok(())
    }

    fn page(&self, page: u64) -> Result<Place, MemoryFault> {
        self.key_value.store.look_up(&self.medium, Key::Page(page))
    }

    fn move_lbas(&self, direction: Direction, range: ByteRange) -> Result<(), Status> {
        let pointer = self.fetched.data_pointer();
        let (role, len_bytes) = (Role::of(direction), range.len_bytes as usize);
        pointer.for_each_piece(role, self.medium.host, len_bytes, |address, offset, len| {
            let mut address = address;
            let piece = ByteRange {
                offset_bytes: range.offset_bytes + offset as u64,
                len_bytes: len as u32,
            };
            for part in page_parts(piece) {
                let place = self.page(part.page)?;
                let part_len = part.len_bytes as usize;
                if place.value_bytes().is_some() {
                    let pieces = self.key_value.store.pieces(&place, part.offset, part.len_bytes);
                    let mut stream = PieceStream::new(pieces);
                    self.medium
                        .move_piece(direction, address, part_len, &mut stream)?;
                } else {
                    write_zeros(self.medium.host, address, part_len)?;
                }
                address = address.wrapping_add(part_len as u64);
            }
            Ok(())
        })
    }

    fn compare_lbas(&self, range: ByteRange) -> Result<(), Status> {
        let mut comparison = Comparison::new(self.medium.host);
        let pointer = self.fetched.data_pointer();
        let len_bytes = range.len_bytes as usize;
        pointer.for_each_piece(
            Role::Source,
            self.medium.host,
            len_bytes,
            |address, offset, len| {
                comparison.with(address, len, |done, ours| {
                    self.read_bytes(range.offset_bytes + (offset + done) as u64, ours)
                })
            },
        )?;
        comparison.finish()
    }

    /// Copies what is at `offset_bytes` of the namespace into `into`, which has zeros.
    fn read_bytes(&self, offset_bytes: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        let mut rest = into;
        let range = ByteRange {
            offset_bytes,
            len_bytes: rest.len() as u32,
        };
        for part in page_parts(range) {
            let (here, after) = rest
                .split_at_mut_checked(part.len_bytes as usize)
                .unwrap_or_default();
            rest = after;
            let place = self.page(part.page)?;
            if place.value_bytes().is_some() {
                let pieces = self.key_value.store.pieces(&place, part.offset, part.len_bytes);
                self.medium.read_pieces(pieces, here)?;
            }
        }
        Ok(())
    }

    /// Timed as a write.
    fn copy_lbas(&mut self) -> Result<Done, Status> {
        let entry = self.fetched.entry;
        let host = self.medium.host;
        let request = CopyRequest::fetch(entry, self.space, self.limits.transfer_bytes_max, host)?;
        for source in request.sources() {
            self.check_readable(self.space.lbas(source))?;
        }
        let destination = request.destination;
        self.make_pages(destination)?;
        self.with_buffer(|execution, buffer| execution.copy_through(buffer, &request))?;
        self.uncorrectable.clear(self.space.lbas(destination));
        let ByteRange {
            offset_bytes,
            len_bytes,
        } = destination;
        let fua = request.fua;
        Ok(Done {
            result: 0,
            timed_as: Some(Command::Write {
                offset_bytes,
                len_bytes,
                fua,
            }),
            direction: Direction::Gathered,
            len_bytes,
        })
    }

    /// Reads all that is to be copied into `buffer`, and writes it from there.
    fn copy_through(&self, buffer: &mut [u8], request: &CopyRequest) -> Result<(), MemoryFault> {
        let mut rest = &mut *buffer;
        for source in request.sources() {
            let (part, after) = rest
                .split_at_mut_checked(source.len_bytes as usize)
                .unwrap_or_default();
            rest = after;
            part.fill(0);
            self.read_bytes(source.offset_bytes, part)?;
        }
        let mut rest = &*buffer;
        for part in page_parts(request.destination) {
            let (from, after) = rest.split_at_checked(part.len_bytes as usize).unwrap_or_default();
            rest = after;
            let place = self.page(part.page)?;
            let pieces = self.key_value.store.pieces(&place, part.offset, part.len_bytes);
            self.medium.write_pieces(from, pieces)?;
        }
        Ok(())
    }

    /// Pages that are not there yet are made first, all or none of them: what is written may then fail to arrive, but all has a place.
    fn write_lbas(&mut self, range: ByteRange) -> Result<(), Status> {
        self.make_pages(range)?;
        self.move_lbas(Direction::FromHost, range)
    }

    fn make_pages(&mut self, range: ByteRange) -> Result<(), Status> {
        let mut missing = 0;
        for part in page_parts(range) {
            missing += u32::from(self.page(part.page)?.value_bytes().is_none());
        }
        if missing > 0 {
            if !self.key_value.store.has_room_for_pages(missing) {
                return Err(Status::CAPACITY_EXCEEDED);
            }
            for part in page_parts(range) {
                self.make_page(part.page)?;
            }
        }
        Ok(())
    }

    /// A page of zeros, unless there is one already.
    fn make_page(&mut self, page: u64) -> Result<(), Status> {
        let place = self.page(page)?;
        if place.value_bytes().is_some() {
            return Ok(());
        }
        self.store_value(
            Key::Page(page),
            &place,
            PAGE_BYTES,
            Dialect::Standard,
            |execution, pieces| Ok(execution.medium.zero_value(pieces)?),
        )
    }

    /// Makes `range` read as zeros: whole pages go.
    fn forget(&mut self, range: ByteRange) -> Result<(), Status> {
        for part in page_parts(range) {
            self.forget_part(&part)?;
        }
        Ok(())
    }

    fn forget_part(&mut self, part: &PagePart) -> Result<(), Status> {
        let place = self.page(part.page)?;
        let store = &mut self.key_value.store;
        match place.value_bytes() {
            None => {}
            Some(_) if part.len_bytes == PAGE_BYTES => store.remove(&place),
            Some(_) => self
                .medium
                .zero_value(store.pieces(&place, part.offset, part.len_bytes))?,
        }
        Ok(())
    }

    /// Takes several passes, if there is much: `ranges` is fetched and checked in each.
    fn deallocate(&mut self) -> Result<Done, Unfinished> {
        self.ranges
            .fetch(self.fetched.entry, self.space, self.medium.host)?;
        let mut position = match self.fetched.progress {
            Progress::Deallocate { position, .. } => position,
            _ => Position::default(),
        };
        let mut work = WORK_PER_PASS;
        while let Some((part, after)) = self.ranges.part(position, PART_PAGES * PAGE_BYTES) {
            if work == 0 {
                return Err(Unfinished::Paused(Progress::Deallocate {
                    position,
                    done_at_ns: 0,
                }));
            }
            self.forget(part)?;
            self.uncorrectable.clear(self.space.lbas(part));
            work = work.saturating_sub(page_parts(part).count() as u32);
            position = after;
        }
        Ok(Done::with_result(0))
    }
}
