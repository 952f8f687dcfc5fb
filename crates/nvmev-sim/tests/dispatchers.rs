//! Several dispatchers, each with queues of its own.

use std::collections::HashMap;

use nvme_device::{Dispatcher, NamespaceConfig, NamespaceReport};
use nvme_spec::{AdminOpcode, CompletionQueueEntry, LogPageId, NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, Random, TestHost};
use ssd_model::profiles;

const SUCCESS: Status = Status::SUCCESSFUL_COMPLETION;
const NAMESPACE_BYTES: u64 = 8 << 20;
const LBA: usize = 512;

/// Namespaces of these profiles, one after the other.
fn namespaces(names: &[&str]) -> Vec<NamespaceConfig> {
    let offsets = (0..).step_by(NAMESPACE_BYTES as usize);
    let all = names.iter().zip(offsets).map(|(name, media_offset)| {
        let profile = profiles::by_name(name).expect("a built-in profile");
        NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes: LBA as u32,
            media_offset,
            media_len_bytes: NAMESPACE_BYTES,
        }
    });
    all.collect()
}

/// Enabled, with I/O queues 1 to 4, and everything lent: there was work for another dispatcher.
fn ready(names: &[&str], dispatchers: usize, workers: usize) -> TestHost {
    let mut host = TestHost::with_dispatchers(namespaces(names), dispatchers, workers);
    host.enable();
    (1..=4).for_each(|qid| host.create_io_queues(qid, 32));
    host.settle();
    lend(&mut host);
    host
}

fn lend(host: &mut TestHost) {
    assert_eq!(host.execute(1, commands::flush(1)).status(), SUCCESS);
}

fn work(host: &mut TestHost) {
    for worker in &mut host.device.workers {
        while worker.poll(host.now_ns, &host.machine).progressed {}
    }
}

/// Passes of one dispatcher, and of the workers, until nothing happens any more.
fn run_alone(host: &mut TestHost, dispatcher: u64) {
    loop {
        let activity = host.poll_a_dispatcher(dispatcher);
        work(host);
        if !activity.progressed {
            break;
        }
    }
    host.now_ns += 1_000_000;
    work(host);
}

#[test]
fn each_dispatcher_serves_its_queues_without_the_others() {
    let mut host = ready(&["optane"], 2, 2);
    let buffer = host.pages(1);
    for (qid, own, other) in [(1, 1, 0), (2, 0, 1), (3, 1, 0), (4, 0, 1)] {
        host.submit(qid, commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0));
        run_alone(&mut host, other);
        assert!(host.reap(qid).is_none(), "queue {qid} is not that one's");
        run_alone(&mut host, own);
        let completion = host.reap(qid).expect("its dispatcher and its worker were there");
        assert_eq!(completion.status(), SUCCESS);
    }
}

/// After a while without work nobody but the controller looks for some.
#[test]
fn an_idle_drive_is_the_controllers() {
    let mut host = ready(&["optane"], 3, 1);
    let has_queues = |host: &TestHost| host.device.dispatchers.iter().any(|other| other.has_queues());
    assert!(has_queues(&host));
    host.settle();
    assert!(!has_queues(&host));
    lend(&mut host);
    assert!(has_queues(&host));
}

/// A drive with flash has one dispatcher that times its commands; those of another one's queues get there.
#[test]
fn commands_for_another_dispatchers_namespace_get_there() {
    let mut host = ready(&["970pro", "970pro"], 2, 1);
    let buffer = host.pages(1);
    for (nsid, qid, via, timed_by) in [(1, 1, 1, 0), (2, 2, 0, 1)] {
        host.machine.set_ram(buffer, &[nsid as u8; LBA]);
        host.submit(qid, commands::read_write(NvmOpcode::WRITE, nsid, 5, 1, buffer, 0));
        run_alone(&mut host, via);
        assert!(host.reap(qid).is_none(), "namespace {nsid} is not that one's");
        run_alone(&mut host, timed_by);
        let completion = host
            .reap(qid)
            .expect("the namespace's dispatcher has taken it on");
        assert_eq!(completion.status(), SUCCESS);
        host.machine.set_ram(buffer, &[0; LBA]);
        let read = commands::read_write(NvmOpcode::READ, nsid, 5, 1, buffer, 0);
        assert_eq!(host.execute(3, read).status(), SUCCESS);
        assert_eq!(host.machine.ram(buffer, LBA), [nsid as u8; LBA]);
    }
}

/// Commands of queue 1 that were taken on.
fn dispatched(host: &TestHost) -> u32 {
    let queue = host.device.shared.statistics().io_queues().next();
    queue.map_or(0, |queue| queue.dispatched)
}

