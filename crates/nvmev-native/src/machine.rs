//! The machine around the device: RAM at an address, a medium, a BAR, and counters of the interrupts raised.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nvme_device::{
    CopyEngine, DataCopy, HostMemory, InterruptLines, Media, MemoryFault, BAR_SIZE_BYTES, VECTORS_MAX,
};
use nvme_spec::SubmissionQueueEntry;
use zerocopy::IntoBytes;

use crate::memory::Memory;

/// Physical address of the first byte of RAM. Nothing is below it, so that a null pointer is a fault.
pub const RAM_BASE: u64 = 0x10_0000;

/// What the drive has for a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// So many bytes of memory.
    Bytes(usize),
    /// Nothing: writes are dropped, and reads leave the host's buffers as they are. For times only.
    Nothing,
    /// Nothing: writes are dropped, and reads fill the host's buffers with zeros.
    Zeros,
}

/// Implements [`nvme_device::Host`] with memory of this process. Several threads use it at once.
pub struct Machine {
    ram: Memory,
    /// The medium, if there is one, and otherwise whether reads give zeros.
    medium: Option<Memory>,
    reads_zeros: bool,
    bar: Box<[AtomicU32]>,
    /// InterruptLines raised, per MSI-X vector and by the pin. Not by atomic additions: those wait until all that was written before is in the caches, which
    /// would be most of what is measured. So workers that raise the same one at once may count one for two.
    msix: Box<[AtomicU64]>,
    intx: AtomicU64,
}

impl Machine {
    /// With so much RAM and this medium, all of it zeros.
    ///
    /// # Errors
    /// What the kernel says: not enough memory.
    pub fn new(ram_bytes: usize, medium: Medium) -> io::Result<Self> {
        let bytes = match medium {
            Medium::Bytes(bytes) => Some(Memory::new(bytes)?),
            Medium::Nothing | Medium::Zeros => None,
        };
        Ok(Self {
            ram: Memory::new(ram_bytes)?,
            medium: bytes,
            reads_zeros: medium == Medium::Zeros,
            bar: (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect(),
            msix: (0..VECTORS_MAX).map(|_| AtomicU64::new(0)).collect(),
            intx: AtomicU64::new(0),
        })
    }

    /// Address after the last byte of RAM.
    pub fn ram_end(&self) -> u64 {
        RAM_BASE + self.ram.len() as u64
    }

    /// InterruptLines raised so far: by all vectors, and by the pin.
    pub fn interrupts(&self) -> (u64, u64) {
        let raised = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (self.msix.iter().map(raised).sum(), raised(&self.intx))
    }

    /// Copies RAM out, for the driver. `None` if it is no RAM.
    pub fn read_ram(&self, address: u64, into: &mut [u8]) -> Option<()> {
        self.ram.read(address.checked_sub(RAM_BASE)?, into)
    }

    /// Copies into RAM, for the driver. `None` if it is no RAM.
    pub fn write_ram(&self, address: u64, from: &[u8]) -> Option<()> {
        self.ram.write(address.checked_sub(RAM_BASE)?, from)
    }

    /// What a read or write of the drive comes down to: a copy of the medium's bytes to RAM and nothing else. To compare with. `None` if there are no
    /// such bytes.
    #[inline]
    pub fn copy_to_ram(&self, media_offset: u64, address: u64, len: usize) -> Option<()> {
        let medium = self.medium.as_ref()?;
        self.ram
            .copy_from(address.checked_sub(RAM_BASE)?, medium, media_offset, len)
    }

    /// As [`Machine::copy_to_ram`], the other way.
    #[inline]
    pub fn copy_to_medium(&self, address: u64, media_offset: u64, len: usize) -> Option<()> {
        let medium = self.medium.as_ref()?;
        medium.copy_from(media_offset, &self.ram, address.checked_sub(RAM_BASE)?, len)
    }

    /// As [`Machine::copy_to_ram`], with stores that go past the caches. To compare with.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn stream_to_ram(&self, media_offset: u64, address: u64, len: usize) -> Option<()> {
        let medium = self.medium.as_ref()?;
        self.ram
            .stream_from(address.checked_sub(RAM_BASE)?, medium, media_offset, len)
    }

