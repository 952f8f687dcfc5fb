//! Commands for one pair: store, append, retrieve, delete, exist.

use nvme_spec::{
    retrieve_option, store_option, vendor_option, FeatureSelect, Status, SubmissionQueueEntry,
    KEY_VALUE_ERROR_ON_DELETE,
};
use ssd_model::key_value::{
    retrieve_command, store_command, CapacityExceeded, Key, KeyBuffer, Medium, Place, PrepareError,
};

use super::command::{options, value_offset, Dialect};
use super::{Done, Execution};
use crate::host::Host;
use crate::work::Direction;

/// When a pair is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreConditions {
    must_exist: bool,
    must_not_exist: bool,
}

impl StoreConditions {
    /// From the options of a command. Whether to compress, now or later, is a hint that no drive here has a use for.
    pub fn new(options: u8, dialect: Dialect) -> Result<Self, Status> {
        use store_option::{MUST_EXIST, MUST_NOT_EXIST, NO_COMPRESSION};
        use vendor_option::{STORE_COMPRESS, STORE_COMPRESS_LATER, STORE_IDEMPOTENT};
        let (known, must_exist, must_not_exist) = match dialect {
            Dialect::Standard => (
                MUST_EXIST | MUST_NOT_EXIST | NO_COMPRESSION,
                MUST_EXIST,
                MUST_NOT_EXIST,
            ),
            Dialect::Vendor => (
                STORE_COMPRESS | STORE_IDEMPOTENT | STORE_COMPRESS_LATER,
                0,
                STORE_IDEMPOTENT,
            ),
        };
        if options & !known != 0 {
            return Err(dialect.invalid_option());
        }
        Ok(Self {
            must_exist: options & must_exist != 0,
            must_not_exist: options & must_not_exist != 0,
        })
    }

    fn check(self, place: &Place, dialect: Dialect) -> Result<(), Status> {
        let exists = place.value_bytes().is_some();
        if self.must_not_exist && exists {
            return Err(dialect.key_exists());
        }
        if self.must_exist && !exists {
            return Err(dialect.key_does_not_exist());
        }
        Ok(())
    }
}

