//! Every interleaving of a worker that moves a command's data and posts its completion, and a driver that waits for it.

use core::sync::atomic::AtomicU32;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::command::id::CommandRef;
use crate::command::reserved::Reserved;
use crate::command::transfer::Transfer;
use crate::command::zone_transfer::ZoneTransfers;
use crate::data_pointer::DataPointer;
use crate::host::{CopyEngine, HostMemory, InterruptLines, Media};
use crate::limits::BAR_SIZE_BYTES;
use crate::ring::ring;
use crate::worker::receiver::WorkCounts;
use crate::worker::*;

const QUEUE: u64 = 0x1000;
const BUFFER: u64 = 0x2000;
const RESULT: u64 = 0x1234_5678_9ABC_DEF0;

/// A machine with a completion queue entry and a buffer. What is in the buffer does not matter: loom sees who is at it when.
struct Machine {
    entry: [AtomicU64; 2],
    buffer: UnsafeCell<()>,
    bar: Vec<AtomicU32>,
}

impl Machine {
    fn new() -> Self {
        Self {
            entry: [AtomicU64::new(0), AtomicU64::new(0)],
            buffer: UnsafeCell::new(()),
            bar: (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Waits for the phase bit; the result in the entry's first half.
    fn wait(&self) -> u64 {
        while self.entry[1].load(Ordering::Acquire) >> 48 & 1 == 0 {
            thread::yield_now();
        }
        self.buffer.with(|_| ());
        self.entry[0].load(Ordering::Relaxed)
    }
}

impl HostMemory for Machine {
    fn bar(&self) -> &[AtomicU32] {
        &self.bar
    }

    fn read(&self, address: u64, _into: &mut [u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn load(&self, address: u64, _into: &mut [u32]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn write(&self, address: u64, _from: &[u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        assert_eq!(address, QUEUE, "there is one completion");
        let [first, second]: [u64; 2] = transmute!(*entry);
        self.entry[0].store(first, Ordering::Relaxed);
        self.entry[1].store(second, Ordering::Release);
        Ok(())
    }
}

impl Media for Machine {
    fn media_to_host(&self, _media_offset: u64, address: u64, _len_bytes: usize) -> Result<(), MemoryFault> {
        assert_eq!(address, BUFFER);
        self.buffer.with_mut(|_| ());
        Ok(())
    }

    fn host_to_media(&self, address: u64, _media_offset: u64, _len_bytes: usize) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn read_media(&self, media_offset: u64, _into: &mut [u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault {
            address: media_offset,
        })
    }

    fn write_media(&self, media_offset: u64, _from: &[u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault {
            address: media_offset,
        })
    }

    fn zero_media(&self, media_offset: u64, _len_bytes: usize) -> Result<(), MemoryFault> {
        Err(MemoryFault {
            address: media_offset,
        })
    }
}

impl InterruptLines for Machine {
    fn raise_msix(&self, _vector: u16) {}

    fn raise_intx(&self) {}
}

impl CopyEngine for Machine {}

fn read_of_512_bytes() -> Job {
    let command = CommandRef {
        sqid: 1,
        cqid: 1,
        cid: 7,
    };
    let entry = nvme_spec::SubmissionQueueEntry {
        prp1: BUFFER.into(),
        ..zerocopy::FromZeros::new_zeroed()
    };
    Job {
        transfer: Transfer {
            direction: Direction::ToHost,
            pointer: DataPointer::of(&entry),
            extents: Extents::whole(0, 512),
            len_bytes: 512,
            ..Transfer::NONE
        },
        ..Job::immediate(command, 0, Status::SUCCESSFUL_COMPLETION, RESULT)
    }
}

#[test]
fn a_driver_that_sees_the_phase_bit_sees_the_whole_completion_and_its_data() {
    loom::model(|| {
        let machine = loom::sync::Arc::new(Machine::new());
        let shared = Arc::new(Shared::new(Arc::new(ZoneTransfers::new(512, 512, 1).unwrap()), 1).unwrap());
        // Memory and bus master.
        shared.write_config(machine.bar(), 0x04, 2, 0b110);
        let (mut items, items_out) = ring(4).unwrap();
        let (reports, _reports_out) = ring(16).unwrap();
        let done = Arc::new(WorkCounts::default());
        let source = WorkSource {
            items: items_out,
            done,
        };
        let mut worker = Worker::new(0, alloc::vec![source], reports, shared, 4096, true).unwrap();
        let create = WorkItem::CreateCq {
            cqid: 1,
            base: QUEUE,
            entries: 2,
            vector: None,
        };
        assert!(items.push(create).is_ok());
        let device = machine.clone();
        let thread = thread::spawn(move || {
            while !worker.poll(0, &*device).progressed || device.entry[1].load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
        });
        let job = read_of_512_bytes();
        let job = WorkItem::Job(Reserved::new(job.command).complete(job));
        assert!(items.push(job).is_ok());
        assert_eq!(machine.wait(), RESULT);
        thread.join().unwrap();
    });
}
