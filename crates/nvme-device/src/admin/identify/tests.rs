//! What Identify answers about a drive with a namespace of each kind.

use alloc::vec::Vec;

use super::*;
use crate::admin::test_drive::{
    done, to_address, to_buffer, TestDrive, FAST, FAST_LBAS, FLASH, INVALID, NOWHERE, PAIRS, UNALLOCATED,
    ZONED,
};

const INVALID_NSID: Status = Status::INVALID_NAMESPACE_OR_FORMAT;

fn get(drive: &mut TestDrive, structure: Structure) -> Result<Vec<u8>, Status> {
    let asked = Identify {
        structure,
        pointer: to_buffer(),
    };
    drive.memory.fill_buffer(&[0xEE; IDENTIFY_BYTES]);
    let (core, memory) = drive.parts();
    done(identify(core, &asked, memory))?;
    Ok(memory.buffer(IDENTIFY_BYTES))
}

fn namespace(nsid: u32, may_be_detached: bool) -> Structure {
    Structure::Namespace {
        nsid,
        may_be_detached,
    }
}

fn list(after: u32, command_set: Option<CommandSet>, may_be_detached: bool) -> Structure {
    Structure::NamespaceList {
        after,
        command_set,
        may_be_detached,
    }
}

/// The identifiers of a namespace list.
fn listed(drive: &mut TestDrive, structure: Structure) -> Result<Vec<u32>, Status> {
    let page = get(drive, structure)?;
    let dwords = page
        .chunks_exact(4)
        .map(|dword| u32::from_le_bytes(dword.try_into().unwrap()));
    Ok(dwords.take_while(|&nsid| nsid != 0).collect())
}

fn detach(drive: &mut TestDrive, nsid: u32) {
    drive.core().queue_set.io.namespaces.set_attached(nsid, false);
}

#[test]
fn a_namespace_with_lbas_tells_its_size_and_formats() {
    let mut drive = TestDrive::new();
    for nsid in [FAST, FLASH, ZONED] {
        let page = get(&mut drive, namespace(nsid, false)).unwrap();
        let data = IdentifyNamespace::read_from_bytes(&page).unwrap();
        let expected = drive
            .core()
            .queue_set
            .io
            .namespaces
            .allocated(nsid)
            .unwrap()
            .size_lbas;
        assert_eq!(data.nsze_lbas.get(), expected);
        let formats = data.lbaf.map(|format| format.lba_data_size_log2);
        assert_eq!((data.nlbaf_z, data.flbas, &formats[..3]), (1, 0, &[9, 12, 0][..]));
    }
    let page = get(&mut drive, namespace(FAST, false)).unwrap();
    assert_eq!(page[..8], FAST_LBAS.to_le_bytes());
    // What a worker copies as a whole: MDTS, 2^5 pages, as LBAs.
    let data = IdentifyNamespace::read_from_bytes(&page).unwrap();
    assert_eq!(data.nawun_z.get(), 255);
}

#[test]
fn a_namespace_of_pairs_has_no_structure_of_the_nvm_command_set() {
    let mut drive = TestDrive::new();
    for may_be_detached in [false, true] {
        let refused = get(&mut drive, namespace(PAIRS, may_be_detached));
        assert_eq!(refused, Err(Status::INVALID_FIELD_IN_COMMAND));
    }
    assert!(get(&mut drive, Structure::IndependentNamespace { nsid: PAIRS }).is_ok());
}

#[test]
fn a_namespace_that_is_not_there_has_a_structure_of_zeros() {
    let mut drive = TestDrive::new();
    detach(&mut drive, FLASH);
    let zeros = Ok(alloc::vec![0; IDENTIFY_BYTES]);
    for nsid in [FLASH, UNALLOCATED] {
        assert_eq!(get(&mut drive, namespace(nsid, false)), zeros);
        assert_eq!(get(&mut drive, Structure::IndependentNamespace { nsid }), zeros);
    }
    assert_ne!(get(&mut drive, namespace(FLASH, true)), zeros, "allocated");
    assert_eq!(get(&mut drive, namespace(UNALLOCATED, true)), zeros);
    for nsid in [0, INVALID] {
        assert_eq!(get(&mut drive, namespace(nsid, false)), Err(INVALID_NSID));
        assert_eq!(
            get(&mut drive, Structure::IndependentNamespace { nsid }),
            Err(INVALID_NSID)
        );
    }
}

