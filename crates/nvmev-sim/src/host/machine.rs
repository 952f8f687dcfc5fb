//! The machine: RAM at an address, a medium, a BAR, and a record of the interrupts raised.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU32;

use nvme_device::{Host, MemoryFault, BAR_SIZE_BYTES, VECTORS_MAX};
use zerocopy::IntoBytes;

/// Physical address of the first byte of RAM. Nothing is below it, so that a null pointer is a fault.
pub const RAM_BASE: u64 = 0x10_0000;

/// Interrupts raised since they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// Per MSI-X vector.
    pub msix: Vec<u32>,
    /// Pin-based.
    pub intx: u32,
}

/// Memory, medium and interrupt lines. Cells instead of locks: one thread uses it.
pub struct Machine {
    ram: RefCell<Vec<u8>>,
    media: RefCell<Vec<u8>>,
    bar: Vec<AtomicU32>,
    interrupts: RefCell<Interrupts>,
    /// Bytes of host memory that the device has read and written, for tests that count accesses.
    reads: Cell<u64>,
    /// Addresses of pages that the device cannot reach.
    unplugged: RefCell<Vec<u64>>,
}

impl Machine {
    /// A machine with zeroed RAM and medium.
    pub fn new(ram_bytes: usize, media_bytes: usize) -> Self {
        Self {
            ram: RefCell::new(vec![0; ram_bytes]),
            media: RefCell::new(vec![0; media_bytes]),
            bar: (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect(),
            interrupts: RefCell::new(Interrupts {
                msix: vec![0; VECTORS_MAX.into()],
                intx: 0,
            }),
            reads: Cell::new(0),
            unplugged: RefCell::new(Vec::new()),
        }
    }

    /// Address after the last byte of RAM.
    pub fn ram_end(&self) -> u64 {
        RAM_BASE + self.ram.borrow().len() as u64
    }

    /// Interrupts raised since the last call.
    pub fn take_interrupts(&self) -> Interrupts {
        let none = Interrupts {
            msix: vec![0; VECTORS_MAX.into()],
            intx: 0,
        };
        self.interrupts.replace(none)
    }

    /// Reads of host memory by the device so far (one per call of [`Host::read`]).
    pub fn device_reads(&self) -> u64 {
        self.reads.get()
    }

    /// Takes the page at `address` away from the device.
    pub fn unplug(&self, address: u64) {
        self.unplugged.borrow_mut().push(address);
    }

    /// Gives all pages back.
    pub fn plug_all(&self) {
        self.unplugged.borrow_mut().clear();
    }

    fn check_plugged(&self, address: u64, len: usize) -> Result<(), MemoryFault> {
        let unplugged = self.unplugged.borrow();
        let end = address.saturating_add(len as u64);
        match unplugged.iter().any(|&page| page < end && address < page + 4096) {
            true => Err(MemoryFault { address }),
            false => Ok(()),
        }
    }

    /// A copy of `len` bytes of RAM, read as the driver reads it.
    ///
    /// # Panics
    /// If the range is not RAM: the test is wrong.
    pub fn ram(&self, address: u64, len: usize) -> Vec<u8> {
        let at = ram_index(&self.ram.borrow(), address, len).expect("a test reads RAM only");
        self.ram.borrow()[at..at + len].to_vec()
    }

    /// Puts bytes into RAM as the driver does.
    ///
    /// # Panics
    /// If the range is not RAM: the test is wrong.
    pub fn set_ram(&self, address: u64, bytes: &[u8]) {
        let at = ram_index(&self.ram.borrow(), address, bytes.len()).expect("a test writes RAM only");
        self.ram.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The whole medium.
    pub fn media(&self) -> Vec<u8> {
        self.media.borrow().clone()
    }
}

fn ram_index(ram: &[u8], address: u64, len: usize) -> Result<usize, MemoryFault> {
    let fault = MemoryFault { address };
    let at = usize::try_from(address.checked_sub(RAM_BASE).ok_or(fault)?).map_err(|_| fault)?;
    match at.checked_add(len) {
        Some(end) if end <= ram.len() => Ok(at),
        _ => Err(fault),
    }
}

fn media_range(media: &[u8], offset: u64, len: usize) -> std::ops::Range<usize> {
    let at = usize::try_from(offset).expect("the core stays on the medium");
    assert!(
        at + len <= media.len(),
        "the core left the medium: {len} bytes at {offset:#x}"
    );
    at..at + len
}

impl Host for Machine {
    fn bar(&self) -> &[AtomicU32] {
        &self.bar
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.reads.set(self.reads.get() + 1);
        self.check_plugged(address, into.len())?;
        let ram = self.ram.borrow();
        let at = ram_index(&ram, address, into.len())?;
        into.copy_from_slice(&ram[at..at + into.len()]);
        Ok(())
    }

    fn load(&self, address: u64, into: &mut [u32]) -> Result<(), MemoryFault> {
        assert_eq!(address % 4, 0, "words are aligned");
        self.read(address, into.as_mut_bytes())?;
        into.iter_mut().for_each(|word| *word = u32::from_le(*word));
        Ok(())
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.check_plugged(address, from.len())?;
        let mut ram = self.ram.borrow_mut();
        let at = ram_index(&ram, address, from.len())?;
        ram[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        assert_eq!(address % 16, 0, "a completion queue entry is aligned");
        self.write(address, entry)
    }

    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let media = self.media.borrow();
        self.write(address, &media[media_range(&media, media_offset, len_bytes)])
    }

    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let ram = self.ram.borrow();
        let at = ram_index(&ram, address, len_bytes)?;
        let mut media = self.media.borrow_mut();
        let range = media_range(&media, media_offset, len_bytes);
        media[range].copy_from_slice(&ram[at..at + len_bytes]);
        Ok(())
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        let media = self.media.borrow();
        into.copy_from_slice(&media[media_range(&media, media_offset, into.len())]);
        Ok(())
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        let mut media = self.media.borrow_mut();
        let range = media_range(&media, media_offset, from.len());
        media[range].copy_from_slice(from);
        Ok(())
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        let mut media = self.media.borrow_mut();
        let range = media_range(&media, media_offset, len_bytes);
        media[range].fill(0);
        Ok(())
    }

    fn raise_msix(&self, vector: u16) {
        self.interrupts.borrow_mut().msix[usize::from(vector)] += 1;
    }

    fn raise_intx(&self) {
        self.interrupts.borrow_mut().intx += 1;
    }
}
