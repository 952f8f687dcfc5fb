//! What a command copies is announced before the data of the one before it is moved, and nothing is announced where nothing is copied.

use nvme_device::DataCopy;
use nvme_spec::{NvmOpcode, SubmissionQueueEntry};
use nvmev_sim::host::{commands, sgl, EngineFaults, TestHost, DRIVES};
use ssd_model::profiles;

const LBA: u32 = 512;
const CAPACITY_BYTES: u64 = 1 << 20;
/// What a pass of a worker takes, so that all come in one.
const COMMANDS: u64 = 8;
const PAGE: u64 = 4096;

fn host_of(mut host: TestHost) -> TestHost {
    host.enable();
    host.create_io_queues(1, 64);
    host.machine.watch_upcoming();
    host
}

fn host() -> TestHost {
    let profile = profiles::by_name("optane").unwrap();
    host_of(TestHost::new(profile, CAPACITY_BYTES, LBA, 1))
}

/// Has these commands carried out together, and returns what was announced, and how many copies had been made then.
fn announced_when(
    host: &mut TestHost,
    entries: impl IntoIterator<Item = SubmissionQueueEntry>,
) -> Vec<(DataCopy, u64)> {
    for entry in entries {
        host.enqueue(1, entry);
    }
    host.ring(1);
    host.settle();
    host.machine.take_upcoming()
}

/// As [`announced_when`], without the number.
fn announced(host: &mut TestHost, entries: impl IntoIterator<Item = SubmissionQueueEntry>) -> Vec<DataCopy> {
    let announced = announced_when(host, entries).into_iter();
    announced.map(|(copy, _)| copy).collect()
}

/// Reads and writes in turns, each of 8 LBAs at a place of its own, and what is to be said of them.
fn accesses(host: &mut TestHost) -> (Vec<SubmissionQueueEntry>, Vec<DataCopy>) {
    let buffers = host.pages(COMMANDS as usize);
    let each = (0..COMMANDS).map(|index| {
        let (is_to_host, address) = (index % 2 == 0, buffers + index * PAGE);
        let opcode = if is_to_host {
            NvmOpcode::READ
        } else {
            NvmOpcode::WRITE
        };
        let copy = DataCopy {
            is_to_host,
            address,
            media_offset: index * PAGE,
            len_bytes: 512,
        };
        (commands::read_write(opcode, 1, index * 8, 8, address, 0), copy)
    });
    each.unzip()
}

#[test]
fn each_command_but_the_first_is_announced_before_the_one_before_it_is_carried_out() {
    let mut host = host();
    let (entries, copies) = accesses(&mut host);
    let expected: Vec<_> = copies[1..].iter().copied().zip(0..).collect();
    assert_eq!(announced_when(&mut host, entries), expected);
}

#[test]
fn a_command_by_itself_is_not_announced() {
    let mut host = host();
    let (entries, _) = accesses(&mut host);
    for entry in entries {
        assert_eq!(announced(&mut host, [entry]), []);
    }
}

#[test]
fn a_short_one_is_announced_as_it_is() {
    let mut host = host();
    let (mut entries, _) = accesses(&mut host);
    let (buffer, lbas) = (entries[1].prp1.get() + 0xE00, 1);
    entries[1] = commands::read_write(NvmOpcode::WRITE, 1, 9, lbas, buffer, 0);
    let copy = DataCopy {
        is_to_host: false,
        address: buffer,
        media_offset: 9 * u64::from(LBA),
        len_bytes: 512,
    };
    assert_eq!(announced(&mut host, entries[..2].iter().copied()), [copy]);
}

#[test]
fn an_sgl_is_announced_if_it_is_one_block() {
    let mut host = host();
    let (entries, copies) = accesses(&mut host);
    let list = host.pages(1);
    let block = entries[1].with_sgl1(sgl::data_block(copies[1].address, PAGE as u32));
    assert_eq!(announced(&mut host, [entries[0], block]), [copies[1]]);
    let elsewhere = entries[1].with_sgl1(sgl::last_segment(list, 1));
    assert_eq!(announced(&mut host, [entries[0], elsewhere]), []);
}

#[test]
fn what_has_no_data_for_the_cpu_to_copy_is_not_announced() {
    let mut host = host();
    let (entries, copies) = accesses(&mut host);
    let others = [
        entries[0],
        commands::flush(1),
        commands::read_write(NvmOpcode::WRITE_ZEROES, 1, 0, 8, 0, 0),
        commands::read_write(NvmOpcode::COMPARE, 1, 0, 8, copies[0].address, 0),
    ];
    assert_eq!(announced(&mut host, others), []);

    host.machine.install_engine(1, EngineFaults::default());
    assert_eq!(announced(&mut host, entries), []);

    let namespace = DRIVES[0].namespace(LBA, 0);
    let mut host = host_of(TestHost::without_medium(vec![namespace], 1));
    let (entries, _) = accesses(&mut host);
    assert_eq!(announced(&mut host, entries), []);
}
