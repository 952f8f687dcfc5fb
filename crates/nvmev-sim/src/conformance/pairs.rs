//! Pairs of keys and values: the Key Value Command Set, or the vendor specific commands of a namespace that has LBAs besides.

use nvme_spec::{
    store_option, vendor_option, CommandSet, IdentifyCns, IdentifyKeyValueNamespace, KeyValueOpcode, Status,
    SubmissionQueueEntry, NSID_BROADCAST,
};

use super::identify::absent_namespace;
use super::subject::{INVALID_FIELD, SUCCESS};
use super::{Finding, Kind, Obstacle, Subject};
use crate::host::key_value::{iterate_read, iterate_request, standard, vendor};

/// An iterator of so few keys that has not ended by then goes on for ever.
const ITERATOR_READS_MAX: usize = 1000;

/// What the two sets of commands call the same thing.
#[derive(Clone, Copy)]
struct Dialect {
    make: fn(KeyValueOpcode, u32, &[u8], u8, u32) -> SubmissionQueueEntry,
    store: KeyValueOpcode,
    retrieve: KeyValueOpcode,
    delete: KeyValueOpcode,
    exist: KeyValueOpcode,
    missing: Status,
    present: Status,
    must_not_exist: u8,
}

const STANDARD: Dialect = Dialect {
    make: standard,
    store: KeyValueOpcode::STORE,
    retrieve: KeyValueOpcode::RETRIEVE,
    delete: KeyValueOpcode::DELETE,
    exist: KeyValueOpcode::EXIST,
    missing: Status::KEY_DOES_NOT_EXIST,
    present: Status::KEY_EXISTS,
    must_not_exist: store_option::MUST_NOT_EXIST,
};

const VENDOR: Dialect = Dialect {
    make: vendor,
    store: KeyValueOpcode::VENDOR_STORE,
    retrieve: KeyValueOpcode::VENDOR_RETRIEVE,
    delete: KeyValueOpcode::VENDOR_DELETE,
    exist: KeyValueOpcode::VENDOR_EXIST,
    missing: Status::VENDOR_KEY_DOES_NOT_EXIST,
    present: Status::VENDOR_KEY_EXISTS,
    must_not_exist: vendor_option::STORE_IDEMPOTENT,
};

fn dialect(subject: &Subject<'_>) -> Result<Dialect, Obstacle> {
    match subject.kind {
        Kind::Pairs => Ok(STANDARD),
        Kind::LbasAndPairs => Ok(VENDOR),
        Kind::Lbas | Kind::Zones => Err(Obstacle::NotApplicable("the namespace has no pairs")),
    }
}

impl Subject<'_> {
    fn store(&mut self, key: &[u8], value: &[u8], options: u8, expected: Status) -> Finding {
        let dialect = dialect(self)?;
        self.fill(value);
        let entry = (dialect.make)(dialect.store, self.nsid, key, options, value.len() as u32);
        let entry = self.with_buffer(entry, value.len());
        let what = format!(
            "storing {} bytes under {key:x?}, options {options:#b},",
            value.len()
        );
        self.io_ends(&what, entry, expected)?;
        Ok(())
    }

    /// The length of the value, and what of it fits into a buffer of `room_bytes`.
    fn retrieve(&mut self, key: &[u8], room_bytes: usize) -> Result<(usize, Vec<u8>), Obstacle> {
        let dialect = dialect(self)?;
        self.fill(&vec![0xEE; room_bytes + 8]);
        let entry = (dialect.make)(dialect.retrieve, self.nsid, key, 0, room_bytes as u32);
        let entry = self.with_buffer(entry, room_bytes);
        let len = self.io_ends(&format!("retrieving {key:x?}"), entry, SUCCESS)? as usize;
        let data = self.data(room_bytes + 8);
        ensure!(
            data[room_bytes..] == [0xEE; 8],
            "retrieving {key:x?} has written beyond the buffer"
        );
        Ok((len, data[..room_bytes.min(len)].to_vec()))
    }

    fn key_ends(&mut self, opcode: KeyValueOpcode, key: &[u8], expected: Status) -> Finding {
        let entry = (dialect(self)?.make)(opcode, self.nsid, key, 0, 0);
        self.io_ends(&format!("{opcode:?} of {key:x?}"), entry, expected)?;
        Ok(())
    }
}

/// A value stored last under a key is retrieved, whatever its length, and its length even if the buffer is shorter (KV CS 1.0 §3.2.4, §3.2.5).
pub(super) fn what_was_stored_is_retrieved(subject: &mut Subject<'_>) -> Finding {
    let dialect = dialect(subject)?;
    let value: Vec<u8> = (0..5000).map(|at| (at * 7 + at / 256) as u8).collect();
    let cases: [(&[u8], usize); 5] = [
        (b"a", 1),
        (b"another", 511),
        (b"0123456789abcdef", 4096),
        (b"long", 5000),
        (b"a", 700),
    ];
    for (key, len) in cases {
        subject.store(key, &value[..len], 0, SUCCESS)?;
        let (length, data) = subject.retrieve(key, 5000)?;
        ensure!(
            length == len && data == value[..len],
            "{len} bytes were stored, and {length} retrieved, or others"
        );
    }
    if subject.kind == Kind::Pairs {
        let (length, data) = subject.retrieve(b"long", 100)?;
        ensure!(
            length == 5000 && data == value[..100],
            "a buffer of 100 bytes gets {length}, or others"
        );
    }
    for (key, _) in cases {
        let entry = (dialect.make)(dialect.delete, subject.nsid, key, 0, 0);
        subject.io(entry);
    }
    Ok(())
}