impl<H: Host> Execution<'_, H> {
    fn entry(&self) -> &SubmissionQueueEntry {
        self.fetched.entry
    }

    /// The key of the command, and where it is.
    fn key(&self, dialect: Dialect) -> Result<(KeyBuffer, Place), Status> {
        let key = dialect.key(self.entry(), self.medium.host)?;
        let place = self.look_up(&key)?;
        Ok((key, place))
    }

    pub(super) fn look_up(&self, key: &KeyBuffer) -> Result<Place, Status> {
        let store = &self.key_value.store;
        Ok(store.look_up(&self.medium, Key::Pair(key.as_bytes()))?)
    }

    /// Length of the value that the command has with it.
    fn stored_bytes(&self, dialect: Dialect) -> Result<u32, Status> {
        let len_bytes = dialect.len_bytes(self.entry());
        if len_bytes > self.key_value.value_bytes_max() {
            return Err(dialect.invalid_value_size());
        }
        Ok(len_bytes)
    }

    pub(super) fn store(&mut self, dialect: Dialect) -> Result<Done, Status> {
        let conditions = StoreConditions::new(options(self.entry()), dialect)?;
        if dialect == Dialect::Vendor && value_offset(self.entry())? != 0 {
            return Err(Status::VENDOR_INVALID_VALUE_OFFSET);
        }
        let len_bytes = self.stored_bytes(dialect)?;
        let (key, place) = self.key(dialect)?;
        conditions.check(&place, dialect)?;
        self.store_data(&key, &place, len_bytes, dialect)
    }

    /// Stores the command's data.
    fn store_data(
        &mut self,
        key: &KeyBuffer,
        place: &Place,
        len_bytes: u32,
        dialect: Dialect,
    ) -> Result<Done, Status> {
        let pointer = self.fetched.data_pointer();
        self.store_value(
            Key::Pair(key.as_bytes()),
            place,
            len_bytes,
            dialect,
            |execution, pieces| {
                execution
                    .medium
                    .move_value(Direction::FromHost, pointer, len_bytes, pieces, len_bytes)
            },
        )?;
        Ok(stored(len_bytes))
    }

    /// Stores a value that `fill` puts where it is to be.
    pub(super) fn store_value(
        &mut self,
        key: Key<'_>,
        place: &Place,
        len_bytes: u32,
        dialect: Dialect,
        fill: impl FnOnce(&Self, ssd_model::key_value::Pieces<'_>) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let store = &mut self.key_value.store;
        let draft = store
            .prepare(&self.medium, key, place, len_bytes)
            .map_err(|error| match error {
                PrepareError::CapacityExceeded => dialect.capacity_exceeded(),
                PrepareError::Medium(fault) => fault.into(),
            })?;
        match fill(self, self.key_value.store.draft_pieces(&draft)) {
            Ok(()) => self.key_value.store.commit(place, draft),
            Err(status) => {
                self.key_value.store.discard(draft);
                return Err(status);
            }
        }
        Ok(())
    }

    /// Puts the value of a batch's store under `key`.
    pub(super) fn store_bytes(
        &mut self,
        key: &KeyBuffer,
        place: &Place,
        value: &[u8],
        conditions: StoreConditions,
    ) -> Result<(), Status> {
        conditions.check(place, Dialect::Vendor)?;
        let len_bytes = value.len() as u32;
        self.store_value(
            Key::Pair(key.as_bytes()),
            place,
            len_bytes,
            Dialect::Vendor,
            |execution, pieces| Ok(execution.medium.write_pieces(value, pieces)?),
        )
    }

    /// Puts the command's value behind that of the key; if there is no such key, this is a store.
    pub(super) fn append(&mut self) -> Result<Done, Status> {
        let dialect = Dialect::Vendor;
        let conditions = StoreConditions::new(options(self.entry()), dialect)?;
        if value_offset(self.entry())? != 0 {
            return Err(Status::VENDOR_INVALID_VALUE_OFFSET);
        }
        if conditions.must_not_exist {
            return Err(Status::VENDOR_INVALID_OPTION);
        }
        let len_bytes = self.stored_bytes(dialect)?;
        let (key, place) = self.key(dialect)?;
        let Some(old_bytes) = place.value_bytes() else {
            return self.store_data(&key, &place, len_bytes, dialect);
        };
        if old_bytes.saturating_add(len_bytes) > self.key_value.parameters.value_bytes_max {
            return Err(Status::VENDOR_VALUE_LIMIT_EXCEEDED);
        }
        let store = &mut self.key_value.store;
        let extension = store
            .extend(&place, len_bytes)
            .map_err(|CapacityExceeded| dialect.capacity_exceeded())?;
        let pieces = store.extension_pieces(&place, &extension);
        let pointer = self.fetched.data_pointer();
        match self
            .medium
            .move_value(Direction::FromHost, pointer, len_bytes, pieces, len_bytes)
        {
            Ok(()) => store.commit_extension(&place, extension),
            Err(status) => {
                store.discard_extension(extension);
                return Err(status);
            }
        }
        Ok(stored(len_bytes))
    }

    /// The result is the length of the whole value, whatever fits of it.
    pub(super) fn retrieve(&mut self, dialect: Dialect) -> Result<Done, Status> {
        use vendor_option::{RETRIEVE_DECOMPRESS, RETRIEVE_LENGTH_ONLY};
        let entry = self.entry();
        let options = options(entry);
        let known = match dialect {
            Dialect::Standard => retrieve_option::RAW,
            Dialect::Vendor => RETRIEVE_DECOMPRESS | RETRIEVE_LENGTH_ONLY,
        };
        if options & !known != 0 {
            return Err(dialect.invalid_option());
        }
        let buffer_bytes = dialect.len_bytes(entry);
        if buffer_bytes > self.key_value.transfer_bytes_max {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let offset = match dialect {
            Dialect::Standard => 0,
            Dialect::Vendor => value_offset(entry)?,
        };
        let (_, place) = self.key(dialect)?;
        let value_bytes = place.value_bytes().ok_or(dialect.key_does_not_exist())?;
        if offset > 0 && offset >= value_bytes {
            return Err(Status::VENDOR_INVALID_VALUE_OFFSET);
        }
        let is_length_only = dialect == Dialect::Vendor && options & RETRIEVE_LENGTH_ONLY != 0;
        let len_bytes = if is_length_only {
            0
        } else {
            buffer_bytes.min(value_bytes - offset)
        };
        let pieces = self.key_value.store.pieces(&place, offset, len_bytes);
        let pointer = self.fetched.data_pointer();
        self.medium
            .move_value(Direction::ToHost, pointer, buffer_bytes, pieces, len_bytes)?;
        Ok(Done {
            result: value_bytes.into(),
            timed_as: Some(retrieve_command(len_bytes)),
            direction: Direction::ToHost,
            len_bytes,
        })
    }

    pub(super) fn delete(&mut self, dialect: Dialect) -> Result<Done, Status> {
        let options = options(self.entry());
        let must_exist = match dialect {
            Dialect::Standard => {
                let configuration = self.key_value.configuration.get(FeatureSelect::CURRENT);
                configuration & KEY_VALUE_ERROR_ON_DELETE != 0
            }
            Dialect::Vendor if options & !vendor_option::DELETE_MUST_EXIST != 0 => {
                return Err(Status::VENDOR_INVALID_OPTION);
            }
            Dialect::Vendor => options & vendor_option::DELETE_MUST_EXIST != 0,
        };
        let (_, place) = self.key(dialect)?;
        self.delete_place(&place, must_exist, dialect)?;
        Ok(Done::with_result(0))
    }

    pub(super) fn delete_place(
        &mut self,
        place: &Place,
        must_exist: bool,
        dialect: Dialect,
    ) -> Result<(), Status> {
        match place.value_bytes() {
            Some(_) => self.key_value.store.remove(place),
            None if must_exist => return Err(dialect.key_does_not_exist()),
            None => {}
        }
        Ok(())
    }

    pub(super) fn exist(&mut self, dialect: Dialect) -> Result<Done, Status> {
        let (_, place) = self.key(dialect)?;
        match place.value_bytes() {
            Some(_) => Ok(Done::with_result(0)),
            None => Err(dialect.key_does_not_exist()),
        }
    }
}

/// What a command did that stored `len_bytes`.
pub(super) fn stored(len_bytes: u32) -> Done {
    Done {
        result: 0,
        timed_as: Some(store_command(len_bytes)),
        direction: Direction::FromHost,
        len_bytes,
    }
}
