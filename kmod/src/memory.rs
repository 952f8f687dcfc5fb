// SPDX-License-Identifier: GPL-2.0-only
//! The device's physical memory: a range reserved at boot, or memory blocks of the running kernel.

use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

use module_params::carve::{carve, Blocks, CarveError};
use module_params::memory::BAR_AREA_BYTES;
use module_params::size::Bytes;
use module_params::MemorySource;

use crate::log::error;
use crate::shim;

/// What the kernel keeps at least, beyond what we take.
pub const LEFT_FOR_KERNEL_BYTES: u64 = 128 << 20;

/// What is taken from the kernel, as the user asked for it: with `data=none`, what `size=` says is not taken.
struct Wanted(u64);

impl Wanted {
    /// Whether it is for the registers alone.
    fn is_for_registers(&self) -> bool {
        self.0 <= BAR_AREA_BYTES
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_for_registers() {
            true => f.write_str("data=none, which takes one memory block for the registers"),
            false => write!(f, "size={}", Bytes(self.0)),
        }
    }
}

/// Why there is no memory for the device.
pub enum MemoryError {
    /// The kernel uses the range that the user named.
    IsRam { start: u64, size: u64 },
    /// The range that the user named is not reserved.
    NotReserved { start: u64, size: u64 },
    /// A driver has a part of it.
    Busy { start: u64, size: u64 },
    /// The kernel cannot part with memory at all.
    NoHotRemove { size: u64 },
    /// Too little is free.
    NotAvailable { size: u64, available: u64 },
    /// Enough is free, but not in one piece that the kernel lets go of.
    NotContiguous { size: u64, longest: u64, block: u64 },
    /// The user stopped the search.
    Interrupted,
    /// It cannot be mapped.
    NotMapped { start: u64, size: u64 },
    /// No memory for the list of blocks.
    OutOfMemory,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IsRam { start, size } => write!(
                f,
                "memmap_start={} memmap_size={}: the kernel uses this range; reserve it with memmap={}${} on the kernel \
                 command line (in GRUB's file the $ is written \\\\\\$) and boot again, or load with size={}",
                Bytes(start),
                Bytes(size),
                Bytes(size),
                Bytes(start),
                Bytes(size)
            ),
            Self::NotReserved { start, size } => write!(
                f,
                "memmap_start={} memmap_size={}: not wholly memory that was reserved at boot; name the range of \
                 memmap=SIZE$START on the kernel command line (see /proc/iomem), or load with size={}",
                Bytes(start),
                Bytes(size),
                Bytes(size)
            ),
            Self::Busy { start, size } => write!(
                f,
                "the memory from {start:#x} to {:#x} belongs to another driver (see /proc/iomem); reserve other memory",
                start + size - 1
            ),
            Self::NoHotRemove { size } => write!(
                f,
                "{}: this kernel cannot part with memory (CONFIG_MEMORY_HOTREMOVE is off); reserve it with \
                 memmap=SIZE$START on the kernel command line and load with memmap_start= and memmap_size=",
                Wanted(size)
            ),
            Self::NotAvailable { size, available } => write!(
                f,
                "{}: only {} MiB of memory are available, and the kernel needs some of it; stop programs{}",
                Wanted(size),
                available >> 20,
                match Wanted(size).is_for_registers() {
                    true => "",
                    false => ", or choose a smaller size",
                }
            ),
            Self::NotContiguous { size, longest, block } => write!(
                f,
                "{}: at most {} in one piece can be taken from the kernel (in blocks of {}); try {}echo 3 \
                 >/proc/sys/vm/drop_caches, or boot with movablecore={} or with memmap=SIZE$START",
                Wanted(size),
                Bytes(longest),
                Bytes(block),
                match Wanted(size).is_for_registers() {
                    true => "",
                    false => "a smaller size, ",
                },
                Bytes(size.max(block))
            ),
            Self::Interrupted => f.write_str("interrupted while taking memory from the kernel"),
            Self::NotMapped { start, size } => {
                write!(f, "the memory from {start:#x} to {:#x} cannot be mapped", start + size - 1)
            }
            Self::OutOfMemory => f.write_str("not enough kernel memory"),
        }
    }
}

