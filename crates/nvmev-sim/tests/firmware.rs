//! Firmware Image Download, Firmware Commit and the slots (NVMe Base 2.0 §3.11, §5.12, §5.13).

use nvme_spec::registers::NSSR;
use nvme_spec::{
    AdminOpcode, FirmwareCommitAction, IdentifyCns, LogPageId, Status, SubmissionQueueEntry, NSSR_RESET,
};
use nvmev_sim::host::{commands, TestHost};

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const PIECE: u32 = 4096;
const BUILT_IN: &str = concat!(env!("CARGO_PKG_VERSION"), "   ");

const REPLACE: FirmwareCommitAction = FirmwareCommitAction::REPLACE;
const REPLACE_AT_RESET: FirmwareCommitAction = FirmwareCommitAction::REPLACE_AND_ACTIVATE_AT_RESET;
const AT_RESET: FirmwareCommitAction = FirmwareCommitAction::ACTIVATE_AT_RESET;
const NOW: FirmwareCommitAction = FirmwareCommitAction::ACTIVATE_NOW;

/// Downloads `len` bytes to `offset`, which begin with `text`.
fn download(host: &mut TestHost, text: &str, offset: u32, len: u32) -> Status {
    let first = host.next_page();
    let buffer = host.pages(2);
    host.machine.set_ram(buffer, text.as_bytes());
    let entry = SubmissionQueueEntry {
        prp1: buffer.into(),
        prp2: (buffer + 4096).into(),
        cdw10: (len / 4).wrapping_sub(1).into(),
        cdw11: (offset / 4).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD)
    };
    let status = host.admin(entry).status();
    host.forget_pages(first);
    status
}

fn commit(host: &mut TestHost, action: FirmwareCommitAction, slot: u32) -> Status {
    host.admin(SubmissionQueueEntry {
        cdw10: (u32::from(action.0) << 3 | slot).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_COMMIT)
    })
    .status()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What runs, the active slot, the one that the next reset activates, and what the slots hold.
fn state(host: &mut TestHost) -> (String, u8, u8, [String; 3]) {
    let first = host.next_page();
    let buffer = host.pages(1);
    assert_eq!(
        host.admin(commands::identify(IdentifyCns::CONTROLLER, 0, 0, buffer))
            .status(),
        SUCCESS
    );
    let running = text(&host.machine.ram(buffer + 64, 8));
    let entry = commands::get_log_page(LogPageId::FIRMWARE_SLOT, 0, 0, 512, buffer);
    assert_eq!(host.admin(entry).status(), SUCCESS);
    let log = host.machine.ram(buffer, 512);
    host.forget_pages(first);
    assert!(log[1..8].iter().chain(&log[32..]).all(|&byte| byte == 0));
    let slots = [8, 16, 24].map(|at| text(&log[at..at + 8]).replace('\0', ""));
    (running, log[0] & 0b111, log[0] >> 4, slots)
}

fn expected(running: &str, active: u8, next: u8, slots: [&str; 3]) -> (String, u8, u8, [String; 3]) {
    (running.into(), active, next, slots.map(String::from))
}

fn reset(host: &mut TestHost) {
    host.disable();
    host.enable();
}

#[test]
fn an_image_is_activated_by_the_next_reset() {
    let mut host = TestHost::ready();
    assert_eq!(state(&mut host), expected(BUILT_IN, 1, 0, [BUILT_IN, "", ""]));
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, REPLACE_AT_RESET, 2), SUCCESS);
    assert_eq!(
        state(&mut host),
        expected(BUILT_IN, 1, 2, [BUILT_IN, "REV A   ", ""])
    );
    reset(&mut host);
    let of_slot_2 = expected("REV A   ", 2, 0, [BUILT_IN, "REV A   ", ""]);
    assert_eq!(state(&mut host), of_slot_2);
    host.set_register(NSSR, NSSR_RESET);
    host.run();
    host.enable();
    assert_eq!(state(&mut host), of_slot_2, "over a power cycle");
    assert_eq!(commit(&mut host, AT_RESET, 1), SUCCESS);
    reset(&mut host);
    assert_eq!(
        state(&mut host),
        expected(BUILT_IN, 1, 0, [BUILT_IN, "REV A   ", ""])
    );
}

