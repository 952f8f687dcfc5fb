//! Pairs of a namespace, in whichever of the two sets of commands.

use std::io;

use nvme_spec::{
    store_option, vendor_option, IdentifyCns, IdentifyController, IdentifyKeyValueNamespace, KeyValueOpcode,
    Status, SubmissionQueueEntry, IDENTIFY_BYTES, KEY_VALUE_KEY_BYTES_MAX, VENDOR_PAIR_VALUE_OFFSET,
};
use nvmev_sim::host::commands;
use nvmev_sim::host::key_value::{batch_payload, iterate_read, iterate_request, standard, vendor};
use zerocopy::FromBytes;

use super::arguments::CommandSetChoice;
use super::device::{Data, Namespace};
use super::key::KEY_BYTES_MAX;

const CSI_KEY_VALUE: u8 = 1;

/// No more than this is asked for at a time: the kernel splits nothing that comes through the passthrough.
const TRANSFER_BYTES_MAX: usize = 1 << 20;

/// Lists are asked for in such portions.
const LIST_BYTES: usize = 32 << 10;

/// When a pair is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Always,
    IfAbsent,
    IfExists,
}

/// Why a command was not carried out.
#[derive(Debug)]
pub enum ClientError {
    /// The drive said so.
    Status(Status),
    /// The command could not be sent.
    Io(io::Error),
    /// There is no such command in the set that was chosen.
    NotPossible(&'static str),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Result<T> = std::result::Result<T, ClientError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Standard,
    Vendor,
}

/// Whether a list has all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Complete,
    /// The vendor specific iterators are taken; the Key Value Command Set lists keys of up to 16 bytes.
    WithoutLongKeys,
}

/// A namespace with pairs.
pub struct Client<N> {
    namespace: N,
    choice: CommandSetChoice,
    /// Longest value of the Key Value Command Set, if the namespace speaks it.
    value_bytes_max: Option<u32>,
    /// The most that one command moves.
    transfer_bytes_max: usize,
}

fn success(answer: (Status, u64)) -> Result<u64> {
    match answer {
        (Status::SUCCESSFUL_COMPLETION, result) => Ok(result),
        (status, _) => Err(ClientError::Status(status)),
    }
}

/// Whether the error is that there is no such key.
fn is_missing_key(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Status(Status::KEY_DOES_NOT_EXIST | Status::VENDOR_KEY_DOES_NOT_EXIST)
    )
}

