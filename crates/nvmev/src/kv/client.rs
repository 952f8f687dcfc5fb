//! Pairs of a namespace, in whichever of the two sets of commands.

use std::io;

use nvme_spec::{
    store_option, vendor_option, IdentifyCns, IdentifyKeyValueNamespace, KeyValueOpcode, Status,
    SubmissionQueueEntry, IDENTIFY_BYTES, KEY_VALUE_KEY_BYTES_MAX, VENDOR_PAIR_VALUE_OFFSET,
};
use nvmev_sim::host::commands;
use nvmev_sim::host::key_value::{batch_payload, iterate_read, iterate_request, standard, vendor};
use zerocopy::FromBytes;

use super::arguments::CommandSetChoice;
use super::device::{Data, Namespace};

const CSI_KEY_VALUE: u8 = 1;

/// The most that is asked for at a time, if the namespace does not say what it can do: every drive moves so much at once.
const TRANSFER_BYTES: usize = 64 << 10;

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

/// A namespace with pairs.
pub struct Client<N> {
    namespace: N,
    choice: CommandSetChoice,
    /// Longest value of the Key Value Command Set, if the namespace speaks it.
    value_bytes_max: Option<u32>,
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
        Ok(Self {
            namespace,
            choice,
            value_bytes_max,
        })
    }

    /// Longest value that can be stored, if the namespace says so.
    pub fn value_bytes_max(&self) -> Option<u32> {
        self.value_bytes_max
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
            return self
                .find_by_iterator(key, true)?
                .ok_or(ClientError::Status(Status::VENDOR_KEY_DOES_NOT_EXIST));
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

    /// Length of the value of `key`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn value_bytes(&self, key: &[u8]) -> Result<u64> {
        let entry = match self.set_for(key)? {
            Set::Standard => standard(KeyValueOpcode::RETRIEVE, 0, key, 0, 0),
            Set::Vendor if key.len() > KEY_VALUE_KEY_BYTES_MAX => {
                return self.get(key).map(|value| value.len() as u64);
            }
            Set::Vendor => {
                let options = vendor_option::RETRIEVE_LENGTH_ONLY;
                vendor(KeyValueOpcode::VENDOR_RETRIEVE, 0, key, options, 0)
            }
        };
        self.receive(&entry, &mut [])
    }

    /// Whether `key` exists.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        let entry = match self.set_for(key)? {
            Set::Standard => standard(KeyValueOpcode::EXIST, 0, key, 0, 0),
            Set::Vendor if key.len() > KEY_VALUE_KEY_BYTES_MAX => {
                return Ok(self.find_by_iterator(key, false)?.is_some());
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

    /// Calls `each` for every key that begins with `prefix`, until it returns an error.
    ///
    /// # Errors
    /// See [`ClientError`], or that of `each`.
    pub fn for_each_key<E: From<ClientError>>(
        &self,
        prefix: &[u8],
        mut each: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut matching = |key: &[u8]| {
            if key.starts_with(prefix) {
                each(key)
            } else {
                Ok(())
            }
        };
        match self.set_for(&[]).map_err(E::from)? {
            Set::Standard => self.list(&mut matching),
            Set::Vendor => self.iterate(prefix, &mut matching),
        }
    }

    /// By List: a drive's first answer to a key that does not exist is its own business; one of zeros is the natural first one.
    fn list<E: From<ClientError>>(
        &self,
        each: &mut impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut from = vec![0];
        let mut is_first = true;
        let longest = self.value_bytes_max.map_or(0, |bytes| bytes as usize);
        let mut buffer = vec![0; longest.clamp(4096, TRANSFER_BYTES)];
        loop {
            buffer.fill(0);
            let entry = standard(KeyValueOpcode::LIST, 0, &from, 0, buffer.len() as u32);
            self.receive(&entry, &mut buffer)?;
            let mut keys = Keys::new(&buffer, 2).peekable();
            // The last key of an answer is the first one of the next.
            if !is_first && keys.peek() == Some(&&from[..]) {
                keys.next();
            }
            let mut last = None;
            for key in keys {
                each(key)?;
                last = Some(key.to_vec());
            }
            match last {
                Some(key) => from = key,
                None => return Ok(()),
            }
            is_first = false;
        }
    }

    fn iterate<E: From<ClientError>>(
        &self,
        prefix: &[u8],
        each: &mut impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let iterator = OpenIterator::open(self, prefix, vendor_option::ITERATE_KEYS)?;
        let mut buffer = vec![0; 32 << 10];
        while let Some(len) = iterator.read(&mut buffer)? {
            let answer = buffer.get(..len as usize).unwrap_or(&buffer);
            for key in Keys::new(answer, 4) {
                each(key)?;
            }
        }
        Ok(())
    }

    /// Looks for a key that no command can carry; with its value, or with none.
    fn find_by_iterator(&self, wanted: &[u8], with_value: bool) -> Result<Option<Vec<u8>>> {
        if !with_value {
            let mut found = None;
            self.iterate(wanted, &mut |key: &[u8]| {
                if key == wanted {
                    found = Some(Vec::new());
                }
                Ok::<_, ClientError>(())
            })?;
            return Ok(found);
        }
        let iterator = OpenIterator::open(self, wanted, vendor_option::ITERATE_PAIRS)?;
        let mut buffer = vec![0; TRANSFER_BYTES];
        loop {
            match iterator.read(&mut buffer) {
                Ok(Some(result)) => {
                    let key = buffer.get(..(result >> 24) as usize & 0xFF);
                    if key == Some(wanted) {
                        let end = VENDOR_PAIR_VALUE_OFFSET + (result & 0xFF_FFFF) as usize;
                        return Ok(buffer.get(VENDOR_PAIR_VALUE_OFFSET..end).map(<[u8]>::to_vec));
                    }
                }
                Ok(None) => return Ok(None),
                // A longer value is in the way, or the one that is wanted.
                Err(ClientError::Status(Status::VENDOR_INVALID_VALUE_SIZE)) if buffer.len() < 1 << 25 => {
                    buffer = vec![0; buffer.len() * 2];
                }
                Err(error) => return Err(error),
            }
        }
    }
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
