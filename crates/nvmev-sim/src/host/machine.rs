//! The machine: RAM at an address, a medium, a BAR, and a record of the interrupts raised.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU32;

use nvme_device::{
    CopyBatch, CopyEngine, CopyState, DataCopy, HostMemory, InterruptLines, Media, MemoryFault,
    BAR_SIZE_BYTES, VECTORS_MAX,
};
use zerocopy::IntoBytes;

use super::engine::{Copy, Engine, EngineCounts, EngineFaults};
use super::memory::Memory;

/// Physical address of the first byte of RAM. Nothing is below it, so that a null pointer is a fault.
pub const RAM_BASE: u64 = 0x10_0000;

/// What an engine puts where other bytes should be.
const WRONG: u8 = 0xBD;

/// Interrupts raised since they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// Per MSI-X vector.
    pub msix: Vec<u32>,
    /// Pin-based.
    pub intx: u32,
}

/// A read of the length of a submission queue entry.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// Where it was.
    pub address: u64,
    /// What was there.
    pub bytes: [u8; 64],
}

/// Changes what the device writes to host memory: sees the bytes before they get there.
type Tampering = Box<dyn Fn(&mut [u8]) + Send>;

/// Memory, medium (or none) and interrupt lines. Cells instead of locks: one thread uses it.
pub struct Machine {
    ram: RefCell<Memory>,
    /// The medium, or none: then nothing of what is written is kept.
    media: Option<RefCell<Memory>>,
    media_bytes: u64,
    bar: Vec<AtomicU32>,
    interrupts: RefCell<Interrupts>,
    /// Bytes of host memory that the device has read and written, for tests that count accesses.
    reads: Cell<u64>,
    /// Addresses of pages that the device cannot reach.
    unplugged: RefCell<Vec<u64>>,
    /// What the device may have taken for commands, if a test watches for them.
    fetches: RefCell<Option<Vec<Fetch>>>,
    /// What the device has said that it will copy, and how many copies it had made then, if a test watches for it.
    upcoming: RefCell<Option<Vec<(DataCopy, u64)>>>,
    /// Copies between the medium and RAM.
    copies: Cell<u64>,
    /// Bytes of the medium that were filled with zeros.
    zeroed_bytes: Cell<u64>,
    /// What a test does to what the device writes.
    tampering: RefCell<Option<Tampering>>,
    /// What copies beside the device, if there is something.
    engine: RefCell<Option<Engine>>,
}

impl Machine {
    /// A machine with zeroed RAM and medium.
    pub fn new(ram_bytes: usize, media_bytes: usize) -> Self {
        Self {
            media: Some(RefCell::new(Memory::new(media_bytes))),
            ..Self::without_medium(ram_bytes, media_bytes as u64)
        }
    }

    /// A machine with zeroed RAM, which keeps nothing of what is written to its `media_bytes`.
    pub fn without_medium(ram_bytes: usize, media_bytes: u64) -> Self {
        Self {
            ram: RefCell::new(Memory::new(ram_bytes)),
            media: None,
            media_bytes,
            bar: (0..BAR_SIZE_BYTES / 4).map(|_| AtomicU32::new(0)).collect(),
            interrupts: RefCell::new(Interrupts {
                msix: vec![0; VECTORS_MAX.into()],
                intx: 0,
            }),
            reads: Cell::new(0),
            unplugged: RefCell::new(Vec::new()),
            fetches: RefCell::new(None),
            upcoming: RefCell::new(None),
            copies: Cell::new(0),
            zeroed_bytes: Cell::new(0),
            tampering: RefCell::new(None),
            engine: RefCell::new(None),
        }
    }

    /// Makes all of it as it was when it was new, for the next test: quicker than a new one, where little was written.
    pub fn wipe(&mut self) {
        self.ram.get_mut().wipe();
        if let Some(media) = &mut self.media {
            media.get_mut().wipe();
        }
        self.bar.iter_mut().for_each(|word| *word.get_mut() = 0);
        self.take_interrupts();
        self.reads.set(0);
        self.zeroed_bytes.set(0);
        self.fetches.replace(None);
        self.upcoming.replace(None);
        self.tampering.replace(None);
        self.engine.replace(None);
    }

    /// Gives each worker a DMA engine, in place of the one it has. What engines do is the same for the same seed.
    pub fn install_engine(&self, seed: u64, faults: EngineFaults) {
        self.engine.replace(Some(Engine::new(seed, faults)));
    }

