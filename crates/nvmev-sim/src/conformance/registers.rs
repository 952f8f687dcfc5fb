//! Registers and the state machine behind them.

use nvme_spec::registers::{self, csts};
use nvme_spec::AdminOpcode;

use super::{Finding, Subject};
use crate::host::commands;

const CC_SHUTDOWN_NORMAL: u32 = 0b01 << 14;
const CC_CSS_SHIFT: u32 = 4;
const CC_MPS_SHIFT: u32 = 7;

fn capabilities(subject: &Subject<'_>) -> u64 {
    u64::from(subject.host.register(registers::CAP))
        | u64::from(subject.host.register(registers::CAP + 4)) << 32
}

/// CAP offers at least one command set, a range of page sizes, two entries for each queue and time to become ready; VS is what Identify says (NVMe Base
/// 2.0 §3.1.3.1, §3.1.3.2, §5.17.2.1).
pub(super) fn capabilities_are_consistent(subject: &mut Subject<'_>) -> Finding {
    let cap = capabilities(subject);
    let (mqes_z, timeout, css) = (cap & 0xFFFF, cap >> 24 & 0xFF, cap >> 37 & 0xFF);
    let (page_min, page_max) = (cap >> 48 & 0xF, cap >> 52 & 0xF);
    ensure!(mqes_z >= 1, "CAP.MQES allows no queue of 2 entries");
    ensure!(timeout > 0, "CAP.TO leaves no time to become ready");
    ensure!(
        page_min <= page_max,
        "CAP.MPSMIN is {page_min}, above MPSMAX, {page_max}"
    );
    ensure!(css & 0b1100_0001 != 0, "CAP.CSS offers nothing: {css:#b}");
    ensure!(
        css & 1 << 6 != 0 || subject.command_set.0 == 0,
        "CAP.CSS offers no command set but NVM, and there is a namespace of another"
    );
    let version = subject.host.register(registers::VS);
    let identified = subject.controller.ver.get();
    ensure!(
        version == identified,
        "VS is {version:#x}, and Identify says {identified:#x}"
    );
    ensure!(
        cap >> 59 & 0b11 != 0,
        "CAP.CRMS offers no mode, which version 2.0 requires"
    );
    let ready_timeouts = subject.host.register(registers::CRTO) & 0xFFFF;
    ensure!(ready_timeouts > 0, "CRTO.CRWMT leaves no time to become ready");
    Ok(())
}

/// CAP, VS, CSTS and CRTO are what they were after a host has written to them (NVMe Base 2.0 §3.1.3).
pub(super) fn read_only_registers_cannot_be_written(subject: &mut Subject<'_>) -> Finding {
    let read_only = [
        registers::CAP,
        registers::CAP + 4,
        registers::VS,
        registers::CSTS,
        registers::CRTO,
    ];
    for register in read_only {
        let before = subject.host.register(register);
        subject.host.set_register(register, before ^ 0x5A5A_5A5A);
        subject.host.run();
        let after = subject.host.register(register);
        ensure!(
            after == before,
            "register {register:#x} was {before:#x}, and a write made it {after:#x}"
        );
    }
    Ok(())
}

/// CSTS.RDY follows CC.EN both ways, and the admin queue's registers outlast a controller reset (NVMe Base 2.0 §3.5.1, §3.7.2).
pub(super) fn ready_follows_enable(subject: &mut Subject<'_>) -> Finding {
    for round in 0..2 {
        ensure!(
            subject.is_ready(),
            "CSTS.RDY is not set in round {round}, and CC.EN is"
        );
        let kept = [registers::AQA, registers::ASQ, registers::ACQ];
        let before = kept.map(|register| subject.host.register(register));
        let cc = subject.host.register(registers::CC);
        subject.host.set_register(registers::CC, cc & !1);
        subject.host.run();
        let status = subject.host.register(registers::CSTS);
        ensure!(
            status & csts::RDY == 0,
            "CSTS.RDY is set, and CC.EN is not: {status:#x}"
        );
        let after = kept.map(|register| subject.host.register(register));
        ensure!(
            before == after,
            "AQA, ASQ, ACQ were {before:x?} before a reset, and are {after:x?}"
        );
        subject.bring_up();
    }
    Ok(())
}

/// A page size or command set that CAP does not offer, and queues of one entry, do not become ready (NVMe Base 2.0 §3.1.3.5, §3.1.3.8, §3.5.1).
pub(super) fn illegal_configurations_are_not_enabled(subject: &mut Subject<'_>) -> Finding {
    let cap = capabilities(subject);
    let page_beyond = (cap >> 52 & 0xF) as u32 + 1;
    let good = subject.host.register(registers::CC);
    let queues = subject.host.register(registers::AQA);
    let cases = [
        (
            "a page size beyond MPSMAX",
            good | page_beyond << CC_MPS_SHIFT,
            queues,
        ),
        (
            "a reserved command set",
            good & !(0b111 << CC_CSS_SHIFT) | 0b011 << CC_CSS_SHIFT,
            queues,
        ),
        ("a reserved arbitration mechanism", good | 0b010 << 11, queues),
        ("an admin submission queue of one entry", good, queues & !0xFFF),
        ("an admin completion queue of one entry", good, queues & 0xFFFF),
    ];
    for (what, cc, attributes) in cases {
        subject.host.disable();
        let base = subject.buffer();
        subject.host.write_admin_registers(base, base + 4096);
        subject.host.set_register(registers::AQA, attributes);
        subject.host.set_register(registers::CC, cc);
        subject.host.run();
        ensure!(!subject.is_ready(), "the controller became ready with {what}");
    }
    subject.host.disable();
    subject.bring_up();
    ensure!(
        subject.is_ready(),
        "the controller does not recover from an illegal configuration"
    );
    Ok(())
}

/// CC.SHN ends in CSTS.SHST = 10b, after which no command is fetched until there was a reset (NVMe Base 2.0 §3.6.1).
pub(super) fn a_shutdown_completes_and_stops_commands(subject: &mut Subject<'_>) -> Finding {
    let cc = subject.host.register(registers::CC);
    subject.host.set_register(registers::CC, cc | CC_SHUTDOWN_NORMAL);
    subject.host.settle();
    let status = subject.host.register(registers::CSTS);
    ensure!(
        status & csts::SHST_MASK == csts::SHST_COMPLETE,
        "the shutdown is not complete: CSTS is {status:#x}"
    );
    subject.host.submit(0, commands::admin(AdminOpcode::IDENTIFY));
    subject.host.settle();
    ensure!(
        subject.host.reap(0).is_none(),
        "a command was completed after the shutdown"
    );
    subject.reset_controller();
    let status = subject.host.register(registers::CSTS);
    ensure!(
        status & (csts::SHST_MASK | csts::RDY) == csts::RDY,
        "a reset does not end the shutdown: CSTS is {status:#x}"
    );
    Ok(())
}
