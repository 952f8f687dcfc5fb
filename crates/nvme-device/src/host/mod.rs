//! What a device sees of the machine it is plugged into. Each shell implements it once.

pub(crate) mod detached;

use core::sync::atomic::AtomicU32;

/// An address that the host gave us has nothing behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// The host (bus) address that could not be reached.
    pub address: u64,
}

/// A copy between host memory and the medium, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataCopy {
    /// Whether host memory is written; else the medium is.
    pub is_to_host: bool,
    /// Where it is in host memory.
    pub address: u64,
    /// Where it is on the medium. See [`Media::media_to_host`].
    pub media_offset: u64,
    /// How much it is.
    pub len_bytes: usize,
}

/// The copies of one command: which of a worker's commands under way, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyBatch {
    /// The worker, from 0 on. No two threads are at the batches of a worker at a time.
    pub worker: usize,
    /// From 0 to [`crate::worker::dma::COPY_BATCHES_MAX`] - 1.
    pub batch: usize,
}

/// What has become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// Not all of its copies are over.
    UnderWay,
    /// All are done, and whoever looks sees what was copied. The batch can be used anew.
    Done,
    /// All are over, and at least one failed: what is at its destination, nobody knows. The batch can be used anew.
    Failed,
}

/// Host memory, and the BAR that the host writes to.
///
/// Host memory is shared with a host that may change it at any moment. Implementations copy, and never hand out references into it.
pub trait HostMemory {
    /// BAR0 as the host sees it, [`crate::limits::BAR_SIZE_BYTES`] / 4 little-endian words. Host and device both write here.
    fn bar(&self) -> &[AtomicU32];

    /// Copies `into.len()` bytes of host memory at `address` out.
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte of the range is not memory; `into` may then be partly filled.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault>;

    /// Copies little-endian words of host memory at `address`, which is a multiple of 4, out. The host may be writing them: each MUST be read at
    /// once, so that it is what the host wrote, before or after. What the host wrote before a word's value MUST be seen by reads that follow.
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte of the range is not memory; `into` may then be partly filled.
    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault>;

    /// Copies `from` into host memory at `address`.
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte of the range is not memory; a part may have been written.
    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault>;

    /// Writes a 16-byte completion queue entry, 16-byte aligned. The last 8 bytes (with the phase bit) MUST become visible
    /// after the first 8 (NVMe Base 2.0 §3.3.3.2).
    ///
    /// # Errors
    /// [`MemoryFault`] if `address` is not memory.
    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault>;
}

/// The medium: the memory that stands for the flash.
///
/// A machine may be without a medium ([`crate::DeviceConfig::has_medium`]). Then reading it gives zeros, writing it does nothing, and host memory is
/// written and checked all the same.
pub trait Media {
    /// Copies `len_bytes` of the medium at `media_offset` into host memory at `address`.
    /// The range on the medium lies inside the device's storage: the core has checked it; an implementation checks again.
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte on either side is not there.
    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault>;

    /// Copies `len_bytes` of host memory at `address` to the medium at `media_offset`. See [`Media::media_to_host`].
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte on either side is not there.
    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault>;

    /// Copies `into.len()` bytes of the medium at `media_offset` out. See [`Media::media_to_host`].
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte is not there.
    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault>;

    /// Copies `from` to the medium at `media_offset`. See [`Media::media_to_host`].
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte is not there.
    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault>;

    /// Fills `len_bytes` of the medium at `media_offset` with zeros. See [`Media::media_to_host`].
    ///
    /// # Errors
    /// [`MemoryFault`] if any byte is not there.
    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault>;

    /// A copy that begins with this one will be asked for soon: this much may be fetched into the cache. Nothing else comes of it, whatever is at those
    /// places.
    fn prefetch(&self, _beginning: &DataCopy) {}
}

/// The interrupt lines to the host.
pub trait InterruptLines {
    /// Fires message-signalled interrupt `vector` (index into the MSI-X table).
    fn raise_msix(&self, vector: u16);

    /// Pulls the pin-based interrupt.
    fn raise_intx(&self);
}

/// DMA engines that copy between host memory and the medium. Without one, every method keeps its default.
pub trait CopyEngine {
    /// Whether `worker` has a DMA engine that copies for it. Without one, the other functions about copies are not called.
    fn has_engine(&self, _worker: usize) -> bool {
        false
    }

    /// Gives the engine a copy that belongs to `batch`; it need not start before [`CopyEngine::issue_copies`]. Returns how many bytes that are, from the first
    /// one on, or 0 if the engine is busy or cannot copy this: then nothing has happened.
    fn begin_copy(&self, _batch: CopyBatch, _copy: &DataCopy) -> usize {
        0
    }

    /// Starts the copies that were given to the engine of `worker`.
    fn issue_copies(&self, _worker: usize) {}

    /// What has become of `batch`, without waiting. A batch without copies is done.
    fn copies_state(&self, _batch: CopyBatch) -> CopyState {
        CopyState::Done
    }

    /// Ends what is under way for `worker` at once, if the engine can do that: when this returns, those copies have failed, and nothing of them goes
    /// on. If it cannot, nothing happens.
    fn abandon_copies(&self, _worker: usize) {}

    /// Takes the engine away from `worker`: one of its copies does not come to an end. When this returns, none of them goes on, those that were under
    /// way have failed, and [`CopyEngine::has_engine`] says so from then on.
    fn remove_engine(&self, _worker: usize) {}
}

/// The machine around the device: all that a shell provides.
///
/// One value serves the dispatchers and all workers at once, so every method takes `&self`.
pub trait Host: HostMemory + Media + InterruptLines + CopyEngine {}

impl<T: HostMemory + Media + InterruptLines + CopyEngine> Host for T {}
