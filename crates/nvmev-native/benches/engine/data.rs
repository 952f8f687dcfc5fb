//! Table (b): commands with data, beside bare copies of the same bytes.

use std::time::Duration;

use serde::Serialize;

use crate::rig::Rig;
use crate::rounds::{alternate, CpuTime, Figure};
use crate::setup::{DataPointer, Kind, Setup};
use crate::work::LONG_BYTES;

const GIB: u64 = 1 << 30;
/// So little that the caches of a core hold it, with the commands' buffers.
const CACHED_BYTES: u64 = 1 << 20;
/// What is moved in each round, about.
const BYTES_PER_ROUND: u64 = 32 << 20;

const fn setup(capacity_bytes: u64, kind: Kind, len_bytes: u32, data: DataPointer) -> Setup {
    Setup {
        has_data: true,
        len_bytes,
        data,
        ..Setup::new("optane", capacity_bytes, kind, 250)
    }
}

const fn short(capacity_bytes: u64, kind: Kind) -> Setup {
    setup(capacity_bytes, kind, 4096, DataPointer::Prps)
}

const fn long(kind: Kind, data: DataPointer) -> Setup {
    setup(GIB / 4, kind, LONG_BYTES, data)
}

pub const CASES: [(&str, Setup); 8] = [
    ("4 KiB read, 1 GiB", short(GIB, Kind::Read)),
    ("4 KiB write, 1 GiB", short(GIB, Kind::Write)),
    ("4 KiB read, 1 MiB (in cache)", short(CACHED_BYTES, Kind::Read)),
    ("4 KiB write, 1 MiB (in cache)", short(CACHED_BYTES, Kind::Write)),
    ("128 KiB read, PRPs, 1 piece", long(Kind::Read, DataPointer::Prps)),
    (
        "128 KiB read, PRPs, 32 pieces",
        long(Kind::Read, DataPointer::ScatteredPrps),
    ),
    ("128 KiB read, SGL", long(Kind::Read, DataPointer::Sgl)),
    (
        "128 KiB write, PRPs, 1 piece",
        long(Kind::Write, DataPointer::Prps),
    ),
];

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// ns per command.
    one_thread_ns: Figure,
    worker_ns: Figure,
    memcpy_ns: Figure,
    streaming_ns: Figure,
    /// Of the speed of the bare copies, medians of the rounds.
    one_thread_share: f64,
    worker_share: f64,
}

/// Copies of `len` bytes.
type Copy = fn(&Rig, media_offset: u64, address: u64, len: usize) -> Option<()>;

/// As the engine makes them.
fn plainly(rig: &Rig, media_offset: u64, address: u64, len: usize) -> Option<()> {
    match rig.setup.kind {
        Kind::Read => rig.machine.copy_to_ram(media_offset, address, len),
        Kind::Write | Kind::Append => rig.machine.copy_to_medium(address, media_offset, len),
    }
}

/// Past the caches, where there is such a store.
fn streaming(rig: &Rig, media_offset: u64, address: u64, len: usize) -> Option<()> {
    #[cfg(target_arch = "x86_64")]
    return match rig.setup.kind {
        Kind::Read => rig.machine.stream_to_ram(media_offset, address, len),
        Kind::Write | Kind::Append => rig.machine.stream_to_medium(address, media_offset, len),
    };
    #[cfg(not(target_arch = "x86_64"))]
    plainly(rig, media_offset, address, len)
}

/// Times of a command on one thread, in the worker alone, of a bare copy, and of one past the caches, ns; then the first two in bare copies.
fn measure(rig: &mut Rig) -> [f64; 6] {
    let batches = (BYTES_PER_ROUND / u64::from(rig.setup.len_bytes) / rig.batch()).max(1);
    let commands = (batches * rig.batch()) as f64;
    // Not measured: else whatever comes first would be the one that finds nothing of the last round in the machine's caches.
    bare_copies(rig, batches, plainly);
    let one_thread = rig.run_interleaved(batches).as_nanos() as f64 / commands;
    let [_, worker] = rig.run_in_phases(batches);
    let worker = worker.as_nanos() as f64 / commands;
    let bare = bare_copies(rig, batches, plainly).as_nanos() as f64 / commands;
    let past_caches = bare_copies(rig, batches, streaming).as_nanos() as f64 / commands;
    [
        one_thread,
        worker,
        bare,
        past_caches,
        one_thread / bare,
        worker / bare,
    ]
}

/// Copies what so many batches of commands would, without a device.
fn bare_copies(rig: &mut Rig, batches: u64, copy: Copy) -> Duration {
    let mut took = Duration::ZERO;
    let (lba, len) = (u64::from(rig.setup.lba_bytes), rig.setup.len_bytes as usize);
    for _ in 0..batches {
        let mut copies = Vec::with_capacity(rig.batch() as usize);
        for queue in 0..rig.queues.len() {
            for cid in 0..rig.setup.depth {
                let entry = rig.work.next(queue, cid);
                copies.push((entry.slba() * lba, entry.prp1.get()));
            }
        }
        let start = CpuTime::now();
        for (media_offset, address) in copies {
            assert!(
                copy(rig, media_offset, address, len).is_some(),
                "both ends are there"
            );
        }
        took += start.elapsed();
    }
    took
}

/// Measures and prints; the rows for JSON.
pub fn run(rounds: usize) -> serde_json::Value {
    let mut rigs: Vec<Rig> = CASES.iter().map(|(_, setup)| Rig::new(*setup)).collect();
    let figures = alternate(&mut rigs, rounds, measure);
    println!(
        "{:<34} {:>18} {:>18} {:>18} {:>18} {:>18} {:>14}",
        "with data, optane: best (median)",
        "one thread ns",
        "worker ns",
        "bare memcpy ns",
        "past caches ns",
        "one thread/memcpy",
        "worker/memcpy"
    );
    let mut rows = Vec::new();
    for ((name, _), figures) in CASES.iter().zip(figures) {
        let [one_thread_ns, worker_ns, memcpy_ns, streaming_ns, one_thread, worker] = figures;
        let row = Row {
            name,
            one_thread_ns,
            worker_ns,
            memcpy_ns,
            streaming_ns,
            one_thread_share: 1.0 / one_thread.median,
            worker_share: 1.0 / worker.median,
        };
        let text = |figure: Figure| format!("{:.1} ({:.1})", figure.best, figure.median);
        println!(
            "{name:<34} {:>18} {:>18} {:>18} {:>18} {:>18.2} {:>14.2}",
            text(one_thread_ns),
            text(worker_ns),
            text(memcpy_ns),
            text(streaming_ns),
            row.one_thread_share,
            row.worker_share
        );
        rows.push(row);
    }
    serde_json::to_value(rows).expect("plain figures")
}