/// Memory that is the device's until this is dropped.
pub struct DeviceMemory {
    // Dropped in this order: the claim before the memory goes back.
    claim: Option<Claim>,
    start: u64,
    blocks: Option<TakenBlocks>,
}

impl DeviceMemory {
    /// Gets the memory: for the registers, and for the storage if there is to be one.
    ///
    /// # Errors
    /// If it cannot be had; then nothing has changed.
    pub fn acquire(source: MemorySource, has_storage: bool, node: u32) -> Result<Self, MemoryError> {
        let (start, blocks) = match source {
            MemorySource::Reserved {
                start,
                size_bytes: size,
            } => {
                match shim::nvmev_memory_inspect(start, size) {
                    shim::RANGE_RESERVED => {}
                    shim::RANGE_RAM => return Err(MemoryError::IsRam { start, size }),
                    _ => return Err(MemoryError::NotReserved { start, size }),
                }
                (start, None)
            }
            MemorySource::Taken { size_bytes } => {
                let blocks = TakenBlocks::take(size_bytes, node)?;
                (blocks.start, Some(blocks))
            }
        };
        let storage = has_storage.then(|| Claim::new(start + BAR_AREA_BYTES, source.storage_bytes()));
        let claim = storage.transpose()?;
        Ok(Self { claim, start, blocks })
    }

    /// Where the BAR is.
    pub fn bar_start(&self) -> u64 {
        self.start
    }

    /// Where the storage is, and how large it is, if there is one.
    pub fn storage(&self) -> Option<(u64, u64)> {
        self.claim.as_ref().map(|claim| (claim.start, claim.size))
    }

    /// The node that it was taken from, if it was the kernel's.
    pub fn node(&self) -> Option<u32> {
        Some(self.blocks.as_ref()?.blocks.first()?.node)
    }

    /// Whether it held the kernel's data until now.
    pub fn is_taken(&self) -> bool {
        self.blocks.is_some()
    }
}

/// The storage's entry in the kernel's map of physical addresses.
struct Claim {
    start: u64,
    size: u64,
}

impl Claim {
    fn new(start: u64, size: u64) -> Result<Self, MemoryError> {
        if shim::nvmev_memory_claim(start, size) != 0 {
            return Err(MemoryError::Busy { start, size });
        }
        Ok(Self { start, size })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: claimed in `new`, once.
        unsafe { shim::nvmev_memory_release(self.start, self.size) }
    }
}

/// A memory block that was the kernel's.
struct TakenBlock {
    number: u64,
    node: u32,
    zone: u32,
}

/// Consecutive memory blocks that were the kernel's, which get them back when this is dropped.
struct TakenBlocks {
    start: u64,
    block_bytes: u64,
    blocks: Vec<TakenBlock>,
}

impl TakenBlocks {
    fn take(size: u64, node: u32) -> Result<Self, MemoryError> {
        let block_bytes = shim::nvmev_block_bytes();
        if block_bytes == 0 {
            return Err(MemoryError::NoHotRemove { size });
        }
        let available = shim::nvmev_memory_available();
        let wanted = size.div_ceil(block_bytes);
        let fits = wanted
            .checked_mul(block_bytes)
            .and_then(|bytes| bytes.checked_add(LEFT_FOR_KERNEL_BYTES))
            .is_some_and(|bytes| bytes <= available);
        if !fits {
            return Err(MemoryError::NotAvailable { size, available });
        }
        let mut taken = Self {
            start: 0,
            block_bytes,
            blocks: Vec::new(),
        };
        let count = usize::try_from(wanted).map_err(|_| MemoryError::OutOfMemory)?;
        taken
            .blocks
            .try_reserve_exact(count)
            .map_err(|_| MemoryError::OutOfMemory)?;
        let end = shim::nvmev_ram_end() / block_bytes;
        // Memory near the first CPU if there is a choice; far memory rather than none.
        let first = if shim::nvmev_node_count() > 1 {
            carve(&mut taken, end, wanted, Some(node)).or_else(|error| match error.interrupted {
                true => Err(error),
                false => carve(&mut taken, end, wanted, None),
            })
        } else {
            carve(&mut taken, end, wanted, None)
        };
        let first = first.map_err(
            |CarveError {
                 longest_run,
                 interrupted,
             }| match interrupted {
                true => MemoryError::Interrupted,
                false => MemoryError::NotContiguous {
                    size,
                    longest: longest_run * block_bytes,
                    block: block_bytes,
                },
            },
        )?;
        taken.start = first * block_bytes;
        Ok(taken)
    }