#[test]
fn lists_are_of_attached_or_of_allocated_namespaces() {
    let mut drive = TestDrive::new();
    detach(&mut drive, FLASH);
    assert_eq!(
        listed(&mut drive, list(0, None, false)),
        Ok([FAST, ZONED, PAIRS].into())
    );
    assert_eq!(
        listed(&mut drive, list(0, None, true)),
        Ok([FAST, FLASH, ZONED, PAIRS].into())
    );
    assert_eq!(
        listed(&mut drive, list(FLASH, None, true)),
        Ok([ZONED, PAIRS].into())
    );
    assert_eq!(
        listed(&mut drive, list(0, Some(CommandSet::NVM), true)),
        Ok([FAST, FLASH].into())
    );
    assert_eq!(
        listed(&mut drive, list(0, Some(CommandSet::ZONED), false)),
        Ok([ZONED].into())
    );
    let unknown = listed(&mut drive, list(0, Some(CommandSet(9)), false));
    assert_eq!(unknown, Err(Status::INVALID_IO_COMMAND_SET));
    // FFFFFFFEh and FFFFFFFFh begin no list (NVMe Base 2.0 §5.17.2.2).
    assert_eq!(listed(&mut drive, list(0xFFFF_FFFD, None, false)), Ok([].into()));
    for after in [0xFFFF_FFFE, 0xFFFF_FFFF] {
        assert_eq!(listed(&mut drive, list(after, None, false)), Err(INVALID_NSID));
    }
}

#[test]
fn a_command_set_tells_of_its_own_namespaces() {
    let mut drive = TestDrive::new();
    let mut get_of = |nsid, command_set| {
        let structure = Structure::CommandSetNamespace {
            nsid,
            command_set,
            may_be_detached: false,
        };
        get(&mut drive, structure)
    };
    let zeros = Ok(alloc::vec![0; IDENTIFY_BYTES]);
    assert_eq!(get_of(FAST, CommandSet::NVM), zeros, "no protection information");
    assert_ne!(get_of(ZONED, CommandSet::ZONED), zeros);
    assert_ne!(get_of(PAIRS, CommandSet::KEY_VALUE), zeros);
    for (nsid, command_set) in [
        (FAST, CommandSet::ZONED),
        (PAIRS, CommandSet::NVM),
        (FAST, CommandSet(9)),
    ] {
        assert_eq!(get_of(nsid, command_set), Err(Status::INVALID_IO_COMMAND_SET));
    }
}

#[test]
fn the_only_controller_is_listed_where_a_namespace_is_attached() {
    let mut drive = TestDrive::new();
    detach(&mut drive, FLASH);
    let mut count = |first, nsid| {
        let page = get(&mut drive, Structure::ControllerList { first, nsid })?;
        Ok(u16::from_le_bytes([page[0], page[1]]))
    };
    assert_eq!(count(0, None), Ok(1));
    assert_eq!(count(CONTROLLER_ID + 1, None), Ok(0));
    assert_eq!(count(0, Some(FAST)), Ok(1));
    assert_eq!(count(0, Some(FLASH)), Ok(0));
    assert_eq!(count(0, Some(UNALLOCATED)), Err(Status::INVALID_FIELD_IN_COMMAND));
    assert_eq!(count(0, Some(INVALID)), Err(INVALID_NSID));
}

#[test]
fn descriptors_name_the_command_set_to_a_host_that_knows_them_all() {
    let mut drive = TestDrive::new();
    let descriptors = Structure::NamespaceDescriptors { nsid: ZONED };
    // An EUI64, an NGUID and a UUID, each behind a header of 4 bytes.
    let end = 3 * 4 + 8 + 16 + 16;
    let page = get(&mut drive, descriptors).unwrap();
    assert_eq!((page[0], page[12], page[32], page[end]), (1, 2, 3, 0));
    drive.core().admin.css = ControllerConfiguration::CSS_ALL;
    let page = get(&mut drive, descriptors).unwrap();
    assert_eq!(page[end..end + 5], [4, 1, 0, 0, CommandSet::ZONED.0]);
}

#[test]
fn a_buffer_that_is_not_memory_is_an_error() {
    let mut drive = TestDrive::new();
    let asked = Identify {
        structure: Structure::Controller,
        pointer: to_address(NOWHERE),
    };
    let (core, memory) = drive.parts();
    assert_eq!(
        done(identify(core, &asked, memory)),
        Err(Status::DATA_TRANSFER_ERROR)
    );
}