#[test]
fn an_image_can_be_kept_without_being_activated_or_activated_at_once() {
    let mut host = TestHost::ready();
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, REPLACE, 3), SUCCESS);
    reset(&mut host);
    assert_eq!(
        state(&mut host),
        expected(BUILT_IN, 1, 0, [BUILT_IN, "", "REV A   "])
    );
    assert_eq!(
        commit(&mut host, NOW, 3),
        SUCCESS,
        "no image downloaded: that of the slot"
    );
    assert_eq!(
        state(&mut host),
        expected("REV A   ", 3, 0, [BUILT_IN, "", "REV A   "])
    );
    assert_eq!(download(&mut host, "REV B   ", 0, PIECE), SUCCESS);
    assert_eq!(
        commit(&mut host, REPLACE, 3),
        Status::COMMAND_SEQUENCE_ERROR,
        "it is active"
    );
    assert_eq!(commit(&mut host, REPLACE_AT_RESET, 3), SUCCESS);
    assert_eq!(
        state(&mut host),
        expected("REV A   ", 3, 3, [BUILT_IN, "", "REV B   "]),
        "what runs stays until the reset"
    );
    reset(&mut host);
    assert_eq!(
        state(&mut host),
        expected("REV B   ", 3, 0, [BUILT_IN, "", "REV B   "])
    );
    assert_eq!(download(&mut host, "REV C   ", 0, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, NOW, 2), SUCCESS);
    assert_eq!(
        state(&mut host),
        expected("REV C   ", 2, 0, [BUILT_IN, "REV C   ", "REV B   "])
    );
}

#[test]
fn an_image_that_was_to_be_activated_and_is_replaced_no_longer_is() {
    let mut host = TestHost::ready();
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, REPLACE_AT_RESET, 2), SUCCESS);
    assert_eq!(download(&mut host, "REV B   ", 0, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, REPLACE, 2), SUCCESS);
    reset(&mut host);
    assert_eq!(
        state(&mut host),
        expected(BUILT_IN, 1, 0, [BUILT_IN, "REV B   ", ""])
    );
}

#[test]
fn slot_0_lets_the_controller_choose() {
    let mut host = TestHost::ready();
    assert_eq!(commit(&mut host, AT_RESET, 0), SUCCESS, "the only image");
    assert_eq!(state(&mut host).2, 1);
    for (revision, slots) in [
        ("REV A   ", ["REV A   ", ""]),
        ("REV B   ", ["REV A   ", "REV B   "]),
        ("REV C   ", ["REV C   ", "REV B   "]),
        ("REV D   ", ["REV C   ", "REV D   "]),
    ] {
        assert_eq!(download(&mut host, revision, 0, PIECE), SUCCESS);
        assert_eq!(commit(&mut host, REPLACE, 0), SUCCESS);
        assert_eq!(commit(&mut host, AT_RESET, 0), SUCCESS, "the one written last");
        reset(&mut host);
        let (running, _, _, [_, second, third]) = state(&mut host);
        assert_eq!(
            (running.as_str(), [second, third]),
            (revision, slots.map(String::from))
        );
    }
}

#[test]
fn wrong_slots_and_actions_are_refused_and_change_nothing() {
    let mut host = TestHost::ready();
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS);
    for (action, slot, status) in [
        (REPLACE, 1, Status::INVALID_FIRMWARE_SLOT),
        (REPLACE_AT_RESET, 1, Status::INVALID_FIRMWARE_SLOT),
        (NOW, 1, Status::INVALID_FIRMWARE_SLOT),
        (REPLACE, 4, Status::INVALID_FIRMWARE_SLOT),
        (AT_RESET, 7, Status::INVALID_FIRMWARE_SLOT),
        (NOW, 7, Status::INVALID_FIRMWARE_SLOT),
        (AT_RESET, 2, Status::INVALID_FIRMWARE_IMAGE),
        (FirmwareCommitAction(4), 2, Status::INVALID_FIELD_IN_COMMAND),
        (FirmwareCommitAction(5), 2, Status::INVALID_FIELD_IN_COMMAND),
        (FirmwareCommitAction(6), 2, Status::INVALID_FIELD_IN_COMMAND),
        (FirmwareCommitAction(7), 0, Status::INVALID_FIELD_IN_COMMAND),
    ] {
        assert_eq!(commit(&mut host, action, slot), status, "{action:?} {slot}");
    }
    assert_eq!(state(&mut host), expected(BUILT_IN, 1, 0, [BUILT_IN, "", ""]));
    assert_eq!(
        commit(&mut host, REPLACE, 2),
        SUCCESS,
        "a refused commit does not lose the image"
    );
    assert_eq!(
        commit(&mut host, REPLACE, 3),
        Status::INVALID_FIRMWARE_IMAGE,
        "a commit uses it up"
    );
}

