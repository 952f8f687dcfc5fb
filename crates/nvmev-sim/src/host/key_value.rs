//! Key-value commands as a driver builds them, and a driver for them.

use nvme_spec::{
    vendor_option, KeyValueOpcode, Status, SubmissionQueueEntry, VendorBatchAttribute,
    VENDOR_BATCH_ALIGNMENT_BYTES, VENDOR_PAIR_VALUE_OFFSET,
};
use zerocopy::IntoBytes;

use super::TestHost;

const PAGE: u64 = 4096;

fn dword(bytes: &[u8], index: usize) -> u32 {
    let mut word = [0; 4];
    let from = bytes.get(index * 4..).unwrap_or_default();
    word.iter_mut().zip(from).for_each(|(slot, byte)| *slot = *byte);
    u32::from_le_bytes(word)
}

/// A command of the Key Value Command Set with a key of up to 16 bytes; `len_bytes` is the value's or the buffer's length.
pub fn standard(
    opcode: KeyValueOpcode,
    nsid: u32,
    key: &[u8],
    options: u8,
    len_bytes: u32,
) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: opcode.0,
        nsid: nsid.into(),
        cdw2: dword(key, 0).into(),
        cdw3: dword(key, 1).into(),
        cdw10: len_bytes.into(),
        cdw11: (key.len() as u32 | u32::from(options) << 8).into(),
        cdw14: dword(key, 2).into(),
        cdw15: dword(key, 3).into(),
        ..Default::default()
    }
}

/// A vendor specific command with its key in it, or, if that is longer than 16 bytes, behind two PRP entries that the caller sets.
pub fn vendor(
    opcode: KeyValueOpcode,
    nsid: u32,
    key: &[u8],
    options: u8,
    len_bytes: u32,
) -> SubmissionQueueEntry {
    let dwords = len_bytes.div_ceil(4);
    let unused = dwords * 4 - len_bytes;
    let key_bytes_z = (key.len() as u32).wrapping_sub(1) & 0xFF;
    SubmissionQueueEntry {
        opcode: opcode.0,
        nsid: nsid.into(),
        cdw10: dwords.into(),
        cdw11: (key_bytes_z | u32::from(options) << 8 | unused << 16).into(),
        cdw12: dword(key, 0).into(),
        cdw13: dword(key, 1).into(),
        cdw14: dword(key, 2).into(),
        cdw15: dword(key, 3).into(),
        ..Default::default()
    }
}

/// Opens an iterator of the keys whose first four bytes, under `mask`, are those of `prefix`.
pub fn iterate_request(nsid: u32, handle: u8, options: u8, prefix: u32, mask: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: KeyValueOpcode::VENDOR_ITERATE_REQUEST.0,
        nsid: nsid.into(),
        cdw11: (u32::from(handle) | u32::from(options) << 8).into(),
        cdw12: prefix.into(),
        cdw13: mask.into(),
        ..Default::default()
    }
}

/// Reads from an iterator.
pub fn iterate_read(nsid: u32, handle: u8, len_bytes: u32) -> SubmissionQueueEntry {
    SubmissionQueueEntry {
        opcode: KeyValueOpcode::VENDOR_ITERATE_READ.0,
        nsid: nsid.into(),
        cdw10: (len_bytes / 4).into(),
        cdw11: u32::from(handle).into(),
        ..Default::default()
    }
}

/// The payload of a batch: for each command its opcode, option, key and value.
pub fn batch_payload(commands: &[(KeyValueOpcode, u8, &[u8], &[u8])]) -> Vec<u8> {
    let attributes = commands
        .iter()
        .map(|(opcode, option, key, value)| VendorBatchAttribute {
            opcode: opcode.0,
            key_bytes: key.len() as u8,
            value_bytes: (value.len() as u32).into(),
            option: *option,
            ..Default::default()
        });
    let mut payload: Vec<u8> = attributes
        .flat_map(|attribute| attribute.as_bytes().to_vec())
        .collect();
    payload.resize(512, 0);
    for (_, _, key, value) in commands {
        for part in [&[0; VENDOR_BATCH_ALIGNMENT_BYTES][..], key, value] {
            payload.extend_from_slice(part);
            payload.resize(payload.len().next_multiple_of(VENDOR_BATCH_ALIGNMENT_BYTES), 0);
        }
    }
    payload
}

