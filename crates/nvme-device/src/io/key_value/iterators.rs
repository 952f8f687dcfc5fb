//! Iterators of the vendor specific commands: the keys whose first four bytes, under a mask, are as given (MODELS.md §7).

use nvme_spec::{vendor_option, Status, VendorCdw11Iterate, VENDOR_PAIR_VALUE_OFFSET};
use ssd_model::key_value::{Place, Step};

use crate::command::transfer::Direction;
use crate::command::wait::Progress;
use crate::data_pointer::role::Role;
use crate::host::Host;
use crate::io::key_value::command::{fill_slot, options, Dialect};
use crate::io::key_value::execution::{Done, Execution, Unfinished, WORK_PER_PASS};
use crate::io::key_value::transfer::PieceStream;
use crate::namespace::key_value::iterators::OpenIterator;

/// The number of keys, and the length of each, are so long.
const COUNT_BYTES: usize = 4;

impl<H: Host> Execution<'_, H> {
    fn handle(&self) -> u8 {
        VendorCdw11Iterate(self.fetched.entry.cdw11.get()).handle()
    }

    /// Opens or closes. The result of opening is the handle.
    pub(crate) fn iterate_request(&mut self) -> Result<Done, Status> {
        use vendor_option::{ITERATE_CLOSE, ITERATE_KEYS, ITERATE_OPEN, ITERATE_PAIRS};
        let (entry, handle) = (self.fetched.entry, self.handle());
        let iterators = &mut self.key_value.iterators;
        let options = options(entry);
        let with_values = match options {
            ITERATE_CLOSE => {
                let open = iterators.get_mut(handle).and_then(Option::take);
                open.ok_or(Status::VENDOR_ITERATOR_DOES_NOT_EXIST)?;
                return Ok(Done::with_result(0));
            }
            _ if options & !ITERATE_PAIRS & !ITERATE_KEYS != ITERATE_OPEN => {
                return Err(Status::VENDOR_INVALID_OPTION);
            }
            _ => options & ITERATE_PAIRS != 0,
        };
        if options & ITERATE_PAIRS != 0 && options & ITERATE_KEYS != 0 {
            return Err(Status::VENDOR_INVALID_OPTION);
        }
        let handle = iterators.open(entry.cdw12.get(), entry.cdw13.get(), with_values)?;
        Ok(Done::with_result(handle.into()))
    }

    /// Reads as many keys as fit, or one key with its value.
    pub(crate) fn iterate_read(&mut self) -> Result<Done, Unfinished> {
        let len_bytes = Dialect::Vendor.len_bytes(self.fetched.entry);
        if len_bytes > self.key_value.transfer_bytes_max {
            return Err(Status::INVALID_FIELD_IN_COMMAND.into());
        }
        let handle = self.handle();
        let open = self.key_value.iterators.get_mut(handle).and_then(|place| *place);
        let mut iterator = open.ok_or(Status::VENDOR_ITERATOR_DOES_NOT_EXIST)?;
        let result = if iterator.with_values {
            self.read_pair(&mut iterator, len_bytes)
        } else {
            self.with_buffer(|execution, buffer| {
                let answer = buffer.get_mut(..len_bytes as usize).unwrap_or_default();
                execution.read_keys(&mut iterator, answer)
            })
        };
        // A read that fails for want of room or memory has read nothing.
        if !matches!(result, Err(Unfinished::Failed(_))) {
            if let Some(place) = self.key_value.iterators.get_mut(handle) {
                *place = Some(iterator);
            }
        }
        result
    }

    /// The next pair that the iterator wants; its key is the cursor's then.
    ///
    /// # Errors
    /// If it is another command's turn.
    fn next_wanted(&self, iterator: &mut OpenIterator, work: &mut u32) -> Result<Option<Place>, Unfinished> {
        loop {
            let step = self
                .key_value
                .store
                .next(&self.medium, &mut iterator.cursor, work)?;
            match step {
                Step::Pair(place) if iterator.wants(iterator.cursor.key()) => return Ok(Some(place)),
                Step::Pair(_) => {}
                Step::Pause => return Err(Unfinished::Paused(Progress::None)),
                Step::End => return Ok(None),
            }
        }
    }

    /// A count, and then each key behind its length, padded. The result is the length of that.
    fn read_keys(&self, iterator: &mut OpenIterator, answer: &mut [u8]) -> Result<Done, Unfinished> {
        let buffer_bytes = answer.len();
        let (head, mut rest) = answer
            .split_at_mut_checked(COUNT_BYTES)
            .ok_or(Status::VENDOR_INVALID_VALUE_SIZE)?;
        let mut work = WORK_PER_PASS;
        let mut keys = 0u32;
        let mut used = COUNT_BYTES;
        let is_full = loop {
            let before = iterator.cursor;
            match self.next_wanted(iterator, &mut work) {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                // What was found so far is an answer.
                Err(Unfinished::Paused(_)) if keys > 0 => break false,
                Err(other) => return Err(other),
            }
            let key = iterator.cursor.key();
            let len = COUNT_BYTES + key.len().next_multiple_of(COUNT_BYTES);
            if len > rest.len() {
                iterator.cursor = before;
                break true;
            }
            let (slot, after) = rest.split_at_mut(len);
            let length = (key.len() as u32).to_le_bytes();
            fill_slot(slot, &length, key);
            rest = after;
            keys += 1;
            used += len;
        };
        if keys == 0 && is_full {
            return Err(Status::VENDOR_INVALID_VALUE_SIZE.into());
        }
        if keys == 0 {
            return Err(self.end_of_iteration(buffer_bytes));
        }
        head.copy_from_slice(&keys.to_le_bytes());
        let answer = answer.get(..used).unwrap_or_default();
        self.fetched
            .data_pointer()
            .write_to_buffer(self.medium.host, answer, buffer_bytes)?;
        Ok(Done {
            direction: Direction::ToHost,
            len_bytes: used as u32,
            ..Done::with_result(used as u64)
        })
    }

    /// The end of an iteration: a status, and a count of 0 in a buffer of `buffer_bytes`, because clients take the answer apart whatever the status is (in the
    /// reference the last keys come with it).
    fn end_of_iteration(&self, buffer_bytes: usize) -> Unfinished {
        let count = [0; COUNT_BYTES];
        let count = count.get(..buffer_bytes).unwrap_or(&count);
        let pointer = self.fetched.data_pointer();
        match pointer.write_to_buffer(self.medium.host, count, buffer_bytes) {
            Ok(()) => Status::VENDOR_ITERATOR_END.into(),
            Err(status) => status.into(),
        }
    }

    /// The key at 0, and at 512 what fits of the value. The result has the value's whole length, and in its upper byte the key's.
    fn read_pair(&self, iterator: &mut OpenIterator, len_bytes: u32) -> Result<Done, Unfinished> {
        let mut work = WORK_PER_PASS;
        let Some(place) = self.next_wanted(iterator, &mut work)? else {
            return Err(self.end_of_iteration(len_bytes as usize));
        };
        let value_bytes = place.value_bytes().unwrap_or(0);
        let key = iterator.cursor.key();
        if key.len() > len_bytes as usize {
            return Err(Status::VENDOR_INVALID_VALUE_SIZE.into());
        }
        let room = (len_bytes as usize).saturating_sub(VENDOR_PAIR_VALUE_OFFSET);
        let moved_bytes = room.min(value_bytes as usize);
        let used = if moved_bytes > 0 {
            VENDOR_PAIR_VALUE_OFFSET + moved_bytes
        } else {
            key.len()
        };
        let host = self.medium.host;
        let pieces = self.key_value.store.pieces(&place, 0, moved_bytes as u32);
        let mut stream = PieceStream::new(pieces);
        let pointer = self.fetched.data_pointer();
        let buffer_bytes = len_bytes as usize;
        pointer.for_each_piece_of(
            Role::Destination,
            host,
            buffer_bytes,
            used,
            |address, offset, len| {
                let part = key.get(offset..).unwrap_or_default();
                host.write(address, part.get(..len).unwrap_or(part))?;
                let value_at = VENDOR_PAIR_VALUE_OFFSET.clamp(offset, offset + len);
                stream.skip_to(value_at.saturating_sub(VENDOR_PAIR_VALUE_OFFSET));
                self.medium.move_piece(
                    Direction::ToHost,
                    address.wrapping_add((value_at - offset) as u64),
                    offset + len - value_at,
                    &mut stream,
                )
            },
        )?;
        Ok(Done {
            direction: Direction::ToHost,
            len_bytes: used as u32,
            ..Done::with_result(u64::from(value_bytes) | (key.len() as u64) << 24)
        })
    }
}
