//! Scatter gather lists (NVMe Base 2.0 §4.1.2) on every kind of namespace: good ones against PRPs, and wrong ones.

mod commands_with_data;
mod wrong_lists;

use nvme_spec::{
    KeyValueOpcode, NvmOpcode, SglDescriptor, Status, SubmissionQueueEntry, ZoneSendAction,
    PSDT_SGL_METADATA_BUFFER, PSDT_SGL_METADATA_SGL,
};
use nvmev_sim::host::key_value::standard;
use nvmev_sim::host::sgl::{bit_bucket, data_block};
use nvmev_sim::host::{commands, Random, TestHost};
use ssd_model::profiles;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
/// What is in the buffers before the device writes to them.
const UNTOUCHED: u8 = 0xEE;
/// A pool of memory for scattered data.
const POOL_PAGES: usize = 64;
const POOL_BYTES: usize = POOL_PAGES * 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nvm,
    Conventional,
    Zoned,
    KeyValue,
    /// LBAs that lie beside pairs.
    KeyValueLbas,
}

const KINDS: [Kind; 5] = [
    Kind::Nvm,
    Kind::Conventional,
    Kind::Zoned,
    Kind::KeyValue,
    Kind::KeyValueLbas,
];

/// A drive whose namespace 1 takes a value, or what is written from LBA 0 on, and gives it back.
struct Drive {
    host: TestHost,
    kind: Kind,
    first_page: u64,
}

impl Drive {
    fn new(kind: Kind) -> Self {
        let (name, changes) = match kind {
            Kind::Nvm => ("optane", ""),
            Kind::Conventional => ("tlc-ssd", ""),
            Kind::Zoned => (
                "zn540",
                "mdts=5,zone.size_kib=512,zone.dies_per_zone=2,zone.max_open=3,zone.max_active=4,\
                 zone.descriptor_extension_bytes=64,reference_quirks=false",
            ),
            Kind::KeyValue => ("kv-prototype", ""),
            Kind::KeyValueLbas => (
                "kv-prototype",
                "key_value.command_set=nvm,key_value.value_bytes_max=65536",
            ),
        };
        let mut profile = *profiles::by_name(name).unwrap();
        profile.set_list(changes).unwrap();
        profile.validate().unwrap();
        let mut host = TestHost::new(&profile, 8 << 20, 512, 2);
        host.enable();
        host.create_io_queues(1, 64);
        let first_page = host.next_page();
        Self {
            host,
            kind,
            first_page,
        }
    }

    /// Forgets all buffers, and empties the zone that is written to.
    fn begin_anew(&mut self) {
        self.host.forget_pages(self.first_page);
        if self.kind == Kind::Zoned {
            assert_eq!(
                self.status(commands::zone_send(1, 0, ZoneSendAction::RESET, false)),
                SUCCESS
            );
        }
    }

    /// A length of data that a command can have.
    fn some_len(&self, random: &mut Random) -> usize {
        match self.kind {
            Kind::KeyValue => 1 + random.below(100_000) as usize,
            _ => 512 * (1 + random.below(200) as usize),
        }
    }

    fn put(&self, len: usize) -> SubmissionQueueEntry {
        match self.kind {
            Kind::KeyValue => standard(KeyValueOpcode::STORE, 1, b"key", 0, len as u32),
            _ => commands::read_write(NvmOpcode::WRITE, 1, 0, (len / 512) as u32, 0, 0),
        }
    }

    fn get(&self, len: usize) -> SubmissionQueueEntry {
        match self.kind {
            Kind::KeyValue => standard(KeyValueOpcode::RETRIEVE, 1, b"key", 0, len as u32),
            _ => commands::read_write(NvmOpcode::READ, 1, 0, (len / 512) as u32, 0, 0),
        }
    }

    fn status(&mut self, entry: SubmissionQueueEntry) -> Status {
        self.host.execute(1, entry).status()
    }

    fn put_by_prps(&mut self, data: &[u8]) {
        let buffer = self.host.pages(data.len().div_ceil(4096));
        self.host.machine.set_ram(buffer, data);
        let entry = self.host.with_buffer(self.put(data.len()), buffer, data.len());
        assert_eq!(self.status(entry), SUCCESS);
    }

    fn get_by_prps(&mut self, len: usize) -> Vec<u8> {
        let entry = self.get(len);
        self.receive_by_prps(entry, len)
    }

    fn receive_by_prps(&mut self, entry: SubmissionQueueEntry, len: usize) -> Vec<u8> {
        let buffer = self.host.pages(len.div_ceil(4096));
        let entry = self.host.with_buffer(entry, buffer, len);
        assert_eq!(self.status(entry), SUCCESS);
        self.host.machine.ram(buffer, len)
    }

    /// A pool of untouched memory.
    fn pool(&mut self) -> u64 {
        let pool = self.host.pages(POOL_PAGES);
        self.host.machine.set_ram(pool, &[UNTOUCHED; POOL_BYTES]);
        pool
    }

    /// Puts the descriptors somewhere, in segments of random lengths.
    fn chain(&mut self, random: &mut Random, descriptors: &[SglDescriptor]) -> SglDescriptor {
        match descriptors {
            [alone] if random.one_in(2) => *alone,
            _ => {
                let per_segment = 1 + random.below(40) as usize;
                self.host.sgl(descriptors.chunks(per_segment))
            }
        }
    }
}

fn some_bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next_bits() as u8).collect()
}