#[test]
fn a_burst_for_another_dispatchers_namespace_goes_there_together() {
    let mut host = ready(&["970pro"], 2, 1);
    let buffer = host.pages(1);
    let before = dispatched(&host);
    (0..8).for_each(|lba| {
        host.enqueue(1, commands::read_write(NvmOpcode::READ, 1, lba, 1, buffer, 0));
    });
    host.ring(1);
    host.poll_a_dispatcher(1);
    assert_eq!(dispatched(&host), before, "that one fetches");
    host.poll_a_dispatcher(0);
    assert_eq!(dispatched(&host), before + 8, "this one takes on");
    for _ in 0..8 {
        assert_eq!(host.wait(1).status(), SUCCESS);
    }
}

/// Writes of 256 KiB in queue 1 of which the fifth has to wait for room in the drive's buffer, and behind them a read of what the last one writes;
/// everything has been looked at. Returns where the read's data goes, too.
fn waiting_in_queue_1(dispatchers: usize) -> (TestHost, u64) {
    let mut host = ready(&["970pro"], dispatchers, 1);
    let (list, into) = (host.pages(1), host.pages(1));
    for index in 0..7 {
        let buffer = host.pages(1);
        host.machine.set_ram(buffer, &[index as u8 + 1; 4096]);
        let entries: Vec<u8> = (0..64).flat_map(|_| buffer.to_le_bytes()).collect();
        let list = list + index * 512;
        host.machine.set_ram(list, &entries);
        let write = commands::read_write(NvmOpcode::WRITE, 1, index * 512, 512, buffer, list);
        host.enqueue(1, write);
    }
    host.enqueue(1, commands::read_write(NvmOpcode::READ, 1, 6 * 512, 8, into, 0));
    host.ring(1);
    for pass in 0..20 {
        host.poll_a_dispatcher(pass);
        work(&mut host);
    }
    (host, into)
}

/// Behind a command that has to wait, another dispatcher takes none on: they keep their order.
#[test]
fn commands_that_have_gone_to_another_dispatcher_keep_their_order() {
    for dispatchers in 1..=2 {
        let before = dispatched(&ready(&["970pro"], dispatchers, 1));
        let (mut host, into) = waiting_in_queue_1(dispatchers);
        assert_eq!(dispatched(&host) - before, 4, "{dispatchers} dispatchers");
        for pass in 0..200 {
            host.now_ns += 10_000;
            host.poll_a_dispatcher(pass);
            work(&mut host);
        }
        assert_eq!(dispatched(&host) - before, 8, "{dispatchers} dispatchers");
        assert!(
            host.device.dispatchers.iter().all(Dispatcher::has_queues),
            "nobody was called back"
        );
        for _ in 0..8 {
            assert_eq!(host.wait(1).status(), SUCCESS);
        }
        assert_eq!(
            host.machine.ram(into, 4096),
            [7; 4096],
            "{dispatchers} dispatchers"
        );
    }
}

#[test]
fn all_that_a_queue_holds_for_another_dispatcher_ends_with_the_queue() {
    let (mut host, _) = waiting_in_queue_1(2);
    let delete = commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, 1);
    assert_eq!(host.admin(delete).status(), SUCCESS);
    host.settle();
    let ends: Vec<Status> = std::iter::from_fn(|| host.reap(1))
        .map(|end| end.status())
        .collect();
    let aborted = ends
        .iter()
        .filter(|end| **end == Status::COMMAND_ABORTED_SQ_DELETION);
    assert_eq!((ends.len(), aborted.count()), (8, 8), "{ends:?}");
}

#[test]
fn a_command_that_a_queue_holds_for_another_dispatcher_can_be_aborted() {
    for behind in 0..4 {
        let (mut host, _) = waiting_in_queue_1(2);
        let cid = host.next_cid() - 4 + behind;
        let abort = host.admin(commands::abort(1, cid));
        assert_eq!((abort.status(), abort.dw0.get()), (SUCCESS, 0));
        let mut ends: Vec<(u16, Status)> = Vec::new();
        for _ in 0..8 {
            let end = host.wait(1);
            ends.push((end.cid.get(), end.status()));
        }
        ends.retain(|(_, status)| *status != SUCCESS);
        assert_eq!(ends, [(cid, Status::COMMAND_ABORT_REQUESTED)]);
        host.settle();
        assert!(host.reap(1).is_none());
    }
}

