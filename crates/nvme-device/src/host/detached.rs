//! A machine whose memory the device must not touch any more.

use core::sync::atomic::AtomicU32;

use crate::host::{CopyBatch, CopyEngine, CopyState, Host, HostMemory, InterruptLines, Media, MemoryFault};

/// What a worker sees that has to forget its commands after the function has lost its way to the host's memory: no address has memory behind
/// it, and no interrupt is raised. The medium is there, so that whatever a command owes to it is done: data that does not arrive leaves no
/// trace of what was there before.
pub(crate) struct DetachedHost<'a, H>(pub &'a H);

impl<H: Host> HostMemory for DetachedHost<'_, H> {
    fn bar(&self) -> &[AtomicU32] {
        self.0.bar()
    }

    fn read(&self, address: u64, _: &mut [u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn load(&self, address: u64, _: &mut [u32]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn write(&self, address: u64, _: &[u8]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn publish(&self, address: u64, _: &[u8; 16]) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }
}

impl<H: Host> Media for DetachedHost<'_, H> {
    fn media_to_host(&self, _: u64, address: u64, _: usize) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn host_to_media(&self, address: u64, _: u64, _: usize) -> Result<(), MemoryFault> {
        Err(MemoryFault { address })
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.0.read_media(media_offset, into)
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.0.write_media(media_offset, from)
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.0.zero_media(media_offset, len_bytes)
    }
}

impl<H: Host> InterruptLines for DetachedHost<'_, H> {
    fn raise_msix(&self, _: u16) {}

    fn raise_intx(&self) {}
}

impl<H: Host> CopyEngine for DetachedHost<'_, H> {
    // No copy begins any more; those under way come to their end.
    fn copies_state(&self, batch: CopyBatch) -> CopyState {
        self.0.copies_state(batch)
    }

    fn abandon_copies(&self, worker: usize) {
        self.0.abandon_copies(worker);
    }

    fn remove_engine(&self, worker: usize) {
        self.0.remove_engine(worker);
    }
}