/// A key exists from its store to its deletion; what is not there cannot be retrieved (KV CS 1.0 §3.2.1, §3.2.2).
pub(super) fn keys_exist_until_they_are_deleted(subject: &mut Subject<'_>) -> Finding {
    let dialect = dialect(subject)?;
    let key = b"existing";
    for _ in 0..2 {
        subject.key_ends(dialect.exist, key, dialect.missing)?;
        let entry = (dialect.make)(dialect.retrieve, subject.nsid, key, 0, 64);
        let entry = subject.with_buffer(entry, 64);
        subject.io_ends("retrieving what is not there", entry, dialect.missing)?;
        subject.store(key, &[1; 64], 0, SUCCESS)?;
        subject.key_ends(dialect.exist, key, SUCCESS)?;
        subject.key_ends(dialect.delete, key, SUCCESS)?;
    }
    subject.key_ends(dialect.exist, key, dialect.missing)
}

/// A store can ask for the key to exist, or not to (KV CS 1.0 figure 29).
pub(super) fn store_options_are_obeyed(subject: &mut Subject<'_>) -> Finding {
    let dialect = dialect(subject)?;
    let key = b"options";
    if subject.kind == Kind::Pairs {
        subject.store(key, &[1; 8], store_option::MUST_EXIST, dialect.missing)?;
    }
    subject.store(key, &[2; 8], dialect.must_not_exist, SUCCESS)?;
    subject.store(key, &[3; 8], dialect.must_not_exist, dialect.present)?;
    ensure!(
        subject.retrieve(key, 8)?.1 == [2; 8],
        "a store that was refused has changed the value"
    );
    if subject.kind == Kind::Pairs {
        subject.store(key, &[4; 8], store_option::MUST_EXIST, SUCCESS)?;
        ensure!(
            subject.retrieve(key, 8)?.1 == [4; 8],
            "a store has not changed the value"
        );
    }
    subject.key_ends(dialect.delete, key, SUCCESS)
}

/// Keys of a List: their number, and then each with its length, in multiples of 4 bytes (KV CS 1.0 §3.2.3).
fn list(subject: &mut Subject<'_>, from: &[u8], len_bytes: usize) -> Result<Vec<Vec<u8>>, Obstacle> {
    let entry = standard(KeyValueOpcode::LIST, subject.nsid, from, 0, len_bytes as u32);
    let entry = subject.with_buffer(entry, len_bytes);
    subject.io_ends("List", entry, SUCCESS)?;
    let data = subject.data(len_bytes);
    let length = |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    keys_of(&data, 2, length)
}

/// Opens an iterator of the keys that begin with `prefix`, reads from it until it ends, and closes it.
fn iterate(subject: &mut Subject<'_>, prefix: [u8; 4], len_bytes: usize) -> Result<Vec<Vec<u8>>, Obstacle> {
    let prefix = u32::from_le_bytes(prefix);
    let open = vendor_option::ITERATE_OPEN | vendor_option::ITERATE_KEYS;
    let entry = iterate_request(subject.nsid, 0, open, prefix, u32::MAX);
    let handle = subject.io_ends("opening an iterator", entry, SUCCESS)? as u8;
    let mut keys = Vec::new();
    for _ in 0..ITERATOR_READS_MAX {
        let entry = iterate_read(subject.nsid, handle, len_bytes as u32);
        let entry = subject.with_buffer(entry, len_bytes);
        let status = subject.io(entry).status();
        if status == Status::VENDOR_ITERATOR_END {
            break;
        }
        ensure!(status == SUCCESS, "reading from an iterator ends with {status:?}");
        let data = subject.data(len_bytes);
        let length = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        keys.extend(keys_of(&data, 4, length)?);
    }
    let entry = iterate_request(subject.nsid, handle, vendor_option::ITERATE_CLOSE, 0, 0);
    subject.io_ends("closing an iterator", entry, SUCCESS)?;
    Ok(keys)
}

fn keys_of(data: &[u8], length_bytes: usize, length: fn(&[u8]) -> usize) -> Result<Vec<Vec<u8>>, Obstacle> {
    let count = u32::from_le_bytes([data[0], data[1], data[2], data[3]]);
    let mut at = 4;
    let mut keys = Vec::new();
    for _ in 0..count {
        let rest = data.get(at..).filter(|rest| rest.len() >= 4);
        ensure!(rest.is_some(), "the answer ends before its {count} keys");
        let rest = rest.unwrap_or_default();
        let len = length(rest);
        let key = rest.get(length_bytes..length_bytes + len);
        ensure!(key.is_some(), "a key of {len} bytes goes beyond the answer");
        keys.push(key.unwrap_or_default().to_vec());
        at = (at + length_bytes + len).next_multiple_of(4);
    }
    Ok(keys)
}

