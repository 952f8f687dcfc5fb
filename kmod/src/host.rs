// SPDX-License-Identifier: GPL-2.0-only
//! The machine around the device, as its core sees it.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;

use nvme_device::{
    CopyBatch, CopyEngine, CopyState, DataCopy, HostMemory, InterruptLines, Media, MemoryFault,
    BAR_SIZE_BYTES,
};

use crate::dma::Dma;
use crate::memory::Mapping;
use crate::shim;

/// The interrupts that the device can raise.
pub struct Irqs(NonNull<shim::Irqs>);

// SAFETY: the C side may be called from any thread: a vector is fired through atomic flags.
unsafe impl Send for Irqs {}
// SAFETY: as above.
unsafe impl Sync for Irqs {}

impl Irqs {
    /// Makes them, or `None` if there is no memory or no interrupt number left.
    pub fn new() -> Option<Self> {
        NonNull::new(shim::nvmev_irqs_create()).map(Self)
    }

    /// For the PCI bus, which must not outlive `self`.
    pub fn as_ptr(&self) -> *mut shim::Irqs {
        self.0.as_ptr()
    }
}

impl Drop for Irqs {
    fn drop(&mut self) {
        // SAFETY: made in `new`; the PCI bus and the threads that used it are gone (see `Instance`).
        unsafe { shim::nvmev_irqs_destroy(self.0.as_ptr()) }
    }
}

/// The memory of other PCI functions, as far as it is mapped.
pub struct Peers(NonNull<shim::Peers>);

// SAFETY: the C side may be called from any thread that may sleep: its readers use RCU, and a mutex guards changes.
unsafe impl Send for Peers {}
// SAFETY: as above.
unsafe impl Sync for Peers {}

impl Peers {
    /// Maps nothing yet, or is `None` if there is no memory. `own_bar` is where our own BAR begins.
    pub fn new(own_bar: u64) -> Option<Self> {
        NonNull::new(shim::nvmev_peers_create(own_bar)).map(Self)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // SAFETY: made in `new`; the threads that used it are gone (see `Instance`).
        unsafe { shim::nvmev_peers_destroy(self.0.as_ptr()) }
    }
}

/// Implements [`nvme_device::Host`] with the kernel's memory, that of other PCI functions, our mappings and our interrupts. Not under a lock: what another
/// function has is mapped at the first access.
pub struct KernelHost {
    /// Before what it copies from and to: fields are dropped in their order.
    dma: Option<Dma>,
    bar: Mapping,
    /// None: nothing of what is written is kept.
    storage: Option<Mapping>,
    irqs: Irqs,
    peers: Peers,
}

impl KernelHost {
    /// Puts it together. `bar` has [`BAR_SIZE_BYTES`]. Without `storage`, what reads the medium gets zeros.
    pub fn new(bar: Mapping, storage: Option<Mapping>, irqs: Irqs, peers: Peers, dma: Option<Dma>) -> Self {
        Self {
            dma,
            bar,
            storage,
            irqs,
            peers,
        }
    }

    /// The interrupts.
    pub fn irqs(&self) -> &Irqs {
        &self.irqs
    }

    /// The DMA engines that copy.
    pub fn dma(&self) -> Option<&Dma> {
        self.dma.as_ref()
    }

    /// Whether there is a medium.
    pub fn has_medium(&self) -> bool {
        self.storage.is_some()
    }

    /// The bytes from `offset` on the medium, if all of `len` are there; nothing if there is no medium.
    fn media(&self, offset: u64, len: usize, address: u64) -> Result<Option<*mut u8>, MemoryFault> {
        let Some(storage) = &self.storage else {
            return Ok(None);
        };
        let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
        match (end, usize::try_from(offset)) {
            // `wrapping_add` stays inside the mapping, because `offset` does.
            (Some(end), Ok(offset)) if end <= storage.bytes() => {
                Ok(Some(storage.as_ptr().wrapping_add(offset)))
            }
            _ => Err(MemoryFault { address }),
        }
    }

    /// Fills host memory with zeros: what was in it is not to be taken for data.
    fn write_zeros(&self, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        static ZEROS: [u8; 4096] = [0; 4096];
        let mut done = 0;
        while done < len_bytes {
            let zeros = ZEROS.get(..len_bytes - done).unwrap_or(&ZEROS);
            self.write(address.wrapping_add(done as u64), zeros)?;
            done += zeros.len();
        }
        Ok(())
    }
}

/// C's answer to a copy.
fn copied(done: u32, address: u64) -> Result<(), MemoryFault> {
    if done == 0 {
        return Err(MemoryFault { address });
    }
    Ok(())
}