    fn return_block(&self, block: &TakenBlock) {
        let start = block.number * self.block_bytes;
        // SAFETY: the block was taken and nothing of ours is in it any more.
        let status = unsafe { shim::nvmev_block_give_back(start, block.node, block.zone) };
        if status != 0 {
            error!(
                "the memory block at {start:#x} could not be brought back into use ({status}); \
                 echo online >/sys/devices/system/memory/memory{}/state, or reboot",
                block.number
            );
        }
    }
}

impl Blocks for TakenBlocks {
    fn candidate(&mut self, block: u64) -> Option<u32> {
        u32::try_from(shim::nvmev_block_candidate(block * self.block_bytes)).ok()
    }

    fn run_may_begin(&mut self, block: u64) -> bool {
        shim::nvmev_run_may_begin(block * self.block_bytes) != 0
    }

    fn take(&mut self, number: u64) -> bool {
        let mut block = TakenBlock {
            number,
            node: 0,
            zone: 0,
        };
        // Room was reserved for as many blocks as can be taken at a time; more are left alone.
        if self.blocks.len() == self.blocks.capacity()
            || shim::nvmev_block_take(number * self.block_bytes, &mut block.node, &mut block.zone) != 0
        {
            return false;
        }
        self.blocks.push(block);
        true
    }

    fn give_back(&mut self, number: u64) {
        if let Some(index) = self.blocks.iter().position(|block| block.number == number) {
            let block = self.blocks.swap_remove(index);
            self.return_block(&block);
        }
    }

    fn interrupted(&mut self) -> bool {
        shim::nvmev_interrupted() != 0
    }
}

impl Drop for TakenBlocks {
    fn drop(&mut self) {
        for block in &self.blocks {
            self.return_block(block);
        }
    }
}

/// Physical memory of the device in the kernel's address space.
pub struct Mapping {
    memory: NonNull<c_void>,
    bytes: u64,
}

// SAFETY: the mapping is valid on every CPU; what is done through its pointer is the user's concern.
unsafe impl Send for Mapping {}
// SAFETY: as above; `Mapping` itself has no state that changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the registers.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn bar(memory: &DeviceMemory, bytes: u64) -> Result<Self, MemoryError> {
        let start = memory.bar_start();
        // SAFETY: the range is the device's and no RAM of the kernel's.
        Self::new(unsafe { shim::nvmev_map_bar(start, bytes) }, start, bytes)
    }

    /// Maps the storage, if there is one.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn storage(memory: &DeviceMemory) -> Result<Option<Self>, MemoryError> {
        let Some((start, bytes)) = memory.storage() else {
            return Ok(None);
        };
        // SAFETY: as above.
        Self::new(unsafe { shim::nvmev_map_storage(start, bytes) }, start, bytes).map(Some)
    }

    fn new(memory: *mut c_void, start: u64, size: u64) -> Result<Self, MemoryError> {
        match NonNull::new(memory) {
            Some(memory) => Ok(Self { memory, bytes: size }),
            None => Err(MemoryError::NotMapped { start, size }),
        }
    }

    /// Fills it with zeros. Nobody else may use it yet.
    pub fn clear(&mut self) {
        // SAFETY: all of the range is mapped, and `&mut self` says that nobody else is at it.
        unsafe { shim::nvmev_clear(self.memory.as_ptr(), self.bytes) }
    }

    /// Its first byte. Valid for [`Mapping::bytes`] while `self` lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.memory.as_ptr().cast()
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and whoever borrowed from it is gone.
        unsafe { shim::nvmev_unmap(self.memory.as_ptr()) }
    }
}