/// The keys that there are, and no others, are listed, each once (KV CS 1.0 §3.2.3; MODELS.md §7).
pub(super) fn keys_are_listed(subject: &mut Subject<'_>) -> Finding {
    let dialect = dialect(subject)?;
    let mut stored: Vec<Vec<u8>> = (0..20u8)
        .map(|index| vec![b'l', b'i', b's', b't', index + 1])
        .collect();
    for key in &stored {
        subject.store(key, key, 0, SUCCESS)?;
    }
    for round in 0..2 {
        let mut listed = match subject.kind {
            Kind::Pairs => list(subject, b"", 4096)?,
            _ => iterate(subject, *b"list", 4096)?,
        };
        listed.sort();
        ensure!(
            listed == stored,
            "round {round}: {stored:x?} were stored, and {listed:x?} are listed"
        );
        for key in stored.drain(10..) {
            subject.key_ends(dialect.delete, &key, SUCCESS)?;
        }
    }
    for key in stored {
        subject.key_ends(dialect.delete, &key, SUCCESS)?;
    }
    Ok(())
}

/// The longest value that Identify allows is taken, and a longer one is not; a key has 1 to 16 bytes (KV CS 1.0 figure 37, §2.1.5).
pub(super) fn keys_and_values_end_at_their_limits(subject: &mut Subject<'_>) -> Finding {
    applies_if!(
        subject.kind == Kind::Pairs,
        "Identify does not say how long values can be"
    );
    let namespace: IdentifyKeyValueNamespace = subject.identify_as(
        IdentifyCns::COMMAND_SET_NAMESPACE,
        subject.nsid,
        CommandSet::KEY_VALUE,
    )?;
    let format = namespace.kvf[0];
    let (key_max, value_max) = (
        usize::from(format.key_bytes_max.get()),
        format.value_bytes_max.get() as usize,
    );
    ensure!(
        (1..=16).contains(&key_max),
        "keys of {key_max} bytes have no place in a command"
    );
    if let Some(pages) = subject.transfer_pages_max() {
        ensure!(
            value_max <= pages * 4096,
            "a value of {value_max} bytes is longer than MDTS"
        );
        subject.store(b"limit", &vec![5; value_max], 0, SUCCESS)?;
        subject.store(b"limit", &vec![6; value_max + 1], 0, Status::INVALID_VALUE_SIZE)?;
        let (len, data) = subject.retrieve(b"limit", value_max)?;
        ensure!(
            len == value_max && data.iter().all(|&byte| byte == 5),
            "the longest value is not what was stored"
        );
        subject.key_ends(KeyValueOpcode::DELETE, b"limit", SUCCESS)?;
        let beyond = (pages * 4096 + 4) as u32;
        let entry = standard(KeyValueOpcode::LIST, subject.nsid, b"", 0, beyond);
        subject.io_ends("List into a buffer beyond MDTS", entry, INVALID_FIELD)?;
    }
    subject.key_ends(KeyValueOpcode::EXIST, b"", Status::INVALID_KEY_SIZE)?;
    let too_long = standard(KeyValueOpcode::EXIST, subject.nsid, &[7; 17], 0, 0);
    subject.io_ends("a key of 17 bytes", too_long, INVALID_FIELD)?;
    Ok(())
}

/// A namespace that cannot be is Invalid Namespace or Format, one that is not active Invalid Field (NVMe Base 2.0 §3.2.1.2 to §3.2.1.4).
pub(super) fn wrong_namespaces_are_refused(subject: &mut Subject<'_>) -> Finding {
    let dialect = dialect(subject)?;
    let invalid = Status::INVALID_NAMESPACE_OR_FORMAT;
    let mut cases = vec![(0, invalid), (subject.controller.nn.get() + 1, invalid)];
    match absent_namespace(subject) {
        Ok(nsid) => cases.push((nsid, INVALID_FIELD)),
        Err(Obstacle::NotApplicable(_)) => {}
        Err(failed) => return Err(failed),
    }
    for (nsid, expected) in cases {
        // A namespace that is not there has no vendor specific commands.
        let entry = standard(KeyValueOpcode::STORE, nsid, b"key", 0, 0);
        let entry = subject.with_buffer(entry, 512);
        subject.io_ends(&format!("storing in namespace {nsid:#x}"), entry, expected)?;
    }
    let entry = (dialect.make)(dialect.exist, NSID_BROADCAST, b"key", 0, 0);
    let status = subject.io(entry).status();
    ensure!(
        !status.is_success() && status != dialect.missing,
        "a key of all namespaces: {status:?}"
    );
    Ok(())
}