impl<N: Namespace> Client<N> {
    /// Finds out what the namespace speaks.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn new(namespace: N, choice: CommandSetChoice) -> Result<Self> {
        let mut page = [0; IDENTIFY_BYTES];
        let entry = commands::identify(IdentifyCns::COMMAND_SET_NAMESPACE, 0, CSI_KEY_VALUE, 0);
        let (status, _) = namespace.admin(&entry, Data::FromDevice(&mut page))?;
        let data = IdentifyKeyValueNamespace::read_from_bytes(&page).ok();
        let value_bytes_max = data
            .filter(|_| status.is_success())
            .and_then(|data| data.kvf.first().map(|format| format.value_bytes_max.get()));
        let entry = commands::identify(IdentifyCns::CONTROLLER, 0, 0, 0);
        let (status, _) = namespace.admin(&entry, Data::FromDevice(&mut page))?;
        let mdts = IdentifyController::read_from_bytes(&page).map_or(0, |data| data.mdts);
        let transfer_bytes_max = match mdts {
            mdts @ 1..8 if status.is_success() => 4096 << mdts,
            _ => TRANSFER_BYTES_MAX,
        };
        Ok(Self {
            namespace,
            choice,
            value_bytes_max,
            transfer_bytes_max,
        })
    }

    /// Longest value that can be stored under `key`, if the drive says so.
    pub fn value_bytes_max(&self, key: &[u8]) -> usize {
        let longest = self.value_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
        let longest = longest.min(self.transfer_bytes_max);
        if key.len() > KEY_VALUE_KEY_BYTES_MAX {
            // A batch has a head, the part's head and the key before the value.
            let before = batch_payload(&[(KeyValueOpcode::VENDOR_STORE, 0, key, &[])]).len();
            return longest.saturating_sub(before);
        }
        longest
    }

    fn set_for(&self, key: &[u8]) -> Result<Set> {
        let fits = key.len() <= KEY_VALUE_KEY_BYTES_MAX;
        match self.choice {
            CommandSetChoice::Standard if !fits => Err(ClientError::NotPossible(
                "the Key Value Command Set has keys of up to 16 bytes: use --set vendor",
            )),
            CommandSetChoice::Standard => Ok(Set::Standard),
            CommandSetChoice::Auto if fits && self.value_bytes_max.is_some() => Ok(Set::Standard),
            CommandSetChoice::Auto | CommandSetChoice::Vendor => Ok(Set::Vendor),
        }
    }

    fn send(&self, entry: &SubmissionQueueEntry, data: &[u8]) -> Result<u64> {
        let data = if data.is_empty() {
            Data::None
        } else {
            Data::ToDevice(data)
        };
        success(self.namespace.io(entry, data)?)
    }

    fn receive(&self, entry: &SubmissionQueueEntry, buffer: &mut [u8]) -> Result<u64> {
        let data = if buffer.is_empty() {
            Data::None
        } else {
            Data::FromDevice(buffer)
        };
        success(self.namespace.io(entry, data)?)
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put(&self, key: &[u8], value: &[u8], condition: Condition) -> Result<()> {
        let len = u32::try_from(value.len()).map_err(|_| ClientError::Status(Status::INVALID_VALUE_SIZE))?;
        if self.set_for(key)? == Set::Standard {
            let options = match condition {
                Condition::Always => 0,
                Condition::IfAbsent => store_option::MUST_NOT_EXIST,
                Condition::IfExists => store_option::MUST_EXIST,
            };
            self.send(&standard(KeyValueOpcode::STORE, 0, key, options, len), value)?;
            return Ok(());
        }
        let options = match condition {
            Condition::Always => 0,
            Condition::IfAbsent => vendor_option::STORE_IDEMPOTENT,
            Condition::IfExists => {
                return Err(ClientError::NotPossible(
                    "the vendor specific store has no such condition: --if-exists is for the Key Value Command Set",
                ));
            }
        };
        if key.len() > KEY_VALUE_KEY_BYTES_MAX {
            return self.batch(KeyValueOpcode::VENDOR_STORE, options, key, value);
        }
        // Whole dwords are transferred.
        let mut padded = value.to_vec();
        padded.resize(value.len().next_multiple_of(4), 0);
        self.send(
            &vendor(KeyValueOpcode::VENDOR_STORE, 0, key, options, len),
            &padded,
        )?;
        Ok(())
    }

    /// A command whose key is too long for an entry: the kernel hands no second buffer over, but a batch has its keys with the data.
    fn batch(&self, opcode: KeyValueOpcode, options: u8, key: &[u8], value: &[u8]) -> Result<()> {
        let payload = batch_payload(&[(opcode, options, key, value)]);
        let entry = vendor(KeyValueOpcode::VENDOR_BATCH, 0, &[0], 0, payload.len() as u32);
        self.send(&entry, &payload)?;
        Ok(())
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get(&self, key: &[u8]) -> Result<Vec<u8>> {
        let set = self.set_for(key)?;
        if set == Set::Vendor && key.len() > KEY_VALUE_KEY_BYTES_MAX {
            return self.get_by_iterator(key);
        }
        let mut buffer = vec![0; 4096];
        loop {
            let buffer_bytes = buffer.len() as u32;
            let entry = match set {
                Set::Standard => standard(KeyValueOpcode::RETRIEVE, 0, key, 0, buffer_bytes),
                Set::Vendor => vendor(KeyValueOpcode::VENDOR_RETRIEVE, 0, key, 0, buffer_bytes),
            };
            let len = usize::try_from(self.receive(&entry, &mut buffer)?).unwrap_or(usize::MAX);
            if len <= buffer.len() {
                buffer.truncate(len);
                return Ok(buffer);
            }
            // Another process may make it longer still.
            buffer = vec![0; len.next_multiple_of(4)];
        }
    }

    /// Length of the value of `key`, which the Key Value Command Set can have.
    fn value_bytes(&self, key: &[u8]) -> Result<u64> {
        self.receive(&standard(KeyValueOpcode::RETRIEVE, 0, key, 0, 0), &mut [])
    }

    /// Whether `key` exists.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        let entry = match self.set_for(key)? {
            Set::Standard => standard(KeyValueOpcode::EXIST, 0, key, 0, 0),
            Set::Vendor if key.len() > KEY_VALUE_KEY_BYTES_MAX => {
                return Ok(self.find_by_iterator(key, &mut [0; KEY_BYTES_MAX + 1])?.is_some());
            }
            Set::Vendor => vendor(KeyValueOpcode::VENDOR_EXIST, 0, key, 0, 0),
        };
        match self.send(&entry, &[]) {
            Ok(_) => Ok(true),
            Err(error) if is_missing_key(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes `key`; whether it existed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        let options = vendor_option::DELETE_MUST_EXIST;
        let deleted = match self.set_for(key)? {
            // The command itself need not say whether it found anything.
            Set::Standard if !self.exists(key)? => return Ok(false),
            Set::Standard => {
                let entry = standard(KeyValueOpcode::DELETE, 0, key, 0, 0);
                self.send(&entry, &[]).map(|_| ())
            }
            Set::Vendor if key.len() > KEY_VALUE_KEY_BYTES_MAX => {
                self.batch(KeyValueOpcode::VENDOR_DELETE, options, key, &[])
            }
            Set::Vendor => {
                let entry = vendor(KeyValueOpcode::VENDOR_DELETE, 0, key, options, 0);
                self.send(&entry, &[]).map(|_| ())
            }
        };
        match deleted {
            Ok(()) => Ok(true),
            Err(error) if is_missing_key(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls `each` for every key that begins with `prefix`, with the length of its value if `with_sizes`, until it returns an error.
    ///
    /// # Errors
    /// See [`ClientError`], or that of `each`.
    pub fn for_each_key<E: From<ClientError>>(
        &self,
        prefix: &[u8],
        with_sizes: bool,
        mut each: impl FnMut(&[u8], Option<u64>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Listing, E> {
        let mut matching = |key: &[u8], size: Option<u64>| {
            if key.starts_with(prefix) {
                each(key, size)
            } else {
                Ok(())
            }
        };
        let has_standard = self.value_bytes_max.is_some();
        if self.choice == CommandSetChoice::Standard {
            self.list(with_sizes, &mut matching)?;
            return Ok(Listing::Complete);
        }
        let options = if with_sizes {
            vendor_option::ITERATE_PAIRS
        } else {
            vendor_option::ITERATE_KEYS
        };
        match OpenIterator::open(self, prefix, options) {
            Ok(iterator) if with_sizes => {
                // The key, and nothing of the value.
                let mut buffer = [0; 256];
                while let Some(result) = iterator.read(&mut buffer)? {
                    let (key_bytes, value_bytes) = lengths_of_pair(result);
                    matching(buffer.get(..key_bytes).unwrap_or_default(), Some(value_bytes))?;
                }
                Ok(Listing::Complete)
            }
            Ok(iterator) => {
                let mut buffer = vec![0; LIST_BYTES.min(self.transfer_bytes_max)];
                while let Some(len) = iterator.read(&mut buffer)? {
                    let answer = buffer.get(..len as usize).unwrap_or(&buffer);
                    for key in Keys::new(answer, 4) {
                        matching(key, None)?;
                    }
                }
                Ok(Listing::Complete)
            }
            // A drive without the vendor's commands has no longer keys.
            Err(ClientError::Status(Status::INVALID_COMMAND_OPCODE)) if has_standard => {
                self.list(with_sizes, &mut matching)?;
                Ok(Listing::Complete)
            }
            Err(ClientError::Status(
                Status::VENDOR_ITERATOR_EXISTS | Status::VENDOR_NO_ITERATOR_AVAILABLE,
            )) if has_standard && self.choice == CommandSetChoice::Auto => {
                self.list(with_sizes, &mut matching)?;
                Ok(Listing::WithoutLongKeys)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// By List: a drive's first answer to a key that does not exist is its own business; one of zeros is the natural first one.
    fn list<E: From<ClientError>>(
        &self,
        with_sizes: bool,
        each: &mut impl FnMut(&[u8], Option<u64>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut from = vec![0];
        let mut is_first = true;
        let mut buffer = vec![0; LIST_BYTES.min(self.transfer_bytes_max)];
        loop {
            let entry = standard(KeyValueOpcode::LIST, 0, &from, 0, buffer.len() as u32);
            self.receive(&entry, &mut buffer)?;
            let mut keys = Keys::new(&buffer, 2).peekable();
            // The last key of an answer is the first one of the next.
            if !is_first && keys.peek() == Some(&&from[..]) {
                keys.next();
            }
            let mut last = None;
            for key in keys {
                last = Some(key.to_vec());
                let size = match with_sizes.then(|| self.value_bytes(key)).transpose() {
                    Ok(size) => size,
                    // It has gone since it was listed.
                    Err(error) if is_missing_key(&error) => continue,
                    Err(error) => return Err(error.into()),
                };
                each(key, size)?;
            }
            match last {
                Some(key) => from = key,
                None => return Ok(()),
            }
            is_first = false;
        }
    }

    /// The value of a key that no command can carry.
    fn get_by_iterator(&self, key: &[u8]) -> Result<Vec<u8>> {
        let mut buffer = vec![0; self.transfer_bytes_max];
        let missing = ClientError::Status(Status::VENDOR_KEY_DOES_NOT_EXIST);
        let len = self.find_by_iterator(key, &mut buffer)?.ok_or(missing)? as usize;
        let value = buffer.get(VENDOR_PAIR_VALUE_OFFSET..VENDOR_PAIR_VALUE_OFFSET.saturating_add(len));
        value.map(<[u8]>::to_vec).ok_or(ClientError::NotPossible(
            "the value is longer than one command moves, and the kernel hands over no key of more than 16 bytes with an offset",
        ))
    }

    /// Looks for a key that no command can carry, one pair after another. What fits of its value is in `buffer` then; the result is the value's length.
    fn find_by_iterator(&self, wanted: &[u8], buffer: &mut [u8]) -> Result<Option<u64>> {
        let iterator = OpenIterator::open(self, wanted, vendor_option::ITERATE_PAIRS)?;
        while let Some(result) = iterator.read(buffer)? {
            let (key_bytes, value_bytes) = lengths_of_pair(result);
            if buffer.get(..key_bytes) == Some(wanted) {
                return Ok(Some(value_bytes));
            }
        }
        Ok(None)
    }
}

/// Lengths of the key and the value, in what reading a pair results in.
fn lengths_of_pair(result: u64) -> (usize, u64) {
    ((result >> 24 & 0xFF) as usize, result & 0xFF_FFFF)
}

/// An iterator of the drive, closed when it is dropped.
struct OpenIterator<'a, N: Namespace> {
    client: &'a Client<N>,
    handle: u8,
}

impl<'a, N: Namespace> OpenIterator<'a, N> {
    /// Of the keys whose first bytes, up to four of them, are those of `prefix`.
    fn open(client: &'a Client<N>, prefix: &[u8], options: u8) -> Result<Self> {
        let mut first = [0; 4];
        let mut mask = [0; 4];
        for ((slot, mask), byte) in first.iter_mut().zip(&mut mask).zip(prefix) {
            (*slot, *mask) = (*byte, 0xFF);
        }
        let (first, mask) = (u32::from_le_bytes(first), u32::from_le_bytes(mask));
        let options = vendor_option::ITERATE_OPEN | options;
        let handle = client.send(&iterate_request(0, 0, options, first, mask), &[])? as u8;
        Ok(Self { client, handle })
    }

    /// The next answer's result; nothing at the end.
    fn read(&self, buffer: &mut [u8]) -> Result<Option<u64>> {
        let entry = iterate_read(0, self.handle, buffer.len() as u32);
        match self.client.receive(&entry, buffer) {
            Ok(result) => Ok(Some(result)),
            Err(ClientError::Status(Status::VENDOR_ITERATOR_END)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<N: Namespace> Drop for OpenIterator<'_, N> {
    fn drop(&mut self) {
        let close = iterate_request(0, self.handle, vendor_option::ITERATE_CLOSE, 0, 0);
        // Nothing can be done if that fails: a reset closes it.
        drop(self.client.send(&close, &[]));
    }
}

/// The keys in an answer: their number, and each behind its length, an entry padded to four bytes. Lengths have two bytes in the answer to a
/// List (KV CS 1.0 figures 15 and 16), four in that of an iterator (MODELS.md §7).
struct Keys<'a> {
    left: u32,
    length_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Keys<'a> {
    fn new(answer: &'a [u8], length_bytes: usize) -> Self {
        let (head, rest) = answer.split_first_chunk().unwrap_or((&[0; 4], &[]));
        Self {
            left: u32::from_le_bytes(*head),
            length_bytes,
            rest,
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (length, after) = self.rest.split_at_checked(self.length_bytes)?;
        let length = length
            .iter()
            .rev()
            .fold(0, |length, &byte| length << 8 | usize::from(byte));
        let key = after.get(..length)?;
        let entry_bytes = (self.length_bytes + length).next_multiple_of(4);
        self.rest = self.rest.get(entry_bytes..).unwrap_or_default();
        Some(key)
    }
}
