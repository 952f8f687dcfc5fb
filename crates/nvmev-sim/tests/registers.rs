//! Registers: enabling, disabling, shutdown, resets, and what a host may write that it should not.

use nvme_device::{Controller, HostMemory};
use nvme_spec::registers::{self, cq_head_doorbell, csts, sq_tail_doorbell};
use nvme_spec::{AdminOpcode, NvmOpcode, Status, NSSR_RESET};
use nvmev_sim::host::{commands, TestHost};
use ssd_model::profiles;

fn unready() -> TestHost {
    TestHost::new(profiles::by_name("optane").unwrap(), 1 << 20, 512, 1)
}

#[test]
fn registers_after_power_on_are_those_of_an_nvme_2_0_controller() {
    let mut host = unready();
    host.run();
    assert_eq!(
        host.register(registers::CAP),
        0x1401_03FF,
        "MQES 1023, contiguous queues, TO 10 s"
    );
    assert_eq!(
        host.register(registers::CAP + 4),
        0x0800_0830,
        "DSTRD 0, NSSRS, CSS NVM and all, CRWMS"
    );
    assert_eq!(host.register(registers::VS), 0x0002_0000);
    assert_eq!(host.register(registers::CC), 0);
    assert_eq!(host.register(registers::CSTS), 0);
    assert_eq!(host.register(registers::CRTO), 20);
}

#[test]
fn enabling_and_disabling_can_be_repeated_without_limit() {
    let mut host = unready();
    let first_free = host.next_page();
    for _ in 0..500 {
        host.forget_pages(first_free);
        host.enable();
        host.create_io_queues(1, 16);
        let buffer = host.pages(1);
        let read = commands::read_write(NvmOpcode::READ, 1, 0, 1, buffer, 0);
        assert_eq!(host.execute(1, read).status(), Status::SUCCESSFUL_COMPLETION);
        host.disable();
        assert_eq!(host.register(registers::CSTS), 0);
    }
}

#[test]
fn a_malformed_configuration_fails_with_cfs_and_a_good_one_then_works() {
    let cc = |css: u32, mps: u32, ams: u32, iosqes: u32, iocqes: u32| {
        iocqes << 20 | iosqes << 16 | ams << 11 | mps << 7 | css << 4 | 1
    };
    let good_cc = cc(6, 0, 0, 6, 4);
    let good_aqa = 0x001F_001F;
    // (CC, AQA, ASQ offset, ACQ offset)
    let cases = [
        (cc(1, 0, 0, 6, 4), good_aqa, 0, 0),
        (cc(7, 0, 0, 6, 4), good_aqa, 0, 0),
        (cc(6, 1, 0, 6, 4), good_aqa, 0, 0),
        (cc(6, 0, 1, 6, 4), good_aqa, 0, 0),
        (cc(6, 0, 7, 6, 4), good_aqa, 0, 0),
        (cc(6, 0, 0, 5, 4), good_aqa, 0, 0),
        (cc(6, 0, 0, 6, 15), good_aqa, 0, 0),
        (good_cc, 0x001F_0000, 0, 0),
        (good_cc, 0x0000_001F, 0, 0),
        (good_cc, 0xF01F_001F, 0, 0),
        (good_cc, good_aqa, 8, 0),
        (good_cc, good_aqa, 0, 0x800),
        (good_cc, good_aqa, 1 << 40, 0),
        (good_cc, good_aqa, 0, u64::MAX << 30),
        (good_cc, good_aqa, 0, 1 << 62),
    ];
    let mut host = unready();
    for (cc, aqa, asq_offset, acq_offset) in cases {
        let (sq, cq) = (host.pages(1), host.pages(1));
        host.write_admin_registers(sq, cq);
        host.set_register(registers::AQA, aqa);
        host.set_register_u64(registers::ASQ, sq.wrapping_add(asq_offset));
        host.set_register_u64(registers::ACQ, cq.wrapping_add(acq_offset));
        host.set_register(registers::CC, cc);
        host.run();
        let status = host.register(registers::CSTS);
        assert_eq!(
            status,
            csts::CFS,
            "CC {cc:#x} AQA {aqa:#x} ASQ +{asq_offset:#x} ACQ +{acq_offset:#x}"
        );
        host.disable();
        assert_eq!(host.register(registers::CSTS), 0);
        host.enable();
        host.disable();
    }
}

