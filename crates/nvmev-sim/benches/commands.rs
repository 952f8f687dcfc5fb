//! What a command costs on its way through the device: doorbell, fetch, checks, model, ring, data, completion. The test host's driver is in the
//! figures, too, so what counts is the difference between two of them.
//!
//! `cargo bench -p nvmev-sim` prints a table. `-- --instructions NUMBER TURNS` runs a case of it alone, for `valgrind --tool=callgrind`: the difference
//! between two numbers of turns is what so many commands cost, whatever else the machine does.

use std::env;
use std::time::{Duration, Instant};

use nvme_spec::{NvmOpcode, Status};
use nvmev_sim::host::{commands, Ring, ShadowDoorbells, TestHost};
use ssd_model::profiles;

/// Cases take turns, so that what else the machine does falls on all of them; the best turn of each counts.
const TURNS: usize = 40;
const COMMANDS_PER_TURN: u32 = 1 << 14;
const DEPTH: u32 = 32;
const QUEUES: u16 = 4;

/// What is measured.
type SetUp = fn(&mut TestHost);

const CASES: [(&str, SetUp); 4] = [
    ("doorbells by registers", |_| {}),
    ("and the driver's half of shadow doorbells", |host| {
        let (shadows, event_indices) = (host.pages(1), host.pages(1));
        host.shadow = Some(ShadowDoorbells {
            shadows,
            event_indices,
            ring: Ring::Always,
            rung: 0,
        });
    }),
    ("and the device's half", |host| {
        host.use_shadow_doorbells(Ring::Always)
    }),
    ("registers, and a reservation of the host", |host| {
        let keys = host.pages(1);
        let register = commands::reservation(NvmOpcode::RESERVATION_REGISTER, 1, 0, keys);
        let acquire = commands::reservation(NvmOpcode::RESERVATION_ACQUIRE, 1, 2 << 8, keys);
        for command in [register, acquire] {
            assert_eq!(host.execute(1, command).status(), Status::SUCCESSFUL_COMPLETION);
        }
    }),
];

fn ready(set_up: SetUp) -> (TestHost, u64) {
    let mut host = TestHost::new(
        profiles::by_name("optane").expect("a built-in profile"),
        4 << 20,
        512,
        1,
    );
    host.enable();
    (1..=QUEUES).for_each(|qid| host.create_io_queues(qid, 64));
    set_up(&mut host);
    let buffer = host.pages(1);
    (host, buffer)
}

/// Random commands of 512 bytes, half of them reads, on all queues.
fn turn(host: &mut TestHost, buffer: u64) -> Duration {
    let start = Instant::now();
    for round in 0..COMMANDS_PER_TURN / DEPTH {
        let qid = |index: u32| 1 + (index % u32::from(QUEUES)) as u16;
        for index in 0..DEPTH {
            let opcode = if index % 2 == 0 {
                NvmOpcode::READ
            } else {
                NvmOpcode::WRITE
            };
            let slba = u64::from((round * DEPTH + index).wrapping_mul(2_654_435_761) >> 19);
            host.submit(qid(index), commands::read_write(opcode, 1, slba, 1, buffer, 0));
        }
        for index in 0..DEPTH {
            assert_eq!(host.wait(qid(index)).status(), Status::SUCCESSFUL_COMPLETION);
        }
    }
    start.elapsed()
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--instructions") {
        let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
        let (case, turns) = number(at + 1)
            .zip(number(at + 2))
            .expect("--instructions NUMBER TURNS");
        let (_, set_up) = CASES.get(case).expect("the number of a case");
        let (mut host, buffer) = ready(*set_up);
        for _ in 0..turns {
            turn(&mut host, buffer);
        }
        return;
    }
    let mut hosts = CASES.map(|(name, set_up)| (name, ready(set_up), Duration::MAX));
    for _ in 0..TURNS {
        for (_, (host, buffer), best) in &mut hosts {
            *best = turn(host, *buffer).min(*best);
        }
    }
    println!("{:<42} {:>10}", "a command of 512 bytes", "ns");
    for (name, _, best) in hosts {
        let ns = best.as_nanos() as f64 / f64::from(COMMANDS_PER_TURN);
        println!("{name:<42} {ns:>10.1}");
    }
}
