//! Batches: up to eight vendor specific stores and deletes in one command (MODELS.md §7).

use nvme_spec::{
    vendor_option, KeyValueOpcode, Status, VendorBatchAttribute, VendorBatchHead,
    VENDOR_BATCH_ALIGNMENT_BYTES,
};
use ssd_model::key_value::KeyBuffer;
use zerocopy::FromBytes;

use super::command::Dialect;
use super::pairs::{stored, StoreConditions};
use super::{Done, Execution};
use crate::host::Host;

/// What a command of a batch does.
enum Action {
    Store(StoreConditions),
    Delete { must_exist: bool },
}

impl Action {
    fn new(attribute: &VendorBatchAttribute) -> Result<Self, Status> {
        let option = attribute.option;
        match KeyValueOpcode(attribute.opcode) {
            KeyValueOpcode::VENDOR_STORE => Ok(Self::Store(StoreConditions::new(option, Dialect::Vendor)?)),
            KeyValueOpcode::VENDOR_DELETE if option & !vendor_option::DELETE_MUST_EXIST == 0 => {
                Ok(Self::Delete {
                    must_exist: option != 0,
                })
            }
            KeyValueOpcode::VENDOR_DELETE => Err(Status::VENDOR_INVALID_OPTION),
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        }
    }
}

/// One command of a batch, checked.
struct Part<'a> {
    action: Action,
    key: KeyBuffer,
    value: &'a [u8],
}

impl<H: Host> Execution<'_, H> {
    /// Carries the commands of a batch out, in order. One that fails ends the batch with its status; those before it have been done.
    ///
    /// The payload is fetched once, and the whole of it checked before anything is done.
    pub(super) fn batch(&mut self) -> Result<Done, Status> {
        let len_bytes = Dialect::Vendor.len_bytes(self.fetched.entry);
        self.with_buffer(|execution, buffer| {
            let payload = buffer
                .get_mut(..len_bytes as usize)
                .ok_or(Status::INVALID_FIELD_IN_COMMAND)?;
            let pointer = execution.fetched.data_pointer();
            pointer.read(execution.medium.host, payload)?;
            execution.execute_batch(payload)
        })?;
        Ok(stored(len_bytes))
    }

    fn execute_batch(&mut self, payload: &[u8]) -> Result<(), Status> {
        for part in parts(payload)? {
            if part?.value.len() > self.key_value.value_bytes_max() as usize {
                return Err(Status::VENDOR_INVALID_VALUE_SIZE);
            }
        }
        for part in parts(payload)? {
            self.execute_part(&part?)?;
        }
        Ok(())
    }

    fn execute_part(&mut self, part: &Part<'_>) -> Result<(), Status> {
        let place = self.look_up(&part.key)?;
        match part.action {
            Action::Store(conditions) => self.store_bytes(&part.key, &place, part.value, conditions),
            Action::Delete { must_exist } => self.delete_place(&place, must_exist, Dialect::Vendor),
        }
    }
}

/// The commands in `payload`.
fn parts(payload: &[u8]) -> Result<impl Iterator<Item = Result<Part<'_>, Status>> + '_, Status> {
    let (head, mut rest) =
        VendorBatchHead::ref_from_prefix(payload).map_err(|_| Status::VENDOR_INVALID_VALUE_SIZE)?;
    let used = |attribute: &&VendorBatchAttribute| attribute.opcode != 0;
    Ok(head.attributes.iter().take_while(used).map(move |attribute| {
        let too_short = Status::VENDOR_INVALID_VALUE_SIZE;
        let mut take = |len: usize| -> Result<&[u8], Status> {
            let padded = len.next_multiple_of(VENDOR_BATCH_ALIGNMENT_BYTES);
            // The padding of the last one may be left out.
            let (taken, after) = rest.split_at_checked(padded.min(rest.len())).ok_or(too_short)?;
            rest = after;
            taken.get(..len).ok_or(too_short)
        };
        let action = Action::new(attribute)?;
        take(VENDOR_BATCH_ALIGNMENT_BYTES)?;
        let key = take(attribute.key_bytes.into())?;
        if key.is_empty() {
            return Err(Status::VENDOR_INVALID_KEY_SIZE);
        }
        Ok(Part {
            action,
            key: KeyBuffer::new(key).ok_or(Status::VENDOR_INVALID_KEY_SIZE)?,
            value: take(attribute.value_bytes.get() as usize)?,
        })
    }))
}