#[test]
fn the_nvm_command_set_alone_can_be_selected() {
    let mut host = unready();
    let (sq, cq) = (host.pages(1), host.pages(1));
    host.write_admin_registers(sq, cq);
    host.set_register(registers::CC, 1);
    host.run();
    assert_eq!(host.register(registers::CSTS), csts::RDY);
    let queue = host.pages(1);
    assert_eq!(
        host.admin(commands::create_cq(1, 16, 0, queue)).status(),
        Status::INVALID_QUEUE_SIZE,
        "IOCQES is 0"
    );
    host.set_register(registers::CC, 4 << 20 | 6 << 16 | 1);
    assert_eq!(
        host.admin(commands::create_cq(1, 16, 0, queue)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
}

#[test]
fn shutdown_completes_after_the_commands_under_way_and_only_a_reset_leaves_it() {
    for notification in [1, 2] {
        let mut host = TestHost::ready();
        let buffer = host.pages(1);
        host.submit(1, commands::read_write(NvmOpcode::WRITE, 1, 0, 1, buffer, 0));
        let (_, next_event_ns) = host.step();
        assert!(next_event_ns.is_some(), "the write is under way");
        host.set_register(registers::CC, host.register(registers::CC) | notification << 14);
        host.run();
        assert_eq!(
            host.register(registers::CSTS) & csts::SHST_MASK,
            0,
            "not complete while a command is"
        );
        host.settle();
        assert_eq!(host.register(registers::CSTS), csts::RDY | csts::SHST_COMPLETE);
        assert_eq!(host.reap(1).unwrap().status(), Status::SUCCESSFUL_COMPLETION);
        host.submit(1, commands::flush(1));
        host.settle();
        assert_eq!(host.reap(1), None, "nothing is fetched after a shutdown");
        host.set_register(registers::CC, host.register(registers::CC) & !(0b11 << 14));
        host.settle();
        assert_eq!(host.register(registers::CSTS), csts::RDY | csts::SHST_COMPLETE);
        host.disable();
        assert_eq!(host.register(registers::CSTS), 0);
        host.enable();
    }
}

#[test]
fn shutdown_of_a_disabled_controller_is_complete_at_once() {
    let mut host = unready();
    host.set_register(registers::CC, 1 << 14);
    host.run();
    assert_eq!(host.register(registers::CSTS), csts::SHST_COMPLETE);
    host.enable();
    assert_eq!(host.register(registers::CSTS), csts::RDY);
    host.create_io_queues(1, 16);
}

#[test]
fn a_reset_forgets_commands_under_way_and_never_completes_them() {
    let mut host = TestHost::ready();
    let buffer = host.pages(1);
    for _ in 0..5 {
        host.submit(1, commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0));
    }
    host.step();
    host.machine.take_interrupts();
    host.disable();
    let before = host.machine.ram(nvmev_sim::host::RAM_BASE, 1 << 20);
    host.now_ns += 1_000_000_000;
    host.settle();
    assert_eq!(host.machine.take_interrupts().intx, 0);
    assert!(
        host.machine.ram(nvmev_sim::host::RAM_BASE, 1 << 20) == before,
        "the device wrote after a reset"
    );
    host.enable();
    host.create_io_queues(1, 16);
    let read = commands::read_write(NvmOpcode::READ, 1, 0, 1, buffer, 0);
    assert_eq!(host.execute(1, read).status(), Status::SUCCESSFUL_COMPLETION);
}

#[test]
fn a_subsystem_reset_clears_the_registers_and_says_so() {
    let mut host = TestHost::ready();
    host.set_register(registers::NSSR, 1);
    host.run();
    assert_eq!(
        host.register(registers::CSTS),
        csts::RDY,
        "any other value does nothing"
    );
    host.set_register(registers::NSSR, NSSR_RESET);
    host.run();
    assert_eq!(host.register(registers::CSTS), csts::NSSRO);
    for register in [
        registers::CC,
        registers::AQA,
        registers::ASQ,
        registers::ACQ,
        registers::NSSR,
    ] {
        assert_eq!(host.register(register), 0);
    }
    // A driver clears it first, with a write that changes nothing.
    host.set_register(registers::CSTS, csts::NSSRO);
    host.enable();
    assert_eq!(host.register(registers::CSTS), csts::RDY);
}

#[test]
fn a_function_level_reset_brings_the_registers_back_to_power_on() {
    let mut host = TestHost::ready();
    host.write_config(0x52, 2, 0x8000);
    host.write_config(0x68, 2, 0x8000);
    host.run();
    assert_eq!(host.register(registers::CSTS), 0);
    assert_eq!(host.register(registers::CC), 0);
    assert!(!host.device.shared.config_space().msix_enabled());
    host.enable();
}

#[test]
fn read_only_status_bits_come_back_after_a_write() {
    let mut host = TestHost::ready();
    host.set_register(registers::CSTS, 0xFFFF_FFFF);
    host.run();
    assert_eq!(host.register(registers::CSTS), csts::RDY);
}

#[test]
fn a_host_that_writes_a_command_queue_outside_memory_gets_cfs_and_recovers_by_reset() {
    let mut host = TestHost::ready();
    let (sq, cq) = (host.machine.ram_end() - 4096, host.pages(1));
    assert_eq!(
        host.admin(commands::create_cq(2, 16, 0, cq)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    // Half of the queue lies beyond the end of RAM.
    assert_eq!(
        host.admin(commands::create_sq(2, 2, 128, sq)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    host.set_register(sq_tail_doorbell(2), 70);
    for _ in 0..200 {
        host.settle();
        // The driver consumes whatever comes.
        host.set_register(cq_head_doorbell(2), 0);
    }
    let _ = host.machine.take_interrupts();
    host.set_register(cq_head_doorbell(2), 15);
    host.settle();
    // 15 completions fill the queue; consuming them lets the device reach the missing entries in the end.
    for head in (0..16).cycle().take(100) {
        host.set_register(cq_head_doorbell(2), head);
        host.settle();
    }
    assert_eq!(host.register(registers::CSTS) & csts::CFS, csts::CFS);
    host.disable();
    host.enable();
    host.create_io_queues(1, 16);
}

#[test]
fn interrupt_mask_registers_set_and_clear() {
    let mut host = TestHost::ready();
    host.use_pin();
    host.machine.take_interrupts();
    host.set_register(registers::INTMS, 1);
    host.run();
    assert_eq!(
        host.execute(1, commands::flush(1)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    assert_eq!(host.machine.take_interrupts().intx, 0, "masked");
    host.submit(1, commands::flush(1));
    host.settle();
    host.set_register(registers::INTMC, 1);
    host.run();
    assert_eq!(host.register(registers::INTMS), 0);
    assert_eq!(
        host.machine.take_interrupts().intx,
        1,
        "the line is still asserted when it is unmasked"
    );
    host.wait(1);
    host.set_register(registers::INTMS, 1);
    host.run();
    host.set_register(registers::INTMC, 1);
    host.run();
    assert_eq!(host.machine.take_interrupts().intx, 0, "nothing to see");
}

#[test]
fn interrupts_follow_msix_pin_and_intx_disable() {
    let mut host = TestHost::ready();
    host.use_pin();
    host.machine.take_interrupts();
    host.execute(1, commands::flush(1));
    assert_eq!(host.machine.take_interrupts().intx, 1);
    host.write_config(4, 2, 0x0406);
    host.execute(1, commands::flush(1));
    assert_eq!(host.machine.take_interrupts().intx, 0);
    host.write_config(0x52, 2, 0x8000);
    host.create_io_queues(5, 16);
    host.machine.take_interrupts();
    host.execute(5, commands::flush(1));
    let interrupts = host.machine.take_interrupts();
    assert_eq!(
        (
            interrupts.intx,
            interrupts.msix[5],
            interrupts.msix.iter().sum::<u32>()
        ),
        (0, 1, 1)
    );
}

#[test]
fn interrupt_status_tells_of_the_pin_until_completions_are_consumed_even_while_it_is_disabled() {
    const STATUS_INTERRUPT: u32 = 1 << 3;
    let mut host = TestHost::ready();
    host.use_pin();
    let status = |host: &TestHost| host.device.shared.config_space().read(6, 2) & STATUS_INTERRUPT != 0;
    for command in [0x0406, 0x0006] {
        host.run();
        assert!(!status(&host));
        host.write_config(4, 2, command);
        host.submit(1, commands::flush(1));
        host.settle();
        assert!(status(&host));
        host.wait(1);
        host.run();
        assert!(!status(&host));
    }
    host.write_config(0x52, 2, 0x8000);
    host.execute(1, commands::flush(1));
    assert!(!status(&host), "it is the pin's alone");
}

#[test]
fn completions_that_are_due_together_raise_one_interrupt() {
    let mut host = TestHost::ready();
    host.use_pin();
    host.machine.take_interrupts();
    for _ in 0..20 {
        host.submit(1, commands::flush(1));
    }
    // Time stands still for the fetches, then everything is due.
    while host.dispatch(host.now_ns).progressed {}
    for worker in &mut host.device.workers {
        while worker.poll(0, &host.machine).progressed {}
        worker.poll(host.now_ns, &host.machine);
    }
    assert_eq!(host.machine.take_interrupts().intx, 1);
}

#[test]
fn a_queue_without_interrupts_raises_none() {
    let mut host = TestHost::ready();
    let (sq, cq) = (host.pages(1), host.pages(1));
    let mut create = commands::create_cq(2, 16, 0, cq);
    create.cdw11 = 1.into();
    assert_eq!(host.admin(create).status(), Status::SUCCESSFUL_COMPLETION);
    assert_eq!(
        host.admin(commands::create_sq(2, 2, 16, sq)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    host.adopt(2, nvmev_sim::host::QueuePair::new(sq, 16, cq, 16));
    host.machine.take_interrupts();
    host.execute(2, commands::flush(1));
    assert_eq!(host.machine.take_interrupts().intx, 0);
}

#[test]
fn the_controller_can_be_sent_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Controller>();
    is_send::<nvme_device::Worker>();
    assert_eq!(AdminOpcode::KEEP_ALIVE.0, 0x18);
    assert_eq!(
        TestHost::ready().machine.bar().len() * 4,
        nvme_device::BAR_SIZE_BYTES
    );
}

// Found by the hostile host of tests/simulation.rs.

#[test]
fn a_workers_answer_that_comes_during_a_reset_completes_nothing() {
    let mut host = TestHost::ready();
    host.submit(
        0,
        commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1),
    );
    // The controller asks the worker, and the host resets before the worker has answered.
    host.dispatch(host.now_ns);
    host.set_register(registers::CC, host.register(registers::CC) & !1);
    host.dispatch(host.now_ns);
    host.settle();
    assert_eq!(host.register(registers::CSTS), 0);
    host.enable();
    host.create_io_queues(1, 16);
    assert_eq!(
        host.execute(1, commands::flush(1)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
}

#[test]
fn an_unreachable_completion_queue_reported_during_a_reset_does_not_stop_the_reset() {
    let mut host = TestHost::ready();
    let (sq, beyond) = (host.pages(1), host.machine.ram_end());
    assert_eq!(
        host.admin(commands::create_cq(2, 16, 0, beyond)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    assert_eq!(
        host.admin(commands::create_sq(2, 2, 16, sq)).status(),
        Status::SUCCESSFUL_COMPLETION
    );
    host.machine
        .set_ram(sq, zerocopy::IntoBytes::as_bytes(&commands::flush(1)));
    host.set_register(sq_tail_doorbell(2), 1);
    host.dispatch(host.now_ns);
    host.set_register(registers::CC, host.register(registers::CC) & !1);
    host.dispatch(host.now_ns);
    host.now_ns += 1_000_000;
    host.settle();
    assert_eq!(host.register(registers::CSTS), 0);
    host.enable();
}

// Found by review.

#[test]
fn read_only_registers_are_put_right_again() {
    let mut host = TestHost::ready();
    let registers = [registers::CAP, registers::CAP + 4, registers::VS, registers::CRTO];
    let before = registers.map(|register| host.register(register));
    for register in registers {
        host.set_register(register, 0xDEAD_BEEF);
    }
    host.run();
    assert_eq!(registers.map(|register| host.register(register)), before);
}

#[test]
fn held_event_requests_leave_room_for_other_commands_in_a_small_queue() {
    let mut host = unready();
    let (sq, cq) = (host.pages(1), host.pages(1));
    host.write_admin_registers(sq, cq);
    // A completion queue of 3 entries: two completions at a time.
    host.set_register(registers::AQA, 2 << 16 | 31);
    host.adopt(0, nvmev_sim::host::QueuePair::new(sq, 32, cq, 3));
    host.set_register(registers::CC, 0x0046_0061);
    host.run();
    let requests: Vec<u16> = (0..4)
        .map(|_| host.submit(0, commands::admin(AdminOpcode::ASYNCHRONOUS_EVENT_REQUEST)))
        .collect();
    host.run();
    for _ in 0..10 {
        assert_eq!(
            host.admin(commands::abort(1, 0)).dw0.get(),
            1,
            "other commands go on"
        );
    }
    for cid in requests {
        host.submit(0, commands::abort(0, cid));
        let (first, second) = (host.wait(0), host.wait(0));
        assert_eq!(
            (first.cid.get(), first.status()),
            (cid, Status::COMMAND_ABORT_REQUESTED)
        );
        assert_eq!(second.dw0.get(), 0);
    }
}

#[test]
fn completions_posted_while_msix_is_masked_are_told_of_when_it_is_unmasked() {
    let mut host = TestHost::ready();
    let message_control = |host: &TestHost, value| host.write_config(0x52, 2, value);
    message_control(&host, 0x8000);
    host.create_io_queues(5, 16);
    message_control(&host, 0xC000);
    host.submit(5, commands::flush(1));
    host.settle();
    host.machine.take_interrupts();
    message_control(&host, 0x8000);
    host.run();
    let interrupts = host.machine.take_interrupts();
    assert_eq!((interrupts.intx, interrupts.msix[5]), (0, 1));
    host.run();
    assert_eq!(host.machine.take_interrupts().msix[5], 0, "once");
}