/// Commands that have gone to another dispatcher when the controller calls everybody back are neither lost nor done twice.
#[test]
fn what_is_under_way_between_dispatchers_survives_a_call_back() {
    const COMMANDS: u8 = 20;
    for passes in 0..12 {
        let mut host = ready(&["970pro"], 2, 1);
        let buffer = host.pages(2);
        for _ in 0..COMMANDS {
            host.enqueue(1, commands::read_write(NvmOpcode::READ, 1, 0, 1, buffer, 0));
        }
        host.ring(1);
        host.poll_a_dispatcher(1);
        host.submit(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer + 4096),
        );
        for pass in 0..passes {
            host.poll_a_dispatcher(pass);
        }
        assert_eq!(host.wait(0).status(), SUCCESS);
        for _ in 0..COMMANDS {
            assert_eq!(host.wait(1).status(), SUCCESS);
        }
        host.settle();
        assert!(host.reap(1).is_none(), "{passes} passes");
        host.execute(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer),
        );
        assert_eq!(
            host.machine.ram(buffer + 64, 1),
            [COMMANDS],
            "host reads, {passes} passes"
        );
    }
}

/// What counts and what is told is the same, whoever worked.
#[test]
fn all_dispatchers_commands_are_counted_and_their_errors_logged() {
    for names in [&["optane"], &["970pro"]] {
        let mut host = ready(names, 3, 2);
        let buffer = host.pages(1);
        for qid in 1..=4 {
            for _ in 0..25 {
                let read = commands::read_write(NvmOpcode::READ, 1, 3, 1, buffer, 0);
                assert_eq!(host.execute(qid, read).status(), SUCCESS);
            }
            let beyond = commands::read_write(NvmOpcode::READ, 1, 1 << 40, 1, buffer, 0);
            assert_eq!(host.execute(qid, beyond).status(), Status::LBA_OUT_OF_RANGE);
            let absent = commands::read_write(NvmOpcode::READ, 9, 0, 1, buffer, 0);
            assert_eq!(
                host.execute(qid, absent).status(),
                Status::INVALID_FIELD_IN_COMMAND
            );
        }
        host.execute(
            0,
            commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, buffer),
        );
        let smart = host.machine.ram(buffer, 512);
        assert_eq!(smart[64], 100, "host reads");
        assert_eq!(smart[176], 8, "errors");
    }
}

/// What a worker holds when a reset comes is forgotten by the dispatcher that sent it, too: otherwise it would some day think the worker full.
#[test]
fn resets_leave_room_at_the_workers() {
    let mut host = ready(&["optane"], 2, 1);
    let buffer = host.pages(1);
    let free = host.next_page();
    for round in 0..300 {
        assert_eq!(
            host.execute(1, commands::flush(1)).status(),
            SUCCESS,
            "round {round}"
        );
        for _ in 0..30 {
            host.submit(1, commands::read_write(NvmOpcode::READ, 1, 0, 8, buffer, 0));
        }
        for _ in 0..10 {
            host.poll_a_dispatcher(1);
        }
        work(&mut host);
        let dispatched = dispatched(&host);
        assert!(dispatched >= 31, "round {round}: {dispatched}");
        host.forget_pages(free);
        host.disable();
        host.enable();
        host.create_io_queues(1, 32);
    }
}

#[test]
fn too_many_dispatchers_are_refused() {
    let refused = std::panic::catch_unwind(|| TestHost::with_dispatchers(namespaces(&["optane"]), 9, 1));
    assert!(refused.is_err());
}

/// What a slot of the simulation has on the drive.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u8,
    is_busy: bool,
}

/// A host that reads and writes through all queues, and now and then wants something that needs all of the drive; the parts take turns as a random
/// number says.
struct Simulation {
    host: TestHost,
    random: Random,
    slots: Vec<Slot>,
    buffers: Vec<u64>,
    log: u64,
    /// What the outstanding commands are for, by queue and identifier.
    under_way: HashMap<(u16, u16), (usize, bool)>,
    done: u32,
    namespaces: u64,
}

impl Simulation {
    fn new(names: &[&str], dispatchers: usize, seed: u64) -> Self {
        let mut host = ready(names, dispatchers, 2);
        let slots = 64 * names.len();
        let buffers = (0..slots).map(|_| host.pages(1)).collect();
        let log = host.pages(1);
        Self {
            host,
            random: Random::new(seed),
            slots: vec![Slot::default(); slots],
            buffers,
            log,
            under_way: HashMap::new(),
            done: 0,
            namespaces: names.len() as u64,
        }
    }

