//! The telemetry logs (NVMe Base 2.0 §5.16.1.8, §5.16.1.9).

use nvme_spec::registers::{self, csts, sq_tail_doorbell};
use nvme_spec::{AdminOpcode, FeatureId, LogPageId, NvmOpcode, Status, SubmissionQueueEntry, NSSR_RESET};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

const HOST: LogPageId = LogPageId::TELEMETRY_HOST_INITIATED;
const CONTROLLER: LogPageId = LogPageId::TELEMETRY_CONTROLLER_INITIATED;
const CREATE: u32 = 1 << 8;
const RETAIN_EVENT: u32 = 1 << 15;
const TELEMETRY_NOTICES: u32 = 1 << 10;
const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const LOG_BYTES: usize = 64 << 10;

/// Up to two pages of a log, with `flags` in dword 10.
fn read(host: &mut TestHost, log: LogPageId, flags: u32, offset: u64, len: u32) -> Result<Vec<u8>, Status> {
    let first = host.next_page();
    let buffer = host.pages(2);
    let entry = commands::get_log_page(log, 0, offset, len, buffer);
    let entry = SubmissionQueueEntry {
        cdw10: (entry.cdw10.get() | flags).into(),
        ..entry
    };
    let status = host.admin(entry).status();
    let bytes = host.machine.ram(buffer, len as usize);
    host.forget_pages(first);
    if status == SUCCESS {
        Ok(bytes)
    } else {
        Err(status)
    }
}

fn header(host: &mut TestHost, log: LogPageId, flags: u32) -> Vec<u8> {
    read(host, log, flags, 0, 512).unwrap()
}

fn last_blocks(header: &[u8]) -> [usize; 3] {
    [8, 10, 12].map(|at| u16::from_le_bytes([header[at], header[at + 1]]).into())
}

