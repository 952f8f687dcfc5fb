//! Identify and Get Log Page against the bytes that the specification puts where.

use nvme_spec::{AdminOpcode, FeatureId, IdentifyCns, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

const BROADCAST: u32 = 0xFFFF_FFFF;

fn identify(host: &mut TestHost, cns: IdentifyCns, nsid: u32, csi: u8) -> Result<Vec<u8>, Status> {
    let page = host.pages(1);
    host.machine.set_ram(page, &[0xAA; 4096]);
    match host.admin(commands::identify(cns, nsid, csi, page)).status() {
        Status::SUCCESSFUL_COMPLETION => Ok(host.machine.ram(page, 4096)),
        error => Err(error),
    }
}

fn log(host: &mut TestHost, log: LogPageId, offset: u64, len: u32) -> Result<Vec<u8>, Status> {
    let page = host.pages(2);
    match host
        .admin(commands::get_log_page(log, BROADCAST, offset, len, page))
        .status()
    {
        Status::SUCCESSFUL_COMPLETION => Ok(host.machine.ram(page, len as usize)),
        error => Err(error),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn identify_controller_byte_by_byte() {
    let mut host = TestHost::ready();
    let data = identify(&mut host, IdentifyCns::CONTROLLER, 0, 0).unwrap();
    assert_eq!(
        (u16_at(&data, 0), u16_at(&data, 2)),
        (0x0c51, 0x0c51),
        "VID and SSVID are PCI's"
    );
    assert!(data[4..24].starts_with(b"NVMEV"), "SN");
    assert_eq!(&data[24..64], format!("{:<40}", "NVMeVirt test").as_bytes(), "MN");
    assert_eq!(
        &data[64..72],
        format!("{:<8}", env!("CARGO_PKG_VERSION")).as_bytes(),
        "FR"
    );
    assert_eq!(data[77], 5, "MDTS");
    assert_eq!(u32_at(&data, 80), 0x0002_0000, "VER");
    assert_eq!(
        u32_at(&data, 92),
        1 << 27 | 1 << 13 | 1 << 8,
        "OAES: changed namespaces, LBA status, zones"
    );
    assert_eq!(
        u32_at(&data, 96),
        0x81,
        "CTRATT: 128-bit host identifier, Namespace Granularity"
    );
    assert_eq!(data[111], 1, "CNTRLTYPE: I/O controller");
    assert_eq!(
        u16_at(&data, 256),
        1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9,
        "OACS: Format NVM, Firmware, Namespace Management, Device Self-test, Directives, Doorbell Buffer Config, LBA Status"
    );
    assert_eq!(
        (u16_at(&data, 316), data[318], data[319]),
        (1, 1, 1),
        "EDSTT, DSTO, FWUG"
    );
    assert_eq!((data[258], data[259]), (3, 3), "ACL, AERL");
    assert_eq!(
        (data[260], data[261], data[262], data[263]),
        (0x17, 0x3F, 63, 2),
        "FRMW, LPA, ELPE, NPSS"
    );
    assert_eq!(
        (u16_at(&data, 266), u16_at(&data, 268)),
        (343, 353),
        "WCTEMP, CCTEMP"
    );
    assert_eq!(
        (u64_at(&data, 280), u64_at(&data, 296)),
        (4 << 20, 0),
        "TNVMCAP, UNVMCAP"
    );
    assert_eq!(u32_at(&data, 328), 0x4000_0007, "SANICAP");
    assert_eq!(u16_at(&data, 320), 0, "KAS: no Keep Alive");
    assert_eq!(u32_at(&data, 352), 1, "PELS: 64 KiB");
    assert_eq!((data[512], data[513]), (0x66, 0x44), "SQES, CQES");
    assert_eq!((u32_at(&data, 516), u32_at(&data, 540)), (32, 32), "NN, MNAN");
    assert_eq!(
        u16_at(&data, 520),
        0x1FF,
        "ONCS: Compare, Write Uncorrectable, Dataset Management, Write Zeroes, Save/Select, Reservations, Timestamp, Verify, Copy"
    );
    assert_eq!(
        (u16_at(&data, 522), data[524], data[525]),
        (1, 4, 7),
        "FUSES: Compare and Write; FNA: Crypto Erase; VWC"
    );
    assert_eq!(
        (u16_at(&data, 526), u16_at(&data, 528), u16_at(&data, 532)),
        (31, 31, 31),
        "AWUN, AWUPF, ACWU: as MDTS, in LBAs of 4 KiB"
    );
    assert_eq!(
        u32_at(&data, 536),
        0x5_0001,
        "SGLS: of any alignment, with Bit Buckets, longer than the data"
    );
    assert!(
        data[768..1024].starts_with(b"nqn.2014-08.org.nvmexpress:uuid:"),
        "SUBNQN"
    );
    assert_eq!(data[265], 1, "APSTA");
    // MP, MXPS and NOPS, ENLAT, EXLAT (NVMe Base 2.0 figure 276).
    let power_state = |state: usize| {
        let at = 2048 + 32 * state;
        (
            u16_at(&data, at),
            data[at + 3],
            u32_at(&data, at + 4),
            u32_at(&data, at + 8),
        )
    };
    assert_eq!(power_state(0), (2500, 0, 0, 0));
    assert_eq!(power_state(1), (50, 2, 500, 1_000));
    assert_eq!(power_state(2), (5, 2, 2_000, 8_000));
    let unused = [
        102..111,
        270..280,
        296..316,
        320..328,
        332..352,
        356..512,
        1024..2048,
        2050..2080,
        2092..2112,
        2124..4096,
    ];
    assert!(unused
        .into_iter()
        .all(|range| data[range].iter().all(|&byte| byte == 0)));
}

#[test]
fn identify_namespace_byte_by_byte_for_both_lba_sizes() {
    for (lba_bytes, lbas, format) in [(512, 8192, 0), (4096, 1024, 1)] {
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 4 << 20, lba_bytes, 1);
        host.enable();
        let data = identify(&mut host, IdentifyCns::NAMESPACE, 1, 0).unwrap();
        assert_eq!(
            [u64_at(&data, 0), u64_at(&data, 8), u64_at(&data, 16)],
            [lbas; 3],
            "NSZE, NCAP, NUSE"
        );
        assert_eq!(
            (data[24], data[25], data[26]),
            (0x0A, 1, format),
            "NSFEAT, NLBAF, FLBAS"
        );
        let atomic_z = ((128 << 10) / lba_bytes - 1) as u16;
        assert_eq!(
            [u16_at(&data, 34), u16_at(&data, 36), u16_at(&data, 38)],
            [atomic_z; 3],
            "NAWUN, NAWUPF, NACWU: as MDTS"
        );
        assert_eq!(
            (data[27], data[28], data[29], data[30], data[33]),
            (0, 0, 0, 0, 9),
            "MC, DPC, DPS, NMIC, DLFEAT"
        );
        assert_eq!((data[31], data[32]), (0xFF, 0x80), "RESCAP, FPI");
        assert_eq!(u64_at(&data, 48), 4 << 20, "NVMCAP");
        assert_ne!(&data[104..120], &[0; 16], "NGUID");
        assert_eq!(&data[112..120], &data[120..128], "the NGUID ends in the EUI64");
        assert_eq!(
            (u32_at(&data, 128), u32_at(&data, 132), u32_at(&data, 136)),
            (9 << 16, 12 << 16, 0),
            "LBAF"
        );
    }
}

#[test]
fn identifiers_of_namespaces_and_lists() {
    let mut host = TestHost::ready();
    let wrong = Err(Status::INVALID_NAMESPACE_OR_FORMAT);
    for nsid in [0, 33, 100, BROADCAST] {
        for cns in [
            IdentifyCns::NAMESPACE,
            IdentifyCns::ALLOCATED_NAMESPACE,
            IdentifyCns::NAMESPACE_DESCRIPTORS,
            IdentifyCns::COMMAND_SET_NAMESPACE,
            IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
            IdentifyCns::NAMESPACE_CONTROLLER_LIST,
        ] {
            let found = identify(&mut host, cns, nsid, 0);
            // Of all namespaces: what they have in common.
            let is_common = cns == IdentifyCns::NAMESPACE && nsid == BROADCAST;
            assert_eq!(found.is_ok(), is_common, "{cns:?} {nsid}");
            assert!(is_common || found == wrong, "{cns:?} {nsid}");
        }
    }
    let common = identify(&mut host, IdentifyCns::NAMESPACE, BROADCAST, 0).unwrap();
    assert_eq!((u64_at(&common, 0), common[25], common[33]), (0, 1, 9));
    // There can be one, but there is none.
    for cns in [
        IdentifyCns::NAMESPACE,
        IdentifyCns::ALLOCATED_NAMESPACE,
        IdentifyCns::COMMAND_SET_NAMESPACE,
        IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE,
    ] {
        let found = identify(&mut host, cns, 2, 0).unwrap();
        assert!(found.iter().all(|&byte| byte == 0), "{cns:?}");
    }
    assert_eq!(
        identify(&mut host, IdentifyCns::NAMESPACE_DESCRIPTORS, 2, 0),
        Err(Status::INVALID_FIELD_IN_COMMAND)
    );
    for cns in [
        IdentifyCns::NAMESPACE_CONTROLLER_LIST,
        IdentifyCns::CONTROLLER_LIST,
    ] {
        let list = identify(&mut host, cns, 1, 0).unwrap();
        assert_eq!((u16_at(&list, 0), u16_at(&list, 2)), (1, 0), "{cns:?}");
    }
    let list = identify(&mut host, IdentifyCns::ACTIVE_NAMESPACE_LIST, 0, 0).unwrap();
    assert_eq!((u32_at(&list, 0), u32_at(&list, 4)), (1, 0));
    let list = identify(&mut host, IdentifyCns::ACTIVE_NAMESPACE_LIST, 1, 0).unwrap();
    assert_eq!(u32_at(&list, 0), 0);
    let allocated = identify(&mut host, IdentifyCns::ALLOCATED_NAMESPACE_LIST, 0, 0).unwrap();
    assert_eq!((u32_at(&allocated, 0), u32_at(&allocated, 4)), (1, 0));
    assert_eq!(
        identify(&mut host, IdentifyCns::ALLOCATED_NAMESPACE, 1, 0),
        identify(&mut host, IdentifyCns::NAMESPACE, 1, 0)
    );
    for after in [BROADCAST, BROADCAST - 1] {
        let refused = identify(&mut host, IdentifyCns::ACTIVE_NAMESPACE_LIST, after, 0);
        assert_eq!(refused, Err(Status::INVALID_NAMESPACE_OR_FORMAT));
    }
    let list = identify(&mut host, IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0, 0).unwrap();
    assert_eq!(u32_at(&list, 0), 1);
}

#[test]
fn namespace_descriptors_are_a_list_that_ends() {
    let mut host = TestHost::ready();
    let data = identify(&mut host, IdentifyCns::NAMESPACE_DESCRIPTORS, 1, 0).unwrap();
    let mut at = 0;
    let mut found = Vec::new();
    while data[at + 1] != 0 {
        found.push((data[at], data[at + 1]));
        at += 4 + usize::from(data[at + 1]);
    }
    assert_eq!(
        found,
        [(1, 8), (2, 16), (3, 16), (4, 1)],
        "EUI64, NGUID, UUID, CSI"
    );
    assert!(data[at..].iter().all(|&byte| byte == 0));
    let namespace = identify(&mut host, IdentifyCns::NAMESPACE, 1, 0).unwrap();
    assert_eq!(
        (&data[4..12], &data[16..32]),
        (&namespace[120..128], &namespace[104..120])
    );
}

#[test]
fn command_set_structures() {
    let mut host = TestHost::ready();
    let zeros = vec![0; 4096];
    assert_eq!(
        identify(&mut host, IdentifyCns::COMMAND_SET_NAMESPACE, 1, 0).unwrap(),
        zeros
    );
    let controller = identify(&mut host, IdentifyCns::COMMAND_SET_CONTROLLER, 0, 0).unwrap();
    assert_eq!(controller[..4], [5, 0, 5, 0], "VSL, WZSL, WUSL, DMRL");
    assert_eq!(u32_at(&controller, 4), 0, "DMRSL");
    assert_eq!(u64_at(&controller, 8), 0, "DMSL");
    assert_eq!(controller[16..], zeros[16..]);
    for (cns, nsid) in [
        (IdentifyCns::COMMAND_SET_NAMESPACE, 1),
        (IdentifyCns::COMMAND_SET_CONTROLLER, 0),
        (IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST, 0),
        (IdentifyCns::COMMAND_SET_ALLOCATED_NAMESPACE_LIST, 0),
    ] {
        assert_eq!(
            identify(&mut host, cns, nsid, 3),
            Err(Status::INVALID_IO_COMMAND_SET),
            "{cns:?}"
        );
    }
    let independent = identify(&mut host, IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE, 1, 0).unwrap();
    assert_eq!(
        (independent[2], independent[14]),
        (0xFF, 1),
        "RESCAP; NSTAT: ready"
    );
    let combinations = identify(&mut host, IdentifyCns::IO_COMMAND_SET, 0, 0).unwrap();
    assert_eq!((u64_at(&combinations, 0), u64_at(&combinations, 8)), (0b111, 0));
    for cns in [0x04, 0x0B, 0x14, 0x20, 0xFF] {
        assert_eq!(
            identify(&mut host, IdentifyCns(cns), 1, 0),
            Err(Status::INVALID_FIELD_IN_COMMAND),
            "{cns:#x}"
        );
    }
}

#[test]
fn supported_log_pages_says_exactly_what_is_there() {
    let mut host = TestHost::ready();
    let page = log(&mut host, LogPageId::SUPPORTED_LOG_PAGES, 0, 1024).unwrap();
    for id in 0..=255u8 {
        let is_listed = u32_at(&page, usize::from(id) * 4) & 1 != 0;
        let answer = log(&mut host, LogPageId(id), 0, 512);
        let is_there = answer != Err(Status::INVALID_LOG_PAGE);
        assert_eq!(is_there, is_listed, "log page {id:#x}: {:?}", answer.err());
        host.forget_pages(host.next_page() - 8192);
    }
}

#[test]
fn the_effects_log_says_exactly_which_commands_are_there() {
    let mut host = TestHost::ready();
    let page = log(&mut host, LogPageId::COMMANDS_SUPPORTED_AND_EFFECTS, 0, 4096).unwrap();
    let buffer = host.pages(1);
    for opcode in 0..=255u8 {
        let is_listed = u32_at(&page, usize::from(opcode) * 4) & 1 != 0;
        if AdminOpcode(opcode) == AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST {
            assert!(is_listed);
            continue;
        }
        let entry = SubmissionQueueEntry {
            prp1: buffer.into(),
            ..commands::admin(AdminOpcode(opcode))
        };
        let is_known = host.admin(entry).status() != Status::INVALID_COMMAND_OPCODE;
        assert_eq!(is_known, is_listed, "admin opcode {opcode:#x}");
        let is_listed = u32_at(&page, 1024 + usize::from(opcode) * 4) & 1 != 0;
        let entry = commands::read_write(NvmOpcode(opcode), 1, 0, 1, buffer, 0);
        let is_known = host.execute(1, entry).status() != Status::INVALID_COMMAND_OPCODE;
        assert_eq!(is_known, is_listed, "I/O opcode {opcode:#x}");
    }
    let [controller, subsystem] = [1 << 21, 1 << 25];
    assert_eq!(u32_at(&page, 1024 + 4), 0b11, "Write changes blocks");
    assert_eq!(u32_at(&page, 4 * 0x0A), controller | 1, "Get Features");
    assert_eq!(u32_at(&page, 4 * 0x10), subsystem | 1, "Firmware Commit");
}

#[test]
fn there_are_no_commands_of_a_management_interface() {
    let mut host = TestHost::ready();
    let page = log(&mut host, LogPageId::MI_COMMANDS_EFFECTS, 0, 4096).unwrap();
    assert_eq!(page, vec![0; 4096]);
    // Keep Alive, Virtualization Management, NVMe-MI Send and Receive, Lockdown, Fabrics, Security Send and Receive.
    for opcode in [0x18, 0x1C, 0x1D, 0x1E, 0x24, 0x7F, 0x81, 0x82] {
        let refused = host.admin(commands::admin(AdminOpcode(opcode)));
        assert_eq!(refused.status(), Status::INVALID_COMMAND_OPCODE, "{opcode:#x}");
        assert!(refused.do_not_retry());
    }
    let keep_alive_timer = host.admin(commands::set_features(FeatureId(0x0F), false, 1000, 0));
    assert_eq!(keep_alive_timer.status(), Status::INVALID_FIELD_IN_COMMAND);
}

#[test]
fn log_offsets_and_lengths() {
    let mut host = TestHost::ready();
    let whole = log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap();
    assert_eq!(
        log(&mut host, LogPageId::SMART_HEALTH, 500, 12).unwrap(),
        whole[500..]
    );
    let long = log(&mut host, LogPageId::SMART_HEALTH, 0, 8192).unwrap();
    assert_eq!(long[..512], whole);
    assert!(long[512..].iter().all(|&byte| byte == 0));
    for offset in [512, 2, 1 << 40, u64::MAX - 3] {
        assert_eq!(
            log(&mut host, LogPageId::SMART_HEALTH, offset, 4),
            Err(Status::INVALID_FIELD_IN_COMMAND),
            "{offset}"
        );
    }
    let page = host.pages(1);
    let too_long = commands::get_log_page(LogPageId::SMART_HEALTH, BROADCAST, 0, (128 << 10) + 4, page);
    assert_eq!(
        host.admin(too_long).status(),
        Status::INVALID_FIELD_IN_COMMAND,
        "beyond MDTS"
    );
    let of_a_namespace = commands::get_log_page(LogPageId::SMART_HEALTH, 1, 0, 512, page);
    assert_eq!(host.admin(of_a_namespace).status(), Status::SUCCESSFUL_COMPLETION);
}

/// LPA bit 0 (NVMe Base 2.0 §5.16.1.3): data units and commands are the namespace's, all else is the controller's.
#[test]
fn each_namespace_has_its_own_smart_counts() {
    let drive = |media_offset| nvmev_sim::host::DRIVES[0].namespace(512, media_offset);
    let second = drive(drive(0).media_len_bytes);
    let mut host = TestHost::with_namespaces(vec![drive(0), second], 2);
    host.enable();
    host.create_io_queues(1, 16);
    host.create_io_queues(2, 16);
    let buffer = host.pages(1);
    for (nsid, opcode, count) in [
        (1, NvmOpcode::WRITE, 3),
        (1, NvmOpcode::READ, 5),
        (2, NvmOpcode::READ, 7),
    ] {
        for index in 0..count {
            let entry = commands::read_write(opcode, nsid, 8 * index, 8, buffer, 0);
            let qid = 1 + (index % 2) as u16;
            assert_eq!(host.execute(qid, entry).status(), Status::SUCCESSFUL_COMPLETION);
        }
    }
    let mut smart = |nsid| {
        let entry = commands::get_log_page(LogPageId::SMART_HEALTH, nsid, 0, 512, buffer);
        let status = host.admin(entry).status();
        (status, host.machine.ram(buffer, 512))
    };
    let counts = |page: &[u8]| [32, 48, 64, 80].map(|at| u64_at(page, at));
    // Data units read and written: thousands of 512 bytes, rounded up; then commands.
    for (nsid, expected) in [
        (1, [1, 1, 5, 3]),
        (2, [1, 0, 7, 0]),
        (BROADCAST, [1, 1, 12, 3]),
        (0, [1, 1, 12, 3]),
    ] {
        let (status, page) = smart(nsid);
        assert_eq!(status, Status::SUCCESSFUL_COMPLETION);
        assert_eq!(counts(&page), expected, "namespace {nsid}");
        assert_eq!((page[3], page[4]), (100, 10), "the spare is the controller's");
    }
    assert_eq!(smart(33).0, Status::INVALID_NAMESPACE_OR_FORMAT);
    assert_eq!(smart(3).0, Status::INVALID_FIELD_IN_COMMAND);
}

/// Only a single worker that copies by itself does more than an LBA as a whole.
#[test]
fn several_workers_and_engines_promise_no_more_than_an_lba() {
    for (workers, has_engine, expected) in [(1, false, 31), (2, false, 0), (1, true, 0)] {
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), 4 << 20, 512, workers);
        if has_engine {
            host.machine
                .install_engine(1, nvmev_sim::host::EngineFaults::default());
        }
        host.enable();
        let data = identify(&mut host, IdentifyCns::CONTROLLER, 0, 0).unwrap();
        assert_eq!((u16_at(&data, 526), u16_at(&data, 528)), (expected, expected));
        assert_eq!(u16_at(&data, 532), 31, "a fused pair is alone in any case");
        let data = identify(&mut host, IdentifyCns::NAMESPACE, 1, 0).unwrap();
        let is_atomic = expected > 0;
        assert_eq!(data[24] >> 1 & 1 != 0, is_atomic, "NSFEAT.NSABP");
        assert_eq!(u16_at(&data, 36), if is_atomic { 255 } else { 0 }, "NAWUPF");
    }
}