    /// As [`Machine::stream_to_ram`], the other way.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn stream_to_medium(&self, address: u64, media_offset: u64, len: usize) -> Option<()> {
        let medium = self.medium.as_ref()?;
        medium.stream_from(media_offset, &self.ram, address.checked_sub(RAM_BASE)?, len)
    }

    /// Puts an entry into a submission queue.
    #[inline]
    pub(crate) fn place(&self, address: u64, entry: &SubmissionQueueEntry) -> Option<()> {
        self.write_ram(address, entry.as_bytes())
    }

    /// Second half of the completion queue entry at `address`, with its phase bit, read before the first half.
    #[inline]
    pub(crate) fn completion(&self, address: u64) -> Option<u64> {
        self.ram.second_half(address.checked_sub(RAM_BASE)?)
    }

    /// First half of an entry that is known to be there.
    #[inline]
    pub(crate) fn completion_result(&self, address: u64) -> Option<u64> {
        self.ram.first_half(address.checked_sub(RAM_BASE)?)
    }

    /// A word of RAM that both sides access as such: a shadow doorbell.
    #[inline]
    pub(crate) fn word(&self, address: u64) -> Option<&AtomicU32> {
        self.ram.word(address.checked_sub(RAM_BASE)?)
    }
}

#[inline]
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn found(done: Option<()>, address: u64) -> Result<(), MemoryFault> {
    done.ok_or(MemoryFault { address })
}

impl HostMemory for Machine {
    #[inline]
    fn bar(&self) -> &[AtomicU32] {
        &self.bar
    }

    #[inline]
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        found(self.read_ram(address, into), address)
    }

    #[inline]
    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault> {
        for (at, value) in (address..).step_by(size_of::<u32>()).zip(into) {
            let word = self.word(at).ok_or(MemoryFault { address: at })?;
            *value = u32::from_le(word.load(Ordering::Acquire));
        }
        Ok(())
    }

    #[inline]
    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault> {
        found(self.write_ram(address, from), address)
    }

    #[inline]
    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        // Words of this machine, as the driver reads them, too.
        let halves: [u64; 2] = zerocopy::transmute!(*entry);
        let done = address
            .checked_sub(RAM_BASE)
            .and_then(|offset| self.ram.publish(offset, halves));
        found(done, address)
    }
}

impl Media for Machine {
    #[inline]
    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let done = match (&self.medium, self.reads_zeros) {
            (Some(_), _) => self.copy_to_ram(media_offset, address, len_bytes),
            (None, true) => address
                .checked_sub(RAM_BASE)
                .and_then(|offset| self.ram.zero(offset, len_bytes)),
            (None, false) => Some(()),
        };
        found(done, address)
    }

    #[inline]
    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let done = match self.medium {
            Some(_) => self.copy_to_medium(address, media_offset, len_bytes),
            None => Some(()),
        };
        found(done, address)
    }

    #[inline]
    fn prefetch(&self, copy: &DataCopy) {
        let (Some(medium), Some(in_ram)) = (&self.medium, copy.address.checked_sub(RAM_BASE)) else {
            return;
        };
        // Not as what will be written, at either end: that is slower here (docs/performance.md).
        medium.prefetch(copy.media_offset, copy.len_bytes);
        self.ram.prefetch(in_ram, copy.len_bytes);
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        let Some(medium) = &self.medium else {
            into.fill(0);
            return Ok(());
        };
        found(medium.read(media_offset, into), media_offset)
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        let done = match &self.medium {
            Some(medium) => medium.write(media_offset, from),
            None => Some(()),
        };
        found(done, media_offset)
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let done = match &self.medium {
            Some(medium) => medium.zero(media_offset, len_bytes),
            None => Some(()),
        };
        found(done, media_offset)
    }
}

impl InterruptLines for Machine {
    #[inline]
    fn raise_msix(&self, vector: u16) {
        if let Some(counter) = self.msix.get(usize::from(vector)) {
            count(counter);
        }
    }

    #[inline]
    fn raise_intx(&self) {
        count(&self.intx);
    }
}

impl CopyEngine for Machine {}
