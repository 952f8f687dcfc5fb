//! What the driver has the device do: entries that are ready but for the address.

use nvme_spec::{NvmOpcode, SubmissionQueueEntry, ZoneSendAction, PAGE_SIZE_BYTES};
use nvmev_native::Driver;
use nvmev_sim::host::{commands, sgl, Random};

use crate::setup::{DataPointer, Kind, Setup};

const PAGE: u64 = PAGE_SIZE_BYTES as u64;
/// Longest transfer: 128 KiB.
pub const LONG_BYTES: u32 = 128 << 10;

/// Where the next command goes.
#[derive(Clone)]
pub enum Addresses {
    /// Anywhere, in units of a command, below this.
    Random { random: Random, units: u64 },
    /// In order from this LBA, all queues together.
    Sequential(u64),
    /// In order through zones, each queue through its own.
    Zones(Zones),
}

impl Addresses {
    /// Anywhere in `bytes` in units of `len_bytes`.
    pub fn random(bytes: u64, len_bytes: u32) -> Self {
        Self::Random {
            random: Random::new(42),
            units: bytes / u64::from(len_bytes),
        }
    }
}

/// See [`Addresses::Zones`].
#[derive(Clone)]
pub struct Zones {
    /// For each queue the first LBA of its zone, and how much of it is written.
    queues: Vec<(u64, u64)>,
    zone_lbas: u64,
    /// LBAs of all zones.
    end: u64,
    is_append: bool,
}

impl Zones {
    /// Zones of `zone_lbas` up to the LBA `end`, for so many queues, which begin with one each.
    pub fn new(zone_lbas: u64, end: u64, queues: u16, is_append: bool) -> Self {
        Self {
            queues: (0..u64::from(queues))
                .map(|queue| (queue * zone_lbas, 0))
                .collect(),
            zone_lbas,
            end,
            is_append,
        }
    }

    /// The next address for `lbas` in the zone of the queue with this index, or the zone that has to be reset first.
    #[inline]
    fn next(&mut self, queue: usize, lbas: u64) -> Result<u64, u64> {
        let stride = self.queues.len() as u64 * self.zone_lbas;
        let (start, written) = &mut self.queues[queue];
        if *written + lbas > self.zone_lbas {
            // The next one, and after all of them those from the beginning.
            (*start, *written) = (*start + stride, 0);
            if *start + self.zone_lbas > self.end {
                *start %= stride;
            }
            return Err(*start);
        }
        *written += lbas;
        Ok(*start + if self.is_append { 0 } else { *written - lbas })
    }
}

/// Commands of one kind for all queues of a rig.
pub struct Work {
    /// For each queue and command identifier.
    entries: Vec<Vec<SubmissionQueueEntry>>,
    addresses: Addresses,
    lbas_each: u64,
}

impl Work {
    /// Commands of `len_bytes`, each with memory of its own for its data if any is moved.
    pub fn new(
        setup: &Setup,
        kind: Kind,
        len_bytes: u32,
        data: DataPointer,
        addresses: Addresses,
        driver: &mut Driver,
    ) -> Self {
        let opcode = match kind {
            Kind::Read => NvmOpcode::READ,
            Kind::Write => NvmOpcode::WRITE,
            Kind::Append => NvmOpcode::ZONE_APPEND,
        };
        let entry = commands::read_write(opcode, 1, 0, len_bytes / setup.lba_bytes, 0, 0);
        let mut pointer = Pointers {
            data,
            len_bytes,
            shared: None,
            has_data: setup.has_data,
        };
        let entries = (0..setup.busy_queues).map(|_| {
            let of_queue = (0..setup.depth).map(|cid| SubmissionQueueEntry {
                cid: cid.into(),
                ..pointer.add(entry, driver)
            });
            of_queue.collect()
        });
        Self {
            entries: entries.collect(),
            addresses,
            lbas_each: u64::from(len_bytes / setup.lba_bytes),
        }
    }

    /// The next command of the queue with this index.
    #[inline]
    pub fn next(&mut self, queue: usize, cid: u16) -> SubmissionQueueEntry {
        let mut entry = self.entries[queue][usize::from(cid)];
        let slba = match &mut self.addresses {
            Addresses::Random { random, units } => random.below(*units) * self.lbas_each,
            Addresses::Sequential(next) => {
                *next += self.lbas_each;
                *next - self.lbas_each
            }
            Addresses::Zones(zones) => match zones.next(queue, self.lbas_each) {
                Ok(slba) => slba,
                Err(zslba) => {
                    let reset = commands::zone_send(1, zslba, ZoneSendAction::RESET, false);
                    return SubmissionQueueEntry {
                        cid: cid.into(),
                        ..reset
                    };
                }
            },
        };
        entry.cdw10 = (slba as u32).into();
        entry.cdw11 = ((slba >> 32) as u32).into();
        entry
    }
}

/// Gives commands memory for their data.
struct Pointers {
    data: DataPointer,
    len_bytes: u32,
    has_data: bool,
    /// Where no data is moved, all commands have the same.
    shared: Option<(u64, u64)>,
}

impl Pointers {
    fn add(&mut self, entry: SubmissionQueueEntry, driver: &mut Driver) -> SubmissionQueueEntry {
        let (buffer, prp2) = match self.shared {
            Some(shared) => shared,
            None => self.make(driver),
        };
        if !self.has_data {
            self.shared = Some((buffer, prp2));
        }
        match self.data {
            DataPointer::Sgl => entry.with_sgl1(sgl::data_block(buffer, self.len_bytes)),
            DataPointer::Prps | DataPointer::ScatteredPrps => SubmissionQueueEntry {
                prp1: buffer.into(),
                prp2: prp2.into(),
                ..entry
            },
        }
    }

    /// A buffer and, unless it is short, a list of its other pages.
    fn make(&self, driver: &mut Driver) -> (u64, u64) {
        let pages = u64::from(self.len_bytes) / PAGE;
        let spread = match self.data {
            DataPointer::ScatteredPrps => 2,
            DataPointer::Prps | DataPointer::Sgl => 1,
        };
        let buffer = driver.pages((pages * spread) as usize);
        let mut others = (1..pages).map(|index| buffer + index * PAGE * spread);
        if pages < 3 {
            return (buffer, others.next().unwrap_or(0));
        }
        let list = driver.pages(1);
        let bytes: Vec<u8> = others.flat_map(u64::to_le_bytes).collect();
        driver.machine().write_ram(list, &bytes).expect("RAM");
        (buffer, list)
    }
}