    fn send(&mut self) {
        let qid = 1 + self.random.below(4) as u16;
        let slot = self.random.below(self.slots.len() as u64) as usize;
        if !self.host.has_room(qid) || self.slots[slot].is_busy {
            return;
        }
        let is_write = self.random.one_in(2);
        let buffer = self.buffers[slot];
        if is_write {
            self.slots[slot].tag = self.random.next_bits() as u8;
        }
        let content = if is_write {
            self.slots[slot].tag
        } else {
            !self.slots[slot].tag
        };
        self.host.machine.set_ram(buffer, &[content; 4096]);
        let opcode = if is_write {
            NvmOpcode::WRITE
        } else {
            NvmOpcode::READ
        };
        let nsid = 1 + slot as u64 % self.namespaces;
        let lba = slot as u64 / self.namespaces * 8;
        let entry = commands::read_write(opcode, nsid as u32, lba, 8, buffer, 0);
        let cid = self.host.submit(qid, entry);
        self.slots[slot].is_busy = true;
        self.under_way.insert((qid, cid), (slot, is_write));
    }

    fn reap(&mut self) {
        for qid in 1..=4 {
            while let Some(completion) = self.host.reap(qid) {
                self.end(qid, &completion);
            }
        }
    }

    fn end(&mut self, qid: u16, completion: &CompletionQueueEntry) {
        assert_eq!(completion.status(), SUCCESS);
        let (slot, is_write) = self
            .under_way
            .remove(&(qid, completion.cid.get()))
            .expect("one completion a command");
        self.slots[slot].is_busy = false;
        self.done += 1;
        if !is_write {
            let tag = self.slots[slot].tag;
            assert_eq!(
                self.host.machine.ram(self.buffers[slot], 4096),
                [tag; 4096],
                "slot {slot}"
            );
        }
    }

    /// Something that the controller needs everything for.
    fn ask(&mut self) {
        match self.random.below(4) {
            0 => {
                let smart = commands::get_log_page(LogPageId::SMART_HEALTH, u32::MAX, 0, 512, self.log);
                if self.host.has_room(0) {
                    self.host.submit(0, smart);
                }
            }
            1 => {
                let flush = SubmissionQueueEntry {
                    nsid: u32::MAX.into(),
                    ..commands::flush(1)
                };
                let qid = 1 + self.random.below(4) as u16;
                if self.under_way.keys().all(|(used, _)| *used != qid) {
                    assert_eq!(self.host.execute(qid, flush).status(), SUCCESS);
                }
            }
            2 => {
                self.host.device.shared.request_flash_reports();
            }
            _ => {
                if self.host.has_room(0) {
                    self.host.submit(0, commands::admin(AdminOpcode::KEEP_ALIVE));
                }
            }
        }
        while self.host.reap(0).is_some() {}
    }

    fn act(&mut self) {
        match self.random.below(20) {
            0..=4 => self.send(),
            5..=10 => {
                self.host.poll_a_dispatcher(self.random.next_bits());
            }
            11..=15 => {
                let worker = self.random.below(2) as usize;
                self.host.device.workers[worker].poll(self.host.now_ns, &self.host.machine);
            }
            16 if self.random.one_in(20) => self.ask(),
            16..=17 => self.host.now_ns += self.random.below(20_000),
            _ => self.reap(),
        }
    }
}

#[test]
fn whatever_takes_its_turn_what_was_written_is_read() {
    for (seed, names, dispatchers) in [
        (1, &["optane"][..], 2),
        (2, &["970pro"], 2),
        (3, &["optane", "970pro", "optane", "970pro"], 2),
        (4, &["optane", "970pro", "970pro"], 3),
        (5, &["970pro", "optane"], 8),
    ] {
        let mut simulation = Simulation::new(names, dispatchers, seed);
        for _ in 0..60_000 {
            simulation.act();
        }
        let done = simulation.done;
        assert!(done > 2_000, "seed {seed}: {done} commands");
        for _ in 0..50 {
            simulation.host.settle();
            simulation.reap();
        }
        assert!(simulation.under_way.is_empty(), "seed {seed}");
        simulation.host.device.shared.request_flash_reports();
        simulation.host.settle();
        let report = simulation.host.device.shared.namespace_report(1);
        assert_ne!(report, NamespaceReport::Absent);
    }
}

#[test]
fn the_same_turns_give_the_same_times() {
    let run = |seed| {
        let mut simulation = Simulation::new(&["970pro", "optane"], 2, seed);
        (0..20_000).for_each(|_| simulation.act());
        (
            simulation.done,
            simulation.host.now_ns,
            simulation.host.machine.media(),
        )
    };
    assert!(run(7) == run(7));
}
