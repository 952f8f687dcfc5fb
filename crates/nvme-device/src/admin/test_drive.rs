//! A drive and a host's memory, without queues and threads: tests call a handler and look at what it leaves behind.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::AtomicU32;

use nvme_spec::registers::CC;
use nvme_spec::{Status, SubmissionQueueEntry};
use ssd_model::profiles;

use crate::admin::outcome::Outcome;
use crate::controller::Controller;
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::device::{Device, DeviceConfig};
use crate::host::{CopyEngine, HostMemory, MemoryFault};
use crate::identity::Identity;
use crate::limits::BAR_SIZE_BYTES;
use crate::namespace::NamespaceConfig;
use crate::pci::bar::Bar;
use crate::queue::completion::CompletionQueue;
use crate::worker::Worker;

/// Its namespaces.
pub(crate) const FAST: u32 = 1;
pub(crate) const FLASH: u32 = 2;
pub(crate) const ZONED: u32 = 3;
pub(crate) const PAIRS: u32 = 4;
/// One that is not allocated, and one that cannot be.
pub(crate) const UNALLOCATED: u32 = 5;
pub(crate) const INVALID: u32 = 33;

pub(crate) const LBA_BYTES: u64 = 512;
pub(crate) const FAST_LBAS: u64 = (4 << 20) / LBA_BYTES;
/// What no namespace has.
pub(crate) const FREE_BYTES: u64 = 4 << 20;

/// Where the host has a buffer of two pages.
pub(crate) const BUFFER: u64 = 0x1000;
/// Where it has no memory.
pub(crate) const NOWHERE: u64 = 0x10_0000;
const RAM_BYTES: usize = 0x8000;

/// CC.IOSQES = 6 and CC.IOCQES = 4.
const ENTRY_SIZES: u32 = 4 << 20 | 6 << 16;

/// Time of the first pass over the drive.
pub(crate) const POWER_ON_NS: u64 = 1_000_000;

/// Host memory from address 0 on, and BAR0.
pub(crate) struct TestMemory {
    bar: Vec<AtomicU32>,
    ram: RefCell<Vec<u8>>,
}

impl TestMemory {
    /// What the host has in its buffer.
    pub fn buffer(&self, len_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0; len_bytes];
        self.read(BUFFER, &mut bytes).expect("the buffer is there");
        bytes
    }

    /// Puts something into the buffer.
    pub fn fill_buffer(&self, bytes: &[u8]) {
        self.write(BUFFER, bytes).expect("the buffer is there");
    }

    pub fn bar(&self) -> Bar<'_> {
        Bar(&self.bar)
    }

    fn with<R>(
        &self,
        address: u64,
        len_bytes: usize,
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryFault> {
        let mut ram = self.ram.borrow_mut();
        let start = usize::try_from(address).map_err(|_| MemoryFault { address })?;
        let end = start.checked_add(len_bytes).ok_or(MemoryFault { address })?;
        ram.get_mut(start..end).map(f).ok_or(MemoryFault { address })
    }
}

impl HostMemory for TestMemory {
    fn bar(&self) -> &[AtomicU32] {
        &self.bar
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.with(address, into.len(), |ram| into.copy_from_slice(ram))
    }

    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault> {
        self.with(address, 4 * into.len(), |ram| {
            for (word, bytes) in into.iter_mut().zip(ram.chunks_exact(4)) {
                *word = u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
            }
        })
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.with(address, from.len(), |ram| ram.copy_from_slice(from))
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        self.write(address, entry)
    }
}

impl CopyEngine for TestMemory {}

pub(crate) struct TestDrive {
    controller: Box<Controller>,
    pub memory: TestMemory,
    // The other ends of their rings.
    _workers: Vec<Worker>,
}

impl TestDrive {
    /// A drive that was just enabled: with an admin completion queue, and entry sizes set.
    pub fn new() -> Self {
        let memory = TestMemory {
            bar: (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect(),
            ram: RefCell::new(vec![0; RAM_BYTES]),
        };
        let (namespaces, used_bytes) = namespaces();
        let config = DeviceConfig {
            identity: Identity::derive("test", used_bytes, LBA_BYTES as u32, Some("TEST")),
            dispatcher_count: 1,
            worker_count: 1,
            namespaces,
            media_bytes: used_bytes + FREE_BYTES,
            has_medium: true,
            has_shadow_doorbells: true,
            hash_seed: 7,
        };
        let device = Device::new(config, &memory.bar).expect("a sound drive");
        let mut drive = Self {
            controller: device.controller,
            memory,
            _workers: device.workers,
        };
        drive.memory.bar().store(CC, ENTRY_SIZES);
        let (core, memory) = drive.parts();
        core.admin.start(POWER_ON_NS);
        core.queue_set
            .add_completion_queue(0, CompletionQueue::new(8, Some(0)), memory);
        drive
    }

    pub fn core(&mut self) -> &mut Core {
        &mut self.controller.core
    }

    /// What a handler gets.
    pub fn parts(&mut self) -> (&mut Core, &TestMemory) {
        (&mut self.controller.core, &self.memory)
    }
}

/// The namespaces, one after the other, and where the last one ends.
fn namespaces() -> (Vec<NamespaceConfig>, u64) {
    let profiles = [
        ("optane", "", 4),
        ("970pro", "", 64),
        (
            "zn540",
            "zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,reference_quirks=false",
            4,
        ),
        ("kv-prototype", "key_value.value_bytes_max=131072", 4),
    ];
    let mut media_offset = 0;
    let namespaces = profiles.map(|(name, changes, mib)| {
        let mut profile = *profiles::by_name(name).expect("a built-in profile");
        profile.set_list(changes).expect("parameters that there are");
        let config = NamespaceConfig {
            kind: profile.kind,
            mdts: 5,
            lba_bytes: LBA_BYTES as u32,
            media_offset,
            media_len_bytes: mib << 20,
        };
        media_offset += config.media_len_bytes;
        config
    });
    (namespaces.into(), media_offset)
}

/// A pointer to the buffer.
pub(crate) fn to_buffer() -> DataPointer {
    to_address(BUFFER)
}

/// A pointer to two pages at `address`.
pub(crate) fn to_address(address: u64) -> DataPointer {
    DataPointer::of(&SubmissionQueueEntry {
        prp1: address.into(),
        prp2: (address + 0x1000).into(),
        ..Default::default()
    })
}

/// Dwords 0 and 1 of a command that is done.
pub(crate) fn done(outcome: Result<Outcome, Status>) -> Result<u64, Status> {
    match outcome? {
        Outcome::Done(result) => Ok(result),
        _ => panic!("the command is not done yet"),
    }
}