impl TestHost {
    /// `entry` with PRP entries for a buffer of `len_bytes` at `address`, whose pages are neighbours; a list is made where one is needed.
    pub fn with_buffer(
        &mut self,
        entry: SubmissionQueueEntry,
        address: u64,
        len_bytes: usize,
    ) -> SubmissionQueueEntry {
        let end = address + len_bytes as u64;
        let second = (address / PAGE + 1) * PAGE;
        let prp2 = if end <= second {
            0
        } else if end <= second + PAGE {
            second
        } else {
            let pages = (end - second).div_ceil(PAGE);
            let list = self.pages((pages as usize * 8).div_ceil(PAGE as usize) + 1);
            let entries: Vec<u8> = (0..pages)
                .flat_map(|page| (second + page * PAGE).to_le_bytes())
                .collect();
            assert!(entries.len() <= PAGE as usize, "the list has one page");
            self.machine.set_ram(list, &entries);
            list
        };
        SubmissionQueueEntry {
            prp1: address.into(),
            prp2: prp2.into(),
            ..entry
        }
    }
}

/// Which of the two sets of commands a driver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Key Value Command Set.
    Standard,
    /// The vendor specific commands.
    Vendor,
}

/// A driver for namespace 1, with a buffer of its own.
pub struct KeyValueDriver {
    /// The host, with I/O queue pair 1.
    pub host: TestHost,
    buffer: u64,
    key_buffer: u64,
    next_page: u64,
}

/// Longest value that the driver moves.
const BUFFER_BYTES: usize = 128 << 10;

impl KeyValueDriver {
    /// For a host that is not enabled yet.
    pub fn new(host: TestHost) -> Self {
        let mut driver = Self {
            buffer: 0,
            key_buffer: 0,
            next_page: host.next_page(),
            host,
        };
        driver.restart();
        driver
    }

    /// Enables the controller, which is disabled.
    pub fn restart(&mut self) {
        self.host.forget_pages(self.next_page);
        self.host.enable();
        self.host.create_io_queues(1, 64);
        self.buffer = self.host.pages(BUFFER_BYTES / PAGE as usize + 2);
        self.key_buffer = self.host.pages(2);
        self.next_page = self.host.next_page();
    }

    /// A command without data.
    pub fn execute(&mut self, entry: SubmissionQueueEntry) -> (Status, u64) {
        let completion = self.host.execute(1, entry);
        self.host.forget_pages(self.next_page);
        let result = u64::from(completion.dw0.get()) | u64::from(completion.dw1.get()) << 32;
        (completion.status(), result)
    }

    /// A command that takes `data` with it.
    pub fn send(&mut self, entry: SubmissionQueueEntry, data: &[u8]) -> (Status, u64) {
        self.host.machine.set_ram(self.buffer, data);
        let entry = self.host.with_buffer(entry, self.buffer, data.len());
        self.execute(entry)
    }

    /// A command that fills a buffer of `len_bytes`, which has 0xEE everywhere before.
    pub fn receive(&mut self, entry: SubmissionQueueEntry, len_bytes: usize) -> (Status, u64, Vec<u8>) {
        self.host.machine.set_ram(self.buffer, &vec![0xEE; len_bytes]);
        let entry = self.host.with_buffer(entry, self.buffer, len_bytes);
        let (status, result) = self.execute(entry);
        (status, result, self.host.machine.ram(self.buffer, len_bytes))
    }

