//! Bytes that several threads read and write. All accesses by pointer are here.
#![expect(
    unsafe_code,
    reason = "threads hand these bytes to each other by NVMe's rules, which the type system does not know"
)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{madvise, mmap_anonymous, munmap, Advice, MapFlags, ProtFlags};

/// A mapping of zeros, which takes memory only where it is touched. Nobody makes references to its bytes, but for atomic words.
///
/// Offsets and lengths are checked: what does not lie inside is `None`. Copies are plain ones: who may touch which bytes at what moment is agreed
/// upon by doorbells and completions, and `tests/threads.rs` has ThreadSanitizer see to it that it holds.
pub(crate) struct Memory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value; see there for how threads share it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// `len` zeros, page-aligned.
    pub fn new(len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, flags)? };
        let start: NonNull<u8> =
            NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        // The module's storage is in the kernel's direct mapping, which has large pages. Without them it is only slower.
        // SAFETY: the mapping above; nobody has it yet.
        let _ = unsafe { madvise(start.as_ptr().cast(), len, Advice::LinuxHugepage) };
        Ok(Self { start, len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Where `len` bytes from `offset` are.
    #[inline]
    fn at(&self, offset: u64, len: usize) -> Option<NonNull<u8>> {
        let offset = usize::try_from(offset).ok()?;
        if offset.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: inside the mapping.
        Some(unsafe { self.start.add(offset) })
    }

    /// Has bytes fetched into the cache. Nothing, if they are not all there.
    #[inline]
    pub fn prefetch(&self, offset: u64, len: usize) {
        #[cfg(target_arch = "x86_64")]
        self.each_line(offset, len, |line| {
            use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
            // SAFETY: every x86-64 has it, and it accesses nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
        });
    }

    /// Calls `each` with an address in each cache line of these bytes.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn each_line(&self, offset: u64, len: usize, each: impl Fn(*const u8)) {
        if let Some(start) = self.at(offset, len) {
            let in_line = start.addr().get() % 64;
            let from_line = start.as_ptr().wrapping_sub(in_line);
            (0..in_line + len)
                .step_by(64)
                .for_each(|at| each(from_line.wrapping_add(at)));
        }
    }

    /// Copies bytes out.
    #[inline]
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        let from = self.at(offset, into.len())?;
        // SAFETY: so many bytes of the mapping, and `into` is the caller's alone. Whoever wrote them last has handed them over.
        unsafe {
            from.as_ptr()
                .copy_to_nonoverlapping(into.as_mut_ptr(), into.len())
        };
        Some(())
    }

    /// Copies bytes in.
    #[inline]
    pub fn write(&self, offset: u64, from: &[u8]) -> Option<()> {
        let into = self.at(offset, from.len())?;
        // SAFETY: so many bytes of the mapping, and `from` is no part of it, for nobody has references to it. They are the caller's to write.
        unsafe { into.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Some(())
    }

    /// Copies `len` bytes of `from`, which is another mapping.
    #[inline]
    pub fn copy_from(&self, offset: u64, from: &Self, from_offset: u64, len: usize) -> Option<()> {
        assert_ne!(self.start, from.start, "between two mappings");
        let (into, from) = (self.at(offset, len)?, from.at(from_offset, len)?);
        // SAFETY: so many bytes of each mapping, which do not overlap. The ones are the caller's to read, the others to write.
        unsafe { into.as_ptr().copy_from_nonoverlapping(from.as_ptr(), len) };
        Some(())
    }

    /// As [`Memory::copy_from`], of whole aligned words, with stores that go past the caches: what the kernel has as `memcpy_flushcache`, for
    /// comparison.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn stream_from(&self, offset: u64, from: &Self, from_offset: u64, len: usize) -> Option<()> {
        use std::arch::x86_64::{_mm_sfence, _mm_stream_si64};
        assert_ne!(self.start, from.start, "between two mappings");
        let into = self.at(offset, len)?.cast::<i64>();
        let from = from.at(from_offset, len)?.cast::<i64>();
        if !into.is_aligned() || !from.is_aligned() || len % size_of::<i64>() != 0 {
            return None;
        }
        for word in 0..len / size_of::<i64>() {
            // SAFETY: as in `copy_from`, word by word; both ends are aligned.
            unsafe { _mm_stream_si64(into.as_ptr().add(word), from.as_ptr().add(word).read()) };
        }
        // SAFETY: every x86-64 has it. Whoever is told of the copy afterwards sees it.
        unsafe { _mm_sfence() };
        Some(())
    }

    /// Fills with zeros.
    #[inline]
    pub fn zero(&self, offset: u64, len: usize) -> Option<()> {
        let at = self.at(offset, len)?;
        // SAFETY: so many bytes of the mapping, which are the caller's to write.
        unsafe { at.as_ptr().write_bytes(0, len) };
        Some(())
    }

    /// The word at `offset`, a multiple of 4; for words that are accessed as such only, or by one thread at a time.
    #[inline]
    pub fn word(&self, offset: u64) -> Option<&AtomicU32> {
        let at = self.at(offset, size_of::<AtomicU32>())?.cast::<AtomicU32>();
        if !at.is_aligned() {
            return None;
        }
        // SAFETY: aligned and inside the mapping, which lives as long as `self`.
        Some(unsafe { at.as_ref() })
    }

    /// As [`Memory::word`], of 8 bytes.
    #[inline]
    fn double_word(&self, offset: u64) -> Option<&AtomicU64> {
        let at = self.at(offset, size_of::<AtomicU64>())?.cast::<AtomicU64>();
        if !at.is_aligned() {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { at.as_ref() })
    }

    /// Writes a completion queue entry so that whoever sees its second half sees the first.
    #[inline]
    pub fn publish(&self, offset: u64, halves: [u64; 2]) -> Option<()> {
        let (first, second) = (
            self.double_word(offset)?,
            self.double_word(offset.checked_add(8)?)?,
        );
        first.store(halves[0], Ordering::Relaxed);
        second.store(halves[1], Ordering::Release);
        Some(())
    }

    /// The second half of an entry, and with it all that happened before it was published.
    #[inline]
    pub fn second_half(&self, offset: u64) -> Option<u64> {
        Some(self.double_word(offset.checked_add(8)?)?.load(Ordering::Acquire))
    }

    /// The first half of an entry whose second was seen.
    #[inline]
    pub fn first_half(&self, offset: u64) -> Option<u64> {
        Some(self.double_word(offset)?.load(Ordering::Relaxed))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nobody has references to it beyond `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "it was mapped");
    }
}
