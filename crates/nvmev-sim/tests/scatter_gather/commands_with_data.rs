//! Every I/O command that has data takes it from an SGL, and gives it to one.

use nvme_spec::{vendor_option, ZoneReceiveAction, FUSED_FIRST, FUSED_SECOND};
use nvmev_sim::host::key_value::{batch_payload, iterate_read, iterate_request, vendor};

use super::*;

impl Drive {
    /// `entry` with an SGL of random pieces of memory that hold `data`.
    fn with_source(
        &mut self,
        random: &mut Random,
        entry: SubmissionQueueEntry,
        data: &[u8],
    ) -> SubmissionQueueEntry {
        let pool = self.pool();
        let source = Scattered::new(random, pool, data.len(), true);
        let mut rest = data;
        for &(address, piece) in &source.pieces {
            let (here, after) = rest.split_at(piece);
            self.host.machine.set_ram(address.unwrap(), here);
            rest = after;
        }
        let sgl1 = self.chain(random, &source.descriptors);
        entry.with_sgl1(sgl1)
    }

    fn send(&mut self, random: &mut Random, entry: SubmissionQueueEntry, data: &[u8]) -> Status {
        let entry = self.with_source(random, entry, data);
        self.status(entry)
    }

    /// Carries out a command that fills a buffer as long as `expected`, into random pieces with parts that are discarded: what is not discarded must be
    /// as expected.
    fn expect(&mut self, random: &mut Random, entry: SubmissionQueueEntry, expected: &[u8]) {
        let pool = self.pool();
        let destination = Scattered::new(random, pool, expected.len(), false);
        let sgl1 = self.chain(random, &destination.descriptors);
        assert_eq!(self.status(entry.with_sgl1(sgl1)), SUCCESS);
        let mut rest = expected;
        for &(address, piece) in &destination.pieces {
            let (here, after) = rest.split_at(piece);
            if let Some(address) = address {
                assert!(self.host.machine.ram(address, piece) == here);
            }
            rest = after;
        }
    }
}

#[test]
fn compare_fused_or_not_copy_and_dataset_management() {
    for kind in [Kind::Nvm, Kind::Conventional, Kind::KeyValueLbas] {
        for seed in 0..20 {
            let random = &mut Random::new(seed);
            let mut drive = Drive::new(kind);
            let data = some_bytes(random, 8192);
            drive.put_by_prps(&data);
            let about = |opcode| commands::read_write(opcode, 1, 0, 16, 0, 0);
            let compare = about(NvmOpcode::COMPARE);
            assert_eq!(drive.send(random, compare, &data), SUCCESS);
            let mut other = data.clone();
            other[random.below(8192) as usize] ^= 1;
            assert_eq!(drive.send(random, compare, &other), Status::COMPARE_FAILURE);

            let compare = drive.with_source(random, compare, &data);
            let write = drive.with_source(random, about(NvmOpcode::WRITE), &other);
            for (cid, fuse, entry) in [(1, FUSED_FIRST, compare), (2, FUSED_SECOND, write)] {
                let entry = SubmissionQueueEntry {
                    flags: entry.flags | fuse,
                    cid: u16::into(cid),
                    ..entry
                };
                drive.host.place(1, &entry);
            }
            drive.host.ring(1);
            assert_eq!([(); 2].map(|()| drive.host.wait(1).status()), [SUCCESS; 2]);
            assert!(drive.get_by_prps(8192) == other);

            let ranges = [(3, 2), (0, 1), (9, 4)];
            let format = random.below(2) as u8;
            let copy = commands::copy(1, 100, 3, format, 0);
            assert_eq!(
                drive.send(random, copy, &commands::copy_list(&ranges, format)),
                SUCCESS
            );
            let copied = [&other[1536..2560], &other[..512], &other[4608..6656]].concat();
            let read = commands::read_write(NvmOpcode::READ, 1, 100, 7, 0, 0);
            drive.expect(random, read, &copied);

            let deallocate = commands::deallocate(1, 2, 0);
            let ranges = [(101, 2), (105, 1)];
            assert_eq!(
                drive.send(random, deallocate, &commands::range_list(&ranges)),
                SUCCESS
            );
            let mut left = copied;
            left[512..1536].fill(0);
            left[2560..3072].fill(0);
            drive.expect(random, read, &left);
        }
    }
}