    /// A command about `key`; the vendor specific ones fetch a long key from memory, where it lies across two pages.
    pub fn command(
        &mut self,
        dialect: Dialect,
        opcodes: [KeyValueOpcode; 2],
        key: &[u8],
        options: u8,
        len_bytes: u32,
    ) -> SubmissionQueueEntry {
        match dialect {
            Dialect::Standard => standard(opcodes[0], 1, key, options, len_bytes),
            Dialect::Vendor if key.len() <= 16 => vendor(opcodes[1], 1, key, options, len_bytes),
            Dialect::Vendor => {
                let address = self.key_buffer + PAGE - 16;
                self.host.machine.set_ram(address, key);
                let second = self.key_buffer + PAGE;
                SubmissionQueueEntry {
                    cdw12: (address as u32).into(),
                    cdw13: ((address >> 32) as u32).into(),
                    cdw14: (second as u32).into(),
                    cdw15: ((second >> 32) as u32).into(),
                    ..vendor(opcodes[1], 1, key, options, len_bytes)
                }
            }
        }
    }

    /// Store.
    pub fn store(&mut self, dialect: Dialect, key: &[u8], value: &[u8], options: u8) -> Status {
        let opcodes = [KeyValueOpcode::STORE, KeyValueOpcode::VENDOR_STORE];
        let entry = self.command(dialect, opcodes, key, options, value.len() as u32);
        self.send(entry, value).0
    }

    /// Append.
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Status {
        let opcodes = [KeyValueOpcode::VENDOR_APPEND; 2];
        let entry = self.command(Dialect::Vendor, opcodes, key, 0, value.len() as u32);
        self.send(entry, value).0
    }

    /// Retrieve into a buffer of `len_bytes` (for the vendor specific one a multiple of 4) from `offset`, which only the vendor specific one knows: the status,
    /// the value's whole length, and the buffer.
    pub fn retrieve(
        &mut self,
        dialect: Dialect,
        key: &[u8],
        offset: u32,
        len_bytes: u32,
    ) -> (Status, u64, Vec<u8>) {
        let opcodes = [KeyValueOpcode::RETRIEVE, KeyValueOpcode::VENDOR_RETRIEVE];
        let entry = SubmissionQueueEntry {
            mptr: (u64::from(offset) << 32).into(),
            ..self.command(dialect, opcodes, key, 0, len_bytes)
        };
        self.receive(entry, len_bytes as usize)
    }

    /// The whole value of `key`, in as many commands as it takes.
    ///
    /// # Errors
    /// The status of a command that failed.
    pub fn value(&mut self, dialect: Dialect, key: &[u8]) -> Result<Vec<u8>, Status> {
        let mut value: Vec<u8> = Vec::new();
        loop {
            let len_bytes = BUFFER_BYTES as u32;
            let (status, whole, data) = self.retrieve(dialect, key, value.len() as u32, len_bytes);
            if !status.is_success() {
                return Err(status);
            }
            let whole = whole as usize;
            let got = data.len().min(whole - value.len());
            value.extend_from_slice(&data[..got]);
            if value.len() == whole {
                return Ok(value);
            }
        }
    }

    /// Delete.
    pub fn delete(&mut self, dialect: Dialect, key: &[u8], options: u8) -> Status {
        let opcodes = [KeyValueOpcode::DELETE, KeyValueOpcode::VENDOR_DELETE];
        let entry = self.command(dialect, opcodes, key, options, 0);
        self.execute(entry).0
    }

    /// Exist.
    pub fn exist(&mut self, dialect: Dialect, key: &[u8]) -> Status {
        let opcodes = [KeyValueOpcode::EXIST, KeyValueOpcode::VENDOR_EXIST];
        let entry = self.command(dialect, opcodes, key, 0, 0);
        self.execute(entry).0
    }