/// The text of the blocks after `from`, up to `to`.
fn blocks(host: &mut TestHost, log: LogPageId, from: usize, to: usize) -> String {
    let bytes =
        (from..to).flat_map(|block| read(host, log, RETAIN_EVENT, 512 * (block as u64 + 1), 512).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

fn set_notices(host: &mut TestHost, cdw11: u32) {
    let entry = commands::set_features(FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION, false, cdw11, 0);
    assert_eq!(host.admin(entry).status(), SUCCESS);
}

/// Makes the controller fail: it cannot fetch from a queue that is not in memory.
fn break_down(host: &mut TestHost) {
    let page = host.pages(1);
    assert_eq!(host.admin(commands::create_cq(2, 16, 0, page)).status(), SUCCESS);
    assert_eq!(host.admin(commands::create_sq(2, 2, 16, 0)).status(), SUCCESS);
    host.set_register(sq_tail_doorbell(2), 1);
    host.run();
    assert_eq!(host.register(registers::CSTS) & csts::CFS, csts::CFS);
}

#[test]
fn there_is_a_header_and_no_data_before_anything_is_captured() {
    let mut host = TestHost::ready();
    for log in [HOST, CONTROLLER] {
        let header = header(&mut host, log, 0);
        assert_eq!(header[0], log.0);
        assert!(header[1..].iter().all(|&byte| byte == 0));
        let data = read(&mut host, log, 0, 512, 8192).unwrap();
        assert!(data.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn the_host_captures_controller_namespaces_and_queues() {
    let mut host = TestHost::new(profiles::by_name("tlc-ssd").unwrap(), 64 << 20, 512, 1);
    host.enable();
    host.create_io_queues(1, 64);
    let buffer = host.pages(1);
    for _ in 0..3 {
        host.execute(1, commands::read_write(NvmOpcode::WRITE, 1, 0, 8, buffer, 0));
    }
    let first = header(&mut host, HOST, CREATE);
    let [one, two, three] = last_blocks(&first);
    assert!(0 < one && one < two && two < three && 512 * (three + 1) <= LOG_BYTES);
    assert_eq!(
        (first[381], first[382], first[383]),
        (1, 0, 0),
        "generations, availability"
    );
    assert!(first[384..].starts_with(b"the host asked for it\0"));
    let controller = blocks(&mut host, HOST, 0, one);
    for line in [
        "power_cycles 1",
        "write_commands 3",
        "written_bytes 12288",
        "csts 0x1",
        "errors 0",
    ] {
        assert!(
            controller.lines().any(|found| found == line),
            "{line} in {controller}"
        );
    }
    let namespaces = blocks(&mut host, HOST, one, two);
    for line in ["namespace 1", "command_set NVM", "host_written_bytes 12288"] {
        assert!(
            namespaces.lines().any(|found| found == line),
            "{line} in {namespaces}"
        );
    }
    let queues = blocks(&mut host, HOST, two, three);
    for line in ["queue 1", "dispatched 3", "in_flight 0"] {
        assert!(queues.lines().any(|found| found == line), "{line} in {queues}");
    }

    // Nothing changes until the host asks again.
    host.execute(1, commands::read_write(NvmOpcode::WRITE, 1, 0, 8, buffer, 0));
    assert_eq!(header(&mut host, HOST, 0), first);
    assert_eq!(blocks(&mut host, HOST, 0, one), controller);
    host.disable();
    host.enable();
    assert_eq!(header(&mut host, HOST, 0), first, "over a reset");
    assert_eq!(header(&mut host, HOST, CREATE)[381], 2);
    assert!(blocks(&mut host, HOST, 0, one).contains("\nwrite_commands 4\n"));
    for _ in 0..255 {
        header(&mut host, HOST, CREATE);
    }
    assert_eq!(header(&mut host, HOST, 0)[381], 1, "the generation wraps");
}

#[test]
fn a_long_read_is_the_same_as_many_short_ones() {
    let mut host = TestHost::ready();
    let [_, _, last] = last_blocks(&header(&mut host, HOST, CREATE));
    let pages = LOG_BYTES / 4096;
    let (buffer, list) = (host.pages(pages), host.pages(1));
    let entries: Vec<u8> = (1..pages as u64)
        .flat_map(|page| (buffer + page * 4096).to_le_bytes())
        .collect();
    host.machine.set_ram(list, &entries);
    let entry = SubmissionQueueEntry {
        prp2: list.into(),
        ..commands::get_log_page(HOST, 0, 0, LOG_BYTES as u32, buffer)
    };
    assert_eq!(host.admin(entry).status(), SUCCESS);
    let whole = host.machine.ram(buffer, LOG_BYTES);
    let text = blocks(&mut host, HOST, 0, last);
    assert_eq!(&whole[512..512 * (last + 1)], text.as_bytes());
    assert!(whole[512 * (last + 1)..].iter().all(|&byte| byte == 0));
    let end = read(&mut host, HOST, 0, LOG_BYTES as u64 - 512, 512).unwrap();
    assert_eq!(end, whole[LOG_BYTES - 512..]);
}

#[test]
fn offsets_and_lengths_are_whole_blocks() {
    let mut host = TestHost::ready();
    for log in [HOST, CONTROLLER] {
        for (offset, len) in [
            (0, 4),
            (0, 508),
            (4, 512),
            (256, 512),
            (512, 516),
            (LOG_BYTES as u64, 512),
        ] {
            assert_eq!(
                read(&mut host, log, CREATE, offset, len),
                Err(Status::INVALID_FIELD_IN_COMMAND),
                "{log:?} {offset} {len}"
            );
        }
    }
}

#[test]
fn the_controller_captures_its_state_when_it_fails() {
    let mut host = TestHost::ready();
    break_down(&mut host);
    host.disable();
    host.enable();
    let first = header(&mut host, CONTROLLER, RETAIN_EVENT);
    let [one, two, three] = last_blocks(&first);
    assert!(0 < one && one < two && two < three);
    assert_eq!((first[381], first[382], first[383]), (0, 1, 1));
    assert!(first[384..].starts_with(b"the controller failed\0"));
    let text = blocks(&mut host, CONTROLLER, 0, three);
    assert!(text.contains("\ncsts 0x3\n"), "ready and failed: {text}");
    assert!(text.contains("\nqueue 2\n"), "before the reset: {text}");
    let of_host = header(&mut host, HOST, 0);
    assert_eq!((of_host[381], of_host[382], of_host[383]), (0, 1, 1));

    // Another failure does not replace what nobody has acknowledged; a power cycle does not lose it.
    break_down(&mut host);
    host.set_register(registers::NSSR, NSSR_RESET);
    host.run();
    host.enable();
    assert_eq!(header(&mut host, CONTROLLER, RETAIN_EVENT), first);
    assert_eq!(blocks(&mut host, CONTROLLER, 0, three), text);

    assert_eq!(
        header(&mut host, CONTROLLER, 0),
        first,
        "as it was before the acknowledgement"
    );
    let acknowledged = header(&mut host, CONTROLLER, RETAIN_EVENT);
    assert_eq!((acknowledged[382], acknowledged[383]), (0, 1));
    break_down(&mut host);
    host.disable();
    host.enable();
    let second = header(&mut host, CONTROLLER, RETAIN_EVENT);
    assert_eq!((second[382], second[383]), (1, 2));
    assert!(blocks(&mut host, CONTROLLER, 0, one).contains("\npower_cycles 2\n"));
}

#[test]
fn an_enable_that_fails_is_captured_too() {
    let mut host = TestHost::ready();
    host.disable();
    host.set_register(registers::AQA, 0);
    host.set_register(registers::CC, 4 << 20 | 6 << 16 | 1);
    host.run();
    assert_eq!(host.register(registers::CSTS), csts::CFS);
    host.set_register(registers::CC, 0);
    host.run();
    host.enable();
    assert_eq!(header(&mut host, CONTROLLER, RETAIN_EVENT)[382], 1);
}

#[test]
fn a_capture_of_the_controllers_is_told_of_once_the_host_can_hear_it() {
    let mut host = TestHost::ready();
    set_notices(&mut host, TELEMETRY_NOTICES);
    break_down(&mut host);
    host.disable();
    host.enable();
    let held = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.run();
    assert_eq!(host.reap(0), None, "a reset has switched the notices off");
    let entry = commands::set_features(
        FeatureId::ASYNCHRONOUS_EVENT_CONFIGURATION,
        true,
        TELEMETRY_NOTICES,
        0,
    );
    host.submit(0, entry);
    host.run();
    let completions: Vec<_> = std::iter::from_fn(|| host.reap(0)).collect();
    let event = completions.iter().find(|completion| completion.cid.get() == held);
    assert_eq!(event.expect("a notice").dw0.get(), 0x0008_0202);

    let next = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.run();
    assert_eq!(host.reap(0), None, "told of once");
    // Saved, it is in force right after the next reset; nobody has read the log.
    host.disable();
    host.enable();
    let held = host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    let event = host.wait(0);
    assert_eq!(
        (event.cid.get(), event.dw0.get()),
        (held, 0x0008_0202),
        "{next} is forgotten"
    );
    header(&mut host, CONTROLLER, 0);
    host.disable();
    host.enable();
    host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST));
    host.run();
    assert_eq!(host.reap(0), None, "acknowledged");
}