/// CNS 09h, 0Ah and 16h (NVMe Base 2.0 figure 273; NVM CS 1.0 §4.1.5.5 to 4.1.5.7).
#[test]
fn formats_and_granularities_can_be_had_without_a_namespace() {
    let mut host = TestHost::ready();
    let page = host.pages(1);
    let mut of_format = |cns: u8, csi: u8, index: u32| {
        let mut entry = commands::identify(IdentifyCns(cns), 0, csi, page);
        entry.cdw11 = (entry.cdw11.get() | index).into();
        host.machine.set_ram(page, &[0xEE; 4096]);
        let status = host.admin(entry).status();
        (status, host.machine.ram(page, 4096))
    };
    for index in 0..2 {
        let (status, data) = of_format(0x09, 0, index);
        assert_eq!(status, Status::SUCCESSFUL_COMPLETION);
        assert_eq!(
            (u64_at(&data, 0), data[25], data[33]),
            (0, 1, 9),
            "NSZE, NLBAF, DLFEAT"
        );
        assert_eq!(
            (u32_at(&data, 128), u32_at(&data, 132)),
            (9 << 16, 12 << 16),
            "LBAF"
        );
        assert_eq!(
            of_format(0x0A, 0, index),
            (Status::SUCCESSFUL_COMPLETION, vec![0; 4096])
        );
    }
    assert_eq!(of_format(0x09, 0, 2).0, Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(of_format(0x0A, 0, 0xFFFF).0, Status::INVALID_FIELD_IN_COMMAND);
    assert_eq!(of_format(0x0A, 0x3F, 0).0, Status::INVALID_IO_COMMAND_SET);
    let (status, data) = of_format(0x16, 0, 0);
    assert_eq!(status, Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        (u32_at(&data, 0), data[4]),
        (0, 0),
        "NGA, NOD: one for all formats"
    );
    assert_eq!(
        (u64_at(&data, 32), u64_at(&data, 40)),
        (4096, 4096),
        "NSZEGRAN, NCAPGRAN"
    );
    assert!(data[48..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_error_log_holds_real_errors_newest_first() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    assert_eq!(
        log(&mut host, LogPageId::ERROR_INFORMATION, 0, 4096).unwrap(),
        vec![0; 4096]
    );
    let cid = host.submit(
        1,
        commands::read_write(NvmOpcode::READ, 1, 0x1_2345_6789, 1, buffer, 0),
    );
    assert_eq!(host.wait(1).status(), Status::LBA_OUT_OF_RANGE);
    host.admin(commands::admin(AdminOpcode(0x7F)));
    let page = log(&mut host, LogPageId::ERROR_INFORMATION, 0, 4096).unwrap();
    assert_eq!(
        (u64_at(&page, 0), u16_at(&page, 8), u16_at(&page, 12)),
        (2, 0, 0x8000 | 1 << 1),
        "the admin command"
    );
    let entry = &page[64..128];
    assert_eq!(
        (u64_at(entry, 0), u16_at(entry, 8), u16_at(entry, 10)),
        (1, 1, cid)
    );
    assert_eq!(
        (u16_at(entry, 12), u64_at(entry, 16), u32_at(entry, 24)),
        (0x8000 | 0x80 << 1, 0x1_2345_6789, 1)
    );
    let smart = log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap();
    assert_eq!(u64_at(&smart, 176), 2);
    // A data transfer error is found by a worker and gets there, too.
    host.execute(1, commands::read_write(NvmOpcode::READ, 1, 7, 1, 0, 0));
    let page = log(&mut host, LogPageId::ERROR_INFORMATION, 0, 64).unwrap();
    assert_eq!(
        (u64_at(&page, 0), u16_at(&page, 12), u64_at(&page, 16)),
        (3, 4 << 1, 7)
    );
}

#[test]
fn smart_counts_what_the_host_did() {
    let mut host = TestHost::ready();
    let buffer = host.pages(2);
    for _ in 0..501 {
        host.execute(1, commands::read_write(NvmOpcode::READ, 1, 0, 2, buffer, 0));
        host.execute(
            1,
            commands::read_write(NvmOpcode::WRITE, 1, 8, 8, buffer, buffer + 4096),
        );
    }
    host.execute(
        1,
        commands::read_write(NvmOpcode::READ, 1, u64::MAX, 2, buffer, 0),
    );
    host.now_ns += 2 * 3_600_000_000_000;
    let smart = log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap();
    assert_eq!(
        (smart[0], u16::from_le_bytes([smart[1], smart[2]])),
        (0, 310),
        "no warning, 37 °C"
    );
    assert_eq!(
        (smart[3], smart[4], smart[5]),
        (100, 10, 0),
        "spare, threshold, used"
    );
    assert_eq!(
        (u64_at(&smart, 32), u64_at(&smart, 48)),
        (2, 5),
        "1002 and 4008 units, in thousands, rounded up"
    );
    assert_eq!((u64_at(&smart, 64), u64_at(&smart, 80)), (501, 501));
    assert_eq!(
        (u64_at(&smart, 112), u64_at(&smart, 128), u64_at(&smart, 144)),
        (1, 2, 0),
        "cycles, hours, unsafe"
    );
    host.set_register(nvme_spec::registers::NSSR, nvme_spec::NSSR_RESET);
    host.run();
    host.enable();
    let smart = log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap();
    assert_eq!(
        (u64_at(&smart, 112), u64_at(&smart, 144)),
        (2, 1),
        "a subsystem reset is an unsafe power cycle"
    );
}

#[test]
fn the_firmware_log_shows_the_active_slot() {
    let mut host = TestHost::ready();
    let page = log(&mut host, LogPageId::FIRMWARE_SLOT, 0, 512).unwrap();
    assert_eq!(
        (page[0], &page[8..16]),
        (1, format!("{:<8}", env!("CARGO_PKG_VERSION")).as_bytes())
    );
}

#[test]
fn identity_is_the_same_after_a_reload_with_the_same_parameters() {
    let descriptors = |capacity| {
        let mut host = TestHost::new(profiles::by_name("optane").unwrap(), capacity, 512, 1);
        host.enable();
        identify(&mut host, IdentifyCns::NAMESPACE_DESCRIPTORS, 1, 0).unwrap()
    };
    assert_eq!(descriptors(1 << 20), descriptors(1 << 20));
    assert_ne!(descriptors(1 << 20), descriptors(2 << 20));
}

#[test]
fn a_temperature_beyond_its_threshold_is_a_warning_and_an_event() {
    let mut host = TestHost::ready();
    let set = |feature, cdw11| commands::set_features(feature, false, cdw11, 0);
    let aer = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.run();
    assert_eq!(
        host.admin(set(FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, 0b10))
            .status(),
        Status::SUCCESSFUL_COMPLETION
    );
    host.submit(0, set(FeatureId::TEMPERATURE_THRESHOLD, 300));
    host.run();
    let completions: Vec<_> = std::iter::from_fn(|| host.reap(0)).collect();
    let event = completions
        .iter()
        .find(|completion| completion.cid.get() == aer)
        .expect("an event");
    assert_eq!(event.dw0.get(), 0x0002_0101);
    assert_eq!(log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap()[0], 0b10);
    host.admin(set(FeatureId::TEMPERATURE_THRESHOLD, 343));
    assert_eq!(log(&mut host, LogPageId::SMART_HEALTH, 0, 512).unwrap()[0], 0);
}