    /// One List command: the keys it returned.
    ///
    /// # Panics
    /// If it fails, or its answer is not in the form that the specification has.
    pub fn list_once(&mut self, from: &[u8], len_bytes: u32) -> Vec<Vec<u8>> {
        let entry = standard(KeyValueOpcode::LIST, 1, from, 0, len_bytes);
        let (status, _, data) = self.receive(entry, len_bytes as usize);
        assert_eq!(status, Status::SUCCESSFUL_COMPLETION);
        let count = u32::from_le_bytes(data[..4].try_into().expect("4 bytes"));
        let mut at = 4;
        let mut keys = Vec::new();
        for _ in 0..count {
            let len = usize::from(u16::from_le_bytes(data[at..at + 2].try_into().expect("2 bytes")));
            keys.push(data[at + 2..at + 2 + len].to_vec());
            at = (at + 2 + len).next_multiple_of(4);
        }
        assert!(
            data[at..].iter().all(|&byte| byte == 0xEE),
            "nothing behind the last key"
        );
        keys
    }

    /// All keys, by as many List commands as it takes.
    pub fn list(&mut self, len_bytes: u32) -> Vec<Vec<u8>> {
        let mut keys = self.list_once(&[0], len_bytes);
        loop {
            let Some(last) = keys.last().cloned() else {
                return keys;
            };
            let more = self.list_once(&last, len_bytes);
            let new = more.strip_prefix(&[last][..]).unwrap_or(&more);
            if new.is_empty() {
                return keys;
            }
            keys.extend_from_slice(new);
        }
    }

    /// Opens an iterator.
    ///
    /// # Errors
    /// The status.
    pub fn open(&mut self, prefix: u32, mask: u32, options: u8) -> Result<u8, Status> {
        let entry = iterate_request(1, 0, vendor_option::ITERATE_OPEN | options, prefix, mask);
        match self.execute(entry) {
            (Status::SUCCESSFUL_COMPLETION, handle) => Ok(handle as u8),
            (status, _) => Err(status),
        }
    }

    /// Closes it.
    pub fn close(&mut self, handle: u8) -> Status {
        self.execute(iterate_request(1, handle, vendor_option::ITERATE_CLOSE, 0, 0))
            .0
    }

    /// The pair that one read from an iterator of pairs returns: its key, the length of its value, and what the buffer has room for of that.
    ///
    /// # Errors
    /// The status.
    pub fn read_pair(&mut self, handle: u8, len_bytes: u32) -> Result<(Vec<u8>, usize, Vec<u8>), Status> {
        let (status, result, data) = self.receive(iterate_read(1, handle, len_bytes), len_bytes as usize);
        if !status.is_success() {
            return Err(status);
        }
        let (key_bytes, value_bytes) = ((result >> 24) as usize, (result & 0xFF_FFFF) as usize);
        let room = data.get(VENDOR_PAIR_VALUE_OFFSET..).unwrap_or_default();
        let value = room.get(..value_bytes).unwrap_or(room);
        Ok((data[..key_bytes].to_vec(), value_bytes, value.to_vec()))
    }

    /// The keys that one read from an iterator of keys returns.
    ///
    /// # Errors
    /// The status.
    ///
    /// # Panics
    /// If the answer has another form than MODELS.md has.
    pub fn read_keys(&mut self, handle: u8, len_bytes: u32) -> Result<Vec<Vec<u8>>, Status> {
        let (status, used, data) = self.receive(iterate_read(1, handle, len_bytes), len_bytes as usize);
        if !status.is_success() {
            return Err(status);
        }
        let number = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().expect("4 bytes")) as usize;
        let mut at = 4;
        let mut keys = Vec::new();
        for _ in 0..number(0) {
            let len = number(at);
            keys.push(data[at + 4..at + 4 + len].to_vec());
            at += 4 + len.next_multiple_of(4);
        }
        assert_eq!(at as u64, used, "the result is the length of the answer");
        Ok(keys)
    }
}
