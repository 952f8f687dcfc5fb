//! Lists that are wrong, each with the status that the specification has for it (NVMe Base 2.0 figure 94).

use nvmev_sim::host::sgl::{last_segment, segment};

use super::*;

const LEN: usize = 4096;

const LENGTH: Status = Status::DATA_SGL_LENGTH_INVALID;
const TYPE: Status = Status::SGL_DESCRIPTOR_TYPE_INVALID;
const SEGMENT: Status = Status::INVALID_SGL_SEGMENT_DESCRIPTOR;
const NUMBER: Status = Status::INVALID_NUMBER_OF_SGL_DESCRIPTORS;
const NO_MEMORY: Status = Status::DATA_TRANSFER_ERROR;

fn with_identifier(identifier: u8, descriptor: SglDescriptor) -> SglDescriptor {
    SglDescriptor {
        identifier,
        ..descriptor
    }
}

fn with_len(len_bytes: u32, descriptor: SglDescriptor) -> SglDescriptor {
    SglDescriptor {
        len_bytes: len_bytes.into(),
        ..descriptor
    }
}

/// Lists for [`LEN`] bytes: what is wrong, the first descriptor, the status.
fn wrong_lists(host: &mut TestHost) -> Vec<(&'static str, SglDescriptor, Status)> {
    let buffer = host.pages(2);
    let all = data_block(buffer, LEN as u32);
    let half = data_block(buffer, LEN as u32 / 2);
    let ram_end = host.machine.ram_end();
    let good = host.descriptors(&[half, half, half]);
    let mut put = |descriptors: &[SglDescriptor]| {
        let address = host.descriptors(descriptors);
        (address, last_segment(address, descriptors.len()))
    };
    let mut lists = vec![
        ("too short", data_block(buffer, LEN as u32 - 1), LENGTH),
        ("nothing", data_block(buffer, 0), LENGTH),
        (
            "too short in a segment",
            put(&[half, data_block(buffer, 9)]).1,
            LENGTH,
        ),
        ("all empty", put(&[data_block(0, 0); 40]).1, LENGTH),
        ("nowhere", data_block(0, LEN as u32), NO_MEMORY),
        (
            "half of it beyond memory",
            data_block(ram_end - 2048, LEN as u32),
            NO_MEMORY,
        ),
        (
            "around the end of addresses",
            data_block(u64::MAX - 100, LEN as u32),
            NO_MEMORY,
        ),
        ("a segment nowhere", last_segment(0, 2), NO_MEMORY),
        (
            "a segment partly beyond memory",
            last_segment(ram_end - 16, 2),
            NO_MEMORY,
        ),
        (
            "a segment at the end of addresses",
            last_segment(u64::MAX - 7, 2),
            NO_MEMORY,
        ),
        (
            "a segment that is not aligned",
            last_segment(good + 4, 2),
            SEGMENT,
        ),
        ("no descriptors", last_segment(good, 0), SEGMENT),
        ("no descriptors, and not the last", segment(good, 0), SEGMENT),
        ("half a descriptor", with_len(8, last_segment(good, 1)), SEGMENT),
        ("one and a half", with_len(24, segment(good, 1)), SEGMENT),
        ("a segment that another should follow", segment(good, 1), SEGMENT),
        (
            "a last segment that goes on",
            put(&[half, segment(good, 3)]).1,
            SEGMENT,
        ),
        (
            "a last segment with another last one",
            put(&[half, last_segment(good, 3)]).1,
            SEGMENT,
        ),
        (
            "a segment in the middle of one",
            put(&[half, segment(good, 3), half]).1,
            NUMBER,
        ),
        (
            "a last segment in the middle of a segment",
            segment(put(&[last_segment(good, 3), half]).0, 2),
            NUMBER,
        ),
    ];
    // Offsets, keys, and what transports and vendors have; also behind a half of the data.
    for identifier in [0x01, 0x0A, 0x0F, 0x40, 0x4F, 0x50, 0x5A, 0x60, 0xE0, 0xF0, 0xFF] {
        let unknown = with_identifier(identifier, all);
        lists.push(("its type", unknown, TYPE));
        lists.push(("a descriptor's type", put(&[half, unknown]).1, TYPE));
    }
    lists.push(("a Bit Bucket with a sub type", with_identifier(0x11, all), TYPE));
    for identifier in [0x21, 0x2F, 0x31] {
        let unknown = with_identifier(identifier, last_segment(good, 3));
        lists.push(("a segment with a sub type", unknown, TYPE));
    }
    // What leads nowhere, or goes on for ever.
    let around = host.pages(1);
    host.machine
        .set_ram(around, zerocopy::IntoBytes::as_bytes(&segment(around, 1)));
    lists.push(("a segment that is its own next", segment(around, 1), NUMBER));
    let around = host.pages(1);
    let circle = [data_block(0, 0), bit_bucket(0), segment(around, 3)];
    host.machine
        .set_ram(around, zerocopy::IntoBytes::as_bytes(&circle));
    lists.push(("a circle of empty descriptors", segment(around, 3), NUMBER));
    let endless = with_len(!15, segment(host.pages(300), 1));
    lists.push(("4 GiB of empty descriptors", endless, NUMBER));
    lists
}