impl HostMemory for KernelHost {
    fn bar(&self) -> &[AtomicU32] {
        // SAFETY: the mapping is page-aligned, has this many bytes and lives as long as `self`; all of it is memory that
        // the host's driver and we only ever access as atomic words.
        unsafe {
            core::slice::from_raw_parts(self.bar.as_ptr().cast(), BAR_SIZE_BYTES / size_of::<AtomicU32>())
        }
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        // SAFETY: `into` is ours to write; the C side checks each page of the other end.
        copied(
            unsafe { shim::nvmev_host_read(self.peers.0.as_ptr(), address, into.as_mut_ptr(), into.len()) },
            address,
        )
    }

    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault> {
        // SAFETY: as above; words of the kernel's machines (x86) are little-endian.
        copied(
            unsafe { shim::nvmev_host_load(self.peers.0.as_ptr(), address, into.as_mut_ptr(), into.len()) },
            address,
        )
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault> {
        // SAFETY: `from` is ours to read; the C side checks each page of the other end.
        copied(
            unsafe { shim::nvmev_host_write(self.peers.0.as_ptr(), address, from.as_ptr(), from.len()) },
            address,
        )
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        let halves = u128::from_ne_bytes(*entry);
        let halves = [halves as u64, (halves >> 64) as u64];
        // SAFETY: two words of ours to read; the C side checks the page and the alignment of the other end.
        copied(
            unsafe { shim::nvmev_host_publish(self.peers.0.as_ptr(), address, halves.as_ptr()) },
            address,
        )
    }
}

impl Media for KernelHost {
    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let Some(from) = self.media(media_offset, len_bytes, address)? else {
            return self.write_zeros(address, len_bytes);
        };
        // SAFETY: `from` has `len_bytes` inside the storage, of which we never make references; the C side checks each
        // page of the other end.
        copied(
            unsafe { shim::nvmev_host_write(self.peers.0.as_ptr(), address, from, len_bytes) },
            address,
        )
    }

    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let Some(into) = self.media(media_offset, len_bytes, address)? else {
            // SAFETY: the C side looks at each page of the other end.
            let readable = unsafe { shim::nvmev_host_is_readable(self.peers.0.as_ptr(), address, len_bytes) };
            return copied(readable, address);
        };
        // SAFETY: as above.
        copied(
            unsafe { shim::nvmev_host_read(self.peers.0.as_ptr(), address, into, len_bytes) },
            address,
        )
    }

    fn prefetch(&self, copy: &DataCopy) {
        if let Ok(Some(ours)) = self.media(copy.media_offset, copy.len_bytes, copy.address) {
            // SAFETY: nothing is read or written; the C side looks at what is behind the address.
            unsafe { shim::nvmev_host_prefetch(copy.address, ours, copy.len_bytes) };
        }
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        let Some(from) = self.media(media_offset, into.len(), media_offset)? else {
            into.fill(0);
            return Ok(());
        };
        // SAFETY: `from` has this many bytes inside the storage, of which we never make references, and `into` is ours to write.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        let Some(into) = self.media(media_offset, from.len(), media_offset)? else {
            return Ok(());
        };
        // SAFETY: `into` has this many bytes inside the storage, of which we never make references, and `from` is ours to read.
        unsafe { into.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let Some(at) = self.media(media_offset, len_bytes, media_offset)? else {
            return Ok(());
        };
        // SAFETY: `at` has `len_bytes` inside the storage, of which we never make references.
        unsafe { at.write_bytes(0, len_bytes) };
        Ok(())
    }
}

impl InterruptLines for KernelHost {
    fn raise_msix(&self, vector: u16) {
        // SAFETY: the interrupts live as long as `self`.
        unsafe { shim::nvmev_raise_msix(self.irqs.as_ptr(), vector.into()) }
    }

    fn raise_intx(&self) {
        // SAFETY: as above.
        unsafe { shim::nvmev_raise_intx(self.irqs.as_ptr()) }
    }
}

impl CopyEngine for KernelHost {
    fn has_engine(&self, worker: usize) -> bool {
        self.dma.as_ref().is_some_and(|dma| dma.is_open(worker))
    }

    fn begin_copy(&self, batch: CopyBatch, copy: &DataCopy) -> usize {
        let is_on_medium = matches!(
            self.media(copy.media_offset, copy.len_bytes, copy.address),
            Ok(Some(_))
        );
        match &self.dma {
            Some(dma) if is_on_medium => dma.begin(batch, copy),
            _ => 0,
        }
    }

    fn issue_copies(&self, worker: usize) {
        if let Some(dma) = &self.dma {
            dma.issue(worker);
        }
    }

    fn copies_state(&self, batch: CopyBatch) -> CopyState {
        self.dma.as_ref().map_or(CopyState::Done, |dma| dma.state(batch))
    }

    fn abandon_copies(&self, worker: usize) {
        if let Some(dma) = &self.dma {
            dma.abandon(worker);
        }
    }

    fn remove_engine(&self, worker: usize) {
        if let Some(dma) = &self.dma {
            dma.remove(worker);
        }
    }
}