#[test]
fn zone_append_reports_and_descriptor_extensions() {
    for seed in 0..20 {
        let random = &mut Random::new(seed);
        let mut drive = Drive::new(Kind::Zoned);
        let data = some_bytes(random, 16 * 512);
        let append = commands::zone_append(1, 0, 16, 0, 0);
        assert_eq!(drive.send(random, append, &data), SUCCESS);
        assert!(drive.get_by_prps(data.len()) == data);

        let set = ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION;
        let extension = some_bytes(random, 64);
        let entry = commands::zone_send(1, 2 * 1024, set, false);
        assert_eq!(drive.send(random, entry, &extension), SUCCESS);
        for action in [
            ZoneReceiveAction::REPORT_ZONES,
            ZoneReceiveAction::EXTENDED_REPORT_ZONES,
        ] {
            for len in [64, 500, 2000, 8192] {
                let report = commands::zone_receive(1, 0, action, 0, false, len, 0);
                let expected = drive.receive_by_prps(report, len as usize);
                drive.expect(random, report, &expected);
            }
        }
    }
}

#[test]
fn values_lists_of_keys_batches_and_iterators() {
    const STORE: KeyValueOpcode = KeyValueOpcode::VENDOR_STORE;
    for seed in 0..20 {
        let random = &mut Random::new(seed);
        let mut drive = Drive::new(Kind::KeyValue);
        let value = some_bytes(random, 5000);
        let (first, second) = value.split_at(3000);
        let store = vendor(STORE, 1, b"key", 0, 3000);
        assert_eq!(drive.send(random, store, first), SUCCESS);
        let append = vendor(KeyValueOpcode::VENDOR_APPEND, 1, b"key", 0, 2000);
        assert_eq!(drive.send(random, append, second), SUCCESS);
        let retrieve = SubmissionQueueEntry {
            mptr: (1000 << 32).into(),
            ..vendor(KeyValueOpcode::VENDOR_RETRIEVE, 1, b"key", 0, 4000)
        };
        drive.expect(random, retrieve, &value[1000..]);
        // A value that is shorter than the buffer needs no more memory than it has.
        let retrieve = standard(KeyValueOpcode::RETRIEVE, 1, b"key", 0, 100_000);
        drive.expect(random, retrieve, &value);

        let stores: Vec<Vec<u8>> = (0..8).map(|at| vec![at; 20 + usize::from(at)]).collect();
        let batch: Vec<_> = stores
            .iter()
            .map(|value| (STORE, 0, &value[..4], &value[..]))
            .collect();
        let payload = batch_payload(&batch);
        let entry = vendor(KeyValueOpcode::VENDOR_BATCH, 1, b"", 0, payload.len() as u32);
        assert_eq!(drive.send(random, entry, &payload), SUCCESS);

        let list = standard(KeyValueOpcode::LIST, 1, &[], 0, 200);
        let keys = drive.receive_by_prps(list, 200);
        assert_eq!(keys[0], 9, "all keys");
        drive.expect(random, list, &keys[..4 + 9 * 8]);

        for options in [vendor_option::ITERATE_KEYS, vendor_option::ITERATE_PAIRS] {
            let mut answers = Vec::new();
            let handle = drive.open_iterator(options);
            for _ in 0..if options == vendor_option::ITERATE_KEYS {
                1
            } else {
                9
            } {
                answers.push(drive.read_iterator(handle, options));
            }
            drive.close_iterator(handle);
            let handle = drive.open_iterator(options);
            for answer in answers {
                drive.expect(random, iterate_read(1, handle, ITERATOR_BUFFER_BYTES), &answer);
            }
            drive.close_iterator(handle);
        }
    }
}

const ITERATOR_BUFFER_BYTES: u32 = 6000;

impl Drive {
    fn open_iterator(&mut self, options: u8) -> u8 {
        let open = iterate_request(1, 0, vendor_option::ITERATE_OPEN | options, 0, 0);
        let completion = self.host.execute(1, open);
        assert_eq!(completion.status(), SUCCESS);
        completion.dw0.get() as u8
    }

    fn close_iterator(&mut self, handle: u8) {
        let close = iterate_request(1, handle, vendor_option::ITERATE_CLOSE, 0, 0);
        assert_eq!(self.status(close), SUCCESS);
    }

    /// What one read from an iterator fills, by PRPs.
    fn read_iterator(&mut self, handle: u8, options: u8) -> Vec<u8> {
        let buffer = self.host.pages(2);
        let entry = iterate_read(1, handle, ITERATOR_BUFFER_BYTES);
        let entry = self
            .host
            .with_buffer(entry, buffer, ITERATOR_BUFFER_BYTES as usize);
        let completion = self.host.execute(1, entry);
        assert_eq!(completion.status(), SUCCESS);
        let result = completion.dw0.get() as usize;
        if options == vendor_option::ITERATE_KEYS {
            return self.host.machine.ram(buffer, result);
        }
        let (key_bytes, value_bytes) = (result >> 24, result & 0xFF_FFFF);
        let mut answer = self.host.machine.ram(buffer, 512 + value_bytes);
        // Between key and value nothing is written.
        answer[key_bytes..512].fill(UNTOUCHED);
        answer
    }
}