    /// From now on the engines behave so, if there are any.
    pub fn set_engine_faults(&self, faults: EngineFaults) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.set_faults(faults);
        }
    }

    /// What the engines did.
    pub fn engine_counts(&self) -> EngineCounts {
        self.engine
            .borrow()
            .as_ref()
            .map(Engine::counts)
            .unwrap_or_default()
    }

    /// Some time passes for the engine of `worker`.
    fn let_engine_work(&self, worker: usize) {
        let ended = self
            .engine
            .borrow_mut()
            .as_mut()
            .and_then(|engine| engine.work(worker));
        let Some(Copy {
            batch,
            copy,
            is_spoilt,
        }) = ended
        else {
            return;
        };
        let DataCopy {
            address,
            media_offset,
            len_bytes,
            ..
        } = copy;
        let wrong = vec![WRONG; len_bytes];
        let done = match (copy.is_to_host, is_spoilt) {
            (true, false) => self.media_to_host(media_offset, address, len_bytes),
            (true, true) => self.write(address, &wrong),
            (false, false) => self.host_to_media(address, media_offset, len_bytes),
            (false, true) => self.write_media(media_offset, &wrong),
        };
        if let (true, Some(engine)) = (is_spoilt || done.is_err(), self.engine.borrow_mut().as_mut()) {
            engine.note_failure(batch);
        }
    }

    /// From now on gives all that the device writes to host memory, a piece or a completion at a time, to `tampering` first: a device that is wrong, for tests
    /// of what should notice it.
    pub fn tamper(&self, tampering: impl Fn(&mut [u8]) + Send + 'static) {
        self.tampering.replace(Some(Box::new(tampering)));
    }

    /// From now on remembers what the device reads in the length of a command, for [`Machine::take_fetches`].
    pub fn watch_fetches(&self) {
        self.fetches.replace(Some(Vec::new()));
    }

    /// What the device read in the length of a command since the last call, oldest first.
    pub fn take_fetches(&self) -> Vec<Fetch> {
        let mut fetches = self.fetches.borrow_mut();
        fetches.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// From now on remembers what the device says that it will copy, for [`Machine::take_upcoming`].
    pub fn watch_upcoming(&self) {
        self.upcoming.replace(Some(Vec::new()));
        self.copies.set(0);
    }

    /// What the device has said since the last call that it will copy, oldest first, and how many copies between medium and RAM it had made before since
    /// it is watched.
    pub fn take_upcoming(&self) -> Vec<(DataCopy, u64)> {
        let mut upcoming = self.upcoming.borrow_mut();
        upcoming.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Address after the last byte of RAM.
    pub fn ram_end(&self) -> u64 {
        RAM_BASE + self.ram.borrow().bytes().len() as u64
    }

    /// Interrupts raised since the last call.
    pub fn take_interrupts(&self) -> Interrupts {
        let none = Interrupts {
            msix: vec![0; VECTORS_MAX.into()],
            intx: 0,
        };
        self.interrupts.replace(none)
    }

    /// Reads of host memory by the device so far (one per call of [`HostMemory::read`]).
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
        let ram = self.ram.borrow();
        let at = ram_index(ram.bytes(), address, len).expect("a test reads RAM only");
        ram.bytes()[at..at + len].to_vec()
    }

    /// Puts bytes into RAM as the driver does.
    ///
    /// # Panics
    /// If the range is not RAM: the test is wrong.
    pub fn set_ram(&self, address: u64, bytes: &[u8]) {
        let mut ram = self.ram.borrow_mut();
        let at = ram_index(ram.bytes(), address, bytes.len()).expect("a test writes RAM only");
        ram.write(at..at + bytes.len()).copy_from_slice(bytes);
    }

    /// Bytes of the medium that the device has filled with zeros so far.
    pub fn zeroed_bytes(&self) -> u64 {
        self.zeroed_bytes.get()
    }

    /// Whether it keeps what is written to the medium.
    pub fn has_medium(&self) -> bool {
        self.media.is_some()
    }

    /// The whole medium; empty if there is none.
    pub fn media(&self) -> Vec<u8> {
        let media = self.media.as_ref();
        media.map_or_else(Vec::new, |media| media.borrow().bytes().to_vec())
    }

    fn check_media_range(&self, offset: u64, len: usize) {
        let end = offset.checked_add(len as u64);
        assert!(
            end.is_some_and(|end| end <= self.media_bytes),
            "the core left the medium: {len} bytes at {offset:#x}"
        );
    }

    /// Changes a part of the medium, if there is one.
    fn change_media(&self, offset: u64, len: usize, change: impl FnOnce(&mut [u8])) {
        self.check_media_range(offset, len);
        if let Some(media) = &self.media {
            let at = offset as usize;
            change(media.borrow_mut().write(at..at + len));
        }
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

impl HostMemory for Machine {
    fn bar(&self) -> &[AtomicU32] {
        &self.bar
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.reads.set(self.reads.get() + 1);
        self.check_plugged(address, into.len())?;
        let ram = self.ram.borrow();
        let at = ram_index(ram.bytes(), address, into.len())?;
        into.copy_from_slice(&ram.bytes()[at..at + into.len()]);
        if let (Some(fetches), Ok(bytes)) = (self.fetches.borrow_mut().as_mut(), (&*into).try_into()) {
            fetches.push(Fetch { address, bytes });
        }
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
        let at = ram_index(ram.bytes(), address, from.len())?;
        let into = ram.write(at..at + from.len());
        into.copy_from_slice(from);
        if let Some(tampering) = &*self.tampering.borrow() {
            tampering(into);
        }
        Ok(())
    }

    fn publish(&self, address: u64, entry: &[u8; 16]) -> Result<(), MemoryFault> {
        assert_eq!(address % 16, 0, "a completion queue entry is aligned");
        self.write(address, entry)
    }
}

impl Media for Machine {
    fn media_to_host(&self, media_offset: u64, address: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.copies.set(self.copies.get() + 1);
        let mut data = vec![0; len_bytes];
        self.read_media(media_offset, &mut data)?;
        self.write(address, &data)
    }

    fn host_to_media(&self, address: u64, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.copies.set(self.copies.get() + 1);
        let ram = self.ram.borrow();
        let at = ram_index(ram.bytes(), address, len_bytes)?;
        self.write_media(media_offset, &ram.bytes()[at..at + len_bytes])
    }

    fn read_media(&self, media_offset: u64, into: &mut [u8]) -> Result<(), MemoryFault> {
        self.check_media_range(media_offset, into.len());
        match &self.media {
            Some(media) => {
                let at = media_offset as usize;
                into.copy_from_slice(&media.borrow().bytes()[at..at + into.len()]);
            }
            None => into.fill(0),
        }
        Ok(())
    }

    fn write_media(&self, media_offset: u64, from: &[u8]) -> Result<(), MemoryFault> {
        self.change_media(media_offset, from.len(), |media| media.copy_from_slice(from));
        Ok(())
    }

    fn zero_media(&self, media_offset: u64, len_bytes: usize) -> Result<(), MemoryFault> {
        self.zeroed_bytes.set(self.zeroed_bytes.get() + len_bytes as u64);
        self.change_media(media_offset, len_bytes, |media| media.fill(0));
        Ok(())
    }

    fn prefetch(&self, copy: &DataCopy) {
        self.check_media_range(copy.media_offset, copy.len_bytes);
        if let Some(upcoming) = self.upcoming.borrow_mut().as_mut() {
            upcoming.push((*copy, self.copies.get()));
        }
    }
}

impl InterruptLines for Machine {
    fn raise_msix(&self, vector: u16) {
        self.interrupts.borrow_mut().msix[usize::from(vector)] += 1;
    }

    fn raise_intx(&self) {
        self.interrupts.borrow_mut().intx += 1;
    }
}

impl CopyEngine for Machine {
    fn has_engine(&self, worker: usize) -> bool {
        let engine = self.engine.borrow();
        engine.as_ref().is_some_and(|engine| engine.is_there_for(worker))
    }

    fn begin_copy(&self, batch: CopyBatch, copy: &DataCopy) -> usize {
        self.check_media_range(copy.media_offset, copy.len_bytes);
        let is_ram = self.check_plugged(copy.address, copy.len_bytes).is_ok()
            && ram_index(self.ram.borrow().bytes(), copy.address, copy.len_bytes).is_ok();
        match self.engine.borrow_mut().as_mut() {
            Some(engine) if is_ram => engine.begin(batch, copy),
            _ => 0,
        }
    }

    fn issue_copies(&self, worker: usize) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.issue(worker);
        }
    }

    fn copies_state(&self, batch: CopyBatch) -> CopyState {
        self.let_engine_work(batch.worker);
        let mut engine = self.engine.borrow_mut();
        engine
            .as_mut()
            .map_or(CopyState::Done, |engine| engine.state(batch))
    }

    fn abandon_copies(&self, worker: usize) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.abandon(worker);
        }
    }

    fn remove_engine(&self, worker: usize) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.remove(worker);
        }
    }
}