/// Memory for `len` bytes of data in random pieces of `pool`: descriptors, and for each piece of the data its address, or none if it is discarded.
struct Scattered {
    descriptors: Vec<SglDescriptor>,
    pieces: Vec<(Option<u64>, usize)>,
}

impl Scattered {
    /// A source has Bit Buckets, too, but they mean nothing.
    fn new(random: &mut Random, pool: u64, len: usize, is_source: bool) -> Self {
        let (mut descriptors, mut pieces) = (Vec::new(), Vec::new());
        let mut address = pool + random.below(5000);
        let longest = [40, 3000, 70_000][random.below(3) as usize].max(len as u64 / 300);
        let mut left = len;
        while left > 0 {
            let piece = left.min(random.below(longest) as usize);
            if random.one_in(4) {
                descriptors.push(bit_bucket(piece as u32));
                if is_source {
                    continue;
                }
                pieces.push((None, piece));
            } else {
                descriptors.push(data_block(address, piece as u32));
                pieces.push((Some(address), piece));
                address += piece as u64 + if random.one_in(2) { 0 } else { random.below(90) };
            }
            left -= piece;
        }
        Self { descriptors, pieces }
    }

    /// Memory behind the data that the controller is not to touch, or not to look at.
    fn extend(&mut self, random: &mut Random, pool: u64) {
        let end = pool + POOL_BYTES as u64 - 100;
        match random.below(4) {
            0 => {
                let last = self.descriptors.last_mut().unwrap();
                last.len_bytes = (last.len_bytes.get() + 20).into();
            }
            1 => self.descriptors.push(data_block(end, 100)),
            2 => self.descriptors.push(SglDescriptor {
                identifier: 0xF0,
                ..data_block(0, 0)
            }),
            _ => {}
        }
    }
}

#[test]
fn random_lists_move_what_prps_move_and_nothing_else() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        for seed in 0..60 {
            let mut random = Random::new(seed);
            drive.begin_anew();
            let len = drive.some_len(&mut random);
            let data = some_bytes(&mut random, len);

            let pool = drive.pool();
            let mut source = Scattered::new(&mut random, pool, len, true);
            let mut rest = &data[..];
            for &(address, piece) in &source.pieces {
                let (here, after) = rest.split_at(piece);
                drive.host.machine.set_ram(address.unwrap(), here);
                rest = after;
            }
            source.extend(&mut random, pool);
            let sgl1 = drive.chain(&mut random, &source.descriptors);
            assert_eq!(
                drive.status(drive.put(len).with_sgl1(sgl1)),
                SUCCESS,
                "{kind:?} {seed}"
            );
            assert!(drive.get_by_prps(len) == data, "{kind:?} {seed}: put by SGL");

            drive.begin_anew();
            let data = some_bytes(&mut random, len);
            drive.put_by_prps(&data);
            let pool = drive.pool();
            let mut expected = vec![UNTOUCHED; POOL_BYTES];
            let mut destination = Scattered::new(&mut random, pool, len, false);
            let mut rest = &data[..];
            for &(address, piece) in &destination.pieces {
                let (here, after) = rest.split_at(piece);
                if let Some(address) = address {
                    let at = (address - pool) as usize;
                    expected[at..at + piece].copy_from_slice(here);
                }
                rest = after;
            }
            destination.extend(&mut random, pool);
            let sgl1 = drive.chain(&mut random, &destination.descriptors);
            assert_eq!(
                drive.status(drive.get(len).with_sgl1(sgl1)),
                SUCCESS,
                "{kind:?} {seed}"
            );
            assert!(
                drive.host.machine.ram(pool, POOL_BYTES) == expected,
                "{kind:?} {seed}: got by SGL"
            );
        }
    }
}

#[test]
fn what_psdt_says_of_metadata_is_the_same_without_metadata_and_its_reserved_value_is_refused() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        drive.put_by_prps(&[0x5A; 512]);
        for (psdt, status) in [
            (PSDT_SGL_METADATA_BUFFER, SUCCESS),
            (PSDT_SGL_METADATA_SGL, SUCCESS),
            (0b11, Status::INVALID_FIELD_IN_COMMAND),
        ] {
            let into = drive.pool() + 1;
            let entry = SubmissionQueueEntry {
                // Nothing is there.
                mptr: 3.into(),
                ..drive.get(512).with_sgl1(data_block(into, 512))
            };
            let entry = SubmissionQueueEntry {
                flags: psdt << 6,
                ..entry
            };
            assert_eq!(drive.status(entry), status, "{kind:?}, PSDT {psdt:#b}");
            let expected = if status == SUCCESS { 0x5A } else { UNTOUCHED };
            assert_eq!(
                drive.host.machine.ram(into, 513),
                [&[expected; 512][..], &[UNTOUCHED]].concat()
            );
        }
    }
}

#[test]
fn each_descriptor_is_read_once() {
    let mut drive = Drive::new(Kind::Nvm);
    let pool = drive.pool();
    let descriptors: Vec<_> = (0..32).map(|at| data_block(pool + at * 5000, 512)).collect();
    let sgl1 = drive.host.sgl(descriptors.chunks(16));
    let before = drive.host.machine.device_reads();
    assert_eq!(drive.status(drive.get(32 * 512).with_sgl1(sgl1)), SUCCESS);
    assert_eq!(
        drive.host.machine.device_reads() - before,
        1 + 2 + 1,
        "the entry; 17 descriptors in two fetches, 16 in one"
    );
}