#[test]
fn each_wrong_list_ends_with_its_status_whichever_way_the_data_goes() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let lists = wrong_lists(&mut drive.host);
        drive.first_page = drive.host.next_page();
        for (what, sgl1, status) in lists {
            drive.begin_anew();
            let put = drive.put(LEN).with_sgl1(sgl1);
            assert_eq!(drive.status(put), status, "{kind:?}, put: {what}");
            drive.begin_anew();
            drive.put_by_prps(&[7; LEN]);
            let get = drive.get(LEN).with_sgl1(sgl1);
            assert_eq!(drive.status(get), status, "{kind:?}, get: {what}");
            if !matches!(kind, Kind::KeyValue) {
                let compare = SubmissionQueueEntry {
                    opcode: NvmOpcode::COMPARE.0,
                    ..get
                };
                assert_eq!(drive.status(compare), status, "{kind:?}, compare: {what}");
            }
            assert_eq!(drive.get_by_prps(LEN), [7; LEN], "{kind:?}: {what}");
        }
    }
}

#[test]
fn a_source_of_nothing_but_bit_buckets_has_no_data_and_a_destination_needs_no_memory() {
    for kind in KINDS {
        let mut drive = Drive::new(kind);
        let bucket = bit_bucket(LEN as u32);
        assert_eq!(drive.status(drive.put(LEN).with_sgl1(bucket)), LENGTH, "{kind:?}");
        drive.begin_anew();
        drive.put_by_prps(&[7; LEN]);
        assert_eq!(
            drive.status(drive.get(LEN).with_sgl1(bucket)),
            SUCCESS,
            "{kind:?}"
        );
        // Not enough is discarded.
        let short = bit_bucket(LEN as u32 - 1);
        assert_eq!(drive.status(drive.get(LEN).with_sgl1(short)), LENGTH, "{kind:?}");
    }
}

#[test]
fn as_many_descriptors_as_are_looked_at_are_enough_and_one_more_is_not() {
    let mut drive = Drive::new(Kind::Nvm);
    let pool = drive.pool();
    // The descriptor in the command counts, too.
    for (empty, status) in [(65_534, SUCCESS), (65_535, NUMBER)] {
        drive.host.forget_pages(pool + POOL_BYTES as u64);
        let mut descriptors = vec![data_block(pool, 0); empty];
        descriptors.push(data_block(pool, 512));
        let sgl1 = drive.host.sgl([&descriptors[..]].into_iter());
        assert_eq!(drive.status(drive.get(512).with_sgl1(sgl1)), status, "{empty}");
    }
}

#[test]
fn admin_commands_have_prps_only() {
    let mut drive = Drive::new(Kind::Nvm);
    let page = drive.host.pages(1);
    let identify = commands::identify(nvme_spec::IdentifyCns::CONTROLLER, 0, 0, page);
    let entry = identify.with_sgl1(data_block(page, 4096));
    assert_eq!(drive.host.admin(entry).status(), Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(drive.host.admin(identify).status(), SUCCESS);
}
