//! List of the Key Value Command Set (KV CS 1.0 §3.2.2): the keys that its commands can have, from one of them on.

use nvme_spec::{Status, KEY_VALUE_KEY_BYTES_MAX};
use ssd_model::key_value::{Cursor, Step};

use super::command::{fill_slot, standard_key};
use super::{Done, Execution, Unfinished, WORK_PER_PASS};
use crate::data_pointer::Role;
use crate::host::Host;
use crate::io::Progress;
use crate::work::Direction;

/// NRK: what the answer begins with.
const HEAD_BYTES: usize = 4;
/// KL: what each key begins with.
const KEY_LENGTH_BYTES: usize = 2;
const ALIGNMENT_BYTES: usize = 4;

/// How far a List has come that takes several passes. The keys that it has found are in the host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListProgress {
    /// Where it goes on.
    hash: u64,
    keys: u32,
    len_bytes: u32,
}

impl ListProgress {
    const START: Self = Self {
        hash: 0,
        keys: 0,
        len_bytes: HEAD_BYTES as u32,
    };
}

impl<H: Host> Execution<'_, H> {
    /// Keys longer than the Key Value Command Set knows are left out. Whoever begins with no key, or with one zero byte, which comes first in the order
    /// of keys, gets all there are; the last key of an answer is where the next one begins, whether it is still there or not.
    pub(super) fn list(&mut self) -> Result<Done, Unfinished> {
        let entry = self.fetched.entry;
        let buffer_bytes = entry.cdw10.get();
        if buffer_bytes > self.key_value.transfer_bytes_max || (buffer_bytes as usize) < HEAD_BYTES {
            return Err(Status::INVALID_FIELD_IN_COMMAND.into());
        }
        let (mut cursor, mut progress) = match self.fetched.progress {
            Progress::List(progress) => (Cursor::at_hash(progress.hash), progress),
            _ => (self.first_of_list()?, ListProgress::START),
        };
        let is_complete = self.with_buffer(|execution, answer| {
            execution.fill_list(&mut cursor, &mut progress, buffer_bytes, answer)
        })?;
        if is_complete {
            Ok(Done {
                direction: Direction::ToHost,
                len_bytes: progress.len_bytes,
                ..Done::with_result(0)
            })
        } else {
            progress.hash = cursor.hash();
            Err(Unfinished::Paused(Progress::List(progress)))
        }
    }

    fn first_of_list(&self) -> Result<Cursor, Status> {
        let key = standard_key(self.fetched.entry)?;
        if key.as_bytes().is_empty() {
            return Ok(Cursor::START);
        }
        Ok(self.key_value.store.cursor_at(&key))
    }

    /// Adds keys to the answer until it is full, or there are no more: true; or it is another command's turn: false. What is new of it is then
    /// in the host's memory.
    fn fill_list(
        &self,
        cursor: &mut Cursor,
        progress: &mut ListProgress,
        buffer_bytes: u32,
        answer: &mut [u8],
    ) -> Result<bool, Status> {
        let start = progress.len_bytes as usize;
        let mut work = WORK_PER_PASS;
        let is_complete = loop {
            match self.key_value.store.next(&self.medium, cursor, &mut work)? {
                Step::Pair(_) => {}
                Step::Pause => break false,
                Step::End => break true,
            }
            let key = cursor.key();
            if key.len() > KEY_VALUE_KEY_BYTES_MAX {
                continue;
            }
            let at = progress.len_bytes as usize;
            let len = (KEY_LENGTH_BYTES + key.len()).next_multiple_of(ALIGNMENT_BYTES);
            let Some(slot) = answer
                .get_mut(at..at + len)
                .filter(|_| at + len <= buffer_bytes as usize)
            else {
                break true;
            };
            let length = (key.len() as u16).to_le_bytes();
            fill_slot(slot, &length, key);
            progress.keys += 1;
            progress.len_bytes += len as u32;
        };
        let head = progress.keys.to_le_bytes();
        if let Some(slot) = answer.get_mut(..HEAD_BYTES) {
            slot.copy_from_slice(&head);
        }
        let end = progress.len_bytes as usize;
        let pointer = self.fetched.data_pointer();
        let host = self.medium.host;
        // What an earlier pass has found is there; the head is written anew.
        let buffer_bytes = buffer_bytes as usize;
        pointer.for_each_piece_of(
            Role::Destination,
            host,
            buffer_bytes,
            end,
            |address, offset, len| {
                for part in [0..HEAD_BYTES, start..end] {
                    let (from, to) = (part.start.max(offset), part.end.min(offset + len));
                    if from < to {
                        let bytes = answer.get(from..to).unwrap_or_default();
                        host.write(address.wrapping_add((from - offset) as u64), bytes)?;
                    }
                }
                Ok(())
            },
        )?;
        Ok(is_complete)
    }
}
