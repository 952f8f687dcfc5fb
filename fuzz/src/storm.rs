//! A host that does anything: registers, doorbells, queues anywhere, memory that is not there, a completion queue that nobody reads. Afterwards a host
//! that behaves well must find a working device with its data.

use nvme_device::pci::{DEVICE_ID, VENDOR_ID};
use nvme_device::BAR_SIZE_BYTES;
use nvme_spec::registers::{self, cq_head_doorbell, sq_tail_doorbell};
use nvme_spec::{SubmissionQueueEntry, NSSR_RESET, PAGE_SIZE_BYTES};
use nvmev_sim::host::{commands, QueuePair, TestHost, RAM_BASE};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::drive::{Traits, RAM_BYTES};
use crate::step::Step;
use crate::trail;

const PAGE: u64 = PAGE_SIZE_BYTES as u64;
const RAM_END: u64 = RAM_BASE + RAM_BYTES as u64;
/// Queues lie in so many pages.
const QUEUE_PAGES: u64 = 64;
const QUEUES: u16 = 5;
const CC_ENABLE: u32 = 0x0046_0061;

/// Something that the host does, and then some passes of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Act {
    /// What.
    pub kind: u8,
    /// A queue, or which register.
    pub which: u8,
    /// An offset into the BAR, or a place in memory.
    pub offset: U16,
    /// A value.
    pub value: U32,
    /// A command.
    pub step: Step,
}

/// An access to configuration space, and then a pass of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Access {
    /// Where.
    pub offset: U16,
    /// Bytes; the highest bit: no pass of the device.
    pub width: u8,
    /// What kind of place: from 0x80 on any, else one that has something.
    pub place: u8,
    /// What is written.
    pub value: U32,
}

impl Access {
    /// Does it, and looks that what cannot be written stays.
    ///
    /// # Panics
    /// If it does not.
    pub fn perform(&self, host: &mut TestHost) {
        let width = u32::from(self.width & 0x7F) % 6;
        let offset = match self.place {
            0x80.. => u32::from(self.offset.get()),
            place => u32::from(place) * 2 + u32::from(self.offset.get()) % 2,
        };
        trail::note(|| format!("write {:#x} to {offset:#x}, {width} bytes", self.value));
        // Until a function level reset is done there is nothing to be read.
        host.run();
        let before = host.device.shared.config_space().read(offset & !3, 4);
        host.write_config(offset, width, self.value.get());
        host.run();
        let config = host.device.shared.config_space();
        let read = config.read(offset, width);
        let is_natural = matches!(width, 1 | 2 | 4) && offset % width == 0 && offset < 4096;
        assert!(is_natural || read == u32::MAX, "nothing is there");
        assert!(
            is_natural || config.read(offset & !3, 4) == before,
            "nothing was written"
        );
        let ids = u32::from(VENDOR_ID) | u32::from(DEVICE_ID) << 16;
        assert_eq!((config.read(0, 4), config.read(0x2C, 4)), (ids, ids));
        assert_eq!(config.read(8, 4) >> 8, 0x01_08_02, "the class");
        assert_eq!(config.read(0x10, 4) & 0x3FFF, 0b100, "a BAR of 16 KiB");
        let mut at = config.read(0x34, 1);
        for id in [0x01, 0x11, 0x10] {
            assert_eq!(config.read(at, 1), id, "a list of capabilities");
            at = config.read(at + 1, 1);
        }
        assert_eq!(at, 0, "its end");
    }
}

/// An address that is more often than not near something that matters.
fn address(value: u32) -> u64 {
    let low = u64::from(value >> 3);
    match value & 0b111 {
        0 | 1 => RAM_BASE + low % (2 * QUEUE_PAGES) * PAGE,
        2 => RAM_BASE + low * 4 % RAM_BYTES as u64,
        3 => RAM_END - low % 8192,
        4 => [
            0,
            0xFFF,
            RAM_END,
            u64::MAX,
            !0xFFF,
            1 << 63,
            RAM_BASE - PAGE,
            RAM_END - PAGE,
        ][low as usize % 8],
        _ => RAM_BASE + (QUEUE_PAGES + low % 64) * PAGE + low / 64 % 2 * 64,
    }
}

impl Act {
    fn queue(&self) -> u16 {
        u16::from(self.which) % QUEUES
    }

    /// Where a queue is that the host makes in earnest.
    fn queue_page(qid: u16, is_completion: bool) -> u64 {
        RAM_BASE + u64::from(2 * qid + u16::from(is_completion)) * PAGE
    }

    /// A doorbell's value: most often one that may be right.
    fn index(&self) -> u32 {
        if self.which & 0xC0 == 0xC0 {
            self.value.get()
        } else {
            self.value.get() % 20
        }
    }

    fn command(&self, traits: &[Traits], is_admin: bool) -> SubmissionQueueEntry {
        let step = &self.step;
        let mut entry = if is_admin {
            step.admin(traits.len() as u32)
        } else {
            step.io(traits)
        };
        entry.prp1 = address(self.value.get()).into();
        entry.prp2 = address(self.value.get().rotate_left(13) ^ u32::from(step.pointer)).into();
        if step.pointer_detail >= 0xE0 {
            entry.flags |= step.pointer_detail << 6;
        }
        entry
    }

