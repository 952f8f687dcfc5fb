//! How many commands the whole device carries out in a second of one core: queues, timing, data and completions, with a host in plain memory.
//!
//! `cargo bench -p nvmev-sim --bench device` prints a table. What differs between its lines is how the data is described.

use std::time::{Duration, Instant};

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry};
use nvmev_sim::host::{commands, sgl, TestHost};

/// A measurement takes at least so long, and the best of these many counts: other programs only make it slower.
const MEASURED: Duration = Duration::from_millis(300);
const ROUNDS: usize = 9;
const PAGE: u64 = 4096;
/// The longest transfer: 128 KiB.
const PAGES: u64 = 32;

fn main() {
    let mut host = TestHost::ready();
    let buffer = host.pages(2 * PAGES as usize);
    // Every other page, so that none can be joined to the next.
    let scattered: Vec<u64> = (0..PAGES).map(|page| buffer + 2 * page * PAGE).collect();
    let read = |len: u64| commands::read_write(NvmOpcode::READ, 1, 0, (len / 512) as u32, 0, 0);
    let long = read(PAGES * PAGE);
    let blocks: Vec<_> = scattered
        .iter()
        .map(|&address| sgl::data_block(address, PAGE as u32))
        .collect();
    let list = prp_list(&mut host, &scattered[1..]);
    let joined: Vec<u64> = (1..PAGES).map(|page| buffer + page * PAGE).collect();
    let joined_list = prp_list(&mut host, &joined);
    let with_prps = |entry, prp1: u64, prp2: u64| SubmissionQueueEntry {
        prp1: prp1.into(),
        prp2: prp2.into(),
        ..entry
    };
    let cases = [
        ("4 KiB, PRP", with_prps(read(PAGE), buffer, 0)),
        (
            "4 KiB, SGL",
            read(PAGE).with_sgl1(sgl::data_block(buffer, PAGE as u32)),
        ),
        ("128 KiB in one piece, PRPs", with_prps(long, buffer, joined_list)),
        (
            "128 KiB in one piece, SGL",
            long.with_sgl1(sgl::data_block(buffer, (PAGES * PAGE) as u32)),
        ),
        ("128 KiB in 32 pieces, PRPs", with_prps(long, buffer, list)),
        (
            "128 KiB in 32 pieces, SGL",
            long.with_sgl1(host.sgl([&blocks[..]].into_iter())),
        ),
    ];
    println!("Reads, one after the other, 1 core");
    for (name, entry) in cases {
        println!("{name:<30} {:>8.0} ns each", measure(&mut host, entry));
    }
}

fn prp_list(host: &mut TestHost, pages: &[u64]) -> u64 {
    let list = host.pages(1);
    let entries: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
    host.machine.set_ram(list, &entries);
    list
}

/// Time of a command, ns.
fn measure(host: &mut TestHost, entry: SubmissionQueueEntry) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < MEASURED {
                for _ in 0..256 {
                    let completion = host.execute(1, entry);
                    assert_eq!(completion.status(), Status::SUCCESSFUL_COMPLETION);
                }
                count += 256;
            }
            start.elapsed().as_nanos() as f64 / f64::from(count)
        })
        .fold(f64::INFINITY, f64::min)
}