#[test]
fn an_image_comes_in_pieces_of_any_order_without_gaps() {
    let mut host = TestHost::ready();
    for missing in [0, 1, 4, 5] {
        for piece in [3, 1, 0, 2, 4].into_iter().filter(|&piece| piece != missing) {
            let text = if piece == 0 { "REV A   " } else { "other bytes" };
            assert_eq!(
                download(&mut host, text, piece * PIECE, PIECE),
                SUCCESS,
                "{piece}"
            );
        }
        let committed = commit(&mut host, REPLACE, 2);
        if missing < 4 {
            assert_eq!(committed, Status::INVALID_FIRMWARE_IMAGE, "without {missing}");
        } else {
            assert_eq!(committed, SUCCESS, "{missing}");
        }
    }
    assert_eq!(state(&mut host).3[1], "REV A   ");
    assert_eq!(download(&mut host, "REV B   ", 0, 2 * PIECE), SUCCESS);
    assert_eq!(download(&mut host, "", PIECE, PIECE), Status::OVERLAPPING_RANGE);
    assert_eq!(download(&mut host, "", 0, 2 * PIECE), Status::OVERLAPPING_RANGE);
    assert_eq!(download(&mut host, "", 2 * PIECE, PIECE), SUCCESS);
    assert_eq!(commit(&mut host, REPLACE, 2), SUCCESS);
    assert_eq!(state(&mut host).3[1], "REV B   ");
}

#[test]
fn pieces_that_cannot_be_are_refused() {
    let mut host = TestHost::ready();
    for (offset, len) in [
        (0, 4),
        (0, PIECE - 4),
        (512, PIECE),
        (PIECE, PIECE + 512),
        (1 << 20, PIECE),
        ((1 << 20) - PIECE, 2 * PIECE),
        (u32::MAX - 3, PIECE),
        (0, 0),
        (0, (128 << 10) + PIECE),
    ] {
        assert_eq!(
            download(&mut host, "REV A   ", offset, len),
            Status::INVALID_FIELD_IN_COMMAND,
            "{offset:#x} {len:#x}"
        );
    }
    let unreachable = SubmissionQueueEntry {
        cdw10: (PIECE / 4 - 1).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD)
    };
    assert_eq!(host.admin(unreachable).status(), Status::DATA_TRANSFER_ERROR);
    assert_eq!(commit(&mut host, REPLACE, 2), Status::INVALID_FIRMWARE_IMAGE);
    assert_eq!(
        download(&mut host, "", (1 << 20) - PIECE, PIECE),
        SUCCESS,
        "the last one"
    );
}

#[test]
fn an_image_needs_a_revision_that_can_be_shown() {
    let mut host = TestHost::ready();
    for revision in ["", "        ", "REV\u{7f}    ", "REV\n    ", "SHORT"] {
        assert_eq!(download(&mut host, revision, 0, PIECE), SUCCESS);
        assert_eq!(
            commit(&mut host, REPLACE, 2),
            Status::INVALID_FIRMWARE_IMAGE,
            "{revision:?}"
        );
    }
    // The first dword ends a page, the second one begins another.
    let buffer = host.pages(3);
    host.machine.set_ram(buffer + 4092, b"REV ACROSS");
    let entry = SubmissionQueueEntry {
        prp1: (buffer + 4092).into(),
        prp2: (buffer + 4096).into(),
        cdw10: (PIECE / 4 - 1).into(),
        ..commands::admin(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD)
    };
    assert_eq!(host.admin(entry).status(), SUCCESS);
    assert_eq!(commit(&mut host, NOW, 2), SUCCESS);
    assert_eq!(state(&mut host).0, "REV ACRO");
}

#[test]
fn a_reset_forgets_what_was_downloaded() {
    let mut host = TestHost::ready();
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS);
    reset(&mut host);
    assert_eq!(commit(&mut host, REPLACE, 2), Status::INVALID_FIRMWARE_IMAGE);
    assert_eq!(download(&mut host, "REV A   ", 0, PIECE), SUCCESS, "no overlap");
}