    /// An admin command that makes or deletes a queue.
    fn queue_command(&self) -> SubmissionQueueEntry {
        use nvme_spec::AdminOpcode;
        let qid = 1 + u16::from(self.step.queue) % (QUEUES - 1);
        let entries = u32::from(self.step.lbas) % 18;
        let page = |is_completion| match self.step.flags {
            0xE0.. => address(self.value.get()),
            _ => Self::queue_page(qid, is_completion),
        };
        match self.step.detail % 8 {
            0..=2 => commands::create_cq(qid, entries, self.step.lba.get() % 3, page(true)),
            3..=5 => commands::create_sq(
                qid,
                1 + u16::from(self.step.nsid) % (QUEUES - 1),
                entries,
                page(false),
            ),
            6 => commands::delete_queue(AdminOpcode::DELETE_IO_SUBMISSION_QUEUE, qid),
            _ => commands::delete_queue(AdminOpcode::DELETE_IO_COMPLETION_QUEUE, qid),
        }
    }

    /// Does it.
    pub fn perform(&self, host: &mut TestHost, traits: &[Traits]) {
        let value = self.value.get();
        let offset = usize::from(self.offset.get());
        trail::note(|| format!("{self:x?}"));
        match self.kind % 24 {
            // Commands where queues may be, and doorbells that tell of them.
            0..=3 => {
                let page = RAM_BASE + offset as u64 % QUEUE_PAGES * PAGE;
                let entry = self.command(traits, self.queue() == 0);
                let at = page + offset as u64 / QUEUE_PAGES % 64 * 64;
                host.machine.set_ram(at, entry.as_bytes());
            }
            4 | 5 => host.set_register(sq_tail_doorbell(self.queue()), self.index()),
            6 => host.set_register(cq_head_doorbell(self.queue()), self.index()),
            7 => self.write_bar(host, offset % BAR_SIZE_BYTES),
            8 => {
                const REGISTERS: [usize; 12] = [
                    registers::CC,
                    registers::AQA,
                    registers::ASQ,
                    registers::ACQ,
                    registers::NSSR,
                    registers::INTMS,
                    registers::INTMC,
                    registers::CSTS,
                    registers::CAP,
                    registers::VS,
                    registers::CRTO,
                    0x40,
                ];
                host.set_register(REGISTERS[usize::from(self.which) % 12], value);
            }
            9 => host.set_register(registers::CC, CC_ENABLE & !1 | value & 0x0000_C001),
            10 => {
                host.set_register(registers::AQA, value & 0x001F_001F);
                host.set_register_u64(registers::ASQ, address(value));
                host.set_register_u64(registers::ACQ, address(value.rotate_left(11)));
            }
            11 => {
                let width = [1, 2, 4][usize::from(self.which) % 3];
                host.write_config(u32::from(self.offset.get()) % 0x90, width, value);
                // Else the function would sleep, or be kept from memory, most of the time.
                if self.which & 0b1100 == 0 {
                    host.run();
                    host.switch_on();
                }
            }
            12 => host.now_ns += u64::from(value) % 10_000_000,
            13 => host.set_register(
                registers::NSSR,
                if self.which & 3 == 0 { NSSR_RESET } else { value },
            ),
            // A host in earnest, as far as it goes.
            14 => {
                host.set_register(registers::CC, 0);
                host.run();
                host.write_admin_registers(Self::queue_page(0, false), Self::queue_page(0, true));
                host.set_register(registers::CC, CC_ENABLE);
            }
            15..=17 => self.submit(host, 0, self.queue_command()),
            18..=20 => self.submit(host, self.queue(), self.command(traits, self.queue() == 0)),
            21 => {
                let qid = 1 + self.queue() % (QUEUES - 1);
                let (sq, cq) = (Self::queue_page(qid, false), Self::queue_page(qid, true));
                let entries = 2 + u16::from(self.step.lbas) % 16;
                host.adopt(qid, QueuePair::new(sq, entries, cq, entries));
            }
            _ => {
                if host.has_queue(self.queue()) {
                    host.reap(self.queue());
                }
            }
        }
    }

    fn submit(&self, host: &mut TestHost, qid: u16, entry: SubmissionQueueEntry) {
        if host.has_queue(qid) {
            host.submit(qid, entry);
        }
    }

    /// As memory is written: of whatever width, at whatever offset.
    fn write_bar(&self, host: &TestHost, offset: usize) {
        let width = [1, 2, 4, 8][usize::from(self.which) % 4];
        let bytes = (u64::from(self.value.get()) << 32 | u64::from(self.value.get())).to_le_bytes();
        for (at, byte) in (offset..BAR_SIZE_BYTES).zip(&bytes[..width]) {
            let word = host.register(at);
            let shift = at % 4 * 8;
            host.set_register(at, word & !(0xFF << shift) | u32::from(*byte) << shift);
        }
    }

    /// Lets the device go on for a while: part by part, or all of it.
    pub fn pass(&self, host: &mut TestHost) {
        for pass in 0..self.step.action & 0b11 {
            match self.step.action >> 2 & 0b11 {
                0 => {
                    host.poll_a_dispatcher(self.step.detail.wrapping_add(pass).into());
                }
                1 => {
                    let worker = usize::from(self.step.queue.wrapping_add(pass)) % host.device.workers.len();
                    host.device.workers[worker].poll(host.now_ns, &host.machine);
                }
                _ => {
                    host.step();
                }
            }
        }
    }
}
