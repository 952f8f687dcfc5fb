//! Memory that the device sees, too. All of this program's unsafe code is here.
#![expect(unsafe_code, reason = "a mapping of shared memory is a pointer")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{mmap, mmap_anonymous, munmap, MapFlags, ProtFlags};

/// A huge page: physically contiguous, and it stays where it is.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

const O_SYNC: i32 = 0o4_010_000;

/// Bytes that somebody else may change at any moment. Nobody makes references into them.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// `len` bytes of a file (a BAR, or physical memory), from `offset`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_file(path: &Path, offset: u64, len: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_SYNC)
            .open(path)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, offset)? };
        Self::new(start.cast(), len)
    }

    /// A huge page of zeros.
    ///
    /// # Errors
    /// What the kernel says: it may have none (see /proc/sys/vm/nr_hugepages).
    pub fn of_huge_page() -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::HUGETLB | MapFlags::POPULATE;
        // SAFETY: as above.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), HUGE_PAGE_BYTES, access, flags)? };
        Self::new(start.cast(), HUGE_PAGE_BYTES)
    }

    fn new(start: *mut u8, len: usize) -> io::Result<Self> {
        let start = NonNull::new(start).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, len })
    }

    /// Its length.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where its first byte is in physical memory (Documentation/admin-guide/mm/pagemap.rst of the kernel).
    ///
    /// # Errors
    /// If the kernel does not tell: it tells root.
    pub fn physical_address(&self) -> io::Result<u64> {
        const PAGE_BYTES: u64 = 4096;
        const PRESENT: u64 = 1 << 63;
        const FRAME_MASK: u64 = (1 << 55) - 1;
        let page = self.start.as_ptr() as u64 / PAGE_BYTES;
        let mut entry = [0; 8];
        File::open("/proc/self/pagemap")?.read_exact_at(&mut entry, page * 8)?;
        let entry = u64::from_ne_bytes(entry);
        let frame = entry & FRAME_MASK;
        if entry & PRESENT == 0 || frame == 0 {
            return Err(io::Error::other(
                "/proc/self/pagemap does not tell where memory is",
            ));
        }
        Ok(frame * PAGE_BYTES)
    }

    /// Reads a register.
    pub fn load(&self, offset: usize) -> u32 {
        self.word(offset).load(Ordering::Acquire)
    }

    /// Writes a register.
    pub fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        let at = self.at(offset, 4);
        assert!(offset % 4 == 0, "a register is aligned");
        // SAFETY: inside the mapping and aligned; others only change it as whole words, or not while we look.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    /// Copies bytes out.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        // SAFETY: both ends are as long as that; the device writes here only while a command says so.
        unsafe {
            self.at(offset, into.len())
                .copy_to_nonoverlapping(into.as_mut_ptr(), into.len())
        };
    }

    /// Copies bytes in.
    pub fn write(&self, offset: usize, from: &[u8]) {
        // SAFETY: as above.
        unsafe {
            self.at(offset, from.len())
                .copy_from_nonoverlapping(from.as_ptr(), from.len())
        };
    }

    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len),
            "{len} bytes at {offset:#x} are not in a mapping of {:#x} bytes",
            self.len
        );
        self.start.as_ptr().wrapping_add(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in one of the functions above, and nothing borrows from it any more.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            eprintln!("cannot unmap: {error}");
        }
    }
}

/// Memory with a physical address.
pub struct DmaMemory {
    mapping: Mapping,
    address: u64,
}

impl DmaMemory {
    /// A huge page.
    ///
    /// # Errors
    /// What is missing.
    pub fn huge_page() -> Result<Self, String> {
        let mapping = Mapping::of_huge_page()
            .map_err(|error| format!("no huge page ({error}): echo 8 >/proc/sys/vm/nr_hugepages"))?;
        let address = mapping.physical_address().map_err(|error| error.to_string())?;
        Ok(Self { mapping, address })
    }

    /// Memory that is somewhere else than in RAM: the file lets us see it, the device finds it at `address`.
    pub fn foreign(mapping: Mapping, address: u64) -> Self {
        Self { mapping, address }
    }

    /// How much it is.
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// What the device is told for `offset`.
    pub fn address(&self, offset: usize) -> u64 {
        self.address + offset as u64
    }

    /// Copies bytes out.
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.mapping.read(offset, &mut bytes);
        bytes
    }

    /// Copies bytes in.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.mapping.write(offset, bytes);
    }

    /// A word of a structure that the device publishes last: what was read before it is read after this.
    pub fn load(&self, offset: usize) -> u32 {
        self.mapping.load(offset)
    }

    /// A word that the device reads as such: what was written before it is there before it.
    pub fn store(&self, offset: usize, value: u32) {
        self.mapping.store(offset, value);
    }
}
